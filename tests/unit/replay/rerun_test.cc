// Cues and the source that follows them, with traces of a few events and no machine.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "replay/rerun/rerun_source.h"
#include "traces/store/trace_writer.h"

namespace hindsight::tests {
namespace {

namespace store = traces::store;
using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;
using replay::rerun::Cue;
using replay::rerun::cue_text;
using replay::rerun::CueListener;
using replay::rerun::RerunSource;
using replay::rerun::TextCount;
using testing::ElementsAre;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }
store::Bytes payload(std::string_view text) { return {bytes(text).begin(), bytes(text).end()}; }
/// One instruction a nanosecond.
Instant at(std::uint64_t when) { return {Icount{when}, VirtualTime{when}}; }

class Nowhere final : public engine::port::OutputSink {
 public:
  void output(Instant, Channel, std::span<const std::byte>) override {}
};

TEST(CueText, IsTheLastLineOrItsLastSixteenBytes) {
  EXPECT_EQ(cue_text("boot\r\n/ # "), "/ # ");
  EXPECT_EQ(cue_text("one\r\ntwo\r\n\r\n"), "two\r\n\r\n");
  EXPECT_EQ(cue_text("[    1.234567] random: crng init done\n"), " crng init done\n");
  EXPECT_EQ(cue_text(""), "");
  EXPECT_EQ(cue_text("\n"), "\n");
}

TEST(TextCount, SeesATextThatComesInPiecesAndOverlaps) {
  TextCount count("aba");
  count.add(bytes("ab"));
  EXPECT_EQ(count.times(), 0U);
  count.add(bytes("aba"));
  EXPECT_EQ(count.times(), 2U);
  count.add(bytes("ba"));
  EXPECT_EQ(count.times(), 3U);
}

class Rerun : public testing::Test {
 protected:
  Rerun() : path_(testing::TempDir() + "hindsight_rerun_" + std::to_string(getpid()) + ".trace") {
    std::filesystem::remove(path_);
    writer_ = std::move(*store::TraceWriter::create(path_, {.sync = false}));
    EXPECT_TRUE(writer_->begin({}));
  }
  ~Rerun() override {
    writer_.reset();
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + "-lock");
  }

  void input(std::uint64_t when, Channel channel, std::string_view text) {
    writer_->append({store::EventKind::input,
                     {Icount{when}, VirtualTime{when}},
                     static_cast<std::uint16_t>(channel),
                     0,
                     static_cast<std::uint32_t>(text.size()),
                     payload(text),
                     {}});
  }
  void sample(std::uint64_t when, Channel channel, std::uint64_t argument, std::string_view text) {
    writer_->append({store::EventKind::sample,
                     {Icount{when}, VirtualTime{when}},
                     static_cast<std::uint16_t>(channel),
                     argument,
                     static_cast<std::uint32_t>(text.size()),
                     payload(text),
                     {}});
  }
  void finish(std::uint64_t when, store::EndReason reason = store::EndReason::power_off) {
    writer_->progress({Icount{when}, VirtualTime{when}});
    ASSERT_TRUE(writer_->finish({{Icount{when}, VirtualTime{when}}, reason}));
    trace_ = std::move(*store::TraceReader::open(path_));
    listener_.emplace(std::move(*CueListener::create(*trace_)));
  }
  void printed(std::uint64_t when, std::string_view text) {
    listener_->output(at(when), Channel::serial0, bytes(text));
  }
  /// The source of another life.
  RerunSource& rerun() {
    source_ = std::move(*RerunSource::create(*trace_, listener_->finish(), nowhere_));
    return *source_;
  }
  /// What comes at this Instant.
  std::vector<std::string> drained(std::uint64_t when) {
    std::vector<Input> inputs;
    source_->drain(at(when), inputs);
    std::vector<std::string> texts;
    for (const Input& one : inputs)
      texts.emplace_back(reinterpret_cast<const char*>(one.payload.data()), one.payload.size());
    return texts;
  }

  std::string path_;
  std::unique_ptr<store::TraceWriter> writer_;
  std::unique_ptr<store::TraceReader> trace_;
  std::optional<CueListener> listener_;
  Nowhere nowhere_;
  std::unique_ptr<RerunSource> source_;
};

TEST_F(Rerun, ATypedLineComesAsLongAfterItsPromptAsThen) {
  input(1000, Channel::serial0, "ls\n");
  finish(2000);
  printed(100, "boot\n");
  printed(700, "/ # ");
  RerunSource& source = rerun();
  source.output(at(5000), Channel::serial0, bytes("another boot\n/ "));
  EXPECT_TRUE(drained(5300).empty());
  source.output(at(5400), Channel::serial0, bytes("# "));
  EXPECT_EQ(source.idle(at(5500), VirtualTime{9000}), VirtualTime{5700});
  EXPECT_TRUE(drained(5699).empty());
  EXPECT_THAT(drained(5700), ElementsAre("ls\n"));
  EXPECT_EQ(source.strays().uncued_inputs, 0U);
}

