// The commands that make regression tests of traces, on the golden trace: its kernel echoes what is typed,
// with sums of what it computed and of the time.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using traces::store::Bytes;
using traces::store::Event;

constexpr const char* kGolden = HINDSIGHT_GOLDEN "/serial_v1.trace";

/// Needs no guest but the golden trace's.
class Regress : public GuestTest {
 protected:
  void SetUp() override {}

  static std::string contents(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  /// The golden trace with another byte typed at the end.
  void write_diverging(const std::string& name) const {
    copy_trace(kGolden, path(name), [](Event& event, Bytes& payload) {
      if (event.size == 1 && payload[0] == std::byte{'.'}) payload[0] = std::byte{'x'};
    });
  }
};

class Verify : public Regress {};

TEST_F(Verify, TakesFoldersAndTellsInAlphabeticalOrderHoweverManyAtOnce) {
  fs::create_directories(path("traces/b"));
  fs::copy_file(kGolden, path("traces/a.trace"));
  fs::copy_file(kGolden, path("traces/b/c.hst"));
  write("traces/d.trace", "my notes");
  fs::copy_file(kGolden, path("traces/e.trace"));
  write("traces/notes.txt", "no trace");
  for (const char* jobs : {"1", "3"}) {
    const Outcome verified = hindsight({"verify", "--jobs", jobs, path("traces")});
    EXPECT_EQ(verified.code, 3);
    const std::string& text = verified.text;
    EXPECT_THAT(text, StartsWith(path("traces/a.trace") + ": ok: 341,377 instructions replayed"));
    EXPECT_LT(text.find("b/c.hst: ok"), text.find("d.trace: BAD: "));
    EXPECT_LT(text.find("d.trace: BAD: "), text.find("e.trace: ok"));
    EXPECT_THAT(text, AllOf(HasSubstr("\n4 traces: 3 ok, 1 bad\n"), Not(HasSubstr("notes.txt"))));
  }
}

TEST_F(Verify, AFolderWithoutTracesIsAMistakeAndNoSuccess) {
  fs::create_directories(path("empty"));
  const Outcome verified = hindsight({"verify", path("empty")});
  EXPECT_EQ(verified.code, 3);
  EXPECT_THAT(verified.text, HasSubstr("empty: a folder with traces expected (*.trace, *.hst)\n"));
}

TEST_F(Verify, ADivergenceIsToldWithThePlaceToLookAndGoesIntoTheResultFiles) {
  write_diverging("x.trace");
  const Outcome verified =
      hindsight({"verify", "--junit", path("r.xml"), "--json", path("r.json"), path("x.trace"), kGolden});
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.text,
              AllOf(HasSubstr("x.trace: DIVERGED: diverged at icount "), HasSubstr("output serial0"),
                    HasSubstr("\n    to look: hindsight gdb " + path("x.trace") + " --at 340000\n"),
                    HasSubstr("2 traces: 1 ok, 1 diverged\n")));
  EXPECT_THAT(contents(path("r.xml")),
              AllOf(HasSubstr("tests=\"2\" failures=\"1\" errors=\"0\""),
                    HasSubstr("<failure type=\"diverged\" message=\"diverged at icount 34")));
  EXPECT_THAT(contents(path("r.json")), AllOf(HasSubstr("\"counts\":{\"ok\":1,\"diverged\":1,"),
                                              HasSubstr("\"component\":\"output serial0\"")));
}

TEST_F(Verify, ATraceThatTakesTooLongHasFailedAndTheOthersGoOn) {
  write("kernel.S",
        ".section .note.pvh, \"a\", @note\n.long 4, 4, 18\n.asciz \"Xen\"\n.long s\n.text\n"
        ".globl s\n.code32\ns: jmp s\n");
  const Outcome built =
      run({"sh", "-c",
           "as --64 -o " + path("k.o") + " " + path("kernel.S") +
               " && ld -N -static -Ttext=0x100000 -e s -o " + path("k") + " " + path("k.o")});
  if (built.code != 0) GTEST_SKIP() << "binutils are needed: " << built.text;
  ASSERT_EQ(hindsight({"record", "-o", path("long.trace"), "--kernel", path("k"), "--memory", "16M",
                       "--stop-at", "2000000000", "--snapshot-every", "0"})
                .code,
            0);
  const Outcome verified = hindsight({"verify", "--engine", "interp", "--time-limit", "0.5", "--junit",
                                      path("r.xml"), path("long.trace"), kGolden});
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.text, AllOf(HasSubstr("long.trace: TIMEOUT: not done within 0.5 s: at icount "),
                                   HasSubstr(" of 2,000,000,000\n"), HasSubstr("serial_v1.trace: ok: ")));
  EXPECT_THAT(contents(path("r.xml")), HasSubstr("<failure type=\"timed out\""));
}

