#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include "base/result.h"

namespace postern {

/// How much room a file system has left. @thread any
class DiskSpace {
 public:
  virtual ~DiskSpace() = default;
  /// What a process without privileges may still write. @errors kRetryable disk_space_unknown
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes() = 0;
};

/// The file system that a folder is on.
class FolderSpace final : public DiskSpace {
 public:
  explicit FolderSpace(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] Result<std::uint64_t> free_bytes() override;

 private:
  const std::filesystem::path folder_;
};

}  // namespace postern
