// Goal: digests and MACs are the published ones, an empty key makes no MAC, and comparing is exact.
// Method: known answers of RFC 1321, FIPS 180, GB/T 32905, RFC 2202 and RFC 4231, then error paths.

#include "crypto/digest.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <string>
#include <thread>
#include <vector>

#include "crypto/encoding.h"

namespace postern::crypto {
namespace {

struct DigestCase {
  DigestAlgorithm algorithm;
  std::string text;
  const char* hex;
};

void expect_digests(const std::vector<DigestCase>& cases) {
  for (const DigestCase& one : cases) {
    EXPECT_EQ(hex_encode(digest(one.algorithm, one.text)), one.hex) << one.text.substr(0, 40);
  }
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Digest, Md5GivesTheAnswersOfRfc1321) {
  using enum DigestAlgorithm;
  expect_digests({
      {kMd5, "", "d41d8cd98f00b204e9800998ecf8427e"},
      {kMd5, "a", "0cc175b9c0f1b6a831c399e269772661"},
      {kMd5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
      {kMd5, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {kMd5, "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"},
  });
}

TEST(Digest, ShaGivesTheAnswersOfFips180) {
  using enum DigestAlgorithm;
  const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  const std::string million = repeated("a", 1'000'000);
  expect_digests({
      {kSha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {kSha1, two_blocks, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
      {kSha1, million, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
      {kSha256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {kSha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {kSha256, two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {kSha256, million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
      {kSha512, "abc",
       "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
  });
}

TEST(Digest, Sm3GivesTheAnswersOfGbt32905) {
  using enum DigestAlgorithm;
  expect_digests({
      {kSm3, "abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"},
      {kSm3, repeated("abcd", 16),
       "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"},
  });
}

TEST(Digest, AlgorithmsUsedInTurnDoNotDisturbEachOther) {
  using enum DigestAlgorithm;
  for (int i = 0; i < 3; ++i) {
    expect_digests({
        {kMd5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
        {kSm3, "abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"},
        {kSha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {kSha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    });
  }
}

struct HmacCase {
  DigestAlgorithm algorithm;
  std::string key;
  std::string text;
  const char* hex;
};

void expect_macs(const std::vector<HmacCase>& cases) {
  for (const HmacCase& one : cases) {
    const Result<std::string> mac = hmac(one.algorithm, Secret(one.key), one.text);
    ASSERT_TRUE(mac.has_value()) << mac.error().code;
    EXPECT_EQ(hex_encode(*mac), one.hex) << one.text;
  }
}

TEST(Hmac, Md5AndSha1GiveTheAnswersOfRfc2202) {
  using enum DigestAlgorithm;
  const std::string long_key(80, '\xaa');
  const std::string larger = "Test Using Larger Than Block-Size Key - Hash Key First";
  expect_macs({
      {kMd5, std::string(16, '\x0b'), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d"},
      {kMd5, "Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"},
      {kMd5, long_key, larger, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"},
      {kSha1, std::string(20, '\x0b'), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
      {kSha1, "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
      {kSha1, long_key, larger, "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
  });
}

TEST(Hmac, Sha2GivesTheAnswersOfRfc4231) {
  using enum DigestAlgorithm;
  const std::string hello_key(20, '\x0b');
  const std::string long_key(131, '\xaa');
  const std::string larger = "Test Using Larger Than Block-Size Key - Hash Key First";
  expect_macs({
      {kSha256, hello_key, "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {kSha256, "Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {kSha256, long_key, larger,
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {kSha512, hello_key, "Hi There",
       "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
       "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
      {kSha512, "Jefe", "what do ya want for nothing?",
       "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
       "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
  });
}

// Proves P3: a missing key is an error, never a MAC that anyone can compute.
TEST(Hmac, RefusesAnEmptyKey) {
  for (const auto algorithm :
       {DigestAlgorithm::kMd5, DigestAlgorithm::kSha1, DigestAlgorithm::kSha256,
        DigestAlgorithm::kSha512, DigestAlgorithm::kSm3}) {
    const Result<std::string> mac = hmac(algorithm, Secret(), "text");
    ASSERT_FALSE(mac.has_value());
    EXPECT_EQ(mac.error().code, "key_empty");
    EXPECT_EQ(mac.error().error_class, ErrorClass::kFault);
  }
}

TEST(Hmac, DependsOnEveryPartAndLeavesNoStateBehind) {
  const Secret key(std::string("a key"));
  const std::string first = hmac(DigestAlgorithm::kSm3, key, "text").value();
  EXPECT_EQ(first.size(), 32U);
  EXPECT_NE(first, hmac(DigestAlgorithm::kSm3, key, "texu").value());
  EXPECT_NE(first, hmac(DigestAlgorithm::kSm3, Secret(std::string("b key")), "text").value());
  EXPECT_EQ(first, hmac(DigestAlgorithm::kSm3, key, "text").value());
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(EqualConstantTime, ComparesLengthAndEveryByte) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "bbc"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
  EXPECT_FALSE(equal_constant_time("abc", "abcd"));
  EXPECT_FALSE(equal_constant_time("", "a"));
  EXPECT_FALSE(equal_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

TEST(Digest, ThreadsHaveContextsOfTheirOwn) {
  const Secret key(std::string("Jefe"));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&wrong, &key, t] {
      for (int i = 0; i < 500; ++i) {
        if (hex_encode(digest(DigestAlgorithm::kMd5, "abc")) !=
                "900150983cd24fb0d6963f7d28e17f72" ||
            hex_encode(hmac(DigestAlgorithm::kMd5, key, "what do ya want for nothing?").value()) !=
                "750c783e6ab0b503eaa86e310a5db738") {
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
