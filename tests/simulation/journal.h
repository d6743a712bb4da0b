#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "tests/simulation/report.h"
#include "tests/simulation/world.h"

namespace postern::simulation {

/// Writes down what happens and what was found, with the time.
class Journal {
 public:
  /// Lifetime: both outlive the journal.
  Journal(const World& world, Report& report, Tracing tracing)
      : world_(world), report_(report), tracing_(tracing) {}

  template <class... Which>
  void note(std::string_view what, const Which&... which) {
    if (tracing_ == Tracing::kOff) return;
    report_.trace += fmt::format("{} {}", world_.elapsed().count(), what);
    ((report_.trace += fmt::format(" {}", which)), ...);
    report_.trace += '\n';
  }

  /// Notes a broken promise.
  void find(std::string finding) {
    note(finding);
    report_.findings.push_back(std::move(finding));
  }

 private:
  const World& world_;
  Report& report_;
  const Tracing tracing_;
};

}  // namespace postern::simulation
