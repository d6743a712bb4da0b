// Goal: only a genuine signature under the right RSA key of at least 2048 bits verifies; every
// other key, signature and text is refused, from any number of threads.
// Method: keys of every kind made with the library itself, each written form read back, each part
// of a signed message broken in turn, and several threads using more keys than a thread keeps.

#include "crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <atomic>
#include <thread>
#include <vector>

#include "crypto/encoding.h"
#include "tests/crypto/test_keys.h"

namespace postern::crypto {
namespace {

using testing::bare_base64;
using testing::encoded;
using testing::private_pem;
using testing::public_pem;
using testing::test_key;
using testing::TestPkey;

constexpr SignatureScheme kSchemes[] = {SignatureScheme::kRsaSha1, SignatureScheme::kRsaSha256};

void expect_public_refused(std::string_view text, std::string_view code) {
  const Result<PublicKey> key = PublicKey::parse(text);
  ASSERT_FALSE(key.has_value()) << text;
  EXPECT_EQ(key.error().code, code) << text;
  EXPECT_EQ(ERR_peek_error(), 0U);
}

void expect_private_refused(std::string_view text, std::string_view code) {
  const Result<PrivateKey> key = PrivateKey::parse(Secret(std::string(text)));
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().code, code);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

void expect_not_verified(const Result<void>& result) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, "signature_not_verified");
  EXPECT_EQ(result.error().error_class, ErrorClass::kRejected);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TestPkey key_from_pem(const PrivateKey& key) {
  const std::string pem(key.pem().reveal());
  BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  TestPkey pkey(PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr));
  BIO_free(in);
  return pkey;
}

/// An RSA public key with the modulus of a real one and an exponent of choice.
TestPkey with_exponent(std::string_view exponent_hex) {
  const TestPkey real = key_from_pem(test_key(0));
  BIGNUM* modulus = nullptr;
  BIGNUM* exponent = nullptr;
  EVP_PKEY_get_bn_param(real.get(), OSSL_PKEY_PARAM_RSA_N, &modulus);
  BN_hex2bn(&exponent, std::string(exponent_hex).c_str());
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* pkey = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters), 1);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  BN_free(modulus);
  BN_free(exponent);
  return TestPkey(pkey);
}

TEST(Key, SignsAndVerifiesUnderBothSchemes) {
  const PrivateKey& key = test_key(0);
  for (const SignatureScheme scheme : kSchemes) {
    for (const std::string& message :
         {std::string(), std::string("text"), std::string(5000, 'x')}) {
      const std::string signature = key.sign(scheme, message).value();
      EXPECT_EQ(signature.size(), 256U);
      EXPECT_TRUE(key.public_key().verify(scheme, message, signature).has_value());
    }
  }
  EXPECT_EQ(ERR_peek_error(), 0U);
}

// Proves P3 for signatures: one bit anywhere, and the message is not verified.
TEST(Key, RefusesAnyChangedBit) {
  const PrivateKey& key = test_key(0);
  const PublicKey verifier = key.public_key();
  for (const SignatureScheme scheme : kSchemes) {
    const std::string message = "total_amount=88.88&trade_status=TRADE_SUCCESS";
    const std::string signature = key.sign(scheme, message).value();
    for (std::size_t i = 0; i < signature.size(); ++i) {
      std::string broken = signature;
      broken[i] = static_cast<char>(broken[i] ^ (1 << (i % 8)));
      expect_not_verified(verifier.verify(scheme, message, broken));
    }
    for (std::size_t i = 0; i < message.size(); ++i) {
      std::string broken = message;
      broken[i] = static_cast<char>(broken[i] ^ (1 << (i % 8)));
      expect_not_verified(verifier.verify(scheme, broken, signature));
    }
    EXPECT_TRUE(verifier.verify(scheme, message, signature).has_value());
  }
}

