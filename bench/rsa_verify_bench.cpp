// The yardstick of script/bench: the median time of one RSA-2048 SHA-256 verification with a key
// that is parsed once, over a text as long as Alipay's. Prints microseconds.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/system.h"
#include "crypto/key.h"

int main() {
  using postern::crypto::SignatureScheme;
  constexpr std::size_t kRounds = 10'000;
  const auto key = postern::crypto::PrivateKey::generate();
  POSTERN_CHECK(key.has_value());
  const postern::crypto::PublicKey public_key = key->public_key();
  const std::string message(900, 'x');
  const auto signature = key->sign(SignatureScheme::kRsaSha256, message);
  POSTERN_CHECK(signature.has_value());

  const postern::SystemClock clock;
  std::vector<postern::MonotonicTime> times;
  times.reserve(kRounds);
  for (std::size_t i = 0; i < kRounds; ++i) {
    const postern::MonotonicTime began = clock.monotonic();
    const auto verified = public_key.verify(SignatureScheme::kRsaSha256, message, *signature);
    times.push_back(clock.monotonic() - began);
    POSTERN_CHECK(verified.has_value());
  }
  std::ranges::nth_element(times, times.begin() + kRounds / 2);
  fmt::print("{:.2f}\n", static_cast<double>(times[kRounds / 2].count()) / 1000.0);
  return 0;
}
