#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace postern {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "postern: invariant broken: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace postern
