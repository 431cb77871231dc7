// sets.h -- what these programs share: the sets of kernels that this CPU runs, random numbers, memory that ends before a
// page which cannot be read, a count of failures. No Swift and no test library, so that an emulated CPU can run them.
#ifndef XVK_TEST_SETS_H
#define XVK_TEST_SETS_H
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "xverse_kernels.h"

enum { SETS = XVK_ISA_COUNT };
static const xvk_table *tables[SETS];
static int failures;

// ---- numbers ----

static const float untouched = 12345;
static const double half_ulp = 0x1p-24;  // of f32, relative

static uint64_t random_state = 1;

// -1 ..< 1.
static inline float random_uniform(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(random_state >> 32) * 0x1p-31f;
}

// Of a bell's shape, as weights and activations are.
static inline float random_number(void) {
  float sum = 0;
  for (int i = 0; i < 8; ++i) sum += random_uniform();
  return sum;
}

static inline int same_bits(float a, float b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

static inline float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// ---- failures ----

__attribute__((format(printf, 1, 2))) static inline void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (++failures <= 20) {
    vprintf(format, arguments);
    printf("\n");
  }
  va_end(arguments);
}

// ---- memory ----

static inline void *checked(void *memory) {
  if (!memory) abort();
  return memory;
}

// Copies `bytes` to the end of the room `index`, behind which nothing can be read. Of 4 rooms.
static inline void *guarded(int index, const void *from, size_t bytes) {
  enum { ROOM = 1 << 22, PAGE = 1 << 16 };  // the largest page of any CPU
  static unsigned char *rooms[4];
  if (!rooms[index]) {
    void *const pages = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect((unsigned char *)pages + ROOM, PAGE, PROT_NONE) != 0) abort();
    rooms[index] = pages;
  }
  if (bytes > ROOM) abort();
  return memcpy(rooms[index] + ROOM - bytes, from, bytes);
}

static inline const float *guarded_floats(int index, const float *from, int64_t count) {
  return guarded(index, from, (size_t)count * sizeof *from);
}

// ---- the program ----

// Finds the sets of this CPU. 0, with a message, when one of those that must run does not.
static inline int find_sets(int argc, char **argv) {
  for (int32_t set = 0; set < SETS; ++set) {
    tables[set] = xvk_table_for(set);
    printf("%s: %s\n", xvk_isa_name(set),
           tables[set]             ? "runs"
           : xvk_isa_is_built(set) ? "this CPU lacks it"
                                   : "not in this build");
  }
  for (int i = 1; i < argc; ++i) {
    int32_t set = 0;
    while (set < SETS && strcmp(argv[i], xvk_isa_name(set)) != 0) ++set;
    if (set < SETS && tables[set]) continue;
    printf("%s did not run\n", argv[i]);
    return 0;
  }
  return 1;
}

// The exit status of the program.
static inline int report(const char *all_good) {
  if (failures) {
    printf("%d failures\n", failures);
  } else {
    printf("%s\n", all_good);
  }
  return failures != 0;
}

#endif
