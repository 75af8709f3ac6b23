#include "debugger/symbols/memory_view.h"

#include <algorithm>

namespace hindsight::debugger::symbols {

std::optional<std::string> load_text(const MemoryView& memory, GuestVirt address, std::size_t most) {
  std::string text;
  while (text.size() < most) {
    // Never across a page: the next one may not be there, nor needed.
    std::array<char, 64> piece;
    const std::size_t in_page = kPageSize - (address.value + text.size()) % kPageSize;
    const std::size_t size = std::min({piece.size(), most - text.size(), in_page});
    if (!memory.read(address + text.size(), std::as_writable_bytes(std::span(piece).first(size))))
      return std::nullopt;
    const auto end = std::find(piece.begin(), piece.begin() + size, '\0');
    text.append(piece.begin(), end);
    if (end != piece.begin() + size) return text;
  }
  return std::nullopt;
}

}  // namespace hindsight::debugger::symbols
