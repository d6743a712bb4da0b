#pragma once

#include <memory>

#include "store/store.h"
#include "tests/simulation/memory_store.h"

namespace postern::simulation {

/// Reads what is committed. Lifetime: `disk` outlives it.
[[nodiscard]] std::unique_ptr<store::Reader> make_memory_reader(const MemoryDisk& disk);

}  // namespace postern::simulation
