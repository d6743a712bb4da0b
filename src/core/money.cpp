#include "core/money.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

namespace postern::core {
namespace {

struct CurrencyRow {
  std::string_view code;
  int exponent;
};

// ISO 4217, list one: active currencies with their minor units; the funds codes, precious metals
// and test codes are left out, as are the two with four decimals, which no platform pays in.
constexpr CurrencyRow kCurrencies[] = {
    {"AED", 2}, {"AFN", 2}, {"ALL", 2}, {"AMD", 2}, {"ANG", 2}, {"AOA", 2}, {"ARS", 2}, {"AUD", 2},
    {"AWG", 2}, {"AZN", 2}, {"BAM", 2}, {"BBD", 2}, {"BDT", 2}, {"BGN", 2}, {"BHD", 3}, {"BIF", 0},
    {"BMD", 2}, {"BND", 2}, {"BOB", 2}, {"BRL", 2}, {"BSD", 2}, {"BTN", 2}, {"BWP", 2}, {"BYN", 2},
    {"BZD", 2}, {"CAD", 2}, {"CDF", 2}, {"CHF", 2}, {"CLP", 0}, {"CNY", 2}, {"COP", 2}, {"CRC", 2},
    {"CUP", 2}, {"CVE", 2}, {"CZK", 2}, {"DJF", 0}, {"DKK", 2}, {"DOP", 2}, {"DZD", 2}, {"EGP", 2},
    {"ERN", 2}, {"ETB", 2}, {"EUR", 2}, {"FJD", 2}, {"FKP", 2}, {"GBP", 2}, {"GEL", 2}, {"GHS", 2},
    {"GIP", 2}, {"GMD", 2}, {"GNF", 0}, {"GTQ", 2}, {"GYD", 2}, {"HKD", 2}, {"HNL", 2}, {"HTG", 2},
    {"HUF", 2}, {"IDR", 2}, {"ILS", 2}, {"INR", 2}, {"IQD", 3}, {"IRR", 2}, {"ISK", 0}, {"JMD", 2},
    {"JOD", 3}, {"JPY", 0}, {"KES", 2}, {"KGS", 2}, {"KHR", 2}, {"KMF", 0}, {"KPW", 2}, {"KRW", 0},
    {"KWD", 3}, {"KYD", 2}, {"KZT", 2}, {"LAK", 2}, {"LBP", 2}, {"LKR", 2}, {"LRD", 2}, {"LSL", 2},
    {"LYD", 3}, {"MAD", 2}, {"MDL", 2}, {"MGA", 2}, {"MKD", 2}, {"MMK", 2}, {"MNT", 2}, {"MOP", 2},
    {"MRU", 2}, {"MUR", 2}, {"MVR", 2}, {"MWK", 2}, {"MXN", 2}, {"MYR", 2}, {"MZN", 2}, {"NAD", 2},
    {"NGN", 2}, {"NIO", 2}, {"NOK", 2}, {"NPR", 2}, {"NZD", 2}, {"OMR", 3}, {"PAB", 2}, {"PEN", 2},
    {"PGK", 2}, {"PHP", 2}, {"PKR", 2}, {"PLN", 2}, {"PYG", 0}, {"QAR", 2}, {"RON", 2}, {"RSD", 2},
    {"RUB", 2}, {"RWF", 0}, {"SAR", 2}, {"SBD", 2}, {"SCR", 2}, {"SDG", 2}, {"SEK", 2}, {"SGD", 2},
    {"SHP", 2}, {"SLE", 2}, {"SOS", 2}, {"SRD", 2}, {"SSP", 2}, {"STN", 2}, {"SVC", 2}, {"SYP", 2},
    {"SZL", 2}, {"THB", 2}, {"TJS", 2}, {"TMT", 2}, {"TND", 3}, {"TOP", 2}, {"TRY", 2}, {"TTD", 2},
    {"TWD", 2}, {"TZS", 2}, {"UAH", 2}, {"UGX", 0}, {"USD", 2}, {"UYU", 2}, {"UZS", 2}, {"VED", 2},
    {"VES", 2}, {"VND", 0}, {"VUV", 0}, {"WST", 2}, {"XAF", 0}, {"XCD", 2}, {"XOF", 0}, {"XPF", 0},
    {"YER", 2}, {"ZAR", 2}, {"ZMW", 2}, {"ZWG", 2},
};
static_assert(std::ranges::is_sorted(kCurrencies, {}, &CurrencyRow::code));

[[nodiscard]] bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

[[nodiscard]] std::unexpected<Error> malformed() {
  return rejected("money_malformed", "write digits with exactly the currency's decimals");
}

[[nodiscard]] Result<std::int64_t> parse_digits(std::string_view digits) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) return rejected("money_overflow");
  if (error != std::errc{} || end != digits.data() + digits.size()) return malformed();
  return value;
}

[[nodiscard]] bool plain_whole_number(std::string_view digits) {
  return all_digits(digits) && (digits.size() == 1 || digits.front() != '0');
}

}  // namespace

Result<Currency> Currency::parse(std::string_view code) {
  const auto* const row = std::ranges::lower_bound(kCurrencies, code, {}, &CurrencyRow::code);
  if (row == std::end(kCurrencies) || row->code != code) {
    return rejected("currency_unknown", "use an ISO 4217 code in capitals, such as CNY");
  }
  return Currency({code[0], code[1], code[2]}, row->exponent);
}

Result<Money> Money::parse_major(std::string_view text, Currency currency) {
  const auto decimals = static_cast<std::size_t>(currency.exponent());
  std::string digits;
  if (decimals == 0) {
    digits = text;
  } else {
    if (text.size() < decimals + 2) return malformed();
    const std::size_t dot = text.size() - decimals - 1;
    if (text[dot] != '.' || !all_digits(text.substr(dot + 1))) return malformed();
    digits = text.substr(0, dot);
  }
  if (!plain_whole_number(digits)) return malformed();
  if (decimals != 0) digits += text.substr(text.size() - decimals);
  POSTERN_ASSIGN_OR_RETURN(const std::int64_t minor, parse_digits(digits));
  return Money(minor, currency);
}

Result<Money> Money::parse_minor(std::string_view text, Currency currency) {
  if (!plain_whole_number(text)) return malformed();
  POSTERN_ASSIGN_OR_RETURN(const std::int64_t minor, parse_digits(text));
  return Money(minor, currency);
}

std::string Money::format_major() const {
  const int decimals = currency_.exponent();
  std::string digits = fmt::format("{}", minor_);
  const bool negative = digits.front() == '-';
  if (negative) digits.erase(0, 1);
  const auto wanted = static_cast<std::size_t>(decimals) + 1;
  if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
  if (decimals > 0) digits.insert(digits.size() - static_cast<std::size_t>(decimals), ".");
  if (negative) digits.insert(0, "-");
  return digits;
}

Result<Money> Money::plus(const Money& other) const {
  if (currency_ != other.currency_) return fault("currency_mismatch");
  std::int64_t sum = 0;
  if (__builtin_add_overflow(minor_, other.minor_, &sum)) return fault("money_overflow");
  return Money(sum, currency_);
}

Result<Money> Money::minus(const Money& other) const {
  if (currency_ != other.currency_) return fault("currency_mismatch");
  std::int64_t difference = 0;
  if (__builtin_sub_overflow(minor_, other.minor_, &difference)) return fault("money_overflow");
  return Money(difference, currency_);
}

Result<std::strong_ordering> Money::compare(const Money& other) const {
  if (currency_ != other.currency_) return fault("currency_mismatch");
  return minor_ <=> other.minor_;
}

}  // namespace postern::core
