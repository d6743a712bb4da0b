#include "base/secret.h"

#include <string.h>

#include <utility>

namespace postern {

Secret::Secret(std::string text) : text_(std::move(text)) {
  // A short text is copied, not moved.
  wipe(text);
}

Secret& Secret::operator=(const Secret& other) {
  if (this != &other) {
    wipe();
    text_ = other.text_;
  }
  return *this;
}

Secret::Secret(Secret&& other) noexcept : text_(other.text_) {
  other.wipe();
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe();
    text_ = other.text_;
    other.wipe();
  }
  return *this;
}

void Secret::wipe(std::string& text) noexcept {
  // Swapping or moving a short string would leave its bytes in the old object: overwrite in place.
  // All of the capacity, since a string that was cut keeps what it was.
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace postern
