// Kernels of a page (tests/replay/kernels) that judge what they see while a timer interrupts them all the
// time: recorded once, then played again on both engines and with blocks cut in other ways. Every state on
// the way is compared, as often as some thousand instructions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

namespace hindsight::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Outcome {
  int code = -1;
  std::string text;  ///< standard output and standard error
};

Outcome hindsight(const std::string& arguments) {
  const std::string command = HINDSIGHT_EXECUTABLE " " + arguments + " 2>&1 </dev/null";
  std::FILE* pipe = popen(command.c_str(), "r");
  Outcome outcome;
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.text.append(buffer.data(), got);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

class SmallKernels : public testing::TestWithParam<const char*> {
 protected:
  SmallKernels() : trace_(testing::TempDir() + "hindsight_kernels_" + std::to_string(getpid()) + ".trace") {
    std::filesystem::remove(trace_);
  }
  ~SmallKernels() override { std::filesystem::remove(trace_); }

  /// A recording on the engine with the other ways of cutting blocks to compare with.
  Outcome record(const std::string& kernel, const std::string& engine) const {
    return hindsight("record -o " + trace_ + " --kernel " HINDSIGHT_KERNELS "/" + kernel +
                     ".elf --memory 16M --seed 1 --ns-per-instruction 20 --digest-every 20000 --engine " +
                     engine);
  }
  Outcome verify() const { return hindsight("verify --engine " + std::string(GetParam()) + " " + trace_); }

  std::string trace_;
};

TEST_P(SmallKernels, InterruptsAreTakenRightBehindTheShadowOfStiAndMovSsAndNeverInIt) {
  const Outcome recorded = record("interrupt_shadow", "jit");
  EXPECT_THAT(recorded.text, StartsWith("in a shadow 0, never behind 0\n"));
  EXPECT_EQ(recorded.code, 0);
  const Outcome verified = verify();
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr(": ok: "));
}

TEST_P(SmallKernels, AKernelsOwnBreakpointsAreReportedAsItExpects) {
  const Outcome recorded = record("debug_registers", "jit");
  EXPECT_THAT(recorded.text, StartsWith("wrong 0, first in case 0\n"));
  EXPECT_EQ(recorded.code, 0);
  const Outcome verified = verify();
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr(": ok: "));
}

INSTANTIATE_TEST_SUITE_P(PlayedAgain, SmallKernels,
                         testing::Values("interp", "jit", "jit:plain", "jit:max-insns=1", "jit:max-insns=2",
                                         "jit:max-insns=3"),
                         [](const auto& engine) {
                           std::string name;
                           for (const char c : std::string(engine.param))
                             if (isalnum(static_cast<unsigned char>(c))) name += c;
                           return name;
                         });

}  // namespace
}  // namespace hindsight::tests
