// Goal: a client that knows its server by the certificate it was configured with speaks to that
// server, to the same one with a new certificate, and to nobody else. Method: real listeners with
// certificates made on the spot.

#include <gtest/gtest.h>

#include "http/client.h"
#include "tests/http/tls_client.h"

namespace postern::http::testing {
namespace {

using postern::testing::Issued;
using postern::testing::make_authority;

[[nodiscard]] std::string outcome(std::uint16_t port, const ClientTls& tls) {
  BlockingClient client("127.0.0.1", port, kPatience, tls);
  for (int i = 0; i < 2; ++i) {  // the second one on the kept connection
    const auto response = client.send({.method = "POST", .target = "/", .body = "x"});
    if (!response) return std::string(response.error().code);
    if (response->body != "/|x") return response->body;
  }
  return "answered";
}

[[nodiscard]] ClientTls knows(const std::string& certificates) {
  return {.server_certificates = certificates, .own_certificates = {}, .own_private_key = {}};
}

TEST(TlsBlockingClient, KnowsTheServerByItsKeyAndItsSuccessorByNameAndIssuer) {
  const Issued authority = make_authority();
  const Issued first({}, &authority);
  const Issued successor({}, &authority);
  const Issued neighbour({.alternative_names = "DNS:other.test"}, &authority);
  const Issued alone({}, nullptr);
  const Issued impostor({}, nullptr);
  const std::string known = first.certificate() + authority.certificate();
  const auto shown = [](const Issued& identity, const std::string& certificates) {
    const TlsTestServer test(identity, {}, 1, "");
    return outcome(test.port(), knows(certificates));
  };
  EXPECT_EQ(shown(first, known), "answered");
  EXPECT_EQ(shown(alone, alone.certificate()), "answered");
  EXPECT_EQ(shown(successor, known), "answered");
  EXPECT_EQ(shown(neighbour, known), "tls_failed");
  EXPECT_EQ(shown(impostor, known), "tls_failed");
  EXPECT_EQ(shown(impostor, alone.certificate()), "tls_failed");
  EXPECT_EQ(shown(first, ""), "tls_setup_failed");
}

TEST(TlsBlockingClient, ShowsItsOwnCertificate) {
  const Issued authority = make_authority();
  const Issued own({.common_name = "operator"}, &authority);
  const Issued server({}, nullptr);
  const TlsTestServer test(server, {}, 1, authority.certificate());
  ClientTls tls = knows(server.certificate());
  EXPECT_EQ(outcome(test.port(), tls), "connection_lost");  // with TLS 1.3 it hears of it too late
  tls.own_certificates = own.certificate();
  tls.own_private_key = Secret(server.key());
  EXPECT_EQ(outcome(test.port(), tls), "tls_private_key_of_another");
  tls.own_private_key = Secret(own.key());
  EXPECT_EQ(outcome(test.port(), tls), "answered");
}

TEST(TlsBlockingClient, TellsAPlainServerFromATrustedOne) {
  const TestServer plain;
  const Issued known({}, nullptr);
  EXPECT_EQ(outcome(plain.port(), knows(known.certificate())), "tls_failed");
}

}  // namespace
}  // namespace postern::http::testing
