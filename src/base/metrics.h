#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

namespace postern {

/// Handles stay valid as long as the `Metrics` they came from. @thread any
class Counter {
 public:
  virtual ~Counter() = default;
  virtual void add(double count = 1) = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void set(double value) = 0;
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void observe(double value) = 0;
};

/// Where figures go. Take a handle once and keep it: looking one up costs a lock and a hash.
/// The same name and labels give the same handle. @thread any
class Metrics {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;
  virtual ~Metrics() = default;
  [[nodiscard]] virtual Counter& counter(std::string_view name, std::string_view help,
                                         Labels labels = {}) = 0;
  [[nodiscard]] virtual Gauge& gauge(std::string_view name, std::string_view help,
                                     Labels labels = {}) = 0;
  /// Durations in seconds, with buckets from 100 us to 10 s.
  [[nodiscard]] virtual Histogram& histogram(std::string_view name, std::string_view help,
                                             Labels labels = {}) = 0;
};

/// Counts nothing: for tests and tools.
class NullMetrics final : public Metrics {
 public:
  Counter& counter(std::string_view, std::string_view, Labels) override { return counter_; }
  Gauge& gauge(std::string_view, std::string_view, Labels) override { return gauge_; }
  Histogram& histogram(std::string_view, std::string_view, Labels) override { return histogram_; }

 private:
  struct NullCounter final : Counter {
    void add(double) override {}
  } counter_;
  struct NullGauge final : Gauge {
    void set(double) override {}
  } gauge_;
  struct NullHistogram final : Histogram {
    void observe(double) override {}
  } histogram_;
};

}  // namespace postern