TEST_F(Verify, AResultFileThatCannotBeWrittenIsToldBeforeTheWork) {
  const Outcome verified = hindsight({"verify", "--junit", path("absent/r.xml"), kGolden});
  EXPECT_EQ(verified.code, 3);
  EXPECT_THAT(verified.text, AllOf(HasSubstr("absent/r.xml: cannot write: "), Not(HasSubstr(": ok: "))));
}

class Expect : public Regress {
 protected:
  Outcome expect(const std::string& facts) const {
    write("facts", facts);
    return hindsight({"expect", kGolden, path("facts")});
  }
};

TEST_F(Expect, EveryFactGetsALineAndOneThatFailsDecides) {
  const Outcome checked = expect("# two\nends with power-off\n\nends with reset # not so\n");
  EXPECT_EQ(checked.code, 1);
  EXPECT_EQ(checked.text, path("facts") + ":2: ok: ends with power-off\n" + path("facts") +
                              ":4: FAILED: ends with reset # not so: it ends with power-off\n" +
                              "2 facts: 1 hold, 1 failed\n");
}

TEST_F(Expect, TheConsoleIsSearchedWithoutCarriageReturns) {
  EXPECT_EQ(expect("console contains \"golden kernel\\n> sum 5\"").code, 0);
  EXPECT_EQ(expect("console matches \"^sum [0-9a-f]{16}$\"").code, 0);
  EXPECT_EQ(expect("console not contains \"BUG\"").code, 0);
  EXPECT_THAT(expect("console not matches \"^b.e$\"").text, HasSubstr("the console shows \"bye\"\n"));
  EXPECT_THAT(expect("console contains \"gold kernel\"").text, HasSubstr("which end with \"bye\"\n"));
}

TEST_F(Expect, RegistersAndMemoryAreThoseOfTheirPosition) {
  EXPECT_EQ(expect("register cr3 at event:1 == 0x10000").code, 0);
  EXPECT_THAT(expect("register cr3 at begin == 0x10000").text, HasSubstr("== 0x10000: it is 0x0\n"));
  EXPECT_EQ(expect("memory phys:0x10000 2 at end == 0x1023").code, 0);
  EXPECT_EQ(expect("memory phys:0x10000 2 at begin == 0").code, 0);
}

TEST_F(Expect, AFunctionIsCalledOnlyWhereItIs) {
  EXPECT_EQ(expect("function 0x100000 called").code, 0);
  EXPECT_THAT(expect("function 0x100000 called between 1 and end").text, HasSubstr(": it is not called\n"));
  EXPECT_THAT(expect("function 0x100000 not called").text, HasSubstr(": it is called at icount 0\n"));
}

TEST_F(Expect, WhatCannotBeToldDoesNotHold) {
  EXPECT_THAT(expect("function main not called").text, HasSubstr("1 fact: 0 hold, 1 failed\n"));
  EXPECT_THAT(expect("register rax at mark:x != 1").text, HasSubstr(": there is no mark \"x\"\n"));
  EXPECT_THAT(expect("register rax at 341378 != 1").text, HasSubstr("is beyond the end, at icount 341377\n"));
  EXPECT_THAT(expect("instructions between end and begin < 1").text, HasSubstr(": end comes after begin\n"));
}

