// Decode rows of the integer instructions (SDM vol. 2, appendix A): x86-64-v2 and what 32-bit code has
// besides.
#include "engine/guest/x86/decode.h"
#include "engine/guest/x86/lift_integer.h"

namespace hindsight::engine::guest::x86 {
namespace {

using O = Operand;
constexpr auto k0F = Map::x0f;

// clang-format off
/// The six encodings that each of the eight arithmetic operations has from `opcode` on.
#define ALU_ROWS(opcode, name, lock)                                \
  {Map::one, opcode, #name, {O::Eb, O::Gb}, lock, lift_##name},     \
  {Map::one, opcode + 1, #name, {O::Ev, O::Gv}, lock, lift_##name}, \
  {Map::one, opcode + 2, #name, {O::Gb, O::Eb}, 0, lift_##name},    \
  {Map::one, opcode + 3, #name, {O::Gv, O::Ev}, 0, lift_##name},    \
  {Map::one, opcode + 4, #name, {O::AL, O::Ib}, 0, lift_##name},    \
  {Map::one, opcode + 5, #name, {O::rAX, O::Iz}, 0, lift_##name}

/// Group 1: operation `digit` on an immediate.
#define GROUP1_ROWS(digit, name, lock)                                                  \
  {Map::one, 0x80, #name, {O::Eb, O::Ib}, lock, lift_##name, {.reg = digit}},           \
  {Map::one, 0x81, #name, {O::Ev, O::Iz}, lock, lift_##name, {.reg = digit}},           \
  {Map::one, 0x82, #name, {O::Eb, O::Ib}, (lock) | kNo64, lift_##name, {.reg = digit}}, \
  {Map::one, 0x83, #name, {O::Ev, O::sIb}, lock, lift_##name, {.reg = digit}}

/// Group 2: shift or rotate `digit`.
#define GROUP2_ROWS(digit, name)                                           \
  {Map::one, 0xC0, #name, {O::Eb, O::Ib}, 0, lift_##name, {.reg = digit}}, \
  {Map::one, 0xC1, #name, {O::Ev, O::Ib}, 0, lift_##name, {.reg = digit}}, \
  {Map::one, 0xD0, #name, {O::Eb, O::I1}, 0, lift_##name, {.reg = digit}}, \
  {Map::one, 0xD1, #name, {O::Ev, O::I1}, 0, lift_##name, {.reg = digit}}, \
  {Map::one, 0xD2, #name, {O::Eb, O::CL}, 0, lift_##name, {.reg = digit}}, \
  {Map::one, 0xD3, #name, {O::Ev, O::CL}, 0, lift_##name, {.reg = digit}}

/// The encodings of a condition: Jcc short and near, SETcc, CMOVcc.
#define CONDITION_ROWS(number, cc)                                \
  {Map::one, 0x70 + number, "j" cc, {O::Jb}, kForce64, lift_jcc}, \
  {k0F, 0x80 + number, "j" cc, {O::Jz}, kForce64, lift_jcc},      \
  {k0F, 0x90 + number, "set" cc, {O::Eb}, 0, lift_setcc},         \
  {k0F, 0x40 + number, "cmov" cc, {O::Gv, O::Ev}, 0, lift_cmovcc}

/// Bit tests: register and immediate offset.
#define BIT_TEST_ROWS(opcode, digit, name, lock)           \
  {k0F, opcode, #name, {O::Ev, O::Gv}, lock, lift_##name}, \
  {k0F, 0xBA, #name, {O::Ev, O::Ib}, lock, lift_##name, {.reg = digit}}
// clang-format on

constexpr Row kRows[] = {
    ALU_ROWS(0x00, add, kLock),
    ALU_ROWS(0x08, or, kLock),
    ALU_ROWS(0x10, adc, kLock),
    ALU_ROWS(0x18, sbb, kLock),
    ALU_ROWS(0x20, and, kLock),
    ALU_ROWS(0x28, sub, kLock),
    ALU_ROWS(0x30, xor, kLock),
    ALU_ROWS(0x38, cmp, 0),
    GROUP1_ROWS(0, add, kLock),
    GROUP1_ROWS(1, or, kLock),
    GROUP1_ROWS(2, adc, kLock),
    GROUP1_ROWS(3, sbb, kLock),
    GROUP1_ROWS(4, and, kLock),
    GROUP1_ROWS(5, sub, kLock),
    GROUP1_ROWS(6, xor, kLock),
    GROUP1_ROWS(7, cmp, 0),
    GROUP2_ROWS(0, rol),
    GROUP2_ROWS(1, ror),
    GROUP2_ROWS(2, rcl),
    GROUP2_ROWS(3, rcr),
    GROUP2_ROWS(4, shl),
    GROUP2_ROWS(5, shr),
    GROUP2_ROWS(6, shl),  // undocumented alias
    GROUP2_ROWS(7, sar),
    CONDITION_ROWS(0x0, "o"),
    CONDITION_ROWS(0x1, "no"),
    CONDITION_ROWS(0x2, "b"),
    CONDITION_ROWS(0x3, "ae"),
    CONDITION_ROWS(0x4, "e"),
    CONDITION_ROWS(0x5, "ne"),
    CONDITION_ROWS(0x6, "be"),
    CONDITION_ROWS(0x7, "a"),
    CONDITION_ROWS(0x8, "s"),
    CONDITION_ROWS(0x9, "ns"),
    CONDITION_ROWS(0xA, "p"),
    CONDITION_ROWS(0xB, "np"),
    CONDITION_ROWS(0xC, "l"),
    CONDITION_ROWS(0xD, "ge"),
    CONDITION_ROWS(0xE, "le"),
    CONDITION_ROWS(0xF, "g"),

    // test, not, neg, multiply, divide, increment, decrement
    {Map::one, 0x84, "test", {O::Eb, O::Gb}, 0, lift_test},
    {Map::one, 0x85, "test", {O::Ev, O::Gv}, 0, lift_test},
    {Map::one, 0xA8, "test", {O::AL, O::Ib}, 0, lift_test},
    {Map::one, 0xA9, "test", {O::rAX, O::Iz}, 0, lift_test},
    {Map::one, 0xF6, "test", {O::Eb, O::Ib}, 0, lift_test, {.reg = 0}},
    {Map::one, 0xF6, "test", {O::Eb, O::Ib}, 0, lift_test, {.reg = 1}},  // undocumented alias
    {Map::one, 0xF6, "not", {O::Eb}, kLock, lift_not, {.reg = 2}},
    {Map::one, 0xF6, "neg", {O::Eb}, kLock, lift_neg, {.reg = 3}},
    {Map::one, 0xF6, "mul", {O::Eb}, 0, lift_mul, {.reg = 4}},
    {Map::one, 0xF6, "imul", {O::Eb}, 0, lift_imul_wide, {.reg = 5}},
    {Map::one, 0xF6, "div", {O::Eb}, 0, lift_div, {.reg = 6}},
    {Map::one, 0xF6, "idiv", {O::Eb}, 0, lift_idiv, {.reg = 7}},
    {Map::one, 0xF7, "test", {O::Ev, O::Iz}, 0, lift_test, {.reg = 0}},
    {Map::one, 0xF7, "test", {O::Ev, O::Iz}, 0, lift_test, {.reg = 1}},  // undocumented alias
    {Map::one, 0xF7, "not", {O::Ev}, kLock, lift_not, {.reg = 2}},
    {Map::one, 0xF7, "neg", {O::Ev}, kLock, lift_neg, {.reg = 3}},
    {Map::one, 0xF7, "mul", {O::Ev}, 0, lift_mul, {.reg = 4}},
    {Map::one, 0xF7, "imul", {O::Ev}, 0, lift_imul_wide, {.reg = 5}},
    {Map::one, 0xF7, "div", {O::Ev}, 0, lift_div, {.reg = 6}},
    {Map::one, 0xF7, "idiv", {O::Ev}, 0, lift_idiv, {.reg = 7}},
    {Map::one, 0xFE, "inc", {O::Eb}, kLock, lift_inc, {.reg = 0}},
    {Map::one, 0xFE, "dec", {O::Eb}, kLock, lift_dec, {.reg = 1}},
    {Map::one, 0xFF, "inc", {O::Ev}, kLock, lift_inc, {.reg = 0}},
    {Map::one, 0xFF, "dec", {O::Ev}, kLock, lift_dec, {.reg = 1}},
    {Map::one, 0x40, "inc", {O::Zv}, kNo64, lift_inc, {.last = 0x47}},
    {Map::one, 0x48, "dec", {O::Zv}, kNo64, lift_dec, {.last = 0x4F}},
    {Map::one, 0x69, "imul", {O::Gv, O::Ev, O::Iz}, 0, lift_imul3},
    {Map::one, 0x6B, "imul", {O::Gv, O::Ev, O::sIb}, 0, lift_imul3},
    {k0F, 0xAF, "imul", {O::Gv, O::Ev}, 0, lift_imul2},
    {Map::one, 0x98, "cbw", {}, 0, lift_cbw},
    {Map::one, 0x99, "cwd", {}, 0, lift_cwd},

    // shifts of two registers, bits
    {k0F, 0xA4, "shld", {O::Ev, O::Gv, O::Ib}, 0, lift_shld},
    {k0F, 0xA5, "shld", {O::Ev, O::Gv, O::CL}, 0, lift_shld},
    {k0F, 0xAC, "shrd", {O::Ev, O::Gv, O::Ib}, 0, lift_shrd},
    {k0F, 0xAD, "shrd", {O::Ev, O::Gv, O::CL}, 0, lift_shrd},
    BIT_TEST_ROWS(0xA3, 4, bt, 0),
    BIT_TEST_ROWS(0xAB, 5, bts, kLock),
    BIT_TEST_ROWS(0xB3, 6, btr, kLock),
    BIT_TEST_ROWS(0xBB, 7, btc, kLock),
    // BMI1 is not advertised: F3 is ignored and these are BSF and BSR, not TZCNT and LZCNT.
    {k0F, 0xBC, "bsf", {O::Gv, O::Ev}, 0, lift_bsf},
    {k0F, 0xBD, "bsr", {O::Gv, O::Ev}, 0, lift_bsr},
    {k0F, 0xB8, "popcnt", {O::Gv, O::Ev}, 0, lift_popcnt, {.prefix = Prefix::xF3}},
    {k0F, 0xC8, "bswap", {O::Zv}, 0, lift_bswap, {.last = 0xCF}},
    {Map::x0f38, 0xF0, "crc32", {O::Gd, O::Eb}, 0, lift_crc32, {.prefix = Prefix::xF2}},
    {Map::x0f38, 0xF1, "crc32", {O::Gd, O::Ev}, 0, lift_crc32, {.prefix = Prefix::xF2}},

    // moves
    {Map::one, 0x88, "mov", {O::Eb, O::Gb}, 0, lift_mov},
    {Map::one, 0x89, "mov", {O::Ev, O::Gv}, 0, lift_mov},
    {Map::one, 0x8A, "mov", {O::Gb, O::Eb}, 0, lift_mov},
    {Map::one, 0x8B, "mov", {O::Gv, O::Ev}, 0, lift_mov},
    {Map::one, 0xA0, "mov", {O::AL, O::Ob}, 0, lift_mov},
    {Map::one, 0xA1, "mov", {O::rAX, O::Ov}, 0, lift_mov},
    {Map::one, 0xA2, "mov", {O::Ob, O::AL}, 0, lift_mov},
    {Map::one, 0xA3, "mov", {O::Ov, O::rAX}, 0, lift_mov},
    {Map::one, 0xB0, "mov", {O::Zb, O::Ib}, 0, lift_mov, {.last = 0xB7}},
    {Map::one, 0xB8, "mov", {O::Zv, O::Iv}, 0, lift_mov, {.last = 0xBF}},
    {Map::one, 0xC6, "mov", {O::Eb, O::Ib}, 0, lift_mov, {.reg = 0}},
    {Map::one, 0xC7, "mov", {O::Ev, O::Iz}, 0, lift_mov, {.reg = 0}},
    {k0F, 0xC3, "movnti", {O::Ey, O::Gy}, 0, lift_mov, {.prefix = Prefix::none, .mod = Mod::memory}},
    {k0F, 0xB6, "movzx", {O::Gv, O::Eb}, 0, lift_movzx},
    {k0F, 0xB7, "movzx", {O::Gv, O::Ew}, 0, lift_movzx},
    {k0F, 0xBE, "movsx", {O::Gv, O::Eb}, 0, lift_movsx},
    {k0F, 0xBF, "movsx", {O::Gv, O::Ew}, 0, lift_movsx},
    {Map::one, 0x63, "movsxd", {O::Gv, O::Ed}, kOnly64, lift_movsx},
    {Map::one, 0x8D, "lea", {O::Gv, O::M}, 0, lift_lea},
    {Map::one, 0xD7, "xlatb", {}, 0, lift_xlat},

    // exchange
    {Map::one, 0x86, "xchg", {O::Eb, O::Gb}, kLock, lift_xchg},
    {Map::one, 0x87, "xchg", {O::Ev, O::Gv}, kLock, lift_xchg},
    {Map::one, 0x90, "xchg", {O::Zv, O::rAX}, 0, lift_xchg, {.last = 0x97}},
    {k0F, 0xC0, "xadd", {O::Eb, O::Gb}, kLock, lift_xadd},
    {k0F, 0xC1, "xadd", {O::Ev, O::Gv}, kLock, lift_xadd},
    {k0F, 0xB0, "cmpxchg", {O::Eb, O::Gb}, kLock, lift_cmpxchg},
    {k0F, 0xB1, "cmpxchg", {O::Ev, O::Gv}, kLock, lift_cmpxchg},
    {k0F, 0xC7, "cmpxchg8b", {O::M}, kLock, lift_cmpxchg8b, {.reg = 1}},

    // stack
    {Map::one, 0x50, "push", {O::Zv}, kDefault64, lift_push, {.last = 0x57}},
    {Map::one, 0x58, "pop", {O::Zv}, kDefault64, lift_pop, {.last = 0x5F}},
    {Map::one, 0x68, "push", {O::Iz}, kDefault64, lift_push},
    {Map::one, 0x6A, "push", {O::sIb}, kDefault64, lift_push},
    {Map::one, 0xFF, "push", {O::Ev}, kDefault64, lift_push, {.reg = 6}},
    {Map::one, 0x8F, "pop", {O::Ev}, kDefault64, lift_pop, {.reg = 0}},
    {Map::one, 0x60, "pusha", {}, kNo64, lift_pusha},
    {Map::one, 0x61, "popa", {}, kNo64, lift_popa},
    {Map::one, 0xC8, "enter", {O::Iw, O::Ib}, kDefault64, lift_enter},
    {Map::one, 0xC9, "leave", {}, kDefault64, lift_leave},

    // near branches
    {Map::one, 0xE8, "call", {O::Jz}, kForce64 | kCall, lift_call},
    {Map::one, 0xFF, "call", {O::Ev}, kForce64 | kCall, lift_call_indirect, {.reg = 2}},
    {Map::one, 0xE9, "jmp", {O::Jz}, kForce64, lift_jmp},
    {Map::one, 0xEB, "jmp", {O::Jb}, kForce64, lift_jmp},
    {Map::one, 0xFF, "jmp", {O::Ev}, kForce64, lift_jmp_indirect, {.reg = 4}},
    {Map::one, 0xC2, "ret", {O::Iw}, kForce64 | kReturn, lift_ret},
    {Map::one, 0xC3, "ret", {}, kForce64 | kReturn, lift_ret},
    {Map::one, 0xE0, "loopne", {O::Jb}, kForce64, lift_loopne},
    {Map::one, 0xE1, "loope", {O::Jb}, kForce64, lift_loope},
    {Map::one, 0xE2, "loop", {O::Jb}, kForce64, lift_loop},
    {Map::one, 0xE3, "jcxz", {O::Jb}, kForce64, lift_jcxz},

    // flags
    {Map::one, 0x9E, "sahf", {}, 0, lift_sahf},
    {Map::one, 0x9F, "lahf", {}, 0, lift_lahf},
    {Map::one, 0xD6, "salc", {}, kNo64, lift_salc},
    {Map::one, 0xF5, "cmc", {}, 0, lift_cmc},
    {Map::one, 0xF8, "clc", {}, 0, lift_clc},
    {Map::one, 0xF9, "stc", {}, 0, lift_stc},
    {Map::one, 0xFC, "cld", {}, 0, lift_cld},
    {Map::one, 0xFD, "std", {}, 0, lift_std},

    // strings
    {Map::one, 0xA4, "movsb", {O::Yb, O::Xb}, kString, lift_movs},
    {Map::one, 0xA5, "movs", {O::Yv, O::Xv}, kString, lift_movs},
    {Map::one, 0xA6, "cmpsb", {O::Xb, O::Yb}, kString, lift_cmps},
    {Map::one, 0xA7, "cmps", {O::Xv, O::Yv}, kString, lift_cmps},
    {Map::one, 0xAA, "stosb", {O::Yb, O::AL}, kString, lift_stos},
    {Map::one, 0xAB, "stos", {O::Yv, O::rAX}, kString, lift_stos},
    {Map::one, 0xAC, "lodsb", {O::Xb}, kString, lift_lods},
    {Map::one, 0xAD, "lods", {O::Xv}, kString, lift_lods},
    {Map::one, 0xAE, "scasb", {O::Yb}, kString, lift_scas},
    {Map::one, 0xAF, "scas", {O::Yv}, kString, lift_scas},

    // 32-bit only
    {Map::one, 0x27, "daa", {}, kNo64, lift_daa},
    {Map::one, 0x2F, "das", {}, kNo64, lift_das},
    {Map::one, 0x37, "aaa", {}, kNo64, lift_aaa},
    {Map::one, 0x3F, "aas", {}, kNo64, lift_aas},
    {Map::one, 0xD4, "aam", {O::Ib}, kNo64, lift_aam},
    {Map::one, 0xD5, "aad", {O::Ib}, kNo64, lift_aad},
    {Map::one, 0x62, "bound", {O::Gv, O::M}, kNo64, lift_bound},

    // no operation: hints, prefetches, fences (one vCPU runs at a time and memory is coherent), cache control
    {k0F, 0x0D, "nop", {O::Ev}, 0, lift_nop},
    {k0F, 0x0D, "prefetch", {O::M}, 0, lift_nop},
    {k0F, 0x0D, "prefetchw", {O::M}, 0, lift_nop, {.reg = 1}},
    {k0F, 0x0D, "prefetchwt1", {O::M}, 0, lift_nop, {.reg = 2}},
    {k0F, 0x18, "nop", {O::Ev}, 0, lift_nop, {.last = 0x1F}},
    {k0F, 0x18, "prefetchnta", {O::M}, 0, lift_nop, {.reg = 0}},
    {k0F, 0x18, "prefetcht0", {O::M}, 0, lift_nop, {.reg = 1}},
    {k0F, 0x18, "prefetcht1", {O::M}, 0, lift_nop, {.reg = 2}},
    {k0F, 0x18, "prefetcht2", {O::M}, 0, lift_nop, {.reg = 3}},
    {k0F, 0x1E, "endbr64", {}, 0, lift_nop, {.prefix = Prefix::xF3, .reg = 7, .mod = Mod::reg, .rm = 2}},
    {k0F, 0x1E, "endbr32", {}, 0, lift_nop, {.prefix = Prefix::xF3, .reg = 7, .mod = Mod::reg, .rm = 3}},
    {k0F, 0xAE, "lfence", {}, 0, lift_nop, {.prefix = Prefix::none, .reg = 5, .mod = Mod::reg}},
    {k0F, 0xAE, "mfence", {}, 0, lift_nop, {.prefix = Prefix::none, .reg = 6, .mod = Mod::reg}},
    {k0F, 0xAE, "sfence", {}, 0, lift_nop, {.prefix = Prefix::none, .reg = 7, .mod = Mod::reg}},
    {k0F, 0xAE, "clflush", {O::Mb}, 0, lift_clflush, {.prefix = Prefix::none, .reg = 7}},

    // undefined by definition (SDM vol. 2, UD)
    {k0F, 0x0B, "ud2", {}, 0, lift_ud},
    {k0F, 0xB9, "ud1", {O::Gv, O::Ev}, 0, lift_ud},
    {k0F, 0xFF, "ud0", {O::Gv, O::Ev}, 0, lift_ud},
};
static_assert(rows_are_unambiguous(kRows));

}  // namespace

std::span<const Row> integer_rows() { return kRows; }

}  // namespace hindsight::engine::guest::x86
