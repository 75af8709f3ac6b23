// The commands of the hindsight executable. Each parses nothing: main fills an options struct, and the
// command returns the process's exit code. Called once, on the main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hindsight::debugger::cli {

/// What the exit codes mean; --help prints the same list.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,    ///< a divergence, or the guest failed
  kUsage = 2,     ///< a wrong command line
  kBadInput = 3,  ///< a bad trace, or the host failed (a file, the disk, a port)
};

struct DebugOptions;

struct RunOptions {
  std::string trace;  ///< empty: do not record
  bool force = false;
  std::string kernel, initrd, command_line, disk;
  std::uint64_t memory = std::uint64_t{512} << 20;
  std::string net = "none";
  std::string script, input;
  std::optional<std::uint64_t> seed;
  std::string engine = "jit";
  std::uint64_t stop_at = ~std::uint64_t{0};
  std::string trace_exec;  ///< "A..B" or empty
  std::uint64_t digest_every = 50'000'000;
  std::uint64_t snapshot_every = 100'000'000;  ///< 0: none
  double nanoseconds_per_instruction = 1.0;
  unsigned until_fail = 0;               ///< not 0: record again, at most so often, until the guest fails
  std::string fail_on;                   ///< text on the console that means failure
  std::string gdb;                       ///< where gdb may connect while it is recorded; empty: nowhere
  const DebugOptions* window = nullptr;  ///< the window in which it is recorded, if in one
};

struct ReplayCommandOptions {
  std::vector<std::string> traces;
  std::string engine = "jit";
  std::uint64_t stop_at = ~std::uint64_t{0};
  std::string trace_exec;  ///< "A..B" or empty
  std::uint64_t verify_every = 0;
};

struct VerifyOptions {
  ReplayCommandOptions replay;  ///< traces: also folders
  unsigned jobs = 0;            ///< traces at once; 0: one for each core
  double time_limit = 0;        ///< seconds for each trace; 0: any
  std::string junit, json;      ///< files for the results; empty: none
  bool expect = false;          ///< check TRACE.expect as well, where there is one
};

struct ExpectOptions {
  std::string trace;
  std::string facts;  ///< empty: TRACE.expect
  std::string engine = "jit";
  unsigned jobs = 0;  ///< machines that search side by side; 0: one for each core
};

/// Of `run`, an empty kernel or initrd and a digest_every of 0 are the trace's.
struct RerunOptions {
  std::string trace;
  RunOptions run;
  std::optional<std::string> command_line;  ///< none: the trace's
};

struct PackOptions {
  std::string trace, output;
  bool force = false;
  std::string snapshots = "keep";  ///< "none", "keep" or "every=N"
  std::string engine = "jit";
};

struct TrimOptions : PackOptions {
  std::string from = "begin", to = "end";
};

struct StripOptions {
  std::string trace, output;
  bool force = false;
  bool disk = false, network = false, typed = false;  ///< none: all
  bool same_console = false;
  bool list = false;  ///< print what stayed
  std::uint64_t trials = 2000;
  std::string snapshots = "keep";  ///< as of PackOptions
  std::string engine = "jit";
};

struct GcOptions {
  std::string trace;
  std::string snapshots = "keep";  ///< as of PackOptions
};

struct EventsOptions {
  std::string trace;
  std::uint64_t from = 0, to = ~std::uint64_t{0};
  std::string kind;
  bool json = false;
};

struct DiffOptions {
  std::string a, b;  ///< TRACE, or TRACE@POSITION; of b also @POSITION
  bool json = false;
  std::uint64_t bytes = 256, ranges = 32;  ///< of memory, to show
  std::string engine = "jit";
};

struct ExplainOptions {
  std::vector<std::string> bytes;  ///< hexadecimal
  unsigned mode = 64;              ///< 64, 32 or 16 bits
  bool user = false;               ///< privilege 3
  std::uint64_t address = 0x1000;
};

