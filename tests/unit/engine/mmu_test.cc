// The software MMU against a guest with a one-level page table: entry i of the table at `root` maps page i.
// Bits: 0 present, 1 writable, 2 accessed, 3 dirty; the page's address from bit 12.
#include "engine/mmu/mmu.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

namespace hindsight::engine::mmu {
namespace {

constexpr std::uint64_t kPresent = 1, kWritable = 2, kAccessed = 4, kDirty = 8;
constexpr std::uint64_t kTable = 0x10000, kOtherTable = 0x20000;

struct State : ir::CoreState {
  std::uint64_t root;
};

class OneLevelGuest final : public ir::Guest {
 public:
  int walks = 0;
  [[nodiscard]] const ir::RegisterTable& registers() const override { return table_; }
  [[nodiscard]] std::size_t state_size() const override { return sizeof(State); }
  ir::LiftOutcome lift(const ir::LiftRequest&, ir::Block&) override { return ir::LiftOutcome::fetch_beyond; }
  [[nodiscard]] std::uint64_t mode(const ir::CoreState&) const override { return 0; }
  [[nodiscard]] ir::ViewKey view_key(const ir::CoreState& s, std::uint32_t) const override {
    return {static_cast<const State&>(s).root, 0};
  }
  ir::Walk walk(ir::CoreState& s, std::uint64_t address, ir::AccessKind kind, std::uint32_t,
                ir::PageTableMemory& tables) override {
    ++walks;
    const GuestPhys at{static_cast<State&>(s).root + (address >> kPageBits) * 8};
    std::uint64_t entry = tables.read_entry(at, 8, 1, 0);
    const bool write = kind == ir::AccessKind::write;
    if (!(entry & kPresent) || (write && !(entry & kWritable))) {
      ir::raise(&s, 14, write ? 2 : 0);
      return {};
    }
    const std::uint64_t marked = entry | kAccessed | (write ? kDirty : 0);
    if (marked != entry) tables.write_entry(at, 8, marked);
    return {true, GuestPhys{entry & ~kPageMask}, (marked & kDirty) != 0, true};
  }
  [[nodiscard]] ir::PageView inspect(const ir::CoreState&, std::uint64_t,
                                     ir::PageTableMemory&) const override {
    return {};
  }
  [[nodiscard]] std::uint64_t stack_pointer(const ir::CoreState&) const override { return 0; }
  [[nodiscard]] bool deliver_trap(ir::CoreState&) override { return false; }
  [[nodiscard]] bool accepts_interrupt(const ir::CoreState&) const override { return false; }
  [[nodiscard]] bool deliver_interrupt(ir::CoreState&, std::uint8_t) override { return false; }
  void before_instruction(ir::CoreState&) override {}
  void after_instruction(ir::CoreState&) override {}
  [[nodiscard]] bool must_run_alone(const ir::CoreState&) const override { return false; }
  [[nodiscard]] bool watches_data(const ir::CoreState&) const override { return false; }
  void data_accessed(ir::CoreState&, std::uint64_t address, std::uint32_t size, bool write) override {
    accesses.push_back({address, size, write});
  }
  struct Access {
    std::uint64_t address;
    std::uint32_t size;
    bool write;
    bool operator==(const Access&) const = default;
  };
  std::vector<Access> accesses;
  [[nodiscard]] std::string describe(const ir::CoreState&) const override { return "one-level"; }
  [[nodiscard]] std::string dump(const ir::CoreState&) const override { return "one-level\n"; }

 private:
  ir::RegisterTable table_;
};

class NoCode final : public CodeOwner {
 public:
  std::uint64_t held = ~std::uint64_t{0};  ///< physical page that holds code
  int writes = 0;
  [[nodiscard]] bool holds_code(GuestPhys address, std::uint64_t) const override {
    return (address.value & ~kPageMask) == held;
  }
  void code_written(GuestPhys, std::uint64_t) override { ++writes; }
  void code_replaced(std::uint64_t, const std::byte*) override { ++writes; }
};

class MmuTest : public testing::Test {
 protected:
  MmuTest()
      : memory_(std::move(PhysicalMemory::create(1 << 20).value())),
        mmu_(*memory_, bus_, guest_, code_, nullptr) {
    state_.memory = &Mmu::operations();
    state_.environment = &mmu_;
    use_root(kTable);
    map(kTable, 1, 0x31000, kPresent | kWritable);
    map(kTable, 2, 0x32000, kPresent | kWritable);
    map(kTable, kTable >> kPageBits, kTable, kPresent | kWritable);
  }
  void use_root(std::uint64_t root) {
    state_.root = root;
    mmu_.context_changed(state_);
  }
  void map(std::uint64_t table, std::uint64_t page, std::uint64_t target, std::uint64_t bits) {
    const std::uint64_t entry = target | bits;
    ASSERT_TRUE(memory_->write(GuestPhys{table + page * 8}, &entry, 8));
  }
  std::uint64_t entry(std::uint64_t page) {
    std::uint64_t value = 0;
    EXPECT_TRUE(memory_->read(GuestPhys{kTable + page * 8}, &value, 8));
    return value;
  }
  std::uint64_t load(std::uint64_t address, unsigned size = 8) {
    return state_.memory->load(&state_, address, size, ir::kAccessPlain);
  }
  void store(std::uint64_t address, std::uint64_t value, unsigned size = 8) {
    state_.memory->store(&state_, address, value, size, ir::kAccessPlain);
  }
  void put(std::uint64_t physical, std::uint64_t value) {
    ASSERT_TRUE(memory_->write(GuestPhys{physical}, &value, 8));
  }
  bool trapped() {
    const bool was = state_.trap.kind != ir::TrapKind::none;
    state_.trap = {};
    return was;
  }

