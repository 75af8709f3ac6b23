#include "debugger/gdb/registers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <initializer_list>

namespace hindsight::debugger::gdb {
namespace {

using session::RegisterInfo;
using session::RegisterValue;

constexpr unsigned kFirstSt = 24, kFstat = 33, kFtag = 34;

/// A field of a flags type: bits first to last.
struct Field {
  std::string_view name;
  unsigned first, last;
};

// SDM vol. 1, 3.4.3
constexpr Field kEflags[] = {
    {"CF", 0, 0},   {"PF", 2, 2},   {"AF", 4, 4},    {"ZF", 6, 6},     {"SF", 7, 7},   {"TF", 8, 8},
    {"IF", 9, 9},   {"DF", 10, 10}, {"OF", 11, 11},  {"IOPL", 12, 13}, {"NT", 14, 14}, {"RF", 16, 16},
    {"VM", 17, 17}, {"AC", 18, 18}, {"VIF", 19, 19}, {"VIP", 20, 20},  {"ID", 21, 21}};
// SDM vol. 1, 10.2.3
constexpr Field kMxcsr[] = {{"IE", 0, 0},   {"DE", 1, 1},   {"ZE", 2, 2},   {"OE", 3, 3},   {"UE", 4, 4},
                            {"PE", 5, 5},   {"DAZ", 6, 6},  {"IM", 7, 7},   {"DM", 8, 8},   {"ZM", 9, 9},
                            {"OM", 10, 10}, {"UM", 11, 11}, {"PM", 12, 12}, {"RC", 13, 14}, {"FZ", 15, 15}};
// SDM vol. 3, 2.5
constexpr Field kCr0[] = {{"PE", 0, 0},   {"MP", 1, 1},   {"EM", 2, 2},   {"TS", 3, 3},
                          {"ET", 4, 4},   {"NE", 5, 5},   {"WP", 16, 16}, {"AM", 18, 18},
                          {"NW", 29, 29}, {"CD", 30, 30}, {"PG", 31, 31}};
constexpr Field kCr4[] = {
    {"VME", 0, 0},          {"PVI", 1, 1},     {"TSD", 2, 2},       {"DE", 3, 3},     {"PSE", 4, 4},
    {"PAE", 5, 5},          {"MCE", 6, 6},     {"PGE", 7, 7},       {"PCE", 8, 8},    {"OSFXSR", 9, 9},
    {"OSXMMEXCPT", 10, 10}, {"UMIP", 11, 11},  {"LA57", 12, 12},    {"VMXE", 13, 13}, {"SMXE", 14, 14},
    {"FSGSBASE", 16, 16},   {"PCIDE", 17, 17}, {"OSXSAVE", 18, 18}, {"SMEP", 20, 20}, {"SMAP", 21, 21},
    {"PKE", 22, 22},        {"CET", 23, 23}};
// SDM vol. 3, 2.2.1
constexpr Field kEfer[] = {{"SCE", 0, 0}, {"LME", 8, 8}, {"LMA", 10, 10}, {"NXE", 11, 11}};

std::string flags_type(std::string_view id, unsigned bytes, std::span<const Field> fields) {
  std::string out = fmt::format("<flags id=\"{}\" size=\"{}\">\n", id, bytes);
  for (const Field& field : fields) {
    out += fmt::format("<field name=\"{}\" start=\"{}\" end=\"{}\"/>\n", field.name, field.first, field.last);
  }
  return out + "</flags>\n";
}

/// An XMM register in every shape an instruction can take it for.
std::string vector_type() {
  struct Shape {
    std::string_view field, id, element;
    unsigned count;
  };
  constexpr Shape kShapes[] = {{"v4_float", "v4f", "ieee_single", 4}, {"v2_double", "v2d", "ieee_double", 2},
                               {"v16_int8", "v16i8", "int8", 16},     {"v8_int16", "v8i16", "int16", 8},
                               {"v4_int32", "v4i32", "int32", 4},     {"v2_int64", "v2i64", "int64", 2}};
  std::string types, fields;
  for (const Shape& shape : kShapes) {
    types +=
        fmt::format("<vector id=\"{}\" type=\"{}\" count=\"{}\"/>\n", shape.id, shape.element, shape.count);
    fields += fmt::format("<field name=\"{}\" type=\"{}\"/>\n", shape.field, shape.id);
  }
  return types + "<union id=\"vec128\">\n" + fields +
         "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n";
}

/// Names in a description are kept to what gdb's expressions can spell.
std::string spelled(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!plain) c = '_';
  }
  return out;
}

