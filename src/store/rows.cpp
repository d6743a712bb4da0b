#include "store/rows.h"

#include <fmt/format.h>

#include <charconv>

#include "store/store.h"

namespace postern::store {

std::string_view name(CallbackOutcome outcome) {
  switch (outcome) {
    case CallbackOutcome::kApplied:
      return "applied";
    case CallbackOutcome::kDuplicate:
      return "duplicate";
    case CallbackOutcome::kUnknownOrder:
      return "unknown_order";
    case CallbackOutcome::kQuarantined:
      return "quarantined";
    case CallbackOutcome::kConflict:
      return "conflict";
    case CallbackOutcome::kNothingToDo:
      return "nothing_to_do";
    case CallbackOutcome::kToBeConfirmed:
      return "to_be_confirmed";
  }
  return "";
}

std::string_view name(DeliveryState state) {
  switch (state) {
    case DeliveryState::kReady:
      return "ready";
    case DeliveryState::kWaiting:
      return "waiting";
    case DeliveryState::kDelivered:
      return "delivered";
    case DeliveryState::kDead:
      return "dead";
    case DeliveryState::kCancelled:
      return "cancelled";
  }
  return "";
}

std::string_view name(TryOutcome outcome) {
  switch (outcome) {
    case TryOutcome::kDelivered:
      return "delivered";
    case TryOutcome::kNotDelivered:
      return "not_delivered";
    case TryOutcome::kUnknown:
      return "unknown";
  }
  return "";
}

std::string_view name(IncidentState state) {
  switch (state) {
    case IncidentState::kOpen:
      return "open";
    case IncidentState::kAcknowledged:
      return "acknowledged";
    case IncidentState::kResolved:
      return "resolved";
  }
  return "";
}

std::string_view name(AuditAct act) {
  switch (act) {
    case AuditAct::kDeliveryRetried:
      return "delivery_retried";
    case AuditAct::kDeliveryCancelled:
      return "delivery_cancelled";
    case AuditAct::kDeliveriesRetried:
      return "deliveries_retried";
    case AuditAct::kConfigurationReloaded:
      return "configuration_reloaded";
  }
  return "";
}

std::string_view name(AuditOutcome outcome) {
  switch (outcome) {
    case AuditOutcome::kDone:
      return "done";
    case AuditOutcome::kRefused:
      return "refused";
  }
  return "";
}

std::string account_member(const AccountName& account) {
  return fmt::format(R"("account":"{}")", account.text());
}

std::string public_id(std::string_view prefix, const std::string& tag, RowId id) {
  return fmt::format("{}_{}_{}", prefix, tag, id);
}

std::optional<RowId> parse_public_id(std::string_view text, std::string_view prefix,
                                     const std::string& tag) {
  const std::string front = fmt::format("{}_{}_", prefix, tag);
  if (text.starts_with(front)) text.remove_prefix(front.size());
  RowId id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc{} || end != text.data() + text.size() || id <= 0) return std::nullopt;
  return id;
}

}  // namespace postern::store
