#include "engine/exec/block_cache.h"

#include <algorithm>
#include <cstring>

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

CachedBlock& BlockCache::insert(std::unique_ptr<CachedBlock> block) {
  CachedBlock& b = *block;
  blocks_[b.key] = std::move(block);
  recent_[recent_slot(b.key)] = {b.key, &b};
  generator_.set_owner(b.code, &b);
  const std::uint64_t room = kPageSize - (b.start.value & kPageMask);
  attach(b, b.start, std::min<std::uint64_t>(b.byte_length, room));
  if (b.crosses_page) attach(b, memory_.address_of(b.second_page), b.byte_length - room);
  return b;
}

CachedBlock* BlockCache::revive(std::uint64_t key, const std::function<bool(const CachedBlock&)>& fits) {
  const auto [first, last] = resting_.equal_range(key);
  for (auto at = first; at != last; ++at) {
    const CachedBlock& block = *at->second.block;
    const std::byte* now = memory_.page(*memory_.ram_page(block.start)) + (block.start.value & kPageMask);
    if (std::memcmp(at->second.bytes.data(), now, block.byte_length) != 0 || !fits(block)) continue;
    std::unique_ptr<CachedBlock> revived = std::move(at->second.block);
    resting_.erase(at);
    generator_.revive(revived->code);
    memory_.mark(*memory_.ram_page(revived->start), mmu::PhysicalMemory::kCode);
    return &insert(std::move(revived));
  }
  return nullptr;
}

void BlockCache::link(const host::x64::LinkSite& site, CachedBlock& target) {
  generator_.link(site, target.code.entry);
  target.incoming.push_back(site);
}

void BlockCache::note_entered(CachedBlock& block, std::uint64_t linear_page, port::LineSet& executed) {
  const auto reach = [&](CachedBlock& next) {
    if (next.entered_in == entered_ && next.entered_at == linear_page) return;
    next.entered_in = entered_;
    next.entered_at = linear_page;
    reached_.push_back(&next);
  };
  reach(block);
  while (!reached_.empty()) {
    const CachedBlock& next = *reached_.back();
    reached_.pop_back();
    constexpr std::uint64_t kLine = std::uint64_t{1} << port::kLineBits;
    const std::uint64_t first = next.start.value & kPageMask;
    const std::uint64_t last = std::min(first + next.byte_length - 1, kPageMask);
    for (std::uint64_t line = first & ~(kLine - 1); line <= last; line += kLine)
      executed.add(linear_page + line);
    for (std::uint32_t i = 0; i < next.code.site_count; ++i) {
      void* linked = generator_.linked(next.code.sites[i]);
      if (linked != nullptr) reach(*static_cast<CachedBlock*>(linked));
    }
  }
}

void BlockCache::clear() {
  for (const auto& [page, content] : pages_) memory_.unmark(page, mmu::PhysicalMemory::kCode);
  blocks_.clear();
  recent_.assign(recent_.size(), {});
  pages_.clear();
  resting_.clear();
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
  block.incoming.clear();
  recent_[recent_slot(block.key)] = {block.key, nullptr};
  auto known = blocks_.extract(block.key);
  if (!keeps_forgotten_ || block.crosses_page) return;
  const std::byte* bytes = memory_.page(*memory_.ram_page(block.start)) + (block.start.value & kPageMask);
  resting_.emplace(block.key, Resting{std::move(known.mapped()), {bytes, bytes + block.byte_length}});
}

void BlockCache::discard_if(std::uint64_t ram_page, const auto& stale) {
  const auto page = pages_.find(ram_page);
  if (page == pages_.end()) return;
  std::vector<CachedBlock*> found;
  for (CachedBlock* block : page->second.blocks) {
    const bool head = *memory_.ram_page(block->start) == ram_page;
    const std::uint64_t offset = block->start.value & kPageMask, room = kPageSize - offset;
    const bool hit = head ? stale(offset, std::min<std::uint64_t>(block->byte_length, room))
                          : stale(std::uint64_t{0}, block->byte_length - room);
    if (hit) found.push_back(block);
  }
  for (CachedBlock* block : found) discard(*block);
}

void BlockCache::code_written(GuestPhys address, std::uint64_t size) {
  const std::uint64_t first = address.value & kPageMask, last = first + size - 1;
  discard_if(*memory_.ram_page(address), [&](std::uint64_t offset, std::uint64_t length) {
    return offset <= last && first <= offset + length - 1;
  });
}

void BlockCache::code_replaced(std::uint64_t ram_page, const std::byte* contents) {
  const std::byte* now = memory_.page(ram_page);
  discard_if(ram_page, [&](std::uint64_t offset, std::uint64_t length) {
    return std::memcmp(now + offset, contents + offset, length) != 0;
  });
}

}  // namespace hindsight::engine::exec
