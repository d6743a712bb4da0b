#pragma once

#include <cstdio>
#include <cstdlib>

/// Ends the run where a property does not hold, so that libFuzzer keeps the input.
#define POSTERN_REQUIRE(condition)                                                           \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "property broken: %s (%s:%d)\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                          \
    }                                                                                        \
  } while (false)
