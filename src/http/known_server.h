#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/result.h"
#include "http/client.h"

/// Private to this room.
namespace postern::http {

/// Trusts a server whose certificate is known. Immutable; outlives its streams.
class KnownServer {
 public:
  /// @errors kFault tls_setup_failed, those of TlsIdentity::make about the client's own certificate
  [[nodiscard]] static Result<std::unique_ptr<KnownServer>> make(const ClientTls& tls);
  ~KnownServer();
  KnownServer(const KnownServer&) = delete;
  KnownServer& operator=(const KnownServer&) = delete;

  [[nodiscard]] boost::asio::ssl::context& context();

 private:
  struct Impl;
  explicit KnownServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace postern::http
