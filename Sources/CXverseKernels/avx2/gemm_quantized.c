// gemm_quantized.c -- y = x W^T for int8 and 4-bit weights with AVX2: a vector holds 8 rows, half a panel.
//
// 4 bits: maddubs adds two products u8 * s8 in s16. A code times an activation is at most 15 * 127, so the products of a group
// are added in s16 (8 * 2 * 1905 = 30480) before one madd widens them: a multiply and an add for 32 products of a row pair.
// int8: madd adds two products s16 * s16. (Bytes times bytes would pass s16; s16 times s16 is as fast as the ways around it,
// and keeps 16 bits of the activations.)
#if defined(__x86_64__)
#include "../quantized.h"
#include "vectors.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define TILE_TOKENS 4
enum { LANES = 8, PANELS = 4, TILE = TILE_TOKENS, FEW = 4 };
typedef __m256i ints;
typedef __m256 floats;
enum { EIGHTFOLD = 0 };
typedef ints partial;

XVK_INLINE ints zero_ints(void) { return _mm256_setzero_si256(); }
XVK_INLINE ints load_ints(const unsigned char *place) { return _mm256_loadu_si256((const void *)place); }
XVK_INLINE ints each_s32(int32_t value) { return _mm256_set1_epi32(value); }
XVK_INLINE ints and(ints a, ints b) { return _mm256_and_si256(a, b); }
XVK_INLINE ints shift1(ints a) { return _mm256_srli_epi16(a, 1); }
XVK_INLINE ints shift4(ints a) { return _mm256_srli_epi16(a, 4); }
XVK_INLINE ints times8(ints a) { return _mm256_slli_epi32(a, 3); }
XVK_INLINE ints add(ints a, ints b) { return _mm256_add_epi32(a, b); }
XVK_INLINE ints subtract(ints a, ints b) { return _mm256_sub_epi32(a, b); }
XVK_INLINE ints widen_bytes(const unsigned char *place) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)place));
}
XVK_INLINE ints load_words(const unsigned char *place) {
  return _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)place));
}
XVK_INLINE ints load_bytes(const unsigned char *place) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)place));
}
XVK_INLINE ints dot_s16(ints sum, ints a, ints b) { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
XVK_INLINE ints accumulate_s16(ints sum, ints a, ints b) { return dot_s16(sum, a, b); }
XVK_INLINE floats zero_floats(void) { return _mm256_setzero_ps(); }
XVK_INLINE floats each_f32(float value) { return _mm256_set1_ps(value); }
XVK_INLINE floats to_float(ints a) { return _mm256_cvtepi32_ps(a); }
XVK_INLINE floats multiply(floats a, floats b) { return _mm256_mul_ps(a, b); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }
XVK_INLINE floats load_scales(const unsigned char *place, int mask, int shift) {
  return _mm256_cvtph_ps(_mm_srli_epi16(_mm_and_si128(_mm_loadu_si128((const void *)place), _mm_set1_epi16((short)mask)), shift));
}

XVK_INLINE floats load_rows(const float *y, int64_t count) {
  return count < LANES ? load_some(XVK_F32, (const unsigned char *)y, count) : _mm256_loadu_ps(y);
}
XVK_INLINE void store_rows(float *y, floats value, int64_t count) {
  if (count >= LANES) {
    _mm256_storeu_ps(y, value);
  } else if (count > 0) {
    float rows[LANES];
    _mm256_storeu_ps(rows, value);
    memcpy(y, rows, (size_t)count * sizeof *y);
  }
}

// ---- codes of 4 bits ----

XVK_INLINE partial no_products(void) { return zero_ints(); }
XVK_INLINE partial add_products(partial sum, ints codes, ints q) {
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, q));
}
XVK_INLINE partial accumulate_bytes(partial sum, ints codes, ints q) { return add_products(sum, codes, q); }
XVK_INLINE ints sum_of(partial low, partial high) {
  return _mm256_madd_epi16(_mm256_add_epi16(low, high), _mm256_set1_epi16(1));
}

#include "../gemm_quantized.h"

// Codes; zero points in `start`.
XVK_INLINE strip unpack_int4(const unsigned char *codes, ints zeros) {
  const ints nibble = each_s32(0x0F0F0F0F);
  strip s = {.start = zeros};
  for (int step = 0; step < XVK_INT4_STEPS; step += 2) {
    const ints both = load_ints(codes + step / 2 * XVK_STEP * XVK_PANEL);
    s.weights[step] = and(both, nibble);
    s.weights[step + 1] = and(shift4(both), nibble);
  }
  return s;
}

XVK_INLINE void multiply_int4(int tokens, int vectors, const strip *const strips[VECTORS], const unsigned char *x,
                              ints sums[TILE][VECTORS]) {
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) sums[t][v] = no_products();
#pragma clang loop unroll(full)
  for (int step = 0; step < XVK_INT4_STEPS; ++step) {
    for (int t = 0; t < tokens; ++t) {
      const ints q = each_s32(xvk_load_s32(x + (step * tokens + t) * XVK_STEP));
      for (int v = 0; v < vectors; ++v) sums[t][v] = add_products(sums[t][v], strips[v]->weights[step], q);
    }
  }
  for (int t = 0; t < tokens; ++t) {
    const int32_t x_sum = xvk_load_s32(x + (XVK_S8_GROUP - 4) * tokens + 4 * t);
    for (int v = 0; v < vectors; ++v)
      sums[t][v] = subtract(times8(sum_of(sums[t][v], no_products())), times_s16(strips[v]->start, x_sum));
  }
}

void xvk_gemm_s16_int8_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT8, work, begin, end); }
void xvk_gemm_s8_int4_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4, work, begin, end); }
void xvk_gemm_s8_int4_f16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4_F16, work, begin, end); }

#pragma clang attribute pop
#endif
