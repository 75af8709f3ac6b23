#include "tests/support/fake_session.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace hindsight::tests {
namespace {

using session::Direction;
using session::Hit;
using session::Position;
using session::RegisterInfo;
using session::RegisterValue;
using session::Stop;
using session::StopKind;

using Group = RegisterInfo::Group;

constexpr unsigned char kProgram[] = {
    0x48, 0xff, 0xc0,                                // inc rax
    0x48, 0x89, 0x04, 0x25, 0x00, 0x20, 0x00, 0x00,  // mov [2000h], rax
    0xeb, 0xf3,                                      // jmp 1000h
};
constexpr unsigned char kHandlerCode[] = {0x48, 0xcf};  // iretq
constexpr std::uint64_t kStore = FakeSession::kCode + 3, kJump = FakeSession::kCode + 11;

constexpr RegisterInfo kTable[] = {
    {"rax", 64, Group::general},     {"rcx", 64, Group::general},
    {"rdx", 64, Group::general},     {"rbx", 64, Group::general},
    {"rsp", 64, Group::general},     {"rbp", 64, Group::general},
    {"rsi", 64, Group::general},     {"rdi", 64, Group::general},
    {"r8", 64, Group::general},      {"r9", 64, Group::general},
    {"r10", 64, Group::general},     {"r11", 64, Group::general},
    {"r12", 64, Group::general},     {"r13", 64, Group::general},
    {"r14", 64, Group::general},     {"r15", 64, Group::general},
    {"rip", 64, Group::general},     {"rflags", 64, Group::general},
    {"cs", 16, Group::segment},      {"ss", 16, Group::segment},
    {"gs_base", 64, Group::segment}, {"cr0", 64, Group::control},
    {"cr3", 64, Group::control},     {"cr4", 64, Group::control},
    {"efer", 64, Group::msr},        {"gdtr.limit", 16, Group::control},
    {"st0", 80, Group::x87},         {"fcw", 16, Group::x87},
    {"fsw", 16, Group::x87},         {"ftw", 8, Group::x87},
    {"xmm0", 128, Group::vector},    {"mxcsr", 32, Group::vector},
};

}  // namespace

/// A moment as a condition may look at it.
class FakeSession::Here final : public session::View {
 public:
  Here(const FakeSession& session, std::size_t moment) : session_(session), moment_(moment) {}
  RegisterValue register_value(std::size_t index) const override {
    return session_.registers_at(moment_)[index];
  }
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override {
    return session_.read_at(moment_, address.value, out);
  }

 private:
  const FakeSession& session_;
  std::size_t moment_;
};

FakeSession::FakeSession(Options options) : options_(std::move(options)) {
  constexpr std::size_t kInterruptEvery = 50;
  Moment now;
  const auto next = [&](std::uint64_t pc) {
    moments_.push_back(now);
    now.pc = pc;
    now.at = {now.at.icount + 1, 0};
    now.delivery = false;
  };
  for (std::size_t round = 1; round <= options_.rounds; ++round) {
    next(kStore);
    ++now.rax;
    next(kJump);
    now.counter = now.rax;
    if (round % kInterruptEvery == 0) {
      now.delivery = true;
      moments_.push_back(now);
      now.delivery = false;
      now.pc = kHandler;
      now.at.delivery = 1;
      next(kJump);
    }
    next(kCode);
  }
  moments_.push_back(now);
}

Result<Position> FakeSession::parse_position(std::string_view text) {
  if (text == "begin") return first();
  if (text == "end") return last();
  for (const session::MarkInfo& mark : marks_) {
    if (text == "mark:" + mark.name) return mark.at;
  }
  char* end = nullptr;
  const std::string copy(text);
  const std::uint64_t icount = std::strtoull(copy.c_str(), &end, 10);
  if (end == copy.c_str()) return error("\"{}\": a position was expected", text);
  Position at{Icount(icount), 0};
  if (*end == '+') at.delivery = static_cast<std::uint32_t>(std::strtoul(end + 1, nullptr, 10));
  return at;
}

Stop FakeSession::stop(StopKind kind, std::optional<Hit> hit) {
  return {kind, now(), std::move(hit), kind == StopKind::end ? options_.end_text : std::string()};
}