TEST(Key, RefusesSignaturesOfAnotherLength) {
  const PrivateKey& key = test_key(0);
  const PublicKey verifier = key.public_key();
  const std::string signature = key.sign(SignatureScheme::kRsaSha256, "text").value();
  for (std::size_t size = 0; size < signature.size(); ++size) {
    expect_not_verified(
        verifier.verify(SignatureScheme::kRsaSha256, "text", signature.substr(0, size)));
  }
  for (const std::string& broken :
       {signature + '\0', signature + signature, '\0' + signature, std::string(10'000, 'x')}) {
    expect_not_verified(verifier.verify(SignatureScheme::kRsaSha256, "text", broken));
  }
  for (const char fill : {'\0', '\x01', '\xff'}) {
    expect_not_verified(
        verifier.verify(SignatureScheme::kRsaSha256, "text", std::string(256, fill)));
  }
}

TEST(Key, RefusesAnotherKeyAndAnotherScheme) {
  const std::string signature = test_key(0).sign(SignatureScheme::kRsaSha256, "text").value();
  expect_not_verified(
      test_key(1).public_key().verify(SignatureScheme::kRsaSha256, "text", signature));
  expect_not_verified(
      test_key(0).public_key().verify(SignatureScheme::kRsaSha1, "text", signature));
  const std::string old = test_key(0).sign(SignatureScheme::kRsaSha1, "text").value();
  expect_not_verified(test_key(0).public_key().verify(SignatureScheme::kRsaSha256, "text", old));
}

TEST(Key, KnowsWhatItMadeWithoutTheText) {
  for (const SignatureScheme scheme : kSchemes) {
    const std::string signature = test_key(0).sign(scheme, "a text").value();
    EXPECT_EQ(test_key(0).public_key().scheme_made(signature), scheme);
    EXPECT_EQ(test_key(1).public_key().scheme_made(signature), std::nullopt);
    std::string changed = signature;
    changed.back() ^= 1;
    EXPECT_EQ(test_key(0).public_key().scheme_made(changed), std::nullopt);
    EXPECT_EQ(test_key(0).public_key().scheme_made(signature + "x"), std::nullopt);
    EXPECT_EQ(test_key(0).public_key().scheme_made(""), std::nullopt);
    EXPECT_EQ(ERR_peek_error(), 0U);
  }
}

TEST(Key, RefusesPssSignatures) {
  const TestPkey pkey = key_from_pem(test_key(0));
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* inner = nullptr;
  ASSERT_EQ(EVP_DigestSignInit(context, &inner, EVP_sha256(), nullptr, pkey.get()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING), 1);
  std::string signature(256, '\0');
  std::size_t size = signature.size();
  ASSERT_EQ(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size,
                           reinterpret_cast<const unsigned char*>("text"), 4),
            1);
  EVP_MD_CTX_free(context);
  expect_not_verified(
      test_key(0).public_key().verify(SignatureScheme::kRsaSha256, "text", signature));
}

TEST(PublicKey, ReadsEveryWrittenForm) {
  const PrivateKey& key = test_key(0);
  const TestPkey pkey = key_from_pem(key);
  const std::string spki = public_pem(pkey.get());
  const std::string bare = bare_base64(spki);
  std::string one_line = bare;
  std::erase(one_line, '\n');
  std::string windows;
  for (const char c : spki) windows += c == '\n' ? "\r\n" : std::string(1, c);
  const std::string signature = key.sign(SignatureScheme::kRsaSha256, "text").value();
  for (const std::string& text :
       {spki, windows, bare, one_line, "  " + one_line + "\r\n", "a comment\n" + spki,
        encoded(pkey.get(), EVP_PKEY_PUBLIC_KEY, "PEM", "type-specific")}) {
    const Result<PublicKey> parsed = PublicKey::parse(text);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().code << '\n' << text;
    EXPECT_EQ(parsed->fingerprint(), key.public_key().fingerprint());
    EXPECT_EQ(parsed->bits(), 2048);
    EXPECT_EQ(parsed->pem(), spki);
    EXPECT_TRUE(parsed->verify(SignatureScheme::kRsaSha256, "text", signature).has_value());
  }
  EXPECT_NE(test_key(1).public_key().fingerprint(), key.public_key().fingerprint());
  EXPECT_EQ(key.public_key().fingerprint().size(), 16U);
}

// Proves P3: a missing key is an error when it is read, not a key that accepts something.
TEST(PublicKey, RefusesEmptyTexts) {
  for (const std::string_view text : {"", " ", "\n", " \t\r\n "}) {
    expect_public_refused(text, "key_empty");
    expect_private_refused(text, "key_empty");
  }
}

TEST(PublicKey, RefusesKeysThatAreTooShort) {
  for (const unsigned int bits : {1024U, 2040U}) {
    const TestPkey pkey(EVP_RSA_gen(bits));
    expect_public_refused(public_pem(pkey.get()), "key_too_short");
    expect_public_refused(bare_base64(public_pem(pkey.get())), "key_too_short");
    expect_private_refused(private_pem(pkey.get()), "key_too_short");
  }
}

TEST(PublicKey, RefusesKeysThatAreNotRsa) {
  const TestPkey curve(EVP_EC_gen("P-256"));
  const TestPkey sm2(EVP_PKEY_Q_keygen(nullptr, nullptr, "SM2"));
  const TestPkey edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  for (const TestPkey* pkey : {&curve, &sm2, &edwards}) {
    ASSERT_NE(pkey->get(), nullptr);
    expect_public_refused(public_pem(pkey->get()), "key_not_rsa");
    expect_public_refused(bare_base64(public_pem(pkey->get())), "key_not_rsa");
    expect_private_refused(private_pem(pkey->get()), "key_not_rsa");
  }
  expect_private_refused(encoded(curve.get(), EVP_PKEY_KEYPAIR, "PEM", "type-specific"),
                         "key_not_rsa");
}

TEST(PublicKey, RefusesRsaKeysRestrictedToPss) {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr);
  EVP_PKEY* raw = nullptr;
  ASSERT_EQ(EVP_PKEY_keygen_init(context), 1);
  ASSERT_EQ(EVP_PKEY_generate(context, &raw), 1);
  EVP_PKEY_CTX_free(context);
  const TestPkey pkey(raw);
  expect_public_refused(public_pem(pkey.get()), "key_not_rsa");
}

