// The benchmark kernels that run inside the guest (and, for calibration, on the host). One static program
// with no library beyond libc; single-threaded. A kernel's work is fixed and its result is printed, so that
// every engine can be seen to have computed the same.
#pragma once

#include <cstdint>

namespace bench {

/// One kernel. `prepare` is not timed; `run` is, and returns a checksum of what it computed.
struct Kernel {
  const char* name;
  void (*prepare)();
  std::uint64_t (*run)();
};

void nothing();

// integer.cc: arithmetic, tables, branches, calls
std::uint64_t sha256();
void prepare_crc32();
std::uint64_t crc32();
void prepare_quicksort();
std::uint64_t quicksort();
std::uint64_t records();
void prepare_bytecode();
std::uint64_t bytecode();
std::uint64_t calls();
std::uint64_t indirect();

// memory.cc: latency, copies, string instructions
void prepare_chase_256k();
std::uint64_t chase_256k();
void prepare_chase_64m();
std::uint64_t chase_64m();
void prepare_copy();
std::uint64_t copy64();
std::uint64_t rep_movsb();
std::uint64_t rep_movsq();
std::uint64_t rep_stosb();

// floating.cc: scalar and packed SSE2, x87
std::uint64_t nbody();
std::uint64_t mandelbrot();
void prepare_packed();
std::uint64_t packed_sse();
std::uint64_t x87();

// system.cc: kernel entry, scheduling, processes, paging
std::uint64_t getppid_loop();
std::uint64_t pipe_ping_pong();
std::uint64_t fork_exec();
std::uint64_t page_faults();

/// The path of this program, for fork_exec.
extern const char* self;

/// A fixed pseudo-random sequence (xorshift64), the same on every host.
class Sequence {
 public:
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }

 private:
  std::uint64_t state_ = 0x9E3779B97F4A7C15U;
};

}  // namespace bench
