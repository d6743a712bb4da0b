#include "store/sql/codes.h"

#include <array>

namespace postern::store::sql {
namespace {

constexpr std::array kOrderStates = {
    core::OrderState::kAwaiting, core::OrderState::kPaid,   core::OrderState::kPartiallyRefunded,
    core::OrderState::kRefunded, core::OrderState::kClosed, core::OrderState::kFailed};

constexpr std::array kDisputeStates = {core::DisputeState::kNone, core::DisputeState::kOpen,
                                       core::DisputeState::kWon, core::DisputeState::kLost};

constexpr std::array kFactKinds = {core::FactKind::kPayment,     core::FactKind::kRefund,
                                   core::FactKind::kRefundTotal, core::FactKind::kRefundFailure,
                                   core::FactKind::kClose,       core::FactKind::kFailure,
                                   core::FactKind::kDispute};

constexpr std::array kFactSources = {core::FactSource::kCallback, core::FactSource::kQuery,
                                     core::FactSource::kBill, core::FactSource::kOperator};

constexpr std::array kIncidentKinds = {
    core::IncidentKind::kAmountMismatch,   core::IncidentKind::kDuplicatePayment,
    core::IncidentKind::kPaidAfterClose,   core::IncidentKind::kRefundAbovePaid,
    core::IncidentKind::kRefundMismatch,   core::IncidentKind::kRefundFailed,
    core::IncidentKind::kUnknownOrder,     core::IncidentKind::kConflict,
    core::IncidentKind::kIdentityMismatch, core::IncidentKind::kPartLeftOut,
    core::IncidentKind::kDeliveryDead,     core::IncidentKind::kEndpointGone,
    core::IncidentKind::kDiskLow,          core::IncidentKind::kConfigurationRefused,
    core::IncidentKind::kKeyExpiring};

constexpr std::array kCallbackOutcomes = {
    CallbackOutcome::kApplied,      CallbackOutcome::kDuplicate, CallbackOutcome::kUnknownOrder,
    CallbackOutcome::kQuarantined,  CallbackOutcome::kConflict,  CallbackOutcome::kNothingToDo,
    CallbackOutcome::kToBeConfirmed};

constexpr std::array kDeliveryStates = {DeliveryState::kReady, DeliveryState::kWaiting,
                                        DeliveryState::kDelivered, DeliveryState::kDead,
                                        DeliveryState::kCancelled};

constexpr std::array kTryOutcomes = {TryOutcome::kDelivered, TryOutcome::kNotDelivered,
                                     TryOutcome::kUnknown};

constexpr std::array kIncidentStates = {IncidentState::kOpen, IncidentState::kAcknowledged,
                                        IncidentState::kResolved};

constexpr std::array kAuditActs = {AuditAct::kDeliveryRetried, AuditAct::kDeliveryCancelled,
                                   AuditAct::kDeliveriesRetried, AuditAct::kConfigurationReloaded};

constexpr std::array kAuditOutcomes = {AuditOutcome::kDone, AuditOutcome::kRefused};

}  // namespace

template <>
std::span<const core::OrderState> codes() {
  return kOrderStates;
}
template <>
std::span<const core::DisputeState> codes() {
  return kDisputeStates;
}
template <>
std::span<const core::FactKind> codes() {
  return kFactKinds;
}
template <>
std::span<const core::FactSource> codes() {
  return kFactSources;
}
template <>
std::span<const core::EventType> codes() {
  return core::kEventTypes;
}
template <>
std::span<const core::IncidentKind> codes() {
  return kIncidentKinds;
}
template <>
std::span<const CallbackOutcome> codes() {
  return kCallbackOutcomes;
}
template <>
std::span<const DeliveryState> codes() {
  return kDeliveryStates;
}
template <>
std::span<const TryOutcome> codes() {
  return kTryOutcomes;
}
template <>
std::span<const IncidentState> codes() {
  return kIncidentStates;
}
template <>
std::span<const AuditAct> codes() {
  return kAuditActs;
}
template <>
std::span<const AuditOutcome> codes() {
  return kAuditOutcomes;
}

}  // namespace postern::store::sql
