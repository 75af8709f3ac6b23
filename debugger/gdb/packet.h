// The bytes of gdb's remote protocol: packets with checksums, acknowledgements, escapes, run lengths and the
// interrupt byte (GDB manual, appendix E.1, E.9, E.11). Pure: bytes in, events out. Values and one reader per
// connection; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace hindsight::debugger::gdb {

/// The longest request that is taken, without its frame; told to gdb as PacketSize.
constexpr std::size_t kMaxRequest = 0x10000;

/// What the bytes of a client amount to.
struct Incoming {
  enum class Kind : std::uint8_t {
    packet,     ///< `payload`, unescaped
    ack,        ///< '+'
    nack,       ///< '-': send the last packet again
    interrupt,  ///< the byte 0x03 between packets
    damaged,    ///< a packet whose checksum is wrong
    too_long,   ///< a sound packet of more than kMaxRequest bytes, thrown away
  };
  Kind kind;
  std::string payload;
};

/// Takes a connection's bytes in pieces of any size. What is no part of a packet and means nothing there is
/// dropped. Keeps at most kMaxRequest bytes of an unfinished packet.
class PacketReader final {
 public:
  void feed(std::string_view bytes);
  /// The oldest event that was not taken yet.
  std::optional<Incoming> next();
  /// Drops packets with this payload that would come next.
  void skip(std::string_view payload);

 private:
  void take(char byte);
  void take_payload(char byte);
  void finish();

  enum class State : std::uint8_t { between, payload, escape, checksum_high, checksum_low };
  State state_ = State::between;
  std::string payload_;
  bool too_long_ = false;
  std::uint8_t sum_ = 0;
  int high_ = 0;
  std::deque<Incoming> events_;
};

/// "$payload#checksum", the payload's runs shortened. The payload is what escape() made, or plain text.
[[nodiscard]] std::string frame(std::string_view payload);
/// Binary data as a payload carries it: '#', '$', '}' and '*' are escaped.
[[nodiscard]] std::string escape(std::string_view data);

[[nodiscard]] std::string to_hex(std::string_view bytes);
/// Nothing if `text` is not pairs of hexadecimal digits.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view text);
/// A big-endian hexadecimal number of 1 to 16 digits; nothing if it is anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_hex(std::string_view text);

/// Cuts `text` at the first `separator` and returns what stood before it; the rest stays in `text`.
std::string_view take_until(std::string_view& text, char separator);

}  // namespace hindsight::debugger::gdb
