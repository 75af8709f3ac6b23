// Names of the bits of x86 system registers, of descriptors and of exception vectors, as the Intel SDM spells
// them (vol. 3, 2.3 to 2.5, 3.4.5, 6.3). Constants only; any thread.
#pragma once

#include <cstdint>

namespace hindsight::engine::guest::x86 {

/// EFLAGS and RFLAGS.
namespace flag {
constexpr std::uint64_t kFixed = 1u << 1, kTf = 1u << 8, kIf = 1u << 9, kDf = 1u << 10, kIopl = 3u << 12,
                        kNt = 1u << 14, kRf = 1u << 16, kVm = 1u << 17, kAc = 1u << 18, kVif = 1u << 19,
                        kVip = 1u << 20, kId = 1u << 21;
constexpr unsigned kIoplShift = 12;
}  // namespace flag

namespace cr0 {
constexpr std::uint64_t kPe = 1u << 0, kMp = 1u << 1, kEm = 1u << 2, kTs = 1u << 3, kEt = 1u << 4,
                        kNe = 1u << 5, kWp = 1u << 16, kAm = 1u << 18, kNw = 1u << 29, kCd = 1u << 30,
                        kPg = 1u << 31;
constexpr std::uint64_t kAll = kPe | kMp | kEm | kTs | kEt | kNe | kWp | kAm | kNw | kCd | kPg;
}  // namespace cr0

namespace cr4 {
constexpr std::uint64_t kVme = 1u << 0, kPvi = 1u << 1, kTsd = 1u << 2, kDe = 1u << 3, kPse = 1u << 4,
                        kPae = 1u << 5, kMce = 1u << 6, kPge = 1u << 7, kPce = 1u << 8, kOsfxsr = 1u << 9,
                        kOsxmmexcpt = 1u << 10, kUmip = 1u << 11, kFsgsbase = 1u << 16, kOsxsave = 1u << 18,
                        kSmep = 1u << 20, kSmap = 1u << 21;
}  // namespace cr4

namespace efer {
constexpr std::uint64_t kSce = 1u << 0, kLme = 1u << 8, kLma = 1u << 10, kNxe = 1u << 11;
}  // namespace efer

/// Segment::attributes: descriptor bits 40..55.
namespace attribute {
constexpr std::uint16_t kAccessed = 1u << 0;
constexpr std::uint16_t kWritable = 1u << 1, kReadable = 1u << 1;      // data; code
constexpr std::uint16_t kExpandDown = 1u << 2, kConforming = 1u << 2;  // data; code
constexpr std::uint16_t kCode = 1u << 3;
constexpr std::uint16_t kS = 1u << 4;  // code or data, not a system descriptor
constexpr unsigned kDplShift = 5;
constexpr std::uint16_t kP = 1u << 7, kAvl = 1u << 12, kL = 1u << 13, kDb = 1u << 14, kG = 1u << 15;
constexpr std::uint16_t kAll = 0xF0FF;
}  // namespace attribute

/// Types of system descriptors and gates (SDM vol. 3, table 3-2).
namespace system_type {
constexpr unsigned kTss16 = 1, kLdt = 2, kTss16Busy = 3, kCallGate16 = 4, kTaskGate = 5, kInterruptGate16 = 6,
                   kTrapGate16 = 7, kTss = 9, kTssBusy = 11, kCallGate = 12, kInterruptGate = 14,
                   kTrapGate = 15;
}  // namespace system_type

namespace exception {
constexpr std::uint32_t kDe = 0, kDb = 1, kNmi = 2, kBp = 3, kOf = 4, kBr = 5, kUd = 6, kNm = 7, kDf = 8,
                        kTs = 10, kNp = 11, kSs = 12, kGp = 13, kPf = 14, kMf = 16, kAc = 17, kMc = 18,
                        kXm = 19;
/// Vectors that push an error code (SDM vol. 3, table 6-1).
constexpr bool pushes_error_code(std::uint32_t vector) {
  return vector == kDf || (vector >= kTs && vector <= kPf) || vector == kAc;
}
}  // namespace exception

/// Page-fault error code (SDM vol. 3, 4.7).
namespace pf {
constexpr std::uint32_t kP = 1, kW = 2, kU = 4, kRsvd = 8, kI = 16;
}  // namespace pf

/// Physical and linear address widths (CPUID leaf 80000008H).
constexpr unsigned kPhysicalBits = 40;
constexpr unsigned kLinearBits = 48;
constexpr std::uint64_t kPhysicalMask = (std::uint64_t{1} << kPhysicalBits) - 1;

constexpr bool is_canonical(std::uint64_t address) {
  const auto top = static_cast<std::int64_t>(address) >> (kLinearBits - 1);
  return top == 0 || top == -1;
}

}  // namespace hindsight::engine::guest::x86
