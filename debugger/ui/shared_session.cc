#include "debugger/ui/shared_session.h"

#include "debugger/ui/engine_worker.h"

namespace hindsight::debugger::ui {
namespace {

using session::Position;
using session::Session;

class SharedSession final : public Session {
 private:
  /// On the engine's thread, which this one waits for.
  template <class Call>
  auto on_engine(EngineWorker::Effect effect, const Call& call) const {
    std::optional<decltype(call(std::declval<Session&>()))> answer;
    worker_.call(name_, effect, [&](Session& session) { answer.emplace(call(session)); });
    return std::move(*answer);
  }
  template <class Call>
  auto ask(const Call& call) const {
    return on_engine(EngineWorker::Effect::none, call);
  }
  template <class Call>
  auto move(const Call& call) const {
    return on_engine(EngineWorker::Effect::moves, call);
  }
  template <class Call>
  auto noted(const Call& call) const {
    return on_engine(EngineWorker::Effect::notes, call);
  }

 public:
  SharedSession(EngineWorker& worker, std::string name) : worker_(worker), name_(std::move(name)) {}

  Position now() const override {
    return ask([](Session& s) { return s.now(); });
  }
  Position first() const override {
    return ask([](Session& s) { return s.first(); });
  }
  Position last() const override {
    return ask([](Session& s) { return s.last(); });
  }
  VirtualTime time() const override {
    return ask([](Session& s) { return s.time(); });
  }
  Result<Position> parse_position(std::string_view text) override {
    return ask([&](Session& s) { return s.parse_position(text); });
  }

  Result<session::Stop> seek(Position to) override {
    return move([&](Session& s) { return s.seek(to); });
  }
  Result<session::Stop> step(session::Direction direction, std::uint64_t count) override {
    return move([&](Session& s) { return s.step(direction, count); });
  }
  Result<session::Stop> run(session::Direction direction) override {
    return move([&](Session& s) { return s.run(direction); });
  }
  Result<session::Stop> run_to_event(session::Direction direction) override {
    return move([&](Session& s) { return s.run_to_event(direction); });
  }
  void interrupt() override { worker_.interrupt(); }
  void on_progress(std::function<void(double)>) override {}

  int add(session::Condition condition) override {
    return ask([&](Session& s) { return s.add(condition); });
  }
  int add(session::Condition condition, session::Question when) override {
    return ask([&](Session& s) { return s.add(condition, when); });
  }
  void remove(int id) override {
    ask([&](Session& s) { return s.remove(id), 0; });
  }

  std::span<const session::RegisterInfo> register_table() const override {
    return ask([](Session& s) { return s.register_table(); });
  }
  std::vector<session::RegisterValue> registers() override {
    return ask([](Session& s) { return s.registers(); });
  }
  GuestVirt pc() const override {
    return ask([](Session& s) { return s.pc(); });
  }
  std::optional<session::Mapping> mapping(GuestVirt address) const override {
    return ask([&](Session& s) { return s.mapping(address); });
  }
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override {
    return ask([&](Session& s) { return s.read(address, out); });
  }
  std::size_t read(GuestPhys address, std::span<std::byte> out) const override {
    return ask([&](Session& s) { return s.read(address, out); });
  }
  std::uint64_t ram_bytes() const override {
    return ask([](Session& s) { return s.ram_bytes(); });
  }
  std::vector<session::StateField> state(std::string_view part) override {
    return ask([&](Session& s) { return s.state(part); });
  }
  std::vector<session::TableEntry> table_entries(GuestVirt address) const override {
    return ask([&](Session& s) { return s.table_entries(address); });
  }
  std::string page_walk(GuestVirt address) override {
    return ask([&](Session& s) { return s.page_walk(address); });
  }

  std::string describe(GuestVirt address) override {
    return ask([&](Session& s) { return s.describe(address); });
  }
  Result<GuestVirt> resolve(std::string_view symbol) override {
    return ask([&](Session& s) { return s.resolve(symbol); });
  }
  Result<std::string> call_stack() override {
    return ask([](Session& s) { return s.call_stack(); });
  }
  Result<std::vector<session::FrameInfo>> frames() override {
    return ask([](Session& s) { return s.frames(); });
  }
  Result<std::vector<session::TaskInfo>> tasks() override {
    return ask([](Session& s) { return s.tasks(); });
  }
  Result<std::vector<session::LogLine>> kernel_log() override {
    return ask([](Session& s) { return s.kernel_log(); });
  }
  Result<std::vector<session::ModuleInfo>> modules() override {
    return ask([](Session& s) { return s.modules(); });
  }
  std::vector<std::byte> symbol_file() override {
    return ask([](Session& s) { return s.symbol_file(); });
  }
  Result<std::uint64_t> kernel_slide() override {
    return ask([](Session& s) { return s.kernel_slide(); });
  }

  Result<std::vector<session::EventInfo>> events(Position from, Position to) override {
    return ask([&](Session& s) { return s.events(from, to); });
  }
  Result<session::Activity> activity(Position from, Position to) override {
    return ask([&](Session& s) { return s.activity(from, to); });
  }
  Result<std::vector<session::Hit>> hits(const std::vector<session::Condition>& conditions, Position from,
                                         Position to, std::size_t most) override {
    return ask([&](Session& s) { return s.hits(conditions, from, to, most); });
  }
  Result<std::optional<session::Hit>> last_write(GuestPhys address, std::uint64_t size) override {
    return ask([&](Session& s) { return s.last_write(address, size); });
  }
  std::vector<session::SnapshotInfo> snapshots() const override {
    return ask([](Session& s) { return s.snapshots(); });
  }
  Status take_snapshot() override {
    return noted([](Session& s) { return s.take_snapshot(); });
  }
  Result<std::size_t> keep_useful_snapshots() override {
    return noted([](Session& s) { return s.keep_useful_snapshots(); });
  }
  std::vector<session::MarkInfo> marks() const override {
    return ask([](Session& s) { return s.marks(); });
  }
  Status set_mark(std::string name, std::string note) override {
    return noted([&](Session& s) { return s.set_mark(name, note); });
  }
  Status remove_mark(const std::string& name) override {
    return noted([&](Session& s) { return s.remove_mark(name); });
  }
  Result<std::string> branch(const std::string& path) override {
    return ask([&](Session& s) { return s.branch(path); });
  }

 private:
  EngineWorker& worker_;
  const std::string name_;
};

}  // namespace

std::unique_ptr<session::Session> share_session(EngineWorker& worker, std::string name) {
  return std::make_unique<SharedSession>(worker, std::move(name));
}

}  // namespace hindsight::debugger::ui
