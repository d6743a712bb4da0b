#include "cli/copy_command.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "app/secret_source.h"
#include "base/system.h"
#include "cli/progress_bar.h"
#include "cli/table.h"
#include "crypto/encoding.h"
#include "store/copy/copy.h"

namespace postern::cli {
namespace {

namespace json = boost::json;
using store::copy::Progress;
using store::copy::Report;

constexpr std::string_view kSqlite = "sqlite:";

struct Options {
  std::string from;
  std::string to;
  std::string password;
  bool as_json = false;
};

[[nodiscard]] Result<store::copy::Order> read(const Options& options) {
  if (!options.from.starts_with(kSqlite) || options.from.size() == kSqlite.size()) {
    return rejected("source_not_known", "--from: write sqlite:FILE, such as sqlite:postern.db");
  }
  if (!options.to.starts_with("postgresql:") && !options.to.starts_with("postgres:")) {
    return rejected("target_not_known", "--to: write postgresql://USER@HOST/DATABASE");
  }
  store::copy::Order order{.file = options.from.substr(kSqlite.size()), .url = options.to};
  if (!options.password.empty()) {
    POSTERN_ASSIGN_OR_RETURN(order.password,
                             app::read_secret(options.password, std::filesystem::current_path(),
                                              app::SourceKind::kPassword));
  }
  return order;
}

[[nodiscard]] std::string_view name(Report::Outcome outcome) {
  switch (outcome) {
    case Report::Outcome::kCopied:
      return "copied";
    case Report::Outcome::kAlreadyComplete:
      return "already_complete";
    case Report::Outcome::kDifferent:
      return "different";
  }
  return "";
}

[[nodiscard]] json::object to_json(const Report& report) {
  json::array tables;
  for (const store::copy::TableVerified& table : report.tables) {
    tables.push_back(json::object({{"table", table.name},
                                   {"rows", table.rows},
                                   {"sha256", crypto::hex_encode(table.sha256)}}));
  }
  json::object object{{"result", name(report.outcome)},
                      {"store", report.tag},
                      {"rows_copied", report.rows_copied},
                      {"tables", std::move(tables)}};
  if (report.difference) {
    object["difference"] = json::object({{"table", report.difference->table},
                                         {"id", report.difference->id},
                                         {"what", report.difference->what}});
  }
  return object;
}

void print(std::ostream& out, const Report& report) {
  if (!report.tables.empty()) {
    Table table({"TABLE", "ROWS", "SHA-256 ON BOTH SIDES"});
    for (const store::copy::TableVerified& one : report.tables) {
      table.add({std::string(one.name), std::to_string(one.rows), crypto::hex_encode(one.sha256)});
    }
    table.print(out);
  }
  switch (report.outcome) {
    case Report::Outcome::kCopied:
      out << fmt::format(
          "store {} is complete in the database: {} rows copied by this run, all "
          "rows compared\n",
          report.tag, report.rows_copied);
      return;
    case Report::Outcome::kAlreadyComplete:
      out << fmt::format("store {} was complete in the database already: nothing was done\n",
                         report.tag);
      return;
    case Report::Outcome::kDifferent:
      out << fmt::format("DIFFERENT: {}, id {}: {}\n", report.difference->table,
                         report.difference->id, report.difference->what)
          << "the database stays marked and no daemon writes to it: make it anew (DROP DATABASE, "
             "CREATE DATABASE) and copy again\n";
      return;
  }
}

[[nodiscard]] ExitCode copy(const Options& options, const Terminal& terminal) {
  const Result<store::copy::Order> order = read(options);
  if (!order) return fail(terminal, order.error());
  const SystemClock clock;
  ProgressBar bar(terminal.err, clock, ProgressBar::style_of_stderr());
  const Result<Report> report =
      store::copy::copy_store(*order, clock, [&bar](const Progress& progress) {
        bar.show(progress.stage == Progress::Stage::kCopying ? "copying" : "comparing",
                 progress.table, progress.rows, progress.rows_total);
      });
  bar.end();
  if (!report) return fail(terminal, report.error());
  if (options.as_json) {
    terminal.out << json::serialize(to_json(*report)) << "\n";
  } else {
    print(terminal.out, *report);
  }
  return report->outcome == Report::Outcome::kDifferent ? ExitCode::kNegative : ExitCode::kOk;
}

}  // namespace

void add_copy(CLI::App& app, Action& action) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("copy", "move a store from SQLite to PostgreSQL, and compare both");
  command->add_option("--from", options->from, "sqlite:FILE, which no daemon has open")->required();
  command->add_option("--to", options->to, "postgresql://USER@HOST/DATABASE, an empty database")
      ->required();
  command->add_option("--password", options->password, "its password, as env:NAME or file:PATH");
  command->add_flag("--json", options->as_json, "print JSON");
  command->callback([options, &action] {
    action = [options](const Terminal& terminal) { return copy(*options, terminal); };
  });
}

}  // namespace postern::cli
