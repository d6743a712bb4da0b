#include "cli/bulk_retry.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <memory>

#include "app/config.h"
#include "cli/admin_access.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

constexpr const char* kTarget = "/v1/deliveries/retry";
constexpr std::size_t kPrintedMax = 10;

void print_plan(std::ostream& out, const json::object& plan) {
  Table table({"DELIVERY", "EVENT", "ENDPOINT", "STATE", "TRIES", "REASON"});
  const json::array& first = plan.at("first").as_array();
  for (std::size_t i = 0; i < std::min(first.size(), kPrintedMax); ++i) {
    const json::object& one = first[i].as_object();
    table.add({shown(one, "id"), shown(one, "event"), shown(one, "endpoint"), shown(one, "state"),
               shown(one, "tries"), shown(one, "reason")});
  }
  table.print(out);
  if (first.size() > kPrintedMax) out << "...\n";
  out << fmt::format("{} deliveries of {} orders, of events from {} to {}\n",
                     shown(plan, "deliveries"), shown(plan, "orders"), shown(plan, "oldest"),
                     shown(plan, "newest"));
}

[[nodiscard]] bool agrees(const Terminal& terminal) {
  terminal.err << "Retry them? [y/N] " << std::flush;
  std::string answer;
  std::getline(terminal.in, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace

ExitCode retry_many(const ListingOptions& listing, const RetryOptions& options,
                    const Terminal& terminal) {
  json::object body;
  for (const auto& [member, value] : options.filter) {
    if (!value.empty()) body.emplace(member, value);
  }
  const Result<app::Config> config = app::load_config(listing.config);
  if (!config) return fail(terminal, config.error());
  const Result<std::unique_ptr<AdminAccess>> access =
      AdminAccess::open(*config, listing.certificate);
  if (!access) return fail(terminal, access.error());
  Result<json::object> answer = (*access)->post(kTarget, body);
  if (!answer) return fail(terminal, answer.error());
  if (!listing.as_json) print_plan(terminal.out, *answer);
  json::value token = answer->at("plan");
  if (token.is_null()) {
    if (listing.as_json) terminal.out << json::serialize(*answer) << "\n";
    return ExitCode::kOk;
  }
  if (!options.sure && !agrees(terminal)) {
    terminal.err << "nothing was retried\n";
    return ExitCode::kNegative;
  }
  while (!token.is_null()) {
    answer = (*access)->post(kTarget, {{"plan", token}});
    if (!answer) return fail(terminal, answer.error());
    token = answer->at("next");
    terminal.err << fmt::format("{} of {}\n", shown(*answer, "retried_in_all"),
                                shown(*answer, "planned"));
  }
  if (listing.as_json) {
    terminal.out << json::serialize(*answer) << "\n";
  } else {
    terminal.out << fmt::format("retried: {}\nchanged meanwhile: {}\nthe last is due at: {}\n",
                                shown(*answer, "retried_in_all"),
                                shown(*answer, "changed_meanwhile"), shown(*answer, "last_due_at"));
  }
  return ExitCode::kOk;
}

}  // namespace postern::cli
