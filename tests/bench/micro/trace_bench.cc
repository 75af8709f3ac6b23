// What recording pays for: digests of a whole machine, hashes of its RAM, values sealed into a trace and
// opened again.
#include <benchmark/benchmark.h>

#include <memory>

#include "debugger/cli/machine_builder.h"
#include "engine/base/check.h"
#include "replay/record/state_digest.h"
#include "tests/support/bare_machine.h"
#include "tests/support/sample_kernels.h"
#include "traces/store/value.h"

namespace hindsight::tests {
namespace {

namespace cli = debugger::cli;
namespace store = traces::store;
using engine::port::Channel;
using replay::record::StateDigester;

constexpr std::uint64_t kRam = std::uint64_t{64} << 20;

std::unique_ptr<cli::BuiltMachine> whole_machine(support::NothingOutside& outside) {
  store::MachineConfig config;
  config.ram_bytes = kRam;
  config.cpu_model = cli::cpu_model();
  config.cpu_features = cli::cpu_features();
  config.disk_bytes = std::uint64_t{1} << 20;
  config.net = store::NetMode::user;
  config.has_console = config.has_entropy = true;
  const cli::BootFiles files{support::bzimage(), {}};
  auto built = cli::build_machine(config, &files, "jit", outside, outside);
  CHECK(built, "{}", built.failure().message);
  return std::move(*built);
}

/// Every part of a PC with all its devices, no page of RAM written since.
void digest_machine(benchmark::State& state) {
  support::NothingOutside outside;
  const auto built = whole_machine(outside);
  StateDigester digester(built->machine());
  while (state.KeepRunning()) benchmark::DoNotOptimize(digester.take(false, {}));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(digest_machine);

void hash_ram(benchmark::State& state) {
  support::NothingOutside outside;
  const auto built = whole_machine(outside);
  while (state.KeepRunning()) benchmark::DoNotOptimize(StateDigester(built->machine()));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kRam / kPageSize));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kRam));
}
BENCHMARK(hash_ram);

/// A chunk of events as an evening of typing makes them.
store::Bytes chunk_of_events() {
  store::Chunk chunk;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    store::Event event;
    event.at = {Icount{i * 12'345'677}, VirtualTime{i * 12'345'677 + i * i}};
    event.channel = static_cast<std::uint16_t>(Channel::serial0);
    event.payload = {static_cast<std::byte>('a' + i * 7 % 26)};
    event.size = 1;
    chunk.events.push_back(std::move(event));
  }
  return store::encode(chunk);
}

void seal_chunk(benchmark::State& state) {
  const store::Bytes raw = chunk_of_events();
  const store::Bytes key = store::key_of(1, 2);
  while (state.KeepRunning())
    benchmark::DoNotOptimize(store::seal("events", key, store::ValueKind::chunk, raw));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw.size()));
}
BENCHMARK(seal_chunk);

void open_chunk(benchmark::State& state) {
  const store::Bytes raw = chunk_of_events();
  const store::Bytes key = store::key_of(1, 2);
  const store::Bytes sealed = store::seal("events", key, store::ValueKind::chunk, raw);
  while (state.KeepRunning()) {
    auto opened = store::open("events", key, store::ValueKind::chunk, sealed);
    CHECK(opened && opened->size() == raw.size(), "a sealed chunk does not open");
    benchmark::DoNotOptimize(opened);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(raw.size()));
}
BENCHMARK(open_chunk);

}  // namespace
}  // namespace hindsight::tests
