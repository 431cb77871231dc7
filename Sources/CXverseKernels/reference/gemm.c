// gemm.c -- y[t, r] = sum over c of x[t, c] * W[r, c], one dot product after the other.
//
//   x [tokens, cols] f32, W [rows, cols] f32 | f16 | bf16, y [tokens, y_stride] f32
//
// Sum i takes the columns that leave the remainder i when divided by LANES; the sums are then added in halves. Besides
// being closer to the exact value than one long sum, this is an order that compilers can turn into vectors.
#include "../numbers.h"

enum { LANES = 16 };

static inline float dot(xvk_dtype dtype, const unsigned char *w, const float *x, int64_t cols) {
  float sum[LANES] = {0};
  int64_t col = 0;
  for (; col + LANES <= cols; col += LANES)
    for (int lane = 0; lane < LANES; ++lane) sum[lane] += x[col + lane] * xvk_load(dtype, w, col + lane);
  for (int lane = 0; col + lane < cols; ++lane) sum[lane] += x[col + lane] * xvk_load(dtype, w, col + lane);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane) sum[lane] += sum[lane + width];
  return sum[0];
}

static inline void gemm(xvk_dtype dtype, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const float *const x = g->x;
  for (int64_t r = begin; r < end; ++r) {
    const unsigned char *const row = g->w + r * g->w_stride;
    for (int64_t t = 0; t < g->tokens; ++t) g->y[t * g->y_stride + r] = dot(dtype, row, x + t * g->cols, g->cols);
  }
}

void xvk_gemm_f32_f32_reference(const void *work, int64_t begin, int64_t end) { gemm(XVK_F32, work, begin, end); }
void xvk_gemm_f32_f16_reference(const void *work, int64_t begin, int64_t end) { gemm(XVK_F16, work, begin, end); }
void xvk_gemm_f32_bf16_reference(const void *work, int64_t begin, int64_t end) { gemm(XVK_BF16, work, begin, end); }
