#include "engine/exec/block_cache.h"

#include <algorithm>

namespace hindsight::engine::exec {

std::uint64_t BlockCache::chunk_mask(std::uint64_t offset, std::uint64_t size) {
  const std::uint64_t first = offset / 64, last = std::min(offset + size - 1, kPageMask) / 64;
  const std::uint64_t up_to_last = last == 63 ? ~std::uint64_t{0} : (std::uint64_t{1} << (last + 1)) - 1;
  return up_to_last & ~((std::uint64_t{1} << first) - 1);
}

void BlockCache::attach(CachedBlock& block, GuestPhys address, std::uint64_t size) {
  CodePage& page = pages_[*memory_.ram_page(address)];
  page.chunks |= chunk_mask(address.value & kPageMask, size);
  page.blocks.push_back(&block);
}

CachedBlock& BlockCache::insert(CachedBlock block) {
  auto& slot = blocks_[block.key];
  slot = std::make_unique<CachedBlock>(std::move(block));
  CachedBlock& b = *slot;
  const std::uint64_t room = kPageSize - (b.start.value & kPageMask);
  attach(b, b.start, std::min<std::uint64_t>(b.byte_length, room));
  if (b.crosses_page) attach(b, memory_.address_of(b.second_page), b.byte_length - room);
  return b;
}

void BlockCache::link(const host::x64::LinkSite& site, CachedBlock& target) {
  generator_.link(site, target.code.entry);
  target.incoming.push_back(site);
}

void BlockCache::clear() {
  for (const auto& [page, content] : pages_) memory_.unmark(page, mmu::PhysicalMemory::kCode);
  blocks_.clear();
  recent_.assign(recent_.size(), {});
  pages_.clear();
  generator_.reset();
}

void BlockCache::discard_covering(const std::bitset<kPageSize>& offsets) {
  if (offsets.none()) return;
  std::vector<CachedBlock*> covering;
  for (const auto& [key, block] : blocks_) {
    const std::uint64_t first = block->start.value & kPageMask;
    const std::uint64_t end = std::min(first + block->byte_length, kPageSize);
    for (std::uint64_t at = first; at < end; ++at) {
      if (!offsets.test(at)) continue;
      covering.push_back(block.get());
      break;
    }
  }
  for (CachedBlock* block : covering) discard(*block);
}

bool BlockCache::holds_code(GuestPhys address, std::uint64_t size) const {
  const auto it = pages_.find(*memory_.ram_page(address));
  return it != pages_.end() && (it->second.chunks & chunk_mask(address.value & kPageMask, size)) != 0;
}

void BlockCache::detach(CachedBlock& block, std::uint64_t ram_page) {
  const auto it = pages_.find(ram_page);
  if (it == pages_.end()) return;
  std::erase(it->second.blocks, &block);
  if (!it->second.blocks.empty()) return;
  pages_.erase(it);
  memory_.unmark(ram_page, mmu::PhysicalMemory::kCode);
}

void BlockCache::discard(CachedBlock& block) {
  for (const auto& site : block.incoming) generator_.unlink(site);
  generator_.retire(block.code);
  detach(block, *memory_.ram_page(block.start));
  if (block.crosses_page) detach(block, block.second_page);
  recent_[recent_slot(block.key)] = {};
  blocks_.erase(block.key);
}

void BlockCache::code_written(GuestPhys address, std::uint64_t size) {
  const std::uint64_t ram_page = *memory_.ram_page(address);
  const auto it = pages_.find(ram_page);
  if (it == pages_.end()) return;
  const std::uint64_t first = address.value & kPageMask, last = first + size - 1;
  const auto hit = [&](const CachedBlock& b) {
    const bool head = *memory_.ram_page(b.start) == ram_page;
    const std::uint64_t from = head ? b.start.value & kPageMask : 0;
    const std::uint64_t room = kPageSize - (b.start.value & kPageMask);
    const std::uint64_t length = head ? std::min<std::uint64_t>(b.byte_length, room) : b.byte_length - room;
    return from <= last && first <= from + length - 1;
  };
  std::vector<CachedBlock*> stale;
  std::copy_if(it->second.blocks.begin(), it->second.blocks.end(), std::back_inserter(stale),
               [&](const CachedBlock* b) { return hit(*b); });
  for (CachedBlock* block : stale) discard(*block);
}

}  // namespace hindsight::engine::exec
