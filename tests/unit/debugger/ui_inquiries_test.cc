// Questions over all of history, from a command to what the window shows of the answer.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "debugger/ui/engine_worker.h"
#include "debugger/ui/model_text.h"
#include "tests/support/fake_session.h"

namespace hindsight::debugger::ui {
namespace {

using session::Position;
using testing::HasSubstr;
using tests::FakeSession;

/// Answers with what it was asked.
class FakeAnalyst final : public session::Analyst {
 public:
  Result<session::InstantsDifference> diff(Position a, Position b) override {
    session::InstantsDifference found;
    found.a = {a, VirtualTime{1}, GuestVirt{0x1000}, "loop"};
    found.b = {b, VirtualTime{2}, GuestVirt{0x1003}, "loop+0x3"};
    found.state.registers.push_back({"cpu0", "rax", "0a", "0b"});
    found.state.fields.push_back({"serial0", "fifo[0]", "0x1", "0x2"});
    found.state.pages = 1;
    found.state.bytes = 3;
    found.state.ranges.push_back({GuestPhys{0x2000}, 1, 3, {"counter"}});
    return found;
  }
  Result<session::TracesDifference> diff_trace(const std::string& path) override {
    if (path == "gone.hst") return error("gone.hst: no such file");
    session::TracesDifference found;
    found.path = path;
    found.relation = "they part: 2 events and 1 digest agree";
    found.events.push_back({'a', 2, {Icount{50}, 0}, "input serial0, 1 byte: 61"});
    found.events.push_back({'b', 2, {Icount{50}, 0}, "input serial0, 1 byte: 62"});
    found.parted = true;
    found.parting = session::Place{{Icount{49}, 0}, VirtualTime{49}, GuestVirt{0x1000}, "loop"};
    found.instruction = "inc rax";
    found.consoles.push_back({"serial0", 1, {"-a", "+b"}});
    return found;
  }
  Result<session::Answers> ask(const session::Inquiry& inquiry) override {
    session::Answers found{.asked = inquiry, .all = {}, .more = true};
    found.all.push_back({{Icount{31}, 0}, "write", inquiry.subject + " 0a → 0b", "loop+0x3"});
    found.all.push_back({{Icount{34}, 1}, "write", "0b → 0c", "handler"});
    return found;
  }
  Result<session::Profile> profile(Position from, Position to) override {
    if (endless) {
      if (progress_) progress_(0.25);
      while (!interrupted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      interrupted = false;
      return error("interrupted");
    }
    session::Profile found;
    found.from = from;
    found.to = to;
    found.instructions = to.icount - from.icount;
    found.tree.push_back({0, "loop", GuestVirt{0x1000}, 7, 5, 1});
    found.tree.push_back({1, "handler", GuestVirt{0x1100}, 2, 2, 2});
    found.functions = found.tree;
    return found;
  }
  void interrupt() override { interrupted = true; }
  void on_progress(std::function<void(double)> progress) override { progress_ = std::move(progress); }

  std::atomic<bool> endless = false;
  std::atomic<bool> interrupted = false;

 private:
  std::function<void(double)> progress_;
};

template <class Done>
bool wait_until(Done done) {
  for (int i = 0; i < 5000; ++i) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class UiInquiries : public testing::Test {
 protected:
  std::shared_ptr<const ViewModel> after(const std::string& command) {
    worker.post(command);
    EXPECT_TRUE(wait_until([&] { return worker.idle(); })) << command;
    return worker.model();
  }
  FakeSession session;
  FakeAnalyst analyst;
  EngineWorker worker{session, nullptr, &analyst};
};

TEST_F(UiInquiries, TwoInstantsAreComparedTheEarlierFirst) {
  after("seek 30");
  const auto model = after("diff 34");

  EXPECT_EQ(model->message, "30 .. 34: 1 register, 1 field and 3 bytes of memory differ");
  EXPECT_EQ(text_of(*model, "diff"),
            "a 30 pc 1000 loop\n"
            "b 34 pc 1003 loop+0x3\n"
            "register rax 0a 0b\n"
            "field serial0.fifo[0] 0x1 0x2\n"
            "memory 1 pages 3 bytes\n"
            "pages 2000 1 3 counter\n");
  EXPECT_EQ(text_of(model->now), "30");
}

TEST_F(UiInquiries, AnotherTraceIsComparedAndItsPartingSaid) {
  const auto model = after("diff-trace other trace.hst");

  EXPECT_EQ(model->diff->traces->path, "other trace.hst");
  EXPECT_EQ(text_of(*model, "diff"),
            "they part: 2 events and 1 digest agree\n"
            "event a 2 50 input serial0, 1 byte: 61\n"
            "event b 2 50 input serial0, 1 byte: 62\n"
            "parting 49 pc 1000 loop: inc rax\n"
            "a 0 pc 0 \n"
            "b 0 pc 0 \n"
            "memory 0 pages 0 bytes\n"
            "console serial0 line 1\n-a\n+b\n");
  EXPECT_EQ(after("diff-trace gone.hst")->message, "gone.hst: no such file");
}

TEST_F(UiInquiries, AQuestionIsAskedOfAllHistoryOrOfARangeWithItsRegistersAsNumbers) {
  after("seek 30");
  auto model = after("query writes rsp+8/4");
  EXPECT_EQ(model->answers->asked.subject, "0x7f08/4");
  EXPECT_EQ(model->answers->asked.from, session.first());
  EXPECT_EQ(model->answers->asked.to, session.last());
  EXPECT_EQ(text_of(*model, "answers"),
            "31 write 0x7f08/4 0a → 0b | loop+0x3\n34+1 write 0b → 0c | handler\nmore\n");

  model = after("query calls handler 10..20");
  EXPECT_EQ(model->answers->asked.subject, "handler");
  EXPECT_EQ(text_of(model->answers->asked.from), "10");
  EXPECT_EQ(text_of(model->answers->asked.to), "20");
  EXPECT_EQ(model->message, "calls handler: the first 2 answers in 10 .. 20");
}

TEST_F(UiInquiries, TheLastWriteIsAskedForUpToTheCursor) {
  after("seek 30");
  const auto model = after("query last-write counter/8");

  EXPECT_EQ(text_of(model->answers->asked.to), "30");
}

TEST_F(UiInquiries, AQuestionThatMakesNoSenseIsSaid) {
  EXPECT_THAT(after("query")->message, HasSubstr("last-write, writes, changes, calls or events"));
  EXPECT_THAT(after("query calls loop 20..10")->message, HasSubstr("A..B with A below B"));
  EXPECT_THAT(after("diff nowhere")->message, HasSubstr("nowhere"));
  const auto model = after("diff 1 2 3");

  EXPECT_TRUE(model->failed);
  EXPECT_EQ(model->message, "one or two positions were expected");
}

TEST_F(UiInquiries, AProfileIsATreeOfItsRange) {
  const auto model = after("profile 10..17");

  EXPECT_EQ(text_of(*model, "profile"),
            "7 instructions\nloop total 7 self 5 calls 1\n  handler total 2 self 2 calls 2\n");
}

TEST_F(UiInquiries, ALongQuestionIsCancelled) {
  analyst.endless = true;
  worker.post("profile");
  EXPECT_TRUE(wait_until([&] { return worker.status().asked == 0.25; }));
  EXPECT_EQ(worker.status().asking, "profile");
  worker.cancel();

  EXPECT_TRUE(wait_until([&] { return worker.idle(); }));
  EXPECT_EQ(worker.model()->message, "cancelled: profile");
  EXPECT_FALSE(worker.model()->failed);
}

TEST_F(UiInquiries, WhyTheMachineStandsIsStillSaidWhenItsMoveEndedTheQuestion) {
  analyst.endless = true;
  worker.post("profile");
  EXPECT_TRUE(wait_until([&] { return worker.status().asked == 0.25; }));
  worker.post("continue");
  EXPECT_TRUE(wait_until([&] { return worker.model()->answered == 2; }));
  const std::string stopped = worker.model()->message;
  analyst.interrupt();

  EXPECT_TRUE(wait_until([&] { return worker.idle(); }));
  EXPECT_EQ(worker.model()->message, stopped + "; cancelled: profile");
  EXPECT_THAT(stopped, HasSubstr("the guest switched itself off"));
}

TEST_F(UiInquiries, MovesAndLooksGoOnWhileALongQuestionIsAsked) {
  analyst.endless = true;
  worker.post("profile");
  EXPECT_TRUE(wait_until([&] { return worker.status().asked == 0.25; }));
  worker.post("seek 30");
  worker.post("step");
  worker.post("memory 2000");

  EXPECT_TRUE(wait_until([&] { return worker.model()->answered == 4; }));
  EXPECT_EQ(text_of(worker.model()->now), "31");
  EXPECT_EQ(worker.status().asking, "profile");
  EXPECT_FALSE(worker.idle());
}

TEST_F(UiInquiries, AQuestionThatIsAskedMeanwhileTakesThePlaceOfTheOneUnderWay) {
  analyst.endless = true;
  worker.post("profile");
  EXPECT_TRUE(wait_until([&] { return worker.status().asked == 0.25; }));
  const auto model = after("diff 34");

  EXPECT_TRUE(model->diff);
  EXPECT_FALSE(model->profile);
  EXPECT_THAT(model->message, HasSubstr("differ"));
}

TEST_F(UiInquiries, AQuestionUnderWayDoesNotKeepTheWindowOpen) {
  analyst.endless = true;
  worker.post("profile");
  EXPECT_TRUE(wait_until([&] { return worker.status().asked == 0.25; }));
}

TEST_F(UiInquiries, ShowingAnotherPanelLeavesWhatAMoveChangedMarked) {
  after("show devices");
  after("seek 30");
  after("step");
  EXPECT_TRUE(wait_until([&] { return worker.idle() && worker.status().settled; }));
  const auto devices = worker.model()->devices;
  after("show devices diff");
  EXPECT_TRUE(wait_until([&] { return worker.idle() && worker.status().settled; }));

  EXPECT_EQ(worker.model()->devices, devices);
  EXPECT_EQ(worker.model()->path->code, worker.model()->code);
}

TEST_F(UiInquiries, WhatPanelsAreShownDoesNotTakeAwayTheAnswer) {
  after("diff nowhere");
  const auto model = after("show diff");

  EXPECT_TRUE(model->failed);
}

TEST_F(UiInquiries, TheNextWriterOfAByteIsFoundAndAskedForAgainFindsTheOneAfter) {
  after("seek 30");
  auto model = after("next-write 2000 8");
  EXPECT_EQ(text_of(model->now), "32");
  EXPECT_THAT(model->message, HasSubstr("was written just now by loop+0x3: 0xa -> 0xb"));

  model = after("next-write 2000 8");
  EXPECT_EQ(text_of(model->now), "35");
}

TEST(UiInquiriesAlone, WithoutAnAnalystQuestionsAreRefused) {
  FakeSession session;
  EngineWorker worker(session);
  worker.post("profile");
  ASSERT_TRUE(wait_until([&] { return worker.idle() && !worker.model()->message.empty(); }));

  EXPECT_EQ(worker.model()->message, "profile: history cannot be searched here");
}

}  // namespace
}  // namespace hindsight::debugger::ui
