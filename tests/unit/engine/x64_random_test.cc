// Random blocks: generated code against the interpreter, with and without the passes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "engine/host/x64/code_generator.h"
#include "engine/interp/interpreter.h"
#include "tests/unit/engine/x64_machine.h"
#include "tests/unit/engine/x64_random_block.h"

namespace hindsight::engine::test {
namespace {

using host::x64::ExitKind;

void fill(std::mt19937_64& rng, Machine& m) {
  for (auto& r : m.state.gpr) r = (rng() & 3) == 0 ? rng() & 0x3F : rng();
  m.state.gpr[4] = Machine::kBase + rng() % 0x5000;
  m.state.gpr[12] = Machine::kBase + rng() % 0x7400;
  for (auto& v : m.state.vec)
    for (auto& byte : v) byte = static_cast<std::uint8_t>(rng());
  for (auto& byte : m.ram) byte = static_cast<std::uint8_t>(rng());
  m.state.flags = ir::pack_flags(static_cast<std::uint32_t>(rng()) & ir::eflags::kAll);
  m.state.pc = 0x123000 + 16;
  m.state.budget = 1000;
  m.state.budget_end = 77777;
  m.fill_tlb = (rng() & 3) != 0;
}

void copy(const Machine& from, Machine& to) {
  std::memcpy(to.state.gpr, from.state.gpr, sizeof to.state.gpr);
  std::memcpy(to.state.vec, from.state.vec, sizeof to.state.vec);
  to.ram = from.ram;
  to.state.flags = from.state.flags;
  to.state.pc = from.state.pc;
  to.state.budget = from.state.budget;
  to.state.budget_end = from.state.budget_end;
  to.fill_tlb = from.fill_tlb;
}

std::string differences(const Machine& want, const Machine& got) {
  std::string out;
  const auto compare = [&](const std::string& name, std::uint64_t a, std::uint64_t b) {
    if (a != b) out += fmt::format("{}: interpreter {:#x}, code {:#x}\n", name, a, b);
  };
  for (unsigned i = 0; i < 16; ++i) compare(fmt::format("gpr{}", i), want.state.gpr[i], got.state.gpr[i]);
  for (unsigned i = 0; i < 16; ++i)
    if (std::memcmp(want.state.vec[i], got.state.vec[i], 16) != 0) out += fmt::format("vec{} differs\n", i);
  compare("flags", want.state.flags, got.state.flags);
  compare("pc", want.state.pc, got.state.pc);
  compare("budget", static_cast<std::uint64_t>(want.state.budget),
          static_cast<std::uint64_t>(got.state.budget));
  compare("trap", static_cast<std::uint64_t>(want.state.trap.kind),
          static_cast<std::uint64_t>(got.state.trap.kind));
  compare("vector", want.state.trap.vector, got.state.trap.vector);
  compare("error code", want.state.trap.error_code, got.state.trap.error_code);
  compare("trap address", want.state.trap.address, got.state.trap.address);
  compare("mxcsr", want.state.guest_mxcsr, got.state.guest_mxcsr);
  if (want.ram != got.ram) out += "memory differs\n";
  return out;
}

void run_differential(std::uint64_t seed, unsigned rounds, const RandomOptions& options, bool passes) {
  host::x64::CodeGenerator generator(register_table(),
                                     std::move(host::x64::CodeCache::create(4 << 20).value()));
  interp::Interpreter interpreter;
  Machine a, b;
  b.clear_jumps(generator.invalid_jump());
  ir::Block block;
  for (unsigned round = 0; round < rounds; ++round) {
    std::mt19937_64 rng(seed + round);
    random_block(rng, options, block);
    ASSERT_EQ(ir::verify(block), "") << ir::print(block);
    ir::Block compiled = block;
    if (passes) {
      ir::fold_constants(compiled);
      ir::remove_dead_flags(compiled);
      ir::remove_dead_values(compiled);
    }
    if (std::getenv("HINDSIGHT_RANDOM_PRINT")) fmt::print("seed {}\n{}", seed + round, ir::print(compiled));
    auto code = generator.compile(compiled);
    if (!code) {
      generator.reset();
      code = generator.compile(compiled);
    }
    a.flush_tlb(), b.flush_tlb();
    for (unsigned again = 0; again < 4; ++again) {  // the later runs find the TLB filled
      fill(rng, a);
      copy(a, b);
      a.state.trap = b.state.trap = ir::Trap{};
      a.state.guest_mxcsr = b.state.guest_mxcsr = 0x1F80;
      const auto outcome = interpreter.run(block, a.state);
      const auto exit = generator.run(&b.state, code->entry);
      std::string what = differences(a, b);
      if ((outcome == interp::Outcome::trapped) != (exit.kind == ExitKind::trap)) what += "other outcome\n";
      ASSERT_EQ(what, "") << "seed " << seed + round << " run " << again << "\n"
                          << ir::print(compiled) << generator.disassemble(*code);
    }
  }
}

unsigned rounds(unsigned by_default) {
  const char* more = std::getenv("HINDSIGHT_RANDOM_ROUNDS");
  return more != nullptr ? static_cast<unsigned>(std::atoi(more)) : by_default;
}
std::uint64_t first_seed() {
  const char* seed = std::getenv("HINDSIGHT_RANDOM_SEED");
  return seed != nullptr ? static_cast<std::uint64_t>(std::atoll(seed)) : 1;
}

TEST(X64Random, IntegerBlocksAgreeWithTheInterpreter) {
  run_differential(first_seed(), rounds(1200), {.memory = false, .vectors = false, .calls = false}, false);
}
TEST(X64Random, IntegerBlocksAfterThePassesAgreeWithTheInterpreter) {
  run_differential(first_seed() + 100000, rounds(1200), {.memory = false, .vectors = false, .calls = false},
                   true);
}
TEST(X64Random, MemoryBlocksAgreeWithTheInterpreter) {
  run_differential(first_seed() + 200000, rounds(1200), {.vectors = false, .calls = false}, false);
}
TEST(X64Random, MemoryBlocksAfterThePassesAgreeWithTheInterpreter) {
  run_differential(first_seed() + 300000, rounds(1200), {.vectors = false, .calls = false}, true);
}
TEST(X64Random, BlocksOfEveryOperationAgreeWithTheInterpreter) {
  run_differential(first_seed() + 400000, rounds(1200), {}, true);
}
TEST(X64Random, LongBlocksUnderRegisterPressureAgreeWithTheInterpreter) {
  run_differential(first_seed() + 500000, rounds(150), {.insns = 40, .ops_per_insn = 10}, true);
}

}  // namespace
}  // namespace hindsight::engine::test
