// Property: a header that was read is read from its own bytes alone, with others behind it just as
// well, and every beginning of it asks for more.
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.h"
#include "http/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using postern::http::parse_proxy_header;
  using Progress = postern::http::ProxyHeader::Progress;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = parse_proxy_header(bytes);
  if (header.progress == Progress::kNeedMore) {
    POSTERN_REQUIRE(size < postern::http::kProxyBytesMax);
  }
  if (header.progress != Progress::kComplete) return 0;
  POSTERN_REQUIRE(header.size <= size && header.size <= postern::http::kProxyBytesMax);
  const std::string own(bytes.substr(0, header.size));
  for (const std::string& same : {own, own + "POST / HTTP/1.1\r\n"}) {
    const auto again = parse_proxy_header(same);
    POSTERN_REQUIRE(again.progress == Progress::kComplete);
    POSTERN_REQUIRE(again.size == header.size && again.source == header.source);
  }
  for (std::size_t cut = 0; cut < own.size(); ++cut) {
    POSTERN_REQUIRE(parse_proxy_header(std::string_view(own).substr(0, cut)).progress ==
                    Progress::kNeedMore);
  }
  return 0;
}
