#include "engine/guest/x86/decode.h"

#include <algorithm>

#include "engine/base/check.h"

namespace hindsight::engine::guest::x86 {
namespace {

/// Reads instruction bytes. Past the end it returns zero and remembers why.
class Cursor {
 public:
  explicit Cursor(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] unsigned position() const { return position_; }
  [[nodiscard]] DecodeStatus status() const {
    if (position_ <= std::min<std::size_t>(bytes_.size(), kMaxInsnLength)) return DecodeStatus::ok;
    // What lies beyond the given bytes is not known, so neither is the length.
    return bytes_.size() < kMaxInsnLength ? DecodeStatus::truncated : DecodeStatus::too_long;
  }
  std::uint8_t peek() const { return position_ < bytes_.size() ? bytes_[position_] : std::uint8_t{0}; }
  std::uint8_t next() {
    const std::uint8_t byte = peek();
    ++position_;
    return byte;
  }
  std::uint64_t next_bytes(unsigned count) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < count; ++i) value |= std::uint64_t{next()} << (8 * i);
    return value;
  }
  std::int64_t next_signed(unsigned count) {
    const unsigned shift = 64 - 8 * count;
    return static_cast<std::int64_t>(next_bytes(count) << shift) >> shift;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  unsigned position_ = 0;
};

void set_segment(Decoded& d, unsigned segment) {
  // In 64-bit mode CS, DS, ES and SS overrides are ignored (SDM vol. 2, 2.1.1).
  if (d.code64 && segment < kFs) return;
  d.segment_override = true;
  d.segment = static_cast<std::uint8_t>(segment);
}

/// Consumes one legacy prefix byte; false if `byte` is none.
bool take_prefix(Decoded& d, std::uint8_t byte) {
  switch (byte) {
    case 0x26:
      set_segment(d, kEs);
      return true;
    case 0x2E:
      set_segment(d, kCs);
      return true;
    case 0x36:
      set_segment(d, kSs);
      return true;
    case 0x3E:
      set_segment(d, kDs);
      return true;
    case 0x64:
      set_segment(d, kFs);
      return true;
    case 0x65:
      set_segment(d, kGs);
      return true;
    case 0x66:
      d.prefix_66 = true;
      return true;
    case 0x67:
      d.prefix_67 = true;
      return true;
    case 0xF0:
      d.lock = true;
      return true;
    case 0xF2:
    case 0xF3:
      d.rep = byte;
      return true;
    default:
      return false;
  }
}

void parse_prefixes(Cursor& in, Decoded& d) {
  while (in.position() < kMaxInsnLength) {
    const std::uint8_t byte = in.peek();
    if (take_prefix(d, byte)) {
      d.rex = 0;  // a REX that does not stand right before the opcode is ignored (SDM vol. 2, 2.2.1)
    } else if (d.code64 && (byte & 0xF0) == 0x40) {
      d.rex = byte;
    } else {
      return;
    }
    in.next();
  }
}

void parse_opcode(Cursor& in, Decoded& d) {
  d.opcode = in.next();
  if (d.opcode != 0x0F) return;
  d.map = Map::x0f;
  d.opcode = in.next();
  if (d.opcode == 0x38 || d.opcode == 0x3A) {
    d.map = d.opcode == 0x38 ? Map::x0f38 : Map::x0f3a;
    d.opcode = in.next();
  }
}

void default_segment(Decoded& d, unsigned segment) {
  if (!d.segment_override) d.segment = static_cast<std::uint8_t>(segment);
}

void parse_displacement(Cursor& in, Decoded& d, unsigned wide) {
  if (d.mod == 1) d.displacement = in.next_signed(1);
  if (d.mod == 2) d.displacement = in.next_signed(wide);
}

/// SDM vol. 2, table 2-1.
void parse_memory16(Cursor& in, Decoded& d) {
  static constexpr std::uint8_t kBase[8] = {kRbx, kRbx, kRbp, kRbp, kNoRegister, kNoRegister, kRbp, kRbx};
  static constexpr std::uint8_t kIndex[8] = {kRsi, kRdi, kRsi, kRdi, kRsi, kRdi, kNoRegister, kNoRegister};
  if (d.mod == 0 && d.rm3() == 6) {
    d.displacement = in.next_signed(2);
    return;
  }
  d.base = kBase[d.rm3()];
  d.index = kIndex[d.rm3()];
  if (d.base == kRbp) default_segment(d, kSs);
  parse_displacement(in, d, 2);
}

void parse_sib(Cursor& in, Decoded& d) {
  const std::uint8_t sib = in.next();
  const unsigned index = ((sib >> 3) & 7u) | ((d.rex & 2u) << 2);
  if (index != kRsp) {
    d.index = static_cast<std::uint8_t>(index);
    d.scale = static_cast<std::uint8_t>(sib >> 6);
  }
  if ((sib & 7) == 5 && d.mod == 0) {
    d.displacement = in.next_signed(4);
  } else {
    d.base = static_cast<std::uint8_t>((sib & 7u) | ((d.rex & 1u) << 3));
  }
}

/// SDM vol. 2, tables 2-2 and 2-3; 2.2.1.6 for RIP-relative addresses.
void parse_memory(Cursor& in, Decoded& d) {
  if (d.address_bytes == 2) {
    parse_memory16(in, d);
    return;
  }
  if (d.rm3() == 4) {
    parse_sib(in, d);
  } else if (d.rm3() == 5 && d.mod == 0) {
    d.displacement = in.next_signed(4);
    if (d.code64) d.base = kRipBase;
  } else {
    d.base = d.rm;
  }
  if (d.base == kRsp || d.base == kRbp) default_segment(d, kSs);
  parse_displacement(in, d, 4);
}

void set_sizes(Decoded& d, std::uint64_t mode_bits) {
  if (d.code64) {
    d.address_bytes = d.prefix_67 ? 4 : 8;
  } else {
    const bool code32 = (mode_bits & mode::kCode32) != 0;
    d.address_bytes = code32 != d.prefix_67 ? 4 : 2;
    d.operand_bytes = code32 != d.prefix_66 ? 4 : 2;
  }
}

void set_operand_size64(Decoded& d, std::uint32_t flags) {
  if (d.rex_w() || (flags & kForce64) != 0) {
    d.operand_bytes = 8;
  } else if (d.prefix_66) {
    d.operand_bytes = 2;
  } else {
    d.operand_bytes = (flags & kDefault64) != 0 ? 8 : 4;
  }
}

void parse_immediate(Cursor& in, Decoded& d, Operand operand, bool first) {
  const unsigned z = d.operand_bytes == 2 ? 2 : 4;
  std::int64_t value = 0;
  switch (operand) {
    using enum Operand;
    case Ib:
      value = in.next();
      break;
    case Iw:
      value = static_cast<std::int64_t>(in.next_bytes(2));
      break;
    case sIb:
    case Jb:
      value = in.next_signed(1);
      break;
    case Iz:
    case Jz:
      value = in.next_signed(z);
      break;
    case Iv:
      value = in.next_signed(d.operand_bytes);
      break;
    case Ap:
      d.immediate = static_cast<std::int64_t>(in.next_bytes(z));
      d.immediate2 = static_cast<std::uint16_t>(in.next_bytes(2));
      return;
    case Ob:
    case Ov:
      d.displacement = static_cast<std::int64_t>(in.next_bytes(d.address_bytes));
      return;
    default:
      return;
  }
  if (first) {
    d.immediate = value;
  } else {
    d.immediate2 = static_cast<std::uint16_t>(value);
  }
}

constexpr bool is_immediate(Operand o) {
  using enum Operand;
  return (o >= Ib && o <= sIb) || o == Jb || o == Jz || o == Ap;
}

Prefix mandatory_prefix(const Decoded& d) {
  if (d.rep == 0xF3) return Prefix::xF3;
  if (d.rep == 0xF2) return Prefix::xF2;
  return d.prefix_66 ? Prefix::x66 : Prefix::none;
}

constexpr std::size_t bucket_index(Map map, unsigned opcode) {
  return static_cast<std::size_t>(map) * 256 + opcode;
}

/// What rows are matched by, in one word: ModRM.rm in bits 0..2, reg 3..5, mod = 3 in 6, 64-bit code in 7,
/// then the mandatory prefix.
constexpr std::uint32_t kRmBits = 7, kRegBits = 7u << 3, kModBit = 1u << 6, kCode64Bit = 1u << 7,
                        kPrefixShift = 8;
constexpr std::uint32_t kPrefixBits = 7u << kPrefixShift;

std::uint32_t instruction_bits(const Decoded& d) {
  return d.rm3() | d.reg3() << 3 | (d.mod == 3 ? kModBit : 0) | (d.code64 ? kCode64Bit : 0) |
         static_cast<std::uint32_t>(mandatory_prefix(d)) << kPrefixShift;
}

/// MOV to and from control and debug registers take ModRM.rm as a register whatever mod says.
bool ignores_mod(const Row& row) {
  return std::any_of(std::begin(row.operands), std::end(row.operands),
                     [](Operand o) { return o == Operand::Rv || o == Operand::Ry; });
}

}  // namespace

