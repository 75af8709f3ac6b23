#include "engine/ir/ir.h"

#include <array>

#include "engine/base/check.h"

namespace hindsight::engine::ir {
namespace {

constexpr ResultKind kNone = ResultKind::kNone, kSame = ResultKind::kSame, kI8 = ResultKind::kI8,
                     kI32 = ResultKind::kI32, kI64 = ResultKind::kI64, kV128 = ResultKind::kV128;
constexpr std::array<OpInfo, kOpCount> kOps = {{
#define IR_OP(name, arity, result, properties) {#name, arity, result, properties},
#include "engine/ir/ops.def"
}};

constexpr std::array<std::uint8_t, 8> kConditionReads = {
    kFlagV, kFlagC, kFlagZ, kFlagC | kFlagZ, kFlagS, kFlagP, kFlagS | kFlagV, kFlagS | kFlagV | kFlagZ};

}  // namespace

const OpInfo& info(Op op) { return kOps[static_cast<unsigned>(op)]; }

std::uint8_t flags_read_by(Condition condition) {
  return kConditionReads[static_cast<unsigned>(condition) >> 1];
}

std::uint16_t packed_mask(std::uint8_t flag_bits) {
  std::uint16_t mask = 0;
  if (flag_bits & kFlagC) mask |= packed::kC;
  if (flag_bits & kFlagP) mask |= packed::kP;
  if (flag_bits & kFlagA) mask |= packed::kA;
  if (flag_bits & kFlagZ) mask |= packed::kZ;
  if (flag_bits & kFlagS) mask |= packed::kS;
  if (flag_bits & kFlagV) mask |= packed::kV;
  return mask;
}

bool evaluate(Condition condition, std::uint16_t f) {
  const bool v = f & packed::kV, c = f & packed::kC, z = f & packed::kZ, s = f & packed::kS,
             p = f & packed::kP;
  const std::array<bool, 8> holds = {v, c, z, c || z, s, p, s != v, s != v || z};
  const auto index = static_cast<unsigned>(condition);
  return holds[index >> 1] != ((index & 1) != 0);
}

Type result_type(const Inst& inst) {
  switch (info(inst.op).result) {
    case ResultKind::kNone:
      return Type::none;
    case ResultKind::kSame:
      return inst.type;
    case ResultKind::kI8:
      return Type::I8;
    case ResultKind::kI16:
      return Type::I16;
    case ResultKind::kI32:
      return Type::I32;
    case ResultKind::kI64:
      return Type::I64;
    case ResultKind::kV128:
      return Type::V128;
  }
  CHECK(false, "result kind of {}", info(inst.op).name);
}

}  // namespace hindsight::engine::ir
