#include "cli/demo_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/system.h"
#include "cli/demo_daemon.h"
#include "cli/painter.h"
#include "simulate/sandbox.h"
#include "simulate/shop.h"
#include "simulate/signer.h"
#include "simulate/story.h"
#include "simulate/webhook_receiver.h"

namespace postern::cli {
namespace {

namespace fs = std::filesystem;

struct DemoOptions {
  std::string folder;
  bool keep = false;
};

/// The order whose first webhook's answer gets lost: it comes again, and must count once.
constexpr std::string_view kAnswerLostFor = "DEMO-02";
/// Postern repeats after five to six seconds.
constexpr std::chrono::seconds kToldWithin{20};
constexpr std::chrono::milliseconds kLookInterval{50};

void pause(std::chrono::nanoseconds time) {
  std::this_thread::sleep_for(time);
}

/// Prints the story while it is played.
class PrintingNarrator final : public simulate::Narrator {
 public:
  PrintingNarrator(const Painter& painter, std::ostream& out) : painter_(painter), out_(out) {}

  void scene(std::string_view title) override {
    out_ << "\n" << painter_.paint(Paint::kTitle, title) << std::endl;
  }

  void step(const simulate::Step& step) override {
    const bool accepted = step.answered.find("accepted") != std::string::npos;
    const bool refused = step.answered.find("refused") != std::string::npos;
    const Paint paint = accepted ? Paint::kGood : refused ? Paint::kBad : Paint::kPlain;
    out_ << fmt::format("  {}  {:<58} {} {}\n", step.order, step.did,
                        painter_.paint(paint, fmt::format("-> {:<22}", step.answered)),
                        painter_.paint(Paint::kStrong, step.order_now))
         << std::flush;
    ++steps_;
  }

  [[nodiscard]] std::size_t steps() const { return steps_; }

