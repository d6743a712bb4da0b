// One thread polls librdkafka, which calls back from within; librdkafka's own threads do the
// network. A message is known to librdkafka by a number and not by a pointer, so that whatever it
// reports late or twice, or never, each message is answered once. Sources: librdkafka 2.0,
// rdkafka.h and INTRODUCTION.md, sections "Idempotent Producer" and "Message persistence status".
#include "delivery/kafka_sink.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <bit>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "delivery/cloud_events.h"
#include "delivery/excerpt.h"
#include "delivery/reconnect_backoff.h"

namespace postern::delivery {
namespace {

constexpr std::size_t kErrorTextBytes = 512;
constexpr int kPollMs = 200;
/// How long a producer that is put away may take to report what it has purged.
constexpr int kFlushMs = 3000;
constexpr std::size_t kTopicBytesMax = 249;

struct DestroyConf {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using Conf = std::unique_ptr<rd_kafka_conf_t, DestroyConf>;
struct DestroyProducer {
  void operator()(rd_kafka_t* producer) const { rd_kafka_destroy(producer); }
};
using Producer = std::unique_ptr<rd_kafka_t, DestroyProducer>;
struct DestroyQueue {
  void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};
using Queue = std::unique_ptr<rd_kafka_queue_t, DestroyQueue>;
struct DestroyHeaders {
  void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
};
using Headers = std::unique_ptr<rd_kafka_headers_t, DestroyHeaders>;

/// The word for an error: the sink's own for those that every sink has, else librdkafka's.
[[nodiscard]] std::string code_of(rd_kafka_resp_err_t error) {
  if (error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT) return "timed_out";
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) return "queue_full";
  if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) return "message_too_large";
  if (error == RD_KAFKA_RESP_ERR__FATAL) return "fatal";
  std::string name = rd_kafka_err2name(error);
  // Local errors are called _TRANSPORT and the like.
  name.erase(0, name.find_first_not_of('_'));
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name;
}

[[nodiscard]] Headers make_headers(const Message& message) {
  const std::vector<CloudEventHeader> attributes =
      cloud_event_headers(message, kCloudEventsKafkaPrefix);
  Headers headers(rd_kafka_headers_new(attributes.size() + 1));
  const auto add = [&](std::string_view name, std::string_view value) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  };
  for (const CloudEventHeader& attribute : attributes) {
    add(attribute.name, attribute.value);
  }
  add("content-type", kCloudEventsContentType);
  return headers;
}

class KafkaSink final : public Sink {
 public:
  KafkaSink(std::string endpoint, std::string topic, Random& random, const Clock& clock, Log& log)
      : endpoint_(std::move(endpoint)),
        topic_(std::move(topic)),
        clock_(clock),
        log_(log),
        backoff_(random) {}

