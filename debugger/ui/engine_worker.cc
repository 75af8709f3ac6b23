#include "debugger/ui/engine_worker.h"

#include <algorithm>
#include <array>

#include "debugger/ui/words.h"

namespace hindsight::debugger::ui {
namespace {

/// What is gathered at once: well below a second.
constexpr std::uint64_t kStretch = 60'000'000;
constexpr std::array<std::string_view, 13> kMoves = {
    "seek",       "step",       "back",  "continue", "reverse-continue", "next-event", "previous-event",
    "last-write", "next-write", "begin", "end",      "step-line",        "back-line"};

template <class T>
std::shared_ptr<const Told<T>> told(Result<std::vector<T>> result) {
  auto model = std::make_shared<Told<T>>();
  if (result)
    model->all = std::move(*result);
  else
    model->trouble = result.failure().message;
  return model;
}

}  // namespace

EngineWorker::EngineWorker(session::Session& session, session::Sources* sources, session::Analyst* analyst)
    : session_(session),
      builder_(session),
      source_(session, sources),
      inquiries_(session, analyst, builder_),
      asker_(analyst,
             [this](std::uint64_t number, Result<Answer> answer) { deliver(number, std::move(answer)); }) {
  next_.first = session_.first();
  next_.last = session_.last();
  next_.now = session_.now();
  next_.activity = std::make_shared<ActivityIndex>();
  next_.console = std::make_shared<ConsoleText>();
  next_.breakpoints = std::make_shared<std::vector<BreakpointRow>>();
  next_.marks = std::make_shared<std::vector<session::MarkInfo>>();
  next_.snapshots = std::make_shared<std::vector<session::SnapshotInfo>>();
  status_.busy = true;
  status_.doing = "opening";
  published_ = std::make_shared<ViewModel>(next_);
  session_.on_progress([this](double share) {
    const std::lock_guard lock(mutex_);
    status_.progress = share;
  });
  thread_ = std::thread([this] { run(); });
}

EngineWorker::~EngineWorker() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    queue_.clear();
  }
  wake_.notify_one();
  cancel();
  // An interruption that comes just before a move begins is lost: the next one is not.
  for (std::unique_lock lock(mutex_); !ended_; called_.wait_for(lock, std::chrono::milliseconds(10)))
    session_.interrupt();
  thread_.join();
  session_.on_progress({});
}

/// Whether what is under way ends for a command. Short moves are waited for, so that keys held down lose
/// none.
bool EngineWorker::gives_way(const std::string& line, const std::string& name) const {
  constexpr std::chrono::milliseconds kPatience{300};
  if (interruptible_) return true;
  if (!status_.busy || calling_ || std::ranges::find(kMoves, name) == kMoves.end()) return false;
  if (status_.doing.starts_with("seek")) return true;
  return line != status_.doing && std::chrono::steady_clock::now() - began_ > kPatience;
}

void EngineWorker::post(std::string line) {
  auto [name, rest] = split(line);
  {
    const std::lock_guard lock(mutex_);
    // Scrubbing posts faster than anybody can seek: only the last place counts.
    if (name == "seek" && !queue_.empty() && queue_.back().name == "seek") {
      queue_.pop_back();
      --posted_;
    }
    ++posted_;
    // With the queue locked: an interruption that came later would end the command itself.
    if (gives_way(line, name)) end_move();
    queue_.push_back({std::move(line), std::move(name), std::move(rest)});
  }
  wake_.notify_one();
}

void EngineWorker::call(const std::string& name, Effect effect,
                        const std::function<void(session::Session&)>& what) {
  Call call{effect, what};
  std::unique_lock lock(mutex_);
  if (interruptible_) end_move();
  queue_.push_back({name, {}, {}, &call});
  wake_.notify_one();
  called_.wait(lock, [&] { return call.done; });
}

void EngineWorker::carry_out(const std::string& name, Call& call) {
  const Position before = session_.now();
  call.what(session_);
  if (call.effect == Effect::moves && session_.now() != before) {
    next_.message = "moved by " + name;
    next_.failed = false;
    code_at_.reset();
    refresh();
    publish();
  } else if (call.effect == Effect::notes) {
    refresh_lists();
    publish();
  }
  const std::lock_guard lock(mutex_);
  call.done = true;
  called_.notify_all();
}

