#include "replay/play/field_diff.h"

#include <capnp/message.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "replay/diff/console_diff.h"
#include "traces/schema/platform.capnp.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::tests {
namespace {

using replay::diff::console_difference;
using testing::ElementsAre;
using testing::IsEmpty;

template <class State>
struct Two {
  capnp::MallocMessageBuilder message_a, message_b;
  typename State::Builder a = message_a.initRoot<State>(), b = message_b.initRoot<State>();

  std::vector<std::string> differences() {
    std::vector<std::string> found;
    replay::play::for_each_difference(capnp::toDynamic(a.asReader()), capnp::toDynamic(b.asReader()),
                                      [&](const replay::play::FieldDifference& field) {
                                        found.push_back(field.field + ": " + field.a + " | " + field.b);
                                        return true;
                                      });
    return found;
  }
};

void set(capnp::Data::Builder data, std::initializer_list<std::uint8_t> bytes) {
  std::copy(bytes.begin(), bytes.end(), data.begin());
}

TEST(FieldDiff, OfEqualStatesIsEmpty) {
  Two<traces::schema::Uart16550State> uarts;
  EXPECT_THAT(uarts.differences(), IsEmpty());
}

TEST(FieldDiff, NamesEveryFieldInSchemaOrder) {
  Two<traces::schema::Uart16550State> uarts;
  uarts.b.setThrEmptyPending(true);
  uarts.a.setMcr(0xb);
  EXPECT_THAT(uarts.differences(), ElementsAre("mcr: 0xb | 0x0", "thrEmptyPending: false | true"));
}

TEST(FieldDiff, ShowsWholeDataOfOtherSizes) {
  Two<traces::schema::Uart16550State> uarts;
  set(uarts.b.initReceive(2), {'o', 'k'});
  EXPECT_THAT(uarts.differences(), ElementsAre("receive: 0 bytes | 2 bytes: 6f6b"));
}

TEST(FieldDiff, ShowsRunsOfBytesInDataOfOneSize) {
  Two<traces::schema::I8042State> keyboards;
  set(keyboards.a.initRam(8), {1, 2, 3, 4, 5, 6, 7, 8});
  set(keyboards.b.initRam(8), {1, 9, 9, 4, 5, 6, 7, 9});
  EXPECT_THAT(keyboards.differences(), ElementsAre("ram[1..2]: 0203 | 0909", "ram[7]: 0x08 | 0x09"));
}

TEST(FieldDiff, DescendsIntoListsOfStructs) {
  Two<traces::schema::PciHostState> hosts;
  for (auto* host : {&hosts.a, &hosts.b}) host->initFunction().initMsix(2);
  hosts.b.getFunction().getMsix()[1].setPending(true);
  EXPECT_THAT(hosts.differences(), ElementsAre("function.msix[1].pending: false | true"));
}

TEST(FieldDiff, MatchesListsThatHaveAnIndexByIt) {
  Two<traces::schema::VirtioBlockState> disks;
  auto a = disks.a.initOverlay(2);
  auto b = disks.b.initOverlay(3);
  a[0].setIndex(10), a[1].setIndex(30);
  b[0].setIndex(10), b[1].setIndex(20), b[2].setIndex(30);
  set(b[2].initData(1), {7});
  EXPECT_THAT(disks.differences(), ElementsAre("overlay[index 20]: not there | there",
                                               "overlay[index 30].data: 0 bytes | 1 bytes: 07"));
}

TEST(ConsoleDiff, OfEqualTextIsNone) { EXPECT_FALSE(console_difference("a\nb\n", "a\nb\n")); }

TEST(ConsoleDiff, ShowsTheFirstLineThatDiffersWithLinesAround) {
  const auto found = console_difference("1\n2\n3\n4\nx\n5\n6\n7\n8\nz\n", "1\n2\n3\n4\ny\n5\n6\n7\n8\n");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->line, 5u);
  EXPECT_THAT(found->text, ElementsAre(" 2", " 3", " 4", "-x", "+y", " 5", " 6", " 7"));
}

TEST(ConsoleDiff, ShowsALineThatOnlyOneHas) {
  const auto found = console_difference("1\n2\n3\n4\n5\n", "1\nnew\r\n2\n3\n4\n5\n");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->text, ElementsAre(" 1", "+new", " 2", " 3", " 4"));
}

TEST(ConsoleDiff, TellsThatOneGoesOnWhereTheOtherEnds) {
  const auto found = console_difference("1\n2\n", "1\n2\n3\n");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->a_is_prefix);
  EXPECT_FALSE(found->b_is_prefix);
  EXPECT_THAT(found->text, ElementsAre(" 1", " 2", "+3"));
}

TEST(ConsoleDiff, ShowsWhatIsNoTextInHexadecimal) {
  const auto found = console_difference("\x1b[6n\n", "\xe9\n");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->text, ElementsAre("-\\x1b[6n", "+\\xe9"));
}

}  // namespace
}  // namespace hindsight::tests
