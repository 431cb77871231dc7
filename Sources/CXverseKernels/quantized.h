// quantized.h -- where the numbers of int8, int4 and int4_f16 weights stand, and of the activations that they multiply.
//
// A weight block holds 16 rows x 32 columns. Steps of a few columns follow each other; in a step the rows of the panel,
// each with its columns side by side. A vector of any width then holds whole rows of a step, and one multiply-add
// instruction sums the products of a row: four of bytes, or two of 16 bits.
//
//   int8, 544 bytes   s8 [16 steps][16 rows][2]   q of the columns 2 step, 2 step + 1; q in -127 ... 127
//                     f16 [16 rows]               scales                                     W = scale * q
//   int4, 288 bytes   u8 [4 steps][16 rows][4]    low nibbles: codes of the columns 8 step ..< 8 step + 4
//                                                 high nibbles: of the 4 columns after them
//                     u16 [16 rows]               scale and zero point               W = scale * (8 code - zero)
//   int4_f16, 304     as int4 [4 steps][16][4]
//                     f16 [16 rows], u8 [16]      scales, zero points                W = scale / 8 * (8 code - zero)
//
// The u16 of an int4 row has its zero point, in eighths of a code 0 ... 127, in the low 7 bits; above them stand the 4
// low bits of the exponent and the 5 leading bits of the fraction of the scale as an f16, all of whose other bits are
// 0: a scale is below 2. int4_f16 is for weights that others quantized: any f16, zero points 0 ... 128; the scales of
// packed activations hold the eighth.
//
// Activations are s8 for 4-bit weights and s16 for int8 ones: half a unit of either is little beside what the weights
// lost. What an integer stands for is a power of two that its group of a token has, and a factor that the token has:
// the product of the scales of a group is then exact, and costs no multiplication where exponents can be added. The
// factor is the one of XVK_FACTORS, 2^(i / 8), that makes the sum of the squared units of the token's groups least; for
// s16 it is 1. Tokens are packed by tiles, a tile's groups one after the other:
//
//   group of a tile of n tokens for 4 bits, 40 n bytes   s8 [8 steps][n tokens][4]     q
//                                                        f32 [n], s32 [n]              scales, minus the sums of q
//   group of a tile of n tokens for int8, 72 n bytes     s16 [16 steps][n tokens][2]   q
//                                                        f32 [n], s32 [n]              scales, nothing
//
// so that what a kernel reads next is what stands next. All tiles but the last have the same number of tokens.
// Instruction sets that can scale by exponents want something else instead, as xvk_stored_scale and xvk_stored_sum say.
#ifndef XVK_QUANTIZED_H
#define XVK_QUANTIZED_H
#include <math.h>
#include "numbers.h"

enum {
  XVK_INT8_CODES = XVK_PANEL * XVK_GROUP,
  XVK_INT4_CODES = XVK_INT8_CODES / 2,
  XVK_INT8_STEPS = XVK_GROUP / 2,
  XVK_INT4_STEPS = XVK_GROUP / 4,  // of packed activations and unpacked weights; a block has half as many
  XVK_STEP = 4,                    // bytes of a row, or of a token, in a step
  XVK_S8_GROUP = XVK_INT4_STEPS * XVK_STEP + 8,
  XVK_S16_GROUP = XVK_INT8_STEPS * XVK_STEP + 8,
  XVK_INT4_ZERO = 0x7F,
  XVK_INT4_SCALE = 0xFF80,  // of which an f16 stands XVK_INT4_SHIFT bits too far up
  XVK_INT4_SHIFT = 2,
  XVK_INT4_F16_ZEROS = XVK_INT4_CODES + 2 * XVK_PANEL,
  XVK_INT4_F16_LARGEST_ZERO = 128,  // -zero is an s8 as well
};

static inline int64_t xvk_groups(int64_t cols) { return (cols + XVK_GROUP - 1) / XVK_GROUP; }
static inline int64_t xvk_panels(int64_t rows) { return (rows + XVK_PANEL - 1) / XVK_PANEL; }

static inline int64_t xvk_block_size(xvk_dtype dtype) {
  return dtype == XVK_INT8 ? XVK_INT8_BLOCK : dtype == XVK_INT4 ? XVK_INT4_BLOCK : XVK_INT4_F16_BLOCK;
}

// Where the scales of a block begin, or the words of which they are a part.
static inline int64_t xvk_block_scales(xvk_dtype dtype) { return dtype == XVK_INT8 ? XVK_INT8_CODES : XVK_INT4_CODES; }

// What the scale of a weight is to that of its block.
static inline float xvk_scale_unit(xvk_dtype dtype) { return dtype == XVK_INT4_F16 ? 0.125f : 1; }

// Bytes of a token and group of packed activations.
static inline int64_t xvk_packed_size(xvk_dtype dtype) { return dtype == XVK_INT8 ? XVK_S16_GROUP : XVK_S8_GROUP; }

// The binary logarithm of a power of two, 0, infinity or NaN.
static inline float xvk_exponent(float power) {
  const int32_t biased = (int32_t)(xvk_bits_of_float(power) >> 23);
  return biased == 0 ? -INFINITY : biased < 255 ? (float)(biased - 127) : power;
}

