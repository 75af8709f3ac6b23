#include "debugger/gdb/monitor.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <tuple>

#include "debugger/gdb/wording.h"

namespace hindsight::debugger::gdb {
namespace {

using session::Direction;
using session::Position;
using session::StopKind;

constexpr std::size_t kNoLimit = ~std::size_t{0};
// gdb 13 keeps registers, frames and the stack's memory until the program runs; the frames are built anew
// from the memory cache, so that one goes first.
constexpr std::string_view kFlush =
    "gdb still shows the old place: type `maintenance flush dcache` and `maintenance flush register-cache`\n"
    "(monitor help: how to have that done for you)\n";

/// Decimal, or hexadecimal with 0x.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error not_a_number(std::string_view word) {
  return error("\"{}\": a number was expected, decimal or hexadecimal with 0x", word);
}

std::string dump(std::uint64_t address, std::span<const std::byte> bytes) {
  constexpr std::size_t kPerLine = 16;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += kPerLine) {
    const auto line = bytes.subspan(at, std::min(kPerLine, bytes.size() - at));
    std::string text;
    out += fmt::format("{:#012x} ", address + at);
    for (const std::byte byte : line) {
      const auto c = std::to_integer<unsigned char>(byte);
      out += fmt::format(" {:02x}", c);
      text += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.';
    }
    out += fmt::format("{:{}}  {}\n", "", (kPerLine - line.size()) * 3, text);
  }
  return out;
}

}  // namespace

const std::vector<Monitor::Command>& Monitor::commands() {
  static const std::vector<Command> kCommands = {
      {"help", 0, 0, &Monitor::help, "help", "this list"},
      {"when", 0, 0, &Monitor::when, "when", "where the cursor is"},
      {"seek", 1, 1, &Monitor::seek, "seek WHERE",
       "an instruction count, 37%, begin, end, mark:NAME, event:N, next-event, previous-event"},
      {"events", 0, 1, &Monitor::events, "events [N]", "the next N events from outside (10)"},
      {"snapshots", 0, 0, &Monitor::snapshots, "snapshots", "where the session can start from quickly"},
      {"devices", 0, 1, &Monitor::devices, "devices [PART]", "the state of all parts, or of one"},
      {"physical", 2, 2, &Monitor::physical, "physical ADDRESS LENGTH", "physical memory"},
      {"walk", 1, 1, &Monitor::walk, "walk ADDRESS", "the page-table entries that translate an address"},
      {"last-write", 1, 3, &Monitor::last_write, "last-write [physical] ADDRESS [LENGTH]",
       "who wrote these bytes last before now"},
      {"mark", 1, kNoLimit, &Monitor::mark, "mark NAME [NOTE]", "keep this place in the trace"},
      {"marks", 0, 0, &Monitor::marks, "marks", "the places kept"},
      {"stop-on", 1, 3, &Monitor::stop_on,
       "stop-on exception|interrupt [VECTOR] | device [NAME] [read|write]",
       "stop there, both ways, until this connection ends"},
      {"unstop", 0, 1, &Monitor::unstop, "unstop [NUMBER]", "forget one stop-on, or all"},
      {"modules", 0, 1, &Monitor::modules, "modules [NAME]",
       "the kernel and its modules, each as a command that loads its file's symbols"},
      {"step-interrupts", 1, 1, &Monitor::step_interrupts, "step-interrupts over|into",
       "whether a step shows what interrupts the code at hand (over)"},
      {"branch", 1, 1, &Monitor::branch, "branch FILE", "let the guest run on from here, recorded as FILE"},
  };
  return kCommands;
}

Result<std::string> Monitor::run(std::string_view line) {
  Words words;
  std::istringstream in{std::string(line)};
  for (std::string word; in >> word;) words.push_back(std::move(word));
  if (words.empty()) words.emplace_back("help");
  const auto& all = commands();
  const auto found = std::ranges::find(all, words.front(), &Command::name);
  if (found == all.end()) return error("\"{}\" is no monitor command; see `monitor help`", words.front());
  words.erase(words.begin());
  if (words.size() < found->least || words.size() > found->most) {
    return error("usage: monitor {}", found->usage);
  }
  return (this->*found->run)(words);
}

void Monitor::clear() {
  for (const StopOn& stop : stops_) session_.remove(stop.id);
  stops_.clear();
}

Monitor::Answer Monitor::help(const Words&) {
  std::string out;
  for (const Command& command : commands()) {
    out += fmt::format("  {}\n        {}\n", command.usage, command.help);
  }
  return out +
         "After a seek gdb must read everything anew. It does by itself once this was typed, or put into a "
         "file\n"
         "that gdb sources:\n"
         "  define hookpost-monitor\n"
         "    maintenance flush dcache\n"
         "    maintenance flush register-cache\n"
         "  end\n";
}

