#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "store/postgres/connection.h"

namespace postern::store::postgres {

/// Statements that go to the server together, each with what reads its rows. @thread one
class Round {
 public:
  using Read = std::function<Result<void>(const Row&)>;

  /// Lifetime: the connection outlives the round.
  explicit Round(Connection& connection) : connection_(connection) {}

  /// Queues a statement; `read` is called for each of its rows, once `run` has them.
  void send(const Prepared& statement, const Parameters& parameters, Read read = nullptr) {
    connection_.send(statement, parameters);
    reads_.push_back({std::move(read), kAny});
  }
  /// Queues one that must change so many rows, or the round is refused.
  void change(const Prepared& statement, const Parameters& parameters, std::int64_t rows) {
    connection_.send(statement, parameters);
    reads_.push_back({nullptr, rows});
  }

  /// @errors as Connection; kRejected store_row_refused where a row to change is not there
  [[nodiscard]] Result<void> run() {
    if (reads_.empty()) return {};
    const std::vector<Expected> reads = std::exchange(reads_, {});
    POSTERN_ASSIGN_OR_RETURN(const std::vector<Rows> answers, connection_.answers());
    for (std::size_t i = 0; i < reads.size() && i < answers.size(); ++i) {
      if (reads[i].changed != kAny && answers[i].changed() != reads[i].changed) {
        return rejected("store_row_refused", "a row to change does not exist");
      }
      if (!reads[i].read) continue;
      for (int row = 0; row < answers[i].size(); ++row) {
        POSTERN_RETURN_IF_ERROR(reads[i].read(answers[i].row(row)));
      }
    }
    return {};
  }

 private:
  static constexpr std::int64_t kAny = -1;
  struct Expected {
    Read read;
    std::int64_t changed;
  };

  Connection& connection_;
  std::vector<Expected> reads_;
};

}  // namespace postern::store::postgres
