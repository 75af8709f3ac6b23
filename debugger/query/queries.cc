#include "debugger/query/queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "debugger/session/positions.h"
#include "replay/timeline/survey.h"

namespace hindsight::debugger::query {
namespace {

namespace timeline = replay::timeline;
namespace port = engine::port;
using engine::port::Machine;
using symbols::Registers;

constexpr std::string_view kCpu = "cpu0";
constexpr std::size_t kMostFrames = 64;

/// Gathers what one piece of history has, up to one more than was asked for.
template <class T>
class Gatherer : public timeline::Onlooker {
 public:
  explicit Gatherer(std::uint64_t limit) : limit_(limit) {}
  void begin(Machine& machine, Position) override { machine_ = &machine; }
  void end(Machine&) override { machine_ = nullptr; }
  std::vector<T> found;

 protected:
  /// True: that is enough.
  bool add(T one) {
    found.push_back(std::move(one));
    return limit_ != 0 && found.size() > limit_;
  }
  [[nodiscard]] Machine& machine() const { return *machine_; }

 private:
  const std::uint64_t limit_;
  Machine* machine_ = nullptr;
};

/// Takes from each piece in order, until there is one more than `limit`.
template <class T>
Result<Answers<T>> gather(timeline::Timeline& line, const port::Interests& interests, Stretch within,
                          std::uint64_t limit, const timeline::OnlookerFactory& make) {
  Answers<T> answers;
  const Status observed = line.observe(interests, within.from, within.to, make, [&](timeline::Onlooker& one) {
    auto& found = static_cast<Gatherer<T>&>(one).found;
    answers.all.insert(answers.all.end(), std::make_move_iterator(found.begin()),
                       std::make_move_iterator(found.end()));
    return limit == 0 || answers.all.size() <= limit;
  });
  if (!observed) return observed.failure();
  answers.more = limit != 0 && answers.all.size() > limit;
  if (answers.more) answers.all.resize(limit);
  return answers;
}

std::vector<port::WatchRange> write_watches(const Target& target) {
  std::vector<port::WatchRange> watches;
  for (const PhysicalRange& range : target.ranges)
    watches.push_back({.physical = true, .first = range.first.value, .size = range.size});
  return watches;
}

class WriteGatherer final : public Gatherer<Write> {
 public:
  using Gatherer::Gatherer;
  bool access(const port::Access& access) override { return add({access, {}}); }
};

class ChangeGatherer final : public Gatherer<Change> {
 public:
  ChangeGatherer(const Target& target, std::uint64_t limit) : Gatherer(limit), target_(target) {}
  void begin(Machine& machine, Position to) override {
    Gatherer::begin(machine, to);
    value_ = value();
  }
  bool access(const port::Access& access) override {
    std::vector<std::byte> now = value();
    if (now == value_) return false;
    std::swap(now, value_);
    return add({access, {}, std::move(now), value_});
  }

 private:
  [[nodiscard]] std::vector<std::byte> value() const {
    std::vector<std::byte> bytes(target_.size);
    std::size_t at = 0;
    for (const PhysicalRange& range : target_.ranges) {
      (void)machine().debug().peek(range.first, bytes.data() + at, range.size);
      at += range.size;
    }
    return bytes;
  }
  const Target& target_;
  std::vector<std::byte> value_;
};

class CallGatherer final : public Gatherer<Call> {
 public:
  using Gatherer::Gatherer;
  bool breakpoint(Position at, GuestVirt pc) override {
    const auto view = symbols::view_of(machine(), kCpu);
    if (!view) return false;
    Call call{.at = at, .function = pc};
    const auto& general = view->registers.general;
    call.stack = general[Registers::rsp];
    call.arguments = {general[Registers::rdi], general[Registers::rsi], general[Registers::rdx],
                      general[Registers::rcx], general[Registers::r8],  general[Registers::r8 + 1]};
    call.return_address =
        GuestVirt{symbols::load<std::uint64_t>(view->memory, GuestVirt{call.stack}).value_or(0)};
    return add(std::move(call));
  }
};

/// The CPU at a return address.
struct Arrival {
  Position at;
  GuestVirt pc;
  std::uint64_t stack = 0, value = 0;
};

class ReturnGatherer final : public Gatherer<Arrival> {
 public:
  ReturnGatherer() : Gatherer(0) {}
  bool breakpoint(Position at, GuestVirt pc) override {
    const auto view = symbols::view_of(machine(), kCpu);
    if (!view) return false;
    return add({at, pc, view->registers[Registers::rsp], view->registers[Registers::rax]});
  }
};

class EventGatherer final : public Gatherer<Event> {
 public:
  EventGatherer(EventKinds kinds, std::uint64_t limit) : Gatherer(limit), kinds_(kinds) {}
  void begin(Machine& machine, Position to) override {
    Gatherer::begin(machine, to);
    to_ = to;
  }
  bool delivery(const port::Delivery& delivery) override {
    if (delivery.interrupt ? !kinds_.interrupts : !kinds_.exceptions) return false;
    return add({.kind = delivery.interrupt ? Event::Kind::interrupt : Event::Kind::exception,
                .at = delivery.at,
                .delivery = delivery});
  }
  void output(port::Instant now, port::Channel channel, std::span<const std::byte> data) override {
    const Position at{now.icount, 0};
    if (!kinds_.outputs || at >= to_) return;
    found.push_back(
        {.kind = Event::Kind::output, .at = at, .channel = channel, .payload = {data.begin(), data.end()}});
  }

