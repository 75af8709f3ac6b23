// Questions over all of history, asked while the machine is being recorded: answered at every stop as the
// finished trace answers them, without a trace of having been asked.
#include <gmock/gmock.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <thread>

#include "debugger/cli/look.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/recorded_machine.h"
#include "debugger/cli/recording.h"
#include "debugger/cli/replay_analyst.h"
#include "debugger/session/live_session.h"
#include "debugger/session/replay_session.h"
#include "replay/diff/trace_diff.h"
#include "traces/store/trace_reader.h"

namespace hindsight::tests {
namespace {

namespace cli = debugger::cli;
namespace session = debugger::session;
namespace store = traces::store;
using session::Position;
using testing::HasSubstr;

/// A word that the kernel counts in, and one that its timer's handler counts in.
constexpr const char* kCounter = "0x200000/8";
constexpr const char* kTicks = "0x200008/8";

store::Bytes contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// A machine that is being recorded, at its beginning, and a session over it.
class Recorded final {
 public:
  explicit Recorded(const std::string& trace) {
    auto host =
        cli::open_live_host({.disk = {}, .script = {}, .input = "/dev/null", .seed = 1, .on_quit = {}});
    if (!host) throw std::runtime_error(host.failure().message);
    host_ = std::move(*host);
    files_.kernel = contents_of(HINDSIGHT_KERNELS "/counter.elf");
    cli::RecordingPlan plan{.trace = trace, .config = {}, .files = &files_, .engine = "jit"};
    plan.config.kernel.name = "counter.elf";
    plan.config.ram_bytes = std::uint64_t{16} << 20;
    plan.config.cpu_model = cli::cpu_model();
    plan.config.cpu_features = cli::cpu_features();
    plan.config.time_rate = std::uint64_t{20} << 16;
    plan.config.digest_interval = plan.config.full_state_interval = 100'000;
    plan.config.build = "test";
    plan.config.seed = 1;
    plan.config.has_console = plan.config.has_entropy = true;
    plan.config.channels = {1, 2, 5, 6};
    plan.snapshot_every = 300'000;
    auto recording = cli::open_recording(std::move(plan), host_->source(), host_->sink());
    if (!recording) throw std::runtime_error(recording.failure().message);
    recording_ = std::move(*recording);
    machine_.emplace(*recording_, trace, "jit");
    session_ = session::make_live_session(*machine_);
  }
  session::LiveSession& session() { return *session_; }
  session::Analyst& analyst() { return machine_->analyst(); }
  /// As far as the machine goes.
  void run_to_end() {
    const auto stop = session_->run(session::Direction::forward);
    ASSERT_TRUE(stop) << stop.failure().message;
    ASSERT_TRUE(session_->ended());
  }