std::uint16_t whole_bits(std::uint16_t bits) {
  constexpr std::uint16_t kWhole[] = {8, 16, 32, 64};
  for (const std::uint16_t whole : kWhole) {
    if (bits <= whole) return whole;
  }
  return 128;
}

}  // namespace

/// Puts the rows and the description together.
class Registers::Builder final {
 public:
  Builder(std::span<const RegisterInfo> table, std::vector<Row>& rows)
      : table_(table), used_(table.size(), false), rows_(rows) {}

  void open(std::string_view feature) { text_ += fmt::format("<feature name=\"{}\">\n", feature); }
  void close() { text_ += "</feature>\n"; }
  void type(std::string_view text) { text_ += text; }

  /// `names`: what the session may call it, the first that fits.
  void add(std::string name, std::uint16_t bits, std::string type,
           std::initializer_list<std::string_view> names, unsigned shift = 0) {
    Row row{std::move(name), bits, std::move(type), {}, 0, shift};
    for (const std::string_view wanted : names) {
      const auto found = std::ranges::find(table_, wanted, &RegisterInfo::name);
      if (found == table_.end()) continue;
      row.source = static_cast<std::size_t>(found - table_.begin());
      row.source_bits = found->bits;
      used_[*row.source] = true;
      break;
    }
    push(std::move(row));
  }

  void add_rest() {
    for (std::size_t i = 0; i < table_.size(); ++i) {
      if (used_[i]) continue;
      const RegisterInfo& info = table_[i];
      const std::uint16_t bits = whole_bits(info.bits);
      std::string type = fmt::format("uint{}", bits);
      if (bits == 64) {
        if (info.name == "cr0") type = "x86_cr0";
        if (info.name == "cr4") type = "x86_cr4";
        if (info.name == "efer" || info.name == "ia32_efer") type = "x86_efer";
      }
      push({spelled(info.name), bits, std::move(type), i, info.bits, 0});
    }
  }

  [[nodiscard]] std::string document() const {
    // No operating system's conventions: the guest is whatever runs, kernel or program.
    return "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
           "<architecture>i386:x86-64</architecture>\n<osabi>none</osabi>\n" +
           text_ + "</target>\n";
  }

 private:
  void push(Row row) {
    text_ += fmt::format("<reg name=\"{}\" bitsize=\"{}\" type=\"{}\" regnum=\"{}\"/>\n", row.name, row.bits,
                         row.type, rows_.size());
    rows_.push_back(std::move(row));
  }

  std::span<const RegisterInfo> table_;
  std::vector<bool> used_;
  std::vector<Row>& rows_;
  std::string text_;
};

