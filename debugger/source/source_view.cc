#include "debugger/source/source_view.h"

#include <dwarf.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "debugger/source/line_steps.h"
#include "debugger/source/location.h"
#include "debugger/source/unwinding.h"
#include "debugger/source/variables.h"

namespace hindsight::debugger::source {
namespace {

namespace fs = std::filesystem;
using session::Direction;
using session::Session;
using session::SourceFrame;
using session::SourcePlace;
using session::SourceText;
using session::Stop;
using session::StopKind;
using session::Variable;

constexpr std::size_t kMostLevels = 256, kMostAddresses = 64;
constexpr std::uintmax_t kMostText = 16 << 20;
constexpr std::uint64_t kKernelHalf = std::uint64_t{1} << 63;
/// Names of registers by DWARF's numbers, and those numbers by instructions'.
constexpr std::string_view kNames[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
constexpr unsigned kDwarfNumber[] = {0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15};

/// Whether a file's name ends in `wanted`, at a whole folder or file.
bool ends_in(std::string_view name, std::string_view wanted) {
  if (!name.ends_with(wanted)) return false;
  return name.size() == wanted.size() || wanted.starts_with('/') ||
         name[name.size() - wanted.size() - 1] == '/';
}

struct Placed {
  std::unique_ptr<DwarfFile> file;
  bool fixed = false;        ///< the user said where it lies
  std::string trouble = {};  ///< empty: it is of use
  bool elsewhere = false;    ///< a program, and another one runs at the cursor

  /// Of code that may run at the cursor.
  [[nodiscard]] std::optional<LinkAddress> linked(GuestVirt address) const {
    return elsewhere ? std::nullopt : file->linked(address);
  }
};

/// Whether one of these programs runs; none: any.
session::Question any_runs(std::vector<std::shared_ptr<const ProgramCode>> programs) {
  if (programs.empty()) return {};
  return [programs = std::move(programs)](const session::View& view) {
    const auto read = [&](GuestVirt at, std::span<std::byte> out) { return view.read(at, out); };
    return std::ranges::any_of(programs, [&](const auto& program) { return program->is_in(read); });
  };
}

/// A call that has not returned, not counting those inlined into it.
struct Level {
  GuestVirt pc;
  RegisterFile registers = {};
  bool exact = false;  ///< pc is the instruction that comes next, else a return address
  bool interrupted = false;
  std::string where = {};

  [[nodiscard]] GuestVirt lookup() const { return exact ? pc : pc - 1; }
};

/// One of SourceView::frames().
struct Call {
  std::size_t level = 0;
  DwarfFile* file = nullptr;
  Unit* unit = nullptr;
  LinkAddress pc = 0;
  Scopes scopes = {};                 ///< from the function in
  std::size_t begin = 0, inside = 0;  ///< this call's own among them
};

class SourceView final : public session::Sources {
 public:
  SourceView(Session& session, std::vector<Placed> files, SourceFolders folders)
      : session_(session), files_(std::move(files)), folders_(std::move(folders)) {
    const auto table = session_.register_table();
    for (std::size_t i = 0; i < std::size(kNames); ++i) {
      const auto row = std::ranges::find(table, kNames[i], &session::RegisterInfo::name);
      index_[i] = static_cast<std::size_t>(row - table.begin());
    }
  }

  std::vector<SourceFrame> frames() override;
  std::vector<Variable> variables(std::size_t frame) override;
  std::shared_ptr<const SourceText> text(const std::string& file) override;
  Result<std::vector<GuestVirt>> addresses(std::string_view file_and_line) override;
  session::Question when(std::string_view file_and_line) override;
  Result<Stop> step_line(Direction direction, std::optional<std::size_t> frame) override;
  std::vector<std::string> troubles() override {
    std::vector<std::string> all;
    for (const Placed& placed : files_)
      if (!placed.trouble.empty()) all.push_back(placed.trouble);
    return all;
  }

 private:
  void place();
  void place_program(Placed& placed);
  std::string place_kernel(DwarfFile& file);
  [[nodiscard]] bool is_running_kernel(const DwarfFile& file);
  std::vector<Level> levels();
  void complete(std::vector<Level>& all, bool from_kernel);
  std::optional<Caller> caller(const Level& level);
  void name_by_symbol(const Level& level, SourceFrame& frame) const;
  void add_calls(std::size_t index, const Level& level, std::vector<SourceFrame>& out);
  [[nodiscard]] FrameView view_of(const Call& call) const;
  void find_statements(SourceText& text);
  Status read_text(SourceText& text) const;
  [[nodiscard]] std::vector<std::string> candidates(const std::string& file) const;
  struct Found {
    DwarfFile* file;
    Unit* unit;
    const Line* line;
  };
  Result<std::vector<Found>> find_line(std::string_view file_and_line);
  int add_stop(GuestVirt address, const session::Question& runs, std::optional<FrameRule> rule,
               std::optional<std::uint64_t> frame);
  std::optional<Result<Stop>> leave_backward(const Call& call);

  Session& session_;
  std::vector<Placed> files_;
  const SourceFolders folders_;
  std::array<std::size_t, std::size(kNames)> index_{};
  const MemoryReader read_ = [this](GuestVirt at, std::span<std::byte> out) {
    return session_.read(at, out) == out.size();
  };
  const std::function<std::string(GuestVirt)> name_ = [this](GuestVirt at) {
    if (at.value < kKernelHalf) return std::string();
    std::string text = session_.describe(at);
    return text.starts_with("0x") ? std::string() : text;
  };
  std::vector<Level> levels_;
  std::vector<Call> calls_;
  std::map<std::string, std::pair<std::size_t, std::shared_ptr<const SourceText>>> texts_;
  std::size_t placements_ = 0;
};

void SourceView::place() {
  std::optional<Result<std::vector<session::ModuleInfo>>> modules;
  for (Placed& placed : files_) {
    DwarfFile& file = *placed.file;
    if (file.kind() == DwarfFile::Kind::program) place_program(placed);
    if (placed.fixed || file.kind() == DwarfFile::Kind::program) continue;
    if (file.kind() == DwarfFile::Kind::kernel) {
      if (file.placed()) continue;
      placed.trouble = place_kernel(file);
      ++placements_;
      continue;
    }
    if (!modules) modules = session_.modules();
    const session::ModuleInfo* found = nullptr;
    if (*modules)
      for (const session::ModuleInfo& module : **modules)
        if (module.name == file.module_name()) found = &module;
    if (found != nullptr && !found->sections.empty()) {
      file.place_sections(found->sections);
      placed.trouble.clear();
      ++placements_;
    } else if (!file.placed()) {
      placed.trouble =
          *modules
              ? fmt::format("{}: the module {} is not loaded here", file.path(), file.module_name())
              : fmt::format("{}: where it lies is not known: {}", file.path(), modules->failure().message);
    }
  }
}

/// Programs share their addresses with others: whose they are at the cursor the memory there tells.
void SourceView::place_program(Placed& placed) {
  const auto code = placed.file->code();
  const auto read = [this](GuestVirt at, std::span<std::byte> out) { return session_.read(at, out); };
  placed.elsewhere = !code->empty() && !code->is_in(read);
  placed.trouble =
      placed.elsewhere ? fmt::format("{}: not the program that runs here", placed.file->path()) : "";
}

std::string SourceView::place_kernel(DwarfFile& file) {
  const auto slide = session_.kernel_slide();
  if (!slide) return fmt::format("{}: where it lies is not known: {}", file.path(), slide.failure().message);
  if (!is_running_kernel(file))
    return fmt::format("{}: the kernel that runs here is another one", file.path());
  file.place_at_slide(*slide);
  return {};
}

/// By its build id, which the kernel's notes hold.
bool SourceView::is_running_kernel(const DwarfFile& file) {
  constexpr std::uint64_t kMostNotes = 64 << 10;
  const auto begin = session_.resolve("__start_notes"), end = session_.resolve("__stop_notes");
  const std::vector<std::byte>& id = file.build_id();
  if (!begin || !end || id.empty() || *end <= *begin || *end - *begin > kMostNotes) return true;
  std::vector<std::byte> notes(*end - *begin);
  if (!read_(*begin, notes)) return true;
  return std::search(notes.begin(), notes.end(), id.begin(), id.end()) != notes.end();
}

std::vector<Level> SourceView::levels() {
  Level now{.pc = session_.pc(), .exact = true, .where = session_.describe(session_.pc())};
  const std::vector<session::RegisterValue> values = session_.registers();
  for (std::size_t i = 0; i < index_.size(); ++i)
    if (index_[i] < values.size()) now.registers[i] = values[index_[i]][0];
  now.registers[kReturnAddress] = now.pc.value;
  std::vector<Level> all;
  const auto known = session_.frames();
  const bool from_kernel = known && !known->empty() && known->front().pc == now.pc;
  for (std::size_t i = 1; from_kernel && i < known->size(); ++i) {
    const session::FrameInfo& frame = (*known)[i];
    Level& level = all.emplace_back(Level{
        .pc = frame.pc, .exact = frame.interrupted, .interrupted = frame.interrupted, .where = frame.where});
    for (unsigned number = 0; number < 16; ++number)
      if ((frame.known >> number & 1) != 0) level.registers[kDwarfNumber[number]] = frame.general[number];
    level.registers[kReturnAddress] = frame.pc.value;
  }
  all.insert(all.begin(), std::move(now));
  complete(all, from_kernel);
  return all;
}

/// Adds what call-frame information tells: more registers of callers, and callers that the kernel's own
/// tables do not know.
void SourceView::complete(std::vector<Level>& all, bool from_kernel) {
  for (std::size_t i = 0; i < all.size() && all.size() < kMostLevels; ++i) {
    const bool last = i + 1 == all.size();
    if (last && from_kernel && all[i].pc.value >= kKernelHalf) return;
    const auto from = caller(all[i]);
    if (!from) continue;
    if (last) {
      all.push_back({.pc = from->pc, .registers = from->registers, .where = session_.describe(from->pc)});
    } else if (all[i + 1].pc == from->pc && !all[i + 1].interrupted) {
      for (std::size_t number = 0; number < from->registers.size(); ++number)
        if (!all[i + 1].registers[number]) all[i + 1].registers[number] = from->registers[number];
    }
  }
}

std::optional<Caller> SourceView::caller(const Level& level) {
  for (const Placed& placed : files_) {
    const auto pc = placed.linked(level.lookup());
    if (!pc) continue;
    if (auto found = caller_of({*placed.file, *pc, level.registers, read_})) return found;
  }
  return std::nullopt;
}

std::vector<SourceFrame> SourceView::frames() {
  place();
  levels_ = levels();
  calls_.clear();
  std::vector<SourceFrame> all;
  for (std::size_t i = 0; i < levels_.size(); ++i) add_calls(i, levels_[i], all);
  return all;
}

/// Of a program, which the kernel does not know.
void SourceView::name_by_symbol(const Level& level, SourceFrame& frame) const {
  for (const Placed& placed : files_) {
    const auto pc = placed.linked(level.lookup());
    std::string name = pc ? placed.file->symbol_at(*pc) : "";
    if (name.empty()) continue;
    frame.function = std::move(name);
    return;
  }
}

void SourceView::add_calls(std::size_t index, const Level& level, std::vector<SourceFrame>& out) {
  Call call{.level = index};
  for (const Placed& placed : files_) {
    const auto pc = placed.linked(level.lookup());
    Unit* unit = pc ? placed.file->unit_at(*pc) : nullptr;
    if (unit == nullptr) continue;
    call.file = placed.file.get();
    call.unit = unit;
    call.pc = *pc;
    call.scopes = DwarfFile::scopes_at(*unit, *pc);
    break;
  }
  SourceFrame frame{.pc = level.pc, .function = level.where, .interrupted = level.interrupted};
  if (call.unit != nullptr)
    if (const Line* line = call.file->line_at(*call.unit, call.pc))
      frame.place = SourcePlace{call.unit->files[line->file], line->number};
  if (frame.function.starts_with("0x") || frame.function == "user space") name_by_symbol(level, frame);
  call.inside = call.scopes.size();
  for (std::size_t i = call.scopes.size(); i-- > 0;) {
    Dwarf_Die die = call.scopes[i];
    if (!is_call(die)) continue;
    if (const char* name = dwarf_diename(&die)) frame.function = name;
    frame.inlined = dwarf_tag(&die) == DW_TAG_inlined_subroutine && i != 0;
    call.begin = i;
    out.push_back(frame);
    calls_.push_back(call);
    call.inside = i;
    // Where the call that was inlined stands is the next frame's place.
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0, line = 0;
    frame.place.reset();
    if (dwarf_formudata(dwarf_attr(&die, DW_AT_call_file, &attribute), &file) == 0 &&
        dwarf_formudata(dwarf_attr(&die, DW_AT_call_line, &attribute), &line) == 0)
      frame.place = SourcePlace{DwarfFile::file_name(*call.unit, file), static_cast<unsigned>(line)};
  }
  if (!calls_.empty() && calls_.back().level == index) return;
  out.push_back(frame);
  calls_.push_back(call);
}

FrameView SourceView::view_of(const Call& call) const {
  FrameView view{*call.file, call.pc, levels_[call.level].registers, read_};
  if (!call.scopes.empty()) view.function = call.scopes.front();
  return view;
}

std::vector<Variable> SourceView::variables(std::size_t frame) {
  if (frame >= calls_.size() || calls_[frame].unit == nullptr) return {};
  const Call& call = calls_[frame];
  const FrameView view = view_of(call);
  const ValueContext context{read_, name_};
  const std::span<const Dwarf_Die> own = std::span(call.scopes).subspan(call.begin, call.inside - call.begin);
  std::vector<Variable> all = variables_of(view, context, own);
  std::vector<Variable> file = file_variables(view, context, *call.unit);
  all.insert(all.end(), std::make_move_iterator(file.begin()), std::make_move_iterator(file.end()));
  return all;
}

// ---- text

std::vector<std::string> SourceView::candidates(const std::string& file) const {
  std::vector<std::string> all;
  for (const auto& [from, to] : folders_.mapped)
    if (file.starts_with(from)) all.push_back(to + file.substr(from.size()));
  for (const std::string& folder : folders_.folders) {
    // The whole name below the folder, then without its first folder, and so on.
    for (std::size_t at = file.starts_with('/') ? 1 : 0; at < file.size();) {
      all.push_back(folder + "/" + file.substr(at));
      const std::size_t slash = file.find('/', at);
      if (slash == std::string::npos) break;
      at = slash + 1;
    }
  }
  all.push_back(file);
  return all;
}

Status SourceView::read_text(SourceText& text) const {
  for (const std::string& path : candidates(text.file)) {
    std::error_code failure;
    if (!fs::is_regular_file(path, failure)) continue;
    if (fs::file_size(path, failure) > kMostText || failure) return error("{}: too long to be shown", path);
    std::ifstream in(path, std::ios::binary);
    if (!in) return error("{}: cannot be opened", path);
    text.path = path;
    for (std::string line; std::getline(in, line);) {
      if (line.ends_with('\r')) line.pop_back();
      text.lines.push_back(std::move(line));
    }
    return Done{};
  }
  return error("{}: not found; --source-dir DIR or FROM=TO says where it is", text.file);
}

void SourceView::find_statements(SourceText& text) {
  for (const Placed& placed : files_) {
    if (!placed.file->placed()) continue;
    for (Unit& unit : placed.file->units()) {
      if (!unit.read && !ends_in(text.file, unit.name)) continue;
      for (const Line* line : line_begins(*placed.file, unit)) {
        if (unit.files[line->file] != text.file) continue;
        if (const auto address = placed.file->loaded(line->address))
          text.statements.emplace_back(*address, line->number);
      }
    }
  }
  std::ranges::sort(text.statements);
}

std::shared_ptr<const SourceText> SourceView::text(const std::string& file) {
  std::size_t stamp = placements_ << 32;
  for (const Placed& placed : files_)
    stamp += static_cast<std::size_t>(std::ranges::count_if(placed.file->units(), &Unit::read));
  auto& [at, known] = texts_[file];
  if (known && at == stamp) return known;
  auto text = std::make_shared<SourceText>();
  text->file = file;
  if (known) {
    text->path = known->path;
    text->lines = known->lines;
    text->trouble = known->trouble;
  } else if (const Status read = read_text(*text); !read) {
    text->trouble = read.failure().message;
  }
  find_statements(*text);
  at = stamp;
  known = text;
  return known;
}

// ---- places to break at

/// The nearest line with code, at every place that the compiler put it to.
Result<std::vector<SourceView::Found>> SourceView::find_line(std::string_view file_and_line) {
  const std::size_t colon = file_and_line.rfind(':');
  unsigned wanted = 0;
  const std::string_view digits = file_and_line.substr(std::min(colon, file_and_line.size() - 1) + 1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), wanted);
  if (colon == std::string_view::npos || colon == 0 || failure != std::errc{} ||
      end != digits.data() + digits.size())
    return error("FILE:LINE expected, found \"{}\"", file_and_line);
  const std::string_view name = file_and_line.substr(0, colon);
  bool named = false;
  std::vector<Found> all;
  unsigned nearest = ~0U;
  const auto search = [&](bool every_unit) {
    for (const Placed& placed : files_) {
      for (Unit& unit : placed.file->units()) {
        if (!every_unit && !ends_in(unit.name, name)) continue;
        for (const Line* line : line_begins(*placed.file, unit)) {
          if (!ends_in(unit.files[line->file], name)) continue;
          named = true;
          if (line->number < wanted || line->number > nearest) continue;
          if (line->number < nearest) all.clear();
          nearest = line->number;
          all.push_back({placed.file.get(), &unit, line});
        }
      }
    }
  };
  search(false);
  if (!named) search(true);  // a header, or a part of another file
  if (!all.empty()) return all;
  if (named) return error("{} has no code at line {} or after it", name, wanted);
  return error("no debug information knows a file {}", name);
}

Result<std::vector<GuestVirt>> SourceView::addresses(std::string_view file_and_line) {
  place();
  const auto all = find_line(file_and_line);
  if (!all) return all.failure();
  std::set<std::pair<const Unit*, Dwarf_Off>> calls;
  std::vector<GuestVirt> addresses;
  for (const Found& found : *all) {
    // The first of each function or inlined call: ascending, so the others come later.
    const Scopes scopes = DwarfFile::scopes_at(*found.unit, found.line->address);
    const auto call = std::ranges::find_if(scopes.rbegin(), scopes.rend(), is_call);
    Dwarf_Die die = call == scopes.rend() ? found.unit->die : *call;
    if (!calls.emplace(found.unit, dwarf_dieoffset(&die)).second || addresses.size() >= kMostAddresses)
      continue;
    if (const auto address = found.file->loaded(found.line->address)) addresses.push_back(*address);
  }
  if (addresses.empty()) return error("{}: its code is not loaded here", file_and_line);
  return addresses;
}

session::Question SourceView::when(std::string_view file_and_line) {
  const auto all = find_line(file_and_line);
  std::vector<std::shared_ptr<const ProgramCode>> programs;
  if (all)
    for (const Found& found : *all) {
      // Code that cannot be told apart counts whatever runs.
      if (found.file->code()->empty()) return {};
      if (std::ranges::find(programs, found.file->code()) == programs.end())
        programs.push_back(found.file->code());
    }
  return any_runs(std::move(programs));
}

// ---- walking from line to line

int SourceView::add_stop(GuestVirt address, const session::Question& runs, std::optional<FrameRule> rule,
                         std::optional<std::uint64_t> frame) {
  session::Condition condition;
  condition.breakpoint = replay::timeline::Breakpoint{address};
  if (!frame) return session_.add(condition, runs);
  // Where no simple rule holds: the same stack, and not above the frame.
  constexpr std::uint64_t kStack = 16 << 10;
  const std::size_t index = index_[rule ? rule->number : kStackPointer];
  return session_.add(condition, [=, wanted = *frame](const session::View& view) {
    const std::uint64_t value = view.register_value(index)[0];
    const bool same = rule ? value + rule->offset == wanted : value < wanted && wanted - value <= kStack;
    return same && (!runs || runs(view));
  });
}

/// At a function's first instruction the line before is the caller's.
std::optional<Result<Stop>> SourceView::leave_backward(const Call& call) {
  Dwarf_Die function = call.scopes.front();
  LinkAddress entry = 0;
  if (call.level != 0 || dwarf_entrypc(&function, &entry) != 0 || entry != call.pc) return std::nullopt;
  return session_.step(Direction::backward, 1);
}

Result<Stop> SourceView::step_line(Direction direction, std::optional<std::size_t> wanted) {
  const std::vector<SourceFrame> all = frames();
  const auto has_lines = [&](std::size_t i) { return all[i].place && !calls_[i].scopes.empty(); };
  std::size_t chosen = wanted.value_or(0);
  while (!wanted && chosen < all.size() && !has_lines(chosen)) ++chosen;
  if (chosen >= all.size() || !has_lines(chosen))
    return error("no line is known for the code that runs here");
  const Call call = calls_[chosen];
  const bool forward = direction == Direction::forward;
  if (!forward)
    if (auto left = leave_backward(call)) return *left;
  const auto frame = canonical_frame_address(view_of(call));
  const Line* here = call.file->line_at(*call.unit, call.pc);
  std::set<int> ids;
  session::Question runs;
  if (!call.file->code()->empty()) runs = any_runs({call.file->code()});
  const Scopes chain(call.scopes.begin(), call.scopes.begin() + static_cast<std::ptrdiff_t>(call.inside));
  for (const LineStop& stop : line_stops(*call.file, *call.unit, chain, forward ? here : nullptr))
    ids.insert(add_stop(stop.address, runs, stop.rule, frame));
  if (forward && call.level + 1 < levels_.size()) {
    const Level& back = levels_[call.level + 1];
    const auto sp = back.registers[kStackPointer];
    ids.insert(add_stop(back.pc, runs, FrameRule{kStackPointer, 0}, sp ? sp : frame));
  }
  Result<Stop> stopped = session_.run(direction);
  for (const int id : ids) session_.remove(id);
  if (!stopped || stopped->kind != StopKind::condition || !stopped->hit || !ids.contains(stopped->hit->id))
    return stopped;
  stopped->kind = StopKind::arrived;
  stopped->hit.reset();
  stopped->text.clear();
  return stopped;
}

}  // namespace

Result<SymbolFile> parse_symbol_file(const std::string& text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string::npos) return SymbolFile{text, {}};
  std::string_view digits = std::string_view(text).substr(at + 1);
  if (digits.starts_with("0x")) digits.remove_prefix(2);
  std::uint64_t address = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), address, 16);
  if (failure != std::errc{} || end != digits.data() + digits.size() || at == 0)
    return error("FILE or FILE@ADDRESS expected, found \"{}\"", text);
  return SymbolFile{text.substr(0, at), GuestVirt{address}};
}

void add_source_folder(const std::string& text, SourceFolders& folders) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos)
    folders.folders.push_back(text);
  else
    folders.mapped.emplace_back(text.substr(0, equals), text.substr(equals + 1));
}

Result<std::unique_ptr<session::Sources>> open_sources(session::Session& session,
                                                       const std::vector<SymbolFile>& files,
                                                       SourceFolders folders) {
  std::vector<Placed> all;
  for (const SymbolFile& wanted : files) {
    auto file = DwarfFile::open(wanted.path);
    if (!file) return file.failure();
    if (wanted.at) (*file)->place_at(*wanted.at);
    all.push_back({std::move(*file), wanted.at.has_value()});
  }
  return std::unique_ptr<session::Sources>(
      std::make_unique<SourceView>(session, std::move(all), std::move(folders)));
}

}  // namespace hindsight::debugger::source
