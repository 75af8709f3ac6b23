#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "debugger/cli/figures.h"
#include "debugger/cli/live_run.h"
#include "debugger/cli/look.h"
#include "debugger/cli/record_gdb.h"
#include "debugger/session/positions.h"
#include "debugger/session/replay_session.h"

namespace hindsight::debugger::cli {
namespace {

using session::BranchPoint;
namespace store = traces::store;

/// How far a branch runs that nobody steers.
constexpr std::uint64_t kQuietBranch = 1'000'000'000;

/// The trace that a branch leaves; its machine is built on `player`.
struct Parent {
  std::unique_ptr<store::TraceReader> trace;
  std::unique_ptr<replay::play::Player> player;
  BootFiles files;

  static Result<Parent> open(const std::string& path) {
    auto trace = store::TraceReader::open(path);
    if (!trace) return trace.failure();
    auto player = std::make_unique<replay::play::Player>(**trace);
    auto files = boot_files_of(**trace);
    if (!files) return files.failure();
    return Parent{std::move(*trace), std::move(player), std::move(*files)};
  }
};

Result<RecordingPlan> plan_branch(const Parent& parent, const BranchPoint& from, const RunOptions& options) {
  const auto identity = parent.trace->identity();
  if (!identity) return identity.failure();
  RecordingPlan plan{options.trace, parent.trace->config(), &parent.files, options.engine};
  plan.config.build = "hindsight " HINDSIGHT_VERSION;
  plan.config.seed = options.seed.value_or(0);
  plan.config.digest_interval = options.digest_every;
  plan.config.full_state_interval = std::max<std::uint64_t>(options.digest_every, 50'000'000);
  plan.config.parent = {*identity,
                        std::filesystem::path(from.parent).filename().string(),
                        {from.snapshot->instant.icount, from.snapshot->instant.time},
                        from.snapshot->at.delivery};
  plan.config.rerun_of.reset();
  plan.stop_at = Icount(options.stop_at);
  plan.snapshot_every = options.snapshot_every;
  plan.start = from.snapshot;
  plan.power_on = parent.player.get();
  return plan;
}

/// Whether the options offer what the parent's machine has, and nothing else.
Status check_options(const store::MachineConfig& machine, const RunOptions& options) {
  if (machine.disk_bytes != 0 && options.disk.empty())
    return error("the machine has a disk of {} bytes: give its image again with --disk", machine.disk_bytes);
  if (machine.disk_bytes == 0 && !options.disk.empty()) return error("--disk: the machine has no disk");
  if (machine.net == store::NetMode::none && options.net == "user")
    return error("--net: the machine has no network card");
  return Done{};
}

/// Discards what the guest prints.
class Silence final : public engine::port::OutputSink {
 public:
  void output(engine::port::Instant, engine::port::Channel, std::span<const std::byte>) override {}
};

std::string name_of(engine::port::StopReason reason) {
  return std::string(store::name_of(static_cast<store::EndReason>(reason)));
}

Result<std::string> branch_quietly(const BranchPoint& from, RunOptions options) {
  const auto parent = Parent::open(from.parent);
  if (!parent) return parent.failure();
  if (parent->trace->config().disk_bytes != 0)
    return error("the machine has a disk: hindsight branch {} --disk IMAGE …", from.parent);
  const Icount first = from.snapshot->at.icount;
  options.stop_at = (first + kQuietBranch).value;
  auto plan = plan_branch(*parent, from, options);
  if (!plan) return plan.failure();
  auto host =
      open_live_host({.disk = {}, .script = {}, .input = "/dev/null", .seed = std::nullopt, .on_quit = {}});
  if (!host) return host.failure();
  Silence silence;
  const auto recording = open_recording(std::move(*plan), (*host)->source(), silence);
  if (!recording) return recording.failure();
  const auto result = (*recording)->run({});
  if (!result) return result.failure();
  return fmt::format("{}: ran on from icount {} for {} instructions without input, until {}", options.trace,
                     session::text_of(from.snapshot->at), grouped(result->end.icount - first),
                     name_of(result->reason));
}

}  // namespace

session::Brancher quiet_brancher(const std::string& engine) {
  return [engine](const BranchPoint& from, const std::string& path) -> Result<std::string> {
    if (const Status room = make_room(path, false); !room) return room.failure();
    RunOptions options;
    options.trace = path;
    options.engine = engine;
    return branch_quietly(from, std::move(options));
  };
}

int branch_command(const BranchOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes fails a write like a full disk
  RunOptions run = options.run;
  run.engine = options.look.engine;
  const auto parent = Parent::open(options.look.trace);
  if (!parent) return complain(kBadInput, parent.failure().message);
  std::error_code ignored;
  if (std::filesystem::equivalent(run.trace, options.look.trace, ignored))
    return complain(kBadInput, run.trace + ": a branch is a trace of its own, beside its parent");
  std::optional<BranchPoint> from;
  {
    const Look look =
        look_into(options.look, [&](const BranchPoint& point, const std::string&) -> Result<std::string> {
          from = point;
          return std::string();
        });
    if (!look) return look.code;
    if (const auto left = look.session->branch({}); !left)
      return complain(kBadInput, options.look.trace + ": " + left.failure().message);
  }
  if (run.stop_at <= from->snapshot->at.icount.value)
    return complain(kBadInput, fmt::format("--stop-at: an icount after {} expected, where the branch begins",
                                           from->snapshot->at.icount.value));
  const store::MachineConfig& machine = parent->trace->config();
  if (const Status fits = check_options(machine, run); !fits)
    return complain(kBadInput, fits.failure().message);
  // What the guest has is the parent's to say; the host may leave the network unplugged.
  if (run.net.empty()) run.net = machine.net == store::NetMode::user ? "user" : "none";
  Quitter quit;
  auto host = open_live_host({run.disk, run.net, run.script, run.input, run.seed, [&quit] {
                                if (quit) quit();
                              }});
  if (!host) return complain(kBadInput, host.failure().message);
  const auto give_up = [&](const std::string& message) {
    (*host)->restore_terminal();
    return complain(kBadInput, message);
  };
  if ((*host)->disk_bytes() != machine.disk_bytes)
    return give_up(fmt::format("{}: a disk of {} bytes expected, as the machine has, found {}", run.disk,
                               machine.disk_bytes, (*host)->disk_bytes()));
  if (const Status room = make_room(run.trace, run.force); !room) return give_up(room.failure().message);
  auto plan = plan_branch(*parent, *from, run);
  if (!plan) return give_up(plan.failure().message);
  const auto recording = open_recording(std::move(*plan), (*host)->source(), (*host)->sink());
  if (!recording) return give_up(recording.failure().message);
  const Outcome outcome = run.gdb.empty()
                              ? record_to_end(**recording, **host, run.trace, Icount(run.stop_at), quit)
                              : record_under_gdb(**recording, **host, run, quit);
  if (outcome.reason) report_recording(run.trace, outcome);
  return outcome.code;
}

}  // namespace hindsight::debugger::cli
