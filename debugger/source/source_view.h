// Makes a session's Sources (debugger/session/sources.h) from files that the user names.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "debugger/session/sources.h"

namespace hindsight::debugger::source {

struct SymbolFile {
  std::string path;
  /// Its lowest segment, of a module its .text; nothing: as the guest's kernel says, or as the file does.
  std::optional<GuestVirt> at;
};
/// "vmlinux", "a.out@0x555555554000".
Result<SymbolFile> parse_symbol_file(const std::string& text);

/// Where sources are looked for, in this order: a mapped name, below a folder by as much of the name as
/// there is, then as the name stands.
struct SourceFolders {
  std::vector<std::pair<std::string, std::string>> mapped;  ///< what a name begins with, and what instead
  std::vector<std::string> folders;
};
/// Adds "FROM=TO" or "DIR".
void add_source_folder(const std::string& text, SourceFolders& folders);

/// `session` outlives what is returned. Fails with one line on the first file that cannot be read.
Result<std::unique_ptr<session::Sources>> open_sources(session::Session& session,
                                                       const std::vector<SymbolFile>& files,
                                                       SourceFolders folders);

}  // namespace hindsight::debugger::source
