// ggml_split.c -- the codes of ggml's block types with a scale, and a zero point in eighths of a code, a group of 32:
// what our own blocks can hold without rounding a weight twice.
#include <math.h>
#include "../ggml.h"
#pragma STDC FP_CONTRACT OFF

// The weights of a group are scale * (code - zero / 8).
typedef struct {
  unsigned char *codes;
  uint16_t *scale;
  uint8_t *zero;
} group;

static int split_q8_0(const group *g, const unsigned char *w) {
  *g->scale = xvk_ggml_bits(w);
  memcpy(g->codes, w + 2, XVK_GGML_GROUP);
  return 1;
}

static int split_q5_0(const group *g, const unsigned char *w) {
  const unsigned char *const bits = w + 2, *const codes = w + 6;
  *g->scale = xvk_ggml_bits(w);
  for (int i = 0; i < 16; ++i) {
    const int low = bits[i / 8] >> i % 8 & 1, high = bits[2 + i / 8] >> i % 8 & 1;
    g->codes[i] = (unsigned char)(((codes[i] & 15) | low << 4) - 16);
    g->codes[i + 16] = (unsigned char)((codes[i] >> 4 | high << 4) - 16);
  }
  return 1;
}

// Finds the grid of step * code - offset: the step as an f16, the zero point to the nearest eighth of a code. Without a
// step every weight is -offset.
static int fit(const group *g, float step, float offset) {
  *g->scale = xvk_narrow_f16(step);
  float rounded = xvk_widen_f16(*g->scale);
  if (rounded == 0) {
    *g->scale = xvk_narrow_f16(offset);
    rounded = offset;
    memset(g->codes, 0, XVK_GGML_GROUP);
  }
  const float zero = offset == 0 ? 0 : rintf(8 * offset / rounded);
  if (!(zero >= 0 && zero <= 128)) return 0;
  *g->zero = (uint8_t)zero;
  return 1;
}

static int split_q4(const group *g, const unsigned char *codes, int32_t type, const unsigned char *w) {
  for (int i = 0; i < 16; ++i) {
    g->codes[i] = codes[i] & 15;
    g->codes[i + 16] = codes[i] >> 4;
  }
  if (type == XVK_GGML_Q4_1) return fit(g, xvk_ggml_f16(w), -xvk_ggml_f16(w + 2));
  *g->scale = xvk_ggml_bits(w);
  *g->zero = 64;
  return 1;
}

static int split_q4_k(const group *g, const unsigned char *w, int64_t index) {
  const unsigned char *const codes = w + 16 + index / 2 * 32;
  int32_t scale, min;
  for (int i = 0; i < 32; ++i) g->codes[i] = codes[i] >> index % 2 * 4 & 15;
  xvk_ggml_scale_min(w + 4, index, &scale, &min);
  return fit(g, xvk_ggml_f16(w) * (float)scale, xvk_ggml_f16(w + 2) * (float)min);
}

static int split_group(const group *g, int32_t type, const unsigned char *row, int64_t index) {
  const int64_t in_block = xvk_ggml_columns(type) / XVK_GGML_GROUP;
  const unsigned char *const w = row + index / in_block * xvk_ggml_block(type);
  switch (type) {
    case XVK_GGML_Q8_0:
      return split_q8_0(g, w);
    case XVK_GGML_Q5_0:
      return split_q5_0(g, w);
    case XVK_GGML_Q4_0:
      return split_q4(g, w + 2, type, w);
    case XVK_GGML_Q4_1:
      return split_q4(g, w + 4, type, w);
    default:
      return split_q4_k(g, w, index % in_block);
  }
}

static void split_rows(const void *work, int64_t begin, int64_t end) {
  const xvk_ggml_split_work *const s = work;
  const int64_t groups = s->cols / XVK_GGML_GROUP;
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t i = 0; i < groups; ++i) {
      const int64_t n = row * groups + i;
      const group g = {s->codes + n * XVK_GGML_GROUP, s->scales + n, s->zeros ? s->zeros + n : NULL};
      if (!split_group(&g, s->type, s->w + row * xvk_ggml_row(s->type, s->cols), i))
        __atomic_store_n(s->faults, 1, __ATOMIC_RELAXED);
    }
  }
}

void xvk_ggml_split_int8_rows(const void *work, int64_t begin, int64_t end) { split_rows(work, begin, end); }
void xvk_ggml_split_int4_rows(const void *work, int64_t begin, int64_t end) { split_rows(work, begin, end); }
