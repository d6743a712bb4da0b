#include "admin/callbacks.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

#include "admin/listing.h"
#include "admin/reply.h"
#include "base/utf8.h"
#include "crypto/encoding.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::array kOutcomes = {
    store::CallbackOutcome::kApplied,      store::CallbackOutcome::kDuplicate,
    store::CallbackOutcome::kUnknownOrder, store::CallbackOutcome::kQuarantined,
    store::CallbackOutcome::kConflict,     store::CallbackOutcome::kNothingToDo,
    store::CallbackOutcome::kToBeConfirmed};

[[nodiscard]] Result<store::CallbackFilter> parse_filter(const Query& query,
                                                         const Presenter& presenter) {
  POSTERN_RETURN_IF_ERROR(query.allow({"account", "outcome", "before", "limit"}));
  POSTERN_ASSIGN_OR_RETURN(const Page page, parse_page(query, presenter, kCallbackPrefix));
  POSTERN_ASSIGN_OR_RETURN(
      const std::optional<store::CallbackOutcome> outcome,
      parse_one_of(query, "outcome", std::span<const store::CallbackOutcome>(kOutcomes),
                   [](store::CallbackOutcome value) { return store::name(value); }));
  store::CallbackFilter filter{
      .account = std::nullopt, .outcome = outcome, .before = page.before, .limit = page.limit};
  if (const auto account = query.find("account")) {
    POSTERN_ASSIGN_OR_RETURN(filter.account, AccountName::parse(*account));
  }
  return filter;
}

void list_callbacks(const CallbacksContext& context, const Call& call, Responder respond) {
  Result<store::CallbackFilter> filter = parse_filter(call.query, context.presenter);
  if (!filter) return respond(error_reply(filter.error()));
  context.reads.run(
      [&presenter = context.presenter,
       filter = std::move(*filter)](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::vector<store::CallbackRow> rows,
                                 reader.callbacks(filter));
        return json_reply(
            200, present_page(
                     "callbacks", rows, {filter.before, filter.limit}, presenter, kCallbackPrefix,
                     [&](const store::CallbackRow& row) { return presenter.callback(row); }));
      },
      std::move(respond));
}

void show_callback(const CallbacksContext& context, const Call& call, Responder respond) {
  const std::optional<store::RowId> id =
      context.presenter.parse(call.captures.front(), kCallbackPrefix);
  const HttpResponse none =
      error_reply(404, "callback_not_found", "no callback of that id in this store");
  if (!id) return respond(none);
  context.reads.run(
      [&presenter = context.presenter, id = *id,
       none](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::optional<store::CallbackRow> row, reader.callback(id));
        if (!row) return none;
        return json_reply(200, presenter.callback_in_full(*row));
      },
      std::move(respond));
}

[[nodiscard]] json::object present(const ingest::RejectedCallback& rejected) {
  return {{"id", rejected_id(rejected.number)},
          {"received_at", format_rfc3339(rejected.received_at)},
          {"code", rejected.code},
          {"detail", to_utf8(rejected.detail)},
          {"peer", rejected.request.peer},
          {"target", to_utf8(rejected.request.target)},
          {"body_bytes", rejected.body_bytes},
          {"headers_base64", crypto::base64_encode(rejected.request.headers.block())},
          {"body_base64", crypto::base64_encode(rejected.request.body)}};
}

void list_rejected(const CallbacksContext& context, const Call& call, Responder respond) {
  const std::string& account = call.captures.front();
  if (!context.accounts.get()->contains(account)) {
    return respond(error_reply(404, "account_unknown", "no account of that name"));
  }
  json::array shown;
  for (const ingest::RejectedCallback& one : context.rejected.of(account)) {
    shown.push_back(present(one));
  }
  respond(json_reply(200, json::object({{"account", account}, {"rejected", std::move(shown)}})));
}

}  // namespace

void add_callbacks(Router& router, CallbacksContext context) {
  router.add("GET", "/v1/callbacks", [context](const Call& call, Responder respond) {
    list_callbacks(context, call, std::move(respond));
  });
  router.add("GET", "/v1/callbacks/{}", [context](const Call& call, Responder respond) {
    show_callback(context, call, std::move(respond));
  });
  router.add("GET", "/v1/rejected/{}", [context](const Call& call, Responder respond) {
    list_rejected(context, call, std::move(respond));
  });
}

}  // namespace postern::admin
