// Random straight-line blocks on every rung of the differential ladder but the native one: single steps,
// whole blocks, generated code without and with passes; faults in the middle, budgets that end inside, memory
// accesses through a filled and an empty TLB. Everything must be equal, rip and budget included.
// HINDSIGHT_LADDER_BLOCKS and HINDSIGHT_LADDER_SEED run more of them, or others.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string_view>

#include "tests/isa/ladder_engines.h"

namespace hindsight::tests {
namespace {

using namespace engine::guest::x86;
using native_layout::kStart;

constexpr std::uint64_t kDefaultBlocks = 1500;
constexpr unsigned kMostReports = 5;

std::uint64_t from_environment(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

bool goes_elsewhere(const Row& row) {
  const std::string_view name = row.mnemonic;
  const Operand first = row.operands[0];
  return first == Operand::Jb || first == Operand::Jz || name == "call" || name == "jmp" || name == "ret";
}

/// Which instructions a block is made of.
enum class Mix : std::uint8_t { integer, vector, everything };

class LadderBlocksTest : public ::testing::Test {
 protected:
  void run_mix(Mix mix) {
    collect(mix);
    Random random(from_environment("HINDSIGHT_LADDER_SEED", 1) * 3 + static_cast<std::uint64_t>(mix));
    const std::uint64_t blocks = from_environment("HINDSIGHT_LADDER_BLOCKS", kDefaultBlocks);
    Generator generator(ladder_.guest().decoder(), 0);
    unsigned reports = 0;
    for (std::uint64_t i = 0; i < blocks && reports < kMostReports; ++i) {
      if (i % 16 == 0) generator.randomize_memory(*start_, random);
      const Code code = make_block(generator, random);
      const std::string wrong = compare(code);
      if (!wrong.empty()) {
        ++reports;
        ADD_FAILURE() << wrong;
      }
    }
    fmt::print("{} blocks, {} instructions retired, {} trapped, {} ended by their budget\n", blocks, retired_,
               trapped_, cut_short_);
  }

 private:
  void collect(Mix mix) {
    rows_.clear();
    const auto add = [this](std::span<const Row> table) {
      for (const Row& row : table)
        if ((row.flags & (kNo64 | kPrivileged)) == 0 && !goes_elsewhere(row)) rows_.push_back(&row);
    };
    if (mix != Mix::vector) add(integer_rows());
    if (mix != Mix::integer) add(fp_rows());
  }

  /// 5 to 40 instructions. Each is tried on the state that those before it leave, and taken if it completes;
  /// of those that trap, few are taken: what follows such a one is there only to be translated.
  Code make_block(const Generator& generator, Random& random) {
    Code code;
    generator.randomize_state(start_->state, random);
    const std::uint64_t wanted = 5 + random.below(36);
    *oracle_ = *start_;
    bool trapped = false;
    while (code.starts.size() < wanted) {
      const Row& row = *rows_[random.below(rows_.size())];
      auto instruction = generator.instruction(row, random);
      if (!instruction) continue;
      const auto offset = static_cast<std::uint32_t>(code.bytes.size());
      if (has_fixed_address(instruction->decoded))
        generator.steer(*instruction, kStart + offset, *oracle_, random);
      Code longer = code;
      longer.starts.push_back(offset);
      longer.bytes.insert(longer.bytes.end(), instruction->bytes.begin(), instruction->bytes.end());
      if (!trapped) {
        *other_ = *oracle_;
        ladder_.run(Rung::steps, longer, *other_, false);
        trapped = other_->state.pc != kStart + longer.bytes.size();
        if (trapped && !random.percent(2)) {
          trapped = false;
          continue;
        }
        std::swap(oracle_, other_);
      }
      code = std::move(longer);
    }
    if (random.percent(20)) start_->state.budget = static_cast<std::int64_t>(random.below(wanted + 2));
    return code;
  }

  static bool has_fixed_address(const Decoded& d) {
    return !d.has_modrm || !d.is_memory() || d.base == kRipBase ||
           (d.base == kNoRegister && d.index == kNoRegister);
  }

  std::string compare(const Code& code) {
    *oracle_ = *start_;
    ladder_.run(Rung::steps, code, *oracle_, false);
    trapped_ += oracle_->state.trap.kind != engine::ir::TrapKind::none;
    retired_ += static_cast<std::uint64_t>(start_->state.budget - oracle_->state.budget);
    cut_short_ += oracle_->state.budget <= 0;
    for (const Rung rung : {Rung::blocks, Rung::plain, Rung::optimised}) {
      for (const bool fill_tlb : {false, true}) {
        if (!ladder_.has(rung)) continue;
        *other_ = *start_;
        ladder_.run(rung, code, *other_, fill_tlb);
        const std::string text = differences(*oracle_, *other_);
        if (!text.empty())
          return fmt::format("{}{}:\n{}{}{}{}", name(rung), fill_tlb ? ", TLB filled" : "",
                             Ladder::disassemble(code), text, describe(start_->state),
                             ladder_.ir_of(code, *start_, rung == Rung::optimised));
      }
    }
    return "";
  }

  Ladder ladder_;
  std::vector<const Row*> rows_;
  std::unique_ptr<Machine> start_ = std::make_unique<Machine>(), oracle_ = std::make_unique<Machine>(),
                           other_ = std::make_unique<Machine>();
  std::uint64_t retired_ = 0, trapped_ = 0, cut_short_ = 0;
};

TEST_F(LadderBlocksTest, IntegerBlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::integer); }
TEST_F(LadderBlocksTest, FloatingPointAndVectorBlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::vector); }
TEST_F(LadderBlocksTest, MixedBlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::everything); }

}  // namespace
}  // namespace hindsight::tests
