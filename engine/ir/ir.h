// The intermediate representation: a guest basic block as a straight line of typed operations on values,
// guest registers (slots of the state), condition flags and guest memory. A value is the index of the
// instruction that defines it. Guest-neutral and host-neutral; one meaning per operation (ops.def). Plain
// data; any thread.
//
// Precise state: between InsnStart of instruction k and the last operation of k that may trap, nothing of k
// may be stored to guest registers, flags or memory that the restart of k would read. Frontends order their
// operations so; the verifier checks it for registers and flags.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/ir/core_state.h"

namespace hindsight::engine::ir {

enum class Type : std::uint8_t { none, I8, I16, I32, I64, V128 };
constexpr unsigned bytes_of(Type type) {
  constexpr unsigned kBytes[] = {0, 1, 2, 4, 8, 16};
  return kBytes[static_cast<unsigned>(type)];
}
constexpr unsigned bits_of(Type type) { return bytes_of(type) * 8; }

enum OpProperty : std::uint16_t {
  kNoProperty = 0,
  kSetsFlags = 1,    ///< defines the flags in flags_out
  kReadsFlags_ = 2,  ///< reads condition flags
  kReadsCarry = 4,   ///< reads C
  kMayTrap_ = 8,
  kEffect = 16,  ///< not removable though its result is unused
  kEnds = 32 | kEffect,
};
enum class ResultKind : std::uint8_t { kNone, kSame, kI8, kI16, kI32, kI64, kV128 };

enum class Op : std::uint8_t {
#define IR_OP(name, arity, result, properties) name,
#include "engine/ir/ops.def"
};
constexpr unsigned kOpCount = 0
#define IR_OP(name, arity, result, properties) +1
#include "engine/ir/ops.def"
    ;

struct OpInfo {
  const char* name;
  std::uint8_t arity;
  ResultKind result;
  std::uint16_t properties;
};
const OpInfo& info(Op op);

/// Conditions over the flags, numbered as x86 encodes them (SDM vol. 2, appendix B.1.4.7).
enum class Condition : std::uint8_t { V, NV, C, NC, Z, NZ, CZ, NCZ, S, NS, P, NP, L, NL, LE, NLE };

/// Bits of Inst::flags_out.
enum FlagBits : std::uint8_t {
  kFlagC = 1,
  kFlagP = 2,
  kFlagA = 4,
  kFlagZ = 8,
  kFlagS = 16,
  kFlagV = 32,
  kFlagsAll = 63,
  kFlagsNoCarry = 62,
  kFlagsCV = 33,
};
/// The flags that a condition reads, as FlagBits.
std::uint8_t flags_read_by(Condition condition);
/// Expands FlagBits to a mask in packed layout.
std::uint16_t packed_mask(std::uint8_t flag_bits);
[[nodiscard]] bool evaluate(Condition condition, std::uint16_t packed_flags);

using Value = std::uint32_t;
constexpr Value kNoValue = ~Value{0};

struct Inst {
  Op op;
  Type type = Type::none;
  std::uint8_t flags_out = 0;  ///< FlagBits
  std::uint16_t sub = 0;       ///< Condition, AccessFlags, vector sub-operation, or instruction index
  Value a = kNoValue, b = kNoValue, c = kNoValue;
  std::int64_t imm = 0, imm2 = 0;
  const HelperInfo* helper = nullptr;
};

/// Whether an instruction is part of what a call stack is made of.
enum class Transfer : std::uint8_t { none, call, ret, enter, leave };

/// One guest basic block. Holds 1 to kMaxInsns guest instructions and ends with exactly one kEnds operation.
struct Block {
  static constexpr unsigned kMaxInsns = 64;
  std::vector<Inst> insts;
  std::uint32_t start_offset = 0;  ///< of the first instruction, in its page
  std::uint32_t byte_length = 0;   ///< of all its instructions; start + length > 4096: reaches the next page
  std::uint16_t insn_count = 0;
  bool alone = false;                  ///< a single instruction translated to run with CoreState::alone set
  Transfer transfer = Transfer::none;  ///< of the first instruction
  void clear() {
    insts.clear();
    start_offset = byte_length = 0;
    insn_count = 0;
    alone = false;
    transfer = Transfer::none;
  }
};

/// The type of the value that an instruction defines; Type::none if it defines none.
Type result_type(const Inst& inst);

/// Text of a block, one operation a line: "%3 = Add.I64.CPAZSV %1, %2".
std::string print(const Block& block);
/// Empty if the block obeys the rules above and types agree; else what is wrong and where.
std::string verify(const Block& block);

/// Passes. Each keeps the meaning of the block as seen at every guest instruction that may trap and at its
/// end.
void remove_dead_flags(Block& block);   ///< clears flags_out where nothing can observe any of it
void remove_dead_values(Block& block);  ///< drops operations without effect whose result is unused
void fold_constants(Block& block);      ///< evaluates constants, drops neutral operations

/// What runs between lifting and code generation, in this order.
struct Pass {
  const char* name;
  void (*run)(Block& block);
  bool optional;  ///< left out when the machine is told not to optimise
};
std::span<const Pass> passes();

}  // namespace hindsight::engine::ir
