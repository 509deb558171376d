// Errors are values: every fallible function returns Result<T>; TRY passes a failure up.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace curlingiron {

// What went wrong, for a person: the object, the cause and the next step. `code` is the errno that
// was seen, or 0 where none was.
class [[nodiscard]] Error {
 public:
  explicit Error(std::string message, int code = 0) : message_(std::move(message)), code_(code) {}

  const std::string& message() const { return message_; }
  int code() const { return code_; }

  // "CONTEXT: MESSAGE"; add it once, where the noun is known.
  Error with_context(std::string_view context) const {
    std::string text(context);
    text += ": ";
    text += message_;
    return Error(std::move(text), code_);
  }

 private:
  std::string message_;
  int code_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  // Each aborts when the other alternative is held: that is our bug, never the input's.
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

  Result with_context(std::string_view context) && {
    if (ok()) return std::move(*this);
    return error().with_context(context);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using Value = void;

  Result() = default;
  Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return error_.index() == 0; }
  void value() const {}
  const Error& error() const& { return std::get<1>(error_); }
  Error&& error() && { return std::get<1>(std::move(error_)); }

  Result with_context(std::string_view context) && {
    if (ok()) return {};
    return error().with_context(context);
  }

 private:
  std::variant<std::monostate, Error> error_;
};

}  // namespace curlingiron

// The value of `expression`, or return its error from the enclosing function. The counter gives
// nested uses names of their own.
#define TRY(expression) CURLINGIRON_TRY(__COUNTER__, expression)
#define CURLINGIRON_TRY(counter, expression) CURLINGIRON_TRY_NUMBERED(counter, expression)
#define CURLINGIRON_TRY_NUMBERED(counter, expression)                               \
  ({                                                                                \
    auto try_result_##counter = (expression);                                       \
    if (!try_result_##counter.ok()) return std::move(try_result_##counter).error(); \
    std::move(try_result_##counter).value();                                        \
  })

// As TRY; the error says "CONTEXT: …". The context is computed only for an error.
#define TRY_CONTEXT(context, expression) CURLINGIRON_TRY_IN(__COUNTER__, context, expression)
#define CURLINGIRON_TRY_IN(counter, context, expression) \
  CURLINGIRON_TRY_IN_NUMBERED(counter, context, expression)
#define CURLINGIRON_TRY_IN_NUMBERED(counter, context, expression)                              \
  ({                                                                                           \
    auto try_result_##counter = (expression);                                                  \
    if (!try_result_##counter.ok()) return try_result_##counter.error().with_context(context); \
    std::move(try_result_##counter).value();                                                   \
  })
