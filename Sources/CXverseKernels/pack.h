// pack.h -- activations as integers, LANES at a time: the template of avx2/ and neon/pack.c; reference/pack.c has the
// meaning. Bound: reading x from the L2.
//
// An includer brings the vectors of avx2/floats.h or neon/vectors.h and defines the type integers, of LANES s32, and
//   integers nearest(floats, int32_t most): rounded to the nearest, even, `most` large at most; 0 for NaN
//   integers add_integers(a, b); int32_t sum_of_integers(integers)
//   floats power_above(floats): normal numbers rounded up to powers of two
//   void store_group(dtype, place, integers q[PARTS]): the numbers of a group as s16 for int8, else s8, in their order
#include "quantized.h"

enum { PARTS = XVK_GROUP / LANES, UNITS = XVK_FACTORS / LANES };

typedef struct {
  floats values[PARTS];
} group_values;

// A group of which count <= XVK_GROUP numbers are there.
XVK_INLINE group_values load_group(const float *x, int64_t count) {
  group_values g;
  for (int i = 0; i < PARTS; ++i) {
    const int64_t left = count - LANES * i;
    g.values[i] = left >= LANES ? load(XVK_F32, x + LANES * i)
                  : left > 0    ? load_first(XVK_F32, x + LANES * i, left)
                                : zero();
  }
  return g;
}

XVK_INLINE float largest_of_group(const group_values *g) {
  words largest = magnitudes(g->values[0]);
  for (int i = 1; i < PARTS; ++i) largest = larger_words(largest, magnitudes(g->values[i]));
  return xvk_float_from_bits(largest_word(largest));
}

XVK_INLINE int64_t columns_of(const xvk_pack_work *p, int64_t group) {
  const int64_t left = p->cols - group * XVK_GROUP;
  return left < XVK_GROUP ? left : XVK_GROUP;
}

// Adds the squared units that a group would have with each factor.
XVK_INLINE void add_units(floats sums[UNITS], float largest) {
  if (!(largest >= 0x1p-100f && largest < INFINITY)) return;
  for (int i = 0; i < UNITS; ++i) {
    const floats least = multiply(each(largest * 0x1p-7f), load(XVK_F32, xvk_inverse_factors + LANES * i));
    const floats units = multiply(load(XVK_F32, xvk_factors + LANES * i), power_above(least));
    sums[i] = fused(units, units, sums[i]);
  }
}

// The steps of a group to where those of a token stand.
XVK_INLINE void store_steps(xvk_dtype dtype, unsigned char *packed, const integers q[PARTS], int64_t tokens) {
  const int steps = dtype == XVK_INT8 ? XVK_INT8_STEPS : XVK_INT4_STEPS;
  if (tokens == 1) {
    store_group(dtype, packed, q);
    return;
  }
  unsigned char numbers[XVK_INT8_STEPS * XVK_STEP];
  store_group(dtype, numbers, q);
  for (int i = 0; i < steps; ++i) memcpy(packed + i * tokens * XVK_STEP, numbers + i * XVK_STEP, XVK_STEP);
}

// One group of one token of a tile of `tokens`.
XVK_INLINE void pack_group(xvk_dtype dtype, unsigned char *packed, const group_values *g, float largest, int64_t token,
                           int64_t tokens, float inverse_factor, const xvk_pack_work *p) {
  const int32_t largest_q = dtype == XVK_INT8 ? INT16_MAX : INT8_MAX;
  const int64_t scales = (xvk_packed_size(dtype) - 8) * tokens;
  const float scale = xvk_pack_scale(dtype, largest, inverse_factor);
  const float inverse = scale > 0 ? inverse_factor / scale : 0;
  const float stored = p->has_exponents ? xvk_stored_scale(dtype, scale * p->unit) : scale * p->unit;
  integers q[PARTS];
  for (int i = 0; i < PARTS; ++i) q[i] = nearest(multiply(g->values[i], each(inverse)), largest_q);
  store_steps(dtype, packed + token * XVK_STEP, q, tokens);
  int32_t minus_sum = 0;
  if (dtype != XVK_INT8) {
    for (int i = 1; i < PARTS; ++i) q[0] = add_integers(q[0], q[i]);
    minus_sum = -sum_of_integers(q[0]);
  }
  if (p->has_exponents) minus_sum = xvk_stored_sum(p->tokens, stored, minus_sum);
  memcpy(packed + scales + 4 * token, &stored, sizeof stored);
  memcpy(packed + scales + 4 * tokens + 4 * token, &minus_sum, sizeof minus_sum);
}

// Where the scale of a token will stand, and until then the largest magnitude of its group.
XVK_INLINE unsigned char *scale_place(xvk_dtype dtype, unsigned char *packed, int64_t token, int64_t tokens) {
  return packed + (xvk_packed_size(dtype) - 8) * tokens + 4 * token;
}

XVK_INLINE void pack(xvk_dtype dtype, const xvk_pack_work *p, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(p->cols), size = xvk_packed_size(dtype);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t first = tile * p->tile, left = p->tokens - first, tokens = left < p->tile ? left : p->tile;
    unsigned char *const packed = p->packed + first * groups * size;
    for (int64_t t = 0; t < tokens; ++t) {
      const float *const x = p->x + (first + t) * p->cols;
      floats sums[UNITS];
      for (int i = 0; i < UNITS; ++i) sums[i] = zero();
      for (int64_t group = 0; group < groups; ++group) {
        const group_values g = load_group(x + group * XVK_GROUP, columns_of(p, group));
        const float largest = largest_of_group(&g);
        if (dtype != XVK_INT8) add_units(sums, largest);
        memcpy(scale_place(dtype, packed + group * tokens * size, t, tokens), &largest, sizeof largest);
      }
      float units[XVK_FACTORS];
      for (int i = 0; i < UNITS; ++i) put(units + LANES * i, sums[i]);
      const int32_t factor = xvk_least(units);
      p->factors[first + t] = xvk_factors[factor];
      for (int64_t group = 0; group < groups; ++group) {
        unsigned char *const place = packed + group * tokens * size;
        const group_values g = load_group(x + group * XVK_GROUP, columns_of(p, group));
        const float largest = xvk_load_f32(scale_place(dtype, place, t, tokens));
        pack_group(dtype, place, &g, largest, t, tokens, xvk_inverse_factors[factor], p);
      }
    }
  }
}
