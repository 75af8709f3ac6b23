#include "engine/host/x64/code_generator.h"

#include <cpuid.h>

#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/host/x64/block_compiler.h"
#include "engine/host/x64/code_cache.h"
#include "engine/host/x64/disassembler.h"
#include "engine/host/x64/routines.h"
#include "engine/ir/vector_ops.h"

namespace hindsight::engine::host::x64 {

void Layout::pin(std::span<const std::uint32_t> general) {
  pinned_offset.fill(-1);
  by_cell_.fill(kNoReg);
  const std::size_t n = std::min<std::size_t>(general.size(), kPinnedCount);
  if (n == 0) return;
  window_ = static_cast<std::int32_t>(
      *std::min_element(general.begin(), general.begin() + static_cast<std::ptrdiff_t>(n)));
  for (std::size_t i = 0; i < n; ++i) {
    const auto offset = static_cast<std::int32_t>(general[i]);
    const auto cell = static_cast<std::size_t>(offset - window_) / 8;
    CHECK(offset % 8 == 0 && cell < kWindowCells, "register slot at {} cannot be pinned", offset);
    pinned_offset[i] = offset;
    by_cell_[cell] = kPinned[i];
    offset_by_reg_[kPinned[i]] = offset;
  }
}

namespace {
void check_host() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  CHECK(__get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2) && (c & bit_POPCNT),
        "the host lacks SSE4.2 or POPCNT");
  CHECK(__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1), "the host lacks LAHF in 64-bit mode");
  // The SDM leaves A undefined after logical operations; the generated code relies on it being clear.
  for (unsigned v = 0; v < 64; ++v) {
    std::uint64_t flags;
    unsigned x = v * 0x9E3779B1u;
    asm volatile("movb $0x0F, %%al\n\taddb $1, %%al\n\tandl %2, %1\n\tpushfq\n\tpopq %0"
                 : "=r"(flags), "+r"(x)
                 : "r"(v | 0xF0F0u)
                 : "cc", "rax");
    CHECK((flags & 0x10) == 0, "the host sets AF after AND, which the code generator does not support");
  }
}
}  // namespace

struct CodeGenerator::Impl {
  explicit Impl(CodeCache memory) : cache(std::move(memory)), compiler(layout) {}
  CodeCache cache;
  Layout layout;
  BlockCompiler compiler;
  Emitter hot, cold;
  std::uint8_t* first_block = nullptr;
};

CodeGenerator::CodeGenerator(const ir::RegisterTable& registers, CodeCache cache)
    : impl_(std::make_unique<Impl>(std::move(cache))) {
  check_host();
  Impl& m = *impl_;
  m.layout.pin(registers.general);
  m.layout.x87 = registers.x87;
  m.layout.write_base = m.cache.begin();
  m.hot.set_cursor(m.cache.begin());
  emit_routines(m.hot, m.layout);
  m.first_block = m.hot.cursor();
  reset();
}

CodeGenerator::~CodeGenerator() = default;

void CodeGenerator::reset() {
  impl_->hot.set_cursor(impl_->first_block);
  impl_->cold.set_cursor(impl_->cache.cold_begin());
}

std::optional<CompiledBlock> CodeGenerator::compile(const ir::Block& block) {
  Impl& m = *impl_;
  CHECK(!block.alone, "blocks that run alone belong to the interpreter");
  const auto room = static_cast<std::ptrdiff_t>(BlockCompiler::room_for(block));
  if (m.cache.cold_begin() - m.hot.cursor() < room || m.cache.end() - m.cold.cursor() < room)
    return std::nullopt;
  CompiledBlock out;
  m.hot.u64(0);  // its owner
  const std::uint8_t* entry = m.hot.cursor();
  const std::uint8_t* cold = m.cold.cursor();
  m.compiler.compile(block, m.hot, m.cold, out);
  CHECK(m.hot.cursor() - entry <= room && m.cold.cursor() - cold <= room, "block outgrew its estimate");
  out.entry = m.cache.executable(entry);
  out.size = static_cast<std::uint32_t>(m.hot.cursor() - entry);
  out.cold = m.cache.executable(cold);
  out.cold_size = static_cast<std::uint32_t>(m.cold.cursor() - cold);
  return out;
}

