// ggml.h -- where the numbers of ggml's block types stand (ggml-common.h of llama.cpp), and what is done with them.
//
// Blocks of 32 columns, d and m f16; the columns 0 ..< 16 in the low nibbles, 16 ..< 32 in the high ones:
//   Q4_0, 18 bytes    d, codes [16]                   d * (code - 8)
//   Q4_1, 20          d, m, codes [16]                d * code + m
//   Q5_0, 22          d, u32 fifth bits, codes [16]   d * (code - 16)
//   Q5_1, 24          d, m, fifth bits, codes [16]    d * code + m
//   Q8_0, 34          d, s8 q [32]                    d * q
// Blocks of 256 columns, with scales of 16 columns (Q2_K, Q3_K, Q6_K) or 32 that have 4, 6 or 8 bits themselves:
//   Q2_K, 84          u8 scales [16], codes [64], d, m                 d * scale * code - m * min
//   Q3_K, 110         third bits [32], codes [64], scales [12], d      d * (scale - 32) * (code - 4)
//   Q4_K, 144         d, m, scales [12], codes [128]                   d * scale * code - m * min
//   Q5_K, 176         d, m, scales [12], fifth bits [32], codes [128]  the same
//   Q6_K, 210         codes [128], bits 5 and 6 [64], s8 scales [16], d   d * scale * (code - 32)
#ifndef XVK_GGML_H
#define XVK_GGML_H
#include "numbers.h"

enum { XVK_GGML_GROUP = 32, XVK_GGML_SUPER = 256 };

// Unit: a row of w.
typedef struct {
  float *y;
  const unsigned char *w;
  int64_t cols;
  int32_t type;
} xvk_ggml_widen_work;

// Unit: a row of w. *faults becomes 1 when a number does not fit; zeros NULL for codes of 8 bits.
typedef struct {
  unsigned char *codes;
  uint16_t *scales;
  uint8_t *zeros;
  const unsigned char *w;
  int64_t cols;
  int32_t type;
  int32_t *faults;
} xvk_ggml_split_work;

// Unit: a row of w. *faults becomes 1 when a number is not finite or beyond the largest f16.
typedef struct {
  unsigned char *w;
  const float *x;
  int64_t cols;
  int32_t type;
  int32_t *faults;
} xvk_ggml_narrow_work;

static inline int64_t xvk_ggml_columns(int32_t type) { return type >= XVK_GGML_Q2_K ? XVK_GGML_SUPER : XVK_GGML_GROUP; }

static inline int64_t xvk_ggml_block(int32_t type) {
  switch (type) {
    case XVK_GGML_Q4_0:
      return 18;
    case XVK_GGML_Q4_1:
      return 20;
    case XVK_GGML_Q5_0:
      return 22;
    case XVK_GGML_Q5_1:
      return 24;
    case XVK_GGML_Q8_0:
      return 34;
    case XVK_GGML_Q2_K:
      return 84;
    case XVK_GGML_Q3_K:
      return 110;
    case XVK_GGML_Q4_K:
      return 144;
    case XVK_GGML_Q5_K:
      return 176;
    default:
      return 210;
  }
}

static inline int64_t xvk_ggml_row(int32_t type, int64_t cols) {
  return cols / xvk_ggml_columns(type) * xvk_ggml_block(type);
}

static inline uint16_t xvk_ggml_bits(const unsigned char *place) { return (uint16_t)(place[0] | place[1] << 8); }
static inline float xvk_ggml_f16(const unsigned char *place) { return xvk_widen_f16(xvk_ggml_bits(place)); }

// The 6 bits of scale and minimum of group g ..< 8 in the 12 bytes of Q4_K and Q5_K.
static inline void xvk_ggml_scale_min(const unsigned char *s, int64_t g, int32_t *scale, int32_t *min) {
  *scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
  *min = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | s[g] >> 6 << 4;
}

xvk_range xvk_ggml_widen_rows, xvk_ggml_split_int8_rows, xvk_ggml_split_int4_rows, xvk_ggml_narrow_rows;

#endif
