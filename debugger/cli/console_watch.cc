#include "debugger/cli/console_watch.h"

namespace hindsight::debugger::cli {

using engine::port::Channel;

void ConsoleWatch::output(engine::port::Instant now, Channel channel, std::span<const std::byte> data) {
  sink_->output(now, channel, data);
  if (text_.empty() || seen_ || (channel != Channel::serial0 && channel != Channel::virtio_console)) return;
  std::string& tail = tails_[channel];
  tail.append(reinterpret_cast<const char*>(data.data()), data.size());
  seen_ = tail.find(text_) != std::string::npos;
  if (tail.size() >= text_.size()) tail.erase(0, tail.size() - text_.size() + 1);
}

}  // namespace hindsight::debugger::cli
