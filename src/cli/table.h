#pragma once

#include <boost/json/object.hpp>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace postern::cli {

/// Rows in columns, for people. Control characters of strangers' texts are shown as '?', so that
/// they do not reach the terminal.
class Table {
 public:
  explicit Table(std::initializer_list<std::string_view> titles);
  void add(std::vector<std::string> cells);
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// `text` without control characters.
[[nodiscard]] std::string printable(std::string_view text);

/// What stands under `name`, for people: texts as they are, money as "88.00 CNY", null as "-".
[[nodiscard]] std::string shown(const boost::json::object& object, std::string_view name);

}  // namespace postern::cli
