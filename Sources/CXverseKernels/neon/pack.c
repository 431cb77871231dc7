// pack.c -- activations as integers with NEON; pack.h has the method.
#if defined(__aarch64__)
#include "vectors.h"

typedef int32x4_t integers;

XVK_INLINE integers nearest(floats v, int32_t most) {
  return vmaxq_s32(vminq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(most)), vdupq_n_s32(-most));
}

XVK_INLINE integers add_integers(integers a, integers b) { return vaddq_s32(a, b); }
XVK_INLINE int32_t sum_of_integers(integers v) { return vaddvq_s32(v); }

XVK_INLINE floats power_above(floats v) {
  const uint32x4_t up = vaddq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0x7FFFFF));
  return vreinterpretq_f32_u32(vandq_u32(up, vdupq_n_u32(0x7F800000)));
}

XVK_INLINE void store_group(xvk_dtype dtype, unsigned char *place, const integers q[8]) {
  for (int i = 0; i < 8; i += 4) {
    const int16x8_t low = vcombine_s16(vmovn_s32(q[i]), vmovn_s32(q[i + 1]));
    const int16x8_t high = vcombine_s16(vmovn_s32(q[i + 2]), vmovn_s32(q[i + 3]));
    if (dtype == XVK_INT8) {
      vst1q_u8(place + 8 * i, vreinterpretq_u8_s16(low));
      vst1q_u8(place + 8 * i + 16, vreinterpretq_u8_s16(high));
    } else {
      vst1q_u8(place + 4 * i, vreinterpretq_u8_s8(vcombine_s8(vmovn_s16(low), vmovn_s16(high))));
    }
  }
}

#include "../pack.h"

void xvk_pack_s16_neon(const void *work, int64_t begin, int64_t end) { pack(XVK_INT8, work, begin, end); }
void xvk_pack_s8_neon(const void *work, int64_t begin, int64_t end) { pack(XVK_INT4, work, begin, end); }
#endif
