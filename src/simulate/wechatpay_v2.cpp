// WeChat Pay v2 notices, the sending side.
//
// Payment: <xml> with one CDATA child per field. `sign` is the upper-case hex HMAC-SHA256, under
// the API key, of name=value of every field that is not empty, ascending by name, joined by '&',
// with
// "&key=" and the API key at the end. Refund: unsigned <xml> whose `req_info` is base64 of
// AES-256-ECB of a <root> document under the lower-case hex MD5 of the API key. Sums are fen.
#include "simulate/wechatpay_v2.h"

#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>
#include <utility>

#include "crypto/cipher.h"
#include "crypto/digest.h"
#include "crypto/encoding.h"
#include "simulate/invent.h"
#include "simulate/key_folder.h"

namespace postern::simulate {
namespace {

constexpr std::string_view kApiKey = "-api.key";
constexpr std::string_view kStrangerKey = "-stranger.key";
constexpr std::string_view kMchId = "1900000002";
constexpr std::string_view kAppId = "wx0000000000000002";
constexpr std::string_view kOtherAppId = "wx0000000000000999";

using FieldMap = std::map<std::string, std::string>;

[[nodiscard]] std::string write_xml(const char* root_name, const FieldMap& fields) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child(root_name);
  for (const auto& [name, value] : fields) {
    root.append_child(name.c_str()).append_child(pugi::node_cdata).set_value(value.c_str());
  }
  std::ostringstream text;
  document.save(text, "", pugi::format_raw | pugi::format_no_declaration, pugi::encoding_utf8);
  return std::move(text).str();
}

[[nodiscard]] Result<std::string> sign(const FieldMap& fields, const Secret& key) {
  std::string text;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    text.append(name).append("=").append(value).append("&");
  }
  text.append("key=").append(key.reveal());
  return crypto::hmac(crypto::DigestAlgorithm::kSha256, key, text);
}

[[nodiscard]] std::int64_t sum_to_state(const core::Money& sum, Tamper tamper) {
  if (tamper != Tamper::kWrongAmount) return sum.minor();
  return sum.minor() == 1 ? 2 : 1;
}

}  // namespace

Result<std::unique_ptr<Signer>> WechatPayV2Signer::generate(std::string account, Random& random) {
  return std::unique_ptr<Signer>(
      new WechatPayV2Signer({.account = std::move(account),
                             .mch_id = std::string(kMchId),
                             .app_id = std::string(kAppId),
                             .api_key = Secret(random_letters(random, 32)),
                             .stranger_key = Secret(random_letters(random, 32))}));
}

