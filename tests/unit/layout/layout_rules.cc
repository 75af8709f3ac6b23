#include "tests/unit/layout/layout_rules.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <map>
#include <optional>
#include <sstream>

namespace hindsight::tests::layout {
namespace {

namespace fs = std::filesystem;
using std::string_view;

/// A room and the rooms that its files may include, besides their own and the generated schema.
struct Room {
  string_view prefix;
  std::initializer_list<string_view> may_include;
};

// The first row whose prefix fits is the room of a path; finer rooms stand before coarser ones.
const Room kRooms[] = {
    {"engine/base/", {}},
    {"engine/port/", {"engine/base/"}},
    {"engine/ir/", {"engine/base/", "engine/port/"}},
    {"engine/guest/", {"engine/base/", "engine/port/", "engine/ir/"}},
    {"engine/host/", {"engine/base/", "engine/port/", "engine/ir/"}},
    {"engine/interp/", {"engine/base/", "engine/port/", "engine/ir/"}},
    {"engine/mmu/", {"engine/base/", "engine/port/", "engine/ir/"}},
    {"engine/kvm/", {"engine/base/", "engine/port/", "engine/mmu/"}},
    {"engine/exec/", {"engine/"}},
    {"devices/", {"engine/base/", "engine/port/"}},
    {"traces/", {"engine/base/"}},
    {"replay/", {"engine/", "traces/"}},
    {"debugger/session/", {"engine/", "traces/", "replay/", "debugger/symbols/"}},
    {"debugger/symbols/", {"engine/", "traces/", "replay/"}},
    {"debugger/source/", {"engine/base/", "debugger/session/"}},
    {"debugger/query/", {"engine/", "traces/", "replay/", "debugger/session/", "debugger/symbols/"}},
    {"debugger/expect/", {"engine/", "traces/", "replay/", "debugger/query/", "debugger/session/"}},
    {"debugger/gdb/", {"engine/base/", "debugger/session/"}},
    {"debugger/ui/", {"engine/base/", "debugger/session/"}},
    {"debugger/cli/", {"engine/", "devices/", "traces/", "replay/", "debugger/"}},
    {"tests/", {"engine/", "devices/", "traces/", "replay/", "debugger/"}},
};

constexpr string_view kTopFolders[] = {"engine", "replay", "devices", "debugger", "traces", "tests"};

constexpr string_view kTopFiles[] = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "dev"};

// What builds and editors put there and .gitignore names.
constexpr string_view kTopIgnored[] = {"build", "compile_commands.json", "CMakeUserPresets.json"};

// Where the machine's own time and chance come from: nothing that a replay must repeat may see them.
constexpr string_view kNondeterministicHeaders[] = {"chrono", "random",     "ctime",
                                                    "time.h", "sys/time.h", "sys/random.h"};
constexpr string_view kDeterministicRooms[] = {"engine/", "devices/", "replay/"};
// NondetSource's host end lives in hostio; KVM needs the host's clocks and signals to leave a guest.
constexpr string_view kHostEnds[] = {"devices/hostio/", "engine/kvm/"};

constexpr std::size_t kMaxLines = 900;

bool starts_with_any(string_view text, auto&& prefixes) {
  return std::ranges::any_of(prefixes, [&](string_view prefix) { return text.starts_with(prefix); });
}

bool contains(auto&& list, string_view item) { return std::ranges::find(list, item) != std::end(list); }

string_view top_of(string_view path) { return path.substr(0, path.find('/')); }

const Room* room_of(string_view path) {
  for (const Room& room : kRooms) {
    if (path.starts_with(room.prefix)) return &room;
  }
  return nullptr;
}

/// A folder of its own inside the room: under guest/ and host/ each architecture is one.
string_view own_folder(const Room& room, string_view path) {
  const bool by_architecture = room.prefix == "engine/guest/" || room.prefix == "engine/host/";
  const auto end = path.find('/', room.prefix.size());
  return by_architecture && end != string_view::npos ? path.substr(0, end + 1) : room.prefix;
}

struct Include {
  string_view name;
  bool quoted;
};

std::optional<Include> parse_include(string_view line) {
  const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_blanks();
  if (!line.starts_with('#')) return std::nullopt;
  line.remove_prefix(1);
  skip_blanks();
  if (!line.starts_with("include")) return std::nullopt;
  line.remove_prefix(std::size("include") - 1);
  skip_blanks();
  if (line.empty() || (line[0] != '"' && line[0] != '<')) return std::nullopt;
  const char close = line[0] == '"' ? '"' : '>';
  const auto end = line.find(close, 1);
  if (end == string_view::npos) return std::nullopt;
  return Include{line.substr(1, end - 1), close == '"'};
}

std::string check_include(string_view path, Include include) {
  const std::string name(include.name);
  if (!contains(kTopFolders, top_of(name))) {
    if (include.quoted) return "\"" + name + "\" is not a path from the root of the tree";
    if (starts_with_any(path, kDeterministicRooms) && !starts_with_any(path, kHostEnds) &&
        contains(kNondeterministicHeaders, name)) {
      return "<" + name + "> brings in the host's time or chance, which cross only NondetSource";
    }
    return {};
  }
  const bool generated = name.starts_with("traces/schema/") && name.ends_with(".capnp.h");
  const Room* room = room_of(path);
  if (room == nullptr) return "this folder has no row in the rules";
  if (generated || name.starts_with(own_folder(*room, path))) return {};
  if (starts_with_any(name, room->may_include)) return {};
  return std::string(room->prefix) + " may not include " + name;
}

bool is_source(const fs::path& path) {
  constexpr string_view kExtensions[] = {".h", ".cc", ".def", ".inc"};
  return contains(kExtensions, path.extension().string());
}

/// Tables are exempt from the limit: .def and .inc files, and files whose name says that they are one.
bool is_table(string_view path) {
  return path.ends_with(".def") || path.ends_with(".inc") || path.find("table") != string_view::npos;
}

std::vector<fs::path> sources(const fs::path& root) {
  std::vector<fs::path> found;
  for (string_view top : kTopFolders) {
    if (!fs::is_directory(root / top)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      if (entry.is_regular_file() && is_source(entry.path())) found.push_back(entry.path());
    }
  }
  std::ranges::sort(found);
  return found;
}

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// Ids of types grow from the file's id and the type's name, so that two files with one id can clash.
std::vector<Violation> check_schemas(const fs::path& folder) {
  std::vector<Violation> found;
  if (!fs::is_directory(folder)) return found;
  std::map<std::string, std::string> owners;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".capnp") continue;
    const std::string name = entry.path().filename().string();
    const std::string text = read(entry.path());
    const std::string id(schema_id(text));
    if (id.empty()) found.push_back({name, 1, "a schema file opens with its id"});
    const auto [owner, is_new] = owners.emplace(id, name);
    if (!is_new) found.push_back({name, 1, "shares its id with " + owner->second});
  }
  return found;
}

}  // namespace

