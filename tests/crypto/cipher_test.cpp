// Goal: AES gives the published answers, GCM returns nothing that its tag does not prove, and no
// key of a wrong length is used.
// Method: the AES-256 cases of the GCM specification (McGrew and Viega, appendix B, cases 13 to 18)
// and of NIST SP 800-38A; round trips; each part of a sealed text broken in turn.

#include "crypto/cipher.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <string>
#include <thread>
#include <vector>

#include "crypto/encoding.h"

namespace postern::crypto {
namespace {

std::string from_hex(std::string_view hex) {
  return hex_decode(hex).value();
}
Secret secret_from_hex(std::string_view hex) {
  return Secret(from_hex(hex));
}

void expect_error(const Result<std::string>& result, std::string_view code,
                  ErrorClass error_class) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, code);
  EXPECT_EQ(result.error().error_class, error_class);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

struct GcmCase {
  const char* key;
  const char* nonce;
  const char* associated_data;
  const char* plaintext;
  const char* ciphertext;
  const char* tag;
};

constexpr const char* kZeroKey = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr const char* kKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
constexpr const char* kAssociated = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
constexpr const char* kPlain60 =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";

const std::vector<GcmCase>& gcm_cases() {
  static const std::vector<GcmCase> cases = {
      {kZeroKey, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {kZeroKey, "000000000000000000000000", "", "00000000000000000000000000000000",
       "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
      {kKey, "cafebabefacedbaddecaf888", "",
       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
       "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
       "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
       "b094dac5d93471bdec1a502270e3cc6c"},
      {kKey, "cafebabefacedbaddecaf888", kAssociated, kPlain60,
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
       "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
       "76fc6ece0f4e1768cddf8853bb2d551b"},
      {kKey, "cafebabefacedbad", kAssociated, kPlain60,
       "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0"
       "feb582d33934a4f0954cc2363bc73f7862ac430e64abe499f47c9b1f",
       "3a337dbf46a792c45e454913fe2ea8f2"},
      {kKey,
       "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
       "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
       kAssociated, kPlain60,
       "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf4"
       "0fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f",
       "a44a8266ee1c8eb0c8b5d4cf5ae9f19a"},
  };
  return cases;
}

TEST(Aes256Gcm, GivesTheAnswersOfTheSpecification) {
  for (const GcmCase& one : gcm_cases()) {
    const Secret key = secret_from_hex(one.key);
    const std::string nonce = from_hex(one.nonce);
    const std::string associated = from_hex(one.associated_data);
    const std::string sealed = from_hex(std::string(one.ciphertext) + one.tag);
    const Result<std::string> made =
        aes_256_gcm_seal(key, nonce, associated, from_hex(one.plaintext));
    ASSERT_TRUE(made.has_value()) << made.error().code;
    EXPECT_EQ(hex_encode(*made), hex_encode(sealed));
    const Result<std::string> opened = aes_256_gcm_open(key, nonce, associated, sealed);
    ASSERT_TRUE(opened.has_value()) << opened.error().code;
    EXPECT_EQ(hex_encode(*opened), one.plaintext);
  }
}

// Proves P3 for sealed bodies: whatever part is wrong, nothing of the text comes out.
TEST(Aes256Gcm, RefusesAnyPartThatIsChanged) {
  const Secret key(std::string(32, 'k'));
  const std::string sealed = aes_256_gcm_seal(key, "123456789012", "transaction", "text").value();
  ASSERT_EQ(aes_256_gcm_open(key, "123456789012", "transaction", sealed).value(), "text");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string broken = sealed;
      broken[i] = static_cast<char>(broken[i] ^ (1 << bit));
      expect_error(aes_256_gcm_open(key, "123456789012", "transaction", broken),
                   "decryption_failed", ErrorClass::kRejected);
    }
  }
  const auto refused = [](const Result<std::string>& result) {
    expect_error(result, "decryption_failed", ErrorClass::kRejected);
  };
  refused(aes_256_gcm_open(key, "123456789013", "transaction", sealed));
  refused(aes_256_gcm_open(key, "12345678901", "transaction", sealed));
  refused(aes_256_gcm_open(key, "123456789012", "refund", sealed));
  refused(aes_256_gcm_open(key, "123456789012", "", sealed));
  refused(aes_256_gcm_open(Secret(std::string(32, 'l')), "123456789012", "transaction", sealed));
  refused(aes_256_gcm_open(key, "123456789012", "transaction", sealed + 'x'));
  // The context that has just refused is fit for the next text.
  EXPECT_EQ(aes_256_gcm_open(key, "123456789012", "transaction", sealed).value(), "text");
}

TEST(Aes256Gcm, RefusesTextsShorterThanATag) {
  const Secret key(std::string(32, 'k'));
  const std::string sealed = aes_256_gcm_seal(key, "123456789012", "", "text").value();
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    expect_error(aes_256_gcm_open(key, "123456789012", "", sealed.substr(0, size)),
                 "decryption_failed", ErrorClass::kRejected);
  }
}

