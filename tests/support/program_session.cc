#include "tests/support/program_session.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/base/check.h"

namespace hindsight::tests::support {
namespace {

using session::Direction;
using session::RegisterInfo;
using session::Stop;
using session::StopKind;
using Group = RegisterInfo::Group;

/// As instructions encode them, then rip.
constexpr RegisterInfo kTable[] = {
    {"rax", 64, Group::general}, {"rcx", 64, Group::general}, {"rdx", 64, Group::general},
    {"rbx", 64, Group::general}, {"rsp", 64, Group::general}, {"rbp", 64, Group::general},
    {"rsi", 64, Group::general}, {"rdi", 64, Group::general}, {"r8", 64, Group::general},
    {"r9", 64, Group::general},  {"r10", 64, Group::general}, {"r11", 64, Group::general},
    {"r12", 64, Group::general}, {"r13", 64, Group::general}, {"r14", 64, Group::general},
    {"r15", 64, Group::general}, {"rip", 64, Group::general}, {"cr0", 64, Group::control},
    {"efer", 64, Group::msr},
};
constexpr std::size_t kRip = 16, kCr0 = 17, kEfer = 18;
constexpr std::uint64_t kMost = 100'000;  // instructions of a program

void load(const std::string& path, BareMachine& machine) {
  elf_version(EV_CURRENT);
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0, "{} cannot be opened", path);
  Elf* elf = elf_begin(file, ELF_C_READ, nullptr);
  std::size_t count = 0;
  CHECK(elf != nullptr && elf_getphdrnum(elf, &count) == 0, "{} is no ELF file", path);
  for (std::size_t i = 0; i < count; ++i) {
    GElf_Phdr segment;
    CHECK(gelf_getphdr(elf, static_cast<int>(i), &segment) != nullptr, "{} is damaged", path);
    if (segment.p_type != PT_LOAD || segment.p_filesz == 0) continue;
    std::vector<std::uint8_t> bytes(segment.p_filesz);
    CHECK(::pread(file, bytes.data(), bytes.size(), static_cast<off_t>(segment.p_offset)) ==
              static_cast<ssize_t>(bytes.size()),
          "{} is cut short", path);
    machine.write(segment.p_vaddr, bytes);
  }
  GElf_Ehdr header;
  CHECK(gelf_getehdr(elf, &header) != nullptr, "{} is damaged", path);
  machine.cpu().pc = header.e_entry;
  elf_end(elf);
  ::close(file);
}

std::uint64_t value_of(BareMachine& machine, std::size_t index) {
  if (index < kRip) return machine.cpu().gpr[index];
  if (index == kRip) return machine.cpu().pc;
  return index == kCr0 ? machine.cpu().cr0 : machine.cpu().efer;
}

}  // namespace

class ProgramSession::Here final : public session::View {
 public:
  explicit Here(const ProgramSession& of) : of_(of) {}
  session::RegisterValue register_value(std::size_t index) const override {
    return {value_of(*of_.machine_, index), 0};
  }
  std::size_t read(GuestVirt address, std::span<std::byte> out) const override {
    return of_.read(address, out);
  }

 private:
  const ProgramSession& of_;
};

ProgramSession::ProgramSession(std::string path) : path_(std::move(path)) {
  restart();
  while (last_ < kMost && one()) last_ = at_;
  restart();
}

void ProgramSession::restart() {
  machine_ = std::make_unique<BareMachine>(engine::exec::EngineKind::interpreter);
  load(path_, *machine_);
  at_ = 0;
}

bool ProgramSession::one() {
  const auto before = machine_->machine().now().icount;
  machine_->run_for(1);
  if (machine_->machine().now().icount == before) return false;
  ++at_;
  return true;
}

Result<session::Position> ProgramSession::parse_position(std::string_view text) {
  if (text == "begin") return first();
  if (text == "end") return last();
  return session::Position{Icount{std::strtoull(std::string(text).c_str(), nullptr, 10)}, 0};
}

