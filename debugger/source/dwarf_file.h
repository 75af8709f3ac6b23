// One ELF file with debug information (DWARF 2 to 5): which of its addresses lie where in the guest, and
// what it says of them. elfutils reads it; the file may hold anything. Link addresses are the file's own
// (of a module: as elfutils lays its sections out), guest addresses the running machine's. Owned by a
// SourceView; one thread.
#pragma once

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"

namespace hindsight::debugger::source {

using LinkAddress = Dwarf_Addr;

struct Line {
  LinkAddress address = 0;
  std::uint32_t file = 0;  ///< into Unit::files
  std::uint32_t number = 0;
  bool statement = false;  ///< a good place to stop at
  bool end = false;        ///< behind the last instruction of a sequence
};

/// A compilation unit; what of it was asked for is kept.
struct Unit {
  Dwarf_Die die{};
  std::string name = {};
  bool read = false;  ///< `lines` and `files` are filled
  std::vector<Line> lines = {};
  std::vector<std::string> files = {};
};

/// A function or a block of one, the outermost first: what covers an address.
using Scopes = std::vector<Dwarf_Die>;

/// A program's code where it lies once it is loaded. Immutable; any thread.
class ProgramCode final {
 public:
  /// How many bytes from there on could be read.
  using Read = std::function<std::size_t(GuestVirt at, std::span<std::byte> out)>;

  void add(GuestVirt at, std::vector<std::byte> bytes) { sections_.emplace_back(at, std::move(bytes)); }
  [[nodiscard]] bool empty() const { return sections_.empty(); }
  /// Whether this program runs in the address space that `read` looks at: some of its pages are there, and
  /// all that are hold its bytes.
  [[nodiscard]] bool is_in(const Read& read) const;

 private:
  std::vector<std::pair<GuestVirt, std::vector<std::byte>>> sections_;
};

class DwarfFile final {
 public:
  enum class Kind : std::uint8_t { kernel, module, program };

  /// Errors name the file and say what was expected.
  static Result<std::unique_ptr<DwarfFile>> open(const std::string& path);
  ~DwarfFile();
  DwarfFile(const DwarfFile&) = delete;
  DwarfFile& operator=(const DwarfFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Kind kind() const { return kind_; }
  /// As the kernel lists it.
  [[nodiscard]] const std::string& module_name() const { return module_name_; }
  [[nodiscard]] const std::vector<std::byte>& build_id() const { return build_id_; }

  // ---- where it lies in the guest
  void place_at_slide(std::uint64_t slide);
  /// Its lowest segment; of a module .text.
  void place_at(GuestVirt address);
  void place_sections(const std::vector<std::pair<std::string, GuestVirt>>& sections);
  [[nodiscard]] bool placed() const { return !areas_.empty(); }
  [[nodiscard]] std::optional<LinkAddress> linked(GuestVirt address) const;
  [[nodiscard]] std::optional<GuestVirt> loaded(LinkAddress address) const;
  /// Of a program, as it is placed; empty where the file holds debug information alone.
  [[nodiscard]] std::shared_ptr<const ProgramCode> code() const { return code_; }

  // ---- code
  [[nodiscard]] std::vector<Unit>& units();
  /// The unit with code at an address.
  Unit* unit_at(LinkAddress address);
  /// Reads its lines, unless that was done.
  void read(Unit& unit);
  /// The line that an instruction belongs to.
  const Line* line_at(Unit& unit, LinkAddress address);
  /// The innermost function's blocks and calls inlined there; empty: none covers it.
  [[nodiscard]] static Scopes scopes_at(Unit& unit, LinkAddress address);
  /// Likewise, of a function that is known.
  [[nodiscard]] static Scopes scopes_in(const Dwarf_Die& function, LinkAddress address);
  /// A file that attributes name by number; empty: there is none.
  [[nodiscard]] static std::string file_name(Unit& unit, std::uint64_t number);
  /// "main+0x12", from the symbol table; empty: it names nothing there.
  [[nodiscard]] std::string symbol_at(LinkAddress address) const;
  /// Call-frame information of an address, .debug_frame's before .eh_frame's. The caller frees it.
  [[nodiscard]] Dwarf_Frame* call_frame(LinkAddress address);

 private:
  struct Section {
    std::string name;
    LinkAddress begin = 0;
    std::uint64_t size = 0;
  };
  struct Area {
    LinkAddress begin = 0;
    std::uint64_t size = 0;
    GuestVirt at;
  };
  struct Span {
    LinkAddress begin = 0, end = 0;
    std::size_t unit = 0;
  };

  explicit DwarfFile(std::string path) : path_(std::move(path)) {}
  Status load();
  void read_sections(Elf* elf);
  void read_code(Elf* elf);
  void read_module_name(Elf_Scn* section);
  void index_units();

  const std::string path_;
  Dwfl* session_ = nullptr;
  Dwfl_Module* module_ = nullptr;
  Dwarf* dwarf_ = nullptr;
  Dwarf_Addr bias_ = 0;  ///< of dwarf_ in module_
  Dwarf_CFI* debug_frame_ = nullptr;
  Dwarf_CFI* eh_frame_ = nullptr;
  Kind kind_ = Kind::program;
  std::string module_name_;
  std::vector<std::byte> build_id_;
  std::vector<Section> sections_;
  LinkAddress lowest_ = 0;
  std::vector<std::pair<LinkAddress, std::vector<std::byte>>> executable_;  ///< a program's sections
  std::shared_ptr<const ProgramCode> code_ = std::make_shared<ProgramCode>();
  std::vector<Area> areas_;
  bool indexed_ = false;
  std::vector<Unit> units_;
  std::vector<Span> spans_;
};

/// Of a tag that is a call: a function, or one inlined.
[[nodiscard]] bool is_call(const Dwarf_Die& die);

}  // namespace hindsight::debugger::source
