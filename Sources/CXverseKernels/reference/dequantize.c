// dequantize.c -- y[c] = W[row, c] of a row of a panel of quantized weights, rounded once: the look-up of an embedding.
#include "../quantized.h"

void xvk_dequantize_row(xvk_dtype dtype, float *y, const unsigned char *panel, int64_t row, int64_t cols) {
  const unsigned char *block = panel;
  for (int64_t col = 0; col < cols; col += XVK_GROUP, block += xvk_block_size(dtype)) {
    const float scale = xvk_block_scale(dtype, block, row) * xvk_scale_unit(dtype);
    for (int64_t i = 0; i < XVK_GROUP && col + i < cols; ++i)
      y[col + i] = scale * (float)xvk_block_level(dtype, block, row, i);
  }
}
