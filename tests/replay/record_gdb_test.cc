// The real gdb on stock kernels that are being recorded: forward live, backward in what was recorded, and a
// trace at the end that is the same as without gdb.
#include <signal.h>

#include <filesystem>
#include <memory>

#include "tests/replay/gdb_script.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

const std::string kRegisters = "info registers rip rsp rbp rax rbx rcx rdx rsi rdi r8 r12 r15 eflags cr2 cr3";
const std::string kSymbols = "symbol-file target:/hindsight/guest";
/// Where kernel threads work, long after the page tables are built.
const std::string kPlace = "monitor seek 390000000";

class RecordUnderGdb : public GuestTest {
 protected:
  void SetUp() override {
    if (run({gdb_, "--version"}).code != 0) GTEST_SKIP() << gdb_ << " is not installed";
    GuestTest::SetUp();
  }
  ~RecordUnderGdb() override { recorder_.reset(); }

  /// Lets a machine wait for gdb.
  void start(Words options, const std::string& append = "quiet",
             Process::Input input = Process::Input::none) {
    options.insert(options.end(), {"--gdb", "unix:" + path("gdb")});
    recorder_ = std::make_unique<Process>(record("live.hst", append, options), input);
    ASSERT_TRUE(recorder_->wait_for("the machine waits for gdb: target remote " + path("gdb")));
  }
  /// One gdb in batch mode that connects, runs these commands, and detaches when they are done.
  Answers gdb(const Words& commands) {
    write("script.gdb", gdb_script(path("gdb"), commands));
    return Answers(run({"timeout", "300", gdb_, "-nx", "-batch", "-x", path("script.gdb")}).text);
  }
  /// One that somebody types to; it has connected.
  std::unique_ptr<Process> open_gdb() {
    write("prepare.gdb", gdb_preparation() + "target remote " + path("gdb") + "\necho connected\\n\n");
    auto process = std::make_unique<Process>(Words{gdb_, "-nx", "-q", "-x", path("prepare.gdb")},
                                             Process::Input::terminal);
    EXPECT_TRUE(process->wait_for("connected"));
    return process;
  }
  Outcome finish() { return recorder_->wait(); }
  [[nodiscard]] std::string trace() const { return path("live.hst"); }

  const std::string gdb_ = std::getenv("HINDSIGHT_GDB") != nullptr ? std::getenv("HINDSIGHT_GDB") : "gdb";
  std::unique_ptr<Process> recorder_;
};

TEST_F(RecordUnderGdb, WalksBothWaysAndLeavesTheTraceAsItIsWithoutGdb) {
  const Words options{"--seed",         "1",        "--stop-at", "450000000",
                      "--digest-every", "10000000", "--input",   "/dev/null"};
  start(options);
  const Answers said = gdb({"monitor when",
                            kPlace,
                            kSymbols,
                            "break kmem_cache_alloc",
                            "continue",
                            "monitor when",
                            "reverse-stepi",
                            "monitor when",
                            "reverse-continue",
                            "monitor when",
                            "continue",
                            "monitor when",
                            "continue",
                            "monitor when",
                            "watch *(unsigned long *)&jiffies",
                            "continue",
                            "delete 2",
                            "stepi 1000",
                            "reverse-stepi 100",
                            "monitor when",
                            "continue",
                            "monitor when",
                            "delete",
                            "stepi 1000"});
  EXPECT_THAT(said[0], HasSubstr("icount 0 of 0 "));
  EXPECT_THAT(said[4], AllOf(HasSubstr("Breakpoint 1, 0x"), HasSubstr(" in kmem_cache_alloc ()")));
  EXPECT_NE(said[7], said[5]);
  EXPECT_THAT(said[8], HasSubstr("Breakpoint 1, ")) << "one that was run over";
  EXPECT_EQ(said[11], said[5]) << "again, at the end of the past";
  EXPECT_THAT(said[12], HasSubstr("Breakpoint 1, ")) << "beyond it";
  EXPECT_THAT(said[13], Not(HasSubstr(said[5].substr(0, said[5].find(" of ")))));
  EXPECT_THAT(said[20], HasSubstr("Breakpoint 1, ")) << "from the past into what was not there yet";
  const auto last = [&](std::size_t answer) {
    const std::string text = said[answer];
    return std::stoull(text.substr(text.find(" of ") + 4));
  };
  EXPECT_GT(last(21), last(19));
  const Outcome recorded = finish();
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text, HasSubstr("recorded 450,000,000 instructions"));
  expect_verified(trace());
  ASSERT_EQ(run(record("plain.hst", "quiet", options)).code, 0);
  const Outcome compared = hindsight({"diff", trace(), path("plain.hst")});
  EXPECT_EQ(compared.code, 0) << compared.text;
  EXPECT_EQ(hindsight({"events", "--kind", "digest", trace()}).text,
            hindsight({"events", "--kind", "digest", path("plain.hst")}).text);
}

