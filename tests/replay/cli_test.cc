// The hindsight executable from the outside: a kernel of a few instructions is recorded and replayed, and
// every kind of failure has its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace hindsight::tests {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A 32-bit ELF file with a PVH entry note whose code is `code`, at 1 MiB.
std::string pvh_kernel(const std::vector<std::uint8_t>& code) {
  constexpr std::uint32_t kBase = 0x100000, kHeaders = 52 + 2 * 32, kNote = 20;
  std::string file;
  const auto word = [&](std::uint32_t value) {
    for (int i = 0; i < 4; ++i) file += static_cast<char>(value >> (8 * i));
  };
  const auto half = [&](std::uint32_t value) {
    for (int i = 0; i < 2; ++i) file += static_cast<char>(value >> (8 * i));
  };
  file += std::string(
              "\x7f"
              "ELF\1\1\1",
              7) +
          std::string(9, '\0');
  half(2), half(3), word(1), word(kBase);  // ET_EXEC, EM_386, version, entry
  word(52), word(0), word(0);              // program headers, no sections, flags
  half(52), half(32), half(2), half(0), half(0), half(0);
  const auto size = static_cast<std::uint32_t>(code.size());
  word(1), word(kHeaders + kNote), word(kBase), word(kBase), word(size), word(size), word(7),
      word(1);                                                                            // PT_LOAD
  word(4), word(kHeaders), word(0), word(0), word(kNote), word(kNote), word(4), word(4);  // PT_NOTE
  word(4), word(4), word(18), file += std::string("Xen\0", 4), word(kBase);  // XEN_ELFNOTE_PHYS32_ENTRY
  file += std::string(code.begin(), code.end());
  return file;
}

/// Echoes what arrives at COM1 until a '.', after counting to 100,000; then powers off through ACPI.
std::string echo_kernel() {
  return pvh_kernel({
      0xb9, 0xa0, 0x86, 0x01, 0x00,  // mov ecx, 100000
      0x49,                          // 1: dec ecx
      0x75, 0xfd,                    // jnz 1b
      0x66, 0xba, 0xfd, 0x03,        // 2: mov dx, 3fdh
      0xec,                          // in al, dx
      0xa8, 0x01,                    // test al, 1
      0x74, 0xf7,                    // jz 2b
      0x66, 0xba, 0xf8, 0x03,        // mov dx, 3f8h
      0xec,                          // in al, dx
      0xee,                          // out dx, al
      0x3c, '.',                     // cmp al, '.'
      0x75, 0xed,                    // jne 2b
      0x66, 0xba, 0x04, 0x06,        // mov dx, PM1a control
      0x66, 0xb8, 0x00, 0x34,        // mov ax, sleep
      0x66, 0xef,                    // out dx, ax
      0xeb, 0xfe,                    // jmp .
  });
}

struct Outcome {
  int code = -1;
  std::string text;  ///< standard output and standard error
};

Outcome run(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  Outcome outcome;
  char buffer[4096];
  while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) outcome.text.append(buffer, got);
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

Outcome hindsight(const std::string& arguments) { return run(HINDSIGHT_EXECUTABLE " " + arguments); }

class CommandLine : public testing::Test {
 protected:
  CommandLine() : folder_(testing::TempDir() + "hindsight_cli_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    write("kernel", echo_kernel());
    write("typed", "Hello.");
  }
  ~CommandLine() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& contents) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << contents;
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string record(const std::string& more = "") const {
    return "record -o " + path("t.trace") + " --kernel " + path("kernel") + " --memory 16M --input " +
           path("typed") + " --digest-every 20000 " + more;
  }

  std::string folder_;
};

class BothEngines : public CommandLine, public testing::WithParamInterface<const char*> {};