// With an exponent of 1, a padded digest is its own signature: anyone could sign.
TEST(PublicKey, RefusesExponentsThatProveNothing) {
  for (const std::string_view exponent : {"01", "02", "010000", "010000000000000001"}) {
    expect_public_refused(public_pem(with_exponent(exponent).get()), "key_malformed");
  }
  EXPECT_TRUE(PublicKey::parse(public_pem(with_exponent("010001").get())).has_value());
  EXPECT_TRUE(PublicKey::parse(public_pem(with_exponent("03").get())).has_value());
}

TEST(PublicKey, RefusesBrokenTexts) {
  const std::string pem = test_key(0).public_key().pem();
  const std::string bare = bare_base64(pem);
  const std::string der = [&] {
    std::string packed = bare;
    std::erase(packed, '\n');
    return base64_decode(packed).value();
  }();
  expect_public_refused("not a key", "key_malformed");
  expect_public_refused("0", "key_malformed");
  expect_public_refused(der, "key_malformed");
  expect_public_refused(pem.substr(0, pem.size() / 2), "key_malformed");
  expect_public_refused(pem.substr(0, pem.find("-----END")), "key_malformed");
  expect_public_refused(bare.substr(0, bare.size() / 2 / 4 * 4), "key_malformed");
  expect_public_refused(base64_encode(der + '\0'), "key_malformed");
  expect_public_refused(base64_encode(der.substr(0, der.size() - 1)), "key_malformed");
  expect_public_refused(
      "-----BEGIN PUBLIC KEY-----\n" + base64_encode(der + "xyz") + "\n-----END PUBLIC KEY-----\n",
      "key_malformed");
  expect_public_refused("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "key_malformed");
  expect_public_refused(pem + test_key(1).public_key().pem(), "key_malformed");
  expect_public_refused(pem + pem.substr(0, pem.size() / 2), "key_malformed");
  expect_public_refused(std::string(std::size_t{2} << 20, ' ') + pem, "key_malformed");
}

// A common mistake: the application's private key pasted where the platform's public key belongs.
TEST(PublicKey, RefusesPrivateKeys) {
  const Secret pem = test_key(0).pem();
  expect_public_refused(pem.reveal(), "key_malformed");
  expect_public_refused(bare_base64(pem.reveal()), "key_malformed");
  expect_private_refused(test_key(0).public_key().pem(), "key_malformed");
  expect_private_refused(bare_base64(test_key(0).public_key().pem()), "key_malformed");
}

TEST(PrivateKey, ReadsEveryWrittenForm) {
  const TestPkey pkey = key_from_pem(test_key(0));
  const std::string pkcs8 = private_pem(pkey.get());
  const std::string pkcs1 = encoded(pkey.get(), EVP_PKEY_KEYPAIR, "PEM", "type-specific");
  ASSERT_NE(pkcs1.find("BEGIN RSA PRIVATE KEY"), std::string::npos);
  EXPECT_EQ(test_key(0).pem().reveal(), pkcs8);
  for (const std::string& text : {pkcs8, pkcs1, bare_base64(pkcs8), bare_base64(pkcs1)}) {
    const Result<PrivateKey> parsed = PrivateKey::parse(Secret(text));
    ASSERT_TRUE(parsed.has_value()) << parsed.error().code;
    EXPECT_EQ(parsed->public_key().fingerprint(), test_key(0).public_key().fingerprint());
    EXPECT_EQ(parsed->pem().reveal(), pkcs8);
    const std::string signature = parsed->sign(SignatureScheme::kRsaSha256, "text").value();
    EXPECT_TRUE(test_key(0)
                    .public_key()
                    .verify(SignatureScheme::kRsaSha256, "text", signature)
                    .has_value());
  }
}

TEST(PrivateKey, RefusesBrokenAndEncryptedTexts) {
  const std::string pem(test_key(0).pem().reveal());
  expect_private_refused("not a key", "key_malformed");
  expect_private_refused(pem.substr(0, pem.size() / 2), "key_malformed");
  expect_private_refused(pem + pem, "key_malformed");
  const TestPkey pkey = key_from_pem(test_key(0));
  BIO* out = BIO_new(BIO_s_mem());
  char password[] = "password";
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(out, pkey.get(), EVP_aes_256_cbc(), password, 8, nullptr,
                                          nullptr),
            1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out, &text);
  expect_private_refused(std::string_view(text, static_cast<std::size_t>(size)), "key_malformed");
  BIO_free(out);
  // The older way to encrypt says so in a header of the block; no header is passed over.
  std::string with_header = pem;
  with_header.insert(with_header.find('\n') + 1, "Proc-Type: 4,MIC-CLEAR\n\n");
  expect_private_refused(with_header, "key_malformed");
}

