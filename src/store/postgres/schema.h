#pragma once

namespace postern::store::postgres {

/// The first step of the schema; migrations.cpp says how steps are applied.
extern const char* const kSchema1;

}  // namespace postern::store::postgres
