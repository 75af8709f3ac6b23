// The software MMU: translations cached per address space and privilege, coherent with the page tables in
// guest memory. Every page that a walk reads is write-tracked, and a write that changes a present entry drops
// what was derived from it, so the guest computes as if there were no TLB at all: what is cached can never be
// seen. Owned by the machine; the run loop's thread only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/ir/core_state.h"
#include "engine/ir/guest.h"
#include "engine/mmu/io_bus.h"
#include "engine/mmu/physical_memory.h"
#include "engine/mmu/watches.h"

namespace hindsight::engine::mmu {

/// Who translated code. Told before its bytes change.
class CodeOwner {
 public:
  virtual ~CodeOwner() = default;
  /// Any of these bytes of a code page belong to translated code.
  [[nodiscard]] virtual bool holds_code(GuestPhys address, std::uint64_t size) const = 0;
  virtual void code_written(GuestPhys address, std::uint64_t size) = 0;
  virtual void code_replaced(std::uint64_t ram_page, const std::byte* contents) = 0;
};

class Mmu final : public PageWatcher, private ir::PageTableMemory {
 public:
  /// `invalid_jump`: what an empty jump-table entry leads to.
  Mmu(PhysicalMemory& memory, IoBus& bus, ir::Guest& guest, CodeOwner& code, const void* invalid_jump);

  /// The function table for CoreState::memory; CoreState::environment must be this Mmu.
  static const ir::MemoryOps& operations();
  void context_changed(ir::CoreState& state);

  /// The RAM page that holds the code at `pc`, translated for fetch. Sets state.trap on a fault; nullopt
  /// without a trap when the page is not RAM.
  [[nodiscard]] std::optional<std::uint64_t> fetch_page(ir::CoreState& state, std::uint64_t pc);
  /// Makes `code` reachable by the inline lookup in the present address space.
  void enter_jump(ir::CoreState& state, std::uint64_t pc, const void* code);
  /// Forgets every entry point of translated code.
  void forget_jumps();
  /// Forgets everything cached (after memory was replaced from a snapshot).
  void forget_all();

  /// Replaces the ranges that a debugger watches. Accesses to them are executed alone and noted.
  void watch(const std::vector<port::WatchRange>& ranges);
  /// The accesses noted, in order; whoever stopped the machine for them says where they happened, and clears.
  [[nodiscard]] std::vector<port::Access>& noted() { return noted_; }

  /// See port::DebugPort. Code is met again because what leads to it past the MMU is forgotten, data because
  /// the end of the epoch took back all write access.
  void collect_written() { touched_.written = {}; }
  void collect_executed();
  void ignore_executed() { collecting_ = false; }
  [[nodiscard]] const port::Touched& touched() const { return touched_; }
  /// nullptr while nobody collects. Whoever runs code past fetch_page() puts it in.
  [[nodiscard]] port::LineSet* executed() { return collecting_ ? &touched_.executed : nullptr; }

  [[nodiscard]] PhysicalMemory& memory() { return memory_; }

  // PageWatcher
  void code_written(GuestPhys address, std::uint64_t size) override { code_.code_written(address, size); }
  void code_replaced(std::uint64_t ram_page, const std::byte* contents) override {
    code_.code_replaced(ram_page, contents);
  }
  void table_written(GuestPhys address, std::uint64_t before, std::uint64_t after) override;
  void watched_page_written(GuestPhys address, std::uint64_t size, std::uint64_t before) override;
  void drop_write_access(std::uint64_t ram_page) override;
  void drop_all_write_access() override;

 private:
  enum Permission : std::uint8_t { kRead = 1, kWrite = 2, kFetch = 4 };
  /// A walked translation, whatever lies behind it.
  struct Translation {
    std::uint64_t tag = ir::kTlbInvalid;
    GuestPhys page;
    std::uint8_t permissions = 0;
  };
  struct View {
    ir::TlbView fast;
    bool may_write = false;                         ///< a write entry may be valid
    std::array<Translation, ir::kTlbSize> walked;   ///< for data
    std::array<Translation, ir::kTlbSize> fetched;  ///< for code: data must not push it out
    /// Bit per slot: it may hold something of the lower half of linear addresses, which is what comes and
    /// goes with a process, in large spans and with little cached.
    std::array<std::uint64_t, ir::kTlbSize / 64> lower{};
  };
  static constexpr unsigned kPrivileges = 3;  ///< as ir::ViewKey::privilege
  static constexpr unsigned kUserPrivilege = 2;
  /// An instruction that begins here or later may reach into the next page.
  static constexpr std::uint64_t kMayCross = kPageSize - 14;
  static constexpr unsigned kJumpGroups = ir::kJumpSize / ir::kJumpGroup;
  /// What one group of slots of a jump table holds, so that pages are forgotten and carried over at the cost
  /// of what is there.
  struct JumpGroup {
    /// Both by half: a bit for each slot that may hold an entry, and one, hashed, for each page that may
    /// have entries.
    std::array<std::array<std::uint64_t, ir::kJumpGroup / 64>, 2> slots{};
    std::array<std::uint64_t, 2> pages{};
  };
  struct AddressSpace {
    std::uint64_t root = 0;
    std::uint64_t last_use = 0;
    std::uint32_t id = 0;              ///< unique over time; 0: unused
    bool stale = false;                ///< nothing in it holds: to be cleared before it is used again
    bool walked = false;               ///< something was walked since it was cleared
    std::optional<std::uint64_t> top;  ///< RAM page of its four-level root table, if that was walked
    std::array<std::unique_ptr<View>, kPrivileges> views;
    std::unique_ptr<ir::JumpTable> jumps;  ///< made when the space is first used
    std::array<JumpGroup, kJumpGroups> jump_groups;
  };
  static constexpr unsigned kSpaces = 16;
  /// What a page-table page was walked as.
  struct TableUse {
    std::uint64_t span_base = 0;
    std::uint32_t space = 0;  ///< the only space that walked it, or kShared
    std::uint8_t level = 0;
    std::uint8_t entry_size = 8;
    bool ambiguous = false;   ///< one walk read it at several levels or spans
    std::uint8_t writes = 0;  ///< entries written since it was last walked
    std::uint64_t walk = 0;   ///< number of the last walk that read it
  };
  /// A table page written so often without a walk has become something else: it is forgotten.
  static constexpr std::uint8_t kWritesUntilForgotten = 64;
  static constexpr std::uint32_t kShared = ~std::uint32_t{0};
  struct Span {
    std::uint64_t first, last;  ///< linear addresses, inclusive
    bool all;
    std::uint32_t space;
  };
  /// Slots (plus one; 0: none) where views may hold write entries of a page, for taking them back. A page has
  /// a kernel's address and a process's, so two; kAnywhere: more.
  struct WritePlaces {
    std::uint16_t first = 0, second = 0;
  };
  static constexpr std::uint16_t kAnywhere = 0xFFFF;

