// Compiles one IR block: a backward pass over uses, flag liveness and coalescing, then one forward pass that
// allocates registers and emits. Owned by the code generator and reused for every block; one thread.
//
// Where a value is (Place) is decided lazily: constants, guest registers and address sums stay symbolic until
// somebody needs them in a register; a guest register that is overwritten while a value still stands for its
// old content is copied away first.
//
// Condition flags live in the host's EFLAGS from producer to consumer. Each of the six is at any time in
// EFLAGS (host_), known to be zero (zero_), or in CoreState::flags; `saved_` says that the state has all of
// them. Where only a possible trap could see them, they stay unsaved as a Recipe, from which the out-of-line
// path of a memory access computes them.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/host/x64/code_generator.h"
#include "engine/host/x64/emitter.h"
#include "engine/host/x64/layout.h"
#include "engine/host/x64/vector_table.h"
#include "engine/ir/ir.h"
#include "engine/ir/x87_ops.h"

namespace hindsight::engine::host::x64 {

/// A constant as a sign-extended immediate of `size` bytes.
constexpr std::int64_t narrow_constant(std::int64_t v, unsigned size) {
  switch (size) {
    case 1:
      return static_cast<std::int8_t>(v);
    case 2:
      return static_cast<std::int16_t>(v);
    case 4:
      return static_cast<std::int32_t>(v);
    default:
      return v;
  }
}

class BlockCompiler {
 public:
  explicit BlockCompiler(const Layout& layout) : layout_(layout) {}

  /// Bytes that a block may need at most, in each region.
  static std::size_t room_for(const ir::Block& block) {
    std::size_t x87 = 0;  // each makes room for the out-of-line path of whatever comes after it
    for (const ir::Inst& inst : block.insts) x87 += inst.op == ir::Op::X87 ? 1u : 0u;
    return 2048 + block.insts.size() * (x87 == 0 ? 384u : 512u) + x87 * 512u;
  }
  /// Emits at the cursors and moves them.
  void compile(const ir::Block& block, Emitter& hot, Emitter& cold, CompiledBlock& out);

 private:
  using Value = ir::Value;
  using Inst = ir::Inst;
  using Op = ir::Op;
  using Type = ir::Type;

