// The guest's registers as gdb knows them: gdb's numbers, the target description (GDB manual, appendix G) and
// values as the packets g and p carry them. Made once from a session's register table; immutable, any thread.
//
// The features org.gnu.gdb.i386.core, .sse and .segments (G.5.7) come first, with the names and the order
// that gdb demands; a register of theirs that the session does not have is shown as unavailable. All other
// registers of the session follow, in its order, as the feature org.hindsight.i386.system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/session/session.h"

namespace hindsight::debugger::gdb {

class Registers final {
 public:
  using Values = std::span<const session::RegisterValue>;  ///< in the order of the session's table

  static constexpr unsigned kFramePointer = 6, kStackPointer = 7, kPc = 16;

  explicit Registers(std::span<const session::RegisterInfo> table);

  /// The document target.xml.
  [[nodiscard]] const std::string& description() const { return description_; }
  [[nodiscard]] std::size_t count() const { return rows_.size(); }
  [[nodiscard]] const std::string& name(unsigned number) const { return rows_[number].name; }
  /// Register `number` (below count()) in hexadecimal, least significant byte first; "xx" for each byte that
  /// is not known.
  [[nodiscard]] std::string value(unsigned number, Values values) const;
  /// The low 64 bits; nothing if there is no such register.
  [[nodiscard]] std::optional<std::uint64_t> number_value(
      unsigned number, const std::function<session::RegisterValue(std::size_t)>& table_value) const;

 private:
  struct Row {
    std::string name;
    std::uint16_t bits;  ///< as gdb has it
    std::string type;
    std::optional<std::size_t> source;  ///< index into the session's table
    std::uint16_t source_bits = 0;
    unsigned shift = 0;  ///< the lowest bit of the source that is shown
  };
  class Builder;

  [[nodiscard]] std::optional<session::RegisterValue> content(
      const Row& row, const std::function<session::RegisterValue(std::size_t)>& table_value) const;
  /// The full x87 tag word of the abridged one in `row`.
  [[nodiscard]] std::optional<std::uint64_t> full_tags(
      const Row& row, const std::function<session::RegisterValue(std::size_t)>& table_value) const;

  std::vector<Row> rows_;
  std::string description_;
};

}  // namespace hindsight::debugger::gdb
