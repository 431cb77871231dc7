// numbers.h -- f32, f16, bf16 and bytes at any byte, in plain C: the meaning of the stored numbers.
#ifndef XVK_NUMBERS_H
#define XVK_NUMBERS_H
#include <string.h>
#include "kernels.h"

// XVK_INT8 stands for signed bytes, their scale apart.
static inline int64_t xvk_dtype_size(xvk_dtype dtype) { return dtype == XVK_F32 ? 4 : dtype == XVK_INT8 ? 1 : 2; }

static inline float xvk_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t xvk_bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float xvk_widen_bf16(uint16_t bits) { return xvk_float_from_bits((uint32_t)bits << 16); }

// Exact; a signalling NaN becomes quiet, as the CPU's own conversion does.
static inline float xvk_widen_f16(uint16_t bits) {
  const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
  const uint32_t magnitude = (uint32_t)(bits & 0x7FFF) << 13;  // the f32 fields, the exponent 112 too small
  if (magnitude >= 0x7C00u << 13) {                            // infinity or NaN
    const uint32_t quiet = magnitude > 0x7C00u << 13 ? 1u << 22 : 0;
    return xvk_float_from_bits(sign | 0x7F800000u | magnitude | quiet);
  }
  if (magnitude < 0x0400u << 13) {  // subnormal: as the fraction of 2^-14, whose leading 1 is then taken away
    const float value = xvk_float_from_bits(magnitude + (113u << 23)) - 0x1p-14f;
    return xvk_float_from_bits(sign | xvk_bits_of_float(value));
  }
  return xvk_float_from_bits(sign | (magnitude + (112u << 23)));
}

// Round to nearest even; beyond the largest f16 lies infinity; NaN stays NaN.
static inline uint16_t xvk_narrow_f16(float value) {
  const uint32_t bits = xvk_bits_of_float(value);
  const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
  if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00);  // 65520: half way to the next power of two
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 2^-1 leaves a multiple of 2^-24, the subnormal spacing
    const float shifted = xvk_float_from_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (xvk_bits_of_float(shifted) - 0x3F000000u));
  }
  const uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (rounded - (112u << 23)) >> 13);
}

// The i-th number of an array.
static inline float xvk_load(xvk_dtype dtype, const void *numbers, int64_t i) {
  const unsigned char *const place = (const unsigned char *)numbers + i * xvk_dtype_size(dtype);
  if (dtype == XVK_F32) {
    float value;
    memcpy(&value, place, sizeof value);
    return value;
  }
  if (dtype == XVK_INT8) return (float)*(const signed char *)place;
  uint16_t bits;
  memcpy(&bits, place, sizeof bits);
  return dtype == XVK_F16 ? xvk_widen_f16(bits) : xvk_widen_bf16(bits);
}

// ---- KV cache ----

// The bytes of a KV head in a key or value block: numbers, then for int8 a scale a position.
static inline int64_t xvk_kv_head_bytes(xvk_dtype dtype, int64_t head_size) {
  return XVK_KV_BLOCK * (head_size * xvk_dtype_size(dtype) + (dtype == XVK_INT8 ? (int64_t)sizeof(float) : 0));
}

// How int8 stores a vector whose largest magnitude has these bits: a code is x * inverse, rounded to nearest even.
typedef struct {
  float scale, inverse;
} xvk_kv_steps;

static inline xvk_kv_steps xvk_kv_steps_of(uint32_t largest) {
  if (largest >= 0x7F800000u) return (xvk_kv_steps){xvk_float_from_bits(0x7FC00000u), 0};  // infinity or NaN: all NaN
  const float magnitude = xvk_float_from_bits(largest);
  if (magnitude < 0x1p-100f) return (xvk_kv_steps){0, 0};  // an inverse would be near the largest float
  return (xvk_kv_steps){magnitude / 127, 127 / magnitude};
}

#endif
