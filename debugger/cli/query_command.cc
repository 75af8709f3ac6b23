#include <fmt/format.h>

#include <algorithm>

#include "debugger/cli/commands.h"
#include "debugger/cli/figures.h"
#include "debugger/cli/look.h"
#include "debugger/cli/profile_output.h"
#include "debugger/cli/progress.h"
#include "debugger/cli/query_output.h"
#include "debugger/query/queries.h"
#include "debugger/session/positions.h"

namespace hindsight::debugger::cli {
namespace {

namespace timeline = replay::timeline;
using query::Position;

int complain(const Error& failure, ExitCode code) {
  fmt::print(stderr, "hindsight: {}\n", failure.message);
  return code;
}

/// One question, asked and answered.
class Question {
 public:
  Question(const QueryOptions& options, query::Queries& queries, query::Stretch within)
      : options_(options),
        queries_(queries),
        within_(within),
        output_(options.json ? json_output() : text_output()) {}

  int ask() {
    const std::string& question = options_.question;
    if (question == "events") return events();
    if (question == "calls") return calls();
    if (question == "profile") return profile();
    const auto target = queries_.target(options_.subject);
    if (!target) return complain(target.failure(), kUsage);
    if (question == "last-write") return last_write(*target);
    return question == "writes" ? writes(*target) : changes(*target);
  }

 private:
  int last_write(const query::Target& target) {
    const auto last = queries_.last_write(target, within_);
    if (!last) return complain(last.failure(), kBadInput);
    if (*last) {
      fmt::print("{}", output_->last_write(**last));
    } else {
      none(fmt::format("{}: no write", target.text));
    }
    return kOk;
  }
  int writes(const query::Target& target) {
    return print(queries_.writes(target, within_, options_.limit), "no write",
                 [&](const query::Write& write) { return output_->write(write); });
  }
  int changes(const query::Target& target) {
    return print(queries_.changes(target, within_, options_.limit), "no change",
                 [&](const query::Change& change) { return output_->change(change); });
  }
  int calls() {
    const auto functions = queries_.functions(options_.subject);
    if (!functions) return complain(functions.failure(), kUsage);
    return print(queries_.calls(*functions, within_, options_.limit, options_.returns), "no call",
                 [&](const query::Call& call) { return output_->call(call); });
  }
  int events() {
    const auto wanted = [&](const char* kind) {
      return options_.kinds.empty() || std::ranges::find(options_.kinds, kind) != options_.kinds.end();
    };
    const query::EventKinds kinds{.inputs = wanted("input"),
                                  .samples = wanted("sample"),
                                  .outputs = wanted("output"),
                                  .exceptions = wanted("exception"),
                                  .interrupts = wanted("interrupt")};
    return print(queries_.events(kinds, within_, options_.limit), "no event",
                 [&](const query::Event& event) { return output_->event(event); });
  }

  int profile() {
    const auto tree = query::profile(queries_, within_);
    if (!tree) return complain(tree.failure(), kBadInput);
    if (options_.folded) {
      fmt::print("{}", query::folded(queries_, *tree));
    } else if (options_.tree) {
      fmt::print("{}", profile_tree(queries_, *tree, options_.least_percent, options_.json));
    } else {
      fmt::print("{}", profile_table(queries_, *tree, options_.by_total, options_.limit, options_.json));
    }
    return kOk;
  }

  template <class T, class Line>
  int print(const Result<query::Answers<T>>& answers, const char* nothing, const Line& line) {
    if (!answers) return complain(answers.failure(), kBadInput);
    if (answers->all.empty())
      none(options_.subject.empty() ? nothing : fmt::format("{}: {}", options_.subject, nothing));
    for (const T& one : answers->all) fmt::print("{}", line(one));
    std::fflush(stdout);
    if (answers->more)
      fmt::print(stderr, "hindsight: the first {}; there are more, see --limit\n", options_.limit);
    return kOk;
  }
  void none(const std::string& what) const {
    fmt::print(stderr, "hindsight: {} from {} to {}\n", what, session::text_of(within_.from),
               session::text_of(within_.to));
  }

  const QueryOptions& options_;
  query::Queries& queries_;
  const query::Stretch within_;
  const std::unique_ptr<QueryOutput> output_;
};

}  // namespace

int query_command(const QueryOptions& options) {
  auto line = timeline::Timeline::open(options.look.trace, machines(options.look.engine),
                                       {.ladder_bytes = options.look.ladder, .jobs = options.look.jobs});
  if (!line) return complain(line.failure(), kBadInput);
  Progress progress(options.question, (*line)->last().icount, true);
  const auto total = static_cast<double>((*line)->last().icount.value);
  (*line)->on_progress(
      [&](double share) { progress.update(Icount{static_cast<std::uint64_t>(share * total)}); });
  const auto from = query::parse_position(options.from, **line);
  if (!from) return complain(from.failure(), kUsage);
  auto to = query::parse_position(options.to, **line);
  if (!to) return complain(to.failure(), kUsage);
  const auto at = query::parse_position(options.look.at, **line);
  if (!at) return complain(at.failure(), kUsage);
  if (options.question == "last-write") to = std::min(*to, *at);
  if (*from > *to)
    return complain(error("--from {} is after --to {}", session::text_of(*from), session::text_of(*to)),
                    kUsage);
  auto queries = query::Queries::open(**line, *at);
  if (!queries) return complain(queries.failure(), kBadInput);
  return Question(options, *queries, {*from, *to}).ask();
}

}  // namespace hindsight::debugger::cli
