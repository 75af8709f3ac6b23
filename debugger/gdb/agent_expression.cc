#include "debugger/gdb/agent_expression.h"

#include <array>
#include <limits>

namespace hindsight::debugger::gdb {
namespace {

// GDB manual, appendix F.2. Floating point and the tracing opcodes have no place in a condition.
enum class Op : std::uint8_t {
  add = 0x02,
  sub = 0x03,
  mul = 0x04,
  div_signed = 0x05,
  div_unsigned = 0x06,
  rem_signed = 0x07,
  rem_unsigned = 0x08,
  lsh = 0x09,
  rsh_signed = 0x0a,
  rsh_unsigned = 0x0b,
  log_not = 0x0e,
  bit_and = 0x0f,
  bit_or = 0x10,
  bit_xor = 0x11,
  bit_not = 0x12,
  equal = 0x13,
  less_signed = 0x14,
  less_unsigned = 0x15,
  ext = 0x16,
  ref8 = 0x17,
  ref16 = 0x18,
  ref32 = 0x19,
  ref64 = 0x1a,
  if_goto = 0x20,
  goto_ = 0x21,
  const8 = 0x22,
  const16 = 0x23,
  const32 = 0x24,
  const64 = 0x25,
  reg = 0x26,
  end = 0x27,
  dup = 0x28,
  pop = 0x29,
  zero_ext = 0x2a,
  swap = 0x2b,
  pick = 0x32,
  rot = 0x33,
};

/// How an opcode is encoded and what it does to the stack.
struct Shape {
  bool known = false;
  std::uint8_t operands = 0;  ///< bytes that follow
  std::uint8_t pops = 0, pushes = 0;
};

constexpr auto kShapes = [] {
  std::array<Shape, 256> shapes{};
  const auto set = [&](Op op, std::uint8_t operands, std::uint8_t pops, std::uint8_t pushes) {
    shapes[static_cast<std::size_t>(op)] = {true, operands, pops, pushes};
  };
  for (const Op op : {Op::add, Op::sub, Op::mul, Op::div_signed, Op::div_unsigned, Op::rem_signed,
                      Op::rem_unsigned, Op::lsh, Op::rsh_signed, Op::rsh_unsigned, Op::bit_and, Op::bit_or,
                      Op::bit_xor, Op::equal, Op::less_signed, Op::less_unsigned}) {
    set(op, 0, 2, 1);
  }
  for (const Op op : {Op::log_not, Op::bit_not, Op::ref8, Op::ref16, Op::ref32, Op::ref64}) set(op, 0, 1, 1);
  for (const Op op : {Op::ext, Op::zero_ext}) set(op, 1, 1, 1);
  set(Op::if_goto, 2, 1, 0);
  set(Op::goto_, 2, 0, 0);
  set(Op::const8, 1, 0, 1);
  set(Op::const16, 2, 0, 1);
  set(Op::const32, 4, 0, 1);
  set(Op::const64, 8, 0, 1);
  set(Op::reg, 2, 0, 1);
  set(Op::end, 0, 1, 1);
  set(Op::dup, 0, 1, 2);
  set(Op::pop, 0, 1, 0);
  set(Op::swap, 0, 2, 2);
  set(Op::pick, 1, 1, 2);
  set(Op::rot, 0, 3, 3);
  return shapes;
}();

/// Operands stand most significant byte first.
std::uint64_t operand(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

std::uint64_t sign_extend(std::uint64_t value, std::uint64_t bits) {
  if (bits == 0 || bits >= 64) return value;
  const std::uint64_t sign = std::uint64_t{1} << (bits - 1);
  const std::uint64_t low = value & (sign | (sign - 1));
  return (low ^ sign) - sign;
}

std::uint64_t zero_extend(std::uint64_t value, std::uint64_t bits) {
  return bits >= 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

/// Shifts by the width or more push all bits out.
std::uint64_t shift(Op op, std::uint64_t a, std::uint64_t b) {
  const bool all = b >= 64;
  switch (op) {
    case Op::lsh:
      return all ? 0 : a << b;
    case Op::rsh_unsigned:
      return all ? 0 : a >> b;
    default:
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(a) >> (all ? 63 : b));
  }
}

Result<std::uint64_t> divide(Op op, std::uint64_t a, std::uint64_t b) {
  if (b == 0) return error("the condition divides by zero");
  const auto sa = static_cast<std::int64_t>(a), sb = static_cast<std::int64_t>(b);
  // The one signed quotient that does not fit wraps, as everything here does.
  const bool overflow = sa == std::numeric_limits<std::int64_t>::min() && sb == -1;
  switch (op) {
    case Op::div_signed:
      return overflow ? a : static_cast<std::uint64_t>(sa / sb);
    case Op::rem_signed:
      return overflow ? 0 : static_cast<std::uint64_t>(sa % sb);
    case Op::div_unsigned:
      return a / b;
    default:
      return a % b;
  }
}

Result<std::uint64_t> binary(Op op, std::uint64_t a, std::uint64_t b) {
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    case Op::lsh:
    case Op::rsh_signed:
    case Op::rsh_unsigned:
      return shift(op, a, b);
    case Op::bit_and:
      return a & b;
    case Op::bit_or:
      return a | b;
    case Op::bit_xor:
      return a ^ b;
    case Op::equal:
      return std::uint64_t{a == b};
    case Op::less_signed:
      return std::uint64_t{static_cast<std::int64_t>(a) < static_cast<std::int64_t>(b)};
    case Op::less_unsigned:
      return std::uint64_t{a < b};
    default:
      return divide(op, a, b);
  }
}

Result<std::uint64_t> load(Op op, std::uint64_t address, const ExpressionContext& context) {
  std::array<std::byte, 8> bytes{};
  const std::size_t size = std::size_t{1} << (static_cast<unsigned>(op) - static_cast<unsigned>(Op::ref8));
  if (!context.read(address, std::span(bytes).first(size))) {
    return error("the condition reads {} bytes at {:#x}, which is not mapped", size, address);
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  return value;
}

class Evaluation final {
 public:
  Evaluation(std::span<const std::uint8_t> code, const ExpressionContext& context)
      : code_(code), context_(context) {}

  Result<std::uint64_t> run() {
    for (unsigned steps = 0; steps < AgentExpression::kMaxSteps; ++steps) {
      const Op op{code_[pc_]};
      const Shape& shape = kShapes[code_[pc_]];
      if (depth_ < shape.pops) return error("the condition pops from an empty stack at offset {}", pc_);
      if (depth_ - shape.pops + shape.pushes > AgentExpression::kMaxStack) {
        return error("the condition needs more than {} stack slots", AgentExpression::kMaxStack);
      }
      if (op == Op::end) return top();
      const std::size_t size = shape.operands;
      const std::uint64_t argument = operand(code_.subspan(pc_ + 1, size));
      pc_ += 1 + size;
      Status done = step(op, argument);
      if (!done) return done.failure();
    }
    return error("the condition takes more than {} steps", AgentExpression::kMaxSteps);
  }

 private:
  std::uint64_t& top(std::size_t below = 0) { return stack_[depth_ - 1 - below]; }
  void push(std::uint64_t value) { stack_[depth_++] = value; }
  std::uint64_t pop() { return stack_[--depth_]; }
  Status replace_top(const Result<std::uint64_t>& value) {
    if (!value) return value.failure();
    top() = *value;
    return Done{};
  }

  /// The stack was checked for what kShapes says.
  Status step(Op op, std::uint64_t argument) {
    switch (op) {
      case Op::log_not:
        return replace_top(std::uint64_t{top() == 0});
      case Op::bit_not:
        return replace_top(~top());
      case Op::ext:
        return replace_top(sign_extend(top(), argument));
      case Op::zero_ext:
        return replace_top(zero_extend(top(), argument));
      case Op::ref8:
      case Op::ref16:
      case Op::ref32:
      case Op::ref64:
        return replace_top(load(op, top(), context_));
      case Op::if_goto:
        if (pop() != 0) pc_ = argument;
        return Done{};
      case Op::goto_:
        pc_ = argument;
        return Done{};
      case Op::const8:
      case Op::const16:
      case Op::const32:
      case Op::const64:
        push(argument);
        return Done{};
      case Op::reg:
        return push_register(argument);
      case Op::dup:
        push(top());
        return Done{};
      case Op::pop:
        pop();
        return Done{};
      case Op::swap:
        std::swap(top(), top(1));
        return Done{};
      case Op::pick:
        if (argument >= depth_) return error("the condition picks below its stack");
        push(top(argument));
        return Done{};
      case Op::rot: {  // a b c to c a b
        const std::uint64_t c = top();
        top() = top(1);
        top(1) = top(2);
        top(2) = c;
        return Done{};
      }
      default: {
        const std::uint64_t b = pop();
        return replace_top(binary(op, top(), b));
      }
    }
  }

  Status push_register(std::uint64_t number) {
    const auto value = context_.register_value(static_cast<unsigned>(number));
    if (!value) return error("the condition reads register {}, which there is none", number);
    push(*value);
    return Done{};
  }

  std::span<const std::uint8_t> code_;
  const ExpressionContext& context_;
  std::array<std::uint64_t, AgentExpression::kMaxStack> stack_{};
  std::size_t depth_ = 0, pc_ = 0;
};

}  // namespace

Result<AgentExpression> AgentExpression::parse(std::string_view bytecode) {
  if (bytecode.size() > kMaxBytes) {
    return error("a condition of {} bytes; at most {} are taken", bytecode.size(), kMaxBytes);
  }
  std::vector<std::uint8_t> code(bytecode.begin(), bytecode.end());
  std::vector<bool> starts(code.size(), false);
  std::vector<std::size_t> targets;
  std::optional<Op> last;
  for (std::size_t at = 0; at < code.size();) {
    const Op op{code[at]};
    const Shape& shape = kShapes[code[at]];
    if (!shape.known) {
      return error("opcode {:#04x} at offset {} of a condition is not supported", code[at], at);
    }
    const std::size_t size = shape.operands;
    if (size > code.size() - at - 1) return error("the condition ends within the opcode at offset {}", at);
    if (op == Op::goto_ || op == Op::if_goto) {
      targets.push_back(operand(std::span(code).subspan(at + 1, size)));
    }
    starts[at] = true;
    at += 1 + size;
    last = op;
  }
  if (last != Op::end && last != Op::goto_) return error("the condition does not end in `end`");
  for (const std::size_t target : targets) {
    if (target >= starts.size() || !starts[target]) {
      return error("the condition jumps to offset {}, where no instruction begins", target);
    }
  }
  return AgentExpression(std::move(code));
}

Result<std::uint64_t> AgentExpression::evaluate(const ExpressionContext& context) const {
  return Evaluation(code_, context).run();
}

}  // namespace hindsight::debugger::gdb
