// ggml_narrow.c -- floats to F16, Q8_0 and Q4_0, rounded as ggml's quantize_row_*_ref do.
#include <math.h>
#include "../ggml.h"
#pragma STDC FP_CONTRACT OFF

static const float LARGEST_F16 = 65504;

static void put_f16(unsigned char *place, float value) {
  const uint16_t bits = xvk_narrow_f16(value);
  place[0] = (unsigned char)bits;
  place[1] = (unsigned char)(bits >> 8);
}

// The number of the largest magnitude, with its sign; NaN when a number is not finite or beyond an f16.
static float extreme(const float *x, int64_t count) {
  float found = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!(fabsf(x[i]) <= LARGEST_F16)) return NAN;
    if (fabsf(x[i]) > fabsf(found)) found = x[i];
  }
  return found;
}

// Nothing for a step of which an f16 knows nothing.
static float inverse_of(float d) { return fabsf(d) > 0x1p-100f ? 1 / d : 0; }

static void narrow_q8_0(unsigned char *w, const float *x, float largest) {
  const float d = fabsf(largest) / 127, inverse = inverse_of(d);
  put_f16(w, d);
  for (int i = 0; i < 32; ++i) w[2 + i] = (unsigned char)(int8_t)roundf(x[i] * inverse);
}

static int q4_code(float x) {
  const int code = (int)(x + 8.5f);
  return code < 15 ? code : 15;
}

static void narrow_q4_0(unsigned char *w, const float *x, float largest) {
  const float d = largest / -8, inverse = inverse_of(d);
  put_f16(w, d);
  for (int i = 0; i < 16; ++i) w[2 + i] = (unsigned char)(q4_code(x[i] * inverse) | q4_code(x[i + 16] * inverse) << 4);
}

static void narrow_row(const xvk_ggml_narrow_work *g, int64_t row) {
  const float *const x = g->x + row * g->cols;
  if (g->type == XVK_GGML_F16) {
    if (isnan(extreme(x, g->cols))) __atomic_store_n(g->faults, 1, __ATOMIC_RELAXED);
    for (int64_t i = 0; i < g->cols; ++i) put_f16(g->w + 2 * (row * g->cols + i), x[i]);
    return;
  }
  unsigned char *w = g->w + row * xvk_ggml_row(g->type, g->cols);
  for (int64_t col = 0; col < g->cols; col += XVK_GGML_GROUP, w += xvk_ggml_block(g->type)) {
    const float largest = extreme(x + col, XVK_GGML_GROUP);
    if (isnan(largest)) {
      __atomic_store_n(g->faults, 1, __ATOMIC_RELAXED);
    } else if (g->type == XVK_GGML_Q8_0) {
      narrow_q8_0(w, x + col, largest);
    } else {
      narrow_q4_0(w, x + col, largest);
    }
  }
}

void xvk_ggml_narrow_rows(const void *work, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) narrow_row(work, row);
}
