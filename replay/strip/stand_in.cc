#include "replay/strip/stand_in.h"

#include <xxhash.h>

#include <algorithm>

#include "replay/record/output_tally.h"

namespace hindsight::replay::strip {

using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;
using traces::store::Event;
using traces::store::EventKind;

namespace {

Instant instant_of(const Event& event) { return {event.at.icount, event.at.time}; }

}  // namespace

void OutputPrint::output(Instant now, Channel channel, std::span<const std::byte> data) {
  std::span<const std::byte> same;
  if (channel == Channel::disk0) same = data.first(std::min<std::size_t>(8, data.size()));
  if (contents_ && record::is_byte_channel(channel)) same = data;
  const std::uint64_t words[] = {value_,         now.icount.value,
                                 now.time.value, static_cast<std::uint64_t>(channel),
                                 data.size(),    XXH3_64bits(same.data(), same.size())};
  value_ = XXH3_64bits(words, sizeof words);
}

StandIn::Position StandIn::position() const {
  Position position{next_, print_.value()};
  for (const auto& [channel, text] : shown_) position.shown[channel] = text.size();
  return position;
}

void StandIn::seek(const Position& position) {
  next_ = position.event;
  print_.set(position.print);
  parted_ = false;
  for (auto& [channel, text] : shown_) {
    const auto there = position.shown.find(channel);
    text.resize(there == position.shown.end() ? 0 : there->second);
  }
}

std::vector<std::string> StandIn::consoles() const {
  std::vector<std::string> texts;
  for (const auto& [channel, text] : shown_) {
    texts.push_back(text);
    std::erase(texts.back(), '\r');
  }
  return texts;
}

void StandIn::part() {
  parted_ = true;
  if (stop_) stop_();
}

void StandIn::drain(Instant now, std::vector<Input>& out) {
  if (parted_) return part();
  for (const Event* event = next(); event != nullptr; event = next()) {
    const Instant at = instant_of(*event);
    if (at > now || (at == now && event->kind == EventKind::sample)) return;
    if (at < now) return part();
    out.push_back({static_cast<Channel>(event->channel), data_.payload(next_)});
    ++next_;
  }
}

void StandIn::sample(Instant now, Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  std::ranges::fill(out, std::byte{0});
  if (parted_) return;
  const Event* event = next();
  if (event == nullptr || event->kind != EventKind::sample || instant_of(*event) != now ||
      static_cast<Channel>(event->channel) != channel || event->argument != argument ||
      event->size != out.size())
    return part();
  std::ranges::copy(data_.payload(next_), out.begin());
  ++next_;
}

Instant StandIn::next_input() const {
  for (std::size_t i = next_; i < data_.events(); ++i)
    if (data_.event(i).kind == EventKind::input) return instant_of(data_.event(i));
  return {Icount::max(), VirtualTime::max()};
}

VirtualTime StandIn::idle(Instant now, VirtualTime deadline) {
  if (parted_) {
    part();
    return now.time;
  }
  const Instant input = next_input();
  if (input.icount == now.icount && input.time <= deadline) return std::max(input.time, now.time);
  if (end_ && end_->icount == now.icount && end_->time <= deadline) {
    // At once: a timer that is due then had not fired either when the recording was stopped.
    if (stop_) stop_();
    return std::max(end_->time, now.time);
  }
  return deadline;
}

void StandIn::output(Instant now, Channel channel, std::span<const std::byte> data) {
  if (parted_) return;
  print_.output(now, channel, data);
  if (record::is_byte_channel(channel))
    shown_[channel].append(reinterpret_cast<const char*>(data.data()), data.size());
}

}  // namespace hindsight::replay::strip
