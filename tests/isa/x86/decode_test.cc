// The decoder swept against Zydis and Capstone: every opcode of the four maps under many prefixes and a
// sample of ModRM and SIB bytes, and random bytes. Every accepted difference is a row of kAccepted with its
// reason.
#include "engine/guest/x86/decode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <string_view>
#include <vector>

#include "tests/isa/x86/decode_peers.h"

namespace hindsight::engine::guest::x86 {
namespace {

using tests::canonical;
using tests::DecodePeers;
using tests::PeerError;

using Bytes = std::array<std::uint8_t, kMaxInsnLength>;

const Decoder& decoder() {
  static const Decoder kDecoder(integer_rows(), system_rows(), fp_rows());
  return kDecoder;
}

/// Extensions that our CPU does not advertise: no row, #UD.
bool is_unadvertised(std::string_view isa) {
  static const std::set<std::string_view> kUnadvertised = {
      "ADOX_ADCX", "AES",      "AMD3DNOW",  "AMD_INVLPGB", "AVX512EVEX",
      "AVX512VEX", "AVX",      "AVX2",      "AVX2GATHER",  "AVXAES",
      "BMI1",      "BMI2",     "CET",       "CLFLUSHOPT",  "CLWB",
      "CLZERO",    "ENQCMD",   "F16C",      "FMA",         "FMA4",
      "GFNI",      "HRESET",   "INVPCID",   "KEYLOCKER",   "KEYLOCKER_WIDE",
      "KNC",       "LZCNT",    "MCOMMIT",   "MONITOR",     "MONITORX",
      "MOVBE",     "MOVDIR",   "PADLOCK",   "PCLMULQDQ",   "PCONFIG",
      "PKU",       "PT",       "RDPID",     "RDPRU",       "RDRAND",
      "RDSEED",    "RTM",      "SERIALIZE", "SGX",         "SGX_ENCLV",
      "SHA",       "SMX",      "SNP",       "SSE4A",       "SVM",
      "TBM",       "TDX",      "TSX_LDTRK", "UINTR",       "VMFUNC",
      "VTX",       "WAITPKG",  "XOP",       "XSAVEC",      "XSAVEOPT",
      "XSAVES",    "AMX_TILE", "AMX_INT8",  "AMX_BF16",    "VPCLMULQDQ",
      "VAES",      "AVX_VNNI", "RDWRFSGS"};
  return kUnadvertised.contains(isa) || isa.starts_with("KNC") || isa.starts_with("AVX512");
}

enum class Kind { extra, missing, name, length };

/// A difference that is right, and why. An empty name stands for any.
struct Accepted {
  char peer;  ///< 'Z' or 'C'
  Kind kind;
  std::string_view ours, theirs;
  std::string_view reason;
};
constexpr Accepted kAccepted[] = {
    {'Z', Kind::name, "xchg", "nop", "90 is XCHG rAX, rAX"},
    {'C', Kind::name, "xchg", "nop", "90 is XCHG rAX, rAX"},
    {'Z', Kind::name, "movs", "movsd", "string move and scalar move share a name"},
    {'C', Kind::name, "movs", "movsd", "string move and scalar move share a name"},
    {'Z', Kind::name, "cmps", "cmpsd", "string compare and scalar compare share a name"},
    {'C', Kind::name, "cmps", "cmpsd", "string compare and scalar compare share a name"},
    {'Z', Kind::name, "nop", "rdsspd", "without CET it is a NOP"},
    {'Z', Kind::name, "nop", "rdsspq", "without CET it is a NOP"},
    {'Z', Kind::extra, "mov", "", "REX.R is ignored for a segment register (SDM vol. 2, 2.2.1.2)"},
    {'C', Kind::extra, "mov", "", "REX.R is ignored for a segment register (SDM vol. 2, 2.2.1.2)"},
    {'Z', Kind::missing, "BASE", "rsm", "there is no system management mode"},
    {'Z', Kind::name, "movd", "movq", "one row; REX.W makes it MOVQ"},
    {'C', Kind::name, "movd", "movq", "one row; REX.W makes it MOVQ"},
    {'C', Kind::name, "movq", "movd", "is MOVQ with and without REX.W"},
    {'Z', Kind::name, "movhps", "movlhps", "one row; the register form is MOVLHPS"},
    {'C', Kind::name, "movhps", "movlhps", "one row; the register form is MOVLHPS"},
    {'Z', Kind::name, "movlps", "movhlps", "one row; the register form is MOVHLPS"},
    {'C', Kind::name, "movlps", "movhlps", "one row; the register form is MOVHLPS"},
    {'Z', Kind::name, "pextrd", "pextrq", "one row; REX.W makes it PEXTRQ"},
    {'C', Kind::name, "pextrd", "pextrq", "one row; REX.W makes it PEXTRQ"},
    {'Z', Kind::name, "pinsrd", "pinsrq", "one row; REX.W makes it PINSRQ"},
    {'C', Kind::name, "pinsrd", "pinsrq", "one row; REX.W makes it PINSRQ"},
    {'C', Kind::length, "ud1", "ud0", "has a ModRM byte (SDM vol. 2, UD)"},
    {'C', Kind::extra, "prefetchwt1", "", "newer than Capstone 4"},
    {'C', Kind::name, "bsf", "tzcnt", "without BMI1 the F3 is ignored"},
    {'C', Kind::name, "bsr", "lzcnt", "without LZCNT the F3 is ignored"},
    {'C', Kind::name, "ud1", "ud0", "named the other way round"},
    {'C', Kind::length, "ud0", "ud0", "has a ModRM byte (SDM vol. 2, UD)"},
    {'C', Kind::extra, "ud0", "", "has a ModRM byte (SDM vol. 2, UD)"},
    {'C', Kind::extra, "nop", "", "Capstone knows few of the hint NOPs"},
    {'C', Kind::extra, "endbr64", "", "newer than Capstone 4"},
    {'C', Kind::extra, "endbr32", "", "newer than Capstone 4"},
    {'C', Kind::extra, "prefetch", "", "without 3DNow! still a hint"},
    {'C', Kind::extra, "lfence", "", "ModRM.rm is ignored"},
    {'C', Kind::extra, "mfence", "", "ModRM.rm is ignored"},
    {'C', Kind::extra, "sfence", "", "ModRM.rm is ignored"},
};

struct Case {
  bool code64;
  Bytes bytes;
};

/// Rows that match but whose lift function raises #UD for some register numbers.
bool is_refused_by_lift(const Decoded& d) {
  const auto has = [&](Operand o) {
    return std::count(std::begin(d.row->operands), std::end(d.row->operands), o) != 0;
  };
  if (has(Operand::Sw)) return d.reg3() > kGs || (d.opcode == 0x8E && d.reg3() == kCs);
  if (has(Operand::Cd)) return d.reg != 0 && d.reg != 2 && d.reg != 3 && d.reg != 4 && d.reg != 8;
  return has(Operand::Dd) && d.reg > 7;
}

std::string show(const Case& c) {
  return fmt::format("{}-bit {:02x}", c.code64 ? 64 : 32, fmt::join(c.bytes, " "));
}

/// Counts differences by kind, keeping one example of each.
class Differences {
 public:
  void add(char peer, Kind kind, std::string_view ours, std::string_view theirs, const Case& where) {
    for (const Accepted& a : kAccepted)
      if (a.peer == peer && a.kind == kind && a.ours == ours && (a.theirs.empty() || a.theirs == theirs))
        return;
    static constexpr std::string_view kKinds[] = {"only ours", "only theirs", "name", "length"};
    const std::string key =
        fmt::format("{} {}: ours '{}', theirs '{}'", peer, kKinds[static_cast<int>(kind)], ours, theirs);
    if (seen_.insert(key).second && seen_.size() <= 40) text_ += key + ", as in " + show(where) + "\n";
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::set<std::string> seen_;
  std::string text_;
};

void compare(const Case& c, const DecodePeers& peers, Differences& differences, bool with_capstone) {
  Decoded decoded;
  const DecodeStatus status = decoder().decode(c.bytes, c.code64 ? mode::kCode64 : mode::kCode32, decoded);
  const bool ok = status == DecodeStatus::ok;
  const std::string ours = ok ? canonical(decoded.row->mnemonic) : "";
  PeerError error = PeerError::none;
  const auto zydis = peers.zydis(c.bytes, &error);
  if (error == PeerError::illegal_lock) {
    if (ok && !decoded.lock_is_illegal()) differences.add('Z', Kind::extra, ours, "", c);
    return;
  }
  if (ok && decoded.lock_is_illegal()) {
    if (zydis) differences.add('Z', Kind::missing, ours + " with lock", zydis->mnemonic, c);
    return;
  }
  if (ok && is_refused_by_lift(decoded)) {
    if (zydis) differences.add('Z', Kind::missing, ours, zydis->mnemonic, c);
    return;
  }
  // One row serves the eight opcodes of the x87: only lengths can be compared.
  if (ours == "x87") {
    if (zydis && decoded.length != zydis->length)
      differences.add('Z', Kind::length, ours, zydis->mnemonic, c);
    return;
  }
  if (ok != zydis.has_value()) {
    if (ok)
      differences.add('Z', Kind::extra, ours, "", c);
    else if (!is_unadvertised(zydis->isa))
      differences.add('Z', Kind::missing, zydis->isa, zydis->mnemonic, c);
  } else if (ok) {
    if (ours != zydis->mnemonic) differences.add('Z', Kind::name, ours, zydis->mnemonic, c);
    if (decoded.length != zydis->length) differences.add('Z', Kind::length, ours, zydis->mnemonic, c);
  }
  // Capstone does not know what is advertised: where Zydis finds nothing either, it is not asked.
  if (!with_capstone || !ok) return;
  const auto capstone = peers.capstone(c.bytes);
  // Capstone 4 takes 66 before a near branch as AMD does, and loses its way when 66 and F2 or F3 meet.
  if (decoded.prefix_66 && ((decoded.row->flags & kForce64) != 0 || decoded.rep != 0)) return;
  if (!capstone) {
    differences.add('C', Kind::extra, ours, "", c);
  } else {
    if (ours != capstone->mnemonic) differences.add('C', Kind::name, ours, capstone->mnemonic, c);
    if (decoded.length != capstone->length) differences.add('C', Kind::length, ours, capstone->mnemonic, c);
  }
}

bool is_prefix(unsigned byte, bool code64) {
  static const std::set<unsigned> kPrefixes = {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65,
                                               0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x0F};
  return kPrefixes.contains(byte) || (code64 && (byte & 0xF0) == 0x40);
}

/// One ModRM for each addressing form, every register pair.
std::vector<std::uint8_t> modrm_sample() {
  std::vector<std::uint8_t> sample;
  for (unsigned m = 0; m < 256; ++m) {
    const unsigned mod = m >> 6, rm = m & 7;
    if (mod == 3 || (mod == 0 && (rm == 0 || rm == 4 || rm == 5)) || (mod == 1 && rm == 2) ||
        (mod == 2 && rm == 4))
      sample.push_back(static_cast<std::uint8_t>(m));
  }
  return sample;
}

std::string sweep(bool code64, const std::vector<std::uint8_t>& prefixes, bool with_capstone) {
  static const std::vector<std::uint8_t> kModRms = modrm_sample();
  const DecodePeers peers(code64);
  Differences differences;
  for (unsigned map = 0; map < 4; ++map)
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      if (map == 0 && is_prefix(opcode, code64)) continue;
      if (map == 1 && (opcode == 0x38 || opcode == 0x3A)) continue;
      for (const std::uint8_t modrm : kModRms) {
        Case c{code64, {}};
        c.bytes.fill(0x25);
        auto at = std::copy(prefixes.begin(), prefixes.end(), c.bytes.begin());
        if (map != 0) *at++ = 0x0F;
        if (map >= 2) *at++ = map == 2 ? 0x38 : 0x3A;
        *at++ = static_cast<std::uint8_t>(opcode);
        *at = modrm;
        compare(c, peers, differences, with_capstone);
      }
    }
  return differences.text();
}

struct Prefixes {
  const char* name;
  bool code64;
  std::vector<std::uint8_t> bytes;
};
void PrintTo(const Prefixes& p, std::ostream* out) { *out << p.name; }

class X86DecodeSweep : public testing::TestWithParam<Prefixes> {};

TEST_P(X86DecodeSweep, AgreesWithZydisAndCapstone) {
  EXPECT_EQ(sweep(GetParam().code64, GetParam().bytes, true), "");
}

INSTANTIATE_TEST_SUITE_P(
    Prefixes, X86DecodeSweep,
    testing::Values(Prefixes{"plain64", true, {}}, Prefixes{"opsize64", true, {0x66}},
                    Prefixes{"repne64", true, {0xF2}}, Prefixes{"rep64", true, {0xF3}},
                    Prefixes{"addrsize64", true, {0x67}}, Prefixes{"rexw64", true, {0x48}},
                    Prefixes{"rexall64", true, {0x4F}}, Prefixes{"opsizerexw64", true, {0x66, 0x48}},
                    Prefixes{"reprexw64", true, {0xF3, 0x48}}, Prefixes{"opsizerep64", true, {0x66, 0xF3}},
                    Prefixes{"opsizerepne64", true, {0xF2, 0x66}}, Prefixes{"lock64", true, {0xF0}},
                    Prefixes{"fs64", true, {0x64}}, Prefixes{"plain32", false, {}},
                    Prefixes{"opsize32", false, {0x66}}, Prefixes{"repne32", false, {0xF2}},
                    Prefixes{"rep32", false, {0xF3}}, Prefixes{"addrsize32", false, {0x67}},
                    Prefixes{"lock32", false, {0xF0}}, Prefixes{"cs32", false, {0x2E}}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(X86Decode, AgreesWithZydisOnRandomBytes) {
  std::mt19937 random(20240601);
  for (const bool code64 : {true, false}) {
    const DecodePeers peers(code64);
    Differences differences;
    for (int i = 0; i < 200'000; ++i) {
      Case c{code64, {}};
      for (auto& byte : c.bytes) byte = static_cast<std::uint8_t>(random());
      compare(c, peers, differences, false);
    }
    EXPECT_EQ(differences.text(), "");
  }
}

DecodeStatus decode64(std::vector<std::uint8_t> bytes, Decoded& out) {
  return decoder().decode(bytes, mode::kCode64, out);
}

TEST(X86Decode, MoreThanFifteenBytesAreTooLong) {
  Decoded d;
  std::vector<std::uint8_t> bytes(14, 0x66);
  bytes.push_back(0x90);
  EXPECT_EQ(decode64(bytes, d), DecodeStatus::ok);
  EXPECT_EQ(d.length, 15);
  bytes.insert(bytes.begin(), 0x66);
  EXPECT_EQ(decode64(bytes, d), DecodeStatus::too_long);
}

TEST(X86Decode, EveryPrefixOfAnInstructionIsTruncated) {
  const std::vector<std::uint8_t> bytes = {0x64, 0x48, 0xC7, 0x84, 0xC8, 1, 2, 3, 4, 5, 6, 7, 8};
  Decoded d;
  ASSERT_EQ(decode64(bytes, d), DecodeStatus::ok);
  ASSERT_EQ(d.length, bytes.size());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_EQ(decode64({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n)}, d),
              DecodeStatus::truncated)
        << n;
}

TEST(X86Decode, PrefixesUpToTheEndOfTheBytesAreTruncatedNotTooLong) {
  Decoded d;
  EXPECT_EQ(decode64(std::vector<std::uint8_t>(14, 0x43), d), DecodeStatus::truncated);
}

TEST(X86Decode, MemoryOperandHasBaseIndexScaleDisplacementAndSegment) {
  Decoded d;
  ASSERT_EQ(decode64({0x64, 0x4B, 0x8B, 0x84, 0xC8, 0xF0, 0xFF, 0xFF, 0xFF}, d), DecodeStatus::ok);
  EXPECT_EQ(d.base, kR8);
  EXPECT_EQ(d.index, kR9);
  EXPECT_EQ(d.scale, 3);
  EXPECT_EQ(d.displacement, -16);
  EXPECT_EQ(d.segment, kFs);
  EXPECT_EQ(d.operand_bytes, 8);
  EXPECT_EQ(d.address_bytes, 8);
}

TEST(X86Decode, RspAndRbpBasesUseTheStackSegmentAndR12R13DoNot) {
  Decoded d;
  ASSERT_EQ(decode64({0x8B, 0x04, 0x24}, d), DecodeStatus::ok);
  EXPECT_EQ(d.segment, kSs);
  ASSERT_EQ(decode64({0x8B, 0x45, 0x00}, d), DecodeStatus::ok);
  EXPECT_EQ(d.segment, kSs);
  ASSERT_EQ(decode64({0x41, 0x8B, 0x04, 0x24}, d), DecodeStatus::ok);
  EXPECT_EQ(d.segment, kDs);
  ASSERT_EQ(decode64({0x41, 0x8B, 0x45, 0x00}, d), DecodeStatus::ok);
  EXPECT_EQ(d.segment, kDs);
}

TEST(X86Decode, RexNotRightBeforeTheOpcodeIsIgnored) {
  Decoded d;
  ASSERT_EQ(decode64({0x48, 0x66, 0x89, 0xC0}, d), DecodeStatus::ok);
  EXPECT_EQ(d.rex, 0);
  EXPECT_EQ(d.operand_bytes, 2);
}

}  // namespace
}  // namespace hindsight::engine::guest::x86
