#include "store/postgres/postgres_store.h"

#include <utility>

#include "store/batch_writer.h"
#include "store/postgres/postgres_engine.h"
#include "store/postgres/postgres_reader.h"

namespace postern::store::postgres {
namespace {

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
  Result<std::unique_ptr<Reader>> reader() override { return open_reader(reading_); }
  const std::string& tag() const override { return tag_; }
  const Clock* clock() const override { return &engine_->clock(); }

 private:
  const ConnectOptions reading_;
  const std::string tag_;
  std::unique_ptr<PostgresEngine> engine_;
  BatchWriter writer_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_postgres(PostgresOptions options, const Clock& clock,
                                             Random& random, Log& log, Metrics& metrics,
                                             std::move_only_function<void(Error)> on_failure) {
  POSTERN_ASSIGN_OR_RETURN(std::unique_ptr<PostgresEngine> engine,
                           PostgresEngine::open(options, clock, random, log, metrics));
  return std::make_unique<PostgresStore>(options, std::move(engine), clock, log, metrics,
                                         std::move(on_failure));
}

}  // namespace postern::store::postgres
