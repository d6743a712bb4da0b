// Goal: nobody without the key reads or writes anything, or learns what is there; with it, wrong
// requests say what to do.
// Method: real HTTP requests, each with one thing wrong.
#include <gtest/gtest.h>

#include "tests/admin/api_under_test.h"

namespace postern::admin::testing {
namespace {

class AdminAccess : public ::testing::Test {
 protected:
  ApiUnderTest api_;
};

TEST_F(AdminAccess, RefusesEveryWrongKeyAlike) {
  const std::string key(kKey);
  const std::string wrong[] = {"",
                               "Bearer",
                               "Bearer ",
                               "Bearer " + key + "x",
                               "Bearer " + key.substr(1),
                               "Bearer  " + key,
                               "Basic " + key,
                               key};
  const Answer first = api_.send("GET", "/v1/orders", {}, "Bearer no");
  EXPECT_EQ(first.code, 401u);
  EXPECT_EQ(first.error(), "unauthorized");
  EXPECT_EQ(first.header("WWW-Authenticate"), "Bearer");
  for (const std::string& authorization : wrong) {
    // What exists and what does not look the same from outside.
    for (const std::string target : {"/v1/orders", "/v1/orders/T1", "/v1/nothing", "/v1"}) {
      const Answer answer = api_.send("GET", target, {}, authorization);
      EXPECT_EQ(answer.code, 401u) << authorization << " " << target;
      EXPECT_EQ(answer.response.body, first.response.body);
    }
  }
}

TEST_F(AdminAccess, TakesNoKeyFromTheUrlAndNoneGivenTwice) {
  EXPECT_EQ(api_.send("GET", "/v1/orders?key=" + std::string(kKey), {}, "").code, 401u);
  HttpRequest request{.method = "GET", .target = "/v1/orders"};
  request.headers.add("Authorization", "Bearer " + std::string(kKey));
  request.headers.add("Authorization", "Bearer " + std::string(kKey));
  EXPECT_EQ(api_.send(request).code, 401u);
}

TEST_F(AdminAccess, AnEmptyConfiguredKeyOpensNothing) {
  NullMetrics metrics;
  Router router(Secret(), metrics);
  router.add("GET", "/v1/x", [](const Call&, Responder respond) {
    respond({.code = 200, .content_type = {}, .body = {}, .headers = {}});
  });
  for (const char* authorization : {"Bearer ", "Bearer", ""}) {
    HttpRequest request{.method = "GET", .target = "/v1/x"};
    request.headers.add("Authorization", authorization);
    unsigned code = 0;
    router.handle(std::move(request), [&](const HttpResponse& response) { code = response.code; });
    EXPECT_EQ(code, 401u);
  }
}

TEST_F(AdminAccess, KeepsBrowsersFromStoringSniffingAndFraming) {
  for (const std::string target : {"/healthz", "/v1/orders", "/nothing"}) {
    const Answer answer = api_.get(target);
    EXPECT_EQ(answer.header("Cache-Control"), "no-store") << target;
    EXPECT_EQ(answer.header("X-Content-Type-Options"), "nosniff") << target;
    EXPECT_EQ(answer.header("Content-Security-Policy"),
              "default-src 'none'; frame-ancestors 'none'")
        << target;
    EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "") << target;
  }
}

TEST_F(AdminAccess, FindsNothingByTrickPaths) {
  for (const std::string target : {"/", "//v1/orders", "/healthz/", "/healthz/x", "/V1/orders",
                                   "/metrics/../v1/orders", "/%76%31x/orders"}) {
    EXPECT_EQ(api_.send("GET", target, {}, "").code, 404u) << target;
  }
  // An escaped letter is the letter, so the key is asked for.
  EXPECT_EQ(api_.send("GET", "/%76%31/orders", {}, "").code, 401u);
}

TEST_F(AdminAccess, SaysWhichMethodsThereAre) {
  const Answer answer = api_.send("DELETE", "/v1/orders");
  EXPECT_EQ(answer.code, 405u);
  EXPECT_EQ(answer.header("Allow"), "POST, GET");
}

TEST_F(AdminAccess, RefusesUnknownAndDoubleQueries) {
  struct Case {
    std::string target, says;
  };
  const Case cases[] = {
      {"/v1/orders?status=paid", "state, search, before, limit"},
      {"/v1/orders?state=payed", "awaiting, paid, partially_refunded, refunded, closed, failed"},
      {"/v1/orders?state=paid&state=paid", "give state once"},
      {"/v1/orders?limit=0", "1 to 500"},
      {"/v1/orders?limit=501", "1 to 500"},
      {"/v1/orders?limit=5x", "1 to 500"},
      {"/v1/orders?limit=", "1 to 500"},
      {"/v1/orders?before=ord_other_3", "next_before"},
      {"/v1/orders?before=-3", "next_before"},
      {"/v1/orders/T1?state=paid", "merchant"},
      {"/v1/callbacks?outcome=good", "applied, duplicate, unknown_order"},
      {"/v1/callbacks?account=", "1 to 128 bytes"},
      {"/v1/incidents?state=new", "open, acknowledged, resolved"},
  };
  for (const Case& c : cases) {
    const Answer answer = api_.get(c.target);
    EXPECT_EQ(answer.code, 422u) << c.target;
    EXPECT_NE(answer.message().find(c.says), std::string::npos) << c.target << answer.message();
  }
}

TEST_F(AdminAccess, ShowsHealthAndReadinessWithoutAKey) {
  EXPECT_EQ(api_.send("GET", "/healthz", {}, "").code, 200u);
  EXPECT_EQ(api_.send("GET", "/readyz", {}, "").code, 200u);
  EXPECT_EQ(api_.send("HEAD", "/readyz", {}, "").code, 200u);
  api_.readiness = Readiness::kStopping;
  EXPECT_EQ(api_.send("GET", "/readyz", {}, "").code, 503u);
  EXPECT_EQ(api_.get("/readyz").error(), "stopping");
  api_.readiness = Readiness::kStoreFailed;
  EXPECT_EQ(api_.get("/readyz").error(), "store_failed");
  EXPECT_EQ(api_.send("GET", "/healthz", {}, "").code, 200u);
}

TEST_F(AdminAccess, ShowsMetricsInTheTextFormat) {
  const Answer answer = api_.send("GET", "/metrics", {}, "");
  EXPECT_EQ(answer.code, 200u);
  EXPECT_EQ(answer.response.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(answer.response.body, "figures 1\n");
}

// P12: what waits for the store is bounded, and the answer beyond it invites another try.
TEST_F(AdminAccess, RefusesReadsBeyondTheQueue) {
  NullMetrics metrics;
  std::promise<void> begun;
  std::promise<void> go_on;
  std::vector<unsigned> codes;
  std::mutex mutex;
  const auto note = [&](const HttpResponse& response) {
    const std::lock_guard lock(mutex);
    codes.push_back(response.code);
  };
  const auto reply = [](store::Reader&) -> Result<HttpResponse> {
    return HttpResponse{.code = 200, .content_type = {}, .body = {}, .headers = {}};
  };
  {
    ReadWorker reads(api_.store(), metrics, 2);
    reads.run(
        [&](store::Reader& reader) {
          begun.set_value();
          go_on.get_future().wait();
          return reply(reader);
        },
        note);
    begun.get_future().wait();
    reads.run(reply, note);
    reads.run(reply, note);
    reads.run(reply, note);
    EXPECT_EQ(codes, std::vector{503u});
    go_on.set_value();
  }
  ASSERT_EQ(codes.size(), 4u);
  EXPECT_EQ(codes[1], 200u);
}

}  // namespace
}  // namespace postern::admin::testing
