#include "debugger/symbols/machine_view.h"

#include <capnp/dynamic.h>
#include <capnp/message.h>

namespace hindsight::debugger::symbols {

using traces::schema::CpuX86State;

Registers registers_of(CpuX86State::Reader cpu) {
  Registers registers;
  registers.general = {cpu.getRax(), cpu.getRcx(), cpu.getRdx(), cpu.getRbx(), cpu.getRsp(), cpu.getRbp(),
                       cpu.getRsi(), cpu.getRdi(), cpu.getR8(),  cpu.getR9(),  cpu.getR10(), cpu.getR11(),
                       cpu.getR12(), cpu.getR13(), cpu.getR14(), cpu.getR15()};
  registers.rip = cpu.getRip();
  registers.cpl = cpu.getCpl();
  return registers;
}

PageTableView memory_of(const engine::port::RamPages& ram, CpuX86State::Reader cpu) {
  constexpr std::uint64_t kPaging = std::uint64_t{1} << 31, kLongActive = std::uint64_t{1} << 10;
  constexpr std::uint64_t kLa57 = std::uint64_t{1} << 12;
  const bool long_mode = (cpu.getCr0() & kPaging) != 0 && (cpu.getEfer() & kLongActive) != 0;
  const unsigned levels = !long_mode ? 0 : (cpu.getCr4() & kLa57) != 0 ? 5 : 4;
  return PageTableView(ram, GuestPhys{cpu.getCr3()}, levels).kernel_side();
}

Result<CpuView> view_of(engine::port::Machine& machine, std::string_view cpu) {
  for (const engine::port::Stateful* part : machine.parts()) {
    if (part->state_name() != cpu) continue;
    if (part->state_schema() != capnp::Schema::from<CpuX86State>()) return error("{} is not an x86 CPU", cpu);
    capnp::MallocMessageBuilder message;
    part->save_state(message.initRoot<capnp::DynamicStruct>(part->state_schema()));
    const auto state = message.getRoot<CpuX86State>().asReader();
    return CpuView{registers_of(state), memory_of(machine.ram(), state)};
  }
  return error("the machine has no part \"{}\"", cpu);
}

}  // namespace hindsight::debugger::symbols
