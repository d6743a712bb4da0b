#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"

/// PEM text (RFC 7468). Private to this room.
namespace postern::crypto {

struct PemBlock {
  std::string label;  ///< "CERTIFICATE", "PUBLIC KEY", ...
  Secret der;         ///< wiped when it goes, since it may be a private key
};

/// Whether `text` claims to be PEM rather than bare base64.
[[nodiscard]] bool looks_like_pem(std::string_view text);

/// Every block of `text` in order, at least one; text between blocks is passed over. Nothing where
/// a block is broken off, has encapsulated headers (an encrypted key) or the text is over 1 MiB.
[[nodiscard]] std::optional<std::vector<PemBlock>> read_pem(std::string_view text);

/// One block in lines of 64 characters; empty where the library fails.
[[nodiscard]] std::string write_pem(const char* label, std::string_view der);

}  // namespace postern::crypto
