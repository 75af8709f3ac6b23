// Guest RAM and what is known of each of its pages: whether it holds translated code or page tables (every
// write is then looked at), and in which epoch it was last dirtied. Owned by the machine; the run loop's
// thread. Nothing here is observable by the guest but the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/port/io.h"
#include "engine/port/machine.h"

namespace hindsight::engine::mmu {

/// RAM below this address is contiguous from 0; what does not fit continues at kHighRam.
constexpr GuestPhys kLowRamEnd{0xC000'0000};
constexpr GuestPhys kHighRam{0x1'0000'0000};

/// Told of writes to pages that were marked.
class PageWatcher {
 public:
  virtual ~PageWatcher() = default;
  /// Bytes [offset, offset + size) of a code page are about to change, by DMA or an instruction executed
  /// alone.
  virtual void code_written(GuestPhys address, std::uint64_t size) = 0;
  /// A code page is about to hold `contents`.
  virtual void code_replaced(std::uint64_t ram_page, const std::byte* contents) = 0;
  /// The aligned 8 bytes at `address` of a page-table page changed from `before` to `after`.
  virtual void table_written(GuestPhys address, std::uint64_t before, std::uint64_t after) = 0;
  /// A device wrote these bytes of one watched page; `before` is what its first bytes, at most 8, were.
  virtual void watched_page_written(GuestPhys address, std::uint64_t size, std::uint64_t before) = 0;
  /// Host-side write access cached for this page must be dropped.
  virtual void drop_write_access(std::uint64_t ram_page) = 0;
  virtual void drop_all_write_access() = 0;
};

class PhysicalMemory final : public port::GuestMemory, public port::RamPages {
 public:
  enum PageFlag : std::uint8_t {
    kCode = 1,         ///< holds translated code
    kTable = 2,        ///< was read by a page walk
    kWriteCached = 4,  ///< some TLB holds write access
    kWatchRead = 8,    ///< a debugger watches reads of some of its bytes
    kWatchWrite = 16,
  };

  /// `bytes` is a multiple of the page size, at most 1 TiB. Fails when the host has no memory for it.
  static Result<std::unique_ptr<PhysicalMemory>> create(std::uint64_t bytes);
  ~PhysicalMemory() override;
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  void set_watcher(PageWatcher& watcher) { watcher_ = &watcher; }

  /// RAM page number of a physical address, if it is RAM.
  [[nodiscard]] std::optional<std::uint64_t> ram_page(GuestPhys address) const {
    if (address < low_end_) return address.value >> kPageBits;
    if (address >= kHighRam && address < high_end_)
      return (address.value - kHighRam.value + kLowRamEnd.value) >> kPageBits;
    return std::nullopt;
  }
  [[nodiscard]] std::byte* host(std::uint64_t ram_page) { return base_ + (ram_page << kPageBits); }

  [[nodiscard]] std::uint8_t flags(std::uint64_t ram_page) const { return flags_[ram_page]; }
  /// Marks a page kCode or kTable; takes away cached write access the first time.
  void mark(std::uint64_t ram_page, PageFlag flag);
  void unmark(std::uint64_t ram_page, PageFlag flag) { flags_[ram_page] &= static_cast<std::uint8_t>(~flag); }
  /// Notes that a TLB entry lets writes through from now on (dirties the page).
  void grant_write(std::uint64_t ram_page) {
    flags_[ram_page] |= kWriteCached;
    dirty(ram_page);
  }
  /// Changed in this epoch.
  [[nodiscard]] bool is_dirty(std::uint64_t ram_page) const { return epochs_[ram_page] == epoch_; }
  void dirty(std::uint64_t ram_page) {
    if (is_dirty(ram_page)) return;
    if (keeper_ != nullptr) keeper_->about_to_change(ram_page, page(ram_page));
    epochs_[ram_page] = epoch_;
  }

  /// A write inside one page that tells the watcher what it must.
  void write_tracked(std::uint64_t ram_page, std::uint64_t offset, const void* data, std::uint64_t size);

  // port::GuestMemory
  [[nodiscard]] bool read(GuestPhys address, void* out, std::uint64_t size) const override;
  [[nodiscard]] bool write(GuestPhys address, const void* data, std::uint64_t size) override;

  // port::RamPages
  [[nodiscard]] std::uint64_t page_count() const override { return bytes_ >> kPageBits; }
  [[nodiscard]] const std::byte* page(std::uint64_t index) const override {
    return base_ + (index << kPageBits);
  }
  [[nodiscard]] GuestPhys address_of(std::uint64_t ram_page) const override {
    const std::uint64_t linear = ram_page << kPageBits;
    return GuestPhys{linear < kLowRamEnd.value ? linear : linear - kLowRamEnd.value + kHighRam.value};
  }
  void set_page(std::uint64_t index, const std::byte* contents) override;
  std::uint32_t end_epoch() override;
  void for_each_dirty_after(std::uint32_t epoch,
                            const std::function<void(std::uint64_t)>& visit) const override;
  void set_keeper(port::PageKeeper* keeper) override { keeper_ = keeper; }

 private:
  PhysicalMemory(std::byte* base, std::uint64_t bytes);
  [[nodiscard]] bool contains(GuestPhys address, std::uint64_t size) const;
  void write_table(std::uint64_t ram_page, std::uint64_t offset, const void* data, std::uint64_t size);

  std::byte* base_;
  std::uint64_t bytes_;
  GuestPhys low_end_, high_end_;
  std::vector<std::uint8_t> flags_;
  std::vector<std::uint32_t> epochs_;
  std::uint32_t epoch_ = 1;
  PageWatcher* watcher_ = nullptr;
  port::PageKeeper* keeper_ = nullptr;
};

}  // namespace hindsight::engine::mmu
