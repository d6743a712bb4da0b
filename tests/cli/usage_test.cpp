// Goal: a wrong command line is told so with code 2; help is no error; tables keep strangers'
// control characters from the terminal. Method: run the command with string streams in place of the
// terminal.
#include <gtest/gtest.h>

#include <boost/json/object.hpp>
#include <sstream>
#include <vector>

#include "cli/run.h"
#include "cli/table.h"

namespace postern::cli {
namespace {

ExitCode run_with(std::vector<const char*> arguments, std::string* out = nullptr) {
  arguments.insert(arguments.begin(), "postern");
  std::ostringstream printed;
  std::ostringstream errors;
  const ExitCode code =
      run(static_cast<int>(arguments.size()), arguments.data(), {printed, errors});
  if (out != nullptr) *out = printed.str() + errors.str();
  return code;
}

TEST(Usage, WrongCommandLinesEndWithTwo) {
  EXPECT_EQ(run_with({}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"fly"}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"orders"}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"orders", "show"}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"verify"}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"serve", "--io-threads", "0"}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"serve", "--io-threads", "many"}), ExitCode::kUsage);
  EXPECT_EQ(run_with({"check", "--config", "/no/such/file"}), ExitCode::kUsage);
}

TEST(Usage, HelpNamesEveryCommand) {
  std::string out;
  EXPECT_EQ(run_with({"--help"}, &out), ExitCode::kOk);
  for (const char* command : {"serve", "check", "verify", "explain", "orders", "callbacks"}) {
    EXPECT_NE(out.find(command), std::string::npos) << command;
  }
  EXPECT_EQ(run_with({"serve", "--help"}, &out), ExitCode::kOk);
  EXPECT_NE(out.find("--config"), std::string::npos);
}

TEST(Table, AlignsByCharacters) {
  Table table({"A", "B"});
  table.add({"支付", "x"});
  table.add({"long one", "y"});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "A         B\n支付        x\nlong one  y\n");
}

TEST(Table, ShowsControlCharactersAsQuestionMarks) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n\x7f\xC2\x9Bz"), "a?[31mb????z");
  EXPECT_EQ(printable("\xFF"), "\uFFFD");
}

TEST(Table, ShowsMoneyInMajorUnits) {
  const boost::json::object object(
      {{"paid", boost::json::object({{"minor", 8805}, {"currency", "CNY"}})},
       {"yen", boost::json::object({{"minor", 500}, {"currency", "JPY"}})},
       {"none", nullptr},
       {"count", 3}});
  EXPECT_EQ(shown(object, "paid"), "88.05 CNY");
  EXPECT_EQ(shown(object, "yen"), "500 JPY");
  EXPECT_EQ(shown(object, "none"), "-");
  EXPECT_EQ(shown(object, "missing"), "-");
  EXPECT_EQ(shown(object, "count"), "3");
}

}  // namespace
}  // namespace postern::cli
