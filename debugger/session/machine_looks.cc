#include "debugger/session/machine_looks.h"

#include <capnp/message.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "debugger/session/state_fields.h"
#include "debugger/session/x86_registers.h"

namespace hindsight::debugger::session {

namespace port = engine::port;

namespace {

/// The state of the machine's CPU, saved once.
class Cpu final {
 public:
  explicit Cpu(port::Machine& machine) {
    auto root = message_.initRoot<traces::schema::CpuX86State>();
    machine.parts().front()->save_state(capnp::toDynamic(root));
  }
  [[nodiscard]] traces::schema::CpuX86State::Reader state() {
    return message_.getRoot<traces::schema::CpuX86State>().asReader();
  }

 private:
  capnp::MallocMessageBuilder message_;
};

/// The machine that stands at a hit.
class MachineView final : public View {
 public:
  explicit MachineView(port::Machine& machine) : machine_(machine) {}
  [[nodiscard]] RegisterValue register_value(std::size_t index) const override {
    if (!cpu_) cpu_ = std::make_unique<Cpu>(machine_);
    return x86_register(index, cpu_->state());
  }
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override {
    return read_linear(machine_.debug(), address, out);
  }

 private:
  port::Machine& machine_;
  mutable std::unique_ptr<Cpu> cpu_;
};

}  // namespace

std::vector<RegisterValue> registers_of(port::Machine& machine) {
  Cpu cpu(machine);
  std::vector<RegisterValue> values(x86_register_table().size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = x86_register(i, cpu.state());
  return values;
}

std::uint64_t register_of(port::Machine& machine, std::string_view name) {
  const auto table = x86_register_table();
  const auto found = std::ranges::find(table, name, &RegisterInfo::name);
  CHECK(found != table.end(), "no register {}", name);
  Cpu cpu(machine);
  return x86_register(static_cast<std::size_t>(found - table.begin()), cpu.state())[0];
}

std::size_t read_linear(const port::DebugPort& debug, GuestVirt address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const GuestVirt at = address + done;
    const std::uint64_t offset = at.value & kPageMask;
    const std::size_t part = std::min<std::size_t>(out.size() - done, kPageSize - offset);
    const auto mapping = debug.mapping(at);
    if (!mapping || !debug.peek(mapping->page + offset, out.data() + done, part)) break;
    done += part;
  }
  return done;
}

std::size_t read_physical(const port::DebugPort& debug, GuestPhys address, std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t part =
        std::min<std::size_t>(out.size() - done, kPageSize - ((address.value + done) & kPageMask));
    if (!debug.peek(address + done, out.data() + done, part)) break;
    done += part;
  }
  return done;
}

std::vector<StateField> state_of(port::Machine& machine, std::string_view part) {
  std::vector<StateField> fields;
  for (const port::Stateful* each : machine.parts())
    if (part.empty() || each->state_name() == part) append_state(*each, fields);
  return fields;
}

std::string walk_text(const port::DebugPort& debug, GuestVirt address) {
  std::string text;
  for (const port::TableEntry& entry : debug.walk(address))
    text += fmt::format("level {}  entry at {:012x}  {:016x}{}\n", entry.level, entry.address.value,
                        entry.value, (entry.value & 1) != 0 ? "" : "  not present");
  if (const auto found = debug.mapping(address))
    text += fmt::format("{:016x} is physical {:012x}: {}{}{}\n", address.value,
                        found->page.value + (address.value & kPageMask), found->user ? "user" : "supervisor",
                        found->writable ? ", writable" : "", found->executable ? ", executable" : "");
  else
    text += fmt::format("{:016x} is not mapped\n", address.value);
  return text;
}

std::string hit_in_words(const Hit& hit) {
  if (hit.access)
    return fmt::format("{} {} bytes at {:#x}: {:#x} -> {:#x}", hit.access->write ? "wrote" : "read",
                       hit.access->size, hit.access->physical.value, hit.access->before, hit.access->after);
  if (hit.delivery)
    return fmt::format("{} {:#x}", hit.delivery->interrupt ? "interrupt" : "exception", hit.delivery->vector);
  if (hit.device)
    return fmt::format("{} {} {:#x}: {:#x}", hit.device->device, hit.device->write ? "write" : "read",
                       hit.device->address, hit.device->value);
  return {};
}

replay::timeline::Predicate predicate_of(Question when) {
  if (!when) return {};
  return [when = std::move(when)](port::Machine& machine) { return when(MachineView(machine)); };
}

}  // namespace hindsight::debugger::session