 private:
  const Painter& painter_;
  std::ostream& out_;
  std::size_t steps_ = 0;
};

[[nodiscard]] std::string yuan(const std::optional<std::int64_t>& minor) {
  if (minor.value_or(0) == 0) return "-";
  return core::Money::of(*minor, core::Currency::parse("CNY").value()).format_major();
}

[[nodiscard]] std::string short_names(const std::vector<std::string>& events) {
  constexpr std::string_view kPrefix = "order.";
  std::vector<std::string> names;
  for (const std::string& event : events) {
    names.push_back(event.starts_with(kPrefix) ? event.substr(kPrefix.size()) : event);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

[[nodiscard]] std::vector<std::string> open_incidents(const simulate::OrderView& view) {
  std::vector<std::string> kinds;
  for (const simulate::IncidentView& incident : view.incidents) {
    if (incident.state != "resolved") kinds.push_back(incident.kind);
  }
  return kinds;
}

void print_ending(std::ostream& out, const Painter& painter, const simulate::Ending& ending) {
  const simulate::OrderView& view = ending.view;
  const bool good = ending.surprises.empty();
  out << fmt::format("{:<9} {} {:>8} {:>8} {:>8}  {:<36} {:<18} {}\n", ending.order,
                     painter.paint(Paint::kStrong, fmt::format("{:<19}", view.state)),
                     yuan(view.expected), yuan(view.paid), yuan(view.refunded),
                     short_names(view.events),
                     fmt::format("{}", fmt::join(open_incidents(view), ", ")),
                     painter.paint(good ? Paint::kGood : Paint::kBad, good ? "ok" : "UNEXPECTED"));
  for (const std::string& surprise : ending.surprises) {
    out << fmt::format("          {}\n", surprise);
  }
}

/// How many orders did not end as they have to.
[[nodiscard]] std::size_t count_wrong(const std::vector<simulate::Ending>& endings) {
  return static_cast<std::size_t>(std::ranges::count_if(
      endings, [](const simulate::Ending& one) { return !one.surprises.empty(); }));
}

void print_endings(std::ostream& out, const Painter& painter,
                   const std::vector<simulate::Ending>& endings) {
  out << fmt::format("\n{:<9} {:<19} {:>8} {:>8} {:>8}  {:<36} {:<18} {}\n", "ORDER", "STATE",
                     "EXPECTED", "PAID", "REFUNDED", "EVENTS", "OPEN INCIDENTS", "CHECK");
  for (const simulate::Ending& ending : endings) print_ending(out, painter, ending);
}

void print_summary(std::ostream& out, const std::vector<simulate::Ending>& endings,
                   std::size_t steps, double seconds) {
  std::size_t callbacks = 0;
  std::size_t events = 0;
  std::size_t incidents = 0;
  std::int64_t copies = 0;
  for (const simulate::Ending& ending : endings) {
    callbacks += ending.view.callbacks;
    copies += ending.view.copies;
    events += ending.view.events.size();
    incidents += open_incidents(ending.view).size();
  }
  const std::size_t wrong = count_wrong(endings);
  out << fmt::format(
      "\n{} orders in {} steps and {:.1f} s: {} callbacks kept as evidence, {} copies counted,\n"
      "{} events for the shop, {} incidents for a person to look at. {}\n",
      endings.size(), steps, seconds, callbacks, copies, events, incidents,
      wrong == 0 ? "Every order ended as it has to."
                 : fmt::format("{} orders did NOT end as they have to.", wrong));
}

/// What the shop was told of an order; nullptr: nothing.
[[nodiscard]] const simulate::ToldOrder* told_of(const simulate::Told& told,
                                                 const std::string& order) {
  const auto found = told.orders.find(order);
  return found == told.orders.end() ? nullptr : &found->second;
}

[[nodiscard]] bool agrees(const simulate::Told& told, const simulate::Ending& ending) {
  return simulate::differences(ending.view, told_of(told, ending.order)).empty();
}

/// Deliveries come at their own pace: waits until the shop knows what became of every order, and
/// was told once more what it lost its answer for; or for so long that it never will.
[[nodiscard]] simulate::Told wait_until_told(const simulate::WebhookReceiver& receiver,
                                             const std::vector<simulate::Ending>& endings,
                                             const Clock& clock) {
  const MonotonicTime limit = clock.monotonic() + kToldWithin;
  while (true) {
    simulate::Told told = receiver.told();
    const bool complete = told.repeats > 0 && std::ranges::all_of(endings, [&](const auto& ending) {
                            return agrees(told, ending);
                          });
    if (complete || clock.monotonic() > limit) return told;
    pause(kLookInterval);
  }
}

void print_told_order(std::ostream& out, const Painter& painter, const simulate::Told& told,
                      const simulate::Ending& ending) {
  const simulate::ToldOrder* order = told_of(told, ending.order);
  const auto differences = simulate::differences(ending.view, order);
  const bool good = differences.empty();
  const std::string last = order == nullptr
                               ? "nothing"
                               : fmt::format("#{} {}", order->events.rbegin()->first,
                                             short_names({order->events.rbegin()->second}));
  out << fmt::format(
      "{:<9} {:>6}  {:<24} {} {:>8} {:>8}  {}\n", ending.order,
      order == nullptr ? 0 : order->events.size(), last,
      painter.paint(Paint::kStrong, fmt::format("{:<19}", order == nullptr ? "-" : order->state)),
      yuan(order == nullptr ? std::nullopt : order->paid),
      yuan(order == nullptr ? std::nullopt : order->refunded),
      painter.paint(good ? Paint::kGood : Paint::kBad, good ? "agrees" : "DIFFERS"));
  for (const std::string& difference : differences)
    out << fmt::format("          {}\n", difference);
}

/// Prints what the shop's own webhook was told. @return whether all of it is as it has to be
[[nodiscard]] bool print_told(std::ostream& out, const Painter& painter, const simulate::Told& told,
                              const std::vector<simulate::Ending>& endings) {
  out << fmt::format("\n{:<9} {:>6}  {:<24} {:<19} {:>8} {:>8}  {}\n", "ORDER", "EVENTS",
                     "LAST THE SHOP WAS TOLD", "STATE", "PAID", "REFUNDED", "CHECK");
  for (const simulate::Ending& ending : endings) print_told_order(out, painter, told, ending);
  const bool all_agree = std::ranges::all_of(
      endings, [&](const simulate::Ending& ending) { return agrees(told, ending); });
  out << fmt::format(
      "\n{} webhooks with a good signature: {} events, {} repeat recognised ({}: the shop lost "
      "its\n"
      "first answer on purpose); {} refused. ",
      told.events + told.repeats, told.events, told.repeats, kAnswerLostFor, told.refused);
  // Deliveries are at least once, so more than the one repeat asked for is no mistake.
  if (told.repeats == 0) out << "The repeat did NOT come. ";
  if (told.refused > 0) out << "Nothing should have been refused. ";
  out << (all_agree ? "What the shop was told agrees with every order."
                    : "What the shop was told DIFFERS from the orders.")
      << "\n";
  return all_agree && told.repeats > 0 && told.refused == 0;
}

void print_what_to_try(std::ostream& out, const DemoDaemon& daemon, const fs::path& folder,
                       std::uint16_t shop_port) {
  const std::string key_file = simulate::sandbox_api_key_file(folder).string();
  const std::string admin = fmt::format("http://127.0.0.1:{}", daemon.ports().admin);
  out << fmt::format(
      "\nThe gateway goes on running as process {0}. Try:\n\n"
      "  curl -s -H \"Authorization: Bearer $(cat {1})\" {2}/v1/orders/DEMO-06\n"
      "  curl -s -H \"Authorization: Bearer $(cat {1})\" {2}/v1/incidents\n"
      "  {3} simulate wechatpay-v3 --to http://127.0.0.1:{4} --keys {5} \\\n"
      "    --orders 20 --copies 3 --shuffle --register {2} --api-key file:{1}\n\n"
      "The shop has closed; what it is owed is kept and tried again. To open another in its "
      "place:\n\n"
      "  SHOP_PORT={6} SHOP_SECRET=$(cat {7}) python3 examples/python/shop.py\n\n"
      "Stop it with  kill {0}  and remove {5} afterwards.\n",
      daemon.pid(), key_file, admin, daemon.program(), daemon.ports().callback, folder.string(),
      shop_port, simulate::sandbox_webhook_key_file(folder).string());
}

/// The signers of a sandbox.
struct Platforms {
  std::unique_ptr<simulate::Signer> alipay, wechat, wechat_v2;

  [[nodiscard]] static Result<Platforms> load(const fs::path& folder) {
    using simulate::Platform;
    const auto load_one = [&](Platform platform) {
      return simulate::load_signer(platform, std::string(simulate::default_account(platform)),
                                   simulate::sandbox_keys(folder));
    };
    Platforms all;
    POSTERN_ASSIGN_OR_RETURN(all.alipay, load_one(Platform::kAlipay));
    POSTERN_ASSIGN_OR_RETURN(all.wechat, load_one(Platform::kWechatPayV3));
    POSTERN_ASSIGN_OR_RETURN(all.wechat_v2, load_one(Platform::kWechatPayV2));
    return all;
  }
};

/// Plays the story through a gateway that is ready, and prints how it went.
[[nodiscard]] Result<ExitCode> play(std::ostream& out, DemoPorts ports, const fs::path& folder,
                                    const simulate::WebhookReceiver& receiver) {
  POSTERN_ASSIGN_OR_RETURN(const Platforms platforms, Platforms::load(folder));
  POSTERN_ASSIGN_OR_RETURN(Secret api_key, simulate::read_sandbox_api_key(folder));
  simulate::Shop shop({.host = "127.0.0.1", .port = ports.admin, .api_key = std::move(api_key)});
  const SystemClock clock;
  SystemRandom random;
  const simulate::Stage stage{.alipay = *platforms.alipay,
                              .wechat = *platforms.wechat,
                              .wechat_v2 = *platforms.wechat_v2,
                              .shop = shop,
                              .callbacks = {.host = "127.0.0.1", .port = ports.callback},
                              .pause = pause,
                              .clock = clock,
                              .random = random};
  const Painter painter = Painter::of_stdout();
  PrintingNarrator narrator(painter, out);
  const MonotonicTime began = clock.monotonic();
  POSTERN_ASSIGN_OR_RETURN(const std::vector<simulate::Ending> endings,
                           simulate::play_story(stage, narrator));
  const double seconds = std::chrono::duration<double>(clock.monotonic() - began).count();
  print_endings(out, painter, endings);
  print_summary(out, endings, narrator.steps(), seconds);
  out << "\nThe shop waits for its webhooks ..." << std::endl;
  const simulate::Told told = wait_until_told(receiver, endings, clock);
  const bool told_well = print_told(out, painter, told, endings);
  return count_wrong(endings) == 0 && told_well ? ExitCode::kOk : ExitCode::kNegative;
}

[[nodiscard]] Result<ExitCode> run_demo(const DemoOptions& options, std::ostream& out) {
  POSTERN_ASSIGN_OR_RETURN(DemoFolder folder, DemoFolder::make(options.folder));
  const DemoPorts wanted = DemoPorts::usual_where_free();
  const SystemClock clock;
  SystemRandom random;
  const Secret secret = simulate::new_webhook_secret(random);
  POSTERN_ASSIGN_OR_RETURN(const auto receiver,
                           simulate::WebhookReceiver::start(
                               {.secret = secret, .lose_for = std::string(kAnswerLostFor)}, clock));
  POSTERN_RETURN_IF_ERROR(simulate::write_sandbox(
      folder.path(),
      {.callback_listen = fmt::format("127.0.0.1:{}", wanted.callback),
       .admin_listen = fmt::format("127.0.0.1:{}", wanted.admin),
       .log_file = "postern.log",
       .webhook = simulate::SandboxWebhook{.url = receiver->url(), .secret = secret}},
      clock.now(), random));
  POSTERN_ASSIGN_OR_RETURN(
      DemoDaemon daemon,
      DemoDaemon::start(folder.path(),
                        options.keep ? DemoDaemon::Life::kOutlivesUs : DemoDaemon::Life::kOurs));
  POSTERN_RETURN_IF_ERROR(daemon.wait_until_ready(pause));
  out << fmt::format(
      "A gateway of its own takes callbacks at http://127.0.0.1:{} and orders at "
      "http://127.0.0.1:{}.\nIts folder: {}\nA shop of ours takes signed webhooks at {}.\n",
      daemon.ports().callback, daemon.ports().admin, folder.path().string(), receiver->url());
  POSTERN_ASSIGN_OR_RETURN(const ExitCode code,
                           play(out, daemon.ports(), folder.path(), *receiver));
  if (!options.keep) {
    POSTERN_RETURN_IF_ERROR(daemon.stop(pause));
    return code;
  }
  daemon.release();
  folder.keep();
  print_what_to_try(out, daemon, folder.path(), receiver->port());
  return code;
}

}  // namespace

void add_demo(CLI::App& app, Action& action) {
  CLI::App* demo = app.add_subcommand(
      "demo", "play payments of three simulated platforms through a gateway of its own");
  const auto options = std::make_shared<DemoOptions>();
  demo->add_option("--dir", options->folder,
                   "an empty folder to work in, kept afterwards (default: a temporary one)");
  demo->add_flag("--keep", options->keep, "leave the gateway running, to play with");
  demo->callback([options, &action] {
    action = [options](const Terminal& terminal) {
      const Result<ExitCode> code = run_demo(*options, terminal.out);
      return code ? *code : fail(terminal, code.error());
    };
  });
}

}  // namespace postern::cli
