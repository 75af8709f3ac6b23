// The hindsight executable: parses the command line and runs one command.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <exception>

#include "debugger/cli/commands.h"
#include "debugger/cli/engine_spec.h"
#include "debugger/cli/query_options.h"
#include "debugger/cli/regression_options.h"
#include "debugger/cli/standard_files.h"
#include "debugger/cli/trace_exec.h"
#include "debugger/gdb/server.h"
#include "engine/base/log.h"
#include "engine/base/types.h"

namespace hindsight::debugger::cli {
namespace {

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0  done; the replay agrees with the recording\n"
    "  1  a divergence, or the guest failed (it shut down, hung for ever, or left its\n"
    "     script), or verify was interrupted or ran out of time,\n"
    "     or a fact does not hold\n"
    "  2  a wrong command line, or a position or an address that there is not\n"
    "  3  a bad trace, or the host failed (a file, a full disk, a port)\n";

constexpr const char* kDiffHelp =
    "With positions: what differs between two instants, of one trace or of two: registers, every\n"
    "field of every device, memory by pages and bytes, kernel variables by name.\n"
    "  hindsight diff boot.trace@1000000 boot.trace@end\n"
    "  hindsight diff boot.trace@50% @mark:panic\n"
    "A position is an icount, ICOUNT+DELIVERY (after so many exceptions and interrupts there), N%,\n"
    "begin, end, mark:NAME or event:N.\n\n"
    "Without: where two recordings of the same machine part: the last instant at which they agree,\n"
    "the instruction, what came from outside, what differs right after, and what became of it.\n"
    "  hindsight diff good.trace bad.trace\n\n"
    "Exit codes:\n"
    "  0  nothing differs\n"
    "  1  something differs, one trace is a prefix of the other, or the machines are not the same\n"
    "  2  a wrong command line, or no such position\n"
    "  3  a bad trace, or the host failed\n";

/// Help whose lines end where a terminal does.
class WrappedHelp final : public CLI::Formatter {
 public:
  std::string make_option_desc(const CLI::Option* option) const override {
    constexpr std::size_t kWidth = 70;  // beside the names' column of 30
    std::string text = CLI::Formatter::make_option_desc(option);
    for (std::size_t start = 0; text.size() - start > kWidth;) {
      const std::size_t blank = text.rfind(' ', start + kWidth);
      if (blank == std::string::npos || blank <= start) break;
      text[blank] = '\n';
      start = blank + 1;
    }
    return text;
  }
};

/// Turns "512M" into bytes, in place; a complaint if it is no size of RAM.
std::string read_size(std::string& text) {
  constexpr std::uint64_t kLeast = std::uint64_t{16} << 20, kMost = std::uint64_t{1} << 40;
  std::string complaint = "a size from 16M to 1T expected, such as 512M, found " + text;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > 15 || text.size() > digits + 1) return complaint;
  unsigned shift = 0;
  if (digits < text.size()) {
    const std::size_t unit = std::string_view("KMGT").find(static_cast<char>(std::toupper(text[digits])));
    if (unit == std::string_view::npos) return complaint;
    shift = static_cast<unsigned>(unit + 1) * 10;
  }
  const std::uint64_t number = std::stoull(text.substr(0, digits));
  if (number > kMost >> shift || number << shift < kLeast || (number << shift) % kPageSize != 0)
    return complaint;
  text = std::to_string(number << shift);
  return {};
}

/// A parse error as one line that says where help is.
std::string usage_error(const CLI::App* app, const CLI::Error& failure) {
  const auto chosen = app->get_subcommands();
  const std::string command = chosen.empty() ? "" : " " + chosen.front()->get_name();
  std::string what = failure.what();
  // CLI11 lists them backwards.
  if (const std::vector<std::string> extras = app->remaining(true);
      failure.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) && !extras.empty())
    what = fmt::format("not expected: {}", fmt::join(extras, " "));
  return "hindsight: " + what + " (see hindsight" + command + " --help)\n";
}

void add_trace_exec(CLI::App& command, std::string& range) {
  command
      .add_option("--trace-exec", range,
                  "A..B: print each instruction between these icounts with what it changed, and stop at B")
      ->check(CLI::Validator(
          [](const std::string& text) {
            return parse_range(text) ? std::string() : "A..B with A below B expected, found " + text;
          },
          "A..B", "range"));
}

