#pragma once

#include <string>

namespace postern {

/// Keeps this process's memory, which holds keys, from being written anywhere: no core dump, not
/// even by a handler that is given one through a pipe, and no tracing by the user's other
/// processes. Root still may. Aborts where the kernel refuses.
///
/// @thread the main one, first of all in main
void refuse_dumps();

/// What this machine calls itself; "localhost" where it has no name. @thread any
[[nodiscard]] std::string host_name();

}  // namespace postern
