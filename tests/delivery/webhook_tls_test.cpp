// Goal: an event goes to whom the URL names and to nobody else: TLS proves the name, the guard
// refuses addresses inside.
// Method: a real TLS server whose certificate is issued on the spot, right or wrong in one respect;
// a resolver that says what a hostile name server would. Where a refusal is expected, the same
// server is shown to work for a client that asks for less.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "tests/delivery/webhook_support.h"

namespace postern::delivery::testing {
namespace {

using Then = HttpsServer::Then;

class WebhookTls : public ::testing::Test {
 protected:
  WebhookTls() { folder_.write("ca.pem", authority_.pem()); }

  [[nodiscard]] WebhookOptions options(const HttpsServer& server,
                                       const std::string& host = "shop.test") {
    return {.url = fmt::format("https://{}:{}/", host, server.port()),
            .ca_file = folder_ / "ca.pem",
            .allow_networks = {"127.0.0.0/8"}};
  }
  /// One message to a server with that certificate, under the name `host`.
  Answer send(const TestAuthority::Wanted& wanted, const std::string& host = "shop.test",
              int tls_version_max = 0) {
    HttpsServer server({authority_.issue(wanted), tls_version_max}, always(response(200)));
    Sender sender(options(server, host));
    sender.resolver().set(host, {{"127.0.0.1"}});
    Answer answer = sender.send();
    received_ = server.requests().size();
    server_names_ = server.server_names();
    return answer;
  }

  postern::testing::TemporaryFolder folder_;
  TestAuthority authority_;
  std::size_t received_ = 0;
  std::vector<std::string> server_names_;
};

TEST_F(WebhookTls, DeliversToWhomTheCertificateNames) {
  EXPECT_EQ(word(send({.alternative_names = "DNS:shop.test"})), "delivered 200");
  EXPECT_EQ(server_names_, std::vector<std::string>{"shop.test"});
  EXPECT_EQ(word(send({.alternative_names = "DNS:*.shop.test"}, "a.shop.test")), "delivered 200");
  EXPECT_EQ(word(send({.alternative_names = "IP:127.0.0.1"}, "127.0.0.1")), "delivered 200");
  EXPECT_EQ(server_names_, std::vector<std::string>{""}) << "an address in SNI";
}

TEST_F(WebhookTls, RefusesOtherCertificates) {
  const auto refused = [&](const TestAuthority::Wanted& wanted, const char* host,
                           const char* reason) {
    const Answer answer = send(wanted, host);
    EXPECT_EQ(word(answer), "not_delivered tls_failed") << reason;
    EXPECT_NE(answer.excerpt.find(reason), std::string::npos) << answer.excerpt;
    EXPECT_EQ(received_, 0U) << reason;
  };
  refused({.alternative_names = "DNS:other.test"}, "shop.test", "hostname mismatch");
  refused({.alternative_names = "DNS:a*.shop.test"}, "aa.shop.test", "hostname mismatch");
  refused({.alternative_names = "DNS:*.shop.test"}, "b.a.shop.test", "hostname mismatch");
  refused({.common_name = "shop.test"}, "shop.test", "hostname mismatch");
  refused({.common_name = "127.0.0.1", .alternative_names = "DNS:127.0.0.1"}, "127.0.0.1",
          "IP address mismatch");
  refused({.alternative_names = "DNS:shop.test",
           .valid_from_seconds = -7200,
           .valid_to_seconds = -3600},
          "shop.test", "certificate has expired");
  refused(
      {.alternative_names = "DNS:shop.test", .valid_from_seconds = 3600, .valid_to_seconds = 7200},
      "shop.test", "not yet valid");
}

TEST_F(WebhookTls, RefusesAnUnknownAuthority) {
  const TestAuthority other;
  HttpsServer server({other.issue({.alternative_names = "DNS:shop.test"})}, always(response(200)));
  for (const bool is_system : {false, true}) {
    WebhookOptions wanted = options(server);
    if (is_system) wanted.ca_file.clear();
    Sender sender(wanted);
    sender.resolver().set("shop.test", {{"127.0.0.1"}});
    const Answer answer = sender.send();
    EXPECT_EQ(word(answer), "not_delivered tls_failed") << answer.excerpt;
    EXPECT_EQ(server.requests().size(), 0U);
  }
}

/// Whether a client that insists on nothing gets through to the server.
bool connects_with(std::uint16_t port, int version) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(context, 0);
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  const bool connects = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                        SSL_connect(ssl) == 1;
  SSL_free(ssl);
  SSL_CTX_free(context);
  ::close(fd);
  return connects;
}

TEST_F(WebhookTls, RefusesOldVersions) {
  const TestAuthority::Wanted wanted{.alternative_names = "DNS:shop.test"};
  for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
    HttpsServer server({authority_.issue(wanted), version}, always(response(200)));
    ASSERT_TRUE(connects_with(server.port(), version)) << "the server is not what it should be";
    Sender sender(options(server));
    sender.resolver().set("shop.test", {{"127.0.0.1"}});
    EXPECT_EQ(word(sender.send()), "not_delivered tls_failed");
    EXPECT_EQ(server.requests().size(), 0U);
  }
  EXPECT_EQ(word(send(wanted, "shop.test", TLS1_2_VERSION)), "delivered 200");
  EXPECT_EQ(word(send(wanted, "shop.test", TLS1_3_VERSION)), "delivered 200");
}

