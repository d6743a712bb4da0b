#include "store/delivery_set.h"

#include <algorithm>

#include "base/check.h"

namespace postern::store {
namespace {

[[nodiscard]] bool is_unfinished(DeliveryState state) {
  return state == DeliveryState::kReady || state == DeliveryState::kWaiting;
}

}  // namespace

const LoadedDelivery* DeliverySet::find(RowId id) const {
  const auto found = loaded_.find(id);
  return found == loaded_.end() ? nullptr : &found->second;
}

const std::vector<RowId>& DeliverySet::claimable(const EndpointName& endpoint) const {
  static const std::vector<RowId> kNone;
  const auto found = claimable_.find(endpoint);
  return found == claimable_.end() ? kNone : found->second;
}

std::optional<TimePoint> DeliverySet::next_due(const EndpointName& endpoint) const {
  const auto found = next_due_.find(endpoint);
  if (found == next_due_.end()) return std::nullopt;
  return found->second;
}

const Chain* DeliverySet::chain(const ChainKey& key) const {
  const auto found = chains_.find(key);
  return found == chains_.end() ? nullptr : &found->second;
}

DeliverySet::ChainLeft DeliverySet::update(const DeliveryRow& row, TimePoint now) {
  LoadedDelivery& delivery = loaded_.at(row.id);
  const bool ends = is_unfinished(delivery.row.state) && !is_unfinished(row.state);
  const ChainKey key{delivery.row.order, delivery.row.endpoint};
  delivery.row = row;
  changed_.insert(row.id);
  const auto found = chains_.find(key);
  if (found == chains_.end()) {
    POSTERN_CHECK(!ends);  // who ends deliveries asks for them by id, which loads their chain
    return ChainLeft::kOwes;
  }
  Chain& chain = found->second;
  chain.ready.erase(row.id);
  chain.waiting.erase(row.id);
  if (row.state == DeliveryState::kReady) chain.ready.insert(row.id);
  if (row.state == DeliveryState::kWaiting) chain.waiting.insert(row.id);
  if (ends && chain.ready.empty() && !chain.waiting.empty()) {
    const RowId next = *chain.waiting.begin();
    chain.waiting.erase(chain.waiting.begin());
    chain.ready.insert(next);
    promote(next, now);
  }
  return chain.ready.empty() && chain.waiting.empty() ? ChainLeft::kNothing : ChainLeft::kOwes;
}

void DeliverySet::promote(RowId id, TimePoint now) {
  if (const auto found = loaded_.find(id); found != loaded_.end()) {
    found->second.row.state = DeliveryState::kReady;
    found->second.row.due_at = now;
    changed_.insert(id);
    return;
  }
  const auto fresh = std::ranges::find(added_, id, &DeliveryRow::id);
  if (fresh != added_.end()) {
    fresh->state = DeliveryState::kReady;
    fresh->due_at = now;
    return;
  }
  promoted_[id] = now;
}

void DeliverySet::put(LoadedDelivery delivery) {
  const RowId id = delivery.row.id;
  loaded_.emplace(id, std::move(delivery));
}

void DeliverySet::put_chain(const ChainKey& key, Chain chain) {
  chains_.emplace(key, std::move(chain));
}

void DeliverySet::put_claimable(const EndpointName& endpoint, RowId id) {
  claimable_[endpoint].push_back(id);
}

void DeliverySet::put_next_due(const EndpointName& endpoint, TimePoint due_at) {
  next_due_.insert_or_assign(endpoint, due_at);
}

void DeliverySet::note_new(const DeliveryRow& row) {
  added_.push_back(row);
  const auto chain = chains_.find({row.order, row.endpoint});
  if (chain == chains_.end()) return;
  (row.state == DeliveryState::kReady ? chain->second.ready : chain->second.waiting).insert(row.id);
}

void DeliverySet::move_out(std::vector<DeliveryRow>& added, std::vector<DeliveryRow>& changed,
                           std::vector<Promotion>& promoted) {
  added = std::move(added_);
  changed.reserve(changed_.size());
  for (const RowId id : changed_) changed.push_back(std::move(loaded_.at(id).row));
  promoted.reserve(promoted_.size());
  for (const auto& [id, due_at] : promoted_) promoted.push_back({id, due_at});
}

}  // namespace postern::store
