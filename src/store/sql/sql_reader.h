#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "store/sql/source.h"
#include "store/store.h"

namespace postern::store::sql {

/// A reader that puts its questions to `source`.
///
/// @param on_doubt  called for an error that puts the storage in doubt
[[nodiscard]] std::unique_ptr<Reader> read_from(std::unique_ptr<Source> source,
                                                std::function<void(const Error&)> on_doubt);

}  // namespace postern::store::sql
