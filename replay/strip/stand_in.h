// The border of a machine that gets a recording's events with other contents: each input at its recorded
// Instant, each request answered, as long as the machine asks for what it asked for then. Owned by whoever
// runs the machine, outlives it. The run loop's thread only. Depends on the data and on what the machine did.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/port/nondet.h"
#include "replay/strip/user_data.h"
#include "traces/store/records.h"

namespace hindsight::replay::strip {

/// What a machine sent out, as far as it is to stay the same, in one number: when, on which channel, how
/// much, and of disk writes where to. `contents`: what its consoles showed as well.
class OutputPrint final : public engine::port::OutputSink {
 public:
  explicit OutputPrint(bool contents) : contents_(contents) {}
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;
  [[nodiscard]] std::uint64_t value() const { return value_; }
  void set(std::uint64_t value) { value_ = value; }

 private:
  const bool contents_;
  std::uint64_t value_ = 0;
};

class StandIn final : public engine::port::NondetSource, public engine::port::OutputSink {
 public:
  struct Position {
    std::size_t event = 0;
    std::uint64_t print = 0;
    std::map<engine::port::Channel, std::size_t> shown = {};  ///< bytes
  };

  /// `data` is borrowed. `end`: where the recording's user stopped it; none if it ended by itself.
  StandIn(const UserData& data, std::optional<engine::port::Instant> end, bool console_contents)
      : data_(data), end_(end), print_(console_contents) {}

  /// What to call when the machine should stop: it asked for something else, or came to the recording's end.
  void on_stop(std::function<void()> stop) { stop_ = std::move(stop); }
  /// The machine asked for something else, or went past an input.
  [[nodiscard]] bool parted() const { return parted_; }
  [[nodiscard]] Position position() const;
  /// What each console showed so far, without carriage returns.
  [[nodiscard]] std::vector<std::string> consoles() const;
  void seek(const Position& position);

  void drain(engine::port::Instant now, std::vector<engine::port::Input>& out) override;
  void sample(engine::port::Instant now, engine::port::Channel channel, std::uint64_t argument,
              std::span<std::byte> out) override;
  [[nodiscard]] engine::port::Instant next_input() const override;
  VirtualTime idle(engine::port::Instant now, VirtualTime deadline) override;
  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

 private:
  void part();
  [[nodiscard]] const traces::store::Event* next() const {
    return next_ < data_.events() ? &data_.event(next_) : nullptr;
  }

  const UserData& data_;
  const std::optional<engine::port::Instant> end_;
  std::function<void()> stop_;
  OutputPrint print_;
  std::map<engine::port::Channel, std::string> shown_;
  std::size_t next_ = 0;
  bool parted_ = false;
};

}  // namespace hindsight::replay::strip
