// Lines, inlined calls and variables of a program that really runs, at three levels of optimization.
#include "debugger/source/source_view.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/program_session.h"

namespace hindsight::debugger::source {
namespace {

using session::Direction;
using session::SourceFrame;
using session::SourcePlace;
using session::StopKind;
using session::Variable;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kFile = "tests/unit/source/sample.c";

std::string sample(const std::string& level) { return HINDSIGHT_SAMPLES "/sample_" + level + ".elf"; }

class SourceViewTest : public testing::TestWithParam<const char*> {
 protected:
  SourceViewTest() : session(sample(GetParam())) {
    SourceFolders folders;
    add_source_folder(HINDSIGHT_SOURCE_ROOT, folders);
    auto opened = open_sources(session, {{sample(GetParam()), {}}}, folders);
    CHECK(opened, "{}", opened.failure().message);
    sources = std::move(*opened);
  }

  /// To the next time that a line begins, as a user would.
  void go_to(unsigned line) {
    const auto found = sources->addresses(fmt::format("sample.c:{}", line));
    ASSERT_TRUE(found) << found.failure().message;
    std::vector<int> ids;
    for (const GuestVirt address : *found) {
      session::Condition condition;
      condition.breakpoint = replay::timeline::Breakpoint{address};
      ids.push_back(session.add(condition));
    }
    const auto stopped = session.run(Direction::forward);
    for (const int id : ids) session.remove(id);
    ASSERT_TRUE(stopped);
    ASSERT_EQ(stopped->kind, StopKind::condition) << "line " << line << " is never reached";
  }
  /// "sum:37 measure:44 …" of all frames.
  std::string stack() {
    std::string text;
    for (const SourceFrame& frame : sources->frames())
      text += fmt::format("{}{}:{}", text.empty() ? "" : " ", frame.function,
                          frame.place ? frame.place->line : 0);
    return text;
  }
  unsigned line() {
    const auto frames = sources->frames();
    return frames.front().place ? frames.front().place->line : 0;
  }
  std::optional<Variable> find(const std::string& name, std::size_t frame = 0) {
    static_cast<void>(sources->frames());  // which variables() goes by
    for (const Variable& variable : sources->variables(frame))
      if (variable.name == name) return variable;
    return std::nullopt;
  }
  std::string value(const std::string& name, std::size_t frame = 0) {
    const auto variable = find(name, frame);
    return variable ? variable->value : "none of that name";
  }

