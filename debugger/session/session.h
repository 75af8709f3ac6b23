// One debugging session over one recorded machine: what gdb, the command line and the window share. It has
// one cursor, a Position on the timeline; everything is read at the cursor. Owned by a front end; one thread,
// but for interrupt(). Looking never changes the guest: a session attached, breaking and watching, moves no
// event and no digest.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/types.h"
#include "engine/port/debug.h"
#include "replay/timeline/conditions.h"

namespace hindsight::debugger::session {

using engine::port::Mapping;
using engine::port::Position;
using engine::port::TableEntry;
using replay::timeline::Condition;
using replay::timeline::Hit;

enum class Direction : std::uint8_t { forward, backward };

/// Why a move ended.
enum class StopKind : std::uint8_t {
  arrived,      ///< where it was asked to go
  condition,    ///< a stop condition was met: Stop::hit
  begin,        ///< the begin of history
  end,          ///< the end of history; Stop::text says how the recording ended
  interrupted,  ///< interrupt()
};

struct Stop {
  StopKind kind = StopKind::arrived;
  Position at;  ///< where the cursor is now
  std::optional<Hit> hit;
  std::string text;  ///< for people, one line
};

/// A register of the guest's CPU. The table is fixed for an architecture; values come in its order.
struct RegisterInfo {
  std::string_view name;  ///< as the architecture's manual spells it, lower case
  std::uint16_t bits;     ///< 8 to 128
  enum class Group : std::uint8_t { general, segment, control, debug, msr, x87, vector } group;
};
using RegisterValue = std::array<std::uint64_t, 2>;  ///< low, high

/// An event from outside, or another moment that one can step to.
struct EventInfo {
  Position at;
  VirtualTime time;
  std::string kind;     ///< "input", "sample"
  std::string channel;  ///< "serial0"
  std::uint64_t size = 0;
  std::string head = {};  ///< the first bytes of an input, at most kHead
  static constexpr std::size_t kHead = 64;
};
struct MarkInfo {
  std::string name, note;
  Position at;
};
struct SnapshotInfo {
  Position at;
  bool in_trace = false;  ///< else only in memory
};
/// Something that struck, a step of the guest's kernel, or what the machine said to a device or to the world.
struct Happening {
  enum class Kind : std::uint8_t {
    exception,
    interrupt,
    system_call,     ///< by SYSCALL, where the kernel's symbols are known
    context_switch,  ///< to another task, likewise
    device_read,
    device_write,
    output
  };
  Kind kind = Kind::exception;
  std::uint8_t vector = 0;   ///< of exceptions and interrupts
  std::uint16_t source = 0;  ///< of the others: an index into Activity::sources
  std::uint32_t size = 0;    ///< bytes, of the others
  Position at;
  GuestVirt pc = {};          ///< where it struck, or the instruction's; not of outputs
  std::uint64_t address = 0;  ///< of device accesses; of outputs: where they begin in Activity::bytes
  /// Read or written; of exceptions their error code, of system calls their number, of switches the task's
  /// address.
  std::uint64_t value = 0;
};
/// All of it in [from, to), in order.
struct Activity {
  Position from, to;
  std::vector<std::string> sources;  ///< names of devices and of channels
  std::vector<Happening> all;
  std::string bytes;  ///< what outputs said
};
struct FrameInfo {
  GuestVirt pc;
  std::string where;         ///< "vfs_write+0x12 [module]"; "?" where nothing is known
  bool interrupted = false;  ///< an exception or interrupt came here
  bool guessed = false;
  /// The general registers there, as instructions encode them; of those whose bit is set in `known`.
  std::array<std::uint64_t, 16> general = {};
  std::uint16_t known = 0;
};
struct TaskInfo {
  GuestVirt address;
  std::uint32_t pid = 0, tgid = 0;
  std::string name;
  char state = '?';
  bool kernel_thread = false;
  GuestVirt pc;  ///< where one that does not run goes on; 0: it runs, or that is not known
};
struct LogLine {
  std::uint64_t nanoseconds = 0;
  unsigned level = 0;  ///< 0 emergency to 7 debug
  std::string text;
};
/// A module that the kernel has loaded or is about to.
struct ModuleInfo {
  std::string name, state;  ///< "live", "coming", "going"
  GuestVirt text;
  std::uint64_t size = 0;                                   ///< of its code
  std::vector<std::pair<std::string, GuestVirt>> sections;  ///< of its file, ".text"; empty: not known
};
/// A field of a device's state, found by reflection.
struct StateField {
  std::string part, path;  ///< "serial0", "receive[3]"
  std::string value;       ///< numbers in hexadecimal
};

/// What a question about a hit may look at: the machine that stands at the hit, whichever machine found it.
class View {
 public:
  virtual ~View() = default;
  /// `index`: into Session::register_table().
  [[nodiscard]] virtual RegisterValue register_value(std::size_t index) const = 0;
  /// As Session::read.
  virtual std::size_t read(GuestVirt address, std::span<std::byte> out) const = 0;
};
/// Says whether a hit counts. Any thread; several calls at once.
using Question = std::function<bool(const View&)>;

class Session {
 public:
  virtual ~Session() = default;

