#pragma once

#include <cstdint>

#include "tests/simulation/messages.h"
#include "tests/simulation/report.h"

namespace postern::simulation {

/// Runs the real ingest, ledger, batch and delivery code on simulated time, network and store.
///
/// First the unsafe phase: the platform sends messages at some moment, with copies, and again until
/// it hears success; replies are lost, commits are refused or unknown, the process crashes, stops
/// and starts, endpoints refuse, time out, answer wrongly or are down, the clock is set, an
/// operator retries and cancels. Then faults stop, and everything must be acked, every order as
/// planned, and every delivery at its end. The same seed gives the same run.
[[nodiscard]] Report simulate(const Messages& messages, std::uint64_t seed,
                              Tracing tracing = Tracing::kOff);

}  // namespace postern::simulation
