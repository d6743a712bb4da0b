#pragma once

#include <functional>
#include <memory>

#include "store/sqlite/sqlite_store.h"
#include "store/store.h"

namespace postern::store::sqlite {

/// Opens a connection that reads and never writes: not even the log's copy into the file at close.
///
/// @param on_doubt  called for an error that puts the storage in doubt
/// @errors kRetryable store_unreadable
[[nodiscard]] Result<std::unique_ptr<Reader>> open_reader(
    const SqliteOptions& options, std::function<void(const Error&)> on_doubt);

}  // namespace postern::store::sqlite
