#include "replay/diff/trace_diff.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "engine/base/check.h"
#include "engine/port/nondet.h"
#include "replay/play/divergence.h"

namespace hindsight::replay::diff {
namespace {

namespace store = traces::store;
using store::Event;
using store::Instant;
using store::TraceReader;

constexpr std::size_t kLastCommon = 3;
constexpr std::array kConsoles = {engine::port::Channel::serial0, engine::port::Channel::virtio_console};

/// The events of a trace in order.
class EventStream final {
 public:
  explicit EventStream(TraceReader& trace) : trace_(trace) {}
  /// The next one, until advance(); nullptr at the end.
  Result<const Event*> peek() {
    while (at_ == chunk_.events.size() && next_ < trace_.chunk_count()) {
      Result<store::Chunk> chunk = trace_.chunk(next_);
      if (!chunk) return chunk.failure();
      chunk_ = std::move(*chunk);
      next_ += 1;
      at_ = 0;
    }
    return at_ < chunk_.events.size() ? &chunk_.events[at_] : nullptr;
  }
  void advance() { at_ += 1; }
  TraceReader& trace() { return trace_; }

 private:
  TraceReader& trace_;
  store::Chunk chunk_;
  std::uint64_t next_ = 0;
  std::size_t at_ = 0;
};

Result<bool> same_contents(TraceReader& trace_a, const Event& a, TraceReader& trace_b, const Event& b) {
  if (a.kind != b.kind || a.channel != b.channel || a.argument != b.argument || a.size != b.size)
    return false;
  if (a.pieces.empty() && b.pieces.empty()) return a.payload == b.payload;
  if (a.pieces == b.pieces) return true;
  const Result<store::Bytes> payload_a = trace_a.payload(a);
  if (!payload_a) return payload_a.failure();
  const Result<store::Bytes> payload_b = trace_b.payload(b);
  if (!payload_b) return payload_b.failure();
  return *payload_a == *payload_b;
}

/// Goes past what the two have in common. What one has left when the other ends differs only if it came
/// before that end.
Status skip_common(EventStream& a, EventStream& b, TraceDifference& out) {
  std::vector<Event> last;
  while (true) {
    const Result<const Event*> next_a = a.peek();
    if (!next_a) return next_a.failure();
    const Result<const Event*> next_b = b.peek();
    if (!next_b) return next_b.failure();
    const Event *event_a = *next_a, *event_b = *next_b;
    if (event_a == nullptr && event_b == nullptr) return Done{};
    if (event_a == nullptr && event_b->at >= end_of(a.trace())) return Done{};
    if (event_b == nullptr && event_a->at >= end_of(b.trace())) return Done{};
    bool same = event_a != nullptr && event_b != nullptr && event_a->at == event_b->at;
    if (same) {
      const Result<bool> compared = same_contents(a.trace(), *event_a, b.trace(), *event_b);
      if (!compared) return compared.failure();
      same = *compared;
    }
    if (!same) {
      EventDifference& found = out.event.emplace();
      found.number = out.events;
      if (event_a != nullptr) found.a = *event_a;
      if (event_b != nullptr) found.b = *event_b;
      found.last_common = std::move(last);
      return Done{};
    }
    if (last.size() == kLastCommon) last.erase(last.begin());
    last.push_back(*event_a);
    out.events += 1;
    a.advance();
    b.advance();
  }
}

/// What is left in both streams, by kind and channel.
Status count_later(EventStream& a, EventStream& b, TraceDifference& out) {
  using Key = std::pair<store::EventKind, std::uint16_t>;
  struct Summary {
    Instant at;
    store::Hash128 hash;
  };
  std::map<Key, std::array<std::vector<Summary>, 2>> all;
  const auto collect = [&](EventStream& stream, std::size_t side) -> Status {
    while (true) {
      const Result<const Event*> next = stream.peek();
      if (!next) return next.failure();
      if (*next == nullptr) return Done{};
      const Event& event = **next;
      Result<store::Bytes> contents = stream.trace().payload(event);
      if (!contents) return contents.failure();
      for (unsigned shift = 0; shift < 64; shift += 8)
        contents->push_back(static_cast<std::byte>(event.argument >> shift));
      all[{event.kind, event.channel}][side].push_back({event.at, store::hash_of(*contents)});
      stream.advance();
    }
  };
  if (const Status collected = collect(a, 0); !collected) return collected;
  if (const Status collected = collect(b, 1); !collected) return collected;
  for (const auto& [key, sides] : all) {
    EventCount count{key.first, key.second, sides[0].size(), sides[1].size(), 0, 0};
    for (std::size_t i = 0; i < std::min(sides[0].size(), sides[1].size()); ++i) {
      const Summary &of_a = sides[0][i], &of_b = sides[1][i];
      if (of_a.hash != of_b.hash) {
        count.other_contents += 1;
      } else if (of_a.at != of_b.at) {
        count.other_instant += 1;
      }
    }
    out.later.push_back(count);
  }
  return Done{};
}

std::vector<std::string> differing_components(const store::Digest& a, const store::Digest& b) {
  std::vector<std::string> components;
  for (const store::PartDigest& part : a.parts) {
    const auto same = [&](const store::PartDigest& other) {
      return other.name == part.name && other.hash == part.hash;
    };
    if (std::ranges::none_of(b.parts, same)) components.push_back(part.name);
  }
  if (a.ram != b.ram) components.emplace_back("ram");
  for (const store::ChannelDigest& channel : a.channels) {
    if (std::ranges::find(b.channels, channel) == b.channels.end())
      components.push_back("output " +
                           play::channel_name(static_cast<engine::port::Channel>(channel.channel)));
  }
  if (components.empty() && (a.parts.size() != b.parts.size() || a.channels.size() != b.channels.size()))
    components.emplace_back("machine");
  return components;
}

/// Compares the digests that both have, up to the first that differs.
Status compare_digests(TraceReader& a, TraceReader& b, TraceDifference& out) {
  std::uint64_t i = 0, j = 0;
  while (i < a.digest_count() && j < b.digest_count()) {
    if (a.digest_icount(i) != b.digest_icount(j)) {
      (a.digest_icount(i) < b.digest_icount(j) ? i : j) += 1;
      continue;
    }
    const Result<store::Digest> of_a = a.digest(i), of_b = b.digest(j);
    if (!of_a) return of_a.failure();
    if (!of_b) return of_b.failure();
    if (of_a->at != of_b->at) {
      (of_a->at < of_b->at ? i : j) += 1;
      continue;
    }
    std::vector<std::string> components = differing_components(*of_a, *of_b);
    if (!components.empty()) {
      out.digest = DigestDifference{of_a->at, std::move(components)};
      return Done{};
    }
    out.digests += 1;
    ++i, ++j;
  }
  return Done{};
}

Result<std::string> console_text(TraceReader& trace, engine::port::Channel channel) {
  std::string text;
  for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
    const Result<store::Chunk> chunk = trace.chunk(i);
    if (!chunk) return chunk.failure();
    for (const store::OutputRun& run : chunk->outputs) {
      if (run.channel != static_cast<std::uint16_t>(channel)) continue;
      text.append(reinterpret_cast<const char*>(run.bytes.data()), run.bytes.size());
    }
  }
  return text;
}

enum class Times : bool { kept, left_out };

Status compare_consoles(TraceReader& a, TraceReader& b, Times times, TraceDifference& out) {
  for (const engine::port::Channel channel : kConsoles) {
    Result<std::string> text_a = console_text(a, channel), text_b = console_text(b, channel);
    if (!text_a) return text_a.failure();
    if (!text_b) return text_b.failure();
    if (times == Times::left_out) {
      *text_a = without_times(*text_a);
      *text_b = without_times(*text_b);
    }
    if (auto difference = console_difference(*text_a, *text_b)) {
      difference->channel = static_cast<std::uint16_t>(channel);
      out.consoles.push_back(std::move(*difference));
    }
  }
  return Done{};
}

/// Somebody outside stopped the recording; the machine would have gone on.
bool was_stopped(const TraceReader& trace) {
  return !trace.end() || trace.end()->reason == store::EndReason::reached ||
         trace.end()->reason == store::EndReason::interrupted;
}

Relation relation_of(const TraceReader& a, const TraceReader& b, const TraceDifference& difference) {
  const Instant end_a = end_of(a), end_b = end_of(b);
  if (difference.event) {
    const bool before = difference.digest && difference.digest->at.icount < difference.event->icount();
    return before ? Relation::unexplained : Relation::different;
  }
  if (difference.digest) return Relation::unexplained;
  const bool same_reason =
      a.end().has_value() == b.end().has_value() && (!a.end() || a.end()->reason == b.end()->reason);
  if (end_a == end_b && (same_reason || (was_stopped(a) && was_stopped(b)))) return Relation::equal;
  if (end_a <= end_b && was_stopped(a)) return Relation::a_is_prefix;
  if (end_b <= end_a && was_stopped(b)) return Relation::b_is_prefix;
  return Relation::unexplained;
}

std::string blob_text(const store::BlobRef& blob) {
  if (blob.size == 0) return "none";
  store::Hash128 sum;
  for (const store::Piece& piece : blob.pieces) {
    const std::array<std::uint64_t, 4> words = {sum.high, sum.low, piece.hash.high, piece.hash.low};
    sum = store::hash_of(std::as_bytes(std::span(words)));
  }
  return fmt::format("{} ({} bytes, hash {:016x})", blob.name, blob.size, sum.high);
}

}  // namespace

