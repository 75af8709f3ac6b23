// The engine's own thread: it alone uses the session. It takes commands by name through a queue and publishes
// immutable models; the window never waits for it. While it has nothing to do it gathers what happened over
// the whole trace, a stretch at a time. Questions over all of history are asked on a thread beside it: moves
// go on meanwhile. Owned by the window; the public functions on any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>

#include "debugger/session/analyst.h"
#include "debugger/session/session.h"
#include "debugger/ui/asker.h"
#include "debugger/ui/inquiries.h"
#include "debugger/ui/model_builder.h"
#include "debugger/ui/source_model.h"
#include "debugger/ui/view_model.h"

namespace hindsight::debugger::ui {

class EngineWorker final {
 public:
  /// `session`, and `sources` and `analyst` where there are any, outlive the worker.
  explicit EngineWorker(session::Session& session, session::Sources* sources = nullptr,
                        session::Analyst* analyst = nullptr);
  ~EngineWorker();
  EngineWorker(const EngineWorker&) = delete;
  EngineWorker& operator=(const EngineWorker&) = delete;

  /// A line such as "seek 37%"; actions.h lists them. Another move ends a seek, or one that takes long.
  void post(std::string command);
  /// Ends what is under way, and forgets what waits.
  void cancel();
  /// Ends the move that is under way.
  void interrupt();
  /// To be called now and then: an interruption that came just before its move began is given again.
  void insist();

  /// What a call on the session leaves to be shown anew.
  enum class Effect : std::uint8_t { none, moves, notes };
  /// Calls `what` on the engine's thread, as `name` in what the window says, and waits until it is done. Not
  /// on that thread. The worker is not destroyed meanwhile.
  void call(const std::string& name, Effect effect, const std::function<void(session::Session&)>& what);

  [[nodiscard]] std::shared_ptr<const ViewModel> model() const;
  /// How many commands were posted so far; see ViewModel::answered.
  [[nodiscard]] std::uint64_t posted() const;
  [[nodiscard]] WorkerStatus status() const;
  /// Every command posted was carried out, and what it led to is in model().
  [[nodiscard]] bool idle() const;

 private:
  /// A call from another thread, which waits for `done`.
  struct Call {
    Effect effect;
    const std::function<void(session::Session&)>& what;
    bool done = false;  ///< guarded by mutex_
  };
  struct Command {
    std::string line, name, rest;
    Call* call = nullptr;  ///< instead of a name, as is what follows
    Answer answer = {};    ///< of a question that was asked as `line`
  };

  void run();
  [[nodiscard]] bool waiting() const;  ///< a command waits
  void end_move();                     ///< what is under way; with mutex_ held
  void carry_out(const Command& command);
  void carry_out(const std::string& name, Call& call);
  void ask(const Command& command);
  void deliver(std::uint64_t number, Result<Answer> answer);
  [[nodiscard]] bool gives_way(const std::string& line, const std::string& name) const;
  bool move(const Command& command);
  bool look(const Command& command);
  bool note(const Command& command);
  bool set_stop(const Command& command);
  void last_write(const std::string& rest);
  /// A variable in scope becomes its address and, where they are not said, its bytes.
  void spell_out(Command& command);
  void step_line(session::Direction direction);
  /// Sets breakpoints at a line's addresses, or takes them away.
  void break_at_line(const std::string& place);
  void show_frame(const std::string& number);
  void next_write(const std::string& rest);
  /// Where the bytes lie that a command names, and keeps the memory panel at them.
  struct Bytes {
    GuestVirt address;
    GuestPhys physical;
    std::uint64_t size = 1;
  };
  Result<Bytes> bytes_of(const std::string& rest);
  void say_write(const Bytes& bytes, const session::Hit& hit, const char* when);
  void after(const Result<session::Stop>& stopped);
  void complain(const Error& failure);
  void publish();
  /// The parts that every stop changes; false: a command came in between.
  void refresh();
  bool refresh_slow();
  void refresh_lists();
  /// Those of a machine that is being recorded come while it runs.
  void refresh_events();
  void show_memory(const std::string& expression);
  void show_walk(const std::string& expression);
  /// One stretch more; false: all is gathered.
  bool gather();
  std::unordered_map<std::uint64_t, std::string> names_of(const session::Activity& activity);
  void extend_console(const session::Activity& activity);
  [[nodiscard]] bool shows(const char* panel) const { return shown_.contains(panel); }

  session::Session& session_;
  ModelBuilder builder_;
  SourceBuilder source_;
  Inquiries inquiries_;
  ViewModel next_;  ///< being built; the thread's
  std::set<std::string, std::less<>> shown_;
  std::set<std::string, std::less<>> built_;  ///< parts for panels that are as the cursor is
  std::optional<GuestVirt> code_at_;
  std::string memory_at_ = "rsp", walk_at_ = "pc";
  std::shared_ptr<const RegistersModel> registers_before_;
  std::vector<BreakpointRow> breakpoints_;
  ActivityIndex activity_;
  ConsoleText console_;
  std::size_t events_told_ = 0;                 ///< inputs that the console knows of
  std::optional<session::Position> events_to_;  ///< where history ended when they were read
  bool stale_ = true;                           ///< the cursor moved since the slow parts were built
  bool path_stale_ = true;
  bool gathering_failed_ = false;

  mutable std::mutex mutex_;
  std::condition_variable wake_, called_;  // called_: a call is done, or the thread
  std::deque<Command> queue_;              // guarded by mutex_, as is all below
  std::uint64_t posted_ = 0;
  std::shared_ptr<const ViewModel> published_;
  WorkerStatus status_;
  bool closing_ = false, ended_ = false;
  bool interruptible_ = false;  ///< what is under way gives way to a command
  bool interrupting_ = false;   ///< what is under way is to end
  bool calling_ = false;        ///< it is somebody else's call
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::uint64_t questions_ = 0;  ///< the newest one's number
  Asker asker_;                  // ends before what it delivers to
  std::thread thread_;
};

}  // namespace hindsight::debugger::ui
