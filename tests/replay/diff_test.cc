// What differs between instants and recordings of the stock kernel, asked of the hindsight executable.
#include <gmock/gmock.h>

#include <charconv>

#include "debugger/cli/look.h"
#include "replay/record/state_digest.h"
#include "replay/timeline/timeline.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

using engine::port::Position;
using replay::timeline::Timeline;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Everything at a position, as hashes.
std::string digest_at(const std::string& trace, Position at) {
  auto line = Timeline::open(trace, debugger::cli::machines("jit"), {.ladder_bytes = 1 << 28, .jobs = 1});
  EXPECT_TRUE(line) << line.failure().message;
  const auto moved = (*line)->seek(at);
  EXPECT_TRUE(moved) << moved.failure().message;
  EXPECT_EQ((*line)->now(), at);
  const auto taken = replay::record::StateDigester((*line)->machine()).take(false, {});
  std::string text = std::to_string(taken.ram);
  for (const auto& part : taken.parts) text += " " + part.name + "=" + std::to_string(part.hash);
  return text;
}

/// The number behind `"name":` in the first line of `kind`.
std::uint64_t number_in(const std::string& json, const std::string& kind, const std::string& name) {
  const std::size_t line = json.find("{\"kind\":\"" + kind + "\"");
  const std::string key = "\"" + name + "\":";
  const std::size_t at = line == std::string::npos ? line : json.find(key, line);
  std::uint64_t number = ~std::uint64_t{0};
  if (at != std::string::npos) std::from_chars(&json[at + key.size()], json.data() + json.size(), number);
  return number;
}

class GuestDiff : public GuestTest {
 protected:
  Outcome recorded(const std::string& name, const std::string& append, const std::string& seed,
                   const std::string& stop_at) {
    Outcome outcome = run(record(name, append, {"--seed", seed, "--stop-at", stop_at}));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return outcome;
  }
};

TEST_F(GuestDiff, RecordingsOfOneSeedAreEqualAndOfTwoPartWhereTheirEntropyDoes) {
  const std::string append = "quiet hs.modules=1 hs.mode=poweroff", until = "1750000000";
  recorded("one.hst", append, "1", until);
  recorded("same.hst", append, "1", until);
  recorded("two.hst", append, "2", until);
  const std::string one = path("one.hst"), two = path("two.hst");
  const Outcome equal = hindsight({"diff", one, path("same.hst")});
  EXPECT_EQ(equal.code, 0);
  EXPECT_THAT(equal.text, StartsWith("equal: "));

  const Outcome parted = hindsight({"diff", one, two});
  EXPECT_EQ(parted.code, 1);
  EXPECT_THAT(parted.text,
              AllOf(HasSubstr("they agree in everything up to icount "), HasSubstr("mov word ptr"),
                    HasSubstr("  iowrite16+"), HasSubstr("sample entropy 64 bytes"),
                    HasSubstr("memory: 1 of 131,072 pages differ, 64 bytes")));

  const Outcome json = hindsight({"diff", "--json", one, two});
  EXPECT_EQ(json.code, 1);
  const Position at{Icount{number_in(json.text, "parting", "icount")},
                    static_cast<std::uint32_t>(number_in(json.text, "parting", "delivery"))};
  const Position next{Icount{number_in(json.text, "step", "icount")},
                      static_cast<std::uint32_t>(number_in(json.text, "step", "delivery"))};
  ASSERT_LT(at, next) << json.text;
  EXPECT_EQ(digest_at(one, at), digest_at(two, at));
  EXPECT_NE(digest_at(one, next), digest_at(two, next));
}

TEST_F(GuestDiff, OfTwoInstantsNamesRegistersDeviceFieldsAndVariables) {
  recorded("boot.hst", "quiet", "1", "302000000");
  const std::string trace = path("boot.hst");
  const Outcome diff = hindsight({"diff", trace + "@300000000", "@end"});
  EXPECT_EQ(diff.code, 1);
  EXPECT_THAT(diff.text,
              AllOf(HasSubstr("virtual time 0.300000000 s"), HasSubstr("\ncpu0\n  "),
                    ContainsRegex("\n  rip +0x[0-9a-f]+ +0x[0-9a-f]+\n"),
                    ContainsRegex("\nlapic0\n  tscDeadline +0x[0-9a-f]+ +0x[0-9a-f]+\n"),
                    ContainsRegex("\n  icount +0x11e1a300 +0x12002780\n"),
                    ContainsRegex("  [0-9a-f]{9}  ffffffff[0-9a-f]{8}  [0-9a-f]+ +[0-9a-f]+ +jiffies\n")));
  const Outcome json = hindsight({"diff", "--json", trace + "@300000000", trace + "@end"});
  EXPECT_THAT(json.text, HasSubstr("{\"kind\":\"field\",\"part\":\"timeline\",\"field\":\"icount\","
                                   "\"a\":\"0x11e1a300\",\"b\":\"0x12002780\"}\n"));
  const Outcome same = hindsight({"diff", trace + "@5", "@5"});
  EXPECT_EQ(same.code, 0);
  EXPECT_THAT(same.text, HasSubstr("nothing differs"));
}

TEST_F(GuestDiff, OfARecordingStoppedEarlierSaysThatItIsAPrefix) {
  recorded("long.hst", "quiet", "1", "20000000");
  recorded("short.hst", "quiet", "1", "10000000");
  const Outcome diff = hindsight({"diff", path("long.hst"), path("short.hst")});
  EXPECT_EQ(diff.code, 1);
  EXPECT_THAT(diff.text, AllOf(StartsWith("b is a prefix of a: "), HasSubstr("b ends at icount 10000000")));
}

TEST_F(GuestDiff, SaysWhatIsWrongWithWhatItWasGiven) {
  recorded("a.hst", "quiet", "1", "1000000");
  recorded("b.hst", "debug", "1", "1000000");
  const std::string a = path("a.hst"), b = path("b.hst");
  const auto expect = [](std::vector<std::string> words, int code, const std::string& text) {
    words.insert(words.begin(), "diff");
    const Outcome outcome = hindsight(words);
    EXPECT_EQ(outcome.code, code) << outcome.text;
    EXPECT_THAT(outcome.text, HasSubstr(text));
  };
  expect({a, b}, 1, "the traces are of different machines:\n  command line\n");
  expect({a + "@5", b}, 2, "positions for both or for none expected");
  expect({a + "@x", "@5"}, 2, "a position expected");
  expect({a + "@5", "@2000000"}, 2, "position 2000000 is beyond the end, at icount 1000000");
  expect({"@5", "@6"}, 2, "TRACE or TRACE@POSITION expected, found @5");
  expect({a, path("none.hst")}, 3, "none.hst: cannot open");
  write("bad.hst", "no trace");
  expect({a + "@5", path("bad.hst") + "@5"}, 3, "bad.hst");
}

}  // namespace
}  // namespace hindsight::tests
