// Walking along a recorded boot of the stock kernel, in both directions.
#include "replay/timeline/timeline.h"

#include <capnp/message.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <bitset>
#include <map>
#include <random>
#include <thread>

#include "debugger/cli/machine_builder.h"
#include "replay/record/state_digest.h"
#include "replay/timeline/scan.h"
#include "replay/timeline/survey.h"
#include "tests/replay/guest_harness.h"
#include "traces/schema/cpu_x86.capnp.h"

namespace hindsight::tests {
namespace {

namespace timeline = replay::timeline;
using engine::port::Position;
using timeline::Arrival;
using timeline::Condition;
using timeline::Hit;
using timeline::Timeline;

constexpr Position at(std::uint64_t icount, std::uint32_t delivery = 0) { return {Icount{icount}, delivery}; }

timeline::MachineFactory machines(const std::string& engine) {
  return [engine](traces::store::TraceReader& trace, replay::play::Player& player,
                  timeline::Contents contents) -> Result<std::unique_ptr<timeline::ReplayMachine>> {
    auto built = debugger::cli::build_replay_machine(trace, engine, player, contents);
    if (!built) return built.failure();
    return std::unique_ptr<timeline::ReplayMachine>(std::move(*built));
  };
}

std::bitset<256> all_vectors() { return std::bitset<256>().set(); }

/// A timeline, and hashes of everything at its cursor: each part and RAM.
struct Line {
  std::unique_ptr<Timeline> line;
  replay::record::StateDigester digester;
  explicit Line(std::unique_ptr<Timeline> opened) : line(std::move(opened)), digester(line->machine()) {}
  Timeline* operator->() const { return line.get(); }
  Timeline& operator*() const { return *line; }
};

std::string digest(Line& line) {
  const traces::store::Digest taken = line.digester.take(false, {});
  std::string text = std::to_string(taken.ram);
  for (const traces::store::PartDigest& part : taken.parts)
    text += " " + part.name + "=" + std::to_string(part.hash);
  return text;
}

class TimelineOfABoot : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    trace_ = path("boot.hst");
    const Outcome recorded = run(record("boot.hst", "", {"--stop-at", "400000000"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  }
  Line open(unsigned jobs = 1, const std::string& engine = "jit") {
    auto line =
        Timeline::open(trace_, machines(engine), {.ladder_bytes = std::uint64_t{1} << 30, .jobs = jobs});
    EXPECT_TRUE(line) << line.failure().message;
    return Line(std::move(*line));
  }
  static timeline::Move moved(Result<timeline::Move> move) {
    EXPECT_TRUE(move) << move.failure().message;
    return move ? *move : timeline::Move{};
  }
  std::string trace_;
};

TEST_F(TimelineOfABoot, SeekingGivesTheSameStateFromEverywhere) {
  auto line = open();
  auto straight = open();
  std::mt19937_64 random(7);
  std::vector<Position> targets(8);
  for (Position& target : targets) target = at(random() % 400'000'000);
  for (const Position target : targets) moved(line->seek(target));
  std::sort(targets.begin(), targets.end());
  for (const Position target : targets) {
    ASSERT_EQ(moved(line->seek(target)).arrival, Arrival::reached);
    ASSERT_EQ(line->now(), target);
    ASSERT_EQ(moved(straight->run_forward({}, target)).arrival, Arrival::reached);
    EXPECT_EQ(digest(line), digest(straight)) << target.icount.value;
  }
}

TEST_F(TimelineOfABoot, ARandomWalkComesBackToTheSameStates) {
  auto line = open();
  std::mt19937_64 random(11);
  std::map<Position, std::string> seen;
  ASSERT_EQ(moved(line->seek(at(390'000'000))).arrival, Arrival::reached);
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t count = 1 + random() % (i % 3 == 0 ? 100'000 : 3);
    moved(random() % 2 == 0 ? line->step_backward(count) : line->step_forward(count));
    const auto [known, is_new] = seen.try_emplace(line->now(), digest(line));
    if (!is_new) {
      EXPECT_EQ(known->second, digest(line));
    }
  }
  for (const auto& [where, state] : seen) {
    moved(line->seek(where));
    ASSERT_EQ(line->now(), where);
    EXPECT_EQ(digest(line), state) << where.icount.value << "+" << where.delivery;
  }
}

TEST_F(TimelineOfABoot, StepsBackUndoStepsForward) {
  auto line = open();
  moved(line->seek(at(300'000'000)));
  std::vector<std::pair<Position, std::string>> way;
  for (int i = 0; i < 30; ++i) {
    way.emplace_back(line->now(), digest(line));
    moved(line->step_forward(1));
  }
  for (auto step = way.rbegin(); step != way.rend(); ++step) {
    moved(line->step_backward(1));
    EXPECT_EQ(line->now(), step->first);
    EXPECT_EQ(digest(line), step->second);
  }
}

TEST_F(TimelineOfABoot, AKeptSnapshotIsWhereTheNextSessionStarts) {
  std::string state;
  {
    auto line = open();
    moved(line->seek(at(123'456'789)));
    const Status kept = line->keep_snapshot();
    ASSERT_TRUE(kept) << kept.failure().message;
    state = digest(line);
  }
  auto line = open();
  ASSERT_THAT(line->ladder().stored_positions(), testing::Contains(at(123'456'789)));
  moved(line->seek(at(123'456'789)));
  EXPECT_EQ(digest(line), state);
  // It came from the trace: nothing was left on the way from power-on.
  EXPECT_FALSE(line->ladder().holds(at(20'000'000)));
}

TEST_F(TimelineOfABoot, ItsEndsAreReportedAsSuch) {
  auto line = open();
  EXPECT_EQ(moved(line->step_backward(1)).arrival, Arrival::begin);
  EXPECT_EQ(moved(line->run_backward({}, at(0))).arrival, Arrival::begin);
  EXPECT_EQ(moved(line->seek(at(~std::uint64_t{0}))).arrival, Arrival::end);
  EXPECT_EQ(line->now(), line->last());
  EXPECT_EQ(moved(line->step_forward(1)).arrival, Arrival::end);
  EXPECT_EQ(moved(line->run_forward({}, line->last())).arrival, Arrival::end);
}

/// All hits of a condition, found by running forward.
std::vector<Hit> forward_hits(Timeline& line, const std::vector<Condition>& conditions) {
  std::vector<Hit> hits;
  EXPECT_TRUE(line.seek(line.first()));
  while (true) {
    const auto move = line.run_forward(conditions, line.last());
    EXPECT_TRUE(move) << move.failure().message;
    if (!move || move->arrival != Arrival::hit) return hits;
    hits.push_back(*move->hit);
  }
}

traces::schema::CpuX86State::Reader cpu_of(Timeline& line, capnp::MallocMessageBuilder& message) {
  auto root = message.initRoot<traces::schema::CpuX86State>();
  line.machine().parts()[0]->save_state(capnp::toDynamic(root));
  return root.asReader();
}

TEST_F(TimelineOfABoot, BackwardHitsAreTheForwardHitsInReverse) {
  auto line = open(2);
  Condition interrupts;
  interrupts.id = 2;
  interrupts.delivery =
      timeline::DeliveryStop{.interrupts = true, .exceptions = false, .vectors = all_vectors()};
  const std::vector<Hit> forward = forward_hits(*line, {interrupts});
  ASSERT_GT(forward.size(), 3U);
  moved(line->seek(line->last()));
  for (auto expected = forward.rbegin(); expected != forward.rend(); ++expected) {
    const timeline::Move move = moved(line->run_backward({interrupts}, line->first()));
    ASSERT_EQ(move.arrival, Arrival::hit);
    EXPECT_EQ(move.hit->before, expected->before);
    EXPECT_EQ(line->now(), expected->before);
    ASSERT_TRUE(move.hit->delivery);
    EXPECT_EQ(move.hit->delivery->vector, expected->delivery->vector);
  }
  EXPECT_EQ(moved(line->run_backward({interrupts}, line->first())).arrival, Arrival::begin);
}

TEST_F(TimelineOfABoot, ABreakpointIsMetInBothDirectionsAtTheSamePlaces) {
  auto line = open(2);
  moved(line->seek(at(350'000'000)));
  Condition breakpoint;
  breakpoint.breakpoint = timeline::Breakpoint{line->machine().debug().pc()};
  std::vector<Position> forward{line->now()};
  while (moved(line->run_forward({breakpoint}, at(350'200'000))).arrival == Arrival::hit)
    forward.push_back(line->now());
  EXPECT_EQ(line->now(), at(350'200'000));
  std::vector<Position> backward;
  while (moved(line->run_backward({breakpoint}, at(350'000'000))).arrival == Arrival::hit) {
    EXPECT_EQ(line->machine().debug().pc(), breakpoint.breakpoint->address);
    backward.push_back(line->now());
  }
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(backward, forward);
}

/// The kernel is being decompressed: RDX is where it goes to, RCX where it comes from.
TEST_F(TimelineOfABoot, AWatchpointFindsEveryAccessOnBothEngines) {
  auto line = open(2);
  moved(line->seek(at(20'200'000)));
  capnp::MallocMessageBuilder message;
  const auto cpu = cpu_of(*line, message);
  const auto mapping = line->machine().debug().mapping(GuestVirt{cpu.getRdx()});
  ASSERT_TRUE(mapping);
  Condition physical, linear;
  physical.id = 1;
  physical.watchpoint = timeline::Watchpoint{
      {.physical = true, .first = mapping->page.value, .size = kPageSize, .read = true, .write = true}};
  linear.id = 2;
  linear.watchpoint = timeline::Watchpoint{
      {.physical = false, .first = cpu.getRcx() - 16, .size = 512, .read = true, .write = true}};
  const auto collect = [&](Timeline& over) {
    std::vector<std::string> all;
    const Status scanned = over.scan({physical, linear}, at(20'000'000), at(20'400'000), [&](const Hit& hit) {
      all.push_back(fmt::format("{}: {}+{} {:x} {}", hit.id, hit.before.icount.value, hit.before.delivery,
                                hit.access->physical.value, hit.access->after));
      return true;
    });
    EXPECT_TRUE(scanned) << scanned.failure().message;
    return all;
  };
  const auto found = collect(*line);
  EXPECT_GT(found.size(), 100U);
  auto other = open(1, "interp");
  EXPECT_EQ(found, collect(*other));
}

TEST_F(TimelineOfABoot, TheLastWriteBeforeAnInstantIsTheLastOfAllWrites) {
  auto line = open(2);
  moved(line->seek(at(350'200'000)));
  capnp::MallocMessageBuilder message;
  const auto mapping = line->machine().debug().mapping(GuestVirt{cpu_of(*line, message).getRsp()});
  ASSERT_TRUE(mapping);
  Condition write;
  write.watchpoint = timeline::Watchpoint{
      {.physical = true, .first = mapping->page.value + 64, .size = 8, .read = false, .write = true}};
  std::optional<Position> last;
  ASSERT_TRUE(line->scan({write}, line->first(), line->now(), [&](const Hit& hit) {
    last = hit.before;
    return true;
  }));
  const timeline::Move move = moved(line->run_backward({write}, line->first()));
  ASSERT_EQ(move.arrival == Arrival::hit, last.has_value());
  if (last) {
    EXPECT_EQ(line->now(), *last);
  }
}

TEST_F(TimelineOfABoot, ASearchThatLeavesStretchesOutFindsWhatAReplayOfAllFinds) {
  const Position from = at(40'000'000), to = at(220'000'000);
  auto line = open(2);
  moved(line->seek(from));
  moved(line->seek(to));  // leaves behind what each stretch touched
  std::vector<Condition> conditions;
  std::mt19937_64 random(5);
  for (int i = 0; i < 6; ++i) {
    moved(line->seek(at(from.icount.value + random() % (to.icount.value - from.icount.value))));
    Condition breakpoint, physical, linear;
    breakpoint.breakpoint = timeline::Breakpoint{line->machine().debug().pc()};
    conditions.push_back(breakpoint);
    capnp::MallocMessageBuilder message;
    const GuestVirt stack{cpu_of(*line, message).getRsp() - 8};
    linear.watchpoint = timeline::Watchpoint{{.physical = false, .first = stack.value, .size = 8}};
    if (i % 5 == 0) conditions.push_back(linear);
    const auto mapping = line->machine().debug().mapping(stack);
    ASSERT_TRUE(mapping);
    physical.watchpoint = timeline::Watchpoint{
        {.physical = true, .first = mapping->page.value + (stack.value & kPageMask), .size = 8}};
    if (i % 5 == 1) conditions.push_back(physical);
  }
  const auto collect = [&](Timeline& over, const std::vector<Condition>& wanted,
                           std::map<int, std::vector<Position>>& found) {
    const Status scanned = over.scan(wanted, from, to, [&](const Hit& hit) {
      found[hit.id].push_back(hit.before);
      return true;
    });
    EXPECT_TRUE(scanned) << scanned.failure().message;
  };
  // What it was told by the recording alone, and what the replay above left behind.
  for (Line& searched : std::array{open(2), std::move(line)}) {
    const auto footprints = searched->ladder().footprints(from, to);
    std::map<int, std::vector<Position>> found, expected;
    bool some_left_out = false;
    for (std::size_t i = 0; i < conditions.size(); ++i) {
      conditions[i].id = static_cast<int>(i);
      const auto left = timeline::worth_searching({from, to}, {conditions[i]}, footprints, {});
      some_left_out |= left.size() != 1 || left[0].from != from || left[0].to != to;
      collect(*searched, {conditions[i]}, found);
    }
    EXPECT_TRUE(some_left_out);
    auto fresh = open(1);
    std::vector<Condition> with_deliveries = conditions;  // for which nothing is left out
    with_deliveries.emplace_back().delivery = timeline::DeliveryStop{.interrupts = true};
    with_deliveries.back().id = -1;
    collect(*fresh, with_deliveries, expected);
    expected.erase(-1);
    EXPECT_EQ(expected.size(), conditions.size());
    EXPECT_EQ(found, expected);
  }
}

/// Interrupts from the middle of a search on, again and again as an impatient user does, until it goes out of
/// scope.
class Impatience final {
 public:
  explicit Impatience(Timeline& line)
      : thread_([this, &line] {
          while (!over_) {
            if (begun_) line.interrupt();
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  ~Impatience() {
    over_ = true;
    thread_.join();
  }
  Impatience(const Impatience&) = delete;
  Impatience& operator=(const Impatience&) = delete;
  /// The search is in its middle; any thread.
  void begin() { begun_ = true; }

 private:
  std::atomic<bool> begun_{false}, over_{false};
  std::thread thread_;
};

Condition every_interrupt() {
  Condition interrupts;
  interrupts.delivery =
      timeline::DeliveryStop{.interrupts = true, .exceptions = false, .vectors = all_vectors()};
  return interrupts;
}

constexpr int kMiddle = 20;  ///< hits or deliveries, of some fifty

TEST_F(TimelineOfABoot, AScanThatIsInterruptedMovesNothingAndAskedAgainFindsEverything) {
  const auto all = [](Timeline& line, const Condition& condition, std::vector<Position>& found) {
    return line.scan({condition}, line.first(), line.last(), [&](const Hit& hit) {
      found.push_back(hit.before);
      return true;
    });
  };
  auto line = open(2), other = open(1);
  moved(line->seek(at(350'000'123)));
  const std::string state = digest(line);
  std::vector<Position> some, found, expected;
  ASSERT_TRUE(all(*other, every_interrupt(), expected));
  ASSERT_GT(expected.size(), 2U * kMiddle);
  {
    std::atomic<int> seen = 0;
    Impatience impatience(*line);
    Condition counting = every_interrupt();
    counting.when = [&](engine::port::Machine&) {
      if (++seen == kMiddle) impatience.begin();
      return true;
    };
    const Status scanned = all(*line, counting, some);
    ASSERT_FALSE(scanned);
    EXPECT_EQ(scanned.failure().message, "interrupted");
    EXPECT_EQ(line->now(), at(350'000'123));
  }
  EXPECT_LT(some.size(), expected.size());
  EXPECT_EQ(digest(line), state);
  ASSERT_TRUE(all(*line, every_interrupt(), found));
  EXPECT_EQ(found, expected);
  EXPECT_EQ(digest(line), state);
}

TEST_F(TimelineOfABoot, ASearchForTheLastHitThatIsInterruptedMovesNothingAndAskedAgainFindsIt) {
  auto line = open(2);
  moved(line->seek(at(350'000'123)));
  const std::string state = digest(line);
  std::optional<Position> last;
  ASSERT_TRUE(line->scan({every_interrupt()}, line->first(), at(250'000'000), [&](const Hit& hit) {
    last = hit.before;
    return true;
  }));
  ASSERT_TRUE(last);
  for (const bool backward : {false, true}) {
    Impatience impatience(*line);
    Condition none = every_interrupt();
    none.when = [&](engine::port::Machine&) {
      impatience.begin();
      return false;
    };
    if (backward) {
      EXPECT_EQ(moved(line->run_backward({none}, line->first())).arrival, Arrival::interrupted);
    } else {
      const auto hit = line->last_hit({none}, line->first(), line->now());
      ASSERT_FALSE(hit);
      EXPECT_EQ(hit.failure().message, "interrupted");
    }
    EXPECT_EQ(line->now(), at(350'000'123));
  }
  EXPECT_EQ(digest(line), state);
  Condition early = every_interrupt();
  early.when = [](engine::port::Machine& machine) { return machine.now().icount < Icount{250'000'000}; };
  const auto hit = line->last_hit({early}, line->first(), line->now());
  ASSERT_TRUE(hit && *hit);
  EXPECT_EQ((*hit)->before, *last);
  EXPECT_EQ(digest(line), state);
}

/// Counts deliveries; `seen` counts those of all counters.
class Counter final : public timeline::Onlooker {
 public:
  Counter(std::atomic<int>& seen, Impatience* impatience) : seen_(seen), impatience_(impatience) {}
  void begin(engine::port::Machine&, Position) override {}
  void end(engine::port::Machine&) override {}
  bool delivery(const engine::port::Delivery&) override {
    ++count;
    if (++seen_ == kMiddle && impatience_ != nullptr) impatience_->begin();
    return false;
  }
  int count = 0;

 private:
  std::atomic<int>& seen_;
  Impatience* impatience_;
};

TEST_F(TimelineOfABoot, OnlookersThatAreInterruptedMoveNothingAndAskedAgainSeeEverything) {
  const auto count = [](Timeline& line, Impatience* impatience, int& counted) {
    std::atomic<int> seen = 0;
    engine::port::Interests interests;
    interests.deliveries = true;
    return line.observe(
        interests, line.first(), line.last(), [&] { return std::make_unique<Counter>(seen, impatience); },
        [&](timeline::Onlooker& onlooker) {
          counted += static_cast<Counter&>(onlooker).count;
          return true;
        });
  };
  auto line = open(2), other = open(1);
  moved(line->seek(at(350'000'123)));
  const std::string state = digest(line);
  int some = 0, found = 0, expected = 0;
  ASSERT_TRUE(count(*other, nullptr, expected));
  ASSERT_GT(expected, 2 * kMiddle);
  {
    Impatience impatience(*line);
    const Status observed = count(*line, &impatience, some);
    ASSERT_FALSE(observed);
    EXPECT_EQ(observed.failure().message, "interrupted");
    EXPECT_EQ(line->now(), at(350'000'123));
  }
  EXPECT_LT(some, expected);
  EXPECT_EQ(digest(line), state);
  ASSERT_TRUE(count(*line, nullptr, found));
  EXPECT_EQ(found, expected);
}

TEST_F(TimelineOfABoot, WatchingChangesNoDigest) {
  auto line = open(1);
  auto quiet = open(1);
  Condition everything, interrupts, devices, breakpoint;
  moved(line->seek(at(200'000'000)));
  breakpoint.breakpoint = timeline::Breakpoint{line->machine().debug().pc()};
  everything.watchpoint =
      timeline::Watchpoint{{.physical = true, .first = 0, .size = 0x100'0000, .read = true, .write = true}};
  interrupts.delivery =
      timeline::DeliveryStop{.interrupts = true, .exceptions = true, .vectors = all_vectors()};
  devices.device = timeline::DeviceStop{};
  std::uint64_t hits = 0;
  for (Condition* condition : {&everything, &interrupts, &devices, &breakpoint})
    condition->when = [&](engine::port::Machine&) { return ++hits, false; };
  moved(line->run_forward({everything, interrupts, devices, breakpoint}, at(202'000'000)));
  EXPECT_GT(hits, 1000U);
  moved(quiet->seek(at(202'000'000)));
  EXPECT_EQ(line->now(), quiet->now());
  EXPECT_EQ(digest(line), digest(quiet));
}

}  // namespace
}  // namespace hindsight::tests
