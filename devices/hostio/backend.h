// What HostNondet is composed of: consoles and networks on the host. Implementations live in this folder
// only. The run loop's thread only. Nothing here is deterministic; what it delivers is recorded by whoever
// wraps HostNondet.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/types.h"

namespace hindsight::devices::hostio {

/// Host monotonic time in nanoseconds, for pacing only.
[[nodiscard]] std::uint64_t host_now();

/// Writes everything, retrying short and interrupted writes; false once the other end is gone.
bool write_all(int fd, std::span<const std::byte> data);

/// A stream of bytes to and from a serial port or console.
class ConsoleBackend {
 public:
  virtual ~ConsoleBackend() = default;
  /// The file descriptor that input comes from, or -1 if input depends on outputs and virtual time alone.
  [[nodiscard]] virtual int poll_fd() const = 0;
  /// Appends what has arrived; never blocks.
  virtual void receive(VirtualTime now, std::vector<std::byte>& out) = 0;
  virtual void output(VirtualTime now, std::span<const std::byte> data) = 0;
  /// When receive will have more without anything else happening; VirtualTime::max() if never.
  [[nodiscard]] virtual VirtualTime next_time() const = 0;
  /// False once nothing can come from outside any more (end of file, or a script).
  [[nodiscard]] virtual bool input_possible() const = 0;
};

/// A network that frames are sent to and come from.
class NetworkBackend {
 public:
  virtual ~NetworkBackend() = default;
  /// Adds what to poll for and lowers `timeout_ns` to the next timer of its own.
  virtual void prepare_poll(std::vector<pollfd>& fds, std::uint64_t& timeout_ns) = 0;
  /// Handles what poll found; `fds` is what prepare_poll added to.
  virtual void dispatch(std::span<const pollfd> fds) = 0;
  virtual void send(std::span<const std::byte> frame) = 0;
  /// Moves the frames for the guest out, oldest first.
  virtual std::vector<std::vector<std::byte>> take() = 0;
  [[nodiscard]] virtual bool frames_waiting() const = 0;
  /// Whether an answer may be under way: then virtual time must not run ahead of the host.
  [[nodiscard]] virtual bool active() = 0;
  /// Whether frames may come although the guest sends nothing.
  [[nodiscard]] virtual bool input_possible() = 0;
};

}  // namespace hindsight::devices::hostio
