#include "debugger/session/live_session.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "debugger/session/kernel_view.h"
#include "debugger/session/machine_looks.h"
#include "debugger/session/positions.h"
#include "debugger/session/x86_registers.h"
#include "replay/timeline/watcher.h"

namespace hindsight::debugger::session {
namespace {

namespace port = engine::port;
using port::StopReason;
using replay::timeline::Watcher;

constexpr Position kNever{Icount::max(), 0};

/// Stops at every delivery and lets a watcher note the rest.
class StepObserver final : public port::Observer {
 public:
  explicit StepObserver(Watcher& watcher) : watcher_(watcher) {}
  bool breakpoint(Position, GuestVirt) override { return false; }
  bool access(const port::Access& access) override {
    (void)watcher_.access(access);
    return false;
  }
  bool device(const port::DeviceAccess& access) override {
    (void)watcher_.device(access);
    return false;
  }
  bool delivery(const port::Delivery& delivery) override {
    (void)watcher_.delivery(delivery);
    return true;
  }
  bool transfer(const port::Transfer&) override { return false; }

 private:
  Watcher& watcher_;
};

std::string words_of(StopReason reason) {
  switch (reason) {
    case StopReason::reached:
      return "the recording was to end here";
    case StopReason::power_off:
      return "the guest switched itself off";
    case StopReason::reset:
      return "the guest asked for a reset";
    case StopReason::triple_fault:
      return "the guest's CPU shut down";
    case StopReason::idle_forever:
      return "the guest waits for ever";
    case StopReason::interrupted:
    case StopReason::observed:
      return {};
  }
  return {};
}

/// The replay session over the recorded past, reachable for interrupt() from another thread.
class Past final {
 public:
  explicit operator bool() const { return session_ != nullptr; }
  Session* operator->() const { return session_.get(); }
  void open(std::unique_ptr<Session> session) {
    session_ = std::move(session);
    shared_ = session_.get();
  }
  void close() {
    shared_ = nullptr;
    while (interrupting_ != 0) std::this_thread::yield();
    session_.reset();
  }
  void interrupt() {
    ++interrupting_;
    if (Session* session = shared_) session->interrupt();
    --interrupting_;
  }

 private:
  std::unique_ptr<Session> session_;
  std::atomic<Session*> shared_{nullptr};
  std::atomic<int> interrupting_{0};
};

class RealLiveSession final : public LiveSession {
 public:
  explicit RealLiveSession(LiveMachine& live)
      : live_(live),
        kernel_({[this]() -> port::Machine& { return machine(); }, [this] { return last(); }, {}}),
        first_(machine().debug().position()) {}

  ~RealLiveSession() override {
    close_past();
    if (!ended_) (void)write_marks();  // if it cannot be written, who closes the trace says so
  }
  RealLiveSession(const RealLiveSession&) = delete;
  RealLiveSession& operator=(const RealLiveSession&) = delete;

  [[nodiscard]] std::optional<StopReason> ended() const override { return ended_; }

  // ---- where
  [[nodiscard]] Position now() const override { return in_past_ ? past_->now() : last(); }
  [[nodiscard]] Position first() const override { return first_; }
  [[nodiscard]] Position last() const override { return debug().position(); }
  [[nodiscard]] VirtualTime time() const override { return in_past_ ? past_->time() : machine().now().time; }
  Result<Position> parse_position(std::string_view text) override {
    const auto mark = [&](std::string_view name) -> std::optional<Position> {
      const auto found = std::ranges::find(marks_, name, &MarkInfo::name);
      return found == marks_.end() ? std::nullopt : std::optional(found->at);
    };
    if (!text.starts_with("event:")) return session::parse_position(text, {first(), last(), mark, {}});
    if (const Status opened = open_past(); !opened) return opened.failure();
    return past_->parse_position(text);
  }

  // ---- moving
  Result<Stop> seek(Position to) override {
    if (to < last()) return backward([&] { return past_->seek(to); });
    interrupted_ = false;
    leave_past();
    return to == last() ? moved_stop(StopKind::arrived, {}) : run_live_to(to);
  }
  Result<Stop> step(Direction direction, std::uint64_t count) override {
    if (direction == Direction::backward) return backward([&] { return past_->step(direction, count); });
    interrupted_ = false;
    // Of several steps, those beyond the recorded past are the machine's own. Every instruction is a step.
    while (in_past_) {
      const std::uint64_t sure = std::max<std::uint64_t>(last().icount - now().icount, 1);
      const std::uint64_t steps = std::min(count, sure);
      const auto moved = forward_in_past([&] { return past_->step(direction, steps); });
      if (!moved || moved->kind != StopKind::arrived || steps == count) return moved;
      count -= steps;
    }
    return step_live(count);
  }
  Result<Stop> run(Direction direction) override {
    if (direction == Direction::backward) return backward([&] { return past_->run(direction); });
    interrupted_ = false;
    if (!in_past_) return run_live(now());
    const auto moved = forward_in_past([&] { return past_->run(direction); });
    if (!moved || moved->kind != StopKind::end) return moved;
    return run_live(std::nullopt);
  }
  Result<Stop> run_to_event(Direction direction) override {
    if (direction == Direction::backward) return backward([&] { return past_->run_to_event(direction); });
    if (!in_past_) return error("what will come from outside is not known yet");
    return forward_in_past([&] { return past_->run_to_event(direction); });
  }
  void interrupt() override {
    interrupted_ = true;
    live_.machine().request_stop();
    past_.interrupt();
  }
  void on_progress(std::function<void(double)> progress) override { progress_ = std::move(progress); }

