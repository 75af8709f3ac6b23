// The one border: every byte of nondeterminism enters the machine through NondetSource, and every byte that
// leaves it goes through OutputSink. A live source asks the host, a recording one wraps it and logs, a
// replaying one serves the log. The run loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::engine::port {

/// What an input or output belongs to. Stored in traces: values are never renumbered.
enum class Channel : std::uint16_t {
  serial0 = 1,         ///< bytes of the first UART
  virtio_console = 2,  ///< bytes of the virtio console's port 0
  net0 = 3,            ///< one Ethernet frame each
  disk0 = 4,       ///< sample: argument = sector (512 bytes); output: 8-byte little-endian sector, then data
  entropy = 5,     ///< sample: bytes for the virtio entropy device
  wall_clock = 6,  ///< sample: 8 bytes, little-endian nanoseconds since 1970-01-01 UTC at power-on
  keyboard = 7,
};

/// Where on the timeline something happens. Icount stands still while every CPU is halted; time does not.
struct Instant {
  Icount icount;
  VirtualTime time;
  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
};

/// Something that arrived from outside and is delivered to its device at an Instant.
struct Input {
  Channel channel;
  std::vector<std::byte> payload;
};

class NondetSource {
 public:
  virtual ~NondetSource() = default;
  /// Appends to `out` every input to deliver at `now`. Called between slices. Order is delivery order.
  virtual void drain(Instant now, std::vector<Input>& out) = 0;
  /// Fills `out` with what the host says, synchronously (a disk read, entropy, the clock). Always fills all.
  virtual void sample(Instant now, Channel channel, std::uint64_t argument, std::span<std::byte> out) = 0;
  /// The earliest Instant at which drain would deliver: the run loop stops exactly there. A live source
  /// returns a maximal Instant: it does not know, and is asked between slices.
  [[nodiscard]] virtual Instant next_input() const = 0;
  /// Every CPU is halted at `now`, the next timer is due at `deadline` (maximal: none). Returns the time to
  /// warp to, in [now.time, deadline]; may block on the host (pacing, or waiting for input when there is no
  /// deadline). Returning now.time means: input is ready, drain it. With no deadline and no input to come, a
  /// source returns VirtualTime::max() and the machine stops as idle forever.
  virtual VirtualTime idle(Instant now, VirtualTime deadline) = 0;
};

/// What the machine sends out. Recording digests it into the trace; replay compares it.
class OutputSink {
 public:
  virtual ~OutputSink() = default;
  virtual void output(Instant now, Channel channel, std::span<const std::byte> data) = 0;
};

/// What a device sees of the border: the same, stamped with the present Instant by the run loop.
class HostPort {
 public:
  virtual ~HostPort() = default;
  virtual void sample(Channel channel, std::uint64_t argument, std::span<std::byte> out) = 0;
  virtual void output(Channel channel, std::span<const std::byte> data) = 0;
};

/// A device that takes inputs of a channel.
class InputHandler {
 public:
  virtual ~InputHandler() = default;
  virtual void input(std::span<const std::byte> payload) = 0;
};

}  // namespace hindsight::engine::port
