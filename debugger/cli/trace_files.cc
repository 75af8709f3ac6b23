#include "debugger/cli/trace_files.h"

#include <algorithm>
#include <filesystem>

namespace hindsight::debugger::cli {
namespace {

namespace fs = std::filesystem;

Result<std::vector<std::string>> traces_below(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code failure;
  for (fs::recursive_directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    const fs::path extension = at->path().extension();
    std::error_code ignored;
    if ((extension == ".trace" || extension == ".hst") && at->is_regular_file(ignored))
      found.push_back(at->path().string());
  }
  if (failure) return error("{}: {}", folder, failure.message());
  if (found.empty()) return error("{}: a folder with traces expected (*.trace, *.hst)", folder);
  std::ranges::sort(found);
  return found;
}

}  // namespace

Result<std::vector<std::string>> find_traces(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  for (const std::string& path : paths) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      all.push_back(path);
      continue;
    }
    const Result<std::vector<std::string>> below = traces_below(path);
    if (!below) return below;
    all.insert(all.end(), below->begin(), below->end());
  }
  return all;
}

}  // namespace hindsight::debugger::cli
