// The records of a trace as plain values, and their Cap'n Proto encoding (traces/schema/trace.capnp).
// Values; any thread. Decoding takes bytes from an untrusted file: it returns an Error, and never throws.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "traces/schema/machine.capnp.h"
#include "traces/schema/trace.capnp.h"

namespace hindsight::traces::store {

/// The newest version that is read and written; a trace is of the oldest that can say what is in it.
inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::uint32_t kFirstVersion = 1, kBranchVersion = 2;
using Bytes = std::vector<std::byte>;

/// Icount stands still while every CPU is halted; time does not.
struct Instant {
  Icount icount;
  VirtualTime time;
  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
};

struct Hash128 {
  std::uint64_t high = 0, low = 0;
  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
};

/// XXH3-128 of `data`.
[[nodiscard]] Hash128 hash_of(std::span<const std::byte> data);

struct Piece {
  Hash128 hash;
  std::uint32_t size = 0;
  friend bool operator==(const Piece&, const Piece&) = default;
};

struct BlobRef {
  std::string name;
  std::uint64_t size = 0;
  std::vector<Piece> pieces;
};

enum class NetMode : std::uint16_t { none = schema::NET_NONE, user = schema::NET_USER };

/// Where a branch left which trace; see schema Parent.
struct ParentTrace {
  Hash128 identity;
  std::string name;
  Instant at;
  std::uint32_t delivery = 0;
};

/// What a machine was built from; see machine.capnp for the units.
struct MachineConfig {
  std::string board = "pc";
  std::uint64_t ram_bytes = 0;
  std::string cpu_model;
  std::vector<std::string> cpu_features;
  std::uint64_t time_rate = 1 << 16;
  BlobRef kernel, initrd;
  std::string command_line;
  std::uint64_t disk_bytes = 0;
  NetMode net = NetMode::none;
  std::uint64_t digest_interval = 50'000'000;
  std::uint64_t full_state_interval = 50'000'000;
  std::vector<std::uint16_t> channels;
  std::string build;
  std::uint64_t seed = 0;
  bool has_console = false;
  bool has_entropy = false;
  std::optional<ParentTrace> parent;    ///< none: recorded from power-on
  std::optional<ParentTrace> rerun_of;  ///< whose inputs it got, for people and programs only

  [[nodiscard]] std::uint32_t format_version() const { return parent ? kBranchVersion : kFirstVersion; }
};

struct Progress {
  Instant at;
  std::uint64_t chunks = 0, digests = 0, events = 0;
};

/// Why a recording ended. The first six are port::StopReason.
enum class EndReason : std::uint16_t {
  reached = schema::STOP_REACHED,
  power_off = schema::STOP_POWER_OFF,
  reset = schema::STOP_RESET,
  triple_fault = schema::STOP_TRIPLE_FAULT,
  idle_forever = schema::STOP_IDLE_FOREVER,
  interrupted = schema::STOP_INTERRUPTED,
};
[[nodiscard]] std::string_view name_of(EndReason reason);

/// A place on the timeline; see engine/port/debug.h.
struct Place {
  Icount icount;
  std::uint32_t delivery = 0;
  friend constexpr auto operator<=>(const Place&, const Place&) = default;
};

/// Bytes of a set of pages, and of one of lines; see schema Footprint.
inline constexpr std::size_t kPageSetBytes = 8192, kLineSetBytes = 32768;
inline constexpr unsigned kLineBits = 4;  ///< 2^kLineBits bytes are a line
/// More would make a record larger than a value may be.
inline constexpr std::size_t kMostFootprints = 1000;

struct Footprint {
  Place from, to;
  Bytes ram_written, written;  ///< kPageSetBytes each, or both empty: not known
  Bytes executed;              ///< kLineSetBytes; empty: not known
};

struct End {
  Instant at;
  EndReason reason = EndReason::reached;
  std::vector<Footprint> footprints = {};
};

enum class EventKind : std::uint16_t { input = schema::EVENT_INPUT, sample = schema::EVENT_SAMPLE };
[[nodiscard]] std::string_view name_of(EventKind kind);

/// Payloads up to this size stand in the event, larger ones (and all disk reads) in pieces.
inline constexpr std::size_t kInlinePayload = 16 * 1024;

struct Event {
  EventKind kind = EventKind::input;
  Instant at;
  std::uint16_t channel = 0;
  std::uint64_t argument = 0;
  std::uint32_t size = 0;
  Bytes payload;
  std::vector<Piece> pieces;
};

struct OutputRun {
  std::uint16_t channel = 0;
  std::uint64_t first_byte = 0, first_unit = 0;
  Bytes bytes;
  std::vector<std::uint32_t> units;
};

struct Chunk {
  std::uint64_t number = 0, first_event = 0;
  std::vector<Event> events;
  std::vector<OutputRun> outputs;
};

struct PartDigest {
  std::string name;
  std::uint64_t hash = 0;
  Bytes state;
};

struct ChannelDigest {
  std::uint16_t channel = 0;
  std::uint64_t bytes = 0, units = 0;
  Hash128 hash;
  /// False after a start from a trace's snapshot, which does not say what was sent before. Never in a trace.
  bool hash_known = true;
  friend bool operator==(const ChannelDigest&, const ChannelDigest&) = default;
};

struct Digest {
  Instant at;
  std::vector<PartDigest> parts;
  std::uint64_t ram = 0;
  std::vector<ChannelDigest> channels;
  bool full = false;
  std::uint8_t page_shift = 0;
  std::vector<std::uint32_t> page_groups;
  std::vector<std::uint16_t> page_hashes;
};

[[nodiscard]] Bytes encode(const MachineConfig& config);
[[nodiscard]] Bytes encode(const Progress& progress);
[[nodiscard]] Bytes encode(const End& end);
[[nodiscard]] Bytes encode(const Chunk& chunk);
[[nodiscard]] Bytes encode(const Digest& digest);

/// `data` need not be aligned. Errors say what was expected, without file and key: the caller adds them.
[[nodiscard]] Result<MachineConfig> decode_config(std::span<const std::byte> data);
[[nodiscard]] Result<Progress> decode_progress(std::span<const std::byte> data);
[[nodiscard]] Result<End> decode_end(std::span<const std::byte> data);
[[nodiscard]] Result<Chunk> decode_chunk(std::span<const std::byte> data);
[[nodiscard]] Result<Digest> decode_digest(std::span<const std::byte> data);

}  // namespace hindsight::traces::store
