// Every vector sub-operation: the interpreter against the one host instruction that the encoding table names,
// on special and random operands under every rounding mode, DAZ and FTZ. Results and MXCSR flags must be
// equal.
#if defined(__x86_64__)

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cstring>
#include <random>

#include "engine/host/x64/vector_table.h"
#include "engine/interp/vector_semantics.h"

namespace hindsight::engine::interp {
namespace {

using host::x64::VectorEncoding;
using host::x64::VectorForm;

/// What the generated snippet reads and writes: void (Frame*).
struct alignas(16) Frame {
  Cell a, b;
  std::uint64_t integer, flags;
};

/// xmm0 = a, xmm1 = b, rax = integer; one instruction; then all back.
class Snippet {
 public:
  Snippet() {
    page_ = static_cast<std::uint8_t*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  ~Snippet() { munmap(page_, 4096); }
  Snippet(const Snippet&) = delete;
  Snippet& operator=(const Snippet&) = delete;

  void assemble(const VectorEncoding& e, std::uint8_t imm) {
    at_ = 0;
    put({0x66, 0x0F, 0x6F, 0x07});        // movdqa xmm0, [rdi]
    put({0x66, 0x0F, 0x6F, 0x4F, 0x10});  // movdqa xmm1, [rdi + 16]
    put({0x48, 0x8B, 0x47, 0x20});        // mov rax, [rdi + 32]
    if (e.prefix != 0) put({e.prefix});
    if (e.wide) put({0x48});
    put({0x0F});
    if (e.map != 0) put({e.map});
    put({e.opcode});
    switch (e.form) {
      case VectorForm::dst_src:
      case VectorForm::flags:
        put({0xC1});
        break;  // xmm0, xmm1
      case VectorForm::dst_digit:
        put({static_cast<std::uint8_t>(0xC0 | e.digit << 3)});
        break;
      default:
        put({0xC0});
        break;  // xmm0 and rax, in either order
    }
    if (e.imm) put({imm});
    put({0x9C, 0x59, 0x48, 0x89, 0x4F, 0x28});  // pushfq; pop rcx; mov [rdi + 40], rcx
    put({0x66, 0x0F, 0x7F, 0x07});              // movdqa [rdi], xmm0
    put({0x48, 0x89, 0x47, 0x20, 0xC3});        // mov [rdi + 32], rax; ret
  }
  /// Returns MXCSR afterwards.
  std::uint32_t run(Frame& frame, std::uint32_t mxcsr) const {
    const ir::HostMxcsrScope scope(mxcsr);
    reinterpret_cast<void (*)(Frame*)>(page_)(&frame);
    return ir::read_host_mxcsr();
  }

 private:
  void put(std::initializer_list<std::uint8_t> bytes) {
    for (const std::uint8_t b : bytes) page_[at_++] = b;
  }
  std::uint8_t* page_;
  std::size_t at_ = 0;
};

class VectorOps : public ::testing::Test {
 protected:
  Cell operand() {
    static constexpr std::uint32_t kF32[] = {0,          0x80000000, 0x3F800000, 0xBF800000, 0x7F800000,
                                             0xFF800000, 0x7FC00001, 0xFFC00002, 0x7F800001, 0xFFA00003,
                                             1,          0x807FFFFF, 0x00800000, 0x7F7FFFFF, 0x4F000000,
                                             0xCF000000, 0x3F000000, 0x5F000000, 0x33800000, 0x4B000001};
    static constexpr std::uint64_t kF64[] = {
        0x3FF0000000000000, 0x7FF0000000000000, 0xFFF8000000000001, 0x7FF0000000000001, 1,
        0x800FFFFFFFFFFFFF, 0x0010000000000000, 0x7FEFFFFFFFFFFFFF, 0x41E0000000000000, 0xC3E0000000000000,
        0x3FE0000000000000, 0x36A0000000000000, 0x8000000000000000, 0x47F0000000000000};
    std::array<std::uint32_t, 4> lanes;
    const unsigned kind = static_cast<unsigned>(random_() % 4);
    for (std::uint32_t& lane : lanes)
      lane = kind == 0 ? static_cast<std::uint32_t>(random_()) : kF32[random_() % std::size(kF32)];
    Cell c = std::bit_cast<Cell>(lanes);
    if (kind == 2) c = {kF64[random_() % std::size(kF64)], kF64[random_() % std::size(kF64)]};
    if (kind == 3) c.low = random_() % 70;  // shift counts
    return c;
  }
  std::uint32_t mxcsr() {
    return 0x1F80 | static_cast<std::uint32_t>(random_() & 3) << 13 | (random_() & 1 ? 0x40u : 0u) |
           (random_() & 1 ? 0x8000u : 0u);
  }
  std::mt19937_64 random_{1};
  Snippet snippet_;
};

TEST_F(VectorOps, EachVecOperationEqualsItsHostInstruction) {
  for (std::uint16_t op = 0; op < ir::kVecOpCount; ++op) {
    const VectorEncoding& e = host::x64::encoding(static_cast<ir::VecOp>(op));
    for (int n = 0; n < 400; ++n) {
      const auto imm =
          static_cast<std::uint8_t>(e.form == VectorForm::dst_digit ? random_() % 70 : random_() & 7);
      const Cell a = operand(), b = operand();
      const std::uint32_t control = mxcsr();
      Frame frame{a, b, 0, 0};
      snippet_.assemble(e, imm);
      const std::uint32_t native = snippet_.run(frame, control);
      Cell result;
      std::uint32_t after;
      {
        const ir::HostMxcsrScope scope(control);
        result = vec(op, a, b, imm);
        after = ir::read_host_mxcsr();
      }
      const bool is_float = (ir::kVecOps[op].properties & ir::kVecFloat) != 0;
      ASSERT_TRUE(result.low == frame.a.low && result.high == frame.a.high) << ir::kVecOps[op].name;
      ASSERT_EQ(after, native) << ir::kVecOps[op].name;
      ASSERT_TRUE(is_float || native == control) << ir::kVecOps[op].name << " touches MXCSR";
    }
  }
}

TEST_F(VectorOps, EachImmediateOfShufflesAndShiftsEqualsItsHostInstruction) {
  for (std::uint16_t op = 0; op < ir::kVecOpCount; ++op) {
    const auto properties = ir::kVecOps[op].properties;
    if ((properties & ir::kVecImm) == 0 || (properties & ir::kVecFloat) != 0) continue;
    for (unsigned imm = 0; imm < 256; ++imm) {
      Frame frame{{random_(), random_()}, {random_(), random_()}, 0, 0};
      const Cell result = vec(op, frame.a, frame.b, imm);
      snippet_.assemble(host::x64::encoding(static_cast<ir::VecOp>(op)), static_cast<std::uint8_t>(imm));
      snippet_.run(frame, 0x1F80);
      ASSERT_TRUE(result.low == frame.a.low && result.high == frame.a.high)
          << ir::kVecOps[op].name << " " << imm;
    }
  }
}

TEST_F(VectorOps, EachVecIntOperationEqualsItsHostInstruction) {
  for (std::uint16_t op = 0; op < ir::kVecIntOpCount; ++op) {
    for (int n = 0; n < 400; ++n) {
      const Cell a = operand();
      const std::uint64_t b = n % 2 == 0 ? random_() : random_() >> (random_() % 64);
      const auto imm = static_cast<std::uint8_t>(random_() & 15);
      const std::uint32_t control = mxcsr();
      Frame frame{a, {}, b, 0};
      snippet_.assemble(host::x64::encoding(static_cast<ir::VecIntOp>(op)), imm);
      const std::uint32_t native = snippet_.run(frame, control);
      const ir::HostMxcsrScope scope(control);
      const Cell result = vec_int(op, a, b, imm);
      const std::uint32_t after = ir::read_host_mxcsr();
      ASSERT_TRUE(result.low == frame.a.low && result.high == frame.a.high) << ir::kVecIntOps[op].name;
      ASSERT_EQ(after, native) << ir::kVecIntOps[op].name;
    }
  }
}

TEST_F(VectorOps, EachIntVecOperationEqualsItsHostInstruction) {
  for (std::uint16_t op = 0; op < ir::kIntVecOpCount; ++op) {
    for (int n = 0; n < 400; ++n) {
      const Cell a = operand();
      const auto imm = static_cast<std::uint8_t>(random_() & 15);
      const std::uint32_t control = mxcsr();
      const auto id = static_cast<ir::IntVecOp>(op);
      Frame frame{a, a, 0, 0};
      snippet_.assemble(host::x64::encoding(id), imm);
      const std::uint32_t native = snippet_.run(frame, control);
      const ir::HostMxcsrScope scope(control);
      const std::uint64_t result = int_vec(op, a, imm);
      ASSERT_EQ(result, frame.integer) << ir::kIntVecOps[op].name;
      ASSERT_EQ(ir::read_host_mxcsr(), native) << ir::kIntVecOps[op].name;
    }
  }
}

TEST_F(VectorOps, EachVecFlagsOperationEqualsItsHostInstruction) {
  for (std::uint16_t op = 0; op < ir::kVecFlagsOpCount; ++op) {
    for (int n = 0; n < 1000; ++n) {
      const Cell a = operand(), b = n % 3 == 0 ? a : operand();
      const std::uint32_t control = mxcsr();
      Frame frame{a, b, 0, 0};
      snippet_.assemble(host::x64::encoding(static_cast<ir::VecFlagsOp>(op)), 0);
      const std::uint32_t native = snippet_.run(frame, control);
      const ir::HostMxcsrScope scope(control);
      const std::uint32_t flags = vec_flags(op, a, b);
      ASSERT_EQ(flags, frame.flags & ir::eflags::kAll) << ir::kVecFlagsOps[op].name;
      ASSERT_EQ(ir::read_host_mxcsr(), native) << ir::kVecFlagsOps[op].name;
    }
  }
}

}  // namespace
}  // namespace hindsight::engine::interp

#endif
