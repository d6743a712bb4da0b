#include <iostream>

#include "cli/run.h"

int main(int count, char** arguments) {
  return static_cast<int>(postern::cli::run(count, arguments, {std::cout, std::cerr}));
}
