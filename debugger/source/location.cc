#include "debugger/source/location.h"

#include <dwarf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace hindsight::debugger::source {
namespace {

constexpr std::size_t kMostSteps = 1000, kMostStack = 64, kMostPieces = 64;
constexpr std::uint64_t kMostBytes = 4096;
constexpr int kDeepest = 8;  // expressions that lean on others

const Error kGone{"optimized out"};

std::int64_t as_signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t as_unsigned(std::int64_t value) { return static_cast<std::uint64_t>(value); }

class Evaluation final {
 public:
  Evaluation(const FrameView& frame, int depth) : frame_(frame), depth_(depth) {}

  Result<std::vector<Piece>> run(std::span<const Dwarf_Op> all, Dwarf_Attribute* attribute) {
    all_ = all;
    attribute_ = attribute;
    if (depth_ > kDeepest) return error("a location that leans on itself");
    for (std::size_t i = 0, steps = 0; i < all.size(); ++i) {
      if (++steps > kMostSteps) return error("a location that does not end");
      next_ = i;
      if (const Status done = step(all[i]); !done) return done.failure();
      i = next_;
    }
    if (!composed_) {
      if (const Status done = end_piece(0); !done) return done.failure();
    }
    return std::move(pieces_);
  }

 private:
  Status push(std::uint64_t value) {
    if (stack_.size() >= kMostStack) return error("a location that is too deep");
    stack_.push_back(value);
    return Done{};
  }
  bool pop(std::uint64_t& value) {
    if (stack_.empty()) return false;
    value = stack_.back();
    stack_.pop_back();
    return true;
  }

  Status push_register(std::uint64_t number, std::uint64_t offset) {
    if (number >= frame_.registers.size()) return error("in a register that is not kept");
    if (!frame_.registers[number]) return kGone;
    return push(*frame_.registers[number] + offset);
  }

  /// The value itself is in that register.
  Status take_register(std::uint64_t number) {
    if (number >= frame_.registers.size()) return error("in a register that is not kept");
    if (frame_.registers[number]) {
      here_.kind = Piece::Kind::constant;
      here_.value = *frame_.registers[number];
    } else {
      here_.kind = Piece::Kind::gone;
    }
    placed_ = true;
    return Done{};
  }

  Status dereference(std::uint64_t size) {
    std::uint64_t address = 0, value = 0;
    if (size == 0 || size > sizeof value || !pop(address)) return error("a location that is damaged");
    if (!frame_.read(GuestVirt{address}, std::as_writable_bytes(std::span(&value, 1)).first(size)))
      return error("nothing can be read at {:#x}", address);
    return push(value);
  }

  Status end_piece(std::uint64_t size) {
    if (!placed_) {
      std::uint64_t value = 0;
      if (pop(value)) {
        here_.kind = as_value_ ? Piece::Kind::constant : Piece::Kind::memory;
        here_.value = value;
      } else {
        here_.kind = Piece::Kind::gone;
      }
    }
    here_.size = size;
    if (pieces_.size() >= kMostPieces) return error("a value in too many pieces");
    pieces_.push_back(std::move(here_));
    here_ = {};
    placed_ = as_value_ = false;
    return Done{};
  }

  Status frame_base() {
    Dwarf_Attribute base;
    if (!frame_.function) return error("a location without a frame");
    Dwarf_Die function = *frame_.function;
    if (dwarf_attr_integrate(&function, DW_AT_frame_base, &base) == nullptr)
      return error("a location without a frame");
    Dwarf_Op* expression = nullptr;
    std::size_t length = 0;
    if (dwarf_getlocation_addr(&base, frame_.pc, &expression, &length, 1) != 1) return kGone;
    const auto found = Evaluation(frame_, depth_ + 1).run({expression, length}, &base);
    if (!found) return found.failure();
    if (found->size() != 1 || found->front().kind == Piece::Kind::gone) return kGone;
    return push(found->front().value);
  }

