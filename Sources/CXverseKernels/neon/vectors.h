// vectors.h -- the vectors that the NEON files give to the templates: 4 floats, their bits, 2 doubles.
//
// A `xvk_dtype` argument of these functions is a constant wherever it is used: they are inlined, and only one of the
// branches remains. It is f32, f16, bf16, or int8 for signed bytes. NEON here is what every ARMv8-A CPU has.
#ifndef XVK_NEON_VECTORS_H
#define XVK_NEON_VECTORS_H
#include <arm_neon.h>
#include <math.h>
#include "../numbers.h"

#define XVK_INLINE static inline __attribute__((always_inline))

enum { LANES = 4 };
typedef float32x4_t floats;
typedef uint32x4_t words;
typedef float64x2_t doubles;  // of half the lanes

XVK_INLINE floats zero(void) { return vdupq_n_f32(0); }
XVK_INLINE floats each(float value) { return vdupq_n_f32(value); }
XVK_INLINE floats multiply(floats a, floats b) { return vmulq_f32(a, b); }
XVK_INLINE floats divide(floats a, floats b) { return vdivq_f32(a, b); }
XVK_INLINE floats fused(floats a, floats b, floats c) { return vfmaq_f32(c, a, b); }
XVK_INLINE floats add(floats a, floats b) { return vaddq_f32(a, b); }
XVK_INLINE floats subtract(floats a, floats b) { return vsubq_f32(a, b); }
XVK_INLINE floats negative(floats a) { return vnegq_f32(a); }

// b where one of them is NaN, which neither of NEON's own maxima and minima gives.
XVK_INLINE floats larger(floats a, floats b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
XVK_INLINE floats smaller(floats a, floats b) { return vbslq_f32(vcltq_f32(a, b), a, b); }

// Numbers at any byte.
XVK_INLINE floats load(xvk_dtype dtype, const void *place) {
  if (dtype == XVK_F32) return vreinterpretq_f32_u8(vld1q_u8(place));
  if (dtype == XVK_INT8) {
    float bytes;  // as a float it is loaded to where the vectors are
    memcpy(&bytes, place, sizeof bytes);
    const int16x8_t both = vmovl_s8(vreinterpret_s8_f32(vset_lane_f32(bytes, vdup_n_f32(0), 0)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(both)));
  }
  const uint16x4_t bits = vreinterpret_u16_u8(vld1_u8(place));
  return dtype == XVK_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(bits)) : vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
}

// The first `count` < LANES of LANES numbers, then zeros; reads nothing beyond them.
XVK_INLINE floats load_first(xvk_dtype dtype, const void *place, int64_t count) {
  unsigned char numbers[4 * LANES] = {0};
  memcpy(numbers, place, (size_t)(count * xvk_dtype_size(dtype)));
  return load(dtype, numbers);
}

XVK_INLINE void put(float *place, floats v) { vst1q_f32(place, v); }

// The sum and the largest of the elements, always in the same order; NaN when one of them is NaN.
XVK_INLINE float first(floats v) { return vgetq_lane_f32(v, 0); }
XVK_INLINE float sum_of(floats v) { return vaddvq_f32(v); }
XVK_INLINE float largest_of(floats v) { return vmaxvq_f32(v); }

// -infinity from lane `visible` on.
XVK_INLINE floats hide(floats scores, int64_t visible) {
  const int32x4_t lanes = {0, 1, 2, 3};
  const uint32x4_t hidden = vcgeq_s32(lanes, vdupq_n_s32((int32_t)visible));
  return vbslq_f32(hidden, each(-INFINITY), scores);
}

// The bits of magnitudes, those of NaN above all others, and the largest of them.
XVK_INLINE words magnitudes(floats v) { return vreinterpretq_u32_f32(vabsq_f32(v)); }
XVK_INLINE words larger_words(words a, words b) { return vmaxq_u32(a, b); }
XVK_INLINE uint32_t largest_word(words v) { return vmaxvq_u32(v); }

// LANES / 2 numbers.
XVK_INLINE doubles zero_doubles(void) { return vdupq_n_f64(0); }
XVK_INLINE doubles widened(const float *place) { return vcvt_f64_f32(vld1_f32(place)); }
XVK_INLINE doubles add_doubles(doubles a, doubles b) { return vaddq_f64(a, b); }
XVK_INLINE doubles fused_doubles(doubles a, doubles b, doubles c) { return vfmaq_f64(c, a, b); }
XVK_INLINE void put_doubles(double *place, doubles v) { vst1q_f64(place, v); }

XVK_INLINE floats power_of(floats sum) {
  const int32x4_t exponent = vshlq_n_s32(vreinterpretq_s32_f32(sum), 23);
  return vreinterpretq_f32_s32(vaddq_s32(exponent, vdupq_n_s32(127 << 23)));
}

#include "../exponential.h"

#endif