TEST_F(Expect, AFileOfFactsWithoutSenseOrFactsIsBadInput) {
  const Outcome checked = expect("no oops\nends with fire\n");
  EXPECT_EQ(checked.code, 3);
  EXPECT_THAT(checked.text,
              AllOf(StartsWith("hindsight: " + path("facts") + ":2: one of limit reached, power-off, "),
                    HasSubstr(" expected, found \"fire\"\n")));
  EXPECT_EQ(expect("# nothing\n").code, 3);
  EXPECT_EQ(hindsight({"expect", kGolden, path("absent")}).code, 3);
}

TEST_F(Expect, VerifyChecksTheFactsBesideATraceAndReportsThemAsTests) {
  fs::create_directories(path("traces"));
  fs::copy_file(kGolden, path("traces/a.trace"));
  fs::copy_file(kGolden, path("traces/b.trace"));
  write("traces/b.trace.expect", "ends with power-off\nends with reset\n");
  const Outcome verified = hindsight({"verify", "--expect", "--junit", path("r.xml"), path("traces")});
  EXPECT_EQ(verified.code, 1);
  EXPECT_THAT(verified.text, AllOf(HasSubstr("a.trace: ok: "), HasSubstr("b.trace: UNEXPECTED: "),
                                   HasSubstr("; 1 of 2 facts failed\n    "),
                                   HasSubstr("b.trace.expect:2: ends with reset: it ends with power-off\n")));
  EXPECT_THAT(contents(path("r.xml")), HasSubstr("tests=\"4\" failures=\"1\" errors=\"0\""));
  EXPECT_EQ(hindsight({"verify", path("traces")}).code, 0);
}

class Rerun : public Regress {
 protected:
  /// The golden kernel's source, altered by `sed`, as a kernel of its own.
  bool build_kernel(const std::string& sed) const {
    const std::string object = path("k.o");
    return run({"sh", "-c",
                "sed '" + sed + "' " HINDSIGHT_GOLDEN "/kernel.S | as --64 -o " + object +
                    " - && ld -N -static -Ttext=0x100000 -e start --build-id=none -o " + path("kernel") +
                    " " + object})
               .code == 0;
  }
  Outcome rerun(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"rerun", kGolden, "-o", path("new.hst")};
    words.insert(words.end(), more.begin(), more.end());
    return hindsight(words);
  }
  static std::string events(const std::string& trace) { return hindsight({"events", trace}).text; }
  static std::string digests(const std::string& trace) {
    return hindsight({"events", "--kind", "digest", trace}).text;
  }
};

TEST_F(Rerun, WithNothingNewItIsTheSameRunAgain) {
  const Outcome outcome = rerun();
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(
      outcome.text,
      AllOf(StartsWith("golden kernel"), HasSubstr("the recording: power-off at icount 341,377\n"),
            HasSubstr("the rerun:     power-off at icount 341,377\n"), Not(HasSubstr("came without"))));
  EXPECT_EQ(events(path("new.hst")), events(kGolden));
  EXPECT_THAT(digests(kGolden), HasSubstr("20000"));
  EXPECT_EQ(digests(path("new.hst")), digests(kGolden));
  const Outcome diff = hindsight({"diff", kGolden, path("new.hst")});
  EXPECT_EQ(diff.code, 0) << diff.text;
  expect_verified(path("new.hst"));
}

TEST_F(Rerun, AnotherKernelGetsTheSameInputsAtItsOwnPace) {
  // It says more when it starts, and does so later.
  if (!build_kernel(
          "s/golden kernel/golden kernel, a later one/; s/^start:.*/&\\n movl $9999, %ecx\\n9: loop 9b/"))
    GTEST_SKIP() << "binutils are needed";
  const Outcome outcome = rerun({"--kernel", path("kernel")});
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("golden kernel, a later one"), HasSubstr("bye"),
                                  HasSubstr("the rerun:     power-off at icount ")));
  const std::string inputs = hindsight({"events", "--kind", "input", path("new.hst")}).text;
  EXPECT_THAT(inputs, AllOf(HasSubstr("1 bytes: 61\n"), HasSubstr("1 bytes: 2e\n")));
  EXPECT_NE(inputs, hindsight({"events", "--kind", "input", kGolden}).text);
  EXPECT_THAT(hindsight({"info", path("new.hst")}).text, HasSubstr("\nrerun of      serial_v1.trace\n"));
  expect_verified(path("new.hst"));
  const Outcome diff = hindsight({"diff", kGolden, path("new.hst")});
  EXPECT_EQ(diff.code, 1);
  EXPECT_THAT(diff.text,
              AllOf(HasSubstr("the traces are of different machines:\n  kernel\n"),
                    HasSubstr("  input  serial0        4 in a, 4 in b; in order, 0 with other contents, "),
                    HasSubstr("\n  -golden kernel\n"), HasSubstr("\n  +golden kernel, a later one\n"),
                    HasSubstr("\na ends at icount 341377, "), HasSubstr("(power-off)\nb ends at icount ")));
}

