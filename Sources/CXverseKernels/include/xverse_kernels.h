/* xverse_kernels.h -- every inner loop over numbers: C11 over the caller's memory.
 *
 * No malloc, no I/O, no errors: callers check shapes first (XverseTensors does). The kernels of one instruction set are
 * an immutable table; a xvk_compute says which table to use and on how many threads.
 *
 * NAMES      xvk_<op>_<activation>_<weight>[_<isa>]; output pointer first. Without an <isa> it is the parallel driver
 *            that the rest of the library calls; with one it is a serial kernel over a range of the work.
 * SHAPES     in [brackets], slowest dimension first. tokens, rows, cols, heads... count elements, never bytes.
 * ALIASING   pointers of one call must not overlap unless the comment says so.
 * ALIGNMENT  activations are aligned to 4 bytes; weights stand in a mapped file and may start at any byte.
 * BITS       the order of every sum is fixed by the shapes alone: the number of threads never changes a bit.
 * COUNTS     tokens, rows, cols, heads and sizes are at least 1.
 * THREADS    drivers fork and join inside one call; they are called from one thread at a time (the compute thread).
 */
#ifndef XVERSE_KERNELS_H
#define XVERSE_KERNELS_H
#include <stddef.h>
#include <stdint.h>

/* ---- the build ---- */

/* The commit this was built from (-DXVERSE_COMMIT), or "unknown"; the compiler's version. */
const char *xvk_build_commit(void);
const char *xvk_build_compiler(void);

/* ---- choice of kernels ---- */

enum { XVK_ISA_REFERENCE = 0, XVK_ISA_AVX2 = 1, XVK_ISA_COUNT = 2 };

typedef struct xvk_table xvk_table; /* the kernels of one instruction set; immutable, static */

/* The table of an instruction set, or NULL when it was not built or this CPU lacks it; reference is always there. */
const xvk_table *xvk_table_for(int32_t isa);

/* The fastest instruction set of this CPU that was built. */
int32_t xvk_best_isa(void);

/* "reference", "avx2"; NULL for an unknown number. AVX2 means AVX2 + FMA + F16C. */
const char *xvk_isa_name(int32_t isa);

/* 1 when the kernels of an instruction set are in this build, whether or not this CPU runs them. */
int32_t xvk_isa_is_built(int32_t isa);

/* Processors that this process may use; at least 1. */
int32_t xvk_processor_count(void);

/* How a driver runs: copied around freely. threads >= 1. */
typedef struct {
  const xvk_table *table;
  int32_t threads;
  int32_t reserved;
} xvk_compute;

/* Description of the linked BLAS ("OpenBLAS 0.3.21 ...") and, once, its setup: OpenBLAS must never thread by itself, as
 * the drivers give each of their threads a slice of its own. Sets the process-wide number of OpenBLAS threads to 1 when
 * the pthread flavour is linked; the OpenMP flavour is set to 1 by each gemm on its own thread. Call before the first
 * gemm: should the host raise the number later, its choice stands. */
const char *xvk_blas_prepare(void);

/* 1 when the library was built with OpenMP, else 0 (every driver then runs on the calling thread). */
int32_t xvk_has_openmp(void);

/* ---- matrix products ----
 *
 *   y[t, r] = sum over c of x[t, c] * W[r, c]        x [tokens, cols], W [rows, cols], y [tokens, rows], tokens >= 1
 *
 * f16 and bf16 weights are widened exactly; all sums are f32. Three regimes, chosen by `tokens`:
 *   1                        GEMV: each weight byte is read once and x stays in cache. Bound: memory bandwidth.
 *   2 .. XVK_GEMM_BLAS - 1   own GEMM: the same order of summation as GEMV, so the same bits for each token.
 *   XVK_GEMM_BLAS ..         OpenBLAS sgemm over tiles of up to XVK_GEMM_TILE rows, widened to f32 panel by panel into
 *                            the thread's part of `scratch` (f32 weights are used in place). Bound: the multipliers.
 * Work is split by rows in units that do not depend on the number of threads.
 * sgemm may round a row otherwise when a call has another number of tokens or rows: cut products by their shape alone.
 * y_stride: distance in floats between the rows of y (>= rows): several products can fill one wider matrix.
 * Dimensions and strides are below 2^31.
 * Measured on 2 threads of a Xeon whose OpenBLAS uses AVX-512 (bench_kernels): the own kernel makes 150 GFLOP/s from 8
 * tokens on; sgemm 80 with 16 tokens, 120 with 32, 160 with 48. Tiles of 256 rows reach 0.86 of sgemm's best, 512 0.91.
 */
enum { XVK_GEMM_TILE = 512, XVK_GEMM_BLAS = 48 };

