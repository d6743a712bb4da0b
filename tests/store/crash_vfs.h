#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace postern::store {

/// A disk in memory, for SQLite, that can lose its power and fail.
///
/// Until a file is flushed, each 512-byte sector written to it may reach the disk or not, by itself
/// and in any order; so may a change of its size, and the making and removing of names until their
/// folder is flushed. What the running process reads is always what it wrote.
///
/// @thread any; but a test that cuts the power should use one, so that its seed repeats it
class CrashDisk {
 public:
  /// Registers a file system under a name of its own, until the object goes.
  CrashDisk();
  CrashDisk(const CrashDisk&) = delete;
  CrashDisk& operator=(const CrashDisk&) = delete;
  ~CrashDisk();

  [[nodiscard]] const std::string& vfs() const;

  // Power.
  /// The power fails during the n-th change (write, flush, truncation, name) from now, n >= 1.
  void cut_after(std::uint64_t changes);
  [[nodiscard]] bool is_off() const;
  void cut_now();
  /// The power comes back. Every file must have been closed. What survives is drawn from `random`.
  void power_on(std::mt19937_64& random);
  /// Changes since the disk was made.
  [[nodiscard]] std::uint64_t changes() const;

  // Errors.
  enum class Operation : unsigned char { kRead, kWrite, kFlush };
  enum class Lasting : unsigned char { kOnce, kUntilHealed };
  /// The n-th `operation` from now on a file whose name ends in `suffix` answers `sqlite_code`.
  /// A flush that fails leaves what it should have flushed lost to later flushes, as Linux does.
  void fail(Operation operation, std::string_view suffix, std::uint64_t nth, int sqlite_code,
            Lasting lasting);
  void heal();
  /// Whether the planned error has been met.
  [[nodiscard]] bool has_failed() const;

  // Contents. Files must be closed.
  struct Image {
    std::map<std::string, std::string> files;
  };
  [[nodiscard]] Image image() const;
  void restore(const Image& image);

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace postern::store
