#include "debugger/source/dwarf_file.h"

#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

namespace hindsight::debugger::source {
namespace {

/// Nothing but what the user named is read.
int no_other_file(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word,
                  char**) {
  return -1;
}
int no_other_elf(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) { return -1; }

const Dwfl_Callbacks kCallbacks{no_other_elf, no_other_file, dwfl_offline_section_address, nullptr};

constexpr int kDeepest = 64;                    // nested blocks, in whatever the file says
constexpr std::size_t kMostScanned = 1U << 22;  // entries of one unit that are looked at for one address
constexpr std::uint64_t kKernelHalf = std::uint64_t{1} << 63;

bool covers(Dwarf_Die& die, LinkAddress address) { return dwarf_haspc(&die, address) > 0; }

/// Appends what covers `address` below `parent`.
bool descend(Dwarf_Die parent, LinkAddress address, Scopes& scopes, int depth, std::size_t& scanned) {
  Dwarf_Die child;
  if (depth > kDeepest || dwarf_child(&parent, &child) != 0) return false;
  do {
    if (++scanned > kMostScanned) return false;
    switch (dwarf_tag(&child)) {
      case DW_TAG_subprogram:
      case DW_TAG_inlined_subroutine:
      case DW_TAG_lexical_block:
      case DW_TAG_try_block:
      case DW_TAG_catch_block:
        if (!covers(child, address)) break;
        scopes.push_back(child);
        descend(child, address, scopes, depth + 1, scanned);
        return true;
      case DW_TAG_namespace:
      case DW_TAG_structure_type:
      case DW_TAG_class_type:
      case DW_TAG_module:
        if (scopes.empty() && descend(child, address, scopes, depth + 1, scanned)) return true;
        break;
      default:
        break;
    }
  } while (dwarf_siblingof(&child, &child) == 0);
  return false;
}

}  // namespace

bool is_call(const Dwarf_Die& die) {
  Dwarf_Die copy = die;
  const int tag = dwarf_tag(&copy);
  return tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
}

Result<std::unique_ptr<DwarfFile>> DwarfFile::open(const std::string& path) {
  std::unique_ptr<DwarfFile> file(new DwarfFile(path));
  if (const Status loaded = file->load(); !loaded) return loaded.failure();
  return file;
}

DwarfFile::~DwarfFile() {
  if (session_ != nullptr) dwfl_end(session_);
}

Status DwarfFile::load() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return error("{}: {}", path_, std::strerror(errno));
  session_ = dwfl_begin(&kCallbacks);
  CHECK(session_ != nullptr, "elfutils does not start: {}", dwfl_errmsg(-1));
  dwfl_report_begin(session_);
  module_ = dwfl_report_offline(session_, path_.c_str(), path_.c_str(), descriptor);
  if (module_ == nullptr) {
    ::close(descriptor);  // else it is the module's
    return error("{}: an ELF file for x86-64 expected", path_);
  }
  dwfl_report_end(session_, nullptr, nullptr);
  Dwarf_Addr bias = 0;
  Elf* elf = dwfl_module_getelf(module_, &bias);
  GElf_Ehdr header;
  if (elf == nullptr || gelf_getehdr(elf, &header) == nullptr || header.e_machine != EM_X86_64)
    return error("{}: an ELF file for x86-64 expected", path_);
  dwarf_ = dwfl_module_getdwarf(module_, &bias_);
  if (dwarf_ == nullptr)
    return error("{}: a file with debug information (DWARF) expected: {}", path_, dwfl_errmsg(-1));
  if (header.e_type == ET_REL) kind_ = Kind::module;
  read_sections(elf);
  if (kind_ == Kind::program) read_code(elf);
  debug_frame_ = dwfl_module_dwarf_cfi(module_, &bias);
  eh_frame_ = dwfl_module_eh_cfi(module_, &bias);
  const unsigned char* id = nullptr;
  GElf_Addr note = 0;
  const int size = dwfl_module_build_id(module_, &id, &note);
  for (int i = 0; i < size; ++i) build_id_.push_back(static_cast<std::byte>(id[i]));
  if (kind_ == Kind::program) place_at_slide(0);
  return Done{};
}

