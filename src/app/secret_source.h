#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::app {

/// Most bytes a secret may have; bundles of certificates are the largest.
inline constexpr std::size_t kSecretBytesMax = 1024 * 1024;

/// Fewest bytes of a key; what is shorter can be guessed.
inline constexpr std::size_t kKeyBytesMin = 16;

/// What a source points at, which decides what is asked of it.
enum class SourceKind : unsigned char {
  kKey,       ///< signs, decrypts or opens our API: hidden, of some strength
  kPassword,  ///< for a peer that has rules of its own: hidden, and not one of the usual defaults
  kPublic,    ///< a public key or certificate: may be read by all, but nobody else may change it
};

/// Reads what `source` points at, without one final line end: "env:NAME", or "file:PATH" with a
/// path relative to `folder`. A secret itself in place of `source` is refused, and never repeated
/// in the error.
///
/// A file has to belong to root or to this process, and neither it nor its folder may be writable
/// by others; a secret's may not be readable by others either. Group-readable is fine.
/// @errors kFault secret_inline, secret_missing, secret_unreadable, secret_exposed, secret_empty,
///   secret_weak
[[nodiscard]] Result<Secret> read_secret(std::string_view source,
                                         const std::filesystem::path& folder, SourceKind kind);

}  // namespace postern::app
