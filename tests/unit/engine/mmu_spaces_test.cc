// Address spaces that come and go: what the software MMU takes over from one to the next and forgets when
// tables are torn down must never show. The guest has two levels of tables: an entry of the root maps 512 GiB
// through a table whose entries map 1 GiB each (of which the tests look at the first pages).
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "engine/mmu/mmu.h"

namespace hindsight::engine::mmu {
namespace {

constexpr std::uint64_t kPresent = 1, kWritable = 2, kAccessed = 32;
constexpr std::uint64_t kRoot = 0x10000, kOtherRoot = 0x11000, kKernelTable = 0x12000, kUserTable = 0x13000,
                        kOtherUserTable = 0x14000, kOtherKernelTable = 0x15000;
constexpr std::uint64_t kKernelPage = 0x20000, kUserPage = 0x21000, kOtherPage = 0x22000;
constexpr std::uint64_t kKernel = 0xFFFF'8880'0000'0000, kUser = 0x20'8000;
constexpr std::uint64_t kMode = std::uint64_t{5} << 48;

struct State : ir::CoreState {
  std::uint64_t root;
  bool user;
};

class TwoLevelGuest final : public ir::Guest {
 public:
  int walks = 0;
  [[nodiscard]] const ir::RegisterTable& registers() const override { return table_; }
  [[nodiscard]] std::size_t state_size() const override { return sizeof(State); }
  ir::LiftOutcome lift(const ir::LiftRequest&, ir::Block&) override { return ir::LiftOutcome::fetch_beyond; }
  [[nodiscard]] std::uint64_t mode(const ir::CoreState&) const override { return kMode; }
  [[nodiscard]] ir::ViewKey view_key(const ir::CoreState& s, std::uint32_t) const override {
    const auto& state = static_cast<const State&>(s);
    return {state.root, static_cast<std::uint8_t>(state.user ? 2 : 0)};
  }
  ir::Walk walk(ir::CoreState& s, std::uint64_t address, ir::AccessKind, std::uint32_t,
                ir::PageTableMemory& tables) override {
    ++walks;
    const std::uint64_t root = static_cast<State&>(s).root & 0xFFFFF'FFFF'F000;
    const std::uint64_t span = address & ~((std::uint64_t{1} << 39) - 1) & ((std::uint64_t{1} << 48) - 1);
    const std::uint64_t table = enter(tables, root + (address >> 39 & 511) * 8, 4, 0);
    const std::uint64_t leaf =
        table == 0 ? 0 : enter(tables, page(table) + (address >> 30 & 511) * 8, 3, span);
    if (leaf == 0) {
      ir::raise(&s, 14, 0);
      return {};
    }
    return {true, GuestPhys{page(leaf) + (address & 0x7000)}, (leaf & kWritable) != 0, true};
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
  void data_accessed(ir::CoreState&, std::uint64_t, std::uint32_t, bool) override {}
  [[nodiscard]] std::string describe(const ir::CoreState&) const override { return "two-level"; }
  [[nodiscard]] std::string dump(const ir::CoreState&) const override { return "two-level\n"; }

 private:
  static std::uint64_t page(std::uint64_t entry) { return entry & ~kPageMask; }
  static std::uint64_t enter(ir::PageTableMemory& tables, std::uint64_t at, unsigned level,
                             std::uint64_t span) {
    const std::uint64_t entry = tables.read_entry(GuestPhys{at}, 8, level, span);
    if (!(entry & kPresent)) return 0;
    if (!(entry & kAccessed)) tables.write_entry(GuestPhys{at}, 8, entry | kAccessed);
    return entry | kAccessed;
  }
  ir::RegisterTable table_;
};

class NoCode final : public CodeOwner {
 public:
  [[nodiscard]] bool holds_code(GuestPhys, std::uint64_t) const override { return false; }
  void code_written(GuestPhys, std::uint64_t) override {}
  void code_replaced(std::uint64_t, const std::byte*) override {}
};

class MmuSpacesTest : public testing::Test {
 protected:
  MmuSpacesTest()
      : memory_(std::move(PhysicalMemory::create(1 << 20).value())),
        mmu_(*memory_, bus_, guest_, code_, &no_code_) {
    state_.memory = &Mmu::operations();
    state_.environment = &mmu_;
    put(kKernelTable, kKernelPage | kPresent | kWritable | kAccessed);
    put(kUserTable, kUserPage | kPresent | kWritable);
    put(kOtherUserTable, kOtherPage | kPresent | kWritable);
    put(kKernelPage, 100);
    put(kUserPage, 200);
    put(kOtherPage, 300);
    for (const std::uint64_t root : {kRoot, kOtherRoot})
      put(kernel_entry(root), kKernelTable | kPresent | kWritable | kAccessed);
    put(kRoot, kUserTable | kPresent | kWritable);
    put(kOtherRoot, kOtherUserTable | kPresent | kWritable);
    use(kRoot);
  }
  static std::uint64_t kernel_entry(std::uint64_t root) { return root + (kKernel >> 39 & 511) * 8; }
  void put(std::uint64_t physical, std::uint64_t value) {
    ASSERT_TRUE(memory_->write(GuestPhys{physical}, &value, 8));
  }
  std::uint64_t get(std::uint64_t physical) {
    std::uint64_t value = 0;
    EXPECT_TRUE(memory_->read(GuestPhys{physical}, &value, 8));
    return value;
  }
  void zero_page(std::uint64_t physical) {
    const std::vector<std::byte> zeros(kPageSize);
    ASSERT_TRUE(memory_->write(GuestPhys{physical}, zeros.data(), zeros.size()));
  }
  void use(std::uint64_t root, bool user = false) {
    state_.root = root;
    state_.user = user;
    mmu_.context_changed(state_);
  }
  std::uint64_t load(std::uint64_t address) {
    state_.trap = {};
    return state_.memory->load(&state_, address, 8, ir::kAccessPlain);
  }
  void store(std::uint64_t address, std::uint64_t value) {
    state_.trap = {};
    state_.memory->store(&state_, address, value, 8, ir::kAccessPlain);
  }
  [[nodiscard]] bool trapped() const { return state_.trap.kind == ir::TrapKind::guest; }
  void run_code_at(std::uint64_t pc) {
    state_.trap = {};
    ASSERT_TRUE(mmu_.fetch_page(state_, pc).has_value());
    mmu_.enter_jump(state_, pc, &some_code_);
  }
  /// Whether the inline lookup would run translated code for this pc.
  [[nodiscard]] bool reaches(std::uint64_t pc) const {
    const ir::JumpEntry& entry = state_.jumps->entries[ir::jump_slot(pc ^ kMode)];
    return entry.tag == (pc ^ kMode) && entry.code == &some_code_;
  }

