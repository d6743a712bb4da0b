#include "store/postgres/postgres_store.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <string_view>
#include <utility>

#include "store/batch_writer.h"
#include "store/postgres/postgres_engine.h"
#include "store/postgres/postgres_reader.h"

namespace postern::store::postgres {
namespace {

using Parsed = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

/// What the URL says under `keyword`; empty: nothing.
[[nodiscard]] std::string_view said(const Parsed& parsed, std::string_view keyword) {
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return {};
}

class PostgresStore final : public Store {
 public:
  PostgresStore(const PostgresOptions& options, std::unique_ptr<PostgresEngine> engine,
                const Clock& clock, Log& log, Metrics& metrics, BatchWriter::OnFailure on_failure)
      : reading_(connect_options(options, "postern reader")),
        tag_(engine->tag()),
        engine_(std::move(engine)),
        writer_(*engine_, *engine_,
                BatchLimits{.batch_max = options.batch_max,
                            .queue_max = options.queue_max,
                            .stop_timeout = options.stop_timeout},
                clock, log, metrics, std::move(on_failure)) {}

  void submit(std::unique_ptr<Command> command) override { writer_.submit(std::move(command)); }
  bool healthy() const override { return writer_.healthy() && engine_->is_connected(); }
  Result<std::unique_ptr<Reader>> reader() override {
    return open_reader(reading_, [this](const Error& error) { writer_.fail(error); });
  }
  const std::string& tag() const override { return tag_; }
  const Clock* clock() const override { return &engine_->clock(); }

 private:
  const ConnectOptions reading_;
  const std::string tag_;
  std::unique_ptr<PostgresEngine> engine_;
  BatchWriter writer_;
};

}  // namespace

Result<void> check_url(const std::string& url) {
  char* message = nullptr;
  const Parsed parsed(PQconninfoParse(url.c_str(), &message), PQconninfoFree);
  // The message is not passed on: it may repeat a password.
  PQfreemem(message);
  if (parsed == nullptr) {
    return fault("store_option_refused",
                 "libpq cannot read this: write postgresql://USER@HOST:PORT/DATABASE");
  }
  if (said(parsed, "password").empty()) return {};
  return fault("store_option_refused",
               "take the password out and write it as password = \"env:NAME\" or \"file:PATH\"");
}

std::string describe_url(const std::string& url) {
  const Parsed parsed(PQconninfoParse(url.c_str(), nullptr), PQconninfoFree);
  if (parsed == nullptr) return "postgresql";
  return fmt::format("postgresql, database {} at {}", said(parsed, "dbname"), said(parsed, "host"));
}

Result<std::unique_ptr<Store>> open_postgres(PostgresOptions options, const Clock& clock,
                                             Random& random, Log& log, Metrics& metrics,
                                             std::move_only_function<void(Error)> on_failure) {
  POSTERN_ASSIGN_OR_RETURN(std::unique_ptr<PostgresEngine> engine,
                           PostgresEngine::open(options, clock, random, log, metrics));
  return std::make_unique<PostgresStore>(options, std::move(engine), clock, log, metrics,
                                         std::move(on_failure));
}

}  // namespace postern::store::postgres
