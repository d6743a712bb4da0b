#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace postern::bench {

/// Signed callbacks kept in a file, since signing costs ten times what verifying does: 600,000 of
/// them take minutes, once. The folder holds the keys beside them; it belongs into a build folder.
///
/// File format: for each order in turn a 32-bit length in the machine's byte order, then that many
/// bytes: one whole HTTP/1.1 request. A record cut off by an interrupted run is dropped.
class CallbackCache {
 public:
  /// Opens the cache and signs what it lacks, on `threads` threads, with a progress line on stderr.
  /// @errors of simulate::Signer; kFault cache_not_usable
  [[nodiscard]] static Result<CallbackCache> open(const std::filesystem::path& folder,
                                                  std::size_t wanted, unsigned threads);
  ~CallbackCache();
  CallbackCache(CallbackCache&& other) noexcept;
  CallbackCache& operator=(CallbackCache&&) = delete;

  [[nodiscard]] std::size_t size() const { return offsets_.size(); }
  /// The request of order `index`, as it goes over the wire. Valid as long as the cache.
  [[nodiscard]] std::string_view request(std::size_t index) const;

 private:
  CallbackCache() = default;
  [[nodiscard]] Result<void> map(const std::filesystem::path& file);

  const char* mapped_ = nullptr;
  std::size_t mapped_size_ = 0;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace postern::bench
