// A split virtqueue (virtio 1.2, 2.7) as the device sees it, and streams over the buffers of one chain.
// Owned by the transport; the run loop's thread only. The rings are guest memory and hence untrusted:
// indices, lengths and chains are bounded, and anything that breaks the rules is reported once as `broken`.
// Deterministic: touches guest memory only when called, in a fixed order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/types.h"
#include "engine/port/io.h"
#include "traces/schema/virtio.capnp.h"

namespace hindsight::devices::virtio {

constexpr std::uint16_t kNoVector = 0xFFFF;
/// The longest chain that is followed, direct or indirect.
constexpr unsigned kMaxChain = 1024;

struct Segment {
  GuestPhys address;
  std::uint32_t length;
};

/// One request: the buffers the device reads, then those it writes.
struct Chain {
  std::uint16_t head = 0;
  std::vector<Segment> readable;
  std::vector<Segment> writable;
};

/// Sequential access to the bytes of a chain's buffers, however the driver cut them (virtio 1.2, 2.7.4).
class SegmentStream {
 public:
  SegmentStream(engine::port::GuestMemory& memory, std::span<const Segment> segments);
  [[nodiscard]] std::uint64_t remaining() const { return remaining_; }
  /// Each returns false if fewer bytes remain or any of them is not RAM.
  [[nodiscard]] bool read(std::span<std::byte> out);
  [[nodiscard]] bool write(std::span<const std::byte> data);
  /// Moves on without touching memory; false if fewer bytes remain.
  [[nodiscard]] bool skip(std::uint64_t bytes);

 private:
  template <class Access>
  bool advance(std::uint64_t bytes, Access access);

  engine::port::GuestMemory& memory_;
  std::span<const Segment> segments_;
  std::uint64_t offset_ = 0;  // in the first of segments_
  std::uint64_t remaining_ = 0;
};

class Virtqueue final {
 public:
  enum class Pop { empty, chain, broken };

  Virtqueue(engine::port::GuestMemory& memory, std::uint16_t max_size);

  // Set up by the transport from the common configuration structure.
  std::uint16_t size;
  bool enabled = false;
  std::uint16_t msix_vector = kNoVector;
  std::uint64_t descriptors = 0;
  std::uint64_t driver_area = 0;
  std::uint64_t device_area = 0;

  void reset();
  /// Refuses (false) a ring that is misaligned (virtio 1.2, 2.7) or not in RAM.
  [[nodiscard]] bool enable();
  void use_features(bool indirect, bool event_index);

  /// How many chains the driver has made available; nothing if the ring is broken.
  [[nodiscard]] std::optional<unsigned> available() const;
  /// Takes the next available chain.
  [[nodiscard]] Pop pop(Chain& out);
  /// Returns a chain to the driver; false if the ring is broken.
  [[nodiscard]] bool push(std::uint16_t head, std::uint32_t written);
  /// Asks to be notified of the next chain made available; false if the ring is broken.
  [[nodiscard]] bool request_notification();
  /// Whether the driver wants an interrupt for what was pushed since the last call.
  [[nodiscard]] bool interrupt_wanted();

  [[nodiscard]] std::uint16_t max_size() const { return max_size_; }
  void save(traces::schema::VirtqueueState::Builder out) const;
  void load(traces::schema::VirtqueueState::Reader in);

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags;
    std::uint16_t next;
  };

  [[nodiscard]] bool read16(std::uint64_t address, std::uint16_t& out) const;
  [[nodiscard]] bool write16(std::uint64_t address, std::uint16_t value);
  [[nodiscard]] bool read_descriptor(std::uint64_t table, unsigned index, Descriptor& out) const;
  [[nodiscard]] bool walk(std::uint64_t table, unsigned count, unsigned first, bool indirect,
                          Chain& out) const;

  engine::port::GuestMemory& memory_;
  std::uint16_t max_size_;
  bool indirect_ = false;
  bool event_index_ = false;
  std::uint16_t last_available_ = 0;
  std::uint16_t used_index_ = 0;
  std::uint16_t signalled_used_ = 0;
};

}  // namespace hindsight::devices::virtio
