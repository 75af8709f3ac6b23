// The hindsight executable: parses the command line and runs one command.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "debugger/cli/command_options.h"
#include "debugger/cli/commands.h"
#include "debugger/cli/query_options.h"
#include "debugger/cli/regression_options.h"
#include "debugger/cli/standard_files.h"
#include "engine/base/log.h"

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

// ---- what each command takes beside the groups that several have

void add_record(CLI::App& command, RunOptions& options) {
  add_trace_options(command, options);
  auto* until_fail =
      command
          .add_option("--until-fail", options.until_fail,
                      "record again, at most N times and with --seed counting up, until the guest resets, "
                      "shuts down, hangs for ever or leaves its script; keep only that trace")
          ->type_name("N")
          ->check(CLI::Range(1u, 1'000'000u));
  command
      .add_option("--fail-on", options.fail_on,
                  "with --until-fail: what the console shows when the guest fails, such as \"Kernel panic\"")
      ->type_name("TEXT")
      ->needs(until_fail);
  add_gdb(command, options)->excludes(until_fail);
  add_machine_options(command, options);
}

void add_run(CLI::App& command, RunOptions& options) {
  add_machine_options(command, options);
  add_trace_exec(command, options.trace_exec);
}

void add_replay(CLI::App& command, ReplayCommandOptions& options) {
  command.add_option("trace", options.traces, "the trace")->required()->expected(1);
  add_replay_options(command, options);
  add_trace_exec(command, options.trace_exec);
}

void add_verify_and_engine(CLI::App& command, VerifyOptions& options) {
  add_verify(command, options);
  add_replay_options(command, options.replay);
}

void add_facts(CLI::App& command, ExpectOptions& options) {
  add_expect(command, options);
  add_engine(command, options.engine);
  command.footer(command.get_footer() + "\n" + kExitCodes);
}

void add_rerun_and_trace(CLI::App& command, RerunOptions& options) {
  add_rerun(command, options);
  options.run.digest_every = 0;
  add_trace_options(command, options.run);
  command.get_option("--digest-every")->default_str("the trace's");
  add_engine(command, options.run.engine);
}

/// For a command that takes no other group of options.
template <class Options, void (*kAdd)(CLI::App&, Options&)>
void add_with_engine(CLI::App& command, Options& options) {
  kAdd(command, options);
  add_engine(command, options.engine);
}