  ~KafkaSink() override {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      wake();
    }
    if (thread_.joinable()) thread_.join();
  }

  /// Makes the first producer, which checks `conf` as a whole, and starts the thread.
  /// @errors kafka_options_refused
  [[nodiscard]] Result<void> start(Conf conf) {
    rd_kafka_conf_set_opaque(conf.get(), this);
    rd_kafka_conf_set_dr_msg_cb(conf.get(), &KafkaSink::on_report);
    rd_kafka_conf_set_error_cb(conf.get(), &KafkaSink::on_error);
    rd_kafka_conf_set_log_cb(conf.get(), &KafkaSink::on_log);
    conf_ = std::move(conf);
    POSTERN_RETURN_IF_ERROR(make_producer());
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void send(Message message, std::move_only_function<void(Answer)> done) override {
    Headers headers = make_headers(message);
    const std::scoped_lock lock(mutex_);
    if (stopping_) {
      return answer(std::move(done), refusal("shutting_down", ""));
    }
    if (!producer_) {
      return answer(std::move(done), refusal("fatal", "the producer is being made anew"));
    }
    const std::uint64_t number = next_number_++;
    if (const auto error = produce(message, number, headers)) {
      return answer(std::move(done), refusal(code_of(*error), rd_kafka_err2str(*error)));
    }
    pending_.emplace(number, std::move(done));
  }

 private:
  using Done = std::move_only_function<void(Answer)>;

  [[nodiscard]] static Answer refusal(std::string code, std::string_view excerpt) {
    return {.verdict = Answer::Verdict::kNotDelivered,
            .code = std::move(code),
            .excerpt = make_excerpt(excerpt)};
  }

  /// With mutex_ held: the report comes on another thread and waits for it. Takes the headers where
  /// it succeeds.
  [[nodiscard]] std::optional<rd_kafka_resp_err_t> produce(const Message& message,
                                                           std::uint64_t number, Headers& headers) {
    std::array<rd_kafka_vu_t, 6> parts{};
    parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    parts[0].u.cstr = topic_.c_str();
    parts[1].vtype = RD_KAFKA_VTYPE_KEY;
    parts[1].u.mem = {.ptr = const_cast<char*>(message.merchant_order_id.data()),
                      .size = message.merchant_order_id.size()};
    parts[2].vtype = RD_KAFKA_VTYPE_VALUE;
    parts[2].u.mem = {.ptr = const_cast<char*>(message.body.data()), .size = message.body.size()};
    parts[3].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[3].u.i = RD_KAFKA_MSG_F_COPY;
    parts[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[4].u.ptr = std::bit_cast<void*>(static_cast<std::uintptr_t>(number));
    parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
    parts[5].u.headers = headers.get();
    rd_kafka_error_t* error = rd_kafka_produceva(producer_.get(), parts.data(), parts.size());
    if (error == nullptr) {
      [[maybe_unused]] auto* taken = headers.release();
      return std::nullopt;
    }
    const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return code;
  }

  /// With mutex_ held.
  void answer(Done done, Answer given) {
    answered_.emplace_back(std::move(done), std::move(given));
    wake();
  }
  /// With mutex_ held.
  void wake() {
    changed_.notify_one();
    if (queue_) rd_kafka_queue_yield(queue_.get());
  }

  [[nodiscard]] Result<void> make_producer() {
    std::array<char, kErrorTextBytes> text{};
    Conf conf(rd_kafka_conf_dup(conf_.get()));
    Producer producer(rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), text.data(), text.size()));
    if (!producer) return fault("kafka_options_refused", text.data());
    [[maybe_unused]] auto* taken = conf.release();
    const std::scoped_lock lock(mutex_);
    queue_.reset(rd_kafka_queue_get_main(producer.get()));
    producer_ = std::move(producer);
    return {};
  }

  void run() {
    while (true) {
      tell_answers();
      rd_kafka_t* producer = nullptr;
      {
        std::unique_lock lock(mutex_);
        if (stopping_) break;
        producer = producer_.get();
        if (producer == nullptr) wait_for_next_producer(lock);
      }
      if (producer != nullptr) {
        // Only this thread replaces the producer, so it lives on without the lock.
        rd_kafka_poll(producer, kPollMs);
        if (fatal_) replace_producer();
      } else if (clock_.monotonic() >= next_producer_at_) {
        if (const auto made = make_producer(); !made) postpone_producer(made.error().detail);
      }
    }
    put_away();
    answer_the_rest();
  }

  void wait_for_next_producer(std::unique_lock<std::mutex>& lock) {
    const MonotonicTime left = next_producer_at_ - clock_.monotonic();
    // A clock that is not the host's may move otherwise than this wait.
    changed_.wait_for(lock,
                      std::clamp<MonotonicTime>(left, MonotonicTime(0), std::chrono::seconds(1)),
                      [this] { return stopping_ || !answered_.empty(); });
  }

  /// Calls back without the lock, since a callback may send the next message.
  void tell_answers() {
    std::vector<std::pair<Done, Answer>> answered;
    {
      const std::scoped_lock lock(mutex_);
      answered.swap(answered_);
    }
    for (auto& [done, given] : answered) {
      done(std::move(given));
    }
  }

  void replace_producer() {
    std::array<char, kErrorTextBytes> text{};
    rd_kafka_fatal_error(producer_.get(), text.data(), text.size());
    put_away();
    fatal_ = false;
    postpone_producer(text.data());
  }

  void postpone_producer(std::string_view reason) {
    const std::chrono::milliseconds delay = backoff_.next();
    next_producer_at_ = clock_.monotonic() + delay;
    log_.error("kafka_producer_failed", {{"endpoint", endpoint_},
                                         {"detail", make_excerpt(reason)},
                                         {"retry_in_ms", delay.count()}});
  }

  /// Ends the producer; its reports answer what it still had.
  void put_away() {
    Producer old;
    {
      const std::scoped_lock lock(mutex_);
      queue_.reset();
      old = std::move(producer_);
    }
    if (!old) return;
    rd_kafka_purge(old.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(old.get(), kFlushMs);
    old.reset();
    // Nothing that the old one has not reported will be reported any more.
    std::unordered_map<std::uint64_t, Done> left;
    const std::scoped_lock lock(mutex_);
    left.swap(pending_);
    for (auto& [number, done] : left) {
      answered_.emplace_back(std::move(done),
                             Answer{.verdict = Answer::Verdict::kUnknown, .code = "shutting_down"});
    }
  }

  void answer_the_rest() {
    const auto more = [this] {
      const std::scoped_lock lock(mutex_);
      return !answered_.empty();
    };
    while (more()) {
      tell_answers();
    }
  }

  static void on_report(rd_kafka_t* /*producer*/, const rd_kafka_message_t* report, void* sink) {
    static_cast<KafkaSink*>(sink)->take_report(*report);
  }

  void take_report(const rd_kafka_message_t& report) {
    const std::uint64_t number = reinterpret_cast<std::uintptr_t>(report._private);
    Answer given;
    if (report.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      given = {.verdict = Answer::Verdict::kDelivered, .code = "confirmed"};
      backoff_.reset();
    } else {
      const bool certain = rd_kafka_message_status(&report) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
      given = {.verdict = certain ? Answer::Verdict::kNotDelivered : Answer::Verdict::kUnknown,
               .code = code_of(report.err),
               // Not rd_kafka_message_errstr: that is a consumer's, and would give our own payload.
               .excerpt = make_excerpt(rd_kafka_err2str(report.err))};
      const bool purged = report.err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                          report.err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
      if (purged) given.code = fatal_ ? "fatal" : "shutting_down";
    }
    const std::scoped_lock lock(mutex_);
    const auto pending = pending_.find(number);
    if (pending == pending_.end()) return;
    answered_.emplace_back(std::move(pending->second), std::move(given));
    pending_.erase(pending);
    // The rest of the poll's time is not waited for while somebody waits for the answer.
    if (queue_) rd_kafka_queue_yield(queue_.get());
  }

  /// Called by `rd_kafka_poll`.
  static void on_error(rd_kafka_t* /*producer*/, int error, const char* reason, void* sink) {
    auto* self = static_cast<KafkaSink*>(sink);
    if (error == RD_KAFKA_RESP_ERR__FATAL) self->fatal_ = true;
    self->log_.warning("kafka_error", {{"endpoint", self->endpoint_},
                                       {"code", code_of(static_cast<rd_kafka_resp_err_t>(error))},
                                       {"detail", make_excerpt(reason)}});
  }

  /// Called by librdkafka's threads.
  static void on_log(const rd_kafka_t* producer, int level, const char* facility,
                     const char* text) {
    auto* self = static_cast<KafkaSink*>(rd_kafka_opaque(producer));
    constexpr int kSyslogWarning = 4;
    constexpr int kSyslogInfo = 6;
    const LogLevel to = level <= kSyslogWarning ? LogLevel::kWarning
                        : level <= kSyslogInfo  ? LogLevel::kInfo
                                                : LogLevel::kDebug;
    const std::array<LogField, 3> fields{LogField("endpoint", self->endpoint_),
                                         LogField("facility", facility),
                                         LogField("detail", std::string_view(text))};
    self->log_.write(to, "kafka_client", fields);
  }

  // Constant after `start`.
  const std::string endpoint_;
  const std::string topic_;
  const Clock& clock_;
  Log& log_;
  Conf conf_;

  // The thread's own; callbacks of librdkafka's poll run on it too.
  ReconnectBackoff backoff_;
  MonotonicTime next_producer_at_{};
  bool fatal_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_; the thread alone replaces the producer.
  Producer producer_;
  Queue queue_;  ///< where the producer reports; gone before it
  std::unordered_map<std::uint64_t, Done> pending_;
  std::vector<std::pair<Done, Answer>> answered_;
  std::uint64_t next_number_ = 1;
  bool stopping_ = false;

  std::thread thread_;
};