void EngineWorker::cancel() {
  {
    const std::lock_guard lock(mutex_);
    // Who calls, and what was answered, is not to be forgotten.
    posted_ -= std::erase_if(queue_, [](const Command& command) { return !command.name.empty(); });
  }
  interrupt();
  asker_.cancel();
}

void EngineWorker::end_move() {
  interrupting_ = true;
  session_.interrupt();
}

void EngineWorker::interrupt() {
  const std::lock_guard lock(mutex_);
  if (status_.busy) interrupting_ = true;
  session_.interrupt();
}

void EngineWorker::insist() {
  {
    const std::lock_guard lock(mutex_);
    if (interrupting_) session_.interrupt();
  }
  asker_.insist();
}

void EngineWorker::ask(const Command& command) {
  auto question = inquiries_.prepare(command.name, command.rest);
  if (!question) return complain(question.failure());
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    status_.asking = command.line;
    number = ++questions_;
  }
  asker_.ask(number, std::move(*question));
}

void EngineWorker::deliver(std::uint64_t number, Result<Answer> answer) {
  {
    const std::lock_guard lock(mutex_);
    if (number != questions_) return;  // a newer one was asked
    Command command{std::exchange(status_.asking, {}), {}, {}};
    if (answer)
      command.answer = std::move(*answer);
    else if (answer.failure().message == "interrupted")
      command.answer = [line = command.line](ViewModel& model) {
        // Why the machine stands is not lost: its move may be what ended the question.
        if (!model.message.empty()) model.message += "; ";
        model.message += "cancelled: " + line;
      };
    else
      command.answer = [message = answer.failure().message](ViewModel& model) {
        model.message = message;
        model.failed = true;
      };
    queue_.push_back(std::move(command));
    if (interruptible_) end_move();
  }
  wake_.notify_one();
}

std::shared_ptr<const ViewModel> EngineWorker::model() const {
  const std::lock_guard lock(mutex_);
  return published_;
}

std::uint64_t EngineWorker::posted() const {
  const std::lock_guard lock(mutex_);
  return posted_;
}

WorkerStatus EngineWorker::status() const {
  const std::lock_guard lock(mutex_);
  WorkerStatus status = status_;
  status.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  status.waiting = queue_.size();
  status.asked = asker_.progress();
  return status;
}

bool EngineWorker::idle() const {
  const std::lock_guard lock(mutex_);
  return queue_.empty() && !status_.busy && status_.asking.empty();
}

bool EngineWorker::waiting() const {
  const std::lock_guard lock(mutex_);
  return closing_ || !queue_.empty();
}

void EngineWorker::run() {
  refresh_lists();
  refresh();
  publish();
  bool more = true;
  for (;;) {
    Command command;
    bool slow = false;
    {
      std::unique_lock lock(mutex_);
      slow = queue_.empty() && (stale_ || path_stale_);
      if (!slow) status_.busy = false;
      status_.settled = !more && !slow && queue_.empty();
      if (!more && !slow) wake_.wait(lock, [&] { return closing_ || !queue_.empty(); });
      if (closing_) {
        ended_ = true;
        called_.notify_all();
        return;
      }
      interruptible_ = queue_.empty();
      if (!queue_.empty()) {
        command = std::move(queue_.front());
        queue_.pop_front();
        status_.busy = true;
        status_.settled = false;
        status_.doing = command.line;
        status_.progress = 0;
        began_ = std::chrono::steady_clock::now();
        calling_ = command.call != nullptr;
      }
      interrupting_ = false;
    }
    if (command.call != nullptr) {
      carry_out(command.line, *command.call);
    } else if (command.answer) {
      next_.failed = false;
      command.answer(next_);
      publish();
    } else if (!command.name.empty()) {
      spell_out(command);
      carry_out(command);
      ++next_.answered;
      publish();
      more = true;  // the machine may be a live one, which ran on
    } else if (slow) {
      refresh_slow();
    } else {
      more = gather();
    }
  }
}

