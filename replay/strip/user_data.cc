#include "replay/strip/user_data.h"

#include <algorithm>

namespace hindsight::replay::strip {
namespace {

using engine::port::Channel;
namespace store = traces::store;
using store::Bytes;

constexpr std::size_t kSector = 512, kBlock = 4096;
/// What is tried apart at last: a cache line, the least that says whether it is text.
constexpr std::size_t kStretch = 64;

unsigned value(std::byte byte) { return std::to_integer<unsigned>(byte); }
bool is_blank(std::byte byte) { return byte == std::byte{' '} || (value(byte) >= 9 && value(byte) <= 13); }
bool is_text(std::byte byte) { return is_blank(byte) || (value(byte) >= 0x20 && value(byte) != 0x7f); }
bool is_line_end(std::byte byte) { return byte == std::byte{'\n'} || byte == std::byte{'\r'}; }

/// The last of a file's text is followed by zeros.
bool looks_like_text(std::span<const std::byte> bytes) {
  const auto end = std::ranges::find_if_not(bytes, is_text);
  return std::all_of(end, bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

/// A part of a word: what a command's punctuation separates.
bool is_name(std::byte byte) {
  const unsigned c = value(byte);
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c >= 0x80;
}

/// Where the words of a line end, or where the parts of a single word do.
std::vector<std::size_t> word_ends(std::span<const std::byte> text) {
  const auto last = std::find_if_not(text.rbegin(), text.rend(), is_blank).base();
  const bool words = std::any_of(text.begin(), last, is_blank);
  std::vector<std::size_t> ends;
  for (std::size_t i = 1; i < text.size(); ++i) {
    const bool end =
        words ? is_blank(text[i - 1]) && !is_blank(text[i]) : is_name(text[i - 1]) != is_name(text[i]);
    if (end) ends.push_back(i);
  }
  ends.push_back(text.size());
  return ends;
}

std::size_t word(std::span<const std::byte> bytes, std::size_t at) {
  return value(bytes[at]) << 8 | (at + 1 < bytes.size() ? value(bytes[at + 1]) : 0);
}

/// An unfragmented TCP segment or UDP datagram over IPv4 in an Ethernet frame (RFC 791, 9293, 768).
struct Segment {
  std::size_t begin;  ///< of its header
  std::size_t payload, end;
  std::size_t checksum;
  bool udp;
};

std::optional<Segment> segment_of(std::span<const std::byte> frame) {
  constexpr std::size_t kEthernet = 14;
  if (frame.size() < kEthernet + 20 || word(frame, 12) != 0x0800 || value(frame[kEthernet]) >> 4 != 4)
    return std::nullopt;
  const std::size_t begin = kEthernet + 4 * std::max(value(frame[kEthernet]) & 15, 5u);
  const std::size_t end = kEthernet + word(frame, kEthernet + 2);
  const unsigned protocol = value(frame[kEthernet + 9]);
  const bool udp = protocol == 17, fragment = (word(frame, kEthernet + 6) & 0x3fff) != 0;
  if (fragment || (!udp && protocol != 6) || end > frame.size() || begin + (udp ? 8 : 20) > end)
    return std::nullopt;
  const std::size_t payload = begin + (udp ? 8 : 4 * std::max(value(frame[begin + 12]) >> 4, 5u));
  if (payload > end) return std::nullopt;
  return Segment{begin, payload, end, begin + (udp ? 6u : 16u), udp};
}

}  // namespace

Bytes text_filler(std::span<const std::byte> bytes) {
  Bytes filler(bytes.begin(), bytes.end());
  for (std::byte& byte : filler)
    if (is_text(byte) && !is_blank(byte)) byte = std::byte{'x'};
  return filler;
}

Bytes data_filler(std::span<const std::byte> bytes) {
  Bytes filler;
  for (std::size_t at = 0; at < bytes.size(); at += kStretch) {
    const auto stretch = bytes.subspan(at, std::min(kStretch, bytes.size() - at));
    const Bytes part = looks_like_text(stretch) ? text_filler(stretch) : Bytes(stretch.size());
    filler.insert(filler.end(), part.begin(), part.end());
  }
  return filler;
}

std::optional<std::size_t> payload_of_frame(std::span<const std::byte> frame) {
  const auto segment = segment_of(frame);
  return segment ? std::optional(segment->payload) : std::nullopt;
}

void adjust_checksum(std::span<const std::byte> before, std::span<std::byte> now) {
  const auto segment = segment_of(before);
  if (!segment) return;
  const std::size_t old = word(before, segment->checksum);
  if (segment->udp && old == 0) return;  // the sender computed none
  std::uint64_t sum = ~old & 0xffff;
  for (std::size_t at = segment->payload; at < segment->end; at += 2) {
    sum += ~word(before.first(segment->end), at) & 0xffff;
    sum += word(now.first(segment->end), at);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  std::uint64_t checksum = ~sum & 0xffff;
  if (segment->udp && checksum == 0) checksum = 0xffff;
  now[segment->checksum] = static_cast<std::byte>(checksum >> 8);
  now[segment->checksum + 1] = static_cast<std::byte>(checksum);
}

Result<UserData> UserData::load(store::TraceReader& trace, const std::array<bool, kKinds>& wanted) {
  UserData data;
  data.wanted_ = wanted;
  for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
    Result<store::Chunk> chunk = trace.chunk(i);
    if (!chunk) return chunk.failure();
    for (store::Event& event : chunk->events) {
      Result<Bytes> payload = trace.payload(event);
      if (!payload) return payload.failure();
      event.payload.clear();
      event.pieces.clear();
      if (event.kind == store::EventKind::input) {
        data.take_input(event, std::move(*payload));
      } else if (static_cast<Channel>(event.channel) == Channel::disk0) {
        if (const Status taken = data.take_read(event, *payload); !taken)
          return error("{}: {}", trace.path(), taken.failure().message);
        data.events_.push_back({std::move(event), {}, std::nullopt});
      } else {
        data.events_.push_back({std::move(event), std::move(*payload), std::nullopt});
      }
    }
  }
  for (Unit& unit : data.units_) {
    unit.filler = unit.kind == Kind::typed ? text_filler(unit.original) : data_filler(unit.original);
    if (unit.kind == Kind::network) {
      const Bytes payload = data_filler(std::span(unit.original).subspan(unit.header));
      unit.filler.assign(unit.original.begin(),
                         unit.original.begin() + static_cast<std::ptrdiff_t>(unit.header));
      unit.filler.insert(unit.filler.end(), payload.begin(), payload.end());
    }
    unit.current = unit.original;
  }
  return data;
}

Status UserData::take_read(const store::Event& event, const Bytes& payload) {
  for (std::size_t at = 0; at + kSector <= payload.size(); at += kSector) {
    const std::uint64_t sector = event.argument + at / kSector;
    const auto [known, fresh] = blocks_.try_emplace(sector * kSector / kBlock, units_.size());
    if (fresh)
      units_.push_back({Kind::disk,
                        events_.size(),
                        Bytes(kBlock),
                        {},
                        {},
                        sector * kSector / kBlock,
                        0,
                        std::vector<bool>(kBlock / kSector)});
    Unit& unit = units_[known->second];
    const std::size_t within = sector * kSector % kBlock;
    const auto there = std::span(unit.original).subspan(within, kSector);
    const auto read = std::span(payload).subspan(at, kSector);
    if (unit.came[within / kSector] && !std::ranges::equal(there, read))
      return error("sector {} was read twice with different contents: somebody wrote to the image meanwhile",
                   sector);
    std::ranges::copy(read, there.begin());
    unit.came[within / kSector] = true;
  }
  return Done{};
}

void UserData::take_input(const store::Event& event, Bytes payload) {
  const bool frame = static_cast<Channel>(event.channel) == Channel::net0;
  const std::size_t header = frame ? payload_of_frame(payload).value_or(payload.size()) : 0;
  units_.push_back(
      {frame ? Kind::network : Kind::typed, events_.size(), std::move(payload), {}, {}, 0, header, {}});
  events_.push_back({event, {}, units_.size() - 1});
}

Bytes UserData::payload(std::size_t number) const {
  const Crossing& crossing = events_[number];
  if (crossing.unit) {
    const Unit& unit = units_[*crossing.unit];
    Bytes bytes = unit.current;
    if (unit.kind == Kind::network) adjust_checksum(unit.original, bytes);
    return bytes;
  }
  if (static_cast<Channel>(crossing.event.channel) != Channel::disk0) return crossing.payload;
  Bytes bytes(crossing.event.size);
  for (std::size_t at = 0; at + kSector <= bytes.size(); at += kSector) {
    const std::uint64_t from = crossing.event.argument * kSector + at;
    const Unit& unit = units_[blocks_.at(from / kBlock)];
    std::ranges::copy(std::span(unit.current).subspan(from % kBlock, kSector),
                      bytes.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return bytes;
}

bool UserData::worth(const Unit& unit, std::size_t begin, std::size_t end) const {
  const auto part = [&](const Bytes& bytes) { return std::span(bytes).subspan(begin, end - begin); };
  return !std::ranges::equal(part(unit.original), part(unit.filler));
}

Piece UserData::piece_of(std::size_t unit, std::size_t begin, std::size_t end) const {
  return {static_cast<std::uint32_t>(unit), static_cast<std::uint32_t>(begin),
          static_cast<std::uint32_t>(end), events_[units_[unit].first_event].event.at.icount};
}

std::vector<Piece> UserData::pieces() const {
  std::vector<Piece> all;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const Unit& unit = units_[i];
    if (!wanted_[static_cast<std::size_t>(unit.kind)]) continue;
    for (std::size_t begin = unit.header, end = begin; begin < unit.original.size(); begin = end) {
      end = unit.original.size();
      if (unit.kind == Kind::typed) {  // a line
        const auto at = std::find_if(unit.original.begin() + static_cast<std::ptrdiff_t>(begin),
                                     unit.original.end(), is_line_end);
        end = std::min(end, static_cast<std::size_t>(at - unit.original.begin()) + 1);
      }
      if (worth(unit, begin, end)) all.push_back(piece_of(i, begin, end));
    }
  }
  return all;
}

std::vector<Piece> UserData::split(const Piece& piece) const {
  const Unit& unit = units_[piece.unit];
  const std::size_t size = piece.end - piece.begin;
  const std::size_t grain = size > kSector ? kSector : kStretch;
  const auto bytes = std::span(unit.original).subspan(piece.begin, size);
  const bool text = unit.kind == Kind::typed || (size <= kStretch && looks_like_text(bytes));
  const std::vector<std::size_t> ends = text ? word_ends(bytes) : std::vector<std::size_t>{};
  std::vector<Piece> parts;
  for (std::size_t begin = piece.begin, i = 0, end = begin; begin < piece.end; begin = end) {
    end = text ? piece.begin + ends[i++] : std::min<std::size_t>(piece.end, (begin / grain + 1) * grain);
    if (worth(unit, begin, end)) parts.push_back(piece_of(piece.unit, begin, end));
  }
  if (parts.size() == 1 && parts.front() == piece) parts.clear();
  return parts;
}

std::size_t UserData::replace(std::span<const Piece> pieces) {
  std::vector<Bytes> before;
  before.reserve(units_.size());
  for (Unit& unit : units_) {
    before.push_back(std::move(unit.current));
    unit.current = unit.original;
  }
  for (const Piece& piece : pieces) {
    Unit& unit = units_[piece.unit];
    std::copy(unit.filler.begin() + piece.begin, unit.filler.begin() + piece.end,
              unit.current.begin() + piece.begin);
  }
  std::size_t first = events_.size();
  for (std::size_t i = 0; i < units_.size(); ++i)
    if (units_[i].current != before[i]) first = std::min(first, units_[i].first_event);
  return first;
}

bool UserData::stays(const Unit& unit, std::size_t at) {
  if (!unit.came.empty() && !unit.came[at / kSector]) return false;
  return unit.current[at] == unit.original[at] && (at < unit.header || unit.filler[at] != unit.original[at]);
}

std::vector<Stayed> UserData::stayed() const {
  constexpr std::size_t kNear = 8;
  std::vector<Stayed> all;
  for (const Unit& unit : units_) {
    for (std::size_t begin = 0; begin < unit.original.size(); ++begin) {
      if (!stays(unit, begin)) continue;
      std::size_t end = begin + 1;
      for (std::size_t at = end; at < std::min(unit.original.size(), end + kNear); ++at)
        if (stays(unit, at)) end = at + 1;
      const bool disk = unit.kind == Kind::disk;
      all.push_back({unit.kind, disk ? (unit.block * kBlock + begin) / kSector : unit.first_event,
                     disk ? begin % kSector : begin, std::span(unit.current).subspan(begin, end - begin)});
      begin = end - 1;
    }
  }
  return all;
}

Tally UserData::tally(Kind kind) const {
  Tally tally;
  for (const Unit& unit : units_) {
    if (unit.kind != kind) continue;
    for (std::size_t i = 0; i < unit.original.size(); ++i) {
      if (!unit.came.empty() && !unit.came[i / kSector]) continue;
      tally.came++;
      if (unit.current[i] != unit.original[i]) tally.replaced++;
      if (i >= unit.header && unit.filler[i] == unit.original[i]) tally.blank++;
    }
  }
  return tally;
}

}  // namespace hindsight::replay::strip
