#include "debugger/gdb/stop_points.h"

#include <algorithm>
#include <utility>

#include "debugger/gdb/packet.h"

namespace hindsight::debugger::gdb {
namespace {

using session::Condition;

constexpr std::string_view kBadPacket = "E.malformed breakpoint packet";

/// Registers and memory at a hit, by gdb's numbers.
class HitContext final : public ExpressionContext {
 public:
  HitContext(const Registers& registers, const session::View& view) : registers_(registers), view_(view) {}
  std::optional<std::uint64_t> register_value(unsigned number) const override {
    return registers_.number_value(number, [&](std::size_t index) { return view_.register_value(index); });
  }
  bool read(std::uint64_t address, std::span<std::byte> out) const override {
    return view_.read(GuestVirt(address), out) == out.size();
  }

 private:
  const Registers& registers_;
  const session::View& view_;
};

/// True when one of the conditions holds, or when one cannot be evaluated: gdb asks it again and reports why.
session::Question question(const Registers& registers, std::vector<AgentExpression> expressions) {
  // Shared by the copies that the helpers of a scan hold.
  auto shared = std::make_shared<const std::vector<AgentExpression>>(std::move(expressions));
  return [&registers, shared](const session::View& view) {
    const HitContext context(registers, view);
    return std::ranges::any_of(*shared, [&](const AgentExpression& expression) {
      const auto value = expression.evaluate(context);
      return !value || *value != 0;
    });
  };
}

Condition condition_of(const StopPoint& point) {
  Condition condition;
  if (point.type == StopPointType::software || point.type == StopPointType::hardware) {
    condition.breakpoint = replay::timeline::Breakpoint{GuestVirt(point.address)};
    return condition;
  }
  replay::timeline::Watchpoint watch;
  watch.range.first = point.address;
  watch.range.size = point.length;
  watch.range.read = point.type != StopPointType::write;
  watch.range.write = point.type != StopPointType::read;
  // gdb's own `watch` stops only when the value changed, so the other writes need not be told of.
  watch.only_changes = point.type == StopPointType::write;
  condition.watchpoint = watch;
  return condition;
}

/// "Xlen,bytes" after "Xlen,bytes" (E.2, `Z0`).
Result<std::vector<AgentExpression>> parse_conditions(std::string_view text) {
  std::vector<AgentExpression> expressions;
  while (!text.empty()) {
    if (text.front() != 'X') return error("malformed condition: X expected");
    text.remove_prefix(1);
    const auto length = parse_hex(take_until(text, ','));
    if (!length || *length > text.size() / 2) return error("malformed condition: wrong length");
    const auto bytes = from_hex(text.substr(0, *length * 2));
    if (!bytes) return error("malformed condition: hexadecimal digits expected");
    auto expression = AgentExpression::parse(*bytes);
    if (!expression) return expression.failure();
    expressions.push_back(std::move(*expression));
    text.remove_prefix(*length * 2);
  }
  return expressions;
}

}  // namespace

std::string StopPoints::handle(std::string_view packet) {
  constexpr std::uint64_t kMaxWatched = std::uint64_t{1} << 20;
  if (packet.size() < 3 || packet[2] != ',') return std::string(kBadPacket);
  const bool add = packet[0] == 'Z';
  const unsigned type = static_cast<unsigned char>(packet[1]) - '0';
  if (type > 4) return {};  // a type of a later gdb: not supported
  std::string_view rest = packet.substr(3);
  std::string_view place = take_until(rest, ';');
  const auto address = parse_hex(take_until(place, ','));
  const auto length = parse_hex(place);
  if (!address || !length) return std::string(kBadPacket);
  const StopPoint point{static_cast<StopPointType>(type), *address, *length};
  if (!add) {
    const auto found = ids_.find(point);
    if (found != ids_.end()) {
      session_.remove(found->second);
      ids_.erase(found);
    }
    return "OK";
  }
  const bool watch = type >= 2;
  if (watch && (point.length == 0 || point.length > kMaxWatched)) {
    return fmt::format("E.a watched range has 1 to {} bytes", kMaxWatched);
  }
  const std::string_view conditions = take_until(rest, ';');
  if (rest.starts_with("cmds:") || conditions.starts_with("cmds:")) {
    return "E.commands that run on the target are not supported";
  }
  auto expressions = parse_conditions(conditions);
  if (!expressions) return "E." + expressions.failure().message;
  return insert(point, std::move(*expressions));
}

std::string StopPoints::insert(const StopPoint& point, std::vector<AgentExpression> expressions) {
  // gdb inserts a point again to change its conditions (E.2: the packets are idempotent).
  const auto found = ids_.find(point);
  if (found != ids_.end()) session_.remove(found->second);
  Condition condition = condition_of(point);
  ids_[point] = expressions.empty()
                    ? session_.add(std::move(condition))
                    : session_.add(std::move(condition), question(registers_, std::move(expressions)));
  return "OK";
}

void StopPoints::clear() {
  for (const auto& [point, id] : ids_) session_.remove(id);
  ids_.clear();
}

std::optional<StopPoint> StopPoints::find(int id) const {
  const auto found = std::ranges::find(ids_, id, &std::pair<const StopPoint, int>::second);
  return found == ids_.end() ? std::nullopt : std::optional(found->first);
}

bool StopPoints::breaks_at(std::uint64_t address) const {
  return std::ranges::any_of(ids_, [&](const auto& entry) {
    return entry.first.address == address && entry.first.type <= StopPointType::hardware;
  });
}

}  // namespace hindsight::debugger::gdb
