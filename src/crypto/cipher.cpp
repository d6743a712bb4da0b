// AES in the three modes payment platforms use, over OpenSSL's EVP interface.
//
// GCM (NIST SP 800-38D): sealed = ciphertext || 16-byte tag, as WeChat Pay v3 sends it.
// ECB and CBC (NIST SP 800-38A) with PKCS#7 padding: no tag, so a success proves nothing about who
// wrote the text; their callers check a signature or ask the platform.
//
// The context is kept per thread, but reset after each call: resetting wipes the key schedule, and
// starting afresh was measured to be no slower than re-keying a context that is still set up.

#include "crypto/cipher.h"

#include <climits>
#include <cstddef>

#include "crypto/openssl_ptr.h"

namespace postern::crypto {
namespace {

constexpr std::size_t kGcmTagBytes = 16;
/// The library's own limit for a GCM nonce.
constexpr std::size_t kNonceBytesMax = 128;
/// The library counts in int; far above any body that is let in.
constexpr std::size_t kTextBytesMax = INT_MAX / 2;

enum class Direction : int { kDecrypt = 0, kEncrypt = 1 };

struct CipherMethod {
  const EVP_CIPHER* cipher;  ///< null where the library lacks it
  std::size_t key_bytes;
};

// Fetched once per process and never released: threads may still work while statics are destroyed.
[[nodiscard]] CipherMethod aes_256_gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return {cipher, 32};
}
[[nodiscard]] CipherMethod aes_256_ecb() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  return {cipher, 32};
}
[[nodiscard]] CipherMethod aes_128_cbc() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr);
  return {cipher, 16};
}

/// This thread's context for the time of one call; wiped on the way out.
class CipherCall {
 public:
  CipherCall() : context_(borrow()) {}
  ~CipherCall() {
    if (context_ != nullptr) EVP_CIPHER_CTX_reset(context_);
  }
  CipherCall(const CipherCall&) = delete;
  CipherCall& operator=(const CipherCall&) = delete;

  [[nodiscard]] bool start(const EVP_CIPHER* cipher, Direction direction) {
    return context_ != nullptr && cipher != nullptr &&
           EVP_CipherInit_ex2(context_, cipher, nullptr, nullptr, static_cast<int>(direction),
                              nullptr) == 1;
  }
  [[nodiscard]] bool set_nonce_size(std::size_t size) {
    return EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_IVLEN, static_cast<int>(size),
                               nullptr) == 1;
  }
  /// `nonce` may be null in ECB mode, which has none.
  [[nodiscard]] bool set_key(std::string_view key, const unsigned char* nonce) {
    return EVP_CipherInit_ex2(context_, nullptr, as_bytes(key), nonce, -1, nullptr) == 1;
  }
  [[nodiscard]] bool authenticate(std::string_view data) {
    int ignored = 0;
    return data.empty() || EVP_CipherUpdate(context_, nullptr, &ignored, as_bytes(data),
                                            static_cast<int>(data.size())) == 1;
  }
  /// Appends to the part of `out` already written; false where it would not fit.
  [[nodiscard]] bool update(std::string_view data, std::string& out) {
    int written = 0;
    if (!data.empty() && EVP_CipherUpdate(context_, as_writable_bytes(out) + written_, &written,
                                          as_bytes(data), static_cast<int>(data.size())) != 1) {
      return false;
    }
    written_ += static_cast<std::size_t>(written);
    return true;
  }
  [[nodiscard]] bool finish(std::string& out) {
    int written = 0;
    if (EVP_CipherFinal_ex(context_, as_writable_bytes(out) + written_, &written) != 1) {
      return false;
    }
    written_ += static_cast<std::size_t>(written);
    return true;
  }
  [[nodiscard]] bool set_tag(std::string_view tag) {
    return EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag.size()),
                               const_cast<char*>(tag.data())) == 1;
  }
  [[nodiscard]] bool get_tag(char* tag) {
    return EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kGcmTagBytes),
                               tag) == 1;
  }
  [[nodiscard]] std::size_t written() const { return written_; }

 private:
  [[nodiscard]] static EVP_CIPHER_CTX* borrow() {
    thread_local const CipherContextPtr context(EVP_CIPHER_CTX_new());
    return context.get();
  }

  const ErrorQueueGuard errors_;
  EVP_CIPHER_CTX* const context_;
  std::size_t written_ = 0;
};

[[nodiscard]] std::unexpected<Error> key_length_wrong(std::size_t wanted) {
  return fault("key_length_wrong", "the key must have exactly " + std::to_string(wanted) +
                                       " bytes: compare it with the platform's console");
}

