// A CPU over flat memory, set up as a small 64-bit or 32-bit kernel would: GDT, TSS and IDT. For tests of the
// system part of the x86 guest. One test thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "engine/guest/x86/system_bits.h"
#include "engine/guest/x86/system_exceptions.h"
#include "engine/guest/x86/system_segments.h"
#include "engine/guest/x86/system_state.h"
#include "tests/support/fake_memory.h"

namespace hindsight::tests::isa {

using namespace engine::guest::x86;  // NOLINT: every test here is about it
namespace ir = engine::ir;
using support::FlatMemory;

constexpr std::uint64_t kGdt = 0x1000, kIdt = 0x2000, kTssAt = 0x3000, kKernelStack = 0x9000,
                        kIstStack = 0xB000, kUserStack = 0xD000;
constexpr std::uint16_t kKernelCs = 0x10, kKernelSs = 0x18, kUserCs32 = 0x23, kUserSs = 0x2B, kUserCs = 0x33,
                        kTssSelector = 0x40, kKernelCs32 = 0x58;

/// A code or data descriptor with base 0 and limit 4 GiB.
constexpr std::uint64_t flat_descriptor(std::uint64_t type, unsigned dpl, std::uint64_t flags) {
  return 0xFFFFull | (type | 0x10 | std::uint64_t{dpl} << 5 | 0x80) << 40 | 0xFull << 48 | flags << 52;
}
constexpr std::uint64_t kFlags64 = 0xA, kFlags32 = 0xC;

class SystemTest : public testing::Test {
 protected:
  SystemTest() {
    memory.attach(s);
    reset(s);
    put_descriptor(kKernelCs, flat_descriptor(0xB, 0, kFlags64));
    put_descriptor(kKernelSs, flat_descriptor(0x3, 0, kFlags32));
    put_descriptor(kUserCs32, flat_descriptor(0xB, 3, kFlags32));
    put_descriptor(kUserSs, flat_descriptor(0x3, 3, kFlags32));
    put_descriptor(kUserCs, flat_descriptor(0xB, 3, kFlags64));
    put_descriptor(kKernelCs32, flat_descriptor(0xB, 0, kFlags32));
    put_descriptor(kTssSelector, 0x67 | (kTssAt & 0xFFFFFF) << 16 | std::uint64_t{0x89} << 40);
    memory.put<std::uint64_t>(kGdt + 0x48, 0);
    s.gdtr = {kGdt, 0x7F};
    s.idtr = {kIdt, 0xFFF};
    s.time_rate = 1 << 16;
    memory.context_changes = 0;
  }

  void put_descriptor(std::uint16_t selector, std::uint64_t raw) {
    memory.put<std::uint64_t>(kGdt + (selector & 0xFFF8u), raw);
  }
  void enter64(unsigned cpl) {
    s.cr0 = cr0::kPe | cr0::kPg | cr0::kEt | cr0::kWp;
    s.cr4 = cr4::kPae;
    s.efer = efer::kLme | efer::kLma | efer::kSce | efer::kNxe;
    enter(cpl, cpl == 0 ? kKernelCs : kUserCs, true);
    memory.put<std::uint64_t>(kTssAt + 4, kKernelStack);
    memory.put<std::uint64_t>(kTssAt + 36, kIstStack);  // IST1
  }
  void enter32(unsigned cpl) {
    s.cr0 = cr0::kPe | cr0::kEt;
    s.cr4 = 0;
    s.efer = 0;
    enter(cpl, cpl == 0 ? kKernelCs32 : kUserCs32, false);
    memory.put<std::uint32_t>(kTssAt + 4, static_cast<std::uint32_t>(kKernelStack));
    memory.put<std::uint16_t>(kTssAt + 8, kKernelSs);
  }
  void gate64(unsigned vector, std::uint64_t handler, unsigned type = 0xE, unsigned dpl = 0, unsigned ist = 0,
              std::uint16_t selector = kKernelCs) {
    const std::uint64_t low = (handler & 0xFFFF) | std::uint64_t{selector} << 16 | std::uint64_t{ist} << 32 |
                              std::uint64_t{type | dpl << 5 | 0x80} << 40 | (handler >> 16 & 0xFFFF) << 48;
    memory.put(kIdt + vector * 16, low);
    memory.put(kIdt + vector * 16 + 8, handler >> 32);
  }
  void gate32(unsigned vector, std::uint32_t handler, unsigned type = 0xE, unsigned dpl = 0) {
    const std::uint64_t low = (handler & 0xFFFF) | std::uint64_t{kKernelCs32} << 16 |
                              std::uint64_t{type | dpl << 5 | 0x80} << 40 |
                              std::uint64_t{handler >> 16} << 48;
    memory.put(kIdt + vector * 8, low);
  }
  [[nodiscard]] std::uint64_t stack64(unsigned slot) const {
    return memory.get<std::uint64_t>(s.gpr[kRsp] + 8 * slot);
  }
  [[nodiscard]] std::uint32_t stack32(unsigned slot) const {
    return memory.get<std::uint32_t>(s.gpr[kRsp] + 4 * slot);
  }
  /// Raises and delivers an exception at the present pc.
  bool deliver(std::uint32_t vector, std::uint32_t error_code = 0, std::uint64_t address = 0) {
    s.trap = {ir::TrapKind::guest, vector, error_code, exception::pushes_error_code(vector), address};
    return deliver_trap(s);
  }
  std::uint64_t call(const ir::HelperInfo& helper, std::uint64_t a = 0, std::uint64_t b = 0,
                     std::uint64_t c = 0) {
    return helper.fn(&s, a, b, c);
  }
  void expect_fault(std::uint32_t vector, std::uint32_t error_code) {
    EXPECT_EQ(s.trap.kind, ir::TrapKind::guest);
    EXPECT_EQ(s.trap.vector, vector);
    EXPECT_EQ(s.trap.error_code, error_code);
  }
  [[nodiscard]] bool no_fault() const { return s.trap.kind == ir::TrapKind::none; }

  FlatMemory memory;
  std::unique_ptr<CpuState> state_ = std::make_unique<CpuState>();
  CpuState& s = *state_;

 private:
  void enter(unsigned cpl, std::uint16_t cs, bool code64) {
    s.cpl = static_cast<std::uint8_t>(cpl);
    s.segment[kCs] = flat_code(cs, cpl, code64);
    const std::uint16_t data = cpl == 0 ? kKernelSs : kUserSs;
    for (const unsigned index : {kEs, kSs, kDs}) s.segment[index] = flat_data(data, cpl);
    s.tr = {kTssAt, 0x67, kTssSelector, 0x8B};
    s.pc = 0x5000;
    s.gpr[kRsp] = cpl == 0 ? kKernelStack - 0x108 : kUserStack;
    set_rflags(s, 0x202);
  }
};

}  // namespace hindsight::tests::isa
