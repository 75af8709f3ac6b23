#include "debugger/session/kernel_view.h"

#include <fmt/format.h>

#include <charconv>

namespace hindsight::debugger::session {

using symbols::GuestKernel;

namespace {

Scene scene_of(replay::timeline::Timeline& timeline) {
  const auto at_the_end = [&timeline](const std::function<void()>& look) -> Status {
    const engine::port::Position here = timeline.now();
    const auto moved = timeline.seek(timeline.last());
    if (!moved) return moved.failure();
    look();
    if (const auto back = timeline.seek(here); !back) return back.failure();
    if (moved->arrival == replay::timeline::Arrival::interrupted) return error("interrupted");
    return Done{};
  };
  return {[&timeline]() -> engine::port::Machine& { return timeline.machine(); },
          [&timeline] { return timeline.now(); }, at_the_end};
}

}  // namespace

KernelView::KernelView(replay::timeline::Timeline& timeline) : KernelView(scene_of(timeline)) {}

Result<GuestKernel*> KernelView::kernel() {
  if (missing_) return *missing_;
  const engine::port::Position here = scene_.now();
  if (!kernel_ && missed_at_ == here) return error("no kernel is known here yet");
  if (!kernel_) {
    auto view = symbols::view_of(scene_.machine(), "cpu0");
    if (!view) return view.failure();
    auto found = GuestKernel::find(view->memory);
    if (!found && scene_.at_the_end) {
      // Before the kernel has mapped itself it cannot be read; at the end of history it can.
      const Status looked = scene_.at_the_end([&] {
        view = symbols::view_of(scene_.machine(), "cpu0");
        if (view) found = GuestKernel::find(view->memory);
      });
      if (!looked) return looked.failure();
      if (!found) missing_ = found.failure();
    }
    if (!found) {
      missed_at_ = here;
      return found.failure();
    }
    kernel_ = std::move(*found);
  }
  if (fresh_at_ != here) {
    if (const auto view = symbols::view_of(scene_.machine(), "cpu0")) kernel_->refresh(view->memory);
    fresh_at_ = here;
  }
  return &*kernel_;
}

std::string KernelView::describe(GuestVirt address) {
  const auto known = kernel();
  return known ? (*known)->describe(address) : fmt::format("{:#x}", address.value);
}

Result<GuestVirt> KernelView::resolve(std::string_view symbol) {
  const auto known = kernel();
  if (!known) return known.failure();
  const std::size_t plus = symbol.rfind('+');
  std::uint64_t offset = 0;
  if (plus != std::string_view::npos) {
    std::string_view digits = symbol.substr(plus + 1);
    const int base = digits.starts_with("0x") ? 16 : 10;
    if (base == 16) digits.remove_prefix(2);
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), offset, base);
    if (failure != std::errc{} || end != digits.data() + digits.size())
      return error("a symbol or symbol+offset expected, found \"{}\"", symbol);
  }
  const std::vector<symbols::Symbol> found = (*known)->find_symbol(symbol.substr(0, plus));
  if (found.empty()) return error("the guest's kernel has no symbol \"{}\"", symbol.substr(0, plus));
  return found.front().address + offset;
}

Result<KernelView::Look> KernelView::look() {
  const auto known = kernel();
  if (!known) return known.failure();
  auto view = symbols::view_of(scene_.machine(), "cpu0");
  if (!view) return view.failure();
  return Look{*known, std::move(*view)};
}

Result<std::string> KernelView::call_stack() {
  const auto seen = look();
  if (!seen) return seen.failure();
  const auto& [kernel, view] = *seen;
  const auto stack = kernel->unwind(view.registers, view.memory);
  if (!stack) return stack.failure();
  return kernel->describe(*stack);
}

Result<std::vector<FrameInfo>> KernelView::frames() {
  const auto seen = look();
  if (!seen) return seen.failure();
  const auto& [kernel, view] = *seen;
  const auto stack = kernel->unwind(view.registers, view.memory);
  if (!stack) return stack.failure();
  std::vector<FrameInfo> all;
  for (const symbols::Frame& frame : stack->frames) {
    const GuestVirt pc = frame.lookup_pc(all.empty());
    auto location = kernel->at(pc);
    if (location) location->offset += frame.pc - pc;
    all.push_back({frame.pc, location ? location->text() : "?", frame.interrupted, frame.guessed,
                   frame.general, frame.known});
  }
  if (const auto& user = stack->user)
    all.push_back({user->pc, "user space", user->interrupted, false, user->general, user->known});
  return all;
}

Result<std::vector<TaskInfo>> KernelView::tasks() {
  const auto seen = look();
  if (!seen) return seen.failure();
  const auto& [kernel, view] = *seen;
  const auto tasks = kernel->tasks(view.memory);
  if (!tasks) return tasks.failure();
  std::vector<TaskInfo> all;
  for (const symbols::Task& task : *tasks)
    all.push_back({task.address, task.pid, task.tgid, task.name, task.state_letter(), task.kernel_thread,
                   GuestVirt{task.saved ? task.saved->rip : 0}});
  return all;
}

Result<std::vector<LogLine>> KernelView::log() {
  const auto seen = look();
  if (!seen) return seen.failure();
  const auto& [kernel, view] = *seen;
  const auto records = kernel->log(view.memory);
  if (!records) return records.failure();
  std::vector<LogLine> all;
  for (const symbols::LogRecord& record : *records)
    all.push_back({record.nanoseconds, record.level, record.text});
  return all;
}

std::vector<std::byte> KernelView::symbol_file() {
  const auto known = kernel();
  if (!known) return {};
  const auto view = symbols::view_of(scene_.machine(), "cpu0");
  return view ? (*known)->elf(view->memory) : std::vector<std::byte>{};
}

Result<std::uint64_t> KernelView::kernel_slide() {
  const auto known = kernel();
  if (!known) return known.failure();
  return (*known)->symbols().slide();
}

Result<std::vector<ModuleInfo>> KernelView::modules() {
  using State = symbols::Module::State;
  const auto seen = look();
  if (!seen) return seen.failure();
  const auto& [kernel, view] = *seen;
  std::vector<ModuleInfo> all;
  for (const symbols::Module& module : kernel->modules()) {
    const auto sections = kernel->sections(module, view.memory);
    if (!sections) return sections.failure();
    const char* state = module.state == State::live     ? "live"
                        : module.state == State::coming ? "coming"
                                                        : "going";
    ModuleInfo& info =
        all.emplace_back(ModuleInfo{module.name, state, module.text.begin, module.text.size(), {}});
    for (const symbols::ModuleSection& each : *sections) info.sections.emplace_back(each.name, each.address);
  }
  return all;
}

}  // namespace hindsight::debugger::session
