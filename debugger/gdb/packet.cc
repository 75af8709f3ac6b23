#include "debugger/gdb/packet.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindsight::debugger::gdb {
namespace {

constexpr char kInterrupt = 0x03;
constexpr char kEscapeMask = 0x20;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::uint8_t checksum(std::string_view payload) {
  std::uint8_t sum = 0;
  for (const char c : payload) sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(c));
  return sum;
}

// A repeat count is a printable character, 29 above the number of further copies (E.1): at least 3 copies, at
// most 97; '#', '$', '+' and '-' would be taken for something else.
constexpr std::size_t kMinCopies = 3, kMaxCopies = 97, kCountBias = 29;

std::size_t copies_in_one_count(std::size_t copies) {
  copies = std::min(copies, kMaxCopies);
  const auto count = static_cast<char>(copies + kCountBias);
  if (count == '#' || count == '+' || count == '-') return copies - 1;
  return count == '$' ? copies - 2 : copies;
}

std::string shorten_runs(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t end = std::min(text.find_first_not_of(c, at), text.size());
    out += c;
    std::size_t left = end - at - 1;
    at = end;
    while (left >= kMinCopies) {
      const std::size_t copies = copies_in_one_count(left);
      out += '*';
      out += static_cast<char>(copies + kCountBias);
      left -= copies;
      // A count repeats the character before the '*': one more is needed before the next count.
      if (left > 0) {
        out += c;
        --left;
      }
    }
    out.append(left, c);
  }
  return out;
}

}  // namespace

void PacketReader::feed(std::string_view bytes) {
  for (const char byte : bytes) take(byte);
}

std::optional<Incoming> PacketReader::next() {
  if (events_.empty()) return std::nullopt;
  Incoming event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void PacketReader::skip(std::string_view payload) {
  while (!events_.empty() && events_.front().kind == Incoming::Kind::packet &&
         events_.front().payload == payload)
    events_.pop_front();
}

void PacketReader::take(char byte) {
  switch (state_) {
    case State::between:
      if (byte == '$') {
        state_ = State::payload;
        payload_.clear();
        too_long_ = false;
        sum_ = 0;
      } else if (byte == '+') {
        events_.push_back({Incoming::Kind::ack, {}});
      } else if (byte == '-') {
        events_.push_back({Incoming::Kind::nack, {}});
      } else if (byte == kInterrupt) {
        events_.push_back({Incoming::Kind::interrupt, {}});
      }
      break;
    case State::payload:
    case State::escape:
      take_payload(byte);
      break;
    case State::checksum_high:
      high_ = hex_digit(byte);
      state_ = State::checksum_low;
      break;
    case State::checksum_low: {
      const int low = hex_digit(byte);
      state_ = State::between;
      if (high_ >= 0 && low >= 0 && high_ * 16 + low == sum_) {
        finish();
      } else {
        events_.push_back({Incoming::Kind::damaged, {}});
      }
      break;
    }
  }
}

void PacketReader::take_payload(char byte) {
  // These two stand in no payload but escaped (E.1): whatever was begun was cut off.
  if (byte == '$') {
    state_ = State::between;
    return take(byte);
  }
  if (byte == '#') {
    // An escape without its character spoils the packet.
    if (state_ == State::escape) sum_ = static_cast<std::uint8_t>(sum_ + 1);
    state_ = State::checksum_high;
    return;
  }
  sum_ = static_cast<std::uint8_t>(sum_ + static_cast<std::uint8_t>(byte));
  if (state_ == State::payload && byte == '}') {
    state_ = State::escape;
    return;
  }
  const char plain = state_ == State::escape ? static_cast<char>(byte ^ kEscapeMask) : byte;
  state_ = State::payload;
  if (payload_.size() >= kMaxRequest) {
    too_long_ = true;
  } else {
    payload_ += plain;
  }
}

void PacketReader::finish() {
  if (too_long_) {
    events_.push_back({Incoming::Kind::too_long, {}});
  } else {
    events_.push_back({Incoming::Kind::packet, std::move(payload_)});
  }
  payload_.clear();
}

std::string frame(std::string_view payload) {
  const std::string text = shorten_runs(payload);
  return fmt::format("${}#{:02x}", text, checksum(text));
}

std::string escape(std::string_view data) {
  std::string out;
  out.reserve(data.size());
  for (const char c : data) {
    if (c == '#' || c == '$' || c == '}' || c == '*') {
      out += '}';
      out += static_cast<char>(c ^ kEscapeMask);
    } else {
      out += c;
    }
  }
  return out;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const int digit = hex_digit(c);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  return value;
}

std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return head;
}

}  // namespace hindsight::debugger::gdb
