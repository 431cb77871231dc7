// pack_quantized.c -- weights that others have quantized, as int8 and int4_f16 blocks: codes, scales and zero points
// move, nothing is rounded. Bound: memory.
#include "parallel.h"
#include "quantized.h"

// zeros is NULL for int8. Unit: a panel of w; *faults becomes 1 when a number cannot be taken.
typedef struct {
  unsigned char *w;
  const unsigned char *codes, *zeros;
  const uint16_t *scales;
  int64_t rows, cols;
  int32_t *faults;
} pack_work;

// Whether all codes are 4 bits.
static int pack_int4_row(unsigned char *block, int64_t row, const unsigned char *codes, int64_t count) {
  unsigned all = 0;
  for (int64_t c = 0; c < count; ++c) {
    const unsigned code = codes[c];
    block[(c / 8 * XVK_PANEL + row) * 4 + c % 4] |= (unsigned char)(c % 8 < 4 ? code & 15 : code << 4);
    all |= code;
  }
  return all <= 15;
}

static void pack_int8_row(unsigned char *block, int64_t row, const unsigned char *codes, int64_t count) {
  for (int64_t c = 0; c < count; ++c) block[(c / 2 * XVK_PANEL + row) * 2 + c % 2] = codes[c];
}

// The group of a row; returns whether it could be taken.
static int pack_row(const pack_work *p, unsigned char *block, int64_t row, int64_t group) {
  const int64_t groups = xvk_groups(p->cols), col = group * XVK_GROUP, r = row % XVK_PANEL;
  const int64_t count = p->cols - col < XVK_GROUP ? p->cols - col : XVK_GROUP;
  const unsigned char *const codes = p->codes + row * p->cols + col;
  const uint16_t scale = p->scales[row * groups + group];
  const int is_finite = (scale & 0x7C00) != 0x7C00;
  if (!p->zeros) {
    memcpy(block + XVK_INT8_CODES + 2 * r, &scale, sizeof scale);
    pack_int8_row(block, r, codes, count);
    return is_finite;
  }
  const unsigned char zero = p->zeros[row * groups + group];
  memcpy(block + XVK_INT4_CODES + 2 * r, &scale, sizeof scale);
  block[XVK_INT4_F16_ZEROS + r] = zero;
  return pack_int4_row(block, r, codes, count) && is_finite && zero <= XVK_INT4_F16_LARGEST_ZERO;
}

static void pack_panels(const void *work, int64_t begin, int64_t end) {
  const pack_work *const p = work;
  const int64_t groups = xvk_groups(p->cols), size = xvk_block_size(p->zeros ? XVK_INT4_F16 : XVK_INT8);
  int all = 1;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * XVK_PANEL, last = first + XVK_PANEL < p->rows ? first + XVK_PANEL : p->rows;
    for (int64_t group = 0; group < groups; ++group) {
      unsigned char *const block = p->w + (panel * groups + group) * size;
      memset(block, 0, (size_t)size);
      for (int64_t row = first; row < last; ++row) all &= pack_row(p, block, row, group);
    }
  }
  if (!all) __atomic_store_n(p->faults, 1, __ATOMIC_RELAXED);
}

static int32_t pack(const xvk_compute *c, pack_work *p) {
  int32_t faults = 0;
  p->faults = &faults;
  xvk_split(c->threads, pack_panels, p, xvk_panels(p->rows), 1);
  return faults == 0;
}

int32_t xvk_pack_int8(const xvk_compute *c, void *w, const int8_t *q, const uint16_t *scales, int64_t rows,
                      int64_t cols) {
  return pack(c, &(pack_work){w, (const unsigned char *)q, NULL, scales, rows, cols, NULL});
}

int32_t xvk_pack_int4_f16(const xvk_compute *c, void *w, const uint8_t *codes, const uint16_t *scales,
                          const uint8_t *zeros, int64_t rows, int64_t cols) {
  return pack(c, &(pack_work){w, codes, zeros, scales, rows, cols, NULL});
}
