#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::crypto {

/// AES-256-GCM. `sealed` is ciphertext followed by the 16-byte tag; the nonce may have any length
/// from 1 to 128 bytes. Nothing of the plaintext is returned unless the tag is right. The algorithm
/// is fetched once, the context kept per thread, the key schedule wiped after each call.
/// @param key  exactly 32 bytes
/// @errors key_length_wrong, decryption_failed
/// @thread any
[[nodiscard]] Result<std::string> aes_256_gcm_open(const Secret& key, std::string_view nonce,
                                                   std::string_view associated_data,
                                                   std::string_view sealed);
/// The opposite of `aes_256_gcm_open`. @errors key_length_wrong, encryption_failed
[[nodiscard]] Result<std::string> aes_256_gcm_seal(const Secret& key, std::string_view nonce,
                                                   std::string_view associated_data,
                                                   std::string_view plaintext);

/// AES-256-ECB with PKCS#7 padding: no integrity at all, for WeChat Pay v2 refund notices only.
/// @errors key_length_wrong, decryption_failed / encryption_failed
[[nodiscard]] Result<std::string> aes_256_ecb_decrypt(const Secret& key, std::string_view data);
[[nodiscard]] Result<std::string> aes_256_ecb_encrypt(const Secret& key, std::string_view data);

/// AES-128-CBC with PKCS#7 padding and an initialisation vector of 16 zero bytes (Alipay content
/// encryption). @errors key_length_wrong, decryption_failed / encryption_failed
[[nodiscard]] Result<std::string> aes_128_cbc_decrypt(const Secret& key, std::string_view data);
[[nodiscard]] Result<std::string> aes_128_cbc_encrypt(const Secret& key, std::string_view data);

}  // namespace postern::crypto
