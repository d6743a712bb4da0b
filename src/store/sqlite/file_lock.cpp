#include "store/sqlite/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace postern::store::sqlite {
namespace {

[[nodiscard]] std::unexpected<Error> cannot_open(const std::string& path, int error) {
  return fault("store_cannot_open", fmt::format("{}: {}", path, std::strerror(error)));
}

[[nodiscard]] std::string owner_in(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "unknown";
}

/// Only a help for people: whether it can be written does not matter.
void write_owner(int descriptor) {
  const std::string owner = std::to_string(getpid());
  if (ftruncate(descriptor, 0) != 0) return;
  [[maybe_unused]] const ssize_t size = pwrite(descriptor, owner.data(), owner.size(), 0);
}

}  // namespace

Result<FileLock> FileLock::take(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return cannot_open(path, errno);
  FileLock lock(descriptor);
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return cannot_open(path, errno);
    return fault("store_locked",
                 fmt::format("process {} has the store open ({}): stop it first, or name another "
                             "file in store.url",
                             owner_in(descriptor), path));
  }
  write_owner(descriptor);
  return lock;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<void> create_private_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return cannot_open(path, errno);
  close(descriptor);
  return {};
}

Result<void> flush_directory_of(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return cannot_open(directory, errno);
  const bool flushed = fsync(descriptor) == 0;
  const int error = errno;
  close(descriptor);
  if (flushed) return {};
  return fault("store_io_failed", fmt::format("{}: {}", directory, std::strerror(error)));
}

}  // namespace postern::store::sqlite
