// A narrow x86-64 instruction encoder: writes bytes through a cursor, checks nothing, allocates nothing. The
// caller makes sure there is room. Encodings: SDM vol. 2, chapter 2 and appendix A.
// Used by the code generator while it compiles; the run loop's thread.
#pragma once

#include <cstdint>
#include <cstring>

namespace hindsight::engine::host::x64 {

using Reg = std::uint8_t;
constexpr Reg RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7, R8 = 8, R9 = 9,
              R10 = 10, R11 = 11, R12 = 12, R13 = 13, R14 = 14, R15 = 15, kNoReg = 0xFF;

/// Condition codes as in Jcc, SETcc, CMOVcc.
enum Cc : std::uint8_t { kO, kNo, kB, kAe, kE, kNe, kBe, kA, kS, kNs, kP, kNp, kL, kGe, kLe, kG };
constexpr Cc invert(Cc cc) { return static_cast<Cc>(cc ^ 1); }

/// The eight operations of opcodes 00..3F and of group 1, by their digit.
enum Alu : std::uint8_t { kAdd, kOr, kAdc, kSbb, kAnd, kSub, kXor, kCmp };
/// Group 2.
enum Shift : std::uint8_t { kRol, kRor, kShl = 4, kShr = 5, kSar = 7 };

struct Mem {
  Reg base = kNoReg;
  Reg index = kNoReg;
  std::uint8_t scale = 0;  ///< log2
  std::int32_t disp = 0;
};

constexpr bool fits_i8(std::int64_t v) { return v == static_cast<std::int8_t>(v); }
constexpr bool fits_i32(std::int64_t v) { return v == static_cast<std::int32_t>(v); }

class Emitter {
 public:
  void set_cursor(std::uint8_t* p) { p_ = p; }
  [[nodiscard]] std::uint8_t* cursor() const { return p_; }

  void u8(unsigned v) { *p_++ = static_cast<std::uint8_t>(v); }
  void u32(std::uint32_t v) { std::memcpy(p_, &v, 4), p_ += 4; }
  void u64(std::uint64_t v) { std::memcpy(p_, &v, 8), p_ += 8; }

  // One-byte opcodes whose bit 0 tells the width; `op` is the wide one. size: 1, 2, 4 or 8 bytes.
  void op_rr(unsigned size, unsigned op, Reg reg, Reg rm) {
    prefix(size, reg, kNoReg, rm, size == 1 && ((reg >= 4 && reg < 16) || rm >= 4));
    u8(size == 1 ? op & ~1u : op);
    modrm_r(reg, rm);
  }
  void op_rm(unsigned size, unsigned op, Reg reg, const Mem& m) {
    prefix(size, reg, m.index, m.base, size == 1 && reg >= 4);
    u8(size == 1 ? op & ~1u : op);
    modrm_m(reg, m);
  }
  // 0F-map opcodes, no width bit.
  void op2_rr(unsigned size, unsigned op, Reg reg, Reg rm, bool byte_rm = false) {
    prefix(size, reg, kNoReg, rm, byte_rm && rm >= 4);
    u8(0x0F), u8(op);
    modrm_r(reg, rm);
  }
  void op2_rm(unsigned size, unsigned op, Reg reg, const Mem& m) {
    prefix(size, reg, m.index, m.base, false);
    u8(0x0F), u8(op);
    modrm_m(reg, m);
  }

