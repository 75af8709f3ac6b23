#include "tests/unit/engine/x64_machine.h"

#include <cstring>

namespace hindsight::engine::test {

const ir::RegisterTable& register_table() {
  static const std::array<std::uint32_t, 9> general = {gpr_at(0), gpr_at(1), gpr_at(2), gpr_at(3), gpr_at(4),
                                                       gpr_at(5), gpr_at(6), gpr_at(7), gpr_at(8)};
  static const std::array<std::uint32_t, 2> vectors = {vec_at(0), vec_at(1)};
  static const ir::RegisterTable table{general, vectors};
  return table;
}

struct MachineMemory {
  static Machine& of(ir::CoreState* s) { return *static_cast<Machine*>(s->environment); }
  static std::uint64_t load(ir::CoreState* s, std::uint64_t address, std::uint32_t size,
                            std::uint32_t access) {
    Machine& m = of(s);
    std::uint64_t v = 0;
    if (!m.check(address, size, (access & ir::kAccessWriteIntent) != 0)) return 0xBAD;
    std::memcpy(&v, &m.ram[address - Machine::kBase], size);
    return v;
  }
  static void store(ir::CoreState* s, std::uint64_t address, std::uint64_t value, std::uint32_t size,
                    std::uint32_t) {
    Machine& m = of(s);
    if (m.check(address, size, true)) std::memcpy(&m.ram[address - Machine::kBase], &value, size);
  }
  static void load16(ir::CoreState* s, std::uint64_t address, std::uint32_t access) {
    Machine& m = of(s);
    if (m.check(address, 16, (access & ir::kAccessWriteIntent) != 0))
      std::memcpy(s->wide, &m.ram[address - Machine::kBase], 16);
  }
  static void store16(ir::CoreState* s, std::uint64_t address, std::uint32_t) {
    Machine& m = of(s);
    if (m.check(address, 16, true)) std::memcpy(&m.ram[address - Machine::kBase], s->wide, 16);
  }
};

namespace {
constexpr ir::MemoryOps kOps = {.load = &MachineMemory::load,
                                .store = &MachineMemory::store,
                                .load16 = &MachineMemory::load16,
                                .store16 = &MachineMemory::store16,
                                .span = nullptr,
                                .probe_write = nullptr,
                                .port_in = nullptr,
                                .port_out = nullptr,
                                .context_changed = nullptr};
}  // namespace

Machine::Machine()
    : ram(kPages * kPageBytes),
      view_(std::make_unique<ir::TlbView>()),
      jumps_(std::make_unique<ir::JumpTable>()) {
  state.memory = &kOps;
  state.environment = this;
  state.view = view_.get();
  state.jumps = jumps_.get();
  state.guest_mxcsr = 0x1F80;
  state.flags = ir::pack_flags(0);
  state.pc = 0x7000;
  flush_tlb();
  clear_jumps(nullptr);
}

void Machine::flush_tlb() {
  for (unsigned i = 0; i < ir::kTlbSize; ++i) view_->read[i] = view_->write[i] = {ir::kTlbInvalid, 0};
}

void Machine::clear_jumps(const void* invalid) {
  for (auto& e : jumps_->entries) e = {ir::kTlbInvalid, invalid};
}

bool Machine::check(std::uint64_t address, std::uint64_t size, bool write) {
  ++slow_accesses;
  for (const std::uint64_t at : {address, address + size - 1}) {
    const std::uint64_t page = (at - kBase) / kPageBytes;
    if (at < kBase || page >= kPages || (write && page == kReadOnlyPage)) {
      state.trap = {ir::TrapKind::guest, 14, write ? 2u : 0u, 1, at < kBase || page >= kPages ? address : at};
      return false;
    }
    if (page == kAlonePage) {
      state.trap = {ir::TrapKind::redo_alone, 0, 0, 0, 0};
      return false;
    }
    if (!fill_tlb || page == kSlowPage) continue;
    const std::uint64_t tag = at & ~(kPageBytes - 1);
    const std::uint64_t addend = reinterpret_cast<std::uint64_t>(ram.data()) - kBase;
    const std::uint64_t slot = (at / kPageBytes) & (ir::kTlbSize - 1);
    view_->read[slot] = {tag, addend};
    if (page != kReadOnlyPage) view_->write[slot] = {tag, addend};
  }
  return true;
}

}  // namespace hindsight::engine::test
