#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.h"
#include "base/result.h"

namespace postern::http {

/// Turns host names into addresses. @thread any
class Resolver {
 public:
  using Done = std::move_only_function<void(Result<std::vector<IpAddress>>)>;
  virtual ~Resolver() = default;
  /// Calls `done` exactly once, on any thread, possibly before it returns and possibly long after
  /// the caller has lost interest. What is found is not empty.
  /// @errors kRetryable name_not_resolved, resolver_busy
  virtual void resolve(std::string host, Done done) = 0;
};

/// The host's own resolver. getaddrinfo cannot be cancelled, so it runs on a few threads of its
/// own, which are started when first needed and never waited for: a name server that does not
/// answer holds up other names only when it holds all of the threads, and never holds up an end.
class SystemResolver final : public Resolver {
 public:
  static constexpr std::size_t kThreadsMax = 4;
  static constexpr std::size_t kQueueMax = 256;

  SystemResolver();
  /// Refuses what waits; what runs is answered by its thread later.
  ~SystemResolver() override;
  SystemResolver(const SystemResolver&) = delete;
  SystemResolver& operator=(const SystemResolver&) = delete;

  void resolve(std::string host, Done done) override;

  /// What `host` means without asking anyone: "127.0.0.1" and "[::1]" without brackets, but also
  /// "127.1", "2130706433" and "0x7f.1", which the host's resolver takes for addresses. Nothing
  /// where it is a name.
  [[nodiscard]] static std::optional<IpAddress> numeric(const std::string& host);

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace postern::http
