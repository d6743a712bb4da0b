#include <iostream>

#include "base/process.h"
#include "cli/run.h"
#include "crypto/wiped_memory.h"

int main(int count, char** arguments) {
  // For every command: whichever reads a configuration reads keys.
  postern::refuse_dumps();
  postern::crypto::wipe_freed_memory();
  return static_cast<int>(postern::cli::run(count, arguments, {std::cout, std::cerr}));
}
