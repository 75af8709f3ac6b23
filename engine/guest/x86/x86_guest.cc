#include "engine/guest/x86/x86_guest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/base/log.h"
#include "engine/guest/x86/lift.h"
#include "engine/guest/x86/system_control.h"
#include "engine/guest/x86/system_exceptions.h"
#include "engine/guest/x86/system_paging.h"

namespace hindsight::engine::guest::x86 {
namespace {

/// Most used first, as compilers use them.
constexpr std::uint32_t kGeneral[] = {gpr_offset(kRax), gpr_offset(kRsp), gpr_offset(kRdi), gpr_offset(kRdx),
                                      gpr_offset(kRsi), gpr_offset(kRcx), gpr_offset(kRbx), gpr_offset(kRbp),
                                      gpr_offset(kR8),  gpr_offset(kR12), gpr_offset(kR9),  gpr_offset(kR13),
                                      gpr_offset(kR14), gpr_offset(kR10), gpr_offset(kR11), gpr_offset(kR15)};

constexpr std::uint32_t xmm_at(unsigned index) {
  return static_cast<std::uint32_t>(offsetof(CpuState, xmm) + index * sizeof(Vector));
}
constexpr std::uint32_t kVectors[] = {xmm_at(0),  xmm_at(1),  xmm_at(2),  xmm_at(3), xmm_at(4),  xmm_at(5),
                                      xmm_at(6),  xmm_at(7),  xmm_at(8),  xmm_at(9), xmm_at(10), xmm_at(11),
                                      xmm_at(12), xmm_at(13), xmm_at(14), xmm_at(15)};

constexpr ir::X87Slots kX87{.registers = offsetof(CpuState, st),
                            .control = offsetof(CpuState, fcw),
                            .status = offsetof(CpuState, fsw),
                            .top = offsetof(CpuState, ftop),
                            .tags = offsetof(CpuState, ftw)};

CpuState& cpu_of(ir::CoreState& state) { return static_cast<CpuState&>(state); }
const CpuState& cpu_of(const ir::CoreState& state) { return static_cast<const CpuState&>(state); }

bool is_alone(const Decoded& d) {
  return (d.row->flags & kAlone) != 0 || ((d.row->flags & kString) != 0 && d.rep != 0);
}

ir::Transfer transfer_of(std::uint32_t row_flags) {
  switch (row_flags & kTransfers) {
    case kCall:
      return ir::Transfer::call;
    case kReturn:
      return ir::Transfer::ret;
    case kEnter:
      return ir::Transfer::enter;
    case kLeave:
      return ir::Transfer::leave;
    default:
      return ir::Transfer::none;
  }
}

}  // namespace

X86Guest::X86Guest()
    : decoder_(integer_rows(), system_rows(), fp_rows()), registers_{kGeneral, kVectors, kX87} {}

void X86Guest::report_undefined(std::span<const std::uint8_t> bytes, const Decoded& decoded) {
  const std::uint32_t key = static_cast<std::uint32_t>(decoded.map) << 24 |
                            static_cast<std::uint32_t>(decoded.opcode) << 16 |
                            static_cast<std::uint32_t>(decoded.modrm) << 8 | (decoded.code64 ? 1u : 0u);
  if (!reported_.insert(key).second) return;
  log::warn("x86", "no such instruction: {:02x}",
            fmt::join(bytes.first(std::min<std::size_t>(bytes.size(), kMaxInsnLength)), " "));
}

bool X86Guest::lift_instruction(ir::Builder& builder, const Decoded& decoded, std::uint64_t block_mode,
                                std::uint64_t& mode_bits, std::int64_t offset) {
  LiftContext context(builder, decoded, mode_bits, offset);
  context.set_block_mode(block_mode);
  const std::uint32_t flags = decoded.row->flags;
  if (decoded.lock_is_illegal() || ((flags & kProtectedOnly) != 0 && (mode_bits & mode::kProtected) == 0)) {
    context.raise_ud();
  } else if ((flags & kPrivileged) != 0 && context.user()) {
    context.raise_gp();
  } else {
    decoded.row->lift(context);
  }
  mode_bits = context.mode_after();
  return context.ended();
}

ir::LiftOutcome X86Guest::lift(const ir::LiftRequest& request, ir::Block& out) {
  const std::uint64_t block_mode = request.mode >> mode::kShift;
  std::uint64_t mode_bits = block_mode;
  const auto start = static_cast<std::uint32_t>(request.pc & kPageMask);
  const auto is_io_site = [&](std::uint32_t at) {
    return request.is_io_site != nullptr && request.is_io_site(request.io_context, at);
  };
  const unsigned most = request.alone ? 1 : std::min(request.max_insns, ir::Block::kMaxInsns);
  out.clear();
  out.start_offset = start;
  out.alone = request.alone;
  ir::Builder builder(out);
  std::uint32_t offset = start;
  bool ended = false;
  while (!ended && out.insn_count < most) {
    const bool first = out.insn_count == 0;
    const auto bytes = request.bytes.subspan(std::min<std::size_t>(offset - start, request.bytes.size()));
    Decoded decoded;
    const DecodeStatus status = decoder_.decode(bytes, mode_bits, decoded);
    if (first && status == DecodeStatus::truncated) return ir::LiftOutcome::fetch_beyond;
    const std::uint32_t row_flags = decoded.row != nullptr ? decoded.row->flags : 0;
    const bool quiet = !request.part_user_calls && (block_mode & mode::kUser) != 0;
    const std::uint32_t transfer = row_flags & (quiet ? kEnter | kLeave : kTransfers);
    const bool parted = request.part_transfers && transfer != 0;
    // What faults for sure, crosses into the next page or wants a block of its own starts a new block.
    if (!first && (status != DecodeStatus::ok || offset + decoded.length > kPageSize || is_alone(decoded) ||
                   is_io_site(offset) || parted))
      break;
    if (first && status == DecodeStatus::ok) out.transfer = transfer_of(transfer);
    builder.insn_start(offset, out.insn_count++);
    out.byte_length = offset + decoded.length - start;
    if (status != DecodeStatus::ok) {
      if (status == DecodeStatus::undefined) report_undefined(bytes, decoded);
      LiftContext context(builder, decoded, mode_bits, offset);
      status == DecodeStatus::undefined ? context.raise_ud() : context.raise_gp();
      return ir::LiftOutcome::lifted;
    }
    ended = lift_instruction(builder, decoded, block_mode, mode_bits, offset);
    const bool last =
        is_alone(decoded) || (decoded.row->flags & kEndsBlock) != 0 || (first && is_io_site(offset));
    offset += decoded.length;
    if (last || offset >= kPageSize) break;
  }
  if (!ended && mode_bits == block_mode) builder.jump(offset);
  if (!ended && mode_bits != block_mode) builder.jump_indirect(builder.get_pc(offset));
  return ir::LiftOutcome::lifted;
}

std::uint64_t X86Guest::mode(const ir::CoreState& state) const { return mode_of(cpu_of(state)); }

ir::ViewKey X86Guest::view_key(const ir::CoreState& state, std::uint32_t access) const {
  return x86::view_key(cpu_of(state), access);
}

ir::Walk X86Guest::walk(ir::CoreState& state, std::uint64_t address, ir::AccessKind kind,
                        std::uint32_t access, ir::PageTableMemory& tables) {
  return walk_page_tables(cpu_of(state), address, kind, access, tables);
}

ir::PageView X86Guest::inspect(const ir::CoreState& state, std::uint64_t address,
                               ir::PageTableMemory& tables) const {
  return inspect_page(cpu_of(state), address, tables);
}
std::uint64_t X86Guest::stack_pointer(const ir::CoreState& state) const { return cpu_of(state).gpr[kRsp]; }

bool X86Guest::deliver_trap(ir::CoreState& state) { return x86::deliver_trap(cpu_of(state)); }
bool X86Guest::accepts_interrupt(const ir::CoreState& state) const {
  return x86::accepts_interrupt(cpu_of(state));
}
bool X86Guest::deliver_interrupt(ir::CoreState& state, std::uint8_t vector) {
  return x86::deliver_interrupt(cpu_of(state), vector);
}
void X86Guest::before_instruction(ir::CoreState& state) { x86::before_instruction(cpu_of(state)); }
void X86Guest::after_instruction(ir::CoreState& state) { x86::after_instruction(cpu_of(state)); }
bool X86Guest::must_run_alone(const ir::CoreState& state) const { return x86::must_run_alone(cpu_of(state)); }
bool X86Guest::watches_data(const ir::CoreState& state) const {
  return (cpu_of(state).dr[7] & debug::kEnables) != 0;
}
void X86Guest::data_accessed(ir::CoreState& state, std::uint64_t address, std::uint32_t size, bool write) {
  note_data_access(cpu_of(state), address, size, write);
}

std::string X86Guest::describe(const ir::CoreState& core) const {
  const CpuState& s = cpu_of(core);
  return fmt::format("rip={:016x} cpl={}", s.pc, s.cpl);
}

std::string X86Guest::dump(const ir::CoreState& core) const {
  const CpuState& s = cpu_of(core);
  static constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  static constexpr const char* kSegments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
  std::string text = fmt::format("rip={:016x} rflags={:08x} cpl={} mode={:#x}\n", s.pc,
                                 s.rflags_system | ir::unpack_flags(s.flags), s.cpl, s.mode >> mode::kShift);
  for (unsigned i = 0; i < 16; ++i)
    text += fmt::format("{:>3}={:016x}{}", kNames[i], s.gpr[i], i % 4 == 3 ? '\n' : ' ');
  for (unsigned i = 0; i < kSegmentCount; ++i) {
    const Segment& segment = s.segment[i];
    text += fmt::format("{}={:04x} base={:016x} limit={:08x} attributes={:04x}\n", kSegments[i],
                        segment.selector, segment.base, segment.limit, segment.attributes);
  }
  text += fmt::format("cr0={:08x} cr2={:016x} cr3={:016x} cr4={:08x} efer={:04x}\n", s.cr0, s.cr2, s.cr3,
                      s.cr4, s.efer);
  return text;
}

}  // namespace hindsight::engine::guest::x86