  Status call_frame() {
    const auto address = depth_ < kDeepest ? canonical_frame_address(frame_) : std::nullopt;
    return address ? push(*address) : Status(error("without call-frame information its place is not known"));
  }

  Status binary(unsigned op) {
    std::uint64_t b = 0, a = 0;
    if (!pop(b) || !pop(a)) return error("a location that is damaged");
    switch (op) {
      case DW_OP_and:
        return push(a & b);
      case DW_OP_or:
        return push(a | b);
      case DW_OP_xor:
        return push(a ^ b);
      case DW_OP_plus:
        return push(a + b);
      case DW_OP_minus:
        return push(a - b);
      case DW_OP_mul:
        return push(a * b);
      case DW_OP_div:
        if (b == 0 || (b == ~std::uint64_t{0} && a == std::uint64_t{1} << 63))
          return error("a location that divides by zero");
        return push(as_unsigned(as_signed(a) / as_signed(b)));
      case DW_OP_mod:
        if (b == 0) return error("a location that divides by zero");
        return push(a % b);
      case DW_OP_shl:
        return push(b < 64 ? a << b : 0);
      case DW_OP_shr:
        return push(b < 64 ? a >> b : 0);
      case DW_OP_shra:
        return push(as_unsigned(as_signed(a) >> std::min<std::uint64_t>(b, 63)));
      case DW_OP_eq:
        return push(a == b ? 1 : 0);
      case DW_OP_ne:
        return push(a != b ? 1 : 0);
      case DW_OP_lt:
        return push(as_signed(a) < as_signed(b) ? 1 : 0);
      case DW_OP_le:
        return push(as_signed(a) <= as_signed(b) ? 1 : 0);
      case DW_OP_gt:
        return push(as_signed(a) > as_signed(b) ? 1 : 0);
      default:
        return push(as_signed(a) >= as_signed(b) ? 1 : 0);  // DW_OP_ge
    }
  }

  Status shuffle(const Dwarf_Op& op) {
    const std::size_t depth = op.atom == DW_OP_dup ? 0 : op.atom == DW_OP_over ? 1 : op.number;
    switch (op.atom) {
      case DW_OP_dup:
      case DW_OP_over:
      case DW_OP_pick:
        if (depth >= stack_.size()) break;
        return push(stack_[stack_.size() - 1 - depth]);
      case DW_OP_drop:
        if (stack_.empty()) break;
        stack_.pop_back();
        return Done{};
      case DW_OP_swap:
        if (stack_.size() < 2) break;
        std::swap(stack_.back(), stack_[stack_.size() - 2]);
        return Done{};
      case DW_OP_rot:
        if (stack_.size() < 3) break;
        std::rotate(stack_.end() - 3, stack_.end() - 1, stack_.end());
        return Done{};
      default:
        break;
    }
    return error("a location that is damaged");
  }

  Status unary(const Dwarf_Op& op) {
    std::uint64_t value = 0;
    if (!pop(value)) return error("a location that is damaged");
    switch (op.atom) {
      case DW_OP_abs:
        return push(as_signed(value) < 0 ? 0 - value : value);
      case DW_OP_neg:
        return push(0 - value);
      case DW_OP_not:
        return push(~value);
      default:
        return push(value + op.number);  // DW_OP_plus_uconst
    }
  }

  /// To the operation at that offset of the expression.
  Status branch(const Dwarf_Op& op) {
    std::uint64_t condition = 1;
    if (op.atom == DW_OP_bra && !pop(condition)) return error("a location that is damaged");
    if (condition == 0) return Done{};
    // Operands of 2 bytes behind one of the operation, and signed.
    const auto distance = static_cast<std::int16_t>(op.number);
    const std::uint64_t target = op.offset + 3 + as_unsigned(std::int64_t{distance});
    const auto to = std::ranges::find(all_, target, &Dwarf_Op::offset);
    if (to == all_.end() && target <= all_.back().offset) return error("a location that is damaged");
    next_ = static_cast<std::size_t>(to - all_.begin()) - 1;
    return Done{};
  }

