#include "tests/isa/x86/decode_peers.h"

#include <Zydis/Zydis.h>
#include <capstone/capstone.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include "engine/base/check.h"

namespace hindsight::tests {
namespace {

/// Aliases, and operand sizes that we do not put into the name.
const std::map<std::string, std::string, std::less<>>& aliases() {
  static const std::map<std::string, std::string, std::less<>> kAliases = [] {
    std::map<std::string, std::string, std::less<>> result;
    const auto group = [&](const char* name, std::initializer_list<const char*> others) {
      for (const char* other : others) result[other] = name;
    };
    for (const std::string prefix : {"j", "set", "cmov"}) {
      const auto condition = [&](const char* name, std::initializer_list<const char*> others) {
        for (const char* other : others) result[prefix + other] = prefix + name;
      };
      condition("b", {"c", "nae"});
      condition("ae", {"nb", "nc"});
      condition("e", {"z"});
      condition("ne", {"nz"});
      condition("be", {"na"});
      condition("a", {"nbe"});
      condition("p", {"pe"});
      condition("np", {"po"});
      condition("l", {"nge"});
      condition("ge", {"nl"});
      condition("le", {"ng"});
      condition("g", {"nle"});
    }
    group("cbw", {"cwde", "cdqe"});
    group("cwd", {"cdq", "cqo"});
    group("movs", {"movsw", "movsq"});
    group("cmps", {"cmpsw", "cmpsq"});
    group("stos", {"stosw", "stosd", "stosq"});
    group("lods", {"lodsw", "lodsd", "lodsq"});
    group("scas", {"scasw", "scasd", "scasq"});
    group("ins", {"insb", "insw", "insd"});
    group("outs", {"outsb", "outsw", "outsd"});
    group("pusha", {"pushaw", "pushad", "pushal"});
    group("popa", {"popaw", "popad", "popal"});
    group("pushf", {"pushfd", "pushfq"});
    group("popf", {"popfd", "popfq"});
    group("iret", {"iretd", "iretq"});
    group("jcxz", {"jecxz", "jrcxz"});
    group("shl", {"sal"});
    group("xlatb", {"xlat"});
    group("mov", {"movabs"});
    group("salc", {"setalc"});
    group("nop", {"pause"});
    group("wait", {"fwait"});
    group("cmpxchg8b", {"cmpxchg16b"});
    group("ret", {"retf", "lret", "retfq"});
    group("call", {"lcall"});
    group("jmp", {"ljmp"});
    group("ud0", {"ud2b"});
    group("int1", {"icebp"});
    group("loope", {"loopz"});
    group("loopne", {"loopnz"});
    group("sysret", {"sysretq"});
    group("sysexit", {"sysexitq"});
    group("fxsave", {"fxsave64"});
    group("fxrstor", {"fxrstor64"});
    group("xsave", {"xsave64"});
    group("xrstor", {"xrstor64"});
    return result;
  }();
  return kAliases;
}

}  // namespace

struct DecodePeers::Handles {
  ZydisDecoder zydis;
  csh capstone;
  cs_insn* insn;
};

DecodePeers::DecodePeers(bool code64) : handles_(new Handles) {
  CHECK(ZYAN_SUCCESS(ZydisDecoderInit(&handles_->zydis,
                                      code64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                                      code64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32)));
  // Not advertised by our CPU: their encodings mean what they meant before (NOP, BSF, BSR) or nothing.
  for (const auto mode : {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT,
                          ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE, ZYDIS_DECODER_MODE_KNC})
    ZydisDecoderEnableMode(&handles_->zydis, mode, ZYAN_FALSE);
  CHECK(cs_open(CS_ARCH_X86, code64 ? CS_MODE_64 : CS_MODE_32, &handles_->capstone) == CS_ERR_OK);
  handles_->insn = cs_malloc(handles_->capstone);
}

DecodePeers::~DecodePeers() {
  cs_free(handles_->insn, 1);
  cs_close(&handles_->capstone);
  delete handles_;
}

std::optional<PeerInsn> DecodePeers::zydis(std::span<const std::uint8_t> bytes, PeerError* error) const {
  ZydisDecodedInstruction insn;
  const ZyanStatus status =
      ZydisDecoderDecodeInstruction(&handles_->zydis, nullptr, bytes.data(), bytes.size(), &insn);
  if (error != nullptr)
    *error = ZYAN_SUCCESS(status)                  ? PeerError::none
             : status == ZYDIS_STATUS_ILLEGAL_LOCK ? PeerError::illegal_lock
                                                   : PeerError::undefined;
  if (!ZYAN_SUCCESS(status)) return std::nullopt;
  const char* isa = ZydisISAExtGetString(insn.meta.isa_ext);
  return PeerInsn{insn.length, canonical(ZydisMnemonicGetString(insn.mnemonic)), isa != nullptr ? isa : ""};
}

std::optional<PeerInsn> DecodePeers::capstone(std::span<const std::uint8_t> bytes) const {
  const std::uint8_t* code = bytes.data();
  std::size_t size = bytes.size();
  std::uint64_t address = 0;
  if (!cs_disasm_iter(handles_->capstone, &code, &size, &address, handles_->insn)) return std::nullopt;
  std::string name = handles_->insn->mnemonic;
  // Capstone puts prefixes before the name.
  name.erase(0, name.find_last_of(' ') == std::string::npos ? 0 : name.find_last_of(' ') + 1);
  return PeerInsn{handles_->insn->size, canonical(name), ""};
}

std::string canonical(std::string mnemonic) {
  std::transform(mnemonic.begin(), mnemonic.end(), mnemonic.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = aliases().find(mnemonic);
  return found == aliases().end() ? mnemonic : found->second;
}

}  // namespace hindsight::tests
