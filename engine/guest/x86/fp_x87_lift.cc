// Lift functions of x87 (SDM vol. 2, appendix A, tables ): opcodes D8..DF by ModRM.
#include "engine/guest/x86/fp_x87.h"
#include "engine/ir/x87_ops.h"

namespace hindsight::engine::guest::x86::fp {
namespace {

using ir::kNoValue;

/// Calls a helper whose block can go on where TOP after it is known.
Value call(LiftContext& ctx, const X87Helper& helper, X87Op op, Value low = kNoValue, Value high = kNoValue) {
  return ctx.b.call(fp_exact(ctx) ? helper.exact : helper.masked, ctx.constant(op.pack()), low, high);
}
void go_on(LiftContext& ctx, unsigned top_after) {
  if (fp_exact(ctx)) return ctx.end_with_jump_indirect(ctx.next_pc());
  if (top_after != ctx.fpu_top()) ctx.follow_fpu_top(top_after);
}
void run(LiftContext& ctx, const X87Helper& helper, X87Op op, Value low = kNoValue, Value high = kNoValue) {
  call(ctx, helper, op, low, high);
  go_on(ctx, op.top_after());
}

using ir::X87Kind;

/// Where all exceptions are masked, as an operation that may be done inline; it is its instruction's last.
void inline_form(LiftContext& ctx, const ir::HelperInfo& helper, std::uint16_t sub, X87Op op,
                 Value address = kNoValue, std::uint8_t flags = 0) {
  ctx.follow_fpu_top(op.top_after());
  const ir::X87Operands operands{.dst = op.dst,
                                 .src = op.src,
                                 .top = op.top,
                                 .pops = op.pops,
                                 .access = static_cast<std::uint8_t>(address == kNoValue ? 0 : ctx.access()),
                                 .mode_byte = static_cast<std::uint8_t>(ctx.mode_after() >> 8)};
  ctx.b.x87(sub, helper, address, operands.pack(), ctx.next_offset(), flags);
}
/// An operation on registers.
void run_inline(LiftContext& ctx, const X87Helper& helper, std::uint16_t sub, X87Op op) {
  if (fp_exact(ctx)) return run(ctx, helper, op);
  inline_form(ctx, helper.masked, sub, op);
}

std::uint8_t st(const LiftContext& ctx, unsigned i) {
  return static_cast<std::uint8_t>((ctx.fpu_top() + i) & 7);
}
X87Op operation(const LiftContext& ctx, unsigned dst, unsigned src, int pops) {
  return {st(ctx, dst), st(ctx, src), st(ctx, 0), static_cast<std::int8_t>(pops)};
}
X87Op pushing(const LiftContext& ctx, unsigned src = 0) { return {st(ctx, 7), st(ctx, src), st(ctx, 0), -1}; }

/// A pending exception comes before a fault of the memory operand.
void wait_before_load(LiftContext& ctx) {
  if (fp_exact(ctx)) ctx.b.call(kX87Wait);
}
Value load_low(LiftContext& ctx, Type type) {
  wait_before_load(ctx);
  ctx.linear_address(ir::bytes_of(type));
  return ctx.b.zext(Type::I64, ctx.load(type));
}

/// BCD has no inline form.
constexpr ir::X87Format kInlineFormat[] = {
    ir::X87Format::f32,        ir::X87Format::f64,       ir::X87Format::f80, ir::X87Format::i16,
    ir::X87Format::i32,        ir::X87Format::i64,       ir::X87Format::f80, ir::X87Format::truncate16,
    ir::X87Format::truncate32, ir::X87Format::truncate64};
constexpr unsigned inline_format(X87Format format) {
  return static_cast<unsigned>(kInlineFormat[static_cast<unsigned>(format)]);
}
unsigned inline_format(X87Operand operand) {
  constexpr ir::X87Format kFormats[] = {ir::X87Format::f80, ir::X87Format::f32, ir::X87Format::i32,
                                        ir::X87Format::f64, ir::X87Format::i16};
  return static_cast<unsigned>(kFormats[static_cast<unsigned>(operand)]);
}

void arithmetic_memory(LiftContext& ctx, X87Operand operand, Type type) {
  const auto which = static_cast<X87Arith>(ctx.d.reg3());
  const X87Helper& helper = arithmetic_helper(which, operand);
  const bool comparison = which == X87Arith::com || which == X87Arith::comp;
  const X87Op op = operation(ctx, 0, 0, which == X87Arith::comp ? 1 : 0);
  if (fp_exact(ctx)) return run(ctx, helper, op, load_low(ctx, type));
  const unsigned format = inline_format(operand);
  inline_form(ctx, helper.memory,
              comparison ? ir::x87_sub(X87Kind::compare_memory, format)
                         : ir::x87_sub(X87Kind::arithmetic_memory, ctx.d.reg3() | format << 3),
              op, ctx.linear_address(ir::bytes_of(type)));
}
void load_memory(LiftContext& ctx, X87Format format, Type type) {
  if (fp_exact(ctx)) return run(ctx, load_helper(format), pushing(ctx), load_low(ctx, type));
  inline_form(ctx, load_helper(format).memory, ir::x87_sub(X87Kind::load, inline_format(format)),
              pushing(ctx), ctx.linear_address(ir::bytes_of(type)));
}
void load_memory80(LiftContext& ctx, X87Format format) {
  if (!fp_exact(ctx) && format == X87Format::f80)
    return inline_form(ctx, load_helper(format).memory, ir::x87_sub(X87Kind::load, inline_format(format)),
                       pushing(ctx), ctx.linear_address(10));
  wait_before_load(ctx);
  const Value address = ctx.linear_address(10);
  const Value low = ctx.b.load(Type::I64, address, ctx.access());
  const Value high = ctx.b.load(Type::I16, ctx.b.add_imm(address, 8), ctx.access());
  run(ctx, load_helper(format), pushing(ctx), low, ctx.b.zext(Type::I64, high));
}
void store_memory(LiftContext& ctx, X87Format format, unsigned bytes, int pops) {
  const Value address = ctx.linear_address(bytes, true);
  if (!fp_exact(ctx) && format != X87Format::bcd)
    return inline_form(ctx, store_helper(format).memory, ir::x87_sub(X87Kind::store, inline_format(format)),
                       operation(ctx, 0, 0, pops), address);
  call(ctx, store_helper(format), operation(ctx, 0, 0, pops), address, ctx.constant(ctx.access()));
  go_on(ctx, (ctx.fpu_top() + static_cast<unsigned>(pops)) & 7);
}

/// FLDENV, FRSTOR, FNSTENV, FNSAVE.
void environment(LiftContext& ctx, const ir::HelperInfo& helper, bool whole, bool write) {
  const unsigned unit = ctx.d.operand_bytes == 2 ? 2 : 4;
  const Value address = ctx.linear_address(7 * unit + (whole ? 80 : 0), write);
  ctx.end_with_call(helper, address, ctx.constant(unit | std::uint64_t{ctx.access()} << 8), ctx.next_pc());
}
void load_control(LiftContext& ctx) {
  ctx.end_with_call(kX87LoadControl, load_low(ctx, Type::I16), ctx.next_pc());
}
void store_control(LiftContext& ctx) {
  ctx.linear_address(2, true);
  ctx.store(ctx.b.load_reg(Type::I16, offsetof(CpuState, fcw)));
}
Value status_word(LiftContext& ctx) {
  const Value word = ctx.b.load_reg(Type::I16, offsetof(CpuState, fsw));
  return ctx.b.or_(word, ctx.constant(Type::I16, ctx.fpu_top() << 11));
}
void store_status(LiftContext& ctx) {
  ctx.linear_address(2, true);
  ctx.store(status_word(ctx));
}

void memory_d9(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return load_memory(ctx, X87Format::f32, Type::I32);
    case 2:
      return store_memory(ctx, X87Format::f32, 4, 0);
    case 3:
      return store_memory(ctx, X87Format::f32, 4, 1);
    case 4:
      return environment(ctx, kX87LoadEnvironment, false, false);
    case 5:
      return load_control(ctx);
    case 6:
      return environment(ctx, kX87StoreEnvironment, false, true);
    case 7:
      return store_control(ctx);
    default:
      return ctx.raise_ud();
  }
}
void memory_db(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return load_memory(ctx, X87Format::i32, Type::I32);
    case 1:
      return store_memory(ctx, X87Format::truncate32, 4, 1);
    case 2:
      return store_memory(ctx, X87Format::i32, 4, 0);
    case 3:
      return store_memory(ctx, X87Format::i32, 4, 1);
    case 5:
      return load_memory80(ctx, X87Format::f80);
    case 7:
      return store_memory(ctx, X87Format::f80, 10, 1);
    default:
      return ctx.raise_ud();
  }
}
void memory_dd(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return load_memory(ctx, X87Format::f64, Type::I64);
    case 1:
      return store_memory(ctx, X87Format::truncate64, 8, 1);
    case 2:
      return store_memory(ctx, X87Format::f64, 8, 0);
    case 3:
      return store_memory(ctx, X87Format::f64, 8, 1);
    case 4:
      return environment(ctx, kX87Restore, true, false);
    case 6:
      return environment(ctx, kX87Save, true, true);
    case 7:
      return store_status(ctx);
    default:
      return ctx.raise_ud();
  }
}
void memory_df(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return load_memory(ctx, X87Format::i16, Type::I16);
    case 1:
      return store_memory(ctx, X87Format::truncate16, 2, 1);
    case 2:
      return store_memory(ctx, X87Format::i16, 2, 0);
    case 3:
      return store_memory(ctx, X87Format::i16, 2, 1);
    case 4:
      return load_memory80(ctx, X87Format::bcd);
    case 5:
      return load_memory(ctx, X87Format::i64, Type::I64);
    case 6:
      return store_memory(ctx, X87Format::bcd, 10, 1);
    default:
      return store_memory(ctx, X87Format::i64, 8, 1);
  }
}