 private:
  const EventKinds kinds_;
  Position to_;
};

/// Console bytes as lines, each where its first byte was sent.
std::vector<Event> join_lines(std::vector<Event> events) {
  std::vector<Event> joined;
  std::map<port::Channel, std::size_t> open;  // the line that a console is writing
  for (Event& event : events) {
    const bool console =
        event.channel == port::Channel::serial0 || event.channel == port::Channel::virtio_console;
    if (event.kind != Event::Kind::output || !console) {
      joined.push_back(std::move(event));
      continue;
    }
    const bool ends = !event.payload.empty() && event.payload.back() == std::byte{'\n'};
    const auto line = open.find(event.channel);
    if (line != open.end()) {
      auto& payload = joined[line->second].payload;
      payload.insert(payload.end(), event.payload.begin(), event.payload.end());
      if (ends) open.erase(line);
    } else {
      if (!ends) open[event.channel] = joined.size();
      joined.push_back(std::move(event));
    }
  }
  return joined;
}

}  // namespace

std::string_view name_of(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::input:
      return "input";
    case Event::Kind::sample:
      return "sample";
    case Event::Kind::output:
      return "output";
    case Event::Kind::exception:
      return "exception";
    case Event::Kind::interrupt:
      return "interrupt";
  }
  return "";
}

Result<Queries> Queries::open(timeline::Timeline& line, Position at) {
  Queries queries(line);
  queries.at_ = at;
  if (const auto moved = line.seek(at); !moved) return moved.failure();
  const auto kernel = queries.kernels_->kernel();
  if (kernel) {
    queries.kernel_ = *kernel;
  } else {
    queries.why_ = kernel.failure().message;
  }
  return queries;
}

std::string Queries::name(GuestVirt address) const {
  const auto location = kernel_ ? kernel_->at(address) : std::nullopt;
  return location ? location->text() : "";
}

std::string Queries::name_of_return(GuestVirt address) const {
  // A call may be a function's last instruction: look up the call, say the return address.
  auto location = kernel_ ? kernel_->at(address - 1) : std::nullopt;
  if (!location) return "";
  ++location->offset;
  return location->text();
}

