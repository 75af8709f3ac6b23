// A row of the decode tables: which bytes it matches, how its operands are encoded, and the function that
// lifts it to IR. An instruction is one row and one lift function. Constant data; any thread.
//
//   constexpr Row kRows[] = {
//       {Map::x0f, 0xA2, "cpuid", {}, kAlone, lift_cpuid},
//       {Map::x0f, 0x01, "lgdt", {O::M}, kPrivileged | kAlone, lift_lgdt, {.reg = 2, .mod = Mod::memory}},
//       {Map::x0f, 0x58, "addps", {O::V, O::W}, 0, lift_addps, {.prefix = Prefix::none}},
//       {Map::one, 0x50, "push", {O::Zv}, kDefault64, lift_push, {.last = 0x57}},
//   };
//   static_assert(rows_are_unambiguous(kRows));
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hindsight::engine::guest::x86 {

class LiftContext;
using LiftFn = void (*)(LiftContext&);

enum class Map : std::uint8_t { one, x0f, x0f38, x0f3a };

/// Mandatory prefix. F2 and F3 (the last of them) win over 66.
enum class Prefix : std::uint8_t {
  any,   ///< prefixes do not select the row: 66 is operand size, F2 and F3 are REP or nothing
  none,  ///< no 66, F2 or F3
  x66,
  xF3,
  xF2,
};
enum class Mod : std::uint8_t { any, memory, reg };

/// Operand encodings, named as in SDM vol. 2, appendix A.2 where it has a name. Suffix b w d q: 1, 2, 4, 8
/// bytes; v: the operand size (2, 4, 8); y: 4, or 8 with REX.W; z: 2 or 4 bytes, sign-extended to v.
enum class Operand : std::uint8_t {
  none,
  Eb,
  Ew,
  Ed,
  Eq,
  Ev,
  Ey,  ///< ModRM.rm: general register or memory
  Gb,
  Gw,
  Gd,
  Gv,
  Gy,  ///< ModRM.reg: general register
  Rv,
  Ry,  ///< ModRM.rm as a general register whatever mod says (MOV to and from CR, DR);
       ///< Ry is 8 bytes in 64-bit mode, else 4
  M,
  Mb,
  Mw,
  Md,
  Mq,
  Mx,  ///< ModRM.rm: memory only; M has no size (address, or known to the lift), Mx 16 bytes
  Zb,
  Zv,  ///< register in the opcode's low three bits
  AL,
  CL,
  AX,
  DX,
  rAX,  ///< fixed registers; rAX has the operand size
  Ib,
  Iw,
  Iz,
  Iv,   ///< immediates: Ib 1 byte, zero-extended unless the operand read is wider (see sIb)
  sIb,  ///< 1 byte sign-extended to the operand size
  I1,   ///< the constant 1
  Jb,
  Jz,  ///< branch displacement
  Ob,
  Ov,  ///< memory at an absolute offset of address size
  Ap,  ///< far pointer: offset of operand size, then selector
  Sw,
  Cd,
  Dd,  ///< ModRM.reg: segment, control, debug register
  Xb,
  Xv,
  Yb,
  Yv,  ///< string operands at rSI, ES:rDI
  V,
  W,
  U,  ///< XMM: ModRM.reg; rm register or memory; rm register only
  P,
  Q,
  N,  ///< MMX: ModRM.reg; rm register or memory; rm register only
  St0,
  Sti,  ///< x87 stack top; ModRM.rm
};

enum RowFlags : std::uint32_t {
  kLock = 1,             ///< LOCK is allowed when ModRM names memory; on other rows it is #UD
  kPrivileged = 2,       ///< #GP(0) unless CPL is 0; checked before the lift function is called
  kNo64 = 4,             ///< does not exist in 64-bit mode
  kOnly64 = 8,           ///< exists in 64-bit mode only
  kDefault64 = 16,       ///< 64-bit operand size in 64-bit mode, 16 bits with 66
  kForce64 = 32,         ///< 64-bit operand size in 64-bit mode, 66 ignored (near branches)
  kAlone = 64,           ///< a block of its own: ends the block before it and after it (I/O, REP, system)
  kEndsBlock = 128,      ///< ends the block after it
  kProtectedOnly = 256,  ///< #UD in real-address mode
  kString = 1024,        ///< string instruction: a block of its own when it has a REP prefix
  kModRm = 512,          ///< has a ModRM byte though no operand says so
  kCall = 2048,          ///< a near call
  kReturn = 4096,        ///< a near return
  kEnter = 8192,         ///< calls the system
  kLeave = 16384,        ///< returns from a call of the system, an exception or an interrupt
  kTransfers = kCall | kReturn | kEnter | kLeave,
};

/// What must match besides map and opcode.
struct Match {
  Prefix prefix = Prefix::any;
  std::int8_t reg = -1;  ///< ModRM.reg (opcode extension /0../7), or -1
  Mod mod = Mod::any;
  std::int8_t rm = -1;    ///< ModRM.rm without REX, or -1
  std::uint8_t last = 0;  ///< last opcode of a range that starts at Row::opcode; 0: only that one
};

struct Row {
  Map map = Map::one;
  std::uint8_t opcode = 0;
  const char* mnemonic = "";
  Operand operands[4] = {};
  std::uint32_t flags = 0;
  LiftFn lift = nullptr;
  Match match = {};

  [[nodiscard]] constexpr unsigned last_opcode() const { return match.last != 0 ? match.last : opcode; }
  [[nodiscard]] constexpr bool has_modrm() const;
  [[nodiscard]] constexpr bool memory_only() const;
};

constexpr bool uses_modrm(Operand o) {
  using enum Operand;
  return (o >= Eb && o <= Mx) || (o >= Sw && o <= Dd) || (o >= V && o <= N) || o == Sti;
}
constexpr bool Row::has_modrm() const {
  if (match.reg >= 0 || match.mod != Mod::any || match.rm >= 0 || (flags & kModRm) != 0) return true;
  if (map == Map::x0f38 || map == Map::x0f3a) return true;
  for (const Operand o : operands)
    if (uses_modrm(o)) return true;
  return false;
}
constexpr bool Row::memory_only() const {
  if (match.mod == Mod::memory) return true;
  for (const Operand o : operands)
    if (o >= Operand::M && o <= Operand::Mx) return true;
  return false;
}
constexpr Mod mod_of(const Row& row) {
  if (row.memory_only()) return Mod::memory;
  for (const Operand o : row.operands)
    if (o == Operand::U || o == Operand::N) return Mod::reg;
  return row.match.mod;
}

/// Number of things a row asks for: of two rows that match, the one that asks for more is taken.
constexpr int specificity(const Row& row) {
  return (row.match.rm >= 0 ? 8 : 0) + (row.match.reg >= 0 ? 4 : 0) + (mod_of(row) != Mod::any ? 2 : 0) +
         (row.match.prefix != Prefix::any ? 1 : 0);
}

/// Some instruction matches both rows and neither asks for more than the other.
constexpr bool rows_conflict(const Row& a, const Row& b) {
  if (a.map != b.map || a.opcode > b.last_opcode() || b.opcode > a.last_opcode()) return false;
  if (((a.flags & kNo64) && (b.flags & kOnly64)) || ((a.flags & kOnly64) && (b.flags & kNo64))) return false;
  if (a.match.prefix != Prefix::any && b.match.prefix != Prefix::any && a.match.prefix != b.match.prefix)
    return false;
  if (a.match.reg >= 0 && b.match.reg >= 0 && a.match.reg != b.match.reg) return false;
  if (a.match.rm >= 0 && b.match.rm >= 0 && a.match.rm != b.match.rm) return false;
  if (mod_of(a) != Mod::any && mod_of(b) != Mod::any && mod_of(a) != mod_of(b)) return false;
  return specificity(a) == specificity(b);
}

/// For static_assert beside each table.
template <std::size_t N>
constexpr bool rows_are_unambiguous(const Row (&rows)[N]) {
  for (std::size_t i = 0; i < N; ++i)
    for (std::size_t j = i + 1; j < N; ++j)
      if (rows[i].opcode <= rows[j].last_opcode() && rows_conflict(rows[i], rows[j])) return false;
  return true;
}

}  // namespace hindsight::engine::guest::x86
