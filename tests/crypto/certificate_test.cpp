// Goal: a certificate is trusted only by a chain to a configured root whose every member is valid
// now, may issue, and is strong; its fields are read as platforms write them.
// Method: chains made with the library on the spot, each good one next to its broken sisters.

#include "crypto/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <thread>
#include <vector>

#include "crypto/encoding.h"
#include "tests/crypto/test_keys.h"

namespace postern::crypto {
namespace {

using std::chrono::hours;
using std::chrono::sys_days;
using std::chrono::year;
using testing::private_pem;
using testing::public_pem;
using testing::test_key;
using testing::TestPkey;

const TimePoint kBegin{sys_days{year{2026} / 1 / 1}};
const TimePoint kEnd{sys_days{year{2027} / 1 / 1}};
const TimePoint kNow{sys_days{year{2026} / 6 / 1}};

enum class Role : unsigned char { kAuthority, kLeaf };

/// What one certificate of a test chain is like.
struct Plan {
  std::string name;
  Role role = Role::kLeaf;
  TimePoint begin = kBegin;
  TimePoint end = kEnd;
  const EVP_MD* digest = EVP_sha256();
};

struct ReleaseX509 {
  void operator()(X509* x509) const noexcept { X509_free(x509); }
};

/// A certificate with its key, able to issue others.
struct Issued {
  TestPkey pkey;
  std::unique_ptr<X509, ReleaseX509> x509;

  [[nodiscard]] std::string pem() const {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, x509.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(out);
    return pem;
  }
  [[nodiscard]] Certificate certificate() const { return Certificate::parse(pem()).value(); }
};

void add_extension(X509* x509, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  ASSERT_NE(extension, nullptr);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

void add_name(X509_NAME* name, const char* field, const std::string& value) {
  ASSERT_EQ(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(value.data()),
                                       static_cast<int>(value.size()), -1, 0),
            1);
}

/// Issues a certificate for `pkey`, signed by `issuer`, or by itself where that is null.
Issued issue_for(TestPkey pkey, const Plan& plan, const Issued* issuer) {
  static long serial = 1000;
  X509* x509 = X509_new();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  X509_NAME* name = X509_get_subject_name(x509);
  add_name(name, "C", "CN");
  add_name(name, "O", "Test Only");
  add_name(name, "CN", plan.name);
  X509_set_issuer_name(x509, issuer == nullptr ? name : X509_get_subject_name(issuer->x509.get()));
  ASN1_TIME_set(X509_getm_notBefore(x509), plan.begin.time_since_epoch().count() / 1000);
  ASN1_TIME_set(X509_getm_notAfter(x509), plan.end.time_since_epoch().count() / 1000);
  X509_set_pubkey(x509, pkey.get());
  X509* const signer = issuer == nullptr ? x509 : issuer->x509.get();
  add_extension(x509, signer, NID_subject_key_identifier, "hash");
  if (X509_get_ext_by_NID(signer, NID_subject_key_identifier, -1) >= 0) {
    add_extension(x509, signer, NID_authority_key_identifier, "keyid");
  }
  if (plan.role == Role::kAuthority) {
    add_extension(x509, signer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    add_extension(x509, signer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x509, signer, NID_key_usage, "digitalSignature");
  }
  EXPECT_GT(X509_sign(x509, issuer == nullptr ? pkey.get() : issuer->pkey.get(), plan.digest), 0);
  return Issued{std::move(pkey), std::unique_ptr<X509, ReleaseX509>(x509)};
}

TestPkey copy_of_key(std::size_t which) {
  const Secret pem = test_key(which).pem();
  BIO* in = BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.size()));
  TestPkey pkey(PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr));
  BIO_free(in);
  return pkey;
}

Issued make_root(const std::string& name = "Root", std::size_t key = 0) {
  return issue_for(copy_of_key(key), {.name = name, .role = Role::kAuthority}, nullptr);
}
Issued make_leaf(const Issued& issuer, Plan plan = {.name = "Leaf"}) {
  return issue_for(copy_of_key(2), plan, &issuer);
}
Issued make_middle(const Issued& root, const std::string& name = "Middle") {
  return issue_for(copy_of_key(1), {.name = name, .role = Role::kAuthority}, &root);
}

void expect_code(const Result<void>& result, std::string_view code) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, code) << result.error().detail;
  EXPECT_EQ(result.error().error_class, ErrorClass::kRejected);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