std::string_view schema_id(string_view text) {
  if (!text.starts_with("@0x")) return {};
  return text.substr(0, std::min(text.find(';'), text.size()));
}

std::vector<Violation> check_file(string_view path, string_view text) {
  std::vector<Violation> found;
  const auto report = [&](int line, std::string what) {
    found.push_back({std::string(path), line, std::move(what)});
  };
  if (path.ends_with(".h")) {
    if (!text.starts_with("//") && !text.starts_with("/*")) {
      report(1, "a header opens with what it is for");
    }
    if (text.find("#pragma once") == string_view::npos) report(1, "a header has #pragma once");
  }
  int line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const auto end = std::min(text.find('\n'), text.size());
    if (const auto include = parse_include(text.substr(0, end))) {
      if (std::string what = check_include(path, *include); !what.empty()) {
        report(line_number, std::move(what));
      }
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (static_cast<std::size_t>(line_number) > kMaxLines && !is_table(path)) {
    report(line_number, "more than " + std::to_string(kMaxLines) + " lines: split it by concern");
  }
  return found;
}

std::vector<Violation> check_top_level(const std::vector<std::string>& names) {
  std::vector<Violation> found;
  for (const std::string& name : names) {
    if (name.starts_with('.') || contains(kTopFolders, name) || contains(kTopFiles, name) ||
        contains(kTopIgnored, name)) {
      continue;
    }
    found.push_back({name, 0, "does not belong at the top of the tree"});
  }
  return found;
}

std::vector<Violation> check_tree(const fs::path& root) {
  std::vector<std::string> top;
  for (const auto& entry : fs::directory_iterator(root)) top.push_back(entry.path().filename().string());
  std::ranges::sort(top);
  std::vector<Violation> found = check_top_level(top);
  for (const fs::path& path : sources(root)) {
    const auto here = check_file(path.lexically_relative(root).generic_string(), read(path));
    found.insert(found.end(), here.begin(), here.end());
  }
  const auto schemas = check_schemas(root / "traces/schema");
  found.insert(found.end(), schemas.begin(), schemas.end());
  return found;
}

std::vector<Violation> check_sources_of_chance(const fs::path& root) {
  std::string tests;  // without blanks, so that a line may end anywhere
  for (const fs::path& path : sources(root))
    if (path.lexically_relative(root).generic_string().starts_with("tests/")) tests += read(path);
  std::erase_if(tests, [](char c) { return c == ' ' || c == '\n'; });
  std::vector<Violation> found;
  std::istringstream text(read(root / "replay/DETERMINISM.md"));
  std::string row;
  bool in_table = false;
  for (int line = 1; std::getline(text, row); ++line) {
    if (row.starts_with("|---")) in_table = true;
    if (!row.starts_with("|") && in_table) break;  // the first table is the one
    if (!row.starts_with("| ") || !in_table) continue;
    const std::string names = row.substr(row.rfind('|', row.size() - 2));
    std::size_t end = 0, count = 0;
    for (auto start = names.find('`'); start != std::string::npos;
         start = names.find('`', end + 1), ++count) {
      end = std::min(names.find('`', start + 1), names.size() - 1);
      const std::string name = names.substr(start + 1, end - start - 1);
      std::string declared = name;
      std::ranges::replace(declared, '.', ',');
      if (tests.find("(" + declared + ")") == std::string::npos)
        found.push_back({"replay/DETERMINISM.md", line, "there is no test " + name});
    }
    if (count == 0) found.push_back({"replay/DETERMINISM.md", line, "names no test"});
  }
  return found;
}

std::size_t count_sources(const fs::path& root) { return sources(root).size(); }

}  // namespace hindsight::tests::layout
