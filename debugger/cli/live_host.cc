#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "debugger/cli/machine_builder.h"
#include "devices/hostio/disk_image.h"
#include "devices/hostio/host_nondet.h"
#include "devices/hostio/script.h"
#include "devices/hostio/slirp_network.h"
#include "devices/hostio/terminal.h"

namespace hindsight::debugger::cli {
namespace {

namespace hostio = devices::hostio;
using engine::port::Channel;

class RealHost final : public LiveHost {
 public:
  RealHost(const hostio::HostOptions& options, bool interactive)
      : nondet_(options), interactive_(interactive) {}
  ~RealHost() override {
    if (input_fd_ >= 0) ::close(input_fd_);
  }

  engine::port::NondetSource& source() override { return nondet_; }
  engine::port::OutputSink& sink() override { return nondet_; }
  [[nodiscard]] std::uint64_t disk_bytes() const override { return disk_bytes_; }
  [[nodiscard]] std::optional<std::string> host_failure() const override { return nondet_.failure(); }
  [[nodiscard]] std::optional<std::string> unfinished_script() const override {
    return script_ != nullptr ? script_->waiting_for() : std::nullopt;
  }

  [[nodiscard]] bool interactive() const override { return interactive_; }
  void restore_terminal() override {
    if (terminal_ != nullptr) terminal_->restore();
  }

  Status add_console(const LiveOptions& options) {
    std::unique_ptr<hostio::ConsoleBackend> console;
    if (!options.script.empty()) {
      Result<hostio::Script> script = hostio::load_script(options.script);
      if (!script) return script.failure();
      auto scripted = std::make_unique<hostio::ScriptedConsole>(std::move(*script), STDOUT_FILENO);
      script_ = scripted.get();
      console = std::move(scripted);
    } else {
      int input = STDIN_FILENO;
      if (!options.input.empty()) {
        input = input_fd_ = ::open(options.input.c_str(), O_RDONLY | O_CLOEXEC);
        if (input < 0) return error("{}: cannot open: {}", options.input, std::strerror(errno));
        struct stat status {};
        if (::fstat(input, &status) == 0 && S_ISDIR(status.st_mode))
          return error("{}: is a directory", options.input);
      }
      auto terminal = std::make_unique<hostio::Terminal>(input, STDOUT_FILENO, options.on_quit);
      terminal_ = terminal.get();
      console = std::move(terminal);
    }
    nondet_.add_console(std::move(console), Channel::serial0, {Channel::serial0, Channel::virtio_console});
    return Done{};
  }

  Status add_disk(const std::string& path) {
    Result<std::unique_ptr<hostio::DiskImage>> image = hostio::DiskImage::open(path);
    if (!image) return image.failure();
    disk_bytes_ = (*image)->sectors() * hostio::DiskImage::kSectorSize;
    nondet_.set_disk(std::move(*image));
    return Done{};
  }

  Status add_network() {
    Result<std::unique_ptr<hostio::SlirpNetwork>> network = hostio::SlirpNetwork::create({});
    if (!network) return network.failure();
    nondet_.set_network(std::move(*network));
    return Done{};
  }

 private:
  hostio::HostNondet nondet_;
  const bool interactive_;
  hostio::ScriptedConsole* script_ = nullptr;  // owned by nondet_
  hostio::Terminal* terminal_ = nullptr;       // owned by nondet_
  std::uint64_t disk_bytes_ = 0;
  int input_fd_ = -1;
};

}  // namespace

Result<std::unique_ptr<LiveHost>> open_live_host(const LiveOptions& options) {
  // Somebody at a terminal expects time to pass as it does for him; a script or a pipe does not.
  const bool interactive = options.script.empty() && options.input.empty() && isatty(STDIN_FILENO) != 0;
  auto host = std::make_unique<RealHost>(
      hostio::HostOptions{interactive ? hostio::Pacing::interactive : hostio::Pacing::batch, options.seed},
      interactive);
  if (const Status added = host->add_console(options); !added) return added.failure();
  if (!options.disk.empty()) {
    if (const Status added = host->add_disk(options.disk); !added) return added.failure();
  }
  if (options.net == "user") {
    if (const Status added = host->add_network(); !added) return added.failure();
  }
  return std::unique_ptr<LiveHost>(std::move(host));
}

}  // namespace hindsight::debugger::cli
