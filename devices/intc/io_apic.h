// The I/O APIC: Intel 82093AA datasheet (290566), with version 20h's EOI register as in the ICH family.
// Owned by the board; the run loop's thread only; deterministic. An edge on a masked input is lost, as the
// datasheet says; delivery modes other than fixed and lowest priority are refused with a warning.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "devices/intc/apic_bus.h"
#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::intc {

class IoApic final : public engine::port::IoHandler,
                     public EoiListener,
                     public engine::port::StatefulAs<traces::schema::IoApicState> {
 public:
  static constexpr unsigned kLines = 24;
  static constexpr std::uint64_t kBase = 0xFEC00000;
  static constexpr std::uint64_t kSize = 0x1000;

  explicit IoApic(ApicBus& bus);
  void reset();
  void set_input(unsigned line, bool level);
  void end_of_interrupt(std::uint8_t vector) override;

  std::uint64_t read(std::uint64_t offset, unsigned size) override { return peek(offset, size); }
  void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
  [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

  [[nodiscard]] std::string_view state_name() const override { return "ioapic"; }
  void save(traces::schema::IoApicState::Builder out) const override;
  void load(traces::schema::IoApicState::Reader in) override;

 private:
  [[nodiscard]] std::uint32_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void write_redirection(unsigned line, bool high, std::uint32_t value);
  /// Sends a level-triggered entry's message if its input is up and none is in service.
  void evaluate_level(unsigned line);
  void deliver(unsigned line);

  ApicBus& bus_;
  std::uint32_t id_ = 0;
  std::uint32_t ioregsel_ = 0;
  std::array<std::uint64_t, kLines> redirection_{};
  std::uint32_t lines_ = 0;
};

}  // namespace hindsight::devices::intc
