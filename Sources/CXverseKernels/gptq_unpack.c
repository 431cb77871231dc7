// gptq_unpack.c -- the codes of a GPTQ file, one a byte: a transposition, as the file holds codes of consecutive
// columns in a word, and the words of consecutive rows side by side. Bound: memory.
#include <string.h>
#include "parallel.h"

// Words of a row that are unpacked together: a cache line of codes of 4 bits.
enum { WORDS = 8, ROW_GRAIN = 16 };

// Unit: a row of codes.
typedef struct {
  uint8_t *codes;
  const unsigned char *words;
  int64_t stride, columns;  // words to the next word of a row; words of a row
} unpack_work;

static inline uint32_t word_at(const unsigned char *words, int64_t i) {
  uint32_t word;
  memcpy(&word, words + 4 * i, sizeof word);
  return word;
}

// Four bytes, two nibbles each, as pairs of bytes: the low nibbles in even ones.
static inline uint64_t spread(uint32_t nibbles) {
  uint64_t x = nibbles;
  x = (x | x << 16) & 0x0000FFFF0000FFFF;
  x = (x | x << 8) & 0x00FF00FF00FF00FF;
  return (x | x << 4) & 0x0F0F0F0F0F0F0F0F;
}

static inline void unpack_word(int bits, uint8_t *codes, uint32_t word) {
  const uint64_t eight = spread(word);
  memcpy(codes, bits == 4 ? (const void *)&eight : &word, bits == 4 ? sizeof eight : sizeof word);
}

static inline void unpack(int bits, const unpack_work *u, int64_t begin, int64_t end) {
  const int64_t per_word = 32 / bits;
  for (int64_t first = 0; first < u->columns; first += WORDS) {
    const int64_t last = first + WORDS < u->columns ? first + WORDS : u->columns;
    for (int64_t row = begin; row < end; ++row) {
      uint8_t *const codes = u->codes + row * u->columns * per_word;
      for (int64_t i = first; i < last; ++i)
        unpack_word(bits, codes + i * per_word, word_at(u->words, i * u->stride + row));
    }
  }
}

static void unpack4(const void *work, int64_t begin, int64_t end) { unpack(4, work, begin, end); }
static void unpack8(const void *work, int64_t begin, int64_t end) { unpack(8, work, begin, end); }

void xvk_gptq_unpack(const xvk_compute *c, uint8_t *codes, const void *words, int32_t bits, int64_t stride,
                     int64_t rows, int64_t cols) {
  const unpack_work work = {codes, words, stride, cols * bits / 32};
  xvk_split(xvk_worthwhile_threads(c, rows * cols), bits == 4 ? unpack4 : unpack8, &work, rows, ROW_GRAIN);
}
