#include "tests/isa/x86/host_cpu.h"

#include <sys/mman.h>

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <vector>

#include "engine/base/check.h"

namespace hindsight::tests {
namespace {

constexpr std::size_t kPage = 4096, kData = 2048;
constexpr std::size_t kFlagsIn = kData + 128, kFlagsOut = kData + 136, kStack = kData + 144,
                      kGprOut = kData + 256;

thread_local sigjmp_buf recovery;
thread_local volatile sig_atomic_t caught;

void on_signal(int number) {
  caught = number;
  siglongjmp(recovery, 1);
}

/// Writes machine code with operands in the data part of its own page.
class Assembler {
 public:
  explicit Assembler(std::uint8_t* page) : page_(page) {}
  void bytes(std::initializer_list<int> values) {
    for (const int v : values) page_[at_++] = static_cast<std::uint8_t>(v);
  }
  void copy(std::span<const std::uint8_t> code) {
    std::memcpy(page_ + at_, code.data(), code.size());
    at_ += code.size();
  }
  /// opcode with ModRM [rip + slot], reg.
  void slot(std::initializer_list<int> opcode, unsigned reg, std::size_t target) {
    bytes(opcode);
    page_[at_++] = static_cast<std::uint8_t>(5 | (reg & 7) << 3);
    const auto relative = static_cast<std::int32_t>(target) - static_cast<std::int32_t>(at_ + 4);
    std::memcpy(page_ + at_, &relative, 4);
    at_ += 4;
  }
  void load(unsigned reg, std::size_t from) { slot({reg >= 8 ? 0x4C : 0x48, 0x8B}, reg, from); }
  void store(unsigned reg, std::size_t to) { slot({reg >= 8 ? 0x4C : 0x48, 0x89}, reg, to); }

 private:
  std::uint8_t* page_;
  std::size_t at_ = 0;
};

std::uint8_t* map(std::size_t size, int protection) {
  void* p = mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  CHECK(p != MAP_FAILED);
  return static_cast<std::uint8_t*>(p);
}

class SignalScope {
 public:
  SignalScope() : stack_(64 * 1024) {
    stack_t alternative{};
    alternative.ss_sp = stack_.data();
    alternative.ss_size = stack_.size();
    sigaltstack(&alternative, &old_stack_);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &old_[i]);
  }
  ~SignalScope() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &old_[i], nullptr);
    sigaltstack(&old_stack_, nullptr);
  }
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

 private:
  static constexpr std::array<int, 4> kSignals = {SIGFPE, SIGSEGV, SIGILL, SIGBUS};
  std::vector<char> stack_;
  stack_t old_stack_{};
  std::array<struct sigaction, 4> old_{};
};

}  // namespace

HostCpu::HostCpu()
    : memory_(map(kMemorySize, PROT_READ | PROT_WRITE)),
      page_(map(kPage, PROT_READ | PROT_WRITE | PROT_EXEC)) {}

HostCpu::~HostCpu() {
  munmap(memory_, kMemorySize);
  munmap(page_, kPage);
}

HostFault HostCpu::run(std::span<const std::uint8_t> code, HostRegisters& registers) {
  constexpr unsigned kRsp = 4;
  Assembler a(page_);
  a.bytes({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57});  // push rbx rbp r12..r15
  a.store(kRsp, kStack);
  a.slot({0xFF}, 6, kFlagsIn);  // push [flags]
  a.bytes({0x9D});              // popfq
  for (unsigned i = 0; i < 16; ++i)
    if (i != kRsp) a.load(i, kData + 8 * i);
  a.load(kRsp, kData + 8 * kRsp);
  a.copy(code);
  for (unsigned i = 0; i < 16; ++i) a.store(i, kGprOut + 8 * i);
  a.load(kRsp, kStack);
  a.bytes({0x9C});               // pushfq
  a.slot({0x8F}, 0, kFlagsOut);  // pop [flags]
  a.bytes({0xFC});               // cld
  a.bytes({0x41, 0x5F, 0x41, 0x5E, 0x41, 0x5D, 0x41, 0x5C, 0x5D, 0x5B, 0xC3});
  std::memcpy(page_ + kData, registers.gpr.data(), 128);
  std::memcpy(page_ + kFlagsIn, &registers.rflags, 8);
  const SignalScope signals;
  caught = 0;
  if (sigsetjmp(recovery, 1) == 0) {
    reinterpret_cast<void (*)()>(page_)();
    std::memcpy(registers.gpr.data(), page_ + kGprOut, 128);
    std::memcpy(&registers.rflags, page_ + kFlagsOut, 8);
    return HostFault::none;
  }
  asm volatile("cld" ::: "cc");
  switch (caught) {
    case SIGFPE:
      return HostFault::divide;
    case SIGILL:
      return HostFault::undefined;
    default:
      return HostFault::general;
  }
}

}  // namespace hindsight::tests
