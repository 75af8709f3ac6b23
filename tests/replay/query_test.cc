// Questions over the first part of a stock kernel's boot, in the API and on the command line.
#include <capnp/compat/json.h>
#include <capnp/message.h>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "debugger/cli/machine_builder.h"
#include "debugger/query/profile.h"
#include "debugger/query/queries.h"
#include "tests/replay/guest_harness.h"

namespace hindsight::tests {
namespace {

namespace query = debugger::query;
namespace timeline = replay::timeline;
using query::Position;
using testing::HasSubstr;
using timeline::Timeline;

constexpr Position at(std::uint64_t icount, std::uint32_t delivery = 0) { return {Icount{icount}, delivery}; }

Result<std::unique_ptr<timeline::ReplayMachine>> build(traces::store::TraceReader& trace,
                                                       replay::play::Player& player,
                                                       timeline::Contents contents) {
  auto built = debugger::cli::build_replay_machine(trace, "jit", player, contents);
  if (!built) return built.failure();
  return std::unique_ptr<timeline::ReplayMachine>(std::move(*built));
}

/// How many lines there are, but for those to standard error; each must be one JSON object.
std::size_t json_objects(const std::string& text) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("hindsight: ")) continue;
    ++count;
    capnp::MallocMessageBuilder message;
    auto value = message.initRoot<capnp::JsonValue>();
    EXPECT_NO_THROW(capnp::JsonCodec().decodeRaw(kj::arrayPtr(line.data(), line.size()), value)) << line;
    EXPECT_TRUE(value.isObject()) << line;
  }
  return count;
}

class QueriesOfABoot : public GuestTest {
 protected:
  static constexpr std::uint64_t kEnd = 230'000'000;

  void SetUp() override {
    GuestTest::SetUp();
    if (IsSkipped()) return;
    trace_ = path("boot.hst");
    const Outcome recorded = run(record(
        "boot.hst", "", {"--stop-at", std::to_string(kEnd), "--seed", "1", "--snapshot-every", "30000000"}));
    ASSERT_EQ(recorded.code, 0) << recorded.text;
  }
  query::Queries& open() {
    auto line = Timeline::open(trace_, build, {.jobs = 2});
    EXPECT_TRUE(line) << line.failure().message;
    line_ = std::move(*line);
    auto queries = query::Queries::open(*line_, line_->last());
    EXPECT_TRUE(queries) << queries.failure().message;
    queries_ = std::make_unique<query::Queries>(std::move(*queries));
    EXPECT_NE(queries_->kernel(), nullptr);
    return *queries_;
  }
  static query::Target target(query::Queries& queries, const std::string& text) {
    auto found = queries.target(text);
    EXPECT_TRUE(found) << found.failure().message;
    return *found;
  }
  static std::vector<query::Call> calls(query::Queries& queries, const std::string& function,
                                        query::Stretch within, bool returns = false) {
    const auto functions = queries.functions(function);
    EXPECT_TRUE(functions) << functions.failure().message;
    auto found = queries.calls(*functions, within, 0, returns);
    EXPECT_TRUE(found) << found.failure().message;
    return std::move(found->all);
  }
  Outcome ask(std::vector<std::string> words) const {
    words.insert(words.begin(), {"query", trace_});
    return hindsight(std::move(words));
  }

  std::string trace_;
  std::unique_ptr<Timeline> line_;
  std::unique_ptr<query::Queries> queries_;
};

