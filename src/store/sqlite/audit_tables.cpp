#include "store/sqlite/audit_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "store/sql/codes.h"
#include "store/sql/columns.h"

namespace postern::store::sqlite {

Result<AuditTables> AuditTables::prepare(Database& database) {
  AuditTables made;
  // An event of which nobody has said anything gives one row, whose consumer is NULL.
  POSTERN_ASSIGN_OR_RETURN(
      made.event_, database.prepare("SELECT e.id, p.consumer, p.at_ms FROM events e "
                                    "LEFT JOIN applied p ON p.event_id = e.id WHERE e.id = ?"));
  POSTERN_ASSIGN_OR_RETURN(
      made.audit_, database.prepare("INSERT INTO audit (id, at_ms, actor, peer, act, outcome, "
                                    "deliveries, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
  POSTERN_ASSIGN_OR_RETURN(
      made.applied_,
      database.prepare("INSERT INTO applied (event_id, consumer, at_ms) VALUES (?, ?, ?)"));
  return made;
}

Result<void> AuditTables::load(const KeySet& keys, WorkingSet& working) {
  for (const RowId id : keys.events) POSTERN_RETURN_IF_ERROR(load_event(id, working));
  return {};
}

Result<void> AuditTables::load_event(RowId id, WorkingSet& working) {
  if (working.find_event(id) != nullptr) return {};
  const Reading until_done(event_);
  event_.bind(id);
  KnownEvent event{.id = 0, .applied = {}};
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, event_.step());
    if (!more) break;
    sql::Columns columns(event_);
    event.id = columns.integer();
    if (columns.next_is_null()) break;
    event.applied.push_back({.event = id, .consumer = columns.text(), .at = columns.time()});
  }
  if (event.id != 0) working.put_event(std::move(event));
  return {};
}

Result<void> AuditTables::write(const Writes& writes) {
  for (const AuditRow& row : writes.audit) {
    const std::string deliveries = fmt::format("{}", fmt::join(row.deliveries, " "));
    audit_.bind(row.id, row.at, row.actor.name, row.actor.peer, sql::to_code(row.act),
                sql::to_code(row.outcome), deliveries, row.detail);
    POSTERN_RETURN_IF_ERROR(audit_.run());
  }
  for (const AppliedRow& row : writes.applied) {
    applied_.bind(row.event, row.consumer, row.at);
    POSTERN_RETURN_IF_ERROR(applied_.run());
  }
  return {};
}

}  // namespace postern::store::sqlite
