// x86 instruction decoder: bytes to a Decoded, by constexpr rows (decode_row.h) that three tables supply:
// integer (integer_table.cc), system (system_table.cc) and floating point and vectors (fp_table.cc).
// Owned by X86Guest; immutable after construction, so any thread. Depends on the bytes and the mode alone.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/guest/x86/cpu_state.h"
#include "engine/guest/x86/decode_row.h"

namespace hindsight::engine::guest::x86 {

constexpr unsigned kMaxInsnLength = 15;  // SDM vol. 2, 2.3.11

/// Base or index register of a memory operand that has none.
constexpr std::uint8_t kNoRegister = 0xFF;
/// Base of a RIP-relative operand.
constexpr std::uint8_t kRipBase = 0xFE;

/// One instruction, as its bytes say it. Register numbers have their REX bits applied.
struct Decoded {
  const Row* row = nullptr;  ///< nullptr: no such instruction in this mode (#UD)
  Map map = Map::one;
  std::uint8_t opcode = 0;
  std::uint8_t length = 0;         ///< bytes, prefixes included
  std::uint8_t operand_bytes = 4;  ///< 2, 4 or 8
  std::uint8_t address_bytes = 8;  ///< 2, 4 or 8
  // prefixes
  bool code64 = false;  ///< decoded as 64-bit code
  bool prefix_66 = false, prefix_67 = false, lock = false;
  std::uint8_t rep = 0;  ///< 0xF2, 0xF3 or 0: the last of them
  std::uint8_t rex = 0;  ///< the REX byte, or 0
  bool segment_override = false;
  // ModRM
  bool has_modrm = false;
  std::uint8_t modrm = 0, mod = 0;
  std::uint8_t reg = 0;  ///< ModRM.reg with REX.R
  std::uint8_t rm = 0;   ///< ModRM.rm with REX.B: the register when mod is 3
  // memory operand (mod != 3), or the moffs of A0..A3
  std::uint8_t segment = kDs;  ///< SegmentIndex: the override, or the default of the base register
  std::uint8_t base = kNoRegister, index = kNoRegister;
  std::uint8_t scale = 0;         ///< shift count
  std::int64_t displacement = 0;  ///< sign-extended
  // immediates
  std::int64_t immediate = 0;    ///< extended as Operand says; for Ap the offset, zero-extended
  std::uint16_t immediate2 = 0;  ///< second immediate of ENTER (zero-extended byte); the selector of Ap

  [[nodiscard]] bool rex_w() const { return (rex & 8) != 0; }
  [[nodiscard]] bool is_memory() const { return has_modrm && mod != 3; }
  /// ModRM.reg and ModRM.rm without REX, for MMX, x87, segment registers and opcode extensions.
  [[nodiscard]] unsigned reg3() const { return (modrm >> 3) & 7u; }
  [[nodiscard]] unsigned rm3() const { return modrm & 7u; }
  /// LOCK stands where it may not: it is for some instructions only, and for those only with a memory
  /// destination (SDM vol. 2, LOCK).
  [[nodiscard]] bool lock_is_illegal() const { return lock && ((row->flags & kLock) == 0 || !is_memory()); }
  /// Register in the opcode's low three bits, with REX.B.
  [[nodiscard]] unsigned opcode_register() const { return (opcode & 7u) | ((rex & 1u) << 3); }
};

enum class DecodeStatus : std::uint8_t {
  ok,
  undefined,  ///< no row: #UD. `length` counts the bytes looked at
  too_long,   ///< more than 15 bytes: #GP(0)
  truncated,  ///< `bytes` ends inside the instruction
};

class Decoder {
 public:
  /// Joins the tables. CHECKs that no two rows of different tables overlap and that rows of one opcode agree
  /// on having a ModRM byte.
  Decoder(std::span<const Row> integer, std::span<const Row> system, std::span<const Row> fp);

  /// `mode_bits` = CoreState::mode >> mode::kShift.
  [[nodiscard]] DecodeStatus decode(std::span<const std::uint8_t> bytes, std::uint64_t mode_bits,
                                    Decoded& out) const;

 private:
  struct Bucket {
    std::uint32_t first = 0;
    std::uint16_t count = 0;
    bool has_modrm = false;
  };
  /// What a row asks for, as bits that must be among those of the instruction.
  struct Entry {
    const Row* row;
    std::uint32_t needs;  ///< see instruction_bits in decode.cc
    std::uint32_t mask;
  };
  static Entry entry_of(const Row& row);
  [[nodiscard]] const Row* find(const Bucket& bucket, const Decoded& d) const;

  std::array<Bucket, 4 * 256> buckets_;
  std::vector<Entry> rows_;
};

/// The tables, one for each area.
std::span<const Row> integer_rows();
std::span<const Row> system_rows();
std::span<const Row> fp_rows();

}  // namespace hindsight::engine::guest::x86
