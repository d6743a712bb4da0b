#include "bench/callback_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/system.h"
#include "bench/bench_order.h"
#include "simulate/signer.h"

namespace postern::bench {
namespace {

/// Signed between two writes: enough to keep the threads busy, little enough to lose.
constexpr std::size_t kChunk = 4096;

[[nodiscard]] Result<std::unique_ptr<simulate::Signer>> open_signer(
    const std::filesystem::path& folder) {
  const std::string account(kAccount);
  auto loaded = simulate::load_signer(simulate::Platform::kAlipay, account, folder);
  if (loaded) return loaded;
  SystemRandom random;
  POSTERN_ASSIGN_OR_RETURN(
      auto signer,
      simulate::generate_signer(simulate::Platform::kAlipay, account, SystemClock().now(), random));
  POSTERN_RETURN_IF_ERROR(signer->save(folder));
  return signer;
}

[[nodiscard]] std::string wire(const HttpRequest& request) {
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/4.0\r\n{}"
      "Content-Length: {}\r\n\r\n{}",
      request.method, request.target, request.headers.block(), request.body.size(), request.body);
}

[[nodiscard]] Result<std::vector<std::string>> sign_chunk(const simulate::Signer& signer,
                                                          std::size_t begin, std::size_t count,
                                                          unsigned threads) {
  std::vector<Result<std::string>> made(count, fault("not_signed"));
  std::vector<std::jthread> workers;
  for (unsigned worker = 0; worker < threads; ++worker) {
    workers.emplace_back([&, worker] {
      for (std::size_t i = worker; i < count; i += threads) {
        const Result<HttpRequest> request = order_callback(signer, begin + i);
        if (request) {
          made[i] = wire(*request);
        } else {
          made[i] = std::unexpected(request.error());
        }
      }
    });
  }
  workers.clear();
  std::vector<std::string> records;
  for (Result<std::string>& one : made) {
    POSTERN_ASSIGN_OR_RETURN(std::string record, std::move(one));
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

Result<CallbackCache> CallbackCache::open(const std::filesystem::path& folder, std::size_t wanted,
                                          unsigned threads) {
  POSTERN_ASSIGN_OR_RETURN(const auto signer, open_signer(folder));
  const std::filesystem::path file = folder / "callbacks.bin";
  CallbackCache cache;
  POSTERN_RETURN_IF_ERROR(cache.map(file));
  if (cache.size() >= wanted) return cache;

  std::ofstream out(file, std::ios::binary | std::ios::app);
  for (std::size_t begin = cache.size(); begin < wanted; begin += kChunk) {
    const std::size_t count = std::min(kChunk, wanted - begin);
    POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> records,
                             sign_chunk(*signer, begin, count, std::max(threads, 1U)));
    for (const std::string& record : records) {
      const auto size = static_cast<std::uint32_t>(record.size());
      out.write(reinterpret_cast<const char*>(&size), sizeof size);
      out.write(record.data(), static_cast<std::streamsize>(record.size()));
    }
    out.flush();
    fmt::print(stderr, "\rsigned {} of {} callbacks", begin + count, wanted);
  }
  fmt::print(stderr, "\n");
  if (!out) return fault("cache_not_usable", file.string());
  CallbackCache grown;
  POSTERN_RETURN_IF_ERROR(grown.map(file));
  return grown;
}

Result<void> CallbackCache::map(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct stat facts{};
  if (file < 0 || ::fstat(file, &facts) != 0) return fault("cache_not_usable", path.string());
  mapped_size_ = static_cast<std::size_t>(facts.st_size);
  if (mapped_size_ > 0) {
    void* memory = ::mmap(nullptr, mapped_size_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (memory == MAP_FAILED) return fault("cache_not_usable", path.string());
    mapped_ = static_cast<const char*>(memory);
  }
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
  while (offset + sizeof size <= mapped_size_) {
    std::memcpy(&size, mapped_ + offset, sizeof size);
    if (offset + sizeof size + size > mapped_size_) break;
    offsets_.push_back(offset);
    offset += sizeof size + size;
  }
  const bool cut = offset == mapped_size_ || ::ftruncate(file, static_cast<off_t>(offset)) == 0;
  ::close(file);
  if (!cut) return fault("cache_not_usable", path.string());
  return {};
}

std::string_view CallbackCache::request(std::size_t index) const {
  const char* record = mapped_ + offsets_[index];
  std::uint32_t size = 0;
  std::memcpy(&size, record, sizeof size);
  return {record + sizeof size, size};
}

CallbackCache::CallbackCache(CallbackCache&& other) noexcept
    : mapped_(std::exchange(other.mapped_, nullptr)),
      mapped_size_(std::exchange(other.mapped_size_, 0)),
      offsets_(std::move(other.offsets_)) {}

CallbackCache::~CallbackCache() {
  if (mapped_ != nullptr) ::munmap(const_cast<char*>(mapped_), mapped_size_);
}

}  // namespace postern::bench
