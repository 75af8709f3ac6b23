// The two 8259A interrupt controllers of a PC and their edge/level registers (ELCR, ports 4D0h and 4D1h), as
// in the Intel 8259A datasheet (231468-003) and the PIIX4 datasheet. Owned by the board; the run loop's
// thread only; deterministic: inputs are levels, everything else follows from accesses. Where it differs from
// a discrete 8259A: an edge stays latched until it is acknowledged even if the input falls before, so a short
// pulse is never turned into a spurious interrupt; the 8080 mode of ICW4 and the special fully nested mode
// are stored and not acted on.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/port/interrupt.h"
#include "engine/port/io.h"
#include "engine/port/stateful.h"
#include "traces/schema/platform.capnp.h"

namespace hindsight::devices::intc {

/// One 8259A.
class Pic8259 {
 public:
  explicit Pic8259(bool is_master) : is_master_(is_master) {}
  void reset();
  void set_input(unsigned line, bool level);
  /// INT: a request of a higher priority than all in service.
  [[nodiscard]] bool output() const { return request() >= 0; }
  /// Takes the request and returns its level; 7 when there is none (spurious).
  unsigned acknowledge();
  [[nodiscard]] std::uint8_t vector(unsigned level) const {
    return static_cast<std::uint8_t>((icw2_ & 0xF8) | level);
  }
  std::uint8_t read(unsigned offset);
  [[nodiscard]] std::uint8_t peek(unsigned offset) const;
  void write(unsigned offset, std::uint8_t value);
  [[nodiscard]] std::uint8_t elcr() const { return elcr_; }
  void set_elcr(std::uint8_t value);
  void save(traces::schema::Pic8259State::Builder out) const;
  void load(traces::schema::Pic8259State::Reader in);

 private:
  /// The master takes its cascade input as a level: when the slave withdraws a request, nothing is left
  /// behind.
  [[nodiscard]] bool level_triggered(unsigned line) const {
    return ((elcr_ >> line) & 1) != 0 || (is_master_ && line == 2);
  }
  /// The level to deliver, or -1.
  [[nodiscard]] int request() const;
  /// The set bit of highest priority in `bits`, or -1; `distance` is its rank, 0 the highest.
  int highest(std::uint8_t bits, unsigned& distance) const;
  void write_icw1(std::uint8_t value);
  void write_ocw2(std::uint8_t value);
  void write_ocw3(std::uint8_t value);
  void write_data(std::uint8_t value);

  bool is_master_;
  std::uint8_t irr_ = 0, isr_ = 0, imr_ = 0, lines_ = 0, elcr_ = 0;
  std::uint8_t icw1_ = 0, icw2_ = 0, icw3_ = 0, icw4_ = 0;
  std::uint8_t init_step_ = 0;
  std::uint8_t lowest_priority_ = 7;
  bool read_isr_ = false, poll_ = false, special_mask_ = false, rotate_on_auto_eoi_ = false;
};

class PicPair final : public engine::port::InterruptSource,
                      public engine::port::StatefulAs<traces::schema::PicPairState> {
 public:
  PicPair();
  /// Called with INT of the master whenever it may have changed.
  void on_output(std::function<void(bool)> callback) { on_output_ = std::move(callback); }
  /// Maps ports 20h-21h, A0h-A1h and 4D0h-4D1h.
  void map(engine::port::IoBus& bus);
  void reset();
  /// Input 0..15; 2 is the cascade and ignored.
  void set_input(unsigned line, bool level);
  /// Which inputs are level-triggered, as firmware would set the ELCR: bit n for input n.
  void set_level_triggered(std::uint16_t inputs);

  [[nodiscard]] bool pending() const override { return master_.output(); }
  std::uint8_t acknowledge() override;

  [[nodiscard]] std::string_view state_name() const override { return "pic"; }
  void save(traces::schema::PicPairState::Builder out) const override;
  void load(traces::schema::PicPairState::Reader in) override;

  [[nodiscard]] engine::port::IoHandler& master_ports() { return master_ports_; }
  [[nodiscard]] engine::port::IoHandler& slave_ports() { return slave_ports_; }
  [[nodiscard]] engine::port::IoHandler& elcr_ports() { return elcr_ports_; }

 private:
  class ChipPorts final : public engine::port::IoHandler {
   public:
    ChipPorts(PicPair& pair, Pic8259& chip) : pair_(pair), chip_(chip) {}
    std::uint64_t read(std::uint64_t offset, unsigned size) override;
    void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
    [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

   private:
    PicPair& pair_;
    Pic8259& chip_;
  };
  class ElcrPorts final : public engine::port::IoHandler {
   public:
    explicit ElcrPorts(PicPair& pair) : pair_(pair) {}
    std::uint64_t read(std::uint64_t offset, unsigned size) override { return peek(offset, size); }
    void write(std::uint64_t offset, unsigned size, std::uint64_t value) override;
    [[nodiscard]] std::uint64_t peek(std::uint64_t offset, unsigned size) const override;

   private:
    PicPair& pair_;
  };
  /// Carries the slave's INT to the master's input 2 and tells the listener.
  void update();

  Pic8259 master_{true};
  Pic8259 slave_{false};
  ChipPorts master_ports_{*this, master_};
  ChipPorts slave_ports_{*this, slave_};
  ElcrPorts elcr_ports_{*this};
  std::function<void(bool)> on_output_;
};

}  // namespace hindsight::devices::intc
