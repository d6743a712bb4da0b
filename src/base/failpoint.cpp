#include "base/failpoint.h"

#ifdef POSTERN_FAILPOINTS

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

namespace postern {
namespace {

struct KillPoint {
  std::string name;
  long countdown = 0;
};

[[nodiscard]] KillPoint read_kill_point() {
  const char* text = std::getenv("POSTERN_FAILPOINT");
  if (text == nullptr) return {};
  const std::string_view view(text);
  const std::size_t colon = view.rfind(':');
  if (colon == std::string_view::npos) return {std::string(view), 1};
  return {std::string(view.substr(0, colon)), std::atol(text + colon + 1)};
}

}  // namespace

void failpoint(const char* name) {
  static const KillPoint point = read_kill_point();
  static std::atomic<long> reached{0};
  if (point.name != name) return;
  if (++reached == point.countdown) raise(SIGKILL);
}

bool planted_fault(const char* name) {
  static const char* const planted = std::getenv("POSTERN_PLANTED_FAULT");
  return planted != nullptr && std::string_view(planted) == name;
}

void planted_pause() {
  usleep(2000);
}

}  // namespace postern

#endif