TEST_F(RecordUnderGdb, StepsBackAndForthOverTheEndOfTheRecordedPastToTheSameRegisters) {
  start({"--seed", "1", "--stop-at", "400000000"});
  const Answers said =
      gdb({kPlace, kRegisters, "stepi", kRegisters, "stepi 1000", kRegisters, "reverse-stepi 1000",
           kRegisters, "reverse-stepi", kRegisters, "reverse-stepi 1000", "stepi 1001", kRegisters,
           "stepi 1000", kRegisters, "monitor when"});
  EXPECT_THAT(said[1], HasSubstr("rip "));
  EXPECT_NE(said[1], said[3]);
  EXPECT_EQ(said[3], said[7]);
  EXPECT_EQ(said[1], said[9]);
  EXPECT_EQ(said[3], said[12]);
  EXPECT_EQ(said[5], said[14]);
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, StepsOverAnInterruptThatStrikesTheLiveMachineAndAskedToIntoIt) {
  const Words options{"--seed", "1", "--stop-at", "400000000"};
  const auto icount = [](const std::string& when) {
    return std::stoull(when.substr(when.find("icount ") + 7));
  };
  start(options);
  const Answers found = gdb({kPlace, "monitor stop-on interrupt", "continue", "monitor when", "kill"});
  const std::uint64_t struck = icount(found[3]);
  EXPECT_EQ(finish().code, 0);

  start(options);
  const std::string before = "monitor seek " + std::to_string(struck);
  const Answers over = gdb({before, kRegisters, "stepi", kRegisters, "monitor when", before, kRegisters,
                            "stepi", kRegisters, "monitor when", "kill"});
  EXPECT_GT(icount(over[4]), struck + 100) << "the handler ran";
  EXPECT_EQ(over[1], over[6]);
  EXPECT_EQ(over[3], over[8]) << "as a recorded machine steps";
  EXPECT_EQ(icount(over[4]), icount(over[9]));
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());

  start(options);
  const Answers into = gdb({"monitor step-interrupts into", before, "stepi", "monitor when", "reverse-stepi",
                            "monitor when", "stepi", "monitor when", "stepi", "monitor when", "kill"});
  EXPECT_THAT(into[3], HasSubstr(std::to_string(struck) + "+1 of "));
  EXPECT_THAT(into[5], HasSubstr("icount " + std::to_string(struck) + " of "));
  EXPECT_EQ(into[7], into[3]);
  EXPECT_THAT(into[9], HasSubstr("icount " + std::to_string(struck + 1) + " of "));
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, WatchesTheLiveMachineAsItWatchesTheRecordedOne) {
  start({"--seed", "1", "--stop-at", "450000000"});  // so that the timer writes it twice at least
  const std::string value = "p *(unsigned long *)&jiffies";
  const Answers said =
      gdb({kPlace, kSymbols, "watch *(unsigned long *)&jiffies", "continue", "backtrace", "monitor when",
           "continue", value, "reverse-continue", "reverse-continue", value, "continue", "backtrace",
           "monitor when", "eval \"monitor last-write %p\", &jiffies"});
  EXPECT_THAT(said[3], AllOf(HasSubstr("Hardware watchpoint 1: "), HasSubstr("New value = ")));
  EXPECT_THAT(said[4], AllOf(HasSubstr("do_timer"), HasSubstr("<signal handler called>")));
  EXPECT_EQ(said[3], said[11]);
  EXPECT_EQ(said[4], said[12]);
  EXPECT_EQ(said[5].substr(0, said[5].find(" of ")), said[13].substr(0, said[13].find(" of ")));
  EXPECT_THAT(said[14], ContainsRegex("to go there: monitor seek [0-9]"));
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, TellsTheLastWriterBeforeTheLiveMachineGoesToItAndOn) {
  const Words options{"--seed", "1", "--stop-at", "450000000", "--digest-every", "10000000"};
  start(options);
  const std::string ask = "eval \"monitor last-write %p\", &jiffies";
  const std::string value = "p *(unsigned long *)&jiffies";
  const Answers said = gdb({kPlace, kSymbols, ask, value, "monitor seek 388000000", ask,
                            "watch *(unsigned long *)&jiffies", "continue", "monitor when", value,
                            "monitor seek end", "monitor when", "monitor seek 410000000", ask, "continue"});
  const auto position = [](const std::string& text, const std::string& before) {
    const auto found = text.find(before);
    return found == std::string::npos ? 0 : std::stoull(text.substr(found + before.size()));
  };
  const std::uint64_t written = position(said[2], "to go there: monitor seek ");
  EXPECT_GT(written, 388'000'000U);
  EXPECT_THAT(said[2], HasSubstr("<do_timer+"));
  EXPECT_THAT(said[5], HasSubstr("to go there: monitor seek "));
  EXPECT_LT(position(said[5], "to go there: monitor seek "), 388'000'000U) << "from the past";
  EXPECT_EQ(position(said[8], "icount "), written + 1) << "the one that was told";
  EXPECT_EQ(said[9].substr(said[9].find('=')), said[3].substr(said[3].find('=')));
  EXPECT_THAT(said[11], HasSubstr("icount 390000000 of 390000000 "));
  EXPECT_GT(position(said[13], "to go there: monitor seek "), 390'000'000U) << "of what came since";
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
  ASSERT_EQ(run(record("plain.hst", "quiet", options)).code, 0);
  EXPECT_EQ(hindsight({"events", "--kind", "digest", trace()}).text,
            hindsight({"events", "--kind", "digest", path("plain.hst")}).text);
}

