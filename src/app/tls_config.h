#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "app/config_section.h"
#include "base/clock.h"
#include "base/ip_address.h"
#include "base/result.h"
#include "http/server.h"
#include "http/tls_server.h"

namespace postern::app {

/// [server.tls] and [admin.tls]: what a listener shows, and whom it lets in.
struct TlsConfig {
  http::TlsIdentity identity;
  std::string certificates;  ///< PEM, as configured: what a command expects the daemon to show
  enum class Clients : unsigned char { kAnyone, kCertified };
  Clients clients = Clients::kAnyone;
  std::string place;  ///< of the certificate: "postern.toml:12: [server.tls] certificate"

  /// @errors as http::TlsIdentity::check_valid, with the place
  [[nodiscard]] Result<void> check_valid(TimePoint now) const;
};

/// Whether only this machine can reach the address.
[[nodiscard]] bool is_loopback(const http::ListenAddress& address);

/// Whether clients may be asked for certificates: platforms have none to show.
enum class ClientCa : unsigned char { kAllowed, kUnknown };

/// Reads the table `tls` of `section`; nothing where there is none.
///
/// `private_key` is a secret. `certificate` and `client_ca` are public: "file:PATH", a bare path or
/// "env:NAME", and anyone may read the file.
/// @errors kFault setting_missing, setting_malformed, setting_unknown
[[nodiscard]] Result<std::optional<TlsConfig>> read_tls(Section& section, ClientCa client_ca,
                                                        const std::filesystem::path& folder);

/// What is no secret: its file may be readable by anyone, as those of ACME clients are.
/// @errors kFault certificate_unreadable
[[nodiscard]] Result<std::string> read_public_file(const std::filesystem::path& path);

/// Who ends TLS for a listener without any of its own.
enum class ProxyBefore : unsigned char { kNone, kTrusted };

/// Refuses plain text on an address that others can reach, unless a trusted proxy stands before it.
/// @errors kFault setting_malformed, setting_missing
[[nodiscard]] Result<void> require_tls_or_proxy(const Section& section,
                                                std::span<const http::ListenAddress> listen,
                                                const std::optional<TlsConfig>& tls,
                                                ProxyBefore proxy);

/// What a listener is started with; nullptr: plain text. @errors as TlsConfig::check_valid
[[nodiscard]] Result<std::shared_ptr<http::TlsServerContext>> make_tls_context(
    const std::optional<TlsConfig>& tls, TimePoint now);

}  // namespace postern::app
