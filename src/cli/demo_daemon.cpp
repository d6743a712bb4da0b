#include "cli/demo_daemon.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>  // NOLINT: kill is POSIX
#include <stdlib.h>  // NOLINT: mkdtemp is POSIX
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "http/server.h"

namespace postern::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t kUsualCallbackPort = 8000;
constexpr std::uint16_t kUsualAdminPort = 8080;
constexpr std::chrono::milliseconds kLookInterval{20};
constexpr int kLooksForReady = 750;
constexpr int kLooksForEnd = 750;
constexpr int kLooksInPassing = 50;

[[nodiscard]] bool is_free(std::uint16_t port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound =
      ::bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return bound;
}

[[nodiscard]] std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

[[nodiscard]] std::string last_lines(const fs::path& file) {
  constexpr std::size_t kBytesMax = 600;
  const std::string text = read_file(file);
  return text.size() > kBytesMax ? text.substr(text.size() - kBytesMax) : text;
}

/// The port in the word that begins with `name` in a line such as
/// "ready callbacks=127.0.0.1:8000 admin=127.0.0.1:8080".
[[nodiscard]] std::optional<std::uint16_t> port_in(std::string_view line, std::string_view name) {
  const std::size_t begin = line.find(name);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view word = line.substr(begin + name.size());
  const auto address = http::parse_listen_address(word.substr(0, word.find_first_of(" \n")));
  if (!address) return std::nullopt;
  return address->port;
}

[[nodiscard]] std::optional<DemoPorts> ports_in(const std::string& output) {
  const std::size_t begin = output.find("ready ");
  if (begin == std::string::npos || output.find('\n', begin) == std::string::npos) {
    return std::nullopt;
  }
  const std::string_view line = std::string_view(output).substr(begin);
  const auto callback = port_in(line, "callbacks=");
  const auto admin = port_in(line, "admin=");
  if (!callback || !admin) return std::nullopt;
  return DemoPorts{.callback = *callback, .admin = *admin};
}

/// Becomes `postern serve`. Only calls what is allowed between fork and exec.
[[noreturn]] void become_daemon(const char* program, const char* config, const char* output,
                                DemoDaemon::Life life) {
  switch (life) {
    case DemoDaemon::Life::kOurs:
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      break;
    case DemoDaemon::Life::kOutlivesUs:
      ::setsid();
      break;
  }
  const int log = ::open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (log >= 0 && nothing >= 0) {
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    const std::array<const char*, 5> arguments{program, "serve", "--config", config, nullptr};
    ::execv(program, const_cast<char* const*>(arguments.data()));
  }
  ::_exit(127);
}

}  // namespace

DemoPorts DemoPorts::usual_where_free() {
  return {.callback = is_free(kUsualCallbackPort) ? kUsualCallbackPort : std::uint16_t{0},
          .admin = is_free(kUsualAdminPort) ? kUsualAdminPort : std::uint16_t{0}};
}

Result<DemoFolder> DemoFolder::make(const std::string& named) {
  std::error_code error;
  if (named.empty()) {
    std::string name = (fs::temp_directory_path(error) / "postern-demo-XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return fault("folder_not_made", fmt::format("cannot make {}", name));
    }
    return DemoFolder(name, End::kRemoved);
  }
  const fs::path path = fs::absolute(named, error);
  if (!error) fs::create_directories(path, error);
  if (error) return fault("folder_not_made", fmt::format("{}: {}", named, error.message()));
  if (!fs::is_empty(path, error)) {
    return fault("folder_not_empty", fmt::format("{} is not empty: name a new folder", named));
  }
  return DemoFolder(path, End::kKept);
}

DemoFolder::DemoFolder(DemoFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), end_(std::exchange(other.end_, End::kKept)) {}

DemoFolder::~DemoFolder() {
  std::error_code ignored;
  if (end_ == End::kRemoved) fs::remove_all(path_, ignored);
}

Result<DemoDaemon> DemoDaemon::start(const fs::path& folder, Life life) {
  std::error_code error;
  const std::string program = fs::read_symlink("/proc/self/exe", error).string();
  if (error) return fault("process_not_started", "cannot read /proc/self/exe");
  const std::string config = (folder / "postern.toml").string();
  const fs::path output = folder / "serve.out";
  const pid_t pid = ::fork();
  if (pid < 0) return fault("process_not_started", std::strerror(errno));
  if (pid == 0) become_daemon(program.c_str(), config.c_str(), output.c_str(), life);
  return DemoDaemon(pid, program, output);
}

DemoDaemon::DemoDaemon(DemoDaemon&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      program_(std::move(other.program_)),
      output_(std::move(other.output_)),
      ports_(other.ports_),
      wait_status_(other.wait_status_),
      released_(other.released_) {}

DemoDaemon::~DemoDaemon() {
  if (released_ || has_ended()) return;
  ::kill(pid_, SIGTERM);
  for (int look = 0; look < kLooksInPassing; ++look) {
    if (has_ended()) return;
    ::usleep(std::chrono::microseconds(kLookInterval).count());
  }
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool DemoDaemon::has_ended() {
  if (pid_ == 0) return true;
  if (::waitpid(pid_, &wait_status_, WNOHANG) != pid_) return false;
  pid_ = 0;
  return true;
}

Result<void> DemoDaemon::wait_until_ready(const Pause& pause) {
  for (int look = 0; look < kLooksForReady && !has_ended(); ++look) {
    if (const auto ports = ports_in(read_file(output_))) {
      ports_ = *ports;
      return {};
    }
    pause(kLookInterval);
  }
  return fault("daemon_not_ready",
               fmt::format("the gateway did not start; it said: {}", last_lines(output_)));
}

Result<void> DemoDaemon::stop(const Pause& pause) {
  if (pid_ != 0) ::kill(pid_, SIGTERM);
  for (int look = 0; look < kLooksForEnd && !has_ended(); ++look) pause(kLookInterval);
  if (!has_ended()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
    return fault("daemon_not_stopped", "the gateway did not end in time and was killed");
  }
  if (WIFEXITED(wait_status_) && WEXITSTATUS(wait_status_) == 0) return {};
  return fault("daemon_failed",
               fmt::format("the gateway ended with an error; it said: {}", last_lines(output_)));
}

}  // namespace postern::cli
