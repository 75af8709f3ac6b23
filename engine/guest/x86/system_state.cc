#include "engine/guest/x86/system_state.h"

#include <cstring>

#include "engine/guest/x86/system_control.h"
#include "engine/guest/x86/system_cpuid.h"
#include "engine/guest/x86/system_exceptions.h"
#include "engine/guest/x86/system_msr.h"
#include "engine/guest/x86/system_segments.h"

namespace hindsight::engine::guest::x86 {
namespace {

using traces::schema::CpuX86State;
using traces::schema::X86DescriptorTable;
using traces::schema::X86Segment;

constexpr std::uint64_t kFlagsMask = flag::kTf | flag::kIf | flag::kDf | flag::kIopl | flag::kNt | flag::kRf |
                                     flag::kAc | flag::kId | ir::eflags::kAll;

void context_changed(CpuState& state) {
  if (state.memory != nullptr && state.memory->context_changed != nullptr)
    state.memory->context_changed(&state);
}

// ---------------------------------------------------------------- saving

void save_segment(const Segment& segment, X86Segment::Builder out) {
  out.setSelector(segment.selector);
  out.setAttributes(segment.attributes);
  out.setLimit(segment.limit);
  out.setBase(segment.base);
}

void save_table(const DescriptorTable& table, X86DescriptorTable::Builder out) {
  out.setBase(table.base);
  out.setLimit(table.limit);
}

template <class List, std::size_t N>
void save_list(const std::uint64_t (&values)[N], List out) {
  for (unsigned i = 0; i < N; ++i) out.set(i, values[i]);
}

void save_general(const CpuState& s, CpuX86State::Builder out) {
  out.setRax(s.gpr[kRax]);
  out.setRcx(s.gpr[kRcx]);
  out.setRdx(s.gpr[kRdx]);
  out.setRbx(s.gpr[kRbx]);
  out.setRsp(s.gpr[kRsp]);
  out.setRbp(s.gpr[kRbp]);
  out.setRsi(s.gpr[kRsi]);
  out.setRdi(s.gpr[kRdi]);
  out.setR8(s.gpr[kR8]);
  out.setR9(s.gpr[kR9]);
  out.setR10(s.gpr[kR10]);
  out.setR11(s.gpr[kR11]);
  out.setR12(s.gpr[kR12]);
  out.setR13(s.gpr[kR13]);
  out.setR14(s.gpr[kR14]);
  out.setR15(s.gpr[kR15]);
  out.setRip(s.pc);
  out.setRflags(read_rflags(s));
  out.setCpl(s.cpl);
  out.setHalted(s.halted != 0);
  out.setInterruptShadow(s.irq_shadow);
  out.setNmiBlocked(s.nmi_blocked != 0);
}

void save_segments(const CpuState& s, CpuX86State::Builder out) {
  save_segment(s.segment[kEs], out.initEs());
  save_segment(s.segment[kCs], out.initCs());
  save_segment(s.segment[kSs], out.initSs());
  save_segment(s.segment[kDs], out.initDs());
  save_segment(s.segment[kFs], out.initFs());
  save_segment(s.segment[kGs], out.initGs());
  save_segment(s.ldtr, out.initLdtr());
  save_segment(s.tr, out.initTr());
  save_table(s.gdtr, out.initGdtr());
  save_table(s.idtr, out.initIdtr());
}

void save_control(const CpuState& s, CpuX86State::Builder out) {
  out.setCr0(s.cr0);
  out.setCr2(s.cr2);
  out.setCr3(s.cr3);
  out.setCr4(s.cr4);
  out.setXcr0(s.xcr0);
  save_list(s.dr, out.initDr(8));
}

void save_floating(const CpuState& s, CpuX86State::Builder out) {
  out.setFcw(s.fcw);
  out.setFsw(static_cast<std::uint16_t>(s.fsw | (s.ftop & 7) << 11));
  out.setFtw(s.ftw);
  out.setFop(s.fop);
  out.setFip(s.fip);
  out.setFdp(s.fdp);
  auto st = out.initSt(8);
  for (unsigned i = 0; i < 8; ++i) {
    std::uint64_t significand = 0;
    std::uint16_t sign_exponent = 0;
    std::memcpy(&significand, s.st[i].bytes, 8);
    std::memcpy(&sign_exponent, s.st[i].bytes + 8, 2);
    st[i].setSignificand(significand);
    st[i].setSignExponent(sign_exponent);
  }
  out.setMxcsr(s.guest_mxcsr);
  auto xmm = out.initXmm(16);
  for (unsigned i = 0; i < 16; ++i) {
    std::uint64_t halves[2];
    std::memcpy(halves, s.xmm[i].bytes, 16);
    xmm[i].setLow(halves[0]);
    xmm[i].setHigh(halves[1]);
  }
}

void save_msrs(const CpuState& s, CpuX86State::Builder out) {
  out.setEfer(s.efer);
  out.setStar(s.star);
  out.setLstar(s.lstar);
  out.setCstar(s.cstar);
  out.setFmask(s.sfmask);
  out.setKernelGsBase(s.kernel_gs_base);
  out.setTscAux(s.tsc_aux);
  out.setSysenterCs(s.sysenter_cs);
  out.setSysenterEsp(s.sysenter_esp);
  out.setSysenterEip(s.sysenter_eip);
  out.setPat(s.pat);
  out.setMiscEnable(s.misc_enable);
  out.setTscAdjust(s.tsc_offset);
  out.setMtrrDefType(s.mtrr_def_type);
  save_list(s.mtrr_fixed, out.initMtrrFixed(11));
  save_list(s.mtrr_base, out.initMtrrPhysBase(8));
  save_list(s.mtrr_mask, out.initMtrrPhysMask(8));
}

// ---------------------------------------------------------------- loading

/// Nearest canonical address: the upper bits repeat bit 47.
std::uint64_t canonical(std::uint64_t address) {
  constexpr unsigned kUnused = 64 - kLinearBits;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << kUnused) >> kUnused);
}

