#include "debugger/symbols/guest_kernel.h"

#include <fmt/format.h>

#include "debugger/symbols/symbol_elf.h"

namespace hindsight::debugger::symbols {
namespace {

struct Asked {
  std::string_view name, module;
};

Asked parse(std::string_view text) {
  if (const auto bracket = text.find(" ["); bracket != std::string_view::npos && text.ends_with(']'))
    return {text.substr(0, bracket), text.substr(bracket + 2, text.size() - bracket - 3)};
  if (const auto colon = text.find(':'); colon != std::string_view::npos)
    return {text.substr(colon + 1), text.substr(0, colon)};
  return {text, {}};
}

std::string_view end_text(Stack::End end) {
  switch (end) {
    case Stack::End::bottom:
      return "";
    case Stack::End::user:
      return "user space";
    case Stack::End::unknown:
      return "no unwinding data for this code";
    case Stack::End::unreadable:
      return "the stack cannot be read further";
    case Stack::End::limit:
      return "more frames follow";
  }
  return "";
}

}  // namespace

Result<GuestKernel> GuestKernel::find(const MemoryView& memory) {
  Result<KernelSymbols> symbols = KernelSymbols::find(memory);
  if (!symbols) return symbols.failure();
  GuestKernel kernel;
  kernel.symbols_ = std::move(*symbols);
  if (auto unwinder = Unwinder::create(memory, kernel.symbols_)) kernel.unwinder_ = std::move(*unwinder);
  kernel.refresh(memory);
  return kernel;
}

void GuestKernel::refresh(const MemoryView& memory) {
  modules_ = read_modules(memory, symbols_);
  if (unwinder_) unwinder_->set_modules(modules_);
}

std::optional<Location> GuestKernel::at(GuestVirt address) const {
  if (auto location = symbols_.at(address)) return location;
  for (const Module& module : modules_) {
    if (auto location = module.symbols.at(address)) return location;
  }
  return std::nullopt;
}

std::string GuestKernel::describe(GuestVirt address) const {
  const auto location = at(address);
  return location ? location->text() : fmt::format("{:#x}", address.value);
}

std::vector<Symbol> GuestKernel::find_symbol(std::string_view name) const {
  const Asked asked = parse(name);
  std::vector<Symbol> found;
  if (asked.module.empty()) found = symbols_.find(asked.name);
  for (const Module& module : modules_) {
    if (!asked.module.empty() && module.name != asked.module) continue;
    const std::vector<Symbol> more = module.symbols.find(asked.name);
    found.insert(found.end(), more.begin(), more.end());
  }
  return found;
}

Result<Stack> GuestKernel::unwind(const Registers& registers, const MemoryView& memory,
                                  std::size_t most) const {
  if (!unwinder_) return error("the kernel has no ORC tables to unwind with (CONFIG_UNWINDER_ORC)");
  return unwinder_->unwind(registers, memory, most);
}

std::string GuestKernel::describe(const Stack& stack) const {
  std::string text;
  for (std::size_t i = 0; i < stack.frames.size(); ++i) {
    const Frame& frame = stack.frames[i];
    // A call may be a function's last instruction: look up the call, say the return address.
    const GuestVirt pc = frame.lookup_pc(i == 0);
    auto location = at(pc);
    if (location) location->offset += frame.pc - pc;
    text += fmt::format("#{:<2} {:016x}  {}{}{}\n", i, frame.pc.value, location ? location->text() : "?",
                        frame.interrupted ? "  (interrupted)" : "", frame.guessed ? "  (guessed)" : "");
  }
  if (stack.user) {
    text += fmt::format("    {:016x}  {}\n", stack.user->pc.value, end_text(stack.end));
  } else if (stack.end != Stack::End::bottom) {
    text += fmt::format("    ({})\n", end_text(stack.end));
  }
  return text;
}

Result<std::vector<Task>> GuestKernel::tasks(const MemoryView& memory) {
  if (!task_reader_) {
    const Result<Btf> btf = Btf::read(memory, symbols_);
    if (!btf) return btf.failure();
    Result<TaskReader> reader = TaskReader::create(*btf, symbols_);
    if (!reader) return reader.failure();
    task_reader_ = std::move(*reader);
  }
  return task_reader_->read(memory);
}

Result<std::vector<ModuleSection>> GuestKernel::sections(const Module& module, const MemoryView& memory) {
  if (!section_reader_) {
    const Result<Btf> btf = Btf::read(memory, symbols_);
    if (!btf) return btf.failure();
    Result<SectionReader> reader = SectionReader::create(*btf);
    if (!reader) return reader.failure();
    section_reader_ = *reader;
  }
  return section_reader_->read(memory, module.address);
}

std::vector<std::byte> GuestKernel::elf(const MemoryView& memory) const {
  return write_elf(symbols_, modules_, unwinder_ ? &*unwinder_ : nullptr, memory);
}

}  // namespace hindsight::debugger::symbols