  enum class Place : std::uint8_t {
    none,
    constant,
    reg,      ///< a host register: a temporary, or a pinned one whose guest register has the same content
    slot,     ///< memory of the state at `offset`: a guest register not overwritten since
    spill,    ///< CoreState::spill[offset]
    folded,   ///< part of an address, not computed
    cond,     ///< a Cond right before its user: in EFLAGS or the state's flags
    compare,  ///< a CmpX right before its user
    xmm,
  };
  struct ValueState {
    std::int64_t constant = 0;
    std::int32_t offset = 0;
    std::uint16_t uses = 0;
    std::uint16_t address_uses = 0;
    Value next = ir::kNoValue;  ///< in the chain of its register
    Place place = Place::none;
    Reg reg = kNoReg;
    Reg target = kNoReg;  ///< pinned register (or 1 for vectors) that this value should be computed in
    Type type = Type::none;
    bool upper_zero = false;  ///< the host register is zero above the type
    bool dead = false;
  };
  struct CachedVector {
    std::int32_t offset;
    Reg reg;
    bool dirty;
  };
  struct Recipe {
    bool active = false;
    Op op = Op::Add;
    Type type = Type::none;
    Value result = ir::kNoValue, operand = ir::kNoValue;
  };
  /// The open x87 segment (x87.cc).
  struct X87State {
    enum class C1 : std::uint8_t { saved, zero, host };
    bool open = false;
    bool raised = false;       ///< the host's status word may have exceptions that the guest's lacks
    bool top_changed = false;  ///< to top and mode_byte
    C1 c1 = C1::saved;         ///< where the guest's C1 is
    std::uint8_t depth = 0;
    std::uint8_t dirty = 0;  ///< guest registers that the state does not have
    std::uint8_t tags = 0, tags_changed = 0;
    std::uint8_t top = 0, mode_byte = 0;
    std::uint8_t stack[8] = {};  ///< guest registers on the host's stack, ST(0) last
    std::size_t end = 0;         ///< the operation before which the tags checked are all used up
  };
  struct AddressParts {
    Reg base = kNoReg, index = kNoReg;
    std::uint8_t scale = 0;
    std::int64_t disp = 0;
    [[nodiscard]] Mem mem(std::int32_t more = 0) const {
      return {base, index, scale, static_cast<std::int32_t>(disp) + more};
    }
  };
  /// An I64 value as a sum.
  struct AddressTerm {
    Value root;
    std::int64_t disp;
  };
  /// Accesses to [root + low, root + high) that use one look-up in the software TLB. Its addend is kept in
  /// CoreState::spill, and in a register while that is not wanted otherwise; kPoison there sends each access
  /// to a look-up of its own, out of line.
  struct AccessGroup {
    Value root = ir::kNoValue;
    std::int64_t low = 0, high = 0;
    std::uint32_t last = 0;  ///< the last operation that belongs to it
    std::uint8_t lookups = 1;
    std::uint8_t slot = 0xFF;
    bool write = false;
    bool started = false;
    Reg reg = kNoReg;
  };
  static constexpr std::uint8_t kNoGroup = 0xFF;
  /// Never an addend worth keeping: those are multiples of a page.
  static constexpr std::int64_t kPoison = 1;
  /// How one access reaches host memory.
  struct HostAccess {
    AccessGroup* group = nullptr;
    bool leads = false;
    Reg addend = kNoReg;               ///< host address = linear address + addend
    std::uint8_t* slow = nullptr;      ///< displacement of the jump out of line
    std::int32_t first = 0, last = 0;  ///< what is looked up, from the address
    bool write = false;
    int loop_slot = -1;
    const std::uint8_t* found = nullptr;  ///< where the main line has the addend
  };
  /// Where an integer operand is, as the second operand of an instruction.
  struct Operand {
    enum Kind : std::uint8_t { reg, imm, mem } kind;
    Reg r = kNoReg;
    std::int64_t value = 0;
    Mem m{};
  };

  // analysis.cc
  void analyse(const ir::Block& block);
  void analyse_targets(std::size_t i);
  void clear_pending();
  void clear_pending(std::int32_t offset, unsigned size);
  [[nodiscard]] bool surely_defines_flags(const Inst& inst) const;
  [[nodiscard]] bool can_defer_condition(std::size_t i) const;

  // access_groups.cc
  void analyse_groups();
  void join_group(std::size_t i);
  AccessGroup* group_of(std::size_t i);
  void forget_group_register(Reg r);
  void keep_group_register(AccessGroup& g, Reg r);
  void poison_groups();
  void analyse_loop(const ir::Block& block);
  [[nodiscard]] static Mem loop_word(int slot, LoopSlotWord word) {
    return spill_slot(kLoopSlot + static_cast<unsigned>(slot) * kLoopWords + word);
  }

  // values.cc: places and registers
  ValueState& vs(Value v) { return values_[v]; }
  Reg reg_of(Value v);
  Operand operand(Value v, unsigned size);
  [[nodiscard]] bool is_const(Value v) const { return values_[v].place == Place::constant; }
  void use(Value v);
  [[nodiscard]] bool dies(Value v) const;
  Reg alloc();
  void take(Reg r);
  void evict(Reg r, bool to_memory = false);
  void place_in_reg(Value v, Reg r, bool upper_zero);
  void place_in_slot(Value v, std::int32_t offset);
  void detach(Value v);
  Reg destination(std::size_t i, Value reuse);
  void evacuate_pinned(Reg p);
  void evacuate_slots(std::int32_t offset, unsigned size);
  unsigned alloc_spill(unsigned cells);
  void spill_value(Value v);
  void lock(Reg r) { locked_ |= 1u << r; }
  void unlock_all() {
    locked_ = 0, xlocked_ = 0;
    spill_used_ &= ~spill_freed_, spill_freed_ = 0;
  }
  void load_into(Reg r, Value v);
  void finish(std::size_t i, Reg dst, bool upper_zero);
  [[nodiscard]] static bool is_pinned(Reg r) { return r == RBX || r == RDI || (r >= R8 && r <= R14); }

