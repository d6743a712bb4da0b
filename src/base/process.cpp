#include "base/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/check.h"

namespace postern {

void refuse_dumps() {
  // The limit alone does not hold back a handler such as systemd-coredump, which reads from a pipe.
  constexpr rlimit kNoCore{.rlim_cur = 0, .rlim_max = 0};
  POSTERN_CHECK(::setrlimit(RLIMIT_CORE, &kNoCore) == 0);
  POSTERN_CHECK(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

}  // namespace postern
