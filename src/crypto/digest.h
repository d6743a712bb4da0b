#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::crypto {

enum class DigestAlgorithm : unsigned char { kMd5, kSha1, kSha256, kSha512, kSm3 };

/// Raw digest bytes of `data`. Aborts where the library has no such algorithm. @thread any
[[nodiscard]] std::string digest(DigestAlgorithm algorithm, std::string_view data);

/// Raw HMAC bytes. @errors key_empty (never a MAC under an empty key), mac_failed @thread any
[[nodiscard]] Result<std::string> hmac(DigestAlgorithm algorithm, const Secret& key,
                                       std::string_view data);

/// Whether both texts are equal, in a time that depends on their lengths only. @thread any
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace postern::crypto
