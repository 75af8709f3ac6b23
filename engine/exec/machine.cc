#include "engine/exec/machine.h"

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/log.h"

namespace hindsight::engine::exec {
namespace {

/// A live source is asked for input this often, in instructions.
constexpr std::uint64_t kPollInterval = 200'000;
/// Longest stretch between looks at stop requests.
constexpr std::uint64_t kLongestBudget = std::uint64_t{1} << 24;
constexpr std::size_t kSingleStepCacheLimit = 1 << 16;
constexpr unsigned kLongestInstruction = 15;

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(const MachineOptions& options, ir::Guest& guest,
                                                 ir::CoreState& cpu, port::NondetSource& source,
                                                 port::OutputSink& sink) {
  auto memory = mmu::PhysicalMemory::create(options.ram_bytes);
  if (!memory) return memory.failure();
  auto code = host::x64::CodeCache::create(options.code_cache_bytes);
  if (!code) return code.failure();
  return std::unique_ptr<Machine>(
      new Machine(options, guest, cpu, source, sink, std::move(*memory), std::move(*code)));
}

Machine::Machine(const MachineOptions& options, ir::Guest& guest, ir::CoreState& cpu,
                 port::NondetSource& source, port::OutputSink& sink,
                 std::unique_ptr<mmu::PhysicalMemory> memory, host::x64::CodeCache code)
    : options_(options),
      guest_(guest),
      cpu_(cpu),
      source_(source),
      sink_(sink),
      memory_(std::move(memory)),
      generator_(guest.registers(), std::move(code)),
      blocks_(*memory_, generator_),
      mmu_(*memory_, bus_, guest, blocks_, generator_.invalid_jump()),
      trace_(log::enabled("exec", log::Level::trace)) {
  cpu_.memory = &mmu::Mmu::operations();
  cpu_.environment = &mmu_;
  cpu_.time_rate = options.time_rate;
}

void Machine::attach(port::InterruptSource& interrupts, std::vector<port::Stateful*> parts,
                     std::map<port::Channel, port::InputHandler*> inputs) {
  interrupts_ = &interrupts;
  parts_ = std::move(parts);
  parts_.push_back(this);
  inputs_ = std::move(inputs);
  state_changed();
}

void Machine::state_changed() {
  mmu_.forget_all();
  blocks_.clear();
  single_steps_.clear();
  mmu_.context_changed(cpu_);
}

void Machine::restored(port::Position position) {
  blocks_.keep_forgotten();
  cpu_.trap = {};
  cpu_.leave = cpu_.alone = cpu_.watch_data = 0;
  mmu_.noted().clear();
  mmu_.context_changed(cpu_);
  observation_.stand_at(position);
  begun_at_ = Icount::max();
  power_ = port::PowerEvent::none;
  next_poll_ = Icount{0};
  poll_now_ = false;
}

void Machine::observe(const port::Interests& interests, port::Observer* observer) {
  const port::Interests& former = observation_.interests();
  const bool parted_anew =
      former.transfers != interests.transfers || former.user_calls != interests.user_calls;
  observation_.set(interests, observer);
  if (parted_anew) {
    parted_sites_.clear();
    single_steps_.clear();
    blocks_.clear();
    mmu_.forget_jumps();
  }
  cut_at_breakpoints();
  mmu_.watch(interests.ranges);
  bus_.observe(interests.devices ? &observation_ : nullptr);
}

/// Makes the run loop see every arrival at a breakpoint: no block holds the instruction. Blocks stay cut
/// where a breakpoint was, so that setting it again costs little.
void Machine::cut_at_breakpoints() {
  const Observation::Offsets& armed = observation_.offsets();
  if (armed.none()) return;
  blocks_.discard_covering(armed & ~cut_offsets_);
  cut_offsets_ |= armed;
  std::erase_if(cut_blocks_, [&](std::uint64_t key) {
    if (!armed.test(key & kPageMask)) return false;
    blocks_.discard_key(key);
    return true;
  });
}

namespace {

/// Page tables as they are: a walk for people marks nothing.
class QuietTables final : public ir::PageTableMemory {
 public:
  explicit QuietTables(const mmu::PhysicalMemory& memory) : memory_(memory) {}
  std::uint64_t read_entry(GuestPhys address, unsigned size, unsigned, std::uint64_t) override {
    std::uint64_t entry = 0;
    return memory_.read(address, &entry, size) ? entry : ~std::uint64_t{0};
  }
  void write_entry(GuestPhys, unsigned, std::uint64_t) override {}

