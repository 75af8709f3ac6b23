#include "tests/isa/ladder_generator.h"

#include <cstring>
#include <string_view>

#include "engine/base/check.h"
#include "engine/guest/x86/system_bits.h"

namespace hindsight::tests {

using namespace engine::guest::x86;
using namespace native_layout;
namespace ir = engine::ir;

namespace {

constexpr std::uint64_t kModeBits = mode::kCode64 | mode::kUser | mode::kProtected | mode::kLong;

constexpr std::uint64_t kIntegers[] = {0,
                                       1,
                                       2,
                                       3,
                                       4,
                                       7,
                                       8,
                                       15,
                                       16,
                                       17,
                                       31,
                                       32,
                                       33,
                                       63,
                                       64,
                                       65,
                                       0x7F,
                                       0x80,
                                       0xFF,
                                       0x100,
                                       0x7FFF,
                                       0x8000,
                                       0xFFFF,
                                       0x7FFF'FFFF,
                                       0x8000'0000,
                                       0xFFFF'FFFF,
                                       0x1'0000'0000,
                                       0x7FFF'FFFF'FFFF'FFFF,
                                       0x8000'0000'0000'0000,
                                       0x5555'5555'5555'5555,
                                       0xAAAA'AAAA'AAAA'AAAA,
                                       ~std::uint64_t{0},
                                       ~std::uint64_t{1}};
constexpr std::uint32_t kFloats[] = {
    0,           0x8000'0000, 0x3F80'0000, 0xBF80'0000, 0x7F80'0000, 0xFF80'0000, 0x7FC0'0000, 0xFFC0'0001,
    0x7F80'0001, 0xFFA0'0000, 1,           0x8000'0001, 0x007F'FFFF, 0x0080'0000, 0x7F7F'FFFF, 0xFF7F'FFFF,
    0x4F00'0000, 0xCF00'0000, 0x5F00'0000, 0x3F00'0000, 0x3FC0'0000, 0x4020'0000, 0x3FFF'FFFF, 0x4B00'0001};
constexpr std::uint64_t kDoubles[] = {0,
                                      0x8000'0000'0000'0000,
                                      0x3FF0'0000'0000'0000,
                                      0xBFF0'0000'0000'0000,
                                      0x7FF0'0000'0000'0000,
                                      0xFFF0'0000'0000'0000,
                                      0x7FF8'0000'0000'0000,
                                      0xFFF8'0000'0000'0001,
                                      0x7FF0'0000'0000'0001,
                                      0xFFF4'0000'0000'0000,
                                      1,
                                      0x8000'0000'0000'0001,
                                      0x000F'FFFF'FFFF'FFFF,
                                      0x0010'0000'0000'0000,
                                      0x7FEF'FFFF'FFFF'FFFF,
                                      0xFFEF'FFFF'FFFF'FFFF,
                                      0x41E0'0000'0000'0000,
                                      0xC1E0'0000'0000'0000,
                                      0x43E0'0000'0000'0000,
                                      0x3FE0'0000'0000'0000,
                                      0x3FF8'0000'0000'0000,
                                      0x47EF'FFFF'F000'0000,
                                      0x3690'0000'0000'0000,
                                      0x380F'FFFF'E000'0000};

std::uint64_t float_lane(Random& r) {
  if (r.percent(50)) return r.pick(kFloats);
  const std::uint64_t exponent = r.percent(60) ? 0x70 + r.below(0x20) : r.below(256);
  return (r.below(2) << 31) | exponent << 23 | r.below(1u << 23);
}
std::uint64_t double_lane(Random& r) {
  if (r.percent(50)) return r.pick(kDoubles);
  const std::uint64_t exponent = r.percent(60) ? 0x3F0 + r.below(0x40) : r.below(2048);
  return (r.below(2) << 63) | exponent << 52 | (r.next() >> 12);
}
/// Eight bytes of a vector or of memory.
std::uint64_t lane(Random& r, unsigned kind) {
  switch (kind) {
    case 0:
      return float_lane(r) | float_lane(r) << 32;
    case 1:
      return double_lane(r);
    case 2:
      return Generator::integer(r);
    default:
      return r.next();
  }
}

/// An 80-bit register: sign and exponent, significand (SDM vol. 1, table 8-3: every class).
void extended(Random& r, std::uint8_t* out) {
  static constexpr std::uint16_t kExponents[] = {0, 1, 0x3FFE, 0x3FFF, 0x4000, 0x403E, 0x7FFE, 0x7FFF};
  static constexpr std::uint64_t kSignificands[] = {0,
                                                    1,
                                                    0x8000'0000'0000'0000,
                                                    0xC000'0000'0000'0000,
                                                    0x8000'0000'0000'0001,
                                                    0xFFFF'FFFF'FFFF'FFFF,
                                                    0x4000'0000'0000'0000,
                                                    0xFFFF'FF00'0000'0000};
  std::uint16_t exponent =
      r.percent(40) ? r.pick(kExponents) : static_cast<std::uint16_t>(0x3FC0 + r.below(0x90));
  std::uint64_t significand = r.percent(40) ? r.pick(kSignificands) : r.next();
  if (r.percent(85) && exponent != 0) significand |= std::uint64_t{1} << 63;
  exponent = static_cast<std::uint16_t>(exponent | r.below(2) << 15);
  std::memcpy(out, &significand, 8);
  std::memcpy(out + 8, &exponent, 2);
}

bool writes_mod_rm(const Row& row) { return row.has_modrm(); }

void prefixes(const Row& row, Random& r, bool memory, std::vector<std::uint8_t>& out) {
  const std::string_view name = row.mnemonic;
  const bool branch = (row.flags & kForce64) != 0;
  static constexpr std::uint8_t kIgnoredSegments[] = {0x26, 0x2E, 0x36, 0x3E};
  if (!branch && r.percent(3)) out.push_back(r.pick(kIgnoredSegments));
  if (memory && r.percent(4)) out.push_back(r.percent(50) ? 0x64 : 0x65);
  if ((memory || (row.flags & kString) != 0) && r.percent(8)) out.push_back(0x67);
  if ((row.flags & kLock) != 0 ? r.percent(memory ? 20 : 4) : r.percent(1)) out.push_back(0xF0);
  switch (row.match.prefix) {
    case Prefix::x66:
      out.push_back(0x66);
      break;
    case Prefix::xF3:
    case Prefix::xF2:
      if (name == "popcnt" || name == "crc32") {
        if (r.percent(25)) out.push_back(0x66);
      }
      out.push_back(row.match.prefix == Prefix::xF3 ? 0xF3 : 0xF2);
      break;
    case Prefix::none:
      break;
    case Prefix::any:
      if (!branch && r.percent(25)) out.push_back(0x66);
      if ((row.flags & kString) != 0 && r.percent(50)) out.push_back(r.percent(50) ? 0xF2 : 0xF3);
      break;
  }
  if (r.percent(60)) out.push_back(static_cast<std::uint8_t>(0x40 | r.below(16)));
}

void modrm(const Row& row, Random& r, bool memory, std::vector<std::uint8_t>& out) {
  const unsigned mod = memory ? static_cast<unsigned>(r.below(3)) : 3;
  const unsigned reg =
      row.match.reg >= 0 ? static_cast<unsigned>(row.match.reg) : static_cast<unsigned>(r.below(8));
  const unsigned rm =
      row.match.rm >= 0 ? static_cast<unsigned>(row.match.rm) : static_cast<unsigned>(r.below(8));
  out.push_back(static_cast<std::uint8_t>(mod << 6 | reg << 3 | rm));
  if (!memory) return;
  std::uint8_t sib = 0;
  if (rm == 4) out.push_back(sib = r.byte());
  const bool wide = mod == 2 || (mod == 0 && (rm == 5 || (rm == 4 && (sib & 7) == 5)));
  if (mod == 1) out.push_back(r.byte());
  if (!wide) return;
  const auto displacement = static_cast<std::int32_t>(r.below(0x2000)) - 0x1000;
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(displacement >> (8 * i)));
}

void immediates(const Row& row, Random& r, std::vector<std::uint8_t>& out) {
  static constexpr std::uint8_t kBytes[] = {0,  1,  2,  7,  8,  9,    15,   16,  17,
                                            31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF};
  if (std::string_view(row.mnemonic) == "enter") {  // few enough levels and bytes to stay in the window
    out.insert(out.end(), {static_cast<std::uint8_t>(r.below(64)), 0,
                           static_cast<std::uint8_t>(r.percent(50) ? r.below(4) : r.byte())});
    return;
  }
  if (row.operands[0] == Operand::Jz) {
    const auto displacement = static_cast<std::int32_t>(r.below(2000)) - 1000;
    for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(displacement >> (8 * i)));
    return;
  }
  const std::uint64_t value = r.percent(50) ? Generator::integer(r) : r.next();
  for (unsigned i = 0; i < 8; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  if (r.percent(50)) out[out.size() - 8] = r.pick(kBytes);
}

std::uint64_t target_address(Random& r) {
  const std::uint64_t writable = kWritablePages * kPage;
  const std::uint64_t draw = r.below(100);
  if (draw < 40) return kWindow + 512 + r.below((writable - 1536) / 16) * 16;
  if (draw < 65) return kWindow + 512 + r.below(writable - 1536);
  if (draw < 80) return kWindow + kPage - 20 + r.below(24);
  if (draw < 86) return kWindow + writable - 20 + r.below(24);
  if (draw < 91) return kWindow + writable + r.below(kPage - 64);
  if (draw < 95) return kWindow + kWindowBytes - 20 + r.below(24);
  if (draw < 97) return kWindow - 20 + r.below(24);
  if (draw < 98) return kZone + 0x1000 + r.below(0x1000);
  return 0x8000'0000'0000 + r.below(std::uint64_t{1} << 62);
}

void put(Instruction& i, std::size_t at, unsigned bytes, std::uint64_t value) {
  for (unsigned n = 0; n < bytes; ++n) i.bytes[at + n] = static_cast<std::uint8_t>(value >> (8 * n));
}

/// Number of bytes of immediate that follow the displacement, found by decoding: length is all there is.
unsigned immediate_bytes(const Decoded& d) {
  unsigned bytes = 0;
  const unsigned z = d.operand_bytes == 2 ? 2 : 4;
  for (const Operand o : d.row->operands) {
    using enum Operand;
    if (o == Ib || o == sIb || o == Jb) bytes += 1;
    if (o == Iw) bytes += 2;
    if (o == Iz || o == Jz) bytes += z;
    if (o == Iv) bytes += d.operand_bytes;
  }
  return bytes;
}

}  // namespace

std::uint64_t Generator::integer(Random& r) {
  const std::uint64_t draw = r.below(100);
  if (draw < 40) return r.pick(kIntegers);
  if (draw < 50) return r.below(256);
  if (draw < 55) return static_cast<std::uint64_t>(-static_cast<std::int64_t>(r.below(256)));
  if (draw < 65) return static_cast<std::uint32_t>(r.next());
  return r.next();
}

std::optional<Instruction> Generator::instruction(const Row& row, Random& r) const {
  Instruction out;
  const Mod wanted = mod_of(row);
  const bool moffs = row.operands[0] == Operand::Ob || row.operands[0] == Operand::Ov ||
                     row.operands[1] == Operand::Ob || row.operands[1] == Operand::Ov;
  const bool memory = row.has_modrm() && (wanted == Mod::memory || (wanted == Mod::any && r.percent(50)));
  prefixes(row, r, memory || moffs, out.bytes);
  if (row.map != Map::one) out.bytes.push_back(0x0F);
  if (row.map == Map::x0f38) out.bytes.push_back(0x38);
  if (row.map == Map::x0f3a) out.bytes.push_back(0x3A);
  out.bytes.push_back(static_cast<std::uint8_t>(row.opcode + r.below(row.last_opcode() - row.opcode + 1u)));
  if (writes_mod_rm(row)) modrm(row, r, memory, out.bytes);
  immediates(row, r, out.bytes);
  out.bytes.resize(out.bytes.size() + 8);
  if (decoder_.decode(out.bytes, kModeBits, out.decoded) != DecodeStatus::ok) return std::nullopt;
  if (out.decoded.row != &row) return std::nullopt;
  out.bytes.resize(out.decoded.length);
  return out;
}

void Generator::randomize_state(CpuState& s, Random& r) const {
  std::memset(static_cast<void*>(&s), 0, sizeof s);
  s.budget = 1'000'000;
  s.budget_end = 1'000'000;
  s.pc = kStart;
  s.flags = ir::pack_flags(static_cast<std::uint32_t>(r.next()) & ir::eflags::kAll);
  for (std::uint64_t& value : s.gpr) value = r.percent(20) ? target_address(r) : integer(r);
  for (const unsigned i : {kRsp, kRbp, kRsi, kRdi, kRbx})
    if (r.percent(75)) s.gpr[i] = target_address(r) & ~std::uint64_t{r.percent(50) ? 7u : 0u};
  if (r.percent(70)) s.gpr[kRcx] = r.percent(70) ? r.below(40) : r.below(2000);
  for (Vector& v : s.xmm) {
    const auto kind = static_cast<unsigned>(r.below(4));
    const std::uint64_t lanes[2] = {lane(r, kind), lane(r, kind)};
    std::memcpy(v.bytes, lanes, 16);
  }
  s.rflags_system = flag::kFixed | flag::kIf | (r.percent(30) ? flag::kDf : 0);
  s.cpl = 3;
  for (Segment& segment : s.segment) segment = {0, 0xFFFF'FFFF, 0x2B, 0xC0F3};
  s.segment[kCs] = {0, 0xFFFF'FFFF, 0x33, 0xA0FB};
  s.segment[kFs].base = fs_base_;
  s.cr0 = cr0::kPe | cr0::kMp | cr0::kEt | cr0::kNe | cr0::kWp | cr0::kPg;
  s.cr4 = cr4::kPae | cr4::kPge | cr4::kOsfxsr | cr4::kOsxmmexcpt;
  s.efer = efer::kSce | efer::kLme | efer::kLma | efer::kNxe;
  s.tr = {0, 0x67, 0x40, 0x008B};
  s.ldtr = {0, 0, 0, 0x0082};
  // MXCSR: every rounding mode, DAZ, FTZ; exceptions mostly masked.
  std::uint32_t mxcsr = static_cast<std::uint32_t>(r.below(4)) << 13 | 0x1F80;
  if (r.percent(20)) mxcsr |= 0x8000;
  if (r.percent(20)) mxcsr |= 0x40;
  if (r.percent(30)) mxcsr |= static_cast<std::uint32_t>(r.below(64));
  if (r.percent(12)) mxcsr &= ~(static_cast<std::uint32_t>(r.below(64)) << 7);
  s.guest_mxcsr = mxcsr;
  // x87: every precision and rounding, each depth of the stack.
  std::uint16_t masks = 0x3F;
  if (r.percent(12)) masks = static_cast<std::uint16_t>(r.below(64));
  static constexpr std::uint16_t kPrecisions[] = {0, 2, 3, 3, 3};
  s.fcw = static_cast<std::uint16_t>(0x40 | masks | r.pick(kPrecisions) << 8 | r.below(4) << 10);
  s.fsw = static_cast<std::uint16_t>((r.percent(50) ? r.next() & 0x4700 : 0) |
                                     (r.percent(20) ? r.below(128) : 0));
  if ((s.fsw & ~masks & 0x3F) != 0) {
    if (r.percent(80))
      s.fsw = static_cast<std::uint16_t>(s.fsw & ~(~masks & 0x3F));
    else
      s.fsw = static_cast<std::uint16_t>(s.fsw | 0x8080);
  }
  s.ftop = static_cast<std::uint8_t>(r.below(8));
  s.ftw = r.percent(60) ? 0xFF : r.percent(30) ? 0 : r.byte();
  for (Vector& v : s.st) extended(r, v.bytes);
}

void Generator::randomize_memory(Machine& m, Random& r) const {
  for (std::size_t i = 0; i < m.memory.size(); i += 8) {
    const std::uint64_t value = lane(r, static_cast<unsigned>(r.below(4)));
    std::memcpy(&m.memory[i], &value, 8);
  }
}

void Generator::steer(Instruction& i, std::uint64_t pc, Machine& m, Random& r) const {
  Decoded& d = i.decoded;
  CpuState& s = m.state;
  const std::uint64_t target = target_address(r);
  const std::uint64_t segment_base = d.segment == kFs ? fs_base_ : 0;
  const auto displacement = static_cast<std::uint64_t>(d.displacement);
  bool moffs = false;
  for (const Operand o : d.row->operands) moffs |= o == Operand::Ob || o == Operand::Ov;
  if (moffs) put(i, i.bytes.size() - d.address_bytes, d.address_bytes, target - segment_base);
  if (d.is_memory()) {
    const std::uint64_t offset = target - segment_base;
    if (d.base == kRipBase || (d.base == kNoRegister && d.index == kNoRegister)) {
      const std::uint64_t origin = d.base == kRipBase ? pc + d.length : 0;
      put(i, i.bytes.size() - immediate_bytes(d) - 4, 4, offset - origin);
    } else {
      const std::uint64_t index = d.index == kNoRegister ? 0 : s.gpr[d.index] << d.scale;
      if (d.base != kNoRegister && d.base != d.index) {
        s.gpr[d.base] = offset - displacement - index;
      } else if (d.scale == 0) {
        s.gpr[d.index] = (offset - displacement) >> (d.base == d.index ? 1 : 0);
      }
    }
    // Compare-and-exchange that succeeds, every other time.
    if (std::string_view(d.row->mnemonic).starts_with("cmpxchg") && r.percent(50) &&
        target - kWindow < kWindowBytes - 16) {
      const unsigned half = d.row->operands[0] != Operand::M ? 8 : d.rex_w() ? 8 : 4;
      s.gpr[kRax] = s.gpr[kRdx] = 0;
      std::memcpy(&s.gpr[kRax], &m.memory[target - kWindow], half);
      std::memcpy(&s.gpr[kRdx], &m.memory[target - kWindow + half], half);
    }
  }
  const DecodeStatus status = decoder_.decode(i.bytes, kModeBits, d);
  CHECK(status == DecodeStatus::ok, "a steered instruction no longer decodes");
}

}  // namespace hindsight::tests
