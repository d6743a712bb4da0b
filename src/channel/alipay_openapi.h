#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "channel/fields.h"
#include "crypto/key.h"

namespace postern::channel {

/// The part of an OpenAPI response (version 2) that its signature covers: the value of the member
/// "<method with dots as underscores>_response", else of "error_response", exactly as written.
///
/// An object reaches to its closing brace, a text (encrypted content) includes both quotes. The
/// member is looked for in the outermost object only, and must be there once.
/// @param body  the response as received
/// @param method  "alipay.trade.query"
/// @return a view into `body`
/// @errors body_malformed, key_duplicate
/// @source alipay-sdk-nodejs-all util.ts, alipay-sdk-java-all AlipaySignature.java
[[nodiscard]] Result<std::string_view> extract_response_substring(std::string_view body,
                                                                  std::string_view method);

/// Verifies an OpenAPI response (version 2) and returns the signed part of it. A response without
/// a signature proves nothing, whatever it says.
/// @errors body_malformed, key_duplicate, signature_missing, signature_malformed,
///   signature_not_verified
[[nodiscard]] Result<std::string_view> verify_alipay_response(std::string_view body,
                                                              std::string_view method,
                                                              const crypto::PublicKey& key);

/// Verifies the parameters of a browser's synchronous return (RSA2). Good for showing a page,
/// never for fulfilling: see `make_alipay`.
/// @param query  the part of the URL behind '?'
/// @errors those of parse_form, signature_missing, signature_malformed, algorithm_not_allowed,
///   signature_not_verified
[[nodiscard]] Result<Fields> verify_alipay_return(std::string_view query,
                                                  const crypto::PublicKey& key);

/// The value of `sign` for a request of version 2: RSA2 over every field but `sign` itself
/// (sign_type is covered) that is not empty. @errors signing_failed
[[nodiscard]] Result<std::string> sign_alipay_request(const Fields& fields,
                                                      const crypto::PrivateKey& key);

/// What an OpenAPI version 3 request is signed over, and who signs.
struct AlipayV3Request {
  std::string_view app_id;
  std::string_view app_cert_sn;  ///< empty in public-key mode
  std::string_view nonce;
  std::string_view timestamp_ms;
  std::string_view method;          ///< "POST"
  std::string_view target;          ///< path and query as sent
  std::string_view body;            ///< empty for GET
  std::string_view app_auth_token;  ///< empty where none is used
};

/// The Authorization header of an OpenAPI version 3 request. @errors signing_failed
/// @source alipay-sdk-php-all v3/src/Util
[[nodiscard]] Result<std::string> alipay_v3_authorization(const AlipayV3Request& request,
                                                          const crypto::PrivateKey& key);

/// Verifies an OpenAPI version 3 response: `alipay-timestamp`, `alipay-nonce`, `alipay-signature`
/// are headers. @errors signature_malformed, signature_not_verified
[[nodiscard]] Result<void> verify_alipay_v3_response(std::string_view timestamp,
                                                     std::string_view nonce, std::string_view body,
                                                     std::string_view signature,
                                                     const crypto::PublicKey& key);

/// Reads encrypted content (AES-128-CBC). @param text  base64 @param key  base64, as the console
/// shows it @errors base64_malformed, key_length_wrong, decryption_failed
[[nodiscard]] Result<std::string> decrypt_alipay_content(std::string_view text, const Secret& key);

}  // namespace postern::channel
