// Without a service manager: epmd (Erlang's port mapper) and the server are our children, so that
// both end with us. Everything that the server would look for in the system is named in its
// environment and its configuration.
#include "tests/delivery/rabbitmq_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

namespace postern::delivery {
namespace {

// The packaged command would change to another user; this is what it runs.
constexpr const char* kServer = "/usr/lib/rabbitmq/bin/rabbitmq-server";
constexpr const char* kControl = "/usr/lib/rabbitmq/bin/rabbitmqctl";

[[nodiscard]] sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

[[nodiscard]] std::uint16_t free_port() {
  const int file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(file, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(file, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(file);
  return ntohs(address.sin_port);
}

[[nodiscard]] bool greets(std::uint16_t port) {
  const int file = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  bool greeted = false;
  constexpr std::string_view kHello("AMQP\0\0\x09\x01", 8);
  if (::connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      ::send(file, kHello.data(), kHello.size(), MSG_NOSIGNAL) == 8) {
    // connection.start shows that the broker is there, not only its listener.
    pollfd waiting{.fd = file, .events = POLLIN, .revents = 0};
    char first = 0;
    greeted = ::poll(&waiting, 1, 1000) == 1 && ::recv(file, &first, 1, 0) == 1 && first == 1;
  }
  ::close(file);
  return greeted;
}

pid_t spawn(const std::vector<std::string>& command, const std::vector<std::string>& environment,
            const std::filesystem::path& output) {
  std::vector<char*> arguments;
  std::vector<char*> variables;
  for (const std::string& one : command) {
    arguments.push_back(const_cast<char*>(one.c_str()));
  }
  for (const std::string& one : environment) {
    variables.push_back(const_cast<char*>(one.c_str()));
  }
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::setpgid(0, 0);
  // A test that crashes leaves no child behind.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  const int file = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  ::close(STDIN_FILENO);
  ::execve(arguments[0], arguments.data(), variables.data());
  ::_exit(127);
}

void run(const std::vector<std::string>& command, const std::vector<std::string>& environment,
         const std::filesystem::path& output) {
  int left = 0;
  ::waitpid(spawn(command, environment, output), &left, 0);
  if (!WIFEXITED(left) || WEXITSTATUS(left) != 0) {
    throw std::runtime_error(command[0] + " failed; see " + output.string());
  }
}

}  // namespace

bool RabbitmqServer::is_installed() {
  return ::access(kServer, X_OK) == 0;
}

RabbitmqServer::RabbitmqServer()
    : port_(free_port()),
      tls_port_(free_port()),
      mapper_port_(free_port()),
      node_port_(free_port()) {
  write_configuration();
  mapper_ =
      spawn({"/usr/bin/epmd", "-address", "127.0.0.1", "-port", fmt::format("{}", mapper_port_)},
            environment(), folder_ / "mapper.log");
  start();
}

RabbitmqServer::~RabbitmqServer() {
  kill();
  ::kill(mapper_, SIGKILL);
  ::waitpid(mapper_, nullptr, 0);
}

void RabbitmqServer::write_configuration() const {
  folder_.write("enabled_plugins", "[].");
  folder_.write("rabbitmq.conf", fmt::format(R"(listeners.tcp.1 = 127.0.0.1:{}
listeners.ssl.1 = 127.0.0.1:{}
ssl_options.cacertfile = {}
ssl_options.certfile = {}
ssl_options.keyfile = {}
ssl_options.verify = verify_none
distribution.listener.interface = 127.0.0.1
vm_memory_high_watermark.absolute = 2GB
disk_free_limit.absolute = 1MB
log.console = false
)",
                                             port_, tls_port_, ca_file().string(),
                                             ca_file().string(), (folder_ / "key.pem").string()));
  // At its start the server reads every module of every plugin: without those that are never
  // enabled here it takes half the time.
  std::filesystem::create_directory(folder_ / "plugins");
  const auto installed =
      std::filesystem::canonical(kServer).parent_path().parent_path() / "plugins";
  for (const auto& entry : std::filesystem::directory_iterator(installed)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("rabbitmq_") && !name.starts_with("rabbitmq_prelaunch")) continue;
    std::filesystem::create_symlink(entry.path(), folder_ / "plugins" / name);
  }
  const auto certify = [this](std::string_view key, std::string_view certificate) {
    run({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", (folder_ / key).string(), "-out",
         (folder_ / certificate).string()},
        environment(), folder_ / "openssl.log");
  };
  certify("key.pem", "certificate.pem");
  certify("other_key.pem", "other.pem");
}

std::vector<std::string> RabbitmqServer::environment() const {
  const auto path = [this](std::string_view name) { return (folder_ / name).string(); };
  return {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + folder_.path().string(), "LANG=C.UTF-8",
          "ERL_EPMD_ADDRESS=127.0.0.1", fmt::format("ERL_EPMD_PORT={}", mapper_port_),
          fmt::format("RABBITMQ_NODENAME=postern{}@localhost", port_),
          fmt::format("RABBITMQ_DIST_PORT={}", node_port_),
          "RABBITMQ_CONFIG_FILE=" + path("rabbitmq"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
          "RABBITMQ_ENABLED_PLUGINS_FILE=" + path("enabled_plugins"),
          "RABBITMQ_PLUGINS_DIR=" + path("plugins"), "RABBITMQ_MNESIA_BASE=" + path("mnesia"),
          "RABBITMQ_LOG_BASE=" + path("log"), "RABBITMQ_PID_FILE=" + path("pid"),
          // Without it a shell stands between us and the server, which then outlives a test that
          // crashes.
          "RUNNING_UNDER_SYSTEMD=true"};
}

void RabbitmqServer::start() {
  server_ = spawn({kServer}, environment(), folder_ / "server.log");
  for (int i = 0; i < 600; ++i) {
    if (greets(port_)) return;
    if (::waitpid(server_, nullptr, WNOHANG) == server_) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw std::runtime_error("rabbitmq-server does not serve: " + folder_.read("server.log"));
}

void RabbitmqServer::kill() {
  if (server_ < 0) return;
  ::kill(-server_, SIGKILL);
  ::waitpid(server_, nullptr, 0);
  server_ = -1;
}

void RabbitmqServer::restart() {
  kill();
  start();
}

void RabbitmqServer::freeze() const {
  ::kill(-server_, SIGSTOP);
}

void RabbitmqServer::thaw() const {
  ::kill(-server_, SIGCONT);
}

void RabbitmqServer::control(std::string_view command) const {
  std::vector<std::string> words{kControl};
  while (!command.empty()) {
    const std::size_t end = std::min(command.find(' '), command.size());
    words.emplace_back(command.substr(0, end));
    command.remove_prefix(std::min(end + 1, command.size()));
  }
  run(words, environment(), folder_ / "control.log");
}

}  // namespace postern::delivery