  const int no_code_ = 0, some_code_ = 0;
  std::unique_ptr<PhysicalMemory> memory_;
  IoBus bus_;
  TwoLevelGuest guest_;
  NoCode code_;
  Mmu mmu_;
  State state_{};
};

TEST_F(MmuSpacesTest, AFreshSpaceKnowsTheUpperHalfThatItSharesWithTheLast) {
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kKernel + 0x100);
  use(kOtherRoot);
  EXPECT_EQ(load(kUser), 300u);
  EXPECT_TRUE(reaches(kKernel + 0x100));
  const int walks = guest_.walks;
  EXPECT_EQ(load(kKernel), 100u);
  EXPECT_EQ(guest_.walks, walks);
}

TEST_F(MmuSpacesTest, TheLowerHalfIsNeverTakenOver) {
  EXPECT_EQ(load(kUser), 200u);
  EXPECT_EQ(load(kKernel), 100u);
  use(kOtherRoot);
  EXPECT_EQ(load(kKernel), 100u);
  EXPECT_EQ(load(kUser), 300u);
}

TEST_F(MmuSpacesTest, WhatWasTakenOverGoesWhenTheSharedTableChanges) {
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kKernel + 0x100);
  use(kOtherRoot);
  EXPECT_EQ(load(kUser), 300u);
  put(kKernelTable, kOtherPage | kPresent);
  EXPECT_FALSE(reaches(kKernel + 0x100));
  EXPECT_EQ(load(kKernel), 300u);
  use(kRoot);
  EXPECT_FALSE(reaches(kKernel + 0x100));
  EXPECT_EQ(load(kKernel), 300u);
}

TEST_F(MmuSpacesTest, WhatWasTakenOverGoesWhenTheSpacesOwnRootChanges) {
  put(kOtherKernelTable, kOtherPage | kPresent | kAccessed);
  EXPECT_EQ(load(kKernel), 100u);
  use(kOtherRoot);
  EXPECT_EQ(load(kUser), 300u);
  put(kernel_entry(kOtherRoot), kOtherKernelTable | kPresent | kAccessed);
  EXPECT_EQ(load(kKernel), 300u);
  use(kRoot);
  EXPECT_EQ(load(kKernel), 100u);
}

TEST_F(MmuSpacesTest, AnUpperHalfThatDiffersIsNotTakenOver) {
  put(kOtherKernelTable, kOtherPage | kPresent | kAccessed);
  put(kernel_entry(kOtherRoot), kOtherKernelTable | kPresent | kAccessed);
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kKernel + 0x100);
  use(kOtherRoot);
  EXPECT_EQ(load(kUser), 300u);
  EXPECT_FALSE(reaches(kKernel + 0x100));
  EXPECT_EQ(load(kKernel), 300u);
}

