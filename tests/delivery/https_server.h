#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

namespace postern::delivery::testing {

/// A certificate and its private key, PEM.
struct ServerIdentity {
  std::string certificate;
  std::string key;
};

/// An authority made on the spot. Not movable: its certificates are issued by one key.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  struct Wanted {
    std::string common_name = "test server";
    std::string alternative_names;  ///< as OpenSSL writes them: "DNS:shop.test,IP:127.0.0.1"
    long valid_from_seconds = -3600;
    long valid_to_seconds = 3600;
  };
  [[nodiscard]] ServerIdentity issue(const Wanted& wanted) const;
  [[nodiscard]] std::string pem() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A listening socket on a loopback port of its own; the caller closes it.
struct LoopbackListener {
  int descriptor = -1;
  std::uint16_t port = 0;
};
[[nodiscard]] LoopbackListener listen_on_loopback(int backlog);

/// A real HTTP(S) server on a loopback port of its own, which says to every request what the test
/// wants it to say, byte for byte. One thread a connection, blocking calls.
class HttpsServer {
 public:
  struct Options {
    std::optional<ServerIdentity> identity;  ///< none: plain HTTP
    int tls_version_max = 0;                 ///< as OpenSSL numbers them; 0: the newest
    int broken_request = -1;  ///< from 0: reset in the middle of this one, once it has begun
  };
  /// One connection, as the script sees it.
  class Peer {
   public:
    /// False where the other side has gone.
    bool write(std::string_view bytes);
    /// Waits until the other side closes, or the server ends.
    void wait_for_end();
    /// What SNI named.
    [[nodiscard]] std::string server_name() const;

   private:
    friend class HttpsServer;
    [[nodiscard]] long read(char* buffer, std::size_t size);
    int fd_ = -1;
    ssl_st* ssl_ = nullptr;
  };
  enum class Then : unsigned char { kReadNext, kClose };
  using Script = std::function<Then(Peer&, const std::string& request)>;

  HttpsServer(Options options, Script script);
  ~HttpsServer();
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int accepted() const { return accepted_; }
  [[nodiscard]] std::vector<std::string> requests() const;
  /// Whether so many requests come in within 20 s.
  [[nodiscard]] bool wait_for_requests(std::size_t count) const;
  [[nodiscard]] std::vector<std::string> server_names() const;

 private:
  void accept_all();
  void serve(int fd);
  [[nodiscard]] std::optional<std::string> read_request(Peer& peer, std::string& buffer);

  const Script script_;
  const int broken_request_;
  ssl_ctx_st* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> accepted_ = 0;
  std::atomic<int> begun_ = 0;
  std::atomic<bool> is_ending_ = false;

  mutable std::mutex mutex_;
  mutable std::condition_variable is_requested_;
  // Guarded by mutex_.
  std::vector<std::string> requests_;
  std::vector<std::string> server_names_;
  std::list<int> open_;
  std::list<std::thread> threads_;

  std::thread acceptor_;
};

/// An HTTP/1.1 response with Content-Length.
[[nodiscard]] std::string response(int code, std::string_view body = "",
                                   std::string_view fields = "");
/// A field of a request as received; empty where there is none.
[[nodiscard]] std::string field_of(const std::string& request, std::string_view name);
[[nodiscard]] std::string body_of(const std::string& request);

}  // namespace postern::delivery::testing
