// Goal: `postern demo` shows the truth: every order ends as it has to, and what the demo's shop was
// told by signed webhooks agrees with every order, although one answer of the shop got lost.
// Method: the real binary, which starts the daemon as a process of its own; its output is read.
#include <gtest/gtest.h>
#include <stdio.h>  // NOLINT: popen is POSIX
#include <sys/wait.h>

#include <array>
#include <memory>
#include <string>

namespace postern::functional {
namespace {

struct Ended {
  int code = -1;
  std::string out;
};

[[nodiscard]] Ended run(const std::string& command) {
  Ended ended;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return ended;
  std::array<char, 4096> buffer{};
  while (const std::size_t size = ::fread(buffer.data(), 1, buffer.size(), pipe)) {
    ended.out.append(buffer.data(), size);
  }
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  return ended;
}

[[nodiscard]] std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

// P6, P7
TEST(Demo, TheShopIsToldWhatBecameOfEveryOrder) {
  const Ended demo = run(POSTERN_BINARY " demo 2>&1");
  EXPECT_EQ(demo.code, 0) << demo.out;
  EXPECT_EQ(count(demo.out, "  agrees\n"), 15U) << demo.out;
  EXPECT_EQ(count(demo.out, "DIFFERS"), 0U) << demo.out;
  EXPECT_EQ(count(demo.out, "UNEXPECTED"), 0U) << demo.out;
  for (const std::string_view part :
       {"Every order ended as it has to.", "What the shop was told agrees with every order.",
        "18 webhooks with a good signature: 17 events, 1 repeat recognised (DEMO-02", "; 0 refused",
        "DEMO-06        3  #3 refunded ", "DEMO-09        0  nothing "}) {
    EXPECT_NE(demo.out.find(part), std::string::npos) << part << "\n" << demo.out;
  }
}

}  // namespace
}  // namespace postern::functional
