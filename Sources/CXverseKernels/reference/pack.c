// pack.c -- activations as integers: q[t, c] = round(x[t, c] / scale), scale = largest magnitude of the group / largest q,
// which is stored times the unit of the weights' scales.
//
//   x [tokens, cols] f32; quantized.h has the layout of the packed tiles. Columns beyond cols count as zeros.
//
// The largest q is 127 for s8 and 32767 for s16. A group whose largest magnitude is below 2^-100 becomes zeros; infinity and
// NaN make the group's scale infinite or NaN.
#include "../quantized.h"
#include <math.h>

static inline void pack_group(xvk_number number, unsigned char *packed, const float *x, int64_t count, int64_t token,
                              int64_t tokens, const xvk_pack_work *p) {
  const float largest_q = number == XVK_INT8 ? 32767 : 127;
  const int64_t scales = XVK_STEP * (number == XVK_INT8 ? XVK_INT8_STEPS : XVK_INT4_STEPS) * tokens;
  uint32_t largest = 0; // of the magnitudes' bits: NaN is larger than infinity, and that than all others
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t magnitude = xvk_bits_of_float(x[i]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  const float limit = xvk_float_from_bits(largest);
  const int vanishes = limit < 0x1p-100f;
  const float scale = vanishes ? 0 : limit / largest_q * p->unit;
  const float inverse = vanishes ? 0 : largest_q / limit;
  int32_t sum = 0;
  for (int64_t i = 0; i < XVK_GROUP; ++i) {
    const float value = i < count ? x[i] * inverse : 0;
    const int32_t q = isnan(value) ? 0 : (int32_t)rintf(value);
    if (number == XVK_INT8) {
      const int16_t word = (int16_t)(q < 32767 ? q : 32767);
      memcpy(packed + (i / 2 * tokens + token) * XVK_STEP + i % 2 * 2, &word, sizeof word);
    } else {
      packed[(i / 4 * tokens + token) * XVK_STEP + i % 4] = (unsigned char)(q + p->offset);
      sum += q;
    }
  }
  memcpy(packed + scales + 4 * token, &scale, sizeof scale);
  memcpy(packed + scales + 4 * tokens + 4 * token, &sum, sizeof sum);
}

static inline void pack(xvk_number number, const xvk_pack_work *p, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(p->cols), size = xvk_packed_size(number);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t first = tile * p->tile, left = p->tokens - first, tokens = left < p->tile ? left : p->tile;
    for (int64_t group = 0; group < groups; ++group) {
      unsigned char *const packed = p->packed + (first * groups + group * tokens) * size;
      const int64_t col = group * XVK_GROUP, count = p->cols - col < XVK_GROUP ? p->cols - col : XVK_GROUP;
      for (int64_t t = 0; t < tokens; ++t)
        pack_group(number, packed, p->x + (first + t) * p->cols + col, count, t, tokens, p);
    }
  }
}

void xvk_pack_s16_reference(const void *work, int64_t begin, int64_t end) { pack(XVK_INT8, work, begin, end); }
void xvk_pack_s8_reference(const void *work, int64_t begin, int64_t end) { pack(XVK_INT4, work, begin, end); }
