// Goal: a JSON text means one thing or is refused; money is an integer or nothing (attacks J01 to
// J12, L12, L13, L15; promise P8).
// Method: texts on which parsers are known to disagree, each refused; genuine texts beside them.

#include "channel/json.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

[[nodiscard]] std::string nested(std::string_view open, std::string_view close, std::size_t depth) {
  std::string text = R"({"a":)";
  for (std::size_t i = 1; i < depth; ++i) text += open;
  text += "1";
  for (std::size_t i = 1; i < depth; ++i) text += close;
  return text + "}";
}

TEST(Json, ReadsAnObject) {
  const auto object = must(
      parse_json_object(" {\"a\":\"x\\u4e2d\\/"
                        "\",\"b\":{\"a\":[1,{\"a\":null}]},\"c\":-12,\"d\":1.5,\"e\":true}\r\n"));
  EXPECT_EQ(json_text(object, "a"), "x中/");
  EXPECT_EQ(json_integer(object, "c"), -12);
  EXPECT_NE(json_object(object, "b"), nullptr);
  EXPECT_EQ(json_object(object, "a"), nullptr);
  EXPECT_EQ(json_text(object, "c"), "");
  EXPECT_EQ(json_text(object, "none"), "");
}

TEST(Json, RefusesRepeatedNamesAtAnyDepth) {
  for (const std::string_view text :
       {R"({"out_trade_no":"A","out_trade_no":"B"})", R"({"a":1,"a":1,"a":1})",
        R"({"x":{"a":1,"b":2,"a":3}})", R"({"x":[{"y":{"a":1,"a":1}}]})",
        R"({"total":1,"tot\u0061l":100})", R"({"a":{"b":1},"c":2,"a":3})", R"({"":1,"":2})"}) {
    EXPECT_EQ(code_of(parse_json_object(text)), "key_duplicate") << text;
  }
  // The same name in different objects is no repetition.
  EXPECT_TRUE(parse_json_object(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"));
  EXPECT_TRUE(parse_json_object(R"({"Total":1,"total":2})"));
}

TEST(Json, MoneyIsAnInteger) {
  const auto total = [](std::string_view number) -> std::optional<std::int64_t> {
    const auto object = parse_json_object(R"({"total":)" + std::string(number) + "}");
    return object ? json_integer(*object, "total") : std::nullopt;
  };
  EXPECT_EQ(total("0"), 0);
  EXPECT_EQ(total("8888"), 8888);
  EXPECT_EQ(total("9007199254740993"), 9007199254740993);
  EXPECT_EQ(total("9223372036854775807"), INT64_MAX);
  for (const std::string_view number :
       {"1e2", "100.0", "1E400", "-0", "0100", "+100", ".5", "5.", "0x64", "NaN", "Infinity",
        "9223372036854775808", "\"100\"", "[100]", "{\"a\":100}", "true", "null", "", "1_000"}) {
    EXPECT_FALSE(total(number)) << number;
  }
  EXPECT_FALSE(total(std::string(400, '1')));
}

TEST(Json, RefusesNumbersThatAreNone) {
  // Found by json_fuzz: the second became not-a-number in a value that was accepted.
  for (const std::string_view number : {"1e400", "0e4020000", "-1e400", "1E+99999"}) {
    EXPECT_EQ(code_of(parse_json_object(R"({"a":)" + std::string(number) + "}")), "body_malformed")
        << number;
  }
  EXPECT_TRUE(parse_json_object(R"({"a":1e300,"b":1e-400,"c":0.5})"));
}

TEST(Json, RefusesWhatFollows) {
  for (const std::string_view text : {"{}{}", "{},1", "{}x", "{} ,", "{}\xEF\xBB\xBF"}) {
    EXPECT_EQ(code_of(parse_json_object(text)), "body_malformed") << text;
  }
  EXPECT_EQ(code_of(parse_json_object(std::string("{}\0", 3))), "body_malformed");
  EXPECT_TRUE(parse_json_object("{} \t\r\n"));
}

TEST(Json, RefusesOtherSyntax) {
  for (const std::string_view text : {"{/*x*/\"a\":1}",
                                      "{\"a\":1,}",
                                      "{'a':1}",
                                      "{a:1}",
                                      "{\"a\":1 // x\n}",
                                      "{\"a\" 1}",
                                      "[{\"a\":1}]",
                                      "null",
                                      "\"a\"",
                                      "1",
                                      "",
                                      " ",
                                      "\xEF\xBB\xBF{}",
                                      "{",
                                      "{\"a\":1",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":\"\\udc00x\"}",
                                      "{\"a\":\"\xC0\xAE\"}",
                                      "{\"a\":\"\xED\xA0\x80\"}",
                                      "{\"a\":\"\\x41\"}",
                                      "{\"\xFF\":1}",
                                      "{\"a\":tru}"}) {
    EXPECT_EQ(code_of(parse_json_object(text)), "body_malformed") << text;
  }
}

TEST(Json, NamesAreComparedByBytes) {
  const auto object = must(parse_json_object(
      "{\"Total\":1,\"tota\u200bl\":2,\"ｔｏｔａｌ\":3,\"__proto__\":4,\"constructor\":5}"));
  EXPECT_FALSE(json_integer(object, "total"));
  EXPECT_EQ(json_integer(object, "__proto__"), 4);
}

TEST(Json, LimitsDepth) {
  EXPECT_TRUE(parse_json_object(nested("[", "]", kJsonDepthMax)));
  EXPECT_EQ(code_of(parse_json_object(nested("[", "]", kJsonDepthMax + 1))), "body_malformed");
  EXPECT_EQ(code_of(parse_json_object(nested("[", "]", 100'000))), "body_malformed");
  EXPECT_EQ(code_of(parse_json_object(nested("{\"a\":", "}", 100'000))), "body_malformed");
}

TEST(Json, LimitsWidth) {
  const auto object_of = [](std::size_t members) {
    std::string text = "{";
    for (std::size_t i = 0; i < members; ++i) {
      text += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":1";
    }
    return text + "}";
  };
  const auto array_of = [](std::size_t values) {
    std::string text = "{\"a\":[1";
    for (std::size_t i = 1; i < values; ++i) text += ",1";
    return text + "]}";
  };
  EXPECT_TRUE(parse_json_object(object_of(kJsonMembersMax)));
  EXPECT_TRUE(parse_json_object(array_of(kJsonValuesMax - 2)));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of(parse_json_object(object_of(kJsonMembersMax + 1))), "body_malformed");
  EXPECT_EQ(code_of(parse_json_object(object_of(50'000))), "body_malformed");
  EXPECT_EQ(code_of(parse_json_object(array_of(kJsonValuesMax + 1))), "body_malformed");
  EXPECT_EQ(code_of(parse_json_object("{\"a\":" + std::string(1'000'000, '1') + "}")),
            "body_malformed");
  EXPECT_EQ(code_of(parse_json_object("{\"a\":\"" + std::string(kJsonBytesMax, 'x') + "\"}")),
            "body_malformed");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace postern::channel
