// x87 operations on the host's x87 unit. Within a segment of a block the host's stack caches guest registers
// under the guest's control word; where the segment closes (a call, a look at the x87 state, the block's end)
// registers, tags, TOP and status are written back and the unit is left empty, with the control word of the
// ABI (037F). The tags that all operations of a segment want are checked once, where it opens; if they are
// not so, the helper does the instruction and control goes back to the run loop.
//
// Exception flags in the host's status word are always among the guest's, so they need no clearing.
#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"
#include "engine/ir/x87_ops.h"

namespace hindsight::engine::host::x64 {

using ir::kFlagsAll;
using ir::X87Format;
using ir::X87Kind;
using ir::X87Operands;

namespace {

// Status word (SDM vol. 1, 8.1.3).
constexpr std::int32_t kExceptions = 0x3F, kC1 = 0x200, kConditions = 0x4700, kCompared = 0x4500;
constexpr std::int32_t kHomeControl = 0x37F;

/// An instruction with a memory operand: opcode and ModRM.reg.
struct MemoryForm {
  std::uint8_t opcode, digit;
};
/// SDM vol. 2, tables, in the order of X87Format.
constexpr MemoryForm kLoad[] = {{0xD9, 0}, {0xDD, 0}, {0xDB, 5}, {0xDF, 0}, {0xDB, 0}, {0xDF, 5}};
constexpr MemoryForm kStore[] = {{0xD9, 2}, {0xDD, 2}, {0xDB, 7}, {0xDF, 2}, {0xDB, 2},
                                 {0xDF, 7}, {0xDF, 1}, {0xDB, 1}, {0xDD, 1}};
constexpr std::uint8_t arithmetic_opcode(X87Format format) {
  return format == X87Format::f32   ? 0xD8
         : format == X87Format::i32 ? 0xDA
         : format == X87Format::f64 ? 0xDC
                                    : 0xDE;
}
constexpr Mem kScratchControl = spill_slot(kSlowFunction);

bool has_memory(X87Kind kind) {
  return kind == X87Kind::load || kind == X87Kind::store || kind == X87Kind::arithmetic_memory ||
         kind == X87Kind::compare_memory;
}

}  // namespace

Mem BlockCompiler::x87_slot(unsigned physical) const {
  return state(static_cast<std::int32_t>(layout_.x87.registers + physical * 16));
}

bool BlockCompiler::overlaps_x87(std::int32_t offset, unsigned size) const {
  const auto inside = [&](std::uint32_t base, std::int32_t bytes) {
    const auto from = static_cast<std::int32_t>(base);
    return offset < from + bytes && from < offset + static_cast<std::int32_t>(size);
  };
  const ir::X87Slots& s = layout_.x87;
  return inside(s.registers, 128) || inside(s.control, 2) || inside(s.status, 2) || inside(s.top, 1) ||
         inside(s.tags, 1);
}

// --- the host's stack: x87_.stack[depth - 1] is ST(0) ---
// It caches contents, whatever the tags say: a register popped keeps what it had, as FXSAVE can tell. So the
// host's instructions here do not pop but to make place, and eight registers are always enough.

/// ST number of a guest register, or -1.
int BlockCompiler::x87_index(unsigned physical) const {
  for (unsigned i = 0; i < x87_.depth; ++i)
    if (x87_.stack[x87_.depth - 1u - i] == physical) return static_cast<int>(i);
  return -1;
}

void BlockCompiler::x87_op(unsigned opcode, unsigned modrm) { e_->u8(opcode), e_->u8(modrm); }

void BlockCompiler::x87_exchange_with(unsigned i) {
  if (i == 0) return;
  x87_op(0xD9, 0xC8 + i);
  std::swap(x87_.stack[x87_.depth - 1u], x87_.stack[x87_.depth - 1u - i]);
}

void BlockCompiler::x87_pushed(unsigned physical, bool dirty) {
  x87_.stack[x87_.depth++] = static_cast<std::uint8_t>(physical);
  if (dirty) x87_.dirty |= static_cast<std::uint8_t>(1u << physical);
}

/// Brings a guest register to ST(0).
void BlockCompiler::x87_to_top(unsigned physical) {
  const int i = x87_index(physical);
  if (i >= 0) return x87_exchange_with(static_cast<unsigned>(i));
  e_->op_rm(4, 0xDB, 5, x87_slot(physical));
  x87_pushed(physical, false);
}

/// Loads a second operand without losing sight of ST(0), which the caller brings there afterwards.
void BlockCompiler::x87_cache(unsigned physical) {
  if (x87_index(physical) < 0) x87_to_top(physical);
}

/// Forgets what a guest register holds, which is to be replaced.
void BlockCompiler::x87_drop(unsigned physical) {
  x87_.dirty &= static_cast<std::uint8_t>(~(1u << physical));
  const int i = x87_index(physical);
  if (i < 0) return;
  x87_op(0xDD, 0xD8u + static_cast<unsigned>(i));  // fstp st(i): ST(0) takes its place
  x87_.stack[x87_.depth - 1u - static_cast<unsigned>(i)] = x87_.stack[x87_.depth - 1u];
  --x87_.depth;
}

// --- segments ---

/// Writes everything back and leaves the unit empty. Emits only; uses the scratch register and EFLAGS.
void BlockCompiler::x87_emit_commit() {
  const ir::X87Slots& slots = layout_.x87;
  const X87State& x = x87_;
  const Mem status = state(static_cast<std::int32_t>(slots.status));
  const bool host_c1 = x.c1 == X87State::C1::host;
  const bool read = x.raised || host_c1;
  if (read) x87_op(0xDF, 0xE0);  // fnstsw ax
  for (unsigned i = x.depth; i-- > 0;) {
    if (x.dirty >> x.stack[i] & 1)
      e_->op_rm(4, 0xDB, 7, x87_slot(x.stack[i]));
    else
      x87_op(0xDD, 0xD8);
  }
  if (read) e_->alu_ri(kAnd, 4, RAX, kExceptions | (host_c1 ? kC1 : 0));
  if (x.c1 != X87State::C1::saved) e_->alu_mi(kAnd, 1, state(status.disp + 1), ~(kC1 >> 8));
  if (read) e_->alu_mr(kOr, 2, status, RAX);
  const Mem tags = state(static_cast<std::int32_t>(slots.tags));
  const unsigned set = x.tags_changed & x.tags, clear = x.tags_changed & ~x.tags;
  if (clear != 0) e_->alu_mi(kAnd, 1, tags, static_cast<std::int32_t>(~clear));
  if (set != 0) e_->alu_mi(kOr, 1, tags, static_cast<std::int32_t>(set));
  if (x.top_changed) {
    e_->mov_mi(1, state(static_cast<std::int32_t>(slots.top)), x.top);
    e_->mov_mi(1, state(HINDSIGHT_STATE(mode) + 7), x.mode_byte);
  }
}

void BlockCompiler::x87_home_control() {
  e_->mov_mi(4, kScratchControl, kHomeControl);
  e_->op_rm(4, 0xD9, 5, kScratchControl);
}
void BlockCompiler::x87_guest_control() {
  e_->op_rm(4, 0xD9, 5, state(static_cast<std::int32_t>(layout_.x87.control)));
}

/// If the guest's control word is not the usual one: out of line, and back.
void BlockCompiler::x87_switch_control(bool home) {
  e_->movzx_rm(2, kScratch, state(static_cast<std::int32_t>(layout_.x87.control)));
  e_->alu_ri(kCmp, 4, kScratch, kHomeControl);
  std::uint8_t* other = e_->jcc(kNe);
  e_ = cold_;
  e_->patch_here(other);
  if (home)
    x87_home_control();
  else
    x87_guest_control();
  e_->jmp_to(hot_->cursor());
  e_ = hot_;
}

/// Closes the segment in the main line.
void BlockCompiler::x87_close() {
  if (!x87_.open) return;
  sync_flags();
  host_ = 0, zero_ = 0;
  x87_emit_commit();
  x87_switch_control(true);
  x87_ = X87State{};
}

/// Out of line, before anything that may look at the state: as if closed, for the time being.
void BlockCompiler::x87_suspend() {
  if (!x87_.open) return;
  x87_emit_commit();
  x87_home_control();
}
/// Back to the main line. Keeps EFLAGS.
void BlockCompiler::x87_resume() {
  if (!x87_.open) return;
  x87_guest_control();
  for (unsigned i = 0; i < x87_.depth; ++i) e_->op_rm(4, 0xDB, 5, x87_slot(x87_.stack[i]));
  if (x87_.c1 != X87State::C1::host) return;
  // The main line will take C1 from the host.
  constexpr std::int32_t kEnvironment = HINDSIGHT_STATE(vector_scratch);
  e_->u8(0x9C);  // pushfq
  e_->op_rm(4, 0xD9, 6, state(kEnvironment));
  e_->movzx_rm(2, kScratch, state(static_cast<std::int32_t>(layout_.x87.status)));
  e_->alu_ri(kAnd, 4, kScratch, kC1);
  e_->alu_mi(kAnd, 2, state(kEnvironment + 4), static_cast<std::int16_t>(~kC1));
  e_->alu_mr(kOr, 2, state(kEnvironment + 4), kScratch);
  e_->op_rm(4, 0xD9, 4, state(kEnvironment));
  e_->u8(0x9D);  // popfq
}

/// Calls the helper of operation i out of line; its address operand is at `address`, if it has one.
void BlockCompiler::x87_call_helper(std::size_t i, const AddressParts* address) {
  const Inst& inst = insts_[i];
  const auto packed = static_cast<std::uint64_t>(inst.imm);
  const Mem operands = spill_slot(kSlowValue);
  if (address != nullptr) {
    e_->lea(8, kScratch, address->mem());
    e_->mov_mr(8, spill_slot(kSlowAddress), kScratch);
  }
  e_->mov_ri(kScratch, reinterpret_cast<std::uint64_t>(inst.helper->fn));
  e_->mov_mr(8, spill_slot(kSlowFunction), kScratch);
  e_->mov_ri(kScratch, packed);
  e_->mov_mr(8, operands, kScratch);
  e_->call_to(layout_.routines.slow_x87[any_xmm() ? 1 : 0]);
  e_->u8(0x0F), e_->u8(0x1F), e_->u8(0x80), e_->u32(site().pack());
}

/// The tags that the operations from i on want, as far as they can be known here; sets where that ends.
ir::X87Tags BlockCompiler::x87_plan(std::size_t i) {
  ir::X87Tags wanted;
  std::uint8_t known = 0, tags = 0;
  x87_.end = count_;
  for (std::size_t j = i; j < count_; ++j) {
    const Inst& inst = insts_[j];
    if (inst.op == Op::Call) break;
    if (inst.op == Op::StoreReg && overlaps_x87(static_cast<std::int32_t>(inst.imm), ir::bytes_of(inst.type)))
      break;
    if (inst.op != Op::X87) continue;
    const ir::X87Tags w = ir::x87_tags_wanted(inst);
    if ((known & ((w.full & ~tags) | (w.empty & tags))) != 0 ||
        (j > i && (w.full & w.empty) != 0)) {  // a stack fault for certain
      x87_.end = j;
      break;
    }
    wanted.full |= static_cast<std::uint8_t>(w.full & ~known);
    wanted.empty |= static_cast<std::uint8_t>(w.empty & ~known);
    tags = static_cast<std::uint8_t>((tags & known) | w.full);
    known |= static_cast<std::uint8_t>(w.full | w.empty);
    const std::uint8_t ones = ir::x87_tags_after(inst, 0), zeros = ir::x87_tags_after(inst, 0xFF);
    known |= static_cast<std::uint8_t>(ones | ~zeros);
    tags = static_cast<std::uint8_t>((tags | ones) & zeros);
  }
  return wanted;
}

/// Before operation i: opens a segment if none is open or this one does not cover it.
void BlockCompiler::x87_open(std::size_t i, const AddressParts* address) {
  if (x87_.open && i >= x87_.end) x87_close();
  if (x87_.open) return;
  clobber_flags(kFlagsAll);
  const ir::X87Slots& slots = layout_.x87;  // nothing else may stand for what the segment will change
  flush_vectors(static_cast<std::int32_t>(slots.registers), 128, true);
  evacuate_slots(static_cast<std::int32_t>(slots.registers), 128);
  evacuate_slots(static_cast<std::int32_t>(slots.status), 2);
  evacuate_slots(static_cast<std::int32_t>(slots.top), 1);
  evacuate_slots(static_cast<std::int32_t>(slots.tags), 1);
  const ir::X87Tags wanted = x87_plan(i);
  const bool never = (wanted.full & wanted.empty) != 0;
  e_->movzx_rm(1, kScratch, state(static_cast<std::int32_t>(layout_.x87.tags)));
  e_->alu_ri(kAnd, 4, kScratch, wanted.full | wanted.empty);
  e_->alu_ri(kCmp, 4, kScratch, wanted.full);
  std::uint8_t* unusual = never ? e_->jmp() : e_->jcc(kNe);
  e_ = cold_;
  e_->patch_here(unusual);
  flags_for_trap();
  for (const CachedVector& c : cached_)
    if (c.dirty) e_->movups_mr(state(c.offset), c.reg);
  x87_call_helper(i, address);
  if (insts_[i].flags_out != 0) {  // C, P and Z; the packed form has bit 9 set
    e_->mov_rm(4, kScratch, spill_slot(kSlowValue));
    e_->shift_ri(kShl, 4, kScratch, 8);
    e_->alu_ri(kOr, 4, kScratch, ir::packed::kFixed);
    e_->mov_mr(2, state(HINDSIGHT_STATE(flags)), kScratch);
  }
  if (const unsigned left = insn_count_ - (insn_index_ + 1); left != 0) e_->alu_ri(kAdd, 8, kBudget, left);
  pc_to_scratch(insts_[i].imm2);
  e_->jmp_to(layout_.routines.exit_leave);
  e_ = hot_;
  x87_switch_control(false);
  x87_.open = true;
}

/// After operation i: tags and TOP.
void BlockCompiler::x87_follow(std::size_t i) {
  const X87Operands o = X87Operands::unpack(insts_[i].imm);
  const std::uint8_t ones = ir::x87_tags_after(insts_[i], 0), zeros = ir::x87_tags_after(insts_[i], 0xFF);
  x87_.tags = static_cast<std::uint8_t>((x87_.tags | ones) & zeros);
  x87_.tags_changed |= static_cast<std::uint8_t>(ones | ~zeros);
  if (o.pops == 0) return;
  x87_.top = static_cast<std::uint8_t>(o.top_after());
  x87_.mode_byte = o.mode_byte;
  x87_.top_changed = true;
}

// --- operations ---

void BlockCompiler::x87_result(unsigned physical) { x87_.dirty |= static_cast<std::uint8_t>(1u << physical); }

void BlockCompiler::x87_arithmetic(const X87Operands& o, unsigned which) {
  const unsigned swapped =
      which >= 4 ? which ^ 1 : which;  // where the result goes to ST(i): tables
  x87_cache(o.src), x87_cache(o.dst);
  if (x87_index(o.src) == 0) {
    x87_op(0xDC, 0xC0 + 8 * swapped + static_cast<unsigned>(x87_index(o.dst)));
  } else {
    x87_to_top(o.dst);
    x87_op(0xD8, 0xC0 + 8 * which + static_cast<unsigned>(x87_index(o.src)));
  }
  x87_result(o.dst);
  x87_.raised = true, x87_.c1 = X87State::C1::host;
}

/// Conditions of the comparison just made, to the state at once: other instructions leave them undefined.
void BlockCompiler::x87_take_conditions() {
  const Mem status = state(static_cast<std::int32_t>(layout_.x87.status));
  x87_op(0xDF, 0xE0);  // fnstsw ax
  e_->alu_ri(kAnd, 4, kScratch, kExceptions | kCompared);
  e_->alu_mi(kAnd, 1, state(status.disp + 1), static_cast<std::int8_t>(~(kConditions >> 8)));
  e_->alu_mr(kOr, 2, status, kScratch);
  x87_.raised = false, x87_.c1 = X87State::C1::saved;
}

void BlockCompiler::x87_copy(const X87Operands& o) {
  x87_to_top(o.src);
  const int i = x87_index(o.dst);
  x87_.c1 = X87State::C1::zero;
  if (o.dst == o.src) return;
  if (i >= 0) {
    x87_op(0xDD, 0xD0u + static_cast<unsigned>(i));
    return x87_result(o.dst);
  }
  x87_op(0xD9, 0xC0u + static_cast<unsigned>(x87_index(o.src)));
  x87_pushed(o.dst, true);
}

void BlockCompiler::x87_exchange(const X87Operands& o) {
  x87_cache(o.dst), x87_cache(o.src);
  if (o.dst != o.src) {
    const auto a = x87_.depth - 1u - static_cast<unsigned>(x87_index(o.dst));
    const auto b = x87_.depth - 1u - static_cast<unsigned>(x87_index(o.src));
    std::swap(x87_.stack[a], x87_.stack[b]);
    x87_result(o.dst), x87_result(o.src);
  }
  x87_.c1 = X87State::C1::zero;
}

/// Its memory operand is at `m` in the host.
void BlockCompiler::x87_memory_operation(std::size_t i, const Mem& m) {
  const Inst& inst = insts_[i];
  const X87Operands o = X87Operands::unpack(inst.imm);
  const unsigned detail = ir::x87_detail(inst);
  const auto exact_format = [](unsigned format) { return static_cast<X87Format>(format) == X87Format::f80; };
  switch (ir::x87_kind(inst)) {
    case X87Kind::load:
      x87_drop(o.dst);
      e_->op_rm(4, kLoad[detail].opcode, kLoad[detail].digit, m);
      x87_pushed(o.dst, true);
      x87_.raised |= !exact_format(detail);
      x87_.c1 = X87State::C1::zero;
      return;
    case X87Kind::store: {
      const MemoryForm form = kStore[detail];
      x87_to_top(o.src);
      const bool keeps = form.digit == 2;  // the others pop
      const bool dirty = (x87_.dirty >> o.src & 1) != 0;
      if (!keeps && dirty && x87_.depth == 8) {
        // no room for a second one: to its slot and back
        e_->op_rm(4, 0xDB, 7, x87_slot(o.src));
        e_->op_rm(4, 0xDB, 5, x87_slot(o.src));
        x87_.dirty &= static_cast<std::uint8_t>(~(1u << o.src));
      } else if (!keeps && dirty) {
        x87_op(0xD9, 0xC0);
      }
      const bool copied = !keeps && dirty && (x87_.dirty >> o.src & 1) != 0;
      e_->op_rm(4, form.opcode, form.digit, m);
      if (!keeps && !copied) --x87_.depth;
      x87_.raised |= !exact_format(detail);
      x87_.c1 = exact_format(detail) ? X87State::C1::zero : X87State::C1::host;
      return;
    }
    case X87Kind::arithmetic_memory:
      x87_to_top(o.dst);
      e_->op_rm(4, arithmetic_opcode(static_cast<X87Format>(detail >> 3)), detail & 7, m);
      x87_result(o.dst);
      x87_.raised = true, x87_.c1 = X87State::C1::host;
      return;
    default:
      CHECK(ir::x87_kind(inst) == X87Kind::compare_memory, "no memory form of x87 operation {:#x}", inst.sub);
      x87_to_top(o.dst);
      e_->op_rm(4, arithmetic_opcode(static_cast<X87Format>(detail)), 2, m);
      x87_take_conditions();
  }
}

void BlockCompiler::emit_x87_memory(std::size_t i) {
  const Inst& inst = insts_[i];
  const unsigned detail = ir::x87_detail(inst);
  const bool store = ir::x87_kind(inst) == X87Kind::store;
  const auto format =
      static_cast<X87Format>(ir::x87_kind(inst) == X87Kind::arithmetic_memory ? detail >> 3 : detail);
  clobber_flags(kFlagsAll);
  AddressParts parts;
  prepare_address(inst.a, parts);
  x87_open(i, &parts);
  const Reg t = alloc();
  std::uint8_t* from = tlb_lookup(parts, t, 0, static_cast<std::int32_t>(ir::bytes_of(format)) - 1, store);
  const X87State before = x87_;
  x87_memory_operation(i, {.base = parts.base, .index = t, .disp = static_cast<std::int32_t>(parts.disp)});
  x87_follow(i);
  const X87State after = x87_;
  x87_ = before;
  e_ = cold_;
  e_->patch_here(from);
  flags_for_trap();
  for (const CachedVector& c : cached_)
    if (c.dirty) e_->movups_mr(state(c.offset), c.reg);
  x87_suspend();
  x87_call_helper(i, &parts);
  poison_groups();
  x87_ = after;
  x87_resume();
  e_->jmp_to(hot_->cursor());
  e_ = hot_;
  release_address(inst.a);
  unlock_all();
}

void BlockCompiler::x87_compare_flags(std::size_t i, unsigned opcode) {
  const X87Operands o = X87Operands::unpack(insts_[i].imm);
  const std::uint8_t needed = needed_flags(i);
  if (needed != 0)
    before_partial_flags(i, insts_[i].flags_out);
  else
    clobber_flags(after_[i]);
  x87_cache(o.src);
  x87_to_top(o.dst);
  const auto other = static_cast<unsigned>(x87_index(o.src));
  x87_op(0xDB, opcode + other);
  x87_.raised = true, x87_.c1 = X87State::C1::zero;
  if (needed != 0) define_flags(insts_[i].flags_out, kFlagsAll, 0);
}

void BlockCompiler::emit_x87(std::size_t i) {
  const Inst& inst = insts_[i];
  const X87Kind kind = ir::x87_kind(inst);
  CHECK(layout_.x87.present(), "x87 operations, but the guest has no x87 registers");
  if (has_memory(kind)) return emit_x87_memory(i);
  const X87Operands o = X87Operands::unpack(inst.imm);
  const bool compares = kind == X87Kind::compare || kind == X87Kind::unordered || kind == X87Kind::test;
  if (compares) clobber_flags(kFlagsAll);
  x87_open(i, nullptr);
  const auto unary = [&](unsigned modrm, bool rounds) {
    x87_to_top(o.dst);
    x87_op(0xD9, modrm);
    x87_result(o.dst);
    x87_.raised |= rounds;
    x87_.c1 = rounds ? X87State::C1::host : X87State::C1::zero;
  };
  switch (kind) {
    case X87Kind::constant:
      x87_drop(o.dst);
      x87_op(0xD9, 0xE8 + ir::x87_detail(inst));
      x87_pushed(o.dst, true);
      x87_.c1 = X87State::C1::zero;
      break;
    case X87Kind::push:
      x87_drop(o.dst);
      x87_cache(o.src);
      x87_op(0xD9, 0xC0u + static_cast<unsigned>(x87_index(o.src)));
      x87_pushed(o.dst, true);
      x87_.c1 = X87State::C1::zero;
      break;
    case X87Kind::copy:
      x87_copy(o);
      break;
    case X87Kind::exchange:
      x87_exchange(o);
      break;
    case X87Kind::arithmetic:
      x87_arithmetic(o, ir::x87_detail(inst));
      break;
    case X87Kind::compare:
    case X87Kind::unordered:
      x87_cache(o.src);
      x87_to_top(o.dst);
      x87_op(kind == X87Kind::compare ? 0xD8 : 0xDD,
             (kind == X87Kind::compare ? 0xD0u : 0xE0u) + static_cast<unsigned>(x87_index(o.src)));
      x87_take_conditions();
      break;
    case X87Kind::compare_flags:
      x87_compare_flags(i, 0xF0);
      break;
    case X87Kind::unordered_flags:
      x87_compare_flags(i, 0xE8);
      break;
    case X87Kind::test:
      x87_to_top(o.dst);
      x87_op(0xD9, 0xE4);
      x87_take_conditions();
      break;
    case X87Kind::root:
      unary(0xFA, true);
      break;
    case X87Kind::round:
      unary(0xFC, true);
      break;
    case X87Kind::negate:
      unary(0xE0, false);
      break;
    case X87Kind::absolute:
      unary(0xE1, false);
      break;
    case X87Kind::load:
    case X87Kind::store:
    case X87Kind::arithmetic_memory:
    case X87Kind::compare_memory:
      break;
  }
  x87_follow(i);
  unlock_all();
}

}  // namespace hindsight::engine::host::x64
