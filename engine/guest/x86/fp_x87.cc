#include "engine/guest/x86/fp_x87.h"

#include <bit>
#include <cstring>

#include "engine/guest/x86/fp_transcendental.h"
#include "engine/guest/x86/fp_x87_host.h"
#include "engine/ir/x87_ops.h"

namespace hindsight::engine::guest::x86::fp {

Float80 parts(const Vector& v) {
  Float80 f;
  std::memcpy(&f.mantissa, v.bytes, 8);
  std::memcpy(&f.sign_exponent, v.bytes + 8, 2);
  return f;
}
Vector memory_form(Float80 f) {
  Vector v{};
  std::memcpy(v.bytes, &f.mantissa, 8);
  std::memcpy(v.bytes + 8, &f.sign_exponent, 2);
  return v;
}

void x87_set_top(CpuState& s, unsigned top) {
  constexpr unsigned kShift = mode::kShift + mode::kTopShift;
  s.ftop = static_cast<std::uint8_t>(top & 7);
  s.mode = (s.mode & ~(std::uint64_t{7} << kShift)) | (std::uint64_t{top & 7} << kShift);
}

bool x87_pending(CpuState* s) {
  if ((s->fsw & fsw::kSummary) == 0) return false;
  ir::raise(s, exception::kMf);
  return true;
}

namespace {

using host::Status;
using Args = std::uint64_t;

bool empty(const CpuState& s, unsigned physical) { return ((s.ftw >> physical) & 1) == 0; }
void mark(CpuState& s, unsigned physical) { s.ftw = static_cast<std::uint8_t>(s.ftw | 1u << physical); }
void unmark(CpuState& s, unsigned physical) { s.ftw = static_cast<std::uint8_t>(s.ftw & ~(1u << physical)); }

/// An unmasked exception that leaves the operands alone. Overflow and underflow do so only when storing to
/// memory (SDM vol. 1, 8.5).
bool forbidden(const CpuState& s, Status status, bool storing = false) {
  constexpr unsigned kAlways = fsw::kInvalid | fsw::kDenormal | fsw::kZeroDivide;
  const unsigned mask = storing ? kAlways | fsw::kOverflow | fsw::kUnderflow : kAlways;
  return (status & ~s.fcw & mask) != 0;
}
/// Takes exception flags and C1 from an operation.
void report(CpuState& s, Status status) {
  const unsigned flags = status & (fsw::kExceptions | fsw::kStackFault);
  s.fsw = static_cast<std::uint16_t>((s.fsw & ~fsw::kC1) | flags | (status & fsw::kC1));
  if ((flags & ~s.fcw & fsw::kExceptions) != 0) s.fsw |= fsw::kSummary | fsw::kBusy;
}
void set_conditions(CpuState& s, unsigned conditions) {
  s.fsw = static_cast<std::uint16_t>((s.fsw & ~fsw::kConditions) | conditions);
}
/// Pops as the instruction says, or marks the pushed register, and turns TOP.
void finish(CpuState& s, X87Op op) {
  for (int i = 0; i < op.pops; ++i) unmark(s, static_cast<unsigned>(op.top + i) & 7);
  if (op.pops < 0) mark(s, op.dst);
  if (op.pops != 0) x87_set_top(s, op.top_after());
}

constexpr Status kUnderflowOfStack = fsw::kInvalid | fsw::kStackFault;
constexpr Status kOverflowOfStack = fsw::kInvalid | fsw::kStackFault | fsw::kC1;

/// Stack fault: flags it; if masked, the result is the default NaN and the instruction completes.
void fault_to_register(CpuState& s, X87Op op, Status status) {
  if (!forbidden(s, status)) {
    s.st[op.dst] = memory_form(kDefaultNan);
    mark(s, op.dst);
    finish(s, op);
  }
  report(s, status);
}

// --- arithmetic ---

using Binary = Status (*)(Vector&, const Vector&, std::uint16_t);
template <typename T>
using Memory = Status (*)(Vector&, T, std::uint16_t);

void commit(CpuState& s, X87Op op, const Vector& result, Status status) {
  if (!forbidden(s, status)) {
    s.st[op.dst] = result;
    finish(s, op);
  }
  report(s, status);
}

template <Binary run>
std::uint64_t binary(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst) || empty(s, op.src)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  Vector result = s.st[op.dst];
  const Status status = run(result, s.st[op.src], s.fcw);
  commit(s, op, result, status);
  return 0;
}
template <typename T, Memory<T> run>
std::uint64_t with_memory(ir::CoreState* state, Args args, Args operand, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  Vector result = s.st[op.dst];
  const Status status = run(result, static_cast<T>(operand), s.fcw);
  commit(s, op, result, status);
  return 0;
}

// --- comparison: conditions instead of a result ---

/// With every exception masked the host's conditions are always those of this operation.
std::uint16_t masked(const CpuState& s) { return static_cast<std::uint16_t>(s.fcw | fsw::kExceptions); }

constexpr unsigned kUnordered = fsw::kC3 | fsw::kC2 | fsw::kC0;

void commit_compare(CpuState& s, X87Op op, Status status) {
  const bool complete = !forbidden(s, status);
  report(s, static_cast<Status>(status & ~fsw::kC1));
  // An unmasked denormal operand stops the pops but not the comparison.
  if ((status & ~s.fcw & fsw::kInvalid) != 0) return;
  set_conditions(s, status & (fsw::kC3 | fsw::kC2 | fsw::kC0));
  if (complete) finish(s, op);
}
template <Binary run>
std::uint64_t compare(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst) || empty(s, op.src)) {
    commit_compare(s, op, static_cast<Status>(kUnderflowOfStack | kUnordered));
    return 0;
  }
  Vector a = s.st[op.dst];
  commit_compare(s, op, run(a, s.st[op.src], masked(s)));
  return 0;
}
template <typename T, Memory<T> run>
std::uint64_t compare_memory(ir::CoreState* state, Args args, Args operand, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst)) {
    commit_compare(s, op, static_cast<Status>(kUnderflowOfStack | kUnordered));
    return 0;
  }
  Vector a = s.st[op.dst];
  commit_compare(s, op, run(a, static_cast<T>(operand), masked(s)));
  return 0;
}
/// FCOMI and FUCOMI: to eflags layout; O, S and A are cleared.
template <Binary run>
std::uint64_t compare_flags(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  Status status = static_cast<Status>(kUnderflowOfStack | kUnordered);
  if (!empty(s, op.dst) && !empty(s, op.src)) {
    Vector a = s.st[op.dst];
    status = run(a, s.st[op.src], masked(s));
  }
  const bool complete = !forbidden(s, status);
  report(s, static_cast<Status>(status & ~fsw::kC1));
  // An unmasked denormal operand stops the pop but not the comparison.
  if ((status & ~s.fcw & fsw::kInvalid) != 0) return ir::unpack_flags(s.flags);
  if (complete) finish(s, op);
  return ((status & fsw::kC3) != 0 ? ir::eflags::kZ : 0u) | ((status & fsw::kC2) != 0 ? ir::eflags::kP : 0u) |
         ((status & fsw::kC0) != 0 ? ir::eflags::kC : 0u);
}

