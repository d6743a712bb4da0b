#pragma once

#include <functional>
#include <string>

#include "admin/router.h"

namespace postern::admin {

/// GET /metrics: the figures in Prometheus' text format, version 0.0.4.
/// @param exposition  makes the text; must not block @thread any
void add_metrics(Router& router, std::function<std::string()> exposition);

}  // namespace postern::admin
