#include "store/copy/tables.h"

#include <array>

namespace postern::store::copy {
namespace {

using enum Column::Kind;

constexpr std::array kOrders = std::to_array<Column>({{"id"},
                                                      {"merchant", kText},
                                                      {"merchant_order_id", kText},
                                                      {"sequence"},
                                                      {"state"},
                                                      {"dispute"},
                                                      {"expected_minor"},
                                                      {"expected_currency", kText},
                                                      {"paid_minor"},
                                                      {"paid_currency", kText},
                                                      {"refunded_minor"},
                                                      {"created_at_ms"},
                                                      {"updated_at_ms"}});
constexpr std::array kAttempts = std::to_array<Column>(
    {{"id"}, {"account", kText}, {"sub_merchant", kText}, {"number", kText}, {"order_id"}});
constexpr std::array kCallbacks = std::to_array<Column>({{"id"},
                                                         {"account", kText},
                                                         {"received_at_ms"},
                                                         {"outcome"},
                                                         {"copy_of"},
                                                         {"message_key", kText},
                                                         {"key_id", kText},
                                                         {"scheme", kText},
                                                         {"event_type", kText},
                                                         {"peer", kText},
                                                         {"digest", kBytes}});
constexpr std::array kRaw = std::to_array<Column>({{"callback_id"},
                                                   {"received_at_ms"},
                                                   {"target", kBytes},
                                                   {"headers", kBytes},
                                                   {"body", kBytes}});
constexpr std::array kCopies = std::to_array<Column>({{"callback_id"}, {"count"}});
constexpr std::array kFacts = std::to_array<Column>({{"id"},
                                                     {"attempt_id"},
                                                     {"callback_id"},
                                                     {"fact_key", kText},
                                                     {"kind"},
                                                     {"source"},
                                                     {"payment_id", kText},
                                                     {"refund_id", kText},
                                                     {"dispute_id", kText},
                                                     {"minor"},
                                                     {"currency", kText},
                                                     {"dispute"},
                                                     {"occurred_at_ms"},
                                                     {"recorded_at_ms"}});
constexpr std::array kEvents = std::to_array<Column>(
    {{"id"}, {"order_id"}, {"sequence"}, {"type"}, {"created_at_ms"}, {"body", kText}});
constexpr std::array kDeliveries = std::to_array<Column>({{"id"},
                                                          {"event_id"},
                                                          {"order_id"},
                                                          {"sequence"},
                                                          {"endpoint", kText},
                                                          {"state"},
                                                          {"due_at_ms"},
                                                          {"tries"},
                                                          {"lease"},
                                                          {"reason", kText}});
constexpr std::array kTries = std::to_array<Column>({{"id"},
                                                     {"delivery_id"},
                                                     {"began_at_ms"},
                                                     {"took_ms"},
                                                     {"outcome"},
                                                     {"code", kText},
                                                     {"excerpt", kText}});
constexpr std::array kApplied =
    std::to_array<Column>({{"event_id"}, {"consumer", kText}, {"at_ms"}});
constexpr std::array kAudit = std::to_array<Column>({{"id"},
                                                     {"at_ms"},
                                                     {"actor", kText},
                                                     {"peer", kText},
                                                     {"act"},
                                                     {"outcome"},
                                                     {"deliveries", kText},
                                                     {"detail", kText}});
constexpr std::array kIncidents = std::to_array<Column>({{"id"},
                                                         {"kind"},
                                                         {"subject", kText},
                                                         {"order_id"},
                                                         {"callback_id"},
                                                         {"detail", kText},
                                                         {"state"},
                                                         {"count"},
                                                         {"first_at_ms"},
                                                         {"last_at_ms"}});

constexpr int kRawRowsMax = 200;
constexpr std::array kTables = std::to_array<Table>({
    {.name = "orders", .source = "orders", .columns = kOrders},
    {.name = "attempts", .source = "attempts", .columns = kAttempts},
    {.name = "callbacks", .source = "callbacks", .columns = kCallbacks},
    {.name = kEvidence,
     .source = "(SELECT id AS callback_id, received_at_ms, target, headers, body FROM callbacks)",
     .columns = kRaw,
     .rows_max = kRawRowsMax},
    {.name = "copies", .source = "copies", .columns = kCopies},
    {.name = "facts", .source = "facts", .columns = kFacts},
    {.name = "events", .source = "events", .columns = kEvents},
    {.name = "deliveries", .source = "deliveries", .columns = kDeliveries},
    {.name = "tries", .source = "tries", .columns = kTries},
    {.name = "applied", .source = "applied", .columns = kApplied, .key = Table::Key::kFirstTwo},
    {.name = "audit", .source = "audit", .columns = kAudit},
    {.name = "incidents", .source = "incidents", .columns = kIncidents},
});

void append_number(std::string& bytes, std::int64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes += static_cast<char>((static_cast<std::uint64_t>(value) >> shift) & 0xff);
  }
}

void append_bytes(std::string& bytes, char kind, std::string_view value) {
  bytes += kind;
  append_number(bytes, static_cast<std::int64_t>(value.size()));
  bytes += value;
}

}  // namespace

std::span<const Table> tables() {
  return kTables;
}

std::string column_list(const Table& table) {
  std::string list;
  for (const Column& column : table.columns) {
    if (!list.empty()) list += ", ";
    list += column.name;
  }
  return list;
}

void encode(const Table& table, const sql::RowView& row, std::string& bytes) {
  int index = 0;
  for (const Column& column : table.columns) {
    const int at = index++;
    if (row.is_null(at)) {
      bytes += 'n';
      continue;
    }
    switch (column.kind) {
      case kInteger:
        bytes += 'i';
        append_number(bytes, row.integer(at));
        break;
      case kText:
        append_bytes(bytes, 't', row.text(at));
        break;
      case kBytes:
        append_bytes(bytes, 'b', row.blob(at));
        break;
    }
  }
}

}  // namespace postern::store::copy
