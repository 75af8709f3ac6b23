#include "debugger/cli/host_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace hindsight::debugger::cli {

namespace store = traces::store;

Result<store::Bytes> read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return error("{}: is a directory", path);
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return error("{}: cannot open: {}", path, std::strerror(errno));
  const std::streamoff size = in.tellg();
  if (size < 0) return error("{}: cannot tell its size", path);
  store::Bytes contents(static_cast<std::size_t>(size));
  in.seekg(0);
  if (!in.read(reinterpret_cast<char*>(contents.data()), size)) return error("{}: cannot read", path);
  return contents;
}

std::string base_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

}  // namespace hindsight::debugger::cli
