#include "admin/audit.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <vector>

#include "admin/listing.h"
#include "admin/reply.h"

namespace postern::admin {

namespace json = boost::json;

void add_audit(Router& router, ReadWorker& reads, const Presenter& presenter) {
  router.add("GET", "/v1/audit", [&](const Call& call, Responder respond) {
    const Result<void> allowed = call.query.allow({"after", "limit"});
    if (!allowed) return respond(error_reply(allowed.error()));
    const Result<Page> page = parse_page(call.query, presenter, kAuditPrefix);
    if (!page) return respond(error_reply(page.error()));
    const Result<store::RowId> after = parse_after(call.query, presenter, kAuditPrefix);
    if (!after) return respond(error_reply(after.error()));
    reads.run(
        [&presenter, after = *after,
         limit = page->limit](store::Reader& reader) -> Result<HttpResponse> {
          POSTERN_ASSIGN_OR_RETURN(const std::vector<store::AuditRow> rows,
                                   reader.audit_after(after, limit));
          json::array shown;
          for (const store::AuditRow& row : rows) shown.push_back(presenter.audit(row));
          const store::RowId last = rows.empty() ? after : rows.back().id;
          return json_reply(200,
                            json::object({{"audit", std::move(shown)},
                                          {"next_after", presenter.cursor(kAuditPrefix, last)}}));
        },
        std::move(respond));
  });
}

}  // namespace postern::admin
