#include "cli/simulate_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/secret_source.h"
#include "base/system.h"
#include "core/money.h"
#include "http/client.h"
#include "simulate/plan.h"
#include "simulate/sandbox.h"
#include "simulate/seeded_random.h"
#include "simulate/sender.h"
#include "simulate/shop.h"
#include "simulate/signer.h"

namespace postern::cli {
namespace {

namespace fs = std::filesystem;

/// The first messages of a run were signed when the last are sent; v3 refuses them after 300 s.
constexpr double kSecondsMax = 240;
constexpr std::size_t kMessagesMax = 1'000'000;

struct SimulateOptions {
  std::string to;
  std::string keys;
  std::string account;
  std::size_t orders = 10;
  std::string order_prefix;
  std::string sum = "88.88";
  std::size_t copies = 1;
  bool shuffle = false;
  std::optional<std::uint64_t> seed;
  std::string tamper = "none";
  std::string refund;
  double rate = 0;
  unsigned connections = 4;
  std::string register_at;
  std::string api_key;
};

/// What the options mean.
struct Run {
  std::unique_ptr<simulate::Signer> signer;
  http::Url to;
  core::Money sum;
  simulate::Tamper tamper = simulate::Tamper::kNone;
  std::uint64_t seed = 0;
  std::string prefix;
};

[[nodiscard]] Result<Run> prepare(simulate::Platform platform, const SimulateOptions& options) {
  const std::string account =
      options.account.empty() ? std::string(simulate::default_account(platform)) : options.account;
  // Both the folder of the keys and that of the whole sandbox will do.
  const fs::path sandbox = simulate::sandbox_keys(options.keys);
  const fs::path keys = fs::is_directory(sandbox) ? sandbox : fs::path(options.keys);
  POSTERN_ASSIGN_OR_RETURN(auto signer, simulate::load_signer(platform, account, keys));
  POSTERN_ASSIGN_OR_RETURN(http::Url to, http::Url::parse(options.to));
  POSTERN_ASSIGN_OR_RETURN(const core::Currency yuan, core::Currency::parse("CNY"));
  POSTERN_ASSIGN_OR_RETURN(const core::Money sum, core::Money::parse_major(options.sum, yuan));
  POSTERN_ASSIGN_OR_RETURN(const simulate::Tamper tamper, simulate::parse_tamper(options.tamper));
  if (sum.minor() < 2) return rejected("sum_too_small", "--sum is at least 0.02");
  const double messages = static_cast<double>(options.orders) *
                          static_cast<double>(options.copies) * (options.refund.empty() ? 1 : 2);
  if (messages > kMessagesMax) {
    return rejected("run_too_long", fmt::format("send at most {} messages a run", kMessagesMax));
  }
  if (options.rate > 0 && messages / options.rate > kSecondsMax) {
    return rejected("run_too_long",
                    fmt::format("messages are signed beforehand and would be stale: choose a run "
                                "of at most {} seconds",
                                kSecondsMax));
  }
  SystemRandom random;
  const std::uint64_t seed = options.seed.value_or(random.next() % 1'000'000);
  return Run{
      .signer = std::move(signer),
      .to = std::move(to),
      .sum = sum,
      .tamper = tamper,
      .seed = seed,
      .prefix = options.order_prefix.empty() ? fmt::format("SIM-{}-", seed) : options.order_prefix};
}

[[nodiscard]] Result<void> register_orders(const Run& run, const SimulateOptions& options,
                                           const std::vector<simulate::PaymentPlan>& plans) {
  if (options.register_at.empty()) return {};
  POSTERN_ASSIGN_OR_RETURN(const http::Url admin, http::Url::parse(options.register_at));
  POSTERN_ASSIGN_OR_RETURN(
      Secret key, app::read_secret(options.api_key, fs::current_path(), app::SourceKind::kKey));
  simulate::Shop shop({.host = admin.host, .port = admin.port, .api_key = std::move(key)});
  for (const simulate::PaymentPlan& plan : plans) {
    POSTERN_RETURN_IF_ERROR(
        shop.register_order(plan.number, plan.sum, {{run.signer->account(), plan.number}}));
  }
  return {};
}

[[nodiscard]] std::vector<simulate::PaymentPlan> make_plans(const Run& run, std::size_t orders,
                                                            TimePoint now, Random& random) {
  const TimePoint paid_at = std::chrono::floor<std::chrono::seconds>(now) - std::chrono::seconds(2);
  std::vector<simulate::PaymentPlan> plans;
  for (std::size_t i = 1; i <= orders; ++i) {
    plans.push_back({.number = fmt::format("{}{:05}", run.prefix, i),
                     .payment_id = run.signer->new_payment_id(paid_at, random),
                     .sum = run.sum,
                     .paid_at = paid_at});
  }
  return plans;
}

/// The refund of half the sum, or of all of it.
[[nodiscard]] simulate::RefundPlan refund_of(const Run& run, const simulate::PaymentPlan& payment,
                                             const std::string& extent, Random& random) {
  const core::Money sum = extent == "full"
                              ? payment.sum
                              : core::Money::of(payment.sum.minor() / 2, payment.sum.currency());
  return {.payment = payment,
          .number = "R-" + payment.number,
          .refund_id = run.signer->new_refund_id(payment.paid_at, random),
          .sum = sum,
          .total = sum,
          .refunded_at = payment.paid_at + std::chrono::seconds(1)};
}

[[nodiscard]] Result<std::vector<HttpRequest>> make_messages(
    const Run& run, const SimulateOptions& options, const std::vector<simulate::PaymentPlan>& plans,
    TimePoint now, Random& random) {
  const simulate::Sending sending{.now = now, .random = random, .tamper = run.tamper};
  std::vector<HttpRequest> messages;
  for (const simulate::PaymentPlan& plan : plans) {
    POSTERN_ASSIGN_OR_RETURN(HttpRequest message, run.signer->payment(plan, sending));
    messages.push_back(std::move(message));
  }
  if (!options.refund.empty()) {
    for (const simulate::PaymentPlan& plan : plans) {
      POSTERN_ASSIGN_OR_RETURN(
          HttpRequest message,
          run.signer->refund(refund_of(run, plan, options.refund, random), sending));
      messages.push_back(std::move(message));
    }
  }
  // A gateway may stand below a path of its own.
  const std::string below = run.to.target == "/" ? "" : run.to.target;
  for (HttpRequest& message : messages) message.target = below + message.target;
  return messages;
}

/// How often an answer came, and whether it is the one to expect.
struct Tally {
  std::size_t count = 0;
  bool expected = false;
};

[[nodiscard]] std::map<std::string, Tally> tally(const Run& run,
                                                 const std::vector<simulate::Reply>& replies) {
  const simulate::Answer expected = simulate::must_be_refused(run.tamper)
                                        ? simulate::Answer::kRefused
                                        : simulate::Answer::kAccepted;
  std::map<std::string, Tally> answers;
  for (const simulate::Reply& reply : replies) {
    if (!reply.response) {
      ++answers[fmt::format("none: {}", reply.response.error().code)].count;
      continue;
    }
    const simulate::Answer answer = run.signer->read_answer(*reply.response);
    Tally& one = answers[fmt::format("{} {}", reply.response->code, name(answer))];
    ++one.count;
    one.expected = answer == expected;
  }
  return answers;
}

[[nodiscard]] double milliseconds(MonotonicTime time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

[[nodiscard]] bool report(std::ostream& out, const Run& run, const SimulateOptions& options,
                          const std::vector<simulate::Reply>& replies, MonotonicTime took) {
  out << fmt::format("{} callbacks for {} orders {}00001.. of account {}, seed {}, tamper {}\n\n",
                     replies.size(), options.orders, run.prefix, run.signer->account(), run.seed,
                     name(run.tamper));
  bool all_expected = true;
  out << fmt::format("{:28} {:>8}  {}\n", "answer", "count", "as expected");
  for (const auto& [answer, one] : tally(run, replies)) {
    out << fmt::format("{:28} {:>8}  {}\n", answer, one.count, one.expected ? "yes" : "NO");
    all_expected = all_expected && one.expected;
  }
  const double seconds = std::chrono::duration<double>(took).count();
  out << fmt::format("\nlatency p50 {:.2f} ms, p99 {:.2f} ms; {:.0f} a second\n",
                     milliseconds(simulate::latency_percentile(replies, 50)),
                     milliseconds(simulate::latency_percentile(replies, 99)),
                     seconds > 0 ? static_cast<double>(replies.size()) / seconds : 0.0);
  return all_expected;
}

[[nodiscard]] Result<bool> simulate_platform(simulate::Platform platform,
                                             const SimulateOptions& options, std::ostream& out) {
  POSTERN_ASSIGN_OR_RETURN(const Run run, prepare(platform, options));
  const SystemClock clock;
  simulate::SeededRandom random(run.seed);
  const auto plans = make_plans(run, options.orders, clock.now(), random);
  POSTERN_RETURN_IF_ERROR(register_orders(run, options, plans));
  POSTERN_ASSIGN_OR_RETURN(const auto messages,
                           make_messages(run, options, plans, clock.now(), random));
  const auto order =
      simulate::sending_order(messages.size(), options.copies, options.shuffle ? &random : nullptr);
  const simulate::Sender sender({.host = run.to.host,
                                 .port = run.to.port,
                                 .connections = options.connections,
                                 .per_second = options.rate},
                                clock, [](auto time) { std::this_thread::sleep_for(time); });
  const MonotonicTime began = clock.monotonic();
  const auto replies = sender.send(messages, order);
  return report(out, run, options, replies, clock.monotonic() - began);
}

[[nodiscard]] ExitCode run_platform(simulate::Platform platform, const SimulateOptions& options,
                                    const Terminal& terminal) {
  const Result<bool> as_expected = simulate_platform(platform, options, terminal.out);
  if (!as_expected) return fail(terminal, as_expected.error());
  return *as_expected ? ExitCode::kOk : ExitCode::kNegative;
}

struct KeysOptions {
  std::string folder;
  std::string webhook;
};

[[nodiscard]] ExitCode run_keys(const KeysOptions& options, const Terminal& terminal) {
  const SystemClock clock;
  SystemRandom random;
  const std::string& folder = options.folder;
  simulate::SandboxOptions sandbox;
  if (!options.webhook.empty()) {
    sandbox.webhook = {.url = options.webhook, .secret = simulate::new_webhook_secret(random)};
  }
  const auto written = simulate::write_sandbox(folder, sandbox, clock.now(), random);
  if (!written) return fail(terminal, written.error());
  const std::string api_key = simulate::sandbox_api_key_file(folder).string();
  terminal.out << fmt::format(
      "wrote {0}/postern.toml and the keys it names\n\n"
      "start the gateway:    postern serve --config {0}/postern.toml\n"
      "send ten payments:    postern simulate alipay --keys {0} \\\n"
      "                        --register http://127.0.0.1:8080 --api-key file:{1}\n",
      folder, api_key);
  if (!options.webhook.empty()) {
    terminal.out << fmt::format("the shop's webhook secret: {}\n",
                                simulate::sandbox_webhook_key_file(folder).string());
  }
  return ExitCode::kOk;
}

void add_options(CLI::App& command, SimulateOptions& options) {
  command.add_option("--to", options.to, "where the gateway takes callbacks")
      ->default_val("http://127.0.0.1:8000");
  command.add_option("--keys", options.keys, "folder of `postern simulate keys`")->required();
  command.add_option("--account", options.account, "account name (default: the platform's own)");
  command.add_option("--orders", options.orders, "orders to pay")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command.add_option("--order-prefix", options.order_prefix, "what order numbers begin with");
  command.add_option("--sum", options.sum, "yuan for each order")->capture_default_str();
  command.add_option("--copies", options.copies, "times each message is sent")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command.add_flag("--shuffle", options.shuffle, "send in an order mixed by the seed");
  command.add_option("--seed", options.seed, "same seed, same messages (default: drawn)");
  command
      .add_option("--tamper", options.tamper,
                  "none, amount, signature, wrong_key, stale, other_app, wrong_amount")
      ->capture_default_str();
  command.add_option("--refund", options.refund, "refund each order afterwards")
      ->check(CLI::IsMember({"partial", "full"}));
  command.add_option("--rate", options.rate, "messages a second (default: no limit)")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--connections", options.connections, "kept-alive connections")
      ->capture_default_str()
      ->check(CLI::Range(1, 256));
  CLI::Option* admin =
      command.add_option("--register", options.register_at, "admin API to register orders at");
  CLI::Option* key =
      command.add_option("--api-key", options.api_key, "its key, as env:NAME or file:PATH");
  admin->needs(key);
}

}  // namespace

void add_simulate(CLI::App& app, Action& action) {
  CLI::App* simulate =
      app.add_subcommand("simulate", "sign as a payment platform and send callbacks");
  simulate->require_subcommand(1);
  for (const simulate::Platform platform : simulate::all_platforms()) {
    CLI::App* command = simulate->add_subcommand(
        std::string(name(platform)),
        fmt::format("send callbacks as {}, genuine or spoiled", name(platform)));
    const auto options = std::make_shared<SimulateOptions>();
    add_options(*command, *options);
    command->callback([platform, options, &action] {
      action = [platform, options](const Terminal& terminal) {
        return run_platform(platform, *options, terminal);
      };
    });
  }
  CLI::App* keys = simulate->add_subcommand(
      "keys", "write fresh keys, and a postern.toml that trusts them, into a new folder");
  const auto options = std::make_shared<KeysOptions>();
  keys->add_option("DIR", options->folder, "the folder")->required();
  keys->add_option("--webhook", options->webhook,
                   "http:// address on this machine where the shop takes events");
  keys->callback([options, &action] {
    action = [options](const Terminal& terminal) { return run_keys(*options, terminal); };
  });
}

}  // namespace postern::cli