/// The names of the cipher suites in a ClientHello. Source: RFC 8446, section 4.1.2.
std::vector<std::string> suites_offered(std::uint16_t port, const WebhookOptions& wanted,
                                        int listener) {
  Sender sender(wanted);
  Answers answers;
  sender.sink().send(message(), answers.take());
  const int peer = ::accept(listener, nullptr, nullptr);
  std::array<unsigned char, 4096> hello{};
  const ssize_t got = ::recv(peer, hello.data(), hello.size(), 0);
  ::close(peer);
  answers.wait(1);
  // Record 5, handshake 4, version 2, random 32, session id 1 + its length, suites 2 + length.
  const std::size_t at = 5 + 4 + 2 + 32 + 1 + std::size_t{hello[43]};
  const std::size_t size = std::size_t{hello[at]} * 256 + hello[at + 1];
  EXPECT_GT(got, static_cast<ssize_t>(at + 2 + size)) << "at port " << port;
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  std::vector<std::string> names;
  for (std::size_t i = at + 2; i < at + 2 + size; i += 2) {
    if (hello[i] == 0x00 && hello[i + 1] == 0xFF) continue;  // says "no renegotiation", no suite
    const SSL_CIPHER* suite = SSL_CIPHER_find(ssl, &hello[i]);
    names.emplace_back(suite == nullptr ? "unknown" : SSL_CIPHER_get_name(suite));
    if (suite == nullptr) continue;
    EXPECT_GE(SSL_CIPHER_get_bits(suite, nullptr), 128) << names.back();
    EXPECT_NE(SSL_CIPHER_get_auth_nid(suite), NID_auth_null) << names.back();
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  return names;
}

// No server can talk it into RC4, 3DES, export ciphers, none at all, or an unnamed peer.
TEST_F(WebhookTls, OffersNoWeakCipher) {
  const auto [listener, port] = listen_on_loopback(8);
  const std::vector<std::string> names =
      suites_offered(port,
                     {.url = fmt::format("https://127.0.0.1:{}/", port),
                      .ca_file = folder_ / "ca.pem",
                      .allow_networks = {"127.0.0.1"}},
                     listener);
  ::close(listener);
  EXPECT_FALSE(names.empty());
  for (const std::string& name : names) {
    for (const char* weak : {"unknown", "RC4", "DES", "NULL", "EXP", "MD5", "ADH", "AECDH"}) {
      EXPECT_EQ(name.find(weak), std::string::npos) << name;
    }
  }
}

TEST_F(WebhookTls, SpeaksNoTlsWithAPlainServer) {
  HttpsServer server({}, always(response(200)));
  WebhookOptions wanted = options(server);
  wanted.exchange_timeout = 2s;
  wanted.connect_timeout = 500ms;
  Sender sender(wanted);
  sender.resolver().set("shop.test", {{"127.0.0.1"}});
  // The server waits for the end of a header in what is a ClientHello.
  EXPECT_EQ(word(sender.send()), "not_delivered timed_out");
}

TEST_F(WebhookTls, ReusesAConnection) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    HttpsServer server({authority_.issue({.alternative_names = "DNS:shop.test"}), version},
                       always(response(200, "thanks")));
    Sender sender(options(server));
    sender.resolver().set("shop.test", {{"127.0.0.1"}});
    for (int i = 0; i < 20; ++i) EXPECT_EQ(word(sender.send()), "delivered 200");
    EXPECT_EQ(server.accepted(), 1);
    EXPECT_EQ(sender.resolver().questions(), 1);
  }
}

