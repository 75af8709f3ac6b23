// Everything a device needs around it, faked: a clock that moves only when told, timers that fire in the
// order the port promises, a bus, RAM, interrupt lines, message interrupts, the border to the host and the
// power supply. For unit tests, conformance and fuzzing of devices. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/port/interrupt.h"
#include "engine/port/io.h"
#include "engine/port/nondet.h"
#include "engine/port/time.h"

namespace hindsight::tests::support {

namespace port = engine::port;

/// A clock and its timers. Time stands still except in advance() and set().
class FakeTime final : public port::Clock, public port::TimerService {
 public:
  [[nodiscard]] VirtualTime now() const override { return now_; }
  TimerId create(std::string_view name, std::function<void()> callback) override;
  void arm(TimerId timer, VirtualTime deadline) override;
  void cancel(TimerId timer) override;

  /// Moves on by `nanoseconds`, firing every timer that becomes due, each at its own deadline. At most
  /// `max_fires` callbacks run (a device may ask for an interrupt every nanosecond); the rest are late.
  void advance(std::uint64_t nanoseconds, unsigned max_fires = 10'000);
  /// Moves the clock without firing anything: going back to a saved instant.
  void set(VirtualTime time) { now_ = time; }
  [[nodiscard]] bool armed(TimerId timer) const { return timers_.at(timer).armed; }
  /// The earliest armed deadline; VirtualTime::max() if none.
  [[nodiscard]] VirtualTime next_deadline() const;

 private:
  struct Timer {
    std::string name;
    std::function<void()> callback;
    bool armed = false;
    VirtualTime deadline;
  };
  [[nodiscard]] std::size_t earliest() const;
  VirtualTime now_;
  std::vector<Timer> timers_;
};

class FakeBus final : public port::IoBus {
 public:
  void map_mmio(std::string_view name, GuestPhys base, std::uint64_t size, port::IoHandler& handler) override;
  void unmap_mmio(GuestPhys base) override;
  void map_ports(std::string_view name, std::uint16_t base, std::uint16_t count,
                 port::IoHandler& handler) override;
  void unmap_ports(std::uint16_t base) override;

  std::uint64_t read_mmio(std::uint64_t address, unsigned size);
  void write_mmio(std::uint64_t address, unsigned size, std::uint64_t value);
  std::uint64_t in(std::uint16_t address, unsigned size = 1);
  void out(std::uint16_t address, std::uint64_t value, unsigned size = 1);

  struct Range {
    std::string name;
    std::uint64_t size = 0;
    port::IoHandler* handler = nullptr;
  };
  std::map<std::uint64_t, Range> mmio;
  std::map<std::uint64_t, Range> ports;
};

/// RAM from address 0.
class FakeMemory final : public port::GuestMemory {
 public:
  explicit FakeMemory(std::uint64_t size = std::uint64_t{1} << 20) : bytes(size) {}
  [[nodiscard]] bool read(GuestPhys address, void* out, std::uint64_t size) const override;
  [[nodiscard]] bool write(GuestPhys address, const void* data, std::uint64_t size) override;
  std::vector<std::uint8_t> bytes;
};

class FakeIrqs final : public port::IrqSink {
 public:
  void set_irq(IrqLine line, bool level) override {
    const bool before = levels[line.value];
    levels[line.value] = level;
    if (level && !before) ++rises[line.value];
  }
  [[nodiscard]] bool level(std::uint32_t line) const {
    const auto found = levels.find(line);
    return found != levels.end() && found->second;
  }
  std::map<std::uint32_t, bool> levels;
  std::map<std::uint32_t, unsigned> rises;
};

class FakeMsi final : public port::MsiSink {
 public:
  void send_msi(GuestPhys address, std::uint32_t data) override { sent.push_back({address, data}); }
  struct Message {
    GuestPhys address;
    std::uint32_t data;
  };
  std::vector<Message> sent;
};

/// Samples are filled from `on_sample` when set, else with a counter-free constant; outputs are kept.
class FakeHost final : public port::HostPort {
 public:
  void sample(port::Channel channel, std::uint64_t argument, std::span<std::byte> out) override;
  void output(port::Channel channel, std::span<const std::byte> data) override;
  std::function<void(port::Channel, std::uint64_t, std::span<std::byte>)> on_sample;
  /// What port::Channel::wall_clock says unless on_sample is set.
  std::uint64_t wall_clock_ns = 1'700'000'000'000'000'000;
  std::map<port::Channel, std::string> outputs;
  unsigned samples = 0;
};

class FakePower final : public port::PowerControl {
 public:
  void request(port::PowerEvent event) override { requests.push_back(event); }
  std::vector<port::PowerEvent> requests;
};

struct DeviceWorld {
  FakeTime time;
  FakeBus bus;
  FakeMemory memory;
  FakeIrqs irqs;
  FakeMsi msi;
  FakeHost host;
  FakePower power;
};

}  // namespace hindsight::tests::support