// --- loads and constants ---

template <typename T, Status (*run)(Vector&, const T&, std::uint16_t)>
std::uint64_t load(ir::CoreState* state, Args args, Args low, Args high) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (!empty(s, op.dst)) return fault_to_register(s, op, kOverflowOfStack), 0;
  T operand{};
  if constexpr (sizeof(T) == 16) {
    operand = memory_form({low, static_cast<std::uint16_t>(high)});
  } else {
    operand = static_cast<T>(low);
  }
  Vector result{};
  const Status status = run(result, operand, s.fcw);
  commit(s, op, result, static_cast<Status>(status & ~fsw::kC1));
  return 0;
}
Status load_f80(Vector& a, const Vector& b, std::uint16_t) {
  a = b;
  return 0;
}

// --- stores: (op, address, access) ---

void store_bytes(CpuState& s, std::uint64_t address, const std::uint8_t* bytes, unsigned size,
                 std::uint32_t access) {
  for (unsigned done = 0; done < size && s.trap.kind == ir::TrapKind::none;) {
    const unsigned piece = size - done >= 8 ? 8 : size - done;
    std::uint64_t value = 0;
    std::memcpy(&value, bytes + done, piece);
    s.memory->store(&s, address + done, value, piece, access);
    done += piece;
  }
}

