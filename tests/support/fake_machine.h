// A machine small enough to read in one go, for testing record and replay without a CPU: a random walk that
// writes memory, sends bytes and frames, samples the host, halts on a timer, and mixes every input into its
// state. Deterministic but for what crosses the border. One test thread.
#pragma once

#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "engine/port/machine.h"
#include "traces/schema/trace.capnp.h"

namespace hindsight::tests {

namespace port = engine::port;

class FakeRam final : public port::RamPages {
 public:
  explicit FakeRam(std::uint64_t pages) : bytes_(pages * kPageSize), epochs_(pages) {}
  std::uint64_t page_count() const override { return epochs_.size(); }
  const std::byte* page(std::uint64_t index) const override { return bytes_.data() + index * kPageSize; }
  GuestPhys address_of(std::uint64_t index) const override { return GuestPhys{index * kPageSize}; }
  void set_page(std::uint64_t index, const std::byte* contents) override {
    dirty(index);
    std::memcpy(bytes_.data() + index * kPageSize, contents, kPageSize);
  }
  void set_keeper(port::PageKeeper* keeper) override { keeper_ = keeper; }
  std::uint32_t end_epoch() override { return epoch_++; }
  void for_each_dirty_after(std::uint32_t epoch,
                            const std::function<void(std::uint64_t index)>& visit) const override {
    for (std::uint64_t i = 0; i < epochs_.size(); ++i) {
      if (epochs_[i] > epoch) visit(i);
    }
  }
  void write(std::uint64_t address, std::byte value) {
    address %= bytes_.size();
    dirty(address / kPageSize);
    bytes_[address] = value;
  }

 private:
  void dirty(std::uint64_t index) {
    if (keeper_ != nullptr && epochs_[index] != epoch_) keeper_->about_to_change(index, page(index));
    epochs_[index] = epoch_;
  }

  std::vector<std::byte> bytes_;
  std::vector<std::uint32_t> epochs_;
  std::uint32_t epoch_ = 1;
  port::PageKeeper* keeper_ = nullptr;
};

/// The CPU's state is kept in the Progress struct, for want of one of its own: chunks is the walk, digests
/// the timer's deadline, events the number of inputs.
class FakeCpu final : public port::StatefulAs<traces::schema::Progress> {
 public:
  std::uint64_t walk = 1, deadline = 0, inputs = 0;
  Icount icount;
  VirtualTime time;
  bool halted = false;

  std::string_view state_name() const override { return "cpu0"; }
  void save(traces::schema::Progress::Builder out) const override {
    out.setIcount(icount.value);
    out.setTime(time.value);
    out.setChunks(walk);
    out.setDigests(halted ? deadline : 0);
    out.setEvents(inputs);
  }
  void load(traces::schema::Progress::Reader in) override {
    icount = Icount(in.getIcount());
    time = VirtualTime(in.getTime());
    walk = in.getChunks();
    deadline = in.getDigests();
    halted = deadline != 0;
    inputs = in.getEvents();
  }
};

/// It has no program, so only positions make sense.
class FakeMachine final : public port::Machine, public port::DebugPort {
 public:
  /// Goes wrong on purpose: called before each instruction.
  using Sabotage = std::function<void(FakeMachine&)>;
  struct Options {
    std::uint64_t pages = 64;
    Icount power_off_at = Icount::max();
    Icount sleep_forever_at = Icount::max();
    std::uint64_t slice = 1000;
    Sabotage sabotage;
  };

  FakeMachine(port::NondetSource& source, port::OutputSink& sink, Options options)
      : source_(source), sink_(sink), options_(std::move(options)), ram_(options_.pages) {
    std::byte clock[8];
    source_.sample(now(), port::Channel::wall_clock, 0, clock);
    mix(clock);
  }

  port::Instant now() const override { return {cpu.icount, cpu.time}; }
  void request_stop() override { stop_ = true; }
  std::span<port::Stateful* const> parts() const override { return parts_; }
  port::RamPages& ram() override { return ram_; }
  FakeRam& fake_ram() { return ram_; }
  port::DebugPort& debug() override { return *this; }
  void observe(const port::Interests&, port::Observer*) override {}
  port::Position position() const override { return {cpu.icount, 0}; }
  GuestVirt pc() const override { return GuestVirt{cpu.walk}; }
  std::optional<port::Mapping> mapping(GuestVirt) const override { return std::nullopt; }
  std::vector<port::TableEntry> walk(GuestVirt) const override { return {}; }
  bool has_begun() const override { return false; }
  bool peek(GuestPhys, void*, std::uint64_t) const override { return false; }
  void collect_written() override {}
  void collect_executed() override {}
  void ignore_executed() override {}
  const port::Touched& touched() const override { return touched_; }
  void restoring() override {}
  void restored(port::Position) override {}
  std::string describe() const override { return "walk=" + std::to_string(cpu.walk); }

