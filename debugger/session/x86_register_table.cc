#include <array>

#include "debugger/session/x86_registers.h"

namespace hindsight::debugger::session {
namespace {

using traces::schema::CpuX86State;
using Group = RegisterInfo::Group;

/// The state comes from a trace, whose lists may be shorter than they should be.
template <class List>
std::uint64_t item(List list, unsigned index) {
  return index < list.size() ? list[index] : 0;
}

/// ST(i) is a physical register, which TOP chooses (SDM vol. 1, 8.1.2).
template <unsigned I>
RegisterValue st(CpuX86State::Reader c) {
  const unsigned physical = ((c.getFsw() >> 11 & 7) + I) & 7;
  const auto registers = c.getSt();
  if (physical >= registers.size()) return {};
  return {registers[physical].getSignificand(), registers[physical].getSignExponent()};
}

template <unsigned I>
RegisterValue xmm(CpuX86State::Reader c) {
  const auto registers = c.getXmm();
  if (I >= registers.size()) return {};
  return {registers[I].getLow(), registers[I].getHigh()};
}

struct Row {
  RegisterInfo info;
  RegisterValue (*value)(CpuX86State::Reader);
};

// Names as SDM vol. 1, 3.4 and vol. 3, 2.4 to 2.5 and vol. 4 spell them.
constexpr Row kRows[] = {
    {{"rax", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRax()), 0};
     }},
    {{"rbx", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRbx()), 0};
     }},
    {{"rcx", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRcx()), 0};
     }},
    {{"rdx", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRdx()), 0};
     }},
    {{"rsi", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRsi()), 0};
     }},
    {{"rdi", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRdi()), 0};
     }},
    {{"rbp", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRbp()), 0};
     }},
    {{"rsp", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRsp()), 0};
     }},
    {{"r8", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR8()), 0};
     }},
    {{"r9", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR9()), 0};
     }},
    {{"r10", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR10()), 0};
     }},
    {{"r11", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR11()), 0};
     }},
    {{"r12", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR12()), 0};
     }},
    {{"r13", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR13()), 0};
     }},
    {{"r14", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR14()), 0};
     }},
    {{"r15", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getR15()), 0};
     }},
    {{"rip", 64, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRip()), 0};
     }},
    {{"rflags", 32, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getRflags()), 0};
     }},
    {{"cpl", 8, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCpl()), 0};
     }},
    {{"halted", 8, Group::general},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {c.getHalted() ? 1U : 0U, 0};
     }},
    {{"cs", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCs().getSelector()), 0};
     }},
    {{"ss", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getSs().getSelector()), 0};
     }},
    {{"ds", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getDs().getSelector()), 0};
     }},
    {{"es", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getEs().getSelector()), 0};
     }},
    {{"fs", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getFs().getSelector()), 0};
     }},
    {{"gs", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getGs().getSelector()), 0};
     }},
    {{"fs_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getFs().getBase()), 0};
     }},
    {{"gs_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getGs().getBase()), 0};
     }},
    {{"cs_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCs().getBase()), 0};
     }},
    {{"ss_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getSs().getBase()), 0};
     }},
    {{"ds_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getDs().getBase()), 0};
     }},
    {{"es_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getEs().getBase()), 0};
     }},
    {{"tr", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getTr().getSelector()), 0};
     }},
    {{"tr_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getTr().getBase()), 0};
     }},
    {{"tr_limit", 32, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getTr().getLimit()), 0};
     }},
    {{"ldtr", 16, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getLdtr().getSelector()), 0};
     }},
    {{"ldtr_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getLdtr().getBase()), 0};
     }},
    {{"ldtr_limit", 32, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getLdtr().getLimit()), 0};
     }},
    {{"gdtr_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getGdtr().getBase()), 0};
     }},
    {{"gdtr_limit", 32, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getGdtr().getLimit()), 0};
     }},
    {{"idtr_base", 64, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getIdtr().getBase()), 0};
     }},
    {{"idtr_limit", 32, Group::segment},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getIdtr().getLimit()), 0};
     }},
    {{"cr0", 64, Group::control},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCr0()), 0};
     }},
    {{"cr2", 64, Group::control},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCr2()), 0};
     }},
    {{"cr3", 64, Group::control},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCr3()), 0};
     }},
    {{"cr4", 64, Group::control},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCr4()), 0};
     }},
    {{"xcr0", 64, Group::control},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getXcr0()), 0};
     }},
    {{"dr0", 64, Group::debug},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(item(c.getDr(), 0)), 0};
     }},
    {{"dr1", 64, Group::debug},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(item(c.getDr(), 1)), 0};
     }},
    {{"dr2", 64, Group::debug},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(item(c.getDr(), 2)), 0};
     }},
    {{"dr3", 64, Group::debug},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(item(c.getDr(), 3)), 0};
     }},
    {{"dr6", 64, Group::debug},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(item(c.getDr(), 6)), 0};
     }},
    {{"dr7", 64, Group::debug},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(item(c.getDr(), 7)), 0};
     }},
    {{"efer", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getEfer()), 0};
     }},
    {{"star", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getStar()), 0};
     }},
    {{"lstar", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getLstar()), 0};
     }},
    {{"cstar", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getCstar()), 0};
     }},
    {{"fmask", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getFmask()), 0};
     }},
    {{"kernel_gs_base", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue {
       return {static_cast<std::uint64_t>(c.getKernelGsBase()), 0};
     }},
    {{"tsc_aux", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getTscAux()), 0}; }},
    {{"sysenter_cs", 64, Group::msr},
     [](CpuX86State::Reader c)
         -> RegisterValue { return {static_cast<std::uint64_t>(c.getSysenterCs()), 0}; }},
    {{"sysenter_esp", 64, Group::msr},
     [](CpuX86State::Reader c)
         -> RegisterValue { return {static_cast<std::uint64_t>(c.getSysenterEsp()), 0}; }},
    {{"sysenter_eip", 64, Group::msr},
     [](CpuX86State::Reader c)
         -> RegisterValue { return {static_cast<std::uint64_t>(c.getSysenterEip()), 0}; }},
    {{"pat", 64, Group::msr},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getPat()), 0}; }},
    {{"misc_enable", 64, Group::msr},
     [](CpuX86State::Reader c)
         -> RegisterValue { return {static_cast<std::uint64_t>(c.getMiscEnable()), 0}; }},
    {{"tsc_adjust", 64, Group::msr},
     [](CpuX86State::Reader c)
         -> RegisterValue { return {static_cast<std::uint64_t>(c.getTscAdjust()), 0}; }},
    {{"mtrr_def_type", 64, Group::msr},
     [](CpuX86State::Reader c)
         -> RegisterValue { return {static_cast<std::uint64_t>(c.getMtrrDefType()), 0}; }},
    {{"fcw", 16, Group::x87},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getFcw()), 0}; }},
    {{"fsw", 16, Group::x87},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getFsw()), 0}; }},
    {{"ftw", 8, Group::x87},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getFtw()), 0}; }},
    {{"fop", 16, Group::x87},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getFop()), 0}; }},
    {{"fip", 64, Group::x87},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getFip()), 0}; }},
    {{"fdp", 64, Group::x87},
     [](CpuX86State::Reader c) -> RegisterValue { return {static_cast<std::uint64_t>(c.getFdp()), 0}; }},
    {{"st0", 80, Group::x87}, st<0>},
    {{"st1", 80, Group::x87}, st<1>},
    {{"st2", 80, Group::x87}, st<2>},
    {{"st3", 80, Group::x87}, st<3>},
    {{"st4", 80, Group::x87}, st<4>},
    {{"st5", 80, Group::x87}, st<5>},
    {{"st6", 80, Group::x87}, st<6>},
    {{"st7", 80, Group::x87}, st<7>},
    {{"xmm0", 128, Group::vector}, xmm<0>},
    {{"xmm1", 128, Group::vector}, xmm<1>},
    {{"xmm2", 128, Group::vector}, xmm<2>},
    {{"xmm3", 128, Group::vector}, xmm<3>},
    {{"xmm4", 128, Group::vector}, xmm<4>},
    {{"xmm5", 128, Group::vector}, xmm<5>},
    {{"xmm6", 128, Group::vector}, xmm<6>},
    {{"xmm7", 128, Group::vector}, xmm<7>},
    {{"xmm8", 128, Group::vector}, xmm<8>},
    {{"xmm9", 128, Group::vector}, xmm<9>},
    {{"xmm10", 128, Group::vector}, xmm<10>},
    {{"xmm11", 128, Group::vector}, xmm<11>},
    {{"xmm12", 128, Group::vector}, xmm<12>},
    {{"xmm13", 128, Group::vector}, xmm<13>},
    {{"xmm14", 128, Group::vector}, xmm<14>},
    {{"xmm15", 128, Group::vector}, xmm<15>},
    {{"mxcsr", 32, Group::vector}, [](CpuX86State::Reader c) -> RegisterValue { return {c.getMxcsr(), 0}; }},
};

constexpr auto kInfos = [] {
  std::array<RegisterInfo, std::size(kRows)> infos{};
  for (std::size_t i = 0; i < infos.size(); ++i) infos[i] = kRows[i].info;
  return infos;
}();

}  // namespace

std::span<const RegisterInfo> x86_register_table() { return kInfos; }
RegisterValue x86_register(std::size_t index, CpuX86State::Reader cpu) { return kRows[index].value(cpu); }

}  // namespace hindsight::debugger::session
