#include "tests/isa/ladder_native.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "engine/guest/x86/system_bits.h"

namespace hindsight::tests {

using namespace engine::guest::x86;
namespace ir = engine::ir;

namespace {

// Offsets in the FXSAVE area (SDM vol. 1, table 10-2).
constexpr std::size_t kFcw = 0, kFsw = 2, kFtw = 4, kMxcsr = 24, kMxcsrMask = 28, kSt = 32, kXmm = 160;
constexpr std::uint16_t kTopMask = 7u << 11;

template <class T>
void put(NativeState& n, std::size_t at, T value) {
  std::memcpy(&n.fx[at], &value, sizeof value);
}
template <class T>
T get(const NativeState& n, std::size_t at) {
  T value;
  std::memcpy(&value, &n.fx[at], sizeof value);
  return value;
}

NativeState to_native(const CpuState& s) {
  NativeState n{};
  std::memcpy(n.gpr, s.gpr, sizeof n.gpr);
  n.rflags = (s.rflags_system & flag::kDf) | ir::unpack_flags(s.flags) | flag::kFixed | flag::kIf;
  put(n, kFcw, s.fcw);
  put(n, kFsw, static_cast<std::uint16_t>(s.fsw | s.ftop << 11));
  put(n, kFtw, s.ftw);
  put(n, kMxcsr, s.guest_mxcsr);
  put(n, kMxcsrMask, std::uint32_t{0xFFFF});
  for (unsigned i = 0; i < 8; ++i) std::memcpy(&n.fx[kSt + 16 * i], s.st[(s.ftop + i) & 7].bytes, 10);
  std::memcpy(&n.fx[kXmm], s.xmm, sizeof s.xmm);
  return n;
}

void from_native(const NativeState& n, CpuState& s) {
  std::memcpy(s.gpr, n.gpr, sizeof n.gpr);
  s.pc = n.rip;
  s.flags = ir::pack_flags(static_cast<std::uint32_t>(n.rflags) & ir::eflags::kAll);
  s.rflags_system = (s.rflags_system & ~flag::kDf) | (n.rflags & flag::kDf);
  s.fcw = get<std::uint16_t>(n, kFcw);
  const auto fsw = get<std::uint16_t>(n, kFsw);
  s.fsw = static_cast<std::uint16_t>(fsw & ~kTopMask);
  s.ftop = static_cast<std::uint8_t>(fsw >> 11 & 7);
  s.ftw = get<std::uint8_t>(n, kFtw);
  s.guest_mxcsr = get<std::uint32_t>(n, kMxcsr);
  for (unsigned i = 0; i < 8; ++i) std::memcpy(s.st[(s.ftop + i) & 7].bytes, &n.fx[kSt + 16 * i], 10);
  std::memcpy(s.xmm, &n.fx[kXmm], sizeof s.xmm);
}

/// Lane by lane within twice the error that the SDM allows to the approximations (vol. 1, 10.4.1).
bool nearly_equal(const Vector& a, const Vector& b) {
  for (unsigned i = 0; i < 4; ++i) {
    if (std::memcmp(&a.bytes[4 * i], &b.bytes[4 * i], 4) == 0) continue;
    float x, y;
    std::memcpy(&x, &a.bytes[4 * i], 4);
    std::memcpy(&y, &b.bytes[4 * i], 4);
    if (std::isnan(x) && std::isnan(y)) continue;
    if (!(std::fabs(x - y) <= std::fabs(x) * (2 * 1.5f / 4096))) return false;
  }
  return true;
}

}  // namespace

void run_natively(NativeRunner& runner, const Code& code, Machine& machine) {
  NativeState n = to_native(machine.state);
  const NativeEnd end = runner.run(code.bytes, n, machine.memory);
  from_native(n, machine.state);
  if (!end.faulted) return;
  machine.state.trap = {ir::TrapKind::guest, end.vector, 0, 0, 0};
  if (exception::pushes_error_code(end.vector)) {
    machine.state.trap.error_code = end.error_code;
    machine.state.trap.has_error_code = 1;
  }
  if (end.vector == exception::kPf) machine.state.trap.address = end.address;
}

std::string native_differences(const Machine& host, const Machine& emulated, const Freedom& freedom) {
  // What is not compared is taken over, then nothing may differ.
  Machine expected = host;
  const CpuState& a = emulated.state;
  CpuState& e = expected.state;
  constexpr std::uint16_t kInvalid = 1;
  const bool unmasked = (e.fsw & ~e.fcw & kInvalid) != 0;
  const std::uint32_t flags = freedom.eflags | (unmasked ? freedom.eflags_unmasked : 0);
  const std::uint16_t open = static_cast<std::uint16_t>(ir::pack_flags(flags) & ir::packed::kAll);
  e.flags = static_cast<std::uint16_t>((e.flags & ~open) | (a.flags & open));
  const std::uint16_t conditions = freedom.fsw | (unmasked ? freedom.fsw_unmasked : std::uint16_t{0});
  e.fsw = static_cast<std::uint16_t>((e.fsw & ~conditions) | (a.fsw & conditions));
  e.budget = a.budget;
  e.mode = a.mode;
  e.fop = a.fop;
  e.fip = a.fip;
  e.fdp = a.fdp;
  const bool both_trap = e.trap.kind != ir::TrapKind::none && a.trap.kind != ir::TrapKind::none;
  if (both_trap && freedom.fault_kind) e.trap = a.trap;
  if (both_trap && freedom.mmx_on_fault) e.ftop = a.ftop, e.ftw = a.ftw;
  constexpr std::uint32_t kOverUnder = 3u << 3, kPrecision = 1u << 5, kFlags = 0x3F;
  std::uint32_t open_flags = 0;
  if (freedom.precision && (e.guest_mxcsr & kOverUnder) != 0) open_flags = kPrecision;
  if (freedom.all_simd_flags) open_flags = kFlags;
  if (both_trap) e.guest_mxcsr = (e.guest_mxcsr & ~open_flags) | (a.guest_mxcsr & open_flags);
  if (freedom.upper_half >= 0 && (e.flags & ir::packed::kZ) != 0) {
    std::uint64_t& wide = e.gpr[freedom.upper_half];
    wide = (wide & 0xFFFF'FFFF) | (a.gpr[freedom.upper_half] & ~std::uint64_t{0xFFFF'FFFF});
  }
  if (freedom.approximate)
    for (unsigned i = 0; i < 16; ++i)
      if (nearly_equal(e.xmm[i], a.xmm[i])) e.xmm[i] = a.xmm[i];
  return differences(expected, emulated);
}

}  // namespace hindsight::tests
