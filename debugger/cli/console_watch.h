// Looks for a text in what a guest prints while it is recorded, and passes everything on. Owned by the
// command for one run; the run loop's thread. Nothing flows back into the machine.
#pragma once

#include <map>
#include <string>

#include "engine/port/nondet.h"

namespace hindsight::debugger::cli {

class ConsoleWatch final : public engine::port::OutputSink {
 public:
  /// An empty text is never seen.
  explicit ConsoleWatch(std::string text) : text_(std::move(text)) {}

  /// Where the outputs go. Before the first one.
  void show_on(engine::port::OutputSink& sink) { sink_ = &sink; }
  /// Whether one of the consoles has shown the text.
  [[nodiscard]] bool seen() const { return seen_; }

  void output(engine::port::Instant now, engine::port::Channel channel,
              std::span<const std::byte> data) override;

 private:
  const std::string text_;
  engine::port::OutputSink* sink_ = nullptr;
  bool seen_ = false;
  std::map<engine::port::Channel, std::string> tails_;  ///< what the text may begin in
};

}  // namespace hindsight::debugger::cli
