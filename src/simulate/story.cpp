#include "simulate/story.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

namespace postern::simulate {
namespace {

using core::Money;
using std::chrono::seconds;

constexpr unsigned kParallel = 5;
/// How often, and how far apart, an incident is looked for.
constexpr int kLooksMax = 60;
constexpr std::chrono::milliseconds kLookInterval{50};

/// What an order has to be in the end.
struct Expected {
  std::string state;
  std::optional<std::int64_t> paid;
  std::optional<std::int64_t> refunded;
  std::vector<std::string> events;
  std::vector<std::string> incidents_open;
  std::optional<std::size_t> facts;
  std::optional<std::int64_t> copies;
};

[[nodiscard]] std::vector<std::string> incidents_open(const OrderView& view) {
  std::vector<std::string> kinds;
  for (const IncidentView& incident : view.incidents) {
    if (incident.state != "resolved") kinds.push_back(incident.kind);
  }
  std::ranges::sort(kinds);
  return kinds;
}

[[nodiscard]] Money cny(std::int64_t minor) {
  return Money::of(minor, core::Currency::parse("CNY").value());
}

[[nodiscard]] std::string yuan(const Money& sum) {
  return fmt::format("{} {}", sum.format_major(), sum.currency().code());
}

[[nodiscard]] std::string optional_text(const std::optional<std::int64_t>& minor) {
  return minor ? cny(*minor).format_major() : "-";
}

/// One line on the order as it is now.
[[nodiscard]] std::string describe(const std::optional<OrderView>& view) {
  if (!view) return "not registered";
  std::string text = view->state;
  if (view->refunded.value_or(0) > 0) text += " " + optional_text(view->refunded);
  for (const std::string& kind : incidents_open(*view)) text += " !" + kind;
  return text;
}

template <class T>
void compare(std::vector<std::string>& surprises, std::string_view what, const T& expected,
             const T& found) {
  if (expected == found) return;
  surprises.push_back(fmt::format("{} is {}, not {}", what, found, expected));
}

[[nodiscard]] std::vector<std::string> compare(const Expected& expected, const OrderView& view) {
  std::vector<std::string> surprises;
  compare(surprises, "the state", expected.state, view.state);
  compare(surprises, "the sum paid", optional_text(expected.paid), optional_text(view.paid));
  compare(surprises, "the sum refunded", optional_text(expected.refunded),
          optional_text(view.refunded));
  compare(surprises, "the list of events", expected.events, view.events);
  compare(surprises, "the list of open incidents", expected.incidents_open, incidents_open(view));
  if (expected.facts) compare(surprises, "the number of facts", *expected.facts, view.facts);
  if (expected.copies) compare(surprises, "the number of copies", *expected.copies, view.copies);
  return surprises;
}

class Play {
 public:
  Play(const Stage& stage, Narrator& narrator) : stage_(stage), narrator_(narrator) {}

  [[nodiscard]] Result<std::vector<Ending>> all() {
    POSTERN_RETURN_IF_ERROR(plain_payments());
    POSTERN_RETURN_IF_ERROR(copies_in_parallel());
    POSTERN_RETURN_IF_ERROR(payment_before_registration());
    POSTERN_RETURN_IF_ERROR(refunds());
    POSTERN_RETURN_IF_ERROR(refund_before_payment());
    POSTERN_RETURN_IF_ERROR(unsigned_refund());
    POSTERN_RETURN_IF_ERROR(forgeries());
    POSTERN_RETURN_IF_ERROR(wrong_amount());
    POSTERN_RETURN_IF_ERROR(wrong_app());
    POSTERN_RETURN_IF_ERROR(combined_payment());
    POSTERN_RETURN_IF_ERROR(late_payment());
    POSTERN_RETURN_IF_ERROR(second_payment());
    return std::move(endings_);
  }