constexpr std::array<std::string_view, 24> kReserved{
    "acks",
    "bootstrap.servers",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "plugin.library.paths",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "test.mock.num.brokers",
    "test.mock.broker.rtt",
    "transaction.timeout.ms",
    "transactional.id",
};

[[nodiscard]] Result<void> check_options(const KafkaSinkOptions& options) {
  if (options.brokers.empty()) {
    return fault("kafka_brokers_missing", "name at least one broker: host:9092");
  }
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (options.topic.empty() || options.topic.size() > kTopicBytesMax ||
      !std::ranges::all_of(options.topic, allowed)) {
    return fault("kafka_topic_malformed",
                 "a topic is 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_', '-'");
  }
  if (options.deadline < std::chrono::seconds(1) || options.deadline > std::chrono::minutes(15) ||
      options.queue_max == 0 || options.queue_max > 1'000'000) {
    return fault("kafka_limits_malformed",
                 "the deadline is 1 s to 15 min, the queue 1 to 1,000,000 messages");
  }
  return {};
}

[[nodiscard]] Result<void> set_own(rd_kafka_conf_t* conf, std::string_view name,
                                   const std::string& value) {
  std::array<char, kErrorTextBytes> text{};
  if (rd_kafka_conf_set(conf, std::string(name).c_str(), value.c_str(), text.data(), text.size()) !=
      RD_KAFKA_CONF_OK) {
    return fault("kafka_options_refused", fmt::format("{}: {}", name, text.data()));
  }
  return {};
}

