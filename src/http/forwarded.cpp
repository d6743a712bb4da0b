// Forwarded (RFC 7239) and X-Forwarded-For.
//
//   Forwarded   = 1#forwarded-element                 elements are separated by ","
//   forwarded-element = [ pair ] *( ";" [ pair ] )    pair = token "=" ( token / quoted-string )
//   for = node: IPv4 [":" port] / "[" IPv6 "]" [":" port] / "unknown" / "_" obfuscated
//
// A node with a colon or brackets is quoted, since a token holds neither.

#include "http/forwarded.h"

#include <algorithm>
#include <string>
#include <utility>

namespace postern::http {
namespace {

constexpr std::size_t kPortDigitsMax = 5;

[[nodiscard]] bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

[[nodiscard]] bool is_token_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

[[nodiscard]] std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Nothing, or a colon and a port. An obfuscated port ("_x") is as good: it is not looked at.
[[nodiscard]] bool is_port_or_nothing(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() != ':') return false;
  text.remove_prefix(1);
  if (text.starts_with('_')) {
    text.remove_prefix(1);
    return !text.empty() && std::ranges::all_of(text, is_token_char);
  }
  return !text.empty() && text.size() <= kPortDigitsMax && std::ranges::all_of(text, is_digit);
}

[[nodiscard]] std::optional<IpAddress> of_family(std::string_view text, IpAddress::Family family) {
  const auto address = IpAddress::parse(text);
  if (!address || address->family != family) return std::nullopt;
  return address->unmapped();
}

/// An IPv6 address in brackets, or an IPv4 one; either with or without a port.
[[nodiscard]] std::optional<IpAddress> node_address(std::string_view node) {
  if (node.starts_with('[')) {
    const std::size_t close = node.find(']');
    if (close == std::string_view::npos || !is_port_or_nothing(node.substr(close + 1))) {
      return std::nullopt;
    }
    return of_family(node.substr(1, close - 1), IpAddress::Family::kV6);
  }
  const std::size_t colon = std::min(node.find(':'), node.size());
  if (!is_port_or_nothing(node.substr(colon))) return std::nullopt;
  return of_family(node.substr(0, colon), IpAddress::Family::kV4);
}

/// Takes a Forwarded line apart from the left, as only that tells what is quoted.
class ForwardedLine {
 public:
  explicit ForwardedLine(std::string_view rest) : rest_(rest) {}

  /// The next element's address; nothing where it is not well-formed.
  [[nodiscard]] std::optional<std::optional<IpAddress>> element() {
    std::optional<std::string> node;
    bool is_doubtful = false;
    for (;;) {
      skip_blanks();
      if (!at_end_of_pair()) {
        const std::string_view name = take_token();
        if (name.empty() || !take('=')) return std::nullopt;
        std::optional<std::string> value = take_value();
        if (!value) return std::nullopt;
        if (is_for(name)) {
          is_doubtful = is_doubtful || node.has_value();
          node = std::move(value);
        }
        skip_blanks();
      }
      if (take(';')) continue;
      break;
    }
    if (!node || is_doubtful) return std::optional<IpAddress>();
    return node_address(*node);
  }

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

 private:
  [[nodiscard]] static bool is_for(std::string_view name) {
    return name.size() == 3 && (name[0] | 0x20) == 'f' && (name[1] | 0x20) == 'o' &&
           (name[2] | 0x20) == 'r';
  }
  [[nodiscard]] bool at_end_of_pair() const {
    return rest_.empty() || rest_.front() == ',' || rest_.front() == ';';
  }
  void skip_blanks() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
      rest_.remove_prefix(1);
    }
  }
  [[nodiscard]] std::string_view take_token() {
    std::size_t size = 0;
    while (size < rest_.size() && is_token_char(rest_[size])) ++size;
    return std::exchange(rest_, rest_.substr(size)).substr(0, size);
  }
  [[nodiscard]] std::optional<std::string> take_value() {
    if (!take('"')) {
      const std::string_view token = take_token();
      if (token.empty()) return std::nullopt;
      return std::string(token);
    }
    std::string value;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return value;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = rest_.front();
        rest_.remove_prefix(1);
      }
      value.push_back(c);
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

/// Goes over hops, rightmost first, until one is in doubt or not a trusted proxy.
class Walk {
 public:
  Walk(const PeerRule& rule, const IpAddress& socket_peer) : rule_(rule), peer_(socket_peer) {}

  [[nodiscard]] const IpAddress& peer() const { return peer_; }
  /// Whether the next hop to the left counts.
  [[nodiscard]] bool goes_on() const {
    return !is_over_ && hops_ < kHopsMax && rule_.trusts(peer_);
  }
  void step(const std::optional<IpAddress>& hop) {
    ++hops_;
    if (hop) {
      peer_ = *hop;
    } else {
      is_over_ = true;
    }
  }

 private:
  const PeerRule& rule_;
  IpAddress peer_;
  std::size_t hops_ = 0;
  bool is_over_ = false;
};

void walk_list(Walk& walk, std::string_view line) {
  while (walk.goes_on()) {
    const std::size_t comma = line.rfind(',');
    const bool is_last = comma == std::string_view::npos;
    walk.step(forwarded_address(is_last ? line : line.substr(comma + 1)));
    if (is_last) return;
    line = line.substr(0, comma);
  }
}

void walk_forwarded(Walk& walk, std::string_view line) {
  const auto hops = parse_forwarded(line);
  if (!hops) return walk.step(std::nullopt);
  for (auto hop = hops->rbegin(); hop != hops->rend() && walk.goes_on(); ++hop) walk.step(*hop);
}

}  // namespace

std::optional<IpAddress> forwarded_address(std::string_view element) {
  element = trimmed(element);
  if (const auto v6 = of_family(element, IpAddress::Family::kV6)) return v6;
  return node_address(element);
}

std::optional<std::vector<std::optional<IpAddress>>> parse_forwarded(std::string_view line) {
  std::vector<std::optional<IpAddress>> addresses;
  ForwardedLine reader(line);
  for (;;) {
    const auto element = reader.element();
    if (!element) return std::nullopt;
    addresses.push_back(*element);
    if (reader.at_end()) return addresses;
    if (!reader.take(',')) return std::nullopt;
  }
}

IpAddress peer_of(const PeerRule& rule, const IpAddress& socket_peer, const Headers& headers) {
  const bool is_list = rule.from == PeerFrom::kXForwardedFor;
  if (!is_list && rule.from != PeerFrom::kForwarded) return socket_peer;
  if (!rule.trusts(socket_peer)) return socket_peer;
  Walk walk(rule, socket_peer);
  const auto lines = headers.all(is_list ? "X-Forwarded-For" : "Forwarded");
  for (auto line = lines.rbegin(); line != lines.rend() && walk.goes_on(); ++line) {
    if (is_list) {
      walk_list(walk, *line);
    } else {
      walk_forwarded(walk, *line);
    }
  }
  return walk.peer();
}

}  // namespace postern::http
