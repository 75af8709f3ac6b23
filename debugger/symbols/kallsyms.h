// Finding and decoding kallsyms tables in memory (kernel/kallsyms.c and scripts/kallsyms.c of Linux describe
// them). Internal to the module. Every read is bounded: the memory may hold anything.
//
//   token table   256 strings; names are sequences of bytes, each standing for one of them
//   token index   256 16-bit offsets into the token table
//   names         for each symbol a length (one byte, or two where the first has its high bit set), then
//                 that many tokens; the first character is the type
//   markers       the offset in `names` of every 256th symbol
//   offsets       32 bits for each symbol, and a base that they count from
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "debugger/symbols/memory_view.h"
#include "debugger/symbols/symbol_table.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

class Kallsyms final {
 public:
  static Result<Kallsyms> find(const MemoryView& memory, const Range& region);
  /// All symbols, in the order of the tables; `end` as SymbolTable::seal wants it.
  Result<SymbolTable> decode(GuestVirt end) const;

 private:
  struct Tokens {
    GuestVirt table, index;
    std::vector<char> text;
    std::array<std::uint16_t, 256> at{};
    [[nodiscard]] std::string_view token(std::uint8_t number) const { return text.data() + at[number]; }
  };

  explicit Kallsyms(const MemoryView& memory) : memory_(memory) {}
  bool find_tokens(const Range& region);
  bool table_before(GuestVirt index, const std::array<std::uint16_t, 256>& entries);
  bool find_names();
  bool names_at(GuestVirt count_at, std::uint64_t count, std::span<const std::byte> names);
  bool find_addresses();
  bool absolute_per_cpu(const std::vector<std::int32_t>& offsets, GuestVirt base);
  bool base_relative(const std::vector<std::int32_t>& offsets, GuestVirt base);
  bool place_relative(const std::vector<std::int32_t>& offsets, GuestVirt at);
  bool plausible();

  const MemoryView& memory_;
  Tokens tokens_;
  GuestVirt count_at_{}, offsets_at_{};
  std::vector<std::uint8_t> names_;
  std::vector<GuestVirt> addresses_;
  std::vector<bool> absolute_;
  std::uint64_t budget_ = std::uint64_t{64} << 20;  ///< bytes of names that may be tried in all
};

}  // namespace hindsight::debugger::symbols