TEST(PrivateKey, TheTextItWasReadFromIsNotNeededAnyLonger) {
  Secret text = test_key(0).pem();
  const PrivateKey key = PrivateKey::parse(text).value();
  text = Secret();
  EXPECT_TRUE(key.sign(SignatureScheme::kRsaSha256, "text").has_value());
}

// A verifier kept for a key that is gone must never answer for another key at the same address.
TEST(Key, NeverMistakesANewKeyForAnOldOneAtItsAddress) {
  const std::string pems[] = {test_key(0).public_key().pem(), test_key(1).public_key().pem()};
  const std::string signatures[] = {test_key(0).sign(SignatureScheme::kRsaSha256, "text").value(),
                                    test_key(1).sign(SignatureScheme::kRsaSha256, "text").value()};
  for (std::size_t i = 0; i < 100; ++i) {
    const PublicKey key = PublicKey::parse(pems[i % 2]).value();
    EXPECT_TRUE(key.verify(SignatureScheme::kRsaSha256, "text", signatures[i % 2]).has_value());
    EXPECT_FALSE(
        key.verify(SignatureScheme::kRsaSha256, "text", signatures[(i + 1) % 2]).has_value());
  }
}

TEST(Key, MoreKeysThanAThreadKeepsStillVerify) {
  std::vector<PublicKey> keys;
  for (std::size_t i = 0; i < 40; ++i) {
    keys.push_back(PublicKey::parse(test_key(i % 3).public_key().pem()).value());
  }
  std::vector<std::string> signatures;
  for (std::size_t i = 0; i < 3; ++i) {
    signatures.push_back(test_key(i).sign(SignatureScheme::kRsaSha256, "text").value());
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      EXPECT_TRUE(
          keys[i].verify(SignatureScheme::kRsaSha256, "text", signatures[i % 3]).has_value());
      EXPECT_FALSE(
          keys[i].verify(SignatureScheme::kRsaSha256, "text", signatures[(i + 1) % 3]).has_value());
    }
  }
}

TEST(Key, ThreadsVerifyWithSeveralKeysAtOnce) {
  constexpr std::size_t kThreads = 6;
  constexpr std::size_t kRounds = 200;
  std::vector<PublicKey> keys;
  for (std::size_t i = 0; i < 24; ++i) {
    keys.push_back(PublicKey::parse(test_key(i % 3).public_key().pem()).value());
  }
  std::vector<std::string> signatures;
  for (std::size_t i = 0; i < 6; ++i) {
    signatures.push_back(test_key(i % 3).sign(kSchemes[i / 3], "text").value());
  }
  std::atomic<int> wrong{0};
  const auto work = [&](std::size_t thread) {
    for (std::size_t i = 0; i < kRounds; ++i) {
      const std::size_t at = (i * 7 + thread) % keys.size();
      const std::size_t scheme = i % 2;
      const std::string& good = signatures[scheme * 3 + at % 3];
      const std::string& bad = signatures[scheme * 3 + (at + 1) % 3];
      if (!keys[at].verify(kSchemes[scheme], "text", good)) ++wrong;
      if (keys[at].verify(kSchemes[scheme], "text", bad)) ++wrong;
      if (keys[at].verify(kSchemes[scheme], "texu", good)) ++wrong;
      if (i % 50 != 0) continue;
      // Keys come and go while others are in use, and several threads sign with one key.
      const PublicKey fresh = PublicKey::parse(test_key(at % 3).public_key().pem()).value();
      const std::string made = test_key(at % 3).sign(kSchemes[scheme], "other").value();
      if (!fresh.verify(kSchemes[scheme], "other", made)) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace postern::crypto
