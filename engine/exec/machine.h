// The run loop: one virtual CPU, its memory, its virtual time and the border to the host, driven instruction
// by exact instruction. Devices attach through the ports; record, replay and the debugger drive
// port::Machine. One thread. Deterministic given the inputs of NondetSource.
//
// At every boundary where the loop looks (a deadline, the end of a slice, an input, after an instruction that
// was executed alone or that may let an interrupt in) it does, once per Instant and in this order: timers
// that are due, inputs, interrupt delivery. Looking more often changes nothing, because nothing can become
// due or deliverable in between.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/base/result.h"
#include "engine/exec/block_cache.h"
#include "engine/exec/observation.h"
#include "engine/exec/timer_queue.h"
#include "engine/host/x64/code_generator.h"
#include "engine/interp/interpreter.h"
#include "engine/ir/guest.h"
#include "engine/mmu/io_bus.h"
#include "engine/mmu/mmu.h"
#include "engine/mmu/physical_memory.h"
#include "engine/port/interrupt.h"
#include "engine/port/machine.h"
#include "engine/port/nondet.h"
#include "engine/port/time.h"
#include "traces/schema/timeline.capnp.h"

namespace hindsight::engine::exec {

enum class EngineKind : std::uint8_t { interpreter, translator };

struct MachineOptions {
  std::uint64_t ram_bytes;
  EngineKind engine = EngineKind::translator;
  bool optimise = true;  ///< run the optional IR passes
  unsigned max_block_insns = ir::Block::kMaxInsns;
  Icount interpret_from = Icount::max();  ///< the interpreter from here on, whatever the engine
  std::uint64_t time_rate = 1 << 16;      ///< virtual ns per instruction, times 2^16
  std::uint64_t code_cache_bytes = std::uint64_t{64} << 20;
};

class Machine final : public port::Machine,
                      public port::DebugPort,
                      public port::HostPort,
                      public port::PowerControl,
                      public port::StatefulAs<traces::schema::TimelineState> {
 public:
  /// `cpu` and `guest` are the CPU's state and architecture; borrowed, like the border.
  static Result<std::unique_ptr<Machine>> create(const MachineOptions& options, ir::Guest& guest,
                                                 ir::CoreState& cpu, port::NondetSource& source,
                                                 port::OutputSink& sink);

  mmu::IoBus& bus() { return bus_; }
  port::TimerService& timers() { return timers_; }
  port::Clock& clock() { return clock_; }
  mmu::PhysicalMemory& memory() { return *memory_; }

  /// Wires the finished board: where the CPU's interrupts come from, every stateful part (CPUs first; the
  /// machine adds its own timeline), and who takes which input. Once, before run.
  void attach(port::InterruptSource& interrupts, std::vector<port::Stateful*> parts,
              std::map<port::Channel, port::InputHandler*> inputs);
  /// Drops all that is cached of the CPU's and memory's state, after either was changed from outside.
  void state_changed();

  // port::Machine
  [[nodiscard]] port::Instant now() const override { return {icount(), now_at(icount())}; }
  port::StopReason run(Icount until) override;
  void request_stop() override { stop_requested_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] std::span<port::Stateful* const> parts() const override { return parts_; }
  [[nodiscard]] port::RamPages& ram() override { return *memory_; }
  [[nodiscard]] port::DebugPort& debug() override { return *this; }
  [[nodiscard]] std::string describe() const override { return guest_.describe(cpu_); }

  // port::DebugPort
  void observe(const port::Interests& interests, port::Observer* observer) override;
  [[nodiscard]] port::Position position() const override { return observation_.position(icount()); }
  [[nodiscard]] GuestVirt pc() const override { return GuestVirt{cpu_.pc}; }
  [[nodiscard]] std::optional<port::Mapping> mapping(GuestVirt address) const override;
  [[nodiscard]] std::vector<port::TableEntry> walk(GuestVirt address) const override;
  [[nodiscard]] bool has_begun() const override { return begun_at_ == icount() && position().delivery == 0; }
  [[nodiscard]] bool peek(GuestPhys address, void* out, std::uint64_t size) const override {
    return memory_->read(address, out, size);
  }
  void collect_written() override { mmu_.collect_written(); }
  void collect_executed() override {
    mmu_.collect_executed();
    blocks_.forget_entered();
  }
  void ignore_executed() override { mmu_.ignore_executed(); }
  [[nodiscard]] const port::Touched& touched() const override { return mmu_.touched(); }
  void restoring() override { mmu_.forget_jumps(); }
  void restored(port::Position position) override;

  // port::HostPort
  void sample(port::Channel channel, std::uint64_t argument, std::span<std::byte> out) override;
  void output(port::Channel channel, std::span<const std::byte> data) override;
  // port::PowerControl
  void request(port::PowerEvent event) override { power_ = event; }
  // port::StatefulAs
  [[nodiscard]] std::string_view state_name() const override { return "timeline"; }
  void save(traces::schema::TimelineState::Builder out) const override;
  void load(traces::schema::TimelineState::Reader in) override;

 private:
  Machine(const MachineOptions& options, ir::Guest& guest, ir::CoreState& cpu, port::NondetSource& source,
          port::OutputSink& sink, std::unique_ptr<mmu::PhysicalMemory> memory, host::x64::CodeCache code);

  class DeviceClock final : public port::Clock {
   public:
    explicit DeviceClock(const Machine& machine) : machine_(machine) {}
    [[nodiscard]] VirtualTime now() const override { return machine_.Machine::now().time; }

   private:
    const Machine& machine_;
  };
  /// An instruction as the interpreter keeps it: valid while its bytes are what they were.
  struct SingleStep {
    std::array<std::uint8_t, 16> bytes{};
    std::uint8_t length = 0;
    ir::Block block;
  };
  /// Bytes at pc as a LiftRequest wants them.
  struct Fetched {
    std::optional<std::uint64_t> second_page;
    std::array<std::uint8_t, kPageSize + 16> bytes;
    std::size_t size = 0;
  };

  [[nodiscard]] Icount icount() const {
    return Icount{cpu_.budget_end - static_cast<std::uint64_t>(cpu_.budget)};
  }
  [[nodiscard]] VirtualTime now_at(Icount at) const { return VirtualTime{ir::virtual_time(cpu_, at.value)}; }
  [[nodiscard]] Icount icount_at(VirtualTime time) const;

  // one pass of the loop
  void look();
  [[nodiscard]] bool poll_inputs();
  [[nodiscard]] bool deliver_interrupt();
  [[nodiscard]] bool idle();
  void grant_budget(Icount until);
  [[nodiscard]] bool execute();

  // executing
  [[nodiscard]] bool step_alone();
  [[nodiscard]] bool deliver_trap();
  void note_delivery(std::uint64_t pc, bool interrupt, std::uint8_t vector,
                     std::optional<std::uint32_t> error_code);
  [[nodiscard]] bool handle_trap_exit();
  CachedBlock* block_at(std::uint64_t pc);
  CachedBlock* find_or_translate(std::uint64_t pc);
  CachedBlock* translate(std::uint64_t pc, std::uint64_t ram_page);
  [[nodiscard]] bool may_run_whole(const CachedBlock& block) const;
  [[nodiscard]] bool lift_at(std::uint64_t pc, std::uint64_t ram_page, unsigned max_insns, bool alone);
  const ir::Block* single_step_block();
  void note_io_site(std::uint64_t pc);
  void cut_at_breakpoints();
  void note_transfer(const ir::Block& block, port::Position at, std::uint64_t pc);

  MachineOptions options_;
  ir::Guest& guest_;
  ir::CoreState& cpu_;
  port::NondetSource& source_;
  port::OutputSink& sink_;
  std::unique_ptr<mmu::PhysicalMemory> memory_;
  mmu::IoBus bus_;
  TimerQueue timers_;
  DeviceClock clock_{*this};
  host::x64::CodeGenerator generator_;
  BlockCache blocks_;
  mmu::Mmu mmu_;
  interp::Interpreter interpreter_;

  port::InterruptSource* interrupts_ = nullptr;
  std::vector<port::Stateful*> parts_;
  std::map<port::Channel, port::InputHandler*> inputs_;

  port::PowerEvent power_ = port::PowerEvent::none;
  std::atomic<bool> stop_requested_ = false;
  Icount next_poll_{0};
  bool poll_now_ = false;
  Observation observation_;
  Icount begun_at_ = Icount::max();  ///< where timers fired or inputs were delivered last
  std::vector<port::Input> arrived_;

  Fetched fetched_;
  ir::Block lifted_;
  std::unordered_map<std::uint64_t, SingleStep> single_steps_;
  std::unordered_set<std::uint64_t> io_sites_;  ///< physical addresses of instructions that reached a device
  Observation::Offsets cut_offsets_;            ///< in a page, where blocks end: sites of breakpoints so far
  std::vector<std::uint64_t> cut_blocks_;       ///< keys of blocks that were translated at such an offset
  std::unordered_set<std::uint64_t> parted_sites_;  ///< calls and returns that an observer wants to see
  std::uint64_t code_cache_resets_ = 0;
  bool trace_;  ///< --log=exec:trace: tell every instruction executed alone
};

}  // namespace hindsight::engine::exec
