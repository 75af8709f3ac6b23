// The real gdb, in batch mode, against the server over the session of tests/support: what its user sees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "debugger/gdb/server.h"
#include "tests/support/fake_session.h"

namespace hindsight::debugger::gdb {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class RealGdb : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("gdb --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "gdb is not installed";
    socket_ = testing::TempDir() + "hindsight_real_gdb_" + std::to_string(getpid());
    start({});
  }
  void TearDown() override { stop(); }
  void start(tests::FakeSession::Options options, ProgramFileMaker program = {}) {
    stop();
    fake_ = std::make_unique<tests::FakeSession>(std::move(options));
    ServeOptions serve_options;
    serve_options.listen = "unix:" + socket_;
    serve_options.program_file = std::move(program);
    auto opened = Server::open(*fake_, std::move(serve_options));
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    server_ = std::move(*opened);
    thread_ = std::thread([this] { EXPECT_TRUE(server_->run().ok()); });
  }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
    server_.reset();
  }
  /// What gdb printed for these commands after it had connected.
  std::string gdb(const std::vector<std::string>& commands, const std::string& before = "") {
    const std::string script = socket_ + ".gdb";
    std::ofstream out(script);
    out << "set pagination off\nset confirm off\nset width 0\n"
        << before << "target remote " << socket_ << "\n";
    for (const std::string& command : commands) out << command << "\n";
    out.close();
    FILE* pipe = popen(("timeout 60 gdb -nx -batch -x " + script + " 2>&1 </dev/null").c_str(), "r");
    std::string text;
    std::array<char, 4096> piece;
    while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe))
      text.append(piece.data(), got);
    pclose(pipe);
    std::filesystem::remove(script);
    return text;
  }

  std::string socket_;
  std::unique_ptr<tests::FakeSession> fake_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(RealGdb, ShowsRegistersByNameAndByBit) {
  const std::string text =
      gdb({"info registers", "p $cs", "p $st0", "p $xmm0.v2_double", "p $ds", "x/3i $pc", "info threads"});
  EXPECT_THAT(text, ContainsRegex("rip +0x1000 +0x1000"));
  EXPECT_THAT(text, ContainsRegex("eflags +0x202 +. IF IOPL=0 ."));
  EXPECT_THAT(text, ContainsRegex("cr0 +0x80050033 +. PE MP ET NE WP AM PG ."));
  EXPECT_THAT(text, ContainsRegex("cr4 +0x6f0 +. PSE PAE MCE PGE OSFXSR OSXMMEXCPT ."));
  EXPECT_THAT(text, ContainsRegex("efer +0xd01 +. SCE LME LMA NXE ."));
  EXPECT_THAT(text, ContainsRegex("gdtr_limit +0x7f "));
  EXPECT_THAT(text, AllOf(HasSubstr("$1 = 16"), HasSubstr("$2 = 1\n"), HasSubstr("$3 = {1, 2}"),
                          HasSubstr("$4 = <unavailable>")));
  EXPECT_THAT(text, ContainsRegex("0x1003:.mov +%rax,0x2000"));
  EXPECT_THAT(text, HasSubstr("Thread 1 (virtual CPU 0)"));
}

TEST_F(RealGdb, StepsBothWays) {
  const std::string text = gdb({"stepi", "stepi", "reverse-stepi", "p $rax", "reverse-stepi", "p $rax"});
  EXPECT_THAT(text, HasSubstr("0x0000000000001003 in ?? ()\n0x000000000000100b in ?? ()\n"
                              "0x0000000000001003 in ?? ()\n$1 = 1\n0x0000000000001000 in ?? ()\n$2 = 0\n"));
}

TEST_F(RealGdb, MeetsABreakpointBothWays) {
  const std::string text =
      gdb({"break *0x100b", "continue", "p $rax", "continue", "p $rax", "reverse-continue", "p $rax"});
  EXPECT_THAT(text, HasSubstr("$1 = 1\n\nBreakpoint 1, 0x000000000000100b in ?? ()\n$2 = 2\n\n"
                              "Breakpoint 1, 0x000000000000100b in ?? ()\n$3 = 1\n"));
}

TEST_F(RealGdb, SaysWhereHistoryBeginsAndEnds) {
  const std::string text =
      gdb({"stepi", "reverse-continue", "p $rip", "reverse-stepi", "continue", "p $rax", "stepi"});
  EXPECT_THAT(text, HasSubstr("No more reverse-execution history.\n0x0000000000001000 in ?? ()\n"
                              "$1 = (void (*)()) 0x1000\n\nNo more reverse-execution history."));
  EXPECT_THAT(text, HasSubstr("the guest switched itself off\n\nNo more reverse-execution history."));
  EXPECT_THAT(text, HasSubstr("$2 = 200\n"));
}