void push_register(LiftContext& ctx) {
  run_inline(ctx, kX87Push, ir::x87_sub(X87Kind::push), pushing(ctx, ctx.d.rm3()));
}
void exchange(LiftContext& ctx) {
  run_inline(ctx, kX87Exchange, ir::x87_sub(X87Kind::exchange), operation(ctx, 0, ctx.d.rm3(), 0));
}
void copy(LiftContext& ctx, int pops) {
  run_inline(ctx, kX87Copy, ir::x87_sub(X87Kind::copy), operation(ctx, ctx.d.rm3(), 0, pops));
}
void compare(LiftContext& ctx, const X87Helper& helper, unsigned i, int pops) {
  const X87Kind kind = &helper == &kX87Unordered ? X87Kind::unordered : X87Kind::compare;
  run_inline(ctx, helper, ir::x87_sub(kind), operation(ctx, 0, i, pops));
}
void compare_to_flags(LiftContext& ctx, const X87Helper& helper, int pops) {
  const X87Op op = operation(ctx, 0, ctx.d.rm3(), pops);
  if (!fp_exact(ctx)) {
    const X87Kind kind = &helper == &kX87UnorderedFlags ? X87Kind::unordered_flags : X87Kind::compare_flags;
    return inline_form(ctx, helper.masked, ir::x87_sub(kind), op, kNoValue, ir::kFlagsAll);
  }
  const Value flags = call(ctx, helper, op);
  ctx.b.set_flags(ctx.b.trunc(Type::I32, flags), ir::kFlagsAll);
  go_on(ctx, op.top_after());
}
void move_if(LiftContext& ctx, ir::Condition condition) {
  const Value holds = ctx.b.zext(Type::I64, ctx.b.cond(condition));
  run(ctx, kX87MoveIf, operation(ctx, 0, ctx.d.rm3(), 0), holds);
}
void turn(LiftContext& ctx, unsigned top) {
  call(ctx, kX87Turn, {}, ctx.constant(top & 7));
  go_on(ctx, top & 7);
}
const X87Helper& compare_helper() { return arithmetic_helper(X87Arith::com, X87Operand::reg); }

