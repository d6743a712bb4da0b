#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/messages.h"

namespace postern::simulation {

/// What one run did and found.
struct Report {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;
  std::uint64_t sends = 0;
  std::uint64_t acks = 0;
  std::uint64_t crashes = 0;
  std::uint64_t commits_unknown = 0;
  std::uint64_t commits_refused = 0;
  std::vector<std::string> findings;  ///< broken invariants, as sentences; empty: all held
  std::string trace;                  ///< one line per thing that happened, for replay
};

/// Runs the real ingest, ledger and batch code on simulated time, network and store.
///
/// First the unsafe phase: the platform sends every message at some moment, with copies, and again
/// until it hears success; replies are lost, commits are refused or unknown, the node crashes and
/// restarts. Then faults stop, and everything must be acked and every order as planned.
/// The same seed gives the same run.
[[nodiscard]] Report simulate(const Messages& messages, std::uint64_t seed);

}  // namespace postern::simulation
