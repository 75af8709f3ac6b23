// Questions over the whole of a recorded machine's history: who wrote this, when did it change, when was this
// called, what struck. Each replays the stretch asked about with only what it must watch, on every machine
// that the timeline has. Owned by a front end, over its timeline, whose cursor it moves; one thread. Answers
// depend on the trace and the question alone.
//
// debugger/query/QUERY.md explains what they mean, and the fields that the command line prints.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "debugger/query/target.h"
#include "debugger/session/kernel_view.h"
#include "debugger/symbols/guest_kernel.h"
#include "replay/timeline/timeline.h"

namespace hindsight::debugger::query {

/// [from, to) of the timeline.
struct Stretch {
  Position from, to;
};

/// Where an unwound stack leads, with names; the innermost frame first.
struct NamedFrame {
  GuestVirt pc;
  std::string name;  ///< "vfs_write+0x12 [module]"
  bool interrupted = false;
};

struct Write {
  engine::port::Access access;
  std::string name;  ///< of the instruction's address; of DMA: of where the CPU stood
};

struct LastWrite {
  Write write;
  std::vector<NamedFrame> stack;  ///< there, before the instruction
  std::string stack_end;          ///< why the stack ends, for people; may be empty
};

/// The bytes watched have another value after an instruction or a device's write than before it.
struct Change {
  engine::port::Access access;  ///< the last that had part in it
  std::string name;
  std::vector<std::byte> before, after;
};

struct Call {
  Position at;
  GuestVirt function;
  std::string name = {};
  GuestVirt return_address =
      {};  ///< what lies on top of the stack: where a function that was called returns to
  std::string caller = {};
  std::uint64_t stack = 0;
  std::array<std::uint64_t, 6> arguments{};  ///< RDI, RSI, RDX, RCX, R8, R9, as C passes them
  struct Return {
    Position at;  ///< at the return address
    std::uint64_t value = 0;
  };
  std::optional<Return> returned = {};  ///< within the stretch, if returns were asked for
};

/// Something that came in, went out or struck.
struct Event {
  enum class Kind : std::uint8_t { input, sample, output, exception, interrupt };
  Kind kind = Kind::input;
  Position at;
  engine::port::Channel channel = {};    ///< of the first three
  std::uint64_t argument = 0;            ///< of a sample
  std::vector<std::byte> payload = {};   ///< of the first three
  engine::port::Delivery delivery = {};  ///< of the others
  std::string where = {}, handler = {};  ///< the names of its addresses
};
[[nodiscard]] std::string_view name_of(Event::Kind kind);
struct EventKinds {
  bool inputs = true, samples = true, outputs = true, exceptions = true, interrupts = true;
};

/// The first of several answers, in order, and whether there were more than were asked for.
template <class T>
struct Answers {
  std::vector<T> all;
  bool more = false;
};

class Queries final {
 public:
  /// Goes to `at`, where addresses are translated, and looks for a kernel's symbols there, then at the end of
  /// history. Without a kernel every address stays a number.
  static Result<Queries> open(replay::timeline::Timeline& timeline, Position at);

  /// The bytes that "ADDR/LEN" names; without a length, 8 or up to the symbol's end.
  Result<Target> target(std::string_view text);

  /// Every function of that name, or the one at an address.
  Result<std::vector<GuestVirt>> functions(std::string_view text);

  Result<std::optional<LastWrite>> last_write(const Target& target, Stretch within);
  /// `limit` 0: all.
  Result<Answers<Write>> writes(const Target& target, Stretch within, std::uint64_t limit);
  Result<Answers<Change>> changes(const Target& target, Stretch within, std::uint64_t limit);
  /// Each time the CPU came to the function's first instruction, by a call or a jump.
  Result<Answers<Call>> calls(const std::vector<GuestVirt>& functions, Stretch within, std::uint64_t limit,
                              bool returns);
  Result<Answers<Event>> events(EventKinds kinds, Stretch within, std::uint64_t limit);

  /// Of instructions and return addresses; "" where nothing is known.
  [[nodiscard]] std::string name(GuestVirt address) const;
  [[nodiscard]] const symbols::GuestKernel* kernel() const { return kernel_; }
  [[nodiscard]] replay::timeline::Timeline& timeline() { return *timeline_; }

 private:
  explicit Queries(replay::timeline::Timeline& timeline)
      : timeline_(&timeline), kernels_(std::make_unique<session::KernelView>(timeline)) {}
  [[nodiscard]] std::string name_of_return(GuestVirt address) const;
  Status add_returns(std::vector<Call>& calls, Stretch within);
  Status add_recorded(EventKinds kinds, Stretch within, std::vector<Event>& events);

  replay::timeline::Timeline* timeline_;
  std::unique_ptr<session::KernelView> kernels_;
  symbols::GuestKernel* kernel_ = nullptr;  ///< nullptr: none was found
  std::string why_;                         ///< there is none
  Position at_;
};

}  // namespace hindsight::debugger::query
