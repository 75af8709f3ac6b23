#include "engine/guest/x86/strings.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/lift_integer.h"
#include "engine/guest/x86/segment_address.h"
#include "engine/guest/x86/system_exceptions.h"

namespace hindsight::engine::guest::x86 {
void StringRun::write_register(unsigned index, std::uint64_t value) {
  const std::uint64_t mask = address_mask();
  // A 32-bit write clears the upper half, a 16-bit one keeps the rest.
  const std::uint64_t kept = form.address_bytes == 2 ? state.gpr[index] & ~mask : 0;
  state.gpr[index] = kept | (value & mask);
}

std::uint64_t StringRun::allowed() const {
  const std::uint64_t remaining = read_register(kRcx);
  // One iteration has been paid for by the block.
  const std::uint64_t paid =
      state.alone != 0 ? 1 : 1 + static_cast<std::uint64_t>(std::max<std::int64_t>(state.budget, 0));
  return done_ >= paid ? 0 : std::min(remaining, paid - done_);
}

std::uint64_t StringRun::run_length(Side side, std::uint64_t most) const {
  const std::uint64_t offset = read_register(side.reg), bytes = form.bytes;
  const std::uint64_t above = address_mask() - offset;  // bytes after the first of the element
  if (above < bytes - 1) return 1;
  std::uint64_t address = flat_address(side, offset);
  if (!is_flat(side)) {  // apart: an optional that goes through memory is waited for at every page
    const auto checked = linear(side, offset, bytes);
    if (!checked) return 1;
    address = *checked;
  }
  const std::uint64_t in_page = address & kPageMask;
  if (in_page + bytes > kPageSize) return 1;
  const int shift = std::countr_zero(bytes);  // a division would cost as much as copying half a page
  std::uint64_t count = backward()
                            ? (std::min(in_page, offset) >> shift) + 1
                            : std::min(kPageSize - in_page, above + 1 != 0 ? above + 1 : above) >> shift;
  count = std::min(count, most);
  const std::uint64_t lowest = backward() ? offset - (count - 1) * bytes : offset;
  return is_flat(side) || linear(side, lowest, count * bytes) ? count : 1;
}

std::byte* StringRun::window(Side side, std::uint64_t count) {
  const std::uint64_t offset = read_register(side.reg);
  const std::uint64_t lowest = backward() ? offset - (count - 1) * form.bytes : offset;
  std::uint64_t address = flat_address(side, lowest);
  if (!is_flat(side)) {
    const auto checked = linear(side, lowest, count * form.bytes);
    if (!checked) return nullptr;
    address = *checked;
  }
  std::uint64_t length = 0;
  std::byte* host =
      state.memory->span(&state, address, side.write, LiftContext::segment_access(side.segment), &length);
  // A fault is raised again, with the address of the element, by the access of one element.
  state.trap = {};
  return host != nullptr && length >= count * form.bytes ? host : nullptr;
}

std::optional<std::uint64_t> StringRun::linear(Side side, std::uint64_t offset, std::uint64_t bytes) const {
  if (is_flat(side)) return flat_address(side, offset);
  return try_segment_address(state, offset, {side.segment, static_cast<unsigned>(bytes), side.write});
}

std::optional<std::uint64_t> StringRun::element_address(Side side) {
  const std::uint64_t offset = read_register(side.reg);
  if (const auto address = linear(side, offset, form.bytes)) return address;
  return segment_address(state, offset, {side.segment, form.bytes, side.write});
}

std::uint64_t StringRun::load_element(Side side, std::uint32_t extra_access) {
  const auto address = element_address(side);
  if (!address) return 0;
  return state.memory->load(&state, *address, form.bytes,
                            LiftContext::segment_access(side.segment) | extra_access);
}

void StringRun::store_element(Side side, std::uint64_t value) {
  const auto address = element_address(side);
  if (!address) return;
  state.memory->store(&state, *address, value, form.bytes, LiftContext::segment_access(side.segment));
}

void StringRun::advance(std::uint64_t count, bool uses_source, bool uses_destination) {
  const std::uint64_t distance = count * form.bytes;
  const std::uint64_t step = backward() ? 0 - distance : distance;
  write_register(kRcx, read_register(kRcx) - count);
  if (uses_source) write_register(kRsi, read_register(kRsi) + step);
  if (uses_destination) write_register(kRdi, read_register(kRdi) + step);
  done_ += count;
}

std::uint64_t StringRun::finish(bool stop) {
  if (state.trap.kind == ir::TrapKind::guest) {
    state.budget -= static_cast<std::int64_t>(done_);
    return this_pc_;
  }
  if (state.trap.kind == ir::TrapKind::redo_alone) {
    if (done_ == 0) return this_pc_;
    state.trap = {};  // what is done stays done; the instruction comes again for the rest
  }
  if (done_ > 1) state.budget -= static_cast<std::int64_t>(done_ - 1);
  if (stop || read_register(kRcx) == 0) return next_pc_;
  if (state.alone != 0) state.stepping |= stepping::kRepeating;
  return this_pc_;
}

namespace {

using ir::Type;
using ir::Value;

template <class T>
T read_as(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Calls f with an unsigned integer of the element's size.
template <class F>
auto with_element_type(unsigned bytes, F f) {
  switch (bytes) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

/// Copies as the guest does, element by element: an overlap repeats what was just written.
template <class T>
void copy_elements(std::byte* to, const std::byte* from, std::uint64_t count, bool backward) {
  const std::uint64_t bytes = count * sizeof(T);
  if (to + bytes <= from || from + bytes <= to) {
    std::memcpy(to, from, bytes);
    return;
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t at = (backward ? count - 1 - i : i) * sizeof(T);
    const T element = read_as<T>(from + at);
    std::memcpy(to + at, &element, sizeof element);
  }
}

void fill_elements(std::byte* to, std::uint64_t value, std::uint64_t count, unsigned bytes) {
  const std::uint64_t mask = ~std::uint64_t{0} >> (64 - 8 * bytes);
  const std::uint64_t low = value & 0xFF;
  if ((value & mask) == (low * 0x0101'0101'0101'0101 & mask)) {  // as in nearly every fill, which clears
    std::memset(to, static_cast<int>(low), count * bytes);
    return;
  }
  for (std::uint64_t i = 0; i < count; ++i) std::memcpy(to + i * bytes, &value, bytes);
}

std::uint64_t rep_movs(ir::CoreState* core, std::uint64_t form, std::uint64_t this_pc,
                       std::uint64_t next_pc) {
  StringRun run(core, form, this_pc, next_pc);
  const auto source = run.source(), destination = run.destination(true);
  while (const std::uint64_t most = run.allowed()) {
    const std::uint64_t count = run.run_length(destination, run.run_length(source, most));
    std::byte* from = count > 1 ? run.window(source, count) : nullptr;
    std::byte* to = from != nullptr ? run.window(destination, count) : nullptr;
    if (to != nullptr) {
      with_element_type(run.form.bytes,
                        [&](auto t) { copy_elements<decltype(t)>(to, from, count, run.backward()); });
      run.advance(count, true, true);
      continue;
    }
    const std::uint64_t value = run.load_element(source);
    if (!run.trapped()) run.store_element(destination, value);
    if (run.trapped()) break;
    run.advance(1, true, true);
  }
  return run.finish();
}

std::uint64_t rep_stos(ir::CoreState* core, std::uint64_t form, std::uint64_t this_pc,
                       std::uint64_t next_pc) {
  StringRun run(core, form, this_pc, next_pc);
  const auto destination = run.destination(true);
  const std::uint64_t value = run.state.gpr[kRax];
  while (const std::uint64_t most = run.allowed()) {
    const std::uint64_t count = run.run_length(destination, most);
    if (std::byte* to = count > 1 ? run.window(destination, count) : nullptr) {
      fill_elements(to, value, count, run.form.bytes);
      run.advance(count, false, true);
      continue;
    }
    run.store_element(destination, value);
    if (run.trapped()) break;
    run.advance(1, false, true);
  }
  return run.finish();
}

void set_accumulator(CpuState& state, std::uint64_t value, unsigned bytes) {
  if (bytes >= 4) {
    state.gpr[kRax] = value;
  } else {
    const std::uint64_t mask = (std::uint64_t{1} << (8 * bytes)) - 1;
    state.gpr[kRax] = (state.gpr[kRax] & ~mask) | (value & mask);
  }
}

std::uint64_t rep_lods(ir::CoreState* core, std::uint64_t form, std::uint64_t this_pc,
                       std::uint64_t next_pc) {
  StringRun run(core, form, this_pc, next_pc);
  while (run.allowed() != 0) {
    const std::uint64_t value = run.load_element(run.source());
    if (run.trapped()) break;
    set_accumulator(run.state, value, run.form.bytes);
    run.advance(1, true, false);
  }
  return run.finish();
}

/// REPE goes on while equal, REPNE while not.
bool goes_on(const StringRun& run, bool equal) { return equal == (run.form.rep == 0xF3); }

/// Compares up to `count` elements in the order of the direction; returns how many until it stops.
template <class T, class Left, class Right>
std::uint64_t compare_elements(StringRun& run, std::uint64_t count, Left left, Right right, bool& stop) {
  const bool while_equal = run.form.rep == 0xF3;
  std::uint64_t i = 0;
  T a{}, b{};
  do {
    const std::uint64_t at = (run.backward() ? count - 1 - i : i) * sizeof(T);
    a = left(at);
    b = right(at);
    ++i;
  } while (i < count && (a == b) == while_equal);
  stop = (a == b) != while_equal;
  run.state.flags = packed_flags_of_sub(a, b, sizeof(T));
  return i;
}

std::uint64_t rep_cmps(ir::CoreState* core, std::uint64_t form, std::uint64_t this_pc,
                       std::uint64_t next_pc) {
  StringRun run(core, form, this_pc, next_pc);
  const auto first = run.source(), second = run.destination(false);
  bool stop = false;
  while (const std::uint64_t most = stop ? 0 : run.allowed()) {
    const std::uint64_t count = run.run_length(second, run.run_length(first, most));
    const std::byte* left = count > 1 ? run.window(first, count) : nullptr;
    const std::byte* right = left != nullptr ? run.window(second, count) : nullptr;
    if (right != nullptr) {
      const std::uint64_t done = with_element_type(run.form.bytes, [&](auto t) {
        using T = decltype(t);
        return compare_elements<T>(
            run, count, [&](std::uint64_t at) { return read_as<T>(left + at); },
            [&](std::uint64_t at) { return read_as<T>(right + at); }, stop);
      });
      run.advance(done, true, true);
      continue;
    }
    const std::uint64_t a = run.load_element(first);
    const std::uint64_t b = run.trapped() ? 0 : run.load_element(second);
    if (run.trapped()) break;
    run.state.flags = packed_flags_of_sub(a, b, run.form.bytes);
    stop = !goes_on(run, a == b);
    run.advance(1, true, true);
  }
  return run.finish(stop);
}

std::uint64_t rep_scas(ir::CoreState* core, std::uint64_t form, std::uint64_t this_pc,
                       std::uint64_t next_pc) {
  StringRun run(core, form, this_pc, next_pc);
  const auto place = run.destination(false);
  const std::uint64_t mask = ~std::uint64_t{0} >> (64 - 8 * run.form.bytes);
  const std::uint64_t wanted = run.state.gpr[kRax] & mask;
  bool stop = false;
  while (const std::uint64_t most = stop ? 0 : run.allowed()) {
    const std::uint64_t count = run.run_length(place, most);
    if (const std::byte* right = count > 1 ? run.window(place, count) : nullptr) {
      const std::uint64_t done = with_element_type(run.form.bytes, [&](auto t) {
        using T = decltype(t);
        return compare_elements<T>(
            run, count, [&](std::uint64_t) { return static_cast<T>(wanted); },
            [&](std::uint64_t at) { return read_as<T>(right + at); }, stop);
      });
      run.advance(done, false, true);
      continue;
    }
    const std::uint64_t element = run.load_element(place);
    if (run.trapped()) break;
    run.state.flags = packed_flags_of_sub(wanted, element, run.form.bytes);
    stop = !goes_on(run, wanted == element);
    run.advance(1, false, true);
  }
  return run.finish(stop);
}

constexpr std::uint32_t kMoves = ir::kReadsRegisters | ir::kWritesRegisters | ir::kMayTrap;
constexpr std::uint32_t kCompares = kMoves | ir::kReadsFlags | ir::kWritesFlags;
const ir::HelperInfo kRepMovs = {"rep_movs", rep_movs, kMoves};
const ir::HelperInfo kRepStos = {"rep_stos", rep_stos, kMoves};
const ir::HelperInfo kRepLods = {"rep_lods", rep_lods, kMoves};
const ir::HelperInfo kRepCmps = {"rep_cmps", rep_cmps, kCompares};
const ir::HelperInfo kRepScas = {"rep_scas", rep_scas, kCompares};

}  // namespace

// Single iterations, in IR

void lift_rep(LiftContext& c, const ir::HelperInfo& helper, unsigned bytes) {
  const StringForm form{bytes, c.d.address_bytes, c.d.segment, c.d.rep, c.mode};
  c.end_with_call(helper, c.constant(form.pack()), c.this_pc(), c.next_pc());
}

Value string_source(LiftContext& c, unsigned bytes) {
  const Value offset = c.b.zext(Type::I64, c.gpr(kRsi, LiftContext::integer_type(c.d.address_bytes)));
  return c.segment_linear(c.d.segment, offset, bytes, false);
}

Value string_destination(LiftContext& c, unsigned bytes, bool write) {
  const Value offset = c.b.zext(Type::I64, c.gpr(kRdi, LiftContext::integer_type(c.d.address_bytes)));
  return c.segment_linear(kEs, offset, bytes, write);
}

void step_string_register(LiftContext& c, unsigned index, unsigned bytes) {
  const Type type = LiftContext::integer_type(c.d.address_bytes);
  c.set_gpr(index, c.b.add(c.gpr(index, type), c.b.trunc(type, c.direction_step(bytes))));
}

void lift_movs(LiftContext& c) {
  const Type type = c.type_of_operand(0);
  const unsigned bytes = ir::bytes_of(type);
  if (c.d.rep != 0) return lift_rep(c, kRepMovs, bytes);
  const Value value = c.b.load(type, string_source(c, bytes), c.access());
  c.b.store(string_destination(c, bytes, true), value);
  step_string_register(c, kRsi, bytes);
  step_string_register(c, kRdi, bytes);
}

void lift_stos(LiftContext& c) {
  const Type type = c.type_of_operand(0);
  const unsigned bytes = ir::bytes_of(type);
  if (c.d.rep != 0) return lift_rep(c, kRepStos, bytes);
  c.b.store(string_destination(c, bytes, true), c.gpr(kRax, type));
  step_string_register(c, kRdi, bytes);
}

void lift_lods(LiftContext& c) {
  const Type type = c.type_of_operand(0);
  const unsigned bytes = ir::bytes_of(type);
  if (c.d.rep != 0) return lift_rep(c, kRepLods, bytes);
  const Value value = c.b.load(type, string_source(c, bytes), c.access());
  c.set_gpr(kRax, value);
  step_string_register(c, kRsi, bytes);
}

void lift_scas(LiftContext& c) {
  const Type type = c.type_of_operand(0);
  const unsigned bytes = ir::bytes_of(type);
  if (c.d.rep != 0) return lift_rep(c, kRepScas, bytes);
  const Value value = c.b.load(type, string_destination(c, bytes, false));
  c.b.sub(c.gpr(kRax, type), value, ir::kFlagsAll);
  step_string_register(c, kRdi, bytes);
}

void lift_cmps(LiftContext& c) {
  const Type type = c.type_of_operand(0);
  const unsigned bytes = ir::bytes_of(type);
  if (c.d.rep != 0) return lift_rep(c, kRepCmps, bytes);
  const Value first = c.b.load(type, string_source(c, bytes), c.access());
  const Value second = c.b.load(type, string_destination(c, bytes, false));
  c.b.sub(first, second, ir::kFlagsAll);
  step_string_register(c, kRsi, bytes);
  step_string_register(c, kRdi, bytes);
}

}  // namespace hindsight::engine::guest::x86
