#include "app/key_calendar.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace postern::app {
namespace {

constexpr std::string_view kGaugeName = "postern_key_expires_at_seconds";
constexpr std::string_view kGaugeHelp =
    "When a key or certificate stops counting, in Unix time; absent for those that do not.";

/// What one setting may go on in place of another: a plain key after a certificate, `api_key` after
/// `api_keys`.
[[nodiscard]] std::string_view role_of(std::string_view setting) {
  if (setting.starts_with("platform_")) return "platform";
  if (setting.ends_with('s')) setting.remove_suffix(1);
  return setting;
}

[[nodiscard]] double seconds(TimePoint time) {
  return static_cast<double>(
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

[[nodiscard]] std::string detail_of(const CalendarEntry& entry, TimePoint now) {
  const std::string whose =
      entry.account.empty() ? std::string() : fmt::format(" of account {}", entry.account);
  return fmt::format(
      "{} {}{} {} at {}, and nothing is listed that goes on after it. Fetch the next one and list "
      "it beside this one (docs/keys.md).",
      entry.setting, entry.key, whose, entry.window.until <= now ? "stopped counting" : "ends",
      format_rfc3339(entry.window.until));
}

}  // namespace

std::string CalendarEntry::subject() const {
  if (!node.empty()) return fmt::format("{}/{}/{}", node, setting, key);
  if (account.empty()) return fmt::format("{}/{}", setting, key);
  return fmt::format("{}/{}/{}", account, setting, key);
}

std::vector<CalendarEntry> calendar_of(const Config& config, const std::string& node) {
  std::vector<CalendarEntry> entries;
  for (const AccountConfig& account : config.accounts) {
    for (const KeySummary& key : account.keys) {
      entries.push_back({.account = account.name.text(),
                         .node = {},
                         .setting = key.setting,
                         .key = key.id,
                         .window = key.counts});
    }
  }
  for (const auto& [setting, tls] : {std::pair("server.tls.certificate", &config.server.tls),
                                     std::pair("admin.tls.certificate", &config.admin.tls)}) {
    if (!*tls) continue;
    const http::TlsIdentity& identity = (*tls)->identity;
    entries.push_back({.account = {},
                       .node = node,
                       .setting = setting,
                       .key = identity.fingerprint(),
                       .window = {identity.not_before(), identity.not_after()}});
  }
  return entries;
}

void KeyCalendar::start(std::vector<CalendarEntry> entries, const std::vector<std::string>& open) {
  {
    const std::lock_guard lock(mutex_);
    raised_.insert(open.begin(), open.end());
  }
  replace(std::move(entries));
  await_next();
}

void KeyCalendar::replace(std::vector<CalendarEntry> entries) {
  {
    const std::lock_guard lock(mutex_);
    entries_ = std::move(entries);
  }
  look();
}

void KeyCalendar::await_next() {
  world_.timers.after(kLookEvery, [this] {
    look();
    await_next();
  });
}

bool KeyCalendar::has_successor(const CalendarEntry& entry) const {
  return std::ranges::any_of(entries_, [&](const CalendarEntry& other) {
    return other.account == entry.account && role_of(other.setting) == role_of(entry.setting) &&
           other.window.from <= entry.window.until && other.window.until > entry.window.until;
  });
}

void KeyCalendar::show() {
  // A key that is gone has no end any more; a series cannot be taken back, but may say nothing.
  for (const auto& [subject, gauge] : gauges_) {
    gauge->set(std::numeric_limits<double>::quiet_NaN());
  }
  for (const CalendarEntry& entry : entries_) {
    if (entry.window.until == TimePoint::max()) continue;
    Gauge*& gauge = gauges_[entry.subject()];
    if (gauge == nullptr) {
      gauge = &world_.metrics.gauge(
          kGaugeName, kGaugeHelp,
          {{"account", entry.account}, {"setting", entry.setting}, {"key", entry.key}});
    }
    gauge->set(seconds(entry.window.until));
  }
}

void KeyCalendar::look() {
  const TimePoint now = world_.clock.now();
  std::vector<std::pair<std::string, std::string>> to_raise;
  std::vector<std::string> to_resolve;
  {
    const std::lock_guard lock(mutex_);
    show();
    std::set<std::string> due;
    for (const CalendarEntry& entry : entries_) {
      const bool is_near =
          entry.window.until != TimePoint::max() && entry.window.until - now <= kWarnBefore;
      if (!is_near || has_successor(entry)) continue;
      due.insert(entry.subject());
      if (raised_.insert(entry.subject()).second) {
        to_raise.emplace_back(entry.subject(), detail_of(entry, now));
      }
    }
    for (const std::string& subject : raised_) {
      if (!due.contains(subject)) to_resolve.push_back(subject);
    }
    for (const std::string& subject : to_resolve) raised_.erase(subject);
  }
  // Told outside the lock, since `done` takes it and may be called at once.
  for (auto& [subject, detail] : to_raise) {
    world_.log.warning("key_expiring", {{"key", subject}});
    tell_.raise(subject, std::move(detail), remember(subject, false));
  }
  for (const std::string& subject : to_resolve) tell_.resolve(subject, remember(subject, true));
}

KeyCalendar::Done KeyCalendar::remember(std::string subject, bool is_raised) {
  return [this, subject = std::move(subject), is_raised](const Result<void>& result) {
    if (result) return;
    const std::lock_guard lock(mutex_);
    if (is_raised) {
      raised_.insert(subject);
    } else {
      raised_.erase(subject);
    }
  };
}

KeyCalendar::Tell tell_by(ledger::Ledger& ledger) {
  constexpr auto kKind = core::IncidentKind::kKeyExpiring;
  return {.raise =
              [&ledger](std::string subject, std::string detail, KeyCalendar::Done done) {
                ledger.report(
                    {.kind = kKind, .subject = std::move(subject), .detail = std::move(detail)},
                    std::move(done));
              },
          .resolve =
              [&ledger](std::string subject, KeyCalendar::Done done) {
                ledger.resolve(kKind, std::move(subject), std::move(done));
              }};
}

Result<std::vector<std::string>> open_key_incidents(store::Store& store, std::string_view node) {
  const auto is_of_another = [node](std::string_view subject) {
    return subject.find(".tls.certificate/") != std::string_view::npos &&
           !subject.starts_with(node);
  };
  constexpr std::size_t kPageSize = 500;
  constexpr int kPagesMax =
      20;  // a start must not take minutes where thousands of orders are unknown
  POSTERN_ASSIGN_OR_RETURN(const std::unique_ptr<store::Reader> reader, store.reader());
  std::vector<std::string> subjects;
  for (const auto state : {store::IncidentState::kOpen, store::IncidentState::kAcknowledged}) {
    store::IncidentFilter filter{.state = state, .before = 0, .limit = kPageSize};
    for (int page = 0; page < kPagesMax; ++page) {
      POSTERN_ASSIGN_OR_RETURN(const std::vector<store::IncidentRow> rows,
                               reader->incidents(filter));
      for (const store::IncidentRow& row : rows) {
        const bool is_ours =
            row.kind == core::IncidentKind::kKeyExpiring && !is_of_another(row.subject);
        if (is_ours) subjects.push_back(row.subject);
      }
      if (rows.size() < kPageSize) break;
      filter.before = rows.back().id;
    }
  }
  return subjects;
}

}  // namespace postern::app