void DwarfFile::read_sections(Elf* elf) {
  std::size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) return;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || (header.sh_flags & SHF_ALLOC) == 0) continue;
    const char* name = elf_strptr(elf, names, header.sh_name);
    if (name == nullptr) continue;
    sections_.push_back({name, header.sh_addr, header.sh_size});
    if (kind_ == Kind::program && sections_.back().name == ".text" && header.sh_addr >= kKernelHalf)
      kind_ = Kind::kernel;
    if (sections_.back().name == ".modinfo") read_module_name(section);
  }
  std::size_t segments = 0;
  bool any = false;
  if (elf_getphdrnum(elf, &segments) != 0) return;
  for (std::size_t i = 0; i < std::min<std::size_t>(segments, 4096); ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, static_cast<int>(i), &segment) == nullptr || segment.p_type != PT_LOAD) continue;
    const LinkAddress at = segment.p_vaddr & ~std::uint64_t{0xFFF};
    lowest_ = any ? std::min(lowest_, at) : at;
    any = true;
  }
}

void DwarfFile::read_code(Elf* elf) {
  constexpr std::size_t kMost = 64 << 20;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || (header.sh_flags & SHF_EXECINSTR) == 0 ||
        header.sh_type == SHT_NOBITS)
      continue;
    const Elf_Data* data = elf_rawdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr || data->d_size > kMost) continue;
    const auto* bytes = static_cast<const std::byte*>(data->d_buf);
    executable_.emplace_back(header.sh_addr, std::vector<std::byte>(bytes, bytes + data->d_size));
  }
}

bool ProgramCode::is_in(const Read& read) const {
  bool some = false;
  std::array<std::byte, kPageSize> page;
  for (const auto& [begin, bytes] : sections_) {
    for (std::size_t at = 0; at < bytes.size();) {
      const GuestVirt place = begin + at;
      const std::size_t size =
          std::min<std::size_t>(bytes.size() - at, kPageSize - (place.value & kPageMask));
      const std::span<std::byte> seen = std::span(page).first(size);
      if (read(place, seen) == size) {
        if (!std::ranges::equal(seen, std::span(bytes).subspan(at, size))) return false;
        some = true;
      }
      at += size;
    }
  }
  return some;
}

/// "name=ring" among zero-terminated lines.
void DwarfFile::read_module_name(Elf_Scn* section) {
  const Elf_Data* data = elf_rawdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr) return;
  const std::string_view text(static_cast<const char*>(data->d_buf), data->d_size);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with("name=")) module_name_ = line.substr(5);
    at = end + 1;
  }
}

void DwarfFile::place_at_slide(std::uint64_t slide) {
  areas_.clear();
  areas_.push_back({0, ~std::uint64_t{0}, GuestVirt{slide}});
  auto code = std::make_shared<ProgramCode>();
  for (const auto& [address, bytes] : executable_) code->add(GuestVirt{address + slide}, bytes);
  code_ = std::move(code);
}

void DwarfFile::place_at(GuestVirt address) {
  if (kind_ == Kind::module)
    place_sections({{".text", address}});
  else
    place_at_slide(address.value - lowest_);
}

void DwarfFile::place_sections(const std::vector<std::pair<std::string, GuestVirt>>& sections) {
  areas_.clear();
  for (const Section& mine : sections_)
    for (const auto& [name, address] : sections)
      if (name == mine.name && mine.size != 0) areas_.push_back({mine.begin, mine.size, address});
}

std::optional<LinkAddress> DwarfFile::linked(GuestVirt address) const {
  for (const Area& area : areas_)
    if (address.value - area.at.value < area.size) return area.begin + (address.value - area.at.value);
  return std::nullopt;
}

std::optional<GuestVirt> DwarfFile::loaded(LinkAddress address) const {
  for (const Area& area : areas_)
    if (address - area.begin < area.size) return area.at + (address - area.begin);
  return std::nullopt;
}

std::vector<Unit>& DwarfFile::units() {
  if (!indexed_) index_units();
  return units_;
}

