// Goal: a fact's key is taken for ever, whether it is filed, waits to be, or was read again at a
// start; and memory holds no more of them than it should (P2).
// Method: the class over a real file, with few places in memory, so that every batch files some;
// opened again and again, rolled back now and then.
#include "store/sqlite/fact_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "store/sqlite/schema.h"
#include "tests/support/temporary_folder.h"

namespace postern::store::sqlite {
namespace {

constexpr std::size_t kUnfiledMax = 40;

class FactKeysTest : public ::testing::Test {
 protected:
  FactKeysTest() { EXPECT_TRUE(database_.run(kSchema1)); }

  void open(std::size_t unfiled_max = kUnfiledMax) {
    keys_.emplace(FactKeys::open(database_, unfiled_max).value());
  }

  /// One transaction that writes a fact of each key, up to the claim that is refused.
  [[nodiscard]] Result<void> write(RowId first, const std::vector<std::string>& keys) {
    EXPECT_TRUE(database_.run("BEGIN IMMEDIATE"));
    const Result<void> claimed = claim(first, keys);
    EXPECT_TRUE(database_.run(claimed ? "COMMIT" : "ROLLBACK"));
    claimed ? keys_->committed() : keys_->rolled_back();
    return claimed;
  }

  [[nodiscard]] std::vector<RowId> find(const std::string& key) {
    return keys_->find({&key}).value();
  }

  [[nodiscard]] std::int64_t number(const char* sql) { return database_.integer(sql).value(); }

  std::optional<FactKeys> keys_;

 private:
  [[nodiscard]] Result<void> claim(RowId id, const std::vector<std::string>& keys) {
    Statement insert =
        database_
            .prepare(
                "INSERT INTO facts (id, attempt_id, fact_key, kind, source, payment_id, "
                "refund_id, dispute_id, dispute, occurred_at_ms, recorded_at_ms) "
                "VALUES (?, 1, ?, 0, 0, '', '', '', 0, 0, 0)")
            .value();
    std::vector<const std::string*> asked;
    for (const std::string& key : keys) asked.push_back(&key);
    POSTERN_RETURN_IF_ERROR(keys_->find(asked));
    for (const std::string& key : keys) {
      insert.bind(id, key);
      POSTERN_RETURN_IF_ERROR(insert.run());
      POSTERN_RETURN_IF_ERROR(keys_->claim(key, id++));
    }
    return keys_->file_surplus();
  }

  testing::TemporaryFolder folder_;
  Database database_ =
      Database::open((folder_ / "keys.db").string(), Access::kReadWrite, std::string()).value();
};

[[nodiscard]] std::string key_of(RowId id) {
  return fmt::format("alipay\tpay\t{}", id * 7919 % 1009);
}

TEST_F(FactKeysTest, FindsEveryKeyAndKeepsFewInMemory) {
  open();
  for (RowId id = 1; id <= 1000; id += 10) {
    std::vector<std::string> keys;
    for (RowId i = id; i < id + 10; ++i) keys.push_back(key_of(i));
    ASSERT_TRUE(write(id, keys));
    EXPECT_LE(keys_->unfiled(), kUnfiledMax);
    if (id % 70 == 1) open();  // A start.
  }
  EXPECT_GT(number("SELECT count(*) FROM fact_keys"), 900);
  for (RowId id = 1; id <= 1000; ++id) EXPECT_EQ(find(key_of(id)), std::vector{id});
  EXPECT_EQ(find("alipay\tpay\tunknown"), std::vector<RowId>());
}

TEST_F(FactKeysTest, RefusesAKeyThatIsTaken) {
  for (const std::size_t unfiled_max : {std::size_t{0}, std::size_t{1000}}) {
    open(unfiled_max);
    const RowId first = unfiled_max == 0 ? 1 : 100;
    const std::string key = fmt::format("key {}", first);
    ASSERT_TRUE(write(first, {key}));
    EXPECT_EQ(keys_->unfiled() == 0, unfiled_max == 0);
    for (int start = 0; start < 2; ++start) {
      const Result<void> refused = write(first + 1, {"new", key});
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().error_class, ErrorClass::kRejected);
      EXPECT_EQ(find("new"), std::vector<RowId>());
      open(unfiled_max);
    }
    EXPECT_FALSE(write(first + 1, {"twin", "twin"}));
  }
}

TEST_F(FactKeysTest, ForgetsWhatWasRolledBack) {
  open(0);
  ASSERT_TRUE(write(1, {"a", "b"}));
  ASSERT_FALSE(write(3, {"c", "a"}));
  EXPECT_EQ(find("c"), std::vector<RowId>());
  EXPECT_TRUE(write(3, {"c", "d"}));
  EXPECT_EQ(find("c"), std::vector<RowId>{3});
  EXPECT_EQ(number("SELECT count(*) FROM fact_keys"), 4);
}

TEST_F(FactKeysTest, ReadsOnlyTheLatestAgainAtAStart) {
  open();
  for (RowId id = 1; id <= 1000; id += 10) {
    std::vector<std::string> keys;
    for (RowId i = id; i < id + 10; ++i) keys.push_back(key_of(i));
    ASSERT_TRUE(write(id, keys));
  }
  open();
  EXPECT_LE(keys_->unfiled(), 4 * kUnfiledMax);
}

TEST_F(FactKeysTest, HashesAlikeForEver) {
  // Stored hashes are compared with those of later versions.
  EXPECT_EQ(FactKeys::hash_of(""), -8831310015281547563);
  EXPECT_EQ(FactKeys::hash_of("alipay\tpay\t2026010522001412341000123456"), 8583746316287696746);
}

}  // namespace
}  // namespace postern::store::sqlite
