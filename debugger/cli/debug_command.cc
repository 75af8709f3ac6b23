#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "debugger/cli/look.h"
#include "debugger/cli/source_output.h"
#include "debugger/ui/window.h"

namespace hindsight::debugger::cli {
namespace {

int complain(const Error& failure) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return kBadInput;
}

}  // namespace

int debug_command(const DebugOptions& options) {
  ui::WindowOptions window;
  constexpr int kLeast = 320, kMost = 16384;
  char rest = 0;
  if (std::sscanf(options.size.c_str(), "%dx%d%c", &window.width, &window.height, &rest) != 2 ||
      window.width < kLeast || window.height < kLeast || window.width > kMost || window.height > kMost) {
    fmt::print(stderr, "hindsight: --size: WIDTHxHEIGHT from {} to {} expected, found {}\n", kLeast, kMost,
               options.size);
    return kUsage;
  }
  const Look look = look_into(options.look);
  if (!look) return look.code;
  const auto sources = open_sources(*look.session, options.source);
  if (!sources) return complain(sources.failure());
  window.sources = sources->get();
  window.title = std::filesystem::path(options.look.trace).filename().string();
  window.script = options.script;
  window.headless = options.headless;
  window.scale = options.scale;
  const Status shown = ui::run_window(*look.session, window);
  return shown ? kOk : complain(shown.failure());
}

}  // namespace hindsight::debugger::cli
