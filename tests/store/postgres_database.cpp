#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "store/postgres/connection.h"
#include "store/postgres/postgres_store.h"
#include "tests/store/store_under_test.h"

namespace postern::store {
namespace {

[[nodiscard]] std::string server_url() {
  const char* const url = std::getenv("POSTERN_TEST_POSTGRES");
  return url == nullptr ? "" : url;
}

void skip() {
  GTEST_SKIP() << "no PostgreSQL: run this by tests/postgres/cluster.py run -- ...";
}

[[nodiscard]] Result<postgres::Connection> connect(const std::string& url) {
  return postgres::Connection::open({.url = url, .password = {}, .name = "test"});
}

void run_on(const std::string& url, const std::string& script) {
  Result<postgres::Connection> connection = connect(url);
  ASSERT_TRUE(connection) << connection.error().detail;
  const Result<void> done = connection->run(script);
  EXPECT_TRUE(done) << done.error().detail;
}

/// What a store needs beside it, for as long as the process runs.
struct World {
  SystemClock clock;
  SystemRandom random;
  NullLog log;
  NullMetrics metrics;
};

}  // namespace

PostgresDatabase::PostgresDatabase() {
  const std::string server = server_url();
  if (server.empty()) {
    skip();
    return;
  }
  static std::atomic<int> made = 0;
  name_ = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++made);
  run_on(server, "CREATE SCHEMA " + name_);
  url_ = server + "?options=-csearch_path%3D" + name_;
}

PostgresDatabase::~PostgresDatabase() {
  if (!url_.empty()) run_on(server_url(), "DROP SCHEMA " + name_ + " CASCADE");
}

std::string PostgresDatabase::text(const std::string& query) const {
  Result<postgres::Connection> connection = connect(url_);
  if (!connection) {
    ADD_FAILURE() << connection.error().detail;
    return {};
  }
  Result<std::string> text = connection->text(query);
  if (!text) {
    ADD_FAILURE() << text.error().detail;
    return {};
  }
  return *std::move(text);
}

std::unique_ptr<Store> open_node(const PostgresDatabase& database, StoreLimits limits) {
  static World world;
  postgres::PostgresOptions options;
  options.url = database.url();
  options.batch_max = limits.batch_max;
  options.queue_max = limits.queue_max;
  Result<std::unique_ptr<Store>> store = postgres::open_postgres(
      std::move(options), world.clock, world.random, world.log, world.metrics,
      [](const Error& error) { ADD_FAILURE() << error.detail; });
  if (!store) {
    ADD_FAILURE() << store.error().detail;
    return nullptr;
  }
  return *std::move(store);
}

}  // namespace postern::store
