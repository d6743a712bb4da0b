// Flat XML as WeChat Pay v2 writes it: <xml><name><![CDATA[value]]></name>...</xml>.
//
// pugixml reads it. pugixml expands no entities of a document's own and opens no files, but it is
// lenient: it skips DOCTYPE, comments, processing instructions and stray text unless told to keep
// them. Here it keeps them all, and whatever it kept that does not belong is refused.
#include "channel/xml.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <pugixml.hpp>
#include <string>
#include <utility>

#include "channel/charset.h"

namespace postern::channel {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

// Without parse_escapes: references are looked at, and resolved, below. parse_eol is what XML 1.0
// section 2.11 prescribes.
constexpr unsigned kKeepEverything = pugi::parse_cdata | pugi::parse_comments | pugi::parse_pi |
                                     pugi::parse_declaration | pugi::parse_doctype |
                                     pugi::parse_ws_pcdata | pugi::parse_fragment | pugi::parse_eol;

[[nodiscard]] std::unexpected<Error> malformed(std::string_view why) {
  return rejected("body_malformed", std::string(why));
}

/// pugixml takes a NUL for the end of the text and lets other control characters through.
[[nodiscard]] bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && kWhiteSpace.find(c) == std::string_view::npos) || byte == 0x7F;
  });
}

[[nodiscard]] bool is_blank(std::string_view text) {
  return text.find_first_not_of(kWhiteSpace) == std::string_view::npos;
}

[[nodiscard]] bool is_plain_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

/// Resolves the five predefined references; any other is an error.
[[nodiscard]] Result<std::string> unescape(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, char>, 5> kReferences = {
      {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find('&'), text.size());
    result.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto reference = std::ranges::find_if(
        kReferences, [text](const auto& known) { return text.starts_with(known.first); });
    if (reference == kReferences.end()) return malformed("a reference other than the five of XML");
    result.push_back(reference->second);
    text.remove_prefix(reference->first.size());
  }
  return result;
}

[[nodiscard]] Result<std::string> value_of(pugi::xml_node element) {
  const pugi::xml_node content = element.first_child();
  if (!content) return std::string();
  if (content.next_sibling()) return malformed("an element holds more than one text");
  if (content.type() == pugi::node_cdata) return std::string(content.value());
  if (content.type() == pugi::node_pcdata) return unescape(content.value());
  return malformed("an element holds something else than one text");
}

[[nodiscard]] Result<void> check_declaration(pugi::xml_node declaration) {
  for (const pugi::xml_attribute& attribute : declaration.attributes()) {
    if (std::string_view(attribute.name()) != "encoding") continue;
    const Result<Charset> charset = parse_charset(attribute.value());
    if (!charset || *charset != Charset::kUtf8) return malformed("the encoding is not UTF-8");
  }
  return {};
}

/// The only element of the document, which is called `root`; beside it only a declaration in front
/// and white space.
[[nodiscard]] Result<pugi::xml_node> root_of(const pugi::xml_document& document,
                                             std::string_view root) {
  pugi::xml_node found;
  for (const pugi::xml_node& node : document.children()) {
    if (node.type() == pugi::node_declaration && node == document.first_child()) {
      POSTERN_RETURN_IF_ERROR(check_declaration(node));
    } else if (node.type() == pugi::node_element && !found) {
      found = node;
    } else if (node.type() != pugi::node_pcdata || !is_blank(node.value())) {
      return malformed("something stands beside the root element");
    }
  }
  if (!found || found.name() != root || found.first_attribute()) {
    return malformed("the root element is not the expected one");
  }
  return found;
}

}  // namespace

Result<Fields> parse_flat_xml(std::string_view text, std::string_view root) {
  if (text.empty() || text.size() > kXmlBytesMax)
    return malformed("the XML text is empty or too long");
  if (!text.starts_with('<')) return malformed("the text does not start with '<'");
  if (has_control_character(text) || !is_utf8(text)) return malformed("the text is not UTF-8");
  // No parser sees a prolog with a DOCTYPE; one further down is an error to every parser.
  if (text.substr(0, text.find(fmt::format("<{}", root))).find("<!") != std::string_view::npos) {
    return malformed("something stands in front of the root element");
  }
  pugi::xml_document document;
  if (!document.load_buffer(text.data(), text.size(), kKeepEverything, pugi::encoding_utf8)) {
    return malformed("this is not XML");
  }
  POSTERN_ASSIGN_OR_RETURN(const pugi::xml_node parent, root_of(document, root));
  Fields fields;
  for (const pugi::xml_node& element : parent.children()) {
    if (element.type() == pugi::node_pcdata && is_blank(element.value())) continue;
    if (element.type() != pugi::node_element || element.first_attribute() ||
        !is_plain_name(element.name())) {
      return malformed("the root holds something else than plain elements");
    }
    POSTERN_ASSIGN_OR_RETURN(std::string value, value_of(element));
    POSTERN_RETURN_IF_ERROR(fields.add(element.name(), value));
  }
  return fields;
}

}  // namespace postern::channel