  void mov_rr(unsigned size, Reg dst, Reg src) { op_rr(size, 0x8B, dst, src); }
  void mov_rm(unsigned size, Reg dst, const Mem& m) { op_rm(size, 0x8B, dst, m); }
  void mov_mr(unsigned size, const Mem& m, Reg src) { op_rm(size, 0x89, src, m); }
  void mov_mi(unsigned size, const Mem& m, std::int64_t imm) {
    op_rm(size, 0xC7, 0, m);
    imm_n(size, imm);
  }
  /// Never touches the flags.
  void mov_ri(Reg dst, std::uint64_t v) {
    if (v <= 0xFFFFFFFFu) {
      if (dst >= 8) u8(0x41);
      u8(0xB8 | (dst & 7)), u32(static_cast<std::uint32_t>(v));
    } else if (fits_i32(static_cast<std::int64_t>(v))) {
      op_rr(8, 0xC7, 0, dst), u32(static_cast<std::uint32_t>(v));
    } else {
      u8(dst >= 8 ? 0x49 : 0x48), u8(0xB8 | (dst & 7)), u64(v);
    }
  }
  void mov_ri_narrow(unsigned size, Reg dst, std::int64_t v) {
    op_rr(size, 0xC7, 0, dst);
    imm_n(size, v);
  }
  void movzx_rr(unsigned from, Reg dst, Reg src) {
    if (from == 4) return mov_rr(4, dst, src);
    op2_rr(4, from == 1 ? 0xB6 : 0xB7, dst, src, from == 1);
  }
  void movzx_rm(unsigned from, Reg dst, const Mem& m) {
    if (from >= 4) return mov_rm(from, dst, m);
    op2_rm(4, from == 1 ? 0xB6 : 0xB7, dst, m);
  }
  void movsx_rr(unsigned from, unsigned to, Reg dst, Reg src) {
    if (from == 4) return op_rr(8, 0x63, dst, src);
    op2_rr(to == 8 ? 8 : 4, from == 1 ? 0xBE : 0xBF, dst, src, from == 1);
  }
  void movsx_rm(unsigned from, unsigned to, Reg dst, const Mem& m) {
    if (from == 4) return op_rm(8, 0x63, dst, m);
    op2_rm(to == 8 ? 8 : 4, from == 1 ? 0xBE : 0xBF, dst, m);
  }
  void lea(unsigned size, Reg dst, const Mem& m) { op_rm(size, 0x8D, dst, m); }

  void alu_rr(Alu op, unsigned size, Reg dst, Reg src) { op_rr(size, op * 8u + 3, dst, src); }
  void alu_rm(Alu op, unsigned size, Reg dst, const Mem& m) { op_rm(size, op * 8u + 3, dst, m); }
  void alu_mr(Alu op, unsigned size, const Mem& m, Reg src) { op_rm(size, op * 8u + 1, src, m); }
  void alu_ri(Alu op, unsigned size, Reg dst, std::int64_t imm) {
    const bool small = size == 1 || fits_i8(imm);
    op_rr(size, small && size != 1 ? 0x83 : 0x81, op, dst);
    small ? u8(static_cast<unsigned>(imm)) : imm_n(size, imm);
  }
  void alu_mi(Alu op, unsigned size, const Mem& m, std::int64_t imm) {
    const bool small = size == 1 || fits_i8(imm);
    op_rm(size, small && size != 1 ? 0x83 : 0x81, op, m);
    small ? u8(static_cast<unsigned>(imm)) : imm_n(size, imm);
  }
  void test_rr(unsigned size, Reg a, Reg b) { op_rr(size, 0x85, b, a); }
  void test_ri(unsigned size, Reg a, std::int64_t imm) {
    op_rr(size, 0xF7, 0, a);
    imm_n(size, imm);
  }
  void test_mi(unsigned size, const Mem& m, std::int64_t imm) {
    op_rm(size, 0xF7, 0, m);
    imm_n(size, imm);
  }
  void neg(unsigned size, Reg r) { op_rr(size, 0xF7, 3, r); }
  void not_(unsigned size, Reg r) { op_rr(size, 0xF7, 2, r); }
  void inc(unsigned size, Reg r) { op_rr(size, 0xFF, 0, r); }
  void dec(unsigned size, Reg r) { op_rr(size, 0xFF, 1, r); }
  void shift_ri(Shift op, unsigned size, Reg r, unsigned count) {
    if (count == 1) return op_rr(size, 0xD1, op, r);
    op_rr(size, 0xC1, op, r), u8(count);
  }
  void shift_rcl(Shift op, unsigned size, Reg r) { op_rr(size, 0xD3, op, r); }
  void setcc(Cc cc, Reg r) { op2_rr(4, 0x90u | cc, 0, r, true); }
  void cmov(Cc cc, unsigned size, Reg dst, Reg src) { op2_rr(size < 4 ? 4 : size, 0x40u | cc, dst, src); }
  void lahf() { u8(0x9F); }
  void sahf() { u8(0x9E); }
  void push(Reg r) {
    if (r >= 8) u8(0x41);
    u8(0x50 | (r & 7));
  }
  void pop(Reg r) {
    if (r >= 8) u8(0x41);
    u8(0x58 | (r & 7));
  }
  void ret() { u8(0xC3); }
  void call_r(Reg r) { op_rr(4, 0xFF, 2, r); }
  void jmp_m(const Mem& m) { op_rm(4, 0xFF, 4, m); }

