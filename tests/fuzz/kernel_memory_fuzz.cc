// Any guest memory: symbols are found or not, never a crash, never without end. Input: a byte that chooses
// the tables' layout, then edits of sound ones: a 3-byte position and the byte to put there.
#include <cstdint>
#include <span>

#include "debugger/symbols/kernel_symbols.h"
#include "engine/base/check.h"
#include "tests/support/kallsyms_image.h"
#include "tests/support/sparse_memory.h"

namespace hindsight::tests {
namespace {

using support::KallsymsImage;
using support::SparseMemory;

constexpr std::uint64_t kText = 0xffffffff81000000;
constexpr GuestVirt kTables{kText + 0x400000};

SparseMemory memory_of(unsigned choice, std::span<const std::byte> edits) {
  const auto layout = static_cast<KallsymsImage::Layout>(choice % 5);
  SparseMemory memory;
  memory.put(kTables, KallsymsImage::build(KallsymsImage::sample(kText, 300), layout, kTables));
  SparseMemory::Bytes& bytes = memory.at(kTables);
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const std::size_t at = std::to_integer<std::size_t>(edits[0]) |
                           std::to_integer<std::size_t>(edits[1]) << 8 |
                           std::to_integer<std::size_t>(edits[2]) << 16;
    bytes[at % bytes.size()] = edits[3];
  }
  return memory;
}

}  // namespace
}  // namespace hindsight::tests

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hindsight;
  using namespace hindsight::debugger::symbols;
  if (size < 1) return 0;
  const auto memory = tests::memory_of(data[0], std::as_bytes(std::span(data + 1, size - 1)));
  const auto symbols = KernelSymbols::find(memory);
  if (!symbols) {
    CHECK(symbols.failure().message.find('\n') == std::string::npos);
    return 0;
  }
  const SymbolTable& table = symbols->table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const auto location = symbols->at(table[i].address);
    if (location) CHECK(location->offset < location->symbol.size);
    CHECK(!symbols->find(table[i].name).empty());
  }
  return 0;
}