[[nodiscard]] std::unexpected<Error> failure_of(Direction direction) {
  if (direction == Direction::kEncrypt) return fault("encryption_failed");
  // One code for every cause: which check failed is nothing the sender needs to learn.
  return rejected("decryption_failed");
}

[[nodiscard]] bool is_nonce(std::string_view nonce) {
  return !nonce.empty() && nonce.size() <= kNonceBytesMax;
}

/// ECB or CBC with PKCS#7 padding and, where the mode has one, a zero initialisation vector.
[[nodiscard]] Result<std::string> run_padded(const CipherMethod& method, Direction direction,
                                             const Secret& key, std::string_view data) {
  if (key.size() != method.key_bytes) return key_length_wrong(method.key_bytes);
  if (data.size() > kTextBytesMax) return failure_of(direction);
  static constexpr unsigned char kZeroVector[EVP_MAX_IV_LENGTH] = {};
  // One block more than the input: padding adds up to that much.
  std::string out(data.size() + EVP_MAX_BLOCK_LENGTH, '\0');
  CipherCall call;
  if (!call.start(method.cipher, direction) || !call.set_key(key.reveal(), kZeroVector) ||
      !call.update(data, out) || !call.finish(out)) {
    OPENSSL_cleanse(out.data(), out.size());
    return failure_of(direction);
  }
  out.resize(call.written());
  return out;
}

}  // namespace

Result<std::string> aes_256_gcm_open(const Secret& key, std::string_view nonce,
                                     std::string_view associated_data, std::string_view sealed) {
  const CipherMethod method = aes_256_gcm();
  if (key.size() != method.key_bytes) return key_length_wrong(method.key_bytes);
  if (!is_nonce(nonce) || sealed.size() < kGcmTagBytes || sealed.size() > kTextBytesMax ||
      associated_data.size() > kTextBytesMax) {
    return failure_of(Direction::kDecrypt);
  }
  const std::string_view ciphertext = sealed.substr(0, sealed.size() - kGcmTagBytes);
  const std::string_view tag = sealed.substr(ciphertext.size());
  std::string out(ciphertext.size(), '\0');
  CipherCall call;
  if (!call.start(method.cipher, Direction::kDecrypt) || !call.set_nonce_size(nonce.size()) ||
      !call.set_key(key.reveal(), as_bytes(nonce)) || !call.authenticate(associated_data) ||
      !call.update(ciphertext, out) || !call.set_tag(tag) || !call.finish(out) ||
      call.written() != out.size()) {
    // The mode deciphers before it knows whether the tag is right: unproven text must not survive.
    OPENSSL_cleanse(out.data(), out.size());
    return failure_of(Direction::kDecrypt);
  }
  return out;
}

Result<std::string> aes_256_gcm_seal(const Secret& key, std::string_view nonce,
                                     std::string_view associated_data, std::string_view plaintext) {
  const CipherMethod method = aes_256_gcm();
  if (key.size() != method.key_bytes) return key_length_wrong(method.key_bytes);
  if (!is_nonce(nonce) || plaintext.size() > kTextBytesMax ||
      associated_data.size() > kTextBytesMax) {
    return failure_of(Direction::kEncrypt);
  }
  std::string out(plaintext.size() + kGcmTagBytes, '\0');
  CipherCall call;
  if (!call.start(method.cipher, Direction::kEncrypt) || !call.set_nonce_size(nonce.size()) ||
      !call.set_key(key.reveal(), as_bytes(nonce)) || !call.authenticate(associated_data) ||
      !call.update(plaintext, out) || !call.finish(out) || call.written() != plaintext.size() ||
      !call.get_tag(out.data() + plaintext.size())) {
    return failure_of(Direction::kEncrypt);
  }
  return out;
}

Result<std::string> aes_256_ecb_decrypt(const Secret& key, std::string_view data) {
  return run_padded(aes_256_ecb(), Direction::kDecrypt, key, data);
}

Result<std::string> aes_256_ecb_encrypt(const Secret& key, std::string_view data) {
  return run_padded(aes_256_ecb(), Direction::kEncrypt, key, data);
}

Result<std::string> aes_128_cbc_decrypt(const Secret& key, std::string_view data) {
  return run_padded(aes_128_cbc(), Direction::kDecrypt, key, data);
}

Result<std::string> aes_128_cbc_encrypt(const Secret& key, std::string_view data) {
  return run_padded(aes_128_cbc(), Direction::kEncrypt, key, data);
}

}  // namespace postern::crypto
