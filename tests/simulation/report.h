#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postern::simulation {

/// What one run did and found.
struct Report {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::uint64_t sends = 0;
  std::uint64_t acks = 0;
  std::uint64_t crashes = 0;
  std::uint64_t restarts = 0;
  std::uint64_t commits_unknown = 0;
  std::uint64_t commits_refused = 0;
  std::uint64_t tries = 0;
  std::uint64_t delivered = 0;
  std::uint64_t dead = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t wishes = 0;
  std::vector<std::string> findings;  ///< broken invariants, as sentences; empty: all held
  std::string trace;                  ///< one line per thing that happened, for replay

  /// Adds the counts of another run.
  void add(const Report& other);
};

enum class Tracing : unsigned char { kOff, kOn };

}  // namespace postern::simulation
