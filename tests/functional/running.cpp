#include "tests/functional/running.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/check.h"

namespace postern::functional {
namespace {

/// The child's side: never returns.
[[noreturn]] void run_postern(const Site& site, const Process::Options& options, int out) {
  const int err = ::open((site.folder() / "stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (options.file_bytes_max) {
    const rlimit limit{*options.file_bytes_max, *options.file_bytes_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  const std::string config = site.config_file();
  if (options.trailing.empty()) {
    ::execl(POSTERN_BINARY, "postern", "serve", "--config", config.c_str(), nullptr);
  } else {
    ::execl(POSTERN_BINARY, "postern", "serve", "--config", config.c_str(),
            options.trailing.c_str(), nullptr);
  }
  ::_exit(127);
}

[[nodiscard]] std::string read_line(int descriptor) {
  std::string line;
  char c = 0;
  while (::read(descriptor, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

}  // namespace

InProcess::InProcess(const Site& site, app::Daemon::Options options, DiskSpace* disk_space)
    : daemon_(app::Daemon::start(
                  app::load_config(site.config_file()).value(), options,
                  {.clock = clock_,
                   .random = random_,
                   .log = log_,
                   .metrics = metrics_,
                   .disk_space = disk_space,
                   .load_config = [file = site.config_file()] { return app::load_config(file); }})
                  .value()) {}

Visitor InProcess::visitor() const {
  return {callback_port(), daemon_->admin_address().port};
}

std::uint16_t InProcess::callback_port() const {
  return daemon_->callback_addresses()[0].port;
}

Process::Process(const Site& site, Options options) : site_(site) {
  int pipe[2] = {-1, -1};
  POSTERN_CHECK(::pipe2(pipe, O_CLOEXEC) == 0);
  pid_ = ::fork();
  POSTERN_CHECK(pid_ >= 0);
  if (pid_ == 0) run_postern(site, options, pipe[1]);
  ::close(pipe[1]);
  out_ = pipe[0];
  unsigned callback = 0;
  unsigned admin = 0;
  if (std::sscanf(read_line(out_).c_str(), "ready callbacks=127.0.0.1:%u admin=127.0.0.1:%u",
                  &callback, &admin) == 2) {
    callback_port_ = static_cast<std::uint16_t>(callback);
    admin_port_ = static_cast<std::uint16_t>(admin);
  }
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  ::close(out_);
}

void Process::signal(int number) const {
  ::kill(pid_, number);
}

int Process::wait() {
  int status = 0;
  POSTERN_CHECK(::waitpid(pid_, &status, 0) == pid_);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::errors() const {
  return site_.folder().read("stderr");
}

}  // namespace postern::functional