/* Floats of scratch that a gemm with this many tokens and columns needs; 0 where BLAS is not used. */
size_t xvk_gemm_scratch(const xvk_compute *c, int64_t tokens, int64_t cols);

void xvk_gemm_f32_f32(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w, int64_t tokens,
                      int64_t rows, int64_t cols, float *scratch);
void xvk_gemm_f32_f16(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w, int64_t tokens,
                      int64_t rows, int64_t cols, float *scratch);
void xvk_gemm_f32_bf16(const xvk_compute *c, float *y, int64_t y_stride, const float *x, const void *w, int64_t tokens,
                       int64_t rows, int64_t cols, float *scratch);

/* ---- rows of a weight matrix as f32: embedding look-up, norm weights ----
 * y[t, :] = W[ids[t], :]; every id must be in 0 ..< rows of W. ids NULL means 0, 1, 2 ... */
void xvk_rows_f32_f32(const xvk_compute *c, float *y, const void *w, const int32_t *ids, int64_t tokens, int64_t cols);
void xvk_rows_f32_f16(const xvk_compute *c, float *y, const void *w, const int32_t *ids, int64_t tokens, int64_t cols);
void xvk_rows_f32_bf16(const xvk_compute *c, float *y, const void *w, const int32_t *ids, int64_t tokens, int64_t cols);

/* ---- layer pieces, all f32 ---- */

/* y[t, i] = weight[i] * (x[t, i] * rsqrt(mean over i of x[t, i]^2 + epsilon)); y may be x. */
void xvk_rmsnorm_f32(const xvk_compute *c, float *y, const float *x, const float *weight, int64_t tokens, int64_t size,
                     float epsilon);

/* Rotates each head of x [tokens, heads, head_size] in place; half-split: the pair (j, j + head_size/2) turns by an
 * angle whose cosine and sine are cos[t, j], sin[t, j], both [tokens, head_size/2]. */
void xvk_rope_f32(const xvk_compute *c, float *x, const float *cos, const float *sin, int64_t tokens, int64_t heads,
                  int64_t head_size);

/* y[t, i] = silu(g) * u, g = gate_up[t, i], u = gate_up[t, size + i]; gate_up [tokens, 2 * size], y [tokens, size]. */
void xvk_swiglu_f32(const xvk_compute *c, float *y, const float *gate_up, int64_t tokens, int64_t size);

/* x[i] += y[i]. */
void xvk_add_f32(const xvk_compute *c, float *x, const float *y, int64_t count);

/* log(sum over i of exp(x[i])), stable, accumulated in double; -inf when every x[i] is. */
double xvk_logsumexp_f32(const xvk_compute *c, const float *x, int64_t count);

/* ---- KV cache and attention ----
 *
 * Keys and values of one layer are in blocks of XVK_KV_BLOCK positions; block b holds positions b*XVK_KV_BLOCK and up:
 *   key block    [kv_heads, head_size, XVK_KV_BLOCK]    positions innermost: scores of a block are vertical sums
 *   value block  [kv_heads, XVK_KV_BLOCK, head_size]
 * Elements are f32 or f16 (round to nearest even), blocks aligned to 4 bytes. Slots at or after the end of the sequence
 * may hold anything, NaN too.
 */
enum { XVK_KV_BLOCK = 64, XVK_MAX_HEAD_SIZE = 512 };

/* Writes the keys and values of `tokens` positions starting at `position`; k, v [tokens, kv_heads, head_size]. */
void xvk_kv_store_f32(const xvk_compute *c, void *const *key_blocks, void *const *value_blocks, const float *k,
                      const float *v, int64_t position, int64_t tokens, int64_t kv_heads, int64_t head_size);
void xvk_kv_store_f16(const xvk_compute *c, void *const *key_blocks, void *const *value_blocks, const float *k,
                      const float *v, int64_t position, int64_t tokens, int64_t kv_heads, int64_t head_size);

/* out[t, h, :] = softmax over positions p in 0 ... position + t of (scale * q[t, h] . K[p, h / (heads / kv_heads)])
 *                applied to V.     q, out [tokens, heads, head_size]
 * Online softmax (Milakov & Gimelshein 2018; FlashAttention, Dao et al. 2022): per query the blocks are visited in
 * order of position, keeping a running maximum and sum, so memory does not grow with the context and a query has the
 * same bits whether its tokens were evaluated together or one by one. Work is split by head and by tile of queries.
 */
void xvk_attention_f32_f32(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                           const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                           int64_t kv_heads, int64_t head_size, float scale);
void xvk_attention_f32_f16(const xvk_compute *c, float *out, const float *q, const void *const *key_blocks,
                           const void *const *value_blocks, int64_t position, int64_t tokens, int64_t heads,
                           int64_t kv_heads, int64_t head_size, float scale);

#endif
