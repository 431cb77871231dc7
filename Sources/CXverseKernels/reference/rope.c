// rope.c -- turns the pair (x[j], x[j + half]) of each head by the angle of its token, in place.
//
//   x [tokens, heads, head_size], cos, sin [tokens, half], half = head_size / 2
//
// There is no faster variant: a token is turned in a small part of the time that its projections take.
#include "../kernels.h"

#pragma STDC FP_CONTRACT OFF  // two rounded products and a rounded sum, as in Hugging Face's float32 code

void xvk_rope_f32_reference(const void *work, int64_t begin, int64_t end) {
  const xvk_rope_work *const rope = work;
  const int64_t half = rope->head_size / 2;
  for (int64_t t = begin; t < end; ++t) {
    const float *const cos = rope->cos + t * half;
    const float *const sin = rope->sin + t * half;
    for (int64_t h = 0; h < rope->heads; ++h) {
      float *const low = rope->x + (t * rope->heads + h) * rope->head_size;
      float *const high = low + half;
      for (int64_t j = 0; j < half; ++j) {
        const float a = low[j], b = high[j];
        low[j] = a * cos[j] - b * sin[j];
        high[j] = b * cos[j] + a * sin[j];
      }
    }
  }
}
