// Goal: what is counted is what /metrics shows, and the same name and labels are one figure.
// Method: count, and read the text format.
#include "app/prometheus_metrics.h"

#include <gtest/gtest.h>

namespace postern::app {
namespace {

[[nodiscard]] bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(PrometheusMetrics, ShowsWhatWasCounted) {
  PrometheusMetrics metrics;
  metrics.counter("calls_total", "Calls.", {{"account", "alipay"}, {"code", "2xx"}}).add();
  metrics.counter("calls_total", "Calls.", {{"account", "alipay"}, {"code", "2xx"}}).add(2);
  metrics.counter("calls_total", "Calls.", {{"account", "wechat"}, {"code", "2xx"}}).add();
  metrics.gauge("queue", "Waiting.", {}).set(7);
  const std::string text = metrics.exposition();
  EXPECT_TRUE(has_line(text, "# HELP calls_total Calls.")) << text;
  EXPECT_TRUE(has_line(text, "# TYPE calls_total counter")) << text;
  EXPECT_TRUE(has_line(text, R"(calls_total{account="alipay",code="2xx"} 3)")) << text;
  EXPECT_TRUE(has_line(text, R"(calls_total{account="wechat",code="2xx"} 1)")) << text;
  EXPECT_TRUE(has_line(text, "queue 7")) << text;
}

TEST(PrometheusMetrics, GivesTheSameHandleForTheSameNameAndLabels) {
  PrometheusMetrics metrics;
  Counter& one = metrics.counter("a_total", "A.", {{"x", "1"}});
  EXPECT_EQ(&one, &metrics.counter("a_total", "A.", {{"x", "1"}}));
  EXPECT_NE(&one, &metrics.counter("a_total", "A.", {{"x", "2"}}));
  EXPECT_EQ(&metrics.gauge("b", "B.", {}), &metrics.gauge("b", "B.", {}));
  EXPECT_EQ(&metrics.histogram("c", "C.", {}), &metrics.histogram("c", "C.", {}));
}

TEST(PrometheusMetrics, SortsDurationsFromMicrosecondsToTenSeconds) {
  PrometheusMetrics metrics;
  Histogram& seconds = metrics.histogram("took_seconds", "Took.", {{"account", "a"}});
  seconds.observe(0.00005);
  seconds.observe(0.003);
  seconds.observe(60);
  const std::string text = metrics.exposition();
  EXPECT_TRUE(has_line(text, R"(took_seconds_bucket{account="a",le="0.0001"} 1)")) << text;
  EXPECT_TRUE(has_line(text, R"(took_seconds_bucket{account="a",le="0.005"} 2)")) << text;
  EXPECT_TRUE(has_line(text, R"(took_seconds_bucket{account="a",le="10"} 2)")) << text;
  EXPECT_TRUE(has_line(text, R"(took_seconds_bucket{account="a",le="+Inf"} 3)")) << text;
  EXPECT_TRUE(has_line(text, R"(took_seconds_count{account="a"} 3)")) << text;
}

}  // namespace
}  // namespace postern::app
