#pragma once

#include <string>
#include <string_view>

namespace postern {

/// A key or token. It has no formatter and no stream operator, so logging one does not compile;
/// its memory is wiped when it goes.
class Secret {
 public:
  Secret() = default;
  /// Takes `text` over; nothing of it stays behind in the argument.
  explicit Secret(std::string text);
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { wipe(); }

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::size_t size() const { return text_.size(); }
  /// The bytes themselves: for a cryptographic call, nothing else.
  [[nodiscard]] std::string_view reveal() const { return text_; }

 private:
  void wipe() noexcept { wipe(text_); }
  static void wipe(std::string& text) noexcept;
  std::string text_;
};

}  // namespace postern
