#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "debugger/cli/commands.h"
#include "debugger/cli/json_text.h"
#include "replay/play/divergence.h"
#include "traces/store/trace_reader.h"

namespace hindsight::debugger::cli {
namespace {

namespace store = traces::store;

int complain(const Error& failure) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return kBadInput;
}

std::string channel_name(std::uint16_t channel) {
  return replay::play::channel_name(static_cast<engine::port::Channel>(channel));
}

std::string end_text(const store::TraceReader& trace) {
  if (!trace.end()) {
    return fmt::format("icount {}: the recorder was interrupted", trace.progress().at.icount.value);
  }
  return fmt::format("icount {} ({})", trace.end()->at.icount.value, store::name_of(trace.end()->reason));
}

std::string place_text(store::Place at) {
  return at.delivery == 0 ? fmt::format("{}", at.icount.value)
                          : fmt::format("{}+{}", at.icount.value, at.delivery);
}

void print_info(const store::TraceReader& trace, const std::vector<store::TableSize>& sizes,
                const std::vector<store::Mark>& marks) {
  const store::MachineConfig& config = trace.config();
  const store::Instant last = trace.end() ? trace.end()->at : trace.progress().at;
  fmt::print("trace         {} ({} bytes, format {})\n", trace.path(),
             std::filesystem::file_size(trace.path()), config.format_version());
  fmt::print("recorded by   {}\n", config.build);
  if (config.parent)
    fmt::print("branch of     {} at icount {}\n", config.parent->name, place_text(trace.first()));
  if (config.rerun_of) fmt::print("rerun of      {}\n", config.rerun_of->name);
  fmt::print("machine       {}, {} MiB, {}, {} ns per instruction\n", config.board, config.ram_bytes >> 20,
             config.cpu_model, static_cast<double>(config.time_rate) / 65536);
  fmt::print("kernel        {} ({} bytes)\n", config.kernel.name, config.kernel.size);
  if (config.initrd.size != 0)
    fmt::print("initrd        {} ({} bytes)\n", config.initrd.name, config.initrd.size);
  fmt::print("command line  {}\n", config.command_line);
  if (config.disk_bytes != 0) fmt::print("disk          {} bytes\n", config.disk_bytes);
  fmt::print("network       {}\n", config.net == store::NetMode::user ? "user" : "none");
  fmt::print("ends at       {}, virtual time {:.3f} s\n", end_text(trace),
             static_cast<double>(last.time.value) / 1e9);
  fmt::print("events        {}\n", trace.progress().events);
  fmt::print("digests       {}, every {} instructions\n", trace.digest_count(), config.digest_interval);
  if (const std::uint64_t count = trace.snapshot_count(); count != 0) {
    fmt::print("snapshots     {}, from icount {} to {}\n", count, place_text(trace.snapshot_place(0)),
               place_text(trace.snapshot_place(count - 1)));
  }
  for (const store::Mark& mark : marks) {
    fmt::print("mark          {} at icount {}{}{}\n", mark.name, place_text(mark.at),
               mark.note.empty() ? "" : ": ", mark.note);
  }
  for (const store::TableSize& size : sizes) {
    if (size.records == 0) continue;
    fmt::print("table         {:<10} {:>8} records {:>12} bytes\n", size.name, size.records, size.bytes);
  }
}

std::string parent_json(const std::optional<store::ParentTrace>& parent) {
  if (!parent) return "null";
  return fmt::format("{{\"identity\":\"{:016x}{:016x}\",\"name\":{},\"icount\":{},\"delivery\":{}}}",
                     parent->identity.high, parent->identity.low, json_string(parent->name),
                     parent->at.icount.value, parent->delivery);
}

void print_info_json(const store::TraceReader& trace, const std::vector<store::TableSize>& sizes,
                     const std::vector<store::Mark>& marks) {
  const store::MachineConfig& config = trace.config();
  const store::Instant last = trace.end() ? trace.end()->at : trace.progress().at;
  std::string tables;
  for (const store::TableSize& size : sizes) {
    tables += fmt::format("{}{}:{{\"records\":{},\"bytes\":{}}}", tables.empty() ? "" : ",",
                          json_string(size.name), size.records, size.bytes);
  }
  std::string snapshots, places;
  for (std::uint64_t i = 0; i < trace.snapshot_count(); ++i) {
    const store::Place at = trace.snapshot_place(i);
    snapshots +=
        fmt::format("{}{{\"icount\":{},\"delivery\":{}}}", i == 0 ? "" : ",", at.icount.value, at.delivery);
  }
  for (const store::Mark& mark : marks) {
    places +=
        fmt::format("{}{{\"name\":{},\"note\":{},\"icount\":{},\"delivery\":{}}}", places.empty() ? "" : ",",
                    json_string(mark.name), json_string(mark.note), mark.at.icount.value, mark.at.delivery);
  }
  fmt::print(
      "{{\"path\":{},\"format\":{},\"parent\":{},\"rerunOf\":{},\"build\":{},\"board\":{},\"ramBytes\":{},"
      "\"kernel\":{},"
      "\"initrd\":{},"
      "\"commandLine\":{},\"diskBytes\":{},\"complete\":{},\"end\":{},\"icount\":{},\"time\":{},\"events\":{}"
      ","
      "\"digests\":{},\"snapshots\":[{}],\"marks\":[{}],\"tables\":{{{}}}}}\n",
      json_string(trace.path()), config.format_version(), parent_json(config.parent),
      parent_json(config.rerun_of), json_string(config.build), json_string(config.board), config.ram_bytes,
      json_string(config.kernel.name), json_string(config.initrd.name), json_string(config.command_line),
      config.disk_bytes, trace.end().has_value(),
      json_string(trace.end() ? store::name_of(trace.end()->reason) : "recorder interrupted"),
      last.icount.value, last.time.value, trace.progress().events, trace.digest_count(), snapshots, places,
      tables);
}

/// One event as a line. The payload is shown as text or hexadecimal, cut to what fits a line.
Status print_event(store::TraceReader& trace, const store::Event& event, bool json) {
  const Result<store::Bytes> payload = trace.payload(event);
  if (!payload) return payload.failure();
  if (json) {
    fmt::print(
        "{{\"icount\":{},\"time\":{},\"kind\":{},\"channel\":{},\"argument\":{},\"size\":{},\"payload\":{}}}"
        "\n",
        event.at.icount.value, event.at.time.value, json_string(store::name_of(event.kind)),
        json_string(channel_name(event.channel)), event.argument, event.size, json_string(hex(*payload)));
    return Done{};
  }
  constexpr std::size_t kShown = 24;
  const auto shown = std::span(*payload).first(std::min(kShown, payload->size()));
  const std::string argument =
      event.kind == store::EventKind::sample ? fmt::format(" argument {}", event.argument) : std::string();
  fmt::print("{:>14} {:>14} {:<6} {:<14} {} bytes{}: {}{}\n", event.at.icount.value, event.at.time.value,
             store::name_of(event.kind), channel_name(event.channel), event.size, argument, hex(shown),
             payload->size() > kShown ? "…" : "");
  return Done{};
}

Status print_digest(store::TraceReader& trace, std::uint64_t index, bool json) {
  const Result<store::Digest> digest = trace.digest(index);
  if (!digest) return digest.failure();
  const store::Instant at = digest->at;
  if (json) {
    fmt::print("{{\"icount\":{},\"time\":{},\"kind\":\"digest\",\"full\":{}}}\n", at.icount.value,
               at.time.value, digest->full);
  } else {
    fmt::print("{:>14} {:>14} digest{}\n", at.icount.value, at.time.value,
               digest->full ? " (whole states)" : "");
  }
  return Done{};
}

}  // namespace