  // flags.cc
  void define_flags(std::uint8_t mask, std::uint8_t valid, std::uint8_t zero);
  void before_partial_flags(std::size_t i, std::uint8_t mask);
  void clobber_flags(std::uint8_t live);
  void sync_flags();
  void save_host_flags();
  void emit_recipe();
  void drop_recipe();
  Recipe plan_recipe(std::size_t i);
  void start_recipe(const Recipe& plan);
  Cc condition_ready(ir::Condition condition);
  void carry_ready();
  void load_host_flags();
  Cc boolean_ready(Value condition);
  void flags_for_trap();
  [[nodiscard]] std::uint8_t needed_flags(std::size_t i) const { return insts_[i].flags_out & after_[i]; }

  // integer.cc
  void emit_alu(std::size_t i);
  void emit_compare_only(std::size_t i, Alu op, unsigned size);
  void emit_alu_op(Alu op, unsigned size, Reg dst, const Operand& b);
  void emit_unary(std::size_t i);
  void emit_shift(std::size_t i);
  void emit_shift_const(std::size_t i, unsigned count);
  void emit_shift_variable(std::size_t i);
  void emit_double_shift(std::size_t i);
  void save_shift_flags(std::uint8_t mask);
  void emit_mul(std::size_t i);
  void emit_mul_high(std::size_t i);
  void emit_bit_scan(std::size_t i);
  void emit_bit_test(std::size_t i);
  void emit_convert(std::size_t i);
  void emit_cond(std::size_t i);
  void emit_select(std::size_t i);
  void emit_get_flags(std::size_t i);
  void emit_set_flags(std::size_t i);

  // registers.cc: guest registers
  void emit_load_reg(std::size_t i);
  void emit_store_reg(std::size_t i);
  void store_pinned(std::size_t i, Reg p);

  // memory.cc
  void flatten(Value v, AddressParts& parts);
  void add_to_address(Reg r, std::uint8_t scale, AddressParts& parts);
  void release_address(Value v);
  void emit_load(std::size_t i);
  void emit_store(std::size_t i);
  void prepare_address(Value address, AddressParts& parts);
  std::uint8_t* tlb_lookup(const AddressParts& parts, Reg t, std::int32_t first, std::int32_t last,
                           bool write);
  std::uint8_t* tlb_lookup(const AddressParts& parts, Reg t, unsigned size, bool write) {
    return tlb_lookup(parts, t, 0, static_cast<std::int32_t>(size - 1), write);
  }
  Reg held_addend(std::size_t i);
  HostAccess find_host(const AddressParts& parts, std::size_t i, Reg addend, unsigned size, bool write);
  template <typename Apply>
  void begin_slow(const HostAccess& host, const AddressParts& parts, unsigned size, bool write,
                  const Apply& apply);
  void begin_slow(std::uint8_t* from, const AddressParts& parts, Reg t);
  std::uint8_t* fill_loop_slot(const HostAccess& host, const AddressParts& parts);
  void call_slow(unsigned size, std::uint32_t access, bool store);
  [[nodiscard]] bool try_read_modify_write(std::size_t i);
  void trap_exit_site();
  [[nodiscard]] SiteInfo site() const;

  // vector.cc
  Reg xmm_of(Value v);
  Reg xalloc();
  void place_in_xmm(Value v, Reg r);
  void emit_load_vector_reg(std::size_t i);
  void emit_store_vector_reg(std::size_t i);
  void flush_vectors(std::int32_t offset, unsigned size, bool drop);
  void write_back_vectors();
  void drop_vectors();
  void preload_vectors();
  void restore_preloaded();
  Reg vector_destination(std::size_t i, Value a, bool a_read);
  void emit_vector(std::size_t i);
  void emit_sse(const VectorEncoding& e, Reg reg, Reg rm, std::int64_t imm);
  [[nodiscard]] bool any_xmm() const { return xmm_used_ != 0; }
  void xfree_if_unowned(Reg r);