 private:
  std::unique_ptr<cli::LiveHost> host_;
  cli::BootFiles files_;
  std::unique_ptr<cli::LiveRecording> recording_;
  std::optional<cli::RecordedMachine> machine_;
  std::unique_ptr<session::LiveSession> session_;
};

class LiveHistory : public testing::Test {
 protected:
  LiveHistory() : folder_(testing::TempDir() + "hindsight_live_history_" + std::to_string(getpid())) {
    std::filesystem::create_directory(folder_);
  }
  ~LiveHistory() override { std::filesystem::remove_all(folder_); }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  const std::string folder_;
};

constexpr Position at(std::uint64_t icount) { return {Icount{icount}, 0}; }

session::Inquiry inquiry(const std::string& kind, const std::string& subject, Position from, Position to) {
  return {.kind = kind, .subject = subject, .at = to, .from = from, .to = to};
}

/// "123 write 1 -> 2", one line for each.
std::string text_of(const Result<session::Answers>& answers) {
  if (!answers) return "failed: " + answers.failure().message;
  std::string text;
  for (const session::Answer& answer : answers->all)
    text += std::to_string(answer.at.icount.value) + " " + answer.kind + " " + answer.text + " " +
            answer.where + "\n";
  return text;
}

std::string ask(session::Analyst& analyst, const session::Inquiry& asked) {
  return text_of(analyst.ask(asked));
}

TEST_F(LiveHistory, IsAnsweredAtEachStopAsTheFinishedTraceAnswersIt) {
  Recorded live(path("live.hst"));
  ASSERT_TRUE(live.session().seek(at(500'000)));
  const auto first = inquiry("last-write", kTicks, at(0), live.session().now());
  const std::string answer_first = ask(live.analyst(), first);
  ASSERT_TRUE(live.session().seek(at(900'000)));
  const auto second = inquiry("last-write", kTicks, at(0), live.session().now());
  const std::string answer_second = ask(live.analyst(), second);
  const auto changes = inquiry("changes", kCounter, at(899'000), live.session().now());
  const std::string answer_changes = ask(live.analyst(), changes);
  const auto profile = live.analyst().profile(at(0), live.session().now());
  live.run_to_end();

  EXPECT_THAT(answer_first, HasSubstr(" write "));
  EXPECT_NE(answer_first, answer_second);
  EXPECT_THAT(answer_changes, HasSubstr(" change "));
  ASSERT_TRUE(profile) << profile.failure().message;
  EXPECT_EQ(profile->instructions, 900'000U);
  const auto finished = cli::make_analyst(path("live.hst"), "jit", {});
  EXPECT_EQ(ask(*finished, first), answer_first);
  EXPECT_EQ(ask(*finished, second), answer_second);
  EXPECT_EQ(ask(*finished, changes), answer_changes);
  EXPECT_EQ(ask(live.analyst(), second), answer_second) << "at the machine's end";
}

TEST_F(LiveHistory, LeavesTheTraceAsItIsWithoutQuestions) {
  {
    Recorded asked(path("asked.hst"));
    for (const std::uint64_t stop : {400'000, 400'001, 777'777, 1'500'000}) {
      ASSERT_TRUE(asked.session().seek(at(stop)));
      EXPECT_THAT(ask(asked.analyst(), inquiry("last-write", kCounter, at(0), at(stop))),
                  HasSubstr(" write "));
      EXPECT_TRUE(asked.analyst().diff(at(1000), at(stop)));
    }
    asked.run_to_end();
    Recorded plain(path("plain.hst"));
    plain.run_to_end();
  }
  const auto a = store::TraceReader::open(path("asked.hst")), b = store::TraceReader::open(path("plain.hst"));
  ASSERT_TRUE(a && b);
  const auto difference = replay::diff::compare(**a, **b);
  ASSERT_TRUE(difference) << difference.failure().message;
  EXPECT_EQ(difference->relation, replay::diff::Relation::equal);
  EXPECT_GT(difference->digests, 15U);
  EXPECT_EQ((*a)->digest_count(), (*b)->digest_count());
  EXPECT_EQ((*a)->progress().at, (*b)->progress().at);
}

TEST_F(LiveHistory, AQuestionUnderWayDoesNotKeepTheMachineFromRunningOnAndCanBeAskedAgain) {
  Recorded live(path("live.hst"));
  ASSERT_TRUE(live.session().seek(at(1'500'000)));
  std::promise<void> under_way;
  std::atomic<bool> told = false;
  live.analyst().on_progress([&](double) {
    if (!told.exchange(true)) under_way.set_value();
  });
  auto asked = std::async(std::launch::async, [&] { return live.analyst().profile(at(0), at(1'500'000)); });
  under_way.get_future().wait();
  const auto moved = live.session().seek(at(1'600'000));
  const auto profile = asked.get();

  ASSERT_TRUE(moved) << moved.failure().message;
  EXPECT_EQ(live.session().now(), at(1'600'000));
  EXPECT_TRUE(profile || profile.failure().message == "interrupted") << profile.failure().message;
  live.analyst().on_progress({});
  const auto again = live.analyst().profile(at(0), at(1'600'000));
  ASSERT_TRUE(again) << again.failure().message;
  EXPECT_EQ(again->instructions, 1'600'000U);
}

TEST_F(LiveHistory, IsRefusedWhileTheMachineRuns) {
  Recorded live(path("live.hst"));
  std::string refused;
  session::Condition tick;
  tick.delivery.emplace().interrupts = true;
  live.session().add(tick, [&](const session::View&) {
    std::thread([&] {
      refused = ask(live.analyst(), inquiry("last-write", kTicks, at(0), at(1000)));
    }).join();
    return true;
  });
  const auto stop = live.session().run(session::Direction::forward);

  ASSERT_TRUE(stop) << stop.failure().message;
  EXPECT_EQ(stop->kind, session::StopKind::condition);
  EXPECT_EQ(refused, "failed: the machine runs: its history can be searched when it stands");
}

TEST_F(LiveHistory, AMarkThatIsSetBetweenTwoQuestionsIsInTheTraceAndBothAreAnswered) {
  Recorded live(path("live.hst"));
  ASSERT_TRUE(live.session().seek(at(500'000)));
  const auto asked = inquiry("last-write", kTicks, at(0), live.session().now());
  const std::string before = ask(live.analyst(), asked);
  ASSERT_TRUE(live.session().set_mark("here", "between two questions"));
  const std::string after = ask(live.analyst(), asked);
  live.run_to_end();

  EXPECT_THAT(before, HasSubstr(" write "));
  EXPECT_EQ(after, before);
  const auto trace = store::TraceReader::open(path("live.hst"));
  ASSERT_TRUE(trace);
  const auto marks = (*trace)->marks();
  ASSERT_TRUE(marks);
  ASSERT_EQ(marks->size(), 1U);
  EXPECT_EQ(marks->front().at.icount, Icount{500'000});
}

/// Registers and all devices' states.
std::string state_of(session::Session& line) {
  std::string text = std::to_string(line.time().value) + "\n";
  for (const session::RegisterValue& value : line.registers())
    text += std::to_string(value[0]) + " " + std::to_string(value[1]) + "\n";
  for (const session::StateField& field : line.state(""))
    text += field.part + " " + field.path + " " + field.value + "\n";
  return text;
}

TEST_F(LiveHistory, WhatEarlierLooksLeftLeadsToTheSameStatesAsTheFinishedTrace) {
  std::vector<std::pair<Position, std::string>> seen;
  {
    Recorded live(path("live.hst"));
    session::Session& line = live.session();
    for (const std::uint64_t stop : {250'000, 250'001, 500'000, 500'700, 1'000'003, 1'400'000}) {
      ASSERT_TRUE(line.seek(at(stop)));
      for (const session::Direction direction :
           {session::Direction::backward, session::Direction::backward, session::Direction::forward}) {
        ASSERT_TRUE(line.step(direction, stop / 3));
        seen.emplace_back(line.now(), state_of(line));
      }
      EXPECT_THAT(ask(live.analyst(), inquiry("last-write", kTicks, at(0), at(stop))), HasSubstr(" write "));
    }
    live.run_to_end();
  }
  const auto finished = session::open_replay(path("live.hst"), cli::machines("jit"), {}, {});
  ASSERT_TRUE(finished) << finished.failure().message;
  for (const auto& [position, state] : seen) {
    ASSERT_TRUE((*finished)->seek(position));
    EXPECT_EQ(state_of(**finished), state) << position.icount.value;
  }
}

TEST_F(LiveHistory, ALookAfterTheMachineRanOnBeginsAtASnapshotThatTheLastOneLeft) {
  Recorded live(path("live.hst"));
  session::Session& line = live.session();
  const auto looked = [&] {
    EXPECT_TRUE(line.step(session::Direction::backward, 1));
    std::vector<std::uint64_t> before;
    for (const session::SnapshotInfo& snapshot : line.snapshots()) before.push_back(snapshot.at.icount.value);
    return before;
  };
  ASSERT_TRUE(line.seek(at(1'000'000)));
  const auto first = looked();
  ASSERT_TRUE(line.seek(at(1'000'001)));

  EXPECT_THAT(first, testing::Contains(999'899));
  EXPECT_EQ(looked(), first);
}

/// Every question takes until it is interrupted.
class EndlessAnalyst final : public session::Analyst {
 public:
  explicit EndlessAnalyst(std::promise<void>& asked) : asked_(asked) {}
  Result<session::InstantsDifference> diff(Position, Position) override { return wait(); }
  Result<session::TracesDifference> diff_trace(const std::string&) override { return wait(); }
  Result<session::Answers> ask(const session::Inquiry&) override { return wait(); }
  Result<session::Profile> profile(Position, Position) override { return wait(); }
  void interrupt() override { interrupted_ = true; }
  void on_progress(std::function<void(double)>) override {}

 private:
  Error wait() {
    asked_.set_value();
    while (!interrupted_) std::this_thread::yield();
    return error("interrupted");
  }
  std::promise<void>& asked_;
  std::atomic<bool> interrupted_ = false;
};

TEST(PastAnalyst, HoldingItEndsTheQuestionUnderWayAndTheNextOneIsAskedOfAnother) {
  int opened = 0;
  std::promise<void> first, second;
  cli::PastAnalyst analyst([&]() -> Result<std::unique_ptr<session::Analyst>> {
    return std::unique_ptr<session::Analyst>(
        std::make_unique<EndlessAnalyst>(opened++ == 0 ? first : second));
  });
  auto asked = std::async(std::launch::async, [&] { return analyst.profile(at(0), at(1)); });
  first.get_future().wait();
  {
    const auto held = analyst.hold();
    EXPECT_EQ(asked.get().failure().message, "interrupted");
  }
  asked = std::async(std::launch::async, [&] { return analyst.profile(at(0), at(1)); });
  second.get_future().wait();
  analyst.interrupt();

  EXPECT_EQ(asked.get().failure().message, "interrupted");
  EXPECT_EQ(opened, 2);
}

TEST(PastAnalyst, WhatCannotBeOpenedIsSaid) {
  cli::PastAnalyst analyst(
      []() -> Result<std::unique_ptr<session::Analyst>> { return error("the disk is full"); });

  EXPECT_EQ(analyst.profile(at(0), at(1)).failure().message, "the disk is full");
}

}  // namespace
}  // namespace hindsight::tests