Segment load_segment_state(X86Segment::Reader in) {
  return {canonical(in.getBase()), in.getLimit(), in.getSelector(),
          static_cast<std::uint16_t>(in.getAttributes() & attribute::kAll)};
}

DescriptorTable load_table_state(X86DescriptorTable::Reader in) {
  return {canonical(in.getBase()), in.getLimit() & 0xFFFF};
}

/// Missing elements are zero.
template <std::size_t N>
void load_list(capnp::List<std::uint64_t>::Reader in, std::uint64_t (&values)[N], std::uint64_t mask) {
  for (unsigned i = 0; i < N; ++i) values[i] = i < in.size() ? in[i] & mask : 0;
}

void load_general(CpuState& s, CpuX86State::Reader in) {
  const std::uint64_t registers[16] = {
      in.getRax(), in.getRcx(), in.getRdx(), in.getRbx(), in.getRsp(), in.getRbp(), in.getRsi(), in.getRdi(),
      in.getR8(),  in.getR9(),  in.getR10(), in.getR11(), in.getR12(), in.getR13(), in.getR14(), in.getR15()};
  std::memcpy(s.gpr, registers, sizeof registers);
  s.pc = canonical(in.getRip());
  set_rflags(s, in.getRflags() & kFlagsMask);
  s.cpl = in.getCpl() & 3;
  s.halted = in.getHalted() ? 1 : 0;
  s.irq_shadow = in.getInterruptShadow() <= kShadowMovSs ? in.getInterruptShadow() : kShadowSti;
  s.nmi_blocked = in.getNmiBlocked() ? 1 : 0;
  s.stepping = 0;
}

void load_segments(CpuState& s, CpuX86State::Reader in) {
  s.segment[kEs] = load_segment_state(in.getEs());
  s.segment[kCs] = load_segment_state(in.getCs());
  s.segment[kSs] = load_segment_state(in.getSs());
  s.segment[kDs] = load_segment_state(in.getDs());
  s.segment[kFs] = load_segment_state(in.getFs());
  s.segment[kGs] = load_segment_state(in.getGs());
  s.ldtr = load_segment_state(in.getLdtr());
  s.tr = load_segment_state(in.getTr());
  s.gdtr = load_table_state(in.getGdtr());
  s.idtr = load_table_state(in.getIdtr());
}

