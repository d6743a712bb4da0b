#pragma once

#include <openssl/evp.h>

#include <array>
#include <optional>
#include <string_view>

#include "crypto/digest.h"

/// What the other files of this room need of digests. Private to this room.
namespace postern::crypto {

struct DigestValue {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
};

/// The algorithm, fetched once per process and never released; null where the library lacks it.
[[nodiscard]] const EVP_MD* fetched_digest(DigestAlgorithm algorithm);

/// Digest of `data` in this thread's reused context; nothing where the library fails.
[[nodiscard]] std::optional<DigestValue> try_digest(DigestAlgorithm algorithm,
                                                    std::string_view data);

}  // namespace postern::crypto