TEST_F(Rerun, AGuestThatDoesNotEndIsStoppedAndHasFailed) {
  if (!build_kernel("s/^start:.*/&\\n9: jmp 9b/")) GTEST_SKIP() << "binutils are needed";
  const Outcome outcome = rerun({"--kernel", path("kernel")});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("4 inputs of the recording did not come\n"),
                                  HasSubstr("did not end within 2,001,365,508 instructions")));
}

TEST_F(Rerun, WhatCannotBeDoneIsOneLine) {
  write("notes", "mine");
  EXPECT_EQ(rerun({"--kernel", path("absent")}).code, 3);
  write_diverging("x.trace");
  const Outcome diverged = hindsight({"rerun", path("x.trace"), "-o", path("new.hst")});
  EXPECT_EQ(diverged.code, 1);
  EXPECT_THAT(diverged.text, HasSubstr("x.trace: the trace must replay: diverged at icount 34"));
  EXPECT_EQ(rerun({"--kernel", path("notes")}).code, 3);
  EXPECT_FALSE(fs::exists(path("new.hst")));
  fs::copy_file(kGolden, path("new.hst"));
  EXPECT_THAT(rerun().text, HasSubstr("new.hst: the file exists; --force replaces a trace\n"));
  EXPECT_THAT(hindsight({"rerun", path("new.hst"), "--force", "-o", path("new.hst")}).text,
              HasSubstr("a rerun is a trace of its own"));
  EXPECT_TRUE(fs::exists(path("new.hst")));
}

class Pack : public Regress {
 protected:
  Outcome pack(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"pack", path("a.trace"), "-o", path("p.hst"), "--force"};
    words.insert(words.end(), more.begin(), more.end());
    return hindsight(words);
  }
  void SetUp() override {
    fs::copy_file(kGolden, path("a.trace"));
    fs::permissions(path("a.trace"), fs::perms::owner_read | fs::perms::owner_write);
    ASSERT_EQ(hindsight({"snapshot", "--every", "100000", path("a.trace")}).code, 0);
    ASSERT_EQ(hindsight({"mark", "--at", "200000", path("a.trace"), "middle", "a note"}).code, 0);
  }
  Outcome trim(const std::vector<std::string>& more) const {
    std::vector<std::string> words{"trim", path("a.trace"), "-o", path("p.hst"), "--force"};
    words.insert(words.end(), more.begin(), more.end());
    return hindsight(words);
  }
  std::string info() const { return hindsight({"info", path("p.hst")}).text; }
};

class Trim : public Pack {};

TEST_F(Pack, APackedTraceIsSmallerAndTheSame) {
  const Outcome packed = pack();
  EXPECT_EQ(packed.code, 0) << packed.text;
  EXPECT_LT(fs::file_size(path("p.hst")), fs::file_size(path("a.trace")));
  expect_verified(path("p.hst"));
  EXPECT_EQ(hindsight({"expect", path("p.hst"), std::string(kGolden) + ".expect"}).code, 0);
  EXPECT_EQ(hindsight({"events", path("p.hst")}).text, hindsight({"events", kGolden}).text);
  EXPECT_THAT(info(), AllOf(HasSubstr("snapshots     3, from icount 100000 to 300000\n"),
                            HasSubstr("mark          middle at icount 200000: a note\n"),
                            HasSubstr("digests       19, every 20000 instructions\n")));
  EXPECT_FALSE(fs::exists(path("p.hst.packing")));
  EXPECT_FALSE(fs::exists(path("p.hst.packed")));
  EXPECT_EQ(hindsight({"diff", path("p.hst"), kGolden}).code, 0);
}