/// Where a command that looks into a trace stands, and what it may use.
struct LookOptions {
  std::string trace;
  std::string at = "end";  ///< a position as session/positions.h reads it
  std::string engine = "jit";
  std::uint64_t ladder = std::uint64_t{1} << 30;  ///< bytes for snapshots in memory
  unsigned jobs = 0;                              ///< machines that scan at once; 0: one for each core
};

/// Debug information of the guest's code, and where its sources are.
struct SourceOptions {
  std::vector<std::string> symbols;  ///< FILE or FILE@ADDRESS
  std::vector<std::string> folders;  ///< DIR or FROM=TO
};

struct GdbOptions {
  LookOptions look;
  std::string listen = "127.0.0.1:1234";
};

struct ShowOptions {
  LookOptions look;
  SourceOptions source;
  std::string topic;               ///< one of show_topics()
  std::vector<std::string> words;  ///< what the topic wants to know
};

struct DebugOptions {
  LookOptions look;
  SourceOptions source;
  bool headless = false;
  std::string script;  ///< actions for the window, one a line
  std::string size;
  float scale = 0;  ///< 0: as the display says
  std::string gdb;  ///< serve the same session to gdb there; empty: do not
};

/// Of `run`, what the parent decides is not used: kernel, RAM disk, command line, memory, time rate.
struct BranchOptions {
  LookOptions look;
  RunOptions run;
};

struct SnapshotOptions {
  LookOptions look;
  std::uint64_t every = 0;  ///< instructions between snapshots; 0: only one, at look.at
};

struct MarkOptions {
  LookOptions look;
  std::string name, note;
};

struct QueryOptions {
  LookOptions look;      ///< at: where addresses are translated
  std::string question;  ///< "last-write", "writes", "changes", "calls", "events" or "profile"
  std::string subject;   ///< an address or a function
  std::string from = "begin", to = "end";
  std::uint64_t limit = 100;  ///< answers; 0: all
  bool json = false;
  bool returns = false;
  std::vector<std::string> kinds;
  // of a profile
  bool by_total = false, tree = false, folded = false;
  double least_percent = 1;  ///< of a branch of the tree
};

/// Records when options.trace is set, else only runs.
int run_command(const RunOptions& options);
/// Plays one trace again, showing what the guest printed.
int replay_command(const ReplayCommandOptions& options);
/// Plays every trace with all checks, side by side, and tells of each what came of it.
int verify_command(const VerifyOptions& options);
/// Gives a recording's inputs to its machine with another kernel, RAM disk or command line, recorded anew.
int rerun_command(const RerunOptions& options);
/// The N of "every=N", at least 1, or nothing.
[[nodiscard]] std::optional<std::uint64_t> snapshots_every(const std::string& text);
/// Writes a trace again, as small as it can be.
int pack_command(const PackOptions& options);
/// Writes a part of a trace as a trace of its own.
int trim_command(const TrimOptions& options);
/// Records a trace anew with other contents in place of its user's data.
int strip_command(const StripOptions& options);
/// Makes a trace smaller where it lies.
int gc_command(const GcOptions& options);
/// Checks the facts that are stated of a trace and prints a line for each.
int expect_command(const ExpectOptions& options);
int info_command(const std::string& trace, bool json);
int events_command(const EventsOptions& options);
/// Serves a trace to gdb until interrupted.
int gdb_command(const GdbOptions& options);
/// Prints what the machine holds at some position.
int show_command(const ShowOptions& options);
/// "registers, stack, …".
std::string show_topics();
/// Opens the window on a trace, or carries out a script in one that nobody sees.
int debug_command(const DebugOptions& options);
/// Lets a recorded machine run on from some position with new input, recorded as a trace of its own.
int branch_command(const BranchOptions& options);
/// Adds snapshots to a trace.
int snapshot_command(const SnapshotOptions& options);
/// Names a position in a trace, or lists the names when there is none to set.
int mark_command(const MarkOptions& options);
/// Prints what differs between two instants, or where two recordings part.
int diff_command(const DiffOptions& options);
int query_command(const QueryOptions& options);
/// Prints what becomes of instructions: decode row, IR, IR after each pass, host code.
int explain_command(const ExplainOptions& options);

}  // namespace hindsight::debugger::cli
