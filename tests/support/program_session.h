// A session over a real machine that runs one ELF program from its first instruction until it halts: memory,
// registers and every position are those of the engine. There and back by running again from the start. For
// testing what works on source lines. One test thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "debugger/session/session.h"
#include "tests/support/bare_machine.h"

namespace hindsight::tests::support {

namespace session = debugger::session;

class ProgramSession final : public session::Session {
 public:
  /// Stands at the program's first instruction.
  explicit ProgramSession(std::string path);

  session::Position now() const override { return {Icount{at_}, 0}; }
  session::Position first() const override { return {}; }
  session::Position last() const override { return {Icount{last_}, 0}; }
  VirtualTime time() const override { return VirtualTime{at_}; }
  Result<session::Position> parse_position(std::string_view text) override;
  Result<session::Stop> seek(session::Position to) override;
  Result<session::Stop> step(session::Direction direction, std::uint64_t count) override;
  Result<session::Stop> run(session::Direction direction) override;
  Result<session::Stop> run_to_event(session::Direction direction) override { return run(direction); }
  void interrupt() override {}
  void on_progress(std::function<void(double)>) override {}
  int add(session::Condition condition) override { return add(std::move(condition), {}); }
  int add(session::Condition condition, session::Question when) override;
  void remove(int id) override { conditions_.erase(id); }
  std::size_t condition_count() const { return conditions_.size(); }

  std::span<const session::RegisterInfo> register_table() const override;
  std::vector<session::RegisterValue> registers() override;
  GuestVirt pc() const override;
  std::optional<session::Mapping> mapping(GuestVirt address) const override;
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override;
  std::size_t read(GuestPhys address, std::span<std::byte> out) const override;
  std::uint64_t ram_bytes() const override { return BareMachine::kRam; }
  std::vector<session::StateField> state(std::string_view) override { return {}; }
  std::vector<session::TableEntry> table_entries(GuestVirt) const override { return {}; }
  std::string page_walk(GuestVirt) override { return {}; }
  std::string describe(GuestVirt address) override;
  Result<GuestVirt> resolve(std::string_view symbol) override;
  Result<std::string> call_stack() override { return error("no kernel runs here"); }
  Result<std::vector<session::FrameInfo>> frames() override { return error("no kernel runs here"); }
  Result<std::vector<session::TaskInfo>> tasks() override { return error("no kernel runs here"); }
  Result<std::vector<session::LogLine>> kernel_log() override { return error("no kernel runs here"); }
  std::vector<std::byte> symbol_file() override { return {}; }
  Result<std::vector<session::ModuleInfo>> modules() override { return error("no kernel runs here"); }
  Result<std::uint64_t> kernel_slide() override { return error("no kernel runs here"); }
  Result<std::vector<session::EventInfo>> events(session::Position, session::Position) override;
  Result<session::Activity> activity(session::Position from, session::Position to) override;
  Result<std::vector<session::Hit>> hits(const std::vector<session::Condition>&, session::Position,
                                         session::Position, std::size_t) override;
  Result<std::optional<session::Hit>> last_write(GuestPhys, std::uint64_t) override;
  std::vector<session::SnapshotInfo> snapshots() const override { return {}; }
  Status take_snapshot() override { return Done{}; }
  Result<std::size_t> keep_useful_snapshots() override { return std::size_t{0}; }
  std::vector<session::MarkInfo> marks() const override { return {}; }
  Status set_mark(std::string, std::string) override { return Done{}; }
  Status remove_mark(const std::string&) override { return Done{}; }
  Result<std::string> branch(const std::string&) override { return error("nothing is recorded here"); }

 private:
  class Here;
  void restart();
  bool one();  ///< instruction more; false: the program has halted
  std::optional<int> met() const;
  session::Stop stop(session::StopKind kind, std::optional<int> id = {}) const;

  const std::string path_;
  std::unique_ptr<BareMachine> machine_;
  std::uint64_t at_ = 0, last_ = 0;
  std::map<int, std::pair<session::Condition, session::Question>> conditions_;
  int next_id_ = 1;
};

}  // namespace hindsight::tests::support