 private:
  [[nodiscard]] Result<void> plain_payments();
  [[nodiscard]] Result<void> copies_in_parallel();
  [[nodiscard]] Result<void> payment_before_registration();
  [[nodiscard]] Result<void> refunds();
  [[nodiscard]] Result<void> refund_before_payment();
  [[nodiscard]] Result<void> unsigned_refund();
  [[nodiscard]] Result<void> forgeries();
  [[nodiscard]] Result<void> wrong_amount();
  [[nodiscard]] Result<void> wrong_app();
  [[nodiscard]] Result<void> combined_payment();
  [[nodiscard]] Result<void> late_payment();
  [[nodiscard]] Result<void> second_payment();

  /// Looks among the incidents that belong to no order; a while, since some are written behind the
  /// answer's back.
  [[nodiscard]] Result<void> look_for_incident(const std::string& order, std::string_view kind,
                                               std::string_view state);

  void scene(std::string title);
  [[nodiscard]] Result<void> enroll(const std::string& order, const Money& sum,
                                    const std::vector<const Signer*>& signers);
  /// Sends `copies` of a message side by side and expects the same answer for each.
  [[nodiscard]] Result<void> send(const std::string& order, const Signer& signer, std::string says,
                                  const Result<HttpRequest>& message,
                                  Answer expected = Answer::kAccepted, unsigned copies = 1);
  [[nodiscard]] Result<void> pay(const Signer& signer, const PaymentPlan& plan,
                                 Tamper tamper = Tamper::kNone, unsigned copies = 1);
  [[nodiscard]] Result<void> refund(const Signer& signer, const PaymentPlan& plan, Money sum,
                                    Money total, const std::string& refund_number);
  [[nodiscard]] Result<void> end(const std::string& order, const Expected& expected);
  [[nodiscard]] Result<void> tell(const std::string& order, std::string did, std::string answered);

  [[nodiscard]] PaymentPlan plan(const Signer& signer, const std::string& order, const Money& sum,
                                 seconds age = seconds(60)) const;
  [[nodiscard]] Sending sending(Tamper tamper = Tamper::kNone) const {
    return {.now = stage_.clock.now(), .random = stage_.random, .tamper = tamper};
  }

  const Stage& stage_;
  Narrator& narrator_;
  std::string scene_;
  std::map<std::string, std::vector<std::string>> surprises_;  ///< by order, from its answers
  std::vector<Ending> endings_;
};

void Play::scene(std::string title) {
  scene_ = std::move(title);
  narrator_.scene(scene_);
}

PaymentPlan Play::plan(const Signer& signer, const std::string& order, const Money& sum,
                       seconds age) const {
  const TimePoint paid_at = std::chrono::floor<seconds>(stage_.clock.now()) - age;
  return {.number = order,
          .payment_id = signer.new_payment_id(paid_at, stage_.random),
          .sum = sum,
          .paid_at = paid_at};
}

Result<void> Play::tell(const std::string& order, std::string did, std::string answered) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<OrderView> view, stage_.shop.order(order));
  narrator_.step({.order = order,
                  .did = std::move(did),
                  .answered = std::move(answered),
                  .order_now = describe(view)});
  return {};
}

Result<void> Play::enroll(const std::string& order, const Money& sum,
                          const std::vector<const Signer*>& signers) {
  std::vector<Shop::Attempt> attempts;
  std::vector<std::string> names;
  for (const Signer* signer : signers) {
    attempts.push_back({signer->account(), order});
    names.push_back(signer->account());
  }
  POSTERN_RETURN_IF_ERROR(stage_.shop.register_order(order, sum, attempts));
  return tell(order, fmt::format("shop registers {} for {}", yuan(sum), fmt::join(names, ", ")),
              "done");
}

