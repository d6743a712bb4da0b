// Goal: a listener under TLS does what one in plain text does, speaks no version or cipher that is
// weak, lets nobody stay who does not get through the handshake, and changes its certificate
// without losing a request. Method: OpenSSL's client over a real socket, which can cut what it
// sends into pieces; certificates and keys are made on the spot.

#include "http/tls_server.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <chrono>
#include <thread>

#include "tests/http/attacks.h"
#include "tests/http/tls_client.h"

namespace postern::http::testing {
namespace {

using postern::testing::curve_key;
using postern::testing::Issued;
using postern::testing::make_authority;
using postern::testing::rsa_key;

[[nodiscard]] std::string ask(TlsClient& client, std::string_view target, std::string_view body) {
  if (!client.send(post(target, body))) return "not sent";
  return client.read_reply().value_or(Reply{.body = "no reply"}).body;
}

TEST(TlsServer, SpeaksBothVersionsWithForwardSecrecyOnly) {
  TlsTestServer test;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(test.port(), {.version_min = version, .version_max = version});
    ASSERT_TRUE(client.shake_hands());
    EXPECT_EQ(SSL_version(client.native()), version);
    EXPECT_EQ(ask(client, "/one", "hello"), "/one|hello");
    EXPECT_EQ(ask(client, "/two", "again"), "/two|again");
    const std::string cipher = SSL_get_cipher_name(client.native());
    EXPECT_TRUE(cipher.starts_with("ECDHE-") || cipher.starts_with("TLS_")) << cipher;
    EXPECT_NE(cipher.find("GCM"), std::string::npos) << cipher;
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.native(), &protocol, &size);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(protocol), size), "http/1.1");
    EXPECT_FALSE(SSL_SESSION_has_ticket(SSL_get_session(client.native())) != 0);
  }
  EXPECT_EQ(test.refused("tls_handshake"), 0);
}

TEST(TlsServer, RefusesWeakVersionsCiphersAndOtherProtocols) {
  TlsTestServer test;
  TlsClient old(test.port(), {.version_min = TLS1_VERSION, .version_max = TLS1_1_VERSION});
  EXPECT_FALSE(old.shake_hands());
  TlsClient without_secrecy(test.port(), {.version_max = TLS1_2_VERSION});
  SSL_set_cipher_list(without_secrecy.native(), "AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA");
  EXPECT_FALSE(without_secrecy.shake_hands());
  TlsClient other(test.port(), {.protocols = "\x02h2"});
  EXPECT_FALSE(other.shake_hands());
  TlsClient silent_about_it(test.port(), {.protocols = ""});
  EXPECT_TRUE(silent_about_it.shake_hands());
  EXPECT_TRUE(eventually([&] { return test.refused("tls_handshake") == 3; }));
  EXPECT_EQ(ask(silent_about_it, "/", "x"), "/|x");
}

TEST(TlsServer, TakesBytesAsTheyCome) {
  TlsTestServer test;
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      TlsClient client(test.port(), {.version_max = version, .piece = piece});
      ASSERT_TRUE(client.shake_hands());
      EXPECT_EQ(ask(client, "/pieces", std::string(600, 'x')), "/pieces|" + std::string(600, 'x'));
    }
  }
}

TEST(TlsServer, AnswersAHundredPipelinedRequestsInOrder) {
  TlsTestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    if (request.target.ends_with("7")) return kept.keep(std::move(respond));
    respond({200, {}, request.target, {}});
  };
  TlsClient client(test.port());
  ASSERT_TRUE(client.shake_hands());
  std::string all;
  for (int i = 0; i < 100; ++i) all += post("/" + std::to_string(i), std::string(400, 'b'));
  ASSERT_TRUE(client.send(all));
  for (int i = 0; i < 100; ++i) {
    const std::string target = "/" + std::to_string(i);
    if (target.ends_with("7")) kept.take()({200, {}, target, {}});
    ASSERT_EQ(client.read_reply().value_or(Reply{}).body, target);
  }
}