  // ---- stop conditions
  int add(Condition condition) override {
    condition.id = next_id_++;
    const int id = condition.id;
    if (past_) past_ids_[past_->add(condition)] = id;
    conditions_.emplace(id, std::move(condition));
    return id;
  }
  int add(Condition condition, Question when) override {
    if (when) condition.when = predicate_of(std::move(when));
    return add(std::move(condition));
  }
  void remove(int id) override {
    conditions_.erase(id);
    const auto found = std::ranges::find(past_ids_, id, &std::pair<const int, int>::second);
    if (found == past_ids_.end()) return;
    past_->remove(found->first);
    past_ids_.erase(found);
  }

  // ---- looking
  [[nodiscard]] std::span<const RegisterInfo> register_table() const override { return x86_register_table(); }
  [[nodiscard]] std::vector<RegisterValue> registers() override {
    return in_past_ ? past_->registers() : registers_of(machine());
  }
  [[nodiscard]] GuestVirt pc() const override { return in_past_ ? past_->pc() : debug().pc(); }
  [[nodiscard]] std::optional<Mapping> mapping(GuestVirt address) const override {
    return in_past_ ? past_->mapping(address) : debug().mapping(address);
  }
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override {
    return in_past_ ? past_->read(address, out) : read_linear(debug(), address, out);
  }
  std::size_t read(GuestPhys address, std::span<std::byte> out) const override {
    return in_past_ ? past_->read(address, out) : read_physical(debug(), address, out);
  }
  [[nodiscard]] std::uint64_t ram_bytes() const override { return machine().ram().page_count() * kPageSize; }
  [[nodiscard]] std::vector<StateField> state(std::string_view part) override {
    return in_past_ ? past_->state(part) : state_of(machine(), part);
  }
  [[nodiscard]] std::vector<TableEntry> table_entries(GuestVirt address) const override {
    return in_past_ ? past_->table_entries(address) : debug().walk(address);
  }
  [[nodiscard]] std::string page_walk(GuestVirt address) override {
    return in_past_ ? past_->page_walk(address) : walk_text(debug(), address);
  }

  // ---- the guest's kernel
  [[nodiscard]] std::string describe(GuestVirt address) override {
    return in_past_ ? past_->describe(address) : kernel_.describe(address);
  }
  [[nodiscard]] Result<GuestVirt> resolve(std::string_view symbol) override {
    return in_past_ ? past_->resolve(symbol) : kernel_.resolve(symbol);
  }
  [[nodiscard]] Result<std::string> call_stack() override {
    return in_past_ ? past_->call_stack() : kernel_.call_stack();
  }
  [[nodiscard]] Result<std::vector<FrameInfo>> frames() override {
    return in_past_ ? past_->frames() : kernel_.frames();
  }
  [[nodiscard]] Result<std::vector<TaskInfo>> tasks() override {
    return in_past_ ? past_->tasks() : kernel_.tasks();
  }
  [[nodiscard]] Result<std::vector<LogLine>> kernel_log() override {
    return in_past_ ? past_->kernel_log() : kernel_.log();
  }
  [[nodiscard]] Result<std::vector<ModuleInfo>> modules() override {
    return in_past_ ? past_->modules() : kernel_.modules();
  }
  [[nodiscard]] Result<std::uint64_t> kernel_slide() override {
    return in_past_ ? past_->kernel_slide() : kernel_.kernel_slide();
  }
  [[nodiscard]] std::vector<std::byte> symbol_file() override {
    return in_past_ ? past_->symbol_file() : kernel_.symbol_file();
  }

