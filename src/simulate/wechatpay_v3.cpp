// WeChat Pay APIv3 callbacks, the sending side.
//
// The body is {"id", "create_time", "resource_type", "event_type", "summary", "resource"}; the
// resource holds base64 of AES-256-GCM under the merchant's APIv3 key (32 characters), with `nonce`
// (12 characters) and `associated_data` beside it. The signed text is timestamp LF nonce LF body
// LF; Wechatpay-Serial names the key. Sums are integer fen, times RFC 3339 with "+08:00".
#include "simulate/wechatpay_v3.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>
#include <utility>

#include "crypto/cipher.h"
#include "crypto/encoding.h"
#include "simulate/invent.h"
#include "simulate/key_folder.h"

namespace postern::simulate {
namespace {

namespace json = boost::json;

constexpr std::string_view kApiV3Key = "-api-v3.key";
constexpr std::string_view kPlatformKey = "-platform.key.pem";
constexpr std::string_view kPlatformPublicKey = "-platform.pub.pem";
constexpr std::string_view kCertificateKey = "-certificate.key.pem";
constexpr std::string_view kCertificate = "-certificate.pem";
constexpr std::string_view kStrangerKey = "-stranger.key.pem";
constexpr std::string_view kMchid = "1900000001";
constexpr std::string_view kOtherMchid = "1900000999";
constexpr std::string_view kAppId = "wx0000000000000001";
constexpr std::string_view kOtherAppId = "wx0000000000000999";
constexpr std::chrono::minutes kStaleAge{10};

[[nodiscard]] std::int64_t sum_to_state(const core::Money& sum, Tamper tamper) {
  if (tamper != Tamper::kWrongAmount) return sum.minor();
  return sum.minor() == 1 ? 2 : 1;
}

/// Changes one character of the ciphertext, as far as somebody without the key can "change the
/// sum".
void spoil_ciphertext(std::string& body) {
  constexpr std::string_view kMember = "\"ciphertext\":\"";
  char& c = body[body.find(kMember) + kMember.size()];
  c = c == 'A' ? 'B' : 'A';
}

[[nodiscard]] Result<crypto::PrivateKey> read_key(const KeyFolder& files, std::string_view part) {
  POSTERN_ASSIGN_OR_RETURN(const Secret pem, files.read(part));
  return crypto::PrivateKey::parse(pem);
}

}  // namespace

Result<std::unique_ptr<Signer>> WechatPayV3Signer::generate(std::string account, TimePoint now,
                                                            Random& random) {
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey platform, crypto::PrivateKey::generate());
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey certificate_key, crypto::PrivateKey::generate());
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey stranger, crypto::PrivateKey::generate());
  // A leading digit above zero keeps the serial at 40 digits, as WeChat's are.
  const std::string serial = "5" + random_digits(random, 39);
  POSTERN_ASSIGN_OR_RETURN(crypto::Certificate certificate,
                           crypto::Certificate::self_signed(certificate_key, "Postern simulator",
                                                            serial, now - std::chrono::hours(24),
                                                            now + std::chrono::hours(24 * 365)));
  return std::unique_ptr<Signer>(
      new WechatPayV3Signer({.account = std::move(account),
                             .mchid = std::string(kMchid),
                             .app_id = std::string(kAppId),
                             .public_key_id = "PUB_KEY_ID_0" + random_digits(random, 33),
                             .api_v3_key = Secret(random_letters(random, 32)),
                             .platform = std::move(platform),
                             .certificate = std::move(certificate_key),
                             .stranger = std::move(stranger),
                             .platform_certificate = std::move(certificate)}));
}

Result<std::unique_ptr<Signer>> WechatPayV3Signer::load(const std::string& account,
                                                        const std::filesystem::path& folder) {
  const KeyFolder files(folder, account);
  POSTERN_ASSIGN_OR_RETURN(const KeyFolder::Ids ids,
                           files.read_ids(simulate::name(Platform::kWechatPayV3)));
  POSTERN_ASSIGN_OR_RETURN(std::string mchid, id_of(ids, "mchid"));
  POSTERN_ASSIGN_OR_RETURN(std::string app_id, id_of(ids, "app_id"));
  POSTERN_ASSIGN_OR_RETURN(std::string public_key_id, id_of(ids, "public_key_id"));
  POSTERN_ASSIGN_OR_RETURN(Secret api_v3_key, files.read(kApiV3Key));
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey platform, read_key(files, kPlatformKey));
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey certificate_key, read_key(files, kCertificateKey));
  POSTERN_ASSIGN_OR_RETURN(crypto::PrivateKey stranger, read_key(files, kStrangerKey));
  POSTERN_ASSIGN_OR_RETURN(const Secret pem, files.read(kCertificate));
  POSTERN_ASSIGN_OR_RETURN(crypto::Certificate certificate,
                           crypto::Certificate::parse(pem.reveal()));
  return std::unique_ptr<Signer>(
      new WechatPayV3Signer({.account = account,
                             .mchid = std::move(mchid),
                             .app_id = std::move(app_id),
                             .public_key_id = std::move(public_key_id),
                             .api_v3_key = std::move(api_v3_key),
                             .platform = std::move(platform),
                             .certificate = std::move(certificate_key),
                             .stranger = std::move(stranger),
                             .platform_certificate = std::move(certificate)}));
}