/// CR0, CR4 and EFER that contradict each other are brought to the nearest legal combination.
void load_control(CpuState& s, CpuX86State::Reader in) {
  s.cr0 = (in.getCr0() & cr0::kAll) | cr0::kEt;
  if ((s.cr0 & cr0::kPe) == 0) s.cr0 &= ~cr0::kPg;
  s.cr2 = in.getCr2();
  s.cr3 = in.getCr3() & kPhysicalMask;
  s.cr4 = in.getCr4() & cr4_mask();
  s.xcr0 = (in.getXcr0() & kXcr0Mask) | 1;
  load_list(in.getDr(), s.dr, ~std::uint64_t{0});
  s.dr[6] = (s.dr[6] & debug::kDr6Writable) | debug::kDr6Fixed;
  s.dr[7] = (s.dr[7] & debug::kDr7Writable) | debug::kDr7Fixed;
  // RF is only ever held while a breakpoint is armed (see IRET).
  if ((s.dr[7] & debug::kEnables) == 0) s.rflags_system &= ~flag::kRf;
  s.efer = in.getEfer() & msr::kEferMask & ~efer::kLma;
  if ((s.efer & efer::kLme) != 0 && (s.cr0 & cr0::kPg) != 0) {
    s.efer |= efer::kLma;
    s.cr4 |= cr4::kPae;
  }
  Segment& cs = s.segment[kCs];
  if ((s.efer & efer::kLma) == 0) cs.attributes = static_cast<std::uint16_t>(cs.attributes & ~attribute::kL);
  if ((cs.attributes & attribute::kL) != 0)
    cs.attributes = static_cast<std::uint16_t>(cs.attributes & ~attribute::kDb);
}

void load_floating(CpuState& s, CpuX86State::Reader in) {
  s.fcw = static_cast<std::uint16_t>((in.getFcw() & 0x1F3F) | 0x40);
  s.fsw = static_cast<std::uint16_t>(in.getFsw() & ~0x3800);
  s.ftop = static_cast<std::uint8_t>(in.getFsw() >> 11 & 7);
  s.ftw = in.getFtw();
  s.fop = in.getFop() & 0x7FF;
  s.fip = in.getFip();
  s.fdp = in.getFdp();
  const auto st = in.getSt();
  for (unsigned i = 0; i < 8; ++i) {
    s.st[i] = {};
    if (i >= st.size()) continue;
    const std::uint64_t significand = st[i].getSignificand();
    const std::uint16_t sign_exponent = st[i].getSignExponent();
    std::memcpy(s.st[i].bytes, &significand, 8);
    std::memcpy(s.st[i].bytes + 8, &sign_exponent, 2);
  }
  s.guest_mxcsr = in.getMxcsr() & 0xFFFF;
  const auto xmm = in.getXmm();
  for (unsigned i = 0; i < 16; ++i) {
    std::uint64_t halves[2] = {};
    if (i < xmm.size()) {
      halves[0] = xmm[i].getLow();
      halves[1] = xmm[i].getHigh();
    }
    std::memcpy(s.xmm[i].bytes, halves, 16);
  }
}

void load_msrs(CpuState& s, CpuX86State::Reader in) {
  s.star = in.getStar();
  s.lstar = canonical(in.getLstar());
  s.cstar = canonical(in.getCstar());
  s.sfmask = in.getFmask() & 0xFFFFFFFFu;
  s.kernel_gs_base = canonical(in.getKernelGsBase());
  s.tsc_aux = in.getTscAux() & 0xFFFFFFFFu;
  s.sysenter_cs = in.getSysenterCs();
  s.sysenter_esp = canonical(in.getSysenterEsp());
  s.sysenter_eip = canonical(in.getSysenterEip());
  s.pat = in.getPat();
  s.misc_enable = in.getMiscEnable();
  s.tsc_offset = in.getTscAdjust();
  s.mtrr_def_type = in.getMtrrDefType() & msr::kMtrrDefTypeMask;
  s.spec_ctrl = 0;
  load_list(in.getMtrrFixed(), s.mtrr_fixed, ~std::uint64_t{0});
  load_list(in.getMtrrPhysBase(), s.mtrr_base, msr::kMtrrBaseMask);
  load_list(in.getMtrrPhysMask(), s.mtrr_mask, msr::kMtrrMaskMask);
}

// ---------------------------------------------------------------- firmware

/// Fixed ranges: write-back below 640 KiB, uncached to 768 KiB, write-back above. All else write-back but the
/// hole.
void set_firmware_mtrrs(CpuState& state, std::uint64_t hole_base) {
  constexpr std::uint64_t kWriteBack = 0x0606060606060606;
  for (std::uint64_t& fixed : state.mtrr_fixed) fixed = kWriteBack;
  state.mtrr_fixed[2] = 0;  // A0000..BFFFF
  const std::uint64_t size = (std::uint64_t{1} << 32) - hole_base;
  state.mtrr_base[0] = hole_base;
  state.mtrr_mask[0] = ((kPhysicalMask & ~(size - 1)) | 1u << 11);
  state.mtrr_def_type = 1u << 11 | 1u << 10 | 6;
}

}  // namespace

