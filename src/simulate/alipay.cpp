// Alipay asynchronous notifications, the sending side.
//
// POST application/x-www-form-urlencoded. The signed text is name=value of every field but `sign`
// and `sign_type`, ascending by the bytes of the name, joined by '&', not encoded; `sign` is base64
// of its RSASSA-PKCS1-v1_5 signature with SHA-256. Sums are yuan with two decimals, times China
// Standard Time.
#include "simulate/alipay.h"

#include <fmt/format.h>

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "crypto/encoding.h"
#include "simulate/invent.h"
#include "simulate/key_folder.h"

namespace postern::simulate {
namespace {

constexpr std::string_view kPlatformKey = "-platform.key.pem";
constexpr std::string_view kPlatformPublicKey = "-platform.pub.pem";
constexpr std::string_view kStrangerKey = "-stranger.key.pem";
constexpr std::string_view kAppId = "2021000000000001";
constexpr std::string_view kOtherAppId = "2021000000000999";
constexpr std::string_view kSellerId = "2088000000000001";

[[nodiscard]] std::string encode(std::string_view text) {
  boost::urls::encoding_opts options;
  options.space_as_plus = true;
  return boost::urls::encode(text, boost::urls::unreserved_chars, options);
}

[[nodiscard]] core::Money sum_to_state(const core::Money& sum, Tamper tamper) {
  if (tamper != Tamper::kWrongAmount) return sum;
  return core::Money::of(sum.minor() == 1 ? 2 : 1, sum.currency());
}

}  // namespace

/// The decoded fields; a map, since they are signed in the order of their names.
struct AlipaySigner::Message {
  std::map<std::string, std::string, std::less<>> fields;
};

Result<std::unique_ptr<Signer>> AlipaySigner::generate(std::string account) {
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey platform, crypto::PrivateKey::generate());
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey stranger, crypto::PrivateKey::generate());
  return std::unique_ptr<Signer>(new AlipaySigner({.account = std::move(account),
                                                   .app_id = std::string(kAppId),
                                                   .seller_id = std::string(kSellerId),
                                                   .platform = std::move(platform),
                                                   .stranger = std::move(stranger)}));
}

Result<std::unique_ptr<Signer>> AlipaySigner::load(const std::string& account,
                                                   const std::filesystem::path& folder) {
  const KeyFolder files(folder, account);
  POSTERN_ASSIGN_OR_RETURN(const KeyFolder::Ids ids,
                           files.read_ids(simulate::name(Platform::kAlipay)));
  POSTERN_ASSIGN_OR_RETURN(std::string app_id, id_of(ids, "app_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string seller_id, id_of(ids, "seller_id"));
  POSTERN_ASSIGN_OR_RETURN(const Secret platform_pem, files.read(kPlatformKey));
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey platform, crypto::PrivateKey::parse(platform_pem));
  POSTERN_ASSIGN_OR_RETURN(const Secret stranger_pem, files.read(kStrangerKey));
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey stranger, crypto::PrivateKey::parse(stranger_pem));
  return std::unique_ptr<Signer>(new AlipaySigner({.account = account,
                                                   .app_id = std::move(app_id),
                                                   .seller_id = std::move(seller_id),
                                                   .platform = std::move(platform),
                                                   .stranger = std::move(stranger)}));
}

Result<void> AlipaySigner::save(const std::filesystem::path& folder) const {
  const KeyFolder files(folder, keys_.account);
  POSTERN_RETURN_IF_ERROR(files.create());
  POSTERN_RETURN_IF_ERROR(files.write(kPlatformKey, keys_.platform.pem().reveal()));
  POSTERN_RETURN_IF_ERROR(files.write(kPlatformPublicKey, keys_.platform.public_key().pem()));
  POSTERN_RETURN_IF_ERROR(files.write(kStrangerKey, keys_.stranger.pem().reveal()));
  return files.write_ids({{"platform", std::string(simulate::name(Platform::kAlipay))},
                          {"app_id", keys_.app_id},
                          {"seller_id", keys_.seller_id}});
}

Result<std::string> AlipaySigner::settings(const std::filesystem::path& folder) const {
  const KeyFolder files(folder, keys_.account);
  POSTERN_ASSIGN_OR_RETURN(const std::string key, files.setting(kPlatformPublicKey));
  return fmt::format(
      "[account.{}]\n"
      "channel = \"alipay\"\n"
      "app_id = \"{}\"\n"
      "seller_id = \"{}\"\n"
      "platform_keys = [{}]\n",
      keys_.account, keys_.app_id, keys_.seller_id, key);
}

std::string AlipaySigner::new_payment_id(TimePoint at, Random& random) const {
  return china_date_compact(at) + "2200" + random_digits(random, 16);
}

std::string AlipaySigner::new_refund_id(TimePoint at, Random& random) const {
  // Alipay numbers no refunds of its own; out_biz_no is the merchant's.
  return "R" + china_date_compact(at) + random_digits(random, 12);
}

