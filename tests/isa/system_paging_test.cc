// The page walk against page tables written by hand: SDM vol. 3, 4.3 to 4.8.
#include "engine/guest/x86/system_paging.h"

#include <map>
#include <vector>

#include "tests/isa/system_fixture.h"

namespace hindsight::tests::isa {
namespace {

using ir::AccessKind;

constexpr std::uint64_t kP = 1, kW = 2, kU = 4, kA = 0x20, kD = 0x40, kPs = 0x80,
                        kXd = std::uint64_t{1} << 63;

class Tables final : public ir::PageTableMemory {
 public:
  struct Read {
    std::uint64_t address;
    unsigned level;
    std::uint64_t span_base;
  };
  std::uint64_t read_entry(GuestPhys address, unsigned size, unsigned level,
                           std::uint64_t span_base) override {
    reads.push_back({address.value, level, span_base});
    const auto found = entries.find(address.value);
    const std::uint64_t value = found != entries.end() ? found->second : 0;
    return size == 4 ? value & 0xFFFFFFFFu : value;
  }
  void write_entry(GuestPhys address, unsigned, std::uint64_t value) override {
    entries[address.value] = value;
    ++writes;
  }
  std::map<std::uint64_t, std::uint64_t> entries;
  std::vector<Read> reads;
  unsigned writes = 0;
};

class PagingTest : public SystemTest {
 protected:
  static constexpr std::uint64_t kAddress = 0x0000'7F12'3456'7ABC;
  PagingTest() {
    enter64(0);
    s.cr3 = 0x100000;
    map(kP | kW | kU);
  }
  static std::uint64_t index(std::uint64_t address, unsigned level) {
    return address >> (12 + 9 * (level - 1)) & 511;
  }
  /// Four levels, all with full rights but the leaf.
  void map(std::uint64_t leaf_bits, std::uint64_t address = kAddress) {
    tables.entries[0x100000 + 8 * index(address, 4)] = 0x101000 | kP | kW | kU;
    tables.entries[0x101000 + 8 * index(address, 3)] = 0x102000 | kP | kW | kU;
    tables.entries[0x102000 + 8 * index(address, 2)] = 0x103000 | kP | kW | kU;
    tables.entries[0x103000 + 8 * index(address, 1)] = 0xABCDE000 | leaf_bits;
  }
  std::uint64_t& entry(unsigned level, std::uint64_t address = kAddress) {
    const std::uint64_t table[] = {0, 0x103000, 0x102000, 0x101000, 0x100000};
    return tables.entries[table[level] + 8 * index(address, level)];
  }
  ir::Walk walk(AccessKind kind, std::uint32_t access = 0, std::uint64_t address = kAddress) {
    s.trap = {};
    return walk_page_tables(s, address, kind, access, tables);
  }
  void user() { s.cpl = 3; }
  Tables tables;
};

TEST_F(PagingTest, ReadTranslatesAndSetsAccessedInEveryLevel) {
  const ir::Walk w = walk(AccessKind::read);
  EXPECT_TRUE(w.ok);
  EXPECT_EQ(w.page.value, 0xABCDE000u);
  EXPECT_FALSE(w.writable_now);
  for (unsigned level = 1; level <= 4; ++level) EXPECT_EQ(entry(level) & (kA | kD), kA) << level;
}

TEST_F(PagingTest, WriteSetsDirtyInTheLeafOnly) {
  EXPECT_TRUE(walk(AccessKind::write).writable_now);
  EXPECT_EQ(entry(1) & (kA | kD), kA | kD);
  EXPECT_EQ(entry(2) & (kA | kD), kA);
}

TEST_F(PagingTest, SecondWalkWritesNothing) {
  walk(AccessKind::write);
  const unsigned before = tables.writes;
  EXPECT_TRUE(walk(AccessKind::write).ok);
  EXPECT_EQ(tables.writes, before);
}

TEST_F(PagingTest, ReadOfADirtyPageIsWritableNow) {
  walk(AccessKind::write);
  EXPECT_TRUE(walk(AccessKind::read).writable_now);
}

TEST_F(PagingTest, WriteIntentCountsAsWrite) {
  map(kP | kU);
  user();
  EXPECT_FALSE(walk(AccessKind::read, ir::kAccessWriteIntent).ok);
  expect_fault(14, pf::kP | pf::kW | pf::kU);
  map(kP | kW | kU);
  EXPECT_TRUE(walk(AccessKind::read, ir::kAccessWriteIntent).ok);
  EXPECT_NE(entry(1) & kD, 0u);
}

TEST_F(PagingTest, NotPresentFaultsWithoutPresentBitAndLeavesAccessedBitsAlone) {
  map(0);
  EXPECT_FALSE(walk(AccessKind::write).ok);
  expect_fault(14, pf::kW);
  EXPECT_EQ(s.trap.address, kAddress);
  EXPECT_EQ(tables.writes, 0u);
}

TEST_F(PagingTest, ReadEntryIsToldLevelAndSpan) {
  walk(AccessKind::read, 0, 0xFFFF'8880'1234'5678);
  ASSERT_FALSE(tables.reads.empty());
  tables.reads.clear();
  map(kP, 0xFFFF'8880'1234'5678);
  walk(AccessKind::read, 0, 0xFFFF'8880'1234'5678);
  ASSERT_EQ(tables.reads.size(), 4u);
  EXPECT_EQ(tables.reads[0].level, 4u);
  EXPECT_EQ(tables.reads[0].span_base, 0u);
  EXPECT_EQ(tables.reads[1].span_base, 0xFFFF'8880'0000'0000u);
  EXPECT_EQ(tables.reads[2].span_base, 0xFFFF'8880'0000'0000u);
  EXPECT_EQ(tables.reads[3].level, 1u);
  EXPECT_EQ(tables.reads[3].span_base, 0xFFFF'8880'1220'0000u);
}

TEST_F(PagingTest, UserMayNotTouchASupervisorPage) {
  map(kP | kW);
  user();
  EXPECT_FALSE(walk(AccessKind::read).ok);
  expect_fault(14, pf::kP | pf::kU);
}

TEST_F(PagingTest, OneSupervisorLevelMakesThePageSupervisor) {
  entry(3) &= ~kU;
  user();
  EXPECT_FALSE(walk(AccessKind::read).ok);
  expect_fault(14, pf::kP | pf::kU);
}

TEST_F(PagingTest, ImplicitSupervisorAccessFromUserModeIsASupervisorAccess) {
  map(kP | kW);
  user();
  EXPECT_TRUE(walk(AccessKind::read, ir::kAccessSupervisor).ok);
  map(0);
  EXPECT_FALSE(walk(AccessKind::read, ir::kAccessSupervisor).ok);
  expect_fault(14, 0);
}

TEST_F(PagingTest, SupervisorWriteToReadOnlyPageDependsOnWp) {
  map(kP | kU);
  EXPECT_FALSE(walk(AccessKind::write).ok);
  expect_fault(14, pf::kP | pf::kW);
  s.cr0 &= ~cr0::kWp;
  EXPECT_TRUE(walk(AccessKind::write).ok);
  user();
  EXPECT_FALSE(walk(AccessKind::write).ok);
}

TEST_F(PagingTest, ExecuteDisableStopsFetchesAtAnyLevel) {
  EXPECT_TRUE(walk(AccessKind::fetch).ok);
  entry(2) |= kXd;
  EXPECT_FALSE(walk(AccessKind::fetch).ok);
  expect_fault(14, pf::kP | pf::kI);
  const ir::Walk read = walk(AccessKind::read);
  EXPECT_TRUE(read.ok);
  EXPECT_FALSE(read.executable);
}

TEST_F(PagingTest, ExecuteDisableIsReservedWithoutNxe) {
  s.efer &= ~efer::kNxe;
  entry(1) |= kXd;
  EXPECT_FALSE(walk(AccessKind::fetch).ok);
  expect_fault(14, pf::kP | pf::kRsvd);  // no I/D bit without NXE and SMEP
}

TEST_F(PagingTest, SmepStopsSupervisorFetchesFromUserPages) {
  s.cr4 |= cr4::kSmep;
  EXPECT_FALSE(walk(AccessKind::fetch).ok);
  expect_fault(14, pf::kP | pf::kI);
  user();
  EXPECT_TRUE(walk(AccessKind::fetch).ok);
}

TEST_F(PagingTest, SmapStopsSupervisorDataAccessesToUserPagesUnlessAc) {
  s.cr4 |= cr4::kSmap;
  EXPECT_FALSE(walk(AccessKind::read).ok);
  expect_fault(14, pf::kP);
  s.rflags_system |= flag::kAc;
  EXPECT_TRUE(walk(AccessKind::read).ok);
  EXPECT_FALSE(walk(AccessKind::read, ir::kAccessSupervisor).ok);  // implicit: AC does not help
  EXPECT_TRUE(walk(AccessKind::fetch).ok);                         // fetches are SMEP's business
}

TEST_F(PagingTest, ReservedPhysicalBitsFault) {
  entry(1) |= std::uint64_t{1} << 40;
  EXPECT_FALSE(walk(AccessKind::read).ok);
  expect_fault(14, pf::kP | pf::kRsvd);
}

TEST_F(PagingTest, IgnoredBitsDoNotFault) {
  entry(1) |= std::uint64_t{0x7FF} << 52;
  EXPECT_TRUE(walk(AccessKind::read).ok);
}

TEST_F(PagingTest, PageSizeBitInThePml4IsReserved) {
  entry(4) |= kPs;
  EXPECT_FALSE(walk(AccessKind::read).ok);
  expect_fault(14, pf::kP | pf::kRsvd);
}

TEST_F(PagingTest, TwoMegabytePageKeepsTheLowAddressBits) {
  entry(2) = 0x40000000 | kP | kW | kPs;
  EXPECT_EQ(walk(AccessKind::write).page.value, 0x40000000u | (kAddress & 0x1FF000));
  EXPECT_EQ(entry(2) & (kA | kD), kA | kD);
  entry(2) |= 1u << 13;
  EXPECT_FALSE(walk(AccessKind::read).ok);
  expect_fault(14, pf::kP | pf::kRsvd);
}

TEST_F(PagingTest, OneGigabytePage) {
  entry(3) = 0x1'4000'0000 | kP | kW | kPs;
  EXPECT_EQ(walk(AccessKind::read).page.value, 0x1'4000'0000u | (kAddress & 0x3FFFF000));
}

TEST_F(PagingTest, NonCanonicalAddressIsGeneralProtectionOrStackFault) {
  EXPECT_FALSE(walk(AccessKind::read, 0, 0x0000'8000'0000'0000).ok);
  expect_fault(13, 0);
  EXPECT_FALSE(walk(AccessKind::read, ir::kAccessStack, 0xFFFF'7FFF'FFFF'FFFF).ok);
  expect_fault(12, 0);
}

TEST_F(PagingTest, WithoutPagingAddressesAreIdentical) {
  enter32(0);
  const ir::Walk w = walk(AccessKind::fetch, 0, 0x12345678);
  EXPECT_TRUE(w.ok && w.writable_now && w.executable);
  EXPECT_EQ(w.page.value, 0x12345000u);
  EXPECT_TRUE(tables.reads.empty());
}

class Paging32Test : public PagingTest {
 protected:
  Paging32Test() {
    enter32(0);
    s.cr0 |= cr0::kPg | cr0::kWp;
    s.cr3 = 0x200000;
    tables.entries.clear();
  }
  static constexpr std::uint64_t kAddress32 = 0xC0123456;
};

TEST_F(Paging32Test, TwoLevelsTranslate) {
  tables.entries[0x200000 + 4 * 0x300] = 0x201000 | kP | kW | kU;
  tables.entries[0x201000 + 4 * 0x123] = 0x00777000 | kP | kW;
  EXPECT_EQ(walk(AccessKind::write, 0, kAddress32).page.value, 0x777000u);
  EXPECT_EQ(tables.entries[0x201000 + 4 * 0x123] & (kA | kD), kA | kD);
  user();
  EXPECT_FALSE(walk(AccessKind::read, 0, kAddress32).ok);
  expect_fault(14, pf::kP | pf::kU);
}

TEST_F(Paging32Test, FourMegabytePageNeedsPseAndReachesAboveFourGigabytes) {
  tables.entries[0x200000 + 4 * 0x300] = 0x00400000 | kP | kW | kPs | 1u << 13;
  s.cr4 |= cr4::kPse;
  EXPECT_EQ(walk(AccessKind::read, 0, kAddress32).page.value, 0x1'0040'0000u | 0x123000);
  tables.entries[0x200000 + 4 * 0x300] |= 1u << 21;
  EXPECT_FALSE(walk(AccessKind::read, 0, kAddress32).ok);
  expect_fault(14, pf::kP | pf::kRsvd);
}

TEST_F(Paging32Test, WithoutPseThePageSizeBitIsIgnored) {
  tables.entries[0x200000 + 4 * 0x300] = 0x201000 | kP | kW | kPs;
  tables.entries[0x201000 + 4 * 0x123] = 0x00777000 | kP;
  EXPECT_EQ(walk(AccessKind::read, 0, kAddress32).page.value, 0x777000u);
}

TEST_F(Paging32Test, PaeHasFourEntriesAtTheRootWithoutRights) {
  s.cr4 |= cr4::kPae;
  s.cr3 = 0x200020;
  tables.entries[0x200020 + 8 * 3] = 0x201000 | kP;
  tables.entries[0x201000 + 0] = 0x202000 | kP | kW | kU;
  tables.entries[0x202000 + 8 * 0x123] = 0x9'8765'4000 | kP | kW | kU;
  user();
  EXPECT_EQ(walk(AccessKind::write, 0, kAddress32).page.value, 0x9'8765'4000u);
  EXPECT_EQ(tables.entries[0x200020 + 8 * 3], 0x201000u | kP);  // no accessed bit in a PDPTE
  tables.entries[0x200020 + 8 * 3] |= kW;
  EXPECT_FALSE(walk(AccessKind::write, 0, kAddress32).ok);
  expect_fault(14, pf::kP | pf::kW | pf::kU | pf::kRsvd);
}

TEST_F(PagingTest, ViewKeySeparatesPrivilegesAndControlBitsButNotLowBitsOfCr3) {
  const ir::ViewKey kernel = view_key(s, 0);
  s.cr3 |= 0xFFF;
  EXPECT_EQ(view_key(s, 0).root, kernel.root);
  EXPECT_EQ(kernel.privilege, 0);
  s.rflags_system |= flag::kAc;
  EXPECT_EQ(view_key(s, 0).privilege, 0);  // AC means nothing without SMAP
  s.cr4 |= cr4::kSmap;
  EXPECT_EQ(view_key(s, 0).privilege, 1);
  EXPECT_EQ(view_key(s, ir::kAccessSupervisor).privilege, 0);
  EXPECT_NE(view_key(s, 0).root, kernel.root);
  user();
  EXPECT_EQ(view_key(s, 0).privilege, 2);
}

}  // namespace
}  // namespace hindsight::tests::isa
