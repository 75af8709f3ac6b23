// Translated blocks by physical address and mode, and what must happen when their bytes change. Owned by the
// machine; the run loop's thread only. Invisible to the guest.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/host/x64/code_generator.h"
#include "engine/mmu/mmu.h"
#include "engine/port/address_set.h"

namespace hindsight::engine::exec {

struct CachedBlock {
  std::uint64_t key;  ///< physical address of the first byte ^ mode
  GuestPhys start;
  std::uint32_t byte_length;
  std::uint16_t insn_count;
  bool crosses_page;
  std::uint64_t second_page;  ///< RAM page of its tail, if it crosses
  host::x64::CompiledBlock code;
  std::vector<host::x64::LinkSite> incoming{};  ///< jumps of other blocks that lead here
  std::uint64_t entered_in = 0;                 ///< number of note_entered()'s set that has it, and
  std::uint64_t entered_at = 0;                 ///< in which linear page
};

class BlockCache final : public mmu::CodeOwner {
 public:
  BlockCache(mmu::PhysicalMemory& memory, host::x64::CodeGenerator& generator)
      : memory_(memory), generator_(generator) {}

  [[nodiscard]] CachedBlock* find(std::uint64_t key) {
    Recent& recent = recent_[recent_slot(key)];
    if (recent.key == key) return recent.block;
    const auto it = blocks_.find(key);
    recent = {key, it == blocks_.end() ? nullptr : it->second.get()};
    return recent.block;
  }
  /// Blocks that are forgotten because their bytes changed are kept for revive() from now on: who goes back
  /// and forth in time meets the same code again.
  void keep_forgotten() { keeps_forgotten_ = true; }
  /// The block with this key that was forgotten, if its bytes are the same again and `fits` agrees.
  [[nodiscard]] CachedBlock* revive(std::uint64_t key, const std::function<bool(const CachedBlock&)>& fits);
  /// Takes over a block whose pages were marked as code before its bytes were read.
  CachedBlock& insert(std::unique_ptr<CachedBlock> block);
  /// Chains a direct jump to a block.
  void link(const host::x64::LinkSite& site, CachedBlock& target);
  /// Puts in the lines of a block that is entered in this linear page, and of all that its direct jumps lead
  /// to: those are entered without anybody's knowing. A jump that is linked later makes its target known by
  /// then.
  void note_entered(CachedBlock& block, std::uint64_t linear_page, port::LineSet& executed);
  /// note_entered() is given another, empty set from now on.
  void forget_entered() { ++entered_; }
  /// Forgets everything, the generated code too.
  void clear();
  /// Forgets the blocks that hold this byte.
  void discard_at(GuestPhys address) { code_written(address, 1); }
  void discard_key(std::uint64_t key) {
    if (CachedBlock* block = find(key)) discard(*block);
  }
  /// Forgets the blocks that hold a byte at one of these offsets in a page.
  void discard_covering(const std::bitset<kPageSize>& offsets);
  [[nodiscard]] std::size_t size() const { return blocks_.size(); }

  // mmu::CodeOwner
  [[nodiscard]] bool holds_code(GuestPhys address, std::uint64_t size) const override;
  void code_written(GuestPhys address, std::uint64_t size) override;
  /// Blocks whose own bytes stay the same are kept.
  void code_replaced(std::uint64_t ram_page, const std::byte* contents) override;

 private:
  struct CodePage {
    std::uint64_t chunks = 0;  ///< bit i: bytes [64 i, 64 i + 64) hold code
    std::vector<CachedBlock*> blocks;
  };
  /// A direct-mapped cache before the map, of what is not there too.
  struct Recent {
    std::uint64_t key = ~std::uint64_t{0};  ///< at first that of no block: no RAM lies so high
    CachedBlock* block = nullptr;
  };
  static constexpr unsigned kRecentBits = 16;
  static std::size_t recent_slot(std::uint64_t key) {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15) >> (64 - kRecentBits));
  }
  static std::uint64_t chunk_mask(std::uint64_t offset, std::uint64_t size);
  void attach(CachedBlock& block, GuestPhys address, std::uint64_t size);
  void discard(CachedBlock& block);
  /// Forgets the blocks of a page of which `stale(offset, length)` is true of the bytes that lie there.
  void discard_if(std::uint64_t ram_page, const auto& stale);
  void detach(CachedBlock& block, std::uint64_t ram_page);

  mmu::PhysicalMemory& memory_;
  host::x64::CodeGenerator& generator_;
  std::unordered_map<std::uint64_t, std::unique_ptr<CachedBlock>> blocks_;
  std::vector<Recent> recent_ = std::vector<Recent>(std::size_t{1} << kRecentBits);
  /// A block whose bytes changed, and the bytes. Its links hold while it rests: they lead into its own page.
  struct Resting {
    std::unique_ptr<CachedBlock> block;
    std::vector<std::byte> bytes;
  };
  bool keeps_forgotten_ = false;
  std::unordered_multimap<std::uint64_t, Resting> resting_;  ///< by key
  std::unordered_map<std::uint64_t, CodePage> pages_;        ///< by RAM page
  std::uint64_t entered_ = 1;
  std::vector<CachedBlock*> reached_;  ///< while entering
};

}  // namespace hindsight::engine::exec