Result<void> WechatPayV3Signer::save(const std::filesystem::path& folder) const {
  const KeyFolder files(folder, keys_.account);
  POSTERN_RETURN_IF_ERROR(files.create());
  POSTERN_RETURN_IF_ERROR(files.write(kApiV3Key, keys_.api_v3_key.reveal()));
  POSTERN_RETURN_IF_ERROR(files.write(kPlatformKey, keys_.platform.pem().reveal()));
  POSTERN_RETURN_IF_ERROR(files.write(kPlatformPublicKey, keys_.platform.public_key().pem()));
  POSTERN_RETURN_IF_ERROR(files.write(kCertificateKey, keys_.certificate.pem().reveal()));
  POSTERN_RETURN_IF_ERROR(files.write(kCertificate, keys_.platform_certificate.pem()));
  POSTERN_RETURN_IF_ERROR(files.write(kStrangerKey, keys_.stranger.pem().reveal()));
  return files.write_ids({{"platform", std::string(simulate::name(Platform::kWechatPayV3))},
                          {"mchid", keys_.mchid},
                          {"app_id", keys_.app_id},
                          {"public_key_id", keys_.public_key_id}});
}

Result<std::string> WechatPayV3Signer::settings(const std::filesystem::path& folder) const {
  const KeyFolder files(folder, keys_.account);
  POSTERN_ASSIGN_OR_RETURN(const std::string api_key, files.setting(kApiV3Key));
  POSTERN_ASSIGN_OR_RETURN(const std::string public_key, files.setting(kPlatformPublicKey));
  POSTERN_ASSIGN_OR_RETURN(const std::string certificate, files.setting(kCertificate));
  return fmt::format(
      "[account.{}]\n"
      "channel = \"wechatpay-v3\"\n"
      "mchid = \"{}\"\n"
      "app_ids = [\"{}\"]\n"
      "api_v3_key = {}\n"
      "platform_public_keys = [{}]\n"
      "platform_public_key_ids = [\"{}\"]\n"
      "platform_certificates = [{}]\n",
      keys_.account, keys_.mchid, keys_.app_id, api_key, public_key, keys_.public_key_id,
      certificate);
}

std::string WechatPayV3Signer::new_payment_id(TimePoint at, Random& random) const {
  return "420000" + random_digits(random, 4) + china_date_compact(at) + random_digits(random, 10);
}

std::string WechatPayV3Signer::new_refund_id(TimePoint at, Random& random) const {
  return "503000" + random_digits(random, 4) + china_date_compact(at) + random_digits(random, 10);
}

Result<HttpRequest> WechatPayV3Signer::payment(const PaymentPlan& plan,
                                               const Sending& sending) const {
  const bool other_app = sending.tamper == Tamper::kOtherApp;
  const std::int64_t sum = sum_to_state(plan.sum, sending.tamper);
  const std::string_view currency = plan.sum.currency().code();
  return seal({.event_type = "TRANSACTION.SUCCESS",
               .original_type = "transaction",
               .summary = "支付成功",
               .plain = {{"mchid", keys_.mchid},
                         {"appid", other_app ? kOtherAppId : std::string_view(keys_.app_id)},
                         {"out_trade_no", plan.number},
                         {"transaction_id", plan.payment_id},
                         {"trade_type", "NATIVE"},
                         {"trade_state", "SUCCESS"},
                         {"trade_state_desc", "支付成功"},
                         {"bank_type", "OTHERS"},
                         {"attach", ""},
                         {"success_time", china_time_rfc3339(plan.paid_at)},
                         {"amount",
                          {{"total", sum},
                           {"payer_total", sum},
                           {"currency", currency},
                           {"payer_currency", currency}}}}},
              sending);
}

Result<HttpRequest> WechatPayV3Signer::refund(const RefundPlan& plan,
                                              const Sending& sending) const {
  if (sending.tamper == Tamper::kWrongAmount) {
    return rejected("tamper_not_applicable", "nobody registers the sum of a refund beforehand");
  }
  const bool other_app = sending.tamper == Tamper::kOtherApp;
  const std::int64_t paid = plan.payment.sum.minor();
  return seal({.event_type = "REFUND.SUCCESS",
               .original_type = "refund",
               .summary = "退款成功",
               .plain = {{"mchid", other_app ? kOtherMchid : std::string_view(keys_.mchid)},
                         {"out_trade_no", plan.payment.number},
                         {"transaction_id", plan.payment.payment_id},
                         {"out_refund_no", plan.number},
                         {"refund_id", plan.refund_id},
                         {"refund_status", "SUCCESS"},
                         {"success_time", china_time_rfc3339(plan.refunded_at)},
                         {"user_received_account", "支付用户零钱"},
                         {"amount",
                          {{"total", paid},
                           {"refund", plan.sum.minor()},
                           {"payer_total", paid},
                           {"payer_refund", plan.sum.minor()}}}}},
              sending);
}

