#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "debugger/ui/engine_worker.h"
#include "debugger/ui/shared_session.h"
#include "tests/support/fake_session.h"

namespace hindsight::debugger::ui {
namespace {

using testing::HasSubstr;
using tests::FakeSession;

/// Waits until `done` says so; false after a while.
template <class Done>
bool wait_until(Done done) {
  for (int i = 0; i < 5000; ++i) {
    if (done()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class UiWorker : public testing::Test {
 protected:
  std::shared_ptr<const ViewModel> after(const std::string& command) {
    worker.post(command);
    EXPECT_TRUE(wait_until([&] { return worker.idle(); })) << command;
    return worker.model();
  }
  std::shared_ptr<const ViewModel> settled() {
    EXPECT_TRUE(wait_until([&] { return worker.idle() && worker.status().settled; }));
    return worker.model();
  }

  FakeSession session;
  EngineWorker worker{session};
};

TEST_F(UiWorker, SeekMovesTheCursorAndShowsTheRegistersThere) {
  const auto model = after("seek 31");

  EXPECT_EQ(text_of(model->now), "31");
  EXPECT_EQ(model->registers->value("rax"), 11U);
  EXPECT_FALSE(model->failed);
}

TEST_F(UiWorker, ARegisterThatAStepChangedIsMarkedAndOthersAreNot) {
  after("seek 30");
  const auto model = after("step");

  EXPECT_EQ(model->registers->value("rax"), 11U);
  EXPECT_TRUE(model->registers->changed(*model->registers->find("rax")));
  EXPECT_FALSE(model->registers->changed(*model->registers->find("rsp")));
}

TEST(UiWorkerOnALiveMachine, WhatCameFromOutsideWhileItRanIsShownWhenItStands) {
  FakeSession session({.growing = true});
  EngineWorker worker(session);
  const auto events_at = [&](const std::string& move) {
    worker.post(move);
    EXPECT_TRUE(wait_until([&] { return worker.idle() && worker.status().settled; })) << move;
    return worker.model()->events->size();
  };

  EXPECT_EQ(events_at("seek 90"), 0U);
  EXPECT_EQ(events_at("seek 300"), 2U);
  const auto& lanes = worker.model()->activity->lanes();
  EXPECT_TRUE(std::ranges::any_of(lanes, [](const auto& lane) { return lane.name == "serial0 in"; }));
}

TEST_F(UiWorker, AStepBackUndoesAStep) {
  const auto before = after("seek 30")->registers->now;
  after("step");
  const auto model = after("back");

  EXPECT_EQ(text_of(model->now), "30");
  EXPECT_EQ(model->registers->now, before);
}

TEST_F(UiWorker, CodeIsDisassembledWithLabelsTargetsAndThePc) {
  after("seek 32");
  const auto code = after("code loop")->code;

  const auto first = code->line_at(GuestVirt{FakeSession::kCode});
  ASSERT_TRUE(first);
  const CodeLine& inc = code->lines[*first];
  EXPECT_EQ(inc.mnemonic + " " + inc.operands, "inc rax");
  EXPECT_EQ(inc.label, "loop");
  const CodeLine& jump = code->lines[*first + 2];
  EXPECT_EQ(jump.flow, CodeLine::Flow::jump);
  EXPECT_EQ(jump.target, GuestVirt{FakeSession::kCode});
  EXPECT_EQ(code->pc, GuestVirt{0x100B});
}

TEST_F(UiWorker, MemoryThatAStepWroteIsMarked) {
  after("seek 31");
  after("memory 2000");
  const auto model = after("step");

  EXPECT_EQ(model->memory->bytes[0], 11);
  EXPECT_EQ(model->memory->state[0], MemoryModel::kReadable | MemoryModel::kChanged);
  EXPECT_EQ(model->memory->state[1], MemoryModel::kReadable);
}

TEST_F(UiWorker, MemoryThatIsNotThereCannotBeRead) {
  const auto model = after("memory 8000");

  EXPECT_EQ(model->memory->state[0], 0);
}

TEST_F(UiWorker, TheLastWriterOfAByteIsFoundAndGoneTo) {
  after("seek 34");
  const auto model = after("last-write 2000 8");

  EXPECT_EQ(text_of(model->now), "31");
  EXPECT_EQ(model->code->pc, GuestVirt{0x1003});
  EXPECT_THAT(model->message, HasSubstr("last written here by loop+0x3: 0xa -> 0xb"));
}

TEST_F(UiWorker, ContinueStopsAtABreakpointThatASymbolNames) {
  after("break handler");
  const auto model = after("continue");

  EXPECT_EQ(model->code->pc, GuestVirt{FakeSession::kHandler});
  ASSERT_EQ(model->breakpoints->size(), 1U);
  EXPECT_EQ(model->breakpoints->front().text, "handler+0x0");
}

TEST_F(UiWorker, ABreakpointSetTwiceIsGone) {
  after("break handler");
  const auto model = after("break handler");

  EXPECT_TRUE(model->breakpoints->empty());
  EXPECT_EQ(session.condition_count(), 0U);
}

TEST_F(UiWorker, WhatCannotBeUnderstoodIsSaidAndMovesNothing) {
  after("seek 30");
  EXPECT_THAT(after("break nowhere")->message, HasSubstr("\"nowhere\": an address"));
  EXPECT_THAT(after("fly")->message, HasSubstr("no such command: fly"));
  const auto model = after("seek everywhere");

  EXPECT_TRUE(model->failed);
  EXPECT_EQ(text_of(model->now), "30");
}

TEST_F(UiWorker, WhoSharesTheSessionMovesTheCursorThatTheWindowShows) {
  settled();
  const auto shared = share_session(worker, "gdb");
  const auto stop = shared->seek({Icount{31}, 0});

  ASSERT_TRUE(stop);
  EXPECT_EQ(shared->pc(), GuestVirt{0x1003});
  EXPECT_EQ(shared->registers(), worker.model()->registers->now);
  EXPECT_EQ(text_of(worker.model()->now), "31");
  EXPECT_EQ(worker.model()->message, "moved by gdb");
  EXPECT_EQ(text_of(after("step")->now), "32");
  EXPECT_EQ(shared->now().icount.value, 32U);
}

TEST_F(UiWorker, WhoSharesTheSessionSetsMarksAndStopsThatTheWindowMeets) {
  const auto shared = share_session(worker, "gdb");
  ASSERT_TRUE(shared->set_mark("gdb", "from outside"));
  session::Condition stop;
  stop.breakpoint = replay::timeline::Breakpoint{GuestVirt{FakeSession::kHandler}};
  const int id = shared->add(stop);

  EXPECT_EQ(worker.model()->marks->front().note, "from outside");
  EXPECT_EQ(after("continue")->code->pc, GuestVirt{FakeSession::kHandler});
  shared->remove(id);
  EXPECT_EQ(session.condition_count(), 0U);
}

TEST_F(UiWorker, BeginAndEndOfHistoryAreSaid) {
  EXPECT_THAT(after("reverse-continue")->message, HasSubstr("begin of history"));
  EXPECT_THAT(after("continue")->message, HasSubstr("end of history: the guest switched itself off"));
}

TEST_F(UiWorker, MarksComeAndGoWithTheirNotes) {
  after("seek 30");
  auto model = after("mark here what I saw");
  ASSERT_EQ(model->marks->size(), 1U);
  EXPECT_EQ(model->marks->front().note, "what I saw");

  model = after("unmark here");
  EXPECT_TRUE(model->marks->empty());
}

TEST_F(UiWorker, EverythingThatHappenedIsGatheredInTheBackground) {
  const auto model = settled();

  EXPECT_EQ(model->activity->gathered_to(), session.last());
  EXPECT_EQ(model->console->text(), "abcd");
}

TEST_F(UiWorker, ThePathAroundTheCursorIsCounted) {
  after("seek 30");
  const auto model = settled();

  ASSERT_TRUE(model->path);
  const auto line = model->path->code->line_at(GuestVirt{FakeSession::kCode});
  ASSERT_TRUE(line);
  EXPECT_EQ(model->path->before[*line], 10U);
  EXPECT_GT(model->path->after[*line], 100U);
}

TEST_F(UiWorker, OnlyPanelsThatAreShownAreWorkedOut) {
  EXPECT_FALSE(settled()->tasks);
  after("show tasks");

  EXPECT_EQ(settled()->tasks->all.size(), 2U);
}

TEST(UiWorkerAlone, ALongRunOfWhoSharesTheSessionIsCancelled) {
  FakeSession session({.endless = true});
  EngineWorker worker(session);
  const auto shared = share_session(worker, "gdb");
  std::optional<session::StopKind> kind;
  std::thread other([&] { kind = shared->run(session::Direction::forward)->kind; });
  EXPECT_TRUE(wait_until([&] { return worker.status().doing == "gdb"; }));
  while (!worker.idle()) {
    shared->interrupt();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  other.join();

  EXPECT_EQ(kind, session::StopKind::interrupted);
}

TEST(UiWorkerAlone, ALongRunIsCancelled) {
  FakeSession session(FakeSession::Options{.endless = true});
  EngineWorker worker(session);
  ASSERT_TRUE(wait_until([&] { return worker.idle(); }));
  worker.post("continue");
  ASSERT_TRUE(wait_until([&] { return worker.status().progress == 0.5; }));
  EXPECT_TRUE(wait_until([&] {
    worker.cancel();
    return worker.idle();
  }));
}

TEST(UiWorkerAlone, ClosingEndsAMoveThatWasJustAboutToBegin) {
  FakeSession session({.endless = true, .deaf = std::chrono::milliseconds(50)});
  EngineWorker worker(session);
  worker.post("continue");
  ASSERT_TRUE(wait_until([&] { return worker.status().progress == 0.5; }));
  // It ends here, or never.
}

TEST(UiWorkerAlone, AnotherMoveEndsALongOneAndHappens) {
  FakeSession session(FakeSession::Options{.endless = true});
  EngineWorker worker(session);
  ASSERT_TRUE(wait_until([&] { return worker.idle(); }));
  worker.post("continue");
  ASSERT_TRUE(wait_until([&] { return worker.status().progress == 0.5 && worker.status().seconds > 0.4; }));
  worker.post("seek 30");

  EXPECT_TRUE(wait_until([&] {
    worker.insist();
    return worker.idle();
  }));
  EXPECT_EQ(text_of(worker.model()->now), "30");
}

TEST(UiWorkerAlone, CancellingForgetsWhatWaits) {
  FakeSession session(FakeSession::Options{.endless = true});
  EngineWorker worker(session);
  ASSERT_TRUE(wait_until([&] { return worker.idle(); }));
  worker.post("continue");
  ASSERT_TRUE(wait_until([&] { return worker.status().progress == 0.5; }));
  worker.post("continue");
  worker.post("mark here");
  EXPECT_EQ(worker.status().waiting, 2U);
  worker.cancel();

  EXPECT_TRUE(wait_until([&] {
    worker.insist();
    return worker.idle();
  }));
  EXPECT_TRUE(session.marks().empty());
  EXPECT_EQ(worker.model()->answered, worker.posted());
}

TEST(UiWorkerAlone, ADamagedTraceIsSaidAndTheWorkerLives) {
  FakeSession session(FakeSession::Options{.damage = "boot.trace: damaged"});
  EngineWorker worker(session);
  worker.post("step");
  ASSERT_TRUE(wait_until([&] { return worker.idle(); }));

  EXPECT_TRUE(worker.model()->failed);
  EXPECT_EQ(worker.model()->message, "boot.trace: damaged");
}

}  // namespace
}  // namespace hindsight::debugger::ui
