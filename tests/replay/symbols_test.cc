// Symbols of a stock kernel out of the guest's own memory, against what the guest itself says.
#include <gmock/gmock.h>

#include <chrono>
#include <sstream>

#include "debugger/symbols/kernel_symbols.h"
#include "tests/replay/guest_harness.h"
#include "tests/replay/symbols_guest.h"

namespace hindsight::tests {
namespace {

using debugger::symbols::CpuView;
using debugger::symbols::KernelSymbols;
using testing::HasSubstr;
using testing::StartsWith;

class SymbolsGuestTest : public GuestTest {
 protected:
  SymbolsGuest boot(const std::string& append) { return {kernel_, initrd_, append}; }

  static KernelSymbols symbols_of(SymbolsGuest& guest) {
    const CpuView cpu = guest.view();
    auto symbols = KernelSymbols::find(cpu.memory);
    if (!symbols) throw std::runtime_error(symbols.failure().message);
    return std::move(*symbols);
  }
};

/// Every line of /proc/kallsyms that `said` holds, as "address type name".
void expect_same_symbols(const std::string& said, const KernelSymbols& symbols, std::size_t least) {
  std::istringstream lines(said);
  std::string address, type, name;
  std::size_t seen = 0;
  for (; lines >> address >> type >> name; ++seen) {
    const auto found = symbols.find(name);
    EXPECT_TRUE(std::ranges::any_of(found,
                                    [&](const auto& symbol) {
                                      return symbol.address.value == std::stoull(address, nullptr, 16) &&
                                             symbol.type == type[0];
                                    }))
        << address << " " << type << " " << name << ": " << found.size() << " of that name";
  }
  EXPECT_GE(seen, least) << said;
}

TEST_F(SymbolsGuestTest, FindsTheKernelsOwnSymbolsAndSlideUnderKaslr) {
  SymbolsGuest guest(kernel_, initrd_, "quiet");
  ASSERT_TRUE(guest.run_to("# "));
  const auto start = std::chrono::steady_clock::now();
  const KernelSymbols symbols = symbols_of(guest);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  RecordProperty("seconds", std::to_string(took.count()));
  fmt::print("{} symbols in {:.1f} ms\n", symbols.table().size(), took.count() * 1000);
  const std::string count = guest.shell("grep -vc '\\[' /proc/kallsyms");
  EXPECT_EQ(std::to_string(symbols.table().size()) + "\n", count);
  const std::string said = guest.shell("grep -v '\\[' /proc/kallsyms | awk 'NR % 500 == 0'");
  expect_same_symbols(said, symbols, 100);
  const std::string text = guest.shell("grep ' _text$' /proc/kallsyms");
  EXPECT_EQ(std::stoull(text.substr(0, 16), nullptr, 16), symbols.text().begin.value);
  EXPECT_NE(symbols.slide(), 0u);
  const auto start_kernel = symbols.address_of("start_kernel");
  ASSERT_TRUE(start_kernel);
  EXPECT_EQ(symbols.at(*start_kernel + 5)->text(), "start_kernel+0x5");
}

TEST_F(SymbolsGuestTest, FindsNoSlideWithoutKaslr) {
  SymbolsGuest guest(kernel_, initrd_, "quiet nokaslr");
  ASSERT_TRUE(guest.run_to("HINDSIGHT-INIT"));
  const KernelSymbols symbols = symbols_of(guest);
  EXPECT_EQ(symbols.slide(), 0u);
  EXPECT_EQ(symbols.address_of("_text"), GuestVirt{0xffffffff81000000});
}

TEST_F(SymbolsGuestTest, SaysThatNoKernelIsMappedYet) {
  SymbolsGuest guest(kernel_, initrd_, "quiet");
  ASSERT_TRUE(guest.run_for(1000));
  const auto symbols = KernelSymbols::find(guest.view().memory);
  ASSERT_FALSE(symbols);
  EXPECT_THAT(symbols.failure().message, StartsWith("no kernel is mapped at ffffffff80000000"));
}

}  // namespace
}  // namespace hindsight::tests
