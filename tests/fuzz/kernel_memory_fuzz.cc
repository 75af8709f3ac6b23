// Any guest memory: a kernel is found or not, its stacks end, its log is read, never a crash, never without
// end. Input: a byte that chooses what is edited (kallsyms of each layout, or a whole tiny kernel of each ORC
// format), then edits: a 3-byte position and the byte to put there.
#include <cstdint>
#include <span>

#include "debugger/symbols/guest_kernel.h"
#include "engine/base/check.h"
#include "tests/support/kallsyms_image.h"
#include "tests/support/tiny_kernel.h"

namespace hindsight::tests {
namespace {

using debugger::symbols::GuestKernel;
using debugger::symbols::OrcFormat;
using support::KallsymsImage;
using support::SparseMemory;
using support::TinyKernel;

constexpr unsigned kLayouts = 5, kFormats = 3;
constexpr std::uint64_t kText = 0xffffffff81000000;
constexpr GuestVirt kTables{kText + 0x400000};

std::size_t position(std::span<const std::byte> edit) {
  return std::to_integer<std::size_t>(edit[0]) | std::to_integer<std::size_t>(edit[1]) << 8 |
         std::to_integer<std::size_t>(edit[2]) << 16;
}

SparseMemory edited_tables(unsigned choice, std::span<const std::byte> edits) {
  const auto layout = static_cast<KallsymsImage::Layout>(choice);
  SparseMemory memory;
  memory.put(kTables, KallsymsImage::build(KallsymsImage::sample(kText, 300), layout, kTables));
  SparseMemory::Bytes& bytes = memory.at(kTables);
  for (; edits.size() >= 4; edits = edits.subspan(4)) bytes[position(edits) % bytes.size()] = edits[3];
  return memory;
}

SparseMemory edited_kernel(unsigned choice, std::span<const std::byte> edits) {
  TinyKernel kernel(static_cast<OrcFormat>(choice));
  constexpr std::array<GuestVirt, 6> kPlaces{TinyKernel::kOrc, TinyKernel::kData,  TinyKernel::kModule,
                                             TinyKernel::kBtf, TinyKernel::kStack, TinyKernel::kTables};
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const std::size_t at = position(edits);
    SparseMemory::Bytes& bytes = kernel.memory.at(kPlaces[at % kPlaces.size()]);
    bytes[at / kPlaces.size() % bytes.size()] = edits[3];
  }
  return std::move(kernel.memory);
}

void expect_sound(const debugger::symbols::SymbolTable& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto location = table.at(table[i].address);
    if (location) CHECK(location->offset < location->symbol.size);
    CHECK(!table.find(table[i].name).empty());
  }
}

void use(GuestKernel& kernel, const SparseMemory& memory) {
  using debugger::symbols::Registers;
  expect_sound(kernel.symbols().table());
  for (const auto& module : kernel.modules()) expect_sound(module.symbols);
  for (const GuestVirt pc : {TinyKernel::kOuter + 8, TinyKernel::kInner + 9, TinyKernel::kEntry + 8,
                             TinyKernel::kThunk + 0x10, TinyKernel::kModule + 0x20}) {
    Registers registers;
    registers.general.fill(TinyKernel::kStack.value + 0x1000);
    registers.rip = pc.value;
    const auto stack = kernel.unwind(registers, memory);
    if (stack) CHECK(stack->frames.size() <= 256 && !kernel.describe(*stack).empty());
  }
  if (const auto log = kernel.log(memory)) {
    for (const auto& record : *log) CHECK(!record.line().empty());
  }
  if (const auto tasks = kernel.tasks(memory)) CHECK(tasks->size() <= 1 << 18);
  CHECK(!kernel.elf(memory).empty());
}

}  // namespace
}  // namespace hindsight::tests

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hindsight;
  if (size < 1) return 0;
  const unsigned choice = data[0] % (tests::kLayouts + tests::kFormats);
  const auto edits = std::as_bytes(std::span(data + 1, size - 1));
  const tests::SparseMemory memory = choice < tests::kLayouts
                                         ? tests::edited_tables(choice, edits)
                                         : tests::edited_kernel(choice - tests::kLayouts, edits);
  auto kernel = tests::GuestKernel::find(memory);
  if (kernel) {
    tests::use(*kernel, memory);
  } else {
    CHECK(kernel.failure().message.find('\n') == std::string::npos);
  }
  return 0;
}
