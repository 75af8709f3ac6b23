#include "debugger/expect/check.h"

#include <capnp/message.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "debugger/query/queries.h"
#include "debugger/session/positions.h"
#include "debugger/session/x86_registers.h"
#include "replay/record/output_tally.h"
#include "traces/store/trace_reader.h"

namespace hindsight::debugger::expect {
namespace {

namespace store = traces::store;
using engine::port::Position;
using replay::timeline::Arrival;
using replay::timeline::Timeline;

/// std::regex recurses for each character, so of a line only so much is looked at.
constexpr std::size_t kMostOfLine = 4096;

/// How Linux begins its complaints about itself (its kernel/panic.c, lib/bug.c, arch/x86/kernel/dumpstack.c).
constexpr std::array<std::string_view, 4> kOops = {"BUG:", "Oops", "Kernel panic", "WARNING:"};

/// "" where a fact holds, else what there is instead; an Error ends the whole check.
using Finding = Result<std::string>;

std::string shortened(std::string_view text) {
  constexpr std::size_t kMost = 120;
  std::string out;
  for (const char c : text.substr(0, kMost))
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
  return text.size() > kMost ? out + "…" : out;
}

/// The whole line around a place in a text.
std::string_view line_at(std::string_view text, std::size_t at) {
  const std::size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

/// What each console showed, lines ended by \n alone.
Result<std::vector<std::string>> read_consoles(store::TraceReader& trace) {
  std::map<std::uint16_t, std::string> shown;
  for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
    const Result<store::Chunk> chunk = trace.chunk(i);
    if (!chunk) return chunk.failure();
    for (const store::OutputRun& run : chunk->outputs) {
      if (!replay::record::is_byte_channel(static_cast<engine::port::Channel>(run.channel))) continue;
      std::string& text = shown[run.channel];
      for (const std::byte byte : run.bytes)
        if (const char c = static_cast<char>(byte); c != '\r') text += c;
    }
  }
  std::vector<std::string> texts;
  for (auto& [channel, text] : shown) texts.push_back(std::move(text));
  return texts;
}

/// The line in which a console shows what the fact is about.
std::optional<std::string_view> find(const ConsoleFact& fact, std::string_view console) {
  if (!fact.expression) {
    const std::size_t at = console.find(fact.text);
    if (at == std::string_view::npos) return std::nullopt;
    return line_at(console, at);
  }
  while (!console.empty()) {
    const std::size_t end = std::min(console.find('\n'), console.size());
    const std::string_view line = console.substr(0, end);
    const std::string_view part = line.substr(0, kMostOfLine);
    if (std::regex_search(part.begin(), part.end(), *fact.expression)) return line;
    console.remove_prefix(std::min(end + 1, console.size()));
  }
  return std::nullopt;
}

/// "" where the fact holds of what the consoles show.
std::string found_in(const std::vector<std::string>& consoles, const ConsoleFact& fact) {
  for (const std::string& console : consoles) {
    const auto line = find(fact, console);
    if (!line) continue;
    return fact.shown ? std::string() : fmt::format("the console shows \"{}\"", shortened(*line));
  }
  if (!fact.shown) return std::string();
  std::string_view last;
  std::size_t bytes = 0;
  for (const std::string& console : consoles) {
    bytes += console.size();
    const std::size_t end = console.find_last_not_of('\n');
    if (end != std::string::npos) last = line_at(console, end);
  }
  return fmt::format("not in the {} bytes that the console shows, which end with \"{}\"", bytes,
                     shortened(last));
}

std::string found_in(const std::vector<std::string>& consoles, const NoOopsFact& /*fact*/) {
  for (const std::string& console : consoles) {
    std::size_t first = std::string::npos;
    for (const std::string_view word : kOops) first = std::min(first, console.find(word));
    if (first != std::string::npos)
      return fmt::format("the console shows \"{}\"", shortened(line_at(console, first)));
  }
  return std::string();
}

class Checker final {
 public:
  Checker(const std::string& path, const replay::timeline::MachineFactory& machines,
          const CheckOptions& options)
      : path_(path), machines_(machines), options_(options) {}
  ~Checker() {
    if (line_ && options_.running) options_.running(nullptr);
  }
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  Status open() {
    auto trace = store::TraceReader::open(path_);
    if (!trace) return trace.failure();
    trace_ = std::move(*trace);
    return Done{};
  }

