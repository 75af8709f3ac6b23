#include "debugger/symbols/modules.h"

#include <algorithm>
#include <span>

#include "engine/base/little_endian.h"

namespace hindsight::debugger::symbols {
namespace {

// struct module begins: enum module_state; struct list_head; char name[MODULE_NAME_LEN].
constexpr std::uint64_t kListOffset = 8, kNameOffset = 24, kNameSize = 56;
constexpr std::uint64_t kSearchFrom = kNameOffset + kNameSize, kSearchTo = 2048;
constexpr std::size_t kMostModules = 1024, kMostSymbols = 1 << 16, kMostAllSymbols = 1 << 20;
constexpr std::size_t kLongestName = 512;
constexpr std::uint32_t kMostOrc = 1 << 20;

/// The head of one struct module.
class Fields {
 public:
  Fields(const MemoryView& memory, GuestVirt address) : address_(address) {
    // The struct ends before kSearchTo; what follows it may not be mapped.
    for (std::uint64_t size = kSearchTo; size > kSearchFrom && bytes_.empty(); size -= 256)
      bytes_ = load_array<std::byte>(memory, address, size);
  }
  [[nodiscard]] GuestVirt address() const { return address_; }
  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] std::uint64_t word(std::uint64_t offset) const {
    return offset + 8 <= size() ? load_little_endian(std::span(bytes_).subspan(offset).first<8>()) : 0;
  }
  [[nodiscard]] std::uint32_t half(std::uint64_t offset) const {
    return static_cast<std::uint32_t>(word(offset & ~std::uint64_t{7}) >> (offset & 4) * 8);
  }

