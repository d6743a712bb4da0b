#pragma once

#include <string>
#include <string_view>
#include <vector>

/// Byte streams that two HTTP programs are known to read differently, or that no client sends.
/// Each is followed by a second request, /smuggled, which must never be seen: a refused connection
/// is read no further. The names begin with the row of the project's attack list.
namespace postern::http::testing {

using namespace std::string_literals;

struct Attack {
  std::string name;
  std::string bytes;
  unsigned code = 400;
};

inline constexpr std::string_view kSmuggled =
    "POST /smuggled HTTP/1.1\r\nHost: pay.example\r\nContent-Length: 0\r\n\r\n";

/// A request with `fields` as further lines, and a body of five bytes.
[[nodiscard]] inline std::string with_fields(std::string_view fields,
                                             std::string_view body = "hello") {
  return std::string("POST /first HTTP/1.1\r\nHost: pay.example\r\n")
      .append(fields)
      .append("\r\n")
      .append(body);
}

[[nodiscard]] inline std::string chunked(std::string_view body) {
  return with_fields("Transfer-Encoding: chunked\r\n", body);
}

inline void add_length_attacks(std::vector<Attack>& attacks) {
  const auto add = [&](std::string name, std::string_view fields) {
    attacks.push_back({std::move(name), with_fields(fields)});
  };
  add("H01 length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
  add("H01 chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
  add("H02 two lengths", "Content-Length: 5\r\nContent-Length: 4\r\n");
  add("H03 two equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n");
  add("H04 list of lengths", "Content-Length: 5, 5\r\n");
  for (const std::string& length : {"+5"s, "-5"s, "0x5"s, "0_5"s, "5e0"s, "5 5"s, "5Z"s,
                                    "\x0b"
                                    "5"s,
                                    ""s, " "s, "5,"s, ",5"s, "5;"s, "\"5\""s, "5.0"s,
                                    "\xa0"
                                    "5"s}) {
    add("H05 length '" + length + "'", "Content-Length: " + length + "\r\n");
  }
  add("H07 length of 20 digits", "Content-Length: 00000000000000000005\r\n");
  add("H07 length 2^64+5", "Content-Length: 18446744073709551621\r\n");
  add("H07 length 10^40", "Content-Length: 1" + std::string(40, '0') + "\r\n");
  for (const std::string_view length : {"2147483648", "4294967301", "9223372036854775807"}) {
    attacks.push_back({"H07 length " + std::string(length),
                       with_fields("Content-Length: " + std::string(length) + "\r\n"), 413});
  }
}

inline void add_encoding_attacks(std::vector<Attack>& attacks) {
  const std::string body = "5\r\nhello\r\n0\r\n\r\n";
  const auto add = [&](std::string name, const std::string& fields) {
    attacks.push_back({std::move(name), with_fields(fields, body)});
  };
  for (const std::string& encoding :
       {"xchunked"s, "identity"s, "gzip, chunked"s, "chunked, identity"s, "chunked;q=1"s, "blegh"s,
        ",chunked"s, "chunked,"s, ", ,chunked"s,
        "\x0b"
        "chunked"s,
        "chunked\xa0"s,
        "\xff"
        "chunked"s,
        "chun\0ked"s, ""s, "\"chunked\""s, "chunked chunked"s, "'chunked'"s}) {
    add("H08-H11 encoding '" + encoding + "'", "Transfer-Encoding: " + encoding + "\r\n");
  }
  add("H09 chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n");
  add("H09 chunked and identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n");
  add("H12 space before colon of encoding", "Transfer-Encoding : chunked\r\n");
  add("H12 TAB before colon of encoding", "Transfer-Encoding\t: chunked\r\n");
  add("H12 space before colon of length", "Content-Length : 5\r\n");
  add("H15 folded encoding", "Transfer-Encoding:\r\n chunked\r\n");
  add("H15 folded field", "X-Note: a\r\n b\r\nContent-Length: 5\r\n");
  add("H15 folded with TAB", "X-Note: a\r\n\tContent-Length: 5\r\n");
  attacks.push_back({"H13 chunked on HTTP/1.0",
                     "POST /first HTTP/1.0\r\nHost: pay.example\r\nTransfer-Encoding: chunked\r\n"
                     "Connection: keep-alive\r\n\r\n" +
                         body});
}

inline void add_chunk_attacks(std::vector<Attack>& attacks) {
  for (const std::string_view size : {"0x5",
                                      "+5",
                                      "-5",
                                      "5_",
                                      "",
                                      "g",
                                      "5 ",
                                      " 5",
                                      "0x",
                                      "5.0",
                                      "5\t",
                                      "\t5",
                                      "5;",
                                      "5;a",
                                      "5;a=b",
                                      "5;a=\"b\"",
                                      "5 ;a=b",
                                      "0;a=b",
                                      "05 05",
                                      "00000000000000005",
                                      "100000000000000000005"}) {
    attacks.push_back({"H16-H17 chunk size '" + std::string(size) + "'",
                       chunked(std::string(size) + "\r\nhello\r\n0\r\n\r\n")});
  }
  attacks.push_back(
      {"H17 chunk size 2^64-1", chunked("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), 413});
  attacks.push_back({"H18 bare LF after size", chunked("5\nhello\r\n0\r\n\r\n")});
  attacks.push_back({"H18 CR and X after size", chunked("5\rXhello\r\n0\r\n\r\n")});
  attacks.push_back({"H18 LF in extension", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n")});
  attacks.push_back({"H18 CR in extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")});
  attacks.push_back({"H18 bare LF after last size", chunked("5\r\nhello\r\n0\n\r\n")});
  attacks.push_back({"H18 bare LF after data", chunked("5\r\nhello\n0\r\n\r\n")});
  attacks.push_back({"H19 data longer than its size", chunked("5\r\nabcdeXX0\r\n\r\n")});
  attacks.push_back({"H19 data without an end", chunked("5\r\nabcde0\r\n\r\n")});
  attacks.push_back(
      {"H23 flood of extensions", chunked("1;" + std::string(8192, 'e') + "\r\nx\r\n0\r\n\r\n")});
  attacks.push_back({"H22 length as trailer", chunked("0\r\nContent-Length: 5\r\n\r\n")});
  attacks.push_back(
      {"H22 encoding as trailer", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n")});
  attacks.push_back({"H22 trailer with bare LF", chunked("0\r\nX-A: b\n\r\n\r\n")});
  attacks.push_back({"H22 folded trailer", chunked("0\r\nX-A: b\r\n c\r\n\r\n")});
  attacks.push_back(
      {"H22 endless trailer", chunked("0\r\nX-A: " + std::string(8192, 'a') + "\r\n\r\n"), 431});
}

inline void add_line_attacks(std::vector<Attack>& attacks) {
  const auto add = [&](std::string name, std::string bytes) {
    attacks.push_back({std::move(name), std::move(bytes)});
  };
  add("H24 only bare LF", "POST /first HTTP/1.1\nHost: pay.example\nContent-Length: 0\n\n");
  add("H24 one bare LF", "POST /first HTTP/1.1\r\nHost: pay.example\nContent-Length: 0\r\n\r\n");
  for (const std::string& value : {"a\rb"s, "a\0b"s, "a\nb"s, "a\x7f"s, "a\x01"s, "\r"s}) {
    add("H25 value with control character",
        with_fields("X-Note: " + value + "\r\nContent-Length: 5\r\n"));
  }
  for (const std::string& line : {": a"s, "a b: c"s, "X[]: a"s, "\x80x: a"s, "(x): a"s, "nocolon"s,
                                  "X\r: a"s, "X\0: a"s, "=: a"s, "X@: a"s, ":"s}) {
    add("H26-H27 field '" + line + "'", with_fields(line + "\r\nContent-Length: 5\r\n"));
  }
  add("H26 TAB before the first field",
      "POST /first HTTP/1.1\r\n\tX: a\r\nHost: pay.example\r\nContent-Length: 0\r\n\r\n");
  add("H26 space before the first field",
      "POST /first HTTP/1.1\r\n X: a\r\nHost: pay.example\r\nContent-Length: 0\r\n\r\n");
  add("H27 empty name hides a field", with_fields(":\r\nContent-Length: 5\r\n"));
  add("H28 CR LF CR X", "POST /first HTTP/1.1\r\nHost: pay.example\r\n\rX");
  add("H28 CR LF LF", "POST /first HTTP/1.1\r\nHost: pay.example\r\n\n");
  add("H28 CR CR LF", "POST /first HTTP/1.1\r\nHost: pay.example\r\r\n\r\n");
}

inline void add_request_line_attacks(std::vector<Attack>& attacks) {
  const std::string rest = "\r\nHost: pay.example\r\nContent-Length: 0\r\n\r\n";
  const auto line = [&](std::string name, const std::string& text) {
    attacks.push_back({std::move(name), text + rest});
  };
  for (const std::string& version :
       {"HTTP/1.2"s, "HTTP/9.9"s, "HTTP/1.32"s, "HTTP/4294967295.255"s, "HTTP/\r1.1"s, "HTTP/1.1 "s,
        "HTTP/0.9"s, "HTTP/2.0"s, "http/1.1"s, "HTTP/1,1"s, "HTTP 1.1"s, "HTTP/11"s, "ICY"s, ""s}) {
    line("H30 version '" + version + "'", "POST /first " + version);
  }
  attacks.push_back({"H30 HTTP/0.9", "GET /\r\n\r\n"});
  line("H31 method with a space", "GE T /first HTTP/1.1");
  line("H31 method that is no token", "G=\": /first HTTP/1.1");
  line("H31 CONNECT", "CONNECT pay.example:443 HTTP/1.1");
  line("H31 OPTIONS *", "OPTIONS * HTTP/1.1");
  line("H32 TAB for a space", "POST\t/first HTTP/1.1");
  line("H32 two spaces", "POST  /first HTTP/1.1");
  line("H32 two spaces before the version", "POST /first  HTTP/1.1");
  line("H32 LF for a space", "POST\n/first HTTP/1.1");
  line("H32 three empty lines before", "\r\n\r\n\r\nPOST /first HTTP/1.1");
  line("H32 empty line before", "\r\nPOST /first HTTP/1.1");
  line("H32 space before", " POST /first HTTP/1.1");
  line("H32 line before", "Extra lineGET /first HTTP/1.1");
  for (const std::string& target : {"/a b"s, "/a\0b"s, "/a\x80"s, "/a#b"s, "/a\\b"s, "/a\x7f"s,
                                    "/a\xff"s, ""s, "first"s, "?a"s, "../first"s, "\\first"s}) {
    line("H33 target '" + target + "'", "POST " + target + " HTTP/1.1");
  }
  line("H37 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM");
  attacks.push_back({"H38 TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s});
}

inline void add_host_attacks(std::vector<Attack>& attacks) {
  const auto add = [&](std::string name, const std::string& target, const std::string& hosts) {
    attacks.push_back({std::move(name),
                       "POST " + target + " HTTP/1.1\r\n" + hosts + "Content-Length: 0\r\n\r\n"});
  };
  add("H29 no Host", "/first", "");
  add("H29 two Hosts", "/first", "Host: pay.example\r\nHost: evil.example\r\n");
  add("H29 two equal Hosts", "/first", "Host: pay.example\r\nHost: pay.example\r\n");
  for (const std::string_view host :
       {"", "pay example", "a@pay.example", "pay.example/", "pay.example?a", "pay.example#a",
        "pay.example\\a", "pay.example,evil.example", "pay.exampl\xc3\xa9", "http://pay.example"}) {
    add("H29 Host '" + std::string(host) + "'", "/first", "Host: " + std::string(host) + "\r\n");
  }
  for (const std::string_view target :
       {"http://evil.example/first", "http://pay.example@evil.example/first",
        "http://pay.example:81/first", "ftp://pay.example/first", "http:/first", "http:///first",
        "http://pay.example?first", "file:///first"}) {
    add("H29 target '" + std::string(target) + "'", std::string(target), "Host: pay.example\r\n");
  }
  attacks.push_back({"H29 two Hosts on HTTP/1.0",
                     "POST /first HTTP/1.0\r\nHost: a\r\nHost: b\r\nConnection: keep-alive\r\n"
                     "Content-Length: 0\r\n\r\n"});
}

inline void add_expect_attacks(std::vector<Attack>& attacks) {
  for (const std::string_view expectation :
       {"x", "y 100-continue", "100-continue, x", "", "200-ok"}) {
    attacks.push_back(
        {"H36 Expect '" + std::string(expectation) + "'",
         with_fields("Content-Length: 5\r\nExpect: " + std::string(expectation) + "\r\n", ""),
         417});
  }
  attacks.push_back(
      {"H36 Expect twice",
       with_fields("Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", "")});
}

/// Every stream that must be refused, without what follows it.
[[nodiscard]] inline std::vector<Attack> all_attacks() {
  std::vector<Attack> attacks;
  add_length_attacks(attacks);
  add_encoding_attacks(attacks);
  add_chunk_attacks(attacks);
  add_line_attacks(attacks);
  add_request_line_attacks(attacks);
  add_host_attacks(attacks);
  add_expect_attacks(attacks);
  return attacks;
}

}  // namespace postern::http::testing
