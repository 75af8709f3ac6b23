#include "debugger/expect/facts.h"

#include <gmock/gmock.h>

namespace hindsight::tests {
namespace {

using debugger::expect::CallFact;
using debugger::expect::ConsoleFact;
using debugger::expect::EndFact;
using debugger::expect::Fact;
using debugger::expect::holds;
using debugger::expect::LengthFact;
using debugger::expect::MemoryFact;
using debugger::expect::parse_facts;
using debugger::expect::RegisterFact;
using debugger::expect::Relation;
using testing::HasSubstr;

/// The one fact that `text` says.
Fact fact(const std::string& text) {
  auto facts = parse_facts("f", text);
  EXPECT_TRUE(facts) << facts.failure().message;
  if (!facts || facts->size() != 1) return {};
  return facts->front();
}

template <class Kind>
Kind read(const std::string& text) {
  const Fact one = fact(text);
  const auto* kind = std::get_if<Kind>(&one.what);
  EXPECT_NE(kind, nullptr) << text;
  return kind != nullptr ? *kind : Kind{};
}

std::string complaint(const std::string& text) {
  const auto facts = parse_facts("f", text);
  return facts ? "none" : facts.failure().message;
}

TEST(Facts, CommentsAndEmptyLinesAreNoFactsButCount) {
  const auto facts = parse_facts("f", "# a\n\n  no oops  # really\r\n");
  ASSERT_TRUE(facts);
  ASSERT_EQ(facts->size(), 1U);
  EXPECT_EQ(facts->front().line, 3U);
  EXPECT_EQ(facts->front().text, "no oops  # really");
}

TEST(Facts, AQuotedTextKnowsEscapesAndLeavesThoseOfRegularExpressions) {
  EXPECT_EQ(read<ConsoleFact>(R"(console contains "a # \"b\"\n\x41\\")").text, "a # \"b\"\nA\\");
  const ConsoleFact matching = read<ConsoleFact>(R"(console not matches "^\[\d+\] x")");
  EXPECT_FALSE(matching.shown);
  EXPECT_TRUE(std::regex_search("[12] x", *matching.expression));
}

TEST(Facts, AnEndOfTwoWordsIsRead) {
  EXPECT_EQ(read<EndFact>("ends with idle forever").reason, traces::store::EndReason::idle_forever);
}

TEST(Facts, ARegisterHasAPlaceARelationAndUpTo128Bits) {
  const RegisterFact wide = read<RegisterFact>("register xmm1 at mark:x >= 0x1_0000000000000002");
  EXPECT_EQ(wide.at, "mark:x");
  EXPECT_EQ(wide.relation, Relation::at_least);
  EXPECT_EQ(wide.high, 1U);
  EXPECT_EQ(wide.low, 2U);
}

TEST(Facts, MemoryLengthsAndCallsAreRead) {
  const MemoryFact memory = read<MemoryFact>("memory jiffies+0x4 2 at \"mark:a b\" != 17");
  EXPECT_EQ(memory.address, "jiffies+0x4");
  EXPECT_EQ(memory.size, 2U);
  EXPECT_EQ(memory.at, "mark:a b");
  EXPECT_EQ(memory.value, 17U);
  EXPECT_EQ(read<LengthFact>("instructions between begin and 50% < 1_000").instructions, 1000U);
  EXPECT_TRUE(read<CallFact>("function panic called").called);
  const CallFact call = read<CallFact>("function m:f not called between event:1 and end");
  EXPECT_FALSE(call.called);
  EXPECT_EQ(call.function, "m:f");
  EXPECT_EQ(call.from, "event:1");
}

TEST(Facts, AComplaintNamesFileLineAndWhatWasExpected) {
  EXPECT_EQ(complaint("no oops\nregister foo at end == 1"),
            "f:2: a register, such as rax or cr3 expected, found \"foo\"");
  EXPECT_EQ(complaint("console contains \"x"), "f:1: a closing quotation mark expected");
  EXPECT_EQ(complaint("console contains x"), "f:1: a text in quotation marks expected, found \"x\"");
  EXPECT_EQ(complaint("console contains \"\""), "f:1: a text that is not empty expected, found \"\"");
  EXPECT_THAT(complaint("console matches \"(\""), HasSubstr("f:1: a regular expression ("));
  EXPECT_EQ(complaint("memory 0x10 3 at end == 1"),
            "f:1: a size of 1, 2, 4 or 8 bytes expected, found \"3\"");
  EXPECT_EQ(complaint("register rax at end = 1"), "f:1: ==, !=, <, <=, > or >= expected, found \"=\"");
  EXPECT_EQ(complaint("register rax at end == 0x1ffffffffffffffff1ffffffffffffffff"),
            "f:1: a number expected, found \"0x1ffffffffffffffff1ffffffffffffffff\"");
  EXPECT_EQ(complaint("function f called twice"), "f:1: the end of the line expected, found \"twice\"");
  EXPECT_EQ(complaint("function f"), "f:1: \"called\" expected, found nothing more");
  EXPECT_THAT(complaint("register rax at nowhere == 1"), HasSubstr("f:1: a position ("));
  EXPECT_EQ(complaint("\"no\" oops"),
            "f:1: console, no oops, ends, register, memory, instructions or function expected, found \"no\"");
}

TEST(Facts, NumbersAreComparedByTheirHighHalfFirst) {
  EXPECT_TRUE(holds(Relation::less, 0, 9, 1, 0));
  EXPECT_TRUE(holds(Relation::greater, 1, 0, 0, 9));
  EXPECT_FALSE(holds(Relation::equal, 1, 0, 0, 0));
  EXPECT_TRUE(holds(Relation::at_most, 0, 9, 0, 9));
  EXPECT_TRUE(holds(Relation::at_least, 0, 9, 0, 9));
  EXPECT_FALSE(holds(Relation::unequal, 0, 9, 0, 9));
}

}  // namespace
}  // namespace hindsight::tests