  // x87.cc
  void emit_x87(std::size_t i);
  void emit_x87_memory(std::size_t i);
  void x87_memory_operation(std::size_t i, const Mem& m);
  void x87_arithmetic(const ir::X87Operands& o, unsigned which);
  void x87_copy(const ir::X87Operands& o);
  void x87_exchange(const ir::X87Operands& o);
  void x87_compare_flags(std::size_t i, unsigned opcode);
  void x87_take_conditions();
  void x87_result(unsigned physical);
  [[nodiscard]] Mem x87_slot(unsigned physical) const;
  [[nodiscard]] bool overlaps_x87(std::int32_t offset, unsigned size) const;
  [[nodiscard]] int x87_index(unsigned physical) const;
  void x87_op(unsigned opcode, unsigned modrm);
  void x87_exchange_with(unsigned i);
  void x87_pushed(unsigned physical, bool dirty);
  void x87_to_top(unsigned physical);
  void x87_cache(unsigned physical);
  void x87_drop(unsigned physical);
  void x87_emit_commit();
  void x87_home_control();
  void x87_guest_control();
  void x87_switch_control(bool home);
  ir::X87Tags x87_plan(std::size_t i);
  void x87_open(std::size_t i, const AddressParts* address);
  void x87_follow(std::size_t i);
  void x87_close();
  void x87_suspend();
  void x87_resume();
  void x87_call_helper(std::size_t i, const AddressParts* address);
  /// Before a look at the state.
  void x87_observe(std::int32_t offset, unsigned size) {
    if (x87_.open && overlaps_x87(offset, size)) x87_close();
  }

  // control.cc
  void emit(std::size_t i);
  void emit_call(std::size_t i);
  void emit_trap_if(std::size_t i);
  void emit_next_round();
  void emit_end(std::size_t i);
  void emit_branch(std::size_t i);
  void emit_target(std::int64_t target);
  void emit_leave_check(std::int64_t target);
  void add_site(std::uint8_t* patch, std::int64_t target);
  void pc_to_scratch(std::int64_t offset);

  const Layout& layout_;
  Emitter* e_ = nullptr;  ///< current
  Emitter* hot_ = nullptr;
  Emitter* cold_ = nullptr;
  CompiledBlock* out_ = nullptr;
  const Inst* insts_ = nullptr;
  std::size_t count_ = 0;
  unsigned insn_count_ = 0;
  bool has_call_ = false;

  std::vector<ValueState> values_;
  std::vector<std::uint8_t> before_;  ///< flags live before each operation, possible traps included
  std::vector<std::uint8_t> after_;
  std::vector<std::uint8_t> read_;  ///< flags read after it by operations or the block's end
  Value pending_[16] = {};          ///< by pinned register: the value that a later StoreReg puts there
  std::uint32_t pending_mask_ = 0;
  std::vector<std::pair<std::int32_t, Value>> pending_vectors_;

  Value chain_[32] = {};  ///< values in each host register, XMM from 16
  Value slot_chain_ = ir::kNoValue;
  std::uint32_t locked_ = 0, xlocked_ = 0;
  std::uint32_t xmm_used_ = 0;
  std::vector<CachedVector> cached_;
  std::vector<CachedVector> preloaded_;  ///< in these registers at the start of every round
  std::vector<AddressTerm> terms_;
  std::vector<std::uint8_t> group_of_;
  std::vector<AccessGroup> groups_;
  std::vector<std::pair<std::int32_t, AddressTerm>> known_;  ///< by guest register, while groups are formed
  std::vector<std::uint8_t> open_;                           ///< groups that may grow
  std::uint32_t group_regs_ = 0;
  bool loops_ = false;  ///< the block may jump to itself, without any look at it from outside in between
  int loop_slots_ = 0, loop_slots_taken_ = 0;
  const std::uint8_t* round_ = nullptr;    ///< where a round begins
  const std::uint8_t* refused_ = nullptr;  ///< where the budget is too small
  std::uint64_t spill_used_ = 0;
  std::uint64_t spill_freed_ = 0;  ///< no longer used once the operation at hand is done
  std::size_t at_ = 0;             ///< operation being emitted
  std::uint32_t start_offset_ = 0, page_offset_ = 0, insn_index_ = 0;

  std::uint8_t host_ = 0, zero_ = 0;
  bool saved_ = true;
  Recipe recipe_;
  X87State x87_;
};

}  // namespace hindsight::engine::host::x64