/// ST(0) = ST(0) op ST(i), or ST(i) = ST(i) op ST(0). In the second kind the encodings of SUB and SUBR, DIV
/// and DIVR are swapped (SDM vol. 2, tables ).
void arithmetic_register(LiftContext& ctx, bool to_sti, int pops) {
  unsigned which = ctx.d.reg3();
  if (!to_sti) {
    if (which == 2 || which == 3) return compare(ctx, compare_helper(), ctx.d.rm3(), which == 3 ? 1 : 0);
    return run_inline(ctx, arithmetic_helper(static_cast<X87Arith>(which), X87Operand::reg),
                      ir::x87_sub(X87Kind::arithmetic, which), operation(ctx, 0, ctx.d.rm3(), 0));
  }
  if (which >= 4) which ^= 1;
  run_inline(ctx, arithmetic_helper(static_cast<X87Arith>(which), X87Operand::reg),
             ir::x87_sub(X87Kind::arithmetic, which), operation(ctx, ctx.d.rm3(), 0, pops));
}

/// D9 E0..FF.
void function(LiftContext& ctx) {
  using enum X87Function;
  const unsigned which = ctx.d.modrm - 0xE0u;
  const auto one = [&](X87Function f) { run(ctx, function_helper(f), operation(ctx, 0, 0, 0)); };
  const auto simple = [&](X87Function f, X87Kind kind) {
    run_inline(ctx, function_helper(f), ir::x87_sub(kind), operation(ctx, 0, 0, 0));
  };
  const auto two = [&](X87Function f) { run(ctx, function_helper(f), operation(ctx, 0, 1, 0)); };
  const auto to_st1 = [&](X87Function f) { run(ctx, function_helper(f), operation(ctx, 1, 0, 1)); };
  // Out of range, nothing is pushed: TOP is known at run time only.
  const auto pushes = [&](X87Function f) {
    call(ctx, function_helper(f), pushing(ctx));
    ctx.end_with_jump_indirect(ctx.next_pc());
  };
  switch (which) {
    case 0x00:
      return simple(fchs, X87Kind::negate);
    case 0x01:
      return simple(fabs, X87Kind::absolute);
    case 0x04:
      return simple(ftst, X87Kind::test);
    case 0x05:
      return one(fxam);
    case 0x08:
    case 0x09:
    case 0x0A:
    case 0x0B:
    case 0x0C:
    case 0x0D:
    case 0x0E:
      return run_inline(ctx, constant_helper(static_cast<X87Constant>(which - 8)),
                        ir::x87_sub(X87Kind::constant, which - 8), pushing(ctx));
    case 0x10:
      return one(f2xm1);
    case 0x11:
      return to_st1(fyl2x);
    case 0x12:
      return pushes(fptan);
    case 0x13:
      return to_st1(fpatan);
    case 0x14:
      return run(ctx, function_helper(fxtract), pushing(ctx));
    case 0x15:
      return two(fprem1);
    case 0x16:
      return turn(ctx, ctx.fpu_top() + 7);
    case 0x17:
      return turn(ctx, ctx.fpu_top() + 1);
    case 0x18:
      return two(fprem);
    case 0x19:
      return to_st1(fyl2xp1);
    case 0x1A:
      return simple(fsqrt, X87Kind::root);
    case 0x1B:
      return pushes(fsincos);
    case 0x1C:
      return simple(frndint, X87Kind::round);
    case 0x1D:
      return two(fscale);
    case 0x1E:
      return one(fsin);
    case 0x1F:
      return one(fcos);
    default:
      return ctx.raise_ud();
  }
}

