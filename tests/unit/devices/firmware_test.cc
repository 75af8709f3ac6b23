#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "devices/firmware/acpi_tables.h"
#include "devices/firmware/aml.h"
#include "devices/firmware/linux_boot.h"
#include "devices/firmware/memory_map.h"
#include "tests/support/device_world.h"
#include "tests/support/sample_kernels.h"

namespace hindsight::tests {
namespace {

using namespace devices::firmware;
using support::bzimage;
using support::FakeMemory;
using support::pvh_elf;

std::uint64_t get(const std::vector<std::uint8_t>& bytes, std::size_t offset, unsigned size) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= std::uint64_t{bytes.at(offset + i)} << (8 * i);
  return value;
}

void put(std::vector<std::byte>& bytes, std::size_t offset, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) bytes.at(offset + i) = static_cast<std::byte>(value >> (8 * i));
}

unsigned sum(const std::vector<std::uint8_t>& bytes, std::size_t offset, std::size_t size) {
  unsigned total = 0;
  for (std::size_t i = 0; i < size; ++i) total += bytes.at(offset + i);
  return total & 0xFF;
}

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

TEST(Aml, IntegersUseTheirShortestForm) {
  EXPECT_EQ(aml::integer(1), (aml::Bytes{0x01}));
  EXPECT_EQ(aml::integer(0x7F), (aml::Bytes{0x0A, 0x7F}));
  EXPECT_EQ(aml::integer(0x1234), (aml::Bytes{0x0B, 0x34, 0x12}));
  EXPECT_EQ(aml::integer(0x12345678), (aml::Bytes{0x0C, 0x78, 0x56, 0x34, 0x12}));
}

TEST(Aml, EisaIdsAreCompressed) {
  EXPECT_EQ(aml::eisa_id("PNP0A03"), (aml::Bytes{0x0C, 0x41, 0xD0, 0x0A, 0x03}));
}

TEST(Aml, PackageLengthGrowsToTwoBytesAt64) {
  EXPECT_EQ(aml::scope("_SB", aml::Bytes(58)).at(1), 0x3F);
  const aml::Bytes longer = aml::scope("_SB", aml::Bytes(59));
  EXPECT_EQ(longer.at(1), 0x41);
  EXPECT_EQ(longer.at(2), 0x04);
  EXPECT_EQ(longer.size(), 1u + 0x41);
}

TEST(AcpiTables, RootPointerAndEveryTableHaveZeroChecksums) {
  const GuestPhys base(kTablesBase);
  const auto image = build_acpi_tables({.ram_size = 64 * kMiB}, base);
  EXPECT_EQ(std::memcmp(image.data(), "RSD PTR ", 8), 0);
  EXPECT_EQ(sum(image, 0, 20), 0u);
  EXPECT_EQ(sum(image, 0, 36), 0u);
  const std::uint64_t xsdt = get(image, 24, 8) - base.value;
  ASSERT_EQ(std::memcmp(image.data() + xsdt, "XSDT", 4), 0);
  const std::uint64_t length = get(image, xsdt + 4, 4);
  EXPECT_EQ(sum(image, xsdt, length), 0u);
  std::string found;
  for (std::uint64_t at = xsdt + 36; at < xsdt + length; at += 8) {
    const std::uint64_t table = get(image, at, 8) - base.value;
    found.append(reinterpret_cast<const char*>(image.data()) + table, 4);
    EXPECT_EQ(sum(image, table, get(image, table + 4, 4)), 0u) << found;
    if (found.ends_with("FACP")) {
      const std::uint64_t dsdt = get(image, table + 140, 8) - base.value;
      EXPECT_EQ(std::memcmp(image.data() + dsdt, "DSDT", 4), 0);
      EXPECT_EQ(sum(image, dsdt, get(image, dsdt + 4, 4)), 0u);
      EXPECT_EQ((get(image, table + 36, 4)) % 64, 0u) << "FACS alignment";
    }
  }
  EXPECT_EQ(found, "FACPAPICHPET");
}

TEST(MemoryMap, RamAbove3GiBContinuesAt4GiB) {
  const auto map = e820_map(std::uint64_t{5} << 30);
  ASSERT_EQ(map.size(), 5u);
  EXPECT_EQ(map[2].base + map[2].size, 0xC0000000u);
  EXPECT_EQ(map[4].base, std::uint64_t{1} << 32);
  EXPECT_EQ(map[4].size, std::uint64_t{2} << 30);
}

struct Loader {
  FakeMemory memory{64 * kMiB};
  Result<BootState> load(std::span<const std::byte> kernel, std::span<const std::byte> initrd = {},
                         std::string_view command_line = "console=ttyS0") {
    return load_linux({kernel, initrd, command_line}, 64 * kMiB, GuestPhys(kTablesBase), memory);
  }
};

