#include "debugger/symbols/symbol_elf.h"

#include <elf.h>

#include <algorithm>
#include <string>

#include "debugger/symbols/byte_writer.h"
#include "debugger/symbols/debug_frame.h"

namespace hindsight::debugger::symbols {
namespace {

/// Rows of all tables together; beyond that the rest goes without.
constexpr std::size_t kMostPlaces = 8'000'000;

struct Section {
  std::string name;
  Range range;
  std::uint64_t flags;
};

class SymbolFile {
 public:
  SymbolFile(const KernelSymbols& kernel, std::span<const Module> modules)
      : kernel_(kernel), modules_(modules) {}

  std::vector<std::byte> write(std::vector<std::byte> debug_frame) {
    choose_sections();
    names_.put_u8(0);
    symbols_.put(Elf64_Sym{});
    // Local symbols come first (System V ABI, symbol table).
    add_all(STB_LOCAL);
    const std::uint64_t locals = symbols_.size() / sizeof(Elf64_Sym);
    add_all(STB_GLOBAL);
    return assemble(std::move(debug_frame), static_cast<std::uint32_t>(locals));
  }

 private:
  void choose_sections() {
    const auto add = [&](std::string name, GuestVirt begin, GuestVirt end, std::uint64_t flags) {
      if (begin < end) sections_.push_back({std::move(name), {begin, end}, SHF_ALLOC | flags});
    };
    const Range& text = kernel_.text();
    const Range& image = kernel_.image();
    add(".text", text.begin, text.end, SHF_EXECINSTR);
    // Code that is freed after boot lies between data.
    const GuestVirt init = kernel_.address_of("_sinittext").value_or(image.end);
    const GuestVirt init_end = kernel_.address_of("_einittext").value_or(image.end);
    if (init >= text.end && init <= init_end && init_end <= image.end) {
      add(".data", text.end, init, SHF_WRITE);
      add(".init.text", init, init_end, SHF_EXECINSTR);
      add(".init.data", init_end, image.end, SHF_WRITE);
    } else {
      add(".data", text.end, image.end, SHF_WRITE);
    }
    for (const Module& module : modules_) {
      add(module.name + ".text", module.text.begin, module.text.end, SHF_EXECINSTR);
      add(module.name + ".init.text", module.init_text.begin, module.init_text.end, SHF_EXECINSTR);
    }
    order_.resize(sections_.size());
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::ranges::sort(order_, {}, [&](std::size_t i) { return sections_[i].range.begin; });
  }

  void add_all(unsigned binding) {
    add_table(kernel_.table(), binding);
    for (const Module& module : modules_) add_table(module.symbols, binding);
  }

  void add_table(const SymbolTable& table, unsigned binding) {
    for (std::size_t i = 0; i < table.size(); ++i) {
      const Symbol symbol = table[i];
      const bool global = symbol.type >= 'A' && symbol.type <= 'Z';
      if (global != (binding == STB_GLOBAL) || symbol.name.empty()) continue;
      Elf64_Sym out{};
      out.st_name = static_cast<Elf64_Word>(names_.size());
      names_.put_text(symbol.name);
      const bool weak = symbol.type == 'W' || symbol.type == 'V';
      out.st_info = static_cast<unsigned char>(
          ELF64_ST_INFO(weak ? STB_WEAK : binding, symbol.is_text() ? STT_FUNC : STT_OBJECT));
      out.st_shndx = section_of(symbol);
      out.st_value = symbol.address.value;
      out.st_size = symbol.size;
      symbols_.put(out);
    }
  }

  [[nodiscard]] std::uint16_t section_of(const Symbol& symbol) const {
    const auto after = std::ranges::upper_bound(order_, symbol.address, {},
                                                [&](std::size_t i) { return sections_[i].range.begin; });
    if (symbol.absolute || after == order_.begin()) return SHN_ABS;
    const Section& section = sections_[*(after - 1)];
    // A symbol may mark the end of its section.
    const bool inside = section.range.contains(symbol.address) || section.range.end == symbol.address;
    return inside ? static_cast<std::uint16_t>(*(after - 1) + 1) : static_cast<std::uint16_t>(SHN_ABS);
  }