AlipaySigner::Message AlipaySigner::common_fields(const PaymentPlan& plan,
                                                  std::string_view trade_status,
                                                  const Sending& sending) const {
  const bool other_app = sending.tamper == Tamper::kOtherApp;
  const std::string app_id(other_app ? kOtherAppId : std::string_view(keys_.app_id));
  return {
      .fields = {{"notify_time", china_time(sending.now)},
                 {"notify_type", "trade_status_sync"},
                 {"notify_id", china_date_compact(sending.now) + random_digits(sending.random, 26)},
                 {"app_id", app_id},
                 {"auth_app_id", app_id},
                 {"charset", "utf-8"},
                 {"version", "1.0"},
                 {"sign_type", "RSA2"},
                 {"trade_no", plan.payment_id},
                 {"out_trade_no", plan.number},
                 {"seller_id", keys_.seller_id},
                 {"trade_status", std::string(trade_status)},
                 {"total_amount", sum_to_state(plan.sum, sending.tamper).format_major()},
                 {"subject", "Simulated order 模拟订单 + 100%"},
                 {"gmt_create", china_time(plan.paid_at - std::chrono::seconds(30))}}};
}

Result<HttpRequest> AlipaySigner::payment(const PaymentPlan& plan, const Sending& sending) const {
  Message message = common_fields(plan, "TRADE_SUCCESS", sending);
  const std::string sum = message.fields["total_amount"];
  message.fields["gmt_payment"] = china_time(plan.paid_at);
  for (const char* name : {"receipt_amount", "invoice_amount", "buyer_pay_amount"}) {
    message.fields[name] = sum;
  }
  message.fields["point_amount"] = core::Money::zero(plan.sum.currency()).format_major();
  message.fields["fund_bill_list"] =
      fmt::format(R"([{{"amount":"{}","fundChannel":"ALIPAYACCOUNT"}}])", sum);
  return seal(std::move(message), sending);
}

Result<HttpRequest> AlipaySigner::refund(const RefundPlan& plan, const Sending& sending) const {
  const bool nothing_left = plan.total == plan.payment.sum;
  Message message =
      common_fields(plan.payment, nothing_left ? "TRADE_CLOSED" : "TRADE_SUCCESS", sending);
  message.fields["gmt_payment"] = china_time(plan.payment.paid_at);
  message.fields["gmt_refund"] = china_time_ms(plan.refunded_at);
  if (nothing_left) message.fields["gmt_close"] = china_time(plan.refunded_at);
  message.fields["refund_fee"] = sum_to_state(plan.total, sending.tamper).format_major();
  message.fields["out_biz_no"] = plan.number;
  return seal(std::move(message), sending);
}

Result<HttpRequest> AlipaySigner::close(const ClosePlan& plan, const Sending& sending) const {
  const PaymentPlan unpaid{plan.number, plan.payment_id, plan.sum, plan.closed_at};
  Message message = common_fields(unpaid, "TRADE_CLOSED", sending);
  message.fields["gmt_close"] = china_time(plan.closed_at);
  return seal(std::move(message), sending);
}

Result<HttpRequest> AlipaySigner::combined(const CombinedPlan& /*plan*/,
                                           const Sending& /*sending*/) const {
  return rejected("message_not_supported", "Alipay sends no combined payments");
}

Result<HttpRequest> AlipaySigner::seal(Message message, const Sending& sending) const {
  if (sending.tamper == Tamper::kStale) {
    return rejected("tamper_not_applicable", "Alipay's messages have no freshness window");
  }
  std::string text;
  for (const auto& [name, value] : message.fields) {
    if (name == "sign_type") continue;
    text.append(text.empty() ? "" : "&").append(name).append("=").append(value);
  }
  const bool wrong_key = sending.tamper == Tamper::kWrongKey;
  POSTERN_ASSIGN_OR_RETURN(std::string signature,
                           (wrong_key ? keys_.stranger : keys_.platform)
                               .sign(crypto::SignatureScheme::kRsaSha256, text));
  if (sending.tamper == Tamper::kSignature) signature = flip_one_bit(std::move(signature));
  if (sending.tamper == Tamper::kAmount) message.fields["total_amount"] = "0.01";
  message.fields["sign"] = crypto::base64_encode(signature);

  HttpRequest request{.method = "POST",
                      .target = callback_target(keys_.account),
                      .headers = {},
                      .body = {},
                      .peer = {}};
  request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  for (const auto& [name, value] : message.fields) {
    request.body.append(request.body.empty() ? "" : "&").append(encode(name)).append("=");
    request.body.append(encode(value));
  }
  return request;
}

Answer AlipaySigner::read_answer(const HttpResponse& response) const {
  if (response.code == 200 && response.body == "success") return Answer::kAccepted;
  return response.code >= 400 && response.code < 500 ? Answer::kRefused : Answer::kRetryLater;
}

}  // namespace postern::simulate