void EngineWorker::publish() {
  ++next_.serial;
  next_.last = session_.last();
  auto model = std::make_shared<const ViewModel>(next_);
  const std::lock_guard lock(mutex_);
  published_ = std::move(model);
}

void EngineWorker::complain(const Error& failure) {
  next_.message = failure.message;
  next_.failed = true;
}

void EngineWorker::carry_out(const Command& command) {
  // What is shown is no answer: the words of the last command stay.
  if (command.name != "show") {
    next_.message.clear();
    next_.failed = false;
  }
  if (Inquiries::knows(command.name)) return ask(command);
  if (move(command) || look(command) || set_stop(command) || note(command)) return;
  complain(error("no such command: {}", command.name));
}

void EngineWorker::spell_out(Command& command) {
  constexpr std::array<std::string_view, 5> kOfBytes = {"memory", "walk", "watch", "last-write",
                                                        "next-write"};
  if (source_.sources() == nullptr || std::ranges::find(kOfBytes, command.name) == kOfBytes.end()) return;
  const auto [name, size] = split(command.rest);
  const auto table = session_.register_table();
  if (name == "pc" || std::ranges::find(table, name, &session::RegisterInfo::name) != table.end()) return;
  if (!next_.source || next_.source->at != session_.now()) next_.source = source_.build(next_.source.get());
  const VariableRow* variable = find_variable(*next_.source, name);
  if (variable == nullptr || !variable->address) return;
  command.rest = fmt::format("0x{:x}", variable->address->value);
  if (command.name == "memory" || command.name == "walk") return;
  command.rest += size.empty() ? fmt::format(" {}", variable->size) : " " + size;
}

void EngineWorker::break_at_line(const std::string& place) {
  if (source_.sources() == nullptr) return complain(error("no lines are known: no --symbols were given"));
  const auto addresses = source_.sources()->addresses(place);
  if (!addresses) return complain(addresses.failure());
  const auto of_line = [&](const BreakpointRow& row) {
    return !row.watch && std::ranges::find(*addresses, row.address) != addresses->end();
  };
  if (std::ranges::any_of(breakpoints_, of_line)) {  // a second time takes it away
    for (const BreakpointRow& row : breakpoints_)
      if (of_line(row)) session_.remove(row.id);
    std::erase_if(breakpoints_, of_line);
    return;
  }
  const session::Question when = source_.sources()->when(place);
  for (const GuestVirt address : *addresses) {
    session::Condition condition;
    condition.breakpoint = replay::timeline::Breakpoint{address};
    breakpoints_.push_back({session_.add(condition, when), address, place, false});
  }
}

void EngineWorker::show_frame(const std::string& number) {
  if (!next_.source) next_.source = source_.build(nullptr);
  const std::size_t frame = std::strtoull(number.c_str(), nullptr, 10);
  if (!next_.source || number.find_first_not_of("0123456789") != std::string::npos || number.empty() ||
      frame >= next_.source->frames.size())
    return complain(error("frame: a number below {} was expected, found \"{}\"",
                          next_.source ? next_.source->frames.size() : 0, number));
  source_.choose(frame);
  next_.source = source_.build(nullptr);
  code_at_.reset();
  if (frame != 0) code_at_ = next_.source->frame().pc;
  next_.code = builder_.code(code_at_);
  path_stale_ = true;
}

bool EngineWorker::look(const Command& command) {
  if (command.name == "show") {  // the panels that are seen
    shown_.clear();
    for (std::string rest = command.rest; !rest.empty();) {
      auto [panel, more] = split(rest);
      shown_.insert(panel);
      rest = more;
    }
    stale_ = true;
  } else if (command.name == "code") {
    code_at_.reset();
    if (!command.rest.empty() && command.rest != "pc") {
      const auto address = builder_.address(command.rest);
      if (!address) {
        complain(address.failure());
        return true;
      }
      code_at_ = *address;
    }
    next_.code = builder_.code(code_at_);
    path_stale_ = true;
  } else if (command.name == "frame") {
    show_frame(command.rest);
  } else if (command.name == "memory") {
    show_memory(command.rest);
  } else if (command.name == "walk") {
    show_walk(command.rest);
  } else {
    return false;
  }
  return true;
}

