// What a debugger may ask of a running machine: to be told when a breakpoint, a watched range, a device
// register, an exception or an interrupt is reached, and to look at memory. None of it can be seen by the
// guest, moves an event or changes a digest. The run loop's thread only.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/types.h"
#include "engine/port/address_set.h"

namespace hindsight::engine::port {

/// A place on the timeline at which the machine can stand. `delivery` counts the exceptions and interrupts
/// delivered at this very Icount, which retire no instruction: 0 is before all of them. run(icount) leaves
/// the machine at the first position of that icount.
struct Position {
  Icount icount;
  std::uint32_t delivery = 0;
  friend constexpr auto operator<=>(const Position&, const Position&) = default;
};

enum class AccessOrigin : std::uint8_t {
  instruction,  ///< the program's own load or store
  page_walk,    ///< the CPU setting an accessed or dirty bit
  dma,          ///< a device
};

/// An access to a watched range.
struct Access {
  Position at;       ///< before the instruction; of DMA: where the machine stood
  GuestVirt pc;      ///< of the instruction; of DMA: the next one's
  GuestVirt linear;  ///< only of an instruction's access
  GuestPhys physical;
  std::uint32_t size = 0;  ///< bytes; more than 8 only for vectors and DMA
  bool write = false;
  AccessOrigin origin = AccessOrigin::instruction;
  std::uint64_t before = 0,
                after = 0;  ///< the first 8 bytes, little-endian; of a read both are what was read
};

/// An access to a device register.
struct DeviceAccess {
  Position at;         ///< before the instruction
  GuestVirt pc;        ///< of the instruction
  std::string device;  ///< as mapped on the bus; empty: nobody answers there
  bool port = false;   ///< a port, else memory-mapped
  std::uint64_t address = 0;
  std::uint32_t size = 0;  ///< bytes
  bool write = false;
  std::uint64_t value = 0;  ///< read or written
};

/// An exception or interrupt that was delivered.
struct Delivery {
  Position at;        ///< before it
  GuestVirt pc;       ///< where it struck
  GuestVirt handler;  ///< where it led
  bool interrupt = false;
  std::uint8_t vector = 0;
  std::optional<std::uint32_t> error_code;
  std::uint64_t stack = 0;  ///< the stack pointer after it
};

/// A control transfer that a call stack is made of, after it happened.
struct Transfer {
  enum class Kind : std::uint8_t {
    call,
    ret,
    enter,  ///< an instruction that calls the system: SYSCALL, SYSENTER, INT
    leave   ///< one that ends such a call, or an exception's or interrupt's handler: SYSRET, SYSEXIT, IRET
  };
  Kind kind = Kind::call;
  Position at;  ///< before the instruction
  GuestVirt from, to;
  std::uint64_t stack = 0;  ///< the stack pointer after it
};

/// Told of what was asked for, at the moment named. Each answer says whether the machine is to stop: before
/// the instruction for a breakpoint, after it for the others. Must not change the machine.
class Observer {
 public:
  virtual ~Observer() = default;
  /// The instruction at `pc` is next.
  virtual bool breakpoint(Position at, GuestVirt pc) = 0;
  virtual bool access(const Access& access) = 0;
  virtual bool device(const DeviceAccess& access) = 0;
  virtual bool delivery(const Delivery& delivery) = 0;
  virtual bool transfer(const Transfer& transfer) = 0;
};

/// Bytes [first, first + size) of linear (any address space) or physical memory.
struct WatchRange {
  bool physical = false;
  std::uint64_t first = 0;
  std::uint64_t size = 1;  ///< at least 1
  bool read = false, write = true;
};

/// What an observer wants to hear of. Everything not asked for costs nothing.
struct Interests {
  std::vector<GuestVirt> breakpoints;
  std::vector<WatchRange> ranges;
  bool deliveries = false;
  bool devices = false;    ///< every access to a device register
  bool transfers = false;  ///< every Transfer; slow
  bool user_calls = true;  ///< of transfers, also the calls and returns of user space
};

/// One linear page as the page tables map it now.
struct Mapping {
  GuestPhys page;
  bool writable = false, user = false, executable = false;
};

/// A page-table entry that a walk reads, from the root down.
struct TableEntry {
  unsigned level = 0;  ///< 1: a page table's
  GuestPhys address;
  std::uint64_t value = 0;
};

/// What the CPU reached, by linear address, whatever the address space.
struct Touched {
  PageSet written;
  LineSet executed;  ///< an instruction began there
};

/// The debugger's end of a machine.
class DebugPort {
 public:
  virtual ~DebugPort() = default;
  /// Replaces all former interests. `observer` is borrowed; nullptr (with no interests) ends observing.
  virtual void observe(const Interests& interests, Observer* observer) = 0;
  [[nodiscard]] virtual Position position() const = 0;
  /// The CPU's next instruction.
  [[nodiscard]] virtual GuestVirt pc() const = 0;
  /// How the CPU translates the page of a linear address now; marks nothing accessed.
  [[nodiscard]] virtual std::optional<Mapping> mapping(GuestVirt address) const = 0;
  /// The entries that decide mapping(address), down to the first that is not present.
  [[nodiscard]] virtual std::vector<TableEntry> walk(GuestVirt address) const = 0;
  /// The machine has begun on its Icount: timers or inputs that are due there were delivered, which run() up
  /// to this Icount leaves to the next run(). Such a state is no position to come back to.
  [[nodiscard]] virtual bool has_begun() const = 0;
  /// RAM at a physical address; false where there is none. Devices are not asked.
  [[nodiscard]] virtual bool peek(GuestPhys address, void* out, std::uint64_t size) const = 0;
  /// Forgets which linear pages were written to and collects them anew; right after RamPages::end_epoch().
  virtual void collect_written() = 0;
  /// The same of the lines where instructions began. Until ignore_executed() code is reached more slowly.
  virtual void collect_executed() = 0;
  virtual void ignore_executed() = 0;
  /// Each since it was collected.
  [[nodiscard]] virtual const Touched& touched() const = 0;
  /// Before many RAM pages are set: what hangs together with their contents is dropped at once, which takes
  /// less than doing so page by page.
  virtual void restoring() = 0;
  /// After RAM pages were set and parts were loaded from a snapshot taken at `position`: nothing derived from
  /// the old state is used any more.
  virtual void restored(Position position) = 0;
};

}  // namespace hindsight::engine::port
