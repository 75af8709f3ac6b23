#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "debugger/gdb/packet.h"
#include "debugger/gdb/stub.h"
#include "tests/support/fake_session.h"

namespace hindsight::debugger::gdb {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class FakeLink final : public Link {
 public:
  void console(std::string_view text) override { shown += text; }
  Result<session::Stop> move(const Move& move) override { return move(); }
  bool interrupted() const override { return interrupt; }
  std::string shown;
  bool interrupt = false;
};

struct GdbStub : testing::Test {
  std::string ask(std::string_view packet) {
    const Reply reply = stub->handle(packet);
    return reply.payload ? *reply.payload : "(no reply)";
  }
  /// A monitor command's reply, with what it showed before it.
  std::string monitor(const std::string& line) {
    link.shown.clear();
    const std::string reply = ask("qRcmd," + to_hex(line));
    return link.shown + reply;
  }
  void start(tests::FakeSession::Options options, ProgramFileMaker program = {}) {
    stub.reset();
    fake = std::make_unique<tests::FakeSession>(std::move(options));
    stub = std::make_unique<Stub>(*fake, registers, std::move(program), link);
  }
  std::uint64_t icount() const { return fake->now().icount.value; }

  FakeLink link;
  std::unique_ptr<tests::FakeSession> fake = std::make_unique<tests::FakeSession>();
  Registers registers{fake->register_table()};
  std::unique_ptr<Stub> stub = std::make_unique<Stub>(*fake, registers, ProgramFileMaker{}, link);
};

TEST_F(GdbStub, OffersReverseExecutionAndConditions) {
  EXPECT_THAT(
      ask("qSupported:multiprocess+;swbreak+"),
      AllOf(HasSubstr("ReverseStep+"), HasSubstr("ReverseContinue+"), HasSubstr("ConditionalBreakpoints+"),
            HasSubstr("PacketSize=10000"), Not(HasSubstr("exec-file")), Not(HasSubstr("multiprocess"))));
}

TEST_F(GdbStub, AnUnknownPacketHasAnEmptyReply) {
  EXPECT_EQ(ask("vMustReplyEmpty"), "");
  EXPECT_EQ(ask("jThreadsInfo"), "");
  EXPECT_EQ(ask("qTStatus"), "");
  EXPECT_EQ(ask(""), "");
}

TEST_F(GdbStub, TheDescriptionComesInPieces) {
  const std::string whole = ask("qXfer:features:read:target.xml:0,fffff");
  EXPECT_THAT(whole,
              AllOf(StartsWith("l<?xml"), HasSubstr("org.gnu.gdb.i386.core"), HasSubstr("\"gdtr_limit\""),
                    HasSubstr("name=\"cr0\" bitsize=\"64\" type=\"x86_cr0\"")));
  EXPECT_EQ(ask("qXfer:features:read:target.xml:2,3"), "mxml");
  EXPECT_EQ(ask("qXfer:features:read:target.xml:fffff,3"), "l");
  EXPECT_EQ(ask("qXfer:features:read:other.xml:0,3"), "E00");
  EXPECT_THAT(ask("qXfer:memory-map:read::0,fff"), HasSubstr("start=\"0x8000000000000000\""));
}

TEST_F(GdbStub, RegistersAreLeastSignificantByteFirst) {
  fake->seek({Icount(7), 0}).value();
  EXPECT_EQ(ask("p0"), "0300000000000000");   // rax
  EXPECT_EQ(ask("p10"), "0310000000000000");  // rip
  EXPECT_EQ(ask("p11"), "02020000");          // eflags
  EXPECT_EQ(ask("p12"), "10000000");          // cs, 16 bits of the session
  EXPECT_EQ(ask("p14"), "xxxxxxxx");          // ds, which the session does not have
  EXPECT_EQ(ask("p18"), "0000000000000080ff3f");
  EXPECT_EQ(ask("p22"), "ff3f0000") << "the full tag word of an abridged one";
  EXPECT_THAT(ask("g"), StartsWith("0300000000000000"));
  EXPECT_THAT(ask("p1000"), StartsWith("E."));
}

TEST_F(GdbStub, MemoryIsReadAsFarAsItIsMapped) {
  EXPECT_EQ(ask("m1000,3"), "48ffc0");
  EXPECT_EQ(ask("mffff888000001000,3"), "48ffc0");
  EXPECT_EQ(ask("m7fff,10"), "00");
  EXPECT_EQ(ask("m8000,10"), "E14");
  EXPECT_EQ(ask("x1000,3"), "bH\xff\xc0");
  EXPECT_EQ(ask("m1000,0"), "");
  EXPECT_THAT(ask("m1000"), StartsWith("E."));
}

TEST_F(GdbStub, ThePastIsNotChanged) {
  EXPECT_THAT(ask("M1000,1:90"), HasSubstr("past cannot be changed"));
  EXPECT_THAT(ask("X1000,0:"), HasSubstr("past cannot be changed"));
  EXPECT_THAT(ask("P0=0000000000000000"), HasSubstr("past cannot be changed"));
  EXPECT_THAT(ask("G00"), HasSubstr("past cannot be changed"));
  EXPECT_THAT(ask("vCont;C05:1"), HasSubstr("past cannot be changed"));
  EXPECT_THAT(ask("c1000"), HasSubstr("past cannot be changed"));
  EXPECT_THAT(ask("R00"), HasSubstr("seek begin"));
  EXPECT_EQ(icount(), 0U);
}

TEST_F(GdbStub, StepsGoBothWays) {
  EXPECT_THAT(ask("vCont;s:1;c"), AllOf(StartsWith("T05"), HasSubstr("10:0310000000000000;"),
                                        HasSubstr("thread:1;"), Not(HasSubstr("replaylog"))));
  EXPECT_EQ(icount(), 1U);
  EXPECT_THAT(ask("s"), StartsWith("T05"));
  EXPECT_THAT(ask("bs"), HasSubstr("10:0310000000000000;"));
  EXPECT_EQ(icount(), 1U);
}

TEST_F(GdbStub, BothEndsOfHistoryAreReportedAsSuch) {
  EXPECT_THAT(ask("bs"), StartsWith("T05replaylog:begin;"));
  EXPECT_THAT(ask("bc"), StartsWith("T05replaylog:begin;"));
  EXPECT_THAT(ask("c"), StartsWith("T05replaylog:end;"));
  EXPECT_THAT(link.shown, HasSubstr("the guest switched itself off"));
  EXPECT_THAT(ask("vCont;s:1"), StartsWith("T05replaylog:end;"));
}

TEST_F(GdbStub, ABreakpointIsMetBothWays) {
  EXPECT_EQ(ask("Z0,100b,1"), "OK");
  EXPECT_THAT(ask("vCont;c"), StartsWith("T05swbreak:;"));
  EXPECT_EQ(icount(), 2U);
  ask("c");
  EXPECT_EQ(icount(), 5U);
  EXPECT_THAT(ask("bc"), StartsWith("T05swbreak:;"));
  EXPECT_EQ(icount(), 2U);
  EXPECT_EQ(ask("z0,100b,1"), "OK");
  EXPECT_THAT(ask("c"), StartsWith("T05replaylog:end;"));
  EXPECT_EQ(ask("z0,100b,1"), "OK") << "removing it twice is no error";
}

TEST_F(GdbStub, AHardwareBreakpointIsReportedAsOne) {
  ask("Z1,100b,1");
  EXPECT_THAT(ask("c"), StartsWith("T05hwbreak:;"));
}

TEST_F(GdbStub, ABreakpointChangesNoMemory) {
  ask("Z0,1000,1");
  EXPECT_EQ(ask("m1000,1"), "48");
}

TEST_F(GdbStub, AConditionOverARegisterAndOneOverMemoryDecide) {
  // reg 0; const8 17; equal; end, and: const16 2000h; ref64; const8 9; equal; end. Either will do.
  EXPECT_EQ(ask("Z0,1000,1;X7,26000022111327X8,2320001a22091327"), "OK");
  ask("c");
  EXPECT_EQ(ask("p0"), "0900000000000000");
  ask("c");
  EXPECT_EQ(ask("p0"), "1100000000000000");
  EXPECT_EQ(ask("Z0,1000,1"), "OK") << "sent again without conditions it has none";
  ask("c");
  EXPECT_EQ(ask("p0"), "1200000000000000");
  EXPECT_EQ(fake->condition_count(), 1U);
}

TEST_F(GdbStub, AConditionThatCannotBeEvaluatedStops) {
  ask("Z0,100b,1;X5,23ffff1927");  // 4 bytes at ffff, where nothing is mapped
  EXPECT_THAT(ask("c"), StartsWith("T05swbreak:;"));
  EXPECT_EQ(icount(), 2U);
}

TEST_F(GdbStub, MalformedBreakpointsAreRefused) {
  EXPECT_THAT(ask("Z0"), StartsWith("E."));
  EXPECT_THAT(ask("Z0,zz,1"), StartsWith("E."));
  EXPECT_THAT(ask("Z0,1000,1;X"), StartsWith("E."));
  EXPECT_THAT(ask("Z0,1000,1;Xff,27"), StartsWith("E."));
  EXPECT_THAT(ask("Z0,1000,1;X1,01"), HasSubstr("opcode 0x01"));
  EXPECT_THAT(ask("Z0,1000,1;cmds:0,X1,27"), HasSubstr("not supported"));
  EXPECT_THAT(ask("Z2,1000,0"), StartsWith("E."));
  EXPECT_EQ(ask("Z5,1000,1"), "");
  EXPECT_EQ(fake->condition_count(), 0U);
}

TEST_F(GdbStub, AWatchpointStopsAfterTheWriteForwardAndBeforeItBackward) {
  EXPECT_EQ(ask("Z2,2000,8"), "OK");
  EXPECT_THAT(ask("c"), AllOf(StartsWith("T05watch:2000;"), HasSubstr("10:0b10000000000000;")));
  EXPECT_EQ(ask("m2000,1"), "01");
  ask("c");
  EXPECT_EQ(ask("m2000,1"), "02");
  EXPECT_THAT(ask("bc"), AllOf(StartsWith("T05watch:2000;"), HasSubstr("10:0310000000000000;")));
  EXPECT_EQ(ask("m2000,1"), "01");
}

TEST_F(GdbStub, AStepSaysWhichWatchpointItMet) {
  ask("Z4,2004,1");
  ask("s");
  EXPECT_THAT(ask("s"), StartsWith("T05awatch:2004;"));
}

TEST_F(GdbStub, StepsPassOverAnInterruptBothWays) {
  fake->seek({Icount(149), 0}).value();
  ask("s");
  EXPECT_EQ(fake->now(), (session::Position{Icount(151), 0}))
      << "the handler's one instruction, and the code's own";
  ask("bs");
  EXPECT_EQ(icount(), 150U);
  ask("bs");
  EXPECT_EQ(icount(), 148U) << "what the interrupt returned to is where it struck";
}

TEST_F(GdbStub, StepsShowAnInterruptsHandlerWhenAskedTo) {
  fake->seek({Icount(149), 0}).value();
  EXPECT_EQ(monitor("step-interrupts into"), "OK");
  ask("s");
  EXPECT_EQ(fake->now(), (session::Position{Icount(149), 1}));
  EXPECT_EQ(fake->pc().value, tests::FakeSession::kHandler);
  EXPECT_THAT(monitor("step-interrupts maybe"), HasSubstr("over or into was expected"));
}

TEST_F(GdbStub, ABreakpointInAHandlerEndsAStepOverIt) {
  ask("Z0,1100,1");
  fake->seek({Icount(149), 0}).value();
  ask("s");
  EXPECT_EQ(fake->pc().value, tests::FakeSession::kHandler);
  fake->seek({Icount(150), 0}).value();
  ask("bs");
  EXPECT_EQ(fake->pc().value, tests::FakeSession::kHandler);
}

TEST_F(GdbStub, AStepWithAStopOnInterruptStopsAtItsDelivery) {
  fake->seek({Icount(149), 0}).value();
  monitor("stop-on interrupt");
  ask("s");
  EXPECT_EQ(fake->now(), (session::Position{Icount(149), 1}));
}

TEST_F(GdbStub, MonitorSaysHowToLoadAModulesSymbols) {
  EXPECT_EQ(monitor("modules fake_net"), "add-symbol-file fake_net.ko -s .text 0x1000 -s .bss 0x2000\nOK");
  EXPECT_EQ(monitor("modules vmlinux"), "add-symbol-file vmlinux -o 0x5000000\nOK");
  EXPECT_THAT(monitor("modules"), HasSubstr("# loop: the kernel does not say where its sections are\n"));
  EXPECT_THAT(monitor("modules none"), HasSubstr("no module none is loaded here"));
}

TEST_F(GdbStub, RangeSteppingStopsOutsideOrAtABreakpoint) {
  EXPECT_THAT(ask("vCont;r1000,100b:1"), StartsWith("T05"));
  EXPECT_EQ(icount(), 2U);
  ask("Z0,1003,1");
  ask("vCont;r1000,1100:1");
  EXPECT_EQ(icount(), 4U);
}

TEST_F(GdbStub, RangeSteppingCanBeInterrupted) {
  link.interrupt = true;
  EXPECT_THAT(ask("vCont;r0,ffffffff:1"), StartsWith("T02"));
}

TEST_F(GdbStub, ThereIsOneThread) {
  EXPECT_EQ(ask("qfThreadInfo"), "m1");
  EXPECT_EQ(ask("qsThreadInfo"), "l");
  EXPECT_EQ(ask("Hg1"), "OK");
  EXPECT_EQ(ask("Hc-1"), "OK");
  EXPECT_THAT(ask("Hg2"), StartsWith("E."));
  EXPECT_EQ(ask("T1"), "OK");
  EXPECT_THAT(ask("T2"), StartsWith("E."));
  EXPECT_EQ(ask("qC"), "QC1");
  EXPECT_EQ(ask("qAttached"), "1");
  EXPECT_EQ(from_hex(ask("qThreadExtraInfo,1")), "virtual CPU 0");
  EXPECT_THAT(ask("vCont;c:2"), StartsWith("E."));
  EXPECT_THAT(ask("QNonStop:1"), StartsWith("E."));
}

TEST_F(GdbStub, ADamagedTraceIsAnErrorWithItsText) {
  start({.damage = "bug.trace: events: chunk 5: wrong digest"});
  EXPECT_EQ(ask("c"), "E.bug.trace: events: chunk 5: wrong digest");
  EXPECT_EQ(ask("bs"), "E.bug.trace: events: chunk 5: wrong digest");
  EXPECT_THAT(monitor("seek 5"), AllOf(HasSubstr("wrong digest"), testing::EndsWith("E01")));
}

TEST_F(GdbStub, AnErrorsTextNeedsNoEscapes) {
  start({.damage = "a#b$c}d*e"});
  EXPECT_EQ(ask("c"), "E.a b c d e");
}

TEST_F(GdbStub, LeavingEndsTheConnectionAndTheBreakpoints) {
  ask("Z0,1000,1");
  monitor("stop-on interrupt");
  EXPECT_EQ(fake->condition_count(), 2U);
  EXPECT_TRUE(stub->handle("D").end_connection);
  EXPECT_TRUE(stub->handle("k").end_connection);
  stub.reset();
  EXPECT_EQ(fake->condition_count(), 0U);
}

TEST_F(GdbStub, AProgramIsServedAsAFile) {
  start({}, [] { return std::vector<std::byte>{std::byte{0x7f}, std::byte{'E'}, std::byte{'#'}}; });
  EXPECT_THAT(ask("qSupported"), HasSubstr("qXfer:exec-file:read+"));
  const std::string path = ask("qXfer:exec-file:read:1:0,fff");
  ASSERT_THAT(path, StartsWith("l/"));
  EXPECT_EQ(ask("vFile:setfs:0"), "F0");
  EXPECT_EQ(ask("vFile:open:" + to_hex(path.substr(1)) + ",0,0"), "F3");
  EXPECT_EQ(ask("vFile:pread:3,fff,0"),
            "F3;\x7f"
            "E}\x03");
  EXPECT_EQ(ask("vFile:pread:3,1,1"), "F1;E");
  EXPECT_EQ(ask("vFile:pread:3,1,3"), "F0;");
  EXPECT_THAT(ask("vFile:fstat:3"), StartsWith("F40;"));
  EXPECT_EQ(ask("vFile:close:3"), "F0");
  EXPECT_EQ(ask("vFile:pread:4,1,0"), "F-1,9");
  EXPECT_EQ(ask("vFile:open:" + to_hex("/etc/passwd") + ",0,0"), "F-1,2");
  EXPECT_EQ(ask("vFile:open:" + to_hex(path.substr(1)) + ",1,0"), "F-1,1e");
}

TEST_F(GdbStub, AProgramIsLookedForAgainWhenItIsOpenedAgain) {
  std::vector<std::byte> program;
  start({}, [&] { return program; });
  EXPECT_EQ(ask("qXfer:exec-file:read:1:0,fff"), "E.no symbols are known for this guest");
  const std::string open = "vFile:open:" + to_hex("/hindsight/guest") + ",0,0";
  EXPECT_EQ(ask(open), "F-1,2");
  program = {std::byte{'1'}};
  EXPECT_EQ(ask("qXfer:exec-file:read:1:0,fff"), "l/hindsight/guest");
  EXPECT_EQ(ask(open), "F3");
  program = {std::byte{'2'}};
  EXPECT_EQ(ask("vFile:pread:3,1,0"), "F1;1") << "not while it is open";
  EXPECT_EQ(ask(open), "F3");
  EXPECT_EQ(ask("vFile:pread:3,1,0"), "F1;2");
}

TEST_F(GdbStub, WithoutAProgramNoFileIsServed) {
  EXPECT_EQ(ask("vFile:setfs:0"), "");
  EXPECT_EQ(ask("qXfer:exec-file:read:1:0,fff"), "");
}

TEST_F(GdbStub, MonitorSaysWhereItIsAndGoesThere) {
  EXPECT_EQ(monitor("when"), "icount 0 of 604 (0.0%), 0 ns, pc 0x1000 <loop+0x0>\nOK");
  EXPECT_THAT(monitor("seek 100"), AllOf(HasSubstr("icount 100 of"), HasSubstr("maintenance flush")));
  EXPECT_EQ(icount(), 100U);
  EXPECT_THAT(monitor("mark half the middle of it"), HasSubstr("mark:half is icount 100"));
  monitor("seek begin");
  monitor("seek mark:half");
  EXPECT_EQ(icount(), 100U);
  EXPECT_THAT(monitor("marks"), HasSubstr("half  the middle of it"));
  monitor("seek next-event");
  EXPECT_EQ(icount(), 250U);
  monitor("seek previous-event");
  EXPECT_EQ(icount(), 100U);
}

TEST_F(GdbStub, MonitorLooks) {
  EXPECT_THAT(monitor("events 1"), AllOf(HasSubstr("serial0"), HasSubstr("1 of 3 events")));
  EXPECT_THAT(monitor("snapshots"), HasSubstr("in the trace"));
  EXPECT_THAT(monitor("devices serial0"), HasSubstr("serial0.lcr = 0x3"));
  EXPECT_THAT(monitor("physical 0x1000 18"),
              AllOf(HasSubstr("48 ff c0 48"), HasSubstr("\n0x0000001010  00 00 ")));
  EXPECT_THAT(monitor("physical 0x7fff 4"), HasSubstr("no RAM at 0x8000"));
  EXPECT_THAT(monitor("walk 0xffff888000001000"), HasSubstr("pml4[273]"));
  EXPECT_THAT(monitor("help"), AllOf(HasSubstr("stop-on"), HasSubstr("define hookpost-monitor")));
  EXPECT_THAT(monitor(""), HasSubstr("stop-on"));
}

TEST_F(GdbStub, MonitorFindsTheLastWrite) {
  EXPECT_THAT(monitor("last-write 0x2000"), HasSubstr("nobody wrote"));
  fake->seek({Icount(9), 0}).value();
  EXPECT_THAT(
      monitor("last-write 0xffff888000002000 4"),
      AllOf(
          HasSubstr(
              "7: wrote 8 bytes at physical 0x2000 by the instruction at 0x1003 <loop+0x3>: 0x3, before 0x2"),
          HasSubstr("monitor seek 7")));
  EXPECT_THAT(monitor("last-write physical 0x2000"), HasSubstr("7: wrote"));
  EXPECT_EQ(icount(), 9U);
}

TEST_F(GdbStub, MonitorRefusesInOneLine) {
  EXPECT_THAT(monitor("frobnicate"),
              AllOf(HasSubstr("\"frobnicate\" is no monitor command"), HasSubstr("E01")));
  EXPECT_THAT(monitor("seek"), HasSubstr("usage: monitor seek WHERE"));
  EXPECT_THAT(monitor("seek nowhere"), HasSubstr("a position was expected"));
  EXPECT_THAT(monitor("physical x 1"), HasSubstr("a number was expected"));
  EXPECT_THAT(monitor("physical 0 99999999"), HasSubstr("at most"));
  EXPECT_THAT(monitor("devices nosuch"), HasSubstr("no part is called"));
  EXPECT_THAT(monitor("last-write 0x9000"), HasSubstr("not mapped"));
  EXPECT_THAT(monitor("last-write 0x2000 0"), HasSubstr("1 to 4096"));
  EXPECT_THAT(monitor("last-write physical"), HasSubstr("usage"));
  EXPECT_THAT(monitor("stop-on sunday"), HasSubstr("exception, interrupt or device"));
  EXPECT_THAT(monitor("stop-on exception 256"), HasSubstr("vector"));
  EXPECT_THAT(monitor("unstop 7"), HasSubstr("no stop-on"));
  EXPECT_THAT(monitor("branch /tmp/x"), HasSubstr("cannot branch"));
  EXPECT_THAT(ask("qRcmd,7"), StartsWith("E."));
}

TEST_F(GdbStub, MonitorStopsOnAnInterrupt) {
  EXPECT_EQ(monitor("stop-on interrupt 0x20"), "number 1: stop on interrupt 0x20\nOK");
  EXPECT_THAT(ask("c"), StartsWith("T0506:"));
  EXPECT_THAT(link.shown,
              HasSubstr("149: interrupt 0x20 at 0x100b <loop+0xb>, handler 0x1100 <handler+0x0>"));
  EXPECT_EQ(fake->pc().value, tests::FakeSession::kHandler);
  EXPECT_EQ(monitor("unstop 1"), "OK");
  EXPECT_THAT(ask("c"), StartsWith("T05replaylog:end;"));
}

}  // namespace
}  // namespace hindsight::debugger::gdb
