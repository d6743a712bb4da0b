#pragma once

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "admin/applied.h"
#include "admin/audit.h"
#include "admin/bulk_retry.h"
#include "admin/callbacks.h"
#include "admin/deliveries.h"
#include "admin/endpoints.h"
#include "admin/event_feed.h"
#include "admin/explanations.h"
#include "admin/health.h"
#include "admin/incidents.h"
#include "admin/key_trial.h"
#include "admin/metrics.h"
#include "admin/orders.h"
#include "base/system.h"
#include "base/thread_timers.h"
#include "crypto/digest.h"
#include "http/client.h"
#include "http/server.h"
#include "ledger/ledger.h"
#include "store/sqlite/sqlite_store.h"
#include "tests/support/temporary_folder.h"

namespace postern::admin::testing {

inline constexpr std::string_view kKey = "a-key-for-tests-only-0123456789";

/// How many requests may wait for events.
inline constexpr std::size_t kWaitingMax = 3;

/// Time stands where a test puts it.
class HandClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return now_; }
  [[nodiscard]] MonotonicTime monotonic() const override { return system_.monotonic(); }
  void pass(std::chrono::milliseconds time) { now_ += time; }

 private:
  SystemClock system_;
  TimePoint now_ = *parse_rfc3339("2026-11-23T09:00:00.000Z");
};

/// What came back over HTTP.
struct Answer {
  unsigned code = 0;
  HttpResponse response;
  boost::json::object body;

  [[nodiscard]] std::string error() const {
    return std::string(body.at("error").as_object().at("code").as_string());
  }
  [[nodiscard]] std::string message() const {
    return std::string(body.at("error").as_object().at("message").as_string());
  }
  [[nodiscard]] std::string header(std::string_view name) const {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return {};
  }
};

/// The real API over real HTTP, on a real SQLite store in a folder of its own. Merchant "default"
/// has accounts alipay and wechat; merchant "isv" has account provider with sub-merchants.
class ApiUnderTest {
 public:
  /// @param parent  where the store's folder is made
  explicit ApiUnderTest(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path())
      : folder_(parent) {
    store_ = *store::sqlite::open_sqlite({.path = (folder_ / "postern.db").string()}, clock_,
                                         random_, log_, metrics_, [](const Error&) {});
    ledger_ = std::make_unique<ledger::Ledger>(*store_, clock_, policy(), [this] {
      if (feed_) feed_->written();
    });
    presenter_ = std::make_unique<Presenter>(store_->tag());
    reads_ = std::make_unique<ReadWorker>(*store_, metrics_);
    accounts_.set({{"alipay", AccountInfo{MerchantName::trusted("default")}},
                   {"wechat", AccountInfo{MerchantName::trusted("default")}},
                   {"provider", AccountInfo{MerchantName::trusted("isv"), SubMerchants::kListed}}});
    add_health(router_, [this] { return readiness.load(); });
    add_metrics(router_, [] { return std::string("figures 1\n"); });
    add_orders(router_, {*ledger_, *reads_, *presenter_, accounts_});
    add_callbacks(router_, {*reads_, *presenter_, accounts_, rejected});
    add_explanations(router_, {*reads_, *presenter_, channels, clock_, rejected});
    add_key_trial(router_, {*reads_, *presenter_, channels});
    add_incidents(router_, *reads_, *presenter_);
    add_applied(router_, {.store = *store_, .clock = clock_, .presenter = *presenter_});
    add_endpoints(router_, {.reads = *reads_, .endpoints = endpoints_, .standings = [this] {
                              return standings;
                            }});
    add_audit(router_, *reads_, *presenter_);
    const DeliveriesContext deliveries{.store = *store_,
                                       .clock = clock_,
                                       .reads = *reads_,
                                       .presenter = *presenter_,
                                       .wake = [this] { ++woken; }};
    add_deliveries(router_, deliveries);
    add_bulk_retry(router_, deliveries, seal_);
    feed_ = std::make_unique<EventFeed>(EventFeed::Context{.reads = *reads_,
                                                           .presenter = *presenter_,
                                                           .timers = *timers_,
                                                           .clock = clock_,
                                                           .metrics = metrics_},
                                        kWaitingMax);
    feed_->add_to(router_);
    server_ = *http::Server::start({.name = "admin", .address = {"127.0.0.1", 0}}, router_, log_,
                                   metrics_);
    client_ = another_client();
  }
  ~ApiUnderTest() {
    server_.reset();
    timers_.reset();
    reads_->stop();
    store_.reset();
  }
  /// For requests while another one is not answered yet.
  [[nodiscard]] std::unique_ptr<http::BlockingClient> another_client() const {
    return std::make_unique<http::BlockingClient>("127.0.0.1", server_->port(),
                                                  std::chrono::seconds(20));
  }

