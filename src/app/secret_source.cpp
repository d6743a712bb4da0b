#include "app/secret_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "app/secret_strength.h"

namespace postern::app {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnvironment = "env:";
constexpr std::string_view kFile = "file:";

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

[[nodiscard]] bool is_environment_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

[[nodiscard]] Result<Secret> read_environment(std::string_view name) {
  if (!is_environment_name(name)) {
    return fault("secret_missing", "write env: and the name of an environment variable");
  }
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr) {
    return fault("secret_missing", fmt::format("set the environment variable {}", name));
  }
  return Secret(value);
}

[[nodiscard]] std::unexpected<Error> unreadable(const std::filesystem::path& path,
                                                std::string_view why) {
  return fault("secret_unreadable", fmt::format("cannot read {}: {}", path.string(), why));
}

[[nodiscard]] std::unexpected<Error> exposed(const fs::path& path, std::string_view why,
                                             std::string_view command) {
  return fault("secret_exposed",
               fmt::format("{} {}: {} {}", path.string(), why, command, path.string()));
}

/// Whoever may write into a folder may put another file in place of the one in it. Where the sticky
/// bit is set, as on /tmp, only the owner of the file may.
[[nodiscard]] Result<void> check_folder(const fs::path& folder, mode_t forbidden) {
  struct stat facts{};
  if (::stat(folder.c_str(), &facts) != 0) return unreadable(folder, std::strerror(errno));
  if ((facts.st_mode & forbidden) == 0 || (facts.st_mode & S_ISVTX) != 0) return {};
  return exposed(folder, "holds a key and can be written by others", "chmod go-w");
}

/// The folder of the file, and of a link to it, belongs to its owner alone; the folders above, to
/// whoever is not a stranger: home folders are often writable by a group of one.
[[nodiscard]] Result<void> check_folders(const fs::path& path) {
  std::error_code unresolved;
  const fs::path file = fs::canonical(path, unresolved);
  if (unresolved) return unreadable(path, unresolved.message());
  const fs::path named = path.has_parent_path() ? path.parent_path() : fs::path(".");
  POSTERN_RETURN_IF_ERROR(check_folder(named, S_IWGRP | S_IWOTH));
  POSTERN_RETURN_IF_ERROR(check_folder(file.parent_path(), S_IWGRP | S_IWOTH));
  for (fs::path above = file.parent_path(); above.has_relative_path();) {
    above = above.parent_path();
    POSTERN_RETURN_IF_ERROR(check_folder(above, S_IWOTH));
  }
  return {};
}

/// Nothing may be open to strangers. The group may read: the unit of systemd runs the daemon as a
/// user of its own, and keys are root's, readable by that user's group. It may not write: what
/// needs no writing gets none, and a group tends to grow.
[[nodiscard]] Result<void> check_file(const fs::path& path, const struct stat& facts,
                                      SourceKind kind) {
  if (facts.st_uid != 0 && facts.st_uid != ::geteuid()) {
    return exposed(path, "belongs to another user than root or the daemon's",
                   fmt::format("chown {}", ::geteuid()));
  }
  const bool is_secret = kind != SourceKind::kPublic;
  if (is_secret && (facts.st_mode & S_IRWXO) != 0) {
    return exposed(path, "is open to every user of this machine", "chmod 600");
  }
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return exposed(path, "can be written by others", is_secret ? "chmod 600" : "chmod 644");
  }
  return check_folders(path);
}

[[nodiscard]] Result<Secret> read_file(const fs::path& path, SourceKind kind) {
  // Not blocking, so that a pipe in place of a file does not hang the start.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat facts{};
  if (file.get() < 0 || ::fstat(file.get(), &facts) != 0) {
    return unreadable(path, std::strerror(errno));
  }
  if (!S_ISREG(facts.st_mode)) return unreadable(path, "it is not a file");
  if (static_cast<std::size_t>(facts.st_size) > kSecretBytesMax) {
    return unreadable(path, "it is larger than 1 MiB");
  }
  POSTERN_RETURN_IF_ERROR(check_file(path, facts, kind));
  std::string content(static_cast<std::size_t>(facts.st_size), '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0) return unreadable(path, std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  content.resize(size);
  return Secret(std::move(content));
}

[[nodiscard]] Secret without_line_end(const Secret& secret) {
  std::string_view text = secret.reveal();
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return Secret(std::string(text));
}

[[nodiscard]] Result<Secret> read_any(std::string_view source, const fs::path& folder,
                                      SourceKind kind) {
  if (source.starts_with(kEnvironment)) return read_environment(source.substr(kEnvironment.size()));
  if (source.starts_with(kFile) && source.size() > kFile.size()) {
    return read_file(folder / source.substr(kFile.size()), kind);
  }
  return fault("secret_inline",
               "write env:NAME or file:PATH; a secret never stands in the configuration itself");
}

}  // namespace

Result<Secret> read_secret(std::string_view source, const fs::path& folder, SourceKind kind) {
  POSTERN_ASSIGN_OR_RETURN(const Secret read, read_any(source, folder, kind));
  Secret secret = without_line_end(read);
  if (secret.empty()) return fault("secret_empty", fmt::format("{} is empty", source));
  POSTERN_RETURN_IF_ERROR(check_strength(secret, kind));
  return secret;
}

}  // namespace postern::app
