#include "admin/health.h"

#include <boost/json/object.hpp>

#include "admin/reply.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

[[nodiscard]] HttpResponse reply_for(Readiness readiness) {
  switch (readiness) {
    case Readiness::kReady:
      return json_reply(200, json::object({{"ready", true}}));
    case Readiness::kDiskLow:
      return error_reply(503, "disk_low", "the disk is almost full: nothing is taken");
    case Readiness::kStoreUnreachable:
      return error_reply(503, "store_unreachable",
                         "there is no connection to the database: nothing is taken");
    case Readiness::kStopping:
      return error_reply(503, "stopping", "the daemon is shutting down");
    case Readiness::kStoreFailed:
      return error_reply(503, "store_failed", "the storage is in doubt: the daemon restarts");
  }
  return error_reply(503, "store_failed", "unknown");
}

}  // namespace

void add_health(Router& router, ReadinessProbe readiness) {
  router.add("GET", "/healthz", [](const Call& /*call*/, Responder respond) {
    respond(json_reply(200, json::object({{"alive", true}})));
  });
  router.add("GET", "/readyz",
             [readiness = std::move(readiness)](const Call& /*call*/, Responder respond) {
               respond(reply_for(readiness()));
             });
}

}  // namespace postern::admin