Result<Target> Queries::target(std::string_view text) {
  const Result<AddressText> split = split_size(text);
  if (!split) return split.failure();
  Target target{.text = std::string(text), .linear = {}, .size = split->size.value_or(8), .ranges = {}};
  const auto view = symbols::view_of(timeline_->machine(), kCpu);
  if (!view) return view.failure();
  constexpr std::string_view kPhysical = "phys:";
  const bool physical = split->place.starts_with(kPhysical);
  const auto places = parse_addresses(physical ? split->place.substr(kPhysical.size()) : split->place,
                                      physical ? nullptr : kernel_, view->memory,
                                      physical ? "a physical address is a number" : why_);
  if (!places) return places.failure();
  if (places->size() > 1) {
    std::string all;
    for (const Address& place : *places) all += fmt::format(" {:#x}", place.address.value);
    return error("{}: {} symbols have that name; give one's address:{}", text, places->size(), all);
  }
  const Address place = places->front();
  if (!split->size && place.size != 0) target.size = std::min(target.size, place.size);
  if (!physical) target.linear = place.address;
  for (std::uint64_t done = 0; done < target.size;) {
    const GuestVirt address = place.address + done;
    const std::uint64_t size = std::min(target.size - done, kPageSize - (address.value & kPageMask));
    const auto at = physical ? std::optional(GuestPhys{address.value}) : view->memory.translate(address);
    std::byte probe{};
    if (!at)
      return error("{}: {:#x} is not mapped at position {}", text, address.value, session::text_of(at_));
    if (!timeline_->machine().debug().peek(*at, &probe, 1))
      return error("{}: no RAM at physical {:#x}", text, at->value);
    if (!target.ranges.empty() && target.ranges.back().first + target.ranges.back().size == *at) {
      target.ranges.back().size += size;
    } else {
      target.ranges.push_back({*at, size});
    }
    done += size;
  }
  return target;
}

Result<std::optional<LastWrite>> Queries::last_write(const Target& target, Stretch within) {
  std::vector<timeline::Condition> conditions;
  for (const port::WatchRange& range : write_watches(target))
    conditions.push_back({.watchpoint = timeline::Watchpoint{range}});
  const auto hit = timeline_->last_hit(conditions, within.from, within.to);
  if (!hit) return hit.failure();
  if (!*hit) return std::optional<LastWrite>();
  const port::Access& access = *(*hit)->access;
  LastWrite last{.write = {access, name(access.pc)}, .stack = {}, .stack_end = {}};
  if (const auto moved = timeline_->seek((*hit)->before); !moved) return moved.failure();
  const auto view = symbols::view_of(timeline_->machine(), kCpu);
  if (!view) return view.failure();
  if (view->registers.cpl != 0) {
    last.stack_end = "user space";
  } else if (const auto kernel = kernels_->kernel(); !kernel) {
    last.stack_end = "no symbols are known: " + kernel.failure().message;
  } else if (const auto stack = (*kernel)->unwind(view->registers, view->memory, kMostFrames); !stack) {
    last.stack_end = stack.failure().message;
  } else {
    for (std::size_t i = 0; i < stack->frames.size(); ++i) {
      const symbols::Frame& frame = stack->frames[i];
      const bool exact = frame.lookup_pc(i == 0) == frame.pc;
      last.stack.push_back({frame.pc, exact ? name(frame.pc) : name_of_return(frame.pc), frame.interrupted});
    }
    if (stack->user) last.stack_end = fmt::format("user space at {:#x}", stack->user->pc.value);
  }
  if (const auto moved = timeline_->seek(at_); !moved) return moved.failure();
  return std::optional(std::move(last));
}

Result<Answers<Write>> Queries::writes(const Target& target, Stretch within, std::uint64_t limit) {
  const port::Interests interests{.breakpoints = {}, .ranges = write_watches(target)};
  auto answers = gather<Write>(*timeline_, interests, within, limit,
                               [&] { return std::make_unique<WriteGatherer>(limit); });
  if (answers)
    for (Write& write : answers->all) write.name = name(write.access.pc);
  return answers;
}

Result<Answers<Change>> Queries::changes(const Target& target, Stretch within, std::uint64_t limit) {
  const port::Interests interests{.breakpoints = {}, .ranges = write_watches(target)};
  auto answers = gather<Change>(*timeline_, interests, within, limit,
                                [&] { return std::make_unique<ChangeGatherer>(target, limit); });
  if (answers)
    for (Change& change : answers->all) change.name = name(change.access.pc);
  return answers;
}

Result<std::vector<GuestVirt>> Queries::functions(std::string_view text) {
  const auto view = symbols::view_of(timeline_->machine(), kCpu);
  if (!view) return view.failure();
  const auto places = parse_addresses(text, kernel_, view->memory, why_);
  if (!places) return places.failure();
  std::set<GuestVirt> addresses;
  for (const Address& place : *places) addresses.insert(place.address);
  return std::vector<GuestVirt>(addresses.begin(), addresses.end());
}

