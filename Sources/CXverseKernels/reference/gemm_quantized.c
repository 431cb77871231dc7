// gemm_quantized.c -- y = x W^T for int8 and 4-bit weights, one dot product after the other.
//
//   x packed by pack.c, W blocks (quantized.h), y [tokens, y_stride] f32
//
// In a group the products are integers, and so is their sum; the groups are added in order:
//   y[t, r] = fma(sum over c of level[r, c] * q[t, c], scale[r, g] * x_scale[t, g], y[t, r])
// and the last result is multiplied by factor[t].
// Every instruction set rounds at these places and nowhere else, so all of them give the same bits, one token or many.
#include <math.h>
#include "../quantized.h"

static inline int32_t packed_q(xvk_dtype dtype, const unsigned char *x, int64_t i, int64_t token, int64_t tokens) {
  if (dtype != XVK_INT8) return (int8_t)x[(i / 4 * tokens + token) * XVK_STEP + i % 4];
  return (int16_t)xvk_load_u16(x + (i / 2 * tokens + token) * XVK_STEP + i % 2 * 2);
}

static inline float dot(xvk_dtype dtype, const unsigned char *panel, int64_t row, const unsigned char *x, int64_t token,
                        int64_t tokens, int64_t groups) {
  const int64_t scales = (xvk_packed_size(dtype) - 8) * tokens;
  float y = 0;
  for (int64_t group = 0; group < groups; ++group) {
    int32_t sum = 0;
    for (int64_t i = 0; i < XVK_GROUP; ++i)
      sum += xvk_block_level(dtype, panel, row, i) * packed_q(dtype, x, i, token, tokens);
    y = fmaf((float)sum, xvk_block_scale(dtype, panel, row) * xvk_load_f32(x + scales + 4 * token), y);
    panel += xvk_block_size(dtype);
    x += xvk_packed_size(dtype) * tokens;
  }
  return y;
}

static inline void gemm(xvk_dtype dtype, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(g->cols);
  for (int64_t first = 0; first < g->tokens; first += g->tile) {
    const int64_t left = g->tokens - first, tokens = left < g->tile ? left : g->tile;
    const unsigned char *const x = xvk_packed_tile(dtype, g, first);
    for (int64_t r = begin; r < end; ++r) {
      const unsigned char *const panel = g->w + r / XVK_PANEL * g->w_stride;
      for (int64_t t = 0; t < tokens; ++t)
        g->y[(first + t) * g->y_stride + r] =
            dot(dtype, panel, r % XVK_PANEL, x, t, tokens, groups) * g->factors[first + t];
    }
  }
}

void xvk_gemm_s16_int8_reference(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT8, work, begin, end); }
void xvk_gemm_s8_int4_reference(const void *work, int64_t begin, int64_t end) { gemm(XVK_INT4, work, begin, end); }
void xvk_gemm_s8_int4_f16_reference(const void *work, int64_t begin, int64_t end) {
  gemm(XVK_INT4_F16, work, begin, end);
}
