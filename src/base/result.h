#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace postern {

/// What has to happen next; the one table from class to ack is in `ingest/outcome.h`.
enum class ErrorClass : unsigned char {
  kRejected,   ///< their fault: refuse, and say no more than that
  kRetryable,  ///< not now: invite a resend
  kFault,      ///< our own bug or a broken set-up: alert
};

/// Why something did not work.
///
/// `code` is a sentence in snake_case with static lifetime ("signature_not_verified"); published
/// codes never change. `detail` is for the operator only: it says what to do next, and holds
/// neither secrets nor personal data.
struct Error {
  ErrorClass error_class = ErrorClass::kFault;
  std::string_view code;
  std::string detail;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> rejected(std::string_view code,
                                                     std::string detail = {}) {
  return std::unexpected(Error{ErrorClass::kRejected, code, std::move(detail)});
}
[[nodiscard]] inline std::unexpected<Error> retryable(std::string_view code,
                                                      std::string detail = {}) {
  return std::unexpected(Error{ErrorClass::kRetryable, code, std::move(detail)});
}
[[nodiscard]] inline std::unexpected<Error> fault(std::string_view code, std::string detail = {}) {
  return std::unexpected(Error{ErrorClass::kFault, code, std::move(detail)});
}

}  // namespace postern

#define POSTERN_CONCAT_(a, b) a##b
#define POSTERN_CONCAT(a, b) POSTERN_CONCAT_(a, b)

/// Returns the error of `expression` from the calling function, if it has one.
#define POSTERN_RETURN_IF_ERROR(expression)                       \
  do {                                                            \
    if (auto postern_result_ = (expression); !postern_result_) {  \
      return std::unexpected(std::move(postern_result_).error()); \
    }                                                             \
  } while (false)

#define POSTERN_ASSIGN_OR_RETURN_(temporary, target, expression) \
  auto temporary = (expression);                                 \
  if (!temporary) {                                              \
    return std::unexpected(std::move(temporary).error());        \
  }                                                              \
  target = std::move(temporary).value()

/// Assigns the value of `expression` to `target` (a declaration or an lvalue), or returns its
/// error.
#define POSTERN_ASSIGN_OR_RETURN(target, expression) \
  POSTERN_ASSIGN_OR_RETURN_(POSTERN_CONCAT(postern_result_, __LINE__), target, expression)