TEST(Aes256Gcm, TakesNoncesOf1To128Bytes) {
  const Secret key(std::string(32, 'k'));
  for (const std::size_t size : {1U, 8U, 12U, 13U, 64U, 128U}) {
    const std::string nonce(size, 'n');
    const std::string sealed = aes_256_gcm_seal(key, nonce, "data", "text").value();
    EXPECT_EQ(aes_256_gcm_open(key, nonce, "data", sealed).value(), "text") << size;
  }
  for (const std::size_t size : {0U, 129U, 1000U}) {
    const std::string nonce(size, 'n');
    expect_error(aes_256_gcm_seal(key, nonce, "data", "text"), "encryption_failed",
                 ErrorClass::kFault);
    expect_error(aes_256_gcm_open(key, nonce, "data", std::string(32, 'x')), "decryption_failed",
                 ErrorClass::kRejected);
  }
}

TEST(Aes256Gcm, SealsAndOpensEmptyTexts) {
  const Secret key(std::string(32, 'k'));
  const std::string sealed = aes_256_gcm_seal(key, "123456789012", "", "").value();
  EXPECT_EQ(sealed.size(), 16U);
  const Result<std::string> opened = aes_256_gcm_open(key, "123456789012", "", sealed);
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(opened->empty());
}

TEST(Cipher, RefusesKeysOfAnotherLength) {
  for (const std::size_t size : {0U, 1U, 15U, 17U, 24U, 31U, 33U, 64U}) {
    const Secret key(std::string(size, 'k'));
    const auto refused = [](const Result<std::string>& result) {
      expect_error(result, "key_length_wrong", ErrorClass::kFault);
    };
    refused(aes_256_gcm_open(key, "123456789012", "", std::string(32, 'x')));
    refused(aes_256_gcm_seal(key, "123456789012", "", "text"));
    refused(aes_256_ecb_decrypt(key, std::string(32, 'x')));
    refused(aes_256_ecb_encrypt(key, "text"));
    refused(aes_128_cbc_decrypt(key, std::string(32, 'x')));
    refused(aes_128_cbc_encrypt(key, "text"));
  }
  expect_error(aes_128_cbc_encrypt(Secret(std::string(32, 'k')), "text"), "key_length_wrong",
               ErrorClass::kFault);
  expect_error(aes_256_ecb_encrypt(Secret(std::string(16, 'k')), "text"), "key_length_wrong",
               ErrorClass::kFault);
}

constexpr const char* kBlocks =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

TEST(Aes256Ecb, GivesTheAnswersOfSp80038a) {
  const Secret key =
      secret_from_hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
  const std::string blocks =
      "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
      "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7";
  const std::string encrypted = aes_256_ecb_encrypt(key, from_hex(kBlocks)).value();
  // The standard's text fills its blocks, so that one block of padding follows.
  EXPECT_EQ(encrypted.size(), 80U);
  EXPECT_EQ(hex_encode(encrypted.substr(0, 64)), blocks);
  EXPECT_EQ(hex_encode(aes_256_ecb_decrypt(key, encrypted).value()), kBlocks);
}

