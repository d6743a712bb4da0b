#include "admin/explanations.h"

#include <boost/json/array.hpp>
#include <utility>
#include <vector>

#include "admin/reply.h"
#include "base/utf8.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

[[nodiscard]] std::vector<channel::OtherAccount> others_than(const Channels& channels,
                                                             std::string_view account) {
  std::vector<channel::OtherAccount> others;
  for (const auto& [name, channel] : channels) {
    if (name != account) others.push_back({name, channel->belongings()});
  }
  return others;
}

[[nodiscard]] json::object present(const channel::Finding& finding) {
  return {{"cause", channel::name(finding.cause)},
          {"certainty", channel::name(finding.certainty)},
          {"detail", to_utf8(finding.detail)},
          {"what_to_do", channel::what_to_do(finding.cause)}};
}

/// What was asked for, as an answer of the API.
[[nodiscard]] Result<HttpResponse> answer(const Channels& channels, const Asked& asked,
                                          TimePoint now) {
  const Result<json::object> explained = explain(channels, asked, now);
  if (!explained) {
    return error_reply(404, explained.error().code, explained.error().detail);
  }
  return json_reply(200, *explained);
}

void explain_callback(const ExplanationsContext& context, const Call& call, Responder respond) {
  const std::optional<store::RowId> id =
      context.presenter.parse(call.captures.front(), kCallbackPrefix);
  const HttpResponse none =
      error_reply(404, "callback_not_found", "no callback of that id in this store");
  if (!id) return respond(none);
  context.reads.run(
      [context, id = *id, none](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::optional<store::CallbackRow> row, reader.callback(id));
        if (!row) return none;
        const HttpRequest request{.method = "POST",
                                  .target = row->target,
                                  .headers = Headers::from_block(row->headers),
                                  .body = row->body,
                                  .peer = row->peer};
        return answer(*context.channels.get(),
                      {.account = row->account.text(),
                       .request = request,
                       .received_at = row->received_at,
                       .body_bytes = row->body.size()},
                      context.clock.now());
      },
      std::move(respond));
}

/// On the reading thread, although nothing is read: explaining takes its time.
void explain_rejected(const ExplanationsContext& context, const Call& call, Responder respond) {
  std::optional<ingest::RejectedRing::Found> found =
      context.rejected.find(parse_rejected_id(call.captures.front()));
  if (!found) {
    return respond(error_reply(404, "callback_not_found",
                               "the last refused callbacks of each account are kept, until the "
                               "daemon stops; this is not one of them"));
  }
  context.reads.run(
      [context, found = std::move(*found)](store::Reader& /*unused*/) -> Result<HttpResponse> {
        return answer(*context.channels.get(),
                      {.account = found.account,
                       .request = found.rejected.request,
                       .received_at = found.rejected.received_at,
                       .body_bytes = found.rejected.body_bytes},
                      context.clock.now());
      },
      std::move(respond));
}

}  // namespace

Result<json::object> explain(const Channels& channels, const Asked& asked, TimePoint now) {
  const auto found = channels.find(asked.account);
  if (found == channels.end()) {
    return rejected("account_unknown",
                    "the configuration has no account " + to_utf8(asked.account.substr(0, 128)));
  }
  const std::vector<channel::OtherAccount> others = others_than(channels, asked.account);
  const channel::Explanation explanation = found->second->explain({.request = asked.request,
                                                                   .received_at = asked.received_at,
                                                                   .now = now,
                                                                   .others = others,
                                                                   .body_bytes = asked.body_bytes});
  json::array findings;
  for (const channel::Finding& finding : explanation.findings) findings.push_back(present(finding));
  return json::object({{"account", asked.account},
                       {"channel", found->second->channel_name()},
                       {"verdict", explanation.verdict},
                       {"detail", to_utf8(explanation.detail)},
                       {"findings", std::move(findings)},
                       {"difference", to_utf8(explanation.difference)},
                       {"expected", to_utf8(explanation.expected)},
                       {"string_to_sign", to_utf8(explanation.string_to_sign)}});
}

void add_explanations(Router& router, ExplanationsContext context) {
  router.add("GET", "/v1/callbacks/{}/explain", [context](const Call& call, Responder respond) {
    explain_callback(context, call, std::move(respond));
  });
  router.add("GET", "/v1/rejected/{}/explain", [context](const Call& call, Responder respond) {
    explain_rejected(context, call, std::move(respond));
  });
}

}  // namespace postern::admin
