// Symbols of a stock kernel out of the guest's own memory, against what the guest itself says.
#include <elf.h>
#include <gmock/gmock.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <chrono>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include "debugger/symbols/byte_writer.h"
#include "debugger/symbols/guest_kernel.h"
#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/modules.h"
#include "debugger/symbols/orc.h"
#include "debugger/symbols/symbol_elf.h"
#include "debugger/symbols/vmlinux.h"
#include "tests/replay/guest_harness.h"
#include "tests/replay/symbols_guest.h"

namespace hindsight::tests {
namespace {

using debugger::symbols::CpuView;
using debugger::symbols::Frame;
using debugger::symbols::KernelSymbols;
using debugger::symbols::Module;
using debugger::symbols::read_modules;
using debugger::symbols::Stack;
using debugger::symbols::Unwinder;
using debugger::symbols::write_elf;
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

std::string text_of(const Stack& stack, const KernelSymbols& symbols, const std::vector<Module>& modules) {
  std::string text;
  bool first = true;
  for (const Frame& frame : stack.frames) {
    const GuestVirt pc = frame.lookup_pc(first);
    auto location = symbols.at(pc);
    for (const Module& module : modules) {
      if (!location) location = module.symbols.at(pc);
    }
    text += fmt::format("{:x} {}{}\n", frame.pc.value, location ? location->text() : "?",
                        frame.interrupted ? " (interrupted)" : "");
    first = false;
  }
  return text;
}

/// What stacks begin in: threads, CPUs, and the few instructions between user space and its saved registers.
bool is_bottom(const Stack& stack, const KernelSymbols& symbols) {
  const Frame& last = stack.frames.back();
  const auto location = symbols.at(last.lookup_pc(stack.frames.size() == 1));
  if (!location) return false;
  static const std::set<std::string_view> kBottoms{"ret_from_fork", "secondary_startup_64_no_verify",
                                                   "startup_64", "common_interrupt_return"};
  return kBottoms.contains(location->symbol.name) || location->symbol.name.starts_with("entry_SYSCALL");
}

TEST_F(SymbolsGuestTest, UnwindsAtAnyInstantOfTheBootToABottomThatIsKnown) {
  SymbolsGuest guest(kernel_, initrd_, "quiet hs.modules=1");
  std::map<Stack::End, int> ends;
  std::mt19937_64 random(7);
  std::optional<KernelSymbols> symbols;
  std::optional<Unwinder> unwinder;
  const auto step = static_cast<std::uint64_t>(6'000'000 / repetitions(1, 100));
  while (guest.console().find("# ") == std::string::npos) {
    ASSERT_TRUE(guest.run_for(1 + random() % step));
    const CpuView cpu = guest.view();
    if (!unwinder) {
      auto found = KernelSymbols::find(cpu.memory);
      if (!found) continue;
      symbols = std::move(*found);
      unwinder = *Unwinder::create(cpu.memory, *symbols);
    }
    const auto modules = read_modules(cpu.memory, *symbols);
    unwinder->set_modules(modules);
    const Stack stack = unwinder->unwind(cpu.registers, cpu.memory);
    ++ends[stack.end];
    // Alternatives that are not patched yet run code that ORC does not cover.
    if (stack.end == Stack::End::unknown && symbols->at(stack.frames[0].pc)->symbol.name == "_einittext")
      continue;
    EXPECT_TRUE(stack.end == Stack::End::user ||
                (stack.end == Stack::End::bottom && is_bottom(stack, *symbols)))
        << "icount " << guest.machine().now().icount.value << ", end " << static_cast<int>(stack.end) << "\n"
        << text_of(stack, *symbols, modules);
  }
  EXPECT_GT(ends[Stack::End::bottom], 100);
  EXPECT_GT(ends[Stack::End::user], 20);
}

/// A core dump of one thread: its registers, and the pages that its stack is in.
std::string core_of(const CpuView& cpu, const Stack& stack) {
  std::set<std::uint64_t> pages;
  for (const Frame& frame : stack.frames) {
    for (const std::uint64_t near : {0u, 0x1000u}) pages.insert((frame.sp.value + near) & ~kPageMask);
  }
  prstatus_t status{};
  const auto& general = cpu.registers.general;
  user_regs_struct regs{};
  regs.rax = general[0], regs.rcx = general[1], regs.rdx = general[2], regs.rbx = general[3];
  regs.rsp = general[4], regs.rbp = general[5], regs.rsi = general[6], regs.rdi = general[7];
  regs.r8 = general[8], regs.r9 = general[9], regs.r10 = general[10], regs.r11 = general[11];
  regs.r12 = general[12], regs.r13 = general[13], regs.r14 = general[14], regs.r15 = general[15];
  regs.rip = cpu.registers.rip;
  regs.cs = 0x33;
  std::memcpy(&status.pr_reg, &regs, sizeof regs);
  status.pr_pid = 1;
  debugger::symbols::ByteWriter out;
  Elf64_Ehdr file{};
  std::memcpy(file.e_ident, ELFMAG, SELFMAG);
  file.e_ident[EI_CLASS] = ELFCLASS64, file.e_ident[EI_DATA] = ELFDATA2LSB;
  file.e_ident[EI_VERSION] = EV_CURRENT;
  file.e_version = EV_CURRENT;
  file.e_type = ET_CORE, file.e_machine = EM_X86_64;
  file.e_phoff = file.e_ehsize = sizeof file, file.e_phentsize = sizeof(Elf64_Phdr);
  file.e_phnum = static_cast<Elf64_Half>(pages.size() + 1);
  out.put(file);
  const std::size_t note_at = sizeof file + file.e_phnum * sizeof(Elf64_Phdr);
  constexpr std::size_t kNote = sizeof(Elf64_Nhdr) + 8 + sizeof status;
  out.put(Elf64_Phdr{PT_NOTE, 0, note_at, 0, 0, kNote, kNote, 4});
  std::size_t at = note_at + kNote;
  for (const std::uint64_t page : pages) {
    out.put(Elf64_Phdr{PT_LOAD, PF_R | PF_W, at, page, 0, kPageSize, kPageSize, 1});
    at += kPageSize;
  }
  out.put(Elf64_Nhdr{5, sizeof status, NT_PRSTATUS});
  out.append(std::as_bytes(std::span("CORE\0\0\0", 8)));
  out.put(status);
  for (const std::uint64_t page : pages) {
    std::vector<std::byte> bytes(kPageSize);
    (void)cpu.memory.read(GuestVirt{page}, bytes);
    out.append(bytes);
  }
  return {reinterpret_cast<const char*>(out.bytes().data()), out.size()};
}

TEST_F(SymbolsGuestTest, GdbNamesAndUnwindsByTheFileThatIsMade) {
  if (run({"gdb", "--version"}).code != 0) GTEST_SKIP() << "gdb is not installed";
  SymbolsGuest guest(kernel_, initrd_, "quiet hs.modules=1");
  ASSERT_TRUE(guest.run_to("HINDSIGHT-INIT"));
  const KernelSymbols symbols = symbols_of(guest);
  auto unwinder = *Unwinder::create(guest.view().memory, symbols);
  write("frames.py",
        "frame = gdb.newest_frame()\n"
        "try:\n"
        "  while frame is not None:\n"
        "    print('pc %x' % frame.pc())\n"
        "    frame = frame.older()\n"
        "except gdb.error as problem:\n"
        "  print('stopped:', problem)\n");
  std::mt19937_64 random(11);
  int interrupted = 0, in_modules = 0;
  for (int tries = 0; (interrupted < 3 || in_modules < 3) && tries < 10'000; ++tries) {
    ASSERT_TRUE(guest.run_for(1 + random() % 40'000));
    const CpuView cpu = guest.view();
    if (cpu.registers.cpl != 0) continue;
    const auto modules = read_modules(cpu.memory, symbols);
    unwinder.set_modules(modules);
    const Stack stack = unwinder.unwind(cpu.registers, cpu.memory);
    const bool has_interrupted = std::ranges::any_of(stack.frames, &Frame::interrupted);
    const bool has_module =
        std::ranges::any_of(stack.frames, [&](const Frame& frame) { return !symbols.at(frame.pc); });
    if (!(has_interrupted && interrupted < 3) && !(has_module && in_modules < 3)) continue;
    interrupted += has_interrupted;
    in_modules += has_module;
    const auto elf = write_elf(symbols, modules, &unwinder, cpu.memory);
    write("kernel.elf", {reinterpret_cast<const char*>(elf.data()), elf.size()});
    write("core", core_of(cpu, stack));
    const GuestVirt inside = *symbols.address_of("start_kernel") + 3;
    const Outcome gdb =
        run({"gdb", "-batch", "-nx", "-ex", fmt::format("info symbol {:#x}", inside.value), "-ex",
             "info address start_kernel", "-x", path("frames.py"), path("kernel.elf"), path("core")});
    EXPECT_THAT(gdb.text, HasSubstr("start_kernel + 3 in section .init.text"));
    EXPECT_THAT(gdb.text, HasSubstr(fmt::format("\"start_kernel\" is at {:#x}", inside.value - 3)));
    std::string pcs;
    for (const Frame& frame : stack.frames) pcs += fmt::format("pc {:x}\n", frame.pc.value);
    if (stack.user) pcs += fmt::format("pc {:x}\n", stack.user->pc.value);
    EXPECT_THAT(gdb.text, HasSubstr(pcs)) << text_of(stack, symbols, modules);
  }
  EXPECT_EQ(interrupted, 3);
  EXPECT_EQ(in_modules, 3);
}

TEST_F(SymbolsGuestTest, ReadsTheLogThatDmesgPrints) {
  SymbolsGuest guest(kernel_, initrd_, "quiet");
  ASSERT_TRUE(guest.run_to("# "));
  const CpuView cpu = guest.view();
  const auto kernel = debugger::symbols::GuestKernel::find(cpu.memory);
  ASSERT_TRUE(kernel) << kernel.failure().message;
  const auto log = kernel->log(cpu.memory);
  ASSERT_TRUE(log) << log.failure().message;
  std::string text;
  for (const auto& record : *log) text += record.line() + "\n";
  EXPECT_EQ(guest.shell("dmesg"), text);
  EXPECT_THAT(text, HasSubstr("] Linux version "));
}

TEST_F(SymbolsGuestTest, ReadsAVmlinuxThatIsTheOneThatRuns) {
  SymbolsGuest guest(kernel_, initrd_, "quiet");
  ASSERT_TRUE(guest.run_to("HINDSIGHT-INIT"));
  const CpuView cpu = guest.view();
  const KernelSymbols symbols = symbols_of(guest);
  EXPECT_EQ(debugger::symbols::running_build_id(cpu.memory, symbols).size(), 20u);
  // The file that is made for gdb stands for one of a debug package; its addresses have the slide already.
  const auto elf = write_elf(symbols, {}, nullptr, cpu.memory);
  write("vmlinux", {reinterpret_cast<const char*>(elf.data()), elf.size()});
  const auto vmlinux = debugger::symbols::read_vmlinux(path("vmlinux"), 0x1000);
  ASSERT_TRUE(vmlinux) << vmlinux.failure().message;
  EXPECT_EQ(vmlinux->symbols.size(), symbols.table().size());
  const auto start_kernel = vmlinux->symbols.first("start_kernel");
  ASSERT_TRUE(start_kernel);
  EXPECT_EQ(start_kernel->address, *symbols.address_of("start_kernel") + 0x1000);
  EXPECT_EQ(start_kernel->type, 'T');
  EXPECT_THAT(debugger::symbols::read_vmlinux(kernel_, 0).failure().message,
              HasSubstr("an ELF file for x86-64 expected"));
}

TEST_F(SymbolsGuestTest, ListsTheTasksThatPsListsAndWhereTheySleep) {
  SymbolsGuest guest(kernel_, initrd_, "quiet");
  ASSERT_TRUE(guest.run_to("# "));
  const std::string names = guest.shell("for p in /proc/[0-9]*; do head -n 1 $p/status; done");
  std::string pids = " " + guest.shell("echo /proc/[0-9]*");
  std::ranges::replace(pids, '\n', ' ');
  const CpuView cpu = guest.view();
  auto kernel = *debugger::symbols::GuestKernel::find(cpu.memory);
  const auto tasks = kernel.tasks(cpu.memory);
  ASSERT_TRUE(tasks) << tasks.failure().message;
  int unwound = 0;
  for (const auto& task : *tasks) {
    if (task.pid != 0) {
      // There workers say what they work on, too.
      EXPECT_THAT(names, HasSubstr("Name:\t" + task.name));
      EXPECT_THAT(pids, HasSubstr(fmt::format(" /proc/{} ", task.pid)));
    }
    if (!task.saved) continue;
    const Stack stack = *kernel.unwind(*task.saved, cpu.memory);
    EXPECT_TRUE(stack.end == Stack::End::user || stack.end == Stack::End::bottom) << kernel.describe(stack);
    EXPECT_THAT(kernel.describe(stack), HasSubstr("schedule+")) << task.name;
    ++unwound;
  }
  EXPECT_EQ(tasks->size(), static_cast<std::size_t>(std::ranges::count(pids, '/') / 2 + 1));
  EXPECT_GT(unwound, 20);
}

}  // namespace
}  // namespace hindsight::tests