void add_engine(CLI::App& command, std::string& engine) {
  command
      .add_option("--engine", engine,
                  "interp: the IR interpreter; jit: the translator, for tests as jit:OPTION,… with plain "
                  "(unoptimised), max-insns=N (a block), cache=SIZE (code), interp-from=ICOUNT")
      ->check(CLI::Validator(check_engine, ""))
      ->capture_default_str();
}

/// What a live machine is connected to on the host.
void add_host_options(CLI::App& command, RunOptions& options) {
  command.add_option("--disk", options.disk, "raw disk image; it is only read, writes stay in the machine");
  command.add_option("--net", options.net, "none, or user: a network behind this process")
      ->check(CLI::IsMember({"none", "user"}))
      ->capture_default_str();
  auto* script = command.add_option("--script", options.script, "console script that types for the user");
  command.add_option("--input", options.input, "file whose bytes the serial port receives")->excludes(script);
  command.add_option("--seed", options.seed, "draw entropy from this seed and fix the clock");
  command.add_option("--stop-at", options.stop_at, "stop at this icount");
}

void add_machine_options(CLI::App& command, RunOptions& options) {
  command.add_option("--kernel", options.kernel, "kernel image (bzImage or PVH ELF)")->required();
  command.add_option("--initrd", options.initrd, "initial RAM disk");
  command.add_option("--append", options.command_line, "kernel command line");
  command.add_option("--memory", options.memory, "size of RAM, such as 512M or 2G")
      ->transform(CLI::Validator(read_size, "SIZE", "size"))
      ->default_str("512M");
  add_host_options(command, options);
  command
      .add_option("--ns-per-instruction", options.nanoseconds_per_instruction, "virtual time per instruction")
      ->check(CLI::Range(0.001, 1000.0))
      ->capture_default_str();
  add_engine(command, options.engine);
}

CLI::Validator gdb_address() {
  return CLI::Validator(
      [](const std::string& text) {
        const Status fits = gdb::check_address(text);
        return fits ? std::string() : fits.failure().message;
      },
      "ADDRESS", "address");
}

CLI::Option* add_gdb(CLI::App& command, RunOptions& options) {
  return command
      .add_option("--gdb", options.gdb,
                  "let gdb drive the machine while it is recorded: 127.0.0.1:PORT (0: any free one) or "
                  "unix:PATH; it waits for gdb before its first instruction, and runs on after detach")
      ->check(gdb_address());
}

/// How the trace that a command records is written.
void add_trace_options(CLI::App& command, RunOptions& options) {
  command.add_option("-o,--output", options.trace, "the trace to write")
      ->required()
      ->check(CLI::Validator(
          [](const std::string& name) { return name.empty() ? "a file name expected" : std::string(); }, ""));
  command.add_flag("--force", options.force, "replace an existing trace");
  command
      .add_option("--digest-every", options.digest_every, "instructions between digests of the whole state")
      ->check(CLI::Range(std::uint64_t{1000}, ~std::uint64_t{0} >> 1))
      ->capture_default_str();
  command
      .add_option("--snapshot-every", options.snapshot_every,
                  "instructions between snapshots in the trace, from which a debugger starts; 0: none")
      ->check(CLI::Range(std::uint64_t{0}, ~std::uint64_t{0} >> 1))
      ->capture_default_str();
}

void add_replay_options(CLI::App& command, ReplayCommandOptions& options) {
  add_engine(command, options.engine);
  command.add_option("--stop-at", options.stop_at, "stop at this icount");
  command.add_option("--verify-every", options.verify_every,
                     "compare states only at digest points at least this many instructions apart");
}

