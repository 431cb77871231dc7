// openmp.h -- libomp, loaded when the first team starts under it: until then the process has none of it.
#ifndef XVK_OPENMP_H
#define XVK_OPENMP_H
#include <stddef.h>
#include <stdint.h>

// Loads libomp, once a process. Returns 1 when it is there, also when the process had it before, else 0. To be called
// before the OpenMP region is entered.
int32_t xvk_openmp_load(void);

// Why a team of this process should not be OpenMP's, now: libomp ends the process when it finds another runtime of its
// family, settings that it cannot follow, or too little of what it needs. Writes a clause without a full stop to `reason`
// and returns 0; 1 when nothing speaks against it.
int32_t xvk_openmp_is_safe(char *reason, size_t size);

#endif