TEST_F(MmuSpacesTest, AnAccessedBitThatTheOtherRootLacksIsSetByTheAccess) {
  put(kernel_entry(kOtherRoot), kKernelTable | kPresent | kWritable);
  EXPECT_EQ(load(kKernel), 100u);
  use(kOtherRoot);
  EXPECT_EQ(load(kUser), 300u);
  EXPECT_EQ(get(kernel_entry(kOtherRoot)) & kAccessed, 0u);
  EXPECT_EQ(load(kKernel), 100u);
  EXPECT_EQ(get(kernel_entry(kOtherRoot)) & kAccessed, kAccessed);
}

TEST_F(MmuSpacesTest, OtherControlBitsTakeNothingOver) {
  constexpr std::uint64_t kControl = std::uint64_t{1} << 52;
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kKernel + 0x100);
  use(kOtherRoot | kControl);
  EXPECT_EQ(load(kUser), 300u);
  EXPECT_FALSE(reaches(kKernel + 0x100));
}

TEST_F(MmuSpacesTest, ARootTornDownAndBuiltAgainShowsNothingOfItsPast) {
  EXPECT_EQ(load(kUser), 200u);
  run_code_at(kUser + 0x100);
  use(kOtherRoot);
  EXPECT_EQ(load(kKernel), 100u);
  zero_page(kRoot);
  put(kernel_entry(kRoot), kKernelTable | kPresent | kWritable | kAccessed);
  put(kRoot, kOtherUserTable | kPresent);
  use(kRoot);
  EXPECT_FALSE(reaches(kUser + 0x100));
  EXPECT_EQ(load(kUser), 300u);
  EXPECT_EQ(load(kKernel), 100u);
}

TEST_F(MmuSpacesTest, TheRunningSpacesRootTornDownShowsNothingOfItsPast) {
  EXPECT_EQ(load(kUser), 200u);
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kUser + 0x100);
  zero_page(kRoot);
  EXPECT_FALSE(reaches(kUser + 0x100));
  (void)load(kUser);
  EXPECT_TRUE(trapped());
  (void)load(kKernel);
  EXPECT_TRUE(trapped());
}

