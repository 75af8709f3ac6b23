// The PC board: every platform device, where it is mapped and how it is wired. The machine that owns it gives
// the ports and drives the CPU. The run loop's thread only. Deterministic: the host is asked for nothing but
// the time of day, once, in power_on().
//
//   Pc pc({bus, clock, timers, memory, host, power}, {.ram_size = …});
//   pc.add_pci(slot, device, state); …      // virtio devices, in a fixed order
//   auto boot = pc.boot_linux({kernel, initrd, command_line});
//   pc.power_on();                          // then run; or load the states of parts()
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "devices/board/irq_router.h"
#include "devices/firmware/linux_boot.h"
#include "devices/input/i8042.h"
#include "devices/intc/apic_bus.h"
#include "devices/intc/io_apic.h"
#include "devices/intc/local_apic.h"
#include "devices/intc/pic8259.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_host.h"
#include "devices/serial/uart16550.h"
#include "devices/timer/acpi_pm.h"
#include "devices/timer/hpet.h"
#include "devices/timer/pit8254.h"
#include "devices/timer/rtc.h"

namespace hindsight::devices::board {

struct PcPorts {
  engine::port::IoBus& bus;
  engine::port::Clock& clock;
  engine::port::TimerService& timers;
  engine::port::GuestMemory& memory;
  engine::port::HostPort& host;
  engine::port::PowerControl& power;
};

struct PcConfig {
  /// Bytes of RAM; see devices/firmware/memory_map.h for the addresses.
  std::uint64_t ram_size = 0;
  /// What CPUID leaf 15h must say too.
  intc::LocalApic::Rates rates = {};
};

class Pc final {
 public:
  Pc(const PcPorts& ports, const PcConfig& config);
  ~Pc();
  Pc(const Pc&) = delete;
  Pc& operator=(const Pc&) = delete;

  /// Once, before the machine first runs: takes the time of day and resets.
  void power_on();
  /// RESET of all devices, PCI ones included, and what firmware would then set up.
  void reset();

  /// Writes the ACPI tables and the kernel into memory.
  [[nodiscard]] Result<firmware::BootState> boot_linux(const firmware::LinuxImages& images);

  /// The interrupt controller of CPU 0.
  [[nodiscard]] engine::port::LocalApicPort& local_apic() { return local_apic_; }
  /// Lines as in IrqRouter.
  [[nodiscard]] engine::port::IrqSink& irqs() { return router_; }
  [[nodiscard]] engine::port::MsiSink& msi() { return apic_bus_; }
  [[nodiscard]] pci::PciBus& pci() { return pci_bus_; }
  /// A device whose constructor attached it to pci(); its state joins parts().
  void add_part(engine::port::Stateful& part) { added_.push_back(&part); }
  void add_input(engine::port::Channel channel, engine::port::InputHandler& handler) {
    inputs_[channel] = &handler;
  }

  /// Every stateful part in the order in which it must be loaded: sources first, the controllers that
  /// remember their edges last.
  [[nodiscard]] std::vector<engine::port::Stateful*> parts();
  /// Who takes the inputs of `channel`; null if nobody does.
  [[nodiscard]] engine::port::InputHandler* input(engine::port::Channel channel);

 private:
  void map();
  void leave_as_firmware();

  PcPorts ports_;
  PcConfig config_;
  intc::ApicBus apic_bus_;
  intc::PicPair pic_;
  intc::IoApic io_apic_;
  intc::LocalApic local_apic_;
  IrqRouter router_;
  timer::Pit8254 pit_;
  timer::Hpet hpet_;
  timer::Rtc rtc_;
  timer::AcpiPm acpi_pm_;
  input::I8042 i8042_;
  serial::Uart16550 serial0_;
  pci::PciBus pci_bus_;
  pci::PciHost pci_host_;
  std::vector<engine::port::Stateful*> added_;
  std::map<engine::port::Channel, engine::port::InputHandler*> inputs_;
};

}  // namespace hindsight::devices::board