TEST(TlsServer, CarriesLargeBodiesBothWaysAlsoToASlowReader) {
  TlsTestServer test;
  const std::string large(8 << 20, 'y');
  test.handler.answer = [&](const HttpRequest& request, Responder respond) {
    respond({200, {}, request.target == "/large" ? large : request.body, {}});
  };
  TlsClient client(test.port());
  ASSERT_TRUE(client.shake_hands());
  const std::string body(262'144, 'z');
  EXPECT_TRUE(ask(client, "/", body) == body);
  ASSERT_TRUE(client.send(post("/large", "") + post("/large", "")));
  std::this_thread::sleep_for(100ms);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(client.read_reply().value_or(Reply{}).body == large);
}

TEST(TlsServer, SaysContinueAndRefusalsUnderTlsToo) {
  TlsTestServer test;
  TlsClient client(test.port());
  ASSERT_TRUE(client.shake_hands());
  ASSERT_TRUE(
      client.send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                  "Content-Length: 2\r\n\r\n"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 100u);
  ASSERT_TRUE(client.send("ok"));
  EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "/|ok");

  for (const auto& [name, bytes, code] : all_attacks()) {
    test.handler.forget();
    TlsClient attacker(test.port());
    ASSERT_TRUE(attacker.shake_hands());
    attacker.send(bytes + std::string(kSmuggled));
    EXPECT_EQ(attacker.read_reply().value_or(Reply{}).code, code) << name;
    EXPECT_TRUE(attacker.is_closed_by_server()) << name;
    EXPECT_TRUE(attacker.is_goodbye_said()) << name;
    EXPECT_EQ(test.handler.count(), 0u) << name;
  }
}

TEST(TlsServer, AnswersAPeerThatHasFinishedSending) {
  TlsTestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  for (const std::string& fields : {""s, "Connection: close\r\n"s}) {
    TlsClient client(test.port());
    ASSERT_TRUE(client.shake_hands());
    ASSERT_TRUE(client.send(post("/last", "", fields)));
    ASSERT_TRUE(client.finish_sending());
    client.raw().finish_sending();
    kept.take()({200, {}, "answered", {}});
    EXPECT_EQ(client.read_reply().value_or(Reply{}).body, "answered");
    EXPECT_TRUE(client.is_closed_by_server());
    EXPECT_TRUE(client.is_goodbye_said());
    EXPECT_FALSE(client.raw().read_bytes());
    EXPECT_FALSE(client.raw().is_reset());
  }
}

TEST(TlsServer, RefusesARequestThatIsCutOff) {
  TlsTestServer test;
  for (const bool is_goodbye_said : {true, false}) {
    TlsClient client(test.port());
    ASSERT_TRUE(client.shake_hands());
    ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf"));
    if (is_goodbye_said) client.finish_sending();
    client.raw().finish_sending();
    EXPECT_EQ(client.read_reply().value_or(Reply{}).code, 400u);
  }
  EXPECT_EQ(test.refused("truncated"), 2);
  EXPECT_EQ(test.handler.count(), 0u);
}

TEST(TlsServer, GivesTheHandshakeTheTimeOfAHeaderAndNoMore) {
  Limits limits;
  limits.header_timeout = 500ms;
  TlsTestServer test(limits);
  RawClient silent(test.port());
  RawClient slow(test.port());
  const auto begin = std::chrono::steady_clock::now();
  const std::string hello("\x16\x03\x01\x00\xf0\x01\x00\x00\xec\x03\x03", 11);
  for (std::size_t i = 0; i < 200 && slow.is_silent_for(50ms); ++i) {
    slow.send(i < hello.size() ? hello.substr(i, 1) : "x");
  }
  EXPECT_TRUE(slow.is_closed_by_server());
  EXPECT_TRUE(silent.is_closed_by_server());
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 500ms);
  EXPECT_LT(took, 4s);
  EXPECT_EQ(test.refused("tls_handshake"), 1);  // who never says a word is idle
  EXPECT_TRUE(eventually([&] { return test.connections() == 0; }));
}

