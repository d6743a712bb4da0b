#include "simulate/invent.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace postern::simulate {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kLetters =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The modulo favours some characters a little, which invented numbers may; it is 62 of 2^64.
[[nodiscard]] std::string random_of(std::string_view alphabet, Random& random, std::size_t count) {
  std::string text;
  while (text.size() < count) text.push_back(alphabet[random.next() % alphabet.size()]);
  return text;
}

[[nodiscard]] std::tm in_china(TimePoint time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time + std::chrono::hours(8));
  return fmt::gmtime(static_cast<std::time_t>(seconds.time_since_epoch().count()));
}

}  // namespace

std::string random_digits(Random& random, std::size_t count) {
  return random_of(kDigits, random, count);
}

std::string random_letters(Random& random, std::size_t count) {
  return random_of(kLetters, random, count);
}

std::string china_time(TimePoint time) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", in_china(time));
}

std::string china_time_ms(TimePoint time) {
  const auto rest = time - std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{}.{:03}", china_time(time), rest.count());
}

std::string china_time_compact(TimePoint time) {
  return fmt::format("{:%Y%m%d%H%M%S}", in_china(time));
}

std::string china_date_compact(TimePoint time) {
  return fmt::format("{:%Y%m%d}", in_china(time));
}

std::string china_time_rfc3339(TimePoint time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}+08:00", in_china(time));
}

std::string flip_one_bit(std::string bytes) {
  if (bytes.empty()) return bytes;
  char& byte = bytes[bytes.size() / 2];
  byte = static_cast<char>(static_cast<unsigned char>(byte) ^ 1U);
  return bytes;
}

std::string callback_target(std::string_view account) {
  return fmt::format("/payment/{}/callback", account);
}

}  // namespace postern::simulate
