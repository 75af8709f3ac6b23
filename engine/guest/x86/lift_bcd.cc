// Decimal adjustment, outside 64-bit mode (SDM vol. 2).
#include "engine/guest/x86/integer_helpers.h"
#include "engine/guest/x86/lift_integer.h"

namespace hindsight::engine::guest::x86 {

void lift_daa(LiftContext& c) { c.b.call(kDaa); }
void lift_das(LiftContext& c) { c.b.call(kDas); }
void lift_aaa(LiftContext& c) { c.b.call(kAaa); }
void lift_aas(LiftContext& c) { c.b.call(kAas); }
void lift_aam(LiftContext& c) { c.b.call(kAam, c.immediate(ir::Type::I64)); }
void lift_aad(LiftContext& c) { c.b.call(kAad, c.immediate(ir::Type::I64)); }

}  // namespace hindsight::engine::guest::x86
