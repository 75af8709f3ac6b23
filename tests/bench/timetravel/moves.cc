// Times moves along a recorded machine's history, through the timeline itself.
//   moves TRACE [SEED]
// One line a measure: name, median, 99th percentile and most, each in milliseconds by the clock, and the same
// in processor time, which a busy host disturbs less.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "debugger/cli/machine_builder.h"
#include "replay/timeline/timeline.h"

namespace {

using namespace hindsight;
using engine::port::Position;
using replay::timeline::Condition;
using replay::timeline::Hit;
using replay::timeline::Move;
using replay::timeline::Timeline;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "moves: {}\n", what);
  std::exit(1);
}

template <class Value>
Value checked(Result<Value> result) {
  if (!result) fail(result.failure().message);
  return std::move(*result);
}

struct Cost {
  double wall = 0, processor = 0;  ///< ms
};

template <class Work>
Cost cost_of(Work work) {
  const auto processor = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
  };
  const double before = processor();
  const auto begun = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begun;
  return {taken.count(), processor() - before};
}

void report(const std::string& name, const std::vector<Cost>& costs) {
  const auto at = [&](double Cost::*of, double share) {
    std::vector<double> sorted;
    for (const Cost& cost : costs) sorted.push_back(cost.*of);
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
  };
  fmt::print("{:<44} {:>5} x {:>9.2f} {:>9.2f} {:>9.2f}   {:>9.2f} {:>9.2f} {:>9.2f}\n", name, costs.size(),
             at(&Cost::wall, 0.5), at(&Cost::wall, 0.99), at(&Cost::wall, 1), at(&Cost::processor, 0.5),
             at(&Cost::processor, 0.99), at(&Cost::processor, 1));
  std::fflush(stdout);
}

std::unique_ptr<Timeline> open(const std::string& trace, unsigned jobs) {
  return checked(Timeline::open(
      trace,
      [](traces::store::TraceReader& reader, replay::play::Player& player,
         replay::timeline::Contents contents) -> Result<std::unique_ptr<replay::timeline::ReplayMachine>> {
        auto built = debugger::cli::build_replay_machine(reader, "jit", player, contents);
        if (!built) return built.failure();
        return std::unique_ptr<replay::timeline::ReplayMachine>(std::move(*built));
      },
      {.jobs = jobs}));
}

/// Replays all of it once, without snapshots, digests or observers: what everything else is measured by.
Cost replay_forward(const std::string& path) {
  auto trace = checked(traces::store::TraceReader::open(path));
  replay::play::Player player(*trace);
  auto built = checked(debugger::cli::build_replay_machine(*trace, "jit", player));
  return cost_of([&] { built->machine().run(Icount::max()); });
}

/// The address of eight bytes of RAM that are written once in all of history, early: what the guest wrote in
/// its first instructions and never again, as far as snapshots show, is watched over the whole of it.
std::optional<std::uint64_t> written_once(Timeline& line) {
  engine::port::RamPages& ram = line.machine().ram();
  const std::uint64_t pages = std::min<std::uint64_t>(ram.page_count(), 0xC0000);  // all in one piece
  std::vector<std::byte> before(pages * kPageSize), early(pages * kPageSize);
  const auto copy = [&](std::vector<std::byte>& into) {
    for (std::uint64_t page = 0; page < pages; ++page)
      std::memcpy(into.data() + page * kPageSize, ram.page(page), kPageSize);
  };
  copy(before);
  checked(line.seek({Icount{20'000'000}, 0}));
  copy(early);
  checked(line.seek(line.last()));
  std::vector<std::uint64_t> candidates;
  for (std::uint64_t at = 0; at < early.size() && candidates.size() < 4096; at += 8) {
    if (std::memcmp(&before[at], &early[at], 8) == 0) continue;
    if (std::memcmp(ram.page(at / kPageSize) + at % kPageSize, &early[at], 8) == 0) candidates.push_back(at);
  }
  // One of each page, and few pages: watched pages run slower.
  std::vector<Condition> watched;
  std::uint64_t page = ~std::uint64_t{0};
  for (const std::uint64_t at : candidates) {
    if (at / kPageSize == page || watched.size() == 16) continue;
    page = at / kPageSize;
    Condition write;
    write.id = static_cast<int>(watched.size());
    write.watchpoint = replay::timeline::Watchpoint{
        {.physical = true, .first = at, .size = 8, .read = false, .write = true}};
    watched.push_back(write);
  }
  std::vector<unsigned> hits(watched.size());
  const Status scanned = line.scan(watched, line.first(), line.last(), [&](const Hit& hit) {
    ++hits[static_cast<std::size_t>(hit.id)];
    return true;
  });
  if (!scanned) fail(scanned.failure().message);
  for (std::size_t i = 0; i < hits.size(); ++i)
    if (hits[i] == 1) return watched[i].watchpoint->range.first;
  return std::nullopt;
}

