#include "admin/key_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "admin/reply.h"
#include "base/utf8.h"
#include "channel/json.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

constexpr std::size_t kPageSize = 100;
/// Callbacks that are named and explained; the others are counted.
constexpr std::size_t kNamedMax = 10;
/// A certificate or key in PEM has 2 to 4 KiB, an issuer or two behind it included.
constexpr std::size_t kKeyBytesMax = std::size_t{32} * 1024;

/// What is asked for.
struct Request {
  channel::CandidateKey candidate;
  std::size_t last = kTriedDefault;
};

[[nodiscard]] std::unexpected<Error> malformed(std::string_view what) {
  return rejected("request_malformed", std::string(what));
}

[[nodiscard]] Result<Request> parse_request(std::string_view body) {
  POSTERN_ASSIGN_OR_RETURN(const json::object object, channel::parse_json_object(body));
  for (const auto& member : object) {
    constexpr std::array<std::string_view, 4> kNames = {"setting", "key", "id", "last"};
    if (std::ranges::find(kNames, std::string_view(member.key())) == kNames.end()) {
      return malformed("a trial may have only setting, key, id, last");
    }
  }
  Request request;
  request.candidate.setting = channel::json_text(object, "setting");
  request.candidate.text = Secret(std::string(channel::json_text(object, "key")));
  request.candidate.id = channel::json_text(object, "id");
  if (request.candidate.setting.empty() || request.candidate.text.empty() ||
      request.candidate.text.size() > kKeyBytesMax) {
    return malformed(
        "a trial needs setting, such as platform_keys, and key: the text of the key itself, up to "
        "32 KiB");
  }
  if (object.contains("last")) {
    const auto last = channel::json_integer(object, "last");
    if (!last || *last < 1 || *last > static_cast<std::int64_t>(kTriedMax)) {
      return malformed(fmt::format("last is a number from 1 to {}", kTriedMax));
    }
    request.last = static_cast<std::size_t>(*last);
  }
  return request;
}

/// Counts what one key would have made of callbacks, which come one by one.
class Trial {
 public:
  Trial(const channel::Channel& configured, std::string_view account,
        std::unique_ptr<channel::Channel> alone, const Presenter& presenter)
      : alone_(std::move(alone)), presenter_(presenter) {
    // So that a refusal says which of today's keys had signed.
    others_.push_back({std::string(account) + ", as it is configured", configured.belongings()});
  }

  void look_at(const store::CallbackRow& row) {
    const HttpRequest request{.method = "POST",
                              .target = row.target,
                              .headers = Headers::from_block(row.headers),
                              .body = row.body,
                              .peer = row.peer};
    const auto verified = alone_->verify(request, row.received_at);
    Count& count = by_key_.try_emplace(row.key_id, Count{.last_at = row.received_at}).first->second;
    ++(verified ? count.would : count.would_not);
    if (verified) {
      ++would_;
      return;
    }
    if (failing_.size() < kNamedMax) failing_.push_back(explain(row, request, verified.error()));
    ++would_not_;
  }

  [[nodiscard]] json::object report() && {
    json::array keys;
    for (const auto& [key_id, count] : by_key_) {
      keys.push_back(json::object({{"key_id", to_utf8(key_id)},
                                   {"last_at", format_rfc3339(count.last_at)},
                                   {"would_verify", count.would},
                                   {"would_not_verify", count.would_not}}));
    }
    return {{"looked_at", would_ + would_not_},
            {"would_verify", would_},
            {"would_not_verify", would_not_},
            {"signed_by", std::move(keys)},
            {"first_failing", std::move(failing_)}};
  }

 private:
  struct Count {
    std::size_t would = 0;
    std::size_t would_not = 0;
    TimePoint last_at;  ///< of the newest
  };

  [[nodiscard]] json::object explain(const store::CallbackRow& row, const HttpRequest& request,
                                     const Error& error) const {
    const channel::Explanation explanation = alone_->explain({.request = request,
                                                              .received_at = row.received_at,
                                                              .now = row.received_at,
                                                              .others = others_,
                                                              .body_bytes = row.body.size()});
    json::object shown{{"id", presenter_.id(kCallbackPrefix, row.id)},
                       {"received_at", format_rfc3339(row.received_at)},
                       {"key_id", to_utf8(row.key_id)},
                       {"code", error.code}};
    if (!explanation.findings.empty()) {
      const channel::Finding& first = explanation.findings.front();
      shown["cause"] = channel::name(first.cause);
      shown["detail"] = to_utf8(first.detail);
    }
    return shown;
  }

  const std::unique_ptr<channel::Channel> alone_;
  const Presenter& presenter_;
  std::vector<channel::OtherAccount> others_;
  std::map<std::string, Count> by_key_;
  json::array failing_;
  std::size_t would_ = 0;
  std::size_t would_not_ = 0;
};

/// Shows the account's newest callbacks to `trial`, one in memory at a time.
[[nodiscard]] Result<void> read_evidence(store::Reader& reader, const AccountName& account,
                                         std::size_t last, Trial& trial) {
  store::CallbackFilter filter{
      .account = account, .outcome = std::nullopt, .before = 0, .limit = 0};
  while (last > 0) {
    filter.limit = std::min(last, kPageSize);
    POSTERN_ASSIGN_OR_RETURN(const std::vector<store::CallbackRow> page, reader.callbacks(filter));
    for (const store::CallbackRow& one : page) {
      POSTERN_ASSIGN_OR_RETURN(const std::optional<store::CallbackRow> row,
                               reader.callback(one.id));
      if (row) trial.look_at(*row);
    }
    if (page.size() < filter.limit) return {};
    last -= page.size();
    filter.before = page.back().id;
  }
  return {};
}

void try_key(const KeyTrialContext& context, const Call& call, Responder respond) {
  const std::string& account = call.captures.front();
  const std::shared_ptr<const Channels> channels = context.channels.get();
  const auto found = channels->find(account);
  if (found == channels->end()) {
    return respond(error_reply(404, "account_unknown", "no account of that name"));
  }
  Result<Request> request = parse_request(call.request.body);
  if (!request) return respond(error_reply(request.error()));
  context.reads.run(
      [&presenter = context.presenter, configured = found->second, account,
       request = std::move(*request)](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(std::unique_ptr<channel::Channel> alone,
                                 configured->with_key(request.candidate));
        json::array ids;
        for (const channel::KnownKey& key : alone->belongings().keys) {
          if (key.use != channel::KnownKey::Use::kApplication) ids.emplace_back(key.id);
        }
        Trial trial(*configured, account, std::move(alone), presenter);
        POSTERN_RETURN_IF_ERROR(
            read_evidence(reader, AccountName::trusted(account), request.last, trial));
        json::object report = std::move(trial).report();
        report["account"] = account;
        report["setting"] = request.candidate.setting;
        report["keys"] = std::move(ids);
        return json_reply(200, report);
      },
      std::move(respond));
}

}  // namespace

void add_key_trial(Router& router, KeyTrialContext context) {
  router.add("POST", "/v1/accounts/{}/keys/try", [context](const Call& call, Responder respond) {
    try_key(context, call, std::move(respond));
  });
}

}  // namespace postern::admin