TEST_P(BothEngines, RecordThenReplayPrintsTheSameAndAgrees) {
  const std::string engine = std::string(" --engine ") + GetParam();
  const Outcome recorded = hindsight(record(engine));
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text, StartsWith("Hello."));
  EXPECT_THAT(recorded.text, HasSubstr("next: hindsight replay " + path("t.trace")));
  std::filesystem::remove(path("kernel"));
  std::filesystem::remove(path("typed"));
  const Outcome replayed = hindsight("replay " + path("t.trace") + engine);
  EXPECT_EQ(replayed.code, 0) << replayed.text;
  EXPECT_THAT(replayed.text, HasSubstr("Hello."));
  EXPECT_THAT(replayed.text, HasSubstr("ends with power-off"));
  const Outcome verified = hindsight("verify " + path("t.trace") + engine);
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.text, HasSubstr("t.trace: ok: "));
}

INSTANTIATE_TEST_SUITE_P(With, BothEngines, testing::Values("interp", "jit"),
                         [](const auto& engine) { return std::string(engine.param); });

TEST_F(CommandLine, ATraceOfOneEngineVerifiesOnTheOther) {
  ASSERT_EQ(hindsight(record("--engine jit")).code, 0);
  const Outcome verified = hindsight("verify --engine interp " + path("t.trace"));
  EXPECT_EQ(verified.code, 0) << verified.text;
}

TEST_F(CommandLine, InfoAndEventsTellWhatIsInTheTrace) {
  ASSERT_EQ(hindsight(record("--engine interp --append quiet")).code, 0);
  const Outcome info = hindsight("info " + path("t.trace"));
  EXPECT_EQ(info.code, 0);
  EXPECT_THAT(info.text, HasSubstr("command line  quiet\n"));
  EXPECT_THAT(info.text, HasSubstr("(power-off)"));
  const Outcome inputs = hindsight("events --kind input " + path("t.trace"));
  EXPECT_EQ(inputs.code, 0);
  EXPECT_THAT(inputs.text, HasSubstr("serial0"));
  EXPECT_THAT(inputs.text, HasSubstr("48"));  // the H
  const Outcome samples = hindsight("events --json --kind sample " + path("t.trace"));
  EXPECT_THAT(samples.text, HasSubstr("\"channel\":\"wall_clock\""));
}

TEST_F(CommandLine, StopAtEndsRecordingAndReplayThere) {
  const Outcome recorded = hindsight(record("--engine interp --stop-at 50001"));
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  const Outcome replayed = hindsight("replay --engine interp " + path("t.trace"));
  EXPECT_EQ(replayed.code, 0);
  EXPECT_THAT(replayed.text, HasSubstr("50,001 instructions replayed"));
  EXPECT_THAT(replayed.text, HasSubstr("limit reached"));
}

TEST_F(CommandLine, TraceExecPrintsEachInstructionOfARangeWithWhatItChanged) {
  ASSERT_EQ(hindsight(record()).code, 0);
  const Outcome traced = hindsight("replay --trace-exec 101..104 " + path("t.trace"));
  EXPECT_EQ(traced.code, 0) << traced.text;
  // Instruction 101 is the dec of the 51st turn of the counting loop.
  EXPECT_THAT(traced.text, HasSubstr("101  0000000000100005  49                      dec ecx"));
  EXPECT_THAT(traced.text, HasSubstr("rcx=000000000001866d\n"));
  EXPECT_THAT(traced.text, HasSubstr("102  0000000000100006  75fd                    jne 0x100005"));
  EXPECT_THAT(traced.text, HasSubstr("103  "));
  EXPECT_THAT(traced.text, Not(HasSubstr("104  0000")));
  EXPECT_THAT(traced.text, HasSubstr("stopped at icount 104"));
  EXPECT_EQ(hindsight("replay --trace-exec 5..5 " + path("t.trace")).code, 2);
}