  Finding operator()(const ConsoleFact& fact) {
    if (const Status read = load_consoles(); !read) return read.failure();
    return found_in(*consoles_, fact);
  }

  Finding operator()(const NoOopsFact& fact) {
    if (const Status read = load_consoles(); !read) return read.failure();
    return found_in(*consoles_, fact);
  }

  Finding operator()(const EndFact& fact) {
    const auto& end = trace_->end();
    if (!end) return std::string("the recorder was interrupted");
    return end->reason == fact.reason ? std::string()
                                      : fmt::format("it ends with {}", store::name_of(end->reason));
  }

  Finding operator()(const RegisterFact& fact) {
    if (const Status ready = stand_at(fact.at); !ready) return ready.failure();
    capnp::MallocMessageBuilder message;
    auto cpu = message.initRoot<traces::schema::CpuX86State>();
    line_->machine().parts().front()->save_state(capnp::toDynamic(cpu));
    const session::RegisterValue value = session::x86_register(fact.index, cpu.asReader());
    if (holds(fact.relation, value[1], value[0], fact.high, fact.low)) return std::string();
    return value[1] != 0 ? fmt::format("it is {:#x}{:016x}", value[1], value[0])
                         : fmt::format("it is {:#x}", value[0]);
  }

  Finding operator()(const MemoryFact& fact) {
    if (const Status ready = stand_at(fact.at); !ready) return ready.failure();
    if (const Status ready = ask_at(line_->now()); !ready) return ready.failure();
    const auto target = queries_->target(fmt::format("{}/{}", fact.address, fact.size));
    if (!target) return cannot(target.failure());
    std::array<std::byte, 8> bytes{};
    std::size_t done = 0;
    for (const query::PhysicalRange& range : target->ranges) {
      if (!line_->machine().debug().peek(range.first, bytes.data() + done, range.size))
        return cannot(error("no RAM at physical {:#x}", range.first.value));
      done += range.size;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < done; ++i) value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    return holds(fact.relation, 0, value, 0, fact.value) ? std::string() : fmt::format("it is {:#x}", value);
  }

  Finding operator()(const LengthFact& fact) {
    const auto stretch = stretch_of(fact.from, fact.to);
    if (!stretch) return stretch.failure();
    const std::uint64_t length = stretch->to.icount - stretch->from.icount;
    return holds(fact.relation, 0, length, 0, fact.instructions) ? std::string()
                                                                 : fmt::format("there are {}", length);
  }

  Finding operator()(const CallFact& fact) {
    const auto stretch = stretch_of(fact.from, fact.to);
    if (!stretch) return stretch.failure();
    if (const Status ready = ask_at(stretch->to); !ready) return ready.failure();
    const auto functions = queries_->functions(fact.function);
    if (!functions) return cannot(functions.failure());
    const auto calls = queries_->calls(*functions, *stretch, 1, false);
    if (!calls) return calls.failure();
    if (calls->all.empty() != fact.called) return std::string();
    if (fact.called) return std::string("it is not called");
    const query::Call& call = calls->all.front();
    return fmt::format("it is called at icount {}{}", session::text_of(call.at),
                       call.caller.empty() ? "" : " from " + call.caller);
  }

  /// What makes the fact at hand untellable, if the finding came of that.
  std::optional<std::string> take_untold() { return std::exchange(untold_, std::nullopt); }

