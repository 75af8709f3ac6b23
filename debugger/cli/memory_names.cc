#include "debugger/cli/memory_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "debugger/cli/guest_text.h"
#include "debugger/symbols/machine_view.h"
#include "engine/mmu/physical_memory.h"

namespace hindsight::debugger::cli {
namespace {

using symbols::load;
using symbols::Range;
using symbols::Symbol;

constexpr std::string_view kCpu = "cpu0";

/// 64, 32 or 16, by what the segment in CS says (SDM vol. 3, 3.4.5).
unsigned code_bits(engine::port::Machine& machine) {
  for (const engine::port::Stateful* part : machine.parts()) {
    if (part->state_name() != kCpu ||
        part->state_schema() != capnp::Schema::from<traces::schema::CpuX86State>())
      continue;
    capnp::MallocMessageBuilder message;
    part->save_state(message.initRoot<capnp::DynamicStruct>(part->state_schema()));
    const auto cpu = message.getRoot<traces::schema::CpuX86State>().asReader();
    constexpr unsigned kLong = 1u << 13, kBig = 1u << 14;
    constexpr std::uint64_t kLongActive = std::uint64_t{1} << 10;
    const unsigned attributes = cpu.getCs().getAttributes();
    if ((cpu.getEfer() & kLongActive) != 0 && (attributes & kLong) != 0) return 64;
    return (attributes & kBig) != 0 ? 32 : 16;
  }
  return 64;
}

}  // namespace

GuestPhys physical_of(std::uint64_t ram_offset) {
  using engine::mmu::kHighRam;
  using engine::mmu::kLowRamEnd;
  return ram_offset < kLowRamEnd.value ? GuestPhys{ram_offset} : kHighRam + (ram_offset - kLowRamEnd.value);
}

InstructionText instruction_at_pc(engine::port::Machine& machine) {
  constexpr std::size_t kLongest = 15;  // SDM vol. 2, 2.3.11
  const engine::port::DebugPort& debug = machine.debug();
  InstructionText result;
  for (GuestVirt at = debug.pc(); result.bytes.size() < kLongest; at += 1) {
    const auto mapping = debug.mapping(GuestVirt{at.value & ~kPageMask});
    std::uint8_t byte = 0;
    if (!mapping || !debug.peek(mapping->page + (at.value & kPageMask), &byte, 1)) break;
    result.bytes.push_back(byte);
  }
  const GuestText text = disassemble_guest(result.bytes, code_bits(machine), debug.pc().value);
  result.text = result.bytes.empty() ? "(no code can be fetched here)" : text.text;
  result.bytes.resize(std::min(result.bytes.size(), text.length));
  return result;
}

MemoryNames::MemoryNames(engine::port::Machine& machine) {
  const Result<symbols::CpuView> view = symbols::view_of(machine, kCpu);
  if (!view) {
    missing_ = view.failure().message;
    return;
  }
  Result<symbols::GuestKernel> kernel = symbols::GuestKernel::find(view->memory);
  if (!kernel) {
    missing_ = kernel.failure().message;
    return;
  }
  kernel_ = std::move(*kernel);
  add_pages(view->memory, kernel_->symbols().image());
  for (const symbols::Module& module : kernel_->modules()) {
    for (std::size_t i = 0; i < module.symbols.size(); ++i) {
      const Symbol symbol = module.symbols[i];
      if (!symbol.absolute) add_pages(view->memory, {symbol.address, symbol.address + symbol.size});
    }
  }
  if (const auto base = kernel_->symbols().address_of("page_offset_base")) {
    if (const auto value = load<std::uint64_t>(view->memory, *base)) direct_map_ = GuestVirt{*value};
  }
  read_freed(view->memory);
  read_per_cpu(view->memory);
}

// Once booted, Linux gives away the memory of what only the boot needed and of the gaps between sections,
// where the symbol before would be named (free_initmem and mark_rodata_ro in arch/x86/mm of the kernel).
void MemoryNames::read_freed(const symbols::MemoryView& memory) {
  constexpr std::uint32_t kFreeingInitmem = 2;  // enum system_states, include/linux/kernel.h
  const symbols::KernelSymbols& kernel = kernel_->symbols();
  const auto state = kernel.address_of("system_state");
  if (!state || load<std::uint32_t>(memory, *state).value_or(0) < kFreeingInitmem) return;
  const auto add = [&](const char* from, const char* to) {
    const auto begin = kernel.address_of(from), end = kernel.address_of(to);
    if (begin && end) freed_.push_back({*begin, *end});
  };
  add("_etext", "__start_rodata");
  add("__end_rodata", "_sdata");
  add("__init_begin", "__init_end");
}

void MemoryNames::add_pages(const symbols::PageTableView& memory, Range range) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 18;
  if (range.size() == 0 || range.size() > kMost * kPageSize) return;
  const std::uint64_t last = (range.end.value - 1) >> kPageBits;
  for (std::uint64_t page = range.begin.value >> kPageBits; page <= last; ++page) {
    const GuestVirt at{page << kPageBits};
    if (const auto physical = memory.translate(at)) pages_.try_emplace(physical->value >> kPageBits, at);
  }
}

