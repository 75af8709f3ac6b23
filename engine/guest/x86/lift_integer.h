// The lift functions of the integer instructions, as integer_table.cc names them. Each follows lift.h, in
// thread and determinism as well.
#pragma once

#include "engine/guest/x86/lift.h"

namespace hindsight::engine::guest::x86 {

// lift_alu.cc: arithmetic and logic
void lift_add(LiftContext& c);
void lift_or(LiftContext& c);
void lift_adc(LiftContext& c);
void lift_sbb(LiftContext& c);
void lift_and(LiftContext& c);
void lift_sub(LiftContext& c);
void lift_xor(LiftContext& c);
void lift_cmp(LiftContext& c);
void lift_test(LiftContext& c);
void lift_inc(LiftContext& c);
void lift_dec(LiftContext& c);
void lift_not(LiftContext& c);
void lift_neg(LiftContext& c);
void lift_mul(LiftContext& c);
void lift_imul_wide(LiftContext& c);
void lift_imul2(LiftContext& c);
void lift_imul3(LiftContext& c);
void lift_div(LiftContext& c);
void lift_idiv(LiftContext& c);
void lift_cbw(LiftContext& c);
void lift_cwd(LiftContext& c);

// lift_bits.cc: shifts, rotates, bit tests and scans
void lift_rol(LiftContext& c);
void lift_ror(LiftContext& c);
void lift_rcl(LiftContext& c);
void lift_rcr(LiftContext& c);
void lift_shl(LiftContext& c);
void lift_shr(LiftContext& c);
void lift_sar(LiftContext& c);
void lift_shld(LiftContext& c);
void lift_shrd(LiftContext& c);
void lift_bt(LiftContext& c);
void lift_bts(LiftContext& c);
void lift_btr(LiftContext& c);
void lift_btc(LiftContext& c);
void lift_bsf(LiftContext& c);
void lift_bsr(LiftContext& c);
void lift_popcnt(LiftContext& c);
void lift_bswap(LiftContext& c);
void lift_crc32(LiftContext& c);

// lift_data.cc: moves, stack, exchange
void lift_mov(LiftContext& c);
void lift_movzx(LiftContext& c);
void lift_movsx(LiftContext& c);
void lift_lea(LiftContext& c);
void lift_xlat(LiftContext& c);
void lift_xchg(LiftContext& c);
void lift_xadd(LiftContext& c);
void lift_cmpxchg(LiftContext& c);
void lift_cmpxchg8b(LiftContext& c);
void lift_push(LiftContext& c);
void lift_pop(LiftContext& c);
void lift_pusha(LiftContext& c);
void lift_popa(LiftContext& c);
void lift_enter(LiftContext& c);
void lift_leave(LiftContext& c);
void lift_nop(LiftContext& c);
void lift_clflush(LiftContext& c);

// lift_control.cc: branches, conditions, flags
void lift_jmp(LiftContext& c);
void lift_jmp_indirect(LiftContext& c);
void lift_call(LiftContext& c);
void lift_call_indirect(LiftContext& c);
void lift_ret(LiftContext& c);
void lift_jcc(LiftContext& c);
void lift_loop(LiftContext& c);
void lift_loope(LiftContext& c);
void lift_loopne(LiftContext& c);
void lift_jcxz(LiftContext& c);
void lift_setcc(LiftContext& c);
void lift_cmovcc(LiftContext& c);
void lift_lahf(LiftContext& c);
void lift_sahf(LiftContext& c);
void lift_clc(LiftContext& c);
void lift_stc(LiftContext& c);
void lift_cmc(LiftContext& c);
void lift_cld(LiftContext& c);
void lift_std(LiftContext& c);
void lift_salc(LiftContext& c);
void lift_bound(LiftContext& c);
void lift_ud(LiftContext& c);

// lift_bcd.cc: decimal adjustment, outside 64-bit mode
void lift_daa(LiftContext& c);
void lift_das(LiftContext& c);
void lift_aaa(LiftContext& c);
void lift_aas(LiftContext& c);
void lift_aam(LiftContext& c);
void lift_aad(LiftContext& c);

// strings.cc
void lift_movs(LiftContext& c);
void lift_stos(LiftContext& c);
void lift_lods(LiftContext& c);
void lift_scas(LiftContext& c);
void lift_cmps(LiftContext& c);

}  // namespace hindsight::engine::guest::x86