TEST_F(WebhookTls, NoticesThatAKeptConnectionWasClosed) {
  HttpsServer server({authority_.issue({.alternative_names = "DNS:shop.test"})},
                     always(response(200), Then::kClose));
  Sender sender(options(server));
  sender.resolver().set("shop.test", {{"127.0.0.1"}});
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(word(sender.send()), "delivered 200");
    std::this_thread::sleep_for(50ms);
  }
}

TEST_F(WebhookTls, AnswersASendThatIsStillShakingHands) {
  // Accepts connections and never says anything.
  const auto [listener, port] = listen_on_loopback(8);
  WebhookOptions wanted{.url = fmt::format("https://127.0.0.1:{}/", port),
                        .ca_file = folder_ / "ca.pem",
                        .allow_networks = {"127.0.0.1"},
                        .connect_timeout = 200ms};
  Sender patient(wanted);
  EXPECT_EQ(word(patient.send()), "not_delivered timed_out");
  Sender sender(wanted);
  Answers answers;
  sender.sink().send(message(), answers.take());
  std::this_thread::sleep_for(50ms);
  sender.destroy();
  EXPECT_EQ(word(answers.wait(1).at(0)), "not_delivered shutting_down");
  ::close(listener);
}

/// What comes of one message to a name with these addresses, given to a server that would take it.
std::string verdict_for(std::vector<std::vector<std::string>> addresses,
                        std::vector<std::string> allowed, int* accepted = nullptr) {
  HttpsServer server({}, always(response(200)));
  Sender sender({.url = fmt::format("http://shop.test:{}/", server.port()),
                 .insecure_http = InsecureHttp::kAllowed,
                 .allow_networks = std::move(allowed),
                 .connect_timeout = 500ms});
  sender.resolver().set("shop.test", std::move(addresses));
  const Answer answer = sender.send();
  if (accepted != nullptr) *accepted = server.accepted();
  return word(answer);
}

TEST(WebhookGuard, RefusesNamesThatPointInside) {
  int accepted = 0;
  EXPECT_EQ(verdict_for({{"127.0.0.1"}}, {}, &accepted), "not_delivered address_not_allowed");
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(verdict_for({{"::ffff:127.0.0.1"}}, {}, &accepted),
            "not_delivered address_not_allowed");
  EXPECT_EQ(accepted, 0);
  EXPECT_EQ(verdict_for({{"127.0.0.1"}}, {"10.0.0.0/8"}), "not_delivered address_not_allowed");
  EXPECT_EQ(verdict_for({{"8.8.8.8", "127.0.0.1"}}, {}), "not_delivered address_not_allowed");
  EXPECT_EQ(verdict_for({{"127.0.0.1", "10.0.0.1"}}, {"127.0.0.1"}),
            "not_delivered address_not_allowed");
  EXPECT_EQ(verdict_for({{"127.0.0.1"}}, {"127.0.0.0/8"}, &accepted), "delivered 200");
  EXPECT_EQ(accepted, 1);
}

TEST(WebhookGuard, ConnectsToWhatItHasChecked) {
  // A name server that says something harmless when asked to be checked and something else when
  // asked for the connection: there is no second question.
  HttpsServer server({}, always(response(200)));
  Sender sender({.url = fmt::format("http://shop.test:{}/", server.port()),
                 .insecure_http = InsecureHttp::kAllowed,
                 .allow_networks = {"127.0.0.2"},
                 .connect_timeout = 500ms});
  // Nobody listens at 127.0.0.2.
  sender.resolver().set("shop.test", {{"127.0.0.2"}, {"127.0.0.1"}});
  EXPECT_EQ(word(sender.send()), "not_delivered connect_failed");
  EXPECT_EQ(sender.resolver().questions(), 1);
  EXPECT_EQ(server.accepted(), 0);
  EXPECT_EQ(word(sender.send()), "not_delivered address_not_allowed");
  EXPECT_EQ(server.accepted(), 0);
}

TEST(WebhookGuard, TriesTheNextAddress) {
  EXPECT_EQ(verdict_for({{"127.0.0.9", "127.0.0.1"}}, {"127.0.0.0/8"}), "delivered 200");
}

