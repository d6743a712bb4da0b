#include "admin/incidents.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <vector>

#include "admin/listing.h"
#include "admin/reply.h"

namespace postern::admin {
namespace {

constexpr std::array kStates = {store::IncidentState::kOpen, store::IncidentState::kAcknowledged,
                                store::IncidentState::kResolved};

[[nodiscard]] Result<store::IncidentFilter> parse_filter(const Query& query,
                                                         const Presenter& presenter) {
  POSTERN_RETURN_IF_ERROR(query.allow({"state", "before", "limit"}));
  POSTERN_ASSIGN_OR_RETURN(const Page page, parse_page(query, presenter, kIncidentPrefix));
  POSTERN_ASSIGN_OR_RETURN(
      const std::optional<store::IncidentState> state,
      parse_one_of(query, "state", std::span<const store::IncidentState>(kStates),
                   [](store::IncidentState value) { return store::name(value); }));
  return store::IncidentFilter{.state = state, .before = page.before, .limit = page.limit};
}

}  // namespace

void add_incidents(Router& router, ReadWorker& reads, const Presenter& presenter) {
  router.add("GET", "/v1/incidents", [&](const Call& call, Responder respond) {
    Result<store::IncidentFilter> filter = parse_filter(call.query, presenter);
    if (!filter) return respond(error_reply(filter.error()));
    reads.run(
        [&presenter, filter = *filter](store::Reader& reader) -> Result<HttpResponse> {
          POSTERN_ASSIGN_OR_RETURN(const std::vector<store::IncidentRow> rows,
                                   reader.incidents(filter));
          return json_reply(
              200, present_page(
                       "incidents", rows, {filter.before, filter.limit}, presenter, kIncidentPrefix,
                       [&](const store::IncidentRow& row) { return presenter.incident(row); }));
        },
        std::move(respond));
  });
}

}  // namespace postern::admin
