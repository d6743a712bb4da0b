#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "store/postgres/connection.h"
#include "store/store.h"

namespace postern::store::postgres {

/// Opens a reader with a connection of its own. Where that is lost, a call connects again and asks
/// once more, before it answers that the store cannot be read.
///
/// @param on_doubt  called for an error that puts the storage in doubt
/// @errors kRetryable store_unreadable
[[nodiscard]] Result<std::unique_ptr<Reader>> open_reader(
    const ConnectOptions& options, std::function<void(const Error&)> on_doubt);

}  // namespace postern::store::postgres
