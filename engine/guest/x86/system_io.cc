#include "engine/guest/x86/system_io.h"

#include "engine/guest/x86/system_exceptions.h"
#include "engine/guest/x86/system_segments.h"

namespace hindsight::engine::guest::x86 {
namespace {

/// #GP(0) unless the ports may be used.
bool ports_allowed(CpuState& state, std::uint16_t port, std::uint32_t size) {
  if (!is_protected(state) || state.cpl <= iopl(state)) return true;
  constexpr std::uint32_t kBitmapField = 0x66;
  const bool wide_tss = (state.tr.attributes & 8) != 0;
  if (!wide_tss || state.tr.limit < kBitmapField + 1) return fail(state, exception::kGp, 0);
  const std::uint64_t base = load_memory(state, state.tr.base + kBitmapField, 2, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  // Two bytes are always read, as an access may straddle a byte of the map.
  const std::uint64_t offset = base + port / 8;
  if (offset + 1 > state.tr.limit) return fail(state, exception::kGp, 0);
  const std::uint64_t bits = load_memory(state, state.tr.base + offset, 2, ir::kAccessSupervisor);
  if (trapped(state)) return false;
  const std::uint64_t wanted = ((std::uint64_t{1} << size) - 1) << (port & 7);
  return (bits & wanted) == 0 || fail(state, exception::kGp, 0);
}

/// Both touch the device, or set a trap that says that it was not touched.
std::uint32_t read_port(CpuState& state, std::uint16_t port, std::uint32_t size) {
  const std::uint32_t value = state.memory->port_in(&state, port, size);
  if (!trapped(state)) note_port_access(state, port, size);
  return value;
}
void write_port(CpuState& state, std::uint16_t port, std::uint32_t size, std::uint32_t value) {
  state.memory->port_out(&state, port, size, value);
  if (!trapped(state)) note_port_access(state, port, size);
}

std::uint64_t port_in(ir::CoreState* core, std::uint64_t number, std::uint64_t bytes, std::uint64_t) {
  CpuState& state = cpu(core);
  const auto port = static_cast<std::uint16_t>(number);
  const auto size = static_cast<std::uint32_t>(bytes);
  return ports_allowed(state, port, size) ? read_port(state, port, size) : 0;
}

std::uint64_t port_out(ir::CoreState* core, std::uint64_t number, std::uint64_t bytes, std::uint64_t value) {
  CpuState& state = cpu(core);
  const auto port = static_cast<std::uint16_t>(number);
  const auto size = static_cast<std::uint32_t>(bytes);
  if (ports_allowed(state, port, size)) write_port(state, port, size, static_cast<std::uint32_t>(value));
  return 0;
}

std::uint64_t width_mask(unsigned bytes) {
  return bytes == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * bytes)) - 1;
}

/// A register cut to, and merged back at, the address size.
std::uint64_t sized(const CpuState& state, Gpr index, unsigned bytes) {
  return state.gpr[index] & width_mask(bytes);
}
void advance(CpuState& state, Gpr index, unsigned bytes, std::uint64_t delta) {
  const std::uint64_t mask = width_mask(bytes);
  const std::uint64_t kept = bytes == 2 ? state.gpr[index] & ~mask : 0;  // 32-bit results are zero-extended
  state.gpr[index] = kept | ((state.gpr[index] + delta) & mask);
}

bool element_address(CpuState& state, unsigned segment_index, std::uint64_t offset, unsigned size, bool write,
                     std::uint64_t& linear) {
  const Segment& segment = state.segment[segment_index];
  if (in_code64(state)) {
    linear = segment_index >= kFs ? segment.base + offset : offset;
    return true;
  }
  linear = (segment.base + offset) & 0xFFFFFFFFu;
  if (!is_protected(state)) return true;
  const bool data = (segment.attributes & attribute::kCode) == 0;
  const bool writable = data && (segment.attributes & attribute::kWritable) != 0;
  const bool readable = data || (segment.attributes & attribute::kReadable) != 0;
  const bool allowed = (write ? writable : readable) && segment_covers(segment, offset, size);
  return allowed || fail(state, segment_index == kSs ? exception::kSs : exception::kGp, 0);
}

/// One iteration, or none when a REP count is zero.
std::uint64_t string_io(CpuState& state, const StringIo& io, bool input, std::uint64_t this_pc,
                        std::uint64_t next_pc) {
  if (io.rep && sized(state, kRcx, io.address_bytes) == 0) return next_pc;
  const auto port = static_cast<std::uint16_t>(state.gpr[kRdx]);
  const Gpr pointer = input ? kRdi : kRsi;
  const unsigned segment = input ? unsigned{kEs} : io.segment;
  if (!ports_allowed(state, port, io.size)) return 0;
  std::uint64_t linear = 0;
  const std::uint64_t offset = sized(state, pointer, io.address_bytes);
  if (!element_address(state, segment, offset, io.size, input, linear)) return 0;
  // Memory is checked before the device sees anything.
  if (input) {
    state.memory->probe_write(&state, linear, io.size, ir::kAccessPlain);
    if (trapped(state)) return 0;
    const std::uint32_t value = read_port(state, port, io.size);
    if (trapped(state)) return 0;
    state.memory->store(&state, linear, value, io.size, ir::kAccessPlain);
  } else {
    const std::uint64_t value = load_memory(state, linear, io.size, ir::kAccessPlain);
    if (trapped(state)) return 0;
    write_port(state, port, io.size, static_cast<std::uint32_t>(value));
  }
  if (trapped(state)) return 0;
  const bool down = (state.rflags_system & flag::kDf) != 0;
  advance(state, pointer, io.address_bytes, down ? -std::uint64_t{io.size} : std::uint64_t{io.size});
  if (!io.rep) return next_pc;
  advance(state, kRcx, io.address_bytes, ~std::uint64_t{0});
  if (sized(state, kRcx, io.address_bytes) == 0) return next_pc;
  if (state.alone != 0) state.stepping |= stepping::kRepeating;
  return this_pc;
}

std::uint64_t ins(ir::CoreState* core, std::uint64_t packed, std::uint64_t this_pc, std::uint64_t next_pc) {
  return string_io(cpu(core), StringIo::unpack(packed), true, this_pc, next_pc);
}

std::uint64_t outs(ir::CoreState* core, std::uint64_t packed, std::uint64_t this_pc, std::uint64_t next_pc) {
  return string_io(cpu(core), StringIo::unpack(packed), false, this_pc, next_pc);
}

}  // namespace

const ir::HelperInfo kPortIn{"port_in", port_in, ir::kMayTrap};
const ir::HelperInfo kPortOut{"port_out", port_out, ir::kMayTrap};
const ir::HelperInfo kIns{"ins", ins, ir::kReadsRegisters | ir::kWritesRegisters | ir::kMayTrap};
const ir::HelperInfo kOuts{"outs", outs, ir::kReadsRegisters | ir::kWritesRegisters | ir::kMayTrap};

}  // namespace hindsight::engine::guest::x86
