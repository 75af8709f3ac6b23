#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/bench/guest/bench.h"

namespace bench {
namespace {

void check(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

std::uint64_t getppid_loop() {
  std::uint64_t same = 0;
  const long parent = syscall(SYS_getppid);
  for (int i = 0; i < 1'500'000; ++i) same += static_cast<std::uint64_t>(syscall(SYS_getppid) == parent);
  return same;
}

std::uint64_t pipe_ping_pong() {
  constexpr int kRounds = 20'000;
  int there[2];
  int back[2];
  check(pipe(there) == 0 && pipe(back) == 0);
  const pid_t child = fork();
  check(child >= 0);
  char byte = 0;
  if (child == 0) {
    for (int i = 0; i < kRounds; ++i) check(read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1);
    _exit(0);
  }
  std::uint64_t sum = 0;
  for (int i = 0; i < kRounds; ++i) {
    byte = static_cast<char>(i);
    check(write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1);
    sum += static_cast<unsigned char>(byte);
  }
  waitpid(child, nullptr, 0);
  return sum;
}

std::uint64_t fork_exec() {
  std::uint64_t ended = 0;
  for (int i = 0; i < 300; ++i) {
    const pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
      execl(self, self, "exit", nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ended += static_cast<std::uint64_t>(status == 0);
  }
  return ended;
}

std::uint64_t page_faults() {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kBytes = std::size_t{16} << 20;
  std::uint64_t sum = 0;
  for (int round = 0; round < 40; ++round) {
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED && madvise(memory, kBytes, MADV_NOHUGEPAGE) == 0);
    auto* bytes = static_cast<unsigned char*>(memory);
    for (std::size_t at = 0; at < kBytes; at += kPage) {
      bytes[at] = static_cast<unsigned char>(at >> 12);
      sum += bytes[at];
    }
    munmap(memory, kBytes);
  }
  return sum;
}

}  // namespace bench
