#include "tests/isa/ladder_engines.h"

#include <capstone/capstone.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/host/x64/code_generator.h"

namespace hindsight::tests {

using namespace engine::guest::x86;
using namespace native_layout;
namespace ir = engine::ir;
namespace x64 = engine::host::x64;

namespace {

constexpr std::size_t kCodeCache = 4u << 20;
constexpr unsigned kMostBlocks = 2000;

}  // namespace

const char* name(Rung rung) {
  static constexpr const char* kNames[] = {"interpreter, single steps", "interpreter, blocks",
                                           "generated code, no passes", "generated code, all passes"};
  return kNames[static_cast<unsigned>(rung)];
}

Ladder::Ladder()
    : memory_(guest_),
      generator_(std::make_unique<x64::CodeGenerator>(guest_.registers(),
                                                      std::move(x64::CodeCache::create(kCodeCache).value()))),
      page_(kPage, 0xCC) {}
Ladder::~Ladder() = default;

unsigned Ladder::remaining(const Code& code, std::uint64_t pc) {
  const auto first = std::lower_bound(code.starts.begin(), code.starts.end(), pc - kStart);
  CHECK(first != code.starts.end() && *first == pc - kStart, "pc {:#x} is between instructions", pc);
  return static_cast<unsigned>(code.starts.end() - first);
}

bool Ladder::lift(const Code& code, const CpuState& state, unsigned max_insns) {
  std::fill(page_.begin(), page_.end(), std::uint8_t{0xCC});
  std::copy(code.bytes.begin(), code.bytes.end(), page_.begin() + (kStart - kCode));
  const ir::LiftRequest request{.mode = state.mode,
                                .pc = state.pc,
                                .bytes = std::span(page_).subspan(state.pc - kCode),
                                .max_insns = std::min(max_insns, ir::Block::kMaxInsns),
                                .alone = false,
                                .is_io_site = nullptr,
                                .io_context = nullptr};
  return guest_.lift(request, block_) == ir::LiftOutcome::lifted;
}

void Ladder::run_block(Rung rung, CpuState& state) {
  const std::string wrong = ir::verify(block_);
  CHECK(wrong.empty(), "the verifier refuses the block at {:#x}: {}\n{}", state.pc, wrong, ir::print(block_));
  if (rung <= Rung::blocks) {
    interpreter_.run(block_, state);
    return;
  }
  if (rung == Rung::optimised) {
    ir::fold_constants(block_);
    ir::remove_dead_flags(block_);
    ir::remove_dead_values(block_);
    const std::string broken = ir::verify(block_);
    CHECK(broken.empty(), "a pass broke the block at {:#x}: {}\n{}", state.pc, broken, ir::print(block_));
  }
  auto compiled = generator_->compile(block_);
  if (!compiled) {
    generator_->reset();
    compiled = generator_->compile(block_);
    CHECK(compiled.has_value(), "the code cache is too small for one block");
  }
  state.page_base = state.pc & ~(kPage - 1);
  generator_->run(&state, compiled->entry);
}

void Ladder::run(Rung rung, const Code& code, Machine& machine, bool fill_tlb) {
  CpuState& state = machine.state;
  memory_.attach(state, fill_tlb);
  memory_.bytes() = machine.memory;
  state.mode = guest_.mode(state);
  for (unsigned blocks = 0; blocks < kMostBlocks; ++blocks) {
    if (state.trap.kind != ir::TrapKind::none || state.budget <= 0) break;
    if (state.pc - kStart >= code.bytes.size()) break;
    const unsigned left = remaining(code, state.pc);
    CHECK(lift(code, state, rung == Rung::steps ? 1 : left), "nothing lifted at {:#x}", state.pc);
    // A block that the budget does not cover is stepped through, as the run loop does.
    if (rung != Rung::steps && block_.insn_count > state.budget) {
      CHECK(lift(code, state, 1), "nothing lifted at {:#x}", state.pc);
      run_block(Rung::steps, state);
    } else {
      run_block(rung, state);
    }
  }
  machine.memory = memory_.bytes();
}

std::string Ladder::ir_of(const Code& code, const Machine& machine, bool optimised) {
  CpuState state = machine.state;
  state.mode = guest_.mode(state);
  if (!lift(code, state, remaining(code, state.pc))) return "(not lifted)";
  if (optimised) {
    ir::fold_constants(block_);
    ir::remove_dead_flags(block_);
    ir::remove_dead_values(block_);
  }
  return ir::print(block_);
}

std::string Ladder::disassemble(const Code& code) {
  csh handle{};
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) return "";
  std::string text;
  for (std::size_t i = 0; i < code.starts.size(); ++i) {
    const std::size_t start = code.starts[i];
    const std::size_t end = i + 1 < code.starts.size() ? code.starts[i + 1] : code.bytes.size();
    std::string hex;
    for (std::size_t at = start; at < end; ++at) hex += fmt::format("{:02x}", code.bytes[at]);
    cs_insn* insn = nullptr;
    const std::size_t count = cs_disasm(handle, &code.bytes[start], end - start, kStart + start, 1, &insn);
    text += fmt::format("  {:#x}: {:<30} {} {}\n", kStart + start, hex, count != 0 ? insn->mnemonic : "?",
                        count != 0 ? insn->op_str : "");
    if (count != 0) cs_free(insn, count);
  }
  cs_close(&handle);
  return text;
}