Result<std::unique_ptr<Signer>> WechatPayV2Signer::load(const std::string& account,
                                                        const std::filesystem::path& folder) {
  const KeyFolder files(folder, account);
  POSTERN_ASSIGN_OR_RETURN(const KeyFolder::Ids ids,
                           files.read_ids(simulate::name(Platform::kWechatPayV2)));
  POSTERN_ASSIGN_OR_RETURN(std::string mch_id, id_of(ids, "mch_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string app_id, id_of(ids, "app_id"));
  POSTERN_ASSIGN_OR_RETURN(Secret api_key, files.read(kApiKey));
  POSTERN_ASSIGN_OR_RETURN(Secret stranger_key, files.read(kStrangerKey));
  return std::unique_ptr<Signer>(new WechatPayV2Signer({.account = account,
                                                        .mch_id = std::move(mch_id),
                                                        .app_id = std::move(app_id),
                                                        .api_key = std::move(api_key),
                                                        .stranger_key = std::move(stranger_key)}));
}

Result<void> WechatPayV2Signer::save(const std::filesystem::path& folder) const {
  const KeyFolder files(folder, keys_.account);
  POSTERN_RETURN_IF_ERROR(files.create());
  POSTERN_RETURN_IF_ERROR(files.write(kApiKey, keys_.api_key.reveal()));
  POSTERN_RETURN_IF_ERROR(files.write(kStrangerKey, keys_.stranger_key.reveal()));
  return files.write_ids({{"platform", std::string(simulate::name(Platform::kWechatPayV2))},
                          {"mch_id", keys_.mch_id},
                          {"app_id", keys_.app_id}});
}

Result<std::string> WechatPayV2Signer::settings(const std::filesystem::path& folder) const {
  const KeyFolder files(folder, keys_.account);
  POSTERN_ASSIGN_OR_RETURN(const std::string api_key, files.setting(kApiKey));
  return fmt::format(
      "[account.{}]\n"
      "channel = \"wechatpay-v2\"\n"
      "mch_id = \"{}\"\n"
      "app_ids = [\"{}\"]\n"
      "api_key = {}\n"
      "sign_types = [\"HMAC-SHA256\"]\n",
      keys_.account, keys_.mch_id, keys_.app_id, api_key);
}

std::string WechatPayV2Signer::new_payment_id(TimePoint at, Random& random) const {
  return "100000" + random_digits(random, 4) + china_date_compact(at) + random_digits(random, 10);
}

std::string WechatPayV2Signer::new_refund_id(TimePoint at, Random& random) const {
  return "500000" + random_digits(random, 4) + china_date_compact(at) + random_digits(random, 10);
}

const Secret& WechatPayV2Signer::key_for(Tamper tamper) const {
  return tamper == Tamper::kWrongKey ? keys_.stranger_key : keys_.api_key;
}

HttpRequest WechatPayV2Signer::request_with(std::string body) const {
  HttpRequest request{.method = "POST",
                      .target = callback_target(keys_.account),
                      .headers = {},
                      .body = std::move(body),
                      .peer = {}};
  request.headers.add("Content-Type", "text/xml; charset=utf-8");
  return request;
}

Result<HttpRequest> WechatPayV2Signer::payment(const PaymentPlan& plan,
                                               const Sending& sending) const {
  if (sending.tamper == Tamper::kStale) {
    return rejected("tamper_not_applicable", "v2 notices have no freshness window");
  }
  const bool other_app = sending.tamper == Tamper::kOtherApp;
  const std::string sum = fmt::to_string(sum_to_state(plan.sum, sending.tamper));
  FieldMap fields{{"return_code", "SUCCESS"},
                  {"result_code", "SUCCESS"},
                  {"appid", other_app ? std::string(kOtherAppId) : keys_.app_id},
                  {"mch_id", keys_.mch_id},
                  {"device_info", ""},
                  {"nonce_str", random_letters(sending.random, 32)},
                  {"sign_type", "HMAC-SHA256"},
                  {"is_subscribe", "N"},
                  {"trade_type", "NATIVE"},
                  {"bank_type", "OTHERS"},
                  {"total_fee", sum},
                  {"fee_type", std::string(plan.sum.currency().code())},
                  {"cash_fee", sum},
                  {"attach", "模拟 <simulated> & signed"},
                  {"transaction_id", plan.payment_id},
                  {"out_trade_no", plan.number},
                  {"time_end", china_time_compact(plan.paid_at)}};
  POSTERN_ASSIGN_OR_RETURN(std::string mac, sign(fields, key_for(sending.tamper)));
  if (sending.tamper == Tamper::kSignature) mac = flip_one_bit(std::move(mac));
  if (sending.tamper == Tamper::kAmount) fields["total_fee"] = "1";
  fields["sign"] = crypto::hex_encode_upper(mac);
  return request_with(write_xml("xml", fields));
}

Result<HttpRequest> WechatPayV2Signer::refund(const RefundPlan& plan,
                                              const Sending& sending) const {
  if (sending.tamper == Tamper::kStale || sending.tamper == Tamper::kWrongAmount) {
    return rejected("tamper_not_applicable",
                    "a v2 refund notice has no freshness window, and nobody registers its sum");
  }
  const bool other_app = sending.tamper == Tamper::kOtherApp;
  const std::string paid = fmt::to_string(plan.payment.sum.minor());
  const std::string refunded = fmt::to_string(plan.sum.minor());
  const std::string plain = write_xml("root", {{"out_refund_no", plan.number},
                                               {"out_trade_no", plan.payment.number},
                                               {"refund_account", "REFUND_SOURCE_RECHARGE_FUNDS"},
                                               {"refund_fee", refunded},
                                               {"refund_id", plan.refund_id},
                                               {"refund_recv_accout", "支付用户零钱"},
                                               {"refund_request_source", "API"},
                                               {"refund_status", "SUCCESS"},
                                               {"settlement_refund_fee", refunded},
                                               {"settlement_total_fee", paid},
                                               {"success_time", china_time(plan.refunded_at)},
                                               {"total_fee", paid},
                                               {"transaction_id", plan.payment.payment_id}});
  const Secret key(crypto::hex_encode(
      crypto::digest(crypto::DigestAlgorithm::kMd5, key_for(sending.tamper).reveal())));
  POSTERN_ASSIGN_OR_RETURN(std::string sealed, crypto::aes_256_ecb_encrypt(key, plain));
  if (sending.tamper == Tamper::kSignature || sending.tamper == Tamper::kAmount) {
    // The last block holds the padding, so a flipped bit there cannot pass for other content.
    sealed.back() = static_cast<char>(static_cast<unsigned char>(sealed.back()) ^ 1U);
  }
  return request_with(
      write_xml("xml", {{"return_code", "SUCCESS"},
                        {"appid", other_app ? std::string(kOtherAppId) : keys_.app_id},
                        {"mch_id", keys_.mch_id},
                        {"nonce_str", random_letters(sending.random, 32)},
                        {"req_info", crypto::base64_encode(sealed)}}));
}

Result<HttpRequest> WechatPayV2Signer::close(const ClosePlan& /*plan*/,
                                             const Sending& /*sending*/) const {
  return rejected("message_not_supported", "WeChat Pay closes unpaid orders without a message");
}

Result<HttpRequest> WechatPayV2Signer::combined(const CombinedPlan& /*plan*/,
                                                const Sending& /*sending*/) const {
  return rejected("message_not_supported", "combined payments are played by wechatpay-v3");
}

Answer WechatPayV2Signer::read_answer(const HttpResponse& response) const {
  pugi::xml_document document;
  const bool read = static_cast<bool>(document.load_string(response.body.c_str()));
  const std::string_view word = document.child("xml").child("return_code").text().get();
  if (response.code == 200 && read && word == "SUCCESS") return Answer::kAccepted;
  return response.code >= 500 ? Answer::kRetryLater : Answer::kRefused;
}

}  // namespace postern::simulate
