#pragma once

#include <functional>

#include "admin/router.h"

namespace postern::admin {

/// Whether callbacks can be recorded now.
enum class Readiness : unsigned char {
  kReady,
  kDiskLow,
  kStoreUnreachable,
  kStopping,
  kStoreFailed
};

/// Must not block. @thread any
using ReadinessProbe = std::function<Readiness()>;

/// GET /healthz: 200 while the process answers at all.
/// GET /readyz: 200 while callbacks can be recorded, else 503.
void add_health(Router& router, ReadinessProbe readiness);

}  // namespace postern::admin
