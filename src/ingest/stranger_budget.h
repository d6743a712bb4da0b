#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "base/ip_address.h"

namespace postern::ingest {

/// So many at once, and so many a second in the long run.
struct TokenRate {
  double per_s = 0;
  double burst = 0;
};

/// Tokens that flow in at a rate and are taken one by one; may go below zero, since who takes one
/// has already cost us. Value.
class TokenBucket {
 public:
  /// Full.
  TokenBucket(const TokenRate& rate, MonotonicTime now) : tokens_(rate.burst), at_(now) {}

  [[nodiscard]] bool has_one(const TokenRate& rate, MonotonicTime now);
  void take(const TokenRate& rate, MonotonicTime now);

 private:
  void refill(const TokenRate& rate, MonotonicTime now);

  double tokens_;
  MonotonicTime at_;
};

/// How many verifications may fail: strangers can send what looks like a callback as fast as they
/// like, and finding out costs a signature each time. A peer is an IPv4 address or an IPv6 /64.
///
/// - A peer that has used up its own budget at an account is not verified there; nobody else
///   notices, nor do the platform's other accounts, whose callbacks come from the same addresses
///   while one account's key is wrong.
/// - When all peers together have used up the common one, only peers that lately had a callback
///   verified are. That a peer was verified is not forgotten because strangers come: they fill a
///   table of their own.
///
/// Memory is bounded: the peer that was heard of longest ago is forgotten first. The tables are
/// trees, so that nobody can choose addresses that collide. A forgotten peer has a fresh budget of
/// its own, and the common one bounds what that is worth.
/// @thread any
class StrangerBudget {
 public:
  struct Options {
    TokenRate failed_per_peer{.per_s = 100, .burst = 1000};
    TokenRate failed{.per_s = 2000, .burst = 4000};
    std::size_t peers_max = 16'384;  ///< of those that failed, and as many that were verified
    std::chrono::hours verified_lately{24};
  };
  enum class Verdict : unsigned char {
    kVerify,
    kPeerSpent,  ///< the peer's own budget is used up
    kAllSpent,   ///< the common one is, and the peer was not verified lately
  };

  explicit StrangerBudget(const Options& options) : options_(options) {}

  /// Replaces rates and times; how many peers are remembered stays as it is.
  void configure(const Options& options);

  /// Whether a callback of `peer` is worth a verification.
  /// @param account  a number of the account it is for
  [[nodiscard]] Verdict judge(const IpAddress& peer, MonotonicTime now, std::size_t account = 0);
  /// A verification failed.
  void count_failed(const IpAddress& peer, MonotonicTime now, std::size_t account = 0);
  /// A callback was verified.
  void count_verified(const IpAddress& peer, MonotonicTime now);

  /// How many peers are remembered.
  [[nodiscard]] std::size_t remembered() const;

 private:
  /// The most recent first; bounded.
  template <class Key, class T>
  class Table {
   public:
    explicit Table(std::size_t size_max) : size_max_(size_max) {}
    /// nullptr where there is none.
    [[nodiscard]] T* find(const Key& key) {
      const auto found = entries_.find(key);
      return found == entries_.end() ? nullptr : &found->second->second;
    }
    /// Makes it where there is none, and forgets another one for it; it is now the most recent.
    T& touch(const Key& key, const T& fresh) {
      const auto [entry, is_new] = entries_.try_emplace(key);
      if (is_new) {
        order_.emplace_front(key, fresh);
        entry->second = order_.begin();
        if (entries_.size() > size_max_) {
          entries_.erase(order_.back().first);
          order_.pop_back();
        }
      } else {
        order_.splice(order_.begin(), order_, entry->second);
      }
      return order_.front().second;
    }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

   private:
    using Order = std::list<std::pair<Key, T>>;
    const std::size_t size_max_;
    Order order_;
    std::map<Key, typename Order::iterator> entries_;
  };

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  Options options_;
  TokenBucket common_{options_.failed, MonotonicTime{}};
  Table<std::pair<IpAddress, std::size_t>, TokenBucket> failed_{options_.peers_max};
  Table<IpAddress, MonotonicTime> verified_{options_.peers_max};
};

}  // namespace postern::ingest
