// The real gdb against `hindsight gdb` on recorded guests: a stock kernel's boot, the kernel module with the
// planted bug, and a program that runs without a kernel. What gdb says is compared with itself (there and
// back) and with what the guests' sources say.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/replay/gdb_script.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Words = std::vector<std::string>;

class GdbOnGuest : public GuestTest {
 protected:
  void SetUp() override {
    if (run({gdb_, "--version"}).code != 0) GTEST_SKIP() << gdb_ << " is not installed";
    GuestTest::SetUp();
  }

  /// Serves a trace until the test ends; `at` as --at has it.
  void serve(const std::string& trace, const std::string& at = "end", const Words& more = {}) {
    server_.reset();
    Words words{HINDSIGHT_EXECUTABLE, "gdb", trace, "--listen", "unix:" + path("gdb"), "--at", at};
    words.insert(words.end(), more.begin(), more.end());
    server_ = std::make_unique<Process>(words);
    ASSERT_TRUE(server_->wait_for("target remote"));
  }
  void stop_serving() {
    server_->signal(SIGINT);
    EXPECT_EQ(server_->wait().code, 0);
    server_.reset();
  }

  /// One gdb in batch mode that connects and runs these commands.
  Answers gdb(const Words& commands, const std::string& before = {}) {
    write("script.gdb", gdb_script(path("gdb"), commands, "directory " HINDSIGHT_SOURCES "\n" + before));
    return Answers(run({"timeout", "300", gdb_, "-nx", "-batch", "-x", path("script.gdb")}).text);
  }

  const std::string gdb_ = std::getenv("HINDSIGHT_GDB") != nullptr ? std::getenv("HINDSIGHT_GDB") : "gdb";

 private:
  std::unique_ptr<Process> server_;
};

/// What follows `before` on its line.
std::string after(const std::string& text, const std::string& before) {
  const std::size_t at = text.find(before) + before.size();
  return text.substr(at, text.find_first_of("\r\n", at) - at);
}

/// All of a register's lines of `info registers`.
const std::string kRegisters = "info registers rip rsp rbp rax rbx rcx rdx rsi rdi r8 r12 r15 eflags cr2 cr3";

class GdbOnABoot : public GdbOnGuest {
 protected:
  static constexpr const char* kLength = "400000000";
  static constexpr const char* kPlace =
      "390000000";  // where kernel threads work, long after the page tables are built

