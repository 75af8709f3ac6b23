// Translated blocks by physical address and mode, and what must happen when their bytes change. Owned by the
// machine; the run loop's thread only. Invisible to the guest.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/host/x64/code_generator.h"
#include "engine/mmu/mmu.h"

namespace hindsight::engine::exec {

struct CachedBlock {
  std::uint64_t key;  ///< physical address of the first byte ^ mode
  GuestPhys start;
  std::uint32_t byte_length;
  std::uint16_t insn_count;
  bool crosses_page;
  std::uint64_t second_page;  ///< RAM page of its tail, if it crosses
  host::x64::CompiledBlock code;
  std::vector<host::x64::LinkSite> incoming;  ///< jumps of other blocks that lead here
};

class BlockCache final : public mmu::CodeOwner {
 public:
  BlockCache(mmu::PhysicalMemory& memory, host::x64::CodeGenerator& generator)
      : memory_(memory), generator_(generator) {}

  [[nodiscard]] CachedBlock* find(std::uint64_t key) const {
    const auto it = blocks_.find(key);
    return it == blocks_.end() ? nullptr : it->second.get();
  }
  /// Takes over a block whose pages were marked as code before its bytes were read.
  CachedBlock& insert(CachedBlock block);
  /// Chains a direct jump to a block.
  void link(const host::x64::LinkSite& site, CachedBlock& target);
  /// Forgets everything, the generated code too.
  void clear();
  /// Forgets the blocks that hold this byte.
  void discard_at(GuestPhys address) { code_written(address, 1); }
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }

  // mmu::CodeOwner
  [[nodiscard]] bool holds_code(GuestPhys address, std::uint64_t size) const override;
  void code_written(GuestPhys address, std::uint64_t size) override;

 private:
  struct CodePage {
    std::uint64_t chunks = 0;  ///< bit i: bytes [64 i, 64 i + 64) hold code
    std::vector<CachedBlock*> blocks;
  };
  static std::uint64_t chunk_mask(std::uint64_t offset, std::uint64_t size);
  void attach(CachedBlock& block, GuestPhys address, std::uint64_t size);
  void discard(CachedBlock& block);
  void detach(CachedBlock& block, std::uint64_t ram_page);

  mmu::PhysicalMemory& memory_;
  host::x64::CodeGenerator& generator_;
  std::unordered_map<std::uint64_t, std::unique_ptr<CachedBlock>> blocks_;
  std::unordered_map<std::uint64_t, CodePage> pages_;  ///< by RAM page
};

}  // namespace hindsight::engine::exec