// H38
TEST(TlsServer, ClosesAtOnceOnWhatIsNotTls) {
  TlsTestServer test;
  for (const std::string& bytes :
       {post("/", "plain"), std::string(100, '\0'), std::string(3000, 'x'),
        "\x80\x2e\x01\x03\x01"s + std::string(60, 'y')}) {
    RawClient client(test.port());
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(client.send(bytes));
    while (client.read_bytes()) continue;  // perhaps an alert
    EXPECT_TRUE(client.is_ended());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  }
  EXPECT_TRUE(eventually([&] { return test.refused("tls_handshake") == 4; }));
  EXPECT_TRUE(eventually([&] { return test.connections() == 0; }));
  EXPECT_EQ(test.handler.count(), 0u);
  test.server.reset();
  EXPECT_EQ(test.log.count("http_refused"), 1u);
}

// H38
TEST(TlsServer, OfOthersIsToldApartByAPlainListener) {
  TestServer plain;
  TlsClient client(plain.port());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(client.shake_hands());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  EXPECT_EQ(plain.refused("framing"), 1);
}

TEST(TlsServer, LeavesConnectionsThatComeAndGoUncounted) {
  TlsTestServer test;
  for (int i = 0; i < 20; ++i) RawClient probe(test.port());
  EXPECT_TRUE(eventually([&] { return test.connections() == 0; }));
  EXPECT_EQ(test.refused("tls_handshake"), 0);
}

TEST(TlsServer, LetsNobodyRenegotiate) {
  TlsTestServer test;
  TlsClient client(test.port(), {.version_max = TLS1_2_VERSION});
  ASSERT_TRUE(client.shake_hands());
  EXPECT_EQ(ask(client, "/", ""), "/|");
  SSL_renegotiate(client.native());
  EXPECT_FALSE(client.shake_hands());
  EXPECT_EQ(test.handler.count(), 1u);
}

TEST(TlsServer, GoesOnAcrossKeyUpdates) {
  TlsTestServer test;
  TlsClient client(test.port(), {.version_min = TLS1_3_VERSION});
  ASSERT_TRUE(client.shake_hands());
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(SSL_key_update(client.native(), SSL_KEY_UPDATE_REQUESTED), 1);
    EXPECT_EQ(ask(client, "/", "x"), "/|x");
  }
}

TEST(TlsServer, DemandsAClientsCertificateWhereItTrustsAnAuthority) {
  const Issued authority = make_authority();
  const Issued stranger = make_authority();
  const Issued operator_({.common_name = "operator", .extended_key_usage = "clientAuth"},
                         &authority);
  const Issued server_only({.common_name = "server", .extended_key_usage = "serverAuth"},
                           &authority);
  const Issued expired({.common_name = "gone", .from_seconds = -7200, .to_seconds = -3600},
                       &authority);
  const Issued other({.common_name = "other"}, &stranger);
  TlsTestServer test({}, 1, authority.certificate());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient good(test.port(), {.version_max = version, .identity = &operator_});
    ASSERT_TRUE(good.shake_hands());
    EXPECT_EQ(ask(good, "/", "in"), "/|in");
    test.handler.forget();
    for (const Issued* bad :
         {static_cast<const Issued*>(nullptr), &server_only, &expired, &other}) {
      TlsClient client(test.port(), {.version_max = version, .identity = bad});
      // With TLS 1.3 the client is through before the server has seen its certificate.
      if (client.shake_hands()) client.send(post("/", "in"));
      EXPECT_FALSE(client.read_reply());
    }
    EXPECT_EQ(test.handler.count(), 0u);
  }
  EXPECT_TRUE(eventually([&] { return test.refused("tls_handshake") == 8; }));
}

TEST(TlsServer, RenewsForNewConnectionsOnly) {
  const Issued first({.common_name = "first"}, nullptr);
  const Issued second({.common_name = "second"}, nullptr);
  TlsTestServer test(first, {}, 1, "");
  const auto shown = [](TlsClient& client) {
    X509* const certificate = SSL_get0_peer_certificate(client.native());
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, 64);
    return std::string(name);
  };
  TlsClient before(test.port());
  ASSERT_TRUE(before.shake_hands());
  EXPECT_EQ(shown(before), "first");
  const auto identity = TlsIdentity::make(second.certificate(), Secret(second.key()));
  ASSERT_TRUE(identity);
  ASSERT_TRUE(test.context->renew(*identity, identity->not_before()));
  EXPECT_EQ(test.context->not_after(), identity->not_after());
  TlsClient after(test.port());
  ASSERT_TRUE(after.shake_hands());
  EXPECT_EQ(shown(after), "second");
  EXPECT_EQ(ask(before, "/before", ""), "/before|");
  EXPECT_EQ(ask(after, "/after", ""), "/after|");

  // What is refused changes nothing.
  EXPECT_FALSE(test.context->renew(*TlsIdentity::make(first.certificate(), Secret(first.key())),
                                   identity->not_after() + std::chrono::hours(24)));
  TlsClient still(test.port());
  ASSERT_TRUE(still.shake_hands());
  EXPECT_EQ(shown(still), "second");
}

