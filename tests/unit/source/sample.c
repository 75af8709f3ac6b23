/* What the tests of source lines and variables walk through. Lines are named in the tests: keep them. */
typedef unsigned long u64;

enum colour { RED, GREEN = 5, BLUE };

struct point {
  int x, y;
};

struct shape {
  const char *name;
  enum colour colour;
  struct point corner;
  unsigned flag : 1, rest : 7;
  short sides[6];
  struct shape *next;
};

static struct point origin = {3, -4};
static volatile u64 sink;
void bare(void); /* without debug information: at the end */
static inline __attribute__((always_inline)) u64 twice(u64 half) {
  u64 whole = half * 2;
  sink = whole;
  return whole;
}

static __attribute__((noipa)) u64 sum(const short *of, int count) {
  u64 total = 0;
  for (int i = 0; i < count; i++) {
    total += twice(of[i]);
    sink = total;
  }
  return total;
}

static __attribute__((noipa)) u64 measure(struct shape *shape, char letter, signed char small) {
  u64 area = sum(shape->sides, 3);
  sink = area + letter;
  sink = area - small;
  return area;
}

static __attribute__((noipa)) int deep(int level) {
  int below = 0;
  if (level > 0)
    below = deep(level - 1) + 1;
  sink = below + level;
  return below;
}

static char text[16] = "a sample"; register u64 stack_pointer __asm__("rsp");

void _start(void) {
  struct shape shape = {text, BLUE, origin, 1, 77, {1, 2, 3, 4, 5, 6}, 0};
  shape.next = &shape;
  u64 area = measure(&shape, 'q', -2);
  int depth = deep(2);
  sink = area + depth, bare();
  for (;;)
    __asm__ volatile("cli; hlt");
}

__asm__(".text\n.type bare, @function\nbare: nop\nret\n.size bare, . - bare\n");
