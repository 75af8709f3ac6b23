#include "debugger/source/variables.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace hindsight::debugger::source {
namespace {

using session::Variable;

constexpr std::size_t kMostVariables = 256, kMostOfFile = 64, kMostScanned = 1 << 20;
constexpr std::uint64_t kMostBytes = 4096;

/// What lies in memory, and not in a register that was given a name.
bool in_memory(const FrameView& frame, Dwarf_Die& die) {
  Dwarf_Attribute attribute;
  if (dwarf_attr(&die, DW_AT_location, &attribute) == nullptr) return false;
  const auto pieces = locate(frame, attribute);
  return pieces && pieces->front().kind == Piece::Kind::memory;
}

/// DW_AT_const_value: of an integer its bytes, of anything else a block.
std::optional<std::vector<std::byte>> constant_of(Dwarf_Die& die, std::uint64_t size) {
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(&die, DW_AT_const_value, &attribute) == nullptr) return std::nullopt;
  std::vector<std::byte> bytes(std::min(size, kMostBytes));
  Dwarf_Block block;
  Dwarf_Sword number = 0;
  if (dwarf_formblock(&attribute, &block) == 0)
    std::memcpy(bytes.data(), block.data, std::min<std::size_t>(bytes.size(), block.length));
  else if (dwarf_formsdata(&attribute, &number) == 0)
    std::memcpy(bytes.data(), &number, std::min(bytes.size(), sizeof number));
  else
    return std::nullopt;
  return bytes;
}

Result<std::vector<std::byte>> bytes_of(const FrameView& frame, Dwarf_Die& die, std::uint64_t size,
                                        std::optional<GuestVirt>& address) {
  if (const auto constant = constant_of(die, size)) return *constant;
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(&die, DW_AT_location, &attribute) == nullptr) return error("optimized out");
  const auto pieces = locate(frame, attribute);
  if (!pieces) return pieces.failure();
  if (pieces->size() == 1 && pieces->front().kind == Piece::Kind::memory)
    address = GuestVirt{pieces->front().value};
  return fetch(*pieces, size, frame.read);
}

Variable variable_of(const FrameView& frame, const ValueContext& context, Dwarf_Die& die, const char* name,
                     Variable::Kind kind) {
  Variable variable{.kind = kind, .name = name};
  Dwarf_Attribute attribute;
  Dwarf_Die type;
  if (dwarf_attr_integrate(&die, DW_AT_type, &attribute) == nullptr ||
      dwarf_formref_die(&attribute, &type) == nullptr) {
    variable.value = "of a type that is not told";
    return variable;
  }
  variable.type = type_text(type);
  const std::uint64_t size = size_of(type);
  if (size == 0) {
    variable.value = "of a type that is not told";
    return variable;
  }
  variable.size = size;
  const auto bytes = bytes_of(frame, die, size, variable.address);
  if (bytes)
    tell(context, type, *bytes, variable);
  else
    variable.value = bytes.failure().message;
  return variable;
}

bool is_set(Dwarf_Die& die, unsigned flag) {
  Dwarf_Attribute attribute;
  bool set = false;
  return dwarf_attr(&die, flag, &attribute) != nullptr && dwarf_formflag(&attribute, &set) == 0 && set;
}

}  // namespace

std::vector<Variable> variables_of(const FrameView& frame, const ValueContext& context,
                                   std::span<const Dwarf_Die> call) {
  std::vector<Variable> parameters, locals;
  std::set<std::string> seen;
  std::size_t scanned = 0;
  // From the innermost block out: what it names hides what others do.
  for (std::size_t i = call.size(); i-- > 0;) {
    Dwarf_Die block = call[i], child;
    if (dwarf_child(&block, &child) != 0) continue;
    std::vector<Variable> here;
    do {
      const int tag = dwarf_tag(&child);
      if (tag != DW_TAG_formal_parameter && tag != DW_TAG_variable) continue;
      const char* name = dwarf_diename(&child);
      if (name == nullptr || is_set(child, DW_AT_declaration) || is_set(child, DW_AT_artificial)) continue;
      if (!seen.insert(name).second) continue;
      const bool parameter = tag == DW_TAG_formal_parameter;
      Variable variable = variable_of(frame, context, child, name,
                                      parameter ? Variable::Kind::parameter : Variable::Kind::local);
      (parameter ? parameters : here).push_back(std::move(variable));
    } while (seen.size() < kMostVariables && ++scanned < kMostScanned &&
             dwarf_siblingof(&child, &child) == 0);
    locals.insert(locals.begin(), here.begin(), here.end());
  }
  parameters.insert(parameters.end(), locals.begin(), locals.end());
  return parameters;
}

std::vector<Variable> file_variables(const FrameView& frame, const ValueContext& context, Unit& unit) {
  std::vector<Variable> all;
  std::size_t scanned = 0;
  Dwarf_Die child;
  if (dwarf_child(&unit.die, &child) != 0) return all;
  do {
    if (dwarf_tag(&child) != DW_TAG_variable || is_set(child, DW_AT_declaration)) continue;
    const char* name = dwarf_diename(&child);
    if (name == nullptr || std::string_view(name).starts_with("__") || !in_memory(frame, child)) continue;
    Variable variable = variable_of(frame, context, child, name, Variable::Kind::file);
    if (variable.known) all.push_back(std::move(variable));
  } while (all.size() < kMostOfFile && ++scanned < kMostScanned && dwarf_siblingof(&child, &child) == 0);
  return all;
}

}  // namespace hindsight::debugger::source
