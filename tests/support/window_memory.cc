#include "tests/support/window_memory.h"

#include <algorithm>
#include <cstring>

namespace hindsight::tests {

namespace ir = engine::ir;
using namespace native_layout;

namespace {

// SDM vol. 3, 4.7 and 6.15.
constexpr std::uint32_t kStackFault = 12, kGeneralProtection = 13, kPageFault = 14;
constexpr std::uint32_t kPresent = 1, kWrite = 2, kUserMode = 4;
constexpr std::uint64_t kReadOnlyPage = kWindow + kWritablePages * kPage;

bool canonical(std::uint64_t address) {
  const auto top = static_cast<std::int64_t>(address) >> 47;
  return top == 0 || top == -1;
}

}  // namespace

bool WindowMemory::page_allowed(State& s, std::uint64_t address, bool write, std::uint32_t access) {
  const bool present = address - kWindow < kWindowBytes;
  if (present && (!write || address < kReadOnlyPage)) return true;
  const std::uint32_t user = (access & ir::kAccessSupervisor) != 0 ? 0 : kUserMode;
  s.trap = {ir::TrapKind::guest, kPageFault, user | (write ? kWrite : 0) | (present ? kPresent : 0), 1,
            address};
  return false;
}

bool WindowMemory::allowed(State& s, std::uint64_t address, std::uint64_t size, bool write,
                           std::uint32_t access) {
  const std::uint64_t last = address + size - 1;
  if (!canonical(address) || !canonical(last)) {
    ir::raise(&s, (access & ir::kAccessStack) != 0 ? kStackFault : kGeneralProtection, 0);
    return false;
  }
  if (address < kZone || address >= kZoneEnd || last >= kZoneEnd) escaped_ = true;
  write = write || (access & ir::kAccessWriteIntent) != 0;
  if (!page_allowed(s, address, write, access)) return false;
  return (last & ~(kPage - 1)) == (address & ~(kPage - 1)) ||
         page_allowed(s, last & ~(kPage - 1), write, access);
}

const ir::MemoryOps WindowMemory::kOps = {
    .load = [](State* s, std::uint64_t address, std::uint32_t size, std::uint32_t access) -> std::uint64_t {
      if (!of(s).allowed(*s, address, size, false, access)) return 0;
      std::uint64_t value = 0;
      std::memcpy(&value, of(s).at(address), size);
      return value;
    },
    .store =
        [](State* s, std::uint64_t address, std::uint64_t value, std::uint32_t size, std::uint32_t access) {
          if (of(s).allowed(*s, address, size, true, access)) std::memcpy(of(s).at(address), &value, size);
        },
    .load16 =
        [](State* s, std::uint64_t address, std::uint32_t access) {
          if (of(s).allowed(*s, address, 16, false, access)) std::memcpy(s->wide, of(s).at(address), 16);
        },
    .store16 =
        [](State* s, std::uint64_t address, std::uint32_t access) {
          if (of(s).allowed(*s, address, 16, true, access)) std::memcpy(of(s).at(address), s->wide, 16);
        },
    .span = [](State* s, std::uint64_t address, bool write, std::uint32_t access,
               std::uint64_t* length) -> std::byte* {
      if (!of(s).allowed(*s, address, 1, write, access)) return nullptr;
      *length = kPage - (address & (kPage - 1));
      return of(s).at(address);
    },
    .probe_write = [](State* s, std::uint64_t address, std::uint32_t size,
                      std::uint32_t access) { of(s).allowed(*s, address, size, true, access); },
    .port_in = [](State*, std::uint16_t, std::uint32_t) -> std::uint32_t { return 0; },
    .port_out = [](State*, std::uint16_t, std::uint32_t, std::uint32_t) {},
    .context_changed = [](State* s) { s->mode = of(s).guest_.mode(*s); },
};

void WindowMemory::empty_tlb() {
  for (ir::TlbEntry* table : {view_.read, view_.write})
    std::fill_n(table, ir::kTlbSize, ir::TlbEntry{ir::kTlbInvalid, 0});
  std::fill_n(jumps_.entries, ir::kJumpSize, ir::JumpEntry{ir::kTlbInvalid, nullptr});
}

void WindowMemory::attach(State& state, bool fill_tlb) {
  escaped_ = false;
  state.memory = &kOps;
  state.environment = this;
  state.view = &view_;
  state.jumps = &jumps_;
  const std::uint64_t addend = reinterpret_cast<std::uint64_t>(bytes_.data()) - kWindow;
  for (std::uint64_t page = kWindow; page < kWindow + kWindowBytes; page += kPage) {
    const std::uint64_t slot = page / kPage % ir::kTlbSize;
    const ir::TlbEntry entry = fill_tlb ? ir::TlbEntry{page, addend} : ir::TlbEntry{ir::kTlbInvalid, 0};
    view_.read[slot] = entry;
    view_.write[slot] = page < kReadOnlyPage ? entry : ir::TlbEntry{ir::kTlbInvalid, 0};
  }
}

}  // namespace hindsight::tests