Result<void> Play::send(const std::string& order, const Signer& signer, std::string says,
                        const Result<HttpRequest>& message, Answer expected, unsigned copies) {
  if (!message) return std::unexpected(message.error());
  Sender::Options options = stage_.callbacks;
  options.connections = copies;
  const Sender sender(options, stage_.clock, stage_.pause);
  const std::vector<Reply> replies =
      sender.send(std::span(&*message, 1), sending_order(1, copies, nullptr));
  std::string answered;
  for (const Reply& reply : replies) {
    if (!reply.response) return std::unexpected(reply.response.error());
    const Answer answer = signer.read_answer(*reply.response);
    answered = fmt::format("{} {}", reply.response->code, name(answer));
    if (answer != expected) {
      surprises_[order].push_back(fmt::format("\"{}\" was answered {}", says, answered));
    }
  }
  if (copies > 1) answered += fmt::format(" x{}", copies);
  return tell(order, fmt::format("{} says: {}", signer.account(), says), std::move(answered));
}

Result<void> Play::pay(const Signer& signer, const PaymentPlan& plan, Tamper tamper,
                       unsigned copies) {
  std::string says = "paid " + yuan(tamper == Tamper::kWrongAmount ? cny(1) : plan.sum);
  if (tamper != Tamper::kNone) says += fmt::format(" ({})", name(tamper));
  if (copies > 1) says += fmt::format(", {} copies at once", copies);
  return send(plan.number, signer, std::move(says), signer.payment(plan, sending(tamper)),
              must_be_refused(tamper) ? Answer::kRefused : Answer::kAccepted, copies);
}

Result<void> Play::refund(const Signer& signer, const PaymentPlan& plan, Money sum, Money total,
                          const std::string& refund_number) {
  const RefundPlan refund{.payment = plan,
                          .number = refund_number,
                          .refund_id = signer.new_refund_id(plan.paid_at, stage_.random),
                          .sum = sum,
                          .total = total,
                          .refunded_at = plan.paid_at + seconds(20)};
  return send(plan.number, signer, "refunded " + yuan(sum), signer.refund(refund, sending()));
}

Result<void> Play::end(const std::string& order, const Expected& expected) {
  POSTERN_ASSIGN_OR_RETURN(std::optional<OrderView> view, stage_.shop.order(order));
  if (!view) return fault("order_not_found", order);
  std::vector<std::string> surprises = compare(expected, *view);
  Ending ending{
      .order = order, .scene = scene_, .view = std::move(*view), .surprises = std::move(surprises)};
  for (std::string& surprise : surprises_[order]) ending.surprises.push_back(std::move(surprise));
  endings_.push_back(std::move(ending));
  return {};
}

Result<void> Play::look_for_incident(const std::string& order, std::string_view kind,
                                     std::string_view state) {
  for (int look = 0; look < kLooksMax; ++look) {
    POSTERN_ASSIGN_OR_RETURN(const std::vector<IncidentView> incidents, stage_.shop.incidents());
    const bool found = std::ranges::any_of(
        incidents, [&](const IncidentView& one) { return one.kind == kind && one.state == state; });
    if (found) return tell(order, "shop looks at its incidents", fmt::format("{} {}", kind, state));
    stage_.pause(kLookInterval);
  }
  surprises_[order].push_back(fmt::format("no incident {} is {}", kind, state));
  return tell(order, "shop looks at its incidents", "nothing");
}

Result<void> Play::plain_payments() {
  scene("A plain payment on each platform");
  int number = 0;
  for (const Signer* signer : {&stage_.alipay, &stage_.wechat, &stage_.wechat_v2}) {
    const std::string order = fmt::format("DEMO-0{}", ++number);
    POSTERN_RETURN_IF_ERROR(enroll(order, cny(8888), {signer}));
    POSTERN_RETURN_IF_ERROR(pay(*signer, plan(*signer, order, cny(8888))));
    POSTERN_RETURN_IF_ERROR(
        end(order, {.state = "paid", .paid = 8888, .refunded = 0, .events = {"order.paid"}}));
  }
  return {};
}