// Linux links a CPU's own variables at offsets into an area that each CPU has a copy of; __per_cpu_offset
// says where (include/linux/percpu-defs.h, arch/x86/kernel/setup_percpu.c of the kernel).
void MemoryNames::read_per_cpu(const symbols::MemoryView& memory) {
  const auto offsets = kernel_->symbols().address_of("__per_cpu_offset");
  const auto end = kernel_->symbols().table().first("__per_cpu_end");
  if (!offsets || !end || !end->absolute || !direct_map_) return;
  const auto base = load<std::uint64_t>(memory, *offsets);
  if (!base) return;
  per_cpu_base_ = GuestVirt{*base};
  const symbols::SymbolTable& table = kernel_->symbols().table();
  for (std::size_t i = 0; i < table.size() && table[i].absolute; ++i) {
    const Symbol symbol = table[i];
    if (symbol.address <= end->address) per_cpu_.push_back({symbol.address.value, std::string(symbol.name)});
  }
  std::ranges::stable_sort(per_cpu_, {}, &PerCpu::offset);
}

std::string MemoryNames::code(GuestVirt pc) const {
  const auto location = kernel_ ? kernel_->at(pc) : std::nullopt;
  return location ? location->text() : std::string();
}

std::string MemoryNames::data(GuestPhys address) const {
  if (const auto page = pages_.find(address.value >> kPageBits); page != pages_.end()) {
    const GuestVirt at = page->second + (address.value & kPageMask);
    if (std::ranges::any_of(freed_, [&](const Range& range) { return range.contains(at); })) return {};
    const auto location = kernel_->at(at);
    return location ? location->text() : std::string();
  }
  if (per_cpu_.empty()) return {};
  const std::uint64_t offset = *direct_map_ + address.value - per_cpu_base_;
  const auto after = std::ranges::upper_bound(per_cpu_, offset, {}, &PerCpu::offset);
  if (after == per_cpu_.begin() || after == per_cpu_.end()) return {};
  const PerCpu& symbol = *(after - 1);
  const std::string inside = offset == symbol.offset ? "" : fmt::format("+{:#x}", offset - symbol.offset);
  return fmt::format("{}{} (CPU 0's)", symbol.name, inside);
}

std::optional<GuestVirt> MemoryNames::linear(GuestPhys address) const {
  if (const auto page = pages_.find(address.value >> kPageBits); page != pages_.end())
    return page->second + (address.value & kPageMask);
  if (!direct_map_) return std::nullopt;
  return *direct_map_ + address.value;
}

}  // namespace hindsight::debugger::cli
