#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace postern::store::sqlite {

/// Keeps other processes away from a store for as long as it lives. The lock is the kernel's and
/// goes with the process; the file stays, and holds the number of the process that took it last.
class FileLock {
 public:
  /// @errors kFault store_locked, store_cannot_open
  [[nodiscard]] static Result<FileLock> take(const std::string& path);
  FileLock() = default;
  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

/// Refuses what would let two processes have one store, or others change it: a link in place of the
/// file or a second name of it (the lock stands beside one name alone), another owner than root and
/// us, and a file or folder that others may write. Where there is no file yet, its folder is looked
/// at. @errors kFault store_cannot_open
[[nodiscard]] Result<void> check_only_ours(const std::string& path);

/// Creates an empty file readable by its owner alone, where there is none; the file holds what
/// customers paid. @errors kFault store_cannot_open
[[nodiscard]] Result<void> create_private_file(const std::string& path);

/// Flushes the names in the directory of `path`, so that a new file does not vanish at power loss.
/// @errors kFault store_io_failed
[[nodiscard]] Result<void> flush_directory_of(const std::string& path);

}  // namespace postern::store::sqlite
