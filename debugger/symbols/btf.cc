#include "debugger/symbols/btf.h"

#include <cstring>
#include <span>

#include "engine/base/little_endian.h"

namespace hindsight::debugger::symbols {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{64} << 20;
constexpr std::size_t kHeaderSize = 24, kTypeSize = 12, kMemberSize = 12;
constexpr std::uint32_t kMagic = 0xeB9F;
constexpr unsigned kDeepest = 8;
constexpr std::uint32_t kMostMembers = 1 << 20;  // looked at for one answer

enum Kind : unsigned {
  kInt = 1,
  kArray = 3,
  kStruct = 4,
  kUnion = 5,
  kEnum = 6,
  kTypedef = 8,
  kVolatile = 9,
  kConst = 10,
  kRestrict = 11,
  kFuncProto = 13,
  kVar = 14,
  kDataSection = 15,
  kDeclTag = 17,
  kTypeTag = 18,
  kEnum64 = 19,
  kKinds = 20
};

unsigned kind_of(std::uint32_t info) { return info >> 24 & 0x1F; }
std::uint32_t count_of(std::uint32_t info) { return info & 0xFFFF; }

/// How much follows a type of this kind.
std::size_t size_of_more(std::uint32_t info) {
  switch (kind_of(info)) {
    case kInt:
    case kVar:
    case kDeclTag:
      return 4;
    case kArray:
      return 12;
    case kStruct:
    case kUnion:
    case kDataSection:
    case kEnum64:
      return std::size_t{count_of(info)} * kMemberSize;
    case kEnum:
    case kFuncProto:
      return std::size_t{count_of(info)} * 8;
    default:
      return 0;
  }
}

}  // namespace

std::uint32_t Btf::word(std::size_t at) const {
  return static_cast<std::uint32_t>(
      load_little_endian(std::span<const std::byte>(bytes_).subspan(at).first<4>()));
}

Result<Btf> Btf::read(const MemoryView& memory, const KernelSymbols& kernel) {
  const auto begin = kernel.address_of("__start_BTF"), end = kernel.address_of("__stop_BTF");
  if (!begin || !end || *end <= *begin || *end - *begin > kMostBytes || *end - *begin < kHeaderSize)
    return error("the kernel carries no BTF (CONFIG_DEBUG_INFO_BTF)");
  Btf btf;
  btf.bytes_ = load_array<std::byte>(memory, *begin, *end - *begin);
  if (btf.bytes_.empty()) return error("the BTF at {:x} cannot be read", begin->value);
  const std::uint64_t header = btf.word(4), size = btf.bytes_.size();
  const std::uint64_t types = header + btf.word(8), types_end = types + btf.word(12);
  const std::uint64_t strings = header + btf.word(16), strings_end = strings + btf.word(20);
  if ((btf.word(0) & 0xFFFF) != kMagic || header < kHeaderSize || types_end > size || strings_end > size ||
      strings == strings_end || btf.bytes_[strings_end - 1] != std::byte{0})
    return error("the BTF at {:x} has a header that does not fit", begin->value);
  btf.strings_ = strings;
  btf.strings_end_ = strings_end;
  btf.types_.assign(1, static_cast<std::uint32_t>(types));
  if (const Status indexed = btf.index(types_end); !indexed) return indexed.failure();
  return btf;
}

Status Btf::index(std::size_t end) {
  std::size_t at = types_[0];
  while (at + kTypeSize <= end) {
    const std::uint32_t info = word(at + 4);
    const std::size_t next = at + kTypeSize + size_of_more(info);
    if (kind_of(info) == 0 || kind_of(info) >= kKinds || next > end)
      return error("BTF type {} is of an unknown kind, or cut off", types_.size());
    types_.push_back(static_cast<std::uint32_t>(at));
    at = next;
  }
  return Done{};
}

Btf::Type Btf::type(std::uint32_t id) const {
  if (id == 0 || id >= types_.size()) return {};
  const std::size_t at = types_[id];
  return {word(at), word(at + 4), word(at + 8), at + kTypeSize};
}

std::string_view Btf::name(std::uint32_t offset) const {
  // The table ends with a zero.
  if (offset >= strings_end_ - strings_) return {};
  return reinterpret_cast<const char*>(bytes_.data() + strings_ + offset);
}

/// What a chain of other names for a type leads to.
std::uint32_t Btf::strip(std::uint32_t id) const {
  for (unsigned i = 0; i < 16; ++i) {
    const Type found = type(id);
    const unsigned kind = kind_of(found.info);
    if (kind != kTypedef && kind != kVolatile && kind != kConst && kind != kRestrict && kind != kTypeTag)
      break;
    id = found.size_or_type;
  }
  return id;
}

std::optional<Btf::Found> Btf::member(std::uint32_t id, std::string_view wanted, unsigned depth,
                                      std::uint32_t& budget) const {
  const Type in = type(strip(id));
  const unsigned kind = kind_of(in.info);
  if ((kind != kStruct && kind != kUnion) || depth > kDeepest) return std::nullopt;
  const bool with_sizes = in.info >> 31 != 0;
  for (std::uint32_t i = 0; i < count_of(in.info) && budget > 0; ++i) {
    --budget;
    const std::size_t at = in.more + i * kMemberSize;
    const std::string_view called = name(word(at));
    const std::uint32_t place = word(at + 8);
    if (with_sizes && place >> 24 != 0) continue;  // a bit field
    const std::uint64_t bits = with_sizes ? place & 0xFF'FFFF : place;
    if (called == wanted) return Found{bits, word(at + 4)};
    if (!called.empty()) continue;
    if (auto inner = member(word(at + 4), wanted, depth + 1, budget))
      return Found{bits + inner->bits, inner->type};
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Btf::offset(std::string_view structure, std::string_view path) const {
  for (std::uint32_t id = 1; id < types_.size(); ++id) {
    const Type candidate = type(id);
    if (kind_of(candidate.info) != kStruct || name(candidate.name) != structure) continue;
    Found found{0, id};
    std::uint32_t budget = kMostMembers;
    for (std::string_view rest = path; !rest.empty();) {
      const std::size_t dot = std::min(rest.find('.'), rest.size());
      const auto next = member(found.type, rest.substr(0, dot), 0, budget);
      if (!next) return std::nullopt;
      found = {found.bits + next->bits, next->type};
      rest.remove_prefix(std::min(dot + 1, rest.size()));
    }
    if (found.bits % 8 != 0) return std::nullopt;
    return found.bits / 8;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Btf::size(std::string_view structure) const {
  for (std::uint32_t id = 1; id < types_.size(); ++id) {
    const Type candidate = type(id);
    if (kind_of(candidate.info) == kStruct && name(candidate.name) == structure)
      return candidate.size_or_type;
  }
  return std::nullopt;
}

}  // namespace hindsight::debugger::symbols
