// A partition is made aside and then attached, which locks the default partition only; making it in
// place would lock the whole table. Dropping one does so for a moment: who does not get the lock
// within a second lets the others go on, and tries again with the next look.
#include "store/postgres/evidence_partitions.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace postern::store::postgres {
namespace {

using Month = std::chrono::year_month;

constexpr std::string_view kPrefix = "evidence_";
constexpr int kMonthsAhead = 2;
// Names have four digits for it.
constexpr std::chrono::year kYearFirst{1970};
constexpr std::chrono::year kYearLast{9999};
// "Post"; of the two-number kind. One node at a time.
constexpr std::string_view kLock = "SELECT pg_advisory_xact_lock(1349481332, 2)";

[[nodiscard]] Month month_of(TimePoint time) {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(time)};
  return day.year() / day.month();
}

[[nodiscard]] std::int64_t begin_of(Month month) {
  const TimePoint begin = std::chrono::sys_days(month / 1);
  return begin.time_since_epoch().count();
}

[[nodiscard]] std::string name_of(Month month) {
  return fmt::format("{}{:04}{:02}", kPrefix, static_cast<int>(month.year()),
                     static_cast<unsigned>(month.month()));
}

/// Nothing for a table that is not named as ours are.
[[nodiscard]] std::optional<Month> month_of(std::string_view name) {
  const std::string_view digits = name.substr(std::min(kPrefix.size(), name.size()));
  if (!name.starts_with(kPrefix) || digits.size() != 6) return std::nullopt;
  int number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  const Month month = std::chrono::year(number / 100) / (number % 100);
  if (!month.ok()) return std::nullopt;
  return month;
}

[[nodiscard]] Result<void> make(Connection& connection, Month month) {
  const std::string name = name_of(month);
  const std::int64_t begin = begin_of(month);
  const std::int64_t end = begin_of(month + std::chrono::months(1));
  // The check tells the server that no row needs to be looked at. Rows of the month that came
  // before it was there stand with the rest, and would keep it out.
  return connection.run(fmt::format(
      "BEGIN; SET LOCAL lock_timeout = 1000; {0}; CREATE TABLE IF NOT EXISTS {1} (LIKE evidence "
      "INCLUDING ALL, "
      "CONSTRAINT {1}_range CHECK (received_at_ms >= {2} AND received_at_ms < {3})); "
      "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = '{1}'::regclass) "
      "THEN WITH early AS (DELETE FROM evidence_rest WHERE received_at_ms >= {2} "
      "AND received_at_ms < {3} RETURNING *) INSERT INTO {1} SELECT * FROM early; "
      "ALTER TABLE evidence ATTACH PARTITION {1} FOR VALUES FROM ({2}) TO ({3}); "
      "ALTER TABLE {1} DROP CONSTRAINT {1}_range; END IF; END $$; COMMIT",
      kLock, name, begin, end));
}

[[nodiscard]] Result<std::vector<std::string>> partitions(Connection& connection) {
  POSTERN_ASSIGN_OR_RETURN(
      const Rows rows,
      connection.ask("SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = "
                     "i.inhrelid WHERE i.inhparent = 'evidence'::regclass ORDER BY 1",
                     {}));
  std::vector<std::string> names;
  for (int i = 0; i < rows.size(); ++i) names.emplace_back(rows.row(i).text(0));
  return names;
}

}  // namespace

Result<void> make_evidence_partitions(Connection& connection, TimePoint time, int months_ahead) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> names, partitions(connection));
  Result<void> failed;
  for (int ahead = 0; ahead <= months_ahead; ++ahead) {
    const Month month = month_of(time) + std::chrono::months(ahead);
    // A clock that was far off: such rows stand with the rest.
    if (month.year() < kYearFirst || month.year() > kYearLast) continue;
    if (std::ranges::find(names, name_of(month)) != names.end()) continue;
    const Result<void> made = make(connection, month);
    if (made) continue;
    if (!connection.is_open()) return made;
    (void)connection.run("ROLLBACK");
    failed = made;  // the next month may work
  }
  return failed;
}

Result<void> keep_evidence_partitions(Connection& connection, TimePoint now, int keep_days,
                                      Log& log) {
  const Result<void> made = make_evidence_partitions(connection, now, kMonthsAhead);
  if (keep_days == 0 || !connection.is_open()) return made;
  POSTERN_ASSIGN_OR_RETURN(const std::vector<std::string> names, partitions(connection));
  const Month oldest = month_of(now - std::chrono::days(keep_days));
  for (const std::string& name : names) {
    const std::optional<Month> month = month_of(name);
    if (!month || *month >= oldest) continue;
    const Result<void> dropped = connection.run(fmt::format(
        "BEGIN; SET LOCAL lock_timeout = 1000; {}; DROP TABLE IF EXISTS {}; COMMIT", kLock, name));
    if (!dropped) {
      if (connection.is_open()) (void)connection.run("ROLLBACK");
      return dropped;
    }
    log.info("evidence_dropped", {{"partition", name}, {"keep_days", keep_days}});
  }
  return made;
}

}  // namespace postern::store::postgres
