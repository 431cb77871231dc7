// ggml_widen.c -- y = W of ggml's block types, bit for bit what ggml's own dequantize_row_* give: the same products and
// differences, none of them fused.
#include "../ggml.h"
#pragma STDC FP_CONTRACT OFF

// For m -0: the one number that added to any leaves it as it is, its sign included.
static const float NO_OFFSET = -0.0f;

static void widen_q4(float *y, const unsigned char *codes, float d, float offset, float m) {
  for (int i = 0; i < 16; ++i) {
    y[i] = d * ((float)(codes[i] & 15) - offset) + m;
    y[i + 16] = d * ((float)(codes[i] >> 4) - offset) + m;
  }
}

static void widen_q5(float *y, const unsigned char *codes, const unsigned char *bits, float d, float offset, float m) {
  for (int i = 0; i < 16; ++i) {
    const int low = bits[i / 8] >> i % 8 & 1, high = bits[2 + i / 8] >> i % 8 & 1;
    y[i] = d * ((float)((codes[i] & 15) | low << 4) - offset) + m;
    y[i + 16] = d * ((float)(codes[i] >> 4 | high << 4) - offset) + m;
  }
}

static void widen_q8_0(float *y, const unsigned char *w) {
  const float d = xvk_ggml_f16(w);
  for (int i = 0; i < 32; ++i) y[i] = d * (float)(int8_t)w[2 + i];
}

static void widen_q2_k(float *y, const unsigned char *w) {
  const unsigned char *const codes = w + 16;
  const float d = xvk_ggml_f16(w + 80), m = xvk_ggml_f16(w + 82);
  for (int g = 0; g < 16; ++g) {  // the groups of 16; four pairs of them share 32 bytes
    const float scale = d * (float)(w[g] & 15), min = m * (float)(w[g] >> 4);
    const unsigned char *const bytes = codes + g / 8 * 32 + g % 2 * 16;
    for (int i = 0; i < 16; ++i) y[16 * g + i] = scale * (float)(bytes[i] >> g % 8 / 2 * 2 & 3) - min;
  }
}

static void widen_q3_k(float *y, const unsigned char *w) {
  const unsigned char *const bits = w, *const codes = w + 32, *const s = w + 96;
  const float d = xvk_ggml_f16(w + 108);
  for (int g = 0; g < 16; ++g) {
    const int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4, high = s[8 + g % 4] >> g / 4 * 2 & 3;
    const float scale = d * (float)((low | high << 4) - 32);
    const unsigned char *const bytes = codes + g / 8 * 32 + g % 2 * 16, *const thirds = bits + g % 2 * 16;
    for (int i = 0; i < 16; ++i) {
      const int code = (bytes[i] >> g % 8 / 2 * 2 & 3) - (thirds[i] >> g / 2 & 1 ? 0 : 4);
      y[16 * g + i] = scale * (float)code;
    }
  }
}

// With `bits` Q5_K, else Q4_K.
static void widen_q45_k(float *y, const unsigned char *w, const unsigned char *bits, const unsigned char *codes) {
  const float d = xvk_ggml_f16(w), m = xvk_ggml_f16(w + 2);
  for (int g = 0; g < 8; ++g) {  // two groups of 32 share 32 bytes
    int32_t scale, min;
    xvk_ggml_scale_min(w + 4, g, &scale, &min);
    const float step = d * (float)scale, offset = m * (float)min;
    for (int i = 0; i < 32; ++i) {
      const int code = (codes[g / 2 * 32 + i] >> g % 2 * 4 & 15) | (bits ? bits[i] >> g & 1 : 0) << 4;
      y[32 * g + i] = step * (float)code - offset;
    }
  }
}

static void widen_q6_k(float *y, const unsigned char *w) {
  const float d = xvk_ggml_f16(w + 208);
  for (int g = 0; g < 16; ++g) {  // half of 128 columns, quarter of 32 in it, group of 16 in that
    const int half = g / 8, quarter = g % 8 / 2;
    const unsigned char *const low = w + half * 64 + quarter % 2 * 32 + g % 2 * 16;
    const unsigned char *const high = w + 128 + half * 32 + g % 2 * 16;
    const float scale = d * (float)(int8_t)w[192 + g];
    for (int i = 0; i < 16; ++i) {
      const int code = (low[i] >> quarter / 2 * 4 & 15) | (high[i] >> quarter * 2 & 3) << 4;
      y[16 * g + i] = scale * (float)(code - 32);
    }
  }
}

static void widen_block(int32_t type, float *y, const unsigned char *w) {
  switch (type) {
    case XVK_GGML_Q4_0:
      widen_q4(y, w + 2, xvk_ggml_f16(w), 8, NO_OFFSET);
      break;
    case XVK_GGML_Q4_1:
      widen_q4(y, w + 4, xvk_ggml_f16(w), 0, xvk_ggml_f16(w + 2));
      break;
    case XVK_GGML_Q5_0:
      widen_q5(y, w + 6, w + 2, xvk_ggml_f16(w), 16, NO_OFFSET);
      break;
    case XVK_GGML_Q5_1:
      widen_q5(y, w + 8, w + 4, xvk_ggml_f16(w), 0, xvk_ggml_f16(w + 2));
      break;
    case XVK_GGML_Q8_0:
      widen_q8_0(y, w);
      break;
    case XVK_GGML_Q2_K:
      widen_q2_k(y, w);
      break;
    case XVK_GGML_Q3_K:
      widen_q3_k(y, w);
      break;
    case XVK_GGML_Q4_K:
      widen_q45_k(y, w, NULL, w + 16);
      break;
    case XVK_GGML_Q5_K:
      widen_q45_k(y, w, w + 16, w + 48);
      break;
    default:
      widen_q6_k(y, w);
  }
}

void xvk_ggml_widen_rows(const void *work, int64_t begin, int64_t end) {
  const xvk_ggml_widen_work *const g = work;
  const int64_t columns = xvk_ggml_columns(g->type), size = xvk_ggml_block(g->type), blocks = g->cols / columns;
  for (int64_t block = begin * blocks; block < end * blocks; ++block)
    widen_block(g->type, g->y + block * columns, g->w + block * size);
}
