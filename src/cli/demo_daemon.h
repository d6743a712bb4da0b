#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"

namespace postern::cli {

/// Waits on the calling thread.
using Pause = std::function<void(std::chrono::nanoseconds)>;

/// Ports of 127.0.0.1; zero stands for any free one.
struct DemoPorts {
  std::uint16_t callback = 0;
  std::uint16_t admin = 0;
  /// The ports of the documentation, each zero where another program has it.
  [[nodiscard]] static DemoPorts usual_where_free();
};

/// The folder of a demo: the visitor's, or a temporary one that goes with the object.
class DemoFolder {
 public:
  /// @param named  empty: make a temporary one
  /// @errors kFault folder_not_made, folder_not_empty
  [[nodiscard]] static Result<DemoFolder> make(const std::string& named);
  ~DemoFolder();
  DemoFolder(DemoFolder&& other) noexcept;
  DemoFolder& operator=(DemoFolder&&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void keep() { end_ = End::kKept; }

 private:
  enum class End : unsigned char { kRemoved, kKept };
  DemoFolder(std::filesystem::path path, End end) : path_(std::move(path)), end_(end) {}
  std::filesystem::path path_;
  End end_;
};

/// `postern serve` as a process of its own: this very program, started again. @thread one
class DemoDaemon {
 public:
  enum class Life : unsigned char {
    kOurs,        ///< stopped when the object goes, and when this process dies
    kOutlivesUs,  ///< in a session of its own, so that it survives this process once released
  };

  /// Starts it on the folder's postern.toml; its output goes to "serve.out" there.
  /// @errors kFault process_not_started
  [[nodiscard]] static Result<DemoDaemon> start(const std::filesystem::path& folder, Life life);
  /// Stops it, and waits a second at most before it is killed.
  ~DemoDaemon();
  DemoDaemon(DemoDaemon&& other) noexcept;
  DemoDaemon& operator=(DemoDaemon&&) = delete;

  /// Returns when it has said that it takes callbacks, and where. @errors kFault daemon_not_ready
  [[nodiscard]] Result<void> wait_until_ready(const Pause& pause);
  /// Stops it in order. @errors kFault daemon_not_stopped (it was killed), daemon_failed
  [[nodiscard]] Result<void> stop(const Pause& pause);
  /// From now on it is not ours to stop.
  void release() { released_ = true; }

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Known once it is ready.
  [[nodiscard]] DemoPorts ports() const { return ports_; }
  /// The path of this program.
  [[nodiscard]] const std::string& program() const { return program_; }

 private:
  DemoDaemon(pid_t pid, std::string program, std::filesystem::path output)
      : pid_(pid), program_(std::move(program)), output_(std::move(output)) {}
  /// Whether it has ended; then it is reaped and `wait_status_` says how.
  [[nodiscard]] bool has_ended();

  pid_t pid_;  // zero: reaped, or moved away
  std::string program_;
  std::filesystem::path output_;
  DemoPorts ports_;
  int wait_status_ = 0;
  bool released_ = false;
};

}  // namespace postern::cli