TEST_F(CommandLine, ShowPrintsWhatTheMachineHoldsAtAPosition) {
  ASSERT_EQ(hindsight(record()).code, 0);
  const std::string show = "show " + path("t.trace");
  const Outcome registers = hindsight(show + " registers --at 101");
  EXPECT_EQ(registers.code, 0) << registers.text;
  EXPECT_THAT(registers.text, HasSubstr("rip            0000000000100005"));
  EXPECT_THAT(registers.text, HasSubstr("rcx            000000000001866e"));
  EXPECT_THAT(hindsight(show + " memory phys:0x100000 5").text,
              HasSubstr("0000000000100000  b9 a0 86 01 00"));
  EXPECT_THAT(hindsight(show + " walk 0x100000").text, HasSubstr("is physical 000000100000"));
  EXPECT_THAT(hindsight(show + " state pit").text, HasSubstr("pit.channels[0].mode = "));
  EXPECT_EQ(hindsight(show + " state nothing").code, 2);
  EXPECT_EQ(hindsight(show + " everything").code, 2);
  EXPECT_EQ(hindsight(show + " memory phys:0xffffffffff").code, 3);
}

TEST_F(CommandLine, APositionThatThereIsNotIsAWrongCommandLineForEveryCommand) {
  ASSERT_EQ(hindsight(record()).code, 0);
  const std::string trace = path("t.trace");
  const auto refused = [&](const std::string& command) {
    for (const std::string at : {"nowhere", "12x", "101%", "mark:none", "event:999999", "99999999999"}) {
      const Outcome outcome = hindsight(command + at);
      EXPECT_EQ(outcome.code, 2) << command << at << ": " << outcome.text;
      EXPECT_THAT(outcome.text, StartsWith("hindsight: "));
    }
  };
  refused("show " + trace + " registers --at ");
  refused("gdb " + trace + " --listen unix:" + path("gdb") + " --at ");
  refused("snapshot " + trace + " --at ");
  refused("mark " + trace + " name --at ");
  refused("branch " + trace + " -o " + path("b.trace") + " --at ");
  refused("diff " + trace + "@begin @");
  EXPECT_EQ(hindsight("query " + trace + " events --at nowhere").code, 2);
  EXPECT_FALSE(std::filesystem::exists(path("b.trace")));
  EXPECT_EQ(hindsight("show " + path("absent") + " registers --at nowhere").code, 3)
      << "the trace comes first";
}

TEST_F(CommandLine, AnAddressForGdbIsCheckedBeforeTheTrace) {
  const Outcome refused = hindsight("gdb " + path("absent") + " --listen 192.0.2.1:1");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.text,
              StartsWith("hindsight: --listen: 192.0.2.1:1: only 127.0.0.1, localhost or unix:PATH"));
  EXPECT_EQ(hindsight("gdb " + path("absent") + " --listen 127.0.0.1:70000").code, 2);
  EXPECT_EQ(hindsight(record("--gdb nowhere")).code, 2);
  EXPECT_EQ(hindsight(record("--gdb 127.0.0.1:0 --until-fail 2")).code, 2);
}

TEST_F(CommandLine, AMarkNamesAPositionForEveryCommandThatTakesOne) {
  ASSERT_EQ(hindsight(record()).code, 0);
  const Outcome set = hindsight("mark " + path("t.trace") + " counting 'in the loop' --at 101");
  EXPECT_EQ(set.code, 0) << set.text;
  EXPECT_THAT(hindsight("mark " + path("t.trace")).text, HasSubstr("101  counting  in the loop"));
  EXPECT_THAT(hindsight("show " + path("t.trace") + " registers --at mark:counting").text,
              HasSubstr("rip            0000000000100005"));
  EXPECT_EQ(hindsight("snapshot " + path("t.trace") + " --at mark:counting").code, 0);
  EXPECT_THAT(hindsight("info " + path("t.trace")).text, HasSubstr("snapshots     1"));
  EXPECT_EQ(hindsight("verify " + path("t.trace")).code, 0);
}

