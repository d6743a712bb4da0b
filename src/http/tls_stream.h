#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

/// Client connections with and without TLS behind one interface, so that one file instantiates the
/// templates of both. Private to this room.
namespace postern::http {

/// A connection as its user sees it. Operations end with an error once the socket is closed.
/// @thread one; one operation at a time
class ClientStream {
 public:
  template <class T>
  using Awaitable = boost::asio::awaitable<T>;
  using ErrorCode = boost::system::error_code;
  struct ReadResult {
    ErrorCode error;
    std::size_t size = 0;
  };

  virtual ~ClientStream() = default;
  [[nodiscard]] virtual boost::asio::ip::tcp::socket& socket() = 0;
  /// Empty where it succeeds, otherwise why the other side is not trusted.
  [[nodiscard]] virtual Awaitable<std::string> handshake() = 0;
  [[nodiscard]] virtual Awaitable<ReadResult> read_some(std::span<char> buffer) = 0;
  /// Writes all of `bytes`; after an error the last byte of them has not left.
  [[nodiscard]] virtual Awaitable<ErrorCode> write(std::string_view bytes) = 0;

  void close();
};

[[nodiscard]] std::unique_ptr<ClientStream> plain_stream(boost::asio::ip::tcp::socket socket);

/// What is trusted. Immutable after construction; outlives its streams.
class TlsClientContext {
 public:
  /// @param ca_file  PEM; empty: the system's roots
  /// @errors kFault tls_setup_failed, ca_file_unreadable
  [[nodiscard]] static Result<std::unique_ptr<TlsClientContext>> make(const std::string& ca_file);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  /// @param host  name or numeric address the certificate must be for
  /// @errors kFault tls_setup_failed
  [[nodiscard]] Result<std::unique_ptr<ClientStream>> wrap(boost::asio::ip::tcp::socket socket,
                                                           const std::string& host);

 private:
  struct Impl;
  explicit TlsClientContext(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace postern::http
