// The input is the JSON of one kept callback, as GET /v1/callbacks/{id} gives it. What counts are
// account, received_at, target, headers_base64, body_base64 and body_sha256; the rest is for
// people.
#include "cli/verify_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "admin/present.h"
#include "app/config.h"
#include "base/clock.h"
#include "cli/captured.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

struct Options {
  std::string config;
  std::string file;
  bool as_json = false;
};

struct Verdict {
  std::string code;  ///< "genuine", or why not
  std::string detail;
  std::string key_id;
  std::string scheme;
  std::string purpose;
  std::vector<core::Fact> facts;
};

[[nodiscard]] std::string_view name(channel::Statement::Purpose purpose) {
  switch (purpose) {
    case channel::Statement::Purpose::kFacts:
      return "facts";
    case channel::Statement::Purpose::kNothing:
      return "nothing to do";
    case channel::Statement::Purpose::kToBeConfirmed:
      return "to be confirmed";
  }
  return "";
}

[[nodiscard]] Verdict judge(const channel::Channel& channel, const Captured& kept) {
  const std::string digest =
      crypto::hex_encode(crypto::digest(crypto::DigestAlgorithm::kSha256, kept.request.body));
  if (!kept.digest.empty() && kept.digest != digest) {
    return {.code = "body_changed", .detail = "body_base64 is not the body that body_sha256 names"};
  }
  const auto verified = channel.verify(kept.request, *kept.received_at);
  if (!verified) {
    return {.code = std::string(verified.error().code), .detail = verified.error().detail};
  }
  const auto statement = channel.adapt(*verified);
  if (!statement) {
    return {.code = std::string(statement.error().code), .detail = statement.error().detail};
  }
  return {.code = "genuine",
          .detail = statement->summary,
          .key_id = verified->key_id(),
          .scheme = verified->scheme(),
          .purpose = std::string(name(statement->purpose)),
          .facts = statement->facts};
}

[[nodiscard]] std::string describe(const core::Fact& fact) {
  std::string text = fmt::format("{} {}", core::name(fact.kind), core::subject(fact));
  text += fmt::format(", number {}", fact.attempt.number);
  if (fact.money) {
    text += fmt::format(", {} {}", fact.money->format_major(), fact.money->currency().code());
  }
  return text + ", at " + format_rfc3339(fact.occurred_at);
}

[[nodiscard]] json::object to_json(const Verdict& verdict) {
  json::array facts;
  for (const core::Fact& fact : verdict.facts) facts.push_back(admin::present(fact));
  return {{"verdict", verdict.code},  {"detail", verdict.detail},   {"key_id", verdict.key_id},
          {"scheme", verdict.scheme}, {"purpose", verdict.purpose}, {"facts", std::move(facts)}};
}

void print(std::ostream& out, const Verdict& verdict) {
  if (verdict.code != "genuine") {
    out << fmt::format("not genuine: {}\n", verdict.code);
    if (!verdict.detail.empty()) out << fmt::format("  {}\n", verdict.detail);
    return;
  }
  out << fmt::format("genuine: {}\n  key: {}\n  scheme: {}\n", verdict.detail, verdict.key_id,
                     verdict.scheme);
  out << fmt::format("  says: {}\n", verdict.purpose);
  for (const core::Fact& fact : verdict.facts) out << fmt::format("  {}\n", describe(fact));
}

[[nodiscard]] ExitCode verify(const Options& options, const Terminal& terminal) {
  const Result<app::Config> config = app::load_config(options.config);
  if (!config) return fail(terminal, config.error());
  const Result<std::string> text = read_capture(options.file);
  if (!text) return fail(terminal, text.error());
  const Result<Captured> kept = parse_kept(*text);
  if (!kept) return fail(terminal, kept.error());
  const app::AccountConfig* account = config->find_account(kept->account);
  if (account == nullptr) {
    return fail(terminal, {ErrorClass::kRejected, "account_unknown",
                           fmt::format("the configuration has no account {}", kept->account)});
  }
  const Verdict verdict = judge(*account->channel, *kept);
  if (options.as_json) {
    terminal.out << json::serialize(to_json(verdict)) << "\n";
  } else {
    print(terminal.out, verdict);
  }
  return verdict.code == "genuine" ? ExitCode::kOk : ExitCode::kNegative;
}

}  // namespace

void add_verify(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("verify", "verify a kept callback again, offline");
  add_config_option(*command, options->config);
  command->add_option("FILE", options->file, "the callback as JSON, - for standard input")
      ->required();
  command->add_flag("--json", options->as_json, "print JSON");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return verify(*options, terminal); };
  });
}

}  // namespace postern::cli
