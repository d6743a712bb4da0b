#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "app/daemon.h"
#include "base/system.h"
#include "tests/functional/visitor.h"

namespace postern::functional {

/// The daemon's own class, in this process.
class InProcess {
 public:
  /// @param disk_space  nullptr: the host's; outlives the daemon
  explicit InProcess(const Site& site, app::Daemon::Options options = {},
                     DiskSpace* disk_space = nullptr);

  [[nodiscard]] Visitor visitor() const;
  [[nodiscard]] std::uint16_t callback_port() const;
  [[nodiscard]] app::Daemon& daemon() { return *daemon_; }
  [[nodiscard]] app::PrometheusMetrics& metrics() { return metrics_; }

 private:
  SystemClock clock_;
  SystemRandom random_;
  NullLog log_;
  app::PrometheusMetrics metrics_;
  std::unique_ptr<app::Daemon> daemon_;
};

/// `postern serve` as a process. Killed when the object goes.
class Process {
 public:
  struct Options {
    std::optional<std::uint64_t> file_bytes_max;  ///< RLIMIT_FSIZE
    std::string trailing;                         ///< further arguments
  };
  /// Waits until it is ready; `exit_code` is known at once where it never is.
  explicit Process(const Site& site, Options options = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] bool ready() const { return callback_port_ != 0; }
  [[nodiscard]] Visitor visitor() const { return {callback_port_, admin_port_}; }
  [[nodiscard]] std::uint16_t callback_port() const { return callback_port_; }
  [[nodiscard]] std::uint16_t admin_port() const { return admin_port_; }
  void signal(int number) const;
  /// Waits for the end. A signal n counts as 128 + n.
  int wait();
  /// What it wrote to stderr so far.
  [[nodiscard]] std::string errors() const;

 private:
  const Site& site_;
  pid_t pid_ = -1;
  int out_ = -1;
  std::uint16_t callback_port_ = 0;
  std::uint16_t admin_port_ = 0;
};

}  // namespace postern::functional