TEST_F(MmuSpacesTest, ALargeSpanUnmappedTakesEverythingInItAndNothingElse) {
  EXPECT_EQ(load(kUser), 200u);
  (void)load(kUser + 0x5000);
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kUser + 0x100);
  run_code_at(kKernel + 0x100);
  put(kRoot, 0);
  EXPECT_FALSE(reaches(kUser + 0x100));
  EXPECT_TRUE(reaches(kKernel + 0x100));
  const int walks = guest_.walks;
  EXPECT_EQ(load(kKernel), 100u);
  EXPECT_EQ(guest_.walks, walks);
  (void)load(kUser);
  EXPECT_TRUE(trapped());
  (void)load(kUser + 0x5000);
  EXPECT_TRUE(trapped());
}

TEST_F(MmuSpacesTest, AStaleSpaceGivesNothingToTheNext) {
  EXPECT_EQ(load(kKernel), 100u);
  run_code_at(kKernel + 0x100);
  use(kOtherRoot);
  zero_page(kRoot);
  EXPECT_EQ(load(kUser), 300u);
  EXPECT_FALSE(reaches(kKernel + 0x100));
}

TEST_F(MmuSpacesTest, CodeOfAPageMappedAlikeIsTakenOver) {
  put(kOtherUserTable, kUserPage | kPresent | kWritable);
  run_code_at(kUser + 0x100);
  run_code_at(kUser + 0x200);
  use(kOtherRoot);
  run_code_at(kUser + 0x100);
  EXPECT_TRUE(reaches(kUser + 0x200));
}

TEST_F(MmuSpacesTest, CodeOfAPageMappedElsewhereIsNotTakenOver) {
  run_code_at(kUser + 0x100);
  run_code_at(kUser + 0x200);
  use(kOtherRoot);
  run_code_at(kUser + 0x100);
  EXPECT_FALSE(reaches(kUser + 0x200));
}

TEST_F(MmuSpacesTest, CodeTakenOverLateStillGoesWithItsMapping) {
  put(kOtherUserTable, kUserPage | kPresent | kWritable);
  run_code_at(kUser + 0x200);
  use(kOtherRoot);
  run_code_at(kUser + 0x100);
  put(kOtherUserTable, kOtherPage | kPresent);
  EXPECT_FALSE(reaches(kUser + 0x100));
  EXPECT_FALSE(reaches(kUser + 0x200));
}

TEST_F(MmuSpacesTest, ATableOfAnotherSpaceIsFilledInBulk) {
  use(kOtherRoot);
  EXPECT_EQ(load(kUser), 300u);
  use(kRoot);
  put(kKernelTable + 8, kOtherRoot | kPresent | kWritable);  // a window on the other root
  std::uint64_t length = 0;
  state_.trap = {};
  std::byte* bytes = state_.memory->span(&state_, kKernel + 0x4000'0000, true, ir::kAccessPlain, &length);
  ASSERT_NE(bytes, nullptr);
  std::memset(bytes, 0, length);
  use(kOtherRoot);
  (void)load(kUser);
  EXPECT_TRUE(trapped());
}

TEST_F(MmuSpacesTest, APageWrittenFromManyPlacesLosesEveryWriteAccess) {
  put(kKernelTable + 8, kUserPage | kPresent | kWritable);
  put(kKernelTable + 16, (kUserPage - 0x3000) | kPresent | kWritable);
  constexpr std::uint64_t kPlaces[] = {kUser, kKernel + 0x4000'0000, kKernel + 0x8000'3000};
  for (const std::uint64_t place : kPlaces) {
    store(place, 1);
    ASSERT_FALSE(trapped());
  }
  memory_->mark(kUserPage >> kPageBits, PhysicalMemory::kCode);
  for (const std::uint64_t place : kPlaces)
    EXPECT_EQ(state_.view->write[place >> kPageBits & (ir::kTlbSize - 1)].tag, ir::kTlbInvalid);
}

}  // namespace
}  // namespace hindsight::engine::mmu