  // ---- where
  [[nodiscard]] virtual Position now() const = 0;
  [[nodiscard]] virtual Position first() const = 0;
  [[nodiscard]] virtual Position last() const = 0;
  [[nodiscard]] virtual VirtualTime time() const = 0;
  /// "123456", "123456+1" (after the first delivery there), "37%", "begin", "end", "mark:NAME", "event:N".
  [[nodiscard]] virtual Result<Position> parse_position(std::string_view text) = 0;

  // ---- moving; an Error means that the trace is damaged or the replay diverged
  virtual Result<Stop> seek(Position to) = 0;
  /// `count` positions on or back, not stopped by conditions. Of one position, Stop::hit is the condition, if
  /// any, that was met between the two.
  virtual Result<Stop> step(Direction direction, std::uint64_t count = 1) = 0;
  /// To the next or the last hit of a condition, or the end or begin of history.
  virtual Result<Stop> run(Direction direction) = 0;
  virtual Result<Stop> run_to_event(Direction direction) = 0;
  /// Ends the move that is under way; without one, does nothing. Any thread, and signal handlers.
  virtual void interrupt() = 0;
  /// Called now and then during long moves with what is done of the work, 0 to 1; may be empty.
  virtual void on_progress(std::function<void(double)> progress) = 0;

  // ---- stop conditions
  /// Adds it under a new id, which is returned; `condition.id` is ignored.
  virtual int add(Condition condition) = 0;
  /// Likewise; of its hits only those count for which `when` says yes. Replaces `condition.when`.
  virtual int add(Condition condition, Question when) = 0;
  virtual void remove(int id) = 0;

  // ---- looking
  [[nodiscard]] virtual std::span<const RegisterInfo> register_table() const = 0;
  /// In the order of register_table().
  [[nodiscard]] virtual std::vector<RegisterValue> registers() = 0;
  [[nodiscard]] virtual GuestVirt pc() const = 0;
  [[nodiscard]] virtual std::optional<Mapping> mapping(GuestVirt address) const = 0;
  /// How many bytes from `address` on could be read; the rest of `out` is untouched.
  virtual std::size_t read(GuestVirt address, std::span<std::byte> out) const = 0;
  virtual std::size_t read(GuestPhys address, std::span<std::byte> out) const = 0;
  [[nodiscard]] virtual std::uint64_t ram_bytes() const = 0;
  /// Every field of the machine's parts; `part` empty: of all.
  [[nodiscard]] virtual std::vector<StateField> state(std::string_view part) = 0;
  /// The page-table entries that decide how `address` is translated, from the root down.
  [[nodiscard]] virtual std::vector<TableEntry> table_entries(GuestVirt address) const = 0;
  /// One line a level: the page-table entries that translate `address`.
  [[nodiscard]] virtual std::string page_walk(GuestVirt address) = 0;

  // ---- the guest's kernel, as its own memory names it
  /// "name+0x12 [module]", or the bare address.
  [[nodiscard]] virtual std::string describe(GuestVirt address) = 0;
  /// "name", "name+0x12", "module:name".
  [[nodiscard]] virtual Result<GuestVirt> resolve(std::string_view symbol) = 0;
  /// One line a frame, innermost first.
  [[nodiscard]] virtual Result<std::string> call_stack() = 0;
  /// The same, to be told apart.
  [[nodiscard]] virtual Result<std::vector<FrameInfo>> frames() = 0;
  [[nodiscard]] virtual Result<std::vector<TaskInfo>> tasks() = 0;
  /// What dmesg would print.
  [[nodiscard]] virtual Result<std::vector<LogLine>> kernel_log() = 0;
  /// The newest first.
  [[nodiscard]] virtual Result<std::vector<ModuleInfo>> modules() = 0;
  /// An ELF file with the kernel's symbols and unwind tables at run-time addresses; empty: no kernel is
  /// known.
  [[nodiscard]] virtual std::vector<std::byte> symbol_file() = 0;
  /// How far it lies from where its file says (KASLR).
  [[nodiscard]] virtual Result<std::uint64_t> kernel_slide() = 0;

  // ---- history
  [[nodiscard]] virtual Result<std::vector<EventInfo>> events(Position from, Position to) = 0;
  /// Everything but events. The cursor stays; an Error "interrupted" when that is what happened.
  virtual Result<Activity> activity(Position from, Position to) = 0;
  /// The hits of conditions, whatever was added, in [from, to), at most `most`. The cursor stays.
  virtual Result<std::vector<Hit>> hits(const std::vector<Condition>& conditions, Position from, Position to,
                                        std::size_t most) = 0;
  /// The last write before the cursor to any of these bytes of RAM, whoever wrote them.
  virtual Result<std::optional<Hit>> last_write(GuestPhys address, std::uint64_t size) = 0;
  [[nodiscard]] virtual std::vector<SnapshotInfo> snapshots() const = 0;
  virtual Status take_snapshot() = 0;
  /// Keeps in the trace what lets the next session start near where this one looked; returns how many
  /// snapshots.
  virtual Result<std::size_t> keep_useful_snapshots() = 0;
  [[nodiscard]] virtual std::vector<MarkInfo> marks() const = 0;
  virtual Status set_mark(std::string name, std::string note) = 0;
  virtual Status remove_mark(const std::string& name) = 0;
  /// Lets the machine run on from the cursor, recorded as a trace of its own at `path`, with no input but
  /// fresh entropy, until it ends or has done a billion instructions. The cursor stays. One line says what
  /// came of it.
  virtual Result<std::string> branch(const std::string& path) = 0;
};

}  // namespace hindsight::debugger::session