  /// Sends with the key, unless `authorization` says something else.
  Answer send(std::string method, std::string target, std::string body = {},
              std::string authorization = "Bearer " + std::string(kKey)) {
    HttpRequest request{.method = std::move(method), .target = std::move(target)};
    if (!authorization.empty()) request.headers.add("Authorization", authorization);
    if (!body.empty()) request.headers.add("Content-Type", "application/json");
    request.body = std::move(body);
    return send(request);
  }
  Answer send(const HttpRequest& request) { return send(*client_, request); }
  static Answer send(http::BlockingClient& client, const HttpRequest& request) {
    Answer answer;
    answer.response = client.send(request).value();
    answer.code = answer.response.code;
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(answer.response.body, error);
    if (!error && value.is_object()) answer.body = value.as_object();
    return answer;
  }
  Answer get(std::string target) { return send("GET", std::move(target)); }
  /// Asks on a connection of its own, without waiting for the answer.
  [[nodiscard]] std::future<Answer> get_later(std::string target) const {
    HttpRequest request{.method = "GET", .target = std::move(target)};
    request.headers.add("Authorization", "Bearer " + std::string(kKey));
    return std::async(std::launch::async,
                      [client = another_client(), request] { return send(*client, request); });
  }
  Answer post_order(std::string body) { return send("POST", "/v1/orders", std::move(body)); }

  /// Records a callback that says `fact`, as ingest would.
  ledger::Recorded record(const core::Fact& fact, std::string body,
                          std::string headers = "Content-Type: text/plain\r\nX-Odd: \xFF\r\n",
                          std::string key_id = "0123456789abcdef") {
    store::CallbackRow evidence{.account = fact.attempt.account,
                                .received_at = clock_.now(),
                                .target = "/payment/" + fact.attempt.account.text() + "/callback",
                                .headers = std::move(headers),
                                .body = body,
                                .digest = crypto::digest(crypto::DigestAlgorithm::kSha256, body),
                                .peer = "192.0.2.1",
                                .key_id = std::move(key_id),
                                .scheme = "RSA2/A",
                                .event_type = "trade_status_sync"};
    ledger::Recording recording{
        .evidence = std::make_shared<const store::CallbackRow>(std::move(evidence)),
        .facts = {fact}};
    std::promise<Result<ledger::Recorded>> done;
    ledger_->record(std::move(recording), [&](Result<ledger::Recorded> recorded) {
      done.set_value(std::move(recorded));
    });
    return done.get_future().get().value();
  }
  [[nodiscard]] core::Fact payment(const std::string& number, std::int64_t minor,
                                   const std::string& account = "alipay") const {
    return core::Fact::payment({AccountName::trusted(account), {}, number}, "pay-" + number,
                               core::Money::of(minor, *core::Currency::parse("CNY")), clock_.now());
  }

  [[nodiscard]] HandClock& clock() { return clock_; }
  [[nodiscard]] store::Store& store() { return *store_; }
  [[nodiscard]] EventFeed& feed() { return *feed_; }

  std::atomic<Readiness> readiness = Readiness::kReady;
  ingest::RejectedRing rejected;
  Current<Channels> channels{Channels{}};  ///< none, unless a test adds some
  Standings standings;
  std::atomic<int> woken = 0;

 private:
  [[nodiscard]] static std::shared_ptr<const ledger::Policy> policy() {
    ledger::Policy policy;
    policy.accounts.emplace("alipay",
                            ledger::AccountPolicy{MerchantName::trusted("default"), "alipay"});
    policy.accounts.emplace(
        "wechat", ledger::AccountPolicy{MerchantName::trusted("default"), "wechatpay-v3"});
    policy.accounts.emplace("provider",
                            ledger::AccountPolicy{MerchantName::trusted("isv"), "alipay"});
    policy.endpoints.push_back({EndpointName::trusted("shop"), {"*"}, {}});
    return std::make_shared<const ledger::Policy>(std::move(policy));
  }

  postern::testing::TemporaryFolder folder_;
  HandClock clock_;
  SystemRandom random_;
  NullLog log_;
  NullMetrics metrics_;
  Current<Accounts> accounts_{Accounts{}};
  const Current<std::vector<EndpointInfo>> endpoints_{
      std::vector<EndpointInfo>{{EndpointName::trusted("shop"), "webhook", {"*"}, {}},
                                {EndpointName::trusted("erp"),
                                 "kafka",
                                 {"order.paid"},
                                 {AccountName::trusted("wechat")},
                                 EndpointInfo::Sending::kPaused}}};
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<ledger::Ledger> ledger_;
  std::unique_ptr<Presenter> presenter_;
  std::unique_ptr<ReadWorker> reads_;
  std::unique_ptr<ThreadTimers> timers_ = std::make_unique<ThreadTimers>(clock_);
  std::unique_ptr<EventFeed> feed_;
  const PlanSeal seal_{Secret(std::string(kKey))};
  Router router_{Secret(std::string(kKey)), metrics_};
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<http::BlockingClient> client_;
};

}  // namespace postern::admin::testing