/// librdkafka's words about a refused value quote it, so they are kept to ourselves.
[[nodiscard]] Result<void> set_given(rd_kafka_conf_t* conf, const std::string& name,
                                     const char* value) {
  if (std::ranges::find(kReserved, name) != kReserved.end()) {
    return fault("kafka_property_reserved",
                 fmt::format("{} is set by Postern: delivery depends on it", name));
  }
  std::array<char, kErrorTextBytes> text{};
  switch (rd_kafka_conf_set(conf, name.c_str(), value, text.data(), text.size())) {
    case RD_KAFKA_CONF_OK:
      return {};
    case RD_KAFKA_CONF_UNKNOWN:
      return fault("kafka_property_refused", fmt::format("librdkafka knows no property {}", name));
    case RD_KAFKA_CONF_INVALID:
      break;
  }
  return fault("kafka_property_refused", fmt::format("librdkafka refuses the value of {}", name));
}

[[nodiscard]] Result<Conf> make_conf(const KafkaSinkOptions& options) {
  Conf conf(rd_kafka_conf_new());
  const std::string deadline = fmt::format("{}", options.deadline.count());
  // Ours that may be overridden; librdkafka would come back after 100 ms.
  POSTERN_RETURN_IF_ERROR(set_own(conf.get(), "client.id", "postern"));
  POSTERN_RETURN_IF_ERROR(set_own(conf.get(), "reconnect.backoff.ms", "500"));
  POSTERN_RETURN_IF_ERROR(set_own(conf.get(), "reconnect.backoff.max.ms", "30000"));
  for (const auto& [name, value] : options.properties) {
    POSTERN_RETURN_IF_ERROR(set_given(conf.get(), name, value.c_str()));
  }
  for (const auto& [name, value] : options.secret_properties) {
    // Secret keeps a std::string, whose bytes end with a NUL.
    POSTERN_RETURN_IF_ERROR(set_given(conf.get(), name, std::string(value.reveal()).c_str()));
  }
  const std::array<std::pair<std::string_view, std::string>, 10> own{{
      {"bootstrap.servers", options.brokers},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      // With several in flight, librdkafka takes the acknowledgement of a later request for an
      // earlier refused one too, trusting that the broker would else have refused both. P6 is not
      // left to that trust; what waits meanwhile goes in one batch.
      {"max.in.flight.requests.per.connection", "1"},
      {"message.timeout.ms", deadline},
      {"request.timeout.ms", deadline},
      {"linger.ms", "5"},
      {"queue.buffering.max.messages", fmt::format("{}", options.queue_max)},
      {"queue.buffering.max.kbytes", "65536"},
      {"log.connection.close", "false"},
  }};
  for (const auto& [name, value] : own) {
    POSTERN_RETURN_IF_ERROR(set_own(conf.get(), name, value));
  }
  return conf;
}

}  // namespace

std::span<const std::string_view> kafka_reserved_properties() {
  return kReserved;
}

Result<std::unique_ptr<Sink>> make_kafka_sink(KafkaSinkOptions options, const Clock& clock,
                                              Random& random, Log& log) {
  POSTERN_RETURN_IF_ERROR(check_options(options));
  POSTERN_ASSIGN_OR_RETURN(Conf conf, make_conf(options));
  auto sink = std::make_unique<KafkaSink>(std::move(options.endpoint), std::move(options.topic),
                                          random, clock, log);
  POSTERN_RETURN_IF_ERROR(sink->start(std::move(conf)));
  return sink;
}

}  // namespace postern::delivery
