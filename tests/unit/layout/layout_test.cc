#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/unit/layout/layout_rules.h"

namespace hindsight::tests::layout {

void PrintTo(const Violation& v, std::ostream* out) { *out << v.file << ":" << v.line << ": " << v.what; }

namespace {

namespace fs = std::filesystem;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

auto breaks(const std::string& what) {
  return testing::ElementsAre(Field(&Violation::what, HasSubstr(what)));
}

TEST(Layout, TheTreeKeepsItsRules) {
  ASSERT_GT(count_sources(HINDSIGHT_ROOT), 10U) << "the tree was not found";
  EXPECT_THAT(check_tree(HINDSIGHT_ROOT), IsEmpty());
}

TEST(Layout, EverySourceOfChanceNamesTestsThatThereAre) {
  EXPECT_THAT(check_sources_of_chance(HINDSIGHT_ROOT), IsEmpty());
}

TEST(Layout, ASourceOfChanceWithoutATestIsFound) {
  const fs::path root = fs::path(testing::TempDir()) / "layout_chance";
  fs::remove_all(root);
  fs::create_directories(root / "replay");
  fs::create_directories(root / "tests");
  std::ofstream(root / "tests/a_test.cc") << "TEST_F(Dice,\n       AreNotThrown) {}\n";
  std::ofstream(root / "replay/DETERMINISM.md")
      << "| source | label |\n|---|---|\n| dice | `Dice.AreNotThrown` |\n| wind | `Wind.IsStill` |\n| rain | "
         "|\n";

  EXPECT_THAT(check_sources_of_chance(root),
              testing::ElementsAre(Field(&Violation::what, "there is no test Wind.IsStill"),
                                   Field(&Violation::what, "names no test")));
  fs::remove_all(root);
}

TEST(Layout, APlantedIncludeOfADeviceInTheEngineIsFoundInATree) {
  const fs::path root = fs::path(testing::TempDir()) / "layout_planted";
  fs::remove_all(root);
  fs::create_directories(root / "engine/exec");
  std::ofstream(root / "engine/exec/run.cc") << "int a;\n#include \"devices/serial/uart16550.h\"\n";
  std::ofstream(root / "notes.txt") << "left here\n";

  EXPECT_THAT(check_tree(root),
              testing::ElementsAre(
                  Field(&Violation::file, "notes.txt"),
                  testing::AllOf(Field(&Violation::file, "engine/exec/run.cc"), Field(&Violation::line, 2))));
  fs::remove_all(root);
}

TEST(Layout, TwoSchemaFilesWithOneIdAreFoundInATree) {
  const fs::path root = fs::path(testing::TempDir()) / "layout_schemas";
  fs::remove_all(root);
  fs::create_directories(root / "traces/schema");
  std::ofstream(root / "traces/schema/a.capnp") << "@0xe11326b970f9a848;\n";
  std::ofstream(root / "traces/schema/b.capnp") << "@0xe11326b970f9a848;\n";

  EXPECT_THAT(check_tree(root), breaks("shares its id"));
  fs::remove_all(root);
}

TEST(Layout, GuestAndHostKnowNothingOfEachOther) {
  EXPECT_THAT(check_file("engine/guest/x86/a.cc", "#include \"engine/host/x64/emit.h\"\n"),
              breaks("may not include engine/host/x64/emit.h"));
  EXPECT_THAT(check_file("engine/host/x64/a.cc", "#include \"engine/guest/x86/cpu.h\"\n"),
              breaks("may not include engine/guest/x86/cpu.h"));
}

TEST(Layout, OneGuestKnowsNothingOfAnother) {
  EXPECT_THAT(check_file("engine/guest/x86/a.cc", "#include \"engine/guest/aarch64/cpu.h\"\n"),
              breaks("may not include"));
}

TEST(Layout, ExecJoinsGuestHostAndInterpreter) {
  EXPECT_THAT(check_file("engine/exec/a.cc",
                         "#include \"engine/guest/x86/cpu.h\"\n#include \"engine/host/x64/emit.h\"\n"
                         "#include \"engine/interp/interp.h\"\n"),
              IsEmpty());
}

TEST(Layout, BaseIncludesNoOtherRoom) {
  EXPECT_THAT(check_file("engine/base/a.cc", "#include \"engine/port/io.h\"\n"), breaks("may not include"));
}

TEST(Layout, ReplayIncludesNoDevice) {
  EXPECT_THAT(check_file("replay/record/a.cc", "#include \"devices/core/bus.h\"\n"),
              breaks("may not include"));
}

TEST(Layout, ADeviceIncludesBaseAndPortButNotTheTranslator) {
  EXPECT_THAT(check_file("devices/serial/a.cc", "#include \"engine/port/io.h\"\n"), IsEmpty());
  EXPECT_THAT(check_file("devices/serial/a.cc", "#include \"engine/exec/machine.h\"\n"),
              breaks("may not include"));
}

TEST(Layout, AngleBracketsDoNotHideAnInclude) {
  EXPECT_THAT(check_file("traces/store/a.cc", "  #  include <devices/core/bus.h>\n"),
              breaks("may not include"));
}

TEST(Layout, TheUserInterfaceSeesOnlyTheSession) {
  EXPECT_THAT(check_file("debugger/ui/a.cc", "#include \"debugger/session/session.h\"\n"), IsEmpty());
  EXPECT_THAT(check_file("debugger/ui/a.cc", "#include \"replay/play/player.h\"\n"),
              breaks("may not include"));
}

TEST(Layout, EveryoneMayIncludeTheGeneratedSchemaButNotTheStore) {
  EXPECT_THAT(check_file("devices/serial/a.cc", "#include \"traces/schema/platform.capnp.h\"\n"), IsEmpty());
  EXPECT_THAT(check_file("devices/serial/a.cc", "#include \"traces/store/store.h\"\n"),
              breaks("may not include"));
}

TEST(Layout, AnIncludeIsAPathFromTheRoot) {
  EXPECT_THAT(check_file("devices/serial/a.cc", "#include \"uart16550.h\"\n"),
              breaks("not a path from the root"));
  EXPECT_THAT(check_file("devices/serial/a.cc", "#include \"../core/bus.h\"\n"),
              breaks("not a path from the root"));
}

TEST(Layout, TheHostClockIsOnlyForTheHostEnd) {
  EXPECT_THAT(check_file("devices/timer/a.cc", "#include <chrono>\n"), breaks("NondetSource"));
  EXPECT_THAT(check_file("devices/hostio/a.cc", "#include <chrono>\n"), IsEmpty());
}

TEST(Layout, AFolderWithoutARuleIsRefused) {
  EXPECT_THAT(check_file("engine/attic/a.cc", "#include \"engine/base/types.h\"\n"),
              breaks("no row in the rules"));
}

TEST(Layout, AHeaderSaysWhatItIsForAndIsIncludedOnce) {
  EXPECT_THAT(check_file("engine/base/a.h", "// Purpose.\n#pragma once\n"), IsEmpty());
  EXPECT_THAT(check_file("engine/base/a.h", "#pragma once\n"), breaks("opens with what it is for"));
  EXPECT_THAT(check_file("engine/base/a.h", "// Purpose.\n"), breaks("#pragma once"));
}

TEST(Layout, AFileOfMoreThanNineHundredLinesIsRefusedUnlessItIsATable) {
  std::string long_text;
  for (int i = 0; i < 901; ++i) long_text += "int a;\n";
  EXPECT_THAT(check_file("engine/ir/a.cc", long_text), breaks("more than 900 lines"));
  EXPECT_THAT(check_file("engine/ir/decode_table.cc", long_text), IsEmpty());
}

TEST(Layout, AStrangerAtTheTopLevelIsRefused) {
  EXPECT_THAT(check_top_level({"engine", "dev", ".clang-tidy", "README.md"}), IsEmpty());
  EXPECT_THAT(check_top_level({"scripts"}), breaks("does not belong"));
}

}  // namespace
}  // namespace hindsight::tests::layout
