#pragma once

#include "base/result.h"

namespace postern::app {

/// A flag that a thread can wait for together with other descriptors. @thread any
class WakeUp {
 public:
  WakeUp();
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;

  /// Wakes every waiter, now and from now on. Safe in a signal handler.
  void set() noexcept;
  enum class Woken : unsigned char { kFirst, kSecond };
  /// Waits until `set` was called or `first` can be read (kFirst), or else `second` can; -1 stands
  /// for no descriptor.
  [[nodiscard]] Woken wait(int first, int second) const;

 private:
  int descriptor_;
};

/// SIGTERM and SIGINT as a descriptor instead of interruptions. Made before the process starts its
/// threads, so that all of them leave the signals alone. SIGPIPE and SIGXFSZ are ignored: a closed
/// pipe or a full quota is an error of the call that met it.
class StopSignals {
 public:
  /// @errors kFault signals_unavailable
  [[nodiscard]] static Result<StopSignals> take();
  ~StopSignals();
  StopSignals(StopSignals&& other) noexcept;
  StopSignals& operator=(StopSignals&&) = delete;

  /// Can be read once one of the signals has come.
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  explicit StopSignals(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// SIGHUP as a descriptor, as StopSignals.
class ReloadSignal {
 public:
  /// @errors kFault signals_unavailable
  [[nodiscard]] static Result<ReloadSignal> take_over();
  ~ReloadSignal();
  ReloadSignal(ReloadSignal&& other) noexcept;
  ReloadSignal& operator=(ReloadSignal&&) = delete;

  /// Can be read while a signal has come that nobody has taken. Several are one.
  [[nodiscard]] int descriptor() const { return descriptor_; }
  /// Whether one has come since the last call. Never blocks.
  [[nodiscard]] bool take() const;

 private:
  explicit ReloadSignal(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace postern::app
