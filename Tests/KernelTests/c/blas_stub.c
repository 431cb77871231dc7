// blas_stub.c -- in place of OpenBLAS where there is none: programs whose kernels need none link, nothing more.
#include <stdlib.h>

#define STUB(name) \
  void name(void); \
  void name(void) { abort(); }

STUB(cblas_sgemm)
STUB(spotrf_)
STUB(spotri_)
STUB(openblas_get_config)
STUB(openblas_get_parallel)
STUB(openblas_get_num_threads)
STUB(openblas_set_num_threads)
