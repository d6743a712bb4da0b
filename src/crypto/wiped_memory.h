#pragma once

namespace postern::crypto {

/// Makes OpenSSL overwrite what it frees: it cleans up its keys, but not every buffer in which it
/// decoded or copied one. Aborts where OpenSSL has allocated memory already.
///
/// @thread the main one, before the first call into OpenSSL
void wipe_freed_memory();

}  // namespace postern::crypto
