// What a recording holds of its user's data: sectors of the disk, payloads of received frames, typed bytes;
// and other contents of the same shape that may stand in for them. Owned by whoever strips a trace. One
// thread. Depends on the trace alone.
//
// The contents that stand in are a function of the bytes they replace and of nothing else: printable
// characters of text become 'x' and its blanks and line ends stay; all else becomes zeros. STRIP.md says why.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/port/nondet.h"
#include "replay/strip/search.h"
#include "traces/store/trace_reader.h"

namespace hindsight::replay::strip {

enum class Kind : std::uint8_t { disk = 0, network = 1, typed = 2 };
inline constexpr std::size_t kKinds = 3;

/// Bytes of one kind, as far as they are user data.
struct Tally {
  std::uint64_t came = 0;      ///< each byte once, however often it came
  std::uint64_t blank = 0;     ///< of these: nothing to replace, they are as what would replace them
  std::uint64_t replaced = 0;  ///< differ from what was recorded
};

/// Bytes that are as they were recorded.
struct Stayed {
  Kind kind;
  std::uint64_t place = 0;  ///< the sector they begin in, or the number of the event that brought them
  std::size_t offset = 0;   ///< there
  std::span<const std::byte> bytes = {};
};

class UserData final {
 public:
  /// Reads all events. Kinds that are not `wanted` have no pieces.
  static Result<UserData> load(traces::store::TraceReader& trace, const std::array<bool, kKinds>& wanted);

  [[nodiscard]] std::size_t events() const { return events_.size(); }
  /// Without its payload.
  [[nodiscard]] const traces::store::Event& event(std::size_t number) const { return events_[number].event; }
  /// What the event brings now; as long as event().size.
  [[nodiscard]] traces::store::Bytes payload(std::size_t number) const;

  /// All that may be replaced, in large pieces and in the order in which they come.
  [[nodiscard]] std::vector<Piece> pieces() const;
  /// The smaller pieces of one, in order, without those where there is nothing to replace; none if it is of
  /// the smallest size.
  [[nodiscard]] std::vector<Piece> split(const Piece& piece) const;
  /// Replaces these and no others from now on. Returns the number of the first event that brings something
  /// else than before, or events().
  std::size_t replace(std::span<const Piece> pieces);

  [[nodiscard]] Tally tally(Kind kind) const;
  /// All that is neither replaced nor blank, with what lies within a few bytes of it, in the order in which
  /// it came.
  [[nodiscard]] std::vector<Stayed> stayed() const;

 private:
  /// A block of the disk, a frame, or what was typed at once.
  struct Unit {
    Kind kind;
    std::size_t first_event;  ///< that brings any of it
    traces::store::Bytes original, filler, current;
    std::uint64_t block = 0;      ///< of the disk: its number
    std::size_t header = 0;       ///< a frame's first bytes, which stay
    std::vector<bool> came = {};  ///< of a block: which of its sectors did
  };
  struct Crossing {
    traces::store::Event event;
    traces::store::Bytes payload;     ///< of what is no user data
    std::optional<std::size_t> unit;  ///< of an input
  };

  Status take_read(const traces::store::Event& event, const traces::store::Bytes& payload);
  void take_input(const traces::store::Event& event, traces::store::Bytes payload);
  /// As recorded, though it is something.
  [[nodiscard]] static bool stays(const Unit& unit, std::size_t at);
  [[nodiscard]] bool worth(const Unit& unit, std::size_t begin, std::size_t end) const;
  [[nodiscard]] Piece piece_of(std::size_t unit, std::size_t begin, std::size_t end) const;

  std::array<bool, kKinds> wanted_ = {};
  std::vector<Crossing> events_;
  std::vector<Unit> units_;
  std::map<std::uint64_t, std::size_t> blocks_;  ///< of the disk: their units
};

/// What may stand in for text; control characters and blanks stay.
[[nodiscard]] traces::store::Bytes text_filler(std::span<const std::byte> bytes);
/// The same where it looks like text, else zeros; decided for each 64 bytes.
[[nodiscard]] traces::store::Bytes data_filler(std::span<const std::byte> bytes);
/// Where the payload of a TCP segment or UDP datagram over IPv4 begins; nothing in other frames, and in
/// fragments.
[[nodiscard]] std::optional<std::size_t> payload_of_frame(std::span<const std::byte> frame);
/// Makes the checksum of such a frame right for `now`, if it was right for `before` (RFC 1624).
void adjust_checksum(std::span<const std::byte> before, std::span<std::byte> now);

}  // namespace hindsight::replay::strip
