// Goal: WeChat's XML is read in one way; whatever fuller XML readers would act upon is refused
// (attacks X01 to X12, L16).
// Method: documents as attackers write them, each refused; the spellings of WeChat beside them.

#include "channel/xml.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/channel/messages.h"

namespace postern::channel {
namespace {

[[nodiscard]] std::string code(std::string_view text) {
  return code_of(parse_flat_xml(text, "xml"));
}

/// The value of <a> with `inner` in it, or the code of the refusal.
[[nodiscard]] std::string value(std::string_view inner) {
  const Result<Fields> fields =
      parse_flat_xml("<xml><a>" + std::string(inner) + "</a></xml>", "xml");
  return fields ? std::string(fields->text("a")) : std::string(fields.error().code);
}

TEST(Xml, ReadsBothSpellingsOfAValue) {
  const Fields fields =
      must(parse_flat_xml("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xml>\n"
                          "  <a><![CDATA[1<2&amp;]]></a>\n  <b>3 &lt; 4</b><c/><d></d>\n</xml>\n",
                          "xml"));
  EXPECT_EQ(fields.pairs().size(), 4U);
  EXPECT_EQ(fields.text("a"), "1<2&amp;");
  EXPECT_EQ(fields.text("b"), "3 < 4");
  EXPECT_EQ(fields.find("c"), "");
  EXPECT_EQ(fields.find("d"), "");
}

TEST(Xml, KeepsValuesAsTheyAre) {
  EXPECT_EQ(value(" x "), " x ");
  EXPECT_EQ(value("<![CDATA[ x ]]>"), " x ");
  EXPECT_EQ(value("&lt;&gt;&amp;&quot;&apos;&amp;amp;"), "<>&\"'&amp;");
  EXPECT_EQ(value("支付测试"), "支付测试");
  EXPECT_EQ(value("<![CDATA[<!DOCTYPE x>]]>"), "<!DOCTYPE x>");
  EXPECT_EQ(value("<![CDATA[&#49;]]>"), "&#49;");
}

TEST(Xml, RefusesEveryDoctype) {
  for (const std::string_view text :
       {"<!DOCTYPE x><xml><a>1</a></xml>", "<?xml version=\"1.0\"?><!DOCTYPE x><xml><a>1</a></xml>",
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>",
        "<!DOCTYPE x [<!ENTITY % e SYSTEM \"http://127.0.0.1/\"> %e;]><xml/>",
        "<!DOCTYPE x SYSTEM \"http://127.0.0.1/x.dtd\"><xml/>", "<!doctype x><xml/>",
        "<xml><!DOCTYPE x><a>1</a></xml>", "<xml><a>1</a></xml><!DOCTYPE x>",
        "<xml><a><!DOCTYPE x></a></xml>", "<xml/><!ENTITY e \"x\">"}) {
    EXPECT_EQ(code(text), "body_malformed") << text;
  }
}

TEST(Xml, BillionLaughsCostNothing) {
  std::string text = "<!DOCTYPE x [<!ENTITY a \"ha\">";
  for (char c = 'b'; c <= 'k'; ++c) {
    text += std::string("<!ENTITY ") + c + " \"";
    for (int i = 0; i < 10; ++i) text += std::string("&") + static_cast<char>(c - 1) + ";";
    text += "\">";
  }
  text += "]><xml><a>&k;</a></xml>";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(code(text), "body_malformed");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
}

TEST(Xml, RefusesReferencesButTheFive) {
  for (const std::string_view inner : {"&#49;", "&#x31;", "&#x0;", "&#xD800;", "&x;", "&", "& ",
                                       "1&2", "&amp", "&AMP;", "&nbsp;"}) {
    EXPECT_EQ(value(inner), "body_malformed") << inner;
  }
}

TEST(Xml, RefusesSplitValues) {
  for (const std::string_view inner :
       {"1<!---->00", "<!-- x -->100", "<![CDATA[1]]>00", "1<![CDATA[00]]>",
        "<![CDATA[1]]><![CDATA[00]]>", " <![CDATA[1]]>", "<![CDATA[1]]>\n", "1<?x?>00", "<b/>",
        "<b>1</b>", "1<b/>00"}) {
    EXPECT_EQ(value(inner), "body_malformed") << inner;
  }
}

TEST(Xml, RefusesRepeatedElements) {
  EXPECT_EQ(code("<xml><out_trade_no>1</out_trade_no><out_trade_no>2</out_trade_no></xml>"),
            "key_duplicate");
  EXPECT_EQ(code("<xml><sign>1</sign><a/><sign>1</sign></xml>"), "key_duplicate");
}

TEST(Xml, RefusesWhatIsNotFlat) {
  for (const std::string_view text :
       {"<xml><a x=\"1\">1</a></xml>", "<xml x=\"1\"><a>1</a></xml>",
        "<xml><x:sign>1</x:sign></xml>", "<xml xmlns=\"u\"><a>1</a></xml>",
        "<xml><?php x?><a>1</a></xml>", "<?php x?><xml/>", "<xml><!-- c --><a>1</a></xml>",
        "<!-- c --><xml/>", "<xml/><!-- c -->", "<xml>text<a>1</a></xml>",
        "<xml><![CDATA[x]]></xml>", "<?xml-stylesheet href=\"http://127.0.0.1/\"?><xml/>",
        "<xml><a.b>1</a.b></xml>", "<xml><a-b>1</a-b></xml>"}) {
    EXPECT_EQ(code(text), "body_malformed") << text;
  }
}

TEST(Xml, RefusesOtherStructure) {
  for (const std::string_view text :
       {"", " ", "<xml>", "<xml></xm>", "<xml><a>1</xml>", "<xml/><xml/>", "<xml></xml>junk",
        "junk<xml/>", " <xml/>", "<root/>", "<XML/>", "xml", "<", "<>", "<xml/", "<xml><a</xml>",
        "<xml><a>1</b></xml>", "<?xml version=\"1.0\"?>", "<xml/><?xml version=\"1.0\"?>"}) {
    EXPECT_EQ(code(text), "body_malformed") << text;
  }
  EXPECT_EQ(code_of(parse_flat_xml("<root/>", "root")), "ok");
}

TEST(Xml, RefusesOtherEncodings) {
  for (const std::string_view text :
       {"\xEF\xBB\xBF<xml/>", "\xFF\xFE<\0x\0", "<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>",
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><xml/>",
        "<?xml version=\"1.0\" encoding=\"utf-7\"?><xml/>", "<xml><a>\xB2\xE2</a></xml>",
        "<xml><a>\xC0\xBC</a></xml>", "<xml><a>\x01</a></xml>", "<xml><a>\x7F</a></xml>"}) {
    EXPECT_EQ(code(text), "body_malformed") << text;
  }
  // pugixml would take the NUL for the end of the text.
  EXPECT_EQ(code(std::string("<xml><a>1</a></xml>\0<x>", 23)), "body_malformed");
  EXPECT_EQ(code(std::string("<xml><a>1\0"
                             "00</a></xml>",
                             22)),
            "body_malformed");
}

TEST(Xml, LargeHostileDocumentsCostLittle) {
  std::string deep = "<xml>";
  for (int i = 0; i < 30'000; ++i) deep += "<a>";
  std::string wide = "<xml>";
  for (int i = 0; i < 10'000; ++i) wide += "<a" + std::to_string(i) + "/>";
  wide += "</xml>";
  std::string closed = deep;
  for (int i = 0; i < 30'000; ++i) closed += "</a>";
  closed += "</xml>";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(code(deep), "body_malformed");
  EXPECT_EQ(code(closed), "body_malformed");
  EXPECT_EQ(code(wide), "fields_too_many");
  EXPECT_EQ(code("<xml><a>" + std::string(kXmlBytesMax, 'x') + "</a></xml>"), "body_malformed");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace postern::channel
