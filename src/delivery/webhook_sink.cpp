// A webhook is one HTTP/1.1 POST of JSON with three fields of Standard Webhooks:
//
//   webhook-id: evt_k3f9a2_17        the same for every try: consumers dedupe by it
//   webhook-timestamp: 1763888400    seconds since 1970, of this try: consumers refuse old ones
//   webhook-signature: v1,K5oZ...=   see webhook_signature.cpp

#include "delivery/webhook_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <iomanip>
#include <locale>
#include <sstream>
#include <utility>

#include "delivery/address_guard.h"
#include "delivery/excerpt.h"

namespace postern::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = Answer::Verdict;

constexpr seconds kRetryAfterMax = std::chrono::days(366);
constexpr unsigned kGone = 410;

/// Services that speak something else and might make sense of a POST, as browsers refuse them.
constexpr std::array<std::uint16_t, 29> kPortsRefused = {
    21,  22,  23,  25,  53,  110, 111,  119,  135,  139,  143,  161,  389,   445,  465,
    514, 587, 636, 873, 993, 995, 2049, 2379, 3306, 5432, 5672, 6379, 11211, 27017};

/// The forms of a date that HTTP knows, the first being the one to use.
constexpr std::array<const char*, 3> kHttpDates = {
    "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

[[nodiscard]] std::optional<TimePoint> parse_date(const std::string& text, const char* form) {
  std::tm fields{};
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  in >> std::get_time(&fields, form);
  if (in.fail()) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(fields.tm_year + 1900),
      std::chrono::month(static_cast<unsigned>(fields.tm_mon + 1)),
      std::chrono::day(static_cast<unsigned>(fields.tm_mday))};
  if (!date.ok()) return std::nullopt;
  const std::chrono::sys_days day(date);
  // The reader is lenient about widths, spaces and the day of the week; what it has read says
  // itself whether that was the text.
  fields.tm_wday = static_cast<int>(std::chrono::weekday(day).c_encoding());
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << std::put_time(&fields, form);
  if (out.str() != text) return std::nullopt;
  return day + std::chrono::hours(fields.tm_hour) + std::chrono::minutes(fields.tm_min) +
         seconds(fields.tm_sec);
}

/// The only value of the field; several contradict one another.
[[nodiscard]] std::optional<std::string_view> only_field(const HttpResponse& response,
                                                         std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& [key, value] : response.headers) {
    const bool is_it = std::ranges::equal(key, name, [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
    if (!is_it) continue;
    if (found) return std::nullopt;
    found = value;
  }
  return found;
}

[[nodiscard]] Answer answer_of(const HttpResponse& response, TimePoint now) {
  Answer answer;
  const unsigned family = response.code / 100;
  answer.verdict = family == 2 ? Verdict::kDelivered : Verdict::kNotDelivered;
  answer.code = family == 3 ? "redirect_refused" : std::to_string(response.code);
  answer.is_gone = response.code == kGone;
  answer.excerpt = make_excerpt(response.body);
  if (const auto text = only_field(response, "retry-after"); text && family != 2) {
    answer.retry_after = parse_retry_after(*text, now);
  }
  return answer;
}

[[nodiscard]] Answer answer_of(const http::ClientFailure& failure) {
  Answer answer;
  answer.verdict = failure.reach == http::ClientFailure::Reach::kNotSent ? Verdict::kNotDelivered
                                                                         : Verdict::kUnknown;
  answer.code = failure.error.code;
  answer.excerpt = make_excerpt(failure.error.detail);
  return answer;
}

[[nodiscard]] Result<http::WebUrl> checked_url(const WebhookOptions& options,
                                               const AddressGuard& guard) {
  POSTERN_ASSIGN_OR_RETURN(http::WebUrl url, http::WebUrl::parse(options.url));
  if (url.scheme == http::WebUrl::Scheme::kHttp &&
      options.insecure_http == InsecureHttp::kRefused) {
    return rejected("url_not_secure", "an endpoint is https://; http:// must be allowed expressly");
  }
  if (std::ranges::find(kPortsRefused, url.port) != kPortsRefused.end()) {
    return rejected("port_not_allowed", fmt::format("port {} is not of HTTP", url.port));
  }
  // A name is judged by what it resolves to when it is used; an address can be judged at once.
  if (const auto address = http::SystemResolver::numeric(url.host)) {
    POSTERN_RETURN_IF_ERROR(guard.check(*address));
  }
  return url;
}

}  // namespace

