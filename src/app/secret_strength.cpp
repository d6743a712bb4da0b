#include "app/secret_strength.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace postern::app {
namespace {

/// What stands in for a secret until somebody forgets to change it.
constexpr auto kDefaults = std::to_array<std::string_view>(
    {"admin",       "change-me",   "change-this", "change_me",    "changeit",    "changeme",
     "changethis",  "default",     "demo",        "dummy",        "example",     "foobar",
     "insecure",    "letmein",     "mysecret",    "not-a-secret", "notasecret",  "passw0rd",
     "password",    "placeholder", "postern",     "qwerty",       "replace-me",  "replaceme",
     "root",        "s3cr3t",      "s3cret",      "secret",       "secretkey",   "test",
     "testkey",     "todo",        "topsecret",   "your-api-key", "your-secret", "your_api_key",
     "your_secret", "yoursecret"});

/// Rows of a keyboard or a table of characters; a part of one, or it repeated, is no better.
constexpr auto kRuns = std::to_array<std::string_view>(
    {"0123456789", "1234567890", "0123456789abcdef", "123456789abcdef0", "abcdefghijklmnop",
     "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789", "deadbeef", "9876543210",
     "0987654321", "fedcba9876543210"});

/// Printed in manuals and sample programs, so known to everybody.
/// @source WeChat Pay v2, "signature algorithm", and its PHP sample; Standard Webhooks and Svix,
///   "verifying webhooks"
constexpr auto kSamples = std::to_array<std::string_view>(
    {"192006250b4c09247ec02edce69f6a2d", "8934e7d15453e97507ef794cf7b0519d",
     "whsec_mfkq9r8gkyqrtwjupd8ilpzio2lalasw", "whsec_c2fvsbqihrscchlqimv+b5ssyspob7od",
     "whsec_plj3nmycdgbkinavdok15jsl"});

constexpr std::string_view kBlanks = " \t\r\n\v\f";

[[nodiscard]] char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] bool equals(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, {}, lower);
}

/// Whether `text` is `word` over and over, the last time perhaps not to its end.
[[nodiscard]] bool repeats(std::string_view text, std::string_view word) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != word[i % word.size()]) return false;
  }
  return true;
}

[[nodiscard]] bool is_known(std::string_view text) {
  const auto is_run = [&](std::string_view run) { return repeats(text, run); };
  const auto is_default = [&](std::string_view word) {
    return text.size() >= word.size() && repeats(text, word);
  };
  return std::ranges::any_of(kDefaults, is_default) || std::ranges::any_of(kRuns, is_run) ||
         std::ranges::any_of(kSamples, [&](std::string_view one) { return equals(text, one); });
}

[[nodiscard]] std::unexpected<Error> weak(std::string_view why) {
  return fault(
      "secret_weak",
      fmt::format("{}; take the platform's own, or make one with: openssl rand -hex 16", why));
}

}  // namespace

Result<void> check_strength(const Secret& secret, SourceKind kind) {
  if (kind == SourceKind::kPublic) return {};
  const std::string_view text = secret.reveal();
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) {
    return fault("secret_empty", "the secret is blank or is empty");
  }
  const std::string_view core = text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
  if (is_known(core)) {
    return weak("the secret is a default or a sample that everybody knows");
  }
  if (kind == SourceKind::kPassword) return {};
  if (core.size() < kKeyBytesMin) {
    return weak(fmt::format("the secret is too short: it has at least {} bytes", kKeyBytesMin));
  }
  if (core.find_first_not_of(core.front()) == std::string_view::npos) {
    return weak("the secret is one character repeated");
  }
  return {};
}

}  // namespace postern::app
