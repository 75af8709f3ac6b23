#include "debugger/cli/machine_builder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "debugger/cli/engine_spec.h"
#include "debugger/cli/guest_text.h"
#include "devices/board/pc.h"
#include "devices/virtio/virtio_block.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_entropy.h"
#include "devices/virtio/virtio_net.h"
#include "engine/exec/machine.h"
#include "engine/guest/x86/system_cpuid.h"
#include "engine/guest/x86/system_state.h"
#include "engine/guest/x86/x86_guest.h"

namespace hindsight::debugger::cli {
namespace {

namespace board = devices::board;
namespace exec = engine::exec;
namespace port = engine::port;
namespace virtio = devices::virtio;
namespace x86 = engine::guest::x86;
using devices::firmware::BootState;
using traces::store::MachineConfig;

x86::BootRegisters registers_for(const BootState& boot) {
  x86::BootRegisters registers;
  registers.mode = boot.mode == BootState::Mode::long_mode ? x86::BootRegisters::Mode::long64
                                                           : x86::BootRegisters::Mode::protected32;
  registers.rip = boot.entry;
  registers.rsp = boot.rsp;
  registers.rbx = boot.rbx;
  registers.rsi = boot.rsi;
  registers.cr3 = boot.page_table_root.value;
  registers.gdt_base = boot.gdt_base.value;
  registers.gdt_limit = boot.gdt_limit;
  registers.code_selector = boot.code_selector;
  registers.data_selector = boot.data_selector;
  return registers;
}

class PcMachine final : public BuiltMachine {
 public:
  port::Machine& machine() override { return *machine_; }
  [[nodiscard]] std::string registers() const override { return guest_.dump(cpu_); }

  [[nodiscard]] std::string instruction() override {
    std::vector<std::uint8_t> bytes;
    while (bytes.size() < x86::kMaxInsnLength) {
      const auto byte = peek(cpu_.pc + bytes.size());
      if (!byte) break;
      bytes.push_back(*byte);
    }
    const std::uint64_t bits = cpu_.mode >> x86::mode::kShift;
    const unsigned mode = (bits & x86::mode::kCode64) != 0 ? 64 : (bits & x86::mode::kCode32) != 0 ? 32 : 16;
    const GuestText guest = disassemble_guest(bytes, mode, cpu_.pc);
    bytes.resize(std::min(bytes.size(), guest.length));
    return fmt::format("{:016x}  {:<24}{}", cpu_.pc, fmt::format("{:02x}", fmt::join(bytes, "")),
                       bytes.empty() ? "(no code can be fetched here)" : guest.text);
  }

  Status build(const MachineConfig& config, const BootFiles* files, const std::string& engine,
               port::NondetSource& source, port::OutputSink& sink) {
    exec::MachineOptions options{};
    options.ram_bytes = config.ram_bytes;
    if (const Status applied = apply_engine(engine, options); !applied) return applied.failure();
    options.time_rate = config.time_rate;
    Result<std::unique_ptr<exec::Machine>> machine =
        exec::Machine::create(options, guest_, cpu_, source, sink);
    if (!machine) return machine.failure();
    machine_ = std::move(*machine);
    board::PcConfig board_config;
    board_config.ram_size = config.ram_bytes;
    pc_ = std::make_unique<board::Pc>(board::PcPorts{machine_->bus(), machine_->clock(), machine_->timers(),
                                                     machine_->memory(), *machine_, *machine_},
                                      board_config);
    cpu_.apic = &pc_->local_apic();
    add_virtio(config);
    pc_->power_on();
    x86::reset(cpu_);
    if (files != nullptr)
      if (const Status loaded = load(*files, config.command_line); !loaded) return loaded;
    std::vector<port::Stateful*> parts{&cpu_part_};
    for (port::Stateful* part : pc_->parts()) parts.push_back(part);
    std::map<port::Channel, port::InputHandler*> inputs;
    for (const port::Channel channel : {port::Channel::serial0, port::Channel::virtio_console,
                                        port::Channel::net0, port::Channel::keyboard}) {
      if (port::InputHandler* handler = pc_->input(channel)) inputs[channel] = handler;
    }
    machine_->attach(pc_->local_apic(), std::move(parts), std::move(inputs));
    machine_->state_changed();
    return Done{};
  }

 private:
  Status load(const BootFiles& files, const std::string& command_line) {
    const Result<BootState> boot = pc_->boot_linux({files.kernel, files.initrd, command_line});
    if (!boot && !files.kernel_path.empty())
      return error("{}: {}", files.kernel_path, boot.failure().message);
    if (!boot) return boot.failure();
    x86::apply_boot(cpu_, registers_for(*boot));
    return Done{};
  }
  /// The byte of code at a linear address, if it can be fetched from RAM.
  [[nodiscard]] std::optional<std::uint8_t> peek(std::uint64_t address) const {
    const auto mapping = machine_->mapping(GuestVirt{address});
    std::uint8_t byte = 0;
    if (!mapping || !machine_->peek(mapping->page + (address & kPageMask), &byte, 1)) return std::nullopt;
    return byte;
  }

