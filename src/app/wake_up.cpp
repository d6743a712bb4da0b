#include "app/wake_up.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/check.h"

namespace postern::app {

WakeUp::WakeUp() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  POSTERN_CHECK(descriptor_ >= 0);
}

WakeUp::~WakeUp() {
  ::close(descriptor_);
}

void WakeUp::set() noexcept {
  const std::uint64_t one = 1;
  // The counter is never read back, so the descriptor stays readable: woken once is woken for good.
  [[maybe_unused]] const ssize_t ignored = ::write(descriptor_, &one, sizeof one);
}

void WakeUp::wait(int other) const {
  pollfd watched[] = {{descriptor_, POLLIN, 0}, {other, POLLIN, 0}};
  while (::poll(watched, 2, -1) < 0) POSTERN_CHECK(errno == EINTR);
}

Result<StopSignals> StopSignals::take() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return fault("signals_unavailable", "cannot block SIGTERM");
  }
  const int descriptor = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return fault("signals_unavailable", "cannot open a signalfd");
  return StopSignals(descriptor);
}

StopSignals::StopSignals(StopSignals&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

StopSignals::~StopSignals() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace postern::app