Icount EventDifference::icount() const {
  if (a && b) return std::min(a->at.icount, b->at.icount);
  return a ? a->at.icount : b->at.icount;
}

Instant end_of(const TraceReader& trace) { return trace.end() ? trace.end()->at : trace.progress().at; }

std::vector<ConfigDifference> config_differences(const store::MachineConfig& a,
                                                 const store::MachineConfig& b) {
  std::vector<ConfigDifference> found;
  const auto text = [&](const char* field, const auto& in_a, const auto& in_b) {
    if (in_a != in_b) found.push_back({field, fmt::format("{}", in_a), fmt::format("{}", in_b)});
  };
  const auto blob = [&](const char* field, const store::BlobRef& in_a, const store::BlobRef& in_b) {
    if (in_a.pieces != in_b.pieces) found.push_back({field, blob_text(in_a), blob_text(in_b)});
  };
  text("board", a.board, b.board);
  text("RAM bytes", a.ram_bytes, b.ram_bytes);
  text("CPU model", a.cpu_model, b.cpu_model);
  text("CPU features", fmt::format("{}", fmt::join(a.cpu_features, " ")),
       fmt::format("{}", fmt::join(b.cpu_features, " ")));
  text("nanoseconds per instruction", static_cast<double>(a.time_rate) / 65536,
       static_cast<double>(b.time_rate) / 65536);
  blob("kernel", a.kernel, b.kernel);
  blob("initrd", a.initrd, b.initrd);
  text("command line", a.command_line, b.command_line);
  text("disk bytes", a.disk_bytes, b.disk_bytes);
  const auto net = [](const store::MachineConfig& config) {
    return std::string_view(config.net == store::NetMode::user ? "user" : "none");
  };
  text("network", net(a), net(b));
  text("virtio console", a.has_console, b.has_console);
  text("virtio entropy device", a.has_entropy, b.has_entropy);
  return found;
}

Result<TraceDifference> compare(TraceReader& a, TraceReader& b) {
  CHECK(config_differences(a.config(), b.config()).empty(), "traces of two machines");
  TraceDifference difference;
  EventStream events_a(a), events_b(b);
  if (const Status skipped = skip_common(events_a, events_b, difference); !skipped) return skipped.failure();
  if (const Status compared = compare_digests(a, b, difference); !compared) return compared.failure();
  difference.relation = relation_of(a, b, difference);
  if (difference.event) {
    if (const Status counted = count_later(events_a, events_b, difference); !counted)
      return counted.failure();
  }
  if (difference.relation != Relation::equal) {
    if (const Status compared = compare_consoles(a, b, Times::kept, difference); !compared)
      return compared.failure();
  }
  return difference;
}

Result<TraceDifference> compare_outcomes(TraceReader& a, TraceReader& b) {
  TraceDifference difference;
  difference.relation = Relation::different;
  EventStream events_a(a), events_b(b);
  if (const Status counted = count_later(events_a, events_b, difference); !counted) return counted.failure();
  if (const Status compared = compare_consoles(a, b, Times::left_out, difference); !compared)
    return compared.failure();
  return difference;
}

}  // namespace hindsight::replay::diff
