#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::store::copy {

struct Order {
  std::string file;  ///< of an SQLite store
  std::string url;   ///< of a PostgreSQL database of its own, without a password
  Secret password;   ///< may be empty
};

struct Progress {
  enum class Stage : unsigned char { kCopying, kVerifying };
  Stage stage = Stage::kCopying;
  std::string_view table;
  std::int64_t rows = 0;        ///< of this stage, those that an earlier run has copied included
  std::int64_t rows_total = 0;  ///< of all tables
};
using OnProgress = std::function<void(const Progress&)>;

struct TableVerified {
  std::string_view name;
  std::int64_t rows = 0;
  std::string sha256;  ///< raw; of all rows in the order of their keys, the same on both sides
};

struct Difference {
  std::string_view table;
  std::int64_t id = 0;  ///< the first row that differs, or stands on one side only
  std::string_view what;
};

struct Report {
  enum class Outcome : unsigned char {
    kCopied,
    kAlreadyComplete,  ///< an earlier run has ended; the database may have been served since
    kDifferent,        ///< the database stays marked, and no daemon writes to it
  };
  Outcome outcome = Outcome::kCopied;
  std::string tag;
  std::int64_t rows_copied = 0;  ///< by this run
  std::vector<TableVerified> tables;
  std::optional<Difference> difference;
};

/// Copies all rows of an SQLite store to a PostgreSQL database and compares all of them.
///
/// Tag and ids stay what they are, and with them the ids of events. While the copy is not complete
/// the database is marked, and a daemon that has it open waits (postgres_engine.h). A run that was
/// interrupted, at any point, is gone on with by another one: rows are written in the order of
/// their keys, so that each table says where to go on. The file is locked and only read; once all
/// of it is there, it is closed for good (sqlite_engine.h: kMovedMark).
///
/// @param on_progress  called on this thread, for each lot of rows
/// @errors kFault store_locked (a daemon has the file open), store_cannot_open, store_foreign (the
///         file or the database is not, or not only, this store's), store_older (a start of this
///         version has to bring the file up to date); kRejected store_row_refused; kRetryable as
///         Connection
/// @thread any; blocks until all is done
[[nodiscard]] Result<Report> copy_store(const Order& order, const Clock& clock,
                                        const OnProgress& on_progress);

}  // namespace postern::store::copy
