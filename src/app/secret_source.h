#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::app {

/// Most bytes a secret may have; bundles of certificates are the largest.
inline constexpr std::size_t kSecretBytesMax = 1024 * 1024;

/// Reads what `source` points at, without one final line end: "env:NAME", or "file:PATH" with a
/// path relative to `folder`. A secret itself in place of `source` is refused, and never repeated
/// in the error.
/// @errors kFault secret_inline, secret_missing, secret_unreadable, secret_empty
[[nodiscard]] Result<Secret> read_secret(std::string_view source,
                                         const std::filesystem::path& folder);

}  // namespace postern::app