/// Generated code wants the x87 exception flags of the host to be among the guest's.
static void forget_x87_exceptions(const ir::CoreState& state, const ir::X87Slots& slots) {
  std::uint16_t host, guest;
  asm volatile("fnstsw %0" : "=a"(host));
  std::memcpy(&guest, reinterpret_cast<const std::byte*>(&state) + slots.status, sizeof guest);
  if ((host & ~guest & 0x3F) != 0) asm volatile("fnclex");
}

ExitInfo CodeGenerator::run(ir::CoreState* state, const void* entry) {
  Impl& m = *impl_;
  state->page_base = state->pc & ~std::uint64_t{4095};
  const ir::GuestMxcsrScope mxcsr(*state);
  if (m.layout.x87.present()) forget_x87_exceptions(*state, m.layout.x87);
  const auto enter = reinterpret_cast<RawExit (*)(ir::CoreState*, const void*)>(
      const_cast<std::uint8_t*>(m.cache.executable(m.layout.routines.enter)));
  const RawExit raw = enter(state, entry);
  ExitInfo out{.kind = static_cast<ExitKind>(raw.kind), .site = {}};
  if (out.kind == ExitKind::unlinked) {
    // RDX points at the data behind the stub's call: place of the displacement, target.
    const auto* data = reinterpret_cast<const std::uint8_t*>(raw.detail);
    std::memcpy(&out.site.patch, data, 4);
    std::memcpy(&out.site.target, data + 4, 4);
    out.site.stub = m.cache.offset(m.cache.writable_twin(data)) - 5;
  }
  return out;
}

void CodeGenerator::set_owner(const CompiledBlock& block, void* owner) {
  std::uint8_t* entry = impl_->cache.writable_twin(block.entry);
  std::memcpy(entry - sizeof owner, &owner, sizeof owner);
}

void* CodeGenerator::linked(const LinkSite& site) const {
  const CodeCache& cache = impl_->cache;
  const std::uint8_t* entry = Emitter::target_of(cache.writable(site.patch));
  if (entry == cache.writable(site.stub)) return nullptr;
  void* owner;
  std::memcpy(&owner, entry - sizeof owner, sizeof owner);
  return owner;
}

void CodeGenerator::link(const LinkSite& site, const void* entry) {
  CodeCache& cache = impl_->cache;
  Emitter::patch(cache.writable(site.patch), cache.writable_twin(entry));
}

void CodeGenerator::unlink(const LinkSite& site) {
  CodeCache& cache = impl_->cache;
  Emitter::patch(cache.writable(site.patch), cache.writable(site.stub));
}

void CodeGenerator::link_through_table(const LinkSite& site) {
  // the stub begins with its call
  Emitter::patch(impl_->cache.writable(site.stub) + 1, impl_->layout.routines.lookup_site);
}

// The prologue is `sub budget, imm8; jl refused`. Of a retired block the branch is a nop and a jump of the
// same reach.
static constexpr std::array<std::uint8_t, 2> kRefuseIfSpent{0x0F, 0x8C}, kRefuse{0x90, 0xE9};

void CodeGenerator::set_entrance(const CompiledBlock& block, const std::array<std::uint8_t, 2>& branch) {
  constexpr std::size_t kBranch = 4;
  std::uint8_t* at = impl_->cache.writable_twin(static_cast<const std::uint8_t*>(block.entry)) + kBranch;
  const std::array<std::uint8_t, 2> found{at[0], at[1]};
  CHECK(found == kRefuseIfSpent || found == kRefuse, "unexpected prologue");
  std::ranges::copy(branch, at);
}

void CodeGenerator::retire(const CompiledBlock& block) { set_entrance(block, kRefuse); }
void CodeGenerator::revive(const CompiledBlock& block) { set_entrance(block, kRefuseIfSpent); }

const void* CodeGenerator::invalid_jump() const {
  return impl_->cache.executable(impl_->layout.routines.invalid_jump);
}

std::string CodeGenerator::disassemble(const CompiledBlock& block) const {
  const auto* entry = static_cast<const std::uint8_t*>(block.entry);
  const auto* cold = static_cast<const std::uint8_t*>(block.cold);
  return disassemble_code({entry, block.size}) + "out of line:\n" + disassemble_code({cold, block.cold_size});
}

}  // namespace hindsight::engine::host::x64