template <typename T, unsigned size, Status (*run)(const Vector&, T&, std::uint16_t)>
std::uint64_t store(ir::CoreState* state, Args args, Args address, Args access) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  // The address is checked before the operand is looked at.
  s.memory->probe_write(&s, address, size, static_cast<std::uint32_t>(access));
  if (s.trap.kind != ir::TrapKind::none) return 0;
  const X87Op op = X87Op::unpack(args);
  const bool underflow = empty(s, op.src);
  const Vector value = underflow ? memory_form(kDefaultNan) : s.st[op.src];
  T out{};
  Status status = run(value, out, s.fcw);
  if (underflow) status = kUnderflowOfStack;
  const bool complete = !forbidden(s, status, true);
  if (complete) {
    std::uint8_t bytes[sizeof(T)];
    std::memcpy(bytes, &out, sizeof(T));
    store_bytes(s, address, bytes, size, static_cast<std::uint32_t>(access));
    if (s.trap.kind != ir::TrapKind::none) return 0;
    finish(s, op);
  }
  report(s, status);
  return 0;
}

// --- forms with an address, for Op::X87 ---

std::uint32_t access_of(Args args) { return ir::X87Operands::unpack(static_cast<std::int64_t>(args)).access; }

template <ir::HelperFn run, unsigned size>
std::uint64_t from_memory(ir::CoreState* state, Args args, Args address, Args) {
  const std::uint32_t access = access_of(args);
  const auto load_piece = [&](Args at, std::uint32_t bytes) {
    return state->trap.kind == ir::TrapKind::none ? state->memory->load(state, at, bytes, access) : 0;
  };
  const Args low = load_piece(address, size == 10 ? 8 : size);
  const Args high = size == 10 ? load_piece(address + 8, 2) : 0;
  if (state->trap.kind != ir::TrapKind::none) return 0;
  return run(state, args, low, high);
}
template <ir::HelperFn run>
std::uint64_t to_memory(ir::CoreState* state, Args args, Args address, Args) {
  return run(state, args, address, access_of(args));
}

Status xtract(Vector& a, Vector& b, std::uint16_t control) {
  return static_cast<Status>(host::xtract(a, b, control) & (fsw::kExceptions | fsw::kC1));
}
Status store_f80(const Vector& a, Vector& out, std::uint16_t) {
  out = a;
  return 0;
}

// --- moves ---

/// FLD ST(i): the source is looked at before the push.
std::uint64_t push(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.src)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  if (!empty(s, op.dst)) return fault_to_register(s, op, kOverflowOfStack), 0;
  commit(s, op, s.st[op.src], 0);
  return 0;
}
/// FST ST(i): the destination may be empty.
std::uint64_t copy(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.src)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  mark(s, op.dst);
  commit(s, op, s.st[op.src], 0);
  return 0;
}
std::uint64_t exchange(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  Status status = 0;
  if (empty(s, op.dst) || empty(s, op.src)) {
    status = kUnderflowOfStack;
    if (!forbidden(s, status)) {
      for (const unsigned r : {unsigned{op.dst}, unsigned{op.src}})
        if (empty(s, r)) s.st[r] = memory_form(kDefaultNan), mark(s, r);
    }
  }
  if (!forbidden(s, status)) std::swap(s.st[op.dst], s.st[op.src]);
  report(s, status);
  return 0;
}
/// FCMOVcc: (op, condition).
std::uint64_t move_if(ir::CoreState* state, Args args, Args condition, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst) || empty(s, op.src)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  if (condition != 0) commit(s, op, s.st[op.src], 0);
  return 0;
}
/// FFREE, and the undocumented FFREEP.
std::uint64_t free_register(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  unmark(s, op.dst);
  finish(s, op);
  return 0;
}
/// FINCSTP, FDECSTP, FNOP: (op, TOP after).
std::uint64_t turn(ir::CoreState* state, Args, Args top, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  s.fsw = static_cast<std::uint16_t>(s.fsw & ~fsw::kC1);
  x87_set_top(s, static_cast<unsigned>(top));
  return 0;
}