TEST(TlsServer, LosesNoRequestWhileItIsRenewed) {
  std::vector<TlsIdentity> identities;
  for (int i = 0; i < 4; ++i) {
    const Issued made({}, nullptr, i % 2 == 0 ? curve_key() : rsa_key(2048));
    identities.push_back(*TlsIdentity::make(made.certificate(), Secret(made.key())));
  }
  TlsTestServer test({}, 2);
  std::atomic<bool> is_over = false;
  std::atomic<int> answered = 0;
  std::atomic<int> lost = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, keeps = i % 2 == 0] {
      while (!is_over) {
        TlsClient client(test.port());
        if (!client.shake_hands()) ++lost;
        for (int request = 0; request < (keeps ? 50 : 1) && !is_over; ++request) {
          ++(ask(client, "/", "x") == "/|x" ? answered : lost);
        }
      }
    });
  }
  int renewals = 0;
  while (renewals < 200 || answered < 500) {
    const TlsIdentity& next = identities[static_cast<std::size_t>(renewals++) % identities.size()];
    ASSERT_TRUE(test.context->renew(next, next.not_before()));
    std::this_thread::sleep_for(2ms);
  }
  is_over = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(lost, 0);
  EXPECT_EQ(test.refused("tls_handshake"), 0);
}

TEST(TlsServer, DrainsAsAPlainListenerDoes) {
  TlsTestServer test;
  KeptResponders kept;
  test.handler.answer = [&](const HttpRequest&, Responder respond) {
    kept.keep(std::move(respond));
  };
  TlsClient asking(test.port());
  ASSERT_TRUE(asking.shake_hands());
  ASSERT_TRUE(asking.send(post("/", "")));
  TlsClient idle(test.port());
  ASSERT_TRUE(idle.shake_hands());
  RawClient unspoken(test.port());
  TlsClient speaking(test.port());
  const std::string hello = speaking.hello();
  ASSERT_TRUE(speaking.raw().send(hello.substr(0, 100)));
  ASSERT_TRUE(eventually([&] { return test.handler.count() == 1 && test.connections() == 4; }));
  const auto begin = std::chrono::steady_clock::now();
  std::thread drainer([&] { test.server->drain(kPatience); });
  EXPECT_TRUE(idle.is_closed_by_server());
  EXPECT_TRUE(idle.is_goodbye_said());
  EXPECT_TRUE(unspoken.is_closed_by_server());
  ASSERT_TRUE(speaking.raw().send(hello.substr(100)));
  EXPECT_TRUE(speaking.shake_hands());
  EXPECT_TRUE(speaking.is_closed_by_server());
  kept.take()({200, {}, "answered", {}});
  const auto reply = asking.read_reply();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->body, "answered");
  EXPECT_TRUE(reply->has("Connection: close"));
  EXPECT_TRUE(asking.is_closed_by_server());
  drainer.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);  // no deadline had to pass
}

// Identities ----------------------------------------------------------------------------------

[[nodiscard]] std::string code(const Result<TlsIdentity>& made) {
  return made ? "made" : std::string(made.error().code);
}

