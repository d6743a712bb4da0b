// Goal (attacks S15, O09): a secret that anybody could guess, read or replace is refused when it is
// loaded, with what to do about it, and public texts are held only to what matters for them.
// Method: lists of weak secrets; real files and folders, each with one thing wrong with its mode,
// owner or place; every refusal beside the nearest thing that is taken.
#include "app/secret_source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "app/secret_strength.h"
#include "tests/support/temporary_folder.h"

namespace postern::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kGood = "f3a1c95b0e7d42868d1b6c04";

[[nodiscard]] std::string strength(std::string_view text, SourceKind kind = SourceKind::kKey) {
  const Result<void> checked = check_strength(Secret(std::string(text)), kind);
  if (checked) return "ok";
  EXPECT_EQ(text.size() >= 16 && text.find_first_not_of(" ") != text.npos
                ? checked.error().detail.find(text)
                : std::string::npos,
            std::string::npos)
      << "the error repeats the secret";
  return std::string(checked.error().code);
}

TEST(SecretStrength, RefusesDefaultsSamplesAndWhatIsShort) {
  for (const std::string_view weak : {"x",
                                      "changeme",
                                      "test",
                                      "secret",
                                      "ChangeMe",
                                      " secret ",
                                      "f3a1c95b0e7d428",
                                      "000000000000",
                                      "00000000000000000000000000000000",
                                      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                      "changemechangemechangemechangeme",
                                      "testtesttesttesttesttesttesttest",
                                      "secretsecretsecretsecretsecretse",
                                      "0123456789abcdef0123456789abcdef",
                                      "0123456789ABCDEF",
                                      "1234567890123456",
                                      "12345678901234567890123456789012",
                                      "abcdefghijklmnopqrstuvwxyz012345",
                                      "192006250b4c09247ec02edce69f6a2d",
                                      "8934E7D15453E97507EF794CF7B0519D",
                                      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}) {
    EXPECT_EQ(strength(weak), "secret_weak") << weak;
  }
  for (const std::string_view blank : {"", "   ", "\t\n", "                    "}) {
    EXPECT_EQ(strength(blank), "secret_empty") << "[" << blank << "]";
  }
}

TEST(SecretStrength, TakesWhatIsMadeAtRandom) {
  for (const std::string_view good :
       {"f3a1c95b0e7d4286", "0123456789abcdefghijklmnopqrstuv", "test-f3a1c95b0e7d4286",
        "192006250b4c09247ec02edce69f6a2e", "whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="}) {
    EXPECT_EQ(strength(good), "ok") << good;
  }
}

TEST(SecretStrength, OfAPeersPasswordOnlyTheDefaultsAreRefused) {
  EXPECT_EQ(strength("tiger7", SourceKind::kPassword), "ok");
  EXPECT_EQ(strength("password", SourceKind::kPassword), "secret_weak");
  EXPECT_EQ(strength("  ", SourceKind::kPassword), "secret_empty");
}

TEST(SecretStrength, PublicTextsAreNotSecrets) {
  EXPECT_EQ(strength("test", SourceKind::kPublic), "ok");
}

class SecretFile : public ::testing::Test {
 protected:
  SecretFile() { folder_.write("some.key", kGood); }

  [[nodiscard]] Result<Secret> read(SourceKind kind = SourceKind::kKey,
                                    const std::string& name = "some.key") const {
    return read_secret("file:" + name, folder_.path(), kind);
  }
  /// "ok", or the code of the refusal.
  [[nodiscard]] std::string verdict(SourceKind kind = SourceKind::kKey,
                                    const std::string& name = "some.key") const {
    const Result<Secret> secret = read(kind, name);
    return secret ? "ok" : std::string(secret.error().code);
  }
  [[nodiscard]] std::string detail(SourceKind kind = SourceKind::kKey) const {
    const Result<Secret> secret = read(kind);
    return secret ? "" : secret.error().detail;
  }
  void mode(mode_t mode, const std::string& name = "some.key") const {
    ASSERT_EQ(::chmod((folder_ / name).c_str(), mode), 0);
  }

  testing::TemporaryFolder folder_;
};

