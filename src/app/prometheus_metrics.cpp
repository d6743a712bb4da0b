#include "app/prometheus_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>

namespace postern::app {
namespace {

using LabelMap = std::map<std::string, std::string>;

[[nodiscard]] LabelMap to_map(Metrics::Labels labels) {
  LabelMap map;
  for (const auto& [key, value] : labels) map.emplace(key, value);
  return map;
}

/// 100 us to 10 s, three to a decade.
[[nodiscard]] prometheus::Histogram::BucketBoundaries buckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void add(double count) override { counter_.Increment(count); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void set(double value) override { gauge_.Set(value); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

/// The handles given out so far, by name and labels.
template <class Handle>
using Handles = std::map<std::pair<std::string, LabelMap>, std::unique_ptr<Handle>>;

}  // namespace

class PrometheusMetrics::Impl {
 public:
  /// The handle of `name` and `labels`, made by `make` where there is none yet.
  template <class Handle, class Make>
  [[nodiscard]] Handle& handle(Handles<Handle>& handles, std::string_view name, Labels labels,
                               Make make) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Handle>& kept = handles[{std::string(name), to_map(labels)}];
    if (!kept) kept = make(to_map(labels));
    return *kept;
  }

  prometheus::Registry registry;
  Handles<PrometheusCounter> counters;
  Handles<PrometheusGauge> gauges;
  Handles<PrometheusHistogram> histograms;

 private:
  std::mutex mutex_;  // over the three maps
};

PrometheusMetrics::PrometheusMetrics() : impl_(std::make_unique<Impl>()) {}
PrometheusMetrics::~PrometheusMetrics() = default;

Counter& PrometheusMetrics::counter(std::string_view name, std::string_view help, Labels labels) {
  return impl_->handle(impl_->counters, name, labels, [&](const LabelMap& map) {
    auto& family = prometheus::BuildCounter()
                       .Name(std::string(name))
                       .Help(std::string(help))
                       .Register(impl_->registry);
    return std::make_unique<PrometheusCounter>(family.Add(map));
  });
}

Gauge& PrometheusMetrics::gauge(std::string_view name, std::string_view help, Labels labels) {
  return impl_->handle(impl_->gauges, name, labels, [&](const LabelMap& map) {
    auto& family = prometheus::BuildGauge()
                       .Name(std::string(name))
                       .Help(std::string(help))
                       .Register(impl_->registry);
    return std::make_unique<PrometheusGauge>(family.Add(map));
  });
}

Histogram& PrometheusMetrics::histogram(std::string_view name, std::string_view help,
                                        Labels labels) {
  return impl_->handle(impl_->histograms, name, labels, [&](const LabelMap& map) {
    auto& family = prometheus::BuildHistogram()
                       .Name(std::string(name))
                       .Help(std::string(help))
                       .Register(impl_->registry);
    return std::make_unique<PrometheusHistogram>(family.Add(map, buckets()));
  });
}

std::string PrometheusMetrics::exposition() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace postern::app
