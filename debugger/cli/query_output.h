// Answers to questions as lines: for people, or one JSON object each. debugger/query/QUERY.md lists the
// fields. Pure functions; any thread.
#pragma once

#include <string>

#include "debugger/query/queries.h"

namespace hindsight::debugger::cli {

/// How answers are written.
class QueryOutput {
 public:
  virtual ~QueryOutput() = default;
  [[nodiscard]] virtual std::string last_write(const query::LastWrite& last) const = 0;
  [[nodiscard]] virtual std::string write(const query::Write& write) const = 0;
  [[nodiscard]] virtual std::string change(const query::Change& change) const = 0;
  [[nodiscard]] virtual std::string call(const query::Call& call) const = 0;
  [[nodiscard]] virtual std::string event(const query::Event& event) const = 0;
};

[[nodiscard]] std::unique_ptr<QueryOutput> text_output();
[[nodiscard]] std::unique_ptr<QueryOutput> json_output();

}  // namespace hindsight::debugger::cli
