#include "replay/play/player.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindsight::replay::play {
namespace {

using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;
namespace store = traces::store;

constexpr Instant kNever{Icount::max(), VirtualTime::max()};

Instant instant_of(store::Instant at) { return {at.icount, at.time}; }

std::string text_of(Instant at) { return fmt::format("icount {} time {}", at.icount.value, at.time.value); }

std::string text_of(std::byte byte) {
  const auto value = std::to_integer<unsigned>(byte);
  if (value >= 0x20 && value < 0x7f) return fmt::format("{:#04x} '{}'", value, static_cast<char>(value));
  return fmt::format("{:#04x}", value);
}

/// How many words the unit at `at` takes; 0 if the run ends within it.
std::size_t unit_length(const std::vector<std::uint32_t>& words, std::size_t at) {
  const std::size_t length = 1 + (std::size_t{words[at]} + record::kUnitPiece - 1) / record::kUnitPiece;
  return length <= words.size() - at ? length : 0;
}

}  // namespace

Player::Player(store::TraceReader& trace) : trace_(trace) {}

void Player::fail(Error damage) {
  if (!damage_) damage_ = std::move(damage);
  if (stop_) stop_();
}

void Player::diverge(Instant now, std::string component, std::string field, std::string expected,
                     std::string got) {
  if (!divergence_ && !damage_) {
    divergence_ = Divergence{
        now, std::move(component), std::move(field), std::move(expected), std::move(got), {}, {}, {}};
  }
  if (stop_) stop_();
}

bool Player::load_chunk() {
  if (damage_ || next_chunk_ >= trace_.chunk_count()) return false;
  Result<store::Chunk> chunk = trace_.chunk(next_chunk_);
  if (!chunk) {
    fail(chunk.failure());
    return false;
  }
  std::uint64_t ordinal = chunk->first_event;
  if (ordinal > consumed_ + events_.size()) {
    fail(error("{}: table events, chunk {}: event {} first expected, found {}", trace_.path(), next_chunk_,
               consumed_ + events_.size(), ordinal));
    return false;
  }
  for (store::Event& event : chunk->events) {
    if (ordinal++ < consumed_ + events_.size()) continue;
    if (event.kind == store::EventKind::input) inputs_.push_back(instant_of(event.at));
    events_.push_back({std::move(event), next_chunk_});
  }
  for (const store::OutputRun& run : chunk->outputs) {
    if (const Status taken = take_run(run, next_chunk_); !taken) {
      fail(taken.failure());
      return false;
    }
  }
  next_chunk_++;
  return true;
}

Status Player::take_run(const store::OutputRun& run, std::uint64_t chunk) {
  const auto channel = static_cast<Channel>(run.channel);
  Expected& expected = expected_[channel];
  const bool bytes = record::is_byte_channel(channel);
  const std::uint64_t first = bytes ? run.first_byte : run.first_unit;
  if (first > expected.loaded) {
    return error("{}: table events, chunk {}: output of {} from {} on expected, found {}", trace_.path(),
                 chunk, channel_name(channel), expected.loaded, first);
  }
  // Going back may load a run whose beginning is consumed already.
  std::size_t at = 0;
  std::uint64_t end = first;
  if (bytes) {
    end += run.bytes.size();
    at = static_cast<std::size_t>(std::min<std::uint64_t>(expected.loaded - first, run.bytes.size()));
  } else {
    for (std::size_t word = 0; word < run.units.size(); ++end) {
      const std::size_t length = unit_length(run.units, word);
      if (length == 0) {
        return error("{}: table events, chunk {}: whole output units expected", trace_.path(), chunk);
      }
      word += length;
      if (end < expected.loaded) at = word;
    }
  }
  if (end <= expected.loaded) return Done{};
  if (expected.runs.empty()) expected.at = at;
  expected.runs.push_back({run, chunk});
  expected.loaded = end;
  return Done{};
}