  tests::support::ProgramSession session;
  std::unique_ptr<session::Sources> sources;
};

INSTANTIATE_TEST_SUITE_P(Levels, SourceViewTest, testing::Values("O0", "O1", "O2", "dwarf2"),
                         [](const auto& level) { return std::string(level.param); });

TEST_P(SourceViewTest, NamesTheLineAndFunctionAndEveryCallerOfAnAddress) {
  go_to(39);

  const auto frames = sources->frames();
  EXPECT_EQ(frames[0].function, "measure");
  EXPECT_EQ(frames[0].place, (SourcePlace{kFile, 39}));
  EXPECT_EQ(frames[1].function, "_start");
  EXPECT_EQ(frames[1].place, (SourcePlace{kFile, 57}));
}

TEST_P(SourceViewTest, ShowsAnInlinedCallAsAFrameOfItsOwn) {
  go_to(31);
  // The optimizer lets instructions of both mingle.
  for (int i = 0; i < 12 && !sources->frames().front().inlined; ++i)
    ASSERT_TRUE(session.step(Direction::forward, 1));

  // DWARF 2 does not tell the line of an inlined call.
  const auto frames = sources->frames();
  EXPECT_THAT(stack(), testing::ContainsRegex("^twice:2[345] sum:(31|0) measure:38 _start:57"));
  EXPECT_EQ(frames[1].place.has_value(), std::string(GetParam()) != "dwarf2");
  EXPECT_TRUE(frames[0].inlined);
  EXPECT_FALSE(frames[1].inlined);
  EXPECT_EQ(frames[0].pc, frames[1].pc);
}

TEST_P(SourceViewTest, NamesCodeWithoutDebugInformationByItsSymbol) {
  go_to(59);
  for (int i = 0; i < 40 && sources->frames().front().function == "_start"; ++i)
    ASSERT_TRUE(session.step(Direction::forward, 1));

  ASSERT_TRUE(session.step(Direction::forward, 1));
  EXPECT_EQ(sources->frames().front().function, "bare+0x1");
}

TEST_P(SourceViewTest, TellsRecursiveCallsApart) {
  go_to(58);
  go_to(48);

  EXPECT_THAT(stack(), StartsWith("deep:48 deep:47 deep:47 _start:58"));
}

TEST_P(SourceViewTest, TellsParametersOfEveryKind) {
  go_to(38);

  EXPECT_THAT(value("letter"), HasSubstr("113 'q'"));
  EXPECT_EQ(value("small"), "-2");
  const auto shape = find("shape");
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->kind, Variable::Kind::parameter);
  EXPECT_EQ(shape->type, "struct shape *");
}

TEST_P(SourceViewTest, TellsAStructureFieldByField) {
  go_to(38);

  const auto shape = find("shape");
  ASSERT_TRUE(shape && shape->known);
  std::vector<std::string> fields;
  for (const Variable& field : shape->parts)
    fields.push_back(fmt::format("{} {} = {}", field.type, field.name, field.value));
  ASSERT_EQ(fields.size(), 7U);
  EXPECT_THAT(fields[0], testing::MatchesRegex("const char \\* name = 0x[0-9a-f]+ \"a sample\""));
  EXPECT_EQ(fields[1], "enum colour colour = BLUE (6)");
  EXPECT_EQ(fields[2], "struct point corner = {…}");
  EXPECT_EQ(fields[3], "unsigned int flag = 1");
  EXPECT_EQ(fields[4], "unsigned int rest = 77");
  EXPECT_EQ(fields[5], "short int [6] sides = {1, 2, 3, 4, …}");
  EXPECT_EQ(fields[6], fmt::format("struct shape * next = {}", shape->value));
}

TEST_P(SourceViewTest, KnowsWhereVariablesAndTheirFieldsLie) {
  go_to(38);

  const auto origin = find("origin"), shape = find("shape");
  ASSERT_TRUE(origin && origin->address && shape && shape->known);
  std::int32_t y = 0;
  ASSERT_EQ(session.read(*origin->parts[1].address, std::as_writable_bytes(std::span(&y, 1))), sizeof y);
  EXPECT_EQ(y, -4);
  EXPECT_EQ(origin->parts[1].size, sizeof y);
  std::int16_t side = 0;
  const Variable& sides = shape->parts[5];
  ASSERT_EQ(session.read(*sides.address + 2, std::as_writable_bytes(std::span(&side, 1))), sizeof side);
  EXPECT_EQ(side, 2);
}

TEST_P(SourceViewTest, ALineIsSteppedInTheFrameThatIsAskedFor) {
  go_to(48);  // in the innermost of three calls
  ASSERT_EQ(sources->frames()[3].function, "_start");
  ASSERT_TRUE(sources->step_line(Direction::forward, 3));

  EXPECT_THAT(stack(), StartsWith("_start:5"));
}

TEST_P(SourceViewTest, TellsWhatTheFileKeepsForItself) {
  go_to(38);

  const auto origin = find("origin");
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->kind, Variable::Kind::file);
  EXPECT_EQ(origin->value, "{x = 3, y = -4}");
  EXPECT_EQ(value("text"), "\"a sample\"");
  EXPECT_FALSE(find("stack_pointer"));  // a register by another name
}

TEST_P(SourceViewTest, FollowsALocalThroughALoop) {
  std::vector<std::string> totals;
  for (int i = 0; i < 3; ++i) {
    go_to(32);
    totals.push_back(value("total"));
  }

  EXPECT_THAT(totals, ElementsAre("2", "6", "12"));
}

TEST_P(SourceViewTest, TellsVariablesOfCallersFromTheRegistersThatCalleesSaved) {
  go_to(58);
  go_to(48);

  EXPECT_THAT(value("level", 0), testing::AnyOf("0", "optimized out"));  // its register may be free by now
  EXPECT_EQ(value("level", 1), "1");
  EXPECT_EQ(value("level", 2), "2");
}

