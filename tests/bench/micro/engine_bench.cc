// From guest bytes to retired instructions: each step of the engine by itself, on one block of sixteen
// instructions of the kind that kernels are full of.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <span>

#include "engine/base/check.h"
#include "engine/guest/x86/x86_guest.h"
#include "engine/host/x64/code_generator.h"
#include "engine/ir/ir.h"
#include "tests/support/bare_machine.h"

namespace hindsight::tests {
namespace {

namespace ir = engine::ir;
namespace x86 = engine::guest::x86;
namespace x64 = engine::host::x64;
using engine::exec::EngineKind;
using support::BareMachine;

constexpr unsigned kInsns = 16;
constexpr std::size_t kCodeCache = std::size_t{4} << 20;
constexpr std::array<std::uint8_t, 54> kBlock = {
    0x48, 0x8b, 0x47, 0x08,  // mov rax, [rdi+8]
    0x48, 0x01, 0xf0,        // add rax, rsi
    0x48, 0x89, 0x47, 0x10,  // mov [rdi+16], rax
    0x48, 0x89, 0xc1,        // mov rcx, rax
    0x48, 0xc1, 0xe9, 0x03,  // shr rcx, 3
    0x83, 0xe1, 0x3f,        // and ecx, 63
    0x48, 0x8d, 0x14, 0x88,  // lea rdx, [rax+rcx*4]
    0x0f, 0xb6, 0x5f, 0x20,  // movzx ebx, byte [rdi+32]
    0x01, 0xd9,              // add ecx, ebx
    0x48, 0x31, 0xd6,        // xor rsi, rdx
    0x89, 0x4f, 0x24,        // mov [rdi+36], ecx
    0x4c, 0x8b, 0x47, 0x28,  // mov r8, [rdi+40]
    0x4d, 0x85, 0xc0,        // test r8, r8
    0x49, 0xff, 0xc1,        // inc r9
    0x48, 0x39, 0xd6,        // cmp rsi, rdx
    0xeb, 0xca,              // jmp to the start
};
constexpr std::uint64_t kLongMode = x86::mode::kCode64 | x86::mode::kLong | x86::mode::kProtected;

void count(benchmark::State& state, std::int64_t each) { state.SetItemsProcessed(state.iterations() * each); }

ir::Block lifted(x86::X86Guest& guest) {
  const ir::LiftRequest request{.mode = kLongMode << x86::mode::kShift,
                                .pc = BareMachine::kCode,
                                .bytes = kBlock,
                                .max_insns = ir::Block::kMaxInsns,
                                .alone = false,
                                .is_io_site = nullptr,
                                .io_context = nullptr};
  ir::Block block;
  CHECK(guest.lift(request, block) == ir::LiftOutcome::lifted && block.insn_count == kInsns,
        "{} instructions lifted", block.insn_count);
  return block;
}

void optimise(ir::Block& block) {
  for (const ir::Pass& pass : ir::passes()) pass.run(block);
}

void decode_instruction(benchmark::State& state) {
  const x86::X86Guest guest;
  while (state.KeepRunning()) {
    for (std::span<const std::uint8_t> rest = kBlock; !rest.empty();) {
      x86::Decoded decoded;
      benchmark::DoNotOptimize(guest.decoder().decode(rest, kLongMode, decoded));
      rest = rest.subspan(decoded.length);
    }
  }
  count(state, kInsns);
}
BENCHMARK(decode_instruction);

void lift_block(benchmark::State& state) {
  x86::X86Guest guest;
  while (state.KeepRunning()) benchmark::DoNotOptimize(lifted(guest));
  count(state, 1);
}
BENCHMARK(lift_block);

void compile_block(benchmark::State& state) {
  x86::X86Guest guest;
  ir::Block block = lifted(guest);
  optimise(block);
  x64::CodeGenerator generator(guest.registers(), std::move(x64::CodeCache::create(kCodeCache).value()));
  while (state.KeepRunning()) {
    if (!generator.compile(block)) generator.reset();
  }
  count(state, 1);
}
BENCHMARK(compile_block);

void translate_block(benchmark::State& state) {
  x86::X86Guest guest;
  x64::CodeGenerator generator(guest.registers(), std::move(x64::CodeCache::create(kCodeCache).value()));
  while (state.KeepRunning()) {
    ir::Block block = lifted(guest);
    optimise(block);
    if (!generator.compile(block)) generator.reset();
  }
  count(state, 1);
}
BENCHMARK(translate_block);

void run_instruction(benchmark::State& state, EngineKind engine) {
  constexpr std::int64_t kAtOnce = 100'000;
  BareMachine bare(engine);
  bare.write(BareMachine::kCode, kBlock);
  bare.cpu().gpr[x86::kRdi] = BareMachine::kData;
  while (state.KeepRunning()) benchmark::DoNotOptimize(bare.run_for(kAtOnce));
  count(state, kAtOnce);
}
BENCHMARK_CAPTURE(run_instruction, interpreter, EngineKind::interpreter);
BENCHMARK_CAPTURE(run_instruction, translator, EngineKind::translator);

/// 64 KiB from page to page, at an offset in the page, by one instruction; items are bytes.
void copy_by_rep_movsq(benchmark::State& state) {
  constexpr std::array<std::uint8_t, 16> kCopy = {
      0x4c, 0x89, 0xe6,              // mov rsi, r12
      0x4c, 0x89, 0xef,              // mov rdi, r13
      0xb9, 0x00, 0x20, 0x00, 0x00,  // mov ecx, 0x2000
      0xf3, 0x48, 0xa5,              // rep movsq
      0xeb, 0xf0,                    // jmp to the start
  };
  constexpr std::int64_t kRounds = 16, kElements = 0x2000, kOthers = 4;
  BareMachine bare(EngineKind::translator);
  bare.write(BareMachine::kCode, kCopy);
  bare.cpu().gpr[x86::kR12] = BareMachine::kData + 16;
  bare.cpu().gpr[x86::kR13] = BareMachine::kData + 0x20010;
  for ([[maybe_unused]] auto _ : state)
    benchmark::DoNotOptimize(bare.run_for(kRounds * (kElements + kOthers)));
  count(state, kRounds * kElements * 8);
}
BENCHMARK(copy_by_rep_movsq);

/// A load from a page that the TLB does not hold: four levels are walked, one entry is granted.
void fill_tlb(benchmark::State& state) {
  constexpr std::uint64_t kPages = 2 * ir::kTlbSize;
  static_assert(BareMachine::kData + kPages * kPageSize <= BareMachine::kRam);
  BareMachine bare(EngineKind::translator);
  x86::CpuState& cpu = bare.cpu();
  std::uint64_t page = 0;
  while (state.KeepRunning()) {
    const std::uint64_t address = BareMachine::kData + page * kPageSize;
    benchmark::DoNotOptimize(cpu.memory->load(&cpu, address, 8, ir::kAccessPlain));
    page = (page + 1) % kPages;
  }
  count(state, 1);
}
BENCHMARK(fill_tlb);

}  // namespace
}  // namespace hindsight::tests
