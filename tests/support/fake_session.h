// A session over a small scripted history, for testing front ends without an engine or a trace: a program of
// three instructions that counts in memory runs round and round, with interrupts in between. Every position
// is worked out beforehand and kept in an array. One test thread, but for interrupt().
//
//   1000: inc rax
//   1003: mov [2000h], rax
//   100b: jmp 1000          every 50th round an interrupt 20h strikes here first:
//   1100: iretq
//
// Memory is 32 KiB, mapped one to one, and once more at ffff888000000000.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "debugger/session/session.h"

namespace hindsight::tests {

namespace session = debugger::session;

class FakeSession final : public session::Session {
 public:
  struct Options {
    std::size_t rounds = 200;
    bool endless = false;               ///< run() does not come back until interrupt()
    std::chrono::milliseconds deaf{0};  ///< to begin with an endless run does not hear it
    bool growing = false;     ///< history ends at the cursor, as of a live machine that was not moved back
    std::string damage = {};  ///< not empty: every move fails with it
    std::string end_text = "the guest switched itself off";
  };
  static constexpr std::uint64_t kCode = 0x1000, kHandler = 0x1100, kCounter = 0x2000, kStack = 0x7f00,
                                 kRam = 0x8000;
  static constexpr std::uint64_t kAlias = 0xffff888000000000;

  FakeSession() : FakeSession(Options{}) {}
  explicit FakeSession(Options options);

  session::Position now() const override { return moments_[cursor_].at; }
  session::Position first() const override { return moments_.front().at; }
  session::Position last() const override { return options_.growing ? now() : moments_.back().at; }
  VirtualTime time() const override { return VirtualTime(now().icount.value); }
  Result<session::Position> parse_position(std::string_view text) override;

  Result<session::Stop> seek(session::Position to) override;
  Result<session::Stop> step(session::Direction direction, std::uint64_t count) override;
  Result<session::Stop> run(session::Direction direction) override;
  Result<session::Stop> run_to_event(session::Direction direction) override;
  void interrupt() override { interrupted_ = true; }
  void on_progress(std::function<void(double)> progress) override { progress_ = std::move(progress); }

  int add(session::Condition condition) override { return add(std::move(condition), {}); }
  int add(session::Condition condition, session::Question when) override;
  void remove(int id) override { conditions_.erase(id); }
  std::size_t condition_count() const { return conditions_.size(); }

  std::span<const session::RegisterInfo> register_table() const override;
  std::vector<session::RegisterValue> registers() override { return registers_at(cursor_); }
  GuestVirt pc() const override { return GuestVirt(moments_[cursor_].pc); }
  std::optional<session::Mapping> mapping(GuestVirt address) const override;
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override;
  std::size_t read(GuestPhys address, std::span<std::byte> out) const override;
  std::uint64_t ram_bytes() const override { return kRam; }
  std::vector<session::StateField> state(std::string_view part) override;
  std::vector<session::TableEntry> table_entries(GuestVirt address) const override;
  std::string page_walk(GuestVirt address) override;

  std::string describe(GuestVirt address) override;
  Result<GuestVirt> resolve(std::string_view symbol) override;
  Result<std::string> call_stack() override;
  Result<std::vector<session::FrameInfo>> frames() override;
  Result<std::vector<session::TaskInfo>> tasks() override;
  Result<std::vector<session::LogLine>> kernel_log() override;
  std::vector<std::byte> symbol_file() override { return {}; }
  Result<std::vector<session::ModuleInfo>> modules() override;
  Result<std::uint64_t> kernel_slide() override { return 0x5000000; }

  Result<std::vector<session::EventInfo>> events(session::Position from, session::Position to) override;
  /// The interrupts, and at each a byte sent: 'a', 'b' and so on.
  Result<session::Activity> activity(session::Position from, session::Position to) override;
  Result<std::vector<session::Hit>> hits(const std::vector<session::Condition>& conditions,
                                         session::Position from, session::Position to,
                                         std::size_t most) override;
  Result<std::optional<session::Hit>> last_write(GuestPhys address, std::uint64_t size) override;
  std::vector<session::SnapshotInfo> snapshots() const override { return {{first(), true}}; }
  Status take_snapshot() override { return Done{}; }
  Result<std::size_t> keep_useful_snapshots() override { return std::size_t{0}; }
  std::vector<session::MarkInfo> marks() const override { return marks_; }
  Status set_mark(std::string name, std::string note) override;
  Status remove_mark(const std::string& name) override;
  Result<std::string> branch(const std::string& path) override;

 private:
  struct Condition {
    session::Condition what;
    session::Question when;
  };
  struct Moment {
    session::Position at;
    std::uint64_t pc = kCode, rax = 0, counter = 0;  ///< counter: what stands at kCounter
    bool delivery = false;                           ///< what follows is an interrupt
  };
  class Here;

  std::vector<session::RegisterValue> registers_at(std::size_t moment) const;
  std::size_t read_at(std::size_t moment, std::uint64_t address, std::span<std::byte> out) const;
  std::optional<session::Hit> breakpoint_at(std::size_t moment) const;
  /// What is met between `moment` and the next.
  std::optional<session::Hit> met_after(std::size_t moment) const;
  session::Hit hit_of(int id, std::size_t moment, std::size_t next) const;
  session::Stop stop(session::StopKind kind, std::optional<session::Hit> hit = {});

  const Options options_;
  std::vector<Moment> moments_;
  std::size_t cursor_ = 0;
  std::atomic<bool> interrupted_ = false;
  std::function<void(double)> progress_;
  std::map<int, Condition> conditions_;
  int next_id_ = 1;
  std::vector<session::MarkInfo> marks_;
};

}  // namespace hindsight::tests