TEST_P(SourceViewTest, ABreakpointLineWithoutCodeIsTheNextThatHasSome) {
  const auto between = sources->addresses("sample.c:36");
  const auto at_code = sources->addresses("unit/source/sample.c:37");

  ASSERT_TRUE(between && at_code);
  EXPECT_EQ(*between, *at_code);
}

TEST_P(SourceViewTest, WhatCannotBeBrokenAtIsSaid) {
  const auto message = [&](const char* text) {
    const auto found = sources->addresses(text);
    return found ? std::string("found") : found.failure().message;
  };
  EXPECT_EQ(message("sample.c:900"), "sample.c has no code at line 900 or after it");
  EXPECT_EQ(message("ample.c:3"), "no debug information knows a file ample.c");
  EXPECT_EQ(message("sample.c"), "FILE:LINE expected, found \"sample.c\"");
  EXPECT_EQ(message(""), "FILE:LINE expected, found \"\"");
}

TEST_P(SourceViewTest, TheTextIsFoundBelowAFolderAndKnowsItsStatements) {
  const auto text = sources->text(kFile);

  EXPECT_EQ(text->path, std::string(HINDSIGHT_SOURCE_ROOT) + "/" + kFile);
  ASSERT_GT(text->lines.size(), 60U);
  EXPECT_EQ(text->lines[37], "  u64 area = sum(shape->sides, 3);");
  const auto found = sources->addresses("sample.c:39");
  ASSERT_TRUE(found);
  EXPECT_THAT(text->statements, testing::Contains(std::pair(found->front(), 39U)));
}

TEST_P(SourceViewTest, ATextThatIsNowhereSaysWhatHelps) {
  EXPECT_EQ(sources->text("away/gone.c")->trouble,
            "away/gone.c: not found; --source-dir DIR or FROM=TO says where it is");
}

TEST_P(SourceViewTest, StepsFromLineToLineThroughCallsAndBack) {
  go_to(57);
  const auto begin = session.now();
  ASSERT_TRUE(sources->step_line(Direction::forward));
  EXPECT_EQ(line(), 58U);
  EXPECT_THAT(stack(), StartsWith("_start:58"));
  ASSERT_TRUE(sources->step_line(Direction::backward));
  EXPECT_EQ(line(), 57U);
  EXPECT_EQ(session.now(), begin);
  EXPECT_EQ(session.condition_count(), 0U);
}

TEST_P(SourceViewTest, ARecursiveCallIsRunThroughInItsOwnFrame) {
  go_to(47);
  const auto levels = sources->frames().size();
  ASSERT_TRUE(sources->step_line(Direction::forward));

  EXPECT_EQ(line(), 48U);
  EXPECT_EQ(sources->frames().size(), levels);
  EXPECT_EQ(value("below"), "2");
}

TEST_P(SourceViewTest, SteppingPastTheEndOfAFunctionArrivesInItsCaller) {
  go_to(40);
  for (int i = 0; i < 3 && sources->frames().front().function == "measure"; ++i)
    ASSERT_TRUE(sources->step_line(Direction::forward));

  EXPECT_EQ(sources->frames().front().function, "_start");
}

TEST_P(SourceViewTest, SteppingBackFromTheBeginOfAFunctionArrivesAtItsCall) {
  go_to(46);
  for (int i = 0; i < 3 && sources->frames().front().function == "deep"; ++i)
    ASSERT_TRUE(sources->step_line(Direction::backward));

  EXPECT_EQ(stack(), "_start:58");
}

TEST_P(SourceViewTest, ABreakpointOfTheUsersEndsAStepOverACall) {
  go_to(57);
  session::Condition condition;
  condition.breakpoint = replay::timeline::Breakpoint{sources->addresses("sample.c:32")->front()};
  const int id = session.add(condition);
  const auto stopped = sources->step_line(Direction::forward);

  ASSERT_TRUE(stopped);
  EXPECT_EQ(stopped->kind, StopKind::condition);
  EXPECT_EQ(stopped->hit->id, id);
  EXPECT_EQ(line(), 32U);
}

