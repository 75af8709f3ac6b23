#include "replay/play/divergence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hindsight::replay::play {

std::string Divergence::describe() const {
  std::string text =
      fmt::format("diverged at icount {} (time {} ns): {}", at.icount.value, at.time.value, component);
  if (!field.empty()) text += fmt::format(", {}", field);
  text += fmt::format(": expected {}, got {}", expected, got);
  if (!also.empty()) text += fmt::format("; differs too: {}", fmt::join(also, ", "));
  if (since.value != 0) text += fmt::format("; the digest at {} agreed", since.value);
  if (!where.empty()) text += fmt::format(" [{}]", where);
  return text;
}

std::string channel_name(engine::port::Channel channel) {
  using engine::port::Channel;
  switch (channel) {
    case Channel::serial0:
      return "serial0";
    case Channel::virtio_console:
      return "virtio_console";
    case Channel::net0:
      return "net0";
    case Channel::disk0:
      return "disk0";
    case Channel::entropy:
      return "entropy";
    case Channel::wall_clock:
      return "wall_clock";
    case Channel::keyboard:
      return "keyboard";
  }
  return fmt::format("channel {}", static_cast<unsigned>(channel));
}

}  // namespace hindsight::replay::play
