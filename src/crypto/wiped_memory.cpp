#include "crypto/wiped_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace postern::crypto {
namespace {

// OpenSSL tells its allocator where it was called from; nothing of ours asks.

void* allocate(std::size_t size, const char* /*file*/, int /*line*/) {
  return std::malloc(size);
}

void release(void* memory, const char* /*file*/, int /*line*/) {
  if (memory == nullptr) return;
  explicit_bzero(memory, ::malloc_usable_size(memory));
  std::free(memory);
}

/// std::realloc would leave the old bytes where they were.
void* reallocate(void* memory, std::size_t size, const char* file, int line) {
  if (memory == nullptr) return allocate(size, file, line);
  const std::size_t held = ::malloc_usable_size(memory);
  if (size != 0 && size <= held && size >= held / 2) return memory;
  void* const moved = size == 0 ? nullptr : std::malloc(size);
  if (size != 0 && moved == nullptr) return nullptr;
  if (moved != nullptr) std::memcpy(moved, memory, std::min(size, held));
  release(memory, file, line);
  return moved;
}

}  // namespace

void wipe_freed_memory() {
  POSTERN_CHECK(CRYPTO_set_mem_functions(allocate, reallocate, release) == 1);
}

}  // namespace postern::crypto
