#include "cli/serve_command.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "app/config.h"
#include "app/daemon.h"
#include "app/prometheus_metrics.h"
#include "app/wake_up.h"
#include "base/json_log.h"
#include "base/system.h"

namespace postern::cli {
namespace {

/// How long a daemon whose storage is in doubt may take to end. (P11: not ready within a second.)
constexpr std::chrono::milliseconds kFailedEndLimit{600};

struct Options {
  std::string config;
  unsigned io_threads = 1;
};

[[nodiscard]] std::string format(const http::ListenAddress& address) {
  if (address.host.find(':') != std::string::npos) {
    return fmt::format("[{}]:{}", address.host, address.port);
  }
  return fmt::format("{}:{}", address.host, address.port);
}

void print_ready(const Terminal& terminal, const app::Daemon& daemon) {
  std::vector<std::string> callbacks;
  for (const http::ListenAddress& address : daemon.callback_addresses()) {
    callbacks.push_back(format(address));
  }
  terminal.out << fmt::format("ready callbacks={} admin={}", fmt::join(callbacks, ","),
                              format(daemon.admin_address()))
               << std::endl;
}

/// As many connections as the host allows: the soft limit is low for the sake of programs that use
/// select, which nothing here does.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Ends the process even where the storage holds up a thread for good.
void end_soon() {
  std::thread([] {
    std::this_thread::sleep_for(kFailedEndLimit);
    ::_exit(static_cast<int>(ExitCode::kStoreFailed));
  }).detach();
}

[[nodiscard]] ExitCode serve(const Options& options, const Terminal& terminal) {
  // Before any thread, so that all of them leave the signals alone.
  const Result<app::StopSignals> signals = app::StopSignals::take();
  if (!signals) return fail(terminal, signals.error());
  const Result<app::ReloadSignal> reload = app::ReloadSignal::take_over();
  if (!reload) return fail(terminal, reload.error());
  raise_descriptor_limit();
  Result<app::Config> config = app::load_config(options.config);
  if (!config) return fail(terminal, config.error());

  SystemClock clock;
  SystemRandom random;
  app::PrometheusMetrics metrics;
  const Result<std::unique_ptr<JsonLog>> log =
      JsonLog::open({.threshold = config->log.level, .file = config->log.file}, clock);
  if (!log) return fail(terminal, log.error());

  Result<std::unique_ptr<app::Daemon>> daemon = app::Daemon::start(
      std::move(*config), {.io_threads = options.io_threads},
      {.clock = clock,
       .random = random,
       .log = **log,
       .metrics = metrics,
       .log_lines_dropped = [log = log->get()] { return log->dropped(); },
       .load_config = [&options] { return app::load_config(options.config); },
       .set_log_level = [log = log->get()](LogLevel level) { log->set_threshold(level); }});
  if (!daemon) return fail(terminal, daemon.error());
  print_ready(terminal, **daemon);

  switch ((*daemon)->wait(signals->descriptor(), &*reload)) {
    case app::Daemon::End::kStopped:
      daemon->reset();
      (*log)->info("daemon_stopped");
      return ExitCode::kOk;
    case app::Daemon::End::kStoreFailed:
      terminal.err << "postern: the storage is in doubt; start again to recover\n" << std::flush;
      end_soon();
      return ExitCode::kStoreFailed;
  }
  return ExitCode::kStoreFailed;
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("serve", "run the daemon");
  add_config_option(*command, options->config);
  command->add_option("--io-threads", options->io_threads, "threads of each callback listener")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return serve(*options, terminal); };
  });
}

}  // namespace postern::cli