namespace {

std::string hex(const std::uint8_t* bytes, std::size_t count) {
  std::string text;
  for (std::size_t i = count; i-- > 0;) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

class Report {
 public:
  template <class T>
  void field(const std::string& what, const T& expected, const T& actual) {
    if (expected != actual) text_ += fmt::format("  {}: {:#x}, got {:#x}\n", what, expected, actual);
  }
  void bytes(const std::string& what, const std::uint8_t* expected, const std::uint8_t* actual,
             std::size_t n) {
    if (std::memcmp(expected, actual, n) != 0)
      text_ += fmt::format("  {}: {}, got {}\n", what, hex(expected, n), hex(actual, n));
  }
  void memory(const Machine& expected, const Machine& actual) {
    const auto [e, a] = std::mismatch(expected.memory.begin(), expected.memory.end(), actual.memory.begin());
    if (e == expected.memory.end()) return;
    const auto at = static_cast<std::size_t>(e - expected.memory.begin()) & ~std::size_t{7};
    text_ += fmt::format("  memory from {:#x}: {}, got {}\n", kWindow + at,
                         hex(reinterpret_cast<const std::uint8_t*>(&expected.memory[at]), 16),
                         hex(reinterpret_cast<const std::uint8_t*>(&actual.memory[at]), 16));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string differences(const Machine& expected, const Machine& actual) {
  const CpuState &e = expected.state, &a = actual.state;
  Report report;
  static constexpr std::size_t kRegisters = offsetof(CpuState, gpr), kEnd = offsetof(CpuState, apic);
  const bool rest = std::memcmp(reinterpret_cast<const char*>(&e) + kRegisters,
                                reinterpret_cast<const char*>(&a) + kRegisters, kEnd - kRegisters) == 0;
  report.field("trap", static_cast<unsigned>(e.trap.kind), static_cast<unsigned>(a.trap.kind));
  if (e.trap.kind != ir::TrapKind::none && a.trap.kind != ir::TrapKind::none) {
    report.field("vector", e.trap.vector, a.trap.vector);
    report.field("error code", e.trap.error_code, a.trap.error_code);
    report.field("has error code", e.trap.has_error_code, a.trap.has_error_code);
    report.field("fault address", e.trap.address, a.trap.address);
  }
  report.field("rip", e.pc, a.pc);
  report.field("budget", e.budget, a.budget);
  report.field("flags", ir::unpack_flags(e.flags), ir::unpack_flags(a.flags));
  report.field("mode", e.mode >> mode::kShift, a.mode >> mode::kShift);
  report.field("halted", e.halted, a.halted);
  report.field("interrupt shadow", e.irq_shadow, a.irq_shadow);
  report.field("mxcsr", e.guest_mxcsr, a.guest_mxcsr);
  for (unsigned i = 0; i < 16; ++i) report.field(fmt::format("gpr {}", i), e.gpr[i], a.gpr[i]);
  for (unsigned i = 0; i < 16; ++i) report.bytes(fmt::format("xmm{}", i), e.xmm[i].bytes, a.xmm[i].bytes, 16);
  report.field("rflags (system)", e.rflags_system, a.rflags_system);
  for (unsigned i = 0; i < 8; ++i) report.bytes(fmt::format("R{}", i), e.st[i].bytes, a.st[i].bytes, 16);
  report.field("fcw", e.fcw, a.fcw);
  report.field("fsw", e.fsw, a.fsw);
  report.field("top", e.ftop, a.ftop);
  report.field("ftw", e.ftw, a.ftw);
  report.field("fop", e.fop, a.fop);
  report.field("fip", e.fip, a.fip);
  report.field("fdp", e.fdp, a.fdp);
  report.memory(expected, actual);
  std::string text = report.take();
  if (text.empty() && !rest) text = "  a system register differs\n";
  return text;
}

std::string describe(const CpuState& s) {
  static constexpr const char* kNames[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                           "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
  std::string text;
  for (unsigned i = 0; i < 16; ++i)
    text += fmt::format("{:>5}={:016x}{}", kNames[i], s.gpr[i], i % 4 == 3 ? '\n' : ' ');
  for (unsigned i = 0; i < 16; ++i)
    text +=
        fmt::format("{:>5}={}{}", fmt::format("xmm{}", i), hex(s.xmm[i].bytes, 16), i % 2 == 1 ? '\n' : ' ');
  for (unsigned i = 0; i < 8; ++i)
    text += fmt::format("{:>5}={}{}", fmt::format("R{}", i), hex(s.st[i].bytes, 10), i % 4 == 3 ? '\n' : ' ');
  text += fmt::format(
      "  flags={:03x} system={:x} mxcsr={:04x} fcw={:04x} fsw={:04x} top={} ftw={:02x} budget={}\n",
      ir::unpack_flags(s.flags), s.rflags_system, s.guest_mxcsr, s.fcw, s.fsw, s.ftop, s.ftw, s.budget);
  return text;
}

}  // namespace hindsight::tests
