#pragma once

namespace postern {

/// Writes the broken invariant to stderr and aborts. Never returns.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace postern

/// Guards our own invariants, in release builds too; never input.
#define POSTERN_CHECK(condition)                               \
  do {                                                         \
    if (!(condition)) {                                        \
      ::postern::check_failed(#condition, __FILE__, __LINE__); \
    }                                                          \
  } while (false)