  port::StopReason run(Icount until) override {
    while (cpu.icount < until) {
      if (stop_.exchange(false)) return port::StopReason::interrupted;
      deliver();
      if (cpu.halted) {
        const VirtualTime deadline = cpu.deadline == 0 ? VirtualTime::max() : VirtualTime(cpu.deadline);
        const VirtualTime to = source_.idle(now(), deadline);
        if (to == VirtualTime::max()) return port::StopReason::idle_forever;
        cpu.time = to;
        if (to >= deadline) cpu.halted = false;
        continue;
      }
      Icount end = std::min(until, cpu.icount + options_.slice);
      const port::Instant input = source_.next_input();
      if (input.icount > cpu.icount) end = std::min(end, input.icount);
      while (cpu.icount < end && !cpu.halted) {
        if (cpu.icount >= options_.power_off_at) return port::StopReason::power_off;
        step();
      }
    }
    return port::StopReason::reached;
  }

  FakeCpu cpu;
  std::uint8_t flip_output = 0;

 private:
  void mix(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) cpu.walk = cpu.walk * 31 + std::to_integer<std::uint64_t>(byte) + 1;
  }

  void deliver() {
    std::vector<port::Input> inputs;
    source_.drain(now(), inputs);
    for (const port::Input& input : inputs) {
      mix(input.payload);
      cpu.inputs++;
      cpu.halted = false;
    }
  }

  void step() {
    if (options_.sabotage) options_.sabotage(*this);
    cpu.walk = cpu.walk * 6364136223846793005u + 1442695040888963407u;
    const std::uint64_t dice = cpu.walk >> 33;
    if (dice % 7 == 0) ram_.write(dice / 7, static_cast<std::byte>(cpu.walk >> 20));
    if (dice % 61 == 0) send_byte();
    if (dice % 997 == 0) send_frame(dice / 997 % 1400);
    if (dice % 1499 == 0) sample(port::Channel::entropy, 0, 16);
    if (dice % 1999 == 0) sample(port::Channel::disk0, dice / 1999 % 64, 512 * (1 + dice / 7919 % 16));
    cpu.icount += 1;
    cpu.time += 1;
    if (dice % 2503 == 0) {
      cpu.halted = true;
      cpu.deadline = cpu.time.value + 1 + dice / 2503 % 5000;
    }
    if (cpu.icount == options_.sleep_forever_at) {
      cpu.halted = true;
      cpu.deadline = 0;
    }
  }

  void send_byte() {
    const auto byte = static_cast<std::byte>(('a' + (cpu.walk >> 40) % 26) ^ flip_output);
    sink_.output(now(), port::Channel::serial0, {&byte, 1});
  }
  void send_frame(std::size_t size) {
    std::vector<std::byte> frame(size, static_cast<std::byte>((cpu.walk >> 44) ^ flip_output));
    sink_.output(now(), port::Channel::net0, frame);
  }
  void sample(port::Channel channel, std::uint64_t argument, std::size_t size) {
    std::vector<std::byte> data(size);
    source_.sample(now(), channel, argument, data);
    mix(data);
  }

  port::NondetSource& source_;
  port::OutputSink& sink_;
  Options options_;
  FakeRam ram_;
  std::vector<port::Stateful*> parts_{&cpu};
  port::Touched touched_;
  std::atomic<bool> stop_{false};
};

/// A host that is as unpredictable as its seed.
class FakeHost final : public port::NondetSource, public port::OutputSink {
 public:
  explicit FakeHost(std::uint64_t seed) : random_(seed), disk_(80 * 512) {
    for (std::byte& byte : disk_) byte = static_cast<std::byte>(random_());
  }
  /// Every how many drains an input comes; 0: never.
  unsigned input_every = 20;
  /// How large inputs may be.
  std::size_t largest_input = 64;
  std::string serial;

  void drain(port::Instant, std::vector<port::Input>& out) override {
    if (input_every == 0 || random_() % input_every != 0) return;
    for (std::uint64_t count = random_() % 3; count <= 2; ++count) {
      std::vector<std::byte> payload(random_() % largest_input);
      for (std::byte& byte : payload) byte = static_cast<std::byte>(random_());
      out.push_back({port::Channel::serial0, std::move(payload)});
    }
  }
  void sample(port::Instant, port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] =
          channel == port::Channel::disk0 ? disk_[argument * 512 + i] : static_cast<std::byte>(random_());
    }
  }
  port::Instant next_input() const override { return {Icount::max(), VirtualTime::max()}; }
  VirtualTime idle(port::Instant now, VirtualTime deadline) override {
    if (deadline == VirtualTime::max()) return input_every == 0 ? deadline : now.time + random_() % 100;
    // Now and then the host wakes up early, with or without something to say.
    return random_() % 2 == 0 ? deadline : now.time + random_() % (deadline - now.time + 1);
  }
  void output(port::Instant, port::Channel channel, std::span<const std::byte> data) override {
    if (channel != port::Channel::serial0) return;
    for (const std::byte byte : data) serial += static_cast<char>(byte);
  }

 private:
  std::mt19937_64 random_;
  std::vector<std::byte> disk_;
};

}  // namespace hindsight::tests
