// Files that are no ELF files, without debug information, or damaged anywhere: refused in one line, or read
// as far as they make sense.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "debugger/source/source_view.h"
#include "tests/support/program_session.h"

namespace hindsight::debugger::source {
namespace {

using testing::HasSubstr;

const std::string kSample = HINDSIGHT_SAMPLES "/sample_O2.elf";

class DamagedFile : public testing::Test {
 protected:
  ~DamagedFile() override { std::filesystem::remove(path_); }

  std::string written(std::string_view bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return path_;
  }
  static std::string sample_bytes() {
    std::ifstream in(kSample, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string refusal(const std::string& path) {
    const auto opened = open_sources(session_, {{path, {}}}, {});
    return opened ? "" : opened.failure().message;
  }
  /// Asks for everything that there is to ask.
  void use(const std::string& path) {
    auto opened = open_sources(session_, {{path, {}}}, {});
    if (!opened) {
      EXPECT_THAT(opened.failure().message, HasSubstr(path));
      return;
    }
    session::Sources& sources = **opened;
    const std::size_t frames = sources.frames().size();
    for (std::size_t i = 0; i < frames; ++i) (void)sources.variables(i);
    (void)sources.addresses("sample.c:32");
    (void)sources.text("tests/unit/source/sample.c");
    (void)sources.step_line(session::Direction::forward);
    if (const auto back = session_.seek(here_); !back) FAIL() << back.failure().message;
  }

  const std::string path_ = testing::TempDir() + fmt::format("damaged.{}.elf", getpid());
  tests::support::ProgramSession session_{kSample};
  session::Position here_;
};

TEST_F(DamagedFile, ThatIsNotThereIsSaid) {
  EXPECT_EQ(refusal("/nowhere/a.out"), "/nowhere/a.out: No such file or directory");
}

TEST_F(DamagedFile, ThatIsNoElfFileIsSaid) {
  EXPECT_EQ(refusal(written("int main() {}\n")), path_ + ": an ELF file for x86-64 expected");
  EXPECT_EQ(refusal(written("")), path_ + ": an ELF file for x86-64 expected");
}

TEST_F(DamagedFile, WithoutDebugInformationIsSaid) {
  std::string bytes = sample_bytes();
  for (std::size_t at = 0; (at = bytes.find(".debug_", at)) != std::string::npos; ++at) bytes[at + 1] = 'x';
  EXPECT_THAT(refusal(written(bytes)), HasSubstr(": a file with debug information (DWARF) expected"));
}

TEST_F(DamagedFile, CutShortAnywhereDoesNoHarm) {
  const std::string bytes = sample_bytes();
  for (std::size_t size = 0; size < bytes.size(); size += 293) use(written(bytes.substr(0, size)));
}

TEST_F(DamagedFile, WithBytesChangedAnywhereDoesNoHarm) {
  const std::string whole = sample_bytes();
  // Where sample.c's line 32 runs every kind of question has an answer.
  {
    auto opened = open_sources(session_, {{kSample, {}}}, {});
    ASSERT_TRUE(opened);
    session::Condition condition;
    condition.breakpoint = replay::timeline::Breakpoint{(*opened)->addresses("sample.c:32")->front()};
    const int id = session_.add(condition);
    ASSERT_TRUE(session_.run(session::Direction::forward));
    session_.remove(id);
    here_ = session_.now();
  }
  std::mt19937 random(20);  // NOLINT: the same each time
  // HINDSIGHT_SOAK=1 tries many more.
  const int rounds = std::getenv("HINDSIGHT_SOAK") == nullptr ? 80 : 20000;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = whole;
    for (int i = 0; i < 1 + round % 12; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    use(written(bytes));
  }
}

}  // namespace
}  // namespace hindsight::debugger::source
