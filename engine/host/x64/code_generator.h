// Turns IR blocks into x86-64 machine code and runs it. Guest-neutral: knows guest registers only as offsets
// in the state. Needs a host with SSE4.2 and POPCNT (x86-64-v2) and LAHF in 64-bit mode.
//
// Owned by the run loop; its thread only. Determinism: generated code computes what the interpreter computes,
// bit for bit, and leaves the same state at every exit; how code was linked or cached cannot be seen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/host/x64/code_cache.h"
#include "engine/ir/guest.h"
#include "engine/ir/ir.h"

namespace hindsight::engine::host::x64 {

/// A direct jump to a target in the block's own page, which link() can lead to other code.
/// A block's jump to its own start is none: it is bound when the block is compiled.
struct LinkSite {
  std::uint32_t patch = 0;  ///< identifies the site: place of the jump's displacement in the code cache
  std::uint32_t stub = 0;   ///< where the jump leads while unlinked
  std::int32_t target = 0;  ///< offset in the page, 0..4095
};

struct CompiledBlock {
  const void* entry = nullptr;
  std::uint32_t size = 0;  ///< bytes of its main line
  std::uint32_t cold_size = 0;
  const void* cold = nullptr;  ///< its rarely run paths
  std::uint32_t site_count = 0;
  LinkSite sites[2];
};

/// Why generated code came back. The state is complete and exact in every case.
enum class ExitKind : std::uint32_t {
  budget,    ///< a block was not entered: state.pc is its pc; nothing charged
  trap,      ///< state.trap is set; state.pc is the instruction that trapped, which is not charged
  leave,     ///< Leave, or a helper set state.leave; state.pc is the next instruction
  unlinked,  ///< a direct jump is not linked: state.pc is its target, `site` the jump
  lookup,    ///< state.pc is not in the jump table
};
struct ExitInfo {
  ExitKind kind;
  LinkSite site;  ///< of `unlinked`
};

class CodeGenerator {
 public:
  /// `registers` must outlive the generator.
  CodeGenerator(const ir::RegisterTable& registers, CodeCache cache);
  ~CodeGenerator();
  CodeGenerator(const CodeGenerator&) = delete;
  CodeGenerator& operator=(const CodeGenerator&) = delete;

  /// Compiles a block that ir::verify accepts and that is not `alone`. Only helpers that are not kPure may
  /// set CoreState::leave; helpers see a CoreState::pc of the past and a budget with the whole block charged.
  /// Nothing when the cache is full: the caller then calls reset() and forgets every block.
  [[nodiscard]] std::optional<CompiledBlock> compile(const ir::Block& block);
  /// Discards all code. Links and jump-table entries into it are dead: the caller clears the jump tables.
  void reset();

  /// Runs from `entry`, the code of the block at state->pc, until an exit.
  ExitInfo run(ir::CoreState* state, const void* entry);

  /// Lays down who the block belongs to, for linked().
  void set_owner(const CompiledBlock& block, void* owner);
  /// The owner of the block that a jump leads to; nullptr while it is not linked.
  [[nodiscard]] void* linked(const LinkSite& site) const;
  void link(const LinkSite& site, const void* entry);
  void unlink(const LinkSite& site);
  /// Leads a jump through the jump table from now on, for a target that only some address spaces share.
  void link_through_table(const LinkSite& site);
  /// Makes entering a block exit at once as `budget` (nothing charged), for links and jump-table entries that
  /// still lead to it after its guest bytes changed. Its code stays until reset().
  void retire(const CompiledBlock& block);
  /// Takes retire() back.
  void revive(const CompiledBlock& block);

  /// What JumpEntry::code of an invalid entry must hold: a guest may well jump to the address whose tag is
  /// kTlbInvalid. Never changes.
  [[nodiscard]] const void* invalid_jump() const;

  /// Assembly of a block for people, a line an instruction.
  [[nodiscard]] std::string disassemble(const CompiledBlock& block) const;

 private:
  void set_entrance(const CompiledBlock& block, const std::array<std::uint8_t, 2>& branch);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hindsight::engine::host::x64
