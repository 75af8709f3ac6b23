#include "debugger/symbols/page_table_view.h"

#include <gmock/gmock.h>

#include "tests/support/fake_machine.h"

namespace hindsight::debugger::symbols {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Tables at 1, 2, ... pages: 1 the top level; data wherever a test puts it.
class PageTableViewTest : public testing::Test {
 protected:
  void store(std::uint64_t address, std::uint64_t value) {
    for (unsigned i = 0; i < 8; ++i) ram_.write(address + i, static_cast<std::byte>(value >> 8 * i));
  }
  void entry(std::uint64_t page, std::uint64_t index, std::uint64_t value) {
    store(page * kPageSize + index * 8, value);
  }
  /// ffffffff80000000 and what follows, over the tables in pages 2 (PDPT) and 3 (PD).
  void map_kernel_region() {
    entry(1, 511, 0x2003);
    entry(2, 510, 0x3003);
  }

  tests::FakeRam ram_{2048};
  PageTableView view_{ram_, GuestPhys{0x1000}, 4};
  const GuestVirt kernel_{0xffffffff80000000};
};

TEST_F(PageTableViewTest, FollowsFourLevelsToAPage) {
  map_kernel_region();
  entry(3, 1, 0x4003);
  entry(4, 2, 0x8000'0000'0000'5003);  // not executable
  store(0x5010, 0x1122334455667788);
  EXPECT_EQ(view_.translate(kernel_ + 0x202010), GuestPhys{0x5010});
  EXPECT_EQ(load<std::uint64_t>(view_, kernel_ + 0x202010), 0x1122334455667788u);
}

TEST_F(PageTableViewTest, FollowsALargePage) {
  map_kernel_region();
  entry(3, 0, 0x200083);
  store(0x3ffff8, 42);
  EXPECT_EQ(load<std::uint64_t>(view_, kernel_ + 0x1ffff8), 42u);
}

TEST_F(PageTableViewTest, ReadsNothingWhenOneByteIsMissing) {
  map_kernel_region();
  entry(3, 0, 0x4003);
  entry(4, 0, 0x5003);
  EXPECT_TRUE(load<std::uint64_t>(view_, kernel_ + 0xff8));
  EXPECT_FALSE(load<std::uint64_t>(view_, kernel_ + 0xff9));
}

TEST_F(PageTableViewTest, JoinsNeighbouringPagesIntoRanges) {
  map_kernel_region();
  entry(3, 0, 0x200083);
  entry(3, 1, 0x4003);
  entry(4, 0, 0x5003);
  entry(4, 7, 0x6003);
  EXPECT_THAT(view_.mapped(kernel_, kernel_ + 0x40000000),
              ElementsAre(Range{kernel_, kernel_ + 0x201000}, Range{kernel_ + 0x207000, kernel_ + 0x208000}));
  EXPECT_THAT(view_.mapped(kernel_ + 0x1ff000, kernel_ + 0x200800),
              ElementsAre(Range{kernel_ + 0x1ff000, kernel_ + 0x200800}));
}

TEST_F(PageTableViewTest, HidesWhatIsNotRam) {
  map_kernel_region();
  entry(3, 0, 0xfee00083);
  EXPECT_THAT(view_.mapped(kernel_, kernel_ + 0x40000000), IsEmpty());
  EXPECT_FALSE(load<std::uint8_t>(view_, kernel_));
}

TEST_F(PageTableViewTest, RefusesAnAddressThatIsNotCanonical) {
  entry(1, 0, 0x2003);
  EXPECT_FALSE(view_.translate(GuestVirt{0x0001'0000'0000'0000}));
}

TEST_F(PageTableViewTest, MapsNothingOutsideLongMode) {
  map_kernel_region();
  entry(3, 0, 0x200083);
  const PageTableView off(ram_, GuestPhys{0x1000}, 0);
  EXPECT_THAT(off.mapped(kernel_, kernel_ + 0x40000000), IsEmpty());
  EXPECT_FALSE(load<std::uint8_t>(off, kernel_));
}

TEST_F(PageTableViewTest, EndsWhereTablesLeadToThemselves) {
  for (std::uint64_t i = 0; i < 512; ++i) entry(1, i, 0x1003);
  EXPECT_FALSE(view_.mapped(GuestVirt{0xffff800000000000}, GuestVirt{0xfffffffffffff000}).empty());
}

TEST_F(PageTableViewTest, FindsTheKernelsSideOfAnIsolatedPair) {
  map_kernel_region();  // page 2 of RAM is the full table here, 3 the user's
  entry(4, 0, 0x8000'0000'0000'6003);
  entry(4, 511, 0x7003);
  entry(5, 0, 0x6003);
  entry(7, 510, 0x8003);
  entry(8, 0, 0x200083);
  const PageTableView user(ram_, GuestPhys{0x5000}, 4);
  EXPECT_FALSE(user.translate(kernel_));
  EXPECT_EQ(user.kernel_side().translate(kernel_), GuestPhys{0x200000});
}

}  // namespace
}  // namespace hindsight::debugger::symbols
