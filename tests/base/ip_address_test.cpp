// Goal: networks hold exactly the addresses their prefix says, in both families.
// Method: the edges of networks, texts that are none, and mapped addresses.
#include "base/ip_address.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

[[nodiscard]] IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}
[[nodiscard]] Network net(std::string_view text) {
  return Network::parse(text).value();
}

TEST(IpAddress, ReadsNumericAddressesAlone) {
  for (const char* text : {"", " 1.2.3.4", "1.2.3.4 ", "1.2.3", "01.2.3.4", "1.2.3.256", "[::1]",
                           "::1%lo", "localhost", "0x7f.0.0.1"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0x", 9)));
  EXPECT_FALSE(IpAddress::parse(std::string(200, '1')));
  EXPECT_EQ(ip("2001:DB8::1").text(), "2001:db8::1");
  EXPECT_EQ(ip("::ffff:192.0.2.1").unmapped(), ip("192.0.2.1"));
  EXPECT_EQ(ip("2001:db8::1").unmapped(), ip("2001:db8::1"));
}

TEST(Network, HoldsWhatBeginsWithItsPrefix) {
  EXPECT_TRUE(net("10.1.0.0/17").contains(ip("10.1.127.255")));
  EXPECT_FALSE(net("10.1.0.0/17").contains(ip("10.1.128.0")));
  EXPECT_TRUE(net("0.0.0.0/0").contains(ip("255.1.2.3")));
  EXPECT_FALSE(net("0.0.0.0/0").contains(ip("::1")));
  EXPECT_TRUE(net("2001:db8::/33").contains(ip("2001:db8:7fff::1")));
  EXPECT_FALSE(net("2001:db8::/33").contains(ip("2001:db8:8000::1")));
  EXPECT_TRUE(net("192.0.2.7").contains(ip("192.0.2.7")));
  EXPECT_FALSE(net("192.0.2.7").contains(ip("192.0.2.6")));
  EXPECT_TRUE(net("192.0.2.7").is_one_address());
  EXPECT_FALSE(net("192.0.2.6/31").is_one_address());
}

TEST(Network, RefusesWhatIsInDoubt) {
  for (const char* text : {"10.1.0.0/33", "10.1.0.1/16", "10.1.0.0/", "10.1.0.0/-1", "/8", "::/129",
                           "10.0.0.0/8x", "2001:db8::1/64"}) {
    const auto network = Network::parse(text);
    ASSERT_FALSE(network) << text;
    EXPECT_EQ(network.error().code, "network_malformed");
  }
}

TEST(Network, OverlapsWhereOneHoldsTheOther) {
  EXPECT_TRUE(net("10.0.0.0/8").overlaps(net("10.1.2.3")));
  EXPECT_TRUE(net("10.1.2.3").overlaps(net("10.0.0.0/8")));
  EXPECT_FALSE(net("10.0.0.0/9").overlaps(net("10.128.0.0/9")));
  EXPECT_FALSE(net("0.0.0.0/0").overlaps(net("::/0")));
}

TEST(Network, CountsAnIpv6SiteAsOneParty) {
  EXPECT_EQ(party_of(ip("2001:db8:1:2:3::4")), ip("2001:db8:1:2::"));
  EXPECT_NE(party_of(ip("2001:db8:1:3::")), ip("2001:db8:1:2::"));
  EXPECT_EQ(party_of(ip("192.0.2.7")), ip("192.0.2.7"));
}

}  // namespace
}  // namespace postern
