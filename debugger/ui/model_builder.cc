#include "debugger/ui/model_builder.h"

#include <algorithm>
#include <charconv>

namespace hindsight::debugger::ui {
namespace {

constexpr std::size_t kLinesBefore = 60, kLinesAfter = 120;
constexpr std::size_t kMemoryBytes = 4096;
/// How far the executed path is shown, each way.
constexpr std::uint64_t kPath = 2000;

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (failure != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> hexadecimal(std::string_view text) {
  if (text.starts_with("0x")) return number(text.substr(2), 16);
  return number(text, 16);
}

std::uint64_t little_endian(std::span<const std::uint8_t> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

// SDM vol. 3, 3.4.5.1 (tables 3-1) and 3.5 (table 3-2).
std::string_view segment_kind(std::uint64_t low, bool long_mode) {
  constexpr std::string_view kSystem[16] = {"reserved",     "TSS 16, free", "LDT",      "TSS 16, busy",
                                            "call gate 16", "task gate",    "int gate", "trap gate",
                                            "reserved",     "TSS, free",    "reserved", "TSS, busy",
                                            "call gate",    "reserved",     "int gate", "trap gate"};
  const unsigned type = low >> 40 & 15;
  if ((low >> 44 & 1) == 0) return kSystem[type];
  if ((type & 8) == 0) return (type & 2) != 0 ? "data, writable" : "data, read-only";
  if (long_mode && (low >> 53 & 1) != 0) return "code, 64-bit";
  return (low >> 54 & 1) != 0 ? "code, 32-bit" : "code, 16-bit";
}

}  // namespace

std::vector<std::uint8_t> ModelBuilder::bytes(GuestVirt address, std::size_t size) {
  std::vector<std::uint8_t> found(size);
  found.resize(session_.read(address, std::as_writable_bytes(std::span(found))));
  return found;
}

Result<GuestVirt> ModelBuilder::address(std::string_view expression) {
  std::string_view base = expression;
  std::uint64_t offset = 0;
  if (const auto sign = expression.find_first_of("+-", 1); sign != std::string_view::npos) {
    const auto found = hexadecimal(expression.substr(sign + 1));
    if (!found) return error("\"{}\": a number was expected after the sign", expression);
    offset = expression[sign] == '-' ? ~*found + 1 : *found;
    base = expression.substr(0, sign);
  }
  if (base == "pc") return session_.pc() + offset;
  const auto table = session_.register_table();
  const auto row = std::ranges::find(table, base, &session::RegisterInfo::name);
  if (row != table.end())
    return GuestVirt{session_.registers()[static_cast<std::size_t>(row - table.begin())][0] + offset};
  if (const auto resolved = session_.resolve(base)) return *resolved + offset;
  if (const auto value = hexadecimal(base)) return GuestVirt{*value + offset};
  return error("\"{}\": an address, a register or a symbol was expected", expression);
}

std::shared_ptr<const RegistersModel> ModelBuilder::registers(const RegistersModel* before) {
  auto model = std::make_shared<RegistersModel>();
  model->table = session_.register_table();
  model->now = session_.registers();
  if (before != nullptr) model->before = before->now;
  return model;
}

unsigned ModelBuilder::code_bits(const RegistersModel& registers) {
  // SDM vol. 3, 5.2.1: in IA-32e mode the L bit of CS's descriptor says, else its D bit.
  const bool long_mode = (registers.value("efer") >> 10 & 1) != 0;
  if ((registers.value("cr0") & 1) == 0) return 16;
  const std::uint64_t cs = registers.value("cs");
  const auto raw = bytes(GuestVirt{registers.value("gdtr_base") + (cs & 0xFFF8)}, 8);
  if (raw.size() < 8 || cs < 8) return long_mode ? 64 : 32;
  const std::uint64_t descriptor = little_endian(raw);
  if ((descriptor >> 44 & 1) == 0) return long_mode ? 64 : 32;
  if (long_mode && (descriptor >> 53 & 1) != 0) return 64;
  return (descriptor >> 54 & 1) != 0 ? 32 : 16;
}

GuestVirt ModelBuilder::code_begin(GuestVirt wanted, unsigned bits) {
  // Instructions can be found backwards only from a place known to begin one: the function's first, or
  // wherever decoding onward happens to meet `wanted`.
  const std::string where = session_.describe(wanted);
  std::vector<std::uint64_t> candidates;
  if (const auto plus = where.find("+0x"); plus != std::string::npos) {
    const std::string_view digits = std::string_view(where).substr(plus + 3);
    if (const auto offset = number(digits.substr(0, digits.find_first_not_of("0123456789abcdef")), 16))
      if (*offset < 0x4000) candidates.push_back(wanted.value - *offset);
  }
  for (std::uint64_t back = 48; back > 0; --back) candidates.push_back(wanted.value - back);
  for (const std::uint64_t candidate : candidates) {
    const auto code = bytes(GuestVirt{candidate}, wanted.value - candidate + 16);
    std::uint64_t at = candidate;
    std::vector<std::uint64_t> starts;
    while (at < wanted.value && at - candidate < code.size()) {
      const auto decoded = disassembler_.decode(std::span(code).subspan(at - candidate), GuestVirt{at}, bits);
      if (!decoded) break;
      starts.push_back(at);
      at += decoded->line.size;
    }
    if (at != wanted.value || starts.empty()) continue;
    return GuestVirt{starts.size() > kLinesBefore ? starts[starts.size() - kLinesBefore] : starts.front()};
  }
  return wanted;
}

void ModelBuilder::name(Disassembler::Decoded& decoded) {
  if (decoded.data) {
    const std::string text = session_.describe(*decoded.data);
    if (!text.starts_with("0x")) decoded.line.note = text;
  }
  const std::string here = session_.describe(decoded.line.address);
  if (here.starts_with("0x")) return;
  if (const auto plus = here.find("+0x0"); plus != std::string::npos && plus + 4 == here.size())
    decoded.line.label = here.substr(0, plus);
  else if (here.find("+0x") == std::string::npos)
    decoded.line.label = here;
}

std::shared_ptr<const CodeModel> ModelBuilder::code(std::optional<GuestVirt> wanted) {
  auto model = std::make_shared<CodeModel>();
  model->pc = session_.pc();
  model->wanted = wanted.value_or(model->pc);
  model->follows = !wanted;
  model->where = session_.describe(model->wanted);
  const auto state = registers(nullptr);
  model->bits = code_bits(*state);
  const GuestVirt begin = code_begin(model->wanted, model->bits);
  const auto code = bytes(begin, model->wanted - begin + kLinesAfter * 15);
  std::size_t after = 0;
  for (std::uint64_t at = 0; at < code.size() && after < kLinesAfter;) {
    auto decoded = disassembler_.decode(std::span(code).subspan(at), begin + at, model->bits);
    if (!decoded) {
      decoded.emplace();
      decoded->line.address = begin + at;
      decoded->line.size = 1;
      decoded->line.bytes[0] = code[at];
      decoded->line.mnemonic = "(bad)";
    }
    name(*decoded);
    at += decoded->line.size;
    if (decoded->line.address >= model->wanted) ++after;
    model->lines.push_back(std::move(decoded->line));
  }
  return model;
}

Result<std::shared_ptr<const PathModel>> ModelBuilder::path(std::shared_ptr<const CodeModel> code) {
  auto model = std::make_shared<PathModel>();
  model->code = code;
  model->before.resize(code->lines.size());
  model->after.resize(code->lines.size());
  std::vector<session::Condition> lines;
  for (const CodeLine& line : code->lines) {
    session::Condition condition;
    condition.id = static_cast<int>(lines.size());
    condition.breakpoint = replay::timeline::Breakpoint{line.address};
    lines.push_back(condition);
  }
  const Position now = session_.now();
  const Position from{Icount{now.icount.value - std::min(now.icount.value, kPath)}, 0};
  const auto hits = session_.hits(lines, from, {now.icount + kPath, 0}, 4 * kPath);
  if (!hits) return hits.failure();
  for (const session::Hit& hit : *hits) {
    auto& counts = hit.before < now ? model->before : model->after;
    ++counts[static_cast<std::size_t>(hit.id)];
  }
  return std::shared_ptr<const PathModel>(model);
}

std::shared_ptr<const MemoryModel> ModelBuilder::memory(GuestVirt base, std::string expression,
                                                        const MemoryModel* before) {
  auto model = std::make_shared<MemoryModel>();
  model->base = base;
  model->expression = std::move(expression);
  model->where = session_.describe(base);
  model->bytes.resize(kMemoryBytes);
  model->state.resize(kMemoryBytes);
  for (std::size_t at = 0; at < kMemoryBytes;) {
    const std::size_t part =
        std::min<std::size_t>(kMemoryBytes - at, kPageSize - ((base.value + at) & kPageMask));
    const std::size_t got =
        session_.read(base + at, std::as_writable_bytes(std::span(model->bytes).subspan(at, part)));
    std::fill_n(model->state.begin() + static_cast<std::ptrdiff_t>(at), got, MemoryModel::kReadable);
    at += part;
  }
  if (before == nullptr) return model;
  for (std::size_t i = 0; i < kMemoryBytes; ++i) {
    const std::uint64_t old = base.value + i - before->base.value;
    if (old < before->bytes.size() && (before->state[old] & MemoryModel::kReadable) != 0 &&
        model->state[i] != 0 && before->bytes[old] != model->bytes[i])
      model->state[i] |= MemoryModel::kChanged;
  }
  return model;
}

std::shared_ptr<const SystemModel> ModelBuilder::system(const RegistersModel& registers) {
  auto model = std::make_shared<SystemModel>();
  const bool long_mode = (registers.value("efer") >> 10 & 1) != 0;
  const auto gdt = bytes(GuestVirt{registers.value("gdtr_base")},
                         std::min<std::uint64_t>(registers.value("gdtr_limit") + 1, 64 * 8));
  for (std::size_t at = 0; at + 8 <= gdt.size(); at += 8) {
    const std::uint64_t low = little_endian(std::span(gdt).subspan(at, 8));
    if ((low >> 47 & 1) == 0) continue;
    // SDM vol. 3, 3.4.5: base and limit lie in pieces; with G the limit counts pages.
    DescriptorRow row{.index = static_cast<unsigned>(at / 8),
                      .base = (low >> 16 & 0xFF'FFFF) | (low >> 56 & 0xFF) << 24,
                      .limit = (low & 0xFFFF) | (low >> 48 & 15) << 16,
                      .privilege = static_cast<unsigned>(low >> 45 & 3),
                      .kind = std::string(segment_kind(low, long_mode))};
    if ((low >> 55 & 1) != 0) row.limit = row.limit << 12 | 0xFFF;
    const bool wide = long_mode && (low >> 44 & 1) == 0;
    if (wide && at + 16 <= gdt.size()) row.base |= little_endian(std::span(gdt).subspan(at + 8, 4)) << 32;
    model->gdt.push_back(std::move(row));
    if (wide) at += 8;
  }
  if (!long_mode) return model;
  // SDM vol. 3, 6.14.1: 16 bytes a gate in IA-32e mode.
  const auto idt = bytes(GuestVirt{registers.value("idtr_base")},
                         std::min<std::uint64_t>(registers.value("idtr_limit") + 1, 256 * 16));
  for (std::size_t at = 0; at + 16 <= idt.size(); at += 16) {
    const std::uint64_t low = little_endian(std::span(idt).subspan(at, 8));
    if ((low >> 47 & 1) == 0) continue;
    const GuestVirt handler{(low & 0xFFFF) | (low >> 48 & 0xFFFF) << 16 |
                            little_endian(std::span(idt).subspan(at + 8, 4)) << 32};
    model->idt.push_back({.vector = static_cast<unsigned>(at / 16),
                          .handler = handler,
                          .selector = static_cast<std::uint16_t>(low >> 16),
                          .privilege = static_cast<unsigned>(low >> 45 & 3),
                          .stack = static_cast<unsigned>(low >> 32 & 7),
                          .kind = (low >> 40 & 15) == 14 ? "interrupt" : "trap",
                          .where = session_.describe(handler)});
  }
  return model;
}

std::shared_ptr<const WalkModel> ModelBuilder::walk(GuestVirt address, std::string expression) {
  auto model = std::make_shared<WalkModel>();
  model->address = address;
  model->expression = std::move(expression);
  model->entries = session_.table_entries(address);
  model->mapping = session_.mapping(address);
  return model;
}

std::shared_ptr<const std::vector<DeviceField>> ModelBuilder::devices(
    const std::vector<DeviceField>* before) {
  auto model = std::make_shared<std::vector<DeviceField>>();
  for (session::StateField& field : session_.state("")) model->push_back({std::move(field), false});
  if (before == nullptr) return model;
  // Lists may have grown or shrunk: both are in order of part, but not of path.
  for (std::size_t i = 0, j = 0; i < model->size(); ++i) {
    DeviceField& now = (*model)[i];
    const auto same = [&](std::size_t k) {
      return (*before)[k].field.part == now.field.part && (*before)[k].field.path == now.field.path;
    };
    std::size_t k = j;
    while (k < before->size() && k < j + 64 && !same(k)) ++k;
    if (k >= before->size() || !same(k)) {
      now.changed = true;
      continue;
    }
    now.changed = (*before)[k].field.value != now.field.value;
    j = k + 1;
  }
  return model;
}

}  // namespace hindsight::debugger::ui
