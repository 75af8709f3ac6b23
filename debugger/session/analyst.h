// Questions that take all of history, or more than one machine: what differs between two instants or two
// traces, who wrote, changed or called what, what ran. Answers are plain values. An interface, so that front
// ends need not know how they are found; implemented by who wires machines together. Asking moves no
// session's cursor. One thread, but for interrupt(). Answers depend on the trace and the question alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/session/session.h"
#include "engine/base/result.h"
#include "engine/base/types.h"

namespace hindsight::debugger::session {

struct Place {
  Position at;
  VirtualTime time;
  GuestVirt pc;
  std::string where;  ///< the symbol at the pc; empty: none is known
};

struct FieldDifference {
  std::string part, path;  ///< "serial0", "receive[3]"
  std::string a, b;
};
/// At most 16 bytes that differ, in the order of memory.
struct BytesDifference {
  GuestPhys at;
  std::optional<GuestVirt> linear;  ///< where the kernel sees it
  std::string name;                 ///< of the variable there; may be empty
  std::vector<std::byte> a, b;
};
/// Pages in a row that all differ.
struct PagesDifference {
  GuestPhys first;
  std::uint64_t pages = 0, bytes = 0;
  std::vector<std::string> names;  ///< of a few variables there
};
struct StateDifference {
  std::vector<FieldDifference> registers;  ///< by their names in the register table; part is the CPU's
  std::vector<FieldDifference> fields;     ///< of the other parts
  std::uint64_t pages = 0, bytes = 0;      ///< of RAM, that differ
  std::vector<PagesDifference> ranges;     ///< ascending
  std::vector<BytesDifference> memory;     ///< some of it, those with a name first
};
struct InstantsDifference {
  Place a, b;
  StateDifference state;
};

struct TracesDifference {
  std::string path;      ///< of the other trace, which is b
  std::string relation;  ///< one line for people
  bool equal = false;
  std::vector<FieldDifference> configuration;  ///< not empty: of different machines, and no more is said
  struct Event {
    char side = ' ';  ///< 'a', 'b', or ' ' of one that both have
    std::uint64_t number = 0;
    Position at;
    std::string text;
  };
  std::vector<Event> events;  ///< around the first that differs
  bool parted = false;        ///< the machines come to differ; what follows says where
  /// The last position at which they agree in everything; none: they differ at power-on.
  std::optional<Place> parting;
  std::string instruction;  ///< there
  Place next_a, next_b;     ///< one step on
  StateDifference state;    ///< right after it
  struct Later {
    std::string what;  ///< "input serial0"
    std::uint64_t a = 0, b = 0, other_contents = 0, other_instant = 0;
  };
  std::vector<Later> later;
  struct Console {
    std::string channel;
    std::uint64_t line = 0;
    std::vector<std::string> text;  ///< behind ' ', '-' (a) or '+' (b)
  };
  std::vector<Console> consoles;
  std::string end_a, end_b;
};

struct Inquiry {
  std::string kind;     ///< "last-write", "writes", "changes", "calls" or "events"
  std::string subject;  ///< "0xffffffff81000000/8", "jiffies", "vfs_read"; of events kinds, or empty
  Position at;          ///< where addresses are translated
  Position from, to;    ///< [from, to) is searched
  std::uint64_t limit = 1000;
};
struct Answer {
  Position at;
  std::string kind;   ///< "write", "call", "interrupt"
  std::string text;   ///< what happened
  std::string where;  ///< the code that did it
};
struct Answers {
  Inquiry asked;
  std::vector<Answer> all;  ///< in order
  bool more = false;        ///< there are more than asked.limit
};

struct Profile {
  Position from, to;
  std::uint64_t instructions = 0;
  struct Branch {
    unsigned depth = 0;  ///< 0: called by nobody known
    std::string function;
    GuestVirt address;  ///< where it begins; below 0x1000: no function
    std::uint64_t total = 0, self = 0, calls = 0;
  };
  std::vector<Branch> tree;       ///< callers before what they called, the largest first
  std::vector<Branch> functions;  ///< wherever they were called from, by self; depth 0
};

class Analyst {
 public:
  virtual ~Analyst() = default;

  virtual Result<InstantsDifference> diff(Position a, Position b) = 0;
  /// This trace, a, against the one at `path`, b.
  virtual Result<TracesDifference> diff_trace(const std::string& path) = 0;
  virtual Result<Answers> ask(const Inquiry& inquiry) = 0;
  /// What ran in [from, to).
  virtual Result<Profile> profile(Position from, Position to) = 0;

  /// Ends what is under way, which then is an Error "interrupted"; without one, does nothing. Any thread.
  virtual void interrupt() = 0;
  /// Called now and then with what is done of the work, 0 to 1; may be empty.
  virtual void on_progress(std::function<void(double)> progress) = 0;
};

}  // namespace hindsight::debugger::session
