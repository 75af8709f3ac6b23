#include "tests/support/bare_machine.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/base/check.h"
#include "engine/guest/x86/system_bits.h"

namespace hindsight::tests::support {

namespace exec = engine::exec;
namespace port = engine::port;
namespace x86 = engine::guest::x86;

namespace {

/// Present, writable.
constexpr std::uint64_t kEntryBits = 3;
constexpr std::uint64_t kEntries = 512;
constexpr std::uint64_t kLeafTables = BareMachine::kRam / kPageSize / kEntries;

}  // namespace

std::uint8_t BareMachine::Wire::acknowledge() {
  const std::uint8_t taken = vector.value();
  vector.reset();
  return taken;
}

void NothingOutside::sample(port::Instant, port::Channel, std::uint64_t, std::span<std::byte> out) {
  std::ranges::fill(out, std::byte{0});
}

port::Instant NothingOutside::next_input() const { return {Icount::max(), VirtualTime::max()}; }

BareMachine::BareMachine(exec::EngineKind engine) {
  exec::MachineOptions options{};
  options.ram_bytes = kRam;
  options.engine = engine;
  options.code_cache_bytes = std::uint64_t{4} << 20;
  auto made = exec::Machine::create(options, guest_, *cpu_, nothing_, nothing_);
  CHECK(made, "{}", made.failure().message);
  machine_ = std::move(*made);
  cpu_->apic = &wire_;
  map_everything();
  constexpr std::uint64_t kFlatCode64 = 0x00AF9B000000FFFF, kFlatData = 0x00CF93000000FFFF;
  put64(kGdt + kCodeSelector, kFlatCode64);
  put64(kGdt + kDataSelector, kFlatData);
  x86::reset(*cpu_);
  x86::BootRegisters boot;
  boot.mode = x86::BootRegisters::Mode::long64;
  boot.rip = kCode;
  boot.rsp = kStackTop;
  boot.cr3 = kTables;
  boot.gdt_base = kGdt;
  boot.gdt_limit = kDataSelector + 7u;
  boot.code_selector = kCodeSelector;
  boot.data_selector = kDataSelector;
  x86::apply_boot(*cpu_, boot);
  cpu_->idtr = {kIdt, 0xFFF};
  cpu_->cr4 |= x86::cr4::kOsfxsr;
  machine_->attach(wire_, {&part_}, {});
}

void BareMachine::map_everything() {
  put64(kTables, (kTables + kPageSize) | kEntryBits);
  put64(kTables + kPageSize, (kTables + 2 * kPageSize) | kEntryBits);
  const std::uint64_t leaves = kTables + 3 * kPageSize;
  for (std::uint64_t i = 0; i < kLeafTables; ++i)
    put64(kTables + 2 * kPageSize + i * 8, (leaves + i * kPageSize) | kEntryBits);
  for (std::uint64_t i = 0; i < kLeafTables * kEntries; ++i)
    put64(leaves + i * 8, i * kPageSize | kEntryBits);
}

void BareMachine::write(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  CHECK(machine_->memory().write(GuestPhys{address}, bytes.data(), bytes.size()), "{:#x} is not RAM",
        address);
}

std::uint64_t BareMachine::read64(std::uint64_t address) const {
  std::uint64_t value = 0;
  CHECK(machine_->memory().read(GuestPhys{address}, &value, 8), "{:#x} is not RAM", address);
  return value;
}

void BareMachine::put64(std::uint64_t address, std::uint64_t value) {
  CHECK(machine_->memory().write(GuestPhys{address}, &value, 8), "{:#x} is not RAM", address);
}

void BareMachine::set_gate(unsigned vector, std::uint64_t handler) {
  constexpr std::uint64_t kInterruptGate = 0x8E;
  const std::uint64_t low = (handler & 0xFFFF) | std::uint64_t{kCodeSelector} << 16 | kInterruptGate << 40 |
                            (handler >> 16 & 0xFFFF) << 48;
  put64(kIdt + std::uint64_t{vector} * 16, low);
  put64(kIdt + std::uint64_t{vector} * 16 + 8, handler >> 32);
}

port::StopReason BareMachine::run_for(std::uint64_t instructions) {
  return machine_->run(machine_->now().icount + instructions);
}

void BareMachine::load_from(BareMachine& other) {
  for (std::uint64_t i = 0; i < machine_->ram().page_count(); ++i)
    machine_->ram().set_page(i, other.machine_->ram().page(i));
  const auto mine = machine_->parts();
  const auto theirs = other.machine_->parts();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    capnp::MallocMessageBuilder message;
    auto state = message.initRoot<capnp::DynamicStruct>(theirs[i]->state_schema());
    theirs[i]->save_state(state);
    mine[i]->load_state(state.asReader());
  }
  machine_->state_changed();
}

}  // namespace hindsight::tests::support