  /// To an integer type of another size (DWARF 5, 2.5.1.6); 0: to one as wide as an address.
  Status convert(const Dwarf_Op& op) {
    std::uint64_t value = 0;
    if (!pop(value)) return error("a location that is damaged");
    if (op.number == 0) return push(value);
    Dwarf_Die type;
    Dwarf_Attribute encoding;
    Dwarf_Word kind = 0;
    if (attribute_ == nullptr || dwarf_getlocation_die(attribute_, &op, &type) != 0 ||
        dwarf_formudata(dwarf_attr(&type, DW_AT_encoding, &encoding), &kind) != 0)
      return error("a location of a kind that is not worked out");
    const int size = dwarf_bytesize(&type);
    if (kind == DW_ATE_float || size < 1 || size > 8)
      return error("a location of a kind that is not worked out");
    const unsigned unused = 64 - 8 * static_cast<unsigned>(size);
    if (kind == DW_ATE_signed || kind == DW_ATE_signed_char)
      return push(as_unsigned(as_signed(value << unused) >> unused));
    return push(value << unused >> unused);
  }

  Status implicit(const Dwarf_Op& op) {
    Dwarf_Block block;
    if (attribute_ == nullptr || dwarf_getlocation_implicit_value(attribute_, &op, &block) != 0)
      return error("a location that is damaged");
    here_.kind = Piece::Kind::bytes;
    here_.bytes.resize(std::min<std::uint64_t>(block.length, kMostBytes));
    std::memcpy(here_.bytes.data(), block.data, here_.bytes.size());
    placed_ = true;
    return Done{};
  }

  /// An address of the file, through an index or not.
  Status address(const Dwarf_Op& op) {
    std::uint64_t link = op.number;
    if (op.atom != DW_OP_addr) {
      Dwarf_Attribute found;
      if (attribute_ == nullptr || dwarf_getlocation_attr(attribute_, &op, &found) != 0 ||
          dwarf_formaddr(&found, &link) != 0)
        return error("a location that is damaged");
    }
    const auto loaded = frame_.file.loaded(link);
    return loaded ? push(loaded->value) : error("not loaded");
  }

  Status step(const Dwarf_Op& op) {
    const unsigned atom = op.atom;
    if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) return push(atom - DW_OP_lit0);
    if (atom >= DW_OP_reg0 && atom <= DW_OP_reg31) return take_register(atom - DW_OP_reg0);
    if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) return push_register(atom - DW_OP_breg0, op.number);
    if (atom >= DW_OP_const1u && atom <= DW_OP_consts) return push(op.number);
    switch (atom) {
      case DW_OP_addr:
      case DW_OP_addrx:
      case DW_OP_GNU_addr_index:
        return address(op);
      case DW_OP_constx:
      case DW_OP_GNU_const_index:
        return error("a location of a kind that is not worked out");
      case DW_OP_regx:
        return take_register(op.number);
      case DW_OP_bregx:
        return push_register(op.number, op.number2);
      case DW_OP_fbreg: {
        Status base = frame_base();
        if (!base) return base;
        stack_.back() += op.number;
        return Done{};
      }
      case DW_OP_call_frame_cfa:
        return call_frame();
      case DW_OP_deref:
        return dereference(8);
      case DW_OP_deref_size:
        return dereference(op.number);
      case DW_OP_dup:
      case DW_OP_over:
      case DW_OP_pick:
      case DW_OP_drop:
      case DW_OP_swap:
      case DW_OP_rot:
        return shuffle(op);
      case DW_OP_abs:
      case DW_OP_neg:
      case DW_OP_not:
      case DW_OP_plus_uconst:
        return unary(op);
      case DW_OP_skip:
      case DW_OP_bra:
        return branch(op);
      case DW_OP_convert:
      case DW_OP_GNU_convert:
        return convert(op);
      case DW_OP_nop:
      case DW_OP_GNU_uninit:
        return Done{};
      case DW_OP_stack_value:
        as_value_ = true;
        return Done{};
      case DW_OP_implicit_value:
        return implicit(op);
      case DW_OP_piece:
        composed_ = true;
        return end_piece(op.number);
      case DW_OP_entry_value:
      case DW_OP_GNU_entry_value:
      case DW_OP_implicit_pointer:
      case DW_OP_GNU_implicit_pointer:
        return kGone;
      default:
        break;
    }
    if ((atom >= DW_OP_and && atom <= DW_OP_xor) || (atom >= DW_OP_eq && atom <= DW_OP_ne))
      return binary(atom);
    return error("a location of a kind that is not worked out");
  }

  const FrameView& frame_;
  const int depth_;
  std::span<const Dwarf_Op> all_;
  Dwarf_Attribute* attribute_ = nullptr;
  std::size_t next_ = 0;
  std::vector<std::uint64_t> stack_;
  std::vector<Piece> pieces_;
  Piece here_;
  bool placed_ = false, as_value_ = false, composed_ = false;
};

}  // namespace