  // ---- history
  Result<std::vector<EventInfo>> events(Position from, Position to) override {
    if (const Status opened = open_past(); !opened) return opened.failure();
    return past_->events(from, to);
  }
  Result<Activity> activity(Position from, Position to) override {
    if (const Status opened = open_past(); !opened) return opened.failure();
    return past_->activity(from, to);
  }
  Result<std::vector<Hit>> hits(const std::vector<Condition>& conditions, Position from, Position to,
                                std::size_t most) override {
    if (const Status opened = open_past(); !opened) return opened.failure();
    return past_->hits(conditions, from, to, most);
  }
  Result<std::optional<Hit>> last_write(GuestPhys address, std::uint64_t size) override {
    if (const Status opened = open_past(); !opened) return opened.failure();
    if (const auto moved = go_to_live_end(); !moved) return moved.failure();
    return past_->last_write(address, size);
  }
  [[nodiscard]] std::vector<SnapshotInfo> snapshots() const override {
    return past_ ? past_->snapshots() : std::vector<SnapshotInfo>{};
  }
  Status take_snapshot() override {
    if (!ended_) return being_recorded();
    return in_ended_trace([&] { return past_->take_snapshot(); });
  }
  Result<std::size_t> keep_useful_snapshots() override {
    if (!ended_) return being_recorded();
    if (const Status opened = open_past(); !opened) return opened.failure();
    return past_->keep_useful_snapshots();
  }
  [[nodiscard]] std::vector<MarkInfo> marks() const override { return marks_; }
  Status set_mark(std::string name, std::string note) override {
    if (ended_) {
      if (const Status kept = in_ended_trace([&] { return past_->set_mark(name, note); }); !kept) return kept;
    }
    std::erase_if(marks_, [&](const MarkInfo& mark) { return mark.name == name; });
    marks_.push_back({name, std::move(note), now()});
    return keep_mark(name);
  }
  Status remove_mark(const std::string& name) override {
    if (ended_) {
      if (const Status kept = in_ended_trace([&] { return past_->remove_mark(name); }); !kept) return kept;
    }
    std::erase_if(marks_, [&](const MarkInfo& mark) { return mark.name == name; });
    return keep_mark(name);
  }
  Result<std::string> branch(const std::string& path) override {
    if (const Status opened = open_past(); !opened) return opened.failure();
    if (const auto moved = go_to_live_end(); !moved) return moved.failure();
    return past_->branch(path);
  }

 private:
  [[nodiscard]] port::Machine& machine() const { return live_.machine(); }
  [[nodiscard]] port::DebugPort& debug() const { return live_.machine().debug(); }
  static Error being_recorded() {
    return error("the trace is still being recorded: only its recorder writes it");
  }

  // ---- marks: the recorder writes them, but no byte of the file may change while the past is read from it
  Status keep_mark(const std::string& name) {
    if (ended_) return Done{};
    unwritten_.insert(name);
    return past_ ? Status(Done{}) : write_marks();
  }
  Status write_marks() {
    if (unwritten_.empty()) return Done{};
    for (const std::string& name : unwritten_) {
      const auto mark = std::ranges::find(marks_, name, &MarkInfo::name);
      if (mark != marks_.end())
        live_.set_mark(*mark);
      else
        live_.remove_mark(name);
    }
    unwritten_.clear();
    return live_.commit();
  }
  /// Nobody records it any more: a session over it writes.
  template <class Write>
  Status in_ended_trace(const Write& write) {
    if (const Status opened = open_past(); !opened) return opened;
    if (const Status stands = go_to_live_end(); !stands) return stands;
    return write();
  }

  Stop moved_stop(StopKind kind, std::optional<Hit> hit) {
    Stop stop{kind, now(), std::move(hit), {}};
    if (kind == StopKind::end && ended_) stop.text = words_of(*ended_);
    if (kind == StopKind::interrupted) stop.text = "interrupted";
    if (stop.hit) stop.text = hit_in_words(*stop.hit);
    if (stop.hit && stop.text.empty()) stop.text = describe(pc());
    return stop;
  }

  // ---- live
  template <class Which>
  [[nodiscard]] std::vector<Condition> conditions_that(Which which) const {
    std::vector<Condition> some;
    for (const auto& [id, condition] : conditions_)
      if (which(condition)) some.push_back(condition);
    return some;
  }

  /// Lets the machine run; the past is left behind.
  Result<StopReason> advance(Icount until) {
    leave_past();
    close_past();
    if (const Status written = write_marks(); !written) return written.failure();
    auto reason = live_.run(until);
    // A request to stop that came after the move it was meant for.
    while (reason && *reason == StopReason::interrupted && !interrupted_) reason = live_.run(until);
    if (!reason) return reason;
    const bool limit = *reason == StopReason::reached && machine().now().icount < until;
    if (limit || (*reason != StopReason::reached && *reason != StopReason::interrupted &&
                  *reason != StopReason::observed)) {
      ended_ = *reason;
    }
    return reason;
  }