// --- functions of ST(0), ST(1) ---

/// Host operation on dst alone.
template <Status (*run)(Vector&, std::uint16_t)>
std::uint64_t unary(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  Vector result = s.st[op.dst];
  const Status status = run(result, s.fcw);
  commit(s, op, result, status);
  return 0;
}
template <std::uint16_t clear, std::uint16_t flip>
Status sign(Vector& a, std::uint16_t) {
  Float80 f = parts(a);
  f.sign_exponent = static_cast<std::uint16_t>((f.sign_exponent & ~clear) ^ flip);
  a = memory_form(f);
  return 0;
}

/// Two results: dst and, pushed, the second. `run` says in its status whether the second exists (C2 clear).
using TwoResults = Status (*)(Vector& first, Vector& pushed, std::uint16_t);
template <TwoResults run>
std::uint64_t push_second(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);  // dst: the pushed register, src: ST(0)
  Status status = 0;
  Vector first = memory_form(kDefaultNan), second = first;
  if (empty(s, op.src)) {
    status = kUnderflowOfStack;
  } else if (!empty(s, op.dst)) {
    status = kOverflowOfStack;
  } else {
    first = s.st[op.src];
    status = run(first, second, s.fcw);
  }
  const bool partial = (status & fsw::kC2) != 0;
  if (!forbidden(s, status) && !partial) {
    s.st[op.src] = first;
    s.st[op.dst] = second;
    mark(s, op.src);
    finish(s, op);
  }
  report(s, status);
  s.fsw = static_cast<std::uint16_t>((s.fsw & ~fsw::kC2) | (status & fsw::kC2));
  return partial ? 1 : 0;
}

/// FPREM, FPREM1: the quotient's bits. There is no quotient where the operation is invalid or an operand is a
/// NaN, and the host's conditions are then left over from before: C0 and C3 stay, C2 is cleared.
void commit_remainder(CpuState& s, X87Op op, const Vector& result, Status status) {
  const bool complete = !forbidden(s, status);
  const Float80 f = parts(result);
  const bool nan = (f.sign_exponent & 0x7FFFu) == 0x7FFF && (f.mantissa << 1) != 0;
  commit(s, op, result, nan ? static_cast<Status>(status & fsw::kExceptions) : status);
  if (!complete) return;
  if (nan)
    s.fsw = static_cast<std::uint16_t>(s.fsw & ~fsw::kC2);
  else
    set_conditions(s, status & fsw::kConditions);
}

unsigned exponent_of(const Vector& v) { return parts(v).sign_exponent & 0x7FFFu; }

/// Exponent difference of 64 or more: one partial reduction takes off N = 32 + D % 32 bits, a choice that SDM
/// vol. 2, FPREM leaves open (32 to 63). It is the remainder by st1 * 2^(D - N), exact in one step.
template <Binary run>
std::uint64_t remainder(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst) || empty(s, op.src)) {
    fault_to_register(s, op, kUnderflowOfStack);
    s.fsw = static_cast<std::uint16_t>(s.fsw & ~fsw::kC2);
    return 0;
  }
  Vector a = s.st[op.dst], b = s.st[op.src];
  const int shift = partial_remainder_shift(parts(a), parts(b));
  Status status = 0;
  if (shift == 0) {
    status = run(a, b, masked(s));
  } else {
    Float80 f = parts(b);
    const bool denormal = exponent_of(a) == 0 || exponent_of(b) == 0;
    f = scaled(f, shift);
    status = static_cast<Status>(host::prem(a, memory_form(f), masked(s)) & fsw::kExceptions);
    status = static_cast<Status>(status | fsw::kC2 | (denormal ? fsw::kDenormal : 0));
  }
  commit_remainder(s, op, a, status);
  return 0;
}

/// Software functions: one operand (dst).
using Software1 = Status (*)(Vector&, std::uint16_t);
template <Software1 run>
std::uint64_t circular(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  if (empty(s, op.dst)) return fault_to_register(s, op, kUnderflowOfStack), 0;
  Vector result = s.st[op.dst];
  const Status status = run(result, s.fcw);
  commit(s, op, result, status);
  s.fsw = static_cast<std::uint16_t>((s.fsw & ~fsw::kC2) | (status & fsw::kC2));
  return 0;
}

