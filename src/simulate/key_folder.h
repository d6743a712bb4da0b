#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::simulate {

/// The files that belong to one simulated account: "ACCOUNT.json" with its ids, and one
/// "ACCOUNT-PART.pem" or ".key" for each key. All of them are for simulation only.
class KeyFolder {
 public:
  KeyFolder(std::filesystem::path folder, std::string_view account)
      : folder_(std::move(folder)), account_(account) {}

  using Ids = std::map<std::string, std::string>;

  /// Makes the folder if need be, readable by its owner only. @errors kFault file_not_written
  [[nodiscard]] Result<void> create() const;
  /// Writes one file, readable by its owner only. @errors kFault file_exists, file_not_written
  [[nodiscard]] Result<void> write(std::string_view part, std::string_view content) const;
  /// @errors kRejected keys_not_found
  [[nodiscard]] Result<Secret> read(std::string_view part) const;
  /// The value "file:..." for a setting. @errors kRejected path_unsupported (a quote, backslash or
  /// control character, which would need escaping)
  [[nodiscard]] Result<std::string> setting(std::string_view part) const;

  /// @errors as `write`
  [[nodiscard]] Result<void> write_ids(const Ids& ids) const;
  /// @errors kRejected keys_not_found, keys_malformed, platform_mismatch
  [[nodiscard]] Result<Ids> read_ids(std::string_view platform) const;

 private:
  [[nodiscard]] std::filesystem::path path(std::string_view part) const;
  std::filesystem::path folder_;
  std::string account_;
};

/// The id called `name`. @errors kRejected keys_malformed
[[nodiscard]] Result<std::string> id_of(const KeyFolder::Ids& ids, const std::string& name);

/// Writes a file that did not exist, readable by its owner only.
/// @errors kFault file_exists, file_not_written
[[nodiscard]] Result<void> write_private_file(const std::filesystem::path& path,
                                              std::string_view content);

}  // namespace postern::simulate
