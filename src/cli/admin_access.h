#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "app/config.h"
#include "base/result.h"

namespace postern::cli {

/// PEM files to show where [admin.tls] client_ca asks for a certificate; empty: none.
struct ClientCertificate {
  std::string certificate_file;
  std::string key_file;
};

/// Asks the admin API: the daemon's, or, where none runs, the store's own through the same code.
/// The key never leaves this machine's configuration and the listener it names.
/// @thread one
class AdminAccess {
 public:
  virtual ~AdminAccess() = default;

  /// Asks the daemon if one answers at the configured address. Otherwise opens the store, whose
  /// lock makes sure that no daemon has it open elsewhere; a store that is not there is not made.
  /// @errors kFault store_not_found and those of store::sqlite::open_sqlite,
  ///   client_certificate_missing, those of read_secret and read_public_file
  [[nodiscard]] static Result<std::unique_ptr<AdminAccess>> open(
      const app::Config& config, const ClientCertificate& certificate);

  /// Asks the daemon, which must be running. @errors kRejected daemon_not_running, tls_failed;
  ///   kFault client_certificate_missing, those of read_secret and read_public_file
  [[nodiscard]] static Result<std::unique_ptr<AdminAccess>> open_daemon(
      const app::Config& config, const ClientCertificate& certificate);

  /// The object that GET `target` gives. @errors kRejected not_found, unauthorized,
  /// request_refused; kRetryable those of http::BlockingClient, store_unreadable
  [[nodiscard]] Result<boost::json::object> get(const std::string& target) {
    return ask("GET", target);
  }
  /// The same for POST, without a body.
  [[nodiscard]] Result<boost::json::object> post(const std::string& target) {
    return ask("POST", target);
  }
  [[nodiscard]] Result<boost::json::object> post(const std::string& target,
                                                 const boost::json::object& body);

 protected:
  /// @param body  JSON; empty: none
  [[nodiscard]] virtual Result<HttpResponse> send(const std::string& method,
                                                  const std::string& target,
                                                  const std::string& body) = 0;

 private:
  [[nodiscard]] Result<boost::json::object> ask(const std::string& method,
                                                const std::string& target,
                                                const std::string& body = {});
};

/// Adds `name=value` to a target, escaped; leaves it out where the value is empty.
[[nodiscard]] std::string with_query(
    std::string path, std::initializer_list<std::pair<std::string_view, std::string>> query);

/// One segment of a path, escaped.
[[nodiscard]] std::string path_segment(std::string_view text);

}  // namespace postern::cli
