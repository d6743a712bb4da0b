// Goal: no URL reaches into the network Postern stands in, unless its operator allows it.
// Method: every address of the attack list and the edges of every block, against what the IANA
// registries say; allowed networks with their edges.

#include "delivery/address_guard.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::delivery {
namespace {

std::string verdict(const std::string& text, const std::vector<std::string>& allowed = {}) {
  const auto guard = AddressGuard::make(allowed);
  if (!guard) return std::string(guard.error().code);
  const auto address = IpAddress::parse(text);
  if (!address) return "no address";
  const Result<void> result = guard->check(*address);
  return result ? "public" : std::string(result.error().code);
}

TEST(AddressGuard, RefusesWhatIsNotPublic) {
  for (const char* text : {"0.0.0.0",
                           "0.255.255.255",
                           "10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.0.1",
                           "169.254.169.254",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.1",
                           "198.19.255.255",
                           "198.51.100.7",
                           "203.0.113.9",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "100.100.100.200",
                           "168.63.129.16",
                           "::",
                           "::1",
                           "::7f00:1",
                           "::ffff:127.0.0.1",
                           "::ffff:7f00:1",
                           "::ffff:10.0.0.1",
                           "64:ff9b::7f00:1",
                           "64:ff9b::10.1.2.3",
                           "64:ff9b:1::8.8.8.8",
                           "2002:7f00:1::",
                           "2002:a00:1::1",
                           "2001::1",
                           "2001:0:53aa:64c:0:0:f5ff:fffe",
                           "2001:db8::1",
                           "3fff::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "fc00::1",
                           "fd00::1",
                           "fd00:ec2::254",
                           "ff02::1",
                           "ffff::1",
                           "4000::1",
                           "100::1",
                           "5f00::1",
                           "::ffff:168.63.129.16"}) {
    EXPECT_EQ(verdict(text), "address_not_allowed") << text;
  }
}

TEST(AddressGuard, LetsPublicAddressesThrough) {
  for (const char* text :
       {"1.0.0.1",          "9.255.255.255",  "11.0.0.0",        "100.63.255.255", "100.128.0.0",
        "126.255.255.255",  "128.0.0.0",      "169.253.255.255", "169.255.0.0",    "172.15.255.255",
        "172.32.0.0",       "192.0.1.0",      "192.167.255.1",   "192.169.0.0",    "198.17.255.255",
        "198.20.0.0",       "223.255.255.1",  "2606:4700::1111", "2400:3200::1",   "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2002:808:808::1"}) {
    EXPECT_EQ(verdict(text), "public") << text;
  }
}

TEST(AddressGuard, AllowsTheNetworksOfTheEndpointOnly) {
  EXPECT_EQ(verdict("10.1.0.0", {"10.1.0.0/16"}), "public");
  EXPECT_EQ(verdict("10.1.255.255", {"10.1.0.0/16"}), "public");
  EXPECT_EQ(verdict("10.2.0.0", {"10.1.0.0/16"}), "address_not_allowed");
  EXPECT_EQ(verdict("10.0.255.255", {"10.1.0.0/16"}), "address_not_allowed");
  EXPECT_EQ(verdict("10.9.8.7", {"10.9.8.7"}), "public");
  EXPECT_EQ(verdict("10.9.8.6", {"10.9.8.7"}), "address_not_allowed");
  EXPECT_EQ(verdict("172.16.5.129", {"172.16.5.128/25"}), "public");
  EXPECT_EQ(verdict("172.16.5.127", {"172.16.5.128/25"}), "address_not_allowed");
  EXPECT_EQ(verdict("fd00:1::5", {"10.0.0.0/8", "fd00:1::/48"}), "public");
  EXPECT_EQ(verdict("fd00:2::5", {"fd00:1::/48"}), "address_not_allowed");
  EXPECT_EQ(verdict("::ffff:127.0.0.1", {"127.0.0.0/8"}), "public");
  EXPECT_EQ(verdict("64:ff9b::7f00:1", {"127.0.0.0/8"}), "public");
  EXPECT_EQ(verdict("192.168.1.1", {"0.0.0.0/0"}), "public");
  EXPECT_EQ(verdict("::1", {"0.0.0.0/0"}), "address_not_allowed");
}

TEST(AddressGuard, GivesMetadataToWhomNamesItOnly) {
  EXPECT_EQ(verdict("169.254.169.254", {"169.254.0.0/16"}), "address_not_allowed");
  EXPECT_EQ(verdict("169.254.7.7", {"169.254.0.0/16"}), "public");
  EXPECT_EQ(verdict("100.100.100.200", {"100.64.0.0/10"}), "address_not_allowed");
  EXPECT_EQ(verdict("168.63.129.16", {"0.0.0.0/0"}), "address_not_allowed");
  EXPECT_EQ(verdict("fd00:ec2::254", {"fc00::/7"}), "address_not_allowed");
  EXPECT_EQ(verdict("169.254.169.254", {"169.254.169.254/32"}), "public");
  EXPECT_EQ(verdict("::ffff:169.254.169.254", {"169.254.169.254"}), "public");
}

TEST(AddressGuard, RefusesNetworksThatAreNot) {
  for (const char* text : {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0.1/8", "10.0.0/8", "fd00::/129", "fd00::1/64", "shop.example",
                           "/8", "10.0.0.0/8/8", " 10.0.0.0/8", "fe80::1%eth0"}) {
    EXPECT_EQ(verdict("8.8.8.8", {text}), "network_malformed") << text;
  }
  EXPECT_EQ(verdict("8.8.8.8", std::vector<std::string>(65, "10.0.0.0/8")), "network_malformed");
}

}  // namespace
}  // namespace postern::delivery
