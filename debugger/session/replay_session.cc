#include "debugger/session/replay_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "debugger/session/activity.h"
#include "debugger/session/kernel_view.h"
#include "debugger/session/machine_looks.h"
#include "debugger/session/positions.h"
#include "debugger/session/x86_registers.h"

namespace hindsight::debugger::session {
namespace {

namespace port = engine::port;
namespace store = traces::store;
using replay::timeline::Arrival;
using replay::timeline::Move;
using replay::timeline::Timeline;

std::string words_of(const std::optional<store::End>& end) {
  if (!end) return "the recorder was interrupted here";
  switch (end->reason) {
    case store::EndReason::reached:
      return "the recording was to end here";
    case store::EndReason::power_off:
      return "the guest switched itself off";
    case store::EndReason::reset:
      return "the guest asked for a reset";
    case store::EndReason::triple_fault:
      return "the guest's CPU shut down";
    case store::EndReason::idle_forever:
      return "the guest waits for ever";
    case store::EndReason::interrupted:
      return "the recording was stopped here";
  }
  return "the recording ends here";
}

std::string head_of(const store::Event& event) {
  if (event.kind != store::EventKind::input) return {};
  const std::size_t size = std::min(event.payload.size(), EventInfo::kHead);
  return {reinterpret_cast<const char*>(event.payload.data()), size};
}

Position position_of(store::Place place) { return {place.icount, place.delivery}; }

class ReplaySession final : public Session {
 public:
  ReplaySession(std::unique_ptr<Timeline> timeline, Brancher brancher)
      : timeline_(std::move(timeline)), brancher_(std::move(brancher)), kernel_(*timeline_) {}

  // ---- where
  [[nodiscard]] Position now() const override { return timeline_->now(); }
  [[nodiscard]] Position first() const override { return timeline_->first(); }
  [[nodiscard]] Position last() const override { return timeline_->last(); }
  [[nodiscard]] VirtualTime time() const override { return timeline_->machine().now().time; }

  Result<Position> parse_position(std::string_view text) override {
    PositionNames names{first(), last(), {}, {}};
    names.mark = [&](std::string_view name) -> std::optional<Position> {
      for (const MarkInfo& mark : marks())
        if (mark.name == name) return mark.at;
      return std::nullopt;
    };
    names.event = [&](std::uint64_t number) -> std::optional<Position> {
      const auto known = load_events();
      if (!known || number >= events_.size()) return std::nullopt;
      return events_[number].at;
    };
    return session::parse_position(text, names);
  }

  // ---- moving
  Result<Stop> seek(Position to) override {
    auto moved = timeline_->seek(to);
    if (moved && moved->arrival != Arrival::interrupted) return stop(StopKind::arrived, std::nullopt);
    return stop_of(moved);
  }

  Result<Stop> step(Direction direction, std::uint64_t count) override {
    const Position from = now();
    const bool forward = direction == Direction::forward;
    auto moved = forward ? timeline_->step_forward(count) : timeline_->step_backward(count);
    Result<Stop> stopped = stop_of(moved);
    if (!stopped || count != 1 || stopped->kind != StopKind::arrived) return stopped;
    const std::vector<Condition> watching = conditions_that([](const Condition& c) { return !c.breakpoint; });
    if (watching.empty()) return stopped;
    auto hit = timeline_->last_hit(watching, std::min(from, now()), std::max(from, now()));
    if (!hit) return hit.failure();
    stopped->hit = *hit;
    return stopped;
  }

  Result<Stop> run(Direction direction) override {
    const std::vector<Condition> all = conditions_that([](const Condition&) { return true; });
    return stop_of(direction == Direction::forward ? timeline_->run_forward(all, last())
                                                   : timeline_->run_backward(all, first()));
  }

  Result<Stop> run_to_event(Direction direction) override {
    if (const Status known = load_events(); !known) return known.failure();
    const Position here = now();
    const auto after = std::upper_bound(events_.begin(), events_.end(), here,
                                        [](Position at, const EventInfo& e) { return at < e.at; });
    if (direction == Direction::forward) {
      if (after == events_.end()) return ended_at(last(), StopKind::end);
      return arrived_at(*after);
    }
    const auto before = std::lower_bound(events_.begin(), events_.end(), here,
                                         [](const EventInfo& e, Position at) { return e.at < at; });
    if (before == events_.begin()) return ended_at(first(), StopKind::begin);
    return arrived_at(*std::prev(before));
  }

  void interrupt() override { timeline_->interrupt(); }
  void on_progress(std::function<void(double)> progress) override {
    timeline_->on_progress(std::move(progress));
  }

