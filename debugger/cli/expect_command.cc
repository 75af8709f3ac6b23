#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <optional>

#include "debugger/cli/commands.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/look.h"
#include "debugger/cli/progress.h"
#include "debugger/expect/check.h"

namespace hindsight::debugger::cli {
namespace {

int complain(const Error& failure) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return kBadInput;
}

}  // namespace

int expect_command(const ExpectOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  const std::string file = options.facts.empty() ? options.trace + ".expect" : options.facts;
  const auto facts = expect::load_facts(file);
  if (!facts) return complain(facts.failure());
  expect::CheckOptions checking;
  checking.timeline.jobs = options.jobs;
  std::optional<Progress> progress;
  Icount total;
  checking.running = [&](const replay::timeline::Timeline* line) {
    if (line != nullptr) progress.emplace(file, total = line->last().icount, false);
  };
  checking.progress = [&](double share) {
    progress->update(Icount{static_cast<std::uint64_t>(share * static_cast<double>(total.value))});
  };
  const auto results = expect::check_facts(options.trace, *facts, machines(options.engine), checking);
  progress.reset();
  if (!results) return complain(results.failure());
  for (const expect::FactResult& result : *results)
    fmt::print("{}:{}: {}: {}{}{}\n", file, result.line, result.holds ? "ok" : "FAILED", result.text,
               result.holds ? "" : ": ", result.found);
  const auto failed =
      static_cast<std::size_t>(std::ranges::count(*results, false, &expect::FactResult::holds));
  fmt::print("{}: {} hold, {} failed\n", counted(results->size(), "fact"), results->size() - failed, failed);
  return failed == 0 ? kOk : kFailed;
}

}  // namespace hindsight::debugger::cli
