#include "devices/hostio/host_nondet.h"

#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/little_endian.h"
#include "engine/base/log.h"

namespace hindsight::devices::hostio {

using engine::port::Channel;
using engine::port::Input;
using engine::port::Instant;

namespace {

// Between slices, the host is asked at most this often.
constexpr std::uint64_t kPollInterval = 1'000'000;
// Bytes of a console that wait here before its backend is asked for more.
constexpr std::size_t kMaxConsoleBytes = 64 * 1024;

// How fast input reaches a console. A script or a pipe writes faster than any driver reads, and what exceeds
// a device's buffer is lost: a little less than 115200 baud keeps a UART's input whole.
struct Rate {
  std::size_t bytes;
  std::uint64_t interval;
};
Rate rate_of(Channel channel) {
  return channel == Channel::serial0 ? Rate{256, 24'000'000} : Rate{4096, 1'000'000};
}

std::uint64_t saturating_difference(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace

HostNondet::HostNondet(const HostOptions& options)
    : options_(options), generator_(options.seed.value_or(0)) {}

void HostNondet::add_console(std::unique_ptr<ConsoleBackend> console, Channel input,
                             std::vector<Channel> outputs) {
  consoles_.push_back({std::move(console), input, std::move(outputs), {}, VirtualTime(0)});
}

void HostNondet::receive(Console& console, VirtualTime now) {
  if (console.waiting.size() >= kMaxConsoleBytes) return;
  std::vector<std::byte> bytes;
  console.backend->receive(now, bytes);
  console.waiting.insert(console.waiting.end(), bytes.begin(), bytes.end());
}

// Waits for the host at most `timeout_ns` and takes what has come.
void HostNondet::poll_host(VirtualTime now, std::uint64_t timeout_ns) {
  std::vector<pollfd> fds;
  for (const Console& console : consoles_)
    if (console.backend->poll_fd() >= 0 && console.waiting.size() < kMaxConsoleBytes)
      fds.push_back({console.backend->poll_fd(), POLLIN, 0});
  if (network_) network_->prepare_poll(fds, timeout_ns);
  if (timeout_ns != 0 || !fds.empty()) {
    const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                           static_cast<long>(timeout_ns % 1'000'000'000)};
    const int found = ::ppoll(fds.data(), fds.size(), &timeout, nullptr);
    if (found < 0)
      for (pollfd& fd : fds) fd.revents = 0;  // interrupted: the run loop will look why
  }
  if (network_) network_->dispatch(fds);
  for (Console& console : consoles_) receive(console, now);
  last_poll_ = host_now();
}

void HostNondet::drain(Instant now, std::vector<Input>& out) {
  const bool due = host_now() - last_poll_ >= kPollInterval;
  if (due) {
    poll_host(now.time, 0);
  } else {
    // Scripts do not depend on the host and must not depend on how fast it is.
    for (Console& console : consoles_)
      if (console.backend->poll_fd() < 0) receive(console, now.time);
  }
  for (Console& console : consoles_) {
    if (console.waiting.empty() || now.time < console.next_delivery) continue;
    const Rate rate = rate_of(console.input);
    const auto count = static_cast<std::ptrdiff_t>(std::min(rate.bytes, console.waiting.size()));
    out.push_back({console.input, {console.waiting.begin(), console.waiting.begin() + count}});
    console.waiting.erase(console.waiting.begin(), console.waiting.begin() + count);
    console.next_delivery = now.time + rate.interval;
  }
  if (network_)
    for (std::vector<std::byte>& frame : network_->take()) out.push_back({Channel::net0, std::move(frame)});
}

Instant HostNondet::next_input() const { return {Icount::max(), VirtualTime::max()}; }

bool HostNondet::ready(VirtualTime now) const {
  if (network_ && network_->frames_waiting()) return true;
  return std::any_of(consoles_.begin(), consoles_.end(),
                     [&](const Console& c) { return !c.waiting.empty() && now >= c.next_delivery; });
}

// The next moment at which input comes without the host's doing: a script's delay, or the rate limit.
VirtualTime HostNondet::next_own_input() const {
  VirtualTime next = VirtualTime::max();
  for (const Console& console : consoles_) {
    if (!console.waiting.empty()) next = std::min(next, console.next_delivery);
    next = std::min(next, console.backend->next_time());
  }
  return next;
}

bool HostNondet::input_possible() const {
  if (network_ && network_->input_possible()) return true;
  return std::any_of(consoles_.begin(), consoles_.end(),
                     [](const Console& c) { return c.backend->input_possible(); });
}

VirtualTime HostNondet::idle(Instant now, VirtualTime deadline) {
  poll_host(now.time, 0);
  if (ready(now.time)) return now.time;
  // An input of our own that is due already will be ready at the next look at the consoles.
  const VirtualTime limit = std::max(now.time, std::min(deadline, next_own_input()));
  if (limit == VirtualTime::max() && !input_possible()) return VirtualTime::max();
  if (options_.pacing == Pacing::interactive) return wait_on_line(now.time, limit);
  const bool must_wait = limit == VirtualTime::max() || (network_ && network_->active());
  return must_wait ? wait(now.time, limit) : limit;
}

// Waits in real time for input or for `limit`; returns how far virtual time then is.
VirtualTime HostNondet::wait(VirtualTime now, VirtualTime limit) {
  const std::uint64_t width = limit - now;
  const std::uint64_t start = host_now();
  poll_host(now, std::min(width, kLongestWait));
  const std::uint64_t passed = host_now() - start;
  return passed >= width ? limit : now + passed;
}

VirtualTime HostNondet::wait_on_line(VirtualTime now, VirtualTime limit) {
  const std::uint64_t start = host_now();
  const std::uint64_t host_passed = start - anchor_host_;
  const std::uint64_t virtual_passed = now - anchor_virtual_;
  const bool drifted = saturating_difference(host_passed, virtual_passed) > kMaxDrift ||
                       saturating_difference(virtual_passed, host_passed) > kMaxDrift;
  if (anchor_host_ == 0 || drifted) {
    anchor_host_ = start;
    anchor_virtual_ = now;
  }
  // How far virtual time should be at a host time, and how long until that is `limit`.
  const auto line_at = [&](std::uint64_t host) { return anchor_virtual_.value + (host - anchor_host_); };
  const std::uint64_t until_limit = saturating_difference(limit.value, line_at(start));
  if (until_limit == 0) return limit;
  poll_host(now, std::min(until_limit, kLongestWait));
  return VirtualTime(std::clamp(line_at(host_now()), now.value, limit.value));
}

void HostNondet::output(Instant now, Channel channel, std::span<const std::byte> data) {
  if (channel == Channel::net0) {
    if (network_) network_->send(data);
    return;
  }
  // Disk writes stay in the machine's overlay; the image is never written.
  for (Console& console : consoles_)
    if (std::find(console.outputs.begin(), console.outputs.end(), channel) != console.outputs.end())
      console.backend->output(now.time, data);
}

void HostNondet::sample(Instant /*now*/, Channel channel, std::uint64_t argument, std::span<std::byte> out) {
  std::fill(out.begin(), out.end(), std::byte{0});
  switch (channel) {
    case Channel::disk0:
      return read_disk(argument, out);
    case Channel::entropy:
      return fill_entropy(out);
    case Channel::wall_clock: {
      timespec now{};
      clock_gettime(CLOCK_REALTIME, &now);
      const std::uint64_t live =
          static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
      const std::uint64_t value = options_.seed ? kSeededWallClock : live;
      store_little_endian(out.first(std::min<std::size_t>(8, out.size())), value);
      return;
    }
    case Channel::serial0:
    case Channel::virtio_console:
    case Channel::net0:
    case Channel::keyboard:
      break;
  }
  CHECK(false, "channel {} is not sampled", static_cast<unsigned>(channel));
}

void HostNondet::fill_entropy(std::span<std::byte> out) {
  if (options_.seed) {
    // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    for (std::byte& byte : out) {
      generator_ += 0x9E3779B97F4A7C15;
      std::uint64_t z = generator_;
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
      byte = static_cast<std::byte>(z ^ (z >> 31));
    }
    return;
  }
  while (!out.empty()) {
    const ssize_t count = ::getrandom(out.data(), out.size(), 0);
    CHECK(count > 0 || errno == EINTR, "getrandom failed with errno {}", errno);
    if (count > 0) out = out.subspan(static_cast<std::size_t>(count));
  }
}

void HostNondet::read_disk(std::uint64_t sector, std::span<std::byte> out) {
  if (!disk_) return fail("the machine has a disk, but no image is attached");
  const Status status = disk_->read(sector, out);
  if (!status) fail(status.failure().message);
}

// The guest sees zeros; the program asks failure() and says so.
void HostNondet::fail(const std::string& message) {
  log::warn("hostio", "{}", message);
  if (!failure_) failure_ = message;
}

}  // namespace hindsight::devices::hostio
