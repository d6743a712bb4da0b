#pragma once

namespace postern::store::sqlite {

/// The first step of the schema; see schema.cpp for what its columns mean.
extern const char* const kSchema1;

}  // namespace postern::store::sqlite
