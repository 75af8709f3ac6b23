// The window's source and variables over a program that really runs; see tests/unit/source/sample.c.
#include <gmock/gmock.h>
#include <imgui.h>

#include <chrono>
#include <thread>

#include "debugger/source/source_view.h"
#include "debugger/ui/app.h"
#include "tests/support/program_session.h"
#include "tests/support/unseen_frames.h"

namespace hindsight::debugger::ui {
namespace {

using testing::HasSubstr;

class UiSource : public testing::Test {
 protected:
  UiSource() : sources(open()), worker(session, sources.get()) { after("show source variables"); }

  std::unique_ptr<session::Sources> open() {
    source::SourceFolders folders;
    add_source_folder(HINDSIGHT_SOURCE_ROOT, folders);
    auto opened = source::open_sources(session, {{kProgram, {}}}, folders);
    CHECK(opened, "{}", opened.failure().message);
    return std::move(*opened);
  }
  std::shared_ptr<const ViewModel> after(const std::string& command) {
    worker.post(command);
    for (int i = 0; i < 5000 && !(worker.idle() && worker.status().settled); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return worker.model();
  }
  static const VariableRow* find(const ViewModel& model, const std::string& name) {
    for (const VariableRow& row : model.source->variables)
      if (row.name == name) return &row;
    return nullptr;
  }

  const std::string kProgram = HINDSIGHT_SAMPLES "/sample_O1.elf";
  tests::support::ProgramSession session{kProgram};
  std::unique_ptr<session::Sources> sources;
  EngineWorker worker;
};

TEST_F(UiSource, ABreakpointAtALineStopsThereAndShowsItsText) {
  after("break sample.c:32");
  const auto model = after("continue");

  EXPECT_EQ(model->source->line(), 32U);
  EXPECT_EQ(model->source->frame().function, "sum");
  EXPECT_EQ(model->source->text->lines[31], "    sink = total;");
  ASSERT_FALSE(model->breakpoints->empty());
  EXPECT_EQ(model->breakpoints->front().text, "sample.c:32");
}

TEST_F(UiSource, ABreakpointAtALineSetTwiceIsGone) {
  after("break sample.c:32");
  const auto model = after("break tests/unit/source/sample.c:32");

  EXPECT_TRUE(model->breakpoints->empty());
  EXPECT_EQ(session.condition_count(), 0U);
}

TEST_F(UiSource, AVariableThatAStepChangedIsMarkedAndOthersAreNot) {
  after("break sample.c:32");
  after("continue");
  const auto model = after("continue");

  const VariableRow* total = find(*model, "total");
  ASSERT_NE(total, nullptr);
  EXPECT_EQ(total->value, "6");
  EXPECT_TRUE(total->changed);
  EXPECT_EQ(total->before, "2");
  EXPECT_FALSE(find(*model, "origin")->changed);
}

TEST_F(UiSource, LinesAreSteppedBothWays) {
  after("break sample.c:57");
  const auto begin = after("continue")->now;
  EXPECT_EQ(after("step-line")->source->line(), 58U);
  const auto back = after("back-line");

  EXPECT_EQ(back->source->line(), 57U);
  EXPECT_EQ(back->now, begin);
}

TEST_F(UiSource, ACallersFrameShowsItsVariablesUntilTheCursorMoves) {
  after("break sample.c:38");
  after("continue");
  auto model = after("frame 1");
  EXPECT_EQ(model->source->frame().function, "_start");
  EXPECT_NE(find(*model, "depth"), nullptr);
  EXPECT_EQ(find(*model, "letter"), nullptr);
  EXPECT_FALSE(model->code->follows);

  model = after("step");
  EXPECT_EQ(model->source->shown, 0U);
}

TEST_F(UiSource, AVariableInScopeStandsForItsAddressAndItsBytes) {
  after("break sample.c:38");
  after("continue");
  auto model = after("memory origin.y");
  EXPECT_EQ(static_cast<std::int8_t>(model->memory->bytes[0]), -4);
  model = after("memory shape->colour");
  EXPECT_EQ(model->memory->bytes[0], 6);

  model = after("watch origin");
  EXPECT_THAT(model->breakpoints->back().text, testing::StartsWith("8 bytes at "));
  model = after("watch origin.y");
  EXPECT_THAT(model->breakpoints->back().text, testing::StartsWith("4 bytes at "));
}

TEST_F(UiSource, WhatCannotBeUnderstoodIsSaid) {
  EXPECT_EQ(after("break gone.c:3")->message, "no debug information knows a file gone.c");
  EXPECT_THAT(after("frame 99")->message, HasSubstr("frame: a number below "));
  EXPECT_THAT(after("frame here")->message, HasSubstr("was expected, found \"here\""));
}

TEST_F(UiSource, WithoutSymbolsLinesAreRefusedInWords) {
  EngineWorker bare(session);
  bare.post("break sample.c:32");
  for (int i = 0; i < 5000 && !bare.idle(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));

  EXPECT_EQ(bare.model()->message, "no lines are known: no --symbols were given");
  EXPECT_FALSE(bare.model()->source);
}

TEST_F(UiSource, ThePanelsDrawTheTextAndTheVariables) {
  tests::UnseenFrames frames;
  App app(worker, "test");
  app.perform("layout (row 0.5 [source] [variables])");
  after("break sample.c:32");
  after("continue");
  for (int i = 0; i < 3; ++i) frames.draw(app);
  EXPECT_GT(ImGui::GetDrawData()->TotalVtxCount, 4000);
}

}  // namespace
}  // namespace hindsight::debugger::ui