/// Options of a command that looks into a trace at some position.
void add_look(CLI::App& command, LookOptions& options, bool with_at = true) {
  command.add_option("trace", options.trace, "the trace")->required();
  if (with_at)
    command
        .add_option("--at", options.at,
                    "where: an icount, ICOUNT+N (after the Nth exception or interrupt delivered there), N%, "
                    "begin, end, mark:NAME or event:N")
        ->capture_default_str();
  add_engine(command, options.engine);
  command.add_option("--ladder", options.ladder, "memory for snapshots, such as 512M or 2G")
      ->transform(CLI::Validator(read_size, "SIZE", "size"))
      ->default_str("1G");
  command.add_option("--jobs", options.jobs, "machines that search side by side; 0: one for each core")
      ->check(CLI::Range(0u, 256u))
      ->capture_default_str();
}

void add_source(CLI::App& command, SourceOptions& options) {
  command
      .add_option("--symbols", options.symbols,
                  "FILE or FILE@ADDRESS: a vmlinux, a module or a program with debug information, for source "
                  "lines and variables; a kernel's and its modules' addresses are found")
      ->allow_extra_args(false);
  command.add_option("--source-dir", options.folders, "DIR or FROM=TO: where those sources are")
      ->allow_extra_args(false);
}

void add_events(CLI::App& command, EventsOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  command.add_option("--from", options.from, "first icount");
  command.add_option("--to", options.to, "last icount");
  command
      .add_option("--kind", options.kind, "only inputs or only samples; or the digests, which are no events")
      ->check(CLI::IsMember({"input", "sample", "digest"}));
  command.add_flag("--json", options.json, "one JSON object a line");
}

void parse(CLI::App& app, std::vector<std::string> words) {
  std::reverse(words.begin(), words.end());  // which CLI11 takes from the back
  app.parse(std::move(words));
}