Result<void> Play::copies_in_parallel() {
  scene("Five copies of one callback, at the same moment");
  const std::string order = "DEMO-04";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(1250), {&stage_.wechat}));
  POSTERN_RETURN_IF_ERROR(
      pay(stage_.wechat, plan(stage_.wechat, order, cny(1250)), Tamper::kNone, kParallel));
  return end(order, {.state = "paid",
                     .paid = 1250,
                     .refunded = 0,
                     .events = {"order.paid"},
                     .facts = 1,
                     .copies = kParallel - 1});
}

Result<void> Play::payment_before_registration() {
  scene("The payment is faster than the shop's registration");
  const std::string order = "DEMO-05";
  POSTERN_RETURN_IF_ERROR(pay(stage_.alipay, plan(stage_.alipay, order, cny(3000))));
  POSTERN_RETURN_IF_ERROR(look_for_incident(order, "unknown_order", "open"));
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(3000), {&stage_.alipay}));
  POSTERN_RETURN_IF_ERROR(look_for_incident(order, "unknown_order", "resolved"));
  return end(order, {.state = "paid", .paid = 3000, .refunded = 0, .events = {"order.paid"}});
}

Result<void> Play::refunds() {
  scene("A partial refund, then the rest");
  const std::string order = "DEMO-06";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(8888), {&stage_.alipay}));
  const PaymentPlan paid = plan(stage_.alipay, order, cny(8888));
  POSTERN_RETURN_IF_ERROR(pay(stage_.alipay, paid));
  POSTERN_RETURN_IF_ERROR(refund(stage_.alipay, paid, cny(2000), cny(2000), "R-06-1"));
  POSTERN_RETURN_IF_ERROR(refund(stage_.alipay, paid, cny(6888), cny(8888), "R-06-2"));
  return end(order, {.state = "refunded",
                     .paid = 8888,
                     .refunded = 8888,
                     .events = {"order.paid", "order.partially_refunded", "order.refunded"}});
}

Result<void> Play::refund_before_payment() {
  scene("The refund notice overtakes the payment");
  const std::string order = "DEMO-07";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(5000), {&stage_.wechat}));
  const PaymentPlan paid = plan(stage_.wechat, order, cny(5000));
  POSTERN_RETURN_IF_ERROR(refund(stage_.wechat, paid, cny(1500), cny(1500), "R-07-1"));
  POSTERN_RETURN_IF_ERROR(pay(stage_.wechat, paid));
  return end(order, {.state = "partially_refunded",
                     .paid = 5000,
                     .refunded = 1500,
                     .events = {"order.paid", "order.partially_refunded"}});
}

Result<void> Play::unsigned_refund() {
  scene("WeChat v2 refund notices carry no signature: kept as a hint, to be confirmed by a query");
  const std::string order = "DEMO-08";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(4200), {&stage_.wechat_v2}));
  const PaymentPlan paid = plan(stage_.wechat_v2, order, cny(4200));
  POSTERN_RETURN_IF_ERROR(pay(stage_.wechat_v2, paid));
  POSTERN_RETURN_IF_ERROR(refund(stage_.wechat_v2, paid, cny(4200), cny(4200), "R-08-1"));
  return end(order, {.state = "paid", .paid = 4200, .refunded = 0, .events = {"order.paid"}});
}

Result<void> Play::forgeries() {
  scene("Forgeries: changed after signing, a flipped bit, a stranger's key, an old message");
  const std::string order = "DEMO-09";
  POSTERN_RETURN_IF_ERROR(
      enroll(order, cny(99900), {&stage_.alipay, &stage_.wechat, &stage_.wechat_v2}));
  const Signer& wechat = stage_.wechat;
  POSTERN_RETURN_IF_ERROR(
      pay(stage_.alipay, plan(stage_.alipay, order, cny(99900)), Tamper::kAmount));
  POSTERN_RETURN_IF_ERROR(
      pay(stage_.wechat_v2, plan(stage_.wechat_v2, order, cny(99900)), Tamper::kSignature));
  POSTERN_RETURN_IF_ERROR(pay(wechat, plan(wechat, order, cny(99900)), Tamper::kWrongKey));
  POSTERN_RETURN_IF_ERROR(pay(wechat, plan(wechat, order, cny(99900)), Tamper::kStale));
  return end(order, {.state = "awaiting", .events = {}, .facts = 0});
}

