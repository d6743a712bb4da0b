// Goal: an Alipay account with a missing, weak or mixed-up key does not start, and certificates
// count only while and where they are valid (attacks A13, S15, S16; promises P3 and P14).
// Method: settings out of a map; certificate chains made on the spot.

#include "channel/alipay_settings.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "channel/alipay.h"
#include "channel/alipay_signature.h"
#include "tests/channel/accounts.h"
#include "tests/channel/certificates.h"

namespace postern::channel {
namespace {

constexpr std::chrono::days kDay{1};

[[nodiscard]] std::string make(FakeSettings settings) {
  return code_of(make_alipay(settings));
}

/// What is wrong with the settings, for the operator.
[[nodiscard]] std::string complaint(FakeSettings settings) {
  const auto made = make_alipay(settings);
  return made ? "none" : made.error().detail;
}

TEST(AlipaySettings, NeedsIdsAndAKey) {
  EXPECT_EQ(make(alipay_account()), "ok");
  EXPECT_EQ(make(alipay_account().remove("app_id")), "setting_missing");
  EXPECT_EQ(make(alipay_account().remove("seller_id")), "setting_missing");
  EXPECT_EQ(make(alipay_account().remove("platform_keys")), "setting_malformed");
  EXPECT_EQ(make(alipay_account().set("app_id", "")), "setting_malformed");
  EXPECT_EQ(make(alipay_account().set("seller_id", "")), "setting_malformed");
}

TEST(AlipaySettings, RefusesBrokenAndShortKeys) {
  for (const char* key : {"", "   ", "changeme", "test", "-----BEGIN PUBLIC KEY-----"}) {
    EXPECT_EQ(make(alipay_account().set("platform_keys", std::vector<std::string>{key})),
              "setting_malformed")
        << key;
  }
  // 1024 bits, made for this test.
  const std::string short_key =
      "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dV"
      "MvDuictGeurT8jNbvJZHtCSuYEvuNMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFG"
      "eJZqgtzJ6GR3eqoYSW9b9UMvkBpZODSctWSNGj3P7jRFDO5VoTwCQAWbFnOjDfH5Ulgp2PKSQnSJP3AJLQNFNe7br1"
      "XbrhV";
  EXPECT_EQ(make(alipay_account().set("platform_keys", std::vector{short_key})),
            "setting_malformed");
}

TEST(AlipaySettings, NoticesTheApplicationsOwnKey) {
  FakeSettings settings = alipay_account();
  settings.set("application_key", std::string(platform_key().pem().reveal()));
  EXPECT_NE(complaint(settings).find("application's own public key"), std::string::npos);
  settings.set("application_key", std::string(next_platform_key().pem().reveal()));
  EXPECT_EQ(make(settings), "ok");
  settings.set("application_key", "not a key");
  EXPECT_EQ(make(settings), "setting_malformed");
}

TEST(AlipaySettings, RefusesUnknownAlgorithmsAndSellers) {
  for (const char* name : {"rsa2", "MD5", "none", ""}) {
    EXPECT_EQ(make(alipay_account().set("algorithms", std::vector<std::string>{name})),
              "setting_malformed");
  }
  for (const char* pair : {"", "2021", ":2088", "2021:"}) {
    EXPECT_EQ(make(alipay_account().set("sellers", std::vector<std::string>{pair})),
              "setting_malformed");
  }
}

TEST(AlipaySettings, AsksForEveryKeyItKnows) {
  FakeSettings settings = alipay_account();
  settings.set("sellers", std::vector<std::string>{"a:b"});
  settings.set("algorithms", std::vector<std::string>{"RSA2"});
  settings.set("root_certificates", std::vector<std::string>{});
  settings.set("platform_certificates", std::vector<std::string>{});
  settings.set("application_key", std::string(next_platform_key().pem().reveal()));
  settings.set("typo", "x");
  EXPECT_TRUE(make_alipay(settings));
  EXPECT_EQ(settings.never_read(), std::vector<std::string>{"typo"});
}

/// Alipay's chain in small: a root, an issuer under it, and the certificate that signs.
class AlipayCertificates : public testing::Test {
 protected:
  const Life long_life_{test_now() - 100 * kDay, test_now() + 1000 * kDay};
  const Life life_{test_now() - 10 * kDay, test_now() + 10 * kDay};
  const Issuer root_{"Root", attacker_key()};
  const Issuer issuer_{"Issuer", next_platform_key()};
  const Issuer alipay_{"Alipay", platform_key()};

