#include "channel/account_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace postern::channel {
namespace {

[[nodiscard]] Result<void> check_count(const Settings& settings, std::string_view key,
                                       std::size_t count, std::size_t count_max) {
  if (count <= count_max) return {};
  return std::unexpected(settings.wrong(key, fmt::format("list at most {} of them", count_max)));
}

[[nodiscard]] Result<void> check_ids(const Settings& settings, std::string_view key,
                                     const std::vector<std::string>& ids) {
  if (std::ranges::all_of(ids, [](const std::string& id) { return is_id_text(id); })) return {};
  return std::unexpected(
      settings.wrong(key, "write ids of 1 to 128 bytes without control characters"));
}

/// Catches what stands in for a key while a shop is being set up.
[[nodiscard]] bool is_key_of_32_bytes(const Secret& key) {
  const std::string_view bytes = key.reveal();
  const bool printable = std::ranges::all_of(bytes, [](char c) { return c > ' ' && c < '\x7F'; });
  return bytes.size() == 32 && printable && bytes.find_first_not_of(bytes.front()) != bytes.npos;
}

}  // namespace

Result<std::string> sub_merchant_of(const Merchants& merchants, std::string_view sub) {
  if (merchants.subs.empty() && sub.empty()) return std::string();
  if (merchants.subs.empty()) {
    return rejected("sub_merchant_mismatch",
                    "the message is a service provider's, but `sub_merchants` is empty");
  }
  if (merchants.subs.contains(sub)) return std::string(sub);
  return rejected("sub_merchant_mismatch", "the sub-merchant is not in `sub_merchants`");
}

Result<std::string> sub_merchant_of_part(const Merchants& merchants, std::string_view merchant,
                                         std::string_view sub) {
  const bool merchant_known = merchant == merchants.own || merchants.subs.contains(merchant);
  const bool sub_known = sub.empty() || merchants.subs.contains(sub);
  if (!merchant_known || !sub_known) {
    return rejected("sub_merchant_mismatch", "the sub-order is not ours");
  }
  if (!sub.empty()) return std::string(sub);
  return merchant == merchants.own ? std::string() : std::string(merchant);
}

bool holds(const std::vector<std::string>& list, std::string_view text) {
  return std::ranges::find(list, text) != list.end();
}

std::unexpected<Error> wrong_setting(const Settings& settings, std::string_view key,
                                     const Error& error) {
  if (error.detail.empty()) return std::unexpected(settings.wrong(key, error.code));
  return std::unexpected(settings.wrong(key, fmt::format("{}: {}", error.code, error.detail)));
}

Result<AccountName> read_account_name(Settings& settings) {
  return AccountName::parse(settings.account());
}

Result<std::string> read_id_setting(Settings& settings, std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(std::string id, settings.text(key));
  POSTERN_RETURN_IF_ERROR(check_ids(settings, key, {id}));
  return id;
}

Result<std::vector<std::string>> read_id_settings(Settings& settings, std::string_view key_one,
                                                  std::string_view key_many) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<std::string> ids, settings.texts(key_many));
  POSTERN_ASSIGN_OR_RETURN(const std::optional<std::string> one, settings.optional_text(key_one));
  if (one) ids.push_back(*one);
  POSTERN_RETURN_IF_ERROR(check_count(settings, key_many, ids.size(), kListedMax));
  POSTERN_RETURN_IF_ERROR(check_ids(settings, key_many, ids));
  return ids;
}

Result<std::vector<std::string>> read_sub_merchants(Settings& settings, std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<std::string> ids, settings.texts(key));
  POSTERN_RETURN_IF_ERROR(check_count(settings, key, ids.size(), kSubMerchantsMax));
  POSTERN_RETURN_IF_ERROR(check_ids(settings, key, ids));
  return ids;
}

Result<SymmetricKeys> read_keys_of_32_bytes(Settings& settings, std::string_view key_one,
                                            std::string_view key_many) {
  POSTERN_ASSIGN_OR_RETURN(std::vector<ListedKey> listed,
                           settings.keys(key_many, KeyKind::kSecret));
  POSTERN_ASSIGN_OR_RETURN(std::optional<ListedKey> one, settings.optional_key(key_one));
  if (one) listed.insert(listed.begin(), std::move(*one));
  if (listed.empty()) {
    // Asking for it as a must makes the reader name the file, the line and the missing key.
    POSTERN_ASSIGN_OR_RETURN(Secret needed, settings.secret(key_one));
    listed.push_back({std::move(needed), {}});
  }
  const std::string_view named = one ? key_one : key_many;
  POSTERN_RETURN_IF_ERROR(check_count(settings, key_many, listed.size(), kListedMax));
  SymmetricKeys keys;
  for (ListedKey& key : listed) {
    if (!is_key_of_32_bytes(key.text)) {
      return std::unexpected(settings.wrong(
          named,
          "the key is exactly 32 characters, not all the same, without blanks; copy it from the "
          "platform's console"));
    }
    // A key is found by what it opens, and then its window is looked at: it can have only one.
    const bool is_repeated = std::ranges::any_of(
        keys.texts, [&](const Secret& other) { return other.reveal() == key.text.reveal(); });
    if (is_repeated) return std::unexpected(settings.wrong(named, "the same key is listed twice"));
    keys.texts.push_back(std::move(key.text));
    keys.windows.push_back(key.window);
  }
  return keys;
}

Result<std::vector<TimedPublicKey>> read_public_keys(Settings& settings, std::string_view key) {
  POSTERN_ASSIGN_OR_RETURN(const std::vector<ListedKey> listed,
                           settings.keys(key, KeyKind::kPublic));
  POSTERN_RETURN_IF_ERROR(check_count(settings, key, listed.size(), kListedMax));
  std::vector<TimedPublicKey> keys;
  for (const ListedKey& one : listed) {
    Result<crypto::PublicKey> parsed = crypto::PublicKey::parse(one.text.reveal());
    if (!parsed) return wrong_setting(settings, key, parsed.error());
    keys.push_back({std::move(*parsed), one.window});
  }
  return keys;
}

}  // namespace postern::channel
