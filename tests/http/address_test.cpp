// Goal: addresses in text are taken apart as the standard says, and wrong ones are named as such.
// Method: tables.

#include <gtest/gtest.h>

#include "http/client.h"
#include "http/server.h"

namespace postern::http {
namespace {

TEST(Url, IsTakenApart) {
  struct Case {
    std::string_view text, host;
    std::uint16_t port;
    std::string_view target;
  };
  for (const Case& test : {
           Case{"http://shop.internal/payments", "shop.internal", 80, "/payments"},
           Case{"http://127.0.0.1:8080", "127.0.0.1", 8080, "/"},
           Case{"http://[::1]:9/a%20b?c=d", "::1", 9, "/a%20b?c=d"},
           Case{"HTTP://Shop/", "Shop", 80, "/"},
           Case{"http://shop?a=b", "shop", 80, "/?a=b"},
           Case{"http://shop:/a#part", "shop", 80, "/a"},
       }) {
    const Result<Url> url = Url::parse(test.text);
    ASSERT_TRUE(url) << test.text;
    EXPECT_EQ(url->host, test.host) << test.text;
    EXPECT_EQ(url->port, test.port) << test.text;
    EXPECT_EQ(url->target, test.target) << test.text;
  }
}

TEST(Url, IsRefusedWithAReason) {
  for (const std::string_view text :
       {"", "shop", "/a", "http://", "http:///a", "http://a b/", "http://user@shop/",
        "http://shop:65536/", "http://shop:0/", "http://shop:x/", "http://shop:8x/",
        "http://shop:80:90/", "http://[::1]x/", "http://[::1/", "http:shop"}) {
    const Result<Url> url = Url::parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, "url_malformed") << text;
  }
  for (const std::string_view text : {"https://shop/", "ftp://shop/", "mailto:a@b"}) {
    const Result<Url> url = Url::parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, "url_scheme_unsupported") << text;
  }
}

TEST(ListenAddress, IsANumericAddressAndAPort) {
  const auto v4 = parse_listen_address("127.0.0.1:8080");
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 8080);
  const auto v6 = parse_listen_address("[::1]:0");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 0);
  for (const std::string_view text :
       {"", "127.0.0.1", "127.0.0.1:", "localhost:80", ":80", "::1:80", "127.0.0.1:65536",
        "127.0.0.1:-1", "a@127.0.0.1:80", "127.0.0.1:80/", "256.0.0.1:80", "[::1]"}) {
    const auto address = parse_listen_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, "address_malformed") << text;
  }
}

}  // namespace
}  // namespace postern::http
