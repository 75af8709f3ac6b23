// Every decode row against every rung of the differential ladder: the host CPU, the interpreter, generated
// code without and with passes. HINDSIGHT_LADDER_CASES (per row), HINDSIGHT_LADDER_SEED and
// HINDSIGHT_LADDER_ONLY (a mnemonic) run it longer, elsewhere or on less; HINDSIGHT_LADDER_NATIVE=0 leaves
// the host CPU out.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string_view>

#include "tests/isa/ladder_engines.h"
#include "tests/isa/ladder_native.h"

namespace hindsight::tests {
namespace {

using namespace engine::guest::x86;

constexpr std::uint64_t kDefaultCases = 200;
/// The x87 instructions share two rows.
constexpr std::uint64_t kX87Weight = 60;

std::uint64_t from_environment(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

/// The same for a row wherever it stands in its table.
std::uint64_t seed_of(const Row& row) {
  std::uint64_t h = from_environment("HINDSIGHT_LADDER_SEED", 1);
  for (const std::uint64_t part :
       {std::uint64_t(row.map), std::uint64_t(row.opcode), std::uint64_t(row.match.prefix),
        std::uint64_t(row.match.reg + 1), std::uint64_t(row.match.mod), std::uint64_t(row.match.rm + 1)})
    h = Random(h ^ part).next();
  return h;
}

class LadderTest : public ::testing::Test {
 protected:
  /// One native runner for the process: it owns fixed addresses.
  static NativeRunner& native() {
    static NativeRunner runner;
    return runner;
  }
  void SetUp() override {
    if (!native().unavailable().empty()) fmt::print("native rung skipped: {}\n", native().unavailable());
  }

  void run_table(std::span<const Row> rows) {
    const char* const only = std::getenv("HINDSIGHT_LADDER_ONLY");
    const std::uint64_t cases = from_environment("HINDSIGHT_LADDER_CASES", kDefaultCases);
    for (const Row& row : rows) {
      if ((row.flags & kNo64) != 0) continue;
      if (only != nullptr && std::string_view(only) != row.mnemonic) continue;
      run_row(row, cases);
    }
    for (const auto& [what, count] : skips_) fmt::print("{} cases not compared natively: {}\n", count, what);
    fmt::print("{} cases, {} compared natively, {} rows differ\n", cases_, native_cases_,
               rows_that_differ_.size());
  }

 private:
  void run_row(const Row& row, std::uint64_t cases) {
    Random random(seed_of(row));
    Generator generator(ladder_.guest().decoder(), native().fs_base());
    auto machine = std::make_unique<Machine>();
    generator.randomize_memory(*machine, random);
    std::set<unsigned> reported;
    std::uint64_t made = 0;
    if (std::string_view(row.mnemonic) == "x87") cases *= kX87Weight;
    for (std::uint64_t draw = 0; draw < 4 * cases && made < cases; ++draw) {
      auto instruction = generator.instruction(row, random);
      if (!instruction) continue;
      generator.randomize_state(machine->state, random);
      generator.steer(*instruction, native_layout::kStart, *machine, random);
      if (instruction->decoded.row != &row || jumps_into_itself(*instruction)) continue;
      ++made;
      const std::string wrong = compare(*instruction, *machine);
      if (wrong.empty()) continue;
      rows_that_differ_.insert(&row);
      if (reported.insert(x87_selector(instruction->decoded)).second) ADD_FAILURE() << wrong;
    }
    if (made == 0) ADD_FAILURE() << "no bytes were found that decode to the row of " << row.mnemonic;
    cases_ += made;
  }

  /// Debuggers trip over the native rung's signals.
  static bool native_wanted() { return from_environment("HINDSIGHT_LADDER_NATIVE", 1) != 0; }

  static bool jumps_into_itself(const Instruction& i) {
    const Operand first = i.decoded.row->operands[0];
    if (first != Operand::Jb && first != Operand::Jz) return false;
    return i.decoded.immediate < 0 && i.decoded.immediate >= -static_cast<std::int64_t>(i.decoded.length);
  }

  /// Empty, or a report of the first rung that differs.
  std::string compare(const Instruction& instruction, const Machine& start) {
    const Code code{instruction.bytes, {0}};
    *oracle_ = start;
    ladder_.run(Rung::steps, code, *oracle_, false);
    const bool escaped = ladder_.escaped();
    for (const Rung rung : {Rung::blocks, Rung::plain, Rung::optimised}) {
      *other_ = start;
      ladder_.run(rung, code, *other_, rung == Rung::optimised);
      const std::string text = differences(*oracle_, *other_);
      if (!text.empty()) return report(name(rung), code, start, text);
    }
    const Freedom open = freedom(instruction, start.state);
    const char* skip = open.skip != nullptr ? open.skip
                       : escaped            ? "touches memory outside the window"
                       : !native().unavailable().empty() || !native_wanted() ? "no native rung"
                                                                             : nullptr;
    if (skip != nullptr) {
      ++skips_[skip];
      return "";
    }
    ++native_cases_;
    *other_ = start;
    run_natively(native(), code, *other_);
    const std::string text = native_differences(*other_, *oracle_, open);
    return text.empty() ? "" : report("host CPU (expected) and interpreter (got)", code, start, text);
  }

  std::string report(const char* rung, const Code& code, const Machine& start, const std::string& text) {
    return fmt::format("{}:\n{}{}{}{}", rung, Ladder::disassemble(code), text, describe(start.state),
                       ladder_.ir_of(code, start, false));
  }

  Ladder ladder_;
  std::unique_ptr<Machine> oracle_ = std::make_unique<Machine>(), other_ = std::make_unique<Machine>();
  std::map<std::string_view, std::uint64_t> skips_;
  std::set<const Row*> rows_that_differ_;
  std::uint64_t cases_ = 0, native_cases_ = 0;
};

TEST_F(LadderTest, EveryIntegerInstructionAgreesOnEveryRung) { run_table(integer_rows()); }
TEST_F(LadderTest, EverySystemInstructionAgreesOnEveryRung) { run_table(system_rows()); }
TEST_F(LadderTest, EveryFloatingPointAndVectorInstructionAgreesOnEveryRung) { run_table(fp_rows()); }

}  // namespace
}  // namespace hindsight::tests
