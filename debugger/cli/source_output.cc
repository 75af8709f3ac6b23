#include "debugger/cli/source_output.h"

#include <fmt/format.h>

#include "debugger/source/source_view.h"

namespace hindsight::debugger::cli {

Result<std::unique_ptr<session::Sources>> open_sources(session::Session& session,
                                                       const SourceOptions& options) {
  if (options.symbols.empty()) return std::unique_ptr<session::Sources>();
  std::vector<source::SymbolFile> files;
  for (const std::string& text : options.symbols) {
    const auto file = source::parse_symbol_file(text);
    if (!file) return error("--symbols: {}", file.failure().message);
    files.push_back(*file);
  }
  source::SourceFolders folders;
  for (const std::string& text : options.folders) source::add_source_folder(text, folders);
  return source::open_sources(session, files, std::move(folders));
}

void print_frames(const std::vector<session::SourceFrame>& frames) {
  std::size_t number = 0;
  for (const session::SourceFrame& frame : frames)
    fmt::print("#{:<3} {:016x}  {}{}{}{}\n", number++, frame.pc.value, frame.function,
               frame.place ? fmt::format(" at {}:{}", frame.place->file, frame.place->line) : "",
               frame.inlined ? "  inlined" : "", frame.interrupted ? "  interrupted here" : "");
}

void print_variables(const std::vector<session::Variable>& variables) {
  for (const session::Variable& variable : variables) {
    fmt::print("{} = {}  ({})\n", variable.name, variable.value, variable.type);
    for (const session::Variable& part : variable.parts)
      fmt::print("    {} = {}  ({})\n", part.name, part.value, part.type);
  }
}

}  // namespace hindsight::debugger::cli
