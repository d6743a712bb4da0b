// Goal: a header on which a verdict hangs is there once or the request is refused (attacks H46,
// H47, H48, L05).
// Method: header blocks with the field absent, repeated in other case, and look-alikes.

#include "channel/request.h"

#include <gtest/gtest.h>

#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

[[nodiscard]] std::string content_type(std::initializer_list<std::string_view> values) {
  Headers headers;
  for (const std::string_view value : values) headers.add("content-type", value);
  return code_of(check_content_type(headers, {"text/xml", "application/xml"}));
}

TEST(Request, FindsAHeaderOnce) {
  Headers headers;
  headers.add("Wechatpay-Nonce", "n");
  headers.add("X-Wechatpay-Serial", "not it");
  headers.add("Wechatpay_Serial", "nor this");
  EXPECT_EQ(must(required_header(headers, "wechatpay-nonce")), "n");
  EXPECT_EQ(code_of(required_header(headers, "Wechatpay-Serial")), "header_missing");
  EXPECT_FALSE(must(optional_header(headers, "Wechatpay-Serial")));
}

TEST(Request, RefusesARepeatedHeader) {
  Headers headers;
  headers.add("Wechatpay-Signature-Type", "a");
  headers.add("X", "y");
  headers.add("wechatpay-signature-type", "a");
  EXPECT_EQ(code_of(required_header(headers, "Wechatpay-Signature-Type")), "header_duplicate");
  EXPECT_EQ(code_of(optional_header(headers, "Wechatpay-Signature-Type")), "header_duplicate");
}

TEST(Request, ChecksTheContentType) {
  EXPECT_EQ(content_type({"text/xml"}), "ok");
  EXPECT_EQ(content_type({"Text/XML ; charset=\"UTF-8\""}), "ok");
  EXPECT_EQ(content_type({"application/xml;charset=gbk"}), "ok");
  EXPECT_EQ(content_type({"text/xml; boundary=x"}), "ok");
  for (const std::string_view value : {"", "text/plain", "text/xmlx", "multipart/form-data",
                                       "application/json", "text/xml; charset=utf-7"}) {
    EXPECT_EQ(content_type({value}), "content_type_wrong") << value;
  }
  EXPECT_EQ(content_type({}), "content_type_wrong");
  EXPECT_EQ(content_type({"text/xml", "text/xml"}), "content_type_wrong");
}

TEST(Request, RefusesACompressedBody) {
  const auto encoded = [](std::initializer_list<std::string_view> values) {
    Headers headers;
    headers.add("Content-Type", "text/xml");
    for (const std::string_view value : values) headers.add("content-encoding", value);
    return code_of(check_content_type(headers, {"text/xml"}));
  };
  EXPECT_EQ(encoded({}), "ok");
  EXPECT_EQ(encoded({"Identity"}), "ok");
  for (const std::string_view value :
       {"gzip", "br", "deflate", "zstd", "", "identity, gzip", "x"}) {
    EXPECT_EQ(encoded({value}), "content_encoding_wrong") << value;
  }
  EXPECT_EQ(encoded({"identity", "gzip"}), "content_encoding_wrong");
}

}  // namespace
}  // namespace postern::channel
