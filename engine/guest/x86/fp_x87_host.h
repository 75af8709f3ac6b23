// Single x87 operations on the host's x87 unit, under the guest's control word and with the exceptions that
// it unmasks reported in the returned status word but never taken by the host. The host's own control word is
// the one that the ABI gives (037F); each function leaves the unit as it found it: empty, with that control
// word. IEEE-exact operations only, equal on every host. The calling thread's x87 unit.
#pragma once

#include <cstdint>

#include "engine/guest/x86/cpu_state.h"

namespace hindsight::engine::guest::x86::fp::host {

/// Status word after an operation: exception flags, C0..C3. TOP and SF mean nothing.
using Status = std::uint16_t;

inline constexpr std::uint16_t kHomeControl = 0x037F;

/// Generated code leaves exception flags in the host's status word, of which the guest's always has all:
/// where the guest's are cleared, so must be the host's.
inline void forget_exceptions() { asm volatile("fnclex" ::: "memory"); }

// The stack is left balanced by pops where an unmasked exception cannot change what is on it, else by FNINIT.
#define X87_OPEN "fnclex\n\tfldcw %[cw]\n\t"
#define X87_CLOSE "\n\tfnstsw %[sw]\n\tfnclex\n\tfldcw %[home]\n\t"
#define X87_RESET "\n\tfnstsw %[sw]\n\tfninit\n\t"
#define X87_CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory"

/// a = a op b
#define X87_BINARY(name, insn)                                                                     \
  inline Status name(Vector& a, const Vector& b, std::uint16_t control) {                          \
    Status status;                                                                                 \
    asm volatile("fldt %[b]\n\tfldt %[a]\n\t" X87_OPEN insn X87_CLOSE "fstpt %[a]\n\tfstp %%st(0)" \
                 : [a] "+m"(a), [sw] "=&a"(status)                                                 \
                 : [b] "m"(b), [cw] "m"(control), [home] "m"(kHomeControl)                         \
                 : X87_CLOBBERS);                                                                  \
    return status;                                                                                 \
  }
/// a = a op memory operand
#define X87_MEMORY(name, type, insn)                                          \
  inline Status name(Vector& a, type b, std::uint16_t control) {              \
    Status status;                                                            \
    asm volatile("fldt %[a]\n\t" X87_OPEN insn " %[b]" X87_CLOSE "fstpt %[a]" \
                 : [a] "+m"(a), [sw] "=&a"(status)                            \
                 : [b] "m"(b), [cw] "m"(control), [home] "m"(kHomeControl)    \
                 : X87_CLOBBERS);                                             \
    return status;                                                            \
  }
#define X87_ARITHMETIC(name, mnemonic)                     \
  X87_BINARY(name, "f" mnemonic " %%st(1), %%st")          \
  X87_MEMORY(name##_f32, std::uint32_t, "f" mnemonic "s")  \
  X87_MEMORY(name##_f64, std::uint64_t, "f" mnemonic "l")  \
  X87_MEMORY(name##_i16, std::uint16_t, "fi" mnemonic "s") \
  X87_MEMORY(name##_i32, std::uint32_t, "fi" mnemonic "l")
X87_ARITHMETIC(add, "add")
X87_ARITHMETIC(mul, "mul")
X87_ARITHMETIC(sub, "sub")
X87_ARITHMETIC(subr, "subr")
X87_ARITHMETIC(div, "div")
X87_ARITHMETIC(divr, "divr")
#undef X87_ARITHMETIC
X87_BINARY(scale, "fscale")
X87_BINARY(prem, "fprem")
X87_BINARY(prem1, "fprem1")
X87_BINARY(com, "fcom %%st(1)")
X87_BINARY(ucom, "fucom %%st(1)")
X87_MEMORY(com_f32, std::uint32_t, "fcoms")
X87_MEMORY(com_f64, std::uint64_t, "fcoml")
X87_MEMORY(com_i16, std::uint16_t, "ficoms")
X87_MEMORY(com_i32, std::uint32_t, "ficoml")
#undef X87_BINARY
#undef X87_MEMORY

/// a = op a
#define X87_UNARY(name, insn)                                         \
  inline Status name(Vector& a, std::uint16_t control) {              \
    Status status;                                                    \
    asm volatile("fldt %[a]\n\t" X87_OPEN insn X87_CLOSE "fstpt %[a]" \
                 : [a] "+m"(a), [sw] "=&a"(status)                    \
                 : [cw] "m"(control), [home] "m"(kHomeControl)        \
                 : X87_CLOBBERS);                                     \
    return status;                                                    \
  }
X87_UNARY(sqrt, "fsqrt")
X87_UNARY(rndint, "frndint")
X87_UNARY(tst, "ftst")
#undef X87_UNARY

/// a = exponent, b = significand
inline Status xtract(Vector& a, Vector& b, std::uint16_t control) {
  Status status;
  asm volatile("fldt %[a]\n\t" X87_OPEN
               "fxtract\n\tfnstsw %[sw]\n\tfnclex\n\tfldcw %[home]\n\tfstpt %[b]\n\tfstpt %[a]\n\tfninit"
               : [a] "+m"(a), [b] "=m"(b), [sw] "=&a"(status)
               : [cw] "m"(control), [home] "m"(kHomeControl)
               : X87_CLOBBERS);
  return status;
}

/// a = the operand, converted
#define X87_LOAD(name, type, insn)                                                                   \
  inline Status name(Vector& a, const type& b, std::uint16_t control) {                              \
    Status status;                                                                                   \
    asm volatile(X87_OPEN insn "\n\tfnstsw %[sw]\n\tfnclex\n\tfldcw %[home]\n\tfstpt %[a]\n\tfninit" \
                 : [a] "+m"(a), [sw] "=&a"(status)                                                   \
                 : [b] "m"(b), [cw] "m"(control), [home] "m"(kHomeControl)                           \
                 : X87_CLOBBERS);                                                                    \
    return status;                                                                                   \
  }
X87_LOAD(load_f32, std::uint32_t, "flds %[b]")
X87_LOAD(load_f64, std::uint64_t, "fldl %[b]")
X87_LOAD(load_i16, std::uint16_t, "filds %[b]")
X87_LOAD(load_i32, std::uint32_t, "fildl %[b]")
X87_LOAD(load_i64, std::uint64_t, "fildll %[b]")
X87_LOAD(load_bcd, Vector, "fbld %[b]")
X87_LOAD(load_1, std::uint16_t, "fld1")
X87_LOAD(load_l2t, std::uint16_t, "fldl2t")
X87_LOAD(load_l2e, std::uint16_t, "fldl2e")
X87_LOAD(load_pi, std::uint16_t, "fldpi")
X87_LOAD(load_lg2, std::uint16_t, "fldlg2")
X87_LOAD(load_ln2, std::uint16_t, "fldln2")
X87_LOAD(load_z, std::uint16_t, "fldz")
#undef X87_LOAD

/// out = a, converted; unchanged if an unmasked exception forbids it
#define X87_STORE(name, type, insn)                                       \
  inline Status name(const Vector& a, type& out, std::uint16_t control) { \
    Status status;                                                        \
    asm volatile("fldt %[a]\n\t" X87_OPEN insn " %[out]" X87_RESET        \
                 : [out] "+m"(out), [sw] "=&a"(status)                    \
                 : [a] "m"(a), [cw] "m"(control)                          \
                 : X87_CLOBBERS);                                         \
    return status;                                                        \
  }
X87_STORE(store_f32, std::uint32_t, "fstps")
X87_STORE(store_f64, std::uint64_t, "fstpl")
X87_STORE(store_i16, std::uint16_t, "fistps")
X87_STORE(store_i32, std::uint32_t, "fistpl")
X87_STORE(store_i64, std::uint64_t, "fistpll")
X87_STORE(truncate_i16, std::uint16_t, "fisttps")
X87_STORE(truncate_i32, std::uint32_t, "fisttpl")
X87_STORE(truncate_i64, std::uint64_t, "fisttpll")
X87_STORE(store_bcd, Vector, "fbstp")
#undef X87_STORE
#undef X87_OPEN
#undef X87_CLOSE
#undef X87_RESET
#undef X87_CLOBBERS

}  // namespace hindsight::engine::guest::x86::fp::host