Decoder::Decoder(std::span<const Row> integer, std::span<const Row> system, std::span<const Row> fp) {
  std::array<std::vector<const Row*>, 4 * 256> sorted;
  for (const std::span<const Row> table : {integer, system, fp})
    for (const Row& row : table)
      for (unsigned opcode = row.opcode; opcode <= row.last_opcode(); ++opcode)
        sorted[bucket_index(row.map, opcode)].push_back(&row);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    auto& rows = sorted[i];
    for (std::size_t j = 0; j < rows.size(); ++j)
      for (std::size_t k = j + 1; k < rows.size(); ++k) {
        CHECK(!rows_conflict(*rows[j], *rows[k]), "map {} opcode {:#x}: {} and {} overlap", i >> 8, i & 255,
              rows[j]->mnemonic, rows[k]->mnemonic);
        // Rows of the two kinds of mode may differ (BOUND, EVEX); within a mode the byte after is ModRM or
        // not.
        CHECK(rows[j]->has_modrm() == rows[k]->has_modrm(),
              "map {} opcode {:#x}: {} and {} do not agree on ModRM", i >> 8, i & 255, rows[j]->mnemonic,
              rows[k]->mnemonic);
      }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row* a, const Row* b) { return specificity(*a) > specificity(*b); });
    buckets_[i] = {static_cast<std::uint32_t>(rows_.size()), static_cast<std::uint16_t>(rows.size()),
                   !rows.empty() && rows[0]->has_modrm()};
    for (const Row* row : rows) rows_.push_back(entry_of(*row));
  }
}

