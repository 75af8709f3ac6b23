#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <thread>

#include "debugger/cli/look.h"
#include "debugger/cli/replay_analyst.h"
#include "debugger/cli/source_output.h"
#include "debugger/gdb/server.h"
#include "debugger/ui/window.h"

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
  if (!options.gdb.empty()) {
    // A client that vanishes in the middle of an answer is no reason to end.
    signal(SIGPIPE, SIG_IGN);
    window.companion = [&](session::Session& shared) { return GdbBeside::start(shared, options.gdb); };
  }
  const auto analyst = make_analyst(options.look);
  window.analyst = analyst.get();
  const Status shown = ui::run_window(*look.session, window);
  return shown ? kOk : complain(shown.failure());
}

}  // namespace hindsight::debugger::cli
