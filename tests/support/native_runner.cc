#include "tests/support/native_runner.h"

#include <asm/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "engine/base/check.h"

namespace hindsight::tests {
namespace {

using namespace native_layout;

/// What the entry code reads and the signal handler writes, at an address that needs no register to name.
struct Context {
  NativeState state;
  std::uint64_t host_rsp;
  NativeEnd end;
  bool running;
};
constexpr std::uint64_t kContext = 0x3E00'0000;
Context& context() { return *reinterpret_cast<Context*>(kContext); }

static_assert(offsetof(NativeState, rip) == 128 && offsetof(NativeState, rflags) == 136);
static_assert(offsetof(NativeState, fx) == 144 && offsetof(Context, host_rsp) == 656);

}  // namespace
}  // namespace hindsight::tests

// 0x3E000000 is kContext; the offsets are asserted above.
asm(R"(
  .text
  .globl hindsight_native_enter
  .globl hindsight_native_resume
hindsight_native_enter:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  movq %rsp, 0x3E000290
  fxrstor64 0x3E000090
  pushq 0x3E000088
  popfq
  movq 0x3E000000, %rax
  movq 0x3E000008, %rcx
  movq 0x3E000010, %rdx
  movq 0x3E000018, %rbx
  movq 0x3E000028, %rbp
  movq 0x3E000030, %rsi
  movq 0x3E000038, %rdi
  movq 0x3E000040, %r8
  movq 0x3E000048, %r9
  movq 0x3E000050, %r10
  movq 0x3E000058, %r11
  movq 0x3E000060, %r12
  movq 0x3E000068, %r13
  movq 0x3E000070, %r14
  movq 0x3E000078, %r15
  movq 0x3E000020, %rsp
  jmpq *0x3E000080
hindsight_native_resume:
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
)");
extern "C" void hindsight_native_enter();
extern "C" char hindsight_native_resume;

namespace hindsight::tests {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP};
constexpr std::size_t kSignalStack = 256 * 1024;
/// Registers of the signal frame in the order of the architecture's encoding.
constexpr int kGregs[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                            REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
constexpr std::uint32_t kBreakpoint = 3;

/// Takes the guest's state out of the frame and lets the frame go on in the host's code.
void on_signal(int number, siginfo_t*, void* frame) {
  Context& c = context();
  if (!c.running) {
    signal(number, SIG_DFL);
    return;
  }
  mcontext_t& m = static_cast<ucontext_t*>(frame)->uc_mcontext;
  for (int i = 0; i < 16; ++i) c.state.gpr[i] = static_cast<std::uint64_t>(m.gregs[kGregs[i]]);
  c.state.rip = static_cast<std::uint64_t>(m.gregs[REG_RIP]);
  c.state.rflags = static_cast<std::uint64_t>(m.gregs[REG_EFL]);
  std::memcpy(c.state.fx, m.fpregs, sizeof c.state.fx);
  c.end = {true, static_cast<std::uint32_t>(m.gregs[REG_TRAPNO]),
           static_cast<std::uint32_t>(m.gregs[REG_ERR]), static_cast<std::uint64_t>(m.gregs[REG_CR2])};
  c.running = false;
  m.gregs[REG_RIP] = reinterpret_cast<greg_t>(&hindsight_native_resume);
  m.gregs[REG_RSP] = static_cast<greg_t>(c.host_rsp);
  m.gregs[REG_EFL] = 0x202;
  m.fpregs->cwd = 0x37F;
  m.fpregs->swd = 0;
  m.fpregs->ftw = 0;
  m.fpregs->mxcsr = 0x1F80;
}

bool map_at(std::uint64_t address, std::size_t bytes, int protection) {
  void* const wanted = reinterpret_cast<void*>(address);
  void* const got = mmap(wanted, bytes, protection,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
  if (got == wanted) return true;
  if (got != MAP_FAILED) munmap(got, bytes);
  return false;
}

void protect(std::uint64_t address, std::size_t bytes, int protection) {
  CHECK(mprotect(reinterpret_cast<void*>(address), bytes, protection) == 0, "mprotect at {:#x} failed",
        address);
}

}  // namespace

NativeRunner::NativeRunner() {
  if (!map_at(kContext, kPage, PROT_READ | PROT_WRITE) ||
      !map_at(kCode, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) ||
      !map_at(kZone, kZoneEnd - kZone, PROT_NONE)) {
    unavailable_ = "the low addresses that guest code runs at cannot be mapped in this process";
    return;
  }
  std::memset(reinterpret_cast<void*>(kCode), 0xCC, kPage);
  protect(kWindow, kWindowBytes, PROT_READ | PROT_WRITE);
  std::memset(reinterpret_cast<void*>(kWindow), 0, kWindowBytes);  // present before the first access
  protect(kWindow + kWritablePages * kPage, kPage, PROT_READ);
  signal_stack_ = new std::uint8_t[kSignalStack];
  stack_t stack{};
  stack.ss_sp = signal_stack_;
  stack.ss_size = kSignalStack;
  CHECK(sigaltstack(&stack, nullptr) == 0, "sigaltstack failed");
  for (const int number : kSignals) {
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    CHECK(sigaction(number, &action, nullptr) == 0, "sigaction of {} failed", number);
  }
}

NativeRunner::~NativeRunner() {
  if (signal_stack_ == nullptr) return;
  for (const int number : kSignals) signal(number, SIG_DFL);
  stack_t none{};
  none.ss_flags = SS_DISABLE;
  sigaltstack(&none, nullptr);
  delete[] signal_stack_;
  munmap(reinterpret_cast<void*>(kContext), kPage);
  munmap(reinterpret_cast<void*>(kCode), kPage);
  munmap(reinterpret_cast<void*>(kZone), kZoneEnd - kZone);
}

std::uint64_t NativeRunner::fs_base() const {
  std::uint64_t base = 0;
  syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
  return base;
}

NativeEnd NativeRunner::run(std::span<const std::uint8_t> code, NativeState& state,
                            std::span<std::byte> window) {
  CHECK(unavailable_.empty() && window.size() == kWindowBytes, "native run without its memory");
  auto* const at = reinterpret_cast<std::uint8_t*>(kStart);
  auto* const memory = reinterpret_cast<std::byte*>(kWindow);
  std::memcpy(at, code.data(), code.size());
  constexpr std::size_t kWritable = kWritablePages * kPage;
  std::memcpy(memory, window.data(), kWritable);
  if (std::memcmp(memory + kWritable, &window[kWritable], kPage) != 0) {
    protect(kWindow + kWritable, kPage, PROT_READ | PROT_WRITE);
    std::memcpy(memory + kWritable, &window[kWritable], kPage);
    protect(kWindow + kWritable, kPage, PROT_READ);
  }

  Context& c = context();
  c.state = state;
  c.state.rip = kStart;
  c.running = true;
  hindsight_native_enter();

  std::memcpy(window.data(), memory, kWritable);
  std::fill(at, at + code.size(), std::uint8_t{0xCC});
  state = c.state;
  NativeEnd end = c.end;
  const std::uint64_t stop = state.rip - 1;
  const bool outside = stop < kStart || stop >= kStart + code.size();
  if (end.vector == kBreakpoint && outside && stop - kCode < kPage) {
    state.rip = stop;
    end = {false, 0, 0, 0};
  }
  return end;
}

}  // namespace hindsight::tests
