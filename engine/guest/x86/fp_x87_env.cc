// x87 control and the saving of floating-point and vector state. Areas are stored piece by piece after a
// probe for writing, and read whole before anything changes, so every helper is restartable.
#include <array>
#include <cstring>

#include "engine/guest/x86/fp_sse_helpers.h"
#include "engine/guest/x86/fp_x87.h"
#include "engine/guest/x86/fp_x87_host.h"

namespace hindsight::engine::guest::x86::fp {
namespace {

using Args = std::uint64_t;

bool trapped(const CpuState& s) { return s.trap.kind != ir::TrapKind::none; }

/// An area in memory, gathered or to be scattered.
template <unsigned capacity>
struct Area {
  std::array<std::uint8_t, capacity> bytes{};

  template <typename T>
  void put(unsigned offset, T value) {
    std::memcpy(bytes.data() + offset, &value, sizeof value);
  }
  template <typename T>
  [[nodiscard]] T get(unsigned offset) const {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  void store(CpuState& s, std::uint64_t address, unsigned from, unsigned size, std::uint32_t access) const {
    for (unsigned done = 0; done < size && !trapped(s);) {
      const unsigned piece = size - done >= 8 ? 8 : size - done >= 4 ? 4 : 2;
      std::uint64_t value = 0;
      std::memcpy(&value, bytes.data() + from + done, piece);
      s.memory->store(&s, address + from + done, value, piece, access);
      done += piece;
    }
  }
  void load(CpuState& s, std::uint64_t address, unsigned from, unsigned size, std::uint32_t access) {
    for (unsigned done = 0; done < size && !trapped(s);) {
      const unsigned piece = size - done >= 8 ? 8 : size - done >= 4 ? 4 : 2;
      const std::uint64_t value = s.memory->load(&s, address + from + done, piece, access);
      std::memcpy(bytes.data() + from + done, &value, piece);
      done += piece;
    }
  }
};

// --- FSTENV, FSAVE. The second argument: 2 or 4 bytes | AccessFlags << 8 ---

struct EnvFormat {
  unsigned unit;
  std::uint32_t access;
  explicit EnvFormat(Args v)
      : unit(static_cast<unsigned>(v & 0xFF)), access(static_cast<std::uint32_t>(v >> 8)) {}
  [[nodiscard]] unsigned size() const { return 7 * unit; }
};
using EnvArea = Area<28 + 80>;

/// The protected-mode layouts (SDM vol. 1, figures 8-9 and 8-12); the selectors are zero, as on processors
/// that deprecate them.
void write_environment(const CpuState& s, const EnvFormat& format, EnvArea& area) {
  const std::uint16_t words[3] = {s.fcw, x87_status(s), x87_full_tags(s)};
  for (unsigned i = 0; i < 3; ++i) {
    if (format.unit == 4)
      area.put(4 * i, 0xFFFF0000u | words[i]);
    else
      area.put(2 * i, words[i]);
  }
  if (format.unit == 4) {
    area.put(12, static_cast<std::uint32_t>(s.fip));
    area.put(16, static_cast<std::uint32_t>(s.fop & 0x7FFu) << 16);
    area.put(20, static_cast<std::uint32_t>(s.fdp));
    area.put(24, 0xFFFF0000u);
  } else {
    area.put(6, static_cast<std::uint16_t>(s.fip));
    area.put(10, static_cast<std::uint16_t>(s.fdp));
  }
}
void read_environment(CpuState& s, const EnvFormat& format, const EnvArea& area) {
  const unsigned unit = format.unit;
  s.fcw = static_cast<std::uint16_t>((area.get<std::uint16_t>(0) & 0x1F3F) | 0x40);
  const auto tags = area.get<std::uint16_t>(2 * unit);
  s.ftw = 0;
  for (unsigned i = 0; i < 8; ++i)
    if (((tags >> (2 * i)) & 3) != 3) s.ftw = static_cast<std::uint8_t>(s.ftw | 1u << i);
  s.fip = unit == 4 ? area.get<std::uint32_t>(12) : area.get<std::uint16_t>(6);
  s.fdp = unit == 4 ? area.get<std::uint32_t>(20) : area.get<std::uint16_t>(10);
  s.fop = unit == 4 ? static_cast<std::uint16_t>(area.get<std::uint16_t>(18) & 0x7FF) : std::uint16_t{0};
  x87_set_status(s, area.get<std::uint16_t>(unit));
}

unsigned physical(const CpuState& s, unsigned i) { return (s.ftop + i) & 7u; }

// FSTENV masks all exceptions after storing (SDM vol. 2, FSTENV).
std::uint64_t store_environment(ir::CoreState* state, Args address, Args packed, Args next_pc) {
  CpuState& s = *cpu(state);
  const EnvFormat format(packed);
  EnvArea area;
  write_environment(s, format, area);
  s.memory->probe_write(&s, address, format.size(), format.access);
  if (trapped(s)) return 0;
  area.store(s, address, 0, format.size(), format.access);
  if (trapped(s)) return 0;
  s.fcw |= 0x3F;
  s.fsw = static_cast<std::uint16_t>(s.fsw & ~(fsw::kSummary | fsw::kBusy));
  s.memory->context_changed(&s);
  return next_pc;
}
std::uint64_t load_environment(ir::CoreState* state, Args address, Args packed, Args next_pc) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const EnvFormat format(packed);
  EnvArea area;
  area.load(s, address, 0, format.size(), format.access);
  if (trapped(s)) return 0;
  read_environment(s, format, area);
  s.memory->context_changed(&s);
  return next_pc;
}
std::uint64_t save(ir::CoreState* state, Args address, Args packed, Args next_pc) {
  CpuState& s = *cpu(state);
  const EnvFormat format(packed);
  const unsigned size = format.size() + 80;
  EnvArea area;
  write_environment(s, format, area);
  for (unsigned i = 0; i < 8; ++i)
    std::memcpy(area.bytes.data() + format.size() + 10 * i, s.st[physical(s, i)].bytes, 10);
  s.memory->probe_write(&s, address, size, format.access);
  if (trapped(s)) return 0;
  area.store(s, address, 0, size, format.access);
  if (trapped(s)) return 0;
  x87_init(s);
  s.memory->context_changed(&s);
  return next_pc;
}
std::uint64_t restore(ir::CoreState* state, Args address, Args packed, Args next_pc) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  const EnvFormat format(packed);
  EnvArea area;
  area.load(s, address, 0, format.size() + 80, format.access);
  if (trapped(s)) return 0;
  read_environment(s, format, area);
  for (unsigned i = 0; i < 8; ++i) {
    Vector& st = s.st[physical(s, i)];
    st = {};
    std::memcpy(st.bytes, area.bytes.data() + format.size() + 10 * i, 10);
  }
  s.memory->context_changed(&s);
  return next_pc;
}

std::uint64_t init(ir::CoreState* state, Args next_pc, Args, Args) {
  CpuState& s = *cpu(state);
  x87_init(s);
  s.memory->context_changed(&s);
  return next_pc;
}
std::uint64_t load_control(ir::CoreState* state, Args value, Args next_pc, Args) {
  CpuState& s = *cpu(state);
  if (x87_pending(&s)) return 0;
  s.fcw = static_cast<std::uint16_t>((value & 0x1F3F) | 0x40);
  x87_set_status(s, x87_status(s));
  s.memory->context_changed(&s);
  return next_pc;
}
std::uint64_t clear(ir::CoreState* state, Args, Args, Args) {
  CpuState& s = *cpu(state);
  s.fsw =
      static_cast<std::uint16_t>(s.fsw & ~(fsw::kExceptions | fsw::kStackFault | fsw::kSummary | fsw::kBusy));
  host::forget_exceptions();
  return 0;
}

// --- FXSAVE and XSAVE (SDM vol. 1, 10.5 and 13). Second argument: kinds | AccessFlags << 8 ---

constexpr unsigned kHeader = 512, kXsaveSize = 576;
constexpr std::uint64_t kX87 = 1, kSse = 2;
using SaveArea = Area<kXsaveSize>;

struct SaveFormat {
  bool wide;     ///< REX.W: 64-bit instruction and data pointers
  bool all_xmm;  ///< 64-bit mode: XMM8 to XMM15 too
  std::uint32_t access;
  explicit SaveFormat(Args v)
      : wide((v & 1) != 0), all_xmm((v & 2) != 0), access(static_cast<std::uint32_t>(v >> 8)) {}
  [[nodiscard]] unsigned xmm_bytes() const { return all_xmm ? 256 : 128; }
};

void put_x87(const CpuState& s, const SaveFormat& format, SaveArea& area) {
  area.put(0, s.fcw);
  area.put(2, x87_status(s));
  area.put(4, std::uint16_t{s.ftw});
  area.put(6, s.fop);
  area.put(8, format.wide ? s.fip : s.fip & 0xFFFFFFFF);
  area.put(16, format.wide ? s.fdp : s.fdp & 0xFFFFFFFF);
  for (unsigned i = 0; i < 8; ++i) {
    const Float80 f = parts(s.st[physical(s, i)]);
    area.put(32 + 16 * i, f.mantissa);
    area.put(40 + 16 * i, std::uint64_t{f.sign_exponent});
  }
}
void get_x87(CpuState& s, const SaveFormat& format, const SaveArea& area) {
  s.fcw = static_cast<std::uint16_t>((area.get<std::uint16_t>(0) & 0x1F3F) | 0x40);
  s.ftw = area.get<std::uint8_t>(4);
  s.fop = static_cast<std::uint16_t>(area.get<std::uint16_t>(6) & 0x7FF);
  s.fip = format.wide ? area.get<std::uint64_t>(8) : area.get<std::uint32_t>(8);
  s.fdp = format.wide ? area.get<std::uint64_t>(16) : area.get<std::uint32_t>(16);
  x87_set_status(s, area.get<std::uint16_t>(2));
  for (unsigned i = 0; i < 8; ++i)
    s.st[physical(s, i)] =
        memory_form({area.get<std::uint64_t>(32 + 16 * i), area.get<std::uint16_t>(40 + 16 * i)});
}
void put_mxcsr(const CpuState& s, SaveArea& area) {
  area.put(24, current_mxcsr(&s));
  area.put(28, ir::mxcsr::kWritable);
}
void put_xmm(const CpuState& s, const SaveFormat& format, SaveArea& area) {
  std::memcpy(area.bytes.data() + 160, s.xmm, format.xmm_bytes());
}
void get_xmm(CpuState& s, const SaveFormat& format, const SaveArea& area) {
  std::memcpy(s.xmm, area.bytes.data() + 160, format.xmm_bytes());
}
bool misaligned(CpuState& s, std::uint64_t address, unsigned alignment) {
  if ((address & (alignment - 1)) == 0) return false;
  ir::raise(&s, exception::kGp, 0);
  return true;
}
bool bad_mxcsr(CpuState& s, const SaveArea& area) {
  if ((area.get<std::uint32_t>(24) & ~ir::mxcsr::kWritable) == 0) return false;
  ir::raise(&s, exception::kGp, 0);
  return true;
}

std::uint64_t fxsave(ir::CoreState* state, Args address, Args packed, Args) {
  CpuState& s = *cpu(state);
  const SaveFormat format(packed);
  if (misaligned(s, address, 16)) return 0;
  SaveArea area;
  put_x87(s, format, area);
  put_mxcsr(s, area);
  put_xmm(s, format, area);
  s.memory->probe_write(&s, address, 512, format.access);
  if (!trapped(s)) area.store(s, address, 0, 160 + format.xmm_bytes(), format.access);
  return 0;
}
std::uint64_t fxrstor(ir::CoreState* state, Args address, Args packed, Args next_pc) {
  CpuState& s = *cpu(state);
  const SaveFormat format(packed);
  if (misaligned(s, address, 16)) return 0;
  SaveArea area;
  s.memory->load(&s, address + 511, 1, format.access);
  if (!trapped(s)) area.load(s, address, 0, 160 + format.xmm_bytes(), format.access);
  if (trapped(s) || bad_mxcsr(s, area)) return 0;
  get_x87(s, format, area);
  set_mxcsr(&s, area.get<std::uint32_t>(24));
  get_xmm(s, format, area);
  s.memory->context_changed(&s);
  return next_pc;
}

/// XINUSE, by value: a component counts as in use when it differs from its initial configuration. The SDM
/// leaves it to the processor (vol. 1, 13.6).
std::uint64_t in_use(const CpuState& s, const SaveFormat& format) {
  constexpr Vector kZero{};
  std::uint64_t use = 0;
  if (s.fcw != 0x37F || x87_status(s) != 0 || s.ftw != 0 || s.fop != 0 || s.fip != 0 || s.fdp != 0)
    use |= kX87;
  for (const Vector& v : s.st)
    if (std::memcmp(&v, &kZero, 10) != 0) use |= kX87;
  for (unsigned i = 0; i < format.xmm_bytes() / 16; ++i)
    if (std::memcmp(&s.xmm[i], &kZero, 16) != 0) use |= kSse;
  return use;
}
/// XCR0 and EDX:EAX.
std::uint64_t requested(const CpuState& s) {
  return s.xcr0 & ((s.gpr[kRax] & 0xFFFFFFFF) | s.gpr[kRdx] << 32) & (kX87 | kSse);
}
bool no_xsave(CpuState& s) {
  if ((s.cr4 & cr4::kOsxsave) != 0) return false;
  ir::raise(&s, exception::kUd);
  return true;
}

std::uint64_t xsave(ir::CoreState* state, Args address, Args packed, Args) {
  CpuState& s = *cpu(state);
  const SaveFormat format(packed);
  if (no_xsave(s) || misaligned(s, address, 64)) return 0;
  const std::uint64_t components = requested(s);
  const std::uint64_t old = s.memory->load(&s, address + kHeader, 8, format.access | ir::kAccessWriteIntent);
  if (trapped(s)) return 0;
  SaveArea area;
  put_x87(s, format, area);
  put_mxcsr(s, area);
  put_xmm(s, format, area);
  area.put(kHeader, (old & ~components) | (in_use(s, format) & components));
  s.memory->probe_write(&s, address, kXsaveSize, format.access);
  if (trapped(s)) return 0;
  if ((components & kX87) != 0) {
    area.store(s, address, 0, 24, format.access);
    if (!trapped(s)) area.store(s, address, 32, 128, format.access);
  }
  if ((components & kSse) != 0 && !trapped(s)) {
    area.store(s, address, 24, 8, format.access);
    if (!trapped(s)) area.store(s, address, 160, format.xmm_bytes(), format.access);
  }
  if (!trapped(s)) area.store(s, address, kHeader, 8, format.access);
  return 0;
}
std::uint64_t xrstor(ir::CoreState* state, Args address, Args packed, Args next_pc) {
  CpuState& s = *cpu(state);
  const SaveFormat format(packed);
  if (no_xsave(s) || misaligned(s, address, 64)) return 0;
  SaveArea area;
  area.load(s, address, 0, kXsaveSize, format.access);
  if (trapped(s)) return 0;
  const std::uint64_t components = requested(s), present = area.get<std::uint64_t>(kHeader);
  const bool bad_header = (present & ~s.xcr0) != 0 || area.get<std::uint64_t>(kHeader + 8) != 0 ||
                          area.get<std::uint64_t>(kHeader + 16) != 0;
  if (bad_header) {
    ir::raise(&s, exception::kGp, 0);
    return 0;
  }
  if ((components & kSse) != 0 && bad_mxcsr(s, area)) return 0;
  if ((components & kX87) != 0) {
    if ((present & kX87) != 0) {
      get_x87(s, format, area);
    } else {
      x87_init(s);
      for (Vector& v : s.st) v = {};
    }
  }
  if ((components & kSse) != 0) {
    set_mxcsr(&s, area.get<std::uint32_t>(24));
    if ((present & kSse) != 0)
      get_xmm(s, format, area);
    else
      std::memset(s.xmm, 0, format.xmm_bytes());
  }
  s.memory->context_changed(&s);
  return next_pc;
}

constexpr std::uint32_t kSaves = ir::kTouchesVectors | ir::kMayTrap;

}  // namespace

