#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::crypto {

/// An Ed25519 private key. Immutable value, cheap to copy.
/// @source RFC 8032, section 5.1
class Ed25519PrivateKey {
 public:
  /// @param bytes  the 32-byte seed, or the seed followed by its 32-byte public key
  /// @errors key_malformed (also where the public key is not the seed's)
  [[nodiscard]] static Result<Ed25519PrivateKey> parse(const Secret& bytes);

  /// 64 raw bytes. @errors signing_failed @thread any
  [[nodiscard]] Result<std::string> sign(std::string_view message) const;
  [[nodiscard]] const std::string& public_key() const;  ///< 32 raw bytes

 private:
  struct Impl;
  explicit Ed25519PrivateKey(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace postern::crypto
