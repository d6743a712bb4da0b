#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::core {

/// An ISO 4217 currency from our table, with the exponent of its minor unit (0, 2 or 3).
class Currency {
 public:
  /// `code` is three upper-case letters. @errors currency_unknown
  [[nodiscard]] static Result<Currency> parse(std::string_view code);

  [[nodiscard]] std::string_view code() const { return {code_.data(), code_.size()}; }
  [[nodiscard]] int exponent() const { return exponent_; }
  friend bool operator==(const Currency&, const Currency&) = default;

 private:
  Currency(std::array<char, 3> code, int exponent) : code_(code), exponent_(exponent) {}
  std::array<char, 3> code_;
  int exponent_;
};

/// A sum of money: whole minor units of one currency. Never a float, never without a currency.
class Money {
 public:
  [[nodiscard]] static Money of(std::int64_t minor, Currency currency) {
    return Money(minor, currency);
  }
  [[nodiscard]] static Money zero(Currency currency) { return Money(0, currency); }

  /// Reads major units written in full, as platforms do: digits, and exactly the currency's number
  /// of decimals after one '.' ("88.88" CNY, "500" JPY, "1.250" KWD). No sign, blanks, exponent,
  /// separators or further zeros in front. @errors money_malformed, money_overflow
  [[nodiscard]] static Result<Money> parse_major(std::string_view text, Currency currency);

  /// Reads minor units: digits only, no further zeros in front. @errors as parse_major
  [[nodiscard]] static Result<Money> parse_minor(std::string_view text, Currency currency);

  [[nodiscard]] std::int64_t minor() const { return minor_; }
  [[nodiscard]] const Currency& currency() const { return currency_; }
  /// Major units with the currency's decimals: "88.88".
  [[nodiscard]] std::string format_major() const;

  /// @errors currency_mismatch, money_overflow
  [[nodiscard]] Result<Money> plus(const Money& other) const;
  [[nodiscard]] Result<Money> minus(const Money& other) const;
  /// @errors currency_mismatch
  [[nodiscard]] Result<std::strong_ordering> compare(const Money& other) const;

  /// Same currency and same number of minor units.
  friend bool operator==(const Money&, const Money&) = default;

 private:
  Money(std::int64_t minor, Currency currency) : minor_(minor), currency_(currency) {}
  std::int64_t minor_;
  Currency currency_;
};

}  // namespace postern::core