Result<std::vector<Piece>> locate(const FrameView& frame, Dwarf_Attribute& attribute) {
  Dwarf_Op* expression = nullptr;
  std::size_t length = 0;
  if (dwarf_getlocation_addr(&attribute, frame.pc, &expression, &length, 1) != 1 || length == 0) return kGone;
  return Evaluation(frame, 0).run({expression, length}, &attribute);
}

Result<Piece> evaluate(const FrameView& frame, std::span<const Dwarf_Op> expression) {
  auto pieces = Evaluation(frame, 0).run(expression, nullptr);
  if (!pieces) return pieces.failure();
  if (pieces->size() != 1) return kGone;
  return std::move(pieces->front());
}

std::optional<std::uint64_t> canonical_frame_address(const FrameView& frame) {
  const std::unique_ptr<Dwarf_Frame, decltype(&std::free)> rules(frame.file.call_frame(frame.pc), &std::free);
  Dwarf_Op* expression = nullptr;
  std::size_t length = 0;
  if (!rules || dwarf_frame_cfa(rules.get(), &expression, &length) != 0 || length == 0) return std::nullopt;
  // A frame's address does not lean on itself.
  const std::span<const Dwarf_Op> all(expression, length);
  if (std::ranges::find(all, DW_OP_call_frame_cfa, &Dwarf_Op::atom) != all.end()) return std::nullopt;
  const auto found = evaluate(frame, all);
  if (!found || found->kind == Piece::Kind::gone) return std::nullopt;
  return found->value;
}

Result<std::vector<std::byte>> fetch(const std::vector<Piece>& pieces, std::uint64_t size,
                                     const MemoryReader& read) {
  std::vector<std::byte> value(std::min(size, kMostBytes));
  std::size_t done = 0;
  for (const Piece& piece : pieces) {
    const std::size_t part =
        std::min<std::uint64_t>(piece.size == 0 ? value.size() : piece.size, value.size() - done);
    const auto out = std::span(value).subspan(done, part);
    switch (piece.kind) {
      case Piece::Kind::gone:
        return kGone;
      case Piece::Kind::memory:
        if (!read(GuestVirt{piece.value}, out)) return error("nothing can be read at {:#x}", piece.value);
        break;
      case Piece::Kind::constant:
        std::memcpy(out.data(), &piece.value, std::min(part, sizeof piece.value));
        break;
      case Piece::Kind::bytes:
        std::copy_n(piece.bytes.begin(), std::min(part, piece.bytes.size()), out.begin());
        break;
    }
    done += part;
  }
  if (done < value.size()) return kGone;
  return value;
}

}  // namespace hindsight::debugger::source
