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

namespace postern::app {
namespace {

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

[[nodiscard]] Result<Secret> read_file(const std::filesystem::path& path) {
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

[[nodiscard]] Result<Secret> read_any(std::string_view source,
                                      const std::filesystem::path& folder) {
  if (source.starts_with(kEnvironment)) return read_environment(source.substr(kEnvironment.size()));
  if (source.starts_with(kFile) && source.size() > kFile.size()) {
    return read_file(folder / source.substr(kFile.size()));
  }
  return fault("secret_inline",
               "write env:NAME or file:PATH; a secret never stands in the configuration itself");
}

}  // namespace

Result<Secret> read_secret(std::string_view source, const std::filesystem::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(const Secret read, read_any(source, folder));
  Secret secret = without_line_end(read);
  if (secret.empty()) return fault("secret_empty", fmt::format("{} is empty", source));
  return secret;
}

}  // namespace postern::app
