#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"

/// How platforms write numbers and times, with values invented on the spot.
namespace postern::simulate {

/// `count` decimal digits.
[[nodiscard]] std::string random_digits(Random& random, std::size_t count);
/// `count` digits and letters.
[[nodiscard]] std::string random_letters(Random& random, std::size_t count);

/// "yyyy-MM-dd HH:mm:ss", China Standard Time.
[[nodiscard]] std::string china_time(TimePoint time);
/// The same with ".fff".
[[nodiscard]] std::string china_time_ms(TimePoint time);
/// "yyyyMMddHHmmss"
[[nodiscard]] std::string china_time_compact(TimePoint time);
/// "yyyyMMdd"
[[nodiscard]] std::string china_date_compact(TimePoint time);
/// "yyyy-MM-ddTHH:mm:ss+08:00"
[[nodiscard]] std::string china_time_rfc3339(TimePoint time);

/// `bytes` with one bit flipped, somewhere in the middle.
[[nodiscard]] std::string flip_one_bit(std::string bytes);

/// "/payment/{account}/callback"
[[nodiscard]] std::string callback_target(std::string_view account);

}  // namespace postern::simulate
