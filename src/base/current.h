#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace postern {

/// A value that is replaced whole while others read it: who got one keeps that one, and it goes
/// with its last user. A look costs an uncontended lock and a count, some 20 ns. (libstdc++ 12's
/// atomic<shared_ptr> is a spin lock, which a descheduled holder would make everybody wait for.)
/// @thread any
template <class T>
class Current {
 public:
  explicit Current(std::shared_ptr<const T> value) : value_(std::move(value)) {}
  explicit Current(T value) : value_(std::make_shared<const T>(std::move(value))) {}

  /// Never null.
  [[nodiscard]] std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void set(std::shared_ptr<const T> value) {
    {
      const std::lock_guard lock(mutex_);
      value_.swap(value);
    }
    // Here, without the lock, the old one goes unless somebody still uses it.
  }
  void set(T value) { set(std::make_shared<const T>(std::move(value))); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;  ///< guarded by mutex_
};

}  // namespace postern