TEST(Aes128Cbc, GivesTheAnswersOfSp80038a) {
  const Secret key = secret_from_hex("2b7e151628aed2a6abf7158809cf4f3c");
  // The standard's vector is 00 01 .. 0f, ours is zero: that goes into the first block instead.
  std::string text = from_hex(kBlocks);
  for (std::size_t i = 0; i < 16; ++i) text[i] = static_cast<char>(text[i] ^ static_cast<char>(i));
  const std::string blocks =
      "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
      "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7";
  const std::string encrypted = aes_128_cbc_encrypt(key, text).value();
  EXPECT_EQ(encrypted.size(), 80U);
  EXPECT_EQ(hex_encode(encrypted.substr(0, 64)), blocks);
  EXPECT_EQ(aes_128_cbc_decrypt(key, encrypted).value(), text);
}

TEST(PaddedModes, ReadBackEveryLength) {
  const Secret ecb_key(std::string(32, 'e'));
  const Secret cbc_key(std::string(16, 'c'));
  for (std::size_t size = 0; size < 70; ++size) {
    const std::string text(size, 't');
    EXPECT_EQ(aes_256_ecb_decrypt(ecb_key, aes_256_ecb_encrypt(ecb_key, text).value()).value(),
              text);
    EXPECT_EQ(aes_128_cbc_decrypt(cbc_key, aes_128_cbc_encrypt(cbc_key, text).value()).value(),
              text);
  }
}

TEST(PaddedModes, RefuseBrokenBlocksAndPadding) {
  const Secret ecb_key(std::string(32, 'e'));
  const Secret cbc_key(std::string(16, 'c'));
  const std::string ecb = aes_256_ecb_encrypt(ecb_key, "some text").value();
  const std::string cbc = aes_128_cbc_encrypt(cbc_key, "some text").value();
  for (std::size_t size = 0; size < 16; ++size) {
    expect_error(aes_256_ecb_decrypt(ecb_key, ecb.substr(0, size)), "decryption_failed",
                 ErrorClass::kRejected);
    expect_error(aes_128_cbc_decrypt(cbc_key, cbc.substr(0, size)), "decryption_failed",
                 ErrorClass::kRejected);
  }
  expect_error(aes_256_ecb_decrypt(ecb_key, ecb + 'x'), "decryption_failed", ErrorClass::kRejected);
  expect_error(aes_128_cbc_decrypt(cbc_key, cbc + 'x'), "decryption_failed", ErrorClass::kRejected);
  // Blocks whose padding is 00 or 11 hex, or disagrees with itself, encrypted as inner blocks of a
  // longer text and cut out, since encrypting always pads rightly.
  for (const std::string& last :
       {std::string(16, '\0'), std::string(16, '\x11'), std::string(14, 'x') + "\x01\x02"}) {
    const std::string block = aes_256_ecb_encrypt(ecb_key, last).value().substr(0, 16);
    expect_error(aes_256_ecb_decrypt(ecb_key, block), "decryption_failed", ErrorClass::kRejected);
    const std::string chained = aes_128_cbc_encrypt(cbc_key, last).value().substr(0, 16);
    expect_error(aes_128_cbc_decrypt(cbc_key, chained), "decryption_failed", ErrorClass::kRejected);
  }
}

TEST(Cipher, ThreadsHaveContextsOfTheirOwn) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&wrong, t] {
      const Secret key(std::string(32, static_cast<char>('a' + t)));
      for (int i = 0; i < 300; ++i) {
        const std::string text = "text " + std::to_string(i);
        const std::string sealed = aes_256_gcm_seal(key, "123456789012", "data", text).value();
        const std::string block = aes_256_ecb_encrypt(key, text).value();
        if (aes_256_gcm_open(key, "123456789012", "data", sealed).value() != text ||
            aes_256_ecb_decrypt(key, block).value() != text ||
            aes_256_gcm_open(key, "123456789012", "date", sealed).has_value()) {
          ++wrong[t];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace postern::crypto
