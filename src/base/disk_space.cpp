#include "base/disk_space.h"

#include <system_error>

namespace postern {

Result<std::uint64_t> FolderSpace::free_bytes() {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder_, error);
  if (error) return retryable("disk_space_unknown", error.message());
  return space.available;
}

}  // namespace postern
