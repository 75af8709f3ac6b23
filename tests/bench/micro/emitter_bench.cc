// What writing one host instruction costs, by our emitter and by an assembler library.
#include <asmjit/x86.h>
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>

#include "engine/base/check.h"
#include "engine/host/x64/emitter.h"

namespace hindsight::tests {
namespace {

namespace x64 = engine::host::x64;
namespace x86 = asmjit::x86;

constexpr int kInsns = 6;

void emit_instruction_ours(benchmark::State& state) {
  std::array<std::uint8_t, 64> buffer{};
  x64::Emitter e;
  while (state.KeepRunning()) {
    e.set_cursor(buffer.data());
    e.mov_rm(8, x64::RAX, {.base = x64::RDI, .disp = 8});
    e.alu_rr(x64::kAdd, 8, x64::RAX, x64::RSI);
    e.mov_mr(8, {.base = x64::RDI, .disp = 0x1000}, x64::RAX);
    e.alu_ri(x64::kAnd, 4, x64::RCX, 63);
    e.lea(8, x64::RDX, {.base = x64::RAX, .index = x64::RCX, .scale = 2});
    e.alu_rr(x64::kCmp, 8, x64::R9, x64::RDX);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kInsns);
}
BENCHMARK(emit_instruction_ours);

void emit_instruction_asmjit(benchmark::State& state) {
  asmjit::CodeHolder code;
  CHECK(code.init(asmjit::Environment(asmjit::Arch::kX64)) == asmjit::kErrorOk, "AsmJit does not start");
  x86::Assembler a(&code);
  while (state.KeepRunning()) {
    a.setOffset(0);
    a.mov(x86::rax, x86::ptr(x86::rdi, 8));
    a.add(x86::rax, x86::rsi);
    a.mov(x86::ptr(x86::rdi, 0x1000), x86::rax);
    a.and_(x86::ecx, 63);
    a.lea(x86::rdx, x86::ptr(x86::rax, x86::rcx, 2));
    a.cmp(x86::r9, x86::rdx);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kInsns);
}
BENCHMARK(emit_instruction_asmjit);

}  // namespace
}  // namespace hindsight::tests
