// parallel.h -- how drivers spread work over threads: fork, run, join inside one call.
#ifndef XVK_PARALLEL_H
#define XVK_PARALLEL_H
#include "kernels.h"

// Runs task(context, part) for every part in 0 ..< parts, each part on one of so many threads: each takes the next part
// when it is done with one.
void xvk_parallel(int32_t threads, int32_t parts, void (*task)(const void *context, int64_t part), const void *context);

// 0 when so many threads more can be started now, else an errno; starts and ends them. count <= 1024.
int32_t xvk_thread_error(int32_t count);

// The number of threads that pay for work of this cost, in multiply-adds or what takes as long; 1 ..= c->threads.
int32_t xvk_worthwhile_threads(const xvk_compute *c, int64_t cost);

// Runs a range kernel over the units 0 ..< count, cut between threads at multiples of `grain`.
void xvk_split(int32_t threads, xvk_range *kernel, const void *work, int64_t count, int64_t grain);

// The first of the units that fall to `part` when `units` are dealt to `parts` in contiguous runs.
static inline int64_t xvk_part_begin(int64_t units, int64_t parts, int64_t part) { return units * part / parts; }

#endif
