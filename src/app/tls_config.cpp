#include "app/tls_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "app/secret_source.h"

namespace postern::app {
namespace {

namespace fs = std::filesystem;

[[nodiscard]] Result<std::optional<std::string>> optional_public(Section& section,
                                                                 std::string_view key,
                                                                 const fs::path& folder) {
  constexpr std::string_view kFile = "file:";
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> source, section.optional_text(key));
  if (!source) return std::nullopt;
  const bool is_marked = source->starts_with("env:") || source->starts_with(kFile);
  // Whoever may change the file says who is trusted, so it is looked at as a listed key's is.
  const Result<Secret> text = read_secret(is_marked ? *source : fmt::format("{}{}", kFile, *source),
                                          folder, SourceKind::kPublic);
  if (!text) return std::unexpected(section.wrong(key, text.error().detail));
  section.note_content(key, text->reveal());
  return std::string(text->reveal());
}

/// The key that an error of http::TlsIdentity is about.
[[nodiscard]] std::string_view key_of(const Error& error) {
  if (error.code.starts_with("tls_private_key")) return "private_key";
  return error.code.starts_with("tls_client_ca") ? "client_ca" : "certificate";
}

}  // namespace

bool is_loopback(const http::ListenAddress& address) {
  const std::optional<IpAddress> host = IpAddress::parse(address.host);
  if (!host) return false;
  if (host->family == IpAddress::Family::kV4) return host->bytes[0] == 127;
  return host == IpAddress::parse("::1");
}

Result<std::string> read_public_file(const fs::path& path) {
  std::error_code error;
  const bool is_file = fs::is_regular_file(path, error);  // a pipe would hang the start
  const std::uintmax_t size = is_file ? fs::file_size(path, error) : 0;
  std::ifstream in(path, std::ios::binary);
  if (!is_file || error || !in || size > kSecretBytesMax) {
    return fault("certificate_unreadable",
                 fmt::format("cannot read {}: give a PEM file of at most 1 MiB", path.string()));
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

Result<void> TlsConfig::check_valid(TimePoint now) const {
  Result<void> valid = identity.check_valid(now);
  if (!valid) valid.error().detail = fmt::format("{}: {}", place, valid.error().detail);
  return valid;
}

Result<std::optional<TlsConfig>> read_tls(Section& section, ClientCa client_ca,
                                          const fs::path& folder) {
  POSTERN_ASSIGN_OR_RETURN(std::optional<Section> tls, section.optional_section("tls"));
  if (!tls) return std::nullopt;
  POSTERN_ASSIGN_OR_RETURN(std::optional<std::string> certificate,
                           optional_public(*tls, "certificate", folder));
  if (!certificate) {
    return std::unexpected(tls->wrong("certificate", R"(write certificate = "file:PATH")"));
  }
  POSTERN_ASSIGN_OR_RETURN(const Secret key, tls->secret("private_key"));
  std::optional<std::string> trusted;
  if (client_ca == ClientCa::kAllowed) {
    POSTERN_ASSIGN_OR_RETURN(trusted, optional_public(*tls, "client_ca", folder));
  }
  POSTERN_RETURN_IF_ERROR(tls->finish());
  Result<http::TlsIdentity> identity =
      http::TlsIdentity::make(*certificate, key, trusted.value_or(""));
  if (!identity) {
    return std::unexpected(tls->wrong(key_of(identity.error()), identity.error().detail));
  }
  return TlsConfig{
      .identity = *std::move(identity),
      .certificates = *std::move(certificate),
      .clients = trusted ? TlsConfig::Clients::kCertified : TlsConfig::Clients::kAnyone,
      .place = tls->place("certificate")};
}

Result<void> require_tls_or_proxy(const Section& section,
                                  std::span<const http::ListenAddress> listen,
                                  const std::optional<TlsConfig>& tls, ProxyBefore proxy) {
  if (tls || proxy == ProxyBefore::kTrusted) return {};
  const auto open = std::ranges::find_if_not(listen, is_loopback);
  if (open == listen.end()) return {};
  const bool is_admin = section.title() == "admin";
  return std::unexpected(section.wrong(
      "listen",
      fmt::format("{} can be reached from other machines, in plain text; write [{}.tls] with "
                  "certificate and private_key{}",
                  open->host, section.title(),
                  is_admin ? ", or listen on 127.0.0.1"
                           : ", or name the proxy that ends TLS before it in trusted_proxies")));
}

Result<std::shared_ptr<http::TlsServerContext>> make_tls_context(
    const std::optional<TlsConfig>& tls, TimePoint now) {
  if (!tls) return nullptr;
  POSTERN_RETURN_IF_ERROR(tls->check_valid(now));
  return http::TlsServerContext::make(tls->identity, now);
}

}  // namespace postern::app
