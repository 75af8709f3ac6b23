#include "debugger/symbols/module_sections.h"

#include <array>
#include <string_view>

namespace hindsight::debugger::symbols {
namespace {

constexpr std::uint32_t kMostSections = 4096;  // a module's file has at most 65,535, in practice some dozens
constexpr std::size_t kLongestName = 512;

}  // namespace

Result<SectionReader> SectionReader::create(const Btf& btf) {
  SectionReader reader;
  struct Wanted {
    std::string_view structure, member;
    std::uint64_t SectionReader::*at;
  };
  const std::array<Wanted, 5> wanted{{{"module", "sect_attrs", &SectionReader::table_},
                                      {"module_sect_attrs", "nsections", &SectionReader::count_},
                                      {"module_sect_attrs", "attrs", &SectionReader::first_},
                                      {"module_sect_attr", "battr.attr.name", &SectionReader::name_},
                                      {"module_sect_attr", "address", &SectionReader::address_}}};
  for (const Wanted& each : wanted) {
    const auto offset = btf.offset(each.structure, each.member);
    if (!offset) return error("the kernel's BTF has no {}.{}", each.structure, each.member);
    reader.*each.at = *offset;
  }
  const auto size = btf.size("module_sect_attr");
  if (!size || *size == 0) return error("the kernel's BTF has no size of module_sect_attr");
  reader.size_ = *size;
  return reader;
}

std::vector<ModuleSection> SectionReader::read(const MemoryView& memory, GuestVirt module) const {
  std::vector<ModuleSection> sections;
  const auto table = load<std::uint64_t>(memory, module + table_);
  const auto count = table ? load<std::uint32_t>(memory, GuestVirt{*table} + count_) : std::nullopt;
  if (!count || *count > kMostSections) return sections;
  for (std::uint32_t i = 0; i < *count; ++i) {
    const GuestVirt entry = GuestVirt{*table} + first_ + i * size_;
    const auto name_at = load<std::uint64_t>(memory, entry + name_);
    const auto address = load<std::uint64_t>(memory, entry + address_);
    const auto name = name_at ? load_text(memory, GuestVirt{*name_at}, kLongestName) : std::nullopt;
    if (!name || !address) return {};
    sections.push_back({*name, GuestVirt{*address}});
  }
  return sections;
}

}  // namespace hindsight::debugger::symbols
