#include "tests/replay/symbols_guest.h"

#include <fstream>
#include <stdexcept>

namespace hindsight::tests {

namespace port = engine::port;

namespace {

traces::store::Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) throw std::runtime_error(path + ": cannot open");
  traces::store::Bytes contents(static_cast<std::size_t>(in.tellg()));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(contents.data()), static_cast<std::streamsize>(contents.size()));
  return contents;
}

}  // namespace

SymbolsGuest::SymbolsGuest(const std::string& kernel, const std::string& initrd, const std::string& append) {
  traces::store::MachineConfig config;
  config.ram_bytes = std::uint64_t{256} << 20;
  config.cpu_model = debugger::cli::cpu_model();
  config.cpu_features = debugger::cli::cpu_features();
  config.time_rate = 1 << 16;
  config.command_line = "console=ttyS0 panic=-1 " + append;
  const debugger::cli::BootFiles files{read_file(kernel), read_file(initrd)};
  auto built = debugger::cli::build_machine(config, &files, "jit", *this, *this);
  if (!built) throw std::runtime_error(built.failure().message);
  built_ = std::move(*built);
}

bool SymbolsGuest::run_to(const std::string& text) {
  awaited_ = text;
  const port::StopReason reason = machine().run(Icount::max());
  awaited_.clear();
  return reason == port::StopReason::interrupted;
}

bool SymbolsGuest::run_for(std::uint64_t count) {
  return machine().run(machine().now().icount + count) == port::StopReason::reached;
}

std::string SymbolsGuest::shell(const std::string& line) {
  typed_ += line + "\n";
  const std::size_t before = console_.size();
  if (!run_to("\n") || !run_to("# ")) throw std::runtime_error("the guest ended: " + console_);
  const std::size_t begin = console_.find('\n', before) + 1;
  std::string said = console_.substr(begin, console_.rfind('\n') + 1 - begin);
  std::erase(said, '\r');
  return said;
}

debugger::symbols::CpuView SymbolsGuest::view() {
  auto view = debugger::symbols::view_of(machine(), "cpu0");
  if (!view) throw std::runtime_error(view.failure().message);
  return *view;
}

void SymbolsGuest::drain(port::Instant, std::vector<port::Input>& out) {
  if (typed_.empty()) return;
  const auto bytes = std::as_bytes(std::span(typed_));
  out.push_back({port::Channel::serial0, {bytes.begin(), bytes.end()}});
  typed_.clear();
}

void SymbolsGuest::sample(port::Instant, port::Channel, std::uint64_t, std::span<std::byte> out) {
  std::ranges::fill(out, std::byte{0});
}

port::Instant SymbolsGuest::next_input() const { return {Icount::max(), VirtualTime::max()}; }

VirtualTime SymbolsGuest::idle(port::Instant now, VirtualTime deadline) {
  return typed_.empty() ? deadline : now.time;
}

void SymbolsGuest::output(port::Instant, port::Channel channel, std::span<const std::byte> data) {
  if (channel != port::Channel::serial0) return;
  console_.append(reinterpret_cast<const char*>(data.data()), data.size());
  if (awaited_.empty()) return;
  const std::size_t at = console_.find(awaited_, searched_);
  if (at == std::string::npos) return;
  searched_ = at + awaited_.size();
  machine().request_stop();
}

}  // namespace hindsight::tests
