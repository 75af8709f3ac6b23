// A 32-bit program without a C library for the 64-bit kernel: system calls by int 80h and by the vDSO's entry
// (sysenter), a TLS segment, a signal handler and its return, instructions that 64-bit mode lacks, and far
// calls into 64-bit code and back. Prints one "HS-OK compat-…" or "HS-FAIL compat-…" line for each.
typedef unsigned int u32;
typedef unsigned long long u64;

static u32 entry;  // AT_SYSINFO, __kernel_vsyscall

static int by_int80(int number, u32 a, u32 b, u32 c) {
  int result;
  asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return result;
}

static int by_vdso(int number, u32 a, u32 b, u32 c) {
  int result;
  asm volatile("call *%5" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "m"(entry) : "memory");
  return result;
}

enum { kExit = 1, kWrite = 4, kGetpid = 20, kKill = 37, kSigaction = 67, kSetThreadArea = 243 };

static void say(const char* text) {
  u32 size = 0;
  while (text[size] != 0) size++;
  by_int80(kWrite, 1, (u32)text, size);
}

static void report(const char* what, int good) {
  say(good ? "HS-OK compat-" : "HS-FAIL compat-");
  say(what);
  say("\n");
}

static volatile int handled;
static void on_signal(int number) { handled = number; }

// Steps over the two bytes of a SYSCALL that was refused.
static void on_illegal(int number) {
  handled = number;
  asm volatile("addl $2, %0" : "+m"(*(u32*)((char*)__builtin_frame_address(0) + 12 + 14 * 4)));
}

struct old_sigaction {
  void (*handler)(int);
  u32 mask, flags;
  void (*restorer)(void);
};

static int signal_returns(void) {
  struct old_sigaction action = {on_signal, 0, 0, 0};
  by_int80(kSigaction, 10, (u32)&action, 0);
  by_int80(kKill, by_int80(kGetpid, 0, 0, 0), 10, 0);
  return handled == 10;
}

// What the vDSO's entry is made of: SYSENTER (0f 34), SYSCALL (0f 05) or INT 80h alone.
static const char kBySyscall[] = "syscall";
static const char* entry_kind(void) {
  const unsigned char* code = (const unsigned char*)entry;
  for (int i = 0; i < 16; i++) {
    if (code[i] == 0x0f && code[i + 1] == 0x34) return "sysenter";
    if (code[i] == 0x0f && code[i + 1] == 0x05) return kBySyscall;
  }
  return "int80";
}

// Intel's processors refuse SYSCALL outside 64-bit code. AMD's take it, and the vDSO uses it there.
static int syscall_works(void) {
  if (entry_kind() == kBySyscall) return 1;
  struct old_sigaction action = {on_illegal, 0, 0, 0};
  by_int80(kSigaction, 4, (u32)&action, 0);
  int result = kGetpid;
  asm volatile("syscall" : "+a"(result) : : "ecx", "memory");
  return handled == 4 && result == kGetpid;
}

static int thread_area_works(void) {
  static u32 area[2] = {0x12345678, 0x9abcdef0};
  u32 descriptor[4] = {~0u, (u32)area, 0xfffff, 0x51};  // 32-bit, limit in pages, usable
  if (by_int80(kSetThreadArea, (u32)descriptor, 0, 0) != 0) return 0;
  u32 first, second;
  asm volatile("movw %w2, %%gs; movl %%gs:0, %0; movl %%gs:4, %1"
               : "=&r"(first), "=&r"(second)
               : "r"(descriptor[0] * 8 + 3));
  return first == area[0] && second == area[1];
}

static int decimal_works(void) {
  u32 sum = 0x28;
  asm("addb $0x19, %%al; daa" : "+a"(sum));
  u32 digits = 0;
  asm("aam" : "=a"(digits) : "a"(87));
  return (sum & 0xff) == 0x47 && (digits & 0xffff) == 0x0807;
}

static int stack_works(void) {
  u32 kept = 0, eax = 0;
  asm volatile("movl $0x5a5a5a5a, %%eax; pusha; movl $0, %%eax; movl %%esp, %1; popa; pushl %%ds; popl %%ds"
               : "=&a"(eax), "=&r"(kept)
               :
               : "memory");
  return eax == 0x5a5a5a5a && kept != 0;
}

static int long_mode_works(void) {
  u64 product = 0;
  // In 64-bit code (selector 33h): rdi is zero-extended edi; 48 is REX.W.
  asm volatile(
      "jmp 2f\n"
      "1: .byte 0x48, 0xb8; .quad 0x123456789abcdef0\n"  // mov rax, imm64
      ".byte 0x48, 0x89, 0x07\n"                         // mov [rdi], rax
      "lret\n"                                           // back by a far return: 32-bit pops
      "2: lcall $0x33, $1b\n"
      :
      : "D"(&product)
      : "eax", "memory");
  return product == 0x123456789abcdef0;
}

static int x87_works(void) {
  double result;
  const double two = 2.0;
  asm("fldl %1; fsqrt; fstpl %0" : "=m"(result) : "m"(two));
  return result > 1.41421356 && result < 1.41421357;
}

__attribute__((used)) void start(u32* stack) {
  u32* at = stack + 1 + stack[0] + 1;  // argc, argv, 0
  while (*at++ != 0) {                 // the environment
  }
  for (; at[0] != 0; at += 2)
    if (at[0] == 32) entry = at[1];
  report("int80", by_int80(kGetpid, 0, 0, 0) > 0);
  report("vdso", entry != 0 && by_vdso(kGetpid, 0, 0, 0) == by_int80(kGetpid, 0, 0, 0));
  say("compat-entry ");
  say(entry_kind());
  say("\n");
  report("signal", signal_returns());
  report("syscall", syscall_works());
  report("tls", thread_area_works());
  report("decimal", decimal_works());
  report("stack", stack_works());
  report("x87", x87_works());
  report("long-mode", long_mode_works());
  by_vdso(kExit, 0, 0, 0);
}

asm(".globl _start\n_start: movl %esp, %eax\npushl %eax\ncall start\n");