void EngineWorker::show_memory(const std::string& expression) {
  const auto address = builder_.address(expression);
  if (!address) return complain(address.failure());
  memory_at_ = fmt::format("0x{:x}", address->value);
  next_.memory = builder_.memory(*address, expression, nullptr);
}

void EngineWorker::show_walk(const std::string& expression) {
  const auto address = builder_.address(expression);
  if (!address) return complain(address.failure());
  walk_at_ = expression;
  next_.walk = builder_.walk(*address, expression);
}

bool EngineWorker::set_stop(const Command& command) {
  if (command.name == "break" && names_a_line(command.rest)) {
    break_at_line(command.rest);
  } else if (command.name == "break" || command.name == "watch") {
    const auto [where, size] = split(command.rest);
    const auto address = builder_.address(where);
    if (!address) {
      complain(address.failure());
      return true;
    }
    const bool watch = command.name == "watch";
    const auto same = std::ranges::find_if(breakpoints_, [&](const BreakpointRow& row) {
      return row.address == *address && row.watch == watch;
    });
    if (same != breakpoints_.end()) {  // a second time takes it away
      session_.remove(same->id);
      breakpoints_.erase(same);
    } else {
      session::Condition condition;
      const std::uint64_t bytes = size.empty() ? 8 : count_of(size);
      if (watch)
        condition.watchpoint =
            replay::timeline::Watchpoint{{false, address->value, bytes, false, true}, true};
      else
        condition.breakpoint = replay::timeline::Breakpoint{*address};
      const int id = session_.add(condition);
      const std::string text = session_.describe(*address);
      breakpoints_.push_back(
          {id, *address, watch ? fmt::format("{} bytes at {}", bytes, text) : text, watch});
    }
  } else if (command.name == "delete") {
    const int id = static_cast<int>(count_of(command.rest));
    session_.remove(id);
    std::erase_if(breakpoints_, [&](const BreakpointRow& row) { return row.id == id; });
  } else {
    return false;
  }
  next_.breakpoints = std::make_shared<std::vector<BreakpointRow>>(breakpoints_);
  return true;
}

bool EngineWorker::note(const Command& command) {
  Status done = Done{};
  if (command.name == "mark") {
    const auto [name, text] = split(command.rest);
    done = name.empty() ? Status(error("a name for the mark was expected")) : session_.set_mark(name, text);
    if (done) next_.message = "marked as " + name;
  } else if (command.name == "unmark") {
    done = session_.remove_mark(command.rest);
  } else if (command.name == "snapshot") {
    done = session_.take_snapshot();
    if (done) next_.message = "a snapshot is in the trace now";
  } else {
    return false;
  }
  if (!done) complain(done.failure());
  refresh_lists();
  return true;
}

void EngineWorker::refresh_lists() {
  next_.marks = std::make_shared<std::vector<session::MarkInfo>>(session_.marks());
  next_.snapshots = std::make_shared<std::vector<session::SnapshotInfo>>(session_.snapshots());
  refresh_events();
}

void EngineWorker::refresh_events() {
  if (events_to_ == session_.last()) return;
  events_to_ = session_.last();
  auto events = session_.events(session_.first(), {Icount::max(), 0});
  if (!events) return complain(events.failure());
  activity_.set_events(*events);
  next_.activity = std::make_shared<ActivityIndex>(activity_);
  next_.events = std::make_shared<std::vector<session::EventInfo>>(std::move(*events));
}

void EngineWorker::refresh() {
  next_.now = session_.now();
  next_.time = session_.time();
  next_.registers = builder_.registers(next_.registers.get());
  next_.code = builder_.code(code_at_);
  next_.where = session_.describe(session_.pc());
  if (const auto address = builder_.address(memory_at_)) {
    next_.memory = builder_.memory(*address, memory_at_, next_.memory.get());
  }
  if (const auto address = builder_.address(walk_at_)) next_.walk = builder_.walk(*address, walk_at_);
  source_.forget_choice();
  built_.clear();
  stale_ = path_stale_ = true;
}

