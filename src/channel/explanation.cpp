#include "channel/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"

namespace postern::channel {
namespace {

struct Known {
  Cause cause;
  std::string_view name;
  std::string_view what_to_do;
};

/// In the order of the enumerators.
constexpr auto kCauses = std::to_array<Known>({
    {Cause::kApplicationKey, "application_key",
     "The sender signed with your application's own key: it is your test or your forwarder, not "
     "the platform. If platform_keys holds this key, put the platform's there: the console shows "
     "both, side by side."},
    {Cause::kOtherAccountsKey, "other_accounts_key",
     "If the message is this account's, exchange the platform keys of the two accounts. If it is "
     "the other's, correct the notify URL given with that account's orders."},
    {Cause::kUnknownKey, "unknown_key",
     "Copy the platform's public key from its console again: per app, not your application's key, "
     "and not the sandbox's. If the key is right, the message is forged, or its signature was "
     "damaged."},
    {Cause::kKeyNotConfigured, "key_not_configured",
     "Add the key or certificate that the message names: the platform signs with it now."},
    {Cause::kWrongSerial, "wrong_serial",
     "Pair each key with its own id: the message names a key by an id that is configured for "
     "another one."},
    {Cause::kCertificateNotValid, "certificate_not_valid",
     "Download the platform's current certificate, and its roots; check this machine's clock."},
    {Cause::kKeyNotInForce, "key_not_in_force",
     "Move `from` or `until` of the key: the platform signs with it outside the time that is "
     "written there."},
    {Cause::kRsaOrRsa2, "rsa_or_rsa2",
     "Choose RSA2 for the application in the platform's console. If it has to stay with SHA-1, "
     "list \"RSA\" in algorithms."},
    {Cause::kMd5OrHmac, "md5_or_hmac",
     "Place orders with sign_type HMAC-SHA256, or list the type in use in sign_types."},
    {Cause::kWrongApiKey, "wrong_api_key",
     "Set the key again in the platform's console and here: the one configured does not open or "
     "sign this message. While it changes, list the old one too."},
    {Cause::kOtherAccountsApiKey, "other_accounts_api_key",
     "Exchange the API keys of the two accounts, or correct the notify URL of the other account's "
     "orders."},
    {Cause::kApiV2OrV3Key, "api_v2_or_v3_key",
     "WeChat Pay has an API key for v2 and another for v3: put each into its own setting."},
    {Cause::kSandbox, "sandbox",
     "Give sandbox and production an account each: they have different apps, sellers and keys."},
    {Cause::kWrongApp, "wrong_app",
     "The signature is right; the app is not this account's. Correct app_id, or the notify URL "
     "given with that app's orders."},
    {Cause::kWrongMerchant, "wrong_merchant",
     "The signature is right; the merchant is not this account's. Correct the merchant number, or "
     "the notify URL given with that merchant's orders."},
    {Cause::kWrongSeller, "wrong_seller",
     "The signature is right; the seller is not this account's. Correct seller_id, or list the "
     "merchant in sellers."},
    {Cause::kWrongSubMerchant, "wrong_sub_merchant",
     "The signature is right; the sub-merchant is not listed. Add it if you serve it."},
    {Cause::kDecodedOnTheWay, "decoded_on_the_way",
     "Something in front of Postern decodes the form and forwards it without encoding. Forward the "
     "body's bytes as they came."},
    {Cause::kDecodedTwice, "decoded_twice",
     "Something in front of Postern decodes values once too often. Forward the body's bytes as "
     "they came."},
    {Cause::kEncodedTwice, "encoded_twice",
     "Something in front of Postern encodes the body again. Forward its bytes as they came."},
    {Cause::kPlusBecameSpace, "plus_became_space",
     "A '+' was decoded to a blank: something decoded once too often, or did not encode '+' as "
     "%2B. Forward the body's bytes as they came."},
    {Cause::kSpaceBecamePlus, "space_became_plus",
     "A '+' that stood for a blank was kept as a '+': something decodes with a function for paths, "
     "not for forms. Forward the body's bytes as they came."},
    {Cause::kEmptyFieldDropped, "empty_field_dropped",
     "Empty fields are signed too. Something in front of Postern drops them: forward the body's "
     "bytes as they came."},
    {Cause::kFieldDropped, "field_dropped",
     "Something in front of Postern drops a field, often by reading into a fixed structure. "
     "Forward the body's bytes as they came."},
    {Cause::kFieldAdded, "field_added",
     "Something in front of Postern adds a field. Forward the body's bytes as they came."},
    {Cause::kQueryMerged, "query_merged",
     "Parameters of the notify URL were merged into the form. Give the platform a notify URL "
     "without a query, or forward the body's bytes as they came."},
    {Cause::kFieldsDoubled, "fields_doubled",
     "Fields came twice: a forwarder repeats query and body. Forward the body's bytes as they "
     "came."},
    {Cause::kHtmlEscaped, "html_escaped",
     "A filter against scripts escapes quotes and brackets. Switch it off for the notify URL."},
    {Cause::kBackslashesAdded, "backslashes_added",
     "Something escapes quotes with backslashes (addslashes, magic quotes). Switch it off for the "
     "notify URL."},
    {Cause::kTrimmed, "trimmed",
     "White space at the ends of values is signed. Something in front of Postern trims it: switch "
     "that off for the notify URL."},
    {Cause::kWhiteSpaceAdded, "white_space_added",
     "Values came with white space around them: something prints the message prettily. Forward the "
     "body's bytes as they came."},
    {Cause::kCharset, "charset",
     "The text was signed in another character set than it came in. Forward the body's bytes as "
     "they came, and let nothing read them as text."},
    {Cause::kReserialised, "reserialised",
     "The body was parsed and written anew: the signature covers its bytes. Forward them as they "
     "came."},
    {Cause::kSentAsJson, "sent_as_json",
     "The message was turned into JSON on the way. Forward the body's bytes as they came."},
    {Cause::kNewlineAdded, "newline_added",
     "White space was added at an end of the body, by a forwarder or by the editor that saved it."},
    {Cause::kNewlineDropped, "newline_dropped",
     "A newline that was signed is missing at the end of the body: something trims it."},
    {Cause::kLineEnds, "line_ends",
     "Line ends were converted between CR LF and LF. Forward or save the body as binary."},
    {Cause::kByteOrderMark, "byte_order_mark",
     "A byte order mark was put in front of the body, by an editor or a text writer. Remove it."},
    {Cause::kBodyTruncated, "body_truncated",
     "The body is shorter than its Content-Length: raise the limits of the proxy in front, or "
     "capture the packets in full."},
    {Cause::kBodyNotKept, "body_not_kept",
     "Of long refused bodies only the beginning is kept. Capture this one in front of Postern."},
    {Cause::kContentChanged, "content_changed",
     "The signature is the platform's, over another content: compare what the platform sent with "
     "what came, hop by hop. A forgery looks the same."},
    {Cause::kUnreadable, "unreadable",
     "This is not what the platform sends: look at the body, and at who sent it."},
    {Cause::kContentType, "content_type", "Forward the Content-Type as the platform sent it."},
    {Cause::kHeaderMissing, "header_missing",
     "A header that carries the signature is missing: let the proxy pass all headers on. A sender "
     "that is not the platform does not have it either."},
    {Cause::kHeaderRenamed, "header_renamed",
     "A proxy renames headers: let it pass them on as they came."},
    {Cause::kHeaderDoubled, "header_doubled",
     "A proxy adds a header that is there already: let it pass them on as they came."},
    {Cause::kSignatureEncoding, "signature_encoding",
     "The signature's base64 was changed on the way. Forward it as it came."},
    {Cause::kSignatureLowerCase, "signature_lower_case",
     "The signature is upper-case hexadecimal: something lowers its case, or a test signs it so."},
    {Cause::kNotSigned, "not_signed",
     "Nothing is signed here, so nothing can be believed. The platform does not send results so."},
    {Cause::kClock, "clock",
     "Set this machine's clock by NTP. If it is right, the message is an old one sent again."},
    {Cause::kProbe, "probe",
     "Nothing: WeChat Pay checks from time to time that a wrong signature is refused."},
    {Cause::kSynchronousReturn, "synchronous_return",
     "This is the buyer's browser coming back, not a notification: give return_url another "
     "address."},
});

[[nodiscard]] const Known& known(Cause cause) {
  return kCauses[static_cast<std::size_t>(cause)];
}

static_assert([] {
  for (std::size_t i = 0; i < kCauses.size(); ++i) {
    if (static_cast<std::size_t>(kCauses[i].cause) != i) return false;
  }
  return kCauses.back().cause == Cause::kSynchronousReturn;
}());

}  // namespace

std::string_view name(Cause cause) {
  return known(cause).name;
}

std::string_view what_to_do(Cause cause) {
  return known(cause).what_to_do;
}

std::string_view name(Certainty certainty) {
  switch (certainty) {
    case Certainty::kProved:
      return "proved";
    case Certainty::kSuspected:
      return "suspected";
  }
  return "";
}

std::string visible(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string out;
  const std::size_t bytes = text.size();
  while (!text.empty() && out.size() < kShownBytesMax) {
    const std::size_t size = std::max<std::size_t>(utf8_character_size(text), 1);
    const auto byte = static_cast<unsigned char>(text.front());
    const bool is_control = byte < 0x20 || byte == 0x7F;
    const bool is_c1 = size == 2 && byte == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    if (text.starts_with(kByteOrderMark)) {
      out += "\\uFEFF";
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\r') {
      out += "\\r";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (is_control || is_c1 || (size == 1 && byte >= 0x80)) {
      for (const char c : text.substr(0, size)) {
        out += fmt::format("\\x{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
      }
    } else {
      out.append(text.substr(0, size));
    }
    text.remove_prefix(size);
  }
  if (!text.empty()) out += fmt::format("... [{} bytes in all]", bytes);
  return out;
}

void add_finding(std::vector<Finding>& findings, Cause cause, Certainty certainty,
                 std::string detail) {
  const auto found = std::ranges::find(findings, cause, &Finding::cause);
  if (found == findings.end()) findings.push_back({cause, certainty, std::move(detail)});
}

}  // namespace postern::channel