void register_d9(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return push_register(ctx);
    case 1:
      return exchange(ctx);
    case 2:
      if (ctx.d.rm3() != 0) return ctx.raise_ud();
      if (fp_exact(ctx)) ctx.b.call(kX87Wait);  // FNOP
      return;
    case 3:
      return copy(ctx, 1);  // alias of FSTP
    default:
      return function(ctx);
  }
}
void register_da(LiftContext& ctx) {
  using ir::Condition;
  switch (ctx.d.reg3()) {
    case 0:
      return move_if(ctx, Condition::C);
    case 1:
      return move_if(ctx, Condition::Z);
    case 2:
      return move_if(ctx, Condition::CZ);
    case 3:
      return move_if(ctx, Condition::P);
    case 5:
      if (ctx.d.rm3() == 1) return compare(ctx, kX87Unordered, 1, 2);  // FUCOMPP
      return ctx.raise_ud();
    default:
      return ctx.raise_ud();
  }
}
void register_db(LiftContext& ctx) {
  using ir::Condition;
  switch (ctx.d.reg3()) {
    case 0:
      return move_if(ctx, Condition::NC);
    case 1:
      return move_if(ctx, Condition::NZ);
    case 2:
      return move_if(ctx, Condition::NCZ);
    case 3:
      return move_if(ctx, Condition::NP);
    case 4:
      if (ctx.d.rm3() == 2) {
        ctx.b.call(kX87Clear);
        return;
      }
      if (ctx.d.rm3() == 3) return ctx.end_with_call(kX87Init, ctx.next_pc());
      if (ctx.d.rm3() > 4) return ctx.raise_ud();
      return;  // FENI, FDISI, FSETPM: no operation since the 387
    case 5:
      return compare_to_flags(ctx, kX87UnorderedFlags, 0);
    case 6:
      return compare_to_flags(ctx, kX87CompareFlags, 0);
    default:
      return ctx.raise_ud();
  }
}
void register_dd(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return run(ctx, kX87Free, operation(ctx, ctx.d.rm3(), 0, 0));
    case 1:
      return exchange(ctx);  // alias of FXCH
    case 2:
      return copy(ctx, 0);
    case 3:
      return copy(ctx, 1);
    case 4:
      return compare(ctx, kX87Unordered, ctx.d.rm3(), 0);
    case 5:
      return compare(ctx, kX87Unordered, ctx.d.rm3(), 1);
    default:
      return ctx.raise_ud();
  }
}
void register_df(LiftContext& ctx) {
  switch (ctx.d.reg3()) {
    case 0:
      return run(ctx, kX87Free, operation(ctx, ctx.d.rm3(), 0, 1));  // FFREEP
    case 1:
      return exchange(ctx);
    case 2:
    case 3:
      return copy(ctx, 1);
    case 4:
      if (ctx.d.rm3() != 0) return ctx.raise_ud();
      return ctx.set_gpr(kRax, status_word(ctx));
    case 5:
      return compare_to_flags(ctx, kX87UnorderedFlags, 1);
    case 6:
      return compare_to_flags(ctx, kX87CompareFlags, 1);
    default:
      return ctx.raise_ud();
  }
}

