#pragma once

#include <memory>

#include "base/result.h"
#include "store/postgres/connection.h"
#include "store/store.h"

namespace postern::store::postgres {

/// A reader of its own connection, which is opened again after it was lost.
/// @errors kRetryable store_unreadable
[[nodiscard]] Result<std::unique_ptr<Reader>> open_reader(const ConnectOptions& options);

}  // namespace postern::store::postgres
