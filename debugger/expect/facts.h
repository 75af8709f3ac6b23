// Facts that somebody states of a trace, one a line, as a file beside it says them (REGRESSION.md has the
// list). Values; any thread. Reading them needs no trace.
#pragma once

#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "traces/store/records.h"

namespace hindsight::debugger::expect {

enum class Relation : std::uint8_t { equal, unequal, less, at_most, greater, at_least };

/// Any console shows the text, or a line that the expression is found in; or none does.
struct ConsoleFact {
  bool shown = true;
  std::string text;
  std::optional<std::regex> expression = {};
};
/// No console shows what Linux prints when it has found itself wrong.
struct NoOopsFact {};
struct EndFact {
  traces::store::EndReason reason;
};
/// Positions are as session/positions.h reads them.
struct RegisterFact {
  std::size_t index;  ///< into session::x86_register_table()
  std::string at;
  Relation relation;
  std::uint64_t high, low;
};
struct MemoryFact {
  std::string address;  ///< as debugger/query reads it, without a size
  unsigned size;        ///< 1, 2, 4 or 8 bytes, little-endian
  std::string at;
  Relation relation;
  std::uint64_t value;
};
struct LengthFact {
  std::string from, to;
  Relation relation;
  std::uint64_t instructions;
};
struct CallFact {
  std::string function;
  bool called = true;
  std::string from = "begin", to = "end";
};

struct Fact {
  unsigned line = 0;  ///< in its file
  std::string text;   ///< as it was written
  std::variant<ConsoleFact, NoOopsFact, EndFact, RegisterFact, MemoryFact, LengthFact, CallFact> what = {};
};

/// The facts in `text`; an Error says "NAME:LINE: … expected, found …".
Result<std::vector<Fact>> parse_facts(std::string_view name, std::string_view text);
Result<std::vector<Fact>> load_facts(const std::string& path);

/// Compares numbers of 128 bits.
[[nodiscard]] bool holds(Relation relation, std::uint64_t high, std::uint64_t low, std::uint64_t than_high,
                         std::uint64_t than_low);

}  // namespace hindsight::debugger::expect