void DwarfFile::index_units() {
  indexed_ = true;
  constexpr std::size_t kMostUnits = 1 << 20, kMostRanges = 1 << 20;
  Dwarf_CU* unit = nullptr;
  std::uint8_t type = 0;
  Dwarf_Die die;
  while (units_.size() < kMostUnits &&
         dwarf_get_units(dwarf_, unit, &unit, nullptr, &type, &die, nullptr) == 0) {
    if (type != DW_UT_compile || dwarf_tag(&die) != DW_TAG_compile_unit) continue;
    const char* name = dwarf_diename(&die);
    Dwarf_Addr base = 0, begin = 0, end = 0;
    std::ptrdiff_t at = 0;
    for (std::size_t i = 0; i < kMostRanges && (at = dwarf_ranges(&die, at, &base, &begin, &end)) > 0; ++i)
      if (begin < end) spans_.push_back({begin, end, units_.size()});
    units_.push_back({.die = die, .name = name == nullptr ? "" : name});
  }
  std::ranges::sort(spans_, {}, &Span::begin);
}

Unit* DwarfFile::unit_at(LinkAddress address) {
  if (!indexed_) index_units();
  auto after = std::ranges::upper_bound(spans_, address, {}, &Span::begin);
  if (after == spans_.begin()) return nullptr;
  const Span& span = *std::prev(after);
  return address < span.end ? &units_[span.unit] : nullptr;
}

void DwarfFile::read(Unit& unit) {
  if (unit.read) return;
  unit.read = true;
  Dwarf_Lines* lines = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrclines(&unit.die, &lines, &count) != 0) return;
  std::map<const char*, std::uint32_t> known;
  unit.lines.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    Dwarf_Line* row = dwarf_onesrcline(lines, i);
    Line line;
    int number = 0;
    if (row == nullptr || dwarf_lineaddr(row, &line.address) != 0 || dwarf_lineno(row, &number) != 0)
      continue;
    dwarf_linebeginstatement(row, &line.statement);
    dwarf_lineendsequence(row, &line.end);
    line.number = static_cast<std::uint32_t>(std::max(number, 0));
    const char* file = dwarf_linesrc(row, nullptr, nullptr);
    if (file == nullptr) file = "";
    const auto [at, fresh] = known.emplace(file, static_cast<std::uint32_t>(unit.files.size()));
    if (fresh) unit.files.emplace_back(file);
    line.file = at->second;
    unit.lines.push_back(line);
  }
  std::ranges::stable_sort(unit.lines, {}, &Line::address);
}

const Line* DwarfFile::line_at(Unit& unit, LinkAddress address) {
  read(unit);
  auto after = std::ranges::upper_bound(unit.lines, address, {}, &Line::address);
  if (after == unit.lines.begin()) return nullptr;
  // Of several rows for one address the last is what counts, of statements if there are any.
  const Line* found = &*std::prev(after);
  if (found->end) return nullptr;
  const LinkAddress at = found->address;
  for (auto row = after; row != unit.lines.begin() && std::prev(row)->address == at; --row)
    if (std::prev(row)->statement && !std::prev(row)->end && std::prev(row)->number != 0)
      return &*std::prev(row);
  return found->number == 0 ? nullptr : found;
}

Scopes DwarfFile::scopes_at(Unit& unit, LinkAddress address) {
  Scopes scopes;
  std::size_t scanned = 0;
  descend(unit.die, address, scopes, 0, scanned);
  return scopes;
}

Scopes DwarfFile::scopes_in(const Dwarf_Die& function, LinkAddress address) {
  Scopes scopes{function};
  std::size_t scanned = 0;
  descend(scopes.front(), address, scopes, 0, scanned);
  return scopes;
}

std::string DwarfFile::file_name(Unit& unit, std::uint64_t number) {
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dwarf_getsrcfiles(&unit.die, &files, &count) != 0 || number >= count) return {};
  const char* name = dwarf_filesrc(files, number, nullptr, nullptr);
  return name == nullptr ? "" : name;
}

std::string DwarfFile::symbol_at(LinkAddress address) const {
  GElf_Off offset = 0;
  GElf_Sym symbol;
  const char* name =
      dwfl_module_addrinfo(module_, address + bias_, &offset, &symbol, nullptr, nullptr, nullptr);
  return name == nullptr ? "" : fmt::format("{}+{:#x}", name, offset);
}

Dwarf_Frame* DwarfFile::call_frame(LinkAddress address) {
  for (Dwarf_CFI* cfi : {debug_frame_, eh_frame_}) {
    Dwarf_Frame* frame = nullptr;
    if (cfi != nullptr && dwarf_cfi_addrframe(cfi, address, &frame) == 0) return frame;
  }
  return nullptr;
}

}  // namespace hindsight::debugger::source