TEST_F(RecordUnderGdb, CtrlCStopsTheRunningMachineAndKillClosesTheTrace) {
  start({"--input", "/dev/null"});
  const auto client = open_gdb();
  client->type("continue\n");
  ASSERT_TRUE(recorder_->wait_for("HINDSIGHT-INIT"));
  client->signal(SIGINT);
  ASSERT_TRUE(client->wait_for("received signal SIGINT"));
  client->type("reverse-stepi\nstepi\nstepi\necho stepped\\n\n");
  ASSERT_TRUE(client->wait_for("stepped"));
  client->type("kill\n");
  const Outcome recorded = finish();
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text,
              AllOf(HasSubstr("hindsight: stopped at icount "), HasSubstr("hindsight: recorded ")));
  expect_verified(trace());
  EXPECT_THAT(hindsight({"info", trace()}).text, HasSubstr("interrupted"));
}

TEST_F(RecordUnderGdb, AGdbThatVanishesClosesTheTrace) {
  start({});
  const auto client = open_gdb();
  client->type("continue\n");
  ASSERT_TRUE(recorder_->wait_for("HINDSIGHT-INIT"));
  client->signal(SIGKILL);
  const Outcome recorded = finish();
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  EXPECT_THAT(recorded.text, HasSubstr("hindsight: stopped at icount "));
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, KilledBetweenAnInterruptAndItsHandlerEndsAtAPlaceThatIsReplayed) {
  start({"--seed", "1"});
  const Answers said =
      gdb({"monitor seek 300000000", "monitor stop-on interrupt", "continue", "monitor when", "kill"});
  EXPECT_THAT(said[3], ContainsRegex("icount [0-9]+.1 of ")) << "after one delivery";
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, RunsOnAfterDetachUntilTheNextGdbComes) {
  start({"--input", "/dev/null"});
  EXPECT_THAT(gdb({"monitor when", "detach"})[0], HasSubstr("icount 0 of 0 "));
  ASSERT_TRUE(recorder_->wait_for("HINDSIGHT-INIT"));
  const Answers said = gdb({"monitor when", "info symbol start_kernel", "reverse-stepi", "detach"});
  EXPECT_THAT(said[0], Not(HasSubstr("icount 0 ")));
  EXPECT_THAT(said[1], HasSubstr("start_kernel in section ")) << "symbols come by themselves by now";
  const Answers later = gdb({"monitor when", "kill"});
  EXPECT_NE(later[0], said[0]) << "it detached in the past, and the machine went on";
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, LooksBackFromTheEndOfAMachineWhoseTraceIsClosedAlready) {
  start({}, "quiet hs.mode=poweroff");
  const Answers said = gdb({"continue", "shell " HINDSIGHT_EXECUTABLE " verify " + trace(), "monitor when",
                            "reverse-stepi", "reverse-continue", "monitor when", "continue", "stepi"});
  EXPECT_THAT(said[0], AllOf(HasSubstr("the guest switched itself off"),
                             HasSubstr("No more reverse-execution history.")));
  EXPECT_THAT(said[1], AllOf(HasSubstr(": ok: "), HasSubstr("ends with power-off")));
  EXPECT_THAT(said[5], HasSubstr("icount 0 of "));
  EXPECT_THAT(said[6], HasSubstr("No more reverse-execution history."));
  EXPECT_THAT(said[7], HasSubstr("No more reverse-execution history."));
  const Outcome recorded = finish();
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, WhatIsTypedAtTheTerminalIsRecordedAndGdbGoesBackToIt) {
  start({}, "quiet", Process::Input::terminal);
  auto client = open_gdb();
  client->type("continue\n");
  ASSERT_TRUE(recorder_->wait_for("# "));
  recorder_->type("echo $((6*7))-$((6*7))\n");
  ASSERT_TRUE(recorder_->wait_for("42-42"));
  client->signal(SIGINT);
  ASSERT_TRUE(client->wait_for("received signal SIGINT"));
  client->type("monitor seek previous-event\nmonitor events 1\ncontinue\n");
  ASSERT_TRUE(client->wait_for("serial0"));
  recorder_->type("poweroff -f\n");
  ASSERT_TRUE(client->wait_for("the guest switched itself off"));
  client->type("detach\n");
  const Outcome recorded = finish();
  EXPECT_EQ(recorded.code, 0) << recorded.text;
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, BranchesOffFromThePastAndTheRecordingGoesOn) {
  start({"--seed", "1", "--stop-at", "60000000"});
  const Answers said =
      gdb({"monitor seek 50000000", "monitor seek 40000000", "monitor branch " + path("b.hst"),
           "monitor when", "monitor mark here", "monitor mark twice", "monitor seek 55000000",
           "monitor mark live it happened", "monitor mark twice", "monitor marks", "monitor seek mark:here"});
  EXPECT_THAT(said[2], HasSubstr("ran on from icount 40000000 for 1,000,000,000 instructions"));
  EXPECT_THAT(said[3], HasSubstr("icount 40000000 of 50000000 "));
  EXPECT_THAT(said[4], HasSubstr("mark:here is icount 40000000"));
  EXPECT_THAT(said[7], HasSubstr("mark:live is icount 55000000"));
  EXPECT_THAT(said[9], HasSubstr("55000000  live  it happened"));
  EXPECT_THAT(said[10], HasSubstr("icount 40000000 of 55000000 "));
  EXPECT_EQ(finish().code, 0);
  for (const auto& [mark, at] : {std::pair("mark:here", "40000000"), std::pair("mark:live", "55000000")})
    EXPECT_EQ(hindsight({"show", trace(), "registers", "--at", mark}).text,
              hindsight({"show", trace(), "registers", "--at", at}).text);
  expect_verified(trace());
  expect_verified(path("b.hst"));
}

