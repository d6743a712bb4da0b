#include "simulate/key_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace postern::simulate {
namespace {

constexpr std::string_view kIdsPart = ".json";
constexpr std::string_view kPlatform = "platform";

[[nodiscard]] std::unexpected<Error> not_written(const std::filesystem::path& path) {
  const int code = errno;
  if (code == EEXIST) {
    return fault("file_exists", fmt::format("{} exists; name an empty folder", path.string()));
  }
  return fault("file_not_written", fmt::format("{}: {}", path.string(), std::strerror(code)));
}

}  // namespace

Result<void> write_private_file(const std::filesystem::path& path, std::string_view content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return not_written(path);
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const std::unexpected<Error> error = not_written(path);
      ::close(file);
      return error;
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::close(file) != 0) return not_written(path);
  return {};
}

std::filesystem::path KeyFolder::path(std::string_view part) const {
  return folder_ / fmt::format("{}{}", account_, part);
}

Result<void> KeyFolder::create() const {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error)
    return fault("file_not_written", fmt::format("{}: {}", folder_.string(), error.message()));
  if (::chmod(folder_.c_str(), 0700) != 0) return not_written(folder_);
  return {};
}

Result<void> KeyFolder::write(std::string_view part, std::string_view content) const {
  return write_private_file(path(part), content);
}

Result<Secret> KeyFolder::read(std::string_view part) const {
  std::ifstream file(path(part), std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.good() && content.empty()) {
    return rejected(
        "keys_not_found",
        fmt::format(
            "{} cannot be read; `postern simulate keys DIR` writes fresh keys into DIR/keys",
            path(part).string()));
  }
  return Secret(std::move(content));
}

Result<std::string> KeyFolder::setting(std::string_view part) const {
  const std::string text = path(part).string();
  const bool plain = std::ranges::all_of(text, [](char c) {
    return c != '"' && c != '\\' && c != '\x7F' && static_cast<unsigned char>(c) >= 0x20;
  });
  if (!plain) return rejected("path_unsupported", "name a folder without quotes");
  return fmt::format("\"file:{}\"", text);
}

Result<void> KeyFolder::write_ids(const Ids& ids) const {
  boost::json::object object;
  for (const auto& [name, value] : ids) object.emplace(name, value);
  return write(kIdsPart, boost::json::serialize(object) + "\n");
}

Result<KeyFolder::Ids> KeyFolder::read_ids(std::string_view platform) const {
  POSTERN_ASSIGN_OR_RETURN(const Secret text, read(kIdsPart));
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(text.reveal(), error);
  if (error || !value.is_object()) {
    return rejected("keys_malformed",
                    fmt::format("{} is not what `simulate keys` writes", path(kIdsPart).string()));
  }
  Ids ids;
  for (const auto& [name, member] : value.get_object()) {
    if (const auto* id = member.if_string()) ids.emplace(name, std::string_view(*id));
  }
  POSTERN_ASSIGN_OR_RETURN(const std::string found, id_of(ids, std::string(kPlatform)));
  if (found != platform) {
    return rejected("platform_mismatch",
                    fmt::format("account {} is of {}; name it with --account", account_, found));
  }
  return ids;
}

Result<std::string> id_of(const KeyFolder::Ids& ids, const std::string& name) {
  const auto found = ids.find(name);
  if (found == ids.end()) return rejected("keys_malformed", fmt::format("{} is missing", name));
  return found->second;
}

}  // namespace postern::simulate
