#include "tests/delivery/https_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>

namespace postern::delivery::testing {
namespace {

struct Releaser {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
template <class T>
using Owned = std::unique_ptr<T, Releaser>;

template <class Write>
std::string written(Write write) {
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  write(bio.get());
  char* begin = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &begin);
  return {begin, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Owned<X509> make_certificate(EVP_PKEY* key, const std::string& common_name, long from, long to) {
  static std::atomic<long> serial = 1;
  Owned<X509> certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), to);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  return certificate;
}

}  // namespace

struct TestAuthority::Impl {
  Owned<EVP_PKEY> key{EVP_EC_gen("P-256")};
  Owned<X509> certificate = make_certificate(key.get(), "test authority", -7200, 7200);
};

TestAuthority::TestAuthority() : impl_(std::make_unique<Impl>()) {
  X509* own = impl_->certificate.get();
  X509_set_issuer_name(own, X509_get_subject_name(own));
  add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(own, own, NID_key_usage, "critical,keyCertSign");
  X509_sign(own, impl_->key.get(), EVP_sha256());
}
TestAuthority::~TestAuthority() = default;

ServerIdentity TestAuthority::issue(const Wanted& wanted) const {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Owned<X509> certificate = make_certificate(
      key.get(), wanted.common_name, wanted.valid_from_seconds, wanted.valid_to_seconds);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(impl_->certificate.get()));
  if (!wanted.alternative_names.empty()) {
    add_extension(certificate.get(), impl_->certificate.get(), NID_subject_alt_name,
                  wanted.alternative_names);
  }
  X509_sign(certificate.get(), impl_->key.get(), EVP_sha256());
  return {written([&](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); }),
          written([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

std::string TestAuthority::pem() const {
  return written([&](BIO* bio) { PEM_write_bio_X509(bio, impl_->certificate.get()); });
}

bool HttpsServer::Peer::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const long sent = ssl_ != nullptr
                          ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                          : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

long HttpsServer::Peer::read(char* buffer, std::size_t size) {
  return ssl_ != nullptr ? SSL_read(ssl_, buffer, static_cast<int>(size))
                         : ::recv(fd_, buffer, size, 0);
}

void HttpsServer::Peer::wait_for_end() {
  std::array<char, 1024> ignored;
  while (read(ignored.data(), ignored.size()) > 0) continue;
}

std::string HttpsServer::Peer::server_name() const {
  const char* name =
      ssl_ == nullptr ? nullptr : SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "" : name;
}

LoopbackListener listen_on_loopback(int backlog) {
  LoopbackListener listening{.descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* const bound = reinterpret_cast<const sockaddr*>(&address);
  EXPECT_EQ(::bind(listening.descriptor, bound, sizeof address), 0);
  EXPECT_EQ(::listen(listening.descriptor, backlog), 0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::getsockname(listening.descriptor, reinterpret_cast<sockaddr*>(&address), &size), 0);
  listening.port = ntohs(address.sin_port);
  return listening;
}

HttpsServer::HttpsServer(Options options, Script script)
    : script_(std::move(script)), broken_request_(options.broken_request) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (options.identity) {
    context_ = SSL_CTX_new(TLS_server_method());
    const Owned<BIO> certificate(BIO_new_mem_buf(options.identity->certificate.data(), -1));
    const Owned<X509> parsed(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
    const Owned<BIO> key(BIO_new_mem_buf(options.identity->key.data(), -1));
    const Owned<EVP_PKEY> pkey(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    EXPECT_EQ(SSL_CTX_use_certificate(context_, parsed.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_, pkey.get()), 1);
    if (options.tls_version_max != 0) {
      // OpenSSL speaks the old versions only without any claim to security.
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
      SSL_CTX_set_max_proto_version(context_, options.tls_version_max);
    }
  }
  const LoopbackListener listening = listen_on_loopback(64);
  listener_ = listening.descriptor;
  port_ = listening.port;
  acceptor_ = std::thread([this] { accept_all(); });
}

HttpsServer::~HttpsServer() {
  is_ending_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  {
    const std::scoped_lock lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  SSL_CTX_free(context_);
}

void HttpsServer::accept_all() {
  while (!is_ending_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++accepted_;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::scoped_lock lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void HttpsServer::serve(int fd) {
  Peer peer;
  peer.fd_ = fd;
  bool is_open = true;
  if (context_ != nullptr) {
    peer.ssl_ = SSL_new(context_);
    SSL_set_fd(peer.ssl_, fd);
    is_open = SSL_accept(peer.ssl_) == 1;
  }
  std::string buffer;
  while (is_open) {
    const auto request = read_request(peer, buffer);
    if (!request) break;
    {
      const std::scoped_lock lock(mutex_);
      requests_.push_back(*request);
      server_names_.push_back(peer.server_name());
    }
    is_requested_.notify_all();
    is_open = script_(peer, *request) == Then::kReadNext;
  }
  if (peer.ssl_ != nullptr) {
    SSL_shutdown(peer.ssl_);
    SSL_free(peer.ssl_);
  }
  const std::scoped_lock lock(mutex_);
  open_.remove(fd);
  ::close(fd);
}

std::optional<std::string> HttpsServer::read_request(Peer& peer, std::string& buffer) {
  const auto append = [&] {
    std::array<char, 4096> chunk;
    const long got = peer.read(chunk.data(), chunk.size());
    if (got > 0) buffer.append(chunk.data(), static_cast<std::size_t>(got));
    return got > 0;
  };
  if (buffer.empty() && !append()) return std::nullopt;
  if (begun_++ == broken_request_) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(peer.fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return std::nullopt;
  }
  while (true) {
    const std::size_t end = buffer.find("\r\n\r\n");
    if (end != std::string::npos) {
      const std::string length = field_of(buffer, "Content-Length");
      const std::size_t size = end + 4 + std::strtoul(length.c_str(), nullptr, 10);
      if (buffer.size() >= size) {
        std::string request = buffer.substr(0, size);
        buffer.erase(0, size);
        return request;
      }
    }
    if (!append()) return std::nullopt;
  }
}

std::vector<std::string> HttpsServer::requests() const {
  const std::scoped_lock lock(mutex_);
  return requests_;
}

bool HttpsServer::wait_for_requests(std::size_t count) const {
  std::unique_lock lock(mutex_);
  return is_requested_.wait_for(lock, std::chrono::seconds(20),
                                [&] { return requests_.size() >= count; });
}

std::vector<std::string> HttpsServer::server_names() const {
  const std::scoped_lock lock(mutex_);
  return server_names_;
}

std::string response(int code, std::string_view body, std::string_view fields) {
  return fmt::format("HTTP/1.1 {} Said\r\nContent-Length: {}\r\n{}\r\n{}", code, body.size(),
                     fields, body);
}

std::string field_of(const std::string& request, std::string_view name) {
  const std::string header = request.substr(0, request.find("\r\n\r\n") + 2);
  const std::string wanted = fmt::format("\r\n{}: ", name);
  const std::size_t begin = header.find(wanted);
  if (begin == std::string::npos) return "";
  const std::size_t value = begin + wanted.size();
  return header.substr(value, header.find("\r\n", value) - value);
}

std::string body_of(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}

}  // namespace postern::delivery::testing
