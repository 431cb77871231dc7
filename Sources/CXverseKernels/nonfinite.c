// nonfinite.c -- the first NaN or infinity of stored weights. Bound: memory.
#include "parallel.h"
#include "quantized.h"

// Elements that are looked at together before their place matters: the inner loop has no exit, so it becomes vectors.
enum { STRETCH = 4096 };

// Unit: STRETCH elements. *first is the smallest index found so far.
typedef struct {
  const unsigned char *x;
  xvk_dtype dtype;
  int64_t count;
  int64_t *first;
} nonfinite_work;

static inline int is_nonfinite_f32(const unsigned char *x, int64_t i) {
  uint32_t bits;
  memcpy(&bits, x + 4 * i, sizeof bits);
  return (bits & 0x7F800000) == 0x7F800000;
}

static inline int has_exponent(const unsigned char *x, int64_t i, uint16_t exponent) {
  uint16_t bits;
  memcpy(&bits, x + 2 * i, sizeof bits);
  return (bits & exponent) == exponent;
}

static int is_nonfinite_block(xvk_dtype dtype, const unsigned char *block) {
  int any = 0;
  for (int64_t row = 0; row < XVK_PANEL; ++row) any |= has_exponent(block + xvk_block_scales(dtype), row, 0x7C00);
  return any;
}

static inline int is_nonfinite(xvk_dtype dtype, const unsigned char *x, int64_t i) {
  switch (dtype) {
    case XVK_F32:
      return is_nonfinite_f32(x, i);
    case XVK_F16:
      return has_exponent(x, i, 0x7C00);
    case XVK_BF16:
      return has_exponent(x, i, 0x7F80);
    case XVK_INT4:
      return 0;  // a scale has no exponent of infinity
    default:
      return is_nonfinite_block(dtype, x + i * xvk_block_size(dtype));
  }
}

// The index of the first in begin ..< end, or end.
static inline int64_t first_in(xvk_dtype dtype, const unsigned char *x, int64_t begin, int64_t end) {
  int any = 0;
  for (int64_t i = begin; i < end; ++i) any |= is_nonfinite(dtype, x, i);
  if (!any) return end;
  while (!is_nonfinite(dtype, x, begin)) ++begin;
  return begin;
}

static int64_t first_of(xvk_dtype dtype, const unsigned char *x, int64_t begin, int64_t end) {
  switch (dtype) {
    case XVK_F32:
      return first_in(XVK_F32, x, begin, end);
    case XVK_F16:
      return first_in(XVK_F16, x, begin, end);
    case XVK_BF16:
      return first_in(XVK_BF16, x, begin, end);
    default:
      return first_in(dtype, x, begin, end);
  }
}

static void keep_smaller(int64_t *first, int64_t found) {
  int64_t known = __atomic_load_n(first, __ATOMIC_RELAXED);
  while (found < known && !__atomic_compare_exchange_n(first, &known, found, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static void find(const void *work, int64_t begin, int64_t end) {
  const nonfinite_work *const w = work;
  for (int64_t unit = begin; unit < end && unit * STRETCH < __atomic_load_n(w->first, __ATOMIC_RELAXED); ++unit) {
    const int64_t start = unit * STRETCH, stop = w->count - start < STRETCH ? w->count : start + STRETCH;
    const int64_t found = first_of(w->dtype, w->x, start, stop);
    if (found < stop) keep_smaller(w->first, found);
  }
}

int64_t xvk_first_nonfinite(const xvk_compute *c, xvk_dtype dtype, const void *x, int64_t count) {
  int64_t first = count;
  const nonfinite_work work = {x, dtype, count, &first};
  xvk_split(xvk_worthwhile_threads(c, count), find, &work, (count + STRETCH - 1) / STRETCH, 1);
  return first;
}
