// Linear memory made of a few pieces, for tests of what reads a guest's kernel. One test thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "debugger/symbols/memory_view.h"

namespace hindsight::tests::support {

class SparseMemory final : public debugger::symbols::MemoryView {
 public:
  using Bytes = std::vector<std::byte>;
  using Range = debugger::symbols::Range;

  /// Pieces must not overlap.
  void put(GuestVirt address, Bytes bytes) { pieces_[address] = std::move(bytes); }
  /// The bytes of the piece that starts at `address`.
  Bytes& at(GuestVirt address) { return pieces_.at(address); }
  template <class T>
  void store(GuestVirt address, T value) {
    for (auto& [start, bytes] : pieces_) {
      if (address < start || address - start + sizeof(T) > bytes.size()) continue;
      std::memcpy(bytes.data() + (address - start), &value, sizeof(T));
    }
  }
  void store_text(GuestVirt address, std::string_view text) {
    for (const char c : text) store(address, c), address += 1;
    store(address, '\0');
  }

  [[nodiscard]] bool read(GuestVirt address, std::span<std::byte> out) const override {
    while (!out.empty()) {
      auto next = pieces_.upper_bound(address);
      if (next == pieces_.begin()) return false;
      const auto& [start, bytes] = *std::prev(next);
      const std::uint64_t offset = address - start;
      if (offset >= bytes.size()) return false;
      const std::size_t size = std::min<std::uint64_t>(out.size(), bytes.size() - offset);
      std::memcpy(out.data(), bytes.data() + offset, size);
      out = out.subspan(size);
      address += size;
    }
    return true;
  }
  [[nodiscard]] std::vector<Range> mapped(GuestVirt from, GuestVirt to) const override {
    std::vector<Range> found;
    for (const auto& [start, bytes] : pieces_) {
      const Range range{std::max(start, from), std::min(start + bytes.size(), to)};
      if (range.size() == 0) continue;
      if (!found.empty() && found.back().end == range.begin) {
        found.back().end = range.end;
      } else {
        found.push_back(range);
      }
    }
    return found;
  }

 private:
  std::map<GuestVirt, Bytes> pieces_;
};

}  // namespace hindsight::tests::support