int dispatch(int argc, char** argv) {
  CLI::App app("Records a machine, and goes back to whatever happened in it.", "hindsight");
  app.require_subcommand(1);
  app.formatter(std::make_shared<WrappedHelp>());
  app.failure_message(usage_error);
  app.fallthrough();
  app.footer(kExitCodes);
  app.set_version_flag("--version", "hindsight " HINDSIGHT_VERSION);
  std::string log;
  app.add_option("--log", log,
                 "what to tell, as component:level,… or level (trace, debug, info, warn, error, off)");

  RunOptions run;
  auto* record = app.add_subcommand("record", "run a machine and write a trace");
  add_trace_options(*record, run);
  auto* until_fail =
      record
          ->add_option("--until-fail", run.until_fail,
                       "record again, at most N times and with --seed counting up, until the guest resets, "
                       "shuts down, hangs for ever or leaves its script; keep only that trace")
          ->type_name("N")
          ->check(CLI::Range(1u, 1'000'000u));
  record
      ->add_option("--fail-on", run.fail_on,
                   "with --until-fail: what the console shows when the guest fails, such as \"Kernel panic\"")
      ->type_name("TEXT")
      ->needs(until_fail);
  add_gdb(*record, run)->excludes(until_fail);
  add_machine_options(*record, run);
  auto* only_run = app.add_subcommand("run", "run a machine without a trace");
  add_machine_options(*only_run, run);
  add_trace_exec(*only_run, run.trace_exec);

  ReplayCommandOptions replaying;
  auto* replay = app.add_subcommand("replay", "play a trace again, showing what the guest printed");
  replay->add_option("trace", replaying.traces, "the trace")->required()->expected(1);
  add_replay_options(*replay, replaying);
  add_trace_exec(*replay, replaying.trace_exec);
  VerifyOptions verifying;
  auto* verify = app.add_subcommand("verify", "play traces again, side by side, and check everything");
  add_verify(*verify, verifying);
  add_replay_options(*verify, verifying.replay);
  ExpectOptions expecting;
  auto* expect = app.add_subcommand("expect", "check the facts that are stated of a trace");
  add_expect(*expect, expecting);
  add_engine(*expect, expecting.engine);
  RerunOptions rerunning;
  auto* rerun = app.add_subcommand(
      "rerun", "give a trace's inputs to another kernel or RAM disk, and record what becomes of it");
  add_rerun(*rerun, rerunning);
  rerunning.run.digest_every = 0;
  add_trace_options(*rerun, rerunning.run);
  rerun->get_option("--digest-every")->default_str("the trace's");
  add_engine(*rerun, rerunning.run.engine);
  PackOptions packing;
  auto* pack = app.add_subcommand("pack", "write a trace again, as small as it can be");
  add_pack(*pack, packing);
  add_engine(*pack, packing.engine);
  TrimOptions trimming;
  auto* trim = app.add_subcommand("trim", "cut a trace to the part between two positions");
  add_trim(*trim, trimming);
  add_engine(*trim, trimming.engine);
  StripOptions stripping;
  auto* strip = app.add_subcommand("strip", "take the user's data out of a trace that still replays");
  add_strip(*strip, stripping);
  add_engine(*strip, stripping.engine);
  GcOptions collecting;
  auto* gc = app.add_subcommand("gc", "make a trace smaller where it lies, without a replay");
  add_gc(*gc, collecting);

  std::string info_trace;
  bool info_json = false;
  auto* info = app.add_subcommand("info", "say what is in a trace");
  info->add_option("trace", info_trace, "the trace")->required();
  info->add_flag("--json", info_json, "as one JSON object");
  EventsOptions listing;
  auto* events = app.add_subcommand("events", "list what came from outside");
  add_events(*events, listing);

  GdbOptions serving;
  auto* gdb = app.add_subcommand("gdb", "let gdb walk along a trace, in both directions");
  add_look(*gdb, serving.look);
  gdb->add_option("--listen", serving.listen, "127.0.0.1:PORT (0: any free one) or unix:PATH")
      ->check(gdb_address())
      ->capture_default_str();
  ShowOptions showing;
  auto* show = app.add_subcommand("show", "print what the machine holds at one position");
  add_look(*show, showing.look);
  show->add_option("what", showing.topic, show_topics())->required();
  show->add_option("words", showing.words,
                   "memory ADDRESS [LENGTH], walk ADDRESS, state [PART]; an address is a number, a symbol, "
                   "symbol+offset or (of memory) phys:NUMBER");
  add_source(*show, showing.source);
  DebugOptions debugging;
  auto* debug =
      app.add_subcommand("debug", "look at a trace in a window, and walk along it in both directions");
  add_look(*debug, debugging.look);
  add_source(*debug, debugging.source);
  auto* headless = debug->add_flag("--headless", debugging.headless, "map no window; for scripts");
  auto* window_script =
      debug->add_option("--script", debugging.script, "a file of actions to carry out, one a line");
  headless->needs(window_script);
  debug->add_option("--size", debugging.size, "of the window in pixels")->capture_default_str();
  debug->add_option("--gdb", debugging.gdb,
                    "serve the window's session to gdb as well: 127.0.0.1:PORT, :PORT or unix:PATH");
  bool split_off = false;  // below, before CLI11 sees it
  debug->add_flag("--record", split_off,
                  "record a machine in the window: what follows is as for `hindsight record`");
  debug->add_option("--scale", debugging.scale, "of text and controls; 0: as the display says")
      ->check(CLI::Range(0.0, 4.0));
  BranchOptions branching;
  branching.run.net.clear();
  auto* branch =
      app.add_subcommand("branch", "let a recorded machine run on with new input, into a new trace");
  add_look(*branch, branching.look);
  add_trace_options(*branch, branching.run);
  add_host_options(*branch, branching.run);
  add_gdb(*branch, branching.run);
  SnapshotOptions snapshots;
  auto* snapshot = app.add_subcommand("snapshot", "add snapshots to a trace, so that seeking starts near");
  add_look(*snapshot, snapshots.look);
  snapshot->add_option("--every", snapshots.every, "one every N instructions instead, over the whole trace")
      ->type_name("N");
  MarkOptions marking;
  auto* mark = app.add_subcommand("mark", "name a position in a trace; without a name: list them");
  add_look(*mark, marking.look);
  mark->add_option("name", marking.name, "the mark's name; replaced if there is one");
  mark->add_option("note", marking.note, "what there is to say of it");
  DiffOptions differing;
  auto* diff =
      app.add_subcommand("diff", "say what differs between two instants, or where two recordings part");
  diff->add_option("a", differing.a, "TRACE, or TRACE@POSITION")->required();
  diff->add_option("b", differing.b, "likewise; @POSITION alone is another instant of the first trace")
      ->required();
  diff->add_flag("--json", differing.json, "one JSON object a line");
  diff->add_option("--bytes", differing.bytes, "how many bytes of memory to show")->capture_default_str();
  diff->add_option("--pages", differing.ranges, "how many ranges of pages to show")->capture_default_str();
  add_engine(*diff, differing.engine);
  diff->footer(kDiffHelp);
  QueryOptions asking;
  auto* query = app.add_subcommand("query", "ask what happened in a trace, and when");
  add_look(*query, asking.look);
  add_query(*query, asking);

  std::string isa;
  ExplainOptions explaining;
  auto* explain = app.add_subcommand("explain", "show what becomes of instructions: decoded, IR, host code");
  explain->add_option("isa", isa, "the guest's instruction set: x86")
      ->required()
      ->check(CLI::IsMember({"x86"}));
  explain->add_option("bytes", explaining.bytes, "their bytes in hexadecimal, such as 4801d8 or 48 01 d8")
      ->required();
  explain->add_option("--mode", explaining.mode, "64-, 32- or 16-bit code")
      ->check(CLI::IsMember({64, 32, 16}))
      ->capture_default_str();
  explain->add_flag("--user", explaining.user, "at privilege 3 instead of 0");
  explain->add_option("--at", explaining.address, "linear address of the first byte");

  for (CLI::App* command : {expect, query}) command->footer(command->get_footer() + "\n" + kExitCodes);

  // The window's options end at --record, and the recorder's begin.
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto live = std::find(std::find(words.begin(), words.end(), "debug"), words.end(), "--record");
  std::vector<std::string> recording(live, words.end());
  const bool in_window = !recording.empty();
  if (in_window) {
    recording[0] = "record";
    words.erase(live, words.end());
    debug->get_option("trace")->required(false);
  }
  try {
    parse(app, words);
    if (in_window) {
      if (!debugging.look.trace.empty())
        throw CLI::ExtrasError({debugging.look.trace + ": no trace expected before --record"});
      parse(app, recording);
      if (run.until_fail != 0 || !run.gdb.empty())
        throw CLI::ExtrasError({"--until-fail and --gdb are not expected after --record"});
      run.window = &debugging;
    }
  } catch (const CLI::ParseError& failure) {
    if (failure.get_exit_code() != 0 && app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
      std::fprintf(stderr, "hindsight: no such command: %s (see hindsight --help)\n", argv[1]);
      return kUsage;
    }
    return app.exit(failure) == 0 ? kOk : kUsage;
  }
  if (const Status configured = log::configure(log); !log.empty() && !configured) {
    std::fprintf(stderr, "hindsight: %s\n", configured.failure().message.c_str());
    return kUsage;
  }
  if (*record || *only_run) return run_command(run);
  if (*replay) return replay_command(replaying);
  if (*verify) return verify_command(verifying);
  if (*expect) return expect_command(expecting);
  if (*rerun) return rerun_command(rerunning);
  if (*pack) return pack_command(packing);
  if (*trim) return trim_command(trimming);
  if (*strip) return strip_command(stripping);
  if (*gc) return gc_command(collecting);
  if (*query) return query_command(asking);
  if (*explain) return explain_command(explaining);
  if (*gdb) return gdb_command(serving);
  if (*show) return show_command(showing);
  if (*debug) return debug_command(debugging);
  if (*branch) return branch_command(branching);
  if (*snapshot) return snapshot_command(snapshots);
  if (*mark) return mark_command(marking);
  if (*diff) return diff_command(differing);
  if (*info) return info_command(info_trace, info_json);
  return events_command(listing);
}

}  // namespace
}  // namespace hindsight::debugger::cli

int main(int argc, char** argv) {
  namespace cli = hindsight::debugger::cli;
  cli::occupy_standard_files();
  int code = cli::kBadInput;
  std::string complaint;
  try {
    code = cli::dispatch(argc, argv);
  } catch (const std::exception& failure) {
    complaint = failure.what();
  }
  // Where the disk is full, that is what an exception was about.
  if (const auto failure = cli::finish_standard_output()) complaint = *failure;
  if (complaint.empty()) return code;
  std::fprintf(stderr, "hindsight: %s\n", complaint.c_str());
  return code == cli::kOk ? cli::kBadInput : code;
}
