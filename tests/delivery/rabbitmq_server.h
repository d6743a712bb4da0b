#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace postern::delivery {

/// A real rabbitmq-server with folders, ports and port mapper of its own, all on loopback. User and
/// password are "guest". It is ended by its process id when the object goes. @thread one at a time
class RabbitmqServer {
 public:
  [[nodiscard]] static bool is_installed();

  /// Starts it and waits until it serves. Throws where it does not within a minute.
  RabbitmqServer();
  ~RabbitmqServer();
  RabbitmqServer(const RabbitmqServer&) = delete;
  RabbitmqServer& operator=(const RabbitmqServer&) = delete;

  /// SIGKILL: nothing is written any more.
  void kill();
  /// Starts it again over what it has on disk.
  void restart();
  /// Stops its processes in their tracks: connections stay open, nothing is answered.
  void freeze() const;
  void thaw() const;
  /// Runs rabbitmqctl against it. Throws where that fails.
  void control(std::string_view command) const;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::uint16_t tls_port() const { return tls_port_; }
  /// PEM of the only authority that vouches for "localhost" at `tls_port`.
  [[nodiscard]] std::filesystem::path ca_file() const { return folder_ / "certificate.pem"; }
  /// PEM of an authority that does not.
  [[nodiscard]] std::filesystem::path other_ca_file() const { return folder_ / "other.pem"; }

 private:
  void write_configuration() const;
  void start();
  [[nodiscard]] std::vector<std::string> environment() const;

  const postern::testing::TemporaryFolder folder_;
  const std::uint16_t port_;
  const std::uint16_t tls_port_;
  const std::uint16_t mapper_port_;
  const std::uint16_t node_port_;
  pid_t mapper_ = -1;
  pid_t server_ = -1;  ///< leads a process group
};

}  // namespace postern::delivery
