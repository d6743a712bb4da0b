#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "base/ip_address.h"
#include "base/log.h"
#include "base/message.h"
#include "base/metrics.h"
#include "http/refusal.h"
#include "http/server.h"

namespace postern::http {

/// What the threads of one listener share: its limits, its counts, its handles of metrics.
/// @thread any
class Listener {
 public:
  Listener(Server::Options options, HttpHandler& handler, Log& log, Metrics& metrics);

  /// Whether one more connection from `peer` is within the limits; counts the refusal otherwise.
  /// Each true is paired with one `release`.
  [[nodiscard]] bool admit(const IpAddress& peer);
  void release(const IpAddress& peer);
  /// Whether one more connection that a proxy has opened for `peer` is; counts the refusal
  /// otherwise. After true, the connection's `release` names `peer`.
  [[nodiscard]] bool admit_named(const IpAddress& peer);

  /// Adds to, or takes from, the bytes that requests hold.
  void hold(std::ptrdiff_t bytes) {
    bytes_held_.fetch_add(static_cast<std::size_t>(bytes), std::memory_order_relaxed);
  }
  [[nodiscard]] bool holds_too_much() const {
    return bytes_held_.load(std::memory_order_relaxed) > limits().bytes_held_max;
  }

  void count_refused(Refusal refusal) {
    refused_[static_cast<std::size_t>(refusal)].counter->add();
    refused_[static_cast<std::size_t>(refusal)].unlogged.fetch_add(1, std::memory_order_relaxed);
  }
  /// @param why  lives for ever; the next line of `log_refused` gives the last one as an example
  void count_handshake_failed(const char* why) {
    handshake_failure_.store(why, std::memory_order_relaxed);
    count_refused(Refusal::kTlsHandshake);
  }
  void count_reply(unsigned code) { replies_[code / 100 % replies_.size()]->add(); }

  /// One line for each reason since the last call: however much is refused, what is logged does not
  /// grow with it.
  void log_refused();
  void show_connections() {
    connections_gauge_.set(static_cast<double>(connections_.load(std::memory_order_relaxed)));
    bytes_gauge_.set(static_cast<double>(bytes_held_.load(std::memory_order_relaxed)));
  }

  [[nodiscard]] const Server::Options& options() const { return options_; }
  [[nodiscard]] const PeerRule& peers() const { return options_.peers; }
  /// Those in force. They live as long as the listener, so that a connection may hold on to them.
  [[nodiscard]] const Limits& limits() const { return *limits_.load(std::memory_order_acquire); }
  void set_limits(const Limits& limits);
  [[nodiscard]] HttpHandler& handler() { return handler_; }
  [[nodiscard]] Log& log() { return log_; }
  [[nodiscard]] const std::shared_ptr<std::atomic<std::size_t>>& in_flight() { return in_flight_; }

 private:
  struct Refused {
    Counter* counter = nullptr;
    std::atomic<std::int64_t> unlogged = 0;
  };

  const Server::Options options_;  ///< its limits are those of the start
  std::atomic<const Limits*> limits_;
  HttpHandler& handler_;
  Log& log_;
  Gauge& connections_gauge_;
  Gauge& bytes_gauge_;
  std::array<Counter*, 6> replies_{};  ///< by the code's first digit
  const std::shared_ptr<std::atomic<std::size_t>> in_flight_;

  std::array<Refused, kRefusalCount> refused_;
  std::atomic<const char*> handshake_failure_ = "";
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<std::size_t> bytes_held_ = 0;

  std::mutex mutex_;
  // Guarded by mutex_. No larger than the number of connections; a tree, so that peers cannot
  // choose addresses that collide.
  std::map<IpAddress, std::size_t> connections_by_peer_;
  /// Those that were ever set, each once: as many as an operator has thought of.
  std::list<Limits> known_limits_;
};

}  // namespace postern::http
