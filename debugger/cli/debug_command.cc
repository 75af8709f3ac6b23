#include "debugger/cli/debug_command.h"

#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <thread>

#include "debugger/cli/look.h"
#include "debugger/cli/replay_analyst.h"
#include "debugger/cli/source_output.h"
#include "debugger/gdb/server.h"

namespace hindsight::debugger::cli {
namespace {

int complain(const Error& failure) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return kBadInput;
}

/// gdb's server beside the window, on a thread of its own.
class GdbBeside final {
 public:
  static Result<std::shared_ptr<void>> start(session::Session& shared, const std::string& listen) {
    gdb::ServeOptions serve;
    serve.listen = listen.starts_with(':') ? "127.0.0.1" + listen : listen;
    serve.program_file = [&shared] { return shared.symbol_file(); };
    auto server = gdb::Server::open(shared, serve);
    if (!server) return server.failure();
    fmt::print("in gdb: target remote {}\n", (*server)->address());
    std::fflush(stdout);
    return std::shared_ptr<void>(std::make_shared<GdbBeside>(std::move(*server)));
  }
  explicit GdbBeside(std::unique_ptr<gdb::Server> server)
      : server_(std::move(server)), thread_([this] {
          if (const Status served = server_->run(); !served) complain(served.failure());
        }) {}
  ~GdbBeside() {
    server_->stop();
    thread_.join();
  }
  GdbBeside(const GdbBeside&) = delete;
  GdbBeside& operator=(const GdbBeside&) = delete;

 private:
  std::unique_ptr<gdb::Server> server_;
  std::thread thread_;
};

}  // namespace

Result<WindowSize> read_window_size(const std::string& text) {
  constexpr int kLeast = 320, kMost = 16384;
  WindowSize size;
  if (text.empty()) return size;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%dx%d%c", &size.width, &size.height, &rest) != 2 || size.width < kLeast ||
      size.height < kLeast || size.width > kMost || size.height > kMost)
    return error("--size: WIDTHxHEIGHT from {} to {} expected, found {}", kLeast, kMost, text);
  return size;
}

Status show_window(session::Session& session, const DebugOptions& options, const std::string& trace,
                   session::Analyst& analyst, bool live) {
  const auto sources = open_sources(session, options.source);
  if (!sources) return sources.failure();
  const auto size = read_window_size(options.size);
  if (!size) return size.failure();
  ui::WindowOptions window;
  window.width = size->width;
  window.height = size->height;
  window.sources = sources->get();
  window.title = std::filesystem::path(trace).filename().string();
  window.script = options.script;
  window.headless = options.headless;
  window.live = live;
  window.scale = options.scale;
  if (!options.gdb.empty()) {
    // A client that vanishes in the middle of an answer is no reason to end.
    signal(SIGPIPE, SIG_IGN);
    window.companion = [&](session::Session& shared) { return GdbBeside::start(shared, options.gdb); };
  }
  window.analyst = &analyst;
  return ui::run_window(session, window);
}

int debug_command(const DebugOptions& options) {
  if (const auto size = read_window_size(options.size); !size) {
    complain(size.failure());
    return kUsage;
  }
  const Look look = look_into(options.look);
  if (!look) return look.code;
  const auto analyst = make_analyst(options.look.trace, options.look.engine, {.jobs = options.look.jobs});
  const Status shown = show_window(*look.session, options, options.look.trace, *analyst, false);
  return shown ? kOk : complain(shown.failure());
}

}  // namespace hindsight::debugger::cli
