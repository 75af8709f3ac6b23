#include "replay/record/recorder.h"

#include <algorithm>

namespace hindsight::replay::record {
namespace {

using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;
namespace store = traces::store;

constexpr std::uint64_t kSector = 512;
constexpr std::size_t kMostAtOnce = std::size_t{1} << 20;

store::Instant stored(Instant at) { return {at.icount, at.time}; }

/// Disk contents go by the disk's own 4 KiB blocks, so that reads that overlap share what they store.
std::vector<store::Piece> put_blocks(store::TraceWriter& writer, std::uint64_t sector,
                                     std::span<const std::byte> data) {
  std::vector<store::Piece> pieces;
  std::uint64_t within = sector * kSector % kPageSize;
  for (std::size_t at = 0; at < data.size(); within = 0) {
    const std::size_t size = std::min<std::size_t>(kPageSize - within, data.size() - at);
    pieces.push_back(writer.put_piece(data.subspan(at, size)));
    at += size;
  }
  return pieces;
}

}  // namespace

Recorder::Recorder(engine::port::NondetSource& live, engine::port::OutputSink& sink,
                   store::TraceWriter& writer)
    : live_(live), sink_(sink), writer_(writer) {}

void Recorder::drain(Instant now, std::vector<Input>& out) {
  const std::size_t before = out.size();
  live_.drain(now, out);
  events_ += out.size() - before;
  for (std::size_t i = before; i < out.size(); ++i) {
    writer_.append({store::EventKind::input,
                    stored(now),
                    static_cast<std::uint16_t>(out[i].channel),
                    0,
                    static_cast<std::uint32_t>(out[i].payload.size()),
                    out[i].payload,
                    {}});
  }
  writer_.progress(stored(now));
  if (writer_.failed() && stop_) stop_();
}

void Recorder::sample(Instant now, Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  live_.sample(now, channel, argument, out);
  events_++;
  store::Event event{store::EventKind::sample,
                     stored(now),
                     static_cast<std::uint16_t>(channel),
                     argument,
                     static_cast<std::uint32_t>(out.size()),
                     {},
                     {}};
  if (channel == Channel::disk0) {
    event.pieces = put_blocks(writer_, argument, out);
  } else {
    event.payload.assign(out.begin(), out.end());
  }
  writer_.append(std::move(event));
}

Instant Recorder::next_input() const { return live_.next_input(); }

VirtualTime Recorder::idle(Instant now, VirtualTime deadline) { return live_.idle(now, deadline); }

void Recorder::output(Instant now, Channel channel, std::span<const std::byte> data) {
  const auto number = static_cast<std::uint16_t>(channel);
  const OutputTally::Stream& before = tally_.stream(channel);
  if (is_byte_channel(channel)) {
    for (std::size_t at = 0; at < data.size(); at += kMostAtOnce) {
      const auto part = data.subspan(at, std::min(kMostAtOnce, data.size() - at));
      writer_.output(number, before.bytes + at, 0, part, {});
    }
  } else {
    writer_.output(number, before.bytes, before.units, {}, unit_words(data));
  }
  tally_.add(channel, data);
  sink_.output(now, channel, data);
}

}  // namespace hindsight::replay::record
