// Fills the cache of signed callbacks and prints the account's settings for postern.toml.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "bench/bench_order.h"
#include "bench/callback_cache.h"
#include "simulate/signer.h"

int main(int argc, char** argv) {
  std::string folder;
  std::size_t count = 0;
  unsigned threads = 2;
  CLI::App app("Signs Alipay callbacks for distinct orders ahead of a benchmark.");
  app.add_option("--cache", folder, "folder of the cache")->required();
  app.add_option("--count", count, "how many callbacks it must hold")->required();
  app.add_option("--threads", threads, "signing threads");
  CLI11_PARSE(app, argc, argv);

  const auto cache = postern::bench::CallbackCache::open(folder, count, threads);
  if (!cache) {
    fmt::print(stderr, "{}: {}\n", cache.error().code, cache.error().detail);
    return 1;
  }
  const auto signer = postern::simulate::load_signer(postern::simulate::Platform::kAlipay,
                                                     std::string(postern::bench::kAccount), folder);
  const auto settings = signer ? (*signer)->settings(folder) : std::unexpected(signer.error());
  if (!settings) {
    fmt::print(stderr, "{}: {}\n", settings.error().code, settings.error().detail);
    return 1;
  }
  fmt::print("{}", *settings);
  return 0;
}
