#include "http/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace postern::http {
namespace {

struct AddressListRelease {
  void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};

[[nodiscard]] std::optional<IpAddress> address_of(const sockaddr* address) {
  IpAddress result;
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    std::memcpy(result.bytes.data(), &v4.sin_addr, 4);
    return result;
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    result.family = IpAddress::Family::kV6;
    std::memcpy(result.bytes.data(), &v6.sin6_addr, 16);
    return result;
  }
  return std::nullopt;
}

[[nodiscard]] Result<std::vector<IpAddress>> look_up(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (error != 0) return retryable("name_not_resolved", host + ": " + ::gai_strerror(error));
  const std::unique_ptr<addrinfo, AddressListRelease> list(found);
  std::vector<IpAddress> addresses;
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    const auto address = address_of(one->ai_addr);
    if (address && std::ranges::find(addresses, *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  if (addresses.empty()) return retryable("name_not_resolved", host + ": no address");
  return addresses;
}

}  // namespace

/// Shared with the threads, which may outlive the resolver.
struct SystemResolver::State {
  struct Question {
    std::string host;
    Done done;
  };

  std::mutex mutex;
  std::condition_variable is_asked;
  // Guarded by mutex.
  std::deque<Question> questions;
  std::size_t threads = 0;
  std::size_t idle = 0;
  bool is_closed = false;

  static void work(const std::shared_ptr<State>& state);
};

void SystemResolver::State::work(const std::shared_ptr<State>& state) {
  sigset_t all;
  sigfillset(&all);
  // Signals are for the thread that waits for them.
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(state->mutex);
  while (true) {
    ++state->idle;
    state->is_asked.wait(lock, [&] { return state->is_closed || !state->questions.empty(); });
    --state->idle;
    if (state->questions.empty()) return;
    Question question = std::move(state->questions.front());
    state->questions.pop_front();
    lock.unlock();
    question.done(look_up(question.host, 0));
    question.done = nullptr;
    lock.lock();
  }
}

SystemResolver::SystemResolver() : state_(std::make_shared<State>()) {}

SystemResolver::~SystemResolver() {
  std::deque<State::Question> refused;
  {
    const std::scoped_lock lock(state_->mutex);
    state_->is_closed = true;
    refused.swap(state_->questions);
  }
  state_->is_asked.notify_all();
  for (State::Question& question : refused) {
    question.done(retryable("resolver_busy", "shutting down"));
  }
}

void SystemResolver::resolve(std::string host, Done done) {
  {
    const std::scoped_lock lock(state_->mutex);
    bool is_taken = state_->questions.size() < kQueueMax;
    // A thread that has been woken still counts as idle until it runs.
    if (is_taken && state_->idle <= state_->questions.size() && state_->threads < kThreadsMax) {
      try {
        std::thread([state = state_] { State::work(state); }).detach();
        ++state_->threads;
      } catch (const std::system_error&) {
        // Without any thread nobody would ever answer.
        is_taken = state_->threads > 0;
      }
    }
    if (is_taken) {
      state_->questions.push_back({std::move(host), std::move(done)});
      state_->is_asked.notify_one();
      return;
    }
  }
  done(retryable("resolver_busy", "too many names wait for the name server"));
}

std::optional<IpAddress> SystemResolver::numeric(const std::string& host) {
  const auto found = look_up(host, AI_NUMERICHOST);
  return found ? std::optional(found->front()) : std::nullopt;
}

}  // namespace postern::http
