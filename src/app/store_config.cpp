#include "app/store_config.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "store/postgres/postgres_store.h"
#include "store/sqlite/sqlite_store.h"

namespace postern::app {
namespace {

constexpr std::string_view kUrl = "sqlite:postern.db";
constexpr std::string_view kMinFree = "256 MiB";
constexpr std::string_view kSqlite = "sqlite:";
constexpr std::int64_t kKeepDaysMax = 36'500;
constexpr std::int64_t kBatchMax = 1024;

/// Reads "1 GiB", "512 MiB" or "0".
[[nodiscard]] std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 3> kUnits = {
      {{" MiB", 20}, {" GiB", 30}, {" TiB", 40}}};
  constexpr std::uint64_t kCountMax = 1'000'000;
  if (text == "0") return 0;
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count == 0 || count > kCountMax) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [name, shift] : kUnits) {
    if (name == unit) return count << shift;
  }
  return std::nullopt;
}

[[nodiscard]] Result<StoreConfig> read_sqlite(Section& section, const std::string& url,
                                              const std::filesystem::path& folder) {
  StoreConfig config;
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> min_free,
                           section.optional_text("min_free"));
  const auto bytes = parse_bytes(min_free.value_or(std::string(kMinFree)));
  if (!bytes) {
    return std::unexpected(
        section.wrong("min_free", R"(write a size such as "256 MiB" or "2 GiB", or "0")"));
  }
  config.file = folder / url.substr(kSqlite.size());
  config.min_free = *bytes;
  return config;
}

[[nodiscard]] Result<StoreConfig> read_postgres(Section& section, std::string url) {
  StoreConfig config{.kind = StoreConfig::Kind::kPostgres, .url = std::move(url)};
  const Result<void> readable = store::postgres::check_url(config.url);
  if (!readable) return std::unexpected(section.wrong("url", readable.error().detail));
  POSTERN_ASSIGN_OR_RETURN(std::optional<Secret> password,
                           section.optional_secret("password", SourceKind::kPassword));
  if (password) config.password = *std::move(password);
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> level,
                           section.optional_text("accept_synchronous_commit"));
  if (level && *level != "local" && *level != "remote_write" && *level != "off") {
    return std::unexpected(section.wrong(
        "accept_synchronous_commit", R"(write "local", "remote_write" or "off", or leave it out)"));
  }
  config.accept_synchronous_commit = std::move(level).value_or("");
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::int64_t> days,
                           section.optional_integer("keep_evidence_days", 0, kKeepDaysMax));
  config.keep_evidence_days = static_cast<int>(days.value_or(0));
  return config;
}

}  // namespace

std::string StoreConfig::description() const {
  return kind == Kind::kSqlite ? file.string() : store::postgres::describe_url(url);
}

Result<StoreConfig> read_store(Section section, const std::filesystem::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> given, section.optional_text("url"));
  const std::string url = given.value_or(std::string(kUrl));
  const bool is_sqlite = url.starts_with(kSqlite) && url.size() > kSqlite.size();
  const bool is_postgres = url.starts_with("postgresql:") || url.starts_with("postgres:");
  if (!is_sqlite && !is_postgres) {
    return std::unexpected(section.wrong("url",
                                         R"(write "sqlite:FILE", such as "sqlite:postern.db", or )"
                                         R"("postgresql://USER@HOST/DATABASE")"));
  }
  POSTERN_ASSIGN_OR_RETURN(StoreConfig config, is_sqlite ? read_sqlite(section, url, folder)
                                                         : read_postgres(section, url));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::int64_t> batch_max,
                           section.optional_integer("batch_max", 1, kBatchMax));
  if (batch_max) config.batch_max = static_cast<std::size_t>(*batch_max);
  POSTERN_RETURN_IF_ERROR(section.finish());
  return config;
}

Result<std::unique_ptr<store::Store>> open_store(const StoreConfig& config, const Clock& clock,
                                                 Random& random, Log& log, Metrics& metrics,
                                                 std::move_only_function<void(Error)> on_failure) {
  switch (config.kind) {
    case StoreConfig::Kind::kSqlite:
      return store::sqlite::open_sqlite(
          {.path = config.file.string(), .batch_max = config.batch_max}, clock, random, log,
          metrics, std::move(on_failure));
    case StoreConfig::Kind::kPostgres:
      return store::postgres::open_postgres(
          {.url = config.url,
           .password = config.password,
           .batch_max = config.batch_max,
           .accept_synchronous_commit = config.accept_synchronous_commit,
           .keep_evidence_days = config.keep_evidence_days},
          clock, random, log, metrics, std::move(on_failure));
  }
  return fault("store_option_refused", "an unknown kind of store");
}

}  // namespace postern::app
