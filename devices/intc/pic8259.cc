#include "devices/intc/pic8259.h"

#include "devices/core/access.h"

namespace hindsight::devices::intc {

namespace {

constexpr std::uint8_t kIcw1Ic4 = 0x01;
constexpr std::uint8_t kIcw1Single = 0x02;
constexpr std::uint8_t kIcw1 = 0x10;
constexpr std::uint8_t kIcw4Aeoi = 0x02;
constexpr std::uint8_t kOcw3 = 0x08;

constexpr std::uint8_t bit(unsigned level) { return static_cast<std::uint8_t>(1U << (level & 7)); }

}  // namespace

void Pic8259::reset() {
  const std::uint8_t lines = lines_;
  *this = Pic8259(is_master_);
  lines_ = lines;
}

void Pic8259::set_input(unsigned line, bool level) {
  const std::uint8_t mask = bit(line);
  if (level_triggered(line)) {
    irr_ = static_cast<std::uint8_t>(level ? irr_ | mask : irr_ & ~mask);
  } else if (level && (lines_ & mask) == 0) {
    irr_ |= mask;
  }
  lines_ = static_cast<std::uint8_t>(level ? lines_ | mask : lines_ & ~mask);
}

int Pic8259::highest(std::uint8_t bits, unsigned& distance) const {
  for (distance = 0; distance < 8; ++distance) {
    const unsigned level = (lowest_priority_ + 1 + distance) & 7;
    if ((bits & bit(level)) != 0) return static_cast<int>(level);
  }
  return -1;
}

int Pic8259::request() const {
  if (init_step_ != 0) return -1;
  unsigned wanted = 8;
  const int level = highest(static_cast<std::uint8_t>(irr_ & ~imr_), wanted);
  if (level < 0) return -1;
  unsigned served = 8;
  // In special mask mode a masked level in service does not hold back lower ones (datasheet, "Special Mask
  // Mode"). On the master, input 2 stands for the slave.
  const std::uint8_t in_service = static_cast<std::uint8_t>(special_mask_ ? isr_ & ~imr_ : isr_);
  (void)highest(in_service, served);
  return wanted < served ? level : -1;
}

unsigned Pic8259::acknowledge() {
  const int found = request();
  if (found < 0) return 7;
  const unsigned level = static_cast<unsigned>(found);
  if ((icw4_ & kIcw4Aeoi) != 0) {
    if (rotate_on_auto_eoi_) lowest_priority_ = static_cast<std::uint8_t>(level);
  } else {
    isr_ |= bit(level);
  }
  // A level-triggered request lasts as long as its input.
  if (!level_triggered(level)) irr_ = static_cast<std::uint8_t>(irr_ & ~bit(level));
  return level;
}

std::uint8_t Pic8259::peek(unsigned offset) const {
  if (poll_) {
    const int level = request();
    return level < 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(0x80 | level);
  }
  if (offset == 1) return imr_;
  return read_isr_ ? isr_ : irr_;
}

std::uint8_t Pic8259::read(unsigned offset) {
  const std::uint8_t value = peek(offset);
  if (poll_) {
    poll_ = false;
    if ((value & 0x80) != 0) (void)acknowledge();
  }
  return value;
}

void Pic8259::write(unsigned offset, std::uint8_t value) {
  if (offset == 1) return write_data(value);
  if ((value & kIcw1) != 0) return write_icw1(value);
  if ((value & kOcw3) != 0) return write_ocw3(value);
  write_ocw2(value);
}

void Pic8259::write_icw1(std::uint8_t value) {
  icw1_ = value;
  icw4_ = 0;
  imr_ = 0;
  isr_ = 0;
  // "The edge sense circuit is reset": only level-triggered inputs still ask.
  irr_ = static_cast<std::uint8_t>(lines_ & elcr_);
  lowest_priority_ = 7;
  special_mask_ = false;
  read_isr_ = false;
  poll_ = false;
  rotate_on_auto_eoi_ = false;
  init_step_ = 2;
}

void Pic8259::write_data(std::uint8_t value) {
  switch (init_step_) {
    case 2:
      icw2_ = value & 0xF8;
      if ((icw1_ & kIcw1Single) == 0) {
        init_step_ = 3;
      } else {
        init_step_ = (icw1_ & kIcw1Ic4) != 0 ? 4 : 0;
      }
      break;
    case 3:
      icw3_ = value;
      init_step_ = (icw1_ & kIcw1Ic4) != 0 ? 4 : 0;
      break;
    case 4:
      icw4_ = value;
      init_step_ = 0;
      break;
    default:
      imr_ = value;
      break;
  }
}

void Pic8259::write_ocw2(std::uint8_t value) {
  const unsigned level = value & 7;
  unsigned distance = 0;
  switch (value >> 5) {
    case 0:
      rotate_on_auto_eoi_ = false;
      break;
    case 4:
      rotate_on_auto_eoi_ = true;
      break;
    case 1:    // non-specific EOI
    case 5: {  // rotate on non-specific EOI
      const std::uint8_t candidates = static_cast<std::uint8_t>(special_mask_ ? isr_ & ~imr_ : isr_);
      const int served = highest(candidates, distance);
      if (served < 0) break;
      isr_ = static_cast<std::uint8_t>(isr_ & ~bit(static_cast<unsigned>(served)));
      if ((value >> 5) == 5) lowest_priority_ = static_cast<std::uint8_t>(served);
      break;
    }
    case 3:
      isr_ = static_cast<std::uint8_t>(isr_ & ~bit(level));
      break;
    case 7:
      isr_ = static_cast<std::uint8_t>(isr_ & ~bit(level));
      lowest_priority_ = static_cast<std::uint8_t>(level);
      break;
    case 6:
      lowest_priority_ = static_cast<std::uint8_t>(level);
      break;
    default:
      break;  // 2: no operation
  }
}

void Pic8259::write_ocw3(std::uint8_t value) {
  if ((value & 0x40) != 0) special_mask_ = (value & 0x20) != 0;
  if ((value & 0x04) != 0) {
    poll_ = true;
  } else if ((value & 0x02) != 0) {
    read_isr_ = (value & 0x01) != 0;
  }
}

void Pic8259::set_elcr(std::uint8_t value) {
  // Inputs 0, 1, 2, 8 and 13 are always edge-triggered (PIIX4, 4.2.5).
  elcr_ = static_cast<std::uint8_t>(value & (is_master_ ? 0xF8 : 0xDE));
  irr_ = static_cast<std::uint8_t>((irr_ & ~elcr_) | (lines_ & elcr_));
}

void Pic8259::save(traces::schema::Pic8259State::Builder out) const {
  out.setIrr(irr_);
  out.setIsr(isr_);
  out.setImr(imr_);
  out.setLines(lines_);
  out.setElcr(elcr_);
  out.setIcw1(icw1_);
  out.setIcw2(icw2_);
  out.setIcw3(icw3_);
  out.setIcw4(icw4_);
  out.setInitStep(init_step_);
  out.setLowestPriority(lowest_priority_);
  out.setReadIsr(read_isr_);
  out.setPoll(poll_);
  out.setSpecialMask(special_mask_);
  out.setRotateOnAutoEoi(rotate_on_auto_eoi_);
}

void Pic8259::load(traces::schema::Pic8259State::Reader in) {
  irr_ = in.getIrr();
  isr_ = in.getIsr();
  imr_ = in.getImr();
  lines_ = in.getLines();
  elcr_ = static_cast<std::uint8_t>(in.getElcr() & (is_master_ ? 0xF8 : 0xDE));
  icw1_ = in.getIcw1();
  icw2_ = in.getIcw2() & 0xF8;
  icw3_ = in.getIcw3();
  icw4_ = in.getIcw4();
  init_step_ = in.getInitStep() >= 2 && in.getInitStep() <= 4 ? in.getInitStep() : std::uint8_t{0};
  lowest_priority_ = in.getLowestPriority() & 7;
  read_isr_ = in.getReadIsr();
  poll_ = in.getPoll();
  special_mask_ = in.getSpecialMask();
  rotate_on_auto_eoi_ = in.getRotateOnAutoEoi();
}

PicPair::PicPair() { reset(); }

void PicPair::map(engine::port::IoBus& bus) {
  bus.map_ports("pic_master", 0x20, 2, master_ports_);
  bus.map_ports("pic_slave", 0xA0, 2, slave_ports_);
  bus.map_ports("pic_elcr", 0x4D0, 2, elcr_ports_);
}

void PicPair::reset() {
  master_.reset();
  slave_.reset();
  update();
}

void PicPair::set_input(unsigned line, bool level) {
  if (line == 2 || line > 15) return;
  if (line < 8) {
    master_.set_input(line, level);
  } else {
    slave_.set_input(line - 8, level);
  }
  update();
}

void PicPair::set_level_triggered(std::uint16_t inputs) {
  master_.set_elcr(static_cast<std::uint8_t>(inputs));
  slave_.set_elcr(static_cast<std::uint8_t>(inputs >> 8));
  update();
}

void PicPair::update() {
  master_.set_input(2, slave_.output());
  if (on_output_) on_output_(master_.output());
}

std::uint8_t PicPair::acknowledge() {
  const unsigned level = master_.acknowledge();
  std::uint8_t vector = master_.vector(level);
  if (level == 2) {
    vector = slave_.vector(slave_.acknowledge());
  }
  update();
  return vector;
}

std::uint64_t PicPair::ChipPorts::read(std::uint64_t offset, unsigned size) {
  const std::uint64_t value = core::read_lanes(
      offset, size, 2, [this](std::uint64_t at) { return chip_.read(static_cast<unsigned>(at)); });
  pair_.update();
  return value;
}

std::uint64_t PicPair::ChipPorts::peek(std::uint64_t offset, unsigned size) const {
  // A wide read in poll mode takes the request with its first byte only.
  Pic8259 copy = chip_;
  return core::read_lanes(offset, size, 2,
                          [&copy](std::uint64_t at) { return copy.read(static_cast<unsigned>(at)); });
}

void PicPair::ChipPorts::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_lanes(offset, size, 2, value, [this](std::uint64_t at, std::uint8_t byte) {
    chip_.write(static_cast<unsigned>(at), byte);
  });
  pair_.update();
}

std::uint64_t PicPair::ElcrPorts::peek(std::uint64_t offset, unsigned size) const {
  return core::read_lanes(offset, size, 2, [this](std::uint64_t at) {
    return at == 0 ? pair_.master_.elcr() : pair_.slave_.elcr();
  });
}

void PicPair::ElcrPorts::write(std::uint64_t offset, unsigned size, std::uint64_t value) {
  core::write_lanes(offset, size, 2, value, [this](std::uint64_t at, std::uint8_t byte) {
    (at == 0 ? pair_.master_ : pair_.slave_).set_elcr(byte);
  });
  pair_.update();
}

void PicPair::save(traces::schema::PicPairState::Builder out) const {
  master_.save(out.initMaster());
  slave_.save(out.initSlave());
}

void PicPair::load(traces::schema::PicPairState::Reader in) {
  master_.load(in.getMaster());
  slave_.load(in.getSlave());
  if (on_output_) on_output_(master_.output());
}

}  // namespace hindsight::devices::intc
