#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include "debugger/cli/commands.h"
#include "debugger/cli/trace_files.h"
#include "debugger/cli/verify_pool.h"
#include "debugger/cli/verify_report.h"

namespace hindsight::debugger::cli {
namespace {

int complain(const std::string& message) {
  fmt::print(stderr, "hindsight: {}\n", message);
  return kBadInput;
}

/// A file of results, opened before there are any: a path that cannot be written is told at once.
class ResultFile final {
 public:
  explicit ResultFile(const std::string& path) : path_(path) {
    if (!path.empty()) out_.open(path, std::ios::binary | std::ios::trunc);
  }
  Status check() const {
    if (!path_.empty() && !out_) return error("{}: cannot write: {}", path_, std::strerror(errno));
    return Done{};
  }
  [[nodiscard]] bool wanted() const { return !path_.empty(); }
  Status write(const std::string& text) {
    out_ << text;
    out_.close();
    return check();
  }

 private:
  const std::string path_;
  std::ofstream out_;
};

}  // namespace

int verify_command(const VerifyOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  auto traces = find_traces(options.replay.traces);
  if (!traces) return complain(traces.failure().message);
  ResultFile junit(options.junit), json(options.json);
  for (const ResultFile* file : {&junit, &json})
    if (const Status open = file->check(); !open) return complain(open.failure().message);
  const auto start = std::chrono::steady_clock::now();
  VerifyPool pool(std::move(*traces), options);
  const std::vector<Verdict>& verdicts = pool.run([](const Verdict& verdict) {
    fmt::print("{}", text_of(verdict));
    std::fflush(stdout);
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (verdicts.size() > 1) fmt::print("{}\n", summary_of(verdicts));
  if (junit.wanted())
    if (const Status done = junit.write(junit_of(verdicts, seconds)); !done)
      return complain(done.failure().message);
  if (json.wanted())
    if (const Status done = json.write(json_of(verdicts, seconds)); !done)
      return complain(done.failure().message);
  return exit_code(verdicts);
}

}  // namespace hindsight::debugger::cli
