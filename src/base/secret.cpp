#include "base/secret.h"

#include <string.h>

namespace postern {

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

void Secret::wipe() noexcept {
  // Swapping or moving a short string would leave its bytes in the old object: overwrite in place.
  explicit_bzero(text_.data(), text_.size());
  text_.clear();
}

}  // namespace postern
