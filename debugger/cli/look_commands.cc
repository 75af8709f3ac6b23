#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "debugger/cli/look.h"
#include "debugger/cli/machine_builder.h"
#include "debugger/cli/stop_signals.h"
#include "debugger/gdb/server.h"
#include "debugger/session/positions.h"
#include "debugger/session/replay_session.h"

namespace hindsight::debugger::cli {
namespace {

using engine::port::Position;
using replay::timeline::Contents;
using session::Session;

ExitCode complain(const Error& failure, ExitCode code = kBadInput) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return code;
}

}  // namespace

replay::timeline::MachineFactory machines(const std::string& engine) {
  return [engine](traces::store::TraceReader& trace, replay::play::Player& player,
                  Contents contents) -> Result<std::unique_ptr<replay::timeline::ReplayMachine>> {
    auto built = build_replay_machine(trace, engine, player, contents);
    if (!built) return built.failure();
    return std::unique_ptr<replay::timeline::ReplayMachine>(std::move(*built));
  };
}

Look look_into(const LookOptions& options, session::Brancher brancher) {
  auto session =
      session::open_replay(options.trace, machines(options.engine),
                           {.ladder_bytes = options.ladder, .jobs = options.jobs}, std::move(brancher));
  if (!session) return {nullptr, complain(session.failure())};
  const auto at = (*session)->parse_position(options.at);
  if (!at) return {nullptr, complain(error("--at: {}", at.failure().message), kUsage)};
  const Position first = (*session)->first(), last = (*session)->last();
  if (*at < first || *at > last)
    return {nullptr,
            complain(error("--at: {}: a position from icount {} to {} expected, found {}", options.trace,
                           session::text_of(first), session::text_of(last), options.at),
                     kUsage)};
  if (const auto moved = (*session)->seek(*at); !moved) return {nullptr, complain(moved.failure())};
  return {std::move(*session)};
}

int gdb_command(const GdbOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  const Look look = look_into(options.look, quiet_brancher(options.look.engine));
  if (!look) return look.code;
  const auto& session = look.session;
  gdb::ServeOptions serve;
  serve.listen = options.listen;
  serve.on_listening = [&](const std::string& address) {
    fmt::print("{}: at icount {} of {}; in gdb: target remote {}\n", options.look.trace,
               session::text_of(session->now()), session::text_of(session->last()), address);
    std::fflush(stdout);
  };
  serve.program_file = [&] { return session->symbol_file(); };
  auto server = gdb::Server::open(*session, serve);
  if (!server) return complain(server.failure());
  const StopSignals signals(**server);
  const Status served = (*server)->run();
  if (!served) return complain(served.failure());
  // A trace that cannot be written (another user's, a full disk) only makes the next session start cold.
  if (const auto kept = session->keep_useful_snapshots(); kept && *kept != 0)
    fmt::print("{} snapshots were kept in the trace\n", *kept);
  return kOk;
}

int snapshot_command(const SnapshotOptions& options) {
  const Look look = look_into(options.look);
  if (!look) return look.code;
  const auto& session = look.session;
  const auto take = [&](Position at) -> Status {
    if (const auto moved = session->seek(at); !moved) return moved.failure();
    if (const Status taken = session->take_snapshot(); !taken) return taken;
    fmt::print("snapshot at icount {}\n", session::text_of(session->now()));
    std::fflush(stdout);
    return Done{};
  };
  if (options.every == 0) {
    const Status taken = take(session->now());
    return taken ? kOk : complain(taken.failure());
  }
  for (std::uint64_t at = options.every; at < session->last().icount.value; at += options.every)
    if (const Status taken = take({Icount{at}, 0}); !taken) return complain(taken.failure());
  return kOk;
}

int mark_command(const MarkOptions& options) {
  const Look look = look_into(options.look);
  if (!look) return look.code;
  const auto& session = look.session;
  if (options.name.empty()) {
    for (const session::MarkInfo& mark : session->marks())
      fmt::print("{:>16}  {}{}{}\n", session::text_of(mark.at), mark.name, mark.note.empty() ? "" : "  ",
                 mark.note);
    return kOk;
  }
  const Status set = session->set_mark(options.name, options.note);
  if (!set) return complain(set.failure());
  fmt::print("mark:{} is icount {}\n", options.name, session::text_of(session->now()));
  return kOk;
}

}  // namespace hindsight::debugger::cli