TEST_F(CommandLine, AnInterruptedVerifyIsNoSuccessAndSkipsTheRest) {
  write("kernel", pvh_kernel({0xeb, 0xfe}));  // jmp .
  // long enough to be still at it when the signal comes; --foreground sends one signal, a second would kill
  ASSERT_EQ(hindsight(record("--stop-at 1000000000")).code, 0);
  const Outcome verified = run("timeout --foreground --preserve-status -s INT 0.8 " HINDSIGHT_EXECUTABLE
                               " verify --jobs 1 --engine interp " +
                               path("t.trace") + " " + path("absent"));
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.text, HasSubstr("t.trace: INTERRUPTED: "));
  EXPECT_THAT(verified.text, Not(HasSubstr("absent")));
  EXPECT_THAT(verified.text, HasSubstr("2 traces: 1 interrupted, 1 not run\n"));
}

TEST_F(CommandLine, ACpuThatShutsDownIsAFailedGuest) {
  write("kernel", pvh_kernel({0x0f, 0x0b}));  // ud2, with an empty IDT
  const Outcome recorded = hindsight(record("--engine interp"));
  EXPECT_EQ(recorded.code, 1);
  EXPECT_THAT(recorded.text, HasSubstr("shut down at icount 0 (rip=0000000000100000 cpl=0)\n"));
  const Outcome verified = hindsight("verify --engine interp " + path("t.trace"));
  EXPECT_EQ(verified.code, 0) << verified.text;
}

TEST_F(CommandLine, UntilFailCountsItsAttemptsAndSeedsAndKeepsNoTraceOfSuccesses) {
  const Outcome recorded = hindsight(record("--engine interp --seed 7 --until-fail 2"));
  EXPECT_EQ(recorded.code, 1);
  EXPECT_THAT(recorded.text, HasSubstr("attempt 1 of 2, seed 7\n"));
  EXPECT_THAT(recorded.text, HasSubstr("attempt 2 of 2, seed 8\n"));
  EXPECT_THAT(recorded.text, HasSubstr("the guest did not fail in 2 attempts, and no trace is kept\n"));
  EXPECT_THAT(recorded.text, Not(HasSubstr("next: ")));
  EXPECT_FALSE(std::filesystem::exists(path("t.trace")));
}

TEST_F(CommandLine, UntilFailKeepsTheTraceOfACpuThatShutsDown) {
  write("kernel", pvh_kernel({0x0f, 0x0b}));  // ud2, with an empty IDT
  const Outcome recorded = hindsight(record("--engine interp --until-fail 5"));
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text, HasSubstr("the guest failed in attempt 1, which is kept\n"));
  EXPECT_EQ(hindsight("verify --engine interp " + path("t.trace")).code, 0);
}

TEST_F(CommandLine, UntilFailTakesATextOnTheConsoleForFailure) {
  // The guest echoes one byte at a time: the text is never seen in one piece.
  const Outcome recorded = hindsight(record("--engine interp --until-fail 2 --fail-on ello"));
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text, HasSubstr("the guest failed in attempt 1, which is kept\n"));
  EXPECT_EQ(hindsight(record("--force --engine interp --until-fail 1 --fail-on elloH")).code, 1);
  EXPECT_EQ(hindsight(record("--fail-on ello")).code, 2);
}

TEST_F(CommandLine, WhatAClosedStandardOutputCannotTakeIsNotWrittenIntoTheTrace) {
  const Outcome recorded = run("(exec " HINDSIGHT_EXECUTABLE " " + record() + " <&- >&-)");
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_EQ(hindsight("verify " + path("t.trace")).code, 0);
}

TEST_F(CommandLine, WhatIsLostOnAFullDiskIsToldAndNoSuccess) {
  ASSERT_EQ(hindsight(record()).code, 0);
  for (const char* command : {"info ", "events ", "replay ", "verify "}) {
    const Outcome lost =
        run("(exec " HINDSIGHT_EXECUTABLE " " + (command + path("t.trace")) + " >/dev/full)");
    EXPECT_EQ(lost.code, 3) << command;
    EXPECT_THAT(lost.text, HasSubstr("hindsight: standard output: cannot write")) << command;
  }
}