  // ---- stop conditions
  int add(Condition condition) override {
    condition.id = next_id_++;
    return conditions_.emplace(condition.id, std::move(condition)).first->first;
  }
  int add(Condition condition, Question when) override {
    if (when) condition.when = predicate_of(std::move(when));
    return add(std::move(condition));
  }
  void remove(int id) override { conditions_.erase(id); }

  // ---- looking
  [[nodiscard]] std::span<const RegisterInfo> register_table() const override { return x86_register_table(); }
  [[nodiscard]] std::vector<RegisterValue> registers() override { return registers_of(timeline_->machine()); }
  [[nodiscard]] GuestVirt pc() const override { return debug().pc(); }
  [[nodiscard]] std::optional<Mapping> mapping(GuestVirt address) const override {
    return debug().mapping(address);
  }
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override {
    return read_linear(debug(), address, out);
  }
  std::size_t read(GuestPhys address, std::span<std::byte> out) const override {
    return read_physical(debug(), address, out);
  }
  [[nodiscard]] std::uint64_t ram_bytes() const override {
    return timeline_->machine().ram().page_count() * kPageSize;
  }
  [[nodiscard]] std::vector<StateField> state(std::string_view part) override {
    return state_of(timeline_->machine(), part);
  }
  [[nodiscard]] std::vector<TableEntry> table_entries(GuestVirt address) const override {
    return debug().walk(address);
  }
  [[nodiscard]] std::string page_walk(GuestVirt address) override { return walk_text(debug(), address); }

  // ---- the guest's kernel
  [[nodiscard]] std::string describe(GuestVirt address) override { return kernel_.describe(address); }
  [[nodiscard]] Result<GuestVirt> resolve(std::string_view symbol) override {
    return kernel_.resolve(symbol);
  }
  [[nodiscard]] Result<std::string> call_stack() override { return kernel_.call_stack(); }
  [[nodiscard]] Result<std::vector<FrameInfo>> frames() override { return kernel_.frames(); }
  [[nodiscard]] Result<std::vector<TaskInfo>> tasks() override { return kernel_.tasks(); }
  [[nodiscard]] Result<std::vector<LogLine>> kernel_log() override { return kernel_.log(); }
  [[nodiscard]] std::vector<std::byte> symbol_file() override { return kernel_.symbol_file(); }
  [[nodiscard]] Result<std::vector<ModuleInfo>> modules() override { return kernel_.modules(); }
  [[nodiscard]] Result<std::uint64_t> kernel_slide() override { return kernel_.kernel_slide(); }

  // ---- history
  [[nodiscard]] Result<std::vector<EventInfo>> events(Position from, Position to) override {
    if (const Status known = load_events(); !known) return known.failure();
    std::vector<EventInfo> some;
    std::copy_if(events_.begin(), events_.end(), std::back_inserter(some),
                 [&](const EventInfo& event) { return event.at >= from && event.at <= to; });
    return some;
  }
  Result<Activity> activity(Position from, Position to) override {
    Landmarks landmarks;
    if (const auto entry = kernel_.resolve("entry_SYSCALL_64")) landmarks.system_call = *entry;
    if (const auto entry = kernel_.resolve("__switch_to")) landmarks.context_switch = *entry;
    return gather_activity(*timeline_, landmarks, from, to);
  }
  Result<std::vector<Hit>> hits(const std::vector<Condition>& conditions, Position from, Position to,
                                std::size_t most) override {
    std::vector<Hit> found;
    if (most == 0) return found;
    const Status scanned = timeline_->scan(conditions, from, to, [&](const Hit& hit) {
      found.push_back(hit);
      return found.size() < most;
    });
    if (!scanned) return scanned.failure();
    return found;
  }
  Result<std::optional<Hit>> last_write(GuestPhys address, std::uint64_t size) override {
    Condition write;
    write.watchpoint.emplace();
    write.watchpoint->range = {.physical = true,
                               .first = address.value,
                               .size = std::max<std::uint64_t>(size, 1),
                               .read = false,
                               .write = true};
    return timeline_->last_hit({write}, first(), now());
  }
  [[nodiscard]] std::vector<SnapshotInfo> snapshots() const override {
    std::vector<SnapshotInfo> all;
    const std::vector<Position> stored = timeline_->ladder().stored_positions();
    for (const Position at : timeline_->ladder().positions())
      all.push_back({at, std::binary_search(stored.begin(), stored.end(), at)});
    return all;
  }
  Status take_snapshot() override { return timeline_->keep_snapshot(); }
  Result<std::size_t> keep_useful_snapshots() override { return timeline_->keep_useful(); }
  [[nodiscard]] std::vector<MarkInfo> marks() const override {
    const auto stored = timeline_->archive().marks();
    std::vector<MarkInfo> all;
    if (!stored) return all;
    for (const store::Mark& mark : *stored) all.push_back({mark.name, mark.note, position_of(mark.at)});
    return all;
  }
  Status set_mark(std::string name, std::string note) override {
    const Position here = now();
    return timeline_->archive().set_mark({std::move(name), std::move(note), {here.icount, here.delivery}});
  }
  Status remove_mark(const std::string& name) override { return timeline_->archive().remove_mark(name); }
  Result<std::string> branch(const std::string& path) override {
    if (!brancher_) return error("a branch cannot be recorded from here");
    store::TraceReader& trace = timeline_->trace();
    const auto& end = trace.end();
    const bool off =
        end && (end->reason == store::EndReason::power_off || end->reason == store::EndReason::reset ||
                end->reason == store::EndReason::triple_fault);
    if (off && now() >= last()) return error("nothing runs on from here: {}", words_of(end));
    return brancher_({trace.path(), timeline_->take_snapshot()}, path);
  }

