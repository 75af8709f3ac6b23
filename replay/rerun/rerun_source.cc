#include "replay/rerun/rerun_source.h"

#include <algorithm>

namespace hindsight::replay::rerun {
namespace {

using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;
namespace store = traces::store;

constexpr std::size_t kSector = 512;

VirtualTime later(VirtualTime from, std::uint64_t by) {
  return by > VirtualTime::max() - from ? VirtualTime::max() : from + by;
}

}  // namespace

Result<std::unique_ptr<RerunSource>> RerunSource::create(store::TraceReader& trace,
                                                         std::array<std::vector<Cue>, kSides> cues,
                                                         engine::port::OutputSink& sink) {
  std::unique_ptr<RerunSource> source(new RerunSource(sink));
  if (const Status loaded = source->load_samples(trace); !loaded) return loaded.failure();
  source->generator_ = trace.config().seed;
  const auto& end = trace.end();
  if (!end || end->reason == store::EndReason::interrupted || end->reason == store::EndReason::reached) {
    VirtualTime last_input;
    for (const auto& side : cues) {
      VirtualTime at;
      for (const Cue& cue : side) at = at + cue.gap;
      last_input = std::max(last_input, at);
    }
    source->tail_ = trace.progress().at.time - last_input;
  }
  for (std::size_t side = 0; side < kSides; ++side) {
    Stream& stream = source->streams_[side];
    stream.cues.assign(std::make_move_iterator(cues[side].begin()),
                       std::make_move_iterator(cues[side].end()));
    source->set_next(stream);
  }
  return source;
}

Status RerunSource::load_samples(store::TraceReader& trace) {
  for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
    const Result<store::Chunk> chunk = trace.chunk(i);
    if (!chunk) return chunk.failure();
    for (const store::Event& event : chunk->events) {
      if (event.kind != store::EventKind::sample) continue;
      const Result<store::Bytes> payload = trace.payload(event);
      if (!payload) return payload.failure();
      const auto channel = static_cast<Channel>(event.channel);
      if (channel == Channel::wall_clock && clock_.empty()) clock_ = *payload;
      if (channel == Channel::entropy) entropy_.insert(entropy_.end(), payload->begin(), payload->end());
      if (channel != Channel::disk0) continue;
      for (std::size_t at = 0; at + kSector <= payload->size(); at += kSector) {
        const auto from = payload->begin() + static_cast<std::ptrdiff_t>(at);
        sectors_.try_emplace(event.argument + at / kSector, from, from + kSector);
      }
    }
  }
  return Done{};
}

/// The next cue counts from here on.
void RerunSource::set_next(Stream& stream) {
  stream.sent = 0;
  stream.ready.reset();
  if (stream.cues.empty()) return;
  const Cue& cue = stream.cues.front();
  stream.count = TextCount(cue.text);
  if (cue.sent == 0) stream.ready = stream.last_input;
}

VirtualTime RerunSource::due(const Stream& stream) {
  if (stream.cues.empty()) return VirtualTime::max();
  const Cue& cue = stream.cues.front();
  if (stream.ready) return later(*stream.ready, cue.delay);
  const VirtualTime at_last = later(later(stream.last_input, cue.gap), kPatience);
  if (stream.sent < cue.sent) return at_last;
  return std::min(at_last, later(stream.last, std::max(cue.delay, kSilence)));
}

VirtualTime RerunSource::end_time() const {
  VirtualTime last;
  if (!tail_) return VirtualTime::max();
  for (const Stream& stream : streams_) {
    if (!stream.cues.empty()) return VirtualTime::max();
    last = std::max(last, stream.last_input);
  }
  return later(last, *tail_);
}

void RerunSource::output(Instant now, Channel channel, std::span<const std::byte> data) {
  if (channel != Channel::disk0) {
    Stream& stream = streams_[static_cast<std::size_t>(side_of(channel))];
    stream.last = now.time;
    stream.sent += channel == Channel::net0 ? 1 : data.size();
    if (!stream.ready && !stream.cues.empty()) {
      const Cue& cue = stream.cues.front();
      if (channel != Channel::net0) stream.count.add(data);
      const bool came = channel == Channel::net0 ? stream.sent >= cue.sent
                                                 : cue.times > 0 && stream.count.times() >= cue.times;
      if (came) stream.ready = now.time;
    }
  }
  sink_.output(now, channel, data);
}

void RerunSource::drain(Instant now, std::vector<Input>& out) {
  for (Stream& stream : streams_) {
    while (due(stream) <= now.time) {
      if (!stream.ready) ++strays_.uncued_inputs;
      Cue& cue = stream.cues.front();
      out.push_back({cue.channel, std::move(cue.payload)});
      stream.cues.pop_front();
      stream.last = stream.last_input = now.time;
      set_next(stream);
    }
  }
  if (now.time >= end_time() && stop_) stop_();
}

Instant RerunSource::next_input() const { return {Icount::max(), VirtualTime::max()}; }

VirtualTime RerunSource::idle(Instant now, VirtualTime deadline) {
  VirtualTime next = std::min(deadline, end_time());
  for (const Stream& stream : streams_) next = std::min(next, due(stream));
  if (now.time >= end_time() && stop_) stop_();
  return std::max(next, now.time);
}

RerunSource::Strays RerunSource::strays() const {
  Strays all = strays_;
  for (const Stream& stream : streams_) all.left_inputs += stream.cues.size();
  return all;
}

void RerunSource::sample(Instant /*now*/, Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  if (channel == Channel::entropy) fill_entropy(out);
  if (channel == Channel::disk0) read_disk(argument, out);
  if (channel == Channel::wall_clock)
    std::copy_n(clock_.begin(), std::min(clock_.size(), out.size()), out.begin());
}

void RerunSource::fill_entropy(std::span<std::byte> out) {
  const std::size_t recorded = std::min(out.size(), entropy_.size() - entropy_used_);
  std::copy_n(entropy_.begin() + static_cast<std::ptrdiff_t>(entropy_used_), recorded, out.begin());
  entropy_used_ += recorded;
  for (std::byte& byte : out.subspan(recorded)) {
    // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    generator_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = generator_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    byte = static_cast<std::byte>(z ^ (z >> 31));
    ++strays_.entropy_bytes;
  }
}

void RerunSource::read_disk(std::uint64_t sector, std::span<std::byte> out) {
  for (; !out.empty(); ++sector) {
    const std::size_t size = std::min(out.size(), kSector);
    const auto known = sectors_.find(sector);
    if (known == sectors_.end()) {
      ++strays_.unread_sectors;
    } else {
      std::copy_n(known->second.begin(), size, out.begin());
    }
    out = out.subspan(size);
  }
}

}  // namespace hindsight::replay::rerun
