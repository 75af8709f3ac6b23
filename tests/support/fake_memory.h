// Guest memory for tests of instruction semantics: a byte array at linear address 0 behind MemoryOps, without
// paging. Chosen pages fault, chosen ports answer, everything that happened is kept. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <vector>

#include "engine/ir/core_state.h"

namespace hindsight::tests::support {

namespace ir = engine::ir;

class FlatMemory {
 public:
  struct PortWrite {
    std::uint16_t port;
    std::uint32_t size, value;
    friend bool operator==(const PortWrite&, const PortWrite&) = default;
  };

  explicit FlatMemory(std::uint64_t size = std::uint64_t{1} << 20) : bytes(size) {}
  FlatMemory(const FlatMemory&) = delete;
  FlatMemory& operator=(const FlatMemory&) = delete;

  /// Makes the state use this memory.
  void attach(ir::CoreState& state) {
    state.memory = &operations();
    state.environment = this;
  }
  template <class T>
  void put(std::uint64_t address, T value) {
    std::memcpy(&bytes.at(address + sizeof value - 1) - (sizeof value - 1), &value, sizeof value);
  }
  template <class T>
  [[nodiscard]] T get(std::uint64_t address) const {
    T value;
    std::memcpy(&value, &bytes.at(address + sizeof value - 1) - (sizeof value - 1), sizeof value);
    return value;
  }

  std::vector<std::uint8_t> bytes;
  std::set<std::uint64_t> absent_pages;     ///< page addresses: any access is a page fault
  std::set<std::uint64_t> read_only_pages;  ///< writes are page faults
  bool spans = true;                        ///< false: span always says "element by element"
  std::function<std::uint32_t(std::uint16_t port, std::uint32_t size)> on_port_in;
  std::vector<PortWrite> port_writes;
  unsigned context_changes = 0;
  std::uint32_t last_access = 0;  ///< AccessFlags of the last access

 private:
  static FlatMemory& of(ir::CoreState* state) { return *static_cast<FlatMemory*>(state->environment); }

  /// Sets a page fault unless every byte may be accessed.
  bool check(ir::CoreState* state, std::uint64_t address, std::uint64_t size, bool write,
             std::uint32_t access) {
    last_access = access;
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t at = address + i;
      const std::uint64_t page = at & ~std::uint64_t{4095};
      const bool absent = at >= bytes.size() || absent_pages.count(page) != 0;
      if (!absent && !(write && read_only_pages.count(page) != 0)) continue;
      const std::uint32_t error = (absent ? 0u : 1u) | (write ? 2u : 0u);
      state->trap = {ir::TrapKind::guest, 14, error, 1, at};
      return false;
    }
    return true;
  }
  static bool writes(std::uint32_t access) { return (access & ir::kAccessWriteIntent) != 0; }

  static std::uint64_t load(ir::CoreState* state, std::uint64_t address, std::uint32_t size,
                            std::uint32_t access) {
    std::uint64_t value = 0;
    if (of(state).check(state, address, size, writes(access), access))
      std::memcpy(&value, &of(state).bytes[address], size);
    return value;
  }
  static void store(ir::CoreState* state, std::uint64_t address, std::uint64_t value, std::uint32_t size,
                    std::uint32_t access) {
    if (of(state).check(state, address, size, true, access))
      std::memcpy(&of(state).bytes[address], &value, size);
  }
  static void load16(ir::CoreState* state, std::uint64_t address, std::uint32_t access) {
    if (of(state).check(state, address, 16, writes(access), access))
      std::memcpy(state->wide, &of(state).bytes[address], 16);
  }
  static void store16(ir::CoreState* state, std::uint64_t address, std::uint32_t access) {
    if (of(state).check(state, address, 16, true, access))
      std::memcpy(&of(state).bytes[address], state->wide, 16);
  }
  static std::byte* span(ir::CoreState* state, std::uint64_t address, bool write, std::uint32_t access,
                         std::uint64_t* length) {
    if (!of(state).check(state, address, 1, write, access) || !of(state).spans) return nullptr;
    *length = 4096 - (address & 4095);
    return reinterpret_cast<std::byte*>(&of(state).bytes[address]);
  }
  static void probe_write(ir::CoreState* state, std::uint64_t address, std::uint32_t size,
                          std::uint32_t access) {
    of(state).check(state, address, size, true, access);
  }
  static std::uint32_t port_in(ir::CoreState* state, std::uint16_t port, std::uint32_t size) {
    if (!state->alone) {
      state->trap.kind = ir::TrapKind::redo_alone;
      return 0;
    }
    return of(state).on_port_in ? of(state).on_port_in(port, size) : ~0u;
  }
  static void port_out(ir::CoreState* state, std::uint16_t port, std::uint32_t size, std::uint32_t value) {
    if (!state->alone) {
      state->trap.kind = ir::TrapKind::redo_alone;
      return;
    }
    of(state).port_writes.push_back({port, size, value});
  }
  static void context_changed(ir::CoreState* state) { ++of(state).context_changes; }

  static const ir::MemoryOps& operations() {
    static constexpr ir::MemoryOps kOps{load,        store,   load16,   store16,        span,
                                        probe_write, port_in, port_out, context_changed};
    return kOps;
  }
};

}  // namespace hindsight::tests::support
