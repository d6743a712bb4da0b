#include "app/config_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace postern::app {
namespace {

/// What a running daemon takes over. Whatever else stands in these sections needs a restart: a key
/// that nobody has thought of here must not look as if it were in force.
constexpr std::array<std::string_view, 21> kLive = {"admin.api_key",
                                                    "admin.tls.certificate",
                                                    "admin.tls.client_ca",
                                                    "admin.tls.private_key",
                                                    "log.level",
                                                    "server.body_bytes_max",
                                                    "server.body_timeout_ms",
                                                    "server.bytes_held_max",
                                                    "server.connections_max",
                                                    "server.connections_per_peer_max",
                                                    "server.failed_burst",
                                                    "server.failed_per_peer_burst",
                                                    "server.failed_per_peer_per_s",
                                                    "server.failed_per_s",
                                                    "server.header_bytes_max",
                                                    "server.header_timeout_ms",
                                                    "server.idle_timeout_ms",
                                                    "server.requests_in_flight_max",
                                                    "server.tls.certificate",
                                                    "server.tls.private_key",
                                                    "server.write_timeout_ms"};

[[nodiscard]] const SectionNotes& notes_of(const Config& config, const std::string& section) {
  static const SectionNotes kNone;
  const auto found = config.notes.find(section);
  return found == config.notes.end() ? kNone : found->second;
}

/// The keys whose values differ.
[[nodiscard]] std::vector<std::string> differing(const SectionNotes& running,
                                                 const SectionNotes& wanted) {
  std::set<std::string> keys;
  for (const auto& [key, setting] : running.settings) {
    const auto other = wanted.settings.find(key);
    if (other == wanted.settings.end() || other->second.value != setting.value) keys.insert(key);
  }
  for (const auto& [key, setting] : wanted.settings) {
    if (!running.settings.contains(key)) keys.insert(key);
  }
  return {keys.begin(), keys.end()};
}

[[nodiscard]] Result<void> compare_section(const Config& running, const Config& wanted,
                                           const std::string& section,
                                           std::vector<std::string>& changed) {
  const SectionNotes& now = notes_of(wanted, section);
  for (const std::string& key : differing(notes_of(running, section), now)) {
    // A listener cannot begin or cease to speak TLS.
    const bool is_tls_switched = section.ends_with(".tls") && (!running.notes.contains(section) ||
                                                               !wanted.notes.contains(section));
    const bool is_live =
        std::ranges::find(kLive, fmt::format("{}.{}", section, key)) != kLive.end();
    if (is_tls_switched || !is_live) {
      const auto setting = now.settings.find(key);
      const bool is_there = setting != now.settings.end();
      const ConfigFile file{.name = wanted.file, .folder = {}};
      return fault(
          "setting_fixed",
          at(file, is_there ? setting->second.line : now.line,
             fmt::format("[{}] {}{} while the daemon runs: restart for this, or {}", section, key,
                         is_there ? " cannot change" : " cannot be taken out",
                         is_there ? "write what it was" : "put it back")));
    }
    changed.push_back(fmt::format("[{}] {}", section, key));
  }
  return {};
}

/// Whether it is one of many of its kind, each of which may come, change and go.
[[nodiscard]] bool is_part(std::string_view section) {
  return section.starts_with("account.") || section.starts_with("endpoint.") ||
         section.starts_with("merchant.");
}

/// @param kind  of the sections "KIND.NAME"
template <class Parts>
[[nodiscard]] admin::NamesChanged compare_parts(const Config& running, const Config& wanted,
                                                std::string_view kind, Parts part) {
  admin::NamesChanged names;
  const auto has = [&](const Config& config, const std::string& name) {
    return std::ranges::any_of(config.*part,
                               [&](const auto& one) { return one.name.text() == name; });
  };
  for (const auto& one : running.*part) {
    if (!has(wanted, one.name.text())) names.removed.push_back(one.name.text());
  }
  for (const auto& one : wanted.*part) {
    const std::string& name = one.name.text();
    const std::string section = fmt::format("{}.{}", kind, name);
    if (!has(running, name)) {
      names.added.push_back(name);
    } else if (!differing(notes_of(running, section), notes_of(wanted, section)).empty()) {
      names.changed.push_back(name);
    }
  }
  return names;
}

void describe(std::string_view what, const admin::NamesChanged& names, std::string& line) {
  std::string part;
  for (const auto& [sign, list] : {std::pair('+', &names.added), std::pair('-', &names.removed),
                                   std::pair('~', &names.changed)}) {
    for (const std::string& name : *list) part += fmt::format(" {}{}", sign, name);
  }
  if (!part.empty()) line += fmt::format("{}{}{}", line.empty() ? "" : "; ", what, part);
}

}  // namespace

Result<admin::ConfigurationChange> compare(const Config& running, const Config& wanted) {
  admin::ConfigurationChange change;
  std::set<std::string> sections;
  for (const ConfigNotes* notes : {&running.notes, &wanted.notes}) {
    for (const auto& [title, section] : *notes) sections.insert(title);
  }
  for (const std::string& section : sections) {
    if (is_part(section)) continue;
    POSTERN_RETURN_IF_ERROR(compare_section(running, wanted, section, change.settings));
  }
  change.accounts = compare_parts(running, wanted, "account", &Config::accounts);
  change.endpoints = compare_parts(running, wanted, "endpoint", &Config::endpoints);
  return change;
}

std::string describe(const admin::ConfigurationChange& change) {
  std::string line;
  describe("accounts", change.accounts, line);
  describe("endpoints", change.endpoints, line);
  if (!change.settings.empty()) {
    line +=
        fmt::format("{}settings {}", line.empty() ? "" : "; ", fmt::join(change.settings, ", "));
  }
  return line.empty() ? "nothing" : line;
}

}  // namespace postern::app
