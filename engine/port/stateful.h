// A part of the machine whose whole state is one Cap'n Proto struct: saving, loading, digesting, diffing and
// the debugger's panels all read that struct. The run loop's thread only, between instructions.
#pragma once

#include <capnp/dynamic.h>
#include <capnp/message.h>
#include <capnp/schema.h>

#include <string_view>

namespace hindsight::engine::port {

class Stateful {
 public:
  virtual ~Stateful() = default;
  /// Unique in the machine and stable across versions: "cpu0", "serial0", "ioapic".
  [[nodiscard]] virtual std::string_view state_name() const = 0;
  [[nodiscard]] virtual capnp::StructSchema state_schema() const = 0;
  /// Writes every field, always in the same order, from architectural state only (no caches).
  virtual void save_state(capnp::DynamicStruct::Builder out) const = 0;
  /// Replaces the whole state, re-arms timers and re-drives interrupt lines as the state says. The reader may
  /// come from an untrusted file: out-of-range values are clamped or masked, never trusted as indices.
  virtual void load_state(capnp::DynamicStruct::Reader in) = 0;
};

/// Implements Stateful for a device that writes `void save(State::Builder) const` and
/// `void load(State::Reader)` of its own schema struct.
template <class State>
class StatefulAs : public Stateful {
 public:
  [[nodiscard]] capnp::StructSchema state_schema() const final { return capnp::Schema::from<State>(); }
  void save_state(capnp::DynamicStruct::Builder out) const final { save(out.as<State>()); }
  void load_state(capnp::DynamicStruct::Reader in) final { load(in.as<State>()); }
  virtual void save(typename State::Builder out) const = 0;
  virtual void load(typename State::Reader in) = 0;
};

}  // namespace hindsight::engine::port