std::uint16_t x87_status(const CpuState& s) { return static_cast<std::uint16_t>(s.fsw | s.ftop << 11); }

void x87_set_status(CpuState& s, std::uint16_t status) {
  constexpr unsigned kComputed = fsw::kTop | fsw::kSummary | fsw::kBusy;
  s.fsw = static_cast<std::uint16_t>(status & ~kComputed);
  host::forget_exceptions();
  if ((s.fsw & ~s.fcw & fsw::kExceptions) != 0) s.fsw |= fsw::kSummary | fsw::kBusy;
  x87_set_top(s, (status >> 11) & 7u);
}

std::uint16_t x87_full_tags(const CpuState& s) {
  unsigned tags = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const Float80 f = parts(s.st[i]);
    const unsigned exponent = f.sign_exponent & 0x7FFFu;
    unsigned tag = 3;
    if (((s.ftw >> i) & 1) != 0) {
      const bool normal = exponent != 0 && exponent != 0x7FFF && (f.mantissa >> 63) != 0;
      tag = normal ? 0 : exponent == 0 && f.mantissa == 0 ? 1 : 2;
    }
    tags |= tag << (2 * i);
  }
  return static_cast<std::uint16_t>(tags);
}

void x87_init(CpuState& s) {
  s.fcw = 0x37F;
  s.fsw = 0;
  host::forget_exceptions();
  s.ftw = 0;
  s.fop = 0;
  s.fip = s.fdp = 0;
  x87_set_top(s, 0);
}

const ir::HelperInfo kX87Init{"fninit", init, ir::kTouchesVectors};
const ir::HelperInfo kX87LoadControl{"fldcw", load_control, kSaves};
const ir::HelperInfo kX87Clear{"fnclex", clear, ir::kTouchesVectors};
const ir::HelperInfo kX87StoreEnvironment{"fnstenv", store_environment, kSaves};
const ir::HelperInfo kX87LoadEnvironment{"fldenv", load_environment, kSaves};
const ir::HelperInfo kX87Save{"fnsave", save, kSaves};
const ir::HelperInfo kX87Restore{"frstor", restore, kSaves};
const ir::HelperInfo kFxsave{"fxsave", fxsave, kSaves};
const ir::HelperInfo kFxrstor{"fxrstor", fxrstor, kSaves};
const ir::HelperInfo kXsave{"xsave", xsave, kSaves | ir::kReadsRegisters};
const ir::HelperInfo kXrstor{"xrstor", xrstor, kSaves | ir::kReadsRegisters};

}  // namespace hindsight::engine::guest::x86::fp
