#include "base/message.h"

#include <algorithm>

namespace postern {
namespace {

[[nodiscard]] char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

[[nodiscard]] bool equal_without_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

void Headers::reserve(std::size_t fields, std::size_t bytes) {
  fields_.reserve(fields);
  block_.reserve(bytes);
}

void Headers::add(std::string_view name, std::string_view value) {
  const auto begin = static_cast<std::uint32_t>(block_.size());
  block_.append(name).append(": ").append(value).append("\r\n");
  const auto name_size = static_cast<std::uint32_t>(name.size());
  fields_.push_back(
      {begin, name_size, begin + name_size + 2, static_cast<std::uint32_t>(value.size())});
}

std::optional<std::string_view> Headers::only(std::string_view name) const {
  std::optional<std::string_view> found;
  const std::string_view block = block_;
  for (const Field& field : fields_) {
    if (!equal_without_case(block.substr(field.name_begin, field.name_size), name)) continue;
    if (found) return std::nullopt;
    found = block.substr(field.value_begin, field.value_size);
  }
  return found;
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> found;
  const std::string_view block = block_;
  for (const Field& field : fields_) {
    if (!equal_without_case(block.substr(field.name_begin, field.name_size), name)) continue;
    found.push_back(block.substr(field.value_begin, field.value_size));
  }
  return found;
}

Headers Headers::from_block(std::string_view block) {
  Headers headers;
  while (!block.empty()) {
    const std::size_t end = std::min(block.find("\r\n"), block.size());
    const std::string_view line = block.substr(0, end);
    if (const std::size_t colon = line.find(": "); colon != std::string_view::npos) {
      headers.add(line.substr(0, colon), line.substr(colon + 2));
    }
    block.remove_prefix(std::min(end + 2, block.size()));
  }
  return headers;
}

}  // namespace postern