Value save_format(LiftContext& ctx) {
  return ctx.constant((ctx.d.rex_w() ? 1u : 0u) | (ctx.code64() ? 2u : 0u) |
                      std::uint64_t{ctx.access()} << 8);
}

}  // namespace

void lift_x87_memory(LiftContext& ctx) {
  if (!x87_available(ctx)) return;
  switch (ctx.d.opcode) {
    case 0xD8:
      return arithmetic_memory(ctx, X87Operand::f32, Type::I32);
    case 0xD9:
      return memory_d9(ctx);
    case 0xDA:
      return arithmetic_memory(ctx, X87Operand::i32, Type::I32);
    case 0xDB:
      return memory_db(ctx);
    case 0xDC:
      return arithmetic_memory(ctx, X87Operand::f64, Type::I64);
    case 0xDD:
      return memory_dd(ctx);
    case 0xDE:
      return arithmetic_memory(ctx, X87Operand::i16, Type::I16);
    default:
      return memory_df(ctx);
  }
}

void lift_x87_register(LiftContext& ctx) {
  if (!x87_available(ctx)) return;
  const unsigned reg = ctx.d.reg3();
  switch (ctx.d.opcode) {
    case 0xD8:
      return arithmetic_register(ctx, false, 0);
    case 0xD9:
      return register_d9(ctx);
    case 0xDA:
      return register_da(ctx);
    case 0xDB:
      return register_db(ctx);
    case 0xDC:  // /2 and /3: aliases of FCOM and FCOMP
      if (reg == 2 || reg == 3) return compare(ctx, compare_helper(), ctx.d.rm3(), reg == 3 ? 1 : 0);
      return arithmetic_register(ctx, true, 0);
    case 0xDD:
      return register_dd(ctx);
    case 0xDE:
      if (reg == 2) return compare(ctx, compare_helper(), ctx.d.rm3(), 1);  // alias of FCOMP
      if (reg == 3)
        return ctx.d.rm3() == 1 ? compare(ctx, compare_helper(), 1, 2) : ctx.raise_ud();  // FCOMPP
      return arithmetic_register(ctx, true, 1);
    default:
      return register_df(ctx);
  }
}

// FWAIT heeds CR0.MP with TS, not EM (SDM vol. 3, table 2-2).
namespace {
std::uint64_t wait_unavailable(ir::CoreState* state, std::uint64_t, std::uint64_t, std::uint64_t) {
  CpuState* s = cpu(state);
  constexpr std::uint64_t kBoth = cr0::kMp | cr0::kTs;
  if ((s->cr0 & kBoth) == kBoth)
    ir::raise(state, exception::kNm);
  else
    x87_pending(s);
  return 0;
}
constexpr ir::HelperInfo kWaitUnavailable{"fwait_ts", wait_unavailable, ir::kTouchesVectors | ir::kMayTrap};
}  // namespace
void lift_fwait(LiftContext& ctx) {
  if ((ctx.mode & mode::kFpuTrap) != 0) {
    ctx.b.call(kWaitUnavailable);
  } else if (fp_exact(ctx)) {
    ctx.b.call(kX87Wait);
  }
}

void lift_fxsave(LiftContext& ctx) {
  if (!x87_available(ctx)) return;
  ctx.b.call(kFxsave, ctx.linear_address(512, true), save_format(ctx));
}
void lift_fxrstor(LiftContext& ctx) {
  if (!x87_available(ctx)) return;
  ctx.end_with_call(kFxrstor, ctx.linear_address(512), save_format(ctx), ctx.next_pc());
}
void lift_xsave(LiftContext& ctx) {
  if (!x87_available(ctx)) return;
  ctx.b.call(kXsave, ctx.linear_address(576, true), save_format(ctx));
}
void lift_xrstor(LiftContext& ctx) {
  if (!x87_available(ctx)) return;
  ctx.end_with_call(kXrstor, ctx.linear_address(576), save_format(ctx), ctx.next_pc());
}

}  // namespace hindsight::engine::guest::x86::fp