Result<void> Play::wrong_amount() {
  scene("One fen paid for an order of 88.88: genuine, kept, without effect");
  const std::string order = "DEMO-10";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(8888), {&stage_.alipay}));
  POSTERN_RETURN_IF_ERROR(
      pay(stage_.alipay, plan(stage_.alipay, order, cny(8888)), Tamper::kWrongAmount));
  return end(
      order,
      {.state = "awaiting", .events = {}, .incidents_open = {"amount_mismatch"}, .facts = 1});
}

Result<void> Play::wrong_app() {
  scene("A genuine callback for another merchant's application");
  const std::string order = "DEMO-11";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(6600), {&stage_.wechat}));
  POSTERN_RETURN_IF_ERROR(
      pay(stage_.wechat, plan(stage_.wechat, order, cny(6600)), Tamper::kOtherApp));
  POSTERN_RETURN_IF_ERROR(look_for_incident(order, "identity_mismatch", "open"));
  return end(order, {.state = "awaiting", .events = {}, .facts = 0});
}

Result<void> Play::combined_payment() {
  scene("One combined WeChat payment settles two orders");
  CombinedPlan combined{.number = "DEMO-COMBINED-1", .parts = {}};
  for (const auto& [order, minor] : {std::pair("DEMO-12", 1900), std::pair("DEMO-13", 2900)}) {
    POSTERN_RETURN_IF_ERROR(enroll(order, cny(minor), {&stage_.wechat}));
    combined.parts.push_back(plan(stage_.wechat, order, cny(minor)));
  }
  POSTERN_RETURN_IF_ERROR(send("DEMO-12", stage_.wechat, "paid DEMO-12 and DEMO-13 together",
                               stage_.wechat.combined(combined, sending())));
  for (const PaymentPlan& part : combined.parts) {
    POSTERN_RETURN_IF_ERROR(
        end(part.number,
            {.state = "paid", .paid = part.sum.minor(), .refunded = 0, .events = {"order.paid"}}));
  }
  return {};
}

Result<void> Play::late_payment() {
  scene("Closed unpaid, and paid after all");
  const std::string order = "DEMO-14";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(7700), {&stage_.alipay}));
  const PaymentPlan late = plan(stage_.alipay, order, cny(7700), seconds(5));
  POSTERN_RETURN_IF_ERROR(send(order, stage_.alipay, "closed unpaid",
                               stage_.alipay.close({.number = order,
                                                    .payment_id = late.payment_id,
                                                    .sum = late.sum,
                                                    .closed_at = late.paid_at - seconds(60)},
                                                   sending())));
  POSTERN_RETURN_IF_ERROR(pay(stage_.alipay, late));
  return end(order, {.state = "paid",
                     .paid = 7700,
                     .refunded = 0,
                     .events = {"order.closed", "order.paid"},
                     .incidents_open = {"paid_after_close"}});
}

Result<void> Play::second_payment() {
  scene("Paid on one platform, then again on another");
  const std::string order = "DEMO-15";
  POSTERN_RETURN_IF_ERROR(enroll(order, cny(8888), {&stage_.alipay, &stage_.wechat}));
  POSTERN_RETURN_IF_ERROR(pay(stage_.alipay, plan(stage_.alipay, order, cny(8888), seconds(60))));
  POSTERN_RETURN_IF_ERROR(pay(stage_.wechat, plan(stage_.wechat, order, cny(8888), seconds(30))));
  return end(order, {.state = "paid",
                     .paid = 8888,
                     .refunded = 0,
                     .events = {"order.paid", "order.duplicate_payment"},
                     .incidents_open = {"duplicate_payment"}});
}

}  // namespace

Result<std::vector<Ending>> play_story(const Stage& stage, Narrator& narrator) {
  return Play(stage, narrator).all();
}

}  // namespace postern::simulate
