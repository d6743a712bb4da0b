#include "admin/metrics.h"

namespace postern::admin {

void add_metrics(Router& router, std::function<std::string()> exposition) {
  router.add("GET", "/metrics",
             [exposition = std::move(exposition)](const Call& /*call*/, Responder respond) {
               respond({.code = 200,
                        .content_type = "text/plain; version=0.0.4; charset=utf-8",
                        .body = exposition(),
                        .headers = {}});
             });
}

}  // namespace postern::admin