void expect_trusted(const Result<void>& result) {
  EXPECT_TRUE(result.has_value()) << result.error().code << ": " << result.error().detail;
}

TEST(CertificateChain, TrustsALeafOfAConfiguredRoot) {
  const Issued root = make_root();
  const std::vector<Certificate> roots = {root.certificate()};
  expect_trusted(make_leaf(root).certificate().verify_chain(roots, kNow));
}

// Proves P3: trust is never the default.
TEST(CertificateChain, RefusesALeafOfAnotherRoot) {
  const Issued root = make_root();
  const Issued other = make_root("Other root", 1);
  const Issued same_name = make_root("Root", 1);
  const Certificate leaf = make_leaf(root).certificate();
  expect_code(leaf.verify_chain({}, kNow), "certificate_untrusted");
  expect_code(leaf.verify_chain(std::vector{other.certificate()}, kNow), "certificate_untrusted");
  expect_code(leaf.verify_chain(std::vector{same_name.certificate()}, kNow),
              "certificate_untrusted");
  expect_trusted(leaf.verify_chain(
      std::vector{other.certificate(), same_name.certificate(), root.certificate()}, kNow));
}

TEST(CertificateChain, RefusesAChangedLeaf) {
  const Issued root = make_root();
  Issued leaf = make_leaf(root);
  // Changed after it was signed: the signature no longer fits.
  ASN1_TIME_set(X509_getm_notAfter(leaf.x509.get()),
                (kEnd + hours{24}).time_since_epoch().count() / 1000);
  i2d_re_X509_tbs(leaf.x509.get(), nullptr);
  expect_code(leaf.certificate().verify_chain(std::vector{root.certificate()}, kNow),
              "certificate_untrusted");
}

TEST(CertificateChain, LooksAtTheGivenTimeOnly) {
  const Issued root = make_root();
  const std::vector<Certificate> roots = {root.certificate()};
  const Certificate leaf =
      make_leaf(root, {.name = "Leaf", .begin = kNow, .end = kNow + hours{1}}).certificate();
  EXPECT_EQ(leaf.not_before(), kNow);
  EXPECT_EQ(leaf.not_after(), kNow + hours{1});
  expect_code(leaf.verify_chain(roots, kNow - std::chrono::seconds{1}), "certificate_expired");
  expect_code(leaf.verify_chain(roots, kNow - std::chrono::milliseconds{1}), "certificate_expired");
  expect_trusted(leaf.verify_chain(roots, kNow));
  expect_trusted(leaf.verify_chain(roots, kNow + std::chrono::minutes{59}));
  expect_code(leaf.verify_chain(roots, kNow + hours{1} + std::chrono::seconds{1}),
              "certificate_expired");
}

TEST(CertificateChain, RefusesAnExpiredRootOrIntermediate) {
  const Plan old_plan{.name = "Old root",
                      .role = Role::kAuthority,
                      .begin = kBegin - hours{24 * 365},
                      .end = kBegin};
  const Issued old_root = issue_for(copy_of_key(0), old_plan, nullptr);
  expect_code(
      make_leaf(old_root).certificate().verify_chain(std::vector{old_root.certificate()}, kNow),
      "certificate_expired");
  // The intermediate is still valid, and configured; its root is not.
  const Issued middle = make_middle(old_root);
  expect_code(make_leaf(middle).certificate().verify_chain(
                  std::vector{old_root.certificate(), middle.certificate()}, kNow),
              "certificate_expired");
}

TEST(CertificateChain, GoesThroughConfiguredAndSentIntermediates) {
  const Issued root = make_root();
  const Issued middle = make_middle(root);
  const Certificate leaf = make_leaf(middle).certificate();
  const std::vector<Certificate> roots = {root.certificate()};
  const std::vector<Certificate> sent = {middle.certificate()};
  expect_trusted(leaf.verify_chain(std::vector{root.certificate(), middle.certificate()}, kNow));
  expect_trusted(leaf.verify_chain(std::vector{middle.certificate(), root.certificate()}, kNow));
  expect_trusted(leaf.verify_chain(roots, kNow, sent));
  expect_code(leaf.verify_chain(roots, kNow), "certificate_untrusted");
  // An intermediate alone is no place to end.
  expect_code(leaf.verify_chain(sent, kNow), "certificate_untrusted");
  expect_code(leaf.verify_chain({}, kNow, std::vector{root.certificate(), middle.certificate()}),
              "certificate_untrusted");
}

