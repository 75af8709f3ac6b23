#include "debugger/symbols/vmlinux.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>

namespace hindsight::debugger::symbols {
namespace {

constexpr std::size_t kMostNotes = 64 << 10;
constexpr std::string_view kGnu("GNU\0", 4);

/// The build id among these notes (gABI, note section).
BuildId find_build_id(std::span<const std::byte> notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data(), sizeof note);
    notes = notes.subspan(sizeof note);
    const std::uint64_t name = (std::uint64_t{note.n_namesz} + 3) & ~std::uint64_t{3};
    const std::uint64_t size = (std::uint64_t{note.n_descsz} + 3) & ~std::uint64_t{3};
    if (name > notes.size() || size > notes.size() - name) break;
    const bool gnu = note.n_namesz == kGnu.size() && std::memcmp(notes.data(), kGnu.data(), kGnu.size()) == 0;
    if (gnu && note.n_type == NT_GNU_BUILD_ID) {
      const auto id = notes.subspan(name, note.n_descsz);
      return {id.begin(), id.end()};
    }
    notes = notes.subspan(name + size);
  }
  return {};
}

class File {
 public:
  ~File() {
    if (elf_ != nullptr) elf_end(elf_);
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Status open(const std::string& path) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) return error("{}: {}", path, std::strerror(errno));
    if (elf_version(EV_CURRENT) == EV_NONE) return error("libelf is of another version than its header");
    elf_ = elf_begin(descriptor_, ELF_C_READ_MMAP, nullptr);
    GElf_Ehdr header;
    if (elf_ == nullptr || elf_kind(elf_) != ELF_K_ELF || gelf_getehdr(elf_, &header) == nullptr ||
        header.e_machine != EM_X86_64)
      return error("{}: an ELF file for x86-64 expected", path);
    return Done{};
  }
  [[nodiscard]] Elf* elf() const { return elf_; }

 private:
  int descriptor_ = -1;
  Elf* elf_ = nullptr;
};

char type_of(const GElf_Sym& symbol, std::uint64_t section_flags, bool has_bits) {
  char type = 'd';
  if ((section_flags & SHF_EXECINSTR) != 0) {
    type = 't';
  } else if (!has_bits) {
    type = 'b';
  } else if ((section_flags & SHF_WRITE) == 0) {
    type = 'r';
  }
  return GELF_ST_BIND(symbol.st_info) == STB_LOCAL ? type : static_cast<char>(type - 'a' + 'A');
}

/// Adds what one symbol table defines.
void add_symbols(Elf* elf, Elf_Scn* section, const GElf_Shdr& header, std::uint64_t slide, SymbolTable& out) {
  Elf_Data* data = elf_getdata(section, nullptr);
  if (data == nullptr || header.sh_entsize == 0) return;
  const auto count = static_cast<int>(std::min<std::uint64_t>(header.sh_size / header.sh_entsize, 1 << 24));
  for (int i = 1; i < count; ++i) {
    GElf_Sym symbol;
    if (gelf_getsym(data, i, &symbol) == nullptr) return;
    const unsigned kind = GELF_ST_TYPE(symbol.st_info);
    if (symbol.st_shndx == SHN_UNDEF || kind == STT_FILE || kind == STT_SECTION) continue;
    const char* name = elf_strptr(elf, header.sh_link, symbol.st_name);
    if (name == nullptr || *name == '\0') continue;
    GElf_Shdr home{};
    Elf_Scn* in = symbol.st_shndx < SHN_LORESERVE ? elf_getscn(elf, symbol.st_shndx) : nullptr;
    if (in != nullptr) gelf_getshdr(in, &home);
    // Offsets into a CPU's own area do not move.
    const bool absolute = in == nullptr || !kKernelRegion.contains(GuestVirt{symbol.st_value});
    if (out.name_bytes() + std::strlen(name) > SymbolTable::kMostNameBytes) return;
    out.add(name, absolute ? 'A' : type_of(symbol, home.sh_flags, home.sh_type != SHT_NOBITS),
            GuestVirt{symbol.st_value + (absolute ? 0 : slide)}, symbol.st_size, absolute);
  }
}

}  // namespace

Result<Vmlinux> read_vmlinux(const std::string& path, std::uint64_t slide) {
  File file;
  if (const Status opened = file.open(path); !opened) return opened.failure();
  Vmlinux vmlinux;
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(file.elf(), section)) != nullptr;) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) continue;
    if (header.sh_type == SHT_SYMTAB) add_symbols(file.elf(), section, header, slide, vmlinux.symbols);
    if (header.sh_type != SHT_NOTE || !vmlinux.build_id.empty()) continue;
    const Elf_Data* data = elf_rawdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) continue;
    vmlinux.build_id = find_build_id({static_cast<const std::byte*>(data->d_buf), data->d_size});
  }
  if (vmlinux.symbols.size() == 0)
    return error("{}: a file with a symbol table expected; it is stripped", path);
  vmlinux.symbols.seal(kKernelRegion.end);
  return vmlinux;
}

BuildId running_build_id(const MemoryView& memory, const KernelSymbols& kernel) {
  const auto begin = kernel.address_of("__start_notes"), end = kernel.address_of("__stop_notes");
  if (!begin || !end || *end <= *begin || *end - *begin > kMostNotes) return {};
  return find_build_id(load_array<std::byte>(memory, *begin, *end - *begin));
}

std::string to_text(const BuildId& id) {
  std::string text;
  for (const std::byte byte : id) text += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return text;
}

}  // namespace hindsight::debugger::symbols
