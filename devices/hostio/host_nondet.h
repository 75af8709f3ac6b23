// The live host: where every input of a machine comes from and every output goes when it is not a replay.
// This folder is the only part of Hindsight that touches host files, sockets and terminals. Owned by main;
// the run loop's thread only. SIGPIPE must be ignored by the program (its consoles may be pipes).
//
// Virtual time while all CPUs are halted (idle):
// - Nothing to wait for: batch pacing warps to the deadline at once.
// - While the network is active (an open TCP connection, or traffic within the last two seconds) an answer
// may be
//   on its way through the host, and a warp would make the guest's protocol timers fire before it arrives.
//   Then even batch pacing waits in real time for as long as the warp is wide, at most kLongestWait at a
//   stretch, and virtual time advances by what really passed. Input ends the wait early.
// - Interactive pacing always waits like that, along a straight line that ties virtual to host time: a
// machine
//   that was busy and fell behind catches up by waiting less, one that ran ahead waits more. Beyond kMaxDrift
//   the line is laid anew, so that neither a long computation nor a suspended host makes timers race or hang.
// - Without a deadline, both wait for input in stretches of kLongestWait as long as any can come, and
// otherwise
//   report that the machine is idle forever.
// Whatever idle returns is nondeterministic and for the recorder to log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/hostio/backend.h"
#include "devices/hostio/disk_image.h"
#include "engine/port/nondet.h"

namespace hindsight::devices::hostio {

enum class Pacing { batch, interactive };

struct HostOptions {
  Pacing pacing = Pacing::batch;
  /// Entropy from a generator with this seed, and a fixed wall clock: for runs that must repeat.
  std::optional<std::uint64_t> seed;
};

class HostNondet final : public engine::port::NondetSource, public engine::port::OutputSink {
 public:
  static constexpr std::uint64_t kLongestWait = 100'000'000;
  static constexpr std::uint64_t kMaxDrift = 250'000'000;
  /// The wall clock of a seeded run: 2024-01-01 00:00 UTC.
  static constexpr std::uint64_t kSeededWallClock = 1'704'067'200'000'000'000;

  explicit HostNondet(const HostOptions& options);

  /// Building. A console's bytes go to channel `input`; it shows the outputs of all of `outputs`.
  void add_console(std::unique_ptr<ConsoleBackend> console, engine::port::Channel input,
                   std::vector<engine::port::Channel> outputs);
  void set_disk(std::unique_ptr<DiskImage> image) { disk_ = std::move(image); }
  void set_network(std::unique_ptr<NetworkBackend> network) { network_ = std::move(network); }

  void drain(engine::port::Instant now, std::vector<engine::port::Input>& out) override;
  void sample(engine::port::Instant now, engine::port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  VirtualTime idle(engine::port::Instant now, VirtualTime deadline) override;
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

  /// The first thing that failed on the host while the machine ran (a disk image that cannot be read), if
  /// any.
  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }

 private:
  struct Console {
    std::unique_ptr<ConsoleBackend> backend;
    engine::port::Channel input;
    std::vector<engine::port::Channel> outputs;
    std::deque<std::byte> waiting;
    VirtualTime next_delivery{0};
  };

  void poll_host(VirtualTime now, std::uint64_t timeout_ns);
  void receive(Console& console, VirtualTime now);
  [[nodiscard]] bool ready(VirtualTime now) const;
  [[nodiscard]] VirtualTime next_own_input() const;
  [[nodiscard]] bool input_possible() const;
  VirtualTime wait(VirtualTime now, VirtualTime limit);
  VirtualTime wait_on_line(VirtualTime now, VirtualTime limit);
  void fill_entropy(std::span<std::byte> out);
  void read_disk(std::uint64_t sector, std::span<std::byte> out);
  void fail(const std::string& message);

  HostOptions options_;
  std::vector<Console> consoles_;
  std::unique_ptr<DiskImage> disk_;
  std::unique_ptr<NetworkBackend> network_;
  std::uint64_t generator_;
  std::uint64_t last_poll_ = 0;
  // Where the line between virtual and host time goes through; host 0: nowhere yet.
  std::uint64_t anchor_host_ = 0;
  VirtualTime anchor_virtual_{0};
  std::optional<std::string> failure_;
};

}  // namespace hindsight::devices::hostio
