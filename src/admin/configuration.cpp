#include "admin/configuration.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <utility>

#include "admin/deliveries.h"
#include "admin/reply.h"

namespace postern::admin {
namespace {

namespace json = boost::json;

[[nodiscard]] json::array present(const std::vector<std::string>& names) {
  json::array shown;
  for (const std::string& name : names) shown.emplace_back(name);
  return shown;
}

[[nodiscard]] json::object present(const NamesChanged& names) {
  return {{"added", present(names.added)},
          {"removed", present(names.removed)},
          {"changed", present(names.changed)}};
}

[[nodiscard]] HttpResponse answer(const Result<ConfigurationChange>& change) {
  if (change) {
    return json_reply(200, json::object({{"outcome", "reloaded"},
                                         {"accounts", present(change->accounts)},
                                         {"endpoints", present(change->endpoints)},
                                         {"settings", present(change->settings)}}));
  }
  // To whoever holds the key the file's mistakes are no internal matter.
  const Error& error = change.error();
  if (error.error_class == ErrorClass::kRetryable) return error_reply(error);
  return error_reply(422, error.code, error.detail);
}

}  // namespace

void add_configuration(Router& router, Reload reload) {
  router.add("POST", "/v1/configuration/reload",
             [reload = std::move(reload)](const Call& call, Responder respond) {
               const Result<void> allowed = call.query.allow({});
               if (!allowed) return respond(error_reply(allowed.error()));
               reload(actor_of(call), [respond = std::move(respond)](
                                          const Result<ConfigurationChange>& change) mutable {
                 respond(answer(change));
               });
             });
}

}  // namespace postern::admin