// Forged chains: whoever sends a certificate can send its issuers along.
TEST(CertificateChain, SentCertificatesAreNeverTrusted) {
  const Issued root = make_root();
  const Issued forged_root = make_root("Root", 1);
  const Certificate leaf = make_leaf(forged_root).certificate();
  const std::vector<Certificate> roots = {root.certificate()};
  expect_code(leaf.verify_chain(roots, kNow, std::vector{forged_root.certificate()}),
              "certificate_untrusted");
  expect_code(
      forged_root.certificate().verify_chain(roots, kNow, std::vector{forged_root.certificate()}),
      "certificate_untrusted");
}

TEST(CertificateChain, ALeafMayNotIssue) {
  const Issued root = make_root();
  const Issued false_authority = issue_for(copy_of_key(1), {.name = "Leaf"}, &root);
  const Certificate leaf = make_leaf(false_authority, {.name = "Below a leaf"}).certificate();
  expect_code(leaf.verify_chain(std::vector{root.certificate()}, kNow,
                                std::vector{false_authority.certificate()}),
              "certificate_untrusted");
}

TEST(CertificateChain, TrustsASelfSignedCertificateThatIsItselfARoot) {
  const Certificate own =
      Certificate::self_signed(test_key(0), "platform", "0A", kBegin, kEnd).value();
  expect_trusted(own.verify_chain(std::vector{own}, kNow));
  expect_code(own.verify_chain(std::vector{own}, kEnd + hours{1}), "certificate_expired");
  expect_code(own.verify_chain(std::vector{own}, kBegin - hours{1}), "certificate_expired");
  expect_code(own.verify_chain({}, kNow), "certificate_untrusted");
  const Certificate same_name =
      Certificate::self_signed(test_key(1), "platform", "0A", kBegin, kEnd).value();
  expect_code(same_name.verify_chain(std::vector{own}, kNow), "certificate_untrusted");
  // It may sign messages, not certificates.
  const std::string pem = own.pem();
  BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  const Issued issuer{copy_of_key(0), std::unique_ptr<X509, ReleaseX509>(
                                          PEM_read_bio_X509(in, nullptr, nullptr, nullptr))};
  BIO_free(in);
  EXPECT_GE(X509_get_ext_by_NID(issuer.x509.get(), NID_basic_constraints, -1), 0);
  const Issued leaf = make_leaf(issuer);
  expect_code(leaf.certificate().verify_chain(std::vector{own}, kNow), "certificate_untrusted");
}

TEST(CertificateChain, AllowsSha1OnlyWhereAskedAndMd5Never) {
  const Issued root = make_root();
  const std::vector<Certificate> roots = {root.certificate()};
  const Certificate sha1 = make_leaf(root, {.name = "Leaf", .digest = EVP_sha1()}).certificate();
  expect_code(sha1.verify_chain(roots, kNow), "certificate_untrusted");
  expect_trusted(sha1.verify_chain(roots, kNow, {}, ChainDigests::kSha1Allowed));
  const Certificate md5 = make_leaf(root, {.name = "Leaf", .digest = EVP_md5()}).certificate();
  expect_code(md5.verify_chain(roots, kNow), "certificate_untrusted");
  expect_code(md5.verify_chain(roots, kNow, {}, ChainDigests::kSha1Allowed),
              "certificate_untrusted");
  const Certificate good = make_leaf(root).certificate();
  expect_trusted(good.verify_chain(roots, kNow, {}, ChainDigests::kSha1Allowed));
}

TEST(CertificateChain, RefusesShortKeysAnywhere) {
  const Issued weak_root = issue_for(TestPkey(EVP_RSA_gen(1024)),
                                     {.name = "Weak root", .role = Role::kAuthority}, nullptr);
  const Issued root = make_root();
  const Issued weak_leaf = issue_for(TestPkey(EVP_RSA_gen(1024)), {.name = "Weak leaf"}, &root);
  for (const ChainDigests digests : {ChainDigests::kSha2Only, ChainDigests::kSha1Allowed}) {
    expect_code(make_leaf(weak_root).certificate().verify_chain(
                    std::vector{weak_root.certificate()}, kNow, {}, digests),
                "certificate_untrusted");
    expect_code(
        weak_leaf.certificate().verify_chain(std::vector{root.certificate()}, kNow, {}, digests),
        "certificate_untrusted");
  }
}

