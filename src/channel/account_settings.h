#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/secret.h"
#include "channel/settings.h"
#include "crypto/key.h"

namespace postern::channel {

/// Most keys, certificates or ids that one setting may list; bounds the work per callback.
inline constexpr std::size_t kListedMax = 16;
/// The same for sub-merchants, which are only looked up.
inline constexpr std::size_t kSubMerchantsMax = 100'000;

/// Keys that are tried one after the other, and when each counts, at the same places.
struct SymmetricKeys {
  std::vector<Secret> texts;
  std::vector<KeyWindow> windows;
};

struct TimedPublicKey {
  crypto::PublicKey key;
  KeyWindow window;
};

/// The merchants an account may speak for.
struct Merchants {
  std::string own;                          ///< our number; a service provider's own
  std::set<std::string, std::less<>> subs;  ///< not empty for a service provider only
};

/// The sub-merchant of a message to a merchant; empty for a direct account's. A direct account
/// refuses messages that name one, a service provider's demands one out of its list.
/// @param sub  as the message names it, empty where it does not
/// @errors sub_merchant_mismatch
[[nodiscard]] Result<std::string> sub_merchant_of(const Merchants& merchants, std::string_view sub);

/// The sub-merchant of one order of a combined payment; empty where the order is our own. Its
/// merchant is us or in the list, and so is its sub-merchant if it names one.
/// @errors sub_merchant_mismatch
[[nodiscard]] Result<std::string> sub_merchant_of_part(const Merchants& merchants,
                                                       std::string_view merchant,
                                                       std::string_view sub);

/// Whether `list` holds `text`.
[[nodiscard]] bool holds(const std::vector<std::string>& list, std::string_view text);

/// The account's name. @errors setting_malformed
[[nodiscard]] Result<AccountName> read_account_name(Settings& settings);

/// One id under `key`. @errors setting_missing, setting_malformed
[[nodiscard]] Result<std::string> read_id_setting(Settings& settings, std::string_view key);

/// The ids of the list `key_many` and, if given, of the single setting `key_one`; may be empty.
/// @errors setting_malformed
[[nodiscard]] Result<std::vector<std::string>> read_id_settings(Settings& settings,
                                                                std::string_view key_one,
                                                                std::string_view key_many);

/// The ids of the list `key`; may be empty, up to `kSubMerchantsMax`. @errors setting_malformed
[[nodiscard]] Result<std::vector<std::string>> read_sub_merchants(Settings& settings,
                                                                  std::string_view key);

/// The symmetric keys of `key_one` and of the list `key_many` (several while rotating), at least
/// one: each 32 bytes, which must not be all the same and must hold no blanks or controls; none
/// twice.
/// @errors setting_missing, setting_malformed
[[nodiscard]] Result<SymmetricKeys> read_keys_of_32_bytes(Settings& settings,
                                                          std::string_view key_one,
                                                          std::string_view key_many);

/// The public keys of the list `key`; may be empty. @errors setting_malformed
[[nodiscard]] Result<std::vector<TimedPublicKey>> read_public_keys(Settings& settings,
                                                                   std::string_view key);

/// An error about `key` that repeats what was wrong with its content.
[[nodiscard]] std::unexpected<Error> wrong_setting(const Settings& settings, std::string_view key,
                                                   const Error& error);

}  // namespace postern::channel