std::uint64_t test(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const X87Op op = X87Op::unpack(args);
  Vector a = s.st[op.dst];
  commit_compare(
      s, op,
      empty(s, op.dst) ? static_cast<Status>(kUnderflowOfStack | kUnordered) : host::tst(a, masked(s)));
  return 0;
}
/// SDM vol. 2, FXAM: looks at the register even if it is empty.
std::uint64_t examine(ir::CoreState* state, Args args, Args, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const unsigned dst = X87Op::unpack(args).dst;
  const Float80 f = parts(s.st[dst]);
  const unsigned exponent = f.sign_exponent & 0x7FFFu;
  const bool integer_bit = (f.mantissa >> 63) != 0;
  unsigned c = 0;
  if (empty(s, dst)) {
    c = fsw::kC3 | fsw::kC0;
  } else if (exponent == 0) {
    c = f.mantissa == 0 ? unsigned{fsw::kC3} : unsigned{fsw::kC3 | fsw::kC2};
  } else if (!integer_bit) {
    c = 0;  // unsupported
  } else if (exponent == 0x7FFF) {
    c = (f.mantissa << 1) == 0 ? unsigned{fsw::kC2 | fsw::kC0} : unsigned{fsw::kC0};
  } else {
    c = fsw::kC2;
  }
  set_conditions(s, c | ((f.sign_exponent & 0x8000u) != 0 ? unsigned{fsw::kC1} : 0u));
  return 0;
}

std::uint64_t wait(ir::CoreState* state, Args, Args, Args) {
  x87_pending(cpu(state));
  return 0;
}

}  // namespace

const ir::HelperInfo kX87Wait{"fwait", wait, ir::kTouchesVectors | ir::kMayTrap};

const X87Helper kX87Push{"fld_sti", push};
const X87Helper kX87Copy{"fst_sti", copy};
const X87Helper kX87Exchange{"fxch", exchange};
const X87Helper kX87MoveIf{"fcmov", move_if};
const X87Helper kX87Free{"ffree", free_register};
const X87Helper kX87Turn{"fincstp", turn};
const X87Helper kX87Unordered{"fucom", compare<host::ucom>};
const X87Helper kX87CompareFlags{"fcomi", compare_flags<host::com>, ir::kReadsFlags};
const X87Helper kX87UnorderedFlags{"fucomi", compare_flags<host::ucom>, ir::kReadsFlags};

template <typename T, Memory<T> run>
constexpr X87Helper arithmetic_with_memory(const char* name) {
  return {name, with_memory<T, run>, 0, from_memory<with_memory<T, run>, sizeof(T)>};
}
template <typename T, Memory<T> run>
constexpr X87Helper compare_with_memory(const char* name) {
  return {name, compare_memory<T, run>, 0, from_memory<compare_memory<T, run>, sizeof(T)>};
}
template <typename T, Status (*run)(Vector&, const T&, std::uint16_t)>
constexpr X87Helper load_with_memory(const char* name) {
  return {name, load<T, run>, 0, from_memory < load<T, run>, sizeof(T) == 16 ? 10 : sizeof(T) > };
}
template <typename T, unsigned size, Status (*run)(const Vector&, T&, std::uint16_t)>
constexpr X87Helper store_with_memory(const char* name) {
  return {name, store<T, size, run>, ir::kMayTrap, to_memory<store<T, size, run>>};
}