  [[nodiscard]] std::string root(Life life) const {
    return issue_certificate(root_, root_, life, "01");
  }
  /// The file that Alipay gives out: the certificate and, behind it, its issuer.
  [[nodiscard]] std::string file(Life life, Life issuer_life, std::string_view serial) const {
    return issue_certificate(alipay_, issuer_, life, serial) +
           issue_certificate(issuer_, root_, issuer_life, "02");
  }
  [[nodiscard]] static FakeSettings account(std::vector<std::string> files, std::string roots) {
    FakeSettings settings = alipay_account();
    settings.remove("platform_keys").set("platform_certificates", std::move(files));
    return settings.set("root_certificates", std::vector{std::move(roots)});
  }
  [[nodiscard]] static std::string sn_of(const std::string& pem) {
    return alipay_cert_sn(must(crypto::Certificate::parse_bundle(pem)).front());
  }
  [[nodiscard]] static std::string verdict(FakeSettings settings, AlipayMessage message,
                                           TimePoint now) {
    return code_of(must(make_alipay(settings))->verify(message.request(), now));
  }
};

TEST_F(AlipayCertificates, TheNamedCertificateVerifies) {
  const std::string one = file(life_, long_life_, "AA01");
  const FakeSettings settings = account({one}, root(long_life_));
  const AlipayMessage plain = AlipayMessage::paid().sign();
  EXPECT_EQ(verdict(settings, plain, test_now()), "ok");
  AlipayMessage named = AlipayMessage::paid().set("alipay_cert_sn", sn_of(one)).sign();
  EXPECT_EQ(verdict(settings, named, test_now()), "ok");
  FakeSettings copy = settings;
  const auto callback = must(must(make_alipay(copy))->verify(named.request(), test_now()));
  EXPECT_EQ(callback.key_id(), sn_of(one));
}

TEST_F(AlipayCertificates, AnUnknownNumberIsRefused) {
  FakeSettings settings = account({file(life_, long_life_, "AA01")}, root(long_life_));
  // Even where a plain key would verify it: the message says which certificate signed.
  settings.set("platform_keys", std::vector{platform_key().public_key().pem()});
  AlipayMessage message = AlipayMessage::paid();
  message.set("alipay_cert_sn", "00000000000000000000000000000000").sign();
  EXPECT_EQ(verdict(settings, message, test_now()), "key_unknown");
  message.set("alipay_cert_sn", "").sign();
  EXPECT_EQ(verdict(settings, message, test_now()), "key_unknown");
}

TEST_F(AlipayCertificates, OnlyWithinItsDates) {
  const FakeSettings settings = account({file(life_, long_life_, "AA01")}, root(long_life_));
  const AlipayMessage message = AlipayMessage::paid().sign();
  EXPECT_EQ(verdict(settings, message, life_.not_before - kDay), "certificate_expired");
  EXPECT_EQ(verdict(settings, message, life_.not_after), "certificate_expired");
  EXPECT_EQ(verdict(settings, message, life_.not_after - std::chrono::seconds(1)), "ok");
  EXPECT_EQ(verdict(settings, message, life_.not_before), "ok");
}

TEST_F(AlipayCertificates, OnlyWhileItsIssuerIsValid) {
  const Life short_life{test_now() - 100 * kDay, test_now() + kDay};
  FakeSettings settings = account({file(life_, short_life, "AA01")}, root(long_life_));
  const AlipayMessage message = AlipayMessage::paid().sign();
  EXPECT_EQ(verdict(settings, message, test_now()), "ok");
  EXPECT_EQ(verdict(settings, message, test_now() + 2 * kDay), "certificate_expired");
  // Only such a chain is built at each use.
  EXPECT_EQ(must(read_alipay_settings(settings)).platform_certificates.at(0).chain,
            AlipayCertificate::Chain::kMayEndSooner);
  FakeSettings usual = account({file(life_, long_life_, "AA01")}, root(long_life_));
  EXPECT_EQ(must(read_alipay_settings(usual)).platform_certificates.at(0).chain,
            AlipayCertificate::Chain::kOutlivesIt);
}

TEST_F(AlipayCertificates, AnotherRootsChainDoesNotStart) {
  const std::string foreign_root =
      issue_certificate({"Root", platform_key()}, {"Root", platform_key()}, long_life_, "01");
  EXPECT_EQ(make(account({file(life_, long_life_, "AA01")}, foreign_root)), "setting_malformed");
  // The issuer in the file must not count as a root.
  FakeSettings no_roots = account({file(life_, long_life_, "AA01")}, root(long_life_));
  EXPECT_EQ(make(no_roots.remove("root_certificates")), "setting_malformed");
  EXPECT_EQ(make(account({"not a certificate"}, root(long_life_))), "setting_malformed");
}

TEST_F(AlipayCertificates, RotationPicksTheRightOne) {
  const std::string old = file({life_.not_before, test_now() - kDay}, long_life_, "AA01");
  const std::string current =
      issue_certificate({"Alipay", next_platform_key()}, root_, life_, "AA02");
  const FakeSettings settings = account({old, current}, root(long_life_));
  EXPECT_EQ(verdict(settings, AlipayMessage::paid().sign(next_platform_key()), test_now()), "ok");
  EXPECT_EQ(verdict(settings, AlipayMessage::paid().sign(platform_key()), test_now()),
            "signature_not_verified");
  AlipayMessage named = AlipayMessage::paid().set("alipay_cert_sn", sn_of(old)).sign();
  EXPECT_EQ(verdict(settings, named, test_now()), "certificate_expired");
  named.set("alipay_cert_sn", sn_of(current)).sign(platform_key());
  EXPECT_EQ(verdict(settings, named, test_now()), "signature_not_verified");
}

}  // namespace
}  // namespace postern::channel
