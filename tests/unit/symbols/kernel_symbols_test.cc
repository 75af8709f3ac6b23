#include "debugger/symbols/kernel_symbols.h"

#include <gmock/gmock.h>

#include "tests/support/kallsyms_image.h"
#include "tests/support/sparse_memory.h"

namespace hindsight::debugger::symbols {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using tests::support::KallsymsImage;
using tests::support::SparseMemory;
using Layout = KallsymsImage::Layout;

constexpr std::uint64_t kText = 0xffffffff81000000 + 0x12200000;
constexpr GuestVirt kTables{kText + 0x400000};

SparseMemory memory_with(const std::vector<KallsymsImage::Symbol>& symbols, Layout layout) {
  SparseMemory memory;
  memory.put(GuestVirt{kText}, SparseMemory::Bytes(0x1000, std::byte{0x90}));
  SparseMemory::Bytes tables = KallsymsImage::build(symbols, layout, kTables);
  tables.resize(tables.size() + 0x1000);
  memory.put(kTables, std::move(tables));
  return memory;
}

void expect_sample(Layout layout) {
  const auto sample = KallsymsImage::sample(kText, 1000);
  const auto symbols = KernelSymbols::find(memory_with(sample, layout));
  ASSERT_TRUE(symbols) << symbols.failure().message;
  ASSERT_EQ(symbols->table().size(), sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const Symbol symbol = symbols->table()[i];
    EXPECT_EQ(symbol.name, sample[i].name);
    EXPECT_EQ(symbol.type, sample[i].type);
    EXPECT_EQ(symbol.address.value, sample[i].address);
  }
  EXPECT_EQ(symbols->slide(), 0x12200000u);
}

TEST(KernelSymbols, ReadsOffsetsWithAbsolutePerCpuSymbols) { expect_sample(Layout::absolute_per_cpu); }
TEST(KernelSymbols, ReadsOffsetsThatCountUpFromTheBase) { expect_sample(Layout::base_relative); }
TEST(KernelSymbols, ReadsTablesWithSequenceNumbersBetween) { expect_sample(Layout::with_sequences); }
TEST(KernelSymbols, ReadsOffsetsBehindTheTokens) { expect_sample(Layout::offsets_last); }
TEST(KernelSymbols, ReadsOffsetsThatCountFromTheirPlace) { expect_sample(Layout::place_relative); }

TEST(KernelSymbols, GivesEverySymbolOfAName) {
  const auto symbols =
      KernelSymbols::find(memory_with(KallsymsImage::sample(kText, 300), Layout::absolute_per_cpu));
  ASSERT_TRUE(symbols);
  EXPECT_THAT(symbols->find("local"), SizeIs(2));
  EXPECT_THAT(symbols->find("nowhere"), SizeIs(0));
  EXPECT_EQ(symbols->address_of("sys_read"), GuestVirt{kText + 0x100});
}

TEST(KernelSymbols, SaysHowFarIntoASymbolAnAddressIs) {
  const auto symbols =
      KernelSymbols::find(memory_with(KallsymsImage::sample(kText, 300), Layout::absolute_per_cpu));
  ASSERT_TRUE(symbols);
  const auto location = symbols->at(GuestVirt{kText + 0x17f});
  ASSERT_TRUE(location);
  EXPECT_EQ(location->text(), "sys_read+0x7f");
  EXPECT_EQ(location->symbol.size, 0x80u);
  EXPECT_EQ(symbols->at(GuestVirt{kText})->text(), "_text");  // of two that begin there, the first
}

TEST(KernelSymbols, KnowsNothingOutsideTheImage) {
  const auto symbols =
      KernelSymbols::find(memory_with(KallsymsImage::sample(kText, 300), Layout::absolute_per_cpu));
  ASSERT_TRUE(symbols);
  EXPECT_FALSE(symbols->at(GuestVirt{kText - 1}));
  EXPECT_FALSE(symbols->at(symbols->image().end));
  EXPECT_FALSE(symbols->at(GuestVirt{0}));
}

TEST(KernelSymbols, GivesPerCpuSymbolsByNameOnly) {
  auto sample = KallsymsImage::sample(kText, 300);
  sample.insert(sample.begin(), {"current_task", 'D', 0x1fbc0});
  const auto symbols = KernelSymbols::find(memory_with(sample, Layout::absolute_per_cpu));
  ASSERT_TRUE(symbols) << symbols.failure().message;
  ASSERT_THAT(symbols->find("current_task"), SizeIs(1));
  EXPECT_TRUE(symbols->find("current_task")[0].absolute);
  EXPECT_FALSE(symbols->address_of("current_task"));
  EXPECT_FALSE(symbols->at(GuestVirt{0x1fbc0}));
}

TEST(KernelSymbols, SaysWhichTableDoesNotFit) {
  const auto sample = KallsymsImage::sample(kText, 300);
  SparseMemory memory = memory_with(sample, Layout::absolute_per_cpu);
  // The offsets are no longer in the order of addresses.
  memory.store(kTables + 40 * 4, std::int32_t{-1});
  const auto symbols = KernelSymbols::find(memory);
  ASSERT_FALSE(symbols);
  EXPECT_THAT(symbols.failure().message, HasSubstr("no kallsyms offsets fit the 309 names"));
}

TEST(KernelSymbols, RefusesMemoryWithoutTables) {
  SparseMemory memory;
  memory.put(GuestVirt{kText}, SparseMemory::Bytes(0x100000));
  const auto symbols = KernelSymbols::find(memory);
  ASSERT_FALSE(symbols);
  EXPECT_THAT(symbols.failure().message, HasSubstr("no kallsyms token table"));
}

}  // namespace
}  // namespace hindsight::debugger::symbols
