// Names and addresses, looked up both ways. Owned by whoever read them; immutable once sealed, then any
// thread. The same order on every host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/symbols/memory_view.h"

namespace hindsight::debugger::symbols {

/// One symbol; the names point into the table it came from.
struct Symbol {
  std::string_view name;
  GuestVirt address;
  std::uint64_t size = 0;   ///< to the next symbol, or as the module's own table says
  char type = '?';          ///< as nm(1) and /proc/kallsyms spell it: T text, D data, capital when global
  bool absolute = false;    ///< a number, or an offset into a CPU's own area; not an address
  std::string_view module;  ///< empty: the kernel itself

  [[nodiscard]] bool is_text() const;
  /// "name", or "name [module]".
  [[nodiscard]] std::string full_name() const;
};

/// A symbol and how far into it an address lies.
struct Location {
  Symbol symbol;
  std::uint64_t offset = 0;

  /// "name+0x12 [module]"; without the offset when it is zero.
  [[nodiscard]] std::string text() const;
};

class SymbolTable final {
 public:
  /// The names of all symbols together; more is refused by the readers.
  static constexpr std::size_t kMostNameBytes = std::size_t{128} << 20;

  explicit SymbolTable(std::string module = {}) : module_(std::move(module)) {}

  void reserve(std::size_t symbols, std::size_t name_bytes);
  /// Size 0: up to the next symbol.
  void add(std::string_view name, char type, GuestVirt address, std::uint64_t size, bool absolute);
  /// No more is added. Symbols without a size reach to the next address, the last of them to `end`.
  void seal(GuestVirt end);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t name_bytes() const { return names_.size(); }
  /// In the order of addresses, and of the source where those are equal; absolute ones first.
  [[nodiscard]] Symbol operator[](std::size_t index) const;
  /// Every symbol of that name.
  [[nodiscard]] std::vector<Symbol> find(std::string_view name) const;
  /// The first of that name.
  [[nodiscard]] std::optional<Symbol> first(std::string_view name) const;
  /// The symbol that covers `address`: of several that begin together the first.
  [[nodiscard]] std::optional<Location> at(GuestVirt address) const;

 private:
  struct Entry {
    GuestVirt address;
    std::uint64_t size;
    std::uint32_t name, name_size;
    char type;
    bool absolute;
  };

  [[nodiscard]] std::string_view name_of(const Entry& entry) const {
    return std::string_view(names_).substr(entry.name, entry.name_size);
  }

  std::string module_, names_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> buckets_, next_;  ///< by hash of the name: index + 1, 0 ends
};

}  // namespace hindsight::debugger::symbols