TEST_F(SecretFile, MayBeReadByOwnerAndGroupOnly) {
  for (const mode_t fine : std::initializer_list<mode_t>{0600, 0400, 0640, 0440, 0700, 0750}) {
    mode(fine);
    EXPECT_EQ(verdict(), "ok") << std::oct << fine;
    EXPECT_EQ(verdict(SourceKind::kPassword), "ok") << std::oct << fine;
  }
  for (const mode_t open :
       std::initializer_list<mode_t>{0644, 0604, 0602, 0601, 0620, 0660, 0666, 0777}) {
    mode(open);
    EXPECT_EQ(verdict(), "secret_exposed") << std::oct << open;
    EXPECT_EQ(verdict(SourceKind::kPassword), "secret_exposed") << std::oct << open;
  }
  mode(0644);
  EXPECT_NE(detail().find("chmod 600 " + (folder_ / "some.key").string()), std::string::npos)
      << detail();
}

TEST_F(SecretFile, ThatIsPublicMayBeReadButNotWrittenByOthers) {
  for (const mode_t fine : std::initializer_list<mode_t>{0644, 0444, 0600, 0755}) {
    mode(fine);
    EXPECT_EQ(verdict(SourceKind::kPublic), "ok") << std::oct << fine;
  }
  for (const mode_t open : std::initializer_list<mode_t>{0664, 0646, 0666}) {
    mode(open);
    EXPECT_EQ(verdict(SourceKind::kPublic), "secret_exposed") << std::oct << open;
  }
  EXPECT_NE(detail(SourceKind::kPublic).find("chmod 644"), std::string::npos);
}

TEST_F(SecretFile, StandsInAFolderThatNobodyElseMayWriteInto) {
  for (const mode_t open : std::initializer_list<mode_t>{0770, 0777, 0702, 0720}) {
    mode(open, "");
    EXPECT_EQ(verdict(), "secret_exposed") << std::oct << open;
    EXPECT_EQ(verdict(SourceKind::kPublic), "secret_exposed") << std::oct << open;
  }
  EXPECT_NE(detail().find("chmod go-w"), std::string::npos);
  // As /tmp is: others may add files, and not touch this one.
  mode(01777, "");
  EXPECT_EQ(verdict(), "ok");
  mode(0755, "");
  EXPECT_EQ(verdict(), "ok");
}

TEST_F(SecretFile, StandsBelowNoFolderOpenToStrangers) {
  fs::create_directories(folder_ / "a/b");
  fs::rename(folder_ / "some.key", folder_ / "a/b/some.key");
  mode(0775, "a");
  EXPECT_EQ(verdict(SourceKind::kKey, "a/b/some.key"), "ok");
  mode(0757, "a");
  EXPECT_EQ(verdict(SourceKind::kKey, "a/b/some.key"), "secret_exposed");
}

TEST_F(SecretFile, ThatIsALinkIsHeldToWhereItLeads) {
  fs::create_directory(folder_ / "open");
  fs::create_directory(folder_ / "closed");
  fs::rename(folder_ / "some.key", folder_ / "open/some.key");
  fs::create_symlink("open/some.key", folder_ / "some.key");
  EXPECT_EQ(verdict(), "ok");
  mode(0777, "open");
  EXPECT_EQ(verdict(), "secret_exposed") << "the file's own folder";

  fs::rename(folder_ / "open/some.key", folder_ / "closed/some.key");
  fs::create_symlink("../closed/some.key", folder_ / "open/link.key");
  EXPECT_EQ(verdict(SourceKind::kKey, "open/link.key"), "secret_exposed") << "the link's folder";
  mode(0700, "open");
  EXPECT_EQ(verdict(SourceKind::kKey, "open/link.key"), "ok");
}

TEST_F(SecretFile, BelongsToRootOrToTheDaemon) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(::chown((folder_ / "some.key").c_str(), 65534, 0), 0);
  EXPECT_EQ(verdict(), "secret_exposed");
  EXPECT_EQ(verdict(SourceKind::kPublic), "secret_exposed");
  EXPECT_NE(detail().find("chown 0"), std::string::npos);
}

TEST_F(SecretFile, IsHeldToItsStrengthAsTheEnvironmentIs) {
  folder_.write("some.key", "changeme\n");
  EXPECT_EQ(verdict(), "secret_weak");
  folder_.write("some.key", "                 \n");
  EXPECT_EQ(verdict(), "secret_empty");
  ::setenv("POSTERN_TEST_WEAK", "changeme", 1);
  const Result<Secret> weak =
      read_secret("env:POSTERN_TEST_WEAK", folder_.path(), SourceKind::kKey);
  EXPECT_EQ(weak ? "ok" : weak.error().code, "secret_weak");
}

}  // namespace
}  // namespace postern::app
