// In which fields two states of a part differ, by reflection over their schema: what verify names in a
// divergence, and what a diff of two machines lists. Free functions; any thread. The states may be untrusted
// bytes: reading them may throw kj::Exception.
#pragma once

#include <capnp/dynamic.h>

#include <functional>
#include <optional>
#include <string>

namespace hindsight::replay::play {

struct FieldDifference {
  std::string field;  ///< "regs[3]", "fifo.head", "ram[4..7]"
  std::string a, b;   ///< numbers in hexadecimal
};

/// Calls `visit` with every field that differs, in schema order, until it says false. Of data, each run of
/// bytes that differ is one. Lists of structs that have an `index` are matched by it.
void for_each_difference(capnp::DynamicStruct::Reader a, capnp::DynamicStruct::Reader b,
                         const std::function<bool(FieldDifference)>& visit);

/// The first field that differs; none if all are equal.
[[nodiscard]] std::optional<FieldDifference> first_difference(capnp::DynamicStruct::Reader a,
                                                              capnp::DynamicStruct::Reader b);

}  // namespace hindsight::replay::play