void reset(CpuState& state) {
  for (std::uint64_t& value : state.gpr) value = 0;
  state.gpr[kRdx] = kCpuSignature;
  for (Vector& value : state.xmm) value = {};
  for (Vector& value : state.st) value = {};
  state.pc = 0xFFFFFFF0;
  set_rflags(state, flag::kFixed);
  state.trap = {};
  state.alone = state.halted = state.leave = state.irq_shadow = 0;
  state.cpl = state.nmi_blocked = state.stepping = 0;
  using namespace attribute;
  const Segment data{0, 0xFFFF, 0, kAccessed | kWritable | kS | kP};
  for (Segment& segment : state.segment) segment = data;
  state.segment[kCs] = {0xFFFF0000, 0xFFFF, 0xF000, kAccessed | kReadable | kCode | kS | kP};
  state.ldtr = {0, 0xFFFF, 0, system_type::kLdt | kP};
  state.tr = {0, 0xFFFF, 0, system_type::kTssBusy | kP};
  state.gdtr = state.idtr = {0, 0xFFFF};
  state.cr0 = cr0::kCd | cr0::kNw | cr0::kEt;
  state.cr2 = state.cr3 = state.cr4 = 0;
  for (std::uint64_t& value : state.dr) value = 0;
  state.dr[6] = debug::kDr6Fixed;
  state.dr[7] = debug::kDr7Fixed;
  state.xcr0 = 1;
  state.fcw = 0x40;
  state.fsw = 0;
  state.ftop = 0;
  state.ftw = 0xFF;  // the full tag word is 5555H: every register holds zero
  state.fop = 0;
  state.fip = state.fdp = 0;
  state.guest_mxcsr = 0x1F80;
  state.efer = state.star = state.lstar = state.cstar = state.sfmask = state.kernel_gs_base = state.tsc_aux =
      0;
  state.sysenter_cs = state.sysenter_esp = state.sysenter_eip = 0;
  state.pat = msr::kPatReset;
  state.misc_enable = msr::kMiscEnableReset;
  state.tsc_offset = state.mtrr_def_type = state.spec_ctrl = 0;
  for (std::uint64_t& value : state.mtrr_fixed) value = 0;
  for (std::uint64_t& value : state.mtrr_base) value = 0;
  for (std::uint64_t& value : state.mtrr_mask) value = 0;
  context_changed(state);
}

void apply_boot(CpuState& state, const BootRegisters& boot) {
  const bool long64 = boot.mode == BootRegisters::Mode::long64;
  state.pc = boot.rip;
  for (std::uint64_t& value : state.gpr) value = 0;
  state.gpr[kRsp] = boot.rsp;
  state.gpr[kRbx] = boot.rbx;
  state.gpr[kRsi] = boot.rsi;
  for (Segment& segment : state.segment) segment = flat_data(boot.data_selector, 0);
  state.segment[kCs] = flat_code(boot.code_selector, 0, long64);
  state.gdtr = {boot.gdt_base, boot.gdt_limit};
  state.idtr = {0, 0};
  state.cr0 = cr0::kPe | cr0::kEt;
  if (long64) {
    state.cr0 |= cr0::kPg | cr0::kNe | cr0::kWp;
    state.cr3 = boot.cr3 & kPhysicalMask;
    state.cr4 = cr4::kPae;
    state.efer = efer::kLme | efer::kLma;
  }
  set_firmware_mtrrs(state, boot.hole_base);
  context_changed(state);
}

void CpuStateful::save(CpuX86State::Builder out) const {
  save_general(state_, out);
  save_segments(state_, out);
  save_control(state_, out);
  save_floating(state_, out);
  save_msrs(state_, out);
}

void CpuStateful::load(CpuX86State::Reader in) {
  load_general(state_, in);
  load_segments(state_, in);
  load_control(state_, in);
  load_floating(state_, in);
  load_msrs(state_, in);
  state_.trap = {};
  state_.leave = 0;
  context_changed(state_);
}

}  // namespace hindsight::engine::guest::x86
