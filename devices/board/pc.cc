#include "devices/board/pc.h"

#include <algorithm>

#include "devices/firmware/acpi_tables.h"
#include "devices/firmware/memory_map.h"

namespace hindsight::devices::board {

namespace {

constexpr std::uint16_t kCom1 = 0x3F8;
/// Where power-on BARs start: the upper part of the window.
constexpr std::uint64_t kFirstBar = 0xE0000000;
constexpr unsigned kIrqKeyboard = 1, kIrqCom1 = 4, kIrqSci = 9;
/// Level-triggered 8259 inputs: the SCI and the two that PCI is wired to.
constexpr std::uint16_t kLevelInputs = (1U << kIrqSci) | (1U << 10) | (1U << 11);

}  // namespace

Pc::Pc(const PcPorts& ports, const PcConfig& config)
    : ports_(ports),
      config_(config),
      io_apic_(apic_bus_),
      local_apic_(0, config.rates, ports.clock, ports.timers, apic_bus_, pic_),
      router_(pic_, io_apic_),
      pit_(ports.clock, ports.timers, [this](bool level) { router_.set_pit(level); }),
      hpet_(ports.clock, ports.timers, router_),
      rtc_(ports.clock, ports.timers, [this](bool level) { router_.set_rtc(level); }),
      acpi_pm_(ports.clock, ports.timers, ports.power,
               [this](bool level) { router_.set_irq(IrqLine(kIrqSci), level); }),
      i8042_(ports.power, [this](bool level) { router_.set_irq(IrqLine(kIrqKeyboard), level); }),
      serial0_("serial0", engine::port::Channel::serial0, ports.clock, ports.timers, ports.host,
               [this](bool level) { router_.set_irq(IrqLine(kIrqCom1), level); }),
      pci_bus_(ports.bus, router_, apic_bus_,
               {.base = GuestPhys(firmware::kPciWindowBase),
                .first = GuestPhys(kFirstBar),
                .end = GuestPhys(firmware::kPciWindowEnd)},
               {.first_line = 16, .line_count = 8}),
      pci_host_(pci_bus_, &acpi_pm_.reset_port()) {
  pic_.on_output([this](bool level) { local_apic_.set_lint0(level); });
  add_input(engine::port::Channel::serial0, serial0_);
  map();
  leave_as_firmware();
}

Pc::~Pc() = default;

void Pc::map() {
  engine::port::IoBus& bus = ports_.bus;
  bus.map_mmio("ioapic", GuestPhys(intc::IoApic::kBase), intc::IoApic::kSize, io_apic_);
  bus.map_mmio("hpet", GuestPhys(timer::Hpet::kBase), timer::Hpet::kSize, hpet_);
  bus.map_mmio("lapic", GuestPhys(intc::LocalApic::kBase), intc::LocalApic::kSize, local_apic_);
  pic_.map(bus);
  pit_.map(bus);
  bus.map_ports("rtc", timer::Rtc::kPortBase, timer::Rtc::kPortCount, rtc_);
  i8042_.map(bus);
  bus.map_ports("serial0", kCom1, serial::Uart16550::kPortCount, serial0_);
  bus.map_ports("acpi_pm", timer::AcpiPm::kPortBase, timer::AcpiPm::kPortCount, acpi_pm_);
  pci_host_.map(bus);
}

void Pc::power_on() {
  rtc_.power_on(ports_.host);
  reset();
}

void Pc::reset() {
  pit_.reset();
  hpet_.reset();
  rtc_.reset();
  acpi_pm_.reset();
  i8042_.reset();
  serial0_.reset();
  pci_bus_.reset();
  pic_.reset();
  io_apic_.reset();
  local_apic_.reset();
  leave_as_firmware();
}

void Pc::leave_as_firmware() {
  local_apic_.enter_virtual_wire_mode();
  pic_.set_level_triggered(kLevelInputs);
  pic_.master_ports().write(1, 1, 0xFF);
  pic_.slave_ports().write(1, 1, 0xFF);
  // CMOS memory sizes in KiB: 640 below 1 MiB, the rest up to 64 MiB, and in units of 64 KiB above 16 MiB.
  const auto set_word = [this](std::uint8_t index, std::uint64_t value) {
    rtc_.set_nvram(index, static_cast<std::uint8_t>(value));
    rtc_.set_nvram(static_cast<std::uint8_t>(index + 1), static_cast<std::uint8_t>(value >> 8));
  };
  const std::uint64_t low = firmware::ram_layout(config_.ram_size).low;
  const auto above = [low](std::uint64_t base, std::uint64_t unit) {
    return low <= base ? std::uint64_t{0} : std::min<std::uint64_t>((low - base) / unit, 0xFFFF);
  };
  set_word(0x15, 640);
  set_word(0x17, above(std::uint64_t{1} << 20, 1024));
  set_word(0x30, above(std::uint64_t{1} << 20, 1024));
  set_word(0x34, above(std::uint64_t{16} << 20, 65536));
}

Result<firmware::BootState> Pc::boot_linux(const firmware::LinuxImages& images) {
  const auto rsdp = firmware::install_acpi_tables({.ram_size = config_.ram_size}, ports_.memory);
  if (!rsdp) return rsdp.failure();
  return firmware::load_linux(images, config_.ram_size, *rsdp, ports_.memory);
}

std::vector<engine::port::Stateful*> Pc::parts() {
  std::vector<engine::port::Stateful*> all{&pit_, &hpet_, &rtc_, &acpi_pm_, &i8042_, &serial0_, &pci_host_};
  all.insert(all.end(), added_.begin(), added_.end());
  all.insert(all.end(), {&router_, &pic_, &io_apic_, &local_apic_});
  return all;
}

engine::port::InputHandler* Pc::input(engine::port::Channel channel) {
  const auto found = inputs_.find(channel);
  return found == inputs_.end() ? nullptr : found->second;
}

}  // namespace hindsight::devices::board