  void SetUp() override {
    GdbOnGuest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const Outcome recorded = run(record("boot.hst", "", {"--stop-at", kLength, "--seed", "1"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
    trace_ = path("boot.hst");
  }
  /// What `info` says of the recording itself: without the snapshots, which a session may add for the next
  /// one.
  static std::string recorded_part(const std::string& trace) {
    std::istringstream all(hindsight({"info", trace}).text + hindsight({"events", trace}).text);
    std::string kept;
    for (std::string line; std::getline(all, line);)
      if (!std::regex_search(line, std::regex("^(trace|snapshots|table +(blobs|pages|snapshots)) ")))
        kept += line + "\n";
    return kept;
  }
  std::string trace_;
};

TEST_F(GdbOnABoot, StepsThereAndBackToTheSameRegisters) {
  serve(trace_, kPlace);
  const Answers said = gdb({kRegisters, "stepi", kRegisters, "stepi 1000", "reverse-stepi 1000", kRegisters,
                            "reverse-stepi", kRegisters, "reverse-stepi 1000", "stepi 1000", kRegisters});
  EXPECT_THAT(said[0], HasSubstr("rip "));
  EXPECT_NE(said[0], said[2]);
  EXPECT_EQ(said[2], said[5]);
  EXPECT_EQ(said[0], said[7]);
  EXPECT_EQ(said[0], said[10]);
}

TEST_F(GdbOnABoot, KnowsTheKernelsFunctionsAndUnwindsThroughThem) {
  serve(trace_, kPlace);
  const Answers said =
      gdb({"backtrace", "break kmem_cache_alloc", "reverse-continue", "backtrace", "reverse-finish",
           "x/i $pc", "stepi", "finish", "info symbol $pc", "reverse-stepi", "x/i $pc"});
  EXPECT_THAT(said[0], HasSubstr(" in ret_from_fork ()"));
  EXPECT_THAT(said[2], AllOf(HasSubstr("Breakpoint 1, 0x"), HasSubstr(" in kmem_cache_alloc ()")));
  EXPECT_THAT(said[3],
              AllOf(StartsWith("#0  0x"), HasSubstr(" in kmem_cache_alloc ()\n#1 "), Not(HasSubstr("??"))));
  // Before the call that led here, and by a step on back at the breakpoint.
  EXPECT_THAT(said[5], ContainsRegex("=> .*call .*<kmem_cache_alloc>"));
  EXPECT_THAT(said[6], HasSubstr("Breakpoint 1, "));
  // After the call: the instruction before is the return.
  EXPECT_THAT(said[8], Not(HasSubstr("kmem_cache_alloc")));
  EXPECT_THAT(said[10], AllOf(HasSubstr("<kmem_cache_alloc+"), ContainsRegex("ret|jmp")));
}

TEST_F(GdbOnABoot, MeetsBreakpointsBackwardsInTheOrderInWhichTheyWereMet) {
  serve(trace_, "350000000");
  const Answers said = gdb({"break kmem_cache_alloc", "continue", "p/x $rsp", "monitor when", "continue",
                            "monitor when", "continue", "monitor when", "reverse-continue", "monitor when",
                            "reverse-continue", "p/x $rsp", "monitor when"});
  EXPECT_THAT(said[1], HasSubstr("Breakpoint 1, "));
  EXPECT_NE(said[3], said[5]);
  EXPECT_NE(said[5], said[7]);
  EXPECT_EQ(said[9], said[5]);
  EXPECT_EQ(said[12], said[3]);
  EXPECT_EQ(said[2].substr(said[2].find('=')), said[11].substr(said[11].find('=')));
}

TEST_F(GdbOnABoot, MeetsAConditionalBreakpointOnlyWhereTheConditionHolds) {
  serve(trace_, "350000000");
  const Answers said =
      gdb({"break kmem_cache_alloc", "continue", "p/x $rdi",
           "eval \"condition 1 $rdi == %lu && *(unsigned long *)$rsp != 0\", (unsigned long)$rdi",
           "monitor seek end", "reverse-continue", "info breakpoints", "p/x $rdi", "condition 1 $rdi == 1",
           "reverse-continue"});
  EXPECT_THAT(said[6], HasSubstr("(target evals)"));
  EXPECT_THAT(said[5], HasSubstr("Breakpoint 1, "));
  EXPECT_EQ(said[2].substr(said[2].find('=')), said[7].substr(said[7].find('=')));
  EXPECT_THAT(said[9], HasSubstr("No more reverse-execution history.")) << "no cache is at 1";
}

TEST_F(GdbOnABoot, SaysWhereHistoryBeginsAndEnds) {
  serve(trace_);
  const Answers said = gdb({"reverse-continue", "monitor when", "reverse-stepi", "stepi", "monitor when",
                            "continue", "monitor when", "stepi"});
  EXPECT_THAT(said[0], HasSubstr("No more reverse-execution history."));
  EXPECT_THAT(said[1], HasSubstr("icount 0 of 400000000 (0.0%)"));
  EXPECT_THAT(said[2], HasSubstr("No more reverse-execution history."));
  EXPECT_THAT(said[4], HasSubstr("icount 1 of "));
  EXPECT_THAT(said[5], AllOf(HasSubstr("the recording was to end here"),
                             HasSubstr("No more reverse-execution history.")));
  EXPECT_THAT(said[6], HasSubstr("(100.0%)"));
  EXPECT_THAT(said[7], HasSubstr("No more reverse-execution history."));
}

TEST_F(GdbOnABoot, WatchesBackToTheLastWriterOfAnAddress) {
  serve(trace_, kPlace);
  // jiffies counts up: a write of the timer's interrupt, the same that last-write names.
  const Answers said =
      gdb({"p *(unsigned long *)&jiffies", "watch *(unsigned long *)&jiffies", "reverse-continue",
           "p *(unsigned long *)&jiffies", "backtrace", "eval \"monitor last-write %p\", &jiffies", "stepi",
           "monitor when", "eval \"monitor last-write %p\", &jiffies"});
  EXPECT_THAT(said[2], AllOf(HasSubstr("Hardware watchpoint 1: "), HasSubstr("Old value = "),
                             HasSubstr("New value = ")));
  EXPECT_THAT(said[4], AllOf(HasSubstr("do_timer"), HasSubstr("<signal handler called>")));
  EXPECT_THAT(said[5], ContainsRegex("to go there: monitor seek [0-9]"));
  const auto number = [](const std::string& text, const std::string& before) {
    return std::stoull(text.substr(text.find(before) + before.size()));
  };
  EXPECT_EQ(number(said[0], "= "), number(said[3], "= ") + 1);
  // The write is the step that was just made.
  EXPECT_EQ(number(said[8], "monitor seek "), number(said[7], "icount ") - 1);
}

TEST_F(GdbOnABoot, ComesBackToTheSamePlaceAndLeavesTheRecordingAsItWas) {
  const std::string before = recorded_part(trace_);
  serve(trace_, kPlace);
  const Answers first = gdb({"break *$pc + 0", "watch *(long *)$rsp", "stepi 7", kRegisters, "monitor when",
                             "monitor devices", "detach"});
  // What chance made of this boot may hit the watchpoint before the seventh step.
  const std::string stopped = after(first[4].substr(0, first[4].find(" of ")), "icount ");
  const Answers second =
      gdb({kRegisters, "monitor when", "monitor devices", "info breakpoints", "eval \"monitor walk %p\", $pc",
           "monitor events", "monitor seek 123456789", "monitor when", "monitor seek " + stopped, kRegisters,
           "monitor devices cpu0", "x/2i $pc", "disconnect"});
  EXPECT_EQ(first[3], second[0]);
  EXPECT_EQ(first[4], second[1]);
  EXPECT_EQ(first[5], second[2]);
  EXPECT_THAT(second[3], HasSubstr("No breakpoints or watchpoints."));
  EXPECT_THAT(second[4], AllOf(HasSubstr("level 4  entry at "), HasSubstr("supervisor")));
  EXPECT_THAT(second[5], HasSubstr("events from here on"));
  EXPECT_THAT(second[7], HasSubstr("icount 123456789 of 400000000"));
  EXPECT_EQ(second[9], first[3]);
  EXPECT_THAT(second[10], HasSubstr("cpu0."));
  stop_serving();
  EXPECT_EQ(before, recorded_part(trace_));
  expect_verified(trace_);
}

class GdbOnTheFaultyModule : public GdbOnGuest {
 protected:
  void SetUp() override {
    GdbOnGuest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const Outcome prepared = run({HINDSIGHT_GUESTS "/bug/prepare"});
    if (prepared.code == 77) GTEST_SKIP() << prepared.text;
    ASSERT_EQ(prepared.code, 0) << prepared.text;
    initrd_ = after(prepared.text, "\nBUG_INITRD=");
    // From a seed that is known to fail, for the kernel and the RAM disk that `prepare` calls pinned.
    const Outcome failed =
        run(record("bug.hst", "oops=panic quiet", {"--seed", "15", "--until-fail", "200"}));
    ASSERT_EQ(failed.code, 0) << failed.text;
    trace_ = path("bug.hst");
    const std::string& said = failed.text;
    const auto section = [&](const std::string& name) {
      return " -s " + name + " " + after(said.substr(said.rfind("ring: " + name)), " at ");
    };
    slide_ = after(said, "Kernel Offset: ");
    slide_.resize(slide_.find(' '));
    module_ = "add-symbol-file " + after(prepared.text, "\nRING_KO=") + section(".text") + section(".data") +
              section(".bss");
  }
  /// The commands of the story, which end where the tick is about to corrupt, and then these.
  Words story(const Words& more) const {
    Words commands{module_};
    std::ifstream in(HINDSIGHT_GUESTS "/bug/story.gdb");
    for (std::string line; std::getline(in, line);)
      if (!line.starts_with("#")) commands.push_back(line);
    commands.insert(commands.end(), more.begin(), more.end());
    return commands;
  }
  std::string trace_, module_, slide_;
};

TEST_F(GdbOnTheFaultyModule, TheDemosStoryLeadsFromThePanicToTheCause) {
  serve(trace_);
  const std::string said = gdb(story({})).all();
  EXPECT_THAT(said,
              AllOf(HasSubstr("exception 0xe at 0x"), HasSubstr("if (bucket->hits)"),
                    HasSubstr("batch->samples[ring.fill]."), HasSubstr("WRITE_ONCE(ring.filling, fresh);")));
  EXPECT_THAT(said,
              ContainsRegex(
                  "#0  ring_tick .*\n(#.*\n)*#[0-9]+ +<signal handler called>\n(#.*\n)?#[0-9]+ .*ring_swap"));
  stop_serving();
  expect_verified(trace_);
}

TEST_F(GdbOnTheFaultyModule, SaysWhereTheModulesSectionsAreAsTheGuestItselfDoes) {
  serve(trace_);
  const Answers said =
      gdb({"monitor modules ring", "monitor modules", "monitor seek 1000", "monitor modules ring"});
  const std::string sections = module_.substr(module_.find(" -s "));
  for (std::size_t at = 0; at != std::string::npos;) {
    const std::size_t end = sections.find(" -s ", at + 1);
    EXPECT_THAT(said[0],
                AllOf(StartsWith("add-symbol-file ring.ko "), HasSubstr(sections.substr(at, end - at))));
    at = end;
  }
  // The panic says "Kernel Offset: 0x5000000 from ..."
  EXPECT_THAT(said[1], AllOf(StartsWith("add-symbol-file vmlinux -o " + slide_ + "\n"),
                             HasSubstr("add-symbol-file virtio_ring.ko -s ")));
  EXPECT_THAT(said[3], HasSubstr("no module ring is loaded here"));
}

TEST_F(GdbOnTheFaultyModule, StepsThroughSourceLinesBothWays) {
  serve(trace_);
  const Answers said = gdb({module_, "tbreak ring_count", "reverse-continue", "next", "next", "next",
                            "reverse-next", "reverse-next", "reverse-step", "reverse-step", "backtrace 3",
                            "reverse-finish", "x/i $pc", "step", "finish", "p $->capacity"});
  EXPECT_THAT(said[2], AllOf(HasSubstr("Temporary breakpoint 1, ring_count (batch=0x"), HasSubstr("{\n")));
  EXPECT_THAT(said[4], HasSubstr("spin_lock(&ring.lock);"));
  EXPECT_THAT(said[5], HasSubstr("for (i = 0; i < batch->count; i++) {"));
  EXPECT_EQ(said[6], said[4]);
  EXPECT_EQ(said[7], said[3]);
  EXPECT_THAT(said[9], HasSubstr("in ring_swap (fresh=<optimized out>)"));
  EXPECT_THAT(said[10],
              ContainsRegex("#0 .* in ring_swap .*\n#1 .* in ring_drain .*\n#2 .* in kthread \\(\\)"));
  EXPECT_THAT(said[11], HasSubstr("ring_count(ring_swap(fresh));"));
  EXPECT_THAT(said[12], HasSubstr("<ring_swap>"));
  EXPECT_THAT(said[13], HasSubstr("ring_swap (fresh=0x"));
  EXPECT_THAT(said[14], HasSubstr("Value returned is $1 = (struct batch *) 0x"));
  EXPECT_THAT(said[15], ContainsRegex("= (7|15)\n"));
}

TEST_F(GdbOnTheFaultyModule, StepsOverTheInterruptThatCorruptsUnlessAskedToGoInto) {
  serve(trace_);
  // The story ends in the tick; back to the function that it interrupts, in line 113.
  const std::size_t first = story({}).size();
  const Answers said =
      gdb(story({"tbreak ring_swap", "reverse-continue", "next 5", "next", "next", "next", "p ring.fill",
                 "reverse-next", "reverse-next", "reverse-next", "reverse-next",
                 "monitor step-interrupts into", "next", "next", "backtrace"}));
  EXPECT_THAT(said[first + 2], HasSubstr("full->worst = ring_worst(full);"));
  EXPECT_THAT(said[first + 3], HasSubstr("return worst;"));
  EXPECT_THAT(said[first + 4], HasSubstr("spin_unlock(&ring.lock);"));
  EXPECT_THAT(said[first + 6], HasSubstr("= 0\n"));
  EXPECT_EQ(said[first + 7], said[first + 4]);
  EXPECT_EQ(said[first + 8], said[first + 3]);
  EXPECT_EQ(said[first + 9], said[first + 2]);
  EXPECT_THAT(said[first + 10], HasSubstr("full->count = READ_ONCE(ring.fill);"));
  EXPECT_THAT(said[first + 14], AllOf(HasSubstr("<signal handler called>"), HasSubstr("ring_swap (")));
}

TEST_F(GdbOnTheFaultyModule, WatchesReadsAndConditionsOnVariables) {
  serve(trace_);
  const Answers said =
      gdb({module_, "tbreak ring_tick if ring.fill > 12", "reverse-continue", "p ring.fill",
           "rwatch ring.fill", "continue", "continue", "reverse-continue", "x/i $pc", "delete",
           "break ring_worst", "break ring_swap", "reverse-continue", "reverse-continue"});
  EXPECT_THAT(said[3], ContainsRegex("= 1[3-5]\n"));
  EXPECT_THAT(said[5], AllOf(HasSubstr("Hardware read watchpoint 2: ring.fill"), HasSubstr("Value = 1"),
                             HasSubstr("if (ring.fill == batch->capacity)")));
  // Backwards it stops before the same access.
  EXPECT_THAT(said[7], HasSubstr("Hardware read watchpoint 2: ring.fill"));
  EXPECT_THAT(said[8], HasSubstr("<ring_tick+"));
  EXPECT_THAT(said[12], HasSubstr("ring_worst ("));
  EXPECT_THAT(said[13], HasSubstr("ring_swap ("));
}

/// The kernel of the golden traces: some assembly that prints, is typed to, and switches the machine off.
class GdbOnAProgramWithoutAKernel : public GdbOnGuest {
 protected:
  void SetUp() override {
    if (run({gdb_, "--version"}).code != 0) GTEST_SKIP() << gdb_ << " is not installed";
    const std::string source = HINDSIGHT_SOURCES "/tests/golden/";
    trace_ = path("golden.trace");
    std::filesystem::copy_file(source + "serial_v1.trace", trace_);
    const Outcome assembled = run({"as", "--64", "-g", "-o", path("kernel.o"), source + "kernel.S"});
    ASSERT_EQ(assembled.code, 0) << assembled.text;
    const Outcome linked = run({"ld", "-N", "--no-warn-rwx-segments", "-static", "-Ttext=0x100000", "-e",
                                "start", "-o", path("kernel"), path("kernel.o")});
    ASSERT_EQ(linked.code, 0) << linked.text;
    program_ = "file " + path("kernel");
  }
  std::string trace_, program_;
};

TEST_F(GdbOnAProgramWithoutAKernel, StartsAtTheEntryAndEndsWithPowerOff) {
  serve(trace_, "begin");
  const Answers said = gdb({"info symbol $pc", "continue", "x/i $pc - 1", "reverse-stepi", "x/i $pc",
                            "p/x $rdx", "reverse-continue", "info symbol $pc", "p/x $cr0"},
                           program_);
  EXPECT_THAT(said[0], HasSubstr("start in section .text"));
  EXPECT_THAT(said[1], AllOf(HasSubstr("the guest switched itself off"),
                             HasSubstr("No more reverse-execution history.")));
  EXPECT_THAT(said[6], HasSubstr("No more reverse-execution history."));
  EXPECT_THAT(said[7], HasSubstr("start in section .text"));
  EXPECT_THAT(said[8], HasSubstr("0x11")) << "no paging yet";
}

TEST_F(GdbOnAProgramWithoutAKernel, StepsByLinesOfAssembly) {
  serve(trace_, "begin");
  const Answers said = gdb({"tbreak put", "continue", "p/c $al", "step", "step", "reverse-step",
                            "reverse-step", "reverse-finish", "next", "p/c $al", "reverse-next", "x/i $pc"},
                           program_);
  EXPECT_THAT(said[1], AllOf(HasSubstr("put ()"), HasSubstr("pushq %rax")));
  EXPECT_THAT(said[3], HasSubstr("movw $COM1 + 5, %dx"));
  EXPECT_THAT(said[4], HasSubstr("inb %dx, %al"));
  EXPECT_THAT(said[5], HasSubstr("movw $COM1 + 5, %dx"));
  EXPECT_THAT(said[6], HasSubstr("pushq %rax"));
  EXPECT_THAT(said[7], HasSubstr("call put"));
  EXPECT_THAT(said[8], HasSubstr("jmp print"));
  EXPECT_THAT(said[10], HasSubstr("call put"));
}

TEST_F(GdbOnAProgramWithoutAKernel, FindsWhoWroteAVariableAndWhatInterrupted) {
  serve(trace_);
  const Answers said = gdb({"watch *(int *)&typed", "reverse-continue", "info symbol $pc", "reverse-continue",
                            "info symbol $pc", "delete", "monitor stop-on interrupt 0x24", "reverse-continue",
                            "info symbol $pc", "stepi", "info symbol $pc", "monitor devices serial0"},
                           program_);
  EXPECT_THAT(said[1], HasSubstr("New value = "));
  EXPECT_THAT(said[2], HasSubstr("main + "));
  EXPECT_THAT(said[3], HasSubstr("New value = 0\n"));
  EXPECT_THAT(said[4], HasSubstr("serial + "));
  EXPECT_THAT(said[7], HasSubstr("interrupt 0x24 at 0x"));
  EXPECT_THAT(said[8], HasSubstr("main"));
  EXPECT_THAT(said[10], HasSubstr("serial in section .text"));
  EXPECT_THAT(said[11], HasSubstr("serial0."));
  stop_serving();
  expect_verified(trace_);
}

}  // namespace
}  // namespace hindsight::tests