Result<Stop> FakeSession::seek(Position to) {
  if (!options_.damage.empty()) return Error{options_.damage};
  const auto found = std::ranges::find_if(moments_, [&](const Moment& moment) { return moment.at >= to; });
  const bool beyond = found == moments_.end();
  cursor_ = beyond ? moments_.size() - 1 : static_cast<std::size_t>(found - moments_.begin());
  return stop(beyond ? StopKind::end : StopKind::arrived);
}

Result<Stop> FakeSession::step(Direction direction, std::uint64_t count) {
  if (!options_.damage.empty()) return Error{options_.damage};
  std::optional<Hit> hit;
  for (; count > 0; --count) {
    if (direction == Direction::forward) {
      if (cursor_ + 1 == moments_.size()) return stop(StopKind::end);
      hit = met_after(cursor_++);
    } else {
      if (cursor_ == 0) return stop(StopKind::begin);
      hit = met_after(--cursor_);
    }
  }
  return stop(StopKind::arrived, hit);
}

Result<Stop> FakeSession::run(Direction direction) {
  if (!options_.damage.empty()) return Error{options_.damage};
  if (progress_) progress_(0.5);
  if (options_.endless) {
    std::this_thread::sleep_for(options_.deaf);
    interrupted_ = false;
    while (!interrupted_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return stop(StopKind::interrupted);
  }
  for (;;) {
    if (direction == Direction::forward) {
      if (cursor_ + 1 == moments_.size()) return stop(StopKind::end);
      if (auto hit = met_after(cursor_++)) return stop(StopKind::condition, hit);
    } else {
      if (cursor_ == 0) return stop(StopKind::begin);
      if (auto hit = met_after(--cursor_)) return stop(StopKind::condition, hit);
    }
    if (auto hit = breakpoint_at(cursor_)) return stop(StopKind::condition, hit);
  }
}

Result<Stop> FakeSession::run_to_event(Direction direction) {
  const auto all = events(first(), last());
  Position to = direction == Direction::forward ? last() : first();
  for (const session::EventInfo& event : *all) {
    if (direction == Direction::forward && event.at > now()) {
      to = event.at;
      break;
    }
    if (direction == Direction::backward && event.at < now()) to = event.at;
  }
  return seek(to);
}

int FakeSession::add(session::Condition condition, session::Question when) {
  conditions_[next_id_] = {std::move(condition), std::move(when)};
  return next_id_++;
}

Hit FakeSession::hit_of(int id, std::size_t moment, std::size_t next) const {
  Hit hit;
  hit.id = id;
  hit.before = moments_[moment].at;
  hit.after = moments_[next].at;
  return hit;
}

std::optional<Hit> FakeSession::breakpoint_at(std::size_t moment) const {
  for (const auto& [id, condition] : conditions_) {
    const auto& breakpoint = condition.what.breakpoint;
    if (!breakpoint || breakpoint->address.value != moments_[moment].pc) continue;
    if (condition.when && !condition.when(Here(*this, moment))) continue;
    return hit_of(id, moment, moment);
  }
  return std::nullopt;
}

std::optional<Hit> FakeSession::met_after(std::size_t moment) const {
  const Moment &now = moments_[moment], &next = moments_[moment + 1];
  for (const auto& [id, condition] : conditions_) {
    Hit hit = hit_of(id, moment, moment + 1);
    const auto& watch = condition.what.watchpoint;
    if (watch && now.pc == kStore && watch->range.write && watch->range.first < kCounter + 8 &&
        kCounter < watch->range.first + watch->range.size) {
      hit.access = engine::port::Access{now.at,
                                        GuestVirt(now.pc),
                                        GuestVirt(kCounter),
                                        GuestPhys(kCounter),
                                        8,
                                        true,
                                        engine::port::AccessOrigin::instruction,
                                        now.counter,
                                        next.counter};
      return hit;
    }
    const auto& delivery = condition.what.delivery;
    if (delivery && now.delivery && delivery->interrupts && delivery->vectors[0x20] &&
        (!condition.when || condition.when(Here(*this, moment + 1)))) {
      hit.delivery = engine::port::Delivery{now.at, GuestVirt(now.pc), GuestVirt(kHandler), true, 0x20, {}};
      return hit;
    }
  }
  return std::nullopt;
}

std::span<const RegisterInfo> FakeSession::register_table() const { return kTable; }

std::vector<RegisterValue> FakeSession::registers_at(std::size_t moment) const {
  std::vector<RegisterValue> values(std::size(kTable));
  const auto set = [&](std::string_view name, std::uint64_t low, std::uint64_t high = 0) {
    const auto* row = std::ranges::find(kTable, name, &RegisterInfo::name);
    values[static_cast<std::size_t>(row - kTable)] = {low, high};
  };
  set("rax", moments_[moment].rax);
  set("rip", moments_[moment].pc);
  set("rsp", kStack);
  set("rflags", 0x202);
  set("cs", 0x10);
  set("cr0", 0x80050033);
  set("cr4", 0x6f0);
  set("efer", 0xd01);
  set("gdtr.limit", 0x7f);
  set("st0", 0x8000000000000000, 0x3fff);
  set("fcw", 0x37f);
  set("fsw", 7 << 11);
  set("ftw", 0x80);
  set("xmm0", 0x3ff0000000000000, 0x4000000000000000);
  set("mxcsr", 0x1f80);
  return values;
}

std::optional<session::Mapping> FakeSession::mapping(GuestVirt address) const {
  const std::uint64_t physical = address.value >= kAlias ? address.value - kAlias : address.value;
  if (physical >= kRam) return std::nullopt;
  return session::Mapping{GuestPhys(physical & ~kPageMask), true, false, true};
}

std::size_t FakeSession::read_at(std::size_t moment, std::uint64_t address, std::span<std::byte> out) const {
  const std::uint64_t physical = address >= kAlias ? address - kAlias : address;
  if (physical >= kRam || out.empty()) return 0;
  std::vector<std::byte> ram(kRam);
  std::memcpy(&ram[kCode], kProgram, sizeof kProgram);
  std::memcpy(&ram[kHandler], kHandlerCode, sizeof kHandlerCode);
  std::memcpy(&ram[kCounter], &moments_[moment].counter, 8);
  std::memcpy(&ram[kStack], &moments_[moment].counter, 8);  // so that the stack tells moments apart as well
  const std::uint64_t interrupted[] = {kJump, 0x10, 0x202, kStack, 0x18};
  if (moments_[moment].pc == kHandler) std::memcpy(&ram[kStack], interrupted, sizeof interrupted);
  const std::size_t size = std::min<std::size_t>(out.size(), kRam - physical);
  std::memcpy(out.data(), &ram[physical], size);
  return size;
}

std::size_t FakeSession::read(GuestVirt address, std::span<std::byte> out) const {
  return read_at(cursor_, address.value, out);
}

std::size_t FakeSession::read(GuestPhys address, std::span<std::byte> out) const {
  return address.value >= kRam ? 0 : read_at(cursor_, address.value, out);
}

std::vector<session::StateField> FakeSession::state(std::string_view part) {
  if (!part.empty() && part != "serial0") return {};
  return {{"serial0", "lcr", "0x3"}};
}

std::vector<session::TableEntry> FakeSession::table_entries(GuestVirt address) const {
  return {{1, GuestPhys{0x3000 + (address.value >> 12 & 511) * 8}, (address.value & ~kPageMask) | 3}};
}

std::string FakeSession::page_walk(GuestVirt address) {
  return fmt::format("pml4[{}] = 0x3067", address.value >> 39 & 511);
}

std::string FakeSession::describe(GuestVirt address) {
  if (address.value >= kHandler && address.value < kCounter)
    return fmt::format("handler+{:#x}", address.value - kHandler);
  if (address.value >= kCode && address.value < kHandler)
    return fmt::format("loop+{:#x}", address.value - kCode);
  return fmt::format("{:#x}", address.value);
}

Result<std::vector<session::ModuleInfo>> FakeSession::modules() {
  return std::vector<session::ModuleInfo>{
      {"fake_net",
       "live",
       GuestVirt{kAlias + 0x6000},
       0x800,
       {{".note", GuestVirt(0x3000)}, {".text", GuestVirt(0x1000)}, {".bss", GuestVirt(0x2000)}}},
      {"loop", "coming", GuestVirt{kAlias + 0x7000}, 0x200, {}}};
}

Result<GuestVirt> FakeSession::resolve(std::string_view symbol) {
  if (symbol == "loop") return GuestVirt{kCode};
  if (symbol == "handler") return GuestVirt{kHandler};
  return error("the guest's kernel has no symbol \"{}\"", symbol);
}

Result<std::string> FakeSession::call_stack() { return "#0  " + describe(pc()) + "\n"; }

Result<std::vector<session::FrameInfo>> FakeSession::frames() {
  return std::vector<session::FrameInfo>{{pc(), describe(pc()), false, false}};
}

Result<std::vector<session::TaskInfo>> FakeSession::tasks() {
  return std::vector<session::TaskInfo>{
      {GuestVirt{kAlias + 0x4000}, 0, 0, "swapper", 'R', true, {}},
      {GuestVirt{kAlias + 0x5000}, 1, 1, "init", 'S', false, GuestVirt{kHandler}}};
}

Result<std::vector<session::LogLine>> FakeSession::kernel_log() {
  return std::vector<session::LogLine>{{1'500'000'000, 6, "the kernel began"}};
}

Result<session::Activity> FakeSession::activity(Position from, Position to) {
  if (!options_.damage.empty()) return Error{options_.damage};
  session::Activity found;
  found.from = from;
  found.to = to;
  found.sources = {"serial0"};
  using Kind = session::Happening::Kind;
  for (std::size_t i = 0, struck = 0; i < moments_.size(); ++i) {
    const Moment& moment = moments_[i];
    if (!moment.delivery) continue;
    const char sent = static_cast<char>('a' + struck++ % 26);
    if (moment.at < from || moment.at >= to) continue;
    found.all.push_back(
        {.kind = Kind::interrupt, .vector = 0x20, .at = moment.at, .pc = GuestVirt{moment.pc}});
    found.all.push_back(
        {.kind = Kind::output, .source = 0, .size = 1, .at = moment.at, .address = found.bytes.size()});
    found.bytes += sent;
  }
  return found;
}

Result<std::vector<Hit>> FakeSession::hits(const std::vector<session::Condition>& conditions, Position from,
                                           Position to, std::size_t most) {
  std::vector<Hit> found;
  const std::map<int, Condition> kept = std::exchange(conditions_, {});
  for (const session::Condition& condition : conditions) conditions_[condition.id] = {condition, {}};
  for (std::size_t i = 0; i + 1 < moments_.size() && found.size() < most; ++i) {
    if (moments_[i].at < from || moments_[i].at >= to) continue;
    if (const auto hit = breakpoint_at(i)) found.push_back(*hit);
    if (const auto hit = met_after(i)) found.push_back(*hit);
  }
  for (Hit& hit : found) hit.after = {};  // as a search in a recording leaves it
  conditions_ = kept;
  return found;
}

Result<std::vector<session::EventInfo>> FakeSession::events(Position from, Position to) {
  std::vector<session::EventInfo> found;
  for (const std::uint64_t icount : {100, 250, 400}) {
    const Position at{Icount(icount), 0};
    if (at >= from && at < to && at <= last())
      found.push_back({at, VirtualTime(icount), "input", "serial0", 1, "x"});
  }
  return found;
}

Result<std::optional<Hit>> FakeSession::last_write(GuestPhys address, std::uint64_t size) {
  session::Condition condition;
  condition.watchpoint = replay::timeline::Watchpoint{{true, address.value, size, false, true}, false};
  const int id = add(condition);
  std::optional<Hit> found;
  for (std::size_t moment = cursor_; moment-- > 0 && !found;) found = met_after(moment);
  remove(id);
  return found;
}

Status FakeSession::set_mark(std::string name, std::string note) {
  marks_.push_back({std::move(name), std::move(note), now()});
  return Done{};
}

Status FakeSession::remove_mark(const std::string& name) {
  if (std::erase_if(marks_, [&](const session::MarkInfo& mark) { return mark.name == name; }) == 0)
    return error("no mark \"{}\"", name);
  return Done{};
}

Result<std::string> FakeSession::branch(const std::string& path) {
  return error("{}: this history cannot branch", path);
}

}  // namespace hindsight::tests
