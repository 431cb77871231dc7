// kv_store.c -- the store of a KV cache with NEON; kv_store.h has the method.
#if defined(__aarch64__)
#include "vectors.h"

XVK_INLINE void store(xvk_dtype dtype, unsigned char *place, floats v) {
  if (dtype == XVK_F32) {
    vst1q_u8(place, vreinterpretq_u8_f32(v));
  } else if (dtype == XVK_F16) {
    vst1_u8(place, vreinterpret_u8_f16(vcvt_f16_f32(v)));
  } else {
    const int16x4_t codes = vqmovn_s32(vcvtnq_s32_f32(v));
    const int32_t bytes = vget_lane_s32(vreinterpret_s32_s8(vqmovn_s16(vcombine_s16(codes, codes))), 0);
    memcpy(place, &bytes, sizeof bytes);
  }
}

XVK_INLINE floats where_positive(floats x, floats by) {
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vcgtzq_f32(by)));
}

XVK_INLINE void transpose(floats v[LANES]) {
  const float32x4x2_t even = vzipq_f32(v[0], v[2]), odd = vzipq_f32(v[1], v[3]);
  for (int i = 0; i < 2; ++i) {
    const float32x4x2_t columns = vzipq_f32(even.val[i], odd.val[i]);
    v[2 * i] = columns.val[0];
    v[2 * i + 1] = columns.val[1];
  }
}

#include "../kv_store.h"

void xvk_kv_store_f32_neon(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F32, work, begin, end); }
void xvk_kv_store_f16_neon(const void *work, int64_t begin, int64_t end) { kv_store(XVK_F16, work, begin, end); }
void xvk_kv_store_int8_neon(const void *work, int64_t begin, int64_t end) { kv_store(XVK_INT8, work, begin, end); }
#endif