  // Relative jumps. The ones without a target return the address of their displacement for patch().
  std::uint8_t* jmp() { return u8(0xE9), u32(0), p_ - 4; }
  std::uint8_t* jcc(Cc cc) { return u8(0x0F), u8(0x80u | cc), u32(0), p_ - 4; }
  std::uint8_t* jcc_short(Cc cc) { return u8(0x70u | cc), u8(0), p_ - 1; }
  void jmp_to(const std::uint8_t* target) { patch(jmp(), target); }
  void call_to(const std::uint8_t* target) { u8(0xE8), u32(0), patch(p_ - 4, target); }
  static void patch(std::uint8_t* at, const std::uint8_t* target) {
    const auto d = static_cast<std::int32_t>(target - (at + 4));
    std::memcpy(at, &d, 4);
  }
  static const std::uint8_t* target_of(const std::uint8_t* at) {
    std::int32_t d;
    std::memcpy(&d, at, 4);
    return at + 4 + d;
  }
  void patch_short_here(std::uint8_t* at) const { *at = static_cast<std::uint8_t>(p_ - (at + 1)); }
  void patch_here(std::uint8_t* at) const { patch(at, p_); }

  // SSE: [prefix] [REX] 0F [map] opcode ModRM
  void sse_rr(unsigned mandatory, unsigned map, unsigned op, Reg reg, Reg rm, bool wide = false) {
    if (mandatory) u8(mandatory);
    rex(wide, reg, kNoReg, rm, false);
    sse_op(map, op);
    modrm_r(reg, rm);
  }
  void sse_rm(unsigned mandatory, unsigned map, unsigned op, Reg reg, const Mem& m, bool wide = false) {
    if (mandatory) u8(mandatory);
    rex(wide, reg, m.index, m.base, false);
    sse_op(map, op);
    modrm_m(reg, m);
  }
  void movaps(Reg dst, Reg src) { sse_rr(0, 0, 0x28, dst, src); }
  void movups_rm(Reg dst, const Mem& m) { sse_rm(0, 0, 0x10, dst, m); }
  void movups_mr(const Mem& m, Reg src) { sse_rm(0, 0, 0x11, src, m); }

 private:
  void imm_n(unsigned size, std::int64_t v) {
    if (size == 1)
      u8(static_cast<unsigned>(v));
    else if (size == 2)
      u8(static_cast<unsigned>(v)), u8(static_cast<unsigned>(v >> 8));
    else
      u32(static_cast<std::uint32_t>(v));
  }
  void sse_op(unsigned map, unsigned op) {
    u8(0x0F);
    if (map) u8(map);
    u8(op);
  }
  void rex(bool wide, Reg reg, Reg index, Reg base, bool force) {
    unsigned bits = wide ? 8 : 0;
    bits |= (reg & 8u) >> 1;
    if (index != kNoReg) bits |= (index & 8u) >> 2;
    if (base != kNoReg) bits |= (base & 8u) >> 3;
    if (bits || force) u8(0x40 | bits);
  }
  void prefix(unsigned size, Reg reg, Reg index, Reg base, bool force) {
    if (size == 2) u8(0x66);
    rex(size == 8, reg, index, base, force);
  }
  void modrm_r(Reg reg, Reg rm) { u8(0xC0u | (reg & 7u) << 3 | (rm & 7u)); }
  void modrm_m(Reg reg, const Mem& m) {
    const unsigned r = (reg & 7u) << 3;
    if (m.base == kNoReg) {  // [index * scale + disp32]
      const unsigned index = m.index == kNoReg ? 4 : m.index & 7u;
      u8(r | 4), u8(static_cast<unsigned>(m.scale) << 6 | index << 3 | 5),
          u32(static_cast<std::uint32_t>(m.disp));
      return;
    }
    const bool none = m.disp == 0 && (m.base & 7) != 5, small = fits_i8(m.disp);
    const unsigned mod = none ? 0 : small ? 0x40 : 0x80;
    if (m.index != kNoReg || (m.base & 7) == 4) {
      const unsigned index = m.index == kNoReg ? 4 : m.index & 7u;
      u8(mod | r | 4), u8(static_cast<unsigned>(m.scale) << 6 | index << 3 | (m.base & 7u));
    } else {
      u8(mod | r | (m.base & 7u));
    }
    if (none) return;
    if (small)
      u8(static_cast<unsigned>(m.disp));
    else
      u32(static_cast<std::uint32_t>(m.disp));
  }

  std::uint8_t* p_ = nullptr;
};

}  // namespace hindsight::engine::host::x64