TEST(Certificate, ReadsItsFields) {
  const Issued root = make_root("Root, \xe6\x94\xaf\xe4\xbb\x98\xe5\xae\x9d");
  const Certificate leaf = make_leaf(root, {.name = "041@8310@\xe4\xb8\xad"}).certificate();
  // Separators are escaped; UTF-8 is not.
  EXPECT_EQ(leaf.issuer_rfc2253(),
            "CN=Root\\, \xe6\x94\xaf\xe4\xbb\x98\xe5\xae\x9d,O=Test Only,C=CN");
  EXPECT_EQ(leaf.subject_common_name(), "041@8310@\xe4\xb8\xad");
  EXPECT_EQ(leaf.signature_oid(), "1.2.840.113549.1.1.11");
  EXPECT_EQ(leaf.not_before(), kBegin);
  EXPECT_EQ(leaf.not_after(), kEnd);
  EXPECT_EQ(leaf.pem(), Certificate::parse(leaf.pem()).value().pem());
  EXPECT_EQ(leaf.public_key().fingerprint(), test_key(2).public_key().fingerprint());
  EXPECT_EQ(PublicKey::parse(leaf.pem()).value().fingerprint(), leaf.public_key().fingerprint());
  const std::string signature = test_key(2).sign(SignatureScheme::kRsaSha256, "text").value();
  EXPECT_TRUE(leaf.public_key().verify(SignatureScheme::kRsaSha256, "text", signature).has_value());
}

TEST(Certificate, AnAmbiguousCommonNameIsNone) {
  const Issued root = make_root();
  Issued leaf = make_leaf(root);
  add_name(X509_get_subject_name(leaf.x509.get()), "CN", "Second");
  ASSERT_GT(X509_sign(leaf.x509.get(), root.pkey.get(), EVP_sha256()), 0);
  EXPECT_EQ(leaf.certificate().subject_common_name(), "");
}

TEST(Certificate, SelfSignedHasTheGivenFields) {
  const std::string long_serial = "F234567890abcdef1234567890ABCDEF12345678";
  const Certificate own =
      Certificate::self_signed(test_key(0), "platform", long_serial, kBegin, kEnd).value();
  EXPECT_EQ(own.serial_hex(), "F234567890ABCDEF1234567890ABCDEF12345678");
  EXPECT_EQ(own.serial_decimal(), "1382742937972467810152578834428795281812053317240");
  EXPECT_EQ(own.issuer_rfc2253(), "CN=platform");
  EXPECT_EQ(own.subject_common_name(), "platform");
  EXPECT_EQ(own.not_before(), kBegin);
  EXPECT_EQ(own.not_after(), kEnd);
  EXPECT_EQ(own.public_key().bits(), 2048);
  const auto short_serial = Certificate::self_signed(test_key(0), "p", "a1b", kBegin, kEnd).value();
  EXPECT_EQ(short_serial.serial_hex(), "0A1B");
  EXPECT_EQ(short_serial.serial_decimal(), "2587");
}