Registers::Registers(std::span<const RegisterInfo> table) {
  Builder build(table, rows_);
  build.open("org.gnu.gdb.i386.core");
  build.type(flags_type("i386_eflags", 4, kEflags));
  for (const std::string_view name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi"}) {
    build.add(std::string(name), 64, "int64", {name});
  }
  build.add("rbp", 64, "data_ptr", {"rbp"});
  build.add("rsp", 64, "data_ptr", {"rsp"});
  for (unsigned i = 8; i < 16; ++i) {
    const std::string name = fmt::format("r{}", i);
    build.add(name, 64, "int64", {name});
  }
  build.add("rip", 64, "code_ptr", {"rip"});
  build.add("eflags", 32, "i386_eflags", {"rflags", "eflags"});
  for (const std::string_view name : {"cs", "ss", "ds", "es", "fs", "gs"}) {
    build.add(std::string(name), 32, "int32", {name});
  }
  for (unsigned i = 0; i < 8; ++i) {
    const std::string name = fmt::format("st{}", i);
    build.add(name, 80, "i387_ext", {name});
  }
  build.add("fctrl", 32, "int", {"fcw"});
  build.add("fstat", 32, "int", {"fsw"});
  build.add("ftag", 32, "int", {"ftw"});
  build.add("fiseg", 32, "int", {"fip"}, 32);
  build.add("fioff", 32, "int", {"fip"});
  build.add("foseg", 32, "int", {"fdp"}, 32);
  build.add("fooff", 32, "int", {"fdp"});
  build.add("fop", 32, "int", {"fop"});
  build.close();
  build.open("org.gnu.gdb.i386.sse");
  build.type(vector_type() + flags_type("i386_mxcsr", 4, kMxcsr));
  for (unsigned i = 0; i < 16; ++i) {
    const std::string name = fmt::format("xmm{}", i);
    build.add(name, 128, "vec128", {name});
  }
  build.add("mxcsr", 32, "i386_mxcsr", {"mxcsr"});
  build.close();
  build.open("org.gnu.gdb.i386.segments");
  build.add("fs_base", 64, "int64", {"fs_base", "ia32_fs_base"});
  build.add("gs_base", 64, "int64", {"gs_base", "ia32_gs_base"});
  build.close();
  build.open("org.hindsight.i386.system");
  build.type(flags_type("x86_cr0", 8, kCr0) + flags_type("x86_cr4", 8, kCr4) +
             flags_type("x86_efer", 8, kEfer));
  build.add_rest();
  build.close();
  description_ = build.document();
}

std::optional<std::uint64_t> Registers::full_tags(
    const Row& row, const std::function<RegisterValue(std::size_t)>& table_value) const {
  // SDM vol. 1, 10.5.1.1: the abridged word says of each physical register whether it is empty; the full one
  // (8.1.7) also whether it holds a valid number (0), zero (1) or something special (2).
  const Row& status = rows_[kFstat];
  if (!status.source) return std::nullopt;
  const std::uint64_t abridged = table_value(*row.source)[0];
  const auto top = static_cast<unsigned>(table_value(*status.source)[0] >> 11 & 7);
  std::uint64_t tags = 0;
  for (unsigned physical = 0; physical < 8; ++physical) {
    std::uint64_t tag = 3;
    const Row& st = rows_[kFirstSt + ((physical - top) & 7)];
    if ((abridged >> physical & 1) != 0 && st.source) {
      const RegisterValue value = table_value(*st.source);
      const std::uint64_t exponent = value[1] & 0x7fff;
      const bool integer_bit = value[0] >> 63 != 0;
      if (exponent == 0 && value[0] == 0) {
        tag = 1;
      } else {
        tag = exponent == 0x7fff || !integer_bit ? 2 : 0;
      }
    }
    tags |= tag << (2 * physical);
  }
  return tags;
}

std::optional<RegisterValue> Registers::content(
    const Row& row, const std::function<RegisterValue(std::size_t)>& table_value) const {
  if (!row.source) return std::nullopt;
  if (&row == &rows_[kFtag] && row.source_bits == 8) {
    const auto tags = full_tags(row, table_value);
    return tags ? std::optional<RegisterValue>({*tags, 0}) : std::nullopt;
  }
  RegisterValue value = table_value(*row.source);
  if (row.shift != 0) value = {value[0] >> row.shift, 0};
  return value;
}

std::string Registers::value(unsigned number, Values values) const {
  const Row& row = rows_[number];
  const std::size_t bytes = row.bits / 8U;
  const auto known = content(row, [&](std::size_t index) { return values[index]; });
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) {
    out += known ? fmt::format("{:02x}", (*known)[i / 8] >> (i % 8 * 8) & 0xff) : "xx";
  }
  return out;
}

std::optional<std::uint64_t> Registers::number_value(
    unsigned number, const std::function<RegisterValue(std::size_t)>& table_value) const {
  if (number >= rows_.size()) return std::nullopt;
  const Row& row = rows_[number];
  const auto known = content(row, table_value);
  if (!known) return std::nullopt;
  return row.bits >= 64 ? (*known)[0] : (*known)[0] & ((std::uint64_t{1} << row.bits) - 1);
}

}  // namespace hindsight::debugger::gdb