Result<void> check_webhook_url(const WebhookOptions& options) {
  POSTERN_ASSIGN_OR_RETURN(const AddressGuard guard, AddressGuard::make(options.allow_networks));
  const Result<http::WebUrl> url = checked_url(options, guard);
  if (!url) return std::unexpected(url.error());
  return {};
}

WebhookSink::WebhookSink(std::string target, WebhookSigner signer, const Clock& clock,
                         std::unique_ptr<http::AsyncClient> client)
    : target_(std::move(target)),
      signer_(std::move(signer)),
      clock_(clock),
      client_(std::move(client)) {}

WebhookSink::~WebhookSink() = default;

Result<std::unique_ptr<WebhookSink>> WebhookSink::open(WebhookOptions options,
                                                       http::ClientThread& thread,
                                                       const Clock& clock) {
  POSTERN_ASSIGN_OR_RETURN(AddressGuard guard, AddressGuard::make(options.allow_networks));
  POSTERN_ASSIGN_OR_RETURN(http::WebUrl url, checked_url(options, guard));
  POSTERN_ASSIGN_OR_RETURN(WebhookSigner signer, WebhookSigner::parse(options.secrets));
  std::string target = url.target;
  POSTERN_ASSIGN_OR_RETURN(
      auto client,
      http::AsyncClient::open(thread,
                              {.origin = std::move(url),
                               .connect_timeout = options.connect_timeout,
                               .exchange_timeout = options.exchange_timeout,
                               .connections_max = options.connections_max,
                               .queue_max = options.queue_max,
                               .ca_file = std::move(options.ca_file),
                               .may_connect = [guard = std::move(guard)](const IpAddress& address) {
                                 return guard.check(address);
                               }}));
  return std::unique_ptr<WebhookSink>(
      new WebhookSink(std::move(target), std::move(signer), clock, std::move(client)));
}

void WebhookSink::send(Message message, std::move_only_function<void(Answer)> done) {
  const auto timestamp = std::chrono::floor<seconds>(clock_.now().time_since_epoch());
  const auto signature = signer_.sign(message.id, timestamp, message.body);
  if (!signature) {
    client_->run([done = std::move(done), why = signature.error().detail]() mutable {
      done({.verdict = Verdict::kNotDelivered,
            .code = "signing_failed",
            .excerpt = make_excerpt(why)});
    });
    return;
  }
  HttpRequest request;
  request.method = "POST";
  request.target = target_;
  request.headers.add("User-Agent", "Postern/0.1");
  request.headers.add("Content-Type", "application/json");
  request.headers.add("webhook-id", message.id);
  request.headers.add("webhook-timestamp", std::to_string(timestamp.count()));
  request.headers.add("webhook-signature", *signature);
  request.body = std::move(message.body);
  client_->send(std::move(request),
                [&clock = clock_, done = std::move(done)](http::ClientOutcome outcome) mutable {
                  done(outcome ? answer_of(*outcome, clock.now()) : answer_of(outcome.error()));
                });
}

std::optional<milliseconds> parse_retry_after(std::string_view text, TimePoint now) {
  if (text.empty()) return std::nullopt;
  const char* const end = text.data() + text.size();
  // Digits only: a sign would be taken by from_chars.
  if (std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
    std::int64_t count = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{} || stop != end || count > kRetryAfterMax.count()) return std::nullopt;
    return seconds(count);
  }
  for (const char* form : kHttpDates) {
    const auto date = parse_date(std::string(text), form);
    if (!date) continue;
    const milliseconds delay = *date - now;
    if (delay > kRetryAfterMax) return std::nullopt;
    return std::max(delay, milliseconds(0));
  }
  return std::nullopt;
}

}  // namespace postern::delivery