TEST_F(QueriesOfABoot, TheLastWriteIsTheLastOfAllWritesAndItsStackLeadsToTheKernelsStart) {
  query::Queries& queries = open();
  const query::Target jiffies = target(queries, "jiffies");
  const query::Stretch within{at(190'000'000), line_->last()};
  const auto writes = queries.writes(jiffies, within, 0);
  ASSERT_TRUE(writes) << writes.failure().message;
  ASSERT_GT(writes->all.size(), 2U);
  const auto last = queries.last_write(jiffies, within);
  ASSERT_TRUE(last) << last.failure().message;
  ASSERT_TRUE(*last);
  const engine::port::Access &found = (*last)->write.access, &expected = writes->all.back().access;
  EXPECT_EQ(found.at, expected.at);
  EXPECT_EQ(found.pc, expected.pc);
  EXPECT_EQ(found.after, expected.after);
  EXPECT_EQ(found.after, found.before + 1);
  EXPECT_THAT((*last)->write.name, HasSubstr("do_timer"));
  ASSERT_FALSE((*last)->stack.empty());
  EXPECT_EQ((*last)->stack.front().name, (*last)->write.name);
  EXPECT_TRUE(std::ranges::any_of((*last)->stack, [](const query::NamedFrame& frame) {
    return frame.name.starts_with("start_kernel+");
  }));
}

TEST_F(QueriesOfABoot, ChangesAreAChainOfValuesAndLeaveOutWritesOfTheSame) {
  query::Queries& queries = open();
  const query::Stretch within{at(215'000'000), line_->last()};
  const query::Target stack = target(queries, "init_thread_union+0x3e80/8");
  const auto changes = queries.changes(stack, within, 0);
  const auto writes = queries.writes(stack, within, 0);
  ASSERT_TRUE(changes && writes);
  ASSERT_GT(changes->all.size(), 2U);
  EXPECT_LT(changes->all.size(), writes->all.size());
  for (std::size_t i = 0; i < changes->all.size(); ++i) {
    const query::Change& change = changes->all[i];
    EXPECT_NE(change.before, change.after);
    if (i > 0) {
      EXPECT_EQ(change.before, changes->all[i - 1].after);
    }
  }
  const auto few = queries.changes(stack, within, 2);
  ASSERT_TRUE(few);
  EXPECT_EQ(few->all.size(), 2U);
  EXPECT_TRUE(few->more);
  EXPECT_EQ(few->all.back().access.at, changes->all[1].access.at);
}

TEST_F(QueriesOfABoot, TheKernelStartsOnceAndPrintsThroughItsConsole) {
  query::Queries& queries = open();
  const query::Stretch whole{line_->first(), line_->last()};
  const auto starts = calls(queries, "start_kernel", whole);
  ASSERT_EQ(starts.size(), 1U);
  EXPECT_THAT(starts.front().caller, HasSubstr("secondary_startup_64"));
  const auto prints = calls(queries, "vprintk_emit", {starts.front().at, at(125'000'000)}, true);
  ASSERT_GT(prints.size(), 4U);
  for (const query::Call& print : prints) {
    EXPECT_EQ(print.name, "vprintk_emit");
    ASSERT_TRUE(print.returned);
    EXPECT_GT(print.returned->at, print.at);
    EXPECT_LT(print.returned->value, 2048U) << "characters printed";
  }
  EXPECT_THAT(prints.front().caller, HasSubstr("_printk+"));
}

TEST_F(QueriesOfABoot, EventsAreInOrderAndTimerTicksStrikeTheKernel) {
  query::Queries& queries = open();
  const auto events = queries.events({}, {line_->first(), line_->last()}, 0);
  ASSERT_TRUE(events) << events.failure().message;
  EXPECT_TRUE(std::ranges::is_sorted(events->all, {}, &query::Event::at));
  const auto count = [&](auto&& matches) { return std::ranges::count_if(events->all, matches); };
  EXPECT_GT(count([](const query::Event& event) {
              return event.kind == query::Event::Kind::interrupt && !event.where.empty() &&
                     event.handler.starts_with("irq_entries_start");
            }),
            3);
  EXPECT_GT(count([](const query::Event& event) {
              return event.kind == query::Event::Kind::exception && event.delivery.vector == 14;
            }),
            3)
      << "page faults while the kernel unpacks itself";
  EXPECT_EQ(count([](const query::Event& event) { return event.kind == query::Event::Kind::sample; }), 1)
      << "the clock at power-on";
}

