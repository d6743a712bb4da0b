#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "store/rows.h"
#include "store/working_set.h"

namespace postern::store {

// Short ways to make the rows of a test.
[[nodiscard]] TimePoint at(std::int64_t seconds);
[[nodiscard]] core::Money yuan(std::int64_t minor);
[[nodiscard]] core::Money money(std::int64_t minor, std::string_view currency);
[[nodiscard]] core::OrderKey order_key(const std::string& id, const std::string& merchant = "shop");
[[nodiscard]] core::AttemptKey attempt_key(const std::string& number,
                                           const std::string& account = "alipay",
                                           const std::string& sub_merchant = "");
[[nodiscard]] OrderRow order_row(const std::string& id, std::int64_t minor = 8800);
[[nodiscard]] CallbackRow callback_row(const std::string& body,
                                       const std::string& account = "alipay");
[[nodiscard]] core::Fact payment(const std::string& number, const std::string& payment_id,
                                 std::int64_t minor = 8800, const std::string& account = "alipay");
[[nodiscard]] EventRow event_row(RowId order, std::int64_t sequence);
[[nodiscard]] IncidentRow incident_row(core::IncidentKind kind, const std::string& subject);

/// The rows of a kind that a test made, numbered 1, 2, 3 in that order. Every engine gives out row
/// ids of its own, of which tests may expect only that they grow.
class Made {
 public:
  RowId add(RowId id) {
    ids_.push_back(id);
    return id;
  }
  [[nodiscard]] RowId id(std::size_t number) const { return ids_.at(number - 1); }
  /// 0 stands for a row that was not made here.
  [[nodiscard]] RowId number(RowId id) const;
  [[nodiscard]] std::vector<RowId> numbers(const std::vector<RowId>& ids) const;

 private:
  std::vector<RowId> ids_;
};

// Everything a row says, as text: to compare rows and to see in what they differ.
[[nodiscard]] std::string describe(const OrderRow& row);
[[nodiscard]] std::string describe(const AttemptRow& row);
[[nodiscard]] std::string describe(const core::Fact& fact);
[[nodiscard]] std::string describe(const FactRow& row);
[[nodiscard]] std::string describe(const CallbackRow& row);
[[nodiscard]] std::string describe(const EventRow& row);
[[nodiscard]] std::string describe(const DeliveryRow& row);
[[nodiscard]] std::string describe(const IncidentRow& row);

}  // namespace postern::store
