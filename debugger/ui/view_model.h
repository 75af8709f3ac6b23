// What the window shows: plain values that the engine's thread builds and the window only reads. Each part is
// immutable once published; parts that did not change are shared between models. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "debugger/session/analyst.h"
#include "debugger/session/session.h"
#include "debugger/ui/activity_index.h"
#include "debugger/ui/console_text.h"
#include "debugger/ui/source_model.h"

namespace hindsight::debugger::ui {

using session::Position;

struct RegistersModel {
  std::span<const session::RegisterInfo> table;  ///< fixed
  std::vector<session::RegisterValue> now, before;

  [[nodiscard]] bool changed(std::size_t index) const {
    return index < before.size() && before[index] != now[index];
  }
  /// Index of the register of that name; none where the CPU has no such register.
  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
  [[nodiscard]] std::uint64_t value(std::string_view name) const;
};

struct CodeLine {
  GuestVirt address;
  std::uint8_t size = 0;
  std::array<std::uint8_t, 16> bytes{};
  std::string label;  ///< a symbol that begins here
  std::string mnemonic, operands;
  std::string note;  ///< what an operand names
  std::optional<GuestVirt> target;
  enum class Flow : std::uint8_t { none, jump, branch, call, ret } flow = Flow::none;
};
struct CodeModel {
  GuestVirt pc;
  GuestVirt wanted;  ///< what is looked at: the pc, or what the user chose
  bool follows = true;
  std::string where;  ///< the symbol that covers it
  std::vector<CodeLine> lines;
  unsigned bits = 64;

  [[nodiscard]] std::optional<std::size_t> line_at(GuestVirt address) const;
};
/// How often each of a CodeModel's lines was executed just before and will be just after the cursor.
struct PathModel {
  std::shared_ptr<const CodeModel> code;  ///< whose lines these are
  std::vector<std::uint32_t> before, after;
};

struct MemoryModel {
  GuestVirt base;
  std::string expression;  ///< as the user wrote it
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint8_t> state;  ///< of each byte: kReadable | kChanged
  std::string where;                ///< the symbol there
  static constexpr std::uint8_t kReadable = 1, kChanged = 2;
};

struct DescriptorRow {
  unsigned index = 0;
  std::uint64_t base = 0;
  std::uint64_t limit = 0;
  unsigned privilege = 0;
  std::string kind;
};
struct GateRow {
  unsigned vector = 0;
  GuestVirt handler;
  std::uint16_t selector = 0;
  unsigned privilege = 0, stack = 0;
  std::string kind, where;
};
struct SystemModel {
  std::vector<DescriptorRow> gdt;
  std::vector<GateRow> idt;
};

struct WalkModel {
  GuestVirt address;
  std::string expression;
  std::vector<session::TableEntry> entries;
  std::optional<session::Mapping> mapping;
};

/// What the guest's kernel says, or why it says nothing.
template <class T>
struct Told {
  std::vector<T> all;
  std::string trouble;
};

struct DeviceField {
  session::StateField field;
  bool changed = false;
};

struct BreakpointRow {
  int id = 0;
  GuestVirt address;
  std::string text;
  bool watch = false;
};

/// What differs: between two instants, or between this trace and another.
struct DiffModel {
  std::optional<session::InstantsDifference> instants;
  std::optional<session::TracesDifference> traces;
};

struct ViewModel {
  std::uint64_t serial = 0;    ///< grows with every model
  std::uint64_t answered = 0;  ///< how many of the commands posted it shows the outcome of
  Position now, first, last;
  VirtualTime time;
  std::string where;    ///< the symbol at the pc
  std::string message;  ///< what the last command led to
  bool failed = false;  ///< the message is a failure

  std::shared_ptr<const RegistersModel> registers;
  std::shared_ptr<const CodeModel> code;
  std::shared_ptr<const PathModel> path;
  std::shared_ptr<const SourceModel> source;
  std::shared_ptr<const MemoryModel> memory;
  std::shared_ptr<const SystemModel> system;
  std::shared_ptr<const WalkModel> walk;
  std::shared_ptr<const Told<session::FrameInfo>> stack;
  std::shared_ptr<const Told<session::TaskInfo>> tasks;
  std::shared_ptr<const Told<session::LogLine>> log;
  std::shared_ptr<const Told<session::ModuleInfo>> modules;
  std::shared_ptr<const std::vector<DeviceField>> devices;
  std::shared_ptr<const std::vector<session::EventInfo>> events;
  std::shared_ptr<const std::vector<session::SnapshotInfo>> snapshots;
  std::shared_ptr<const std::vector<session::MarkInfo>> marks;
  std::shared_ptr<const std::vector<BreakpointRow>> breakpoints;
  std::shared_ptr<const ActivityIndex> activity;
  std::shared_ptr<const ConsoleText> console;
  // What was asked of all history; nothing until then.
  std::shared_ptr<const DiffModel> diff;
  std::shared_ptr<const session::Answers> answers;
  std::shared_ptr<const session::Profile> profile;
};

/// What the engine's thread is doing; changes faster than models do.
struct WorkerStatus {
  bool busy = false;        ///< a command is being carried out
  std::string doing;        ///< that command
  double progress = 0;      ///< of it, 0 to 1
  double seconds = 0;       ///< for which it has been under way
  std::size_t waiting = 0;  ///< commands behind it
  std::string asking;       ///< the question over all of history that is asked beside it; empty: none
  double asked = 0;         ///< of that, 0 to 1
  bool settled = false;     ///< nothing is left to do, not even in the background
  double gathered = 0;      ///< of the whole trace's activity, 0 to 1
};

/// "1,234,567", and "+2" after the second delivery there.
[[nodiscard]] std::string grouped(std::uint64_t number);
[[nodiscard]] std::string text_of(Position position);
/// Virtual time since power-on: "1.502 317 s".
[[nodiscard]] std::string text_of(VirtualTime time);

}  // namespace hindsight::debugger::ui