Result<Answers<Call>> Queries::calls(const std::vector<GuestVirt>& functions, Stretch within,
                                     std::uint64_t limit, bool returns) {
  const port::Interests interests{.breakpoints = functions, .ranges = {}};
  auto answers = gather<Call>(*timeline_, interests, within, limit,
                              [&] { return std::make_unique<CallGatherer>(limit); });
  if (!answers) return answers;
  for (Call& call : answers->all) {
    call.name = name(call.function);
    call.caller = name_of_return(call.return_address);
  }
  if (returns)
    if (const Status added = add_returns(answers->all, within); !added) return added.failure();
  return answers;
}

/// A call returned where the CPU comes to its return address with the stack that the return leaves.
Status Queries::add_returns(std::vector<Call>& calls, Stretch within) {
  if (calls.empty()) return Done{};
  std::set<GuestVirt> places;
  for (const Call& call : calls) places.insert(call.return_address);
  const port::Interests interests{.breakpoints = {places.begin(), places.end()}, .ranges = {}};
  using Key = std::pair<GuestVirt, std::uint64_t>;
  std::map<Key, std::size_t> pending;  // the latest call that would return so
  std::size_t next = 0, open = calls.size();
  return timeline_->observe(
      interests, calls.front().at, within.to, [] { return std::make_unique<ReturnGatherer>(); },
      [&](timeline::Onlooker& piece) {
        for (const Arrival& arrival : static_cast<ReturnGatherer&>(piece).found) {
          for (; next < calls.size() && calls[next].at < arrival.at; ++next)
            pending[{calls[next].return_address, calls[next].stack + 8}] = next;
          const auto call = pending.find({arrival.pc, arrival.stack});
          if (call == pending.end()) continue;
          calls[call->second].returned = Call::Return{arrival.at, arrival.value};
          pending.erase(call);
          --open;
        }
        return open > 0;
      });
}

Status Queries::add_recorded(EventKinds kinds, Stretch within, std::vector<Event>& events) {
  traces::store::TraceReader& trace = timeline_->trace();
  for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
    const auto chunk = trace.chunk(i);
    if (!chunk) return chunk.failure();
    for (const traces::store::Event& event : chunk->events) {
      const Position at{event.at.icount, 0};
      const bool input = event.kind == traces::store::EventKind::input;
      if (at < within.from || (input ? !kinds.inputs : !kinds.samples)) continue;
      if (at >= within.to) return Done{};
      auto payload = trace.payload(event);
      if (!payload) return payload.failure();
      events.push_back({.kind = input ? Event::Kind::input : Event::Kind::sample,
                        .at = at,
                        .channel = static_cast<port::Channel>(event.channel),
                        .argument = event.argument,
                        .payload = std::move(*payload)});
    }
  }
  return Done{};
}

Result<Answers<Event>> Queries::events(EventKinds kinds, Stretch within, std::uint64_t limit) {
  Answers<Event> answers;
  if (kinds.inputs || kinds.samples)
    if (const Status added = add_recorded(kinds, within, answers.all); !added) return added.failure();
  if (kinds.outputs || kinds.exceptions || kinds.interrupts) {
    const port::Interests interests{
        .breakpoints = {}, .ranges = {}, .deliveries = kinds.exceptions || kinds.interrupts};
    // An output may be one byte of a line: how many lines there are is known at the end.
    const std::uint64_t most = kinds.outputs ? 0 : limit;
    auto replayed = gather<Event>(*timeline_, interests, within, most,
                                  [&] { return std::make_unique<EventGatherer>(kinds, most); });
    if (!replayed) return replayed.failure();
    answers.more = replayed->more;
    std::vector<Event> joined = join_lines(std::move(replayed->all));
    answers.all.insert(answers.all.end(), std::make_move_iterator(joined.begin()),
                       std::make_move_iterator(joined.end()));
  }
  std::ranges::stable_sort(answers.all, {}, &Event::at);
  if (limit != 0 && answers.all.size() > limit) {
    answers.more = true;
    answers.all.resize(limit);
  }
  for (Event& event : answers.all) {
    if (event.kind != Event::Kind::exception && event.kind != Event::Kind::interrupt) continue;
    event.where = name(event.delivery.pc);
    event.handler = name(event.delivery.handler);
  }
  return answers;
}

}  // namespace hindsight::debugger::query