Result<HttpRequest> WechatPayV3Signer::close(const ClosePlan& /*plan*/,
                                             const Sending& /*sending*/) const {
  return rejected("message_not_supported", "WeChat Pay closes unpaid orders without a message");
}

Result<HttpRequest> WechatPayV3Signer::combined(const CombinedPlan& plan,
                                                const Sending& sending) const {
  const bool other_app = sending.tamper == Tamper::kOtherApp;
  json::array parts;
  for (const PaymentPlan& part : plan.parts) {
    const std::int64_t sum = sum_to_state(part.sum, sending.tamper);
    const std::string_view currency = part.sum.currency().code();
    parts.push_back({{"mchid", keys_.mchid},
                     {"out_trade_no", part.number},
                     {"transaction_id", part.payment_id},
                     {"trade_type", "NATIVE"},
                     {"trade_state", "SUCCESS"},
                     {"bank_type", "OTHERS"},
                     {"attach", ""},
                     {"success_time", china_time_rfc3339(part.paid_at)},
                     {"amount",
                      {{"total_amount", sum},
                       {"payer_amount", sum},
                       {"currency", currency},
                       {"payer_currency", currency}}}});
  }
  return seal(
      {.event_type = "TRANSACTION.SUCCESS",
       .original_type = "transaction",
       .summary = "支付成功",
       .plain = {{"combine_appid", other_app ? kOtherAppId : std::string_view(keys_.app_id)},
                 {"combine_mchid", keys_.mchid},
                 {"combine_out_trade_no", plan.number},
                 {"sub_orders", std::move(parts)}}},
      sending);
}

Result<std::string> WechatPayV3Signer::envelope(const Resource& resource,
                                                const Sending& sending) const {
  const std::string nonce = random_letters(sending.random, 12);
  POSTERN_ASSIGN_OR_RETURN(const std::string sealed,
                           crypto::aes_256_gcm_seal(keys_.api_v3_key, nonce, resource.original_type,
                                                    json::serialize(resource.plain)));
  const json::object body{
      {"id", "EV-" + china_time_compact(sending.now) + random_digits(sending.random, 14)},
      {"create_time", china_time_rfc3339(sending.now)},
      {"resource_type", "encrypt-resource"},
      {"event_type", resource.event_type},
      {"summary", resource.summary},
      {"resource",
       {{"original_type", resource.original_type},
        {"algorithm", "AEAD_AES_256_GCM"},
        {"ciphertext", crypto::base64_encode(sealed)},
        {"associated_data", resource.original_type},
        {"nonce", nonce}}}};
  return json::serialize(body);
}

Result<HttpRequest> WechatPayV3Signer::seal(const Resource& resource,
                                            const Sending& sending) const {
  POSTERN_ASSIGN_OR_RETURN(std::string body, envelope(resource, sending));
  TimePoint signed_at = sending.now;
  if (sending.tamper == Tamper::kStale) signed_at -= kStaleAge;
  const std::string timestamp = fmt::to_string(
      std::chrono::floor<std::chrono::seconds>(signed_at).time_since_epoch().count());
  const std::string nonce = random_letters(sending.random, 32);
  const bool by_certificate = (sending.random.next() & 1U) != 0;

  const crypto::PrivateKey& own = by_certificate ? keys_.certificate : keys_.platform;
  const bool wrong_key = sending.tamper == Tamper::kWrongKey;
  POSTERN_ASSIGN_OR_RETURN(std::string signature,
                           (wrong_key ? keys_.stranger : own)
                               .sign(crypto::SignatureScheme::kRsaSha256,
                                     fmt::format("{}\n{}\n{}\n", timestamp, nonce, body)));
  if (sending.tamper == Tamper::kSignature) signature = flip_one_bit(std::move(signature));
  if (sending.tamper == Tamper::kAmount) spoil_ciphertext(body);

  HttpRequest request{.method = "POST",
                      .target = callback_target(keys_.account),
                      .headers = {},
                      .body = std::move(body),
                      .peer = {}};
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Wechatpay-Timestamp", timestamp);
  request.headers.add("Wechatpay-Nonce", nonce);
  request.headers.add("Wechatpay-Serial", by_certificate ? keys_.platform_certificate.serial_hex()
                                                         : keys_.public_key_id);
  request.headers.add("Wechatpay-Signature", crypto::base64_encode(signature));
  request.headers.add("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048");
  request.headers.add("Request-ID", "SIM" + random_digits(sending.random, 29));
  return request;
}

Answer WechatPayV3Signer::read_answer(const HttpResponse& response) const {
  if (response.code == 200 || response.code == 204) return Answer::kAccepted;
  return response.code >= 400 && response.code < 500 ? Answer::kRefused : Answer::kRetryLater;
}

}  // namespace postern::simulate