TEST_F(Rerun, APromptThatWasShownTwiceIsWaitedForTwice) {
  input(1000, Channel::serial0, "x");
  finish(2000);
  printed(100, "# a\n# b\n# ");
  RerunSource& source = rerun();
  source.output(at(10), Channel::serial0, bytes("# a\n# "));
  EXPECT_TRUE(drained(1'000'000).empty());
  source.output(at(2'000'000), Channel::serial0, bytes("b\n# "));
  EXPECT_THAT(drained(2'000'900), ElementsAre("x"));
}

TEST_F(Rerun, AnInputWithNothingPrintedBeforeItFollowsTheOneBefore) {
  input(100, Channel::serial0, "a");
  input(130, Channel::serial0, "b");
  finish(200);
  rerun();
  EXPECT_THAT(drained(99), ElementsAre());
  EXPECT_THAT(drained(110), ElementsAre("a"));
  EXPECT_THAT(drained(139), ElementsAre());
  EXPECT_THAT(drained(140), ElementsAre("b"));
}

TEST_F(Rerun, AnInputWhoseCueNeverComesComesAfterSilenceOrPatience) {
  input(1000, Channel::serial0, "a");
  input(2000, Channel::serial0, "b");
  finish(3000);
  printed(900, "sum 12\n");
  printed(1900, "sum 34\n");
  RerunSource& source = rerun();
  source.output(at(900), Channel::serial0, bytes("sum 56\n"));
  EXPECT_TRUE(drained(900 + RerunSource::kSilence - 1).empty());
  EXPECT_THAT(drained(900 + RerunSource::kSilence), ElementsAre("a"));
  const std::uint64_t patient = 900 + RerunSource::kSilence + 1000 + RerunSource::kPatience;
  EXPECT_EQ(source.idle(at(900 + RerunSource::kSilence), VirtualTime::max()), VirtualTime{patient});
  EXPECT_TRUE(drained(patient - 1).empty());
  EXPECT_THAT(drained(patient), ElementsAre("b"));
  EXPECT_EQ(source.strays().uncued_inputs, 2U);
}

TEST_F(Rerun, AFrameComesWhenAsManyWereSentAsThen) {
  input(500, Channel::net0, "answer");
  finish(900);
  listener_->output(at(300), Channel::net0, bytes("question"));
  listener_->output(at(400), Channel::net0, bytes("question"));
  RerunSource& source = rerun();
  source.output(at(50), Channel::net0, bytes("question"));
  source.output(at(60), Channel::serial0, bytes("not of the network"));
  EXPECT_TRUE(drained(400).empty());
  source.output(at(1000), Channel::net0, bytes("question"));
  EXPECT_THAT(drained(1100), ElementsAre("answer"));
}

TEST_F(Rerun, EntropyIsOneStreamAndGoesOnFromASeed) {
  sample(1, Channel::entropy, 0, "abcd");
  sample(2, Channel::entropy, 0, "ef");
  finish(10);
  RerunSource& source = rerun();
  std::array<std::byte, 3> first{};
  source.sample(at(5), Channel::entropy, 0, first);
  EXPECT_EQ(payload("abc"), store::Bytes(first.begin(), first.end()));
  std::array<std::byte, 8> second{};
  source.sample(at(5), Channel::entropy, 0, second);
  EXPECT_EQ(payload("def"), store::Bytes(second.begin(), second.begin() + 3));
  EXPECT_NE(store::Bytes(second.begin() + 3, second.end()), store::Bytes(5));
  EXPECT_EQ(source.strays().entropy_bytes, 5U);
}

TEST_F(Rerun, SectorsReadAsTheRecordingReadThemAndOthersAsZeros) {
  sample(1, Channel::disk0, 7, std::string(512, 'a') + std::string(512, 'b'));
  finish(10);
  RerunSource& source = rerun();
  std::vector<std::byte> out(1024, std::byte{1});
  source.sample(at(5), Channel::disk0, 8, out);
  EXPECT_EQ(out[0], std::byte{'b'});
  EXPECT_EQ(out[511], std::byte{'b'});
  EXPECT_EQ(out[512], std::byte{0});
  EXPECT_EQ(source.strays().unread_sectors, 1U);
}

TEST_F(Rerun, ARecordingThatItsUserStoppedIsStoppedAsLongAfterTheLastInput) {
  input(100, Channel::serial0, "a");
  finish(150, store::EndReason::interrupted);
  RerunSource& source = rerun();
  bool stopped = false;
  source.on_end([&] { stopped = true; });
  EXPECT_THAT(drained(120), ElementsAre("a"));
  EXPECT_EQ(source.idle(at(121), VirtualTime{1000}), VirtualTime{170});
  EXPECT_FALSE(stopped);
  drained(170);
  EXPECT_TRUE(stopped);
}

TEST_F(Rerun, WithoutInputToComeAMachineThatWaitsForEverIsTold) {
  finish(150);
  EXPECT_EQ(rerun().idle(at(10), VirtualTime::max()), VirtualTime::max());
  EXPECT_EQ(source_->strays().left_inputs, 0U);
}

}  // namespace
}  // namespace hindsight::tests