TEST_F(Trim, AnEndIsATraceThatBeginsThereAndEndsAsTheWholeDoes) {
  const Outcome trimmed = trim({"--from", "mark:middle", "--snapshots", "none"});
  EXPECT_EQ(trimmed.code, 0) << trimmed.text;
  EXPECT_THAT(trimmed.text, HasSubstr("p.hst: "));
  EXPECT_THAT(info(),
              AllOf(HasSubstr("branch of     a.trace at icount 200000\n"), HasSubstr("mark          middle"),
                    HasSubstr("snapshots     1, from icount 200000 to 200000\n")));
  EXPECT_THAT(hindsight({"verify", path("p.hst")}).text, HasSubstr(": ok: 141,377 instructions replayed"));
  const Outcome same = hindsight({"diff", path("a.trace") + "@end", path("p.hst") + "@end"});
  EXPECT_EQ(same.code, 0) << same.text;
  // A part of the part, and all of it again.
  ASSERT_EQ(
      hindsight({"trim", path("p.hst"), "-o", path("q.hst"), "--from", "250000", "--to", "300000"}).code, 0);
  EXPECT_THAT(hindsight({"verify", path("q.hst")}).text, HasSubstr(": ok: 50,000 instructions replayed"));
  ASSERT_EQ(hindsight({"pack", path("q.hst"), "-o", path("r.hst")}).code, 0);
  EXPECT_THAT(hindsight({"verify", path("r.hst")}).text, HasSubstr(": ok: 50,000 instructions replayed"));
  EXPECT_THAT(hindsight({"info", path("r.hst")}).text, HasSubstr("branch of     p.hst at icount 250000\n"));
}

TEST_F(Pack, SnapshotsAreLeftOutOrTakenElsewhere) {
  EXPECT_EQ(pack({"--snapshots", "none"}).code, 0);
  EXPECT_THAT(info(), Not(HasSubstr("snapshots     ")));
  EXPECT_EQ(pack({"--snapshots", "every=150000"}).code, 0);
  EXPECT_THAT(info(), HasSubstr("snapshots     2, from icount 150000 to 300000\n"));
  expect_verified(path("p.hst"));
  EXPECT_EQ(pack({"--snapshots", "every=0"}).code, 2);
}

TEST_F(Trim, ABeginningIsATraceThatEndsThere) {
  EXPECT_EQ(trim({"--to", "150000"}).code, 0);
  const Outcome verified = hindsight({"verify", path("p.hst")});
  EXPECT_THAT(verified.text, HasSubstr(": ok: 150,000 instructions replayed"));
  EXPECT_THAT(info(), AllOf(HasSubstr("snapshots     1, from icount 100000 to 100000\n"),
                            Not(HasSubstr("mark          middle")), HasSubstr("(limit reached)")));
}

TEST_F(Trim, WhatIsNoPartOfTheTraceIsRefused) {
  EXPECT_THAT(trim({"--to", "begin"}).text, HasSubstr("--to: a position after 0 expected, found 0\n"));
  EXPECT_THAT(trim({"--from", "50%", "--to", "10%"}).text,
              HasSubstr("--to: a position after 170688 expected"));
  EXPECT_THAT(trim({"--from", "mark:x"}).text, HasSubstr("--from: there is no mark \"x\"\n"));
  EXPECT_THAT(trim({"--to", "mark:x"}).text, HasSubstr("there is no mark \"x\"\n"));
  EXPECT_FALSE(fs::exists(path("p.hst")));
}

