#pragma once

#include <openssl/types.h>

#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "http/tls_owned.h"

/// PEM of certificates and keys for TLS. Private to this room: included from its .cpp files only.
namespace postern::http {

/// Every certificate of `pem` in order, none where there is none; other blocks are passed over.
/// Nothing where one is broken.
[[nodiscard]] std::optional<std::vector<X509Ptr>> read_certificates(std::string_view pem);

/// @errors kFault tls_private_key_malformed, tls_private_key_encrypted
[[nodiscard]] Result<PkeyPtr> read_private_key(const Secret& pem);

/// Why the last call of OpenSSL on this thread failed, as its own sentence; empties its queue.
[[nodiscard]] const char* take_tls_reason();

}  // namespace postern::http