TEST_F(CommandLine, AReaderWhoHasReadEnoughIsNoFailureOfAReplay) {
  ASSERT_EQ(hindsight(record()).code, 0);
  const Outcome replayed =
      run("{ { " HINDSIGHT_EXECUTABLE " replay " + path("t.trace") + "; echo code $? >&2; } | true; }");
  EXPECT_THAT(replayed.text, HasSubstr("code 0"));
}

TEST_F(CommandLine, AnExistingTraceIsReplacedOnlyByForceAndAnythingElseNever) {
  ASSERT_EQ(hindsight(record("--engine interp")).code, 0);
  EXPECT_EQ(hindsight(record("--engine interp")).code, 3);
  EXPECT_EQ(hindsight(record("--engine interp --force")).code, 0);
  write("t.trace", "my notes");
  const Outcome refused = hindsight(record("--engine interp --force"));
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.text, HasSubstr("--force replaces only a trace"));
}

TEST_F(CommandLine, ARecordingInProgressKeepsItsFileAndAHangUpClosesIt) {
  write("typed", "Hello");  // no '.': it never ends
  const std::string until_there = "for i in $(seq 200); do " HINDSIGHT_EXECUTABLE " info " + path("t.trace") +
                                  " >/dev/null 2>&1 && break; sleep 0.05; done; ";
  const Outcome both =
      run("{ " HINDSIGHT_EXECUTABLE " " + record() + " & pid=$!; " + until_there + HINDSIGHT_EXECUTABLE " " +
          record("--force") + "; echo second $?; kill -HUP $pid; wait $pid; echo first $?; }");
  EXPECT_THAT(both.text, HasSubstr(path("t.trace") + ": another program is writing it\nsecond 3\n"));
  EXPECT_THAT(both.text, HasSubstr("first 0\n"));
  EXPECT_THAT(hindsight("verify " + path("t.trace")).text, HasSubstr("ends where the recording was stopped"));
}

TEST_F(CommandLine, ANameIsExpectedForATrace) {
  EXPECT_EQ(hindsight("record --kernel " + path("kernel") + " -o ''").text,
            "hindsight: --output: a file name expected (see hindsight record --help)\n");
}

TEST_F(CommandLine, ALimitOnFileSizesBelowTheCodeCacheDoesNotConcernTheTranslator) {
  const Outcome ran = run("ulimit -f 1000; exec " HINDSIGHT_EXECUTABLE " run --kernel " + path("kernel") +
                          " --memory 16M --input " + path("typed"));
  EXPECT_EQ(ran.code, 0) << ran.text;
  EXPECT_THAT(ran.text, StartsWith("Hello."));
  const Outcome recorded = run("ulimit -f 1000; exec " HINDSIGHT_EXECUTABLE " " + record());
  EXPECT_EQ(recorded.code, 0) << recorded.text;
}

TEST_F(CommandLine, TooLittleAddressSpaceForTranslatedCodeIsOneLineAndTheHostsFailure) {
  const Outcome ran =
      run("ulimit -v 1500000; exec " HINDSIGHT_EXECUTABLE " run --engine jit:cache=1000M --kernel " +
          path("kernel") + " --memory 16M --input " + path("typed"));
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.text,
            "hindsight: no room for 1000 MiB of translated code a second time: Cannot allocate memory\n");
}

TEST_F(CommandLine, WrongUsageAndBadFilesHaveTheirExitCodes) {
  EXPECT_EQ(hindsight("").code, 2);
  EXPECT_EQ(hindsight("record --frobnicate").code, 2);
  EXPECT_EQ(hindsight("--log=nonsense:loud info x").code, 2);
  EXPECT_EQ(hindsight("--help").code, 0);
  EXPECT_EQ(hindsight("replay " + path("absent")).code, 3);
  EXPECT_EQ(hindsight("verify " + path("typed")).code, 3);
  EXPECT_EQ(hindsight("run --kernel " + path("absent")).code, 3);
  EXPECT_EQ(hindsight("run --kernel " + folder_).code, 3);
  EXPECT_EQ(hindsight("run --kernel " + path("typed")).code, 3);
}