class Bench {
 public:
  Bench(std::string trace, std::uint64_t seed) : trace_(std::move(trace)), random_(seed) {}

  void run() {
    fmt::print("{:<44} {:>5}   {:>9} {:>9} {:>9}   {:>9} {:>9} {:>9}\n", "milliseconds", "times", "p50",
               "p99", "most", "cpu p50", "cpu p99", "cpu most");
    std::vector<Cost> forward;
    for (int i = 0; i < 3; ++i) forward.push_back(replay_forward(trace_));
    report("replay of all, forward, one core", forward);
    measure_seeks();
    measure_steps();
    measure_reverse_continue();
  }

 private:
  Position somewhere(Timeline& line) { return {Icount{random_() % line.last().icount.value}, 0}; }

  void measure_seeks() {
    std::vector<Cost> opening, first, cold, warm;
    for (int session = 0; session < 6; ++session) {
      std::unique_ptr<Timeline> line;
      opening.push_back(cost_of([&] { line = open(trace_, 1); }));
      for (int i = 0; i < 8; ++i)
        (i == 0 ? first : cold).push_back(cost_of([&] { checked(line->seek(somewhere(*line))); }));
    }
    report("open", opening);
    report("seek, the first of a session", first);
    report("seek, the next seven of a session", cold);
    auto line = open(trace_, 1);
    checked(line->seek(line->last()));
    for (int i = 0; i < 200; ++i) warm.push_back(cost_of([&] { checked(line->seek(somewhere(*line))); }));
    report("seek, warm", warm);
    fmt::print("ladder: {:.0f} MiB, {} snapshots\n", static_cast<double>(line->ladder().bytes()) / (1 << 20),
               line->ladder().positions().size());
  }

  void measure_steps() {
    auto line = open(trace_, 1);
    checked(line->seek(line->last()));
    std::vector<Cost> first, next, steps_forward;
    for (int place = 0; place < 20; ++place) {
      checked(line->seek(somewhere(*line)));
      for (int i = 0; i < 50; ++i)
        (i == 0 ? first : next).push_back(cost_of([&] { checked(line->step_backward(1)); }));
      for (int i = 0; i < 10; ++i) steps_forward.push_back(cost_of([&] { checked(line->step_forward(1)); }));
    }
    report("reverse-stepi, the first at a place", first);
    report("reverse-stepi, the next 49", next);
    report("stepi", steps_forward);
    fmt::print("ladder: {:.0f} MiB, {} snapshots\n", static_cast<double>(line->ladder().bytes()) / (1 << 20),
               line->ladder().positions().size());
  }

  void measure_reverse_continue() {
    auto finder = open(trace_, 1);
    const std::optional<std::uint64_t> address = written_once(*finder);
    if (!address) fail("no address that is written once was found");
    finder.reset();
    Condition write;
    write.watchpoint = replay::timeline::Watchpoint{
        {.physical = true, .first = *address, .size = 8, .read = false, .write = true}};
    for (const unsigned jobs : {1U, 2U}) {
      std::vector<Cost> cold, warm;
      for (int session = 0; session < 3; ++session) {
        auto line = open(trace_, jobs);
        for (std::vector<Cost>* costs : {&cold, &warm}) {
          checked(line->seek(line->last()));
          Move move;
          costs->push_back(cost_of([&] { move = checked(line->run_backward({write}, line->first())); }));
          if (!move.hit) fail("the only write was not found");
          if (jobs == 1 && session == 0 && costs == &cold)
            fmt::print("the only write of {:#x} is at {}\n", *address, move.hit->before.icount.value);
        }
      }
      report(fmt::format("reverse-continue to it, {} at once", jobs), cold);
      report(fmt::format("reverse-continue to it again, {} at once", jobs), warm);
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    fmt::print("most memory: {} MiB\n", usage.ru_maxrss >> 10);
  }

  const std::string trace_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) fail("usage: moves TRACE [SEED]");
  Bench(argv[1], argc == 3 ? std::stoull(argv[2]) : 1).run();
}