 private:
  [[nodiscard]] const port::DebugPort& debug() const { return timeline_->machine().debug(); }

  template <class Which>
  [[nodiscard]] std::vector<Condition> conditions_that(Which which) const {
    std::vector<Condition> some;
    for (const auto& [id, condition] : conditions_)
      if (which(condition)) some.push_back(condition);
    return some;
  }

  Stop stop(StopKind kind, std::optional<Hit> hit) { return {kind, now(), std::move(hit), words(kind, hit)}; }

  Result<Stop> stop_of(const Result<Move>& moved) {
    if (!moved) return moved.failure();
    constexpr StopKind kKinds[] = {StopKind::arrived, StopKind::condition, StopKind::begin, StopKind::end,
                                   StopKind::interrupted};
    return stop(kKinds[static_cast<std::size_t>(moved->arrival)], moved->hit);
  }

  std::string words(StopKind kind, const std::optional<Hit>& hit) {
    if (kind == StopKind::begin)
      return timeline_->trace().config().parent ? "the branch begins here" : "the machine is switched on";
    if (kind == StopKind::end) return words_of(timeline_->trace().end());
    if (kind == StopKind::interrupted) return "interrupted";
    if (!hit) return {};
    std::string words = hit_in_words(*hit);
    return words.empty() ? describe(pc()) : words;
  }

  Result<Stop> ended_at(Position at, StopKind kind) {
    auto moved = timeline_->seek(at);
    if (!moved || moved->arrival == Arrival::interrupted) return stop_of(moved);
    return stop(kind, std::nullopt);
  }
  Result<Stop> arrived_at(const EventInfo& event) {
    auto moved = timeline_->seek(event.at);
    if (!moved || moved->arrival == Arrival::interrupted) return stop_of(moved);
    Stop stopped = stop(StopKind::arrived, std::nullopt);
    stopped.text = fmt::format("{} on {}, {} bytes", event.kind, event.channel, event.size);
    return stopped;
  }

  Status load_events() {
    if (events_loaded_) return Done{};
    store::TraceReader& trace = timeline_->trace();
    std::vector<EventInfo> all;
    for (std::uint64_t i = 0; i < trace.chunk_count(); ++i) {
      const auto chunk = trace.chunk(i);
      if (!chunk) return chunk.failure();
      for (const store::Event& event : chunk->events) {
        // What a branch's machine asked for while it was built.
        if (event.at.icount < first().icount) continue;
        all.push_back({{event.at.icount, 0},
                       event.at.time,
                       std::string(store::name_of(event.kind)),
                       replay::play::channel_name(static_cast<port::Channel>(event.channel)),
                       event.size,
                       head_of(event)});
      }
    }
    events_ = std::move(all);
    events_loaded_ = true;
    return Done{};
  }

  std::unique_ptr<Timeline> timeline_;
  const Brancher brancher_;
  KernelView kernel_;
  std::map<int, Condition> conditions_;
  int next_id_ = 1;
  std::vector<EventInfo> events_;
  bool events_loaded_ = false;
};

}  // namespace

Result<std::unique_ptr<Session>> open_replay(const std::string& path,
                                             replay::timeline::MachineFactory factory,
                                             replay::timeline::TimelineOptions options, Brancher brancher) {
  auto timeline = Timeline::open(path, std::move(factory), options);
  if (!timeline) return timeline.failure();
  return std::unique_ptr<Session>(std::make_unique<ReplaySession>(std::move(*timeline), std::move(brancher)));
}

}  // namespace hindsight::debugger::session
