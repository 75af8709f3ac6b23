// Types and values as a C programmer writes them. Values; one thread. Nesting, lengths and counts are
// bounded, whatever the file claims.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "debugger/session/sources.h"
#include "debugger/source/location.h"

namespace hindsight::debugger::source {

/// "struct batch *", "u64", "const char [16]".
std::string type_text(const Dwarf_Die& type);
/// Bytes that a value of this type takes; 0: not known.
std::uint64_t size_of(const Dwarf_Die& type);

/// What a value is told with: the guest's memory, and names for addresses of code and data ("" for none).
struct ValueContext {
  const MemoryReader& read;
  const std::function<std::string(GuestVirt)>& name;
};

/// Fills `out`'s value, known and parts from the value's bytes; of parts also the address, where `out` has
/// one or points to them. A structure's fields, an array's elements and what a pointer points to become
/// parts, one level deep.
void tell(const ValueContext& context, const Dwarf_Die& type, std::span<const std::byte> bytes,
          session::Variable& out);

}  // namespace hindsight::debugger::source
