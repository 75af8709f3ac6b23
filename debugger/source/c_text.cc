#include "debugger/source/c_text.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>

namespace hindsight::debugger::source {
namespace {

using session::Variable;

constexpr int kDeepest = 16;               // types made of types
constexpr std::size_t kMostFields = 64;    // told of a structure
constexpr std::size_t kMostElements = 16;  // told of an array
constexpr std::uint64_t kMostSize = std::uint64_t{1} << 31;
constexpr std::size_t kMostText = 64;
constexpr std::size_t kMostBytes = 4096;
constexpr std::size_t kMostScanned = 4096;  // fields or enumerators that are looked at

int tag_of(const Dwarf_Die& die) {
  Dwarf_Die copy = die;
  return dwarf_tag(&copy);
}

std::string name_of(const Dwarf_Die& die) {
  Dwarf_Die copy = die;
  const char* name = dwarf_diename(&copy);
  return name == nullptr ? "" : name;
}

std::optional<Dwarf_Die> type_of(const Dwarf_Die& die) {
  Dwarf_Die copy = die, type;
  Dwarf_Attribute attribute;
  if (dwarf_attr_integrate(&copy, DW_AT_type, &attribute) == nullptr ||
      dwarf_formref_die(&attribute, &type) == nullptr)
    return std::nullopt;
  return type;
}

std::optional<std::uint64_t> number_of(const Dwarf_Die& die, unsigned name) {
  Dwarf_Die copy = die;
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  if (dwarf_attr_integrate(&copy, name, &attribute) == nullptr || dwarf_formudata(&attribute, &value) != 0)
    return std::nullopt;
  return value;
}

/// Sign-extended, whatever the form.
std::optional<std::int64_t> signed_of(const Dwarf_Die& die, unsigned name) {
  Dwarf_Die copy = die;
  Dwarf_Attribute attribute;
  Dwarf_Sword value = 0;
  if (dwarf_attr_integrate(&copy, name, &attribute) == nullptr || dwarf_formsdata(&attribute, &value) != 0)
    return std::nullopt;
  return value;
}

/// Without names that stand for it and qualifiers; nothing: void.
std::optional<Dwarf_Die> plain(Dwarf_Die type) {
  for (int i = 0; i < kDeepest; ++i) {
    switch (dwarf_tag(&type)) {
      case DW_TAG_typedef:
      case DW_TAG_const_type:
      case DW_TAG_volatile_type:
      case DW_TAG_restrict_type:
      case DW_TAG_atomic_type: {
        const auto under = type_of(type);
        if (!under) return std::nullopt;
        type = *under;
        break;
      }
      default:
        return type;
    }
  }
  return std::nullopt;
}

/// Elements of each dimension; 0: not said.
std::vector<std::uint64_t> dimensions(Dwarf_Die array) {
  std::vector<std::uint64_t> all;
  Dwarf_Die child;
  if (dwarf_child(&array, &child) != 0) return all;
  do {
    if (dwarf_tag(&child) != DW_TAG_subrange_type) continue;
    if (const auto count = number_of(child, DW_AT_count))
      all.push_back(*count);
    else if (const auto last = number_of(child, DW_AT_upper_bound))
      all.push_back(*last + 1);
    else
      all.push_back(0);
  } while (all.size() < kDeepest && dwarf_siblingof(&child, &child) == 0);
  return all;
}

/// elfutils' own sum follows types round in circles.
std::uint64_t size_at(const Dwarf_Die& declared, int depth) {
  const auto type = plain(declared);
  if (!type || depth > kDeepest) return 0;
  if (const auto size = number_of(*type, DW_AT_byte_size)) return *size;
  if (tag_of(*type) == DW_TAG_pointer_type) return 8;
  const auto element = type_of(*type);
  if (tag_of(*type) != DW_TAG_array_type || !element) return 0;
  std::uint64_t size = size_at(*element, depth + 1);
  for (const std::uint64_t count : dimensions(*type)) {
    if (count > kMostSize || size * count > kMostSize) return 0;
    size *= count;
  }
  return size;
}

std::string text_of(const std::optional<Dwarf_Die>& type, int depth);

std::string suffixed(const std::optional<Dwarf_Die>& under, const char* suffix, int depth) {
  std::string text = text_of(under, depth + 1);
  if (text.empty() || text.back() != '*') text += ' ';
  return text + suffix;
}

std::string text_of(const std::optional<Dwarf_Die>& type, int depth) {
  if (!type) return "void";
  if (depth > kDeepest) return "…";
  std::string name = name_of(*type);
  const auto under = [&] { return type_of(*type); };
  switch (tag_of(*type)) {
    case DW_TAG_structure_type:
      return name.empty() ? "struct {…}" : "struct " + name;
    case DW_TAG_union_type:
      return name.empty() ? "union {…}" : "union " + name;
    case DW_TAG_class_type:
      return name;
    case DW_TAG_enumeration_type:
      return name.empty() ? "enum {…}" : "enum " + name;
    case DW_TAG_pointer_type:
      return suffixed(under(), "*", depth);
    case DW_TAG_reference_type:
      return suffixed(under(), "&", depth);
    case DW_TAG_rvalue_reference_type:
      return suffixed(under(), "&&", depth);
    case DW_TAG_const_type:
      if (const auto what = under(); what && tag_of(*what) == DW_TAG_pointer_type)
        return text_of(what, depth + 1) + " const";
      return "const " + text_of(under(), depth + 1);
    case DW_TAG_volatile_type:
      return "volatile " + text_of(under(), depth + 1);
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type:
      return text_of(under(), depth + 1);
    case DW_TAG_array_type: {
      std::string text = text_of(under(), depth + 1) + " ";
      for (const std::uint64_t count : dimensions(*type))
        text += count == 0 ? "[]" : fmt::format("[{}]", count);
      return text;
    }
    case DW_TAG_subroutine_type:
      return text_of(under(), depth + 1) + " ()";
    default:
      return name.empty() ? "?" : name;
  }
}

std::string quoted(std::string_view bytes, bool whole) {
  std::string text = "\"";
  for (const char c : bytes) {
    if (c == '"' || c == '\\')
      text += fmt::format("\\{}", c);
    else if (c >= 0x20 && c < 0x7F)
      text += c;
    else if (c == '\n')
      text += "\\n";
    else if (c == '\t')
      text += "\\t";
    else
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return text + (whole ? "\"" : "…\"");
}

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

std::int64_t extended(std::uint64_t value, std::uint64_t bits) {
  if (bits == 0 || bits >= 64) return static_cast<std::int64_t>(value);
  return static_cast<std::int64_t>(value << (64 - bits)) >> (64 - bits);
}

std::string base_text(const Dwarf_Die& type, std::uint64_t value, std::uint64_t bits) {
  switch (number_of(type, DW_AT_encoding).value_or(DW_ATE_unsigned)) {
    case DW_ATE_boolean:
      return value == 0 ? "false" : value == 1 ? "true" : fmt::format("true ({})", value);
    case DW_ATE_signed_char:
    case DW_ATE_unsigned_char: {
      const bool is_signed = number_of(type, DW_AT_encoding) == DW_ATE_signed_char;
      std::string number = is_signed ? fmt::format("{}", extended(value, bits)) : fmt::format("{}", value);
      if (value < 0x20 || value >= 0x7F) return number;
      return fmt::format("{} '{}'", number, static_cast<char>(value));
    }
    case DW_ATE_signed:
      return fmt::format("{}", extended(value, bits));
    case DW_ATE_float:
      if (bits == 32) {
        float number = 0;
        std::memcpy(&number, &value, sizeof number);
        return fmt::format("{}", number);
      }
      if (bits == 64) {
        double number = 0;
        std::memcpy(&number, &value, sizeof number);
        return fmt::format("{}", number);
      }
      return "a number of a kind that is not told";
    default:
      // What looks like an address or a mask reads better in hexadecimal as well.
      return value < 0x10000 ? fmt::format("{}", value) : fmt::format("{} ({:#x})", value, value);
  }
}

std::string enum_text(Dwarf_Die type, std::uint64_t value, std::uint64_t bits) {
  Dwarf_Die child;
  std::size_t scanned = 0;
  if (dwarf_child(&type, &child) == 0) {
    const std::int64_t wanted = extended(value, bits);
    do {
      if (dwarf_tag(&child) != DW_TAG_enumerator) continue;
      const auto stored = signed_of(child, DW_AT_const_value);
      const std::uint64_t mask = bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
      if (stored && (*stored == wanted || (static_cast<std::uint64_t>(*stored) & mask) == value))
        return fmt::format("{} ({})", name_of(child), wanted);
    } while (++scanned < kMostScanned && dwarf_siblingof(&child, &child) == 0);
  }
  return fmt::format("{}", extended(value, bits));
}

class Teller final {
 public:
  explicit Teller(const ValueContext& context) : context_(context) {}

  /// `deep`: with parts.
  void tell(const std::optional<Dwarf_Die>& declared, std::span<const std::byte> bytes, Variable& out,
            bool deep, std::uint64_t bits = 0) {
    const auto type = declared ? plain(*declared) : std::nullopt;
    if (!type) {
      out.value = "of a type that is not told";
      return;
    }
    out.known = true;
    const std::uint64_t wide = bits != 0 ? bits : 8 * std::min<std::size_t>(bytes.size(), 8);
    switch (tag_of(*type)) {
      case DW_TAG_base_type:
        if (bytes.size() > 8 && number_of(*type, DW_AT_encoding) != DW_ATE_float)
          out.value = fmt::format("{:#x}{:016x}", little_endian(bytes.subspan(8)), little_endian(bytes));
        else
          out.value = base_text(*type, little_endian(bytes), bytes.size() > 8 ? 0 : wide);
        break;
      case DW_TAG_enumeration_type:
        out.value = enum_text(*type, little_endian(bytes), wide);
        break;
      case DW_TAG_pointer_type:
      case DW_TAG_reference_type:
      case DW_TAG_rvalue_reference_type:
        pointer(*type, little_endian(bytes), out, deep);
        break;
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_union_type:
        structure(*type, bytes, out, deep);
        break;
      case DW_TAG_array_type:
        array(*type, bytes, out, deep);
        break;
      default:
        out.known = false;
        out.value = "of a type that is not told";
    }
  }

 private:
  void pointer(const Dwarf_Die& type, std::uint64_t value, Variable& out, bool deep) {
    out.value = fmt::format("{:#x}", value);
    if (value == 0) {
      out.value = "NULL";
      return;
    }
    if (const std::string name = context_.name(GuestVirt{value}); !name.empty())
      out.value += fmt::format(" <{}>", name);
    const auto target = type_of(type);
    const auto what = target ? plain(*target) : std::nullopt;
    if (!what) return;
    const int tag = tag_of(*what);
    if (tag == DW_TAG_base_type && size_of(*what) == 1) return text_at(value, out);
    if (!deep || (tag != DW_TAG_structure_type && tag != DW_TAG_union_type && tag != DW_TAG_class_type))
      return;
    std::vector<std::byte> bytes(std::min<std::uint64_t>(size_of(*what), kMostBytes));
    if (bytes.empty()) return;
    if (!context_.read(GuestVirt{value}, bytes)) {
      out.value += "  nothing can be read there";
      return;
    }
    Variable pointed{.address = GuestVirt{value}};
    structure(*what, bytes, pointed, true);
    out.parts = std::move(pointed.parts);
  }

  void text_at(std::uint64_t address, Variable& out) {
    std::string text;
    // Byte by byte: the text may end where memory does.
    for (std::byte byte{}; text.size() < kMostText; text += static_cast<char>(byte)) {
      if (!context_.read(GuestVirt{address + text.size()}, std::span(&byte, 1))) {
        if (text.empty()) return;
        out.value += " " + quoted(text, false);
        return;
      }
      if (byte == std::byte{0}) {
        out.value += " " + quoted(text, true);
        return;
      }
    }
    out.value += " " + quoted(text, false);
  }

  void structure(Dwarf_Die type, std::span<const std::byte> bytes, Variable& out, bool deep) {
    std::string summary;
    std::size_t told = 0, scanned = 0;
    Dwarf_Die child;
    if (dwarf_child(&type, &child) == 0) {
      do {
        if (dwarf_tag(&child) != DW_TAG_member) continue;
        Variable field;
        if (!member(child, bytes, out.address, field)) continue;
        if (++told > kMostFields) break;
        constexpr std::size_t kLong = 72;
        if (summary.size() < kLong)
          summary += fmt::format("{}{} = {}", summary.empty() ? "" : ", ", field.name, field.value);
        else if (!summary.ends_with("…"))
          summary += ", …";
        if (deep) out.parts.push_back(std::move(field));
      } while (++scanned < kMostScanned && dwarf_siblingof(&child, &child) == 0);
    }
    out.value = deep || told <= 1 ? "{" + summary + "}" : "{…}";
  }

  /// A number of bytes; in DWARF 2 an expression that adds it.
  static std::optional<std::uint64_t> begin_of(Dwarf_Die die) {
    Dwarf_Attribute attribute;
    if (dwarf_attr_integrate(&die, DW_AT_data_member_location, &attribute) == nullptr) return 0;
    if (const auto bytes = number_of(die, DW_AT_data_member_location)) return bytes;
    Dwarf_Op* expression = nullptr;
    std::size_t length = 0;
    if (dwarf_getlocation(&attribute, &expression, &length) != 0 || length != 1 ||
        expression->atom != DW_OP_plus_uconst)
      return std::nullopt;
    return expression->number;
  }

  /// DWARF 2 and 3 count from the most significant bit of a storage unit.
  static std::optional<std::uint64_t> first_bit(const Dwarf_Die& die, std::uint64_t unit, std::uint64_t bits,
                                                std::uint64_t type_size) {
    if (const auto first = number_of(die, DW_AT_data_bit_offset)) return first;
    const auto from_top = number_of(die, DW_AT_bit_offset);
    const std::uint64_t wide = 8 * number_of(die, DW_AT_byte_size).value_or(type_size);
    if (!from_top || *from_top + bits > wide) return std::nullopt;
    return unit + wide - *from_top - bits;
  }

  bool member(Dwarf_Die& die, std::span<const std::byte> bytes, std::optional<GuestVirt> base,
              Variable& field) {
    field.kind = Variable::Kind::part;
    field.name = name_of(die);
    const auto type = type_of(die);
    if (!type) return false;
    field.type = type_text(*type);
    if (field.name.empty()) field.name = "(unnamed)";
    const auto begin = begin_of(die);
    if (!begin) {
      field.value = "of a place that is not told";
      return true;
    }
    std::uint64_t at = *begin;
    std::uint64_t size = size_of(*type);
    const auto bits = number_of(die, DW_AT_bit_size);
    if (bits) {
      const auto first = first_bit(die, 8 * at, *bits, size);
      if (!first || *bits == 0 || *bits > 64 || *first / 8 >= bytes.size()) {
        field.value = "a bit field that is not told";
        return true;
      }
      at = *first / 8;
      if (base) field.address = *base + at;
      field.size = (*first % 8 + *bits + 7) / 8;
      const auto part = bytes.subspan(at, std::min<std::size_t>(bytes.size() - at, 8));
      std::uint64_t value = little_endian(part) >> (*first % 8);
      if (*bits < 64) value &= (std::uint64_t{1} << *bits) - 1;
      tell(type, std::as_bytes(std::span(&value, 1)), field, false, *bits);
      return true;
    }
    if (at > bytes.size() || size > bytes.size() - at) {
      field.value = "too far to be told";
      return true;
    }
    if (size == 0) {
      field.known = true;
      field.value = "[]";  // a flexible array: who uses it knows its length
      return true;
    }
    if (base) field.address = *base + at;
    field.size = size;
    tell(type, bytes.subspan(at, size), field, false);
    return true;
  }

  void array(const Dwarf_Die& type, std::span<const std::byte> bytes, Variable& out, bool deep) {
    const auto element = type_of(type);
    const auto what = element ? plain(*element) : std::nullopt;
    const auto counts = dimensions(type);
    if (!what || counts.empty()) {
      out.known = false;
      out.value = "of a type that is not told";
      return;
    }
    const std::uint64_t size = size_of(*what);
    if (size == 1 && counts.size() == 1 && tag_of(*what) == DW_TAG_base_type) {
      std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      const bool whole = text.find('\0') != std::string_view::npos || text.size() <= kMostText;
      text = text.substr(0, std::min({text.find('\0'), text.size(), kMostText}));
      out.value = quoted(text, whole);
      return;
    }
    if (size == 0 || counts.size() > 1) {
      out.value = "{…}";
      return;
    }
    const std::size_t all = bytes.size() / size, most = std::min(all, deep ? kMostElements : 4);
    std::string summary;
    for (std::size_t i = 0; i < most; ++i) {
      Variable part{
          .kind = Variable::Kind::part, .name = fmt::format("[{}]", i), .type = type_text(*element)};
      if (out.address) part.address = *out.address + i * size;
      part.size = size;
      tell(element, bytes.subspan(i * size, size), part, false);
      if (i < 4) summary += fmt::format("{}{}", i == 0 ? "" : ", ", part.value);
      if (deep) out.parts.push_back(std::move(part));
    }
    out.value = "{" + summary + (counts.front() > std::min<std::size_t>(most, 4) ? ", …}" : "}");
  }

  const ValueContext& context_;
};

}  // namespace

std::string type_text(const Dwarf_Die& type) { return text_of(type, 0); }

std::uint64_t size_of(const Dwarf_Die& type) { return size_at(type, 0); }

void tell(const ValueContext& context, const Dwarf_Die& type, std::span<const std::byte> bytes,
          session::Variable& out) {
  Teller(context).tell(type, bytes, out, true);
}

}  // namespace hindsight::debugger::source
