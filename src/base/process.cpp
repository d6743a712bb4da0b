#include "base/process.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>

#include "base/check.h"

namespace postern {

void refuse_dumps() {
  // The limit alone does not hold back a handler such as systemd-coredump, which reads from a pipe.
  constexpr rlimit kNoCore{.rlim_cur = 0, .rlim_max = 0};
  POSTERN_CHECK(::setrlimit(RLIMIT_CORE, &kNoCore) == 0);
  POSTERN_CHECK(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name.front() == '\0') return "localhost";
  return name.data();
}

}  // namespace postern
