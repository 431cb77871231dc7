// quantize.c -- float weights to int8 and int4 blocks, plain C; quantize.h has the method.
#include "../quantize.h"

void xvk_quantize_int8_reference(const void *work, int64_t begin, int64_t end) { quantize(XVK_INT8, work, begin, end); }
void xvk_quantize_int4_reference(const void *work, int64_t begin, int64_t end) { quantize(XVK_INT4, work, begin, end); }

void xvk_gptq_int8_reference(const void *work, int64_t begin, int64_t end) {
  quantize_gptq(XVK_INT8, work, begin, end);
}

void xvk_gptq_int4_reference(const void *work, int64_t begin, int64_t end) {
  quantize_gptq(XVK_INT4, work, begin, end);
}
