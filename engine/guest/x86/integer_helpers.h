// Helpers of the integer instructions that are too long for IR. Called by translated code on the run loop's
// thread; functions of their arguments and of what their effects name.
#pragma once

#include "engine/ir/core_state.h"

namespace hindsight::engine::guest::x86 {

/// (dividend, divisor, operand bits 8, 16 or 32), both extended to 64 bits: the quotient; raises #DE if the
/// divisor is zero or the quotient does not fit the operand.
extern const ir::HelperInfo kDivideUnsigned, kDivideSigned;
/// (high, low, divisor): the quotient of a 128-bit dividend, or #DE.
extern const ir::HelperInfo kDivideUnsigned128, kDivideSigned128;
/// (value, count, operand bits): RCL and RCR; C and V.
extern const ir::HelperInfo kRotateCarryLeft, kRotateCarryRight;
/// (crc, value, bytes): CRC32 accumulation (polynomial 11EDC6F41H).
extern const ir::HelperInfo kCrc32;
/// (linear address): CMPXCHG16B; #GP(0) if the address is not aligned.
extern const ir::HelperInfo kCompareExchange16;
/// (index, lower, upper), sign-extended: raises #BR if the index lies outside.
extern const ir::HelperInfo kBoundCheck;
/// (immediate): DAA, DAS, AAA, AAS, AAM, AAD on AX and the flags.
extern const ir::HelperInfo kDaa, kDas, kAaa, kAas, kAam, kAad;

/// The packed flags of left - right on operands of `bytes` bytes.
std::uint16_t packed_flags_of_sub(std::uint64_t left, std::uint64_t right, unsigned bytes);
/// `packed` with S, Z and P as an 8-bit result gives them.
std::uint16_t packed_with_szp8(std::uint16_t packed, std::uint8_t result);

}  // namespace hindsight::engine::guest::x86