  std::unique_ptr<PhysicalMemory> memory_;
  IoBus bus_;
  OneLevelGuest guest_;
  NoCode code_;
  Mmu mmu_;
  State state_{};
};

TEST_F(MmuTest, SecondAccessToAPageWalksNoMore) {
  put(0x31008, 77);
  EXPECT_EQ(load(0x1008), 77u);
  const int walks = guest_.walks;
  EXPECT_EQ(load(0x1008), 77u);
  EXPECT_EQ(guest_.walks, walks);
}

TEST_F(MmuTest, AStoreThatRemapsAPageIsSeenByTheNextLoad) {
  put(0x31000, 1);
  put(0x32000, 2);
  EXPECT_EQ(load(0x1000), 1u);
  store(kTable + 8, 0x32000 | kPresent);  // page 1 now maps where page 2 does
  EXPECT_FALSE(trapped());
  EXPECT_EQ(load(0x1000), 2u);
}

TEST_F(MmuTest, DmaIntoAPageTableIsSeenByTheNextLoad) {
  put(0x31000, 1);
  put(0x32000, 2);
  EXPECT_EQ(load(0x1000), 1u);
  map(kTable, 1, 0x32000, kPresent);
  EXPECT_EQ(load(0x1000), 2u);
}

TEST_F(MmuTest, ClearingTheAccessedBitMakesTheNextAccessSetItAgain) {
  (void)load(0x1000);
  EXPECT_TRUE(entry(1) & kAccessed);
  store(kTable + 8, entry(1) & ~kAccessed);
  EXPECT_FALSE(entry(1) & kAccessed);
  (void)load(0x1000);
  EXPECT_TRUE(entry(1) & kAccessed);
}

TEST_F(MmuTest, ClearingTheDirtyBitMakesTheNextStoreSetItAgain) {
  store(0x1000, 5);
  EXPECT_TRUE(entry(1) & kDirty);
  store(kTable + 8, entry(1) & ~kDirty);
  (void)load(0x1000);
  EXPECT_FALSE(entry(1) & kDirty);
  store(0x1000, 6);
  EXPECT_TRUE(entry(1) & kDirty);
}

TEST_F(MmuTest, ALoadDoesNotSetTheDirtyBit) {
  (void)load(0x1000);
  EXPECT_FALSE(entry(1) & kDirty);
}

TEST_F(MmuTest, AddressSpacesKeepTheirTranslationsApart) {
  map(kOtherTable, 1, 0x32000, kPresent);
  put(0x31000, 1);
  put(0x32000, 2);
  EXPECT_EQ(load(0x1000), 1u);
  use_root(kOtherTable);
  EXPECT_EQ(load(0x1000), 2u);
  use_root(kTable);
  const int walks = guest_.walks;
  EXPECT_EQ(load(0x1000), 1u);
  EXPECT_EQ(guest_.walks, walks);
}

TEST_F(MmuTest, ARemapWhileAnotherAddressSpaceRunsIsSeenOnReturn) {
  put(0x31000, 1);
  put(0x32000, 2);
  EXPECT_EQ(load(0x1000), 1u);
  use_root(kOtherTable);
  map(kTable, 1, 0x32000, kPresent);
  use_root(kTable);
  EXPECT_EQ(load(0x1000), 2u);
}

TEST_F(MmuTest, APageTableFilledWithOtherDataStopsBeingOne) {
  (void)load(0x1000);
  ASSERT_TRUE(memory_->flags(kTable >> kPageBits) & PhysicalMemory::kTable);
  map(kOtherTable, kTable >> kPageBits, kTable, kPresent | kWritable);
  use_root(kOtherTable);
  for (std::uint64_t i = 64; i < 160; ++i) store(kTable + i * 8, 0x5555);
  EXPECT_FALSE(memory_->flags(kTable >> kPageBits) & PhysicalMemory::kTable);
  use_root(kTable);
  put(0x32000, 2);
  map(kTable, 1, 0x32000, kPresent);
  EXPECT_EQ(load(0x1000), 2u);
}

TEST_F(MmuTest, AnAccessAcrossTwoPagesReadsBoth) {
  put(0x31FF8, 0x1122334455667788);
  put(0x32000, 0x99AABBCCDDEEFF00);
  EXPECT_EQ(load(0x1FFC), 0xDDEEFF0011223344u);
}

TEST_F(MmuTest, AStoreAcrossIntoAMissingPageChangesNothing) {
  put(0x32FF8, 7);
  store(0x2FFC, ~std::uint64_t{0});
  EXPECT_TRUE(trapped());
  EXPECT_EQ(load(0x2FF8), 7u);
}

TEST_F(MmuTest, AStoreToCodeAsksToRunAloneAndThenTellsTheOwner) {
  code_.held = 0x31000;
  memory_->mark(0x31, PhysicalMemory::kCode);
  store(0x1000, 1);
  EXPECT_EQ(state_.trap.kind, ir::TrapKind::redo_alone);
  state_.trap = {};
  state_.alone = 1;
  store(0x1000, 1);
  EXPECT_EQ(state_.trap.kind, ir::TrapKind::none);
  EXPECT_EQ(code_.writes, 1);
}

TEST_F(MmuTest, MarkingAPageTakesItsCachedWriteAccessAway) {
  store(0x1000, 1);
  memory_->mark(0x31, PhysicalMemory::kCode);
  code_.held = 0x31000;
  store(0x1000, 2);
  EXPECT_EQ(state_.trap.kind, ir::TrapKind::redo_alone);
}

TEST_F(MmuTest, EachEpochListsThePagesDirtiedInIt) {
  store(0x1000, 1);
  const std::uint32_t epoch = memory_->end_epoch();
  store(0x2000, 1);
  std::vector<std::uint64_t> dirty;
  memory_->for_each_dirty_after(epoch, [&](std::uint64_t page) { dirty.push_back(page); });
  EXPECT_EQ(dirty, (std::vector<std::uint64_t>{kTable >> kPageBits, 0x32}));  // the walk set a dirty bit
}

TEST_F(MmuTest, APageThatIsOnlyReadDoesNotLookWritten) {
  store(0x1008, 7);  // sets the dirty bit: no later walk would
  const std::uint32_t epoch = memory_->end_epoch();
  mmu_.collect_written();
  const auto looks_written = [&] {
    bool dirty = false;
    memory_->for_each_dirty_after(epoch, [&](std::uint64_t page) { dirty |= page == 0x31; });
    EXPECT_EQ(dirty, mmu_.touched().written.may_hold(0x1000));
    return dirty;
  };
  EXPECT_EQ(load(0x1008), 7u);
  EXPECT_FALSE(looks_written());
  store(0x1008, 8);
  EXPECT_TRUE(looks_written());
}

TEST_F(MmuTest, ReplacingACodePageTellsWhoeverTranslatedIt) {
  memory_->mark(0x31, PhysicalMemory::kCode);
  std::array<std::byte, kPageSize> contents{};
  memory_->set_page(0x31, contents.data());
  EXPECT_EQ(code_.writes, 0) << "nothing changed";
  contents[100] = std::byte{1};
  memory_->set_page(0x31, contents.data());
  EXPECT_EQ(code_.writes, 1);
  EXPECT_EQ(*memory_->page(0x31), std::byte{0});
  EXPECT_EQ(memory_->page(0x31)[100], std::byte{1});
}

TEST_F(MmuTest, AStoreAfterAnEpochEndsDirtiesItsPageAgain) {
  store(0x1000, 1);
  const std::uint32_t epoch = memory_->end_epoch();
  store(0x1000, 2);
  std::vector<std::uint64_t> dirty;
  memory_->for_each_dirty_after(epoch, [&](std::uint64_t page) { dirty.push_back(page); });
  EXPECT_EQ(dirty, (std::vector<std::uint64_t>{0x31}));
}

TEST_F(MmuTest, AWatchingGuestHearsOfEachAccessThatSucceeds) {
  state_.alone = state_.watch_data = 1;
  (void)load(0x1000, 4);
  store(0x2008, 1);
  store(0x9000, 1);  // not mapped
  EXPECT_TRUE(trapped());
  EXPECT_EQ(guest_.accesses, (std::vector<OneLevelGuest::Access>{{0x1000, 4, false}, {0x2008, 8, true}}));
}

TEST_F(MmuTest, DeviceAccessAsksToRunAlone) {
  map(kTable, 3, 0xFEE00000, kPresent | kWritable);
  (void)load(0x3000, 4);
  EXPECT_EQ(state_.trap.kind, ir::TrapKind::redo_alone);
  EXPECT_EQ(state_.trap.error_code, static_cast<std::uint32_t>(ir::AloneReason::device));
}

}  // namespace
}  // namespace hindsight::engine::mmu
