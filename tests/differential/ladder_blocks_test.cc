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

constexpr std::uint64_t kDefaultBlocks = 8000;
constexpr unsigned kMostReports = 5;

std::uint64_t from_environment(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

bool is_x87(const Row& row) { return row.map == Map::one && row.opcode >= 0xD8 && row.opcode <= 0xDF; }

bool goes_elsewhere(const Row& row) {
  const std::string_view name = row.mnemonic;
  const Operand first = row.operands[0];
  return first == Operand::Jb || first == Operand::Jz || name == "call" || name == "jmp" || name == "ret";
}

/// Which instructions a block is made of.
enum class Mix : std::uint8_t { integer, vector, everything, x87 };

class LadderBlocksTest : public ::testing::Test {
 protected:
  void run_mix(Mix mix) {
    collect(mix);
    masked_ = mix == Mix::x87;
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
        ADD_FAILURE() << compare(shortest(code));
      }
    }
    fmt::print("{} blocks, {} instructions retired, {} trapped, {} ended by their budget\n", blocks, retired_,
               trapped_, cut_short_);
  }

  /// These instructions on a random state; empty if the rungs agree.
  std::string run_code(const std::vector<std::vector<std::uint8_t>>& instructions) {
    Code code;
    for (const auto& bytes : instructions) {
      code.starts.push_back(static_cast<std::uint32_t>(code.bytes.size()));
      code.bytes.insert(code.bytes.end(), bytes.begin(), bytes.end());
    }
    Random random(1);
    Generator(ladder_.guest().decoder(), 0).randomize_state(start_->state, random);
    start_->state.fcw = 0x37F;  // exceptions masked: floating point goes without checks in between
    start_->state.guest_mxcsr = 0x1F80;
    return compare(code);
  }

 private:
  void collect(Mix mix) {
    rows_.clear();
    others_.clear();
    const auto add = [this](std::span<const Row> table) {
      for (const Row& row : table)
        if ((row.flags & (kNo64 | kPrivileged)) == 0 && !goes_elsewhere(row)) rows_.push_back(&row);
    };
    if (mix == Mix::integer || mix == Mix::everything) add(integer_rows());
    if (mix != Mix::integer) add(fp_rows());
    if (mix != Mix::x87) return;
    // Mostly x87, with some that access memory, define flags or end what x87 keeps in host registers.
    add(integer_rows());
    std::erase_if(rows_, [this](const Row* row) {
      if (is_x87(*row)) return false;
      others_.push_back(row);
      return true;
    });
  }

  /// 5 to 40 instructions. Each is tried on the state that those before it leave, and taken if it completes;
  /// of those that trap, few are taken: what follows such a one is there only to be translated.
  Code make_block(const Generator& generator, Random& random) {
    Code code;
    generator.randomize_state(start_->state, random);
    if (masked_) {
      start_->state.fcw |= 0x3F;
      start_->state.fsw &= 0x7F7F;  // so nothing is pending
      start_->state.guest_mxcsr |= 0x1F80;
    }
    const std::uint64_t wanted = 5 + random.below(36);
    *oracle_ = *start_;
    bool trapped = false;
    while (code.starts.size() < wanted) {
      const auto& rows = !others_.empty() && random.percent(20) ? others_ : rows_;
      const Row& row = *rows[random.below(rows.size())];
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

  static Code without(const Code& code, std::size_t dropped) {
    Code out;
    for (std::size_t i = 0; i < code.starts.size(); ++i) {
      if (i == dropped) continue;
      const std::size_t end = i + 1 < code.starts.size() ? code.starts[i + 1] : code.bytes.size();
      out.starts.push_back(static_cast<std::uint32_t>(out.bytes.size()));
      out.bytes.insert(out.bytes.end(), code.bytes.begin() + code.starts[i],
                       code.bytes.begin() + static_cast<std::ptrdiff_t>(end));
    }
    return out;
  }

  /// Leaves out every instruction without which the rungs still differ.
  Code shortest(Code code) {
    for (std::size_t i = code.starts.size(); i-- > 0;) {
      Code shorter = without(code, i);
      if (!shorter.starts.empty() && !compare(shorter).empty()) code = std::move(shorter);
    }
    return code;
  }

  std::string compare(const Code& code) {
    *oracle_ = *start_;
    ladder_.run(Rung::steps, code, *oracle_, false);
    trapped_ += oracle_->state.trap.kind != engine::ir::TrapKind::none;
    retired_ += static_cast<std::uint64_t>(start_->state.budget - oracle_->state.budget);
    cut_short_ += oracle_->state.budget <= 0;
    for (const Rung rung : {Rung::blocks, Rung::plain, Rung::optimised}) {
      for (const bool fill_tlb : {false, true}) {
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
  std::vector<const Row*> rows_, others_;
  bool masked_ = false;
  std::unique_ptr<Machine> start_ = std::make_unique<Machine>(), oracle_ = std::make_unique<Machine>(),
                           other_ = std::make_unique<Machine>();
  std::uint64_t retired_ = 0, trapped_ = 0, cut_short_ = 0;
};

// Eviction of the shared host register once forgot one of the two guest registers.
TEST_F(LadderBlocksTest, AMovedVectorRegisterSurvivesPressureOnTheOthers) {
  std::vector<std::vector<std::uint8_t>> code = {{0x44, 0x0F, 0x28, 0xD1}};  // movaps xmm10, xmm1
  for (unsigned i = 0; i < 16; ++i) {
    if (i == 1 || i == 10) continue;
    const auto rex = static_cast<std::uint8_t>(i < 8 ? 0x40 : 0x45);
    const auto modrm = static_cast<std::uint8_t>(0xC0 | (i & 7) << 3 | (i & 7));
    code.push_back({0x66, rex, 0x0F, 0xFC, modrm});  // paddb xmm i, xmm i
  }
  code.push_back({0x0F, 0xFC, 0xC1});  // paddb mm0, mm1: two more
  EXPECT_EQ(run_code(code), "");
}

TEST_F(LadderBlocksTest, IntegerBlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::integer); }
TEST_F(LadderBlocksTest, FloatingPointAndVectorBlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::vector); }
TEST_F(LadderBlocksTest, X87BlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::x87); }
TEST_F(LadderBlocksTest, MixedBlocksEndInTheSameStateOnEveryRung) { run_mix(Mix::everything); }

}  // namespace
}  // namespace hindsight::tests
