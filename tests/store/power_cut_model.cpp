#include "tests/store/power_cut_model.h"

#include <fmt/format.h>

#include "store/sql/columns.h"
#include "tests/store/test_rows.h"

namespace postern::store {
namespace {

using Effects = WorkCommand::Effects;

/// Enough to tell bodies apart without keeping them.
[[nodiscard]] std::string in_short(CallbackRow row) {
  const std::size_t hash = std::hash<std::string>{}(row.body);
  row.body = fmt::format("{} bytes, {:x}", row.body.size(), hash);
  row.copies = 0;
  return describe(row);
}

template <class Read>
[[nodiscard]] Result<void> each_row(sqlite::Database& database, const std::string& sql, Read read) {
  POSTERN_ASSIGN_OR_RETURN(sqlite::Statement rows, database.prepare(sql));
  while (true) {
    POSTERN_ASSIGN_OR_RETURN(const bool more, rows.step());
    if (!more) return {};
    sql::Columns columns(rows);
    read(columns);
    POSTERN_RETURN_IF_ERROR(columns.check());
  }
}

template <class Map>
[[nodiscard]] std::string difference_of(const char* name, const Map& expected, const Map& found) {
  std::string text;
  for (const auto& row : expected) {
    if (const auto at = found.find(row.first); at == found.end() || at->second != row.second) {
      text += fmt::format("a row of {} is missing or changed; ", name);
      break;
    }
  }
  for (const auto& row : found) {
    if (!expected.contains(row.first)) {
      text += fmt::format("a row of {} is too many; ", name);
      break;
    }
  }
  return text;
}

}  // namespace

Result<Model> read_model(sqlite::Database& database) {
  Model model;
  const auto select = [](std::string_view columns, std::string_view tables) {
    return fmt::format("SELECT {} FROM {}", columns, tables);
  };
  POSTERN_RETURN_IF_ERROR(
      each_row(database, select(sql::kOrderColumns, "orders o"), [&](sql::Columns& columns) {
        const OrderRow row = sql::read_order(columns);
        model.orders[row.id] = describe(row);
      }));
  POSTERN_RETURN_IF_ERROR(
      each_row(database, select(sql::kAttemptColumns, "attempts a"), [&](sql::Columns& columns) {
        const AttemptRow row = sql::read_attempt(columns);
        model.attempts[row.id] = describe(row);
      }));
  POSTERN_RETURN_IF_ERROR(
      each_row(database,
               fmt::format("SELECT {}, {} FROM facts f JOIN attempts a ON a.id = f.attempt_id",
                           sql::kAttemptColumns, sql::kFactColumns),
               [&](sql::Columns& columns) {
                 const AttemptRow attempt = sql::read_attempt(columns);
                 const FactRow row = sql::read_fact(columns, attempt.key);
                 model.facts[row.id] = describe(row);
               }));
  POSTERN_RETURN_IF_ERROR(
      each_row(database,
               fmt::format("SELECT {}, c.target, c.headers, c.body FROM callbacks c "
                           "LEFT JOIN copies k ON k.callback_id = c.id",
                           sql::kCallbackColumns),
               [&](sql::Columns& columns) {
                 CallbackRow row = sql::read_callback(columns);
                 row.headers = columns.blob();
                 row.body = columns.blob();
                 if (row.copies != 0) model.copies[row.id] = row.copies;
                 const RowId id = row.id;
                 model.callbacks[id] = in_short(std::move(row));
               }));
  POSTERN_RETURN_IF_ERROR(
      each_row(database, select(sql::kEventColumns, "events e"), [&](sql::Columns& columns) {
        const EventRow row = sql::read_event(columns);
        model.events[row.id] = describe(row);
      }));
  POSTERN_RETURN_IF_ERROR(
      each_row(database, select(sql::kDeliveryColumns, "deliveries d"), [&](sql::Columns& columns) {
        DeliveryRow row = sql::read_delivery(columns);
        row.id = 0;
        model.deliveries[{row.event, row.endpoint.text()}] = describe(row);
      }));
  POSTERN_RETURN_IF_ERROR(
      each_row(database, select(sql::kIncidentColumns, "incidents i"), [&](sql::Columns& columns) {
        const IncidentRow row = sql::read_incident(columns);
        model.incidents[row.subject] = {row.count, row.state};
      }));
  return model;
}

std::string difference(const Model& expected, const Model& found) {
  return difference_of("orders", expected.orders, found.orders) +
         difference_of("attempts", expected.attempts, found.attempts) +
         difference_of("facts", expected.facts, found.facts) +
         difference_of("callbacks", expected.callbacks, found.callbacks) +
         difference_of("events", expected.events, found.events) +
         difference_of("deliveries", expected.deliveries, found.deliveries) +
         difference_of("copies", expected.copies, found.copies) +
         difference_of("incidents", expected.incidents, found.incidents);
}

void WorkCommand::plan(WorkingSet& working) {
  effects_.clear();
  plan_(working, effects_);
}

void WorkCommand::apply(Model& model) const {
  for (const auto& effect : effects_) effect(model);
}

std::vector<std::unique_ptr<Command>> Workload::batch(const Model& model) {
  std::vector<std::unique_ptr<Command>> batch;
  const std::uint64_t size = 1 + random_() % (random_() % 4 == 0 ? 12 : 3);
  for (std::uint64_t i = 0; i < size; ++i) batch.push_back(command(model));
  return batch;
}

std::unique_ptr<Command> Workload::command(const Model& model) {
  // Numbers are few, so that the same one is registered and paid again and again.
  const std::string number = fmt::format("N{}", random_() % (10 + model.attempts.size() * 2));
  switch (random_() % 32) {
    case 0:
      return impossible();
    case 1:
    case 2:
      return incident();
    default:
      return random_() % 3 == 0 ? register_order(number) : pay(number);
  }
}

std::string Workload::body() {
  const std::uint64_t kind = random_() % 64;
  const std::uint64_t size = kind == 0  ? random_() % (255 * 1024)
                             : kind < 4 ? random_() % 20'000
                                        : random_() % 2'000;
  return std::string(size, static_cast<char>(random_()));
}

core::OrderKey order_of(const std::string& number) {
  return order_key(fmt::format("T{}", std::stoi(number.substr(1)) / 3));
}

std::unique_ptr<Command> Workload::register_order(const std::string& number) {
  const core::OrderKey key = order_of(number);
  const auto plan = [number, key](WorkingSet& working, Effects& effects) {
    AttemptRow attempt{.key = attempt_key(number)};
    const AttemptRow* known = working.find_attempt(attempt.key);
    if (known != nullptr && known->order != 0) return;
    if (const LoadedOrder* order = working.find_order(key)) {
      attempt.order = order->row.id;
    } else {
      OrderRow row = order_row(key.id.text());
      row.id = attempt.order = working.add_order(row);
      effects.emplace_back([row](Model& model) { model.orders[row.id] = describe(row); });
    }
    if (known != nullptr) {
      attempt.id = known->id;
      working.assign_attempt(attempt.id, attempt.order);
    } else {
      attempt.id = working.add_attempt(attempt.key, attempt.order);
    }
    effects.emplace_back(
        [attempt](Model& model) { model.attempts[attempt.id] = describe(attempt); });
  };
  return std::make_unique<WorkCommand>(
      KeySet{.attempts = {attempt_key(number)}, .orders = {key}, .fact_keys = {}, .messages = {}},
      plan);
}

std::unique_ptr<Command> Workload::pay(const std::string& number) {
  const core::Fact fact = payment(number, fmt::format("{}.{}", number, random_() % 2));
  const std::string key = core::fact_key(fact);
  const CallbackRow evidence = callback_row(body());
  const auto plan = [=](WorkingSet& working, Effects& effects) {
    if (const FactRow* known = working.find_fact(key)) {
      working.count_copy(known->callback);
      effects.emplace_back([id = known->callback](Model& model) { ++model.copies[id]; });
      return;
    }
    CallbackRow callback = evidence;
    callback.id = working.add_callback(callback);
    effects.emplace_back([text = in_short(callback), id = callback.id](Model& model) {
      model.callbacks[id] = text;
    });
    AttemptRow attempt{.key = fact.attempt};
    if (const AttemptRow* known = working.find_attempt(fact.attempt)) {
      attempt = *known;
    } else {
      attempt.id = working.add_attempt(fact.attempt, 0);
      effects.emplace_back(
          [attempt](Model& model) { model.attempts[attempt.id] = describe(attempt); });
    }
    FactRow row{.attempt = attempt.id, .callback = callback.id, .fact = fact, .recorded_at = at(9)};
    row.id = working.add_fact(row);
    effects.emplace_back([row](Model& model) { model.facts[row.id] = describe(row); });
    if (attempt.order == 0) return;

    OrderRow order = working.order(attempt.order).row;
    order.state = core::OrderState::kPaid;
    order.paid = yuan(8800);
    order.refunded = yuan(0);
    ++order.sequence;
    working.update_order(order);
    EventRow event = event_row(order.id, order.sequence);
    event.id = working.add_event(event);
    DeliveryRow delivery{.event = event.id,
                         .order = order.id,
                         .sequence = order.sequence,
                         .endpoint = EndpointName::trusted("crm"),
                         .state = working.order(order.id).endpoints_busy.empty()
                                      ? DeliveryState::kReady
                                      : DeliveryState::kWaiting,
                         .due_at = at(10)};
    working.add_delivery(event.id, order.id, order.sequence, delivery.endpoint, delivery.due_at);
    effects.emplace_back([=](Model& model) {
      model.orders[order.id] = describe(order);
      model.events[event.id] = describe(event);
      model.deliveries[{event.id, delivery.endpoint.text()}] = describe(delivery);
    });
  };
  return std::make_unique<WorkCommand>(KeySet{.attempts = {fact.attempt}, .fact_keys = {key}},
                                       plan);
}

std::unique_ptr<Command> Workload::incident() {
  const std::string subject = fmt::format("subject {}", random_() % 4);
  const auto kind = core::IncidentKind::kConflict;
  if (random_() % 3 == 0) {
    return std::make_unique<WorkCommand>(KeySet{}, [=](WorkingSet& working, Effects& effects) {
      working.resolve_incident(kind, subject);
      effects.emplace_back([subject](Model& model) {
        const auto found = model.incidents.find(subject);
        if (found != model.incidents.end()) found->second.second = IncidentState::kResolved;
      });
    });
  }
  return std::make_unique<WorkCommand>(KeySet{}, [=](WorkingSet& working, Effects& effects) {
    working.raise_incident(incident_row(kind, subject));
    effects.emplace_back([subject](Model& model) {
      auto& [count, state] = model.incidents[subject];
      ++count;
      state = IncidentState::kOpen;
    });
  });
}

std::unique_ptr<Command> Workload::impossible() {
  return std::make_unique<WorkCommand>(KeySet{}, [](WorkingSet& working, Effects& /*effects*/) {
    (void)working.add_callback(callback_row("must never be seen"));
    (void)working.add_event(event_row(1, 0));
  });
}

}  // namespace postern::store
