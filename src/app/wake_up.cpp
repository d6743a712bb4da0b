#include "app/wake_up.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace postern::app {
namespace {

/// Blocks the signals for this thread and those it starts; gives a signalfd of them.
[[nodiscard]] Result<int> take_over_signals(std::initializer_list<int> numbers) {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : numbers) ::sigaddset(&signals, number);
  if (::pthread_sigmask(SIG_BLOCK, &signals, nullptr) != 0) {
    return fault("signals_unavailable", "cannot block a signal");
  }
  const int descriptor = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor < 0) return fault("signals_unavailable", "cannot open a signalfd");
  return descriptor;
}

}  // namespace

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

WakeUp::Woken WakeUp::wait(int first, int second) const {
  pollfd watched[] = {{descriptor_, POLLIN, 0}, {first, POLLIN, 0}, {second, POLLIN, 0}};
  while (::poll(watched, std::size(watched), -1) < 0) POSTERN_CHECK(errno == EINTR);
  const bool is_first = watched[0].revents != 0 || watched[1].revents != 0;
  return is_first ? Woken::kFirst : Woken::kSecond;
}

Result<StopSignals> StopSignals::take() {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  POSTERN_ASSIGN_OR_RETURN(const int descriptor, take_over_signals({SIGTERM, SIGINT}));
  return StopSignals(descriptor);
}

StopSignals::StopSignals(StopSignals&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

StopSignals::~StopSignals() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<ReloadSignal> ReloadSignal::take_over() {
  POSTERN_ASSIGN_OR_RETURN(const int descriptor, take_over_signals({SIGHUP}));
  return ReloadSignal(descriptor);
}

ReloadSignal::ReloadSignal(ReloadSignal&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

ReloadSignal::~ReloadSignal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool ReloadSignal::take() const {
  signalfd_siginfo signal{};
  bool has_come = false;
  while (::read(descriptor_, &signal, sizeof signal) == sizeof signal) has_come = true;
  return has_come;
}

}  // namespace postern::app
