#include "engine/guest/x86/system_cpuid.h"

#include <cstring>

#include "engine/guest/x86/system_segments.h"

namespace hindsight::engine::guest::x86 {
namespace {

using enum CpuidRegister;

constexpr std::uint32_t kMaxBasic = 0x16, kMaxExtended = 0x80000008;
constexpr char kVendor[] = "GenuineIntel";
constexpr char kBrand[48] = "Hindsight virtual CPU";

constexpr Feature kFeatures[] = {
    {"FPU", 1, edx, 0},
    {"DE", 1, edx, 2},
    {"PSE", 1, edx, 3},
    {"TSC", 1, edx, 4},
    {"MSR", 1, edx, 5},
    {"PAE", 1, edx, 6},
    {"CX8", 1, edx, 8},
    {"APIC", 1, edx, 9},
    {"SEP", 1, edx, 11},
    {"MTRR", 1, edx, 12},
    {"PGE", 1, edx, 13},
    {"CMOV", 1, edx, 15},
    {"PAT", 1, edx, 16},
    {"PSE-36", 1, edx, 17},
    {"CLFSH", 1, edx, 19},
    {"MMX", 1, edx, 23},
    {"FXSR", 1, edx, 24},
    {"SSE", 1, edx, 25},
    {"SSE2", 1, edx, 26},
    {"SSE3", 1, ecx, 0},
    {"SSSE3", 1, ecx, 9},
    {"CMPXCHG16B", 1, ecx, 13},
    {"SSE4.1", 1, ecx, 19},
    {"SSE4.2", 1, ecx, 20},
    {"POPCNT", 1, ecx, 23},
    {"TSC-DEADLINE", 1, ecx, 24},
    {"XSAVE", 1, ecx, 26},
    {"ARAT", 6, eax, 2},
    {"FSGSBASE", 7, ebx, 0},
    {"TSC_ADJUST", 7, ebx, 1},
    {"SMEP", 7, ebx, 7},
    {"ERMS", 7, ebx, 9},
    {"SMAP", 7, ebx, 20},
    {"UMIP", 7, ecx, 2},
    {"FSRM", 7, edx, 4},
    {"LAHF64", 0x80000001, ecx, 0},
    {"SYSCALL", 0x80000001, edx, 11},
    {"NX", 0x80000001, edx, 20},
    {"1GPAGE", 0x80000001, edx, 26},
    {"RDTSCP", 0x80000001, edx, 27},
    {"LM", 0x80000001, edx, 29},
    {"INVARIANT-TSC", 0x80000007, edx, 8},
};

std::uint32_t feature_bits(std::uint32_t leaf, CpuidRegister reg) {
  std::uint32_t bits = 0;
  for (const Feature& feature : kFeatures)
    if (feature.leaf == leaf && feature.reg == reg) bits |= 1u << feature.bit;
  return bits;
}

CpuidRegisters features_of(std::uint32_t leaf) {
  return {feature_bits(leaf, eax), feature_bits(leaf, ebx), feature_bits(leaf, ecx), feature_bits(leaf, edx)};
}

std::uint32_t text32(const char* text) {
  std::uint32_t value = 0;
  std::memcpy(&value, text, sizeof value);
  return value;
}

CpuidRegisters signature_leaf(const CpuidInputs& in) {
  CpuidRegisters r = features_of(1);
  r.eax = kCpuSignature;
  // CLFLUSH line of 8 quadwords, one logical processor.
  r.ebx = in.apic_id << 24 | 1u << 16 | 8u << 8;
  if (!in.apic_enabled) r.edx &= ~(1u << 9);
  if (in.osxsave) r.ecx |= 1u << 27;
  return r;
}

/// Deterministic cache parameters: an L1 data, an L1 instruction and a unified L2 cache, 64-byte lines.
CpuidRegisters cache_leaf(std::uint32_t subleaf) {
  struct Cache {
    std::uint32_t type, level, ways, sets;
  };
  constexpr Cache kCaches[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 8, 1024}};
  if (subleaf >= std::size(kCaches)) return {};
  const Cache& c = kCaches[subleaf];
  constexpr std::uint32_t kSelfInitializing = 1u << 8;
  return {c.type | c.level << 5 | kSelfInitializing, (c.ways - 1) << 22 | 63, c.sets - 1, 0};
}

/// Size of the standard-format XSAVE area: the legacy region and the header hold x87 and SSE state.
constexpr std::uint32_t kXsaveBytes = 512 + 64;

CpuidRegisters basic_leaf(const CpuidInputs& in) {
  switch (in.leaf) {
    case 0:
      return {kMaxBasic, text32(kVendor), text32(kVendor + 8), text32(kVendor + 4)};
    case 1:
      return signature_leaf(in);
    case 2:
      return {0x0000FF01, 0, 0, 0};  // FFH: see leaf 4
    case 4:
      return cache_leaf(in.subleaf);
    case 7:
      return in.subleaf == 0 ? features_of(7) : CpuidRegisters{};
    case 0xD:
      return in.subleaf == 0 ? CpuidRegisters{kXcr0Mask, kXsaveBytes, kXsaveBytes, 0} : CpuidRegisters{};
    case 0x15:
      return {1, 1, static_cast<std::uint32_t>(kTscHz), 0};
    case 0x16:
      return {kTscHz / 1'000'000, kTscHz / 1'000'000, 100, 0};
    default:
      return features_of(in.leaf);
  }
}

CpuidRegisters extended_leaf(const CpuidInputs& in) {
  switch (in.leaf) {
    case 0x80000000:
      return {kMaxExtended, 0, 0, 0};
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const char* part = kBrand + (in.leaf - 0x80000002) * 16;
      return {text32(part), text32(part + 4), text32(part + 8), text32(part + 12)};
    }
    case 0x80000006:
      return {0, 0, 512u << 16 | 6u << 12 | 64, 0};  // L2: 512 KiB, 8 ways, 64-byte lines
    case 0x80000008:
      return {kLinearBits << 8 | kPhysicalBits, 0, 0, 0};
    default:
      return features_of(in.leaf);
  }
}

std::uint64_t cpuid(ir::CoreState* core, std::uint64_t, std::uint64_t, std::uint64_t) {
  CpuState& state = cpu(core);
  CpuidInputs in{static_cast<std::uint32_t>(state.gpr[kRax]), static_cast<std::uint32_t>(state.gpr[kRcx])};
  if (state.apic != nullptr) in.apic_enabled = (state.apic->base_msr() >> 11 & 1) != 0;
  in.osxsave = (state.cr4 & cr4::kOsxsave) != 0;
  const CpuidRegisters r = cpuid_leaf(in);
  state.gpr[kRax] = r.eax;
  state.gpr[kRbx] = r.ebx;
  state.gpr[kRcx] = r.ecx;
  state.gpr[kRdx] = r.edx;
  return 0;
}

}  // namespace

CpuidRegisters cpuid_leaf(const CpuidInputs& inputs) {
  CpuidInputs in = inputs;
  if (in.leaf >= 0x80000000 && in.leaf <= kMaxExtended) return extended_leaf(in);
  // Beyond the highest leaf the data of the highest basic leaf is returned (SDM vol. 2, CPUID).
  if (in.leaf > kMaxBasic) in.leaf = kMaxBasic;
  return basic_leaf(in);
}

std::span<const Feature> advertised_features() { return kFeatures; }

const ir::HelperInfo kCpuid{"cpuid", cpuid, ir::kReadsRegisters | ir::kWritesRegisters};

}  // namespace hindsight::engine::guest::x86