bool EngineWorker::refresh_slow() {
  if (stale_) {
    next_.snapshots = std::make_shared<std::vector<session::SnapshotInfo>>(session_.snapshots());
    // Once for each place of the cursor: built a second time, nothing would have changed since.
    const auto due = [&](const char* part) { return shows(part) && built_.insert(part).second; };
    const bool source = shows("source") || shows("variables") || shows("stack");
    if (source && built_.insert("source").second) next_.source = source_.build(next_.source.get());
    if (due("stack")) next_.stack = told(session_.frames());
    if (due("devices")) next_.devices = builder_.devices(next_.devices.get());
    // Whose handler a lane's interrupt has is much the same all along.
    const bool vectors = shows("timeline") && (!next_.system || next_.system->idt.empty());
    if (due("system") || vectors) next_.system = builder_.system(*next_.registers);
    if (due("tasks")) next_.tasks = told(session_.tasks());
    if (due("log")) next_.log = told(session_.kernel_log());
    if (due("modules")) next_.modules = told(session_.modules());
    stale_ = false;
    publish();
    return true;
  }
  if (path_stale_ && !waiting()) {
    auto path = builder_.path(next_.code);
    // Interrupted by a command: later.
    if (!path && path.failure().message == "interrupted") return true;
    if (path) next_.path = std::move(*path);
    path_stale_ = false;
    publish();
  }
  return true;
}

bool EngineWorker::gather() {
  refresh_events();
  const Position from = activity_.stretches().empty() ? session_.first() : activity_.gathered_to();
  if (from >= session_.last() || gathering_failed_) return false;
  const Position to = std::min(session_.last(), Position{from.icount + kStretch, 0});
  auto activity = session_.activity(from, to);
  if (!activity) {
    // Interrupted by a command: the same stretch later. Anything else will not get better.
    gathering_failed_ = activity.failure().message != "interrupted";
    if (gathering_failed_) complain(activity.failure());
    publish();
    return !gathering_failed_;
  }
  extend_console(*activity);
  auto names = names_of(*activity);
  activity_.add(std::move(*activity), std::move(names));
  next_.activity = std::make_shared<ActivityIndex>(activity_);
  next_.console = std::make_shared<ConsoleText>(console_);
  publish();
  const std::lock_guard lock(mutex_);
  const double all = static_cast<double>(session_.last().icount - session_.first().icount);
  status_.gathered = all > 0 ? static_cast<double>(to.icount - session_.first().icount) / all : 1;
  return to < session_.last();
}

/// Of the code that exceptions and interrupts struck, by address.
std::unordered_map<std::uint64_t, std::string> EngineWorker::names_of(const session::Activity& activity) {
  using Kind = session::Happening::Kind;
  std::unordered_map<std::uint64_t, std::string> names;
  for (const session::Happening& what : activity.all) {
    if (what.kind != Kind::exception && what.kind != Kind::interrupt) continue;
    const auto [known, is_new] = names.try_emplace(what.pc.value);
    if (is_new) known->second = session_.describe(what.pc);
  }
  return names;
}

void EngineWorker::extend_console(const session::Activity& activity) {
  const auto tell = [&](std::uint64_t until) {
    if (!next_.events) return;
    for (; events_told_ < next_.events->size(); ++events_told_) {
      const session::EventInfo& event = (*next_.events)[events_told_];
      if (event.at.icount.value > until) return;
      if (event.kind == "input" && (event.channel == "serial0" || event.channel == "virtio_console"))
        console_.typed(event.at.icount.value, event.head);
    }
  };
  for (const session::Happening& what : activity.all) {
    if (what.kind != session::Happening::Kind::output) continue;
    const std::string& source = activity.sources[what.source];
    if (source != "serial0" && source != "virtio_console") continue;
    tell(what.at.icount.value);
    for (std::uint64_t i = 0; i < what.size && what.address + i < activity.bytes.size(); ++i)
      console_.sent(what.at.icount.value, activity.bytes[what.address + i]);
  }
}

}  // namespace hindsight::debugger::ui