TEST_F(QueriesOfABoot, AProfileCountsEveryInstructionAndEveryCallHoweverItIsCut) {
  query::Queries& queries = open();
  const query::Stretch within{at(190'000'000), at(200'000'000)};
  const auto tree = query::profile(queries, within);
  ASSERT_TRUE(tree) << tree.failure().message;
  const std::vector<query::FunctionProfile> functions = query::by_function(*tree);
  std::uint64_t self = 0;
  for (const query::FunctionProfile& function : functions) self += function.self;
  EXPECT_EQ(self, 10'000'000U);
  for (const char* name : {"vprintk_emit", "kmem_cache_alloc", "__alloc_pages", "vsnprintf"}) {
    const auto known = queries.functions(name);
    ASSERT_TRUE(known) << known.failure().message;
    const auto profile = std::ranges::find(functions, known->front(), &query::FunctionProfile::function);
    const std::size_t expected = calls(queries, name, within).size();
    EXPECT_EQ(profile == functions.end() ? 0 : profile->calls, expected) << name;
  }
  // All of it ran below start_kernel, though that was called before.
  const auto start = queries.functions("start_kernel");
  ASSERT_TRUE(start);
  const auto above = std::ranges::find(functions, start->front(), &query::FunctionProfile::function);
  ASSERT_NE(above, functions.end());
  EXPECT_EQ(above->total, 10'000'000U);
  // The same in pieces: by another's cuts and order.
  query::CallTree joined;
  for (std::uint64_t from = 190'000'000; from < 200'000'000; from += 2'500'000) {
    const auto piece = query::profile(queries, {at(from), at(from + 2'500'000)});
    ASSERT_TRUE(piece);
    joined.add(*piece);
  }
  const std::vector<query::FunctionProfile> pieces = query::by_function(joined);
  ASSERT_EQ(pieces.size(), functions.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].self, functions[i].self) << i;
    EXPECT_EQ(pieces[i].total, functions[i].total) << i;
    EXPECT_EQ(pieces[i].calls, functions[i].calls) << i;
  }
}

TEST_F(QueriesOfABoot, TheCommandLineAnswersInLinesOfJson) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"last-write", "jiffies", "--json"},
           {"writes", "jiffies", "--json", "--limit", "3", "--from", "190000000"},
           {"changes", "jiffies", "--json", "--limit", "3", "--from", "190000000"},
           {"calls", "vprintk_emit", "--json", "--limit", "3", "--returns", "--to", "125000000"},
           {"events", "--json", "--limit", "0", "--to", "3000000"},
           {"profile", "--json", "--from", "228000000"},
           {"profile", "--json", "--tree", "--from", "228000000"}}) {
    const Outcome asked = ask(words);
    EXPECT_EQ(asked.code, 0) << asked.text;
    EXPECT_GE(json_objects(asked.text), 1U) << words[0];
  }
}

TEST_F(QueriesOfABoot, AWrongQuestionGivesOneLineAndExitCode2) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"last-write", "no_such_symbol"},
                                             {"last-write", "jiffies/0"},
                                             {"last-write", "jiffies+x"},
                                             {"last-write", "0x1000000000000000"},
                                             {"last-write", "phys:0xffffffffff000000"},
                                             {"last-write", "phys:jiffies"},
                                             {"writes", "jiffies", "--at", "12x"},
                                             {"writes", "jiffies", "--at", "101%"},
                                             {"writes", "jiffies", "--from", "mark:nowhere"},
                                             {"writes", "jiffies", "--from", "90%", "--to", "10%"},
                                             {"events", "--kind", "rain"},
                                             {"calls"}}) {
    const Outcome asked = ask(words);
    EXPECT_EQ(asked.code, 2) << words[1] << asked.text;
    EXPECT_EQ(std::ranges::count(asked.text, '\n'), 1) << asked.text;
    EXPECT_THAT(asked.text, testing::StartsWith("hindsight: "));
  }
  EXPECT_EQ(hindsight({"query", path("nothing.hst"), "events"}).code, 3);
}

}  // namespace
}  // namespace hindsight::tests
