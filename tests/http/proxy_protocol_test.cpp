// Goal: the PROXY protocol is read to the byte, within its bounds, and nothing else is taken for
// it. Method: headers as the specification writes them, each of them cut after every byte and with
// a request behind it; the malformed ones one by one.
#include "http/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::http {
namespace {

using namespace std::string_literals;
using Progress = ProxyHeader::Progress;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

[[nodiscard]] std::string version_2(char command, char family, const std::string& rest) {
  std::string bytes = kSignature + command + family;
  bytes += static_cast<char>(rest.size() >> 8);
  bytes += static_cast<char>(rest.size() & 0xFF);
  return bytes + rest;
}

const std::string kAddresses4 = "\xCB\x00\x71\x07\x0A\x00\x00\x01\xDC\x04\x01\xBB"s;
const std::string kAddresses6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01" +
                                std::string(15, '\0') + "\x01" + "\xDC\x04\x01\xBB"s;
const std::string kMapped6 = std::string(10, '\0') + "\xFF\xFF\xCB\x00\x71\x07"s +
                             std::string(15, '\0') + "\x01" + "\xDC\x04\x01\xBB"s;
const std::string kExtensions =
    "\x05\x00\x03"
    "abc"
    "\x04\x00\x00"s;

[[nodiscard]] std::string source(const ProxyHeader& header) {
  return header.source ? header.source->text() : "";
}

struct Whole {
  std::string bytes;
  std::string source;
};

[[nodiscard]] std::vector<Whole> wholes() {
  return {
      {"PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\r\n", "203.0.113.7"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"},
      {"PROXY TCP6 2001:db8::1 fd00::1 0 65535\r\n", "2001:db8::1"},
      {"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", "203.0.113.7"},
      {"PROXY UNKNOWN\r\n", ""},
      {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
      {version_2('\x21', '\x11', kAddresses4), "203.0.113.7"},
      {version_2('\x21', '\x11', kAddresses4 + kExtensions), "203.0.113.7"},
      {version_2('\x21', '\x21', kAddresses6), "2001:db8::1"},
      {version_2('\x21', '\x21', kMapped6 + kExtensions), "203.0.113.7"},
      {version_2('\x21', '\x31', std::string(216, 'u')), ""},
      {version_2('\x21', '\0', ""), ""},
      {version_2('\x20', '\0', ""), ""},
      // A check of the proxy's own: addresses are not looked at.
      {version_2('\x20', '\x11', kAddresses4), ""},
      {version_2('\x20', '\x77', "anything"), ""},
      {version_2('\x21', '\x11', kAddresses4 + "\x04\x0F\xE1"s + std::string(4065, 'x')),
       "203.0.113.7"},
  };
}

TEST(ProxyProtocol, ReadsAWholeHeaderAndNoByteMore) {
  for (const Whole& one : wholes()) {
    const ProxyHeader header = parse_proxy_header(one.bytes + "POST / HTTP/1.1\r\n");
    ASSERT_EQ(header.progress, Progress::kComplete) << one.bytes;
    EXPECT_EQ(header.size, one.bytes.size());
    EXPECT_EQ(source(header), one.source);
  }
}

TEST(ProxyProtocol, AsksForMoreUntilAllIsThere) {
  for (const Whole& one : wholes()) {
    for (std::size_t size = 0; size < one.bytes.size(); ++size) {
      EXPECT_EQ(parse_proxy_header(std::string_view(one.bytes).substr(0, size)).progress,
                Progress::kNeedMore)
          << one.bytes << " cut to " << size;
    }
  }
}

TEST(ProxyProtocol, RefusesWhatIsNotOne) {
  const std::vector<std::string> cases = {
      "POST /payment/alipay/callback HTTP/1.1\r\n",
      "GET",
      "\x16\x03\x01",
      "proxy TCP4 ",
      "PROXYTCP4",
      " PROXY TCP4",
      "PROXY TCP4 203.0.113.7 10.0.0.1 56324 443\n",
      "PROXY TCP4 203.0.113.7 10.0.0.1 56324\r\n",
      "PROXY TCP4 203.0.113.7 10.0.0.1 56324 443 \r\n",
      "PROXY TCP4  203.0.113.7 10.0.0.1 56324 443\r\n",
      "PROXY TCP4 203.0.113.7 10.0.0.1 56324 65536\r\n",
      "PROXY TCP4 203.0.113.7 10.0.0.1 -1 443\r\n",
      "PROXY TCP4 203.0.113.7 10.0.0.1 00 443\r\n",
      "PROXY TCP4 203.0.113.7 10.0.0.1 56324 \r\n",
      "PROXY TCP4 2001:db8::1 fd00::1 1 2\r\n",
      "PROXY TCP4 203.0.113.7 fd00::1 1 2\r\n",
      "PROXY TCP6 203.0.113.7 10.0.0.1 1 2\r\n",
      "PROXY TCP4 203.0.113.256 10.0.0.1 1 2\r\n",
      "PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n",
      "PROXY UNKNOWNX\r\n",
      "PROXY \r\n",
      "PROXY \n",
      "PROXY TCP4\r\n",
      "PROXY UNKNOWN " + std::string(93, 'x'),
      "PROXY UNKNOWN " + std::string(92, 'x') + "\r\n",
      version_2('\x31', '\x11', kAddresses4),  // version 3
      version_2('\x11', '\x11', kAddresses4),  // version 1 in the binary form
      version_2('\x22', '\x11', kAddresses4),  // no such command
      version_2('\x21', '\x12', kAddresses4),  // datagrams
      version_2('\x21', '\x41', kAddresses4),  // no such family
      version_2('\x21', '\x11', kAddresses4.substr(1)),
      version_2('\x21', '\x21', kAddresses4),
      version_2('\x21', '\x31', std::string(215, 'u')),
      version_2('\x21', '\x11', kAddresses4 + "\x05"s),
      version_2('\x21', '\x11',
                kAddresses4 + "\x05\x00\x04"
                              "abc"s),
      version_2('\x21', '\x11', kAddresses4 + "\x04\x0F\xE2"s + std::string(4066, 'x')),
  };
  for (const std::string& bytes : cases) {
    EXPECT_EQ(parse_proxy_header(bytes).progress, Progress::kMalformed) << bytes;
  }
}

TEST(ProxyProtocol, KnowsFromTheFixedPartThatTheRestWouldBeTooLong) {
  const std::string bytes = kSignature + "\x21\x11\x0F\xF1"s;
  EXPECT_EQ(parse_proxy_header(bytes).progress, Progress::kMalformed);
  EXPECT_EQ(parse_proxy_header(kSignature + "\x21\x11\x0F\xF0"s).progress, Progress::kNeedMore);
}

}  // namespace
}  // namespace postern::http