TEST(WebhookGuard, DoesNotWaitForASilentNameServer) {
  Sender sender({.url = "https://silent.test/", .connect_timeout = 100ms});
  EXPECT_EQ(word(sender.send()), "not_delivered timed_out");
  Answers answers;
  Sender busy({.url = "https://silent.test/"});
  busy.sink().send(message(), answers.take());
  busy.destroy();
  EXPECT_EQ(word(answers.wait(1).at(0)), "not_delivered shutting_down");
}

TEST(WebhookGuard, UsesTheHostsResolver) {
  NullLog log;
  StoppedClock clock;
  http::ClientThread thread(log);
  HttpsServer server({}, always(response(200)));
  const auto send = [&](const std::string& host, std::vector<std::string> allowed) {
    WebhookOptions options{.url = fmt::format("http://{}:{}/", host, server.port()),
                           .insecure_http = InsecureHttp::kAllowed,
                           .secrets = {Secret(kSecret)},
                           .allow_networks = std::move(allowed)};
    const auto sink = WebhookSink::open(options, thread, clock).value();
    Answers answers;
    sink->send(message(), answers.take());
    return word(answers.wait(1).at(0));
  };
  EXPECT_EQ(send("localhost", {}), "not_delivered address_not_allowed");
  EXPECT_EQ(send("localhost", {"127.0.0.0/8", "::1"}), "delivered 200");
  EXPECT_EQ(send("no-such-host.invalid", {}), "not_delivered name_not_resolved");
}

TEST(WebhookSettings, AreRefusedWhereTheyCannotWork) {
  NullLog log;
  StoppedClock clock;
  http::ClientThread thread(log);
  const auto code = [&](WebhookOptions options) {
    if (options.secrets.empty()) options.secrets = {Secret(kSecret)};
    const auto sink = WebhookSink::open(std::move(options), thread, clock);
    return sink ? std::string("opened") : std::string(sink.error().code);
  };
  EXPECT_EQ(code({.url = "https://shop.example/payments"}), "opened");
  EXPECT_EQ(code({.url = "http://shop.example/"}), "url_not_secure");
  EXPECT_EQ(code({.url = "http://shop.example/", .insecure_http = InsecureHttp::kAllowed}),
            "opened");
  for (const char* url :
       {"file:///etc/passwd", "gopher://shop.example/", "unix:/run/x", "ftp://shop.example/"}) {
    EXPECT_EQ(code({.url = url}), "url_scheme_unsupported") << url;
  }
  for (const char* url :
       {"", "shop.example", "/payments", "https://", "https:///x", "https://user:pw@shop.example/",
        "https://shop.example/#x", "https://shop.example:0/", "https://shop.example:80x/",
        "https://shop.example:65536/", "https://shop.example/a b", "https://shop.example/a\tb",
        "https://shop.example/\r\nX: y", "https://shop.example\\@evil.example/",
        "https://sh%0d%0aop.example/", "https://[fe80::1%25eth0]/", "https://shop..example./"}) {
    EXPECT_EQ(code({.url = url}), "url_malformed") << url;
  }
  for (const char* host : {"127.0.0.1",
                           "127.1",
                           "2130706433",
                           "0x7f.1",
                           "0177.0.0.1",
                           "0",
                           "[::1]",
                           "[::]",
                           "[::ffff:127.0.0.1]",
                           "[::ffff:7f00:1]",
                           "[64:ff9b::7f00:1]",
                           "[fe80::1]",
                           "[fd00::1]",
                           "10.1.2.3",
                           "172.16.0.1",
                           "192.168.1.1",
                           "100.64.0.1",
                           "169.254.169.254",
                           "100.100.100.200",
                           "224.0.0.1",
                           "255.255.255.255"}) {
    EXPECT_EQ(code({.url = fmt::format("https://{}/", host)}), "address_not_allowed") << host;
  }
  for (const int port : {22, 25, 6379}) {
    EXPECT_EQ(code({.url = fmt::format("https://shop.example:{}/", port)}), "port_not_allowed");
  }
  EXPECT_EQ(code({.url = "https://10.1.2.3/", .allow_networks = {"10.0.0.0/8"}}), "opened");
  EXPECT_EQ(code({.url = "https://shop.example/", .allow_networks = {"ten/8"}}),
            "network_malformed");
  EXPECT_EQ(code({.url = "https://shop.example/", .ca_file = "/no/such/file.pem"}),
            "ca_file_unreadable");
  EXPECT_EQ(code({.url = "https://shop.example/", .secrets = {Secret("plain")}}),
            "webhook_secret_malformed");
}

}  // namespace
}  // namespace postern::delivery::testing