  std::vector<std::byte> assemble(std::vector<std::byte> debug_frame, std::uint32_t locals) {
    ByteWriter out;
    out.put(Elf64_Ehdr{});
    std::vector<Elf64_Shdr> headers(1);
    ByteWriter header_names;
    header_names.put_u8(0);
    const auto header = [&](const std::string& name, std::uint32_t type) -> Elf64_Shdr& {
      Elf64_Shdr& made = headers.emplace_back();
      made.sh_name = static_cast<Elf64_Word>(header_names.size());
      header_names.put_text(name);
      made.sh_type = type;
      made.sh_addralign = 1;
      made.sh_offset = out.size();
      return made;
    };
    for (const Section& section : sections_) {
      Elf64_Shdr& made = header(section.name, SHT_NOBITS);
      made.sh_flags = section.flags;
      made.sh_addr = section.range.begin.value;
      made.sh_size = section.range.size();
    }
    const auto contents = [&](const std::string& name, std::uint32_t type,
                              const std::vector<std::byte>& bytes) -> Elf64_Shdr& {
      out.pad_to(8);
      Elf64_Shdr& made = header(name, type);
      made.sh_addralign = 8;
      made.sh_size = bytes.size();
      out.append(bytes);
      return made;
    };
    if (!debug_frame.empty()) contents(".debug_frame", SHT_PROGBITS, debug_frame);
    Elf64_Shdr& symtab = contents(".symtab", SHT_SYMTAB, symbols_.bytes());
    symtab.sh_link = static_cast<Elf64_Word>(headers.size());
    symtab.sh_info = locals;
    symtab.sh_entsize = sizeof(Elf64_Sym);
    contents(".strtab", SHT_STRTAB, names_.bytes());
    // Its own name is put in by header(), before its contents are.
    Elf64_Shdr& last = header(".shstrtab", SHT_STRTAB);
    last.sh_size = header_names.size();
    out.append(header_names.bytes());
    out.pad_to(8);
    put_file_header(out, headers.size());
    for (const Elf64_Shdr& each : headers) out.put(each);
    return out.take();
  }

  /// `out` has everything but the section headers.
  void put_file_header(ByteWriter& out, std::size_t headers) const {
    Elf64_Ehdr file{};
    std::memcpy(file.e_ident, ELFMAG, SELFMAG);
    file.e_ident[EI_CLASS] = ELFCLASS64;
    file.e_ident[EI_DATA] = ELFDATA2LSB;
    file.e_ident[EI_VERSION] = EV_CURRENT;
    file.e_type = ET_EXEC;
    file.e_machine = EM_X86_64;
    file.e_version = EV_CURRENT;
    file.e_entry = kernel_.text().begin.value;
    file.e_shoff = out.size();
    file.e_ehsize = sizeof(Elf64_Ehdr);
    file.e_shentsize = sizeof(Elf64_Shdr);
    file.e_shnum = static_cast<Elf64_Half>(headers);
    file.e_shstrndx = static_cast<Elf64_Half>(headers - 1);
    out.patch(0, file);
  }

  const KernelSymbols& kernel_;
  std::span<const Module> modules_;
  std::vector<Section> sections_;
  std::vector<std::size_t> order_;  ///< of sections, by address
  ByteWriter symbols_, names_;
};

void add_functions(const SymbolTable& table, std::vector<GuestVirt>& out) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    const Symbol symbol = table[i];
    if (symbol.is_text() && !symbol.absolute) out.push_back(symbol.address);
  }
}

/// Code that only user space can come to.
std::vector<Range> system_call_entries(const KernelSymbols& kernel) {
  std::vector<Range> found;
  for (std::size_t i = 0; i < kernel.table().size(); ++i) {
    const Symbol symbol = kernel.table()[i];
    if (symbol.name.starts_with("entry_SYS")) found.push_back({symbol.address, symbol.address + symbol.size});
  }
  return found;
}

std::vector<std::byte> frames_of(const KernelSymbols& kernel, std::span<const Module> modules,
                                 const Unwinder& unwinder, const MemoryView& memory) {
  std::vector<GuestVirt> functions;
  add_functions(kernel.table(), functions);
  for (const Module& module : modules) add_functions(module.symbols, functions);
  std::ranges::sort(functions);
  std::vector<FrameRegion> regions;
  std::size_t places = 0;
  for (const Unwinder::Table& table : unwinder.tables()) {
    if (places > kMostPlaces) break;
    regions.push_back({unwinder.read(memory, table), table.code.end});
    places += table.orc.count;
  }
  return write_debug_frame(regions, functions, system_call_entries(kernel));
}

}  // namespace

std::vector<std::byte> write_elf(const KernelSymbols& kernel, std::span<const Module> modules,
                                 const Unwinder* unwinder, const MemoryView& memory) {
  std::vector<std::byte> frames;
  if (unwinder != nullptr) frames = frames_of(kernel, modules, *unwinder, memory);
  return SymbolFile(kernel, modules).write(std::move(frames));
}

}  // namespace hindsight::debugger::symbols