#define ARITHMETIC(name)                                                            \
  {                                                                                 \
    {"f" #name, binary<host::name>},                                                \
        arithmetic_with_memory<std::uint32_t, host::name##_f32>("f" #name "_m32"),  \
        arithmetic_with_memory<std::uint32_t, host::name##_i32>("fi" #name "_m32"), \
        arithmetic_with_memory<std::uint64_t, host::name##_f64>("f" #name "_m64"),  \
        arithmetic_with_memory<std::uint16_t, host::name##_i16>("fi" #name "_m16"), \
  }
#define COMPARISON                                                                               \
  {                                                                                              \
    {"fcom", compare<host::com>}, compare_with_memory<std::uint32_t, host::com_f32>("fcom_m32"), \
        compare_with_memory<std::uint32_t, host::com_i32>("ficom_m32"),                          \
        compare_with_memory<std::uint64_t, host::com_f64>("fcom_m64"),                           \
        compare_with_memory<std::uint16_t, host::com_i16>("ficom_m16"),                          \
  }
const X87Helper& arithmetic_helper(X87Arith operation, X87Operand operand) {
  static constexpr X87Helper kTable[8][5] = {ARITHMETIC(add), ARITHMETIC(mul), COMPARISON,
                                             COMPARISON,      ARITHMETIC(sub), ARITHMETIC(subr),
                                             ARITHMETIC(div), ARITHMETIC(divr)};
  return kTable[static_cast<unsigned>(operation)][static_cast<unsigned>(operand)];
}
#undef ARITHMETIC
#undef COMPARISON

const X87Helper& load_helper(X87Format format) {
  static constexpr X87Helper kTable[] = {
      load_with_memory<std::uint32_t, host::load_f32>("fld_m32"),
      load_with_memory<std::uint64_t, host::load_f64>("fld_m64"),
      load_with_memory<Vector, load_f80>("fld_m80"),
      load_with_memory<std::uint16_t, host::load_i16>("fild_m16"),
      load_with_memory<std::uint32_t, host::load_i32>("fild_m32"),
      load_with_memory<std::uint64_t, host::load_i64>("fild_m64"),
      load_with_memory<Vector, host::load_bcd>("fbld"),
  };
  return kTable[static_cast<unsigned>(format)];
}
const X87Helper& store_helper(X87Format format) {
  static constexpr X87Helper kTable[] = {
      store_with_memory<std::uint32_t, 4, host::store_f32>("fst_m32"),
      store_with_memory<std::uint64_t, 8, host::store_f64>("fst_m64"),
      store_with_memory<Vector, 10, store_f80>("fstp_m80"),
      store_with_memory<std::uint16_t, 2, host::store_i16>("fist_m16"),
      store_with_memory<std::uint32_t, 4, host::store_i32>("fist_m32"),
      store_with_memory<std::uint64_t, 8, host::store_i64>("fistp_m64"),
      store_with_memory<Vector, 10, host::store_bcd>("fbstp"),
      store_with_memory<std::uint16_t, 2, host::truncate_i16>("fisttp_m16"),
      store_with_memory<std::uint32_t, 4, host::truncate_i32>("fisttp_m32"),
      store_with_memory<std::uint64_t, 8, host::truncate_i64>("fisttp_m64"),
  };
  return kTable[static_cast<unsigned>(format)];
}
const X87Helper& constant_helper(X87Constant which) {
  static constexpr X87Helper kTable[] = {
      {"fld1", load<std::uint16_t, host::load_1>},     {"fldl2t", load<std::uint16_t, host::load_l2t>},
      {"fldl2e", load<std::uint16_t, host::load_l2e>}, {"fldpi", load<std::uint16_t, host::load_pi>},
      {"fldlg2", load<std::uint16_t, host::load_lg2>}, {"fldln2", load<std::uint16_t, host::load_ln2>},
      {"fldz", load<std::uint16_t, host::load_z>},
  };
  return kTable[static_cast<unsigned>(which)];
}
const X87Helper& function_helper(X87Function which) {
  static constexpr X87Helper kTable[] = {
      {"f2xm1", unary<f2xm1>},
      {"fyl2x", binary<fyl2x>},
      {"fptan", push_second<fptan>},
      {"fpatan", binary<fpatan>},
      {"fxtract", push_second<xtract>},
      {"fprem1", remainder<host::prem1>},
      {"fprem", remainder<host::prem>},
      {"fyl2xp1", binary<fyl2xp1>},
      {"fsqrt", unary<host::sqrt>},
      {"fsincos", push_second<fsincos>},
      {"frndint", unary<host::rndint>},
      {"fscale", binary<host::scale>},
      {"fsin", circular<fsin>},
      {"fcos", circular<fcos>},
      {"fchs", unary<sign<0, 0x8000>>},
      {"fabs", unary<sign<0x8000, 0>>},
      {"ftst", test},
      {"fxam", examine},
  };
  return kTable[static_cast<unsigned>(which)];
}

}  // namespace hindsight::engine::guest::x86::fp