TEST_F(RecordUnderGdb, DrivesABranchFromItsFirstInstructionOn) {
  ASSERT_EQ(run(record("parent.hst", "quiet", {"--seed", "1", "--stop-at", "400000000"})).code, 0);
  recorder_ = std::make_unique<Process>(Words{HINDSIGHT_EXECUTABLE, "branch", path("parent.hst"), "-o",
                                              trace(), "--at", "390000000", "--stop-at", "420000000",
                                              "--digest-every", "1000000", "--gdb", "unix:" + path("gdb")});
  ASSERT_TRUE(recorder_->wait_for("the machine waits for gdb: "));
  const Answers said =
      gdb({"monitor when", "reverse-stepi", kRegisters, "stepi 1000", "break kmem_cache_alloc", "continue",
           "reverse-continue", kRegisters, "monitor when", "continue", "continue"});
  EXPECT_THAT(said[0], HasSubstr("icount 390000000 of 390000000 "));
  EXPECT_THAT(said[1], HasSubstr("No more reverse-execution history."));
  EXPECT_THAT(said[5], HasSubstr("Breakpoint 1, "));
  EXPECT_EQ(said[2], said[7]) << "no call before the first stop";
  EXPECT_THAT(said[8], HasSubstr("icount 390000000 of "));
  EXPECT_THAT(said[9], HasSubstr("Breakpoint 1, "));
  EXPECT_EQ(finish().code, 0);
  std::filesystem::remove(path("parent.hst"));
  expect_verified(trace());
  expect_verified(trace(), "interp");
  EXPECT_EQ(end_of(trace()), 420'000'000u);
}

TEST_F(RecordUnderGdb, SigtermClosesTheTraceWhetherGdbIsThereOrNot) {
  start({"--input", "/dev/null"});
  recorder_->signal(SIGTERM);
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
  start({"--input", "/dev/null"});
  const auto client = open_gdb();
  client->type("continue\n");
  ASSERT_TRUE(recorder_->wait_for("HINDSIGHT-INIT"));
  recorder_->signal(SIGTERM);
  EXPECT_EQ(finish().code, 0);
  expect_verified(trace());
}

TEST_F(RecordUnderGdb, WhereGdbCannotComeNoTraceIsLeft) {
  const auto refused = [&](const std::string& address) {
    const Outcome outcome = run(record("live.hst", "", {"--gdb", address}));
    EXPECT_THAT(outcome.text, HasSubstr(address + ": "));
    EXPECT_FALSE(std::filesystem::exists(trace()));
    return outcome.code;
  };
  EXPECT_EQ(refused("192.0.2.1:1234"), 2);
  EXPECT_EQ(refused("anywhere"), 2);
  EXPECT_EQ(refused("unix:" + path("absent/gdb")), 3);
}

}  // namespace
}  // namespace hindsight::tests
