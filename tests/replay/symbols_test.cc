// Symbols of a stock kernel out of the guest's own memory, against what the guest itself says.
#include <gmock/gmock.h>

#include <chrono>
#include <sstream>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/modules.h"
#include "tests/replay/guest_harness.h"
#include "tests/replay/symbols_guest.h"

namespace hindsight::tests {
namespace {

using debugger::symbols::CpuView;
using debugger::symbols::KernelSymbols;
using debugger::symbols::Module;
using debugger::symbols::read_modules;
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

TEST_F(SymbolsGuestTest, NamesTheModulesAndTheirSymbols) {
  SymbolsGuest guest(kernel_, initrd_, "quiet hs.modules=1");
  ASSERT_TRUE(guest.run_to("# "));
  const CpuView cpu = guest.view();
  const KernelSymbols symbols = symbols_of(guest);
  const auto start = std::chrono::steady_clock::now();
  const auto modules = read_modules(cpu.memory, symbols);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print("{} modules in {:.1f} ms\n", modules.size(), took.count() * 1000);
  std::istringstream listed(guest.shell("cut -d' ' -f1,6 /proc/modules"));
  std::string name, address;
  std::size_t index = 0;
  for (; listed >> name >> address; ++index) {
    ASSERT_LT(index, modules.size()) << name;
    const Module& module = modules[index];
    EXPECT_EQ(module.name, name);
    EXPECT_EQ(module.text.begin.value, std::stoull(address, nullptr, 16)) << name;
    EXPECT_GT(module.text.size(), 0u) << name;
    EXPECT_GT(module.orc.count, 0u) << name;
  }
  EXPECT_EQ(index, modules.size());
  EXPECT_GE(index, 5u);
  std::istringstream said(guest.shell("grep ' [tT] .*\\[' /proc/kallsyms | awk 'NR % 20 == 0'"));
  // There a capital letter says that the symbol is exported, which is not in the module's table.
  std::string type, owner;
  std::size_t seen = 0;
  for (; said >> address >> type >> name >> owner; ++seen) {
    const auto module =
        std::ranges::find_if(modules, [&](const auto& each) { return "[" + each.name + "]" == owner; });
    ASSERT_NE(module, modules.end()) << owner;
    EXPECT_TRUE(std::ranges::any_of(module->symbols.find(name),
                                    [&](const auto& symbol) {
                                      return symbol.address.value == std::stoull(address, nullptr, 16) &&
                                             std::tolower(symbol.type) == std::tolower(type[0]) &&
                                             symbol.full_name() == name + " " + owner;
                                    }))
        << address << " " << name << " " << owner;
  }
  EXPECT_GT(seen, 50u);
}

}  // namespace
}  // namespace hindsight::tests