  /// In a fixed order: it decides the addresses that firmware assigns and the order of the parts.
  void add_virtio(const MachineConfig& config) {
    devices::pci::PciBus& bus = pc_->pci();
    port::GuestMemory& memory = machine_->memory();
    if (config.disk_bytes != 0) {
      virtio::BlockOptions options{};
      options.sectors = config.disk_bytes / devices::block::kSectorSize;
      block_ = std::make_unique<virtio::VirtioBlock>(bus, memory, *machine_, options);
      pc_->add_part(*block_);
    }
    if (config.net == traces::store::NetMode::user) {
      net_ = std::make_unique<virtio::VirtioNet>(bus, memory, *machine_);
      pc_->add_part(*net_);
      pc_->add_input(port::Channel::net0, *net_);
    }
    if (config.has_entropy) {
      entropy_ = std::make_unique<virtio::VirtioEntropy>(bus, memory, *machine_);
      pc_->add_part(*entropy_);
    }
    if (config.has_console) {
      console_ = std::make_unique<virtio::VirtioConsole>(bus, memory, *machine_);
      pc_->add_part(*console_);
      pc_->add_input(port::Channel::virtio_console, *console_);
    }
  }

  // Destroyed from the bottom up: devices before the bus they are mapped on.
  x86::CpuState cpu_{};
  x86::CpuStateful cpu_part_{cpu_, "cpu0"};
  x86::X86Guest guest_;
  std::unique_ptr<exec::Machine> machine_;
  std::unique_ptr<board::Pc> pc_;
  std::unique_ptr<virtio::VirtioBlock> block_;
  std::unique_ptr<virtio::VirtioNet> net_;
  std::unique_ptr<virtio::VirtioEntropy> entropy_;
  std::unique_ptr<virtio::VirtioConsole> console_;
};

}  // namespace

Result<std::unique_ptr<BuiltMachine>> build_machine(const MachineConfig& config, const BootFiles* files,
                                                    const std::string& engine, port::NondetSource& source,
                                                    port::OutputSink& sink) {
  if (config.board != "pc") return error("board \"pc\" expected, found \"{}\"", config.board);
  constexpr std::uint64_t kMost = std::uint64_t{1} << 40;
  if (config.ram_bytes < (std::uint64_t{16} << 20) || config.ram_bytes > kMost ||
      config.ram_bytes % kPageSize != 0) {
    return error("16 MiB to 1 TiB of RAM in whole pages expected, found {} bytes", config.ram_bytes);
  }
  if (config.disk_bytes % devices::block::kSectorSize != 0) {
    return error("a disk of whole sectors expected, found {} bytes", config.disk_bytes);
  }
  if (config.cpu_features != cpu_features()) {
    return error("the trace's CPU has other features than this build's: {} expected, found {}", cpu_model(),
                 config.cpu_model);
  }
  auto machine = std::make_unique<PcMachine>();
  if (const Status built = machine->build(config, files, engine, source, sink); !built)
    return built.failure();
  return std::unique_ptr<BuiltMachine>(std::move(machine));
}

Result<BootFiles> boot_files_of(traces::store::TraceReader& trace) {
  BootFiles files;
  for (const auto& [blob, into] :
       {std::pair{&trace.config().kernel, &files.kernel}, {&trace.config().initrd, &files.initrd}}) {
    Result<traces::store::Bytes> contents = trace.blob(*blob);
    if (!contents) return contents.failure();
    *into = std::move(*contents);
  }
  return files;
}

Result<std::unique_ptr<BuiltMachine>> build_replay_machine(traces::store::TraceReader& trace,
                                                           const std::string& engine,
                                                           replay::play::Player& player,
                                                           replay::timeline::Contents contents) {
  std::optional<BootFiles> files;
  if (contents == replay::timeline::Contents::boot_files) {
    Result<BootFiles> carried = boot_files_of(trace);
    if (!carried) return carried.failure();
    files = std::move(*carried);
  }
  auto built = build_machine(trace.config(), files ? &*files : nullptr, engine, player, player);
  if (!built) return error("{}: {}", trace.path(), built.failure().message);
  return built;
}

std::string cpu_model() { return fmt::format("x86-64, signature {:#x}", x86::kCpuSignature); }

std::vector<std::string> cpu_features() {
  std::vector<std::string> names;
  for (const x86::Feature& feature : x86::advertised_features()) names.emplace_back(feature.name);
  return names;
}

}  // namespace hindsight::debugger::cli