bool Player::await_output(Expected& expected, bool bytes) {
  while (true) {
    if (expected.runs.empty()) {
      if (!load_chunk()) return false;
      continue;
    }
    const store::OutputRun& run = expected.runs.front().run;
    if (expected.at < (bytes ? run.bytes.size() : run.units.size())) return true;
    expected.runs.pop_front();
    expected.at = 0;
  }
}

const store::Event* Player::next_event() {
  while (events_.empty()) {
    if (!load_chunk()) return nullptr;
  }
  return &events_.front().event;
}

Player::Position Player::position() const {
  Position position{consumed_, next_chunk_, outputs_};
  if (!events_.empty()) position.chunk = std::min(position.chunk, events_.front().chunk);
  for (const auto& [channel, expected] : expected_) {
    if (!expected.runs.empty()) position.chunk = std::min(position.chunk, expected.runs.front().chunk);
  }
  return position;
}

void Player::seek(const Position& position) {
  divergence_.reset();
  damage_.reset();
  events_.clear();
  inputs_.clear();
  expected_.clear();
  consumed_ = position.event;
  next_chunk_ = position.chunk;
  outputs_ = position.outputs;
  for (const store::ChannelDigest& sent : outputs_.digests()) {
    const auto channel = static_cast<Channel>(sent.channel);
    Expected& expected = expected_[channel];
    expected.consumed = expected.loaded = record::is_byte_channel(channel) ? sent.bytes : sent.units;
  }
  ahead_.reset();
}

void Player::drain(Instant now, std::vector<Input>& out) {
  if (divergence_ || damage_) {
    if (stop_) stop_();
    return;
  }
  while (const store::Event* event = next_event()) {
    const Instant at = instant_of(event->at);
    if (at > now) return;
    if (at == now && event->kind == store::EventKind::sample) return;
    const auto channel = static_cast<Channel>(event->channel);
    if (at < now) {
      const std::string what{store::name_of(event->kind)};
      diverge(now, what + " " + channel_name(channel), "instant", text_of(at), text_of(now) + " without it");
      return;
    }
    Result<store::Bytes> payload = trace_.payload(*event);
    if (!payload) {
      fail(payload.failure());
      return;
    }
    out.push_back({channel, std::move(*payload)});
    events_.pop_front();
    inputs_.pop_front();
    consumed_++;
  }
}

void Player::sample(Instant now, Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  if (divergence_ || damage_) return;
  const std::string component = "sample " + channel_name(channel);
  const store::Event* event = next_event();
  if (event == nullptr) {
    if (!damage_)
      diverge(now, component, "", "no further sample", fmt::format("a request at {}", text_of(now)));
    return;
  }
  const auto recorded = static_cast<Channel>(event->channel);
  if (event->kind != store::EventKind::sample || recorded != channel || instant_of(event->at) != now) {
    diverge(now, component, "request",
            fmt::format("{} {} at {}", store::name_of(event->kind), channel_name(recorded),
                        text_of(instant_of(event->at))),
            fmt::format("sample {} at {}", channel_name(channel), text_of(now)));
    return;
  }
  if (event->argument != argument) {
    diverge(now, component, "argument", fmt::format("{:#x}", event->argument),
            fmt::format("{:#x}", argument));
    return;
  }
  if (event->size != out.size()) {
    diverge(now, component, "size", fmt::format("{}", event->size), fmt::format("{}", out.size()));
    return;
  }
  const Result<store::Bytes> payload = trace_.payload(*event);
  if (!payload) {
    fail(payload.failure());
    return;
  }
  std::copy(payload->begin(), payload->end(), out.begin());
  events_.pop_front();
  consumed_++;
}

