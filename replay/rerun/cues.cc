#include "replay/rerun/cues.h"

#include <algorithm>

namespace hindsight::replay::rerun {
namespace {

using engine::port::Channel;
using engine::port::Instant;
namespace store = traces::store;

std::string_view text_of(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

}  // namespace

std::string cue_text(std::string_view printed) {
  constexpr std::size_t kMost = 16;
  const std::size_t end = printed.find_last_not_of("\r\n");
  if (end == std::string_view::npos)
    return std::string(printed.substr(printed.size() - std::min(printed.size(), kMost)));
  const std::size_t before = printed.find_last_of("\r\n", end);
  const std::size_t line = before == std::string_view::npos ? 0 : before + 1;
  const std::string_view last = printed.substr(line);
  return std::string(last.substr(last.size() - std::min(last.size(), kMost)));
}

void TextCount::add(std::span<const std::byte> data) {
  if (text_.empty()) return;
  tail_ += text_of(data);
  std::size_t from = 0;
  for (std::size_t at; (at = tail_.find(text_, from)) != std::string::npos; from = at + 1) ++times_;
  // Of what is left only so much can begin another one, and none that was counted.
  const std::size_t keep = std::min(tail_.size() - from, text_.size() - 1);
  tail_.erase(0, tail_.size() - keep);
}

Result<CueListener> CueListener::create(store::TraceReader& trace) {
  CueListener listener;
  for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
    const Result<store::Chunk> chunk = trace.chunk(i);
    if (!chunk) return chunk.failure();
    for (const store::Event& event : chunk->events) {
      if (event.kind != store::EventKind::input) continue;
      Result<store::Bytes> payload = trace.payload(event);
      if (!payload) return payload.failure();
      Cue cue;
      cue.channel = static_cast<Channel>(event.channel);
      cue.payload = std::move(*payload);
      listener.inputs_.push_back({{event.at.icount, event.at.time}, std::move(cue)});
    }
  }
  return listener;
}

void CueListener::pass(Instant now) {
  for (; next_ < inputs_.size() && inputs_[next_].at <= now; ++next_) {
    auto& [at, cue] = inputs_[next_];
    Heard& heard = heard_[static_cast<std::size_t>(side_of(cue.channel))];
    cue.text = cue_text(heard.printed);
    TextCount count(cue.text);
    count.add(std::as_bytes(std::span(heard.printed)));
    cue.times = count.times();
    cue.sent = heard.sent;
    cue.delay = at.time - heard.last;
    cue.gap = at.time - heard.last_input;
    heard.cues.push_back(std::move(cue));
    heard.printed.clear();
    heard.sent = 0;
    heard.last = heard.last_input = at.time;
  }
}

void CueListener::output(Instant now, Channel channel, std::span<const std::byte> data) {
  if (channel == Channel::disk0) return;
  // An input of this very Instant was delivered before the instruction that prints.
  pass(now);
  Heard& heard = heard_[static_cast<std::size_t>(side_of(channel))];
  if (channel != Channel::net0) heard.printed += text_of(data);
  heard.sent += channel == Channel::net0 ? 1 : data.size();
  heard.last = now.time;
}

std::array<std::vector<Cue>, kSides> CueListener::finish() {
  pass({Icount::max(), VirtualTime::max()});
  return {std::move(heard_[0].cues), std::move(heard_[1].cues)};
}

}  // namespace hindsight::replay::rerun