struct InfoOptions {
  std::string trace;
  bool json = false;
};
int run_info(const InfoOptions& options) { return info_command(options.trace, options.json); }
void add_info(CLI::App& command, InfoOptions& options) {
  command.add_option("trace", options.trace, "the trace")->required();
  command.add_flag("--json", options.json, "as one JSON object");
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

void add_gdb_server(CLI::App& command, GdbOptions& options) {
  add_look(command, options.look);
  command.add_option("--listen", options.listen, "127.0.0.1:PORT (0: any free one) or unix:PATH")
      ->check(gdb_address())
      ->capture_default_str();
}

void add_show(CLI::App& command, ShowOptions& options) {
  add_look(command, options.look);
  command.add_option("what", options.topic, show_topics())->required();
  command.add_option("words", options.words,
                     "memory ADDRESS [LENGTH], walk ADDRESS, state [PART]; an address is a number, a symbol, "
                     "symbol+offset or (of memory) phys:NUMBER");
  add_source(command, options.source);
}

void add_debug(CLI::App& command, DebugOptions& options) {
  add_look(command, options.look);
  add_source(command, options.source);
  auto* headless = command.add_flag("--headless", options.headless, "map no window; for scripts");
  headless->needs(
      command.add_option("--script", options.script, "a file of actions to carry out, one a line"));
  command.add_option("--size", options.size,
                     "of the window, such as 1600x1000; else as it was left, or as suits the display");
  command.add_option("--gdb", options.gdb,
                     "serve the window's session to gdb as well: 127.0.0.1:PORT, :PORT or unix:PATH");
  command.add_flag("--record")
      ->description("record a machine in the window: what follows is as for `hindsight record`");
  command.add_option("--scale", options.scale, "of text and controls; 0: as the display says")
      ->check(CLI::Range(0.0, 4.0));
}

void add_branch(CLI::App& command, BranchOptions& options) {
  options.run.net.clear();
  add_look(command, options.look);
  add_trace_options(command, options.run);
  add_host_options(command, options.run);
  add_gdb(command, options.run);
}

void add_snapshot(CLI::App& command, SnapshotOptions& options) {
  add_look(command, options.look);
  command.add_option("--every", options.every, "one every N instructions instead, over the whole trace")
      ->type_name("N");
}

void add_mark(CLI::App& command, MarkOptions& options) {
  add_look(command, options.look);
  command.add_option("name", options.name, "the mark's name; replaced if there is one");
  command.add_option("note", options.note, "what there is to say of it");
}

void add_diff(CLI::App& command, DiffOptions& options) {
  command.add_option("a", options.a, "TRACE, or TRACE@POSITION")->required();
  command.add_option("b", options.b, "likewise; @POSITION alone is another instant of the first trace")
      ->required();
  command.add_flag("--json", options.json, "one JSON object a line");
  command.add_option("--bytes", options.bytes, "how many bytes of memory to show")->capture_default_str();
  command.add_option("--pages", options.ranges, "how many ranges of pages to show")->capture_default_str();
  add_engine(command, options.engine);
  command.footer(kDiffHelp);
}

void add_question(CLI::App& command, QueryOptions& options) {
  add_look(command, options.look);
  add_query(command, options);
  command.footer(command.get_footer() + "\n" + kExitCodes);
}

void add_explain(CLI::App& command, ExplainOptions& options) {
  command.add_option("isa", "the guest's instruction set: x86")
      ->type_name("TEXT")
      ->required()
      ->check(CLI::IsMember({"x86"}));
  command.add_option("bytes", options.bytes, "their bytes in hexadecimal, such as 4801d8 or 48 01 d8")
      ->required();
  command.add_option("--mode", options.mode, "64-, 32- or 16-bit code")
      ->check(CLI::IsMember({64, 32, 16}))
      ->capture_default_str();
  command.add_flag("--user", options.user, "at privilege 3 instead of 0");
  command.add_option("--at", options.address, "linear address of the first byte");
}

// ---- the line

class CommandLine {
 public:
  CommandLine();
  /// The exit code of the command that the words choose.
  int run(std::vector<std::string> words);

 private:
  /// A command: `define` adds its options, `act` carries it out with them.
  template <class Options>
  Options& add(const char* name, const char* does, int (*act)(const Options&),
               void (*define)(CLI::App&, Options&)) {
    CLI::App* command = app_.add_subcommand(name, does);
    const auto options = std::make_shared<Options>();
    define(*command, *options);
    commands_.emplace_back(command, [act, options] { return act(*options); });
    return *options;
  }
  void add_commands();
  void parse(std::vector<std::string> words);
  void parse_all(std::vector<std::string> words);

  CLI::App app_{"Records a machine, and goes back to whatever happened in it.", "hindsight"};
  std::string log_;
  std::vector<std::pair<CLI::App*, std::function<int()>>> commands_;
  RunOptions* recording_ = nullptr;
  DebugOptions* debugging_ = nullptr;
};

CommandLine::CommandLine() {
  app_.require_subcommand(1);
  app_.formatter(std::make_shared<WrappedHelp>());
  app_.failure_message(usage_error);
  app_.fallthrough();
  app_.footer(kExitCodes);
  app_.set_version_flag("--version", "hindsight " HINDSIGHT_VERSION);
  app_.add_option("--log", log_,
                  "what to tell, as component:level,… or level (trace, debug, info, warn, error, off)");
  add_commands();
}

void CommandLine::add_commands() {
  recording_ = &add("record", "run a machine and write a trace", run_command, add_record);
  add("run", "run a machine without a trace", run_command, add_run);
  add("replay", "play a trace again, showing what the guest printed", replay_command, add_replay);
  add("verify", "play traces again, side by side, and check everything", verify_command,
      add_verify_and_engine);
  add("expect", "check the facts that are stated of a trace", expect_command, add_facts);
  add("rerun", "give a trace's inputs to another kernel or RAM disk, and record what becomes of it",
      rerun_command, add_rerun_and_trace);
  add("pack", "write a trace again, as small as it can be", pack_command,
      add_with_engine<PackOptions, add_pack>);
  add("trim", "cut a trace to the part between two positions", trim_command,
      add_with_engine<TrimOptions, add_trim>);
  add("strip", "take the user's data out of a trace that still replays", strip_command,
      add_with_engine<StripOptions, add_strip>);
  add("gc", "make a trace smaller where it lies, without a replay", gc_command, add_gc);
  add("info", "say what is in a trace", run_info, add_info);
  add("events", "list what came from outside", events_command, add_events);
  add("gdb", "let gdb walk along a trace, in both directions", gdb_command, add_gdb_server);
  add("show", "print what the machine holds at one position", show_command, add_show);
  debugging_ = &add("debug", "look at a trace in a window, and walk along it in both directions",
                    debug_command, add_debug);
  add("branch", "let a recorded machine run on with new input, into a new trace", branch_command, add_branch);
  add("snapshot", "add snapshots to a trace, so that seeking starts near", snapshot_command, add_snapshot);
  add("mark", "name a position in a trace; without a name: list them", mark_command, add_mark);
  add("diff", "say what differs between two instants, or where two recordings part", diff_command, add_diff);
  add("query", "ask what happened in a trace, and when", query_command, add_question);
  add("explain", "show what becomes of instructions: decoded, IR, host code", explain_command, add_explain);
}

void CommandLine::parse(std::vector<std::string> words) {
  std::reverse(words.begin(), words.end());  // which CLI11 takes from the back
  app_.parse(std::move(words));
}

/// The window's options end at --record, and the recorder's begin.
void CommandLine::parse_all(std::vector<std::string> words) {
  const auto live = std::find(std::find(words.begin(), words.end(), "debug"), words.end(), "--record");
  if (live == words.end()) return parse(std::move(words));
  std::vector<std::string> recording(live, words.end());
  recording[0] = "record";
  words.erase(live, words.end());
  app_.get_subcommand("debug")->get_option("trace")->required(false);
  parse(std::move(words));
  if (!debugging_->look.trace.empty())
    throw CLI::ExtrasError({debugging_->look.trace + ": no trace expected before --record"});
  parse(std::move(recording));
  if (recording_->until_fail != 0 || !recording_->gdb.empty())
    throw CLI::ExtrasError({"--until-fail and --gdb are not expected after --record"});
  recording_->window = debugging_;
}

int CommandLine::run(std::vector<std::string> words) {
  const std::string first = words.empty() ? "-" : words.front();
  try {
    parse_all(std::move(words));
  } catch (const CLI::ParseError& failure) {
    if (failure.get_exit_code() != 0 && app_.get_subcommands().empty() && first[0] != '-') {
      std::fprintf(stderr, "hindsight: no such command: %s (see hindsight --help)\n", first.c_str());
      return kUsage;
    }
    return app_.exit(failure) == 0 ? kOk : kUsage;
  }
  if (const Status configured = log::configure(log_); !log_.empty() && !configured) {
    std::fprintf(stderr, "hindsight: %s\n", configured.failure().message.c_str());
    return kUsage;
  }
  const auto chosen = std::find_if(commands_.begin(), commands_.end(),
                                   [](const auto& command) { return command.first->parsed(); });
  return chosen->second();
}

}  // namespace
}  // namespace hindsight::debugger::cli

int main(int argc, char** argv) {
  namespace cli = hindsight::debugger::cli;
  cli::occupy_standard_files();
  int code = cli::kBadInput;
  std::string complaint;
  try {
    code = cli::CommandLine().run({argv + 1, argv + argc});
  } catch (const std::exception& failure) {
    complaint = failure.what();
  }
  // Where the disk is full, that is what an exception was about.
  if (const auto failure = cli::finish_standard_output()) complaint = *failure;
  if (complaint.empty()) return code;
  std::fprintf(stderr, "hindsight: %s\n", complaint.c_str());
  return code == cli::kOk ? cli::kBadInput : code;
}
