#include "debugger/session/activity.h"

#include <algorithm>
#include <memory>

#include "debugger/session/machine_looks.h"
#include "replay/play/divergence.h"
#include "replay/timeline/survey.h"

namespace hindsight::debugger::session {
namespace {

namespace port = engine::port;
using Kind = Happening::Kind;

std::uint16_t source_of(Activity& activity, const std::string& name) {
  const auto found = std::ranges::find(activity.sources, name);
  if (found != activity.sources.end()) return static_cast<std::uint16_t>(found - activity.sources.begin());
  activity.sources.push_back(name);
  return static_cast<std::uint16_t>(activity.sources.size() - 1);
}

/// Writes down one piece.
class Gatherer final : public replay::timeline::Onlooker {
 public:
  explicit Gatherer(const Landmarks& landmarks) : landmarks_(landmarks) {}

  void begin(port::Machine& machine, Position to) override {
    machine_ = &machine;
    found_.from = machine.debug().position();
    found_.to = to;
  }
  void end(port::Machine&) override {}
  Activity& found() { return found_; }

  bool breakpoint(Position at, GuestVirt pc) override {
    const bool call = pc == landmarks_.system_call;
    found_.all.push_back({.kind = call ? Kind::system_call : Kind::context_switch,
                          .at = at,
                          .pc = pc,
                          .value = register_of(*machine_, call ? "rax" : "rsi")});
    return false;
  }
  bool device(const port::DeviceAccess& access) override {
    found_.all.push_back({.kind = access.write ? Kind::device_write : Kind::device_read,
                          .source = source_of(found_, access.device.empty() ? "(no device)" : access.device),
                          .size = access.size,
                          .at = access.at,
                          .pc = access.pc,
                          .address = access.address,
                          .value = access.value});
    return false;
  }
  bool delivery(const port::Delivery& delivery) override {
    found_.all.push_back({.kind = delivery.interrupt ? Kind::interrupt : Kind::exception,
                          .vector = delivery.vector,
                          .at = delivery.at,
                          .pc = delivery.pc,
                          .value = delivery.error_code.value_or(0)});
    return false;
  }
  void output(port::Instant now, port::Channel channel, std::span<const std::byte> data) override {
    const Position at{now.icount, 0};
    if (at < found_.from || at >= found_.to) return;
    found_.all.push_back({.kind = Kind::output,
                          .source = source_of(found_, replay::play::channel_name(channel)),
                          .size = static_cast<std::uint32_t>(data.size()),
                          .at = at,
                          .address = found_.bytes.size()});
    if (channel == port::Channel::serial0 || channel == port::Channel::virtio_console)
      found_.bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
  }

 private:
  const Landmarks landmarks_;
  port::Machine* machine_ = nullptr;  ///< between begin() and end()
  Activity found_;
};

void append(Activity& all, const Activity& piece) {
  std::vector<std::uint16_t> sources;
  for (const std::string& name : piece.sources) sources.push_back(source_of(all, name));
  const std::uint64_t bytes = all.bytes.size();
  all.bytes += piece.bytes;
  for (Happening each : piece.all) {
    if (each.kind >= Kind::device_read) each.source = sources[each.source];
    if (each.kind == Kind::output) each.address += bytes;
    all.all.push_back(each);
  }
}

}  // namespace

Result<Activity> gather_activity(replay::timeline::Timeline& timeline, const Landmarks& landmarks,
                                 Position from, Position to) {
  port::Interests interests;
  for (const auto& landmark : {landmarks.system_call, landmarks.context_switch})
    if (landmark) interests.breakpoints.push_back(*landmark);
  interests.deliveries = true;
  interests.devices = true;
  Activity all;
  all.from = from;
  all.to = to;
  const Status observed = timeline.observe(
      interests, from, to, [&] { return std::make_unique<Gatherer>(landmarks); },
      [&](replay::timeline::Onlooker& piece) {
        append(all, static_cast<Gatherer&>(piece).found());
        return true;
      });
  if (!observed) return observed.failure();
  return all;
}

}  // namespace hindsight::debugger::session
