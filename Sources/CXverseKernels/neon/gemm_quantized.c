// gemm_quantized.c -- y = x W^T for int8 and 4-bit weights with NEON and its dot products: a vector holds 4 rows.
//
// int4: sdot adds four products s8 * s8 a row; codes become 8 code - zero, so nothing corrects the sums.
// int8: smlal adds products s16 * s16; pairs of columns are added in the end.
// A quarter of a panel is taken from memory once a tile of TILE tokens. One token (decode) is bound by memory.
#if defined(__aarch64__)
#include <arm_neon.h>
#include "../quantized.h"

#define XVK_INLINE static inline __attribute__((always_inline))

enum { LANES = 4, QUARTERS = XVK_PANEL / LANES, TILE = 4 };

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)

// 4 rows of a group as s8: for int4 [8 steps][4 rows][4], for int8 [16 steps][4 rows][2] in half as many vectors.
typedef struct {
  int8x16_t weights[XVK_INT4_STEPS];
  float32x4_t scales;
} quarter;

// The zero point of each row in all bytes of its lane.
XVK_INLINE int8x16_t load_zeros(xvk_dtype dtype, const unsigned char *block, int first) {
  uint32_t zeros[LANES];
  for (int i = 0; i < LANES; ++i) zeros[i] = 0x01010101 * (uint32_t)xvk_block_zero(dtype, block, first + i);
  return vreinterpretq_s8_u32(vld1q_u32(zeros));
}

XVK_INLINE quarter load_quarter(xvk_dtype dtype, const unsigned char *block, int first) {
  quarter q;
  const uint16x4_t words = vld1_u16((const void *)(block + xvk_block_scales(dtype) + 2 * first));
  const uint16x4_t scale = vshr_n_u16(vand_u16(words, vdup_n_u16(XVK_INT4_SCALE)), XVK_INT4_SHIFT);
  q.scales = vcvt_f32_f16(vreinterpret_f16_u16(dtype == XVK_INT4 ? scale : words));
  if (dtype == XVK_INT8) {
    for (int step = 0; step < XVK_INT8_STEPS; step += 2) {
      const unsigned char *const place = block + 2 * (step * XVK_PANEL + first);
      q.weights[step / 2] = vcombine_s8(vld1_s8((const void *)place), vld1_s8((const void *)(place + 2 * XVK_PANEL)));
    }
    return q;
  }
  const int8x16_t zeros = load_zeros(dtype, block, first);
  for (int step = 0; step < XVK_INT4_STEPS; step += 2) {
    const uint8x16_t both = vld1q_u8(block + 4 * (step / 2 * XVK_PANEL + first));
    const uint8x16_t low = vshlq_n_u8(vandq_u8(both, vdupq_n_u8(15)), 3), high = vshlq_n_u8(vshrq_n_u8(both, 4), 3);
    q.weights[step] = vsubq_s8(vreinterpretq_s8_u8(low), zeros);
    q.weights[step + 1] = vsubq_s8(vreinterpretq_s8_u8(high), zeros);
  }
  return q;
}

XVK_INLINE int32x4_t dot_int4(const quarter *w, const unsigned char *x, int token, int tokens) {
  int32x4_t sum = vdupq_n_s32(0);
  for (int step = 0; step < XVK_INT4_STEPS; ++step) {
    const int32_t q = xvk_load_s32(x + (step * tokens + token) * XVK_STEP);
    sum = vdotq_s32(sum, w->weights[step], vreinterpretq_s8_s32(vdupq_n_s32(q)));
  }
  return sum;
}

XVK_INLINE int32x4_t dot_int8(const quarter *w, const unsigned char *x, int token, int tokens) {
  int32x4_t first = vdupq_n_s32(0), second = vdupq_n_s32(0);  // pairs of the rows 0 and 1, 2 and 3
  for (int step = 0; step < XVK_INT8_STEPS; ++step) {
    const int16x8_t q = vreinterpretq_s16_s32(vdupq_n_s32(xvk_load_s32(x + (step * tokens + token) * XVK_STEP)));
    const int8x16_t both = w->weights[step / 2];
    const int16x8_t weights = vmovl_s8(step % 2 ? vget_high_s8(both) : vget_low_s8(both));
    first = vmlal_s16(first, vget_low_s16(weights), vget_low_s16(q));
    second = vmlal_s16(second, vget_high_s16(weights), vget_high_s16(q));
  }
  return vpaddq_s32(first, second);
}

XVK_INLINE void store_rows(float *y, float32x4_t value, int64_t count) {
  if (count >= LANES) {
    vst1q_f32(y, value);
  } else if (count > 0) {
    float rows[LANES];
    vst1q_f32(rows, value);
    memcpy(y, rows, (size_t)count * sizeof *y);
  }
}

// A panel times `tokens` tokens of a tile.
XVK_INLINE void tile(xvk_dtype dtype, int tokens, const xvk_gemm_work *g, int64_t row, int64_t token) {
  const int64_t groups = xvk_groups(g->cols), size = xvk_block_size(dtype), packed = xvk_packed_size(dtype);
  const unsigned char *block = g->w + row / XVK_PANEL * g->w_stride, *x = xvk_packed_tile(dtype, g, token);
  float32x4_t y[TILE][QUARTERS];
  for (int t = 0; t < tokens; ++t)
    for (int i = 0; i < QUARTERS; ++i) y[t][i] = vdupq_n_f32(0);
  for (int64_t group = 0; group < groups; ++group, block += size, x += tokens * packed) {
    for (int i = 0; i < QUARTERS; ++i) {
      const quarter w = load_quarter(dtype, block, i * LANES);
      for (int t = 0; t < tokens; ++t) {
        const int32x4_t sum = dtype == XVK_INT8 ? dot_int8(&w, x, t, tokens) : dot_int4(&w, x, t, tokens);
        const float x_scale = xvk_load_f32(x + (packed - 8) * tokens + 4 * t);
        y[t][i] = vfmaq_f32(y[t][i], vcvtq_f32_s32(sum), vmulq_n_f32(w.scales, x_scale));
      }
    }
  }
  for (int t = 0; t < tokens; ++t) {
    for (int i = 0; i < QUARTERS; ++i) {
      const int64_t r = row + i * LANES;
      store_rows(g->y + (token + t) * g->y_stride + r, vmulq_n_f32(y[t][i], g->factors[token + t]), g->rows - r);
    }
  }
}

XVK_INLINE void gemm(xvk_dtype dtype, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; row += XVK_PANEL) {
    for (int64_t token = 0; token < g->tokens; token += TILE) {
      switch (g->tokens - token) {
        case 1:
          tile(dtype, 1, g, row, token);
          break;
        case 2:
          tile(dtype, 2, g, row, token);
          break;
        case 3:
          tile(dtype, 3, g, row, token);
          break;
        default:
          tile(dtype, TILE, g, row, token);
          break;
      }
    }
  }
}

void xvk_gemm_s16_int8_neon(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT8, work, begin, end); }
void xvk_gemm_s8_int4_neon(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4, work, begin, end); }
void xvk_gemm_s8_int4_f16_neon(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4_F16, work, begin, end); }

#pragma clang attribute pop
#endif
