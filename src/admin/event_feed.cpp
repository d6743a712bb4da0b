// A request that may wait is counted before it is read for, so that a commit either comes before
// the look at the store or finds it counted: no event falls between looking and parking.
#include "admin/event_feed.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <string>
#include <utility>

#include "admin/listing.h"
#include "admin/reply.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

[[nodiscard]] HttpResponse too_many_wait() {
  return error_reply(
      Error{ErrorClass::kRetryable, "feed_busy", "too many requests wait for events"});
}

[[nodiscard]] Result<std::chrono::seconds> parse_wait(const Query& query) {
  const std::optional<std::string_view> text = query.find("wait");
  if (!text) return std::chrono::seconds(0);
  unsigned seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() ||
      std::chrono::seconds(seconds) > kEventWaitMax) {
    return rejected("query_malformed", "wait is a number of seconds from 0 to " +
                                           std::to_string(kEventWaitMax.count()));
  }
  return std::chrono::seconds(seconds);
}

}  // namespace

struct EventFeed::Asking {
  store::RowId after = 0;
  std::size_t limit = kListedDefault;
  Responder respond;
  /// What is done where the page is empty.
  enum class Patience : unsigned char { kNone, kTooMany, kWaits } patience = Patience::kNone;
  MonotonicTime until{};
  std::uint64_t seen = 0;  ///< `writings_` before the look
  bool found = false;      ///< by the last look
};

EventFeed::EventFeed(Context context, std::size_t waiting_max)
    : context_(context),
      waiting_max_(waiting_max),
      waiting_gauge_(context.metrics.gauge("postern_admin_events_waiting",
                                           "Requests of the pull feed that may wait.")),
      refused_(context.metrics.counter("postern_admin_events_wait_refused_total",
                                       "Requests of the pull feed that were not let wait.")) {}

void EventFeed::add_to(Router& router) {
  router.add("GET", "/v1/events",
             [this](const Call& call, Responder respond) { ask(call, std::move(respond)); });
}

void EventFeed::ask(const Call& call, Responder respond) {
  const Result<void> allowed = call.query.allow({"after", "limit", "wait"});
  if (!allowed) return respond(error_reply(allowed.error()));
  const Result<Page> page = parse_page(call.query, context_.presenter, kEventPrefix);
  if (!page) return respond(error_reply(page.error()));
  const Result<store::RowId> after = parse_after(call.query, context_.presenter, kEventPrefix);
  if (!after) return respond(error_reply(after.error()));
  const Result<std::chrono::seconds> wait = parse_wait(call.query);
  if (!wait) return respond(error_reply(wait.error()));

  auto asking = std::make_shared<Asking>();
  asking->after = *after;
  asking->limit = page->limit;
  asking->respond = std::move(respond);
  if (*wait > std::chrono::seconds(0)) {
    const std::lock_guard lock(mutex_);
    asking->until = context_.clock.monotonic() + *wait;
    asking->seen = writings_;
    if (stopping_) {
      asking->patience = Asking::Patience::kNone;
    } else if (askings_ == waiting_max_) {
      asking->patience = Asking::Patience::kTooMany;
    } else {
      asking->patience = Asking::Patience::kWaits;
      waiting_gauge_.set(static_cast<double>(++askings_));
    }
  }
  read(std::move(asking));
}

void EventFeed::read(AskingPtr asking) {
  asking->found = false;
  context_.reads.run(
      [this, asking](store::Reader& reader) -> Result<HttpResponse> {
        POSTERN_ASSIGN_OR_RETURN(const std::vector<store::EventRow> rows,
                                 reader.events_after(asking->after, asking->limit));
        asking->found = !rows.empty();
        return page(*asking, rows);
      },
      [this, asking](HttpResponse response) { settle(asking, std::move(response)); });
}

void EventFeed::settle(const AskingPtr& asking, HttpResponse response) {
  std::optional<HttpResponse> answer = std::move(response);
  const bool is_empty_page = answer->code == 200 && !asking->found;
  switch (asking->patience) {
    case Asking::Patience::kNone:
      break;
    case Asking::Patience::kTooMany:
      if (!is_empty_page) break;
      refused_.add();
      answer = too_many_wait();
      break;
    case Asking::Patience::kWaits:
      if (is_empty_page) {
        answer = park(asking, *std::move(answer));
      } else {
        const std::lock_guard lock(mutex_);
        leave(*asking);
      }
      break;
  }
  if (answer) asking->respond(*std::move(answer));
}

std::optional<HttpResponse> EventFeed::park(const AskingPtr& asking, HttpResponse empty) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || context_.clock.monotonic() >= asking->until) {
      leave(*asking);
      return empty;
    }
    if (asking->seen == writings_) {
      parked_.push_back(asking);
      arm(asking->until);
      return std::nullopt;
    }
    asking->seen = writings_;
  }
  read(asking);
  return std::nullopt;
}

HttpResponse EventFeed::page(const Asking& asking, const std::vector<store::EventRow>& rows) const {
  json::array events;
  for (const store::EventRow& row : rows) events.push_back(context_.presenter.event(row));
  const store::RowId last = rows.empty() ? asking.after : rows.back().id;
  return json_reply(200,
                    json::object({{"events", std::move(events)},
                                  {"next_after", context_.presenter.cursor(kEventPrefix, last)}}));
}

void EventFeed::written() {
  if (askings_ == 0) return;
  std::vector<AskingPtr> woken;
  {
    const std::lock_guard lock(mutex_);
    ++writings_;
    woken.swap(parked_);
    for (const AskingPtr& asking : woken) asking->seen = writings_;
  }
  for (AskingPtr& asking : woken) read(std::move(asking));
}

void EventFeed::stop() {
  std::vector<AskingPtr> parked;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    parked.swap(parked_);
    for (const AskingPtr& asking : parked) leave(*asking);
  }
  for (const AskingPtr& asking : parked) asking->respond(page(*asking, {}));
}

void EventFeed::arm(MonotonicTime when) {
  if (armed_ && *armed_ <= when) return;
  armed_ = when;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - context_.clock.monotonic());
  context_.timers.after(std::max(left, std::chrono::milliseconds(0)), [this] { on_time(); });
}

void EventFeed::on_time() {
  std::vector<AskingPtr> over;
  {
    const std::lock_guard lock(mutex_);
    const MonotonicTime now = context_.clock.monotonic();
    if (armed_ && *armed_ <= now) armed_.reset();
    const auto due = std::ranges::partition(
        parked_, [&](const AskingPtr& asking) { return asking->until > now; });
    over.assign(std::make_move_iterator(due.begin()), std::make_move_iterator(due.end()));
    parked_.erase(due.begin(), due.end());
    for (const AskingPtr& asking : over) leave(*asking);
    for (const AskingPtr& asking : parked_) arm(asking->until);
  }
  for (const AskingPtr& asking : over) asking->respond(page(*asking, {}));
}

void EventFeed::leave(Asking& asking) {
  asking.patience = Asking::Patience::kNone;
  waiting_gauge_.set(static_cast<double>(--askings_));
}

}  // namespace postern::admin
