// Where the members of the kernel's structures lie, from the BTF that a kernel with CONFIG_DEBUG_INFO_BTF
// carries in its own image (Documentation/bpf/btf.rst of the kernel; distributions switch it on). A value,
// true for a boot; any thread. Every read is bounded; what does not parse is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "debugger/symbols/kernel_symbols.h"
#include "debugger/symbols/memory_view.h"
#include "engine/base/result.h"

namespace hindsight::debugger::symbols {

class Btf final {
 public:
  /// Fails with one line where the kernel carries none.
  static Result<Btf> read(const MemoryView& memory, const KernelSymbols& kernel);

  /// The byte offset of a member, "pid" or "thread.sp", in `structure`; members of unnamed structures and
  /// unions count as its own. Bit fields are not found.
  [[nodiscard]] std::optional<std::uint64_t> offset(std::string_view structure,
                                                    std::string_view member) const;

  /// The size in bytes of `structure`.
  [[nodiscard]] std::optional<std::uint64_t> size(std::string_view structure) const;

 private:
  struct Type {
    std::uint32_t name, info, size_or_type;
    std::size_t more;  ///< where what follows it begins
  };
  struct Found {
    std::uint64_t bits;
    std::uint32_t type;
  };

  Status index(std::size_t end);
  [[nodiscard]] Type type(std::uint32_t id) const;
  [[nodiscard]] std::uint32_t word(std::size_t at) const;
  [[nodiscard]] std::string_view name(std::uint32_t offset) const;
  [[nodiscard]] std::optional<Found> member(std::uint32_t id, std::string_view wanted, unsigned depth,
                                            std::uint32_t& budget) const;
  [[nodiscard]] std::uint32_t strip(std::uint32_t id) const;

  std::vector<std::byte> bytes_;
  std::size_t strings_ = 0, strings_end_ = 0;
  std::vector<std::uint32_t> types_;  ///< by id: where it is; 0 is void
};

}  // namespace hindsight::debugger::symbols
