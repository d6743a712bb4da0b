// Goal: before the disk is full, callbacks and registrations are answered with "send it again", in
// each platform's own form, while what is owed goes on being delivered; and it all resumes by
// itself. (P13) Method: the daemon on a file system that has what the test says, and on a real
// small one that is filled up, where mounting is allowed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "http/server.h"
#include "tests/functional/running.h"
#include "tests/functional/site.h"
#include "tests/functional/visitor.h"

namespace postern::functional {
namespace {

using namespace std::chrono_literals;
using simulate::Platform;

constexpr std::uint64_t kMiB = 1024 * 1024;

class SetSpace final : public DiskSpace {
 public:
  Result<std::uint64_t> free_bytes() override { return free.load(); }
  std::atomic<std::uint64_t> free = 1000 * kMiB;
};

/// A merchant's endpoint that is busy until it is told otherwise.
class Shop final : public HttpHandler {
 public:
  Shop()
      : server_(http::Server::start(
                    {.name = "shop", .address = {.host = "127.0.0.1", .port = 0}, .limits = {}},
                    *this, log_, metrics_)
                    .value()) {}
  ~Shop() override { server_.reset(); }
  void handle(HttpRequest /*request*/, Responder respond) override {
    if (is_open) ++taken;
    respond({.code = is_open ? 200U : 503U, .content_type = {}, .body = {}, .headers = {}});
  }
  [[nodiscard]] std::string endpoint() const {
    return fmt::format(
        "[endpoint.shop]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/payments\"\n"
        "secret = \"file:webhook.key\"\ninsecure_http = true\n"
        "allow_networks = [\"127.0.0.0/8\"]\n",
        server_->port());
  }
  std::atomic<bool> is_open = false;
  std::atomic<int> taken = 0;

 private:
  NullLog log_;
  NullMetrics metrics_;
  std::unique_ptr<http::Server> server_;
};

[[nodiscard]] bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 1500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

[[nodiscard]] bool is_ready(Visitor& visitor, unsigned code) {
  return comes_true([&] { return visitor.get("/readyz").code == code; });
}

TEST(DiskLow, PutsIntakeOffWhileDeliveryGoesOn) {
  Shop shop;
  SetSpace space;
  Site site(shop.endpoint() + "[store]\nmin_free = \"100 MiB\"\n");
  InProcess gateway(site, {}, &space);
  Visitor visitor = gateway.visitor();
  ASSERT_EQ(visitor.register_order("T1"), 201u);
  ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).body, "success");

  space.free = 99 * kMiB;
  ASSERT_TRUE(is_ready(visitor, 503u));
  const std::map<Platform, HttpResponse> accepted = [&] {
    std::map<Platform, HttpResponse> answers;
    for (const Platform platform : simulate::all_platforms()) {
      answers[platform] = visitor.send(site.payment(platform, "T2"));
    }
    return answers;
  }();
  for (const auto& [platform, answer] : accepted) EXPECT_GE(answer.code, 500u);
  EXPECT_EQ(accepted.at(Platform::kAlipay).body, "fail");
  const Answer refused = visitor.admin("POST", "/v1/orders", order_body("T2"));
  EXPECT_EQ(refused.code, 503u);
  EXPECT_NE(refused.text.find("disk_low"), std::string::npos) << refused.text;
  // What was taken before is still delivered, and people can still look and act.
  EXPECT_EQ(shop.taken, 0);
  shop.is_open = true;
  const std::string delivery(
      visitor.get("/v1/deliveries").body.at("deliveries").as_array().at(0).at("id").as_string());
  ASSERT_EQ(visitor.admin("POST", "/v1/deliveries/" + delivery + "/retry").code, 200u);
  EXPECT_TRUE(comes_true([&] { return shop.taken == 1; }));
  const auto open = visitor.eventually_listed("/v1/incidents?state=open", "incidents");
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open.at(0).at("kind").as_string(), "disk_low");
  EXPECT_NE(visitor.get("/metrics").text.find("postern_store_disk_low 1"), std::string::npos);

  space.free = 124 * kMiB;  // above the mark, but not by a quarter
  std::this_thread::sleep_for(1500ms);
  EXPECT_EQ(visitor.get("/readyz").code, 503u);
  space.free = 125 * kMiB;
  ASSERT_TRUE(is_ready(visitor, 200u));
  EXPECT_EQ(visitor.register_order("T2"), 201u);
  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T2")).body, "success");
  EXPECT_EQ(visitor.eventually_listed("/v1/incidents?state=resolved", "incidents").at(0).at("kind"),
            "disk_low");
}

TEST(DiskLow, IsOverWhenAStartFindsRoom) {
  SetSpace space;
  space.free = 1 * kMiB;
  Site site;
  {
    InProcess gateway(site, {}, &space);
    Visitor visitor = gateway.visitor();
    EXPECT_EQ(visitor.get("/readyz").code, 503u);
    EXPECT_EQ(visitor.register_order("T1"), 503u);
    ASSERT_EQ(visitor.eventually_listed("/v1/incidents?state=open", "incidents").size(), 1u);
  }
  space.free = 1000 * kMiB;
  InProcess gateway(site, {}, &space);
  Visitor visitor = gateway.visitor();
  EXPECT_EQ(visitor.register_order("T1"), 201u);
  EXPECT_EQ(visitor.eventually_listed("/v1/incidents?state=resolved", "incidents").size(), 1u);
}

// The log stands beside the store: what is put off must not fill the rest of the disk with lines.
TEST(DiskLow, PutsOffWithoutALineForEach) {
  Site site("[store]\nmin_free = \"1000000 GiB\"\n[log]\nfile = \"postern.log\"\n");
  Process process(site);
  ASSERT_TRUE(process.ready());
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(process.visitor().send(site.payment(Platform::kAlipay, "T1")).body, "fail");
  }
  process.signal(SIGTERM);
  ASSERT_EQ(process.wait(), 0);
  std::ifstream log(site.folder() / "postern.log");
  int lines = 0;
  for (std::string line; std::getline(log, line);) {
    if (line.find("callback_not_recorded") != std::string::npos) ++lines;
  }
  EXPECT_GE(lines, 1);
  EXPECT_LE(lines, 20);
}

/// A file system of 64 MiB in memory.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    mounted_ = ::mount("postern-test", path_.c_str(), "tmpfs", 0, "size=64m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }
  void fill(std::uint64_t bytes) const {
    std::ofstream(path_ + "/other", std::ios::binary) << std::string(bytes, 'x');
  }
  void clear() const { std::filesystem::remove(path_ + "/other"); }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST(DiskLow, IsSeenOnARealDiskThatOthersFill) {
  Site site("[store]\nurl = \"sqlite:small/postern.db\"\nmin_free = \"16 MiB\"\n");
  const SmallDisk disk(site.folder() / "small");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a file system is not allowed here";
  InProcess gateway(site);
  Visitor visitor = gateway.visitor();
  ASSERT_EQ(visitor.send(site.payment(Platform::kAlipay, "T1")).body, "success");
  disk.fill(52 * kMiB);
  ASSERT_TRUE(is_ready(visitor, 503u));
  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T2")).body, "fail");
  disk.clear();
  ASSERT_TRUE(is_ready(visitor, 200u));
  EXPECT_EQ(visitor.send(site.payment(Platform::kAlipay, "T2")).body, "success");
}

}  // namespace
}  // namespace postern::functional