TEST_F(Pack, WhatCannotBeDoneIsOneLineAndLeavesNothing) {
  EXPECT_EQ(pack({"--from", "mark:middle"}).code, 2);
  EXPECT_EQ(hindsight({"pack", path("a.trace"), "-o", path("a.trace"), "--force"}).code, 3);
  write_diverging("x.trace");
  const Outcome diverged = hindsight({"pack", path("x.trace"), "-o", path("p.hst")});
  EXPECT_EQ(diverged.code, 1);
  EXPECT_THAT(diverged.text,
              AllOf(HasSubstr("x.trace: diverged at icount 34"), HasSubstr("; nothing was written\n")));
  EXPECT_FALSE(fs::exists(path("p.hst")));
  EXPECT_FALSE(fs::exists(path("p.hst.packing")));
}

TEST_F(Trim, ARecordingThatItsUserStoppedStillSaysSo) {
  copy_trace(kGolden, path("whole.trace"), [](auto&, auto&) {});
  ASSERT_EQ(hindsight({"trim", path("whole.trace"), "-o", path("half.trace"), "--to", "170000"}).code, 0);
  ASSERT_EQ(hindsight({"pack", path("half.trace"), "-o", path("again.trace")}).code, 0);
  EXPECT_THAT(hindsight({"verify", path("again.trace")}).text,
              HasSubstr(": ok: 170,000 instructions replayed"));
}

class Strip : public Pack {
 protected:
  Outcome strip(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"strip", path("a.trace"), "-o", path("p.hst"), "--force"};
    words.insert(words.end(), more.begin(), more.end());
    return hindsight(words);
  }
};

TEST_F(Strip, TypedTextIsReplacedNamesAndNotesGoAndTheRunIsTheSame) {
  // The kernel adds up what is typed until a digit or a dot comes.
  const Outcome stripped = strip({"--list"});
  EXPECT_EQ(stripped.code, 0) << stripped.text;
  EXPECT_THAT(stripped.text, AllOf(HasSubstr("typed     4 bytes came: 2 replaced, 2 stayed, 0 were blank\n"),
                                   HasSubstr("serial0   104 bytes shown, 56 of them other ones now\n"),
                                   HasSubstr("  typed event 4, byte 0: 1 byte: .\n")));
  expect_verified(path("p.hst"));
  EXPECT_EQ(end_of(path("p.hst")), end_of(path("a.trace")));
  EXPECT_THAT(info(), AllOf(HasSubstr("kernel        kernel ("), HasSubstr("snapshots     3, from"),
                            Not(HasSubstr("mark          "))));
  EXPECT_THAT(contents(path("a.trace")), HasSubstr("a note"));
  EXPECT_THAT(contents(path("p.hst")), Not(HasSubstr("a note")));
  EXPECT_FALSE(fs::exists(path("p.hst.stripping")));
}

TEST_F(Strip, AnotherKindIsLeftAsItIs) {
  EXPECT_THAT(strip({"--disk"}).text, HasSubstr("typed     4 bytes came: 0 replaced, 4 stayed"));
  expect_verified(path("p.hst"));
}

TEST_F(Strip, WhatTheConsoleShowedStaysWhereThatIsWanted) {
  EXPECT_THAT(strip({"--same-console"}).text, HasSubstr("104 bytes shown, 0 of them other ones now\n"));
  EXPECT_EQ(hindsight({"expect", path("p.hst"), std::string(kGolden) + ".expect"}).code, 0);
}

TEST_F(Strip, FactsBesideTheTraceStillHold) {
  const std::string sum = "register rbp at end == 0x6a91248f4ccccdc0\n";
  for (const std::string& fact : {std::string("console contains \"sum 519641239f842f2f\"\n"), sum}) {
    write("a.trace.expect", fact + "console contains \"never shown\"\n");
    EXPECT_EQ(strip().code, 0);
    write("facts", fact);
    EXPECT_EQ(hindsight({"expect", path("p.hst"), path("facts")}).code, 0) << fact;
  }
}

TEST_F(Strip, WithTooFewTrialsMoreStays) {
  const Outcome one = strip({"--trials", "1"});
  EXPECT_THAT(one.text, AllOf(HasSubstr("4 stayed"), HasSubstr("all that were allowed")));
  expect_verified(path("p.hst"));
}