int info_command(const std::string& path, bool json) {
  auto trace = store::TraceReader::open(path);
  if (!trace) return complain(trace.failure());
  const auto sizes = (*trace)->sizes();
  if (!sizes) return complain(sizes.failure());
  const auto marks = (*trace)->marks();
  if (!marks) return complain(marks.failure());
  if (json) {
    print_info_json(**trace, *sizes, *marks);
  } else {
    print_info(**trace, *sizes, *marks);
  }
  return kOk;
}

int events_command(const EventsOptions& options) {
  auto trace = store::TraceReader::open(options.trace);
  if (!trace) return complain(trace.failure());
  const auto within = [&](Icount at) { return at.value >= options.from && at.value <= options.to; };
  std::uint64_t digest = 0;
  const auto digests_before = [&](Icount limit) -> Status {
    for (; digest < (*trace)->digest_count() && (*trace)->digest_icount(digest) < limit; ++digest) {
      const bool wanted = options.kind == "digest";
      if (!wanted || !within((*trace)->digest_icount(digest))) continue;
      if (const Status printed = print_digest(**trace, digest, options.json); !printed)
        return printed.failure();
    }
    return Done{};
  };
  for (std::uint64_t i = 0; i < (*trace)->chunk_count(); ++i) {
    const Result<store::Chunk> chunk = (*trace)->chunk(i);
    if (!chunk) return complain(chunk.failure());
    for (const store::Event& event : chunk->events) {
      // What a branch's machine asked for while it was built.
      if (event.at.icount < (*trace)->first().icount) continue;
      if (!within(event.at.icount)) continue;
      if (const Status printed = digests_before(event.at.icount); !printed)
        return complain(printed.failure());
      if (!options.kind.empty() && options.kind != store::name_of(event.kind)) continue;
      if (const Status printed = print_event(**trace, event, options.json); !printed)
        return complain(printed.failure());
    }
  }
  if (const Status printed = digests_before(Icount::max()); !printed) return complain(printed.failure());
  return kOk;
}

}  // namespace hindsight::debugger::cli