  /// `stands_on`: where a breakpoint is passed over.
  Result<Stop> run_live(std::optional<Position> stands_on) {
    if (ended_) return moved_stop(StopKind::end, {});
    const std::vector<Condition> all = conditions_that([](const Condition&) { return true; });
    std::optional<Hit> hit;
    Watcher watcher(machine(), all, kNever, [&](const Hit& met) {
      const bool breakpoint = !met.access && !met.delivery && !met.device;
      if (breakpoint && met.before == stands_on) return false;
      hit = met;
      return true;
    });
    debug().observe(watcher.interests(), &watcher);
    const auto reason = advance(Icount::max());
    debug().observe({}, nullptr);
    if (!reason) return reason.failure();
    if (ended_) return moved_stop(StopKind::end, {});
    if (!hit) return moved_stop(StopKind::interrupted, {});
    hit->after = now();
    return moved_stop(StopKind::condition, std::move(hit));
  }

  /// Not stopped by conditions. Of the deliveries at `to` none has happened then.
  Result<Stop> run_live_to(Position to) {
    if (ended_) return moved_stop(StopKind::end, {});
    const auto reason = advance(to.icount);
    if (!reason) return reason.failure();
    if (ended_) return moved_stop(StopKind::end, {});
    return moved_stop(*reason == StopReason::interrupted ? StopKind::interrupted : StopKind::arrived, {});
  }

  Result<Stop> step_live(std::uint64_t count) {
    const std::vector<Condition> watching = conditions_that([](const Condition& c) { return !c.breakpoint; });
    std::optional<Hit> hit;
    Watcher watcher(machine(), watching, kNever, [&](const Hit& met) {
      hit = met;
      return false;
    });
    StepObserver observer(watcher);
    port::Interests interests = watcher.interests();
    interests.deliveries = true;
    const bool single = count == 1;
    while (count > 0 && !ended_) {
      const Position here = last();
      debug().observe(interests, &observer);
      const auto reason = advance(here.icount + count);
      debug().observe({}, nullptr);
      if (!reason) return reason.failure();
      if (*reason == StopReason::interrupted) return moved_stop(StopKind::interrupted, {});
      const std::uint64_t steps = (last().icount - here.icount) + (*reason == StopReason::observed ? 1 : 0);
      count -= std::min(count, steps);
    }
    if (count > 0) return moved_stop(StopKind::end, {});
    if (hit) hit->after = now();
    return moved_stop(StopKind::arrived, single ? std::move(hit) : std::nullopt);
  }

  // ---- the recorded past
  Status open_past() {
    if (past_) return Done{};
    if (const Status committed = live_.commit(); !committed) return committed;
    auto opened = live_.open_past(last());
    if (!opened) return opened.failure();
    past_.open(std::move(*opened));
    past_->on_progress([this](double share) {
      if (progress_) progress_(share);
    });
    for (const auto& [id, condition] : conditions_) past_ids_[past_->add(condition)] = id;
    return Done{};
  }
  void close_past() {
    past_.close();
    past_ids_.clear();
  }
  void leave_past() { in_past_ = false; }

  /// Puts the past's cursor where the machine stands, unless one looks at the past.
  Status go_to_live_end() {
    if (in_past_) return Done{};
    const auto moved = past_->seek(last());
    return moved ? Status(Done{}) : Status(moved.failure());
  }

  template <class Move>
  Result<Stop> backward(const Move& move) {
    interrupted_ = false;
    if (const Status opened = open_past(); !opened) return opened.failure();
    if (const Status stands = go_to_live_end(); !stands) return stands.failure();
    Result<Stop> stop = move();
    in_past_ = past_->now() < last();
    return named(std::move(stop));
  }

  /// Arriving at the end of the recorded past is arriving at the machine.
  template <class Move>
  Result<Stop> forward_in_past(const Move& move) {
    Result<Stop> stop = named(move());
    if (past_->now() >= last()) leave_past();
    return stop;
  }

  /// A stop of the past in this session's terms.
  Result<Stop> named(Result<Stop> stop) const {
    if (!stop || !stop->hit) return stop;
    const auto id = past_ids_.find(stop->hit->id);
    if (id != past_ids_.end()) stop->hit->id = id->second;
    return stop;
  }

  LiveMachine& live_;
  KernelView kernel_;
  const Position first_;
  Past past_;
  bool in_past_ = false;  ///< where the cursor is
  std::map<int, Condition> conditions_;
  std::map<int, int> past_ids_;  ///< the past's numbers of conditions
  int next_id_ = 1;
  std::vector<MarkInfo> marks_;
  std::set<std::string> unwritten_;  ///< names of marks that came, changed or went since
  std::optional<StopReason> ended_;
  std::atomic<bool> interrupted_{false};
  std::function<void(double)> progress_;
};

}  // namespace

std::unique_ptr<LiveSession> make_live_session(LiveMachine& live) {
  return std::make_unique<RealLiveSession>(live);
}

}  // namespace hindsight::debugger::session
