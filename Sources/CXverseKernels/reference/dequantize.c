// dequantize.c -- y[c] = W[row, c] of quantized weights, rounded once: the look-up of an embedding.
#include "../quantized.h"

void xvk_dequantize_row(xvk_number number, float *y, const unsigned char *w, int64_t row, int64_t cols) {
  const unsigned char *block = w + row / XVK_PANEL * xvk_groups(cols) * xvk_block_size(number);
  for (int64_t col = 0; col < cols; col += XVK_GROUP, block += xvk_block_size(number)) {
    const float scale = xvk_block_scale(number, block, row % XVK_PANEL) * xvk_scale_unit(number);
    for (int64_t i = 0; i < XVK_GROUP && col + i < cols; ++i)
      y[col + i] = scale * (float)xvk_block_level(number, block, row % XVK_PANEL, i);
  }
}