  // ir::PageTableMemory
  std::uint64_t read_entry(GuestPhys address, unsigned size, unsigned level,
                           std::uint64_t span_base) override;
  void write_entry(GuestPhys address, unsigned size, std::uint64_t value) override;

  AddressSpace& select_space(std::uint64_t root);
  View& view_of(AddressSpace& space, unsigned privilege);
  /// Finds or walks the translation of an address; nullptr with state.trap set on a fault.
  const Translation* translate(ir::CoreState& state, std::uint64_t address, ir::AccessKind kind,
                               std::uint32_t access);
  [[nodiscard]] bool counts_as_written(const Translation& t) const;
  void grant(View& view, std::uint64_t address, const Translation& t, bool write);
  /// Notes that a view holds a write entry for the page in this slot.
  void note_write_entry(std::uint64_t ram_page, unsigned slot);
  /// Calls f with every view's write entry in the slot that leads to the page.
  template <class F>
  void for_write_entries(std::uint64_t ram_page, unsigned slot, F f);
  /// What the entries from `first` to `last` (offsets in the table page) map together.
  [[nodiscard]] Span span_of(const TableUse& use, std::uint64_t first, std::uint64_t last) const;
  void invalidate(const Span& span);
  /// Drops all that was derived from a table page and stops tracking it.
  void forget_table(std::uint64_t ram_page);
  void invalidate_in(AddressSpace& space, const Span& span);
  void drop_jumps(AddressSpace& space, const Span& span) const;
  void drop_group_jumps(AddressSpace& space, unsigned number, std::uint64_t pages, const Span& span) const;
  [[nodiscard]] static bool may_have_jumps(const AddressSpace& space, std::uint64_t page);
  void set_jump(AddressSpace& space, const ir::JumpEntry& entry) const;
  /// Drops those of a page's jump entries whose instruction may reach into the next page.
  void drop_crossing_jumps(AddressSpace& space, std::uint64_t page) const;
  /// Takes over what the address space that ran before knows of a page, if it maps the page alike.
  void inherit_jumps(const ir::CoreState& state, std::uint64_t page);
  /// Takes over what the address space that ran before knows of the upper half of linear addresses, if both
  /// root tables agree there to the bit: then either walk would read the same tables and set nothing new.
  void adopt_upper_half(AddressSpace& space);
  void clear(AddressSpace& space) const;
  void clear_jumps(AddressSpace& space) const;

  /// Whether a store there must be executed alone: it changes translated code or this code's own mapping.
  [[nodiscard]] bool store_needs_alone(const ir::CoreState& state, std::uint64_t address,
                                       std::uint64_t ram_page, std::uint64_t offset, unsigned size) const;
  [[nodiscard]] bool is_watched(std::uint64_t address, std::uint64_t ram_page, std::uint64_t size,
                                bool write) const;
  void note(std::uint64_t address, GuestPhys physical, unsigned size, bool write, port::AccessOrigin origin,
            std::uint64_t before);

  bool read_bytes(ir::CoreState& s, std::uint64_t address, void* out, unsigned size, std::uint32_t access);
  bool write_bytes(ir::CoreState& s, std::uint64_t address, const void* data, unsigned size,
                   std::uint32_t access);
  bool read_in_page(ir::CoreState& s, std::uint64_t address, const Translation& t, void* out, unsigned size);
  bool write_in_page(ir::CoreState& s, std::uint64_t address, const Translation& t, const void* data,
                     unsigned size);
  std::byte* span(ir::CoreState& s, std::uint64_t address, bool write, std::uint32_t access,
                  std::uint64_t* length);

  friend struct Operations;

  PhysicalMemory& memory_;
  IoBus& bus_;
  ir::Guest& guest_;
  CodeOwner& code_;
  const void* invalid_jump_;
  std::array<AddressSpace, kSpaces> spaces_;
  AddressSpace* current_ = nullptr;
  AddressSpace* previous_ = nullptr;  ///< the one before current_
  std::uint32_t next_space_id_ = 1;
  std::uint64_t uses_ = 0;
  std::uint64_t walks_ = 0;
  Watches watches_;
  std::vector<port::Access> noted_;
  bool collecting_ = false;
  port::Touched touched_;
  std::vector<TableUse> tables_;           ///< by RAM page
  std::vector<WritePlaces> write_places_;  ///< by RAM page
};

}  // namespace hindsight::engine::mmu