 private:
  const mmu::PhysicalMemory& memory_;
};

}  // namespace

std::optional<port::Mapping> Machine::mapping(GuestVirt address) const {
  QuietTables tables(*memory_);
  const ir::PageView view = guest_.inspect(cpu_, address.value, tables);
  if (!view.mapped) return std::nullopt;
  return port::Mapping{view.page, view.writable, view.user, view.executable};
}

std::vector<port::TableEntry> Machine::walk(GuestVirt address) const {
  QuietTables tables(*memory_);
  const ir::PageView view = guest_.inspect(cpu_, address.value, tables);
  std::vector<port::TableEntry> entries;
  for (unsigned i = 0; i < view.level_count; ++i)
    entries.push_back({view.levels[i].level, view.levels[i].address, view.levels[i].value});
  return entries;
}

void Machine::save(traces::schema::TimelineState::Builder out) const {
  out.setIcount(icount().value);
  out.setTimeRate(cpu_.time_rate);
  out.setTimeWarp(cpu_.time_warp);
}

void Machine::load(traces::schema::TimelineState::Reader in) {
  cpu_.budget = 0;
  cpu_.budget_end = in.getIcount();
  cpu_.time_rate = std::max<std::uint64_t>(in.getTimeRate(), 1);
  cpu_.time_warp = in.getTimeWarp();
}

void Machine::sample(port::Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  source_.sample(now(), channel, argument, out);
}

void Machine::output(port::Channel channel, std::span<const std::byte> data) {
  sink_.output(now(), channel, data);
}

Icount Machine::icount_at(VirtualTime time) const {
  if (time == VirtualTime::max()) return Icount::max();
  if (time.value <= cpu_.time_warp) return Icount{0};
  __extension__ using Wide = unsigned __int128;
  const Wide scaled = Wide{time.value - cpu_.time_warp} << 16;
  const Wide count = (scaled + cpu_.time_rate - 1) / cpu_.time_rate;
  return count > Icount::max().value ? Icount::max() : Icount{static_cast<std::uint64_t>(count)};
}

// ---- the loop
// -------------------------------------------------------------------------------------------------

port::StopReason Machine::run(Icount until) {
  for (;;) {
    if (stop_requested_.exchange(false, std::memory_order_relaxed)) return port::StopReason::interrupted;
    if (power_ == port::PowerEvent::power_off) return port::StopReason::power_off;
    if (power_ == port::PowerEvent::reset) return port::StopReason::reset;
    if (observation_.take_stop()) return port::StopReason::observed;
    if (icount() >= until) return port::StopReason::reached;
    look();
    if (interrupts_->pending() && guest_.accepts_interrupt(cpu_)) {
      if (!deliver_interrupt()) return port::StopReason::triple_fault;
      if (observation_.stopping()) continue;
    }
    if (cpu_.halted) {
      if (!idle()) return port::StopReason::idle_forever;
      continue;
    }
    // What was noted since the last instruction is told after the next one, at a position to come back to.
    grant_budget(mmu_.noted().empty() ? until : std::min(until, icount() + 1));
    if (!execute()) return port::StopReason::triple_fault;
  }
}

/// Lets happen what is due at this Instant.
void Machine::look() {
  const bool fired = timers_.fire_due(now().time);
  if (poll_inputs() || fired) begun_at_ = icount();
}

/// True: something arrived.
bool Machine::poll_inputs() {
  const port::Instant present = now();
  const port::Instant next = source_.next_input();
  const bool known = next.icount != Icount::max();
  if (known ? present < next : (!poll_now_ && present.icount < next_poll_)) return false;
  poll_now_ = false;
  next_poll_ = present.icount + kPollInterval;
  arrived_.clear();
  source_.drain(present, arrived_);
  for (const port::Input& input : arrived_) {
    const auto handler = inputs_.find(input.channel);
    if (handler != inputs_.end() && handler->second != nullptr) handler->second->input(input.payload);
  }
  return !arrived_.empty();
}

bool Machine::deliver_interrupt() {
  const std::uint8_t vector = interrupts_->acknowledge();
  const std::uint64_t pc = cpu_.pc;
  cpu_.halted = 0;
  if (guest_.deliver_interrupt(cpu_, vector)) {
    note_delivery(pc, true, vector, std::nullopt);
    return true;
  }
  return cpu_.trap.kind != ir::TrapKind::none && deliver_trap();
}

bool Machine::idle() {
  const port::Instant present = now();
  const VirtualTime target = source_.idle(present, timers_.next());
  if (target == VirtualTime::max()) return false;
  begun_at_ = present.icount;
  if (target > present.time)
    cpu_.time_warp += target - present.time;
  else
    poll_now_ = true;
  return true;
}

void Machine::grant_budget(Icount until) {
  const Icount present = icount();
  const port::Instant next = source_.next_input();
  const Icount input = next.icount != Icount::max() ? next.icount : next_poll_;
  Icount end = std::min({until, icount_at(timers_.next()), input, present + kLongestBudget});
  if (present < options_.interpret_from) end = std::min(end, options_.interpret_from);
  if (end <= present) end = present + 1;
  cpu_.budget_end = end.value;
  cpu_.budget = static_cast<std::int64_t>(end - present);
}

/// Runs until the budget is used up or the loop has to look. False: the CPU shut down.
bool Machine::execute() {
  using host::x64::ExitKind;
  const bool interpret = options_.engine == EngineKind::interpreter || icount() >= options_.interpret_from;
  while (cpu_.budget > 0) {
    if (observation_.arrives(position(), cpu_.pc)) return true;
    if (interpret || guest_.must_run_alone(cpu_)) return step_alone();
    CachedBlock* block = block_at(cpu_.pc);
    if (block == nullptr) {
      if (cpu_.trap.kind == ir::TrapKind::none) return step_alone();
      return deliver_trap();
    }
    if (block->insn_count > cpu_.budget || !mmu_.noted().empty()) return step_alone();
    for (;;) {
      const host::x64::ExitInfo exit = generator_.run(&cpu_, block->code.entry);
      if (exit.kind == ExitKind::trap) {
        if (!handle_trap_exit()) return false;
        if (cpu_.leave) return true;
        break;
      }
      if (exit.kind == ExitKind::leave) return cpu_.leave = 0, true;
      if (exit.kind == ExitKind::budget) break;
      // unlinked or lookup: control may go on without another look
      const std::uint64_t resets = code_cache_resets_;
      CachedBlock* next = block_at(cpu_.pc);
      // Most often an instruction that accesses a device.
      if (next == nullptr && cpu_.trap.kind == ir::TrapKind::none && cpu_.budget > 0)
        return observation_.arrives(position(), cpu_.pc) || step_alone();
      if (next == nullptr || next->insn_count > cpu_.budget || !mmu_.noted().empty()) break;
      const bool site_lives = exit.kind == ExitKind::unlinked && code_cache_resets_ == resets;
      if (site_lives && next->crosses_page) generator_.link_through_table(exit.site);
      if (site_lives && !next->crosses_page) blocks_.link(exit.site, *next);
      block = next;
    }
    if (cpu_.budget > 0 && cpu_.trap.kind != ir::TrapKind::none && !deliver_trap()) return false;
    if (observation_.stopping()) return true;
  }
  return true;
}

/// After generated code stopped at an instruction. Sets cpu_.leave when the loop must look.
bool Machine::handle_trap_exit() {
  if (cpu_.trap.kind == ir::TrapKind::guest) return deliver_trap();
  const bool device = cpu_.trap.error_code == static_cast<std::uint32_t>(ir::AloneReason::device);
  cpu_.trap = {};
  if (device) note_io_site(cpu_.pc);
  const bool alive = step_alone();
  cpu_.leave = 1;
  return alive;
}

bool Machine::deliver_trap() {
  CHECK(cpu_.trap.kind == ir::TrapKind::guest, "trap of kind {} at icount {}",
        static_cast<unsigned>(cpu_.trap.kind), icount().value);
  cpu_.irq_shadow = 0;
  const std::uint64_t pc = cpu_.pc;
  const ir::Trap trap = cpu_.trap;
  if (!guest_.deliver_trap(cpu_)) return false;
  note_delivery(pc, false, static_cast<std::uint8_t>(trap.vector),
                trap.has_error_code != 0 ? std::optional(trap.error_code) : std::nullopt);
  return true;
}

void Machine::note_delivery(std::uint64_t pc, bool interrupt, std::uint8_t vector,
                            std::optional<std::uint32_t> error_code) {
  observation_.instruction_done(position(), pc, mmu_.noted());
  observation_.delivered({.at = {},
                          .pc = GuestVirt{pc},
                          .handler = GuestVirt{cpu_.pc},
                          .interrupt = interrupt,
                          .vector = vector,
                          .error_code = error_code,
                          .stack = guest_.stack_pointer(cpu_)},
                         icount());
}

// ---- one instruction, alone
// -----------------------------------------------------------------------------------

bool Machine::step_alone() {
  const port::Position at = position();
  const std::uint64_t pc = cpu_.pc;
  guest_.before_instruction(cpu_);
  if (cpu_.trap.kind != ir::TrapKind::none) return deliver_trap();
  const ir::Block* block = single_step_block();
  if (block == nullptr) return deliver_trap();
  if (trace_)
    log::at(log::Level::trace, "exec", "icount {} {}\n{}", icount().value, guest_.dump(cpu_),
            ir::print(*block));
  cpu_.irq_shadow = 0;
  cpu_.alone = 1;
  cpu_.watch_data = guest_.watches_data(cpu_) ? 1 : 0;
  interp::Outcome outcome = interpreter_.run(*block, cpu_);
  cpu_.alone = 0;
  cpu_.watch_data = 0;
  cpu_.leave = 0;
  observation_.instruction_done(at, pc, mmu_.noted());
  if (outcome == interp::Outcome::completed) {
    if (observation_.interests().transfers && block->transfer != ir::Transfer::none)
      note_transfer(*block, at, pc);
    guest_.after_instruction(cpu_);
  }
  return cpu_.trap.kind == ir::TrapKind::none || deliver_trap();
}

void Machine::note_transfer(const ir::Block& block, port::Position at, std::uint64_t pc) {
  using Kind = port::Transfer::Kind;
  const Kind kind = block.transfer == ir::Transfer::call    ? Kind::call
                    : block.transfer == ir::Transfer::ret   ? Kind::ret
                    : block.transfer == ir::Transfer::enter ? Kind::enter
                                                            : Kind::leave;
  observation_.transferred({.kind = kind,
                            .at = at,
                            .from = GuestVirt{pc},
                            .to = GuestVirt{cpu_.pc},
                            .stack = guest_.stack_pointer(cpu_)});
}

const ir::Block* Machine::single_step_block() {
  if (port::LineSet* executed = mmu_.executed()) executed->add(cpu_.pc);
  const auto ram_page = mmu_.fetch_page(cpu_, cpu_.pc);
  if (!ram_page) {
    if (cpu_.trap.kind == ir::TrapKind::none) {
      log::warn("exec", "code outside RAM at {:#x}: refused with an invalid-opcode exception", cpu_.pc);
      ir::raise(&cpu_, 6);
    }
    return nullptr;
  }
  const std::uint64_t offset = cpu_.pc & kPageMask;
  const std::byte* bytes = memory_->page(*ram_page) + offset;
  const std::uint64_t key = (memory_->address_of(*ram_page).value + offset) ^ cpu_.mode;
  const auto known = single_steps_.find(key);
  if (known != single_steps_.end() && known->second.length <= kPageSize - offset &&
      std::memcmp(known->second.bytes.data(), bytes, known->second.length) == 0)
    return &known->second.block;
  if (!lift_at(cpu_.pc, *ram_page, 1, true)) return nullptr;
  if (single_steps_.size() >= kSingleStepCacheLimit) single_steps_.clear();
  SingleStep& step = single_steps_[key];
  step.block = lifted_;
  step.length = static_cast<std::uint8_t>(lifted_.byte_length);
  std::memcpy(step.bytes.data(), fetched_.bytes.data(), std::min<std::size_t>(16, fetched_.size));
  return &step.block;
}

// ---- translating
// ----------------------------------------------------------------------------------------------

/// Lifts at pc into lifted_. False: the fetch beyond the page faulted and cpu_.trap is set.
bool Machine::lift_at(std::uint64_t pc, std::uint64_t ram_page, unsigned max_insns, bool alone) {
  const std::uint64_t offset = pc & kPageMask, room = kPageSize - offset;
  fetched_.second_page.reset();
  fetched_.size = room;
  std::memcpy(fetched_.bytes.data(), memory_->page(ram_page) + offset, room);
  struct Sites {
    const std::unordered_set<std::uint64_t>* all;
    const Observation::Offsets* breakpoints;
    std::uint64_t page;
  } const sites{&io_sites_, &cut_offsets_, memory_->address_of(ram_page).value};
  ir::LiftRequest request{.mode = cpu_.mode,
                          .pc = pc,
                          .bytes = {fetched_.bytes.data(), fetched_.size},
                          .max_insns = max_insns,
                          .alone = alone,
                          .is_io_site =
                              [](const void* context, std::uint32_t page_offset) {
                                const auto& s = *static_cast<const Sites*>(context);
                                return s.breakpoints->test(page_offset & kPageMask) ||
                                       s.all->contains(s.page + page_offset);
                              },
                          .io_context = &sites,
                          .part_transfers = observation_.interests().transfers,
                          .part_user_calls = observation_.interests().user_calls};
  lifted_.clear();
  if (guest_.lift(request, lifted_) == ir::LiftOutcome::lifted) return true;
  fetched_.second_page = mmu_.fetch_page(cpu_, (pc & ~kPageMask) + kPageSize);
  if (!fetched_.second_page) {
    if (cpu_.trap.kind == ir::TrapKind::none) ir::raise(&cpu_, 6);
    return false;
  }
  std::memcpy(fetched_.bytes.data() + room, memory_->page(*fetched_.second_page), kLongestInstruction);
  fetched_.size = room + kLongestInstruction;
  request.bytes = {fetched_.bytes.data(), fetched_.size};
  request.max_insns = 1;
  lifted_.clear();
  CHECK(guest_.lift(request, lifted_) == ir::LiftOutcome::lifted,
        "instruction of more than {} bytes at {:#x}", kLongestInstruction, pc);
  return true;
}

/// The translated block at pc. nullptr: a fetch fault (cpu_.trap set), or code that must run alone.
CachedBlock* Machine::block_at(std::uint64_t pc) {
  CachedBlock* block = find_or_translate(pc);
  if (port::LineSet* executed = mmu_.executed()) {
    // A breakpoint is reached whether or not the code there can be fetched.
    if (block == nullptr)
      executed->add(pc);
    else
      blocks_.note_entered(*block, pc & ~kPageMask, *executed);
  }
  if (block == nullptr) return nullptr;
  cpu_.page_base = pc & ~kPageMask;
  mmu_.enter_jump(cpu_, pc, block->code.entry);
  return block;
}

CachedBlock* Machine::find_or_translate(std::uint64_t pc) {
  const auto ram_page = mmu_.fetch_page(cpu_, pc);
  if (!ram_page) return nullptr;
  const std::uint64_t physical = memory_->address_of(*ram_page).value + (pc & kPageMask);
  CachedBlock* block = blocks_.find(physical ^ cpu_.mode);
  if (block != nullptr && block->crosses_page) {
    const auto second = mmu_.fetch_page(cpu_, (pc & ~kPageMask) + kPageSize);
    if (!second) return nullptr;
    if (*second != block->second_page) {
      blocks_.discard_at(block->start);
      block = nullptr;
    }
  }
  if (block == nullptr) {
    if (io_sites_.contains(physical) || observation_.offsets().test(pc & kPageMask) ||
        parted_sites_.contains(physical))
      return nullptr;
    block = blocks_.revive(physical ^ cpu_.mode, [&](const CachedBlock& old) { return may_run_whole(old); });
    if (block == nullptr) block = translate(pc, *ram_page);
    if (block != nullptr && cut_offsets_.test(pc & kPageMask)) cut_blocks_.push_back(block->key);
  }
  return block;
}

/// No instruction of the block but the first is one that blocks end before.
bool Machine::may_run_whole(const CachedBlock& block) const {
  if (observation_.interests().transfers) return false;
  for (std::uint64_t at = 1; at < block.byte_length; ++at)
    if (cut_offsets_.test((block.start.value + at) & kPageMask) || io_sites_.contains(block.start.value + at))
      return false;
  return true;
}

CachedBlock* Machine::translate(std::uint64_t pc, std::uint64_t ram_page) {
  if (!lift_at(pc, ram_page, options_.max_block_insns, false)) return nullptr;
  if (observation_.interests().transfers && lifted_.transfer != ir::Transfer::none) {
    parted_sites_.insert(memory_->address_of(ram_page).value + (pc & kPageMask));
    return nullptr;
  }
  memory_->mark(ram_page, mmu::PhysicalMemory::kCode);
  const bool crosses = (pc & kPageMask) + lifted_.byte_length > kPageSize;
  if (crosses) memory_->mark(*fetched_.second_page, mmu::PhysicalMemory::kCode);
  for (const ir::Pass& pass : ir::passes())
    if (options_.optimise || !pass.optional) pass.run(lifted_);
  auto code = generator_.compile(lifted_);
  if (!code) {
    ++code_cache_resets_;
    blocks_.clear();
    mmu_.forget_jumps();
    code = generator_.compile(lifted_);
    CHECK(code.has_value(), "an empty code cache of {} bytes is too small for one block",
          options_.code_cache_bytes);
    memory_->mark(ram_page, mmu::PhysicalMemory::kCode);
    if (crosses) memory_->mark(*fetched_.second_page, mmu::PhysicalMemory::kCode);
  }
  const GuestPhys start = memory_->address_of(ram_page) + (pc & kPageMask);
  CachedBlock block{.key = start.value ^ cpu_.mode,
                    .start = start,
                    .byte_length = lifted_.byte_length,
                    .insn_count = lifted_.insn_count,
                    .crosses_page = crosses,
                    .second_page = fetched_.second_page.value_or(0),
                    .code = *code};
  return &blocks_.insert(std::make_unique<CachedBlock>(std::move(block)));
}

void Machine::note_io_site(std::uint64_t pc) {
  const auto ram_page = mmu_.fetch_page(cpu_, pc);
  if (!ram_page) return;
  const GuestPhys site = memory_->address_of(*ram_page) + (pc & kPageMask);
  if (io_sites_.insert(site.value).second && (memory_->flags(*ram_page) & mmu::PhysicalMemory::kCode))
    blocks_.discard_at(site);
}

}  // namespace hindsight::engine::exec
