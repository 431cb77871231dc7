// pack.c -- activations as integers: q[t, c] = x[t, c] / (factor[t] * scale[t, g]) rounded, at most 127 (s8) or 32767
// (s16) large.
//
//   x [tokens, cols] f32; quantized.h has the layout of the packed tiles and the choice of scales and factors. Columns
//   beyond cols count as zeros.
#include "../quantized.h"

// The largest magnitude of a group; NaN is larger than infinity, and that than all others.
static float largest_of(const float *x, int64_t count) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t magnitude = xvk_bits_of_float(x[i]) & 0x7FFFFFFF;
    largest = magnitude > largest ? magnitude : largest;
  }
  return xvk_float_from_bits(largest);
}

static inline int64_t columns_of(const xvk_pack_work *p, int64_t group) {
  const int64_t left = p->cols - group * XVK_GROUP;
  return left < XVK_GROUP ? left : XVK_GROUP;
}

// The number of the factor of a token.
static int32_t choose_factor(xvk_dtype dtype, const float *x, const xvk_pack_work *p) {
  float sums[XVK_FACTORS] = {0};
  if (dtype == XVK_INT8) return 0;
  for (int64_t group = 0; group < xvk_groups(p->cols); ++group) {
    const float largest = largest_of(x + group * XVK_GROUP, columns_of(p, group));
    for (int i = 0; i < XVK_FACTORS && largest < INFINITY; ++i) {
      const float unit = xvk_factors[i] * xvk_pack_scale(dtype, largest, xvk_inverse_factors[i]);
      sums[i] = fmaf(unit, unit, sums[i]);
    }
  }
  return xvk_least(sums);
}

static inline void pack_group(xvk_dtype dtype, unsigned char *packed, const float *x, int64_t count, int64_t token,
                              int64_t tokens, float inverse_factor, const xvk_pack_work *p) {
  const int32_t largest_q = dtype == XVK_INT8 ? INT16_MAX : INT8_MAX;
  const int64_t scales = (xvk_packed_size(dtype) - 8) * tokens;
  const float scale = xvk_pack_scale(dtype, largest_of(x, count), inverse_factor);
  const float inverse = scale > 0 ? inverse_factor / scale : 0;
  const float stored = p->has_exponents ? xvk_stored_scale(dtype, scale * p->unit) : scale * p->unit;
  int32_t minus_sum = 0;
  for (int64_t i = 0; i < XVK_GROUP; ++i) {
    const float value = i < count ? x[i] * inverse : 0;
    const int32_t rounded = isnan(value) ? 0 : (int32_t)rintf(value), low = rounded < largest_q ? rounded : largest_q;
    const int32_t q = low > -largest_q ? low : -largest_q;
    if (dtype == XVK_INT8) {
      const int16_t word = (int16_t)q;
      memcpy(packed + (i / 2 * tokens + token) * XVK_STEP + i % 2 * 2, &word, sizeof word);
    } else {
      packed[(i / 4 * tokens + token) * XVK_STEP + i % 4] = (unsigned char)q;
      minus_sum -= q;
    }
  }
  if (p->has_exponents) minus_sum = xvk_stored_sum(p->tokens, stored, minus_sum);
  memcpy(packed + scales + 4 * token, &stored, sizeof stored);
  memcpy(packed + scales + 4 * tokens + 4 * token, &minus_sum, sizeof minus_sum);
}

static inline void pack(xvk_dtype dtype, const xvk_pack_work *p, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(p->cols), size = xvk_packed_size(dtype);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t first = tile * p->tile, left = p->tokens - first, tokens = left < p->tile ? left : p->tile;
    for (int64_t t = 0; t < tokens; ++t) {
      const float *const x = p->x + (first + t) * p->cols;
      const int32_t factor = choose_factor(dtype, x, p);
      p->factors[first + t] = xvk_factors[factor];
      for (int64_t group = 0; group < groups; ++group) {
        unsigned char *const packed = p->packed + (first * groups + group * tokens) * size;
        pack_group(dtype, packed, x + group * XVK_GROUP, columns_of(p, group), t, tokens, xvk_inverse_factors[factor],
                   p);
      }
    }
  }
}

void xvk_pack_s16_reference(const void *work, int64_t begin, int64_t end) { pack(XVK_INT8, work, begin, end); }
void xvk_pack_s8_reference(const void *work, int64_t begin, int64_t end) { pack(XVK_INT4, work, begin, end); }
