#include <fmt/format.h>

#include <array>

#include "engine/ir/ir.h"

namespace hindsight::engine::ir {
namespace {

constexpr std::array<const char*, 6> kTypeNames = {"", ".I8", ".I16", ".I32", ".I64", ".V128"};
constexpr std::array<const char*, 16> kConditionNames = {"V", "NV", "C", "NC", "Z", "NZ", "CZ", "NCZ",
                                                         "S", "NS", "P", "NP", "L", "NL", "LE", "NLE"};

std::string flags_text(std::uint8_t flags) {
  std::string text;
  constexpr std::string_view kLetters = "CPAZSV";
  for (unsigned i = 0; i < kLetters.size(); ++i)
    if (flags & (1u << i)) text += kLetters[i];
  return text.empty() ? text : "." + text;
}

bool prints_immediate(Op op) {
  switch (op) {
    case Op::Const:
    case Op::LoadReg:
    case Op::StoreReg:
    case Op::GetPc:
    case Op::Vec:
    case Op::VecInt:
    case Op::IntVec:
    case Op::X87:
    case Op::TrapIf:
    case Op::InsnStart:
    case Op::Jump:
    case Op::Branch:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string print(const Block& block) {
  std::string text;
  for (std::size_t i = 0; i < block.insts.size(); ++i) {
    const Inst& inst = block.insts[i];
    const OpInfo& op = info(inst.op);
    std::string line = result_type(inst) == Type::none ? "" : fmt::format("%{} = ", i);
    line += fmt::format("{}{}{}", op.name, kTypeNames[static_cast<unsigned>(inst.type)],
                        flags_text(inst.flags_out));
    const char* separator = " ";
    const auto word = [&](const std::string& w) {
      line += separator + w;
      separator = ", ";
    };
    if (inst.op == Op::Cond)
      word(kConditionNames[inst.sub & 15]);
    else if (inst.sub != 0 || inst.op == Op::Vec)
      word(fmt::format("#{}", inst.sub));
    if (inst.helper != nullptr) word(inst.helper->name);
    const std::array<Value, 3> operands = {inst.a, inst.b, inst.c};
    for (unsigned k = 0; k < op.arity; ++k)
      if (operands[k] != kNoValue) word(fmt::format("%{}", operands[k]));
    if (prints_immediate(inst.op)) word(fmt::format("{:#x}", inst.imm));
    if (inst.op == Op::Branch || inst.op == Op::TrapIf) word(fmt::format("{:#x}", inst.imm2));
    text += (inst.op == Op::InsnStart ? "" : "  ") + line + "\n";
  }
  return text;
}

}  // namespace hindsight::engine::ir
