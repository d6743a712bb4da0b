#include "cli/table.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/utf8.h"
#include "channel/json.h"
#include "core/money.h"

namespace postern::cli {
namespace {

namespace json = boost::json;

/// How many characters `text` has; good enough for columns.
[[nodiscard]] std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

[[nodiscard]] std::string money_text(const json::object& money) {
  const auto minor = channel::json_integer(money, "minor");
  const auto currency = core::Currency::parse(channel::json_text(money, "currency"));
  if (!minor || !currency) return json::serialize(money);
  return core::Money::of(*minor, *currency).format_major() + " " + std::string(currency->code());
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  const std::string utf8 = to_utf8(text);
  for (std::size_t i = 0; i < utf8.size();) {
    const std::size_t size = utf8_character_size(std::string_view(utf8).substr(i));
    const auto first = static_cast<unsigned char>(utf8[i]);
    const bool c1 = size == 2 && first == 0xC2 && static_cast<unsigned char>(utf8[i + 1]) < 0xA0;
    if (first < 0x20 || first == 0x7F || c1) {
      out += '?';
    } else {
      out.append(utf8, i, size);
    }
    i += size;
  }
  return out;
}

std::string shown(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "-";
  if (const json::string* text = value->if_string()) return printable(std::string_view(*text));
  if (const json::object* money = value->if_object()) return money_text(*money);
  return json::serialize(*value);
}

Table::Table(std::initializer_list<std::string_view> titles) {
  rows_.emplace_back(titles.begin(), titles.end());
}

void Table::add(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - width(row[i]) + 2, ' ');
    }
    out << line << "\n";
  }
}

}  // namespace postern::cli