TEST_P(SourceViewTest, AFileLoadedElsewhereIsFoundThere) {
  auto moved = open_sources(session, {{sample(GetParam()), GuestVirt{0x40100000}}}, {});
  ASSERT_TRUE(moved);
  const auto there = (*moved)->addresses("sample.c:39"), here = sources->addresses("sample.c:39");

  ASSERT_TRUE(there && here);
  EXPECT_EQ(there->front(), here->front() + 0x40000000);
  EXPECT_FALSE((*moved)->frames().front().place);
}

TEST(SourceWithoutFrames, TellsTheLineAndWhyAVariableIsNotTold) {
  tests::support::ProgramSession session(sample("no_frames"));
  const auto sources = open_sources(session, {{sample("no_frames"), {}}}, {});
  ASSERT_TRUE(sources);
  const auto frames = (*sources)->frames();

  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames.front().function, "_start");
  const auto variables = (*sources)->variables(0);
  ASSERT_FALSE(variables.empty());
  EXPECT_EQ(variables.front().value, "without call-frame information its place is not known");
  EXPECT_FALSE(variables.front().known);
}

TEST(SymbolFile, IsAPathAndPerhapsAnAddress) {
  const auto plain = parse_symbol_file("vmlinux"), placed = parse_symbol_file("a@b.out@0x5000");
  ASSERT_TRUE(plain && placed);
  EXPECT_FALSE(plain->at);
  EXPECT_EQ(placed->path, "a@b.out");
  EXPECT_EQ(placed->at, GuestVirt{0x5000});
  EXPECT_EQ(parse_symbol_file("a.out@home").failure().message,
            "FILE or FILE@ADDRESS expected, found \"a.out@home\"");
}

// Two programs at the same addresses: which of them runs, its code in memory tells.

TEST(SourceOfTwoPrograms, LinesAreThoseOfTheOneThatRunsWhicheverIsNamedFirst) {
  for (const char* runs : {"O0", "O2"}) {
    tests::support::ProgramSession session(sample(runs));
    const auto sources = open_sources(session, {{sample("O0"), {}}, {sample("O2"), {}}}, {});
    const auto alone = open_sources(session, {{sample(runs), {}}}, {});
    ASSERT_TRUE(sources && alone);
    for (int i = 0; i < 200; ++i) {
      const auto found = (*sources)->frames(), expected = (*alone)->frames();
      ASSERT_EQ(found.size(), expected.size());
      EXPECT_EQ(found[0].function, expected[0].function);
      EXPECT_EQ(found[0].place, expected[0].place);
      ASSERT_TRUE(session.step(Direction::forward, 1));
    }
  }
}

TEST(SourceOfTwoPrograms, OneThatDoesNotRunGivesNoLinesAndSaysSo) {
  tests::support::ProgramSession session(sample("O0"));
  const auto sources = open_sources(session, {{sample("O2"), {}}}, {});
  ASSERT_TRUE(sources);

  EXPECT_FALSE((*sources)->frames().front().place);
  EXPECT_THAT((*sources)->troubles(),
              ElementsAre(HasSubstr("sample_O2.elf: not the program that runs here")));
}

TEST(SourceOfTwoPrograms, ABreakpointOnALineOfOneDoesNotStopTheOther) {
  tests::support::ProgramSession session(sample("O0"));
  const auto both = open_sources(session, {{sample("O0"), {}}, {sample("O2"), {}}}, {});
  const auto other = open_sources(session, {{sample("O2"), {}}}, {});
  ASSERT_TRUE(both && other);
  const auto stops = [&](session::Sources& sources) {
    std::vector<int> ids;
    session::Condition everywhere;
    // Where the program runs in any case: its first instruction's successor.
    everywhere.breakpoint = replay::timeline::Breakpoint{session.pc()};
    ids.push_back(session.add(everywhere, sources.when("sample.c:39")));
    EXPECT_TRUE(session.seek(session.last()));
    const auto stopped = session.run(Direction::backward);
    for (const int id : ids) session.remove(id);
    EXPECT_TRUE(session.seek(session.first()));
    return stopped && stopped->kind == StopKind::condition;
  };
  EXPECT_TRUE(stops(**both));
  EXPECT_FALSE(stops(**other));
}

}  // namespace
}  // namespace hindsight::debugger::source