TEST(TlsIdentity, RefusesWhatWouldNotServe) {
  const Issued good({}, nullptr);
  const Issued other({}, nullptr);
  const std::string pem = good.certificate();
  const Secret key(good.key());
  EXPECT_EQ(code(TlsIdentity::make(pem, key)), "made");
  EXPECT_EQ(code(TlsIdentity::make(pem, Secret(other.key()))), "tls_private_key_of_another");
  EXPECT_EQ(code(TlsIdentity::make("", key)), "tls_certificate_malformed");
  EXPECT_EQ(code(TlsIdentity::make("hello", key)), "tls_certificate_malformed");
  EXPECT_EQ(code(TlsIdentity::make(pem.substr(0, pem.size() / 2), key)),
            "tls_certificate_malformed");
  EXPECT_EQ(code(TlsIdentity::make(good.key(), key)), "tls_certificate_malformed");
  EXPECT_EQ(code(TlsIdentity::make(pem, Secret(pem))), "tls_private_key_malformed");
  EXPECT_EQ(code(TlsIdentity::make(pem, Secret("hello"))), "tls_private_key_malformed");
  const auto encrypted =
      TlsIdentity::make(pem, Secret(postern::testing::encrypted_pem_of(good.native_key())));
  EXPECT_EQ(code(encrypted), "tls_private_key_encrypted");
  EXPECT_NE(encrypted.error().detail.find("openssl pkey"), std::string::npos);
  EXPECT_EQ(code(TlsIdentity::make(pem, key, "hello")), "tls_client_ca_malformed");
  EXPECT_EQ(code(TlsIdentity::make(pem, key, pem)), "made");
}

TEST(TlsIdentity, RefusesWeakKeysAndSignatures) {
  const auto with = [](postern::testing::Key key, const EVP_MD* digest = EVP_sha256()) {
    const Issued made({.digest = digest}, nullptr, std::move(key));
    return code(TlsIdentity::make(made.certificate(), Secret(made.key())));
  };
  EXPECT_EQ(with(rsa_key(1024)), "tls_private_key_weak");
  EXPECT_EQ(with(rsa_key(2040)), "tls_private_key_weak");
  EXPECT_EQ(with(curve_key("P-192")), "tls_private_key_weak");
  EXPECT_EQ(with(curve_key("P-224")), "tls_private_key_weak");
  EXPECT_EQ(with(rsa_key(2048)), "made");
  EXPECT_EQ(with(curve_key("P-384")), "made");
  const Issued authority = make_authority();
  const Issued by_sha1({.digest = EVP_sha1()}, &authority);
  EXPECT_EQ(code(TlsIdentity::make(by_sha1.certificate(), Secret(by_sha1.key()))),
            "tls_certificate_refused");
}

TEST(TlsIdentity, WantsAChainInOrder) {
  const Issued root = make_authority("root");
  const Issued middle = make_authority("middle", &root);
  const Issued leaf({}, &middle);
  const Secret key(leaf.key());
  const std::string own = leaf.certificate();
  EXPECT_EQ(code(TlsIdentity::make(own + middle.certificate(), key)), "made");
  EXPECT_EQ(code(TlsIdentity::make(own + middle.certificate() + root.certificate(), key)), "made");
  EXPECT_EQ(code(TlsIdentity::make(middle.certificate() + own, key)), "tls_certificate_refused");
  EXPECT_EQ(code(TlsIdentity::make(own + root.certificate(), key)), "tls_certificate_refused");
  const Issued client({.extended_key_usage = "clientAuth"}, &middle);
  EXPECT_EQ(code(TlsIdentity::make(client.certificate(), Secret(client.key()))),
            "tls_certificate_refused");
}

TEST(TlsIdentity, KnowsWhenItIsValid) {
  const Issued root = make_authority("root");
  const Issued leaf({.to_seconds = 86'400}, &root);
  const auto made = TlsIdentity::make(leaf.certificate(), Secret(leaf.key()));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->not_after() - made->not_before(), std::chrono::seconds(86'400 + 3600));
  EXPECT_TRUE(made->check_valid(made->not_before()));
  EXPECT_TRUE(made->check_valid(made->not_after()));
  const auto expired = made->check_valid(made->not_after() + std::chrono::seconds(1));
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().code, "tls_certificate_expired");
  EXPECT_NE(expired.error().detail.find(format_rfc3339(made->not_after())), std::string::npos);
  const auto early = made->check_valid(made->not_before() - std::chrono::seconds(1));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, "tls_certificate_not_yet_valid");
  EXPECT_FALSE(TlsServerContext::make(*made, made->not_after() + std::chrono::seconds(1)));
}

}  // namespace
}  // namespace postern::http::testing