 private:
  /// The fact cannot be told; the others can.
  Error cannot(const Error& why) {
    untold_ = why.message;
    return why;
  }

  Status load_consoles() {
    if (consoles_) return Done{};
    auto read = read_consoles(*trace_);
    if (!read) return read.failure();
    consoles_ = std::move(*read);
    return Done{};
  }

  Status load_line() {
    if (line_) return Done{};
    auto opened = Timeline::open(path_, machines_, options_.timeline);
    if (!opened) return opened.failure();
    line_ = std::move(*opened);
    if (options_.running) options_.running(line_.get());
    if (options_.progress) line_->on_progress(options_.progress);
    return Done{};
  }

  Result<Position> position_of(const std::string& text) {
    if (const Status ready = load_line(); !ready) return ready.failure();
    const auto ignore_names = [](auto) { return std::optional(Position{}); };
    const auto plain =
        session::parse_position(text, {line_->first(), line_->last(), ignore_names, ignore_names});
    if (plain && *plain > line_->last())
      return cannot(error("{} is beyond the end, at icount {}", text, session::text_of(line_->last())));
    const auto at = query::parse_position(text, *line_);
    if (!at) return cannot(at.failure());
    return *at;
  }

  Result<query::Stretch> stretch_of(const std::string& from_text, const std::string& to_text) {
    const auto from = position_of(from_text);
    if (!from) return from.failure();
    const auto to = position_of(to_text);
    if (!to) return to.failure();
    if (*from > *to) return cannot(error("{} comes after {}", from_text, to_text));
    return query::Stretch{*from, *to};
  }

  Status stand_at(const std::string& text) {
    const auto at = position_of(text);
    if (!at) return at.failure();
    const auto moved = line_->seek(*at);
    if (!moved) return moved.failure();
    if (moved->arrival == Arrival::interrupted) return error("interrupted");
    return Done{};
  }

  /// Symbols are looked up once for each position.
  Status ask_at(Position at) {
    if (queries_ && asked_at_ == at) return Done{};
    auto opened = query::Queries::open(*line_, at);
    if (!opened) return opened.failure();
    queries_.emplace(std::move(*opened));
    asked_at_ = at;
    const auto moved = line_->seek(at);
    return moved ? Status(Done{}) : Status(moved.failure());
  }

  const std::string path_;
  const replay::timeline::MachineFactory& machines_;
  const CheckOptions& options_;
  std::unique_ptr<store::TraceReader> trace_;
  std::optional<std::vector<std::string>> consoles_;
  std::unique_ptr<Timeline> line_;
  std::optional<query::Queries> queries_;
  Position asked_at_;
  std::optional<std::string> untold_;
};

}  // namespace

Result<std::vector<FactResult>> check_facts(const std::string& trace, const std::vector<Fact>& facts,
                                            const replay::timeline::MachineFactory& machines,
                                            const CheckOptions& options) {
  Checker checker(trace, machines, options);
  if (const Status opened = checker.open(); !opened) return opened.failure();
  std::vector<FactResult> results;
  for (const Fact& fact : facts) {
    const Finding finding = std::visit([&](const auto& what) { return checker(what); }, fact.what);
    const std::optional<std::string> untold = checker.take_untold();
    if (!finding && !untold) return finding.failure();
    const std::string found = untold ? *untold : *finding;
    results.push_back({fact.line, fact.text, found.empty(), found});
  }
  return results;
}

bool hold_of_consoles(const std::vector<Fact>& facts, const std::vector<std::string>& consoles) {
  return std::ranges::all_of(facts, [&](const Fact& fact) {
    if (const auto* console = std::get_if<ConsoleFact>(&fact.what))
      return found_in(consoles, *console).empty();
    if (const auto* no_oops = std::get_if<NoOopsFact>(&fact.what))
      return found_in(consoles, *no_oops).empty();
    return true;
  });
}

}  // namespace hindsight::debugger::expect