 private:
  GuestVirt address_;
  std::vector<std::byte> bytes_;
};

bool whole_pages(std::uint32_t size) { return size != 0 && size % kPageSize == 0; }

/// The size of the code if the description of a module's memory begins at `at`: a base, sizes, and (of its
/// node in the kernel's tree) a pointer back to the module. 0 if not.
std::uint32_t text_size_at(const Fields& fields, std::uint64_t at) {
  const std::uint64_t base = fields.word(at), self = fields.address().value;
  if (base % kPageSize != 0 || !kModuleRegion.contains(GuestVirt{base})) return 0;
  const std::uint32_t first = fields.half(at + 8), second = fields.half(at + 12);
  if (fields.word(at + 24) == self) {
    // Up to 6.3, struct module_layout: size, of which text, of which read-only, of which so after init.
    const bool nested = second <= fields.half(at + 16) && fields.half(at + 16) <= fields.half(at + 20) &&
                        fields.half(at + 20) <= first;
    if (whole_pages(first) && second != 0 && nested) return second;
    // 6.13 and 6.14, struct module_memory: a writable copy and a flag before the size.
    if (whole_pages(fields.half(at + 20))) return fields.half(at + 20);
  }
  if (fields.word(at + 16) == self) {
    // From 6.4, struct module_memory: the size; later a flag before it.
    if (whole_pages(first)) return first;
    if (first <= 1 && whole_pages(second)) return second;
  }
  return 0;
}

/// The module's memory, its code first.
std::vector<Range> find_memory(const Fields& fields) {
  std::vector<Range> found;
  for (std::uint64_t at = kSearchFrom; at < fields.size(); at += 8) {
    const GuestVirt base{fields.word(at)};
    if (const std::uint32_t size = text_size_at(fields, at)) found.push_back({base, base + size});
  }
  return found;
}

/// Where struct module keeps `kallsyms`: once a module lives, it points to the field behind itself.
std::uint64_t find_kallsyms(const Fields& fields) {
  for (std::uint64_t at = kSearchFrom; at < fields.size(); at += 8) {
    if (fields.word(at) == fields.address().value + at + 8) return at;
  }
  return 0;
}

GuestVirt code_of(const MemoryView& memory, const OrcTable& orc, std::uint32_t index) {
  const GuestVirt at = orc.addresses + std::uint64_t{index} * 4;
  const auto offset = load<std::int32_t>(memory, at);
  return offset ? at + static_cast<std::uint64_t>(std::int64_t{*offset}) : GuestVirt{};
}

/// Whether these are addresses in order, most of them in `text` (the rest lies in code that was for once).
bool plausible(const MemoryView& memory, const OrcTable& orc, const Range& text) {
  if (orc.count == 0 || orc.count > kMostOrc || !kModuleRegion.contains(orc.addresses) ||
      !kModuleRegion.contains(orc.entries))
    return false;
  constexpr std::uint32_t kSamples = 16;
  GuestVirt last{};
  std::uint32_t inside = 0;
  for (std::uint32_t i = 0; i < kSamples; ++i) {
    const GuestVirt code =
        code_of(memory, orc, static_cast<std::uint32_t>(std::uint64_t{orc.count - 1} * i / (kSamples - 1)));
    if (code < last || !kModuleRegion.contains(code)) return false;
    last = code;
    inside += text.contains(code);
  }
  return inside >= kSamples / 2;
}

/// struct mod_arch_specific: a count and two pointers.
OrcTable find_orc(const MemoryView& memory, const Fields& fields, const Range& text) {
  for (std::uint64_t at = kSearchFrom; at < fields.size(); at += 8) {
    const OrcTable orc{GuestVirt{fields.word(at + 8)}, GuestVirt{fields.word(at + 16)}, fields.half(at)};
    if (plausible(memory, orc, text)) return orc;
  }
  return {};
}

/// Of the rest of the module's memory what holds code that the tables speak of: that of its initialisation.
Range find_init_text(const MemoryView& memory, const std::vector<Range>& rest, const OrcTable& orc,
                     const Range& text) {
  for (const std::uint32_t index : {0u, orc.count - 1}) {
    const GuestVirt code = orc.count != 0 ? code_of(memory, orc, index) : GuestVirt{};
    if (text.contains(code)) continue;
    for (const Range& range : rest) {
      if (range.contains(code)) return range;
    }
  }
  return {};
}

struct ElfSymbol {  // Elf64_Sym of the System V ABI
  std::uint32_t name;
  std::uint8_t info, other;
  std::uint16_t section;
  std::uint64_t value, size;
};

/// struct mod_kallsyms: symbols, their count, their names, their types. Returns how many it looked at.
std::size_t read_symbols(const MemoryView& memory, GuestVirt tables, const Range& text, SymbolTable& out) {
  const auto symbols_at = load<std::uint64_t>(memory, tables);
  const auto count = load<std::uint32_t>(memory, tables + 8);
  const auto names_at = load<std::uint64_t>(memory, tables + 16);
  const auto types_at = load<std::uint64_t>(memory, tables + 24);
  if (!symbols_at || !count || !names_at || !types_at || *count > kMostSymbols) return 0;
  const auto symbols = load_array<ElfSymbol>(memory, GuestVirt{*symbols_at}, *count);
  const auto types = load_array<char>(memory, GuestVirt{*types_at}, *count);
  for (std::size_t i = 0; i < symbols.size() && i < types.size(); ++i) {
    if (symbols[i].section == 0) continue;  // defined elsewhere
    const auto name = load_text(memory, GuestVirt{*names_at} + symbols[i].name, kLongestName);
    if (!name || name->empty()) continue;
    const GuestVirt address{symbols[i].value};
    out.add(*name, types[i], address, symbols[i].size, !kKernelHalf.contains(address));
  }
  out.seal(text.end);
  return symbols.size();
}

bool is_name(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

/// The addresses of every struct module on the list.
std::vector<GuestVirt> walk_list(const MemoryView& memory, GuestVirt head) {
  std::vector<GuestVirt> found;
  auto next = load<std::uint64_t>(memory, head);
  while (next && GuestVirt{*next} != head && found.size() < kMostModules) {
    found.push_back(GuestVirt{*next - kListOffset});
    next = load<std::uint64_t>(memory, GuestVirt{*next});
  }
  return found;
}

}  // namespace

std::vector<Module> read_modules(const MemoryView& memory, const KernelSymbols& kernel) {
  std::vector<Module> modules;
  const auto head = kernel.address_of("modules");
  if (!head) return modules;
  std::vector<Fields> all;
  std::uint64_t kallsyms = 0;  // alike in all modules, but only a living one shows it
  for (const GuestVirt address : walk_list(memory, *head)) {
    const auto state = load<std::uint32_t>(memory, address);
    const auto name = load_text(memory, address + kNameOffset, kNameSize);
    if (!state || *state > static_cast<std::uint32_t>(Module::State::going) || !name || !is_name(*name))
      continue;
    const Fields& fields = all.emplace_back(memory, address);
    if (kallsyms == 0) kallsyms = find_kallsyms(fields);
    Module& module = modules.emplace_back();
    module.name = *name;
    module.address = address;
    module.state = static_cast<Module::State>(*state);
    const std::vector<Range> parts = find_memory(fields);
    if (parts.empty()) continue;
    module.text = parts.front();
    module.orc = find_orc(memory, fields, module.text);
    module.init_text = find_init_text(memory, parts, module.orc, module.text);
  }
  std::size_t symbols = 0;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    modules[i].symbols = SymbolTable(modules[i].name);
    if (kallsyms == 0 || symbols > kMostAllSymbols) continue;
    symbols += read_symbols(memory, GuestVirt{all[i].word(kallsyms)}, modules[i].text, modules[i].symbols);
  }
  return modules;
}

}  // namespace hindsight::debugger::symbols