std::optional<int> ProgramSession::met() const {
  for (const auto& [id, condition] : conditions_)
    if (condition.first.breakpoint && condition.first.breakpoint->address == pc() &&
        (!condition.second || condition.second(Here(*this))))
      return id;
  return std::nullopt;
}

Stop ProgramSession::stop(StopKind kind, std::optional<int> id) const {
  Stop stopped{.kind = kind, .at = now(), .hit = {}, .text = {}};
  if (id) stopped.hit = session::Hit{.id = *id, .before = now(), .after = now()};
  return stopped;
}

Result<Stop> ProgramSession::seek(session::Position to) {
  const std::uint64_t wanted = std::min(to.icount.value, last_);
  if (wanted < at_) restart();
  while (at_ < wanted && one()) {
  }
  return stop(StopKind::arrived);
}

Result<Stop> ProgramSession::step(Direction direction, std::uint64_t count) {
  if (direction == Direction::forward) return seek({Icount{at_ + count}, 0});
  return seek({Icount{at_ - std::min(at_, count)}, 0});
}

Result<Stop> ProgramSession::run(Direction direction) {
  if (direction == Direction::forward) {
    while (at_ < last_ && one())
      if (const auto id = met()) return stop(StopKind::condition, id);
    return stop(StopKind::end);
  }
  const std::uint64_t end = at_;
  std::optional<std::uint64_t> found;
  int id = 0;
  restart();
  for (; at_ < end; one()) {
    const auto here = met();
    if (!here) continue;
    found = at_;
    id = *here;
  }
  if (auto moved = seek({Icount{found.value_or(0)}, 0}); !moved) return moved;
  return found ? stop(StopKind::condition, id) : stop(StopKind::begin);
}

int ProgramSession::add(session::Condition condition, session::Question when) {
  condition.id = next_id_++;
  const int id = condition.id;
  conditions_.emplace(id, std::pair(std::move(condition), std::move(when)));
  return id;
}

std::span<const RegisterInfo> ProgramSession::register_table() const { return kTable; }

std::vector<session::RegisterValue> ProgramSession::registers() {
  std::vector<session::RegisterValue> values;
  for (std::size_t i = 0; i < std::size(kTable); ++i) values.push_back({value_of(*machine_, i), 0});
  static_assert(kEfer + 1 == std::size(kTable));
  return values;
}

GuestVirt ProgramSession::pc() const { return GuestVirt{machine_->cpu().pc}; }

std::optional<session::Mapping> ProgramSession::mapping(GuestVirt address) const {
  return machine_->machine().debug().mapping(address);
}

std::size_t ProgramSession::read(GuestVirt address, std::span<std::byte> out) const {
  return read(GuestPhys{address.value}, out);
}

std::size_t ProgramSession::read(GuestPhys address, std::span<std::byte> out) const {
  if (address.value >= BareMachine::kRam) return 0;
  const std::size_t size = std::min<std::uint64_t>(out.size(), BareMachine::kRam - address.value);
  return machine_->machine().memory().read(address, out.data(), size) ? size : 0;
}

std::string ProgramSession::describe(GuestVirt address) { return fmt::format("{:#x}", address.value); }

Result<GuestVirt> ProgramSession::resolve(std::string_view symbol) {
  return error("no kernel runs here that could name \"{}\"", symbol);
}

Result<std::vector<session::EventInfo>> ProgramSession::events(session::Position, session::Position) {
  return std::vector<session::EventInfo>{};
}

Result<session::Activity> ProgramSession::activity(session::Position from, session::Position to) {
  session::Activity nothing;
  nothing.from = from;
  nothing.to = to;
  return nothing;
}

Result<std::vector<session::Hit>> ProgramSession::hits(const std::vector<session::Condition>&,
                                                       session::Position, session::Position, std::size_t) {
  return std::vector<session::Hit>{};
}

Result<std::optional<session::Hit>> ProgramSession::last_write(GuestPhys, std::uint64_t) {
  return std::optional<session::Hit>{};
}

}  // namespace hindsight::tests::support
