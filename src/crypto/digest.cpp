// Digests and HMAC (RFC 2104) over OpenSSL's EVP interface.
//
// Fetching an algorithm searches every provider under a lock, which costs more than hashing a
// callback: each is fetched once per process. Contexts are kept per thread and per algorithm, since
// a context that stays with its algorithm is started again without an allocation.

#include "crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <cstddef>

#include "base/check.h"
#include "crypto/digest_openssl.h"
#include "crypto/openssl_ptr.h"

namespace postern::crypto {
namespace {

constexpr std::size_t kAlgorithmCount = 5;

[[nodiscard]] constexpr std::size_t index_of(DigestAlgorithm algorithm) {
  return static_cast<std::size_t>(algorithm);
}

[[nodiscard]] const char* name_of(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::kMd5:
      return "MD5";
    case DigestAlgorithm::kSha1:
      return "SHA1";
    case DigestAlgorithm::kSha256:
      return "SHA256";
    case DigestAlgorithm::kSha512:
      return "SHA512";
    case DigestAlgorithm::kSm3:
      return "SM3";
  }
  return "";
}

using FetchedDigests = std::array<EVP_MD*, kAlgorithmCount>;

[[nodiscard]] FetchedDigests fetch_digests() {
  FetchedDigests fetched{};
  for (std::size_t i = 0; i < kAlgorithmCount; ++i) {
    fetched[i] = EVP_MD_fetch(nullptr, name_of(static_cast<DigestAlgorithm>(i)), nullptr);
  }
  ERR_clear_error();
  return fetched;
}

/// A context that knows its digest and no key yet, to be copied for each message: the copy takes
/// the key with it when it is freed, and the library wipes it.
[[nodiscard]] MacContextPtr make_mac_template(DigestAlgorithm algorithm) {
  // Never released, like the digests: threads may still sign while statics are destroyed.
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  MacContextPtr context(EVP_MAC_CTX_new(mac));
  if (!context) return nullptr;
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(name_of(algorithm)),
                                       0),
      OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(context.get(), parameters) != 1) return nullptr;
  return context;
}

}  // namespace

const EVP_MD* fetched_digest(DigestAlgorithm algorithm) {
  static const FetchedDigests fetched = fetch_digests();
  return fetched[index_of(algorithm)];
}

std::optional<DigestValue> try_digest(DigestAlgorithm algorithm, std::string_view data) {
  thread_local std::array<DigestContextPtr, kAlgorithmCount> contexts;
  const EVP_MD* method = fetched_digest(algorithm);
  if (method == nullptr) return std::nullopt;
  DigestContextPtr& context = contexts[index_of(algorithm)];
  if (!context) context.reset(EVP_MD_CTX_new());
  DigestValue value;
  if (!context || EVP_DigestInit_ex2(context.get(), method, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), data.data(), data.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), value.bytes.data(), &value.size) != 1) {
    context.reset();
    ERR_clear_error();
    return std::nullopt;
  }
  return value;
}

std::string digest(DigestAlgorithm algorithm, std::string_view data) {
  const std::optional<DigestValue> value = try_digest(algorithm, data);
  // A wrong digest would be worse than none: without the algorithm there is nothing to go on with.
  POSTERN_CHECK(value.has_value());
  return to_text(value->bytes.data(), value->size);
}

Result<std::string> hmac(DigestAlgorithm algorithm, const Secret& key, std::string_view data) {
  if (key.empty()) return fault("key_empty", "set the account's key: a MAC needs one");
  thread_local std::array<MacContextPtr, kAlgorithmCount> templates;
  const ErrorQueueGuard errors;
  MacContextPtr& prepared = templates[index_of(algorithm)];
  if (!prepared) prepared = make_mac_template(algorithm);
  if (!prepared) return fault("mac_failed", "the cryptographic library has no such HMAC");
  const MacContextPtr context(EVP_MAC_CTX_dup(prepared.get()));
  const std::string_view secret = key.reveal();
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  std::size_t size = 0;
  if (!context || EVP_MAC_init(context.get(), as_bytes(secret), secret.size(), nullptr) != 1 ||
      EVP_MAC_update(context.get(), as_bytes(data), data.size()) != 1 ||
      EVP_MAC_final(context.get(), mac.data(), &size, mac.size()) != 1) {
    return fault("mac_failed", "the cryptographic library could not compute the HMAC");
  }
  return to_text(mac.data(), size);
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace postern::crypto