const Row* Decoder::find(const Bucket& bucket, const Decoded& d) const {
  const std::uint32_t bits = instruction_bits(d);
  for (std::uint32_t i = bucket.first; i < bucket.first + bucket.count; ++i)
    if ((bits & rows_[i].mask) == rows_[i].needs) return rows_[i].row;
  return nullptr;
}

Decoder::Entry Decoder::entry_of(const Row& row) {
  Entry entry{&row, 0, 0};
  const auto ask = [&](std::uint32_t mask, std::uint32_t needs) {
    entry.mask |= mask;
    entry.needs |= needs;
  };
  if (row.match.rm >= 0) ask(kRmBits, static_cast<std::uint32_t>(row.match.rm));
  if (row.match.reg >= 0) ask(kRegBits, static_cast<std::uint32_t>(row.match.reg) << 3);
  if (mod_of(row) != Mod::any) ask(kModBit, mod_of(row) == Mod::reg ? kModBit : 0);
  if (row.match.prefix != Prefix::any)
    ask(kPrefixBits, static_cast<std::uint32_t>(row.match.prefix) << kPrefixShift);
  if ((row.flags & (kNo64 | kOnly64)) != 0) ask(kCode64Bit, (row.flags & kOnly64) != 0 ? kCode64Bit : 0);
  return entry;
}

DecodeStatus Decoder::decode(std::span<const std::uint8_t> bytes, std::uint64_t mode_bits,
                             Decoded& out) const {
  out = Decoded{};
  out.code64 = (mode_bits & mode::kCode64) != 0;
  Cursor in(bytes);
  parse_prefixes(in, out);
  parse_opcode(in, out);
  set_sizes(out, mode_bits);
  const Bucket& bucket = buckets_[bucket_index(out.map, out.opcode)];
  if (bucket.has_modrm) {
    out.has_modrm = true;
    out.modrm = in.next();
    out.mod = static_cast<std::uint8_t>(out.modrm >> 6);
    out.reg = static_cast<std::uint8_t>(((out.modrm >> 3) & 7u) | ((out.rex & 4u) << 1));
    out.rm = static_cast<std::uint8_t>((out.modrm & 7u) | ((out.rex & 1u) << 3));
  }
  out.length = static_cast<std::uint8_t>(std::min(in.position(), kMaxInsnLength));
  if (in.status() != DecodeStatus::ok) return in.status();
  out.row = find(bucket, out);
  if (out.row == nullptr) return DecodeStatus::undefined;
  if (out.code64) set_operand_size64(out, out.row->flags);
  if (out.has_modrm) {
    if (ignores_mod(*out.row)) out.mod = 3;
    if (out.mod != 3) parse_memory(in, out);
  }
  bool first = true;
  for (const Operand operand : out.row->operands) {
    parse_immediate(in, out, operand, first);
    if (is_immediate(operand)) first = false;
  }
  out.length = static_cast<std::uint8_t>(std::min(in.position(), kMaxInsnLength));
  return in.status();
}

}  // namespace hindsight::engine::guest::x86
