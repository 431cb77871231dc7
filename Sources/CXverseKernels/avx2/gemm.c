// gemm.c -- y[t, r] = sum over c of x[t, c] * W[r, c] for a few tokens, W read from memory once.
//
//   x [tokens, cols] f32, W [rows, cols] f32 | f16 | bf16 at any byte, y [tokens, y_stride] f32
//
// Each (token, row) has one vector of 8 sums: sum i takes the columns that leave the remainder i when divided by 8. So
// its bits depend on neither the tokens nor the rows that it is computed together with.
//
// One token is bound by memory. The rows that are multiplied together stand a quarter of the range apart: 4 streams
// that each go on without a break, so that what lies some bytes ahead is always what comes next. More tokens are
// bound by the multipliers: 4 rows x 3 tokens fill 12 of the 16 registers with sums, and a widened vector of W is
// used 3 times.
#if defined(__x86_64__)
#include "vectors.h"

enum { ROWS = 4, TOKENS = 3, UNROLL = 4 };

// Bytes that are read ahead. One core of a Zen 5 reads f32 at 0.98 of what it can read bare; bf16 and f16, which take
// twice the instructions a byte, at 0.90 with 1536, 0.99 and 0.96 with 2304, 0.98 and 0.85 with 4096. (bench_kernels 1
// 7 gemv)
enum { PREFETCH = 1536, PREFETCH_NARROW = 2304 };

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

// Adds 8 columns to the sums of a tile; `some` < 8 of them when it is not 0.
XVK_INLINE void step(xvk_dtype dtype, int rows, int tokens, __m256 sums[ROWS][TOKENS], const unsigned char *w,
                     int64_t row_size, const float *x, int64_t cols, int64_t some) {
  __m256 xs[TOKENS];
  for (int t = 0; t < tokens; ++t) {
    const unsigned char *const place = (const unsigned char *)(x + t * cols);
    xs[t] = some ? load_some(XVK_F32, place, some) : load8(XVK_F32, place);
  }
  for (int r = 0; r < rows; ++r) {
    const unsigned char *const place = w + r * row_size;
    const __m256 ws = some ? load_some(dtype, place, some) : load8(dtype, place);
    for (int t = 0; t < tokens; ++t) sums[r][t] = _mm256_fmadd_ps(ws, xs[t], sums[r][t]);
  }
}

// Rows row, row + apart, row + 2 * apart ... times the tokens token, token + 1 ...
XVK_INLINE void tile(xvk_dtype dtype, int rows, int tokens, const xvk_gemm_work *g, int64_t row, int64_t apart,
                     int64_t token) {
  const int64_t size = xvk_dtype_size(dtype), row_size = g->w_stride;
  const int64_t ahead = dtype == XVK_F32 ? PREFETCH : PREFETCH_NARROW;
  const unsigned char *const w = g->w + row * row_size;
  const float *const x = (const float *)g->x + token * g->cols;
  __m256 sums[ROWS][TOKENS];
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) sums[r][t] = _mm256_setzero_ps();

  int64_t col = 0;
  for (; col + 8 * UNROLL <= g->cols; col += 8 * UNROLL) {
    for (int r = 0; r < rows; ++r)
      for (int line = 0; line < 8 * UNROLL * size; line += 64)
        _mm_prefetch((const char *)w + r * apart * row_size + col * size + line + ahead, _MM_HINT_T0);
    for (int i = 0; i < 8 * UNROLL; i += 8)
      step(dtype, rows, tokens, sums, w + (col + i) * size, apart * row_size, x + col + i, g->cols, 0);
  }
  for (; col + 8 <= g->cols; col += 8)
    step(dtype, rows, tokens, sums, w + col * size, apart * row_size, x + col, g->cols, 0);
  if (col < g->cols) step(dtype, rows, tokens, sums, w + col * size, apart * row_size, x + col, g->cols, g->cols - col);

  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) g->y[(token + t) * g->y_stride + row + r * apart] = sum8(sums[r][t]);
}

XVK_INLINE void all_tokens(xvk_dtype dtype, int rows, const xvk_gemm_work *g, int64_t row, int64_t apart) {
  int64_t token = 0;
  for (; token + 3 <= g->tokens; token += 3) tile(dtype, rows, 3, g, row, apart, token);
  if (g->tokens - token == 2) tile(dtype, rows, 2, g, row, apart, token);
  if (g->tokens - token == 1) tile(dtype, rows, 1, g, row, apart, token);
}

XVK_INLINE void gemm(xvk_dtype dtype, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const int64_t apart = (end - begin) / ROWS;
  for (int64_t i = 0; i < apart; ++i) all_tokens(dtype, ROWS, g, begin + i, apart);
  for (int64_t row = begin + ROWS * apart; row < end; ++row) all_tokens(dtype, 1, g, row, 1);
}

void xvk_gemm_f32_f32_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_F32, work, begin, end); }
void xvk_gemm_f32_f16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_F16, work, begin, end); }
void xvk_gemm_f32_bf16_avx2(const void *work, int64_t begin, int64_t end) { gemm(XVK_BF16, work, begin, end); }

#pragma clang attribute pop
#endif
