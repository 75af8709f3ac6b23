// The commands that move the cursor.
#include "debugger/ui/engine_worker.h"
#include "debugger/ui/words.h"

namespace hindsight::debugger::ui {

using session::Direction;
using session::Stop;
using session::StopKind;

bool EngineWorker::move(const Command& command) {
  const std::string& name = command.name;
  if (name == "seek" || name == "begin" || name == "end") {
    const auto to = session_.parse_position(name == "seek" ? command.rest : name);
    if (!to) {
      complain(to.failure());
      return true;
    }
    after(session_.seek(*to));
  } else if (name == "step") {
    after(session_.step(Direction::forward, count_of(command.rest)));
  } else if (name == "back") {
    after(session_.step(Direction::backward, count_of(command.rest)));
  } else if (name == "continue") {
    after(session_.run(Direction::forward));
  } else if (name == "reverse-continue") {
    after(session_.run(Direction::backward));
  } else if (name == "next-event") {
    after(session_.run_to_event(Direction::forward));
  } else if (name == "previous-event") {
    after(session_.run_to_event(Direction::backward));
  } else if (name == "step-line" || name == "back-line") {
    step_line(name == "step-line" ? Direction::forward : Direction::backward);
  } else if (name == "last-write") {
    last_write(command.rest);
  } else if (name == "next-write") {
    next_write(command.rest);
  } else {
    return false;
  }
  return true;
}

void EngineWorker::after(const Result<Stop>& stopped) {
  if (!stopped)
    complain(stopped.failure());
  else if (stopped->kind == StopKind::begin)
    next_.message = "begin of history: " + stopped->text;
  else if (stopped->kind == StopKind::end)
    next_.message = "end of history: " + stopped->text;
  else
    next_.message = stopped->text;
  code_at_.reset();
  refresh();
}

void EngineWorker::step_line(Direction direction) {
  if (source_.sources() == nullptr) return complain(error("no lines are known: no --symbols were given"));
  after(source_.sources()->step_line(direction, source_.choice()));
}

Result<EngineWorker::Bytes> EngineWorker::bytes_of(const std::string& rest) {
  const auto [where, size] = split(rest);
  const auto address = builder_.address(where);
  if (!address) return address.failure();
  const auto mapping = session_.mapping(*address);
  if (!mapping) return error("{:#x} is not mapped here", address->value);
  // The memory panel keeps looking at these bytes, wherever its register has been by then.
  const MemoryModel* seen = next_.memory.get();
  const bool in_sight = seen != nullptr && *address - seen->base < seen->bytes.size();
  memory_at_ = fmt::format("0x{:x}", in_sight ? seen->base.value : address->value);
  return Bytes{*address, mapping->page + (address->value & kPageMask), count_of(size)};
}

void EngineWorker::say_write(const Bytes& bytes, const session::Hit& hit, const char* when) {
  if (next_.failed || !hit.access) return;
  const auto& access = *hit.access;
  next_.message = fmt::format("{:#x} {} by {}: {:#x} -> {:#x}", bytes.address.value, when,
                              access.origin == engine::port::AccessOrigin::dma ? std::string("a device")
                                                                               : session_.describe(access.pc),
                              access.before, access.after);
}

void EngineWorker::last_write(const std::string& rest) {
  const auto bytes = bytes_of(rest);
  if (!bytes) return complain(bytes.failure());
  const auto hit = session_.last_write(bytes->physical, bytes->size);
  if (!hit) return complain(hit.failure());
  if (!*hit) {
    next_.message = fmt::format("{:#x} was not written since power-on", bytes->address.value);
    return;
  }
  // Before the writing instruction: one step on shows what it writes.
  after(session_.seek((*hit)->before));
  say_write(*bytes, **hit, "was last written here");
}

void EngineWorker::next_write(const std::string& rest) {
  const auto bytes = bytes_of(rest);
  if (!bytes) return complain(bytes.failure());
  session::Condition write;
  write.watchpoint = replay::timeline::Watchpoint{{true, bytes->physical.value, bytes->size, false, true}};
  const auto hits = session_.hits({write}, session_.now(), session_.last(), 1);
  if (!hits) return complain(hits.failure());
  if (hits->empty()) {
    next_.message = fmt::format("{:#x} is not written before the end of history", bytes->address.value);
    return;
  }
  // After the writing instruction, so that what it wrote is seen and the same question goes on from there. A
  // search tells where it began, not where it led.
  Result<Stop> moved = session_.seek(hits->front().before);
  if (moved && moved->kind == StopKind::arrived) moved = session_.step(Direction::forward);
  const bool there = moved && moved->kind == StopKind::arrived;
  after(moved);
  if (there) say_write(*bytes, hits->front(), "was written just now");
}

}  // namespace hindsight::debugger::ui