Instant Player::scan_ahead() const {
  if (ahead_ && ahead_->chunk >= next_chunk_) return ahead_->at;
  ahead_ = Ahead{trace_.chunk_count(), kNever};
  for (std::uint64_t number = next_chunk_; number < trace_.chunk_count(); ++number) {
    const Result<store::Chunk> chunk = trace_.chunk(number);
    if (!chunk) break;  // reported when the replay comes to it
    const auto input =
        std::find_if(chunk->events.begin(), chunk->events.end(),
                     [](const store::Event& event) { return event.kind == store::EventKind::input; });
    if (input == chunk->events.end()) continue;
    ahead_ = Ahead{number, instant_of(input->at)};
    break;
  }
  return ahead_->at;
}

Instant Player::next_input() const { return inputs_.empty() ? scan_ahead() : inputs_.front(); }

VirtualTime Player::idle(Instant now, VirtualTime deadline) {
  if (divergence_ || damage_) {
    if (stop_) stop_();
    return now.time;
  }
  const Instant input = next_input();
  if (input.icount == now.icount && input.time <= deadline) return std::max(input.time, now.time);
  const std::optional<store::End>& end = trace_.end();
  const bool by_user =
      end && (end->reason == store::EndReason::interrupted || end->reason == store::EndReason::reached);
  if (by_user && end->at.icount == now.icount && end->at.time <= deadline) {
    // At once: a timer that is due then had not fired either when the recording was stopped.
    if (stop_) stop_();
    return std::max(end->at.time, now.time);
  }
  return deadline;
}

void Player::check_bytes(Instant now, Channel channel, std::span<const std::byte> data) {
  Expected& expected = expected_[channel];
  while (!data.empty()) {
    if (!await_output(expected, true)) {
      if (!damage_) {
        diverge(now, "output " + channel_name(channel), fmt::format("byte {}", expected.consumed),
                "nothing more", text_of(data.front()));
      }
      return;
    }
    const store::Bytes& want = expected.runs.front().run.bytes;
    const std::size_t count = std::min(data.size(), want.size() - expected.at);
    for (std::size_t i = 0; i < count; ++i) {
      if (data[i] == want[expected.at + i]) continue;
      diverge(now, "output " + channel_name(channel), fmt::format("byte {}", expected.consumed + i),
              text_of(want[expected.at + i]), text_of(data[i]));
      return;
    }
    expected.at += count;
    expected.consumed += count;
    data = data.subspan(count);
  }
}

void Player::check_unit(Instant now, Channel channel, std::span<const std::byte> data) {
  Expected& expected = expected_[channel];
  const std::string component = "output " + channel_name(channel);
  if (!await_output(expected, false)) {
    if (!damage_) {
      diverge(now, component, fmt::format("unit {}", expected.consumed), "nothing more",
              fmt::format("{} bytes", data.size()));
    }
    return;
  }
  const std::vector<std::uint32_t>& words = expected.runs.front().run.units;
  const std::uint32_t* want = words.data() + expected.at;
  if (want[0] != data.size()) {
    diverge(now, component, fmt::format("unit {} size", expected.consumed), fmt::format("{}", want[0]),
            fmt::format("{}", data.size()));
    return;
  }
  const std::vector<std::uint32_t> got = record::unit_words(data);
  for (std::size_t i = 1; i < got.size(); ++i) {
    if (got[i] == want[i]) continue;
    const std::size_t first = (i - 1) * record::kUnitPiece;
    diverge(now, component,
            fmt::format("unit {} bytes {} to {}", expected.consumed, first,
                        std::min(first + record::kUnitPiece, data.size()) - 1),
            fmt::format("hash {:08x}", want[i]), fmt::format("{:08x}", got[i]));
    return;
  }
  expected.at += got.size();
  expected.consumed++;
}

void Player::output(Instant now, Channel channel, std::span<const std::byte> data) {
  if (divergence_ || damage_) return;
  if (record::is_byte_channel(channel)) {
    check_bytes(now, channel, data);
  } else {
    check_unit(now, channel, data);
  }
  outputs_.add(channel, data);
  if (echo_ != nullptr) echo_->output(now, channel, data);
}

}  // namespace hindsight::replay::play