TEST(LinuxBoot, BzImageStartsAtIts64BitEntryWithTheZeroPageInRsi) {
  Loader loader;
  const std::vector<std::byte> initrd(5000, std::byte{7});
  const auto boot = loader.load(bzimage(), initrd);
  ASSERT_TRUE(boot.ok()) << boot.failure().message;
  EXPECT_EQ(boot->mode, BootState::Mode::long_mode);
  EXPECT_EQ(boot->entry, 0x1000200u);
  const auto& ram = loader.memory.bytes;
  EXPECT_EQ(ram[0x1000200], 0xF4);
  EXPECT_EQ(get(ram, boot->rsi + 0x202, 4), 0x53726448u);
  EXPECT_EQ(get(ram, boot->rsi + 0x070, 8), kTablesBase);
  const std::uint64_t initrd_at = get(ram, boot->rsi + 0x218, 4);
  EXPECT_EQ(initrd_at & 0xFFF, 0u);
  EXPECT_EQ(ram[initrd_at + 4999], 7);
  EXPECT_LE(initrd_at + 5000, 64 * kMiB);
  EXPECT_STREQ(reinterpret_cast<const char*>(ram.data()) + get(ram, boot->rsi + 0x228, 4), "console=ttyS0");
  EXPECT_EQ(get(ram, boot->rsi + 0x1E8, 1), 4u);
}

TEST(LinuxBoot, BzImagePageTablesMapTheEntryToItself) {
  Loader loader;
  const auto boot = loader.load(bzimage());
  ASSERT_TRUE(boot.ok());
  const auto& ram = loader.memory.bytes;
  const std::uint64_t pml4e = get(ram, boot->page_table_root.value, 8);
  const std::uint64_t pdpte = get(ram, (pml4e & ~0xFFFULL) + 8 * 3, 8);
  const std::uint64_t pde = get(ram, (pdpte & ~0xFFFULL) + 8 * 511, 8);
  EXPECT_EQ(pde, 0xFFE00083u) << "the last 2 MiB below 4 GiB";
}

TEST(LinuxBoot, TruncatedAndForeignFilesAreRefusedWithOneLine) {
  Loader loader;
  const std::vector<std::byte> whole = bzimage();
  for (std::size_t size = 0; size < 1024 + 0x201; size += 64) {
    const auto boot = loader.load(std::span(whole).first(size));
    ASSERT_FALSE(boot.ok()) << size;
    EXPECT_EQ(boot.failure().message.find('\n'), std::string::npos);
  }
}

TEST(LinuxBoot, KernelThatNeedsMoreRamThanThereIsIsRefused) {
  Loader loader;
  std::vector<std::byte> file = bzimage();
  put(file, 0x260, 0x10000000, 4);
  const auto boot = loader.load(file);
  ASSERT_FALSE(boot.ok());
  EXPECT_NE(boot.failure().message.find("64 MiB"), std::string::npos);
}

TEST(LinuxBoot, InitrdThatDoesNotFitAboveTheKernelIsRefused) {
  Loader loader;
  const std::vector<std::byte> initrd(48 * kMiB);
  EXPECT_FALSE(loader.load(bzimage(), initrd).ok());
}

TEST(LinuxBoot, CommandLineLongerThanTheKernelTakesIsRefused) {
  Loader loader;
  EXPECT_TRUE(loader.load(bzimage(), {}, std::string(2047, 'x')).ok());
  EXPECT_FALSE(loader.load(bzimage(), {}, std::string(2048, 'x')).ok());
}

TEST(LinuxBoot, PvhKernelStartsIn32BitModeWithTheStartInfoInRbx) {
  Loader loader;
  const std::vector<std::byte> initrd(100, std::byte{3});
  const auto boot = loader.load(pvh_elf(0x1000010), initrd);
  ASSERT_TRUE(boot.ok()) << boot.failure().message;
  EXPECT_EQ(boot->mode, BootState::Mode::protected32);
  EXPECT_EQ(boot->entry, 0x1000010u);
  const auto& ram = loader.memory.bytes;
  EXPECT_EQ(ram[0x10000FF], 0x99);
  EXPECT_EQ(get(ram, boot->rbx, 4), 0x336EC578u);
  EXPECT_EQ(get(ram, boot->rbx + 32, 8), kTablesBase);
  const std::uint64_t module = get(ram, boot->rbx + 16, 8);
  EXPECT_EQ(ram[get(ram, module, 8)], 3);
  EXPECT_EQ(get(ram, module + 8, 8), 100u);
}

TEST(LinuxBoot, ElfWithoutPvhNoteOrWithBrokenHeadersIsRefused) {
  Loader loader;
  std::vector<std::byte> no_note = pvh_elf(0x1000010);
  put(no_note, 0x408, 17, 4);
  EXPECT_FALSE(loader.load(no_note).ok());
  std::vector<std::byte> beyond = pvh_elf(0x1000010);
  put(beyond, 0x40 + 32, ~std::uint64_t{0}, 8);
  EXPECT_FALSE(loader.load(beyond).ok());
  std::vector<std::byte> too_large = pvh_elf(0x1000010);
  put(too_large, 0x40 + 40, ~std::uint64_t{0}, 8);
  EXPECT_FALSE(loader.load(too_large).ok());
}

}  // namespace
}  // namespace hindsight::tests