TEST(Certificate, SelfSignedRefusesBadSerialsAndNames) {
  for (const std::string_view serial :
       {"", "xyz", "-1", " 1", "0x1", "1 ", "12345678901234567890123456789012345678901"}) {
    const auto made = Certificate::self_signed(test_key(0), "name", serial, kBegin, kEnd);
    ASSERT_FALSE(made.has_value()) << serial;
    EXPECT_EQ(made.error().code, "certificate_generation_failed");
  }
  for (const std::string& name : {std::string(), std::string(65, 'n'), std::string("\xff\xfe")}) {
    const auto made = Certificate::self_signed(test_key(0), name, "01", kBegin, kEnd);
    ASSERT_FALSE(made.has_value()) << name.size();
    EXPECT_EQ(made.error().code, "certificate_generation_failed");
  }
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(Certificate, RefusesBytesAfterTheCertificate) {
  std::string packed = testing::bare_base64(make_root().pem());
  std::erase(packed, '\n');
  const std::string der = base64_decode(packed).value();
  const auto as_pem = [](const std::string& bytes) {
    return "-----BEGIN CERTIFICATE-----\n" + base64_encode(bytes) + "\n-----END CERTIFICATE-----\n";
  };
  EXPECT_TRUE(Certificate::parse(as_pem(der)).has_value());
  EXPECT_FALSE(Certificate::parse(as_pem(der + "xyz")).has_value());
  EXPECT_FALSE(Certificate::parse(as_pem(der.substr(0, der.size() - 1))).has_value());
  EXPECT_FALSE(PublicKey::parse(as_pem(der + "xyz")).has_value());
}

TEST(Certificate, RefusesWhatIsNotOneCertificate) {
  const std::string pem = make_root().pem();
  const std::string key = test_key(0).public_key().pem();
  const std::string wrong_label = [&] {
    std::string text = key;
    for (std::size_t at = 0; (at = text.find("PUBLIC KEY", at)) != std::string::npos;) {
      text.replace(at, 10, "CERTIFICATE");
    }
    return text;
  }();
  for (const std::string& text :
       {std::string(), std::string("text"), key, wrong_label, pem + key,
        pem.substr(0, pem.size() / 2), pem.substr(0, pem.find("-----END")),
        pem + pem.substr(0, 300),
        std::string("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")}) {
    const Result<Certificate> one = Certificate::parse(text);
    const Result<std::vector<Certificate>> bundle = Certificate::parse_bundle(text);
    ASSERT_FALSE(one.has_value()) << text;
    ASSERT_FALSE(bundle.has_value()) << text;
    EXPECT_EQ(one.error().code, "certificate_malformed");
    EXPECT_EQ(bundle.error().code, "certificate_malformed");
    EXPECT_EQ(ERR_peek_error(), 0U);
  }
  EXPECT_FALSE(Certificate::parse(pem + pem).has_value());
  EXPECT_EQ(Certificate::parse_bundle(pem + "\n# a note\n" + pem).value().size(), 2U);
}

// A platform's bundle of roots holds keys of other kinds beside the RSA ones.
TEST(Certificate, KeepsOtherKeysByNameOnly) {
  const Issued curve = issue_for(TestPkey(EVP_EC_gen("P-256")),
                                 {.name = "Curve", .role = Role::kAuthority}, nullptr);
  const Issued weak = issue_for(TestPkey(EVP_RSA_gen(1024)), {.name = "Weak"}, nullptr);
  const auto bundle = Certificate::parse_bundle(curve.pem() + weak.pem()).value();
  ASSERT_EQ(bundle.size(), 2U);
  EXPECT_EQ(bundle[0].signature_oid(), "1.2.840.10045.4.3.2");
  EXPECT_EQ(bundle[0].public_key().bits(), 0);
  EXPECT_EQ(bundle[0].public_key().fingerprint().size(), 16U);
  EXPECT_EQ(bundle[0].public_key().pem(), public_pem(curve.pkey.get()));
  EXPECT_EQ(bundle[1].public_key().bits(), 1024);
  EXPECT_EQ(PublicKey::parse(curve.pem()).error().code, "key_not_rsa");
  EXPECT_EQ(PublicKey::parse(weak.pem()).error().code, "key_too_short");
  for (const std::size_t size : {0U, 64U, 71U, 128U, 256U}) {
    for (const Certificate& one : bundle) {
      EXPECT_FALSE(one.public_key()
                       .verify(SignatureScheme::kRsaSha256, "text", std::string(size, '\0'))
                       .has_value());
    }
  }
}

TEST(Certificate, AGenuineSignatureOfAShortKeyIsRefused) {
  const Issued weak = issue_for(TestPkey(EVP_RSA_gen(1024)), {.name = "Weak"}, nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ASSERT_EQ(EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, weak.pkey.get()), 1);
  std::string signature(128, '\0');
  std::size_t size = signature.size();
  ASSERT_EQ(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                           reinterpret_cast<const unsigned char*>("text"), 4),
            1);
  EVP_MD_CTX_free(context);
  const Result<void> verdict =
      weak.certificate().public_key().verify(SignatureScheme::kRsaSha256, "text", signature);
  expect_code(verdict, "signature_not_verified");
}

TEST(Certificate, ThreadsShareOne) {
  const Issued root = make_root();
  const std::vector<Certificate> roots = {root.certificate()};
  const Certificate leaf = make_leaf(root).certificate();
  const std::string signature = test_key(2).sign(SignatureScheme::kRsaSha256, "text").value();
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const Certificate copy = leaf;
        if (!copy.verify_chain(roots, kNow)) ++wrong[t];
        if (copy.verify_chain(roots, kEnd + hours{1})) ++wrong[t];
        if (!copy.public_key().verify(SignatureScheme::kRsaSha256, "text", signature)) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace postern::crypto
