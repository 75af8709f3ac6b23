// Conditions as gdb sends them: bytecode for a small stack machine (GDB manual, appendix F, "The GDB Agent
// Expression Mechanism"). Checked once when it arrives, then evaluated at each hit over registers and memory
// that it cannot change. Pure values; any thread. The same input gives the same answer: bounds are counted in
// steps and stack slots, never in time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace hindsight::debugger::gdb {

/// What an expression may look at.
class ExpressionContext {
 public:
  virtual ~ExpressionContext() = default;
  /// The low 64 bits of a register by gdb's number; nothing if there is none.
  [[nodiscard]] virtual std::optional<std::uint64_t> register_value(unsigned number) const = 0;
  /// Fills all of `out` from a virtual address, or says false.
  virtual bool read(std::uint64_t address, std::span<std::byte> out) const = 0;
};

class AgentExpression final {
 public:
  static constexpr std::size_t kMaxBytes = 4096;
  static constexpr std::size_t kMaxStack = 64;
  static constexpr unsigned kMaxSteps = 10'000;

  /// Every opcode known and allowed in a condition, every operand complete, every jump to the begin of an
  /// instruction, no way past the end; otherwise the Error names the offset.
  static Result<AgentExpression> parse(std::string_view bytecode);

  /// The value on top of the stack at `end`. An Error: memory that cannot be read, a division by zero, a
  /// stack too small or too large, more than kMaxSteps.
  [[nodiscard]] Result<std::uint64_t> evaluate(const ExpressionContext& context) const;

 private:
  explicit AgentExpression(std::vector<std::uint8_t> code) : code_(std::move(code)) {}
  std::vector<std::uint8_t> code_;
};

}  // namespace hindsight::debugger::gdb