// Where the sum of a group of 4 bits begins at the bits of the float 1.5 * 2^23 * unit, for a power of two `unit`, it ends
// as the bits of (1.5 * 2^23 + sum) * unit, as a sum is below 2^21: one subtraction then leaves sum * unit, exactly. The
// unit is the scale of the activations times XVK_SUM_UNIT, so small that no scale is too large; that of the weights is
// divided by it.
#define XVK_SUM_UNIT 0x1p-20f

// What is stored of the scale of a group of activations, a power of two: for s8 where a sum begins, for s16 an exponent.
static inline float xvk_stored_scale(xvk_dtype dtype, float scale) {
  return dtype == XVK_INT8 ? xvk_exponent(scale) : 0x1.8p+23f * XVK_SUM_UNIT * scale;
}

// What then is stored of minus the sum of its s8: that itself, or for more than XVK_FEW_TOKENS tokens, whose products are
// those of q and 8 code - zero + 128, where the sum of these begins.
enum { XVK_FEW_TOKENS = 16 };
static inline int32_t xvk_stored_sum(int64_t tokens, float stored_scale, int32_t minus_sum) {
  const uint32_t begins = xvk_bits_of_float(stored_scale) + 128 * (uint32_t)minus_sum;
  return tokens <= XVK_FEW_TOKENS ? minus_sum : (int32_t)begins;
}

enum { XVK_FACTORS = 8 };
static const float xvk_factors[XVK_FACTORS] = {0x1p+0f,        0x1.172b84p+0f, 0x1.306fep+0f,  0x1.4bfdaep+0f,
                                               0x1.6a09e6p+0f, 0x1.8ace54p+0f, 0x1.ae89fap+0f, 0x1.d5818ep+0f};
static const float xvk_inverse_factors[XVK_FACTORS] = {0x1p+0f,        0x1.d5818ep-1f, 0x1.ae89fap-1f, 0x1.8ace54p-1f,
                                                       0x1.6a09e6p-1f, 0x1.4bfdaep-1f, 0x1.306fep-1f,  0x1.172b84p-1f};

// The scale of a group of activations with this largest magnitude, in units of the token's factor: the power of two
// that makes it more than 2^6 and at most 2^7 (s8), or more than 2^14 and at most 2^15 (s16). The end itself is cut off
// at both sides alike: that costs as much as a larger scale. 0 for magnitudes below 2^-100, and what is infinite or NaN
// itself.
static inline float xvk_pack_scale(xvk_dtype dtype, float largest, float inverse_factor) {
  const float least = largest * (dtype == XVK_INT8 ? 0x1p-15f : 0x1p-7f) * inverse_factor;
  if (!(largest < INFINITY)) return largest;
  return largest < 0x1p-100f ? 0 : xvk_float_from_bits((xvk_bits_of_float(least) + 0x7FFFFF) & 0x7F800000);
}

// The factor whose squared units have the least sum.
static inline int32_t xvk_least(const float sums[XVK_FACTORS]) {
  int32_t best = 0;
  for (int32_t i = 1; i < XVK_FACTORS; ++i) best = sums[i] < sums[best] ? i : best;
  return best;
}

static inline uint16_t xvk_load_u16(const unsigned char *place) {
  uint16_t value;
  memcpy(&value, place, sizeof value);
  return value;
}

static inline float xvk_load_f32(const unsigned char *place) {
  float value;
  memcpy(&value, place, sizeof value);
  return value;
}

static inline int32_t xvk_load_s32(const unsigned char *place) {
  int32_t value;
  memcpy(&value, place, sizeof value);
  return value;
}

// The scale of a row of a block as it is stored.
static inline float xvk_block_scale(xvk_dtype dtype, const unsigned char *block, int64_t row) {
  const uint16_t word = xvk_load_u16(block + xvk_block_scales(dtype) + 2 * row);
  return xvk_widen_f16(dtype == XVK_INT4 ? (uint16_t)((word & XVK_INT4_SCALE) >> XVK_INT4_SHIFT) : word);
}

static inline int32_t xvk_block_zero(xvk_dtype dtype, const unsigned char *block, int64_t row) {
  if (dtype == XVK_INT4_F16) return block[XVK_INT4_F16_ZEROS + row];
  return dtype == XVK_INT4 ? xvk_load_u16(block + XVK_INT4_CODES + 2 * row) & XVK_INT4_ZERO : 0;
}

// What the scale of a row multiplies: q, or 8 code - zero.
static inline int32_t xvk_block_level(xvk_dtype dtype, const unsigned char *block, int64_t row, int64_t col) {
  if (dtype == XVK_INT8) return (int8_t)block[(col / 2 * XVK_PANEL + row) * 2 + col % 2];
  const int32_t byte = block[(col / 8 * XVK_PANEL + row) * 4 + col % 4], code = col % 8 < 4 ? byte & 15 : byte >> 4;
  return 8 * code - xvk_block_zero(dtype, block, row);
}

// y[c] = W[row, c] for a row 0 ..< XVK_PANEL of a panel; every instruction set uses this one, as it is a row a token.
void xvk_dequantize_row(xvk_dtype dtype, float *y, const unsigned char *panel, int64_t row, int64_t cols);

// The start of the tile of packed activations that begins with this token.
static inline const unsigned char *xvk_packed_tile(xvk_dtype dtype, const xvk_gemm_work *g, int64_t token) {
  return (const unsigned char *)g->x + token * xvk_groups(g->cols) * xvk_packed_size(dtype);
}

#endif
