// Result<T>: a value, or an Error that says in one line what failed, where, and what was expected.
// For expected failures (files, traces, packets); never for guest faults or broken invariants. Any thread.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <variant>

#include "engine/base/check.h"

namespace hindsight {

struct Error {
  std::string message;
};

/// error("{}: expected {}", file, what)
template <class... Args>
[[nodiscard]] Error error(fmt::format_string<Args...> format, Args&&... args) {
  return Error{fmt::format(format, std::forward<Args>(args)...)};
}

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  Result(Error failure) : content_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT: likewise

  [[nodiscard]] bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() {
    CHECK(ok(), "{}", failure().message);
    return std::get<0>(content_);
  }
  const T& value() const {
    CHECK(ok(), "{}", failure().message);
    return std::get<0>(content_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const Error& failure() const { return std::get<1>(content_); }

 private:
  std::variant<T, Error> content_;
};

struct Done {};
/// The result of an operation that yields nothing but may fail.
using Status = Result<Done>;

}  // namespace hindsight
