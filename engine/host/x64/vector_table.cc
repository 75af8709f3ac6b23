#include "engine/host/x64/vector_table.h"

#include <array>

namespace hindsight::engine::host::x64 {
namespace {

using enum VectorForm;
using ir::IntVecOp;
using ir::VecFlagsOp;
using ir::VecIntOp;
using ir::VecOp;

template <typename Op>
struct Row {
  Op op;
  std::uint8_t prefix, map, opcode;
  VectorForm form = dst_src;
  bool wide = false;
  std::uint8_t digit = 0;
};

// Opcodes: SDM vol. 2, appendix A.
constexpr Row<VecOp> kVecRows[] = {
    {VecOp::And, 0x66, 0, 0xDB},
    {VecOp::AndNot, 0x66, 0, 0xDF},
    {VecOp::Or, 0x66, 0, 0xEB},
    {VecOp::Xor, 0x66, 0, 0xEF},
    {VecOp::AddF32x4, 0, 0, 0x58},
    {VecOp::SubF32x4, 0, 0, 0x5C},
    {VecOp::MulF32x4, 0, 0, 0x59},
    {VecOp::DivF32x4, 0, 0, 0x5E},
    {VecOp::MinF32x4, 0, 0, 0x5D},
    {VecOp::MaxF32x4, 0, 0, 0x5F},
    {VecOp::SqrtF32x4, 0, 0, 0x51},
    {VecOp::CmpF32x4, 0, 0, 0xC2},
    {VecOp::AddSubF32x4, 0xF2, 0, 0xD0},
    {VecOp::RoundF32x4, 0x66, 0x3A, 0x08},
    {VecOp::AddF32x1, 0xF3, 0, 0x58},
    {VecOp::SubF32x1, 0xF3, 0, 0x5C},
    {VecOp::MulF32x1, 0xF3, 0, 0x59},
    {VecOp::DivF32x1, 0xF3, 0, 0x5E},
    {VecOp::MinF32x1, 0xF3, 0, 0x5D},
    {VecOp::MaxF32x1, 0xF3, 0, 0x5F},
    {VecOp::SqrtF32x1, 0xF3, 0, 0x51},
    {VecOp::CmpF32x1, 0xF3, 0, 0xC2},
    {VecOp::RoundF32x1, 0x66, 0x3A, 0x0A},
    {VecOp::AddF64x2, 0x66, 0, 0x58},
    {VecOp::SubF64x2, 0x66, 0, 0x5C},
    {VecOp::MulF64x2, 0x66, 0, 0x59},
    {VecOp::DivF64x2, 0x66, 0, 0x5E},
    {VecOp::MinF64x2, 0x66, 0, 0x5D},
    {VecOp::MaxF64x2, 0x66, 0, 0x5F},
    {VecOp::SqrtF64x2, 0x66, 0, 0x51},
    {VecOp::CmpF64x2, 0x66, 0, 0xC2},
    {VecOp::AddSubF64x2, 0x66, 0, 0xD0},
    {VecOp::RoundF64x2, 0x66, 0x3A, 0x09},
    {VecOp::AddF64x1, 0xF2, 0, 0x58},
    {VecOp::SubF64x1, 0xF2, 0, 0x5C},
    {VecOp::MulF64x1, 0xF2, 0, 0x59},
    {VecOp::DivF64x1, 0xF2, 0, 0x5E},
    {VecOp::MinF64x1, 0xF2, 0, 0x5D},
    {VecOp::MaxF64x1, 0xF2, 0, 0x5F},
    {VecOp::SqrtF64x1, 0xF2, 0, 0x51},
    {VecOp::CmpF64x1, 0xF2, 0, 0xC2},
    {VecOp::RoundF64x1, 0x66, 0x3A, 0x0B},
    {VecOp::CvtF32x2ToF64x2, 0, 0, 0x5A},
    {VecOp::CvtF64x2ToF32x2, 0x66, 0, 0x5A},
    {VecOp::CvtF32x1ToF64x1, 0xF3, 0, 0x5A},
    {VecOp::CvtF64x1ToF32x1, 0xF2, 0, 0x5A},
    {VecOp::CvtI32x4ToF32x4, 0, 0, 0x5B},
    {VecOp::CvtF32x4ToI32x4, 0x66, 0, 0x5B},
    {VecOp::CvtTruncF32x4ToI32x4, 0xF3, 0, 0x5B},
    {VecOp::CvtI32x2ToF64x2, 0xF3, 0, 0xE6},
    {VecOp::CvtF64x2ToI32x2, 0xF2, 0, 0xE6},
    {VecOp::CvtTruncF64x2ToI32x2, 0x66, 0, 0xE6},
    {VecOp::MergeF32x1, 0xF3, 0, 0x10},
    {VecOp::MergeF64x1, 0xF2, 0, 0x10},
    {VecOp::MoveLowI64, 0xF3, 0, 0x7E},
    {VecOp::MoveLowToHigh, 0, 0, 0x16},
    {VecOp::MoveHighToLow, 0, 0, 0x12},
    {VecOp::DupEvenF32x4, 0xF3, 0, 0x12},
    {VecOp::DupOddF32x4, 0xF3, 0, 0x16},
    {VecOp::DupLowF64x2, 0xF2, 0, 0x12},
    {VecOp::UnpackLowF32x4, 0, 0, 0x14},
    {VecOp::UnpackHighF32x4, 0, 0, 0x15},
    {VecOp::UnpackLowF64x2, 0x66, 0, 0x14},
    {VecOp::UnpackHighF64x2, 0x66, 0, 0x15},
    {VecOp::ShufF32x4, 0, 0, 0xC6},
    {VecOp::ShufF64x2, 0x66, 0, 0xC6},
    {VecOp::ShufI32x4, 0x66, 0, 0x70},
    {VecOp::ShufHighI16x8, 0xF3, 0, 0x70},
    {VecOp::ShufLowI16x8, 0xF2, 0, 0x70},
    {VecOp::ShufI8x16, 0x66, 0x38, 0x00},
    {VecOp::BlendF32x4, 0x66, 0x3A, 0x0C},
    {VecOp::BlendF64x2, 0x66, 0x3A, 0x0D},
    {VecOp::BlendI16x8, 0x66, 0x3A, 0x0E},
    {VecOp::AlignI8x16, 0x66, 0x3A, 0x0F},
    {VecOp::InsertF32x4, 0x66, 0x3A, 0x21},
    {VecOp::UnpackLowI8x16, 0x66, 0, 0x60},
    {VecOp::UnpackLowI16x8, 0x66, 0, 0x61},
    {VecOp::UnpackLowI32x4, 0x66, 0, 0x62},
    {VecOp::UnpackLowI64x2, 0x66, 0, 0x6C},
    {VecOp::UnpackHighI8x16, 0x66, 0, 0x68},
    {VecOp::UnpackHighI16x8, 0x66, 0, 0x69},
    {VecOp::UnpackHighI32x4, 0x66, 0, 0x6A},
    {VecOp::UnpackHighI64x2, 0x66, 0, 0x6D},
    {VecOp::PackSatI16ToI8, 0x66, 0, 0x63},
    {VecOp::PackSatI32ToI16, 0x66, 0, 0x6B},
    {VecOp::PackSatI16ToU8, 0x66, 0, 0x67},
    {VecOp::PackSatI32ToU16, 0x66, 0x38, 0x2B},
    {VecOp::SextI8x8ToI16, 0x66, 0x38, 0x20},
    {VecOp::SextI8x4ToI32, 0x66, 0x38, 0x21},
    {VecOp::SextI8x2ToI64, 0x66, 0x38, 0x22},
    {VecOp::SextI16x4ToI32, 0x66, 0x38, 0x23},
    {VecOp::SextI16x2ToI64, 0x66, 0x38, 0x24},
    {VecOp::SextI32x2ToI64, 0x66, 0x38, 0x25},
    {VecOp::ZextI8x8ToI16, 0x66, 0x38, 0x30},
    {VecOp::ZextI8x4ToI32, 0x66, 0x38, 0x31},
    {VecOp::ZextI8x2ToI64, 0x66, 0x38, 0x32},
    {VecOp::ZextI16x4ToI32, 0x66, 0x38, 0x33},
    {VecOp::ZextI16x2ToI64, 0x66, 0x38, 0x34},
    {VecOp::ZextI32x2ToI64, 0x66, 0x38, 0x35},
    {VecOp::AddI8x16, 0x66, 0, 0xFC},
    {VecOp::AddI16x8, 0x66, 0, 0xFD},
    {VecOp::AddI32x4, 0x66, 0, 0xFE},
    {VecOp::AddI64x2, 0x66, 0, 0xD4},
    {VecOp::AddSatI8x16, 0x66, 0, 0xEC},
    {VecOp::AddSatI16x8, 0x66, 0, 0xED},
    {VecOp::AddSatU8x16, 0x66, 0, 0xDC},
    {VecOp::AddSatU16x8, 0x66, 0, 0xDD},
    {VecOp::SubI8x16, 0x66, 0, 0xF8},
    {VecOp::SubI16x8, 0x66, 0, 0xF9},
    {VecOp::SubI32x4, 0x66, 0, 0xFA},
    {VecOp::SubI64x2, 0x66, 0, 0xFB},
    {VecOp::SubSatI8x16, 0x66, 0, 0xE8},
    {VecOp::SubSatI16x8, 0x66, 0, 0xE9},
    {VecOp::SubSatU8x16, 0x66, 0, 0xD8},
    {VecOp::SubSatU16x8, 0x66, 0, 0xD9},
    {VecOp::HAddI16x8, 0x66, 0x38, 0x01},
    {VecOp::HAddI32x4, 0x66, 0x38, 0x02},
    {VecOp::HAddSatI16x8, 0x66, 0x38, 0x03},
    {VecOp::HSubI16x8, 0x66, 0x38, 0x05},
    {VecOp::HSubI32x4, 0x66, 0x38, 0x06},
    {VecOp::HSubSatI16x8, 0x66, 0x38, 0x07},
    {VecOp::MulLowI16x8, 0x66, 0, 0xD5},
    {VecOp::MulHighI16x8, 0x66, 0, 0xE5},
    {VecOp::MulHighU16x8, 0x66, 0, 0xE4},
    {VecOp::MulHighRoundI16x8, 0x66, 0x38, 0x0B},
    {VecOp::MulLowI32x4, 0x66, 0x38, 0x40},
    {VecOp::MulEvenI32x4, 0x66, 0x38, 0x28},
    {VecOp::MulEvenU32x4, 0x66, 0, 0xF4},
    {VecOp::MulAddI16x8, 0x66, 0, 0xF5},
    {VecOp::MulAddU8I8x16, 0x66, 0x38, 0x04},
    {VecOp::SumAbsDiffU8x16, 0x66, 0, 0xF6},
    {VecOp::MultiSumAbsDiffU8x16, 0x66, 0x3A, 0x42},
    {VecOp::AverageU8x16, 0x66, 0, 0xE0},
    {VecOp::AverageU16x8, 0x66, 0, 0xE3},
    {VecOp::MinI8x16, 0x66, 0x38, 0x38},
    {VecOp::MinI16x8, 0x66, 0, 0xEA},
    {VecOp::MinI32x4, 0x66, 0x38, 0x39},
    {VecOp::MinU8x16, 0x66, 0, 0xDA},
    {VecOp::MinU16x8, 0x66, 0x38, 0x3A},
    {VecOp::MinU32x4, 0x66, 0x38, 0x3B},
    {VecOp::MaxI8x16, 0x66, 0x38, 0x3C},
    {VecOp::MaxI16x8, 0x66, 0, 0xEE},
    {VecOp::MaxI32x4, 0x66, 0x38, 0x3D},
    {VecOp::MaxU8x16, 0x66, 0, 0xDE},
    {VecOp::MaxU16x8, 0x66, 0x38, 0x3E},
    {VecOp::MaxU32x4, 0x66, 0x38, 0x3F},
    {VecOp::MinPosU16x8, 0x66, 0x38, 0x41},
    {VecOp::AbsI8x16, 0x66, 0x38, 0x1C},
    {VecOp::AbsI16x8, 0x66, 0x38, 0x1D},
    {VecOp::AbsI32x4, 0x66, 0x38, 0x1E},
    {VecOp::SignI8x16, 0x66, 0x38, 0x08},
    {VecOp::SignI16x8, 0x66, 0x38, 0x09},
    {VecOp::SignI32x4, 0x66, 0x38, 0x0A},
    {VecOp::CmpEqI8x16, 0x66, 0, 0x74},
    {VecOp::CmpEqI16x8, 0x66, 0, 0x75},
    {VecOp::CmpEqI32x4, 0x66, 0, 0x76},
    {VecOp::CmpEqI64x2, 0x66, 0x38, 0x29},
    {VecOp::CmpGtI8x16, 0x66, 0, 0x64},
    {VecOp::CmpGtI16x8, 0x66, 0, 0x65},
    {VecOp::CmpGtI32x4, 0x66, 0, 0x66},
    {VecOp::CmpGtI64x2, 0x66, 0x38, 0x37},
    {VecOp::ShlI16x8, 0x66, 0, 0xF1},
    {VecOp::ShlI32x4, 0x66, 0, 0xF2},
    {VecOp::ShlI64x2, 0x66, 0, 0xF3},
    {VecOp::ShrI16x8, 0x66, 0, 0xD1},
    {VecOp::ShrI32x4, 0x66, 0, 0xD2},
    {VecOp::ShrI64x2, 0x66, 0, 0xD3},
    {VecOp::SarI16x8, 0x66, 0, 0xE1},
    {VecOp::SarI32x4, 0x66, 0, 0xE2},
    {VecOp::ShlImmI16x8, 0x66, 0, 0x71, dst_digit, false, 6},
    {VecOp::ShlImmI32x4, 0x66, 0, 0x72, dst_digit, false, 6},
    {VecOp::ShlImmI64x2, 0x66, 0, 0x73, dst_digit, false, 6},
    {VecOp::ShrImmI16x8, 0x66, 0, 0x71, dst_digit, false, 2},
    {VecOp::ShrImmI32x4, 0x66, 0, 0x72, dst_digit, false, 2},
    {VecOp::ShrImmI64x2, 0x66, 0, 0x73, dst_digit, false, 2},
    {VecOp::SarImmI16x8, 0x66, 0, 0x71, dst_digit, false, 4},
    {VecOp::SarImmI32x4, 0x66, 0, 0x72, dst_digit, false, 4},
    {VecOp::ShlBytes, 0x66, 0, 0x73, dst_digit, false, 7},
    {VecOp::ShrBytes, 0x66, 0, 0x73, dst_digit, false, 3},
};

constexpr Row<VecIntOp> kVecIntRows[] = {
    {VecIntOp::FromI32, 0x66, 0, 0x6E, dst_gpr},
    {VecIntOp::FromI64, 0x66, 0, 0x6E, dst_gpr, true},
    {VecIntOp::InsertI8x16, 0x66, 0x3A, 0x20, dst_gpr},
    {VecIntOp::InsertI16x8, 0x66, 0, 0xC4, dst_gpr},
    {VecIntOp::InsertI32x4, 0x66, 0x3A, 0x22, dst_gpr},
    {VecIntOp::InsertI64x2, 0x66, 0x3A, 0x22, dst_gpr, true},
    {VecIntOp::CvtI32ToF32x1, 0xF3, 0, 0x2A, dst_gpr},
    {VecIntOp::CvtI64ToF32x1, 0xF3, 0, 0x2A, dst_gpr, true},
    {VecIntOp::CvtI32ToF64x1, 0xF2, 0, 0x2A, dst_gpr},
    {VecIntOp::CvtI64ToF64x1, 0xF2, 0, 0x2A, dst_gpr, true},
};

constexpr Row<IntVecOp> kIntVecRows[] = {
    {IntVecOp::ExtractI8x16, 0x66, 0x3A, 0x14, src_gpr},
    {IntVecOp::ExtractI16x8, 0x66, 0, 0xC5, gpr_src},
    {IntVecOp::ExtractI32x4, 0x66, 0x3A, 0x16, src_gpr},
    {IntVecOp::ExtractI64x2, 0x66, 0x3A, 0x16, src_gpr, true},
    {IntVecOp::SignsI8x16, 0x66, 0, 0xD7, gpr_src},
    {IntVecOp::SignsF32x4, 0, 0, 0x50, gpr_src},
    {IntVecOp::SignsF64x2, 0x66, 0, 0x50, gpr_src},
    {IntVecOp::CvtF32x1ToI32, 0xF3, 0, 0x2D, gpr_src},
    {IntVecOp::CvtF32x1ToI64, 0xF3, 0, 0x2D, gpr_src, true},
    {IntVecOp::CvtTruncF32x1ToI32, 0xF3, 0, 0x2C, gpr_src},
    {IntVecOp::CvtTruncF32x1ToI64, 0xF3, 0, 0x2C, gpr_src, true},
    {IntVecOp::CvtF64x1ToI32, 0xF2, 0, 0x2D, gpr_src},
    {IntVecOp::CvtF64x1ToI64, 0xF2, 0, 0x2D, gpr_src, true},
    {IntVecOp::CvtTruncF64x1ToI32, 0xF2, 0, 0x2C, gpr_src},
    {IntVecOp::CvtTruncF64x1ToI64, 0xF2, 0, 0x2C, gpr_src, true},
};

constexpr Row<VecFlagsOp> kVecFlagsRows[] = {
    {VecFlagsOp::UnorderedCmpF32x1, 0, 0, 0x2E, flags},
    {VecFlagsOp::OrderedCmpF32x1, 0, 0, 0x2F, flags},
    {VecFlagsOp::UnorderedCmpF64x1, 0x66, 0, 0x2E, flags},
    {VecFlagsOp::OrderedCmpF64x1, 0x66, 0, 0x2F, flags},
    {VecFlagsOp::TestBits, 0x66, 0x38, 0x17, flags},
};

// Rows stand in the order of their enumerators; a missing or misplaced one stops the build.
template <typename Op, std::size_t N>
consteval std::array<VectorEncoding, N> build(const Row<Op> (&rows)[N], const ir::VecOpInfo* infos) {
  std::array<VectorEncoding, N> out{};
  for (std::size_t i = 0; i < N; ++i) {
    const Row<Op>& row = rows[i];
    if (static_cast<std::size_t>(row.op) != i) throw "row out of order";
    out[i] = {row.prefix, row.map,  row.opcode, row.form, (infos[i].properties & ir::kVecImm) != 0,
              row.wide,   row.digit};
  }
  return out;
}

constexpr auto kVec = build(kVecRows, ir::kVecOps);
constexpr auto kVecInt = build(kVecIntRows, ir::kVecIntOps);
constexpr auto kIntVec = build(kIntVecRows, ir::kIntVecOps);
constexpr auto kVecFlags = build(kVecFlagsRows, ir::kVecFlagsOps);
static_assert(kVec.size() == ir::kVecOpCount && kVecInt.size() == ir::kVecIntOpCount);
static_assert(kIntVec.size() == ir::kIntVecOpCount && kVecFlags.size() == ir::kVecFlagsOpCount);

}  // namespace

const VectorEncoding& encoding(ir::VecOp op) { return kVec[static_cast<std::size_t>(op)]; }
const VectorEncoding& encoding(ir::VecIntOp op) { return kVecInt[static_cast<std::size_t>(op)]; }
const VectorEncoding& encoding(ir::IntVecOp op) { return kIntVec[static_cast<std::size_t>(op)]; }
const VectorEncoding& encoding(ir::VecFlagsOp op) { return kVecFlags[static_cast<std::size_t>(op)]; }

}  // namespace hindsight::engine::host::x64