TEST_F(RealGdb, WatchesMemoryBothWays) {
  const std::string text = gdb({"watch *(long*)0x2000", "continue", "continue", "reverse-continue"});
  EXPECT_THAT(text, HasSubstr("Hardware watchpoint 1: *(long*)0x2000\n\nOld value = 0\nNew value = 1\n"
                              "0x000000000000100b in ?? ()\n"));
  EXPECT_THAT(text, HasSubstr("Old value = 1\nNew value = 2\n"));
  EXPECT_THAT(text, HasSubstr("Old value = 2\nNew value = 1\n0x0000000000001003 in ?? ()\n"));
}

TEST_F(RealGdb, SeesAWatchpointThatAStepMeets) {
  const std::string text = gdb({"watch *(long*)0x2000", "stepi", "stepi"});
  EXPECT_THAT(text, HasSubstr("Old value = 0\nNew value = 1\n"));
}

TEST_F(RealGdb, HasConditionsDecidedByTheServer) {
  const std::string text =
      gdb({"break *0x1000 if $rax == 17 && *(long*)0x2000 > 5", "continue", "p $rax", "info breakpoints"});
  EXPECT_THAT(text, HasSubstr("$1 = 17\n"));
  EXPECT_THAT(text, HasSubstr("(target evals)"));
}

TEST_F(RealGdb, MonitorCommandsAnswer) {
  const std::string text = gdb({"monitor when", "monitor last-write 0x2000", "monitor stop-on interrupt",
                                "continue", "monitor nonsense", "p 1"});
  EXPECT_THAT(text, HasSubstr("icount 0 of 604 (0.0%), 0 ns, pc 0x1000 <loop+0x0>\nnobody wrote 8 bytes"));
  EXPECT_THAT(text, HasSubstr("149: interrupt 0x20 at 0x100b <loop+0xb>, handler 0x1100 <handler+0x0>\n"));
  EXPECT_THAT(text, HasSubstr("hindsight: \"nonsense\" is no monitor command"));
  EXPECT_THAT(text, Not(HasSubstr("$1"))) << "a failed command ends a script";
}

TEST_F(RealGdb, ShowsTheNewPlaceAfterASeekOnceItsCachesAreFlushed) {
  // The word on the stack, which gdb takes for the caller, is the counter: 33 at icount 100.
  const std::vector<std::string> look = {"stepi",  "p $rax",   "backtrace", "monitor seek 100",
                                         "p $rax", "backtrace"};
  EXPECT_THAT(gdb(look), AllOf(HasSubstr("maintenance flush dcache"), HasSubstr("$2 = 1\n")));
  fake_->seek(fake_->first()).value();
  const std::string hook =
      "define hookpost-monitor\nmaintenance flush dcache\nmaintenance flush register-cache\nend\n";
  EXPECT_THAT(gdb(look, hook), AllOf(HasSubstr("$2 = 34\n"), HasSubstr("#1  0x0000000000000021 in")));
}

TEST_F(RealGdb, DetachesAndComesBackToTheSamePlace) {
  const std::string text =
      gdb({"break *0x1000", "stepi", "detach", "target remote " + socket_, "p $rip", "stepi", "p $rip"});
  EXPECT_THAT(text, HasSubstr("$1 = (void (*)()) 0x1003\n"));
  EXPECT_THAT(text, HasSubstr("$2 = (void (*)()) 0x100b\n"));
  EXPECT_THAT(gdb({"p $rip"}), HasSubstr("$1 = (void (*)()) 0x100b\n"));
}

TEST_F(RealGdb, IsToldThatThePastCannotBeChanged) {
  EXPECT_THAT(gdb({"set $rax = 5"}), HasSubstr("the past cannot be changed"));
  EXPECT_THAT(gdb({"set *(int*)0x2000 = 5"}), HasSubstr("Cannot access memory at address 0x2000"));
}

TEST_F(RealGdb, LoadsTheProgramThatTheServerOffers) {
  start({}, [] {
    std::ifstream in("/proc/self/exe", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    return std::vector<std::byte>(data, data + bytes.size());
  });
  const std::string text = gdb({"info files", "info address main"});
  EXPECT_THAT(text, HasSubstr("Reading /hindsight/guest from remote target"));
  EXPECT_THAT(text, ContainsRegex("Symbol \"main.*\" is"));
}

TEST_F(RealGdb, CtrlCEndsALongMove) {
  start({.endless = true});
  const std::string text = gdb({"shell (sleep 0.5; kill -INT $PPID) &", "continue", "p $rip"});
  EXPECT_THAT(text, HasSubstr("Program received signal SIGINT"));
  EXPECT_THAT(text, HasSubstr("$1 = (void (*)()) 0x1000"));
}

}  // namespace
}  // namespace hindsight::debugger::gdb