TEST_F(Strip, AReplayThatWasStoppedInTheMiddleStaysStoppedThere) {
  ASSERT_EQ(trim({"--to", "170000"}).code, 0);
  ASSERT_EQ(hindsight({"strip", path("p.hst"), "-o", path("q.hst")}).code, 0);
  EXPECT_THAT(hindsight({"verify", path("q.hst")}).text, HasSubstr(": ok: 170,000 instructions replayed"));
}

TEST_F(Strip, WhatCannotBeDoneIsOneLineAndLeavesNothing) {
  ASSERT_EQ(trim({"--from", "mark:middle"}).code, 0);
  EXPECT_THAT(hindsight({"strip", path("p.hst"), "-o", path("q.hst")}).text,
              HasSubstr("p.hst: a recording from power-on expected, found a branch"));
  EXPECT_EQ(hindsight({"strip", path("a.trace"), "-o", path("a.trace"), "--force"}).code, 3);
  write_diverging("x.trace");
  const Outcome diverged = hindsight({"strip", path("x.trace"), "-o", path("q.hst")});
  EXPECT_EQ(diverged.code, 1);
  EXPECT_THAT(diverged.text, AllOf(HasSubstr("x.trace: the trace must replay: diverged at icount 34"),
                                   HasSubstr("; nothing was written\n")));
  EXPECT_FALSE(fs::exists(path("q.hst")));
  EXPECT_FALSE(fs::exists(path("q.hst.stripping")));
}

class Gc : public Pack {};

TEST_F(Gc, MakesTheTraceSmallerWhereItLies) {
  const auto before = fs::file_size(path("a.trace"));
  EXPECT_EQ(hindsight({"gc", path("a.trace")}).code, 0);
  EXPECT_LT(fs::file_size(path("a.trace")), before);
  const auto list = [&] { return hindsight({"info", path("a.trace")}).text; };
  EXPECT_THAT(list(),
              AllOf(HasSubstr("snapshots     3, from"), HasSubstr("mark          middle at icount 200000")));
  expect_verified(path("a.trace"));
  EXPECT_THAT(hindsight({"gc", path("a.trace"), "--snapshots", "every=200000"}).text,
              HasSubstr("; 2 snapshots left out\n"));
  EXPECT_THAT(list(), HasSubstr("snapshots     1, from icount 200000 to 200000\n"));
  EXPECT_EQ(hindsight({"gc", path("a.trace"), "--snapshots", "none"}).code, 0);
  EXPECT_THAT(list(), Not(HasSubstr("snapshots     ")));
  expect_verified(path("a.trace"));
  ASSERT_EQ(hindsight({"snapshot", "--every", "100000", path("a.trace")}).code, 0);
  EXPECT_THAT(list(), HasSubstr("snapshots     3, from"));
}

TEST_F(Gc, KilledAtAnyTimeTheTraceIsWhole) {
  const std::string before = contents(path("a.trace"));
  for (const char* seconds : {"0.003", "0.01", "0.02", "0.03", "0.05", "0.08"}) {
    run({"timeout", "-s", "KILL", seconds, HINDSIGHT_EXECUTABLE, "gc", path("a.trace"), "--snapshots",
         "none"});
    run({"timeout", "-s", "KILL", seconds, HINDSIGHT_EXECUTABLE, "pack", path("a.trace"), "-o", path("p.hst"),
         "--force"});
    expect_verified(path("a.trace"));
    if (fs::exists(path("p.hst"))) expect_verified(path("p.hst"));
  }
  EXPECT_EQ(pack().code, 0);
  EXPECT_EQ(hindsight({"gc", path("a.trace")}).code, 0);
  for (const char* left : {"p.hst.packing", "p.hst.packed", "a.trace.new"})
    EXPECT_FALSE(fs::exists(path(left)));
}

TEST_F(Gc, WhatIsNoTraceStaysAsItIs) {
  write("notes",
        "mine, and longer than the head of a trace is: more than a hundred and fifty-two bytes, so that only "
        "its "
        "contents tell that it is none; for what is shorter is said to be truncated.");
  const std::string before = contents(path("notes"));
  const Outcome refused = hindsight({"gc", path("notes")});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.text, HasSubstr("notes: "));
  EXPECT_EQ(contents(path("notes")), before);
}

}  // namespace
}  // namespace hindsight::tests
