// Goal: a secret's bytes are in one place only, and gone when it is (P17).
// Method: look at the memory a secret leaves behind when it is moved, assigned and destroyed, both
// for short texts, kept inside the object, and long ones, kept outside. Whether it can be logged is
// asked of the compiler.

#include "base/secret.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

namespace postern {
namespace {

const std::string kShort = "short-secret";
const std::string kLong(100, 'S');

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };

static_assert(!Streamable<Secret>);
static_assert(!fmt::is_formattable<Secret>::value);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<std::string, Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret>);
static_assert(std::is_nothrow_move_assignable_v<Secret>);

/// Whether the `size` bytes from `at` on, which an object still owns, are all zero.
bool is_wiped(const char* at, std::size_t size) {
  return std::all_of(at, at + size, [](char c) { return c == '\0'; });
}

TEST(Secret, KeepsItsTextAndItsLength) {
  EXPECT_TRUE(Secret().empty());
  EXPECT_EQ(Secret().size(), 0U);
  const Secret secret{kLong};
  EXPECT_FALSE(secret.empty());
  EXPECT_EQ(secret.size(), kLong.size());
  EXPECT_EQ(secret.reveal(), kLong);
}

TEST(Secret, CopiesAreIndependent) {
  Secret first{kShort};
  const Secret second = first;
  first = Secret{kLong};
  EXPECT_EQ(second.reveal(), kShort);
  EXPECT_EQ(first.reveal(), kLong);
}

// What is left in a secret that was moved from is what these two look at.
// NOLINTBEGIN(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
TEST(Secret, AMovedFromSecretIsEmptyAndWiped) {
  for (const std::string& text : {kShort, kLong}) {
    Secret source{text};
    const char* const bytes = source.reveal().data();
    const Secret target = std::move(source);
    EXPECT_EQ(target.reveal(), text);
    EXPECT_TRUE(source.empty());
    EXPECT_EQ(source.reveal().data(), bytes);
    EXPECT_TRUE(is_wiped(bytes, text.size()));
  }
}

TEST(Secret, AMoveAssignedFromSecretIsEmptyAndWiped) {
  for (const std::string& text : {kShort, kLong}) {
    Secret source{text};
    const char* const bytes = source.reveal().data();
    Secret target{std::string("old")};
    target = std::move(source);
    EXPECT_EQ(target.reveal(), text);
    EXPECT_TRUE(source.empty());
    EXPECT_TRUE(is_wiped(bytes, text.size()));
  }
}
// NOLINTEND(bugprone-use-after-move,clang-analyzer-cplusplus.Move)

TEST(Secret, AssigningOverASecretWipesTheOldText) {
  Secret secret{kLong};
  const char* const bytes = secret.reveal().data();
  secret = Secret{std::string("new")};
  EXPECT_EQ(secret.reveal(), "new");
  // The shorter text went where the longer one was; nothing of that is left behind it.
  ASSERT_EQ(secret.reveal().data(), bytes);
  EXPECT_TRUE(is_wiped(bytes + 3, kLong.size() - 3));

  Secret copied_over{kLong};
  const char* const copied_bytes = copied_over.reveal().data();
  const Secret other{kShort};
  copied_over = other;
  EXPECT_EQ(copied_over.reveal(), kShort);
  ASSERT_EQ(copied_over.reveal().data(), copied_bytes);
  EXPECT_TRUE(is_wiped(copied_bytes + kShort.size(), kLong.size() - kShort.size()));
}

TEST(Secret, WipesWhatWasCutOffItsTextToo) {
  std::string cut = kLong;
  cut.resize(3);
  Secret secret{std::move(cut)};
  const char* const bytes = secret.reveal().data();
  ASSERT_EQ(bytes[4], 'S');
  secret = Secret{std::string("new")};
  ASSERT_EQ(secret.reveal().data(), bytes);
  EXPECT_TRUE(is_wiped(bytes + 3, kLong.size() - 3));
}

TEST(Secret, AssigningToItselfKeepsIt) {
  Secret secret{kShort};
  Secret& same = secret;
  secret = same;
  EXPECT_EQ(secret.reveal(), kShort);
  secret = std::move(same);
  EXPECT_EQ(secret.reveal(), kShort);
}

TEST(Secret, WipesItsTextWhenItGoes) {
  // A short text lies inside the object, so that the storage can be looked at afterwards.
  alignas(Secret) unsigned char storage[sizeof(Secret)];
  auto* const secret = new (storage) Secret{kShort};
  const auto offset = static_cast<std::size_t>(
      reinterpret_cast<const unsigned char*>(secret->reveal().data()) - storage);
  ASSERT_LT(offset, sizeof(Secret));
  ASSERT_EQ(storage[offset], 's');
  std::destroy_at(secret);
  EXPECT_TRUE(is_wiped(reinterpret_cast<const char*>(storage) + offset, kShort.size()));
}

}  // namespace
}  // namespace postern