TEST_F(CommandLine, AComplaintIsOneLineThatNamesTheCulprit) {
  const auto complaint = [](const std::string& arguments) { return hindsight(arguments).text; };
  EXPECT_EQ(complaint("frobnicate"), "hindsight: no such command: frobnicate (see hindsight --help)\n");
  EXPECT_EQ(complaint("replay"), "hindsight: trace is required (see hindsight replay --help)\n");
  EXPECT_EQ(complaint("run --kernel x --memory 12parsecs"),
            "hindsight: --memory: a size from 16M to 1T expected, such as 512M, found 12parsecs "
            "(see hindsight run --help)\n");
  EXPECT_EQ(complaint("run --kernel " + path("typed")),
            "hindsight: " + path("typed") + ": the kernel is neither a Linux bzImage nor an ELF file\n");
  const std::string runs = "run --kernel " + path("kernel");
  for (const std::string& option : {std::string("run --kernel "), runs + " --script ", runs + " --input "})
    EXPECT_EQ(complaint(option + folder_), "hindsight: " + folder_ + ": is a directory\n") << option;
  EXPECT_EQ(complaint("info x --at 5 y"), "hindsight: not expected: --at 5 y (see hindsight info --help)\n");
}

TEST(Explain, ShowsAnInstructionAtEveryStage) {
  const Outcome explained = hindsight("explain x86 4801d8");
  EXPECT_EQ(explained.code, 0);
  EXPECT_THAT(explained.text, HasSubstr("1000  48 01 d8  add rax, rbx"));
  EXPECT_THAT(explained.text, HasSubstr("row: 01  add Ev, Gv [lockable]"));
  EXPECT_THAT(explained.text, HasSubstr("Add.I64.CPAZSV"));
  EXPECT_THAT(explained.text, HasSubstr("IR after remove_dead_flags"));
  EXPECT_THAT(explained.text, HasSubstr("host code, "));
}

TEST(Explain, DropsTheFlagsThatTheNextInstructionOverwrites) {
  const Outcome explained = hindsight("explain x86 4801d8 4829d8");  // add rax, rbx; sub rax, rbx
  EXPECT_THAT(explained.text, HasSubstr("block of 2 instructions:"));
  const std::string after = explained.text.substr(explained.text.find("IR after remove_dead_flags"));
  EXPECT_THAT(after, HasSubstr("= Add.I64 %"));
  EXPECT_THAT(after, HasSubstr("= Sub.I64.CPAZSV %"));
}

TEST(Explain, TakesTheModeAndThePrivilegeIntoAccount) {
  EXPECT_THAT(hindsight("explain x86 --mode 32 40").text, HasSubstr("inc eax"));
  EXPECT_THAT(hindsight("explain x86 --mode 16 b83412").text, HasSubstr("mov ax, 0x1234"));
  EXPECT_THAT(hindsight("explain x86 f4").text, Not(HasSubstr("raise")));
  EXPECT_THAT(hindsight("explain x86 --user f4").text, HasSubstr("raise"));
}

TEST(Explain, GoesOnWithTheNextBlockAfterAJump) {
  const Outcome explained = hindsight("explain x86 --at 0x2000 eb00 90");
  EXPECT_THAT(explained.text, HasSubstr("2002  90  nop"));
}

TEST(Explain, RefusesWhatIsNoInstructionInOneLine) {
  EXPECT_EQ(hindsight("explain x86 4801").text,
            "hindsight: explain: the bytes end inside the instruction at 0x1000: 48 01\n");
  EXPECT_EQ(hindsight("explain x86 48z1").code, 2);
  EXPECT_EQ(hindsight("explain x86 480").code, 2);
  EXPECT_EQ(hindsight("explain vax 00").code, 2);
}

}  // namespace
}  // namespace hindsight::tests
