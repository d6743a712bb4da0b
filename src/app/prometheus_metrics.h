#pragma once

#include <memory>
#include <string>

#include "base/metrics.h"

namespace postern::app {

/// Metrics kept by prometheus-cpp, and shown in Prometheus' text format. @thread any
class PrometheusMetrics final : public Metrics {
 public:
  PrometheusMetrics();
  ~PrometheusMetrics() override;
  PrometheusMetrics(const PrometheusMetrics&) = delete;
  PrometheusMetrics& operator=(const PrometheusMetrics&) = delete;

  [[nodiscard]] Counter& counter(std::string_view name, std::string_view help,
                                 Labels labels) override;
  [[nodiscard]] Gauge& gauge(std::string_view name, std::string_view help, Labels labels) override;
  [[nodiscard]] Histogram& histogram(std::string_view name, std::string_view help,
                                     Labels labels) override;

  /// All figures, in the text format 0.0.4.
  [[nodiscard]] std::string exposition() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::app