Monitor::Answer Monitor::when(const Words&) {
  const Position now = session_.now(), last = session_.last();
  const double share = last.icount.value == 0 ? 0.0
                                              : 100.0 * static_cast<double>(now.icount.value) /
                                                    static_cast<double>(last.icount.value);
  return fmt::format("icount {} of {} ({:.1f}%), {} ns, pc {}\n", in_words(now), in_words(last), share,
                     session_.time().value, in_words(session_, session_.pc()));
}

Monitor::Answer Monitor::moved(const Result<session::Stop>& stop) {
  if (!stop) return stop.failure();
  std::string why;
  if (stop->kind == StopKind::interrupted) why = "interrupted on the way\n";
  if (stop->kind == StopKind::begin) why = "the begin of history\n";
  if (stop->kind == StopKind::end) why = "the end of history\n";
  if (!stop->text.empty()) why += stop->text + "\n";
  return why + *when({}) + std::string(kFlush);
}

Monitor::Answer Monitor::seek(const Words& words) {
  if (words[0] == "next-event" || words[0] == "previous-event") {
    const Direction direction = words[0] == "next-event" ? Direction::forward : Direction::backward;
    return moved(link_.move([&] { return session_.run_to_event(direction); }));
  }
  const auto to = session_.parse_position(words[0]);
  if (!to) return to.failure();
  return moved(link_.move([&] { return session_.seek(*to); }));
}

Monitor::Answer Monitor::events(const Words& words) {
  const auto count = words.empty() ? std::optional<std::uint64_t>(10) : parse_number(words[0]);
  if (!count) return not_a_number(words[0]);
  const auto found = session_.events(session_.now(), session_.last());
  if (!found) return found.failure();
  std::string out;
  for (const session::EventInfo& event :
       std::span(*found).first(std::min<std::size_t>(*count, found->size()))) {
    out += fmt::format("{:>16}  {:>14} ns  {:<8} {:<12} {} bytes\n", in_words(event.at), event.time.value,
                       event.kind, event.channel, event.size);
  }
  return out + fmt::format("{} of {} events from here on\n", std::min<std::size_t>(*count, found->size()),
                           found->size());
}

Monitor::Answer Monitor::snapshots(const Words&) {
  std::string out;
  for (const session::SnapshotInfo& snapshot : session_.snapshots()) {
    out += fmt::format("{:>16}  in {}\n", in_words(snapshot.at), snapshot.in_trace ? "the trace" : "memory");
  }
  return out.empty() ? "none\n" : out;
}

Monitor::Answer Monitor::devices(const Words& words) {
  const auto fields = session_.state(words.empty() ? "" : words[0]);
  if (fields.empty())
    return error("no part is called \"{}\"; see `monitor devices`", words.empty() ? "" : words[0]);
  std::string out;
  for (const session::StateField& field : fields) {
    out += fmt::format("{}.{} = {}\n", field.part, field.path, field.value);
  }
  return out;
}

Monitor::Answer Monitor::physical(const Words& words) {
  constexpr std::uint64_t kMost = 0x10000;
  const auto address = parse_number(words[0]), length = parse_number(words[1]);
  if (!address) return not_a_number(words[0]);
  if (!length) return not_a_number(words[1]);
  if (*length > kMost) return error("{} bytes; at most {} are shown at once", *length, kMost);
  std::vector<std::byte> bytes(*length);
  const std::size_t got = session_.read(GuestPhys(*address), bytes);
  std::string out = dump(*address, std::span(bytes).first(got));
  if (got < bytes.size()) out += fmt::format("there is no RAM at {:#x}\n", *address + got);
  return out;
}

Monitor::Answer Monitor::walk(const Words& words) {
  const auto address = parse_number(words[0]);
  if (!address) return not_a_number(words[0]);
  std::string out = session_.page_walk(GuestVirt(*address));
  if (!out.ends_with('\n')) out += '\n';
  return out;
}

Monitor::Answer Monitor::branch(const Words& words) {
  auto done = session_.branch(words[0]);
  if (!done) return done.failure();
  return *done + "\n";
}

Monitor::Answer Monitor::last_write(const Words& words) {
  const bool physical = words[0] == "physical";
  const std::size_t first = physical ? 1 : 0;
  if (words.size() < first + 1 || words.size() > first + 2) {
    return error("usage: monitor last-write [physical] ADDRESS [LENGTH]");
  }
  const auto address = parse_number(words[first]);
  if (!address) return not_a_number(words[first]);
  const auto length =
      words.size() > first + 1 ? parse_number(words[first + 1]) : std::optional<std::uint64_t>(8);
  if (!length) return not_a_number(words[first + 1]);
  const std::uint64_t offset = *address & kPageMask;
  if (*length == 0 || *length > kPageSize - offset) {
    return error("{} bytes at {:#x}: 1 to {} were expected, within one page", *length, *address,
                 kPageSize - offset);
  }
  GuestPhys place(*address);
  if (!physical) {
    const auto mapping = session_.mapping(GuestVirt(*address));
    if (!mapping) return error("{:#x} is not mapped here", *address);
    place = mapping->page + offset;
  }
  std::optional<session::Hit> hit;
  const auto stop = link_.move([&]() -> Result<session::Stop> {
    auto found = session_.last_write(place, *length);
    if (!found) return found.failure();
    hit = *found;
    return session::Stop{StopKind::arrived, session_.now(), {}, {}};
  });
  if (!stop) return stop.failure();
  if (!hit) return fmt::format("nobody wrote {} bytes at physical {:#x} before now\n", *length, place.value);
  return in_words(session_, *hit) + fmt::format("\nto go there: monitor seek {}\n", in_words(hit->before));
}

Monitor::Answer Monitor::mark(const Words& words) {
  std::string note;
  for (std::size_t i = 1; i < words.size(); ++i) note += (i > 1 ? " " : "") + words[i];
  const Status done = session_.set_mark(words[0], note);
  if (!done) return done.failure();
  return fmt::format("mark:{} is icount {}\n", words[0], in_words(session_.now()));
}

Monitor::Answer Monitor::marks(const Words&) {
  std::string out;
  for (const session::MarkInfo& mark : session_.marks()) {
    out += fmt::format("{:>16}  {}  {}\n", in_words(mark.at), mark.name, mark.note);
  }
  return out.empty() ? "none\n" : out;
}

Monitor::Answer Monitor::stop_on(const Words& words) {
  session::Condition condition;
  if (words[0] == "device") {
    replay::timeline::DeviceStop device;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "read") {
        device.write = false;
      } else if (words[i] == "write") {
        device.read = false;
      } else {
        device.device = words[i];
      }
    }
    condition.device = device;
  } else if (words[0] == "exception" || words[0] == "interrupt") {
    replay::timeline::DeliveryStop delivery;
    (words[0] == "exception" ? delivery.exceptions : delivery.interrupts) = true;
    if (words.size() > 1) {
      const auto vector = parse_number(words[1]);
      if (!vector || *vector > 255 || words.size() > 2) {
        return error("\"{}\": a vector from 0 to 255 was expected", words.back());
      }
      delivery.vectors.reset().set(*vector);
    }
    condition.delivery = delivery;
  } else {
    return error("\"{}\": exception, interrupt or device was expected", words[0]);
  }
  std::string text = words[0];
  for (std::size_t i = 1; i < words.size(); ++i) text += " " + words[i];
  stops_.push_back({session_.add(std::move(condition)), text});
  return fmt::format("number {}: stop on {}\n", stops_.back().id, text);
}

Monitor::Answer Monitor::unstop(const Words& words) {
  if (words.empty()) {
    clear();
    return std::string();
  }
  const auto number = parse_number(words[0]);
  const auto found = std::ranges::find_if(
      stops_, [&](const StopOn& stop) { return number && static_cast<std::uint64_t>(stop.id) == *number; });
  if (found == stops_.end()) return error("\"{}\" is the number of no stop-on", words[0]);
  session_.remove(found->id);
  stops_.erase(found);
  return std::string();
}

Monitor::Answer Monitor::modules(const Words& words) {
  const auto slide = session_.kernel_slide();
  if (!slide) return slide.failure();
  const auto all = session_.modules();
  if (!all) return all.failure();
  std::string out;
  if (words.empty() || words[0] == "vmlinux") out = fmt::format("add-symbol-file vmlinux -o {:#x}\n", *slide);
  for (const session::ModuleInfo& module : *all) {
    if (!words.empty() && words[0] != module.name) continue;
    if (module.sections.empty()) {
      out += fmt::format("# {}: the kernel does not say where its sections are\n", module.name);
      continue;
    }
    out += fmt::format("add-symbol-file {}.ko", module.name);
    // What code and variables are in and stays; gdb does without the others.
    for (const auto& [name, address] : module.sections)
      if (name == ".text" || name == ".data" || name == ".bss" || name == ".rodata" ||
          name == ".text.unlikely" || name == ".data..percpu" || name == ".data..read_mostly" ||
          name == ".exit.text")
        out += fmt::format(" -s {} {:#x}", name, address.value);
    out += '\n';
  }
  if (out.empty()) return error("no module {} is loaded here", words[0]);
  return out;
}

Monitor::Answer Monitor::step_interrupts(const Words& words) {
  if (words[0] != "over" && words[0] != "into") return error("\"{}\": over or into was expected", words[0]);
  stepper_.into_interrupts = words[0] == "into";
  return std::string();
}

}  // namespace hindsight::debugger::gdb
