/* xverse_kernels.h -- every inner loop over numbers: C11 over the caller's memory.
 *
 * No malloc, no I/O, no errors: callers check shapes first (XverseTensors does). The kernels of one instruction set are
 * an immutable table; a xvk_compute says which table to use and on how many threads.
 *
 * NAMES      xvk_<op>: the parallel driver of an operation, which the rest of the library calls; output pointer first.
 *            The serial kernels behind it are xvk_<op>_<activation>_<weight>_<isa>: a driver takes one from the table,
 *            by dtype.
 * SHAPES     in [brackets], slowest dimension first. tokens, rows, cols, heads... count elements, never bytes.
 * ALIASING   pointers of one call must not overlap unless the comment says so.
 * ALIGNMENT  activations are aligned to 4 bytes; weights stand in a mapped file and may start at any byte.
 * BITS       the order of every sum is fixed by the shapes alone: the number of threads never changes a bit.
 * COUNTS     tokens, rows, cols, heads and sizes are at least 1.
 * THREADS    drivers fork and join inside one call, or share their work between the threads of xvk_together; they are
 *            called from one thread at a time (the compute thread).
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

enum {
  XVK_ISA_REFERENCE = 0,
  XVK_ISA_AVX2 = 1,    /* AVX2 + FMA + F16C                       */
  XVK_ISA_AVXVNNI = 2, /* these and AVX-VNNI                      */
  XVK_ISA_AVX512 = 3,  /* these (not AVX-VNNI), AVX-512 F, BW, DQ, VL and VNNI */
  XVK_ISA_NEON = 4,    /* NEON with dot products                  */
  XVK_ISA_COUNT = 5
};

typedef struct xvk_table xvk_table; /* the kernels of one instruction set; immutable, static */

/* The table of an instruction set, or NULL when it was not built or this CPU lacks it; reference is always there. */
const xvk_table *xvk_table_for(int32_t isa);

/* The fastest instruction set of this CPU that was built. */
int32_t xvk_best_isa(void);

/* "reference", "avx2", "avxvnni", "avx512", "neon"; NULL for an unknown number. */
const char *xvk_isa_name(int32_t isa);

/* 1 when the kernels of an instruction set are in this build, whether or not this CPU runs them. */
int32_t xvk_isa_is_built(int32_t isa);

/* The CPUs that a thread may run on, 0 the calling one: bit n of byte n / 8 is CPU n. size: as many bytes as the kernel's
 * own sets have, or more, a multiple of 8. Returns 1, or 0 when there is no such thread. */
int32_t xvk_processors(int32_t thread, uint8_t *bits, size_t size);

/* Adds the CPUs among which the copies of GNU's OpenMP in this process distribute their threads, when the environment has
 * told them to bind these (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY): those that the process might use before the
 * first thread was bound to some of them. */
void xvk_add_openmp_places(uint8_t *bits, size_t size);

/* Lets the calling thread run there; threads that it starts inherit that, and its name of at most 15 bytes. */
int32_t xvk_bind_thread(const uint8_t *bits, size_t size);
void xvk_name_thread(const char *name);

/* Called while the process exits, when threads that compute cannot be stopped: once the exit handlers that the host has
 * registered since the library was loaded have run, the process ends with its exit status, without the destructors of
 * libraries. */
void xvk_leave_after_handlers(void);

/* The floating-point environment of a thread: its rounding mode, traps, flags, treatment of subnormal numbers. */
typedef struct {
  uint64_t control, status;
  uint8_t x87[28];
  int32_t has_x87;
} xvk_float_environment;

/* Gives the calling thread the environment that programs start with, and keeps the one it had; gives that back, flags and
 * all. Kernels expect the former. A few nanoseconds each. */
void xvk_float_begin(xvk_float_environment *saved);
void xvk_float_end(const xvk_float_environment *saved);

/* Who starts the threads of a team; what they do is the same, and so is every bit. */
enum { XVK_PTHREAD = 0, XVK_OPENMP = 1 };

/* How a driver runs: copied around freely. threads >= 1. */
typedef struct {
  const xvk_table *table;
  int32_t threads;
  int32_t threading;
} xvk_compute;

/* Who should start so many threads here and now: XVK_OPENMP, unless something in the environment, the limits or the
 * libraries of the process can make libomp end it. Writes why, a clause, to `reason`. */
int32_t xvk_threading_for(int32_t threads, char *reason, size_t size);

/* Runs body on this thread; the other threads of c are there until it ends and share the work of the drivers that it
 * calls. They sleep when nothing comes for 0.1 ms. All of them have the default floating-point environment, the others
 * all signals blocked. Returns 0, or an errno when they cannot be started: body was then not called. ENOENT: there is no
 * libomp. threads <= 1024. */
int32_t xvk_together(const xvk_compute *c, void (*body)(void *context), void *context);

/* Loads OpenBLAS, once a process, for xvk_gram, xvk_factor_inverse and xvk_gptq on so many threads; they must not be called
 * before. It never threads by itself: its pthread flavour is told so here, once, and should the host raise the number
 * later, its choice stands; the OpenMP flavour is told by each call on its own thread. Returns 0, ENOENT when there is
 * none, or another errno when the process may not have the threads and the address space that it takes. */
int32_t xvk_blas_load(int32_t threads);

/* 1 when the library was built with OpenMP, else 0. */
int32_t xvk_has_openmp(void);

/* ---- weights ---- */

/* How the elements of a matrix or of a KV cache are stored. */
typedef enum { XVK_F32, XVK_F16, XVK_BF16, XVK_INT8, XVK_INT4, XVK_INT4_F16 } xvk_dtype;

/* W [rows, cols] at any byte. stride: bytes from one row to the next, for quantized W from one panel of XVK_PANEL rows
 * to the next. So a range of columns is a view of the same memory with a later start and the same stride; that of
 * quantized W begins at a multiple of XVK_GROUP. Rows, columns and stride are below 2^31. */
typedef struct {
  const void *data;
  xvk_dtype dtype;
  int64_t rows, cols;
  int64_t stride;
} xvk_weights;

/* ---- quantized weights ----
 *
 * W [rows, cols] in blocks of XVK_PANEL rows x XVK_GROUP columns, [panels, groups, block], panels = ceil(rows /
 * XVK_PANEL), groups = ceil(cols / XVK_GROUP); rows that fill up the last panel are zeros, and columns that fill up the
 * last group meet activations that are 0. A row of a block has one scale.
 *   int8       scale * q, q in -127 ... 127; scale f16                  XVK_INT8_BLOCK bytes, 8.5 bits a weight
 *   int4       scale * (8 code - zero), code in 0 ... 15, zero in 0 ... 127; scale below 2, of 6 bits
 *                                                                       XVK_INT4_BLOCK bytes, 4.5 bits a weight
 *   int4_f16   scale / 8 * (8 code - zero), code in 0 ... 15, zero in 0 ... 128; scale f16
 *                                                                       XVK_INT4_F16_BLOCK bytes, 4.75 bits a weight
 * int4_f16 is for weights that others quantized: GPTQ's 4 bits and GGUF's Q4_0 fit exactly. docs/quantization.md draws
 * the blocks; quantized.h in this folder has them in C.
 */
enum { XVK_PANEL = 16, XVK_GROUP = 32, XVK_INT8_BLOCK = 544, XVK_INT4_BLOCK = 288, XVK_INT4_F16_BLOCK = 304 };

/* Quantizes x [rows, cols] to w, XVK_INT8 or XVK_INT4, choosing for each row of a block the scale (and zero point) that
 * makes the sum over columns of importance[c] * (x[c] - W[c])^2 small. importance [cols], not negative; NULL: 1.
 * Returns 1, or 0 when a weight is NaN, infinite, or beyond XVK_INT8_LIMIT or XVK_INT4_LIMIT: w is then of no use. */
enum { XVK_INT8_LIMIT = 4096, XVK_INT4_LIMIT = 64 };
int32_t xvk_quantize(const xvk_compute *c, xvk_dtype dtype, void *w, const float *x, const float *importance,
                     int64_t rows, int64_t cols);

/* Lays out as w, exactly, what others have quantized: q or code [rows, cols], one a byte, scales f16 [rows, groups],
 * zeros [rows, groups] in eighths of a code. Rows and columns that fill up the last blocks become zeros. Returns 1, or
 * 0 when a scale is not finite, a code beyond 15 or a zero beyond 128: w is then of no use. */
int32_t xvk_pack_int8(const xvk_compute *c, void *w, const int8_t *q, const uint16_t *scales, int64_t rows,
                      int64_t cols);
int32_t xvk_pack_int4_f16(const xvk_compute *c, void *w, const uint8_t *codes, const uint16_t *scales,
                          const uint8_t *zeros, int64_t rows, int64_t cols);

/* The index of the first element of x [count], at any byte, that is NaN or infinite; count when all are finite.
 * Elements of quantized types are whole blocks. */
int64_t xvk_first_nonfinite(const xvk_compute *c, xvk_dtype dtype, const void *x, int64_t count);

/* ---- the block types of GGUF ----
 * W [rows, cols] as ggml lays it out, row after row; cols is a multiple of XVK_GROUP, for the K types of 256. ggml.h in
 * this folder draws the blocks. The numbers are ggml's own. */
enum {
  XVK_GGML_F16 = 1,
  XVK_GGML_Q4_0 = 2,
  XVK_GGML_Q4_1 = 3,
  XVK_GGML_Q5_0 = 6,
  XVK_GGML_Q5_1 = 7,
  XVK_GGML_Q8_0 = 8,
  XVK_GGML_Q2_K = 10,
  XVK_GGML_Q3_K = 11,
  XVK_GGML_Q4_K = 12,
  XVK_GGML_Q5_K = 13,
  XVK_GGML_Q6_K = 14
};

/* y [rows, cols] = W, bit for bit what ggml's dequantization gives. Not for F16. */
void xvk_ggml_widen(const xvk_compute *c, int32_t type, float *y, const void *w, int64_t rows, int64_t cols);

/* The codes of W [rows, cols], one a byte, and f16 scales [rows, groups], for blocks of int8: Q8_0 and Q5_0, exactly.
 * With zeros [rows, groups] in eighths of a code, for blocks of int4_f16: Q4_0 exactly, Q4_1 and Q4_K with the scale
 * rounded to an f16 and the zero point to an eighth. Returns 1, or 0 when a number does not fit: the results are then
 * of no use. */
int32_t xvk_ggml_split_int8(const xvk_compute *c, int32_t type, int8_t *q, uint16_t *scales, const void *w,
                            int64_t rows, int64_t cols);
int32_t xvk_ggml_split_int4(const xvk_compute *c, int32_t type, uint8_t *codes, uint16_t *scales, uint8_t *zeros,
                            const void *w, int64_t rows, int64_t cols);

/* W = x [rows, cols] as F16, Q8_0 or Q4_0, rounded as ggml rounds. Returns 1, or 0 when a number is not finite or
 * beyond 65504: w is then of no use. */
int32_t xvk_ggml_narrow(const xvk_compute *c, int32_t type, void *w, const float *x, int64_t rows, int64_t cols);

/* ---- GPTQ (Frantar et al. 2022) ---- */

/* The paper's block size B: columns that are rounded before all columns behind them take up their errors. */
enum { XVK_GPTQ_BLOCK = 128 };

/* h [cols, cols] += x^T x, its upper triangle. x [tokens, cols]. */
void xvk_gram(const xvk_compute *c, float *h, const float *x, int64_t tokens, int64_t cols);

/* Replaces the upper triangle of the symmetric h [n, n] by that of U, upper triangular, with U^T U the inverse of
 * h + damping * I, whose rows and columns are taken in another order: group i of XVK_GROUP of U's is group order[i] of
 * h's. A last group of fewer must stay the last. `work` [n, n]. Returns 1, or 0 when h + damping * I is not positive
 * definite: h is then as it was. One thread. */
int32_t xvk_factor_inverse(float *h, float *work, const int32_t *order, int64_t n, float damping);

/* As xvk_quantize, minimizing the error of the products with the inputs that u [cols, cols] was made from: the groups
 * of u are rounded one after the other, so `order` is the one that u has. room: [rows, cols + XVK_GPTQ_BLOCK]. */
int32_t xvk_gptq(const xvk_compute *c, xvk_dtype dtype, void *w, const float *x, const float *u, const int32_t *order,
                 float *room, int64_t rows, int64_t cols);

/* codes [rows, cols], one a byte, of words as AutoGPTQ packs them: W [cols * bits / 32, stride] of 32 bits,
 * little-endian, at any byte, of which the first `rows` columns are unpacked. A word holds the codes of consecutive
 * cols, the first in its lowest bits. bits: 4 or 8; cols is a multiple of 32 / bits. */
void xvk_gptq_unpack(const xvk_compute *c, uint8_t *codes, const void *words, int32_t bits, int64_t stride,
                     int64_t rows, int64_t cols);

/* ---- matrix products ----
 *
 *   y[t, r] = sum over c of x[t, c] * W[r, c]        x [tokens, cols], W [rows, cols], y [tokens, rows], tokens >= 1
 *
 * One call makes up to XVK_MAX_PRODUCTS products of the same x with different W, as one task of the threads.
 *
 * f32, f16, bf16: weights are widened exactly; all sums are f32 and have one order, which the instruction set decides:
 * any number of tokens, rows and threads gives the same bits. One token is bound by memory, many by the multipliers.
 * int8, int4: x is rounded to 16 bits (int8) or 8 bits (int4), with a scale for each token and group of XVK_GROUP
 * columns, a power of two times a factor that the token has (quantized.h): an element moves by at most 1 / 32767 or 1 /
 * 127 of the largest magnitude in its group. Products of a group are then exact integers, groups are added in f32 in
 * their order. Any number of tokens and any instruction set give the same bits; NaN stays NaN, but which NaN depends on
 * the set.
 *
 * Work is split by rows in units that do not depend on the number of threads.
 */
enum { XVK_MAX_PRODUCTS = 3 };

/* One W and where its product goes. y_stride: distance in floats between the rows of y (>= w.rows), below 2^31: several
 * products can fill one wider matrix. All w of a call have the same dtype and cols. */
typedef struct {
  float *y;
  int64_t y_stride;
  xvk_weights w;
} xvk_product;

/* Floats of scratch that a gemm with this many tokens and columns needs, whatever its weights are. */
size_t xvk_gemm_scratch(const xvk_compute *c, int64_t tokens, int64_t cols);

void xvk_gemm(const xvk_compute *c, const xvk_product *products, int64_t count, const float *x, int64_t tokens,
              float *scratch);

/* ---- rows of a weight matrix as f32: embedding look-up, norm weights ----
 * y[t, :] = W[ids[t], :]; every id must be in 0 ..< w->rows. ids NULL means 0, 1, 2 ... */
void xvk_rows(const xvk_compute *c, float *y, const xvk_weights *w, const int32_t *ids, int64_t tokens);

/* ---- layer pieces, all f32 ---- */

/* y[t, i] = weight[i] * (x[t, i] * rsqrt(mean over i of x[t, i]^2 + epsilon)); y may be x. */
void xvk_rmsnorm(const xvk_compute *c, float *y, const float *x, const float *weight, int64_t tokens, int64_t size,
                 float epsilon);

/* Rotates each head of x [tokens, heads, head_size] in place; half-split: the pair (j, j + head_size/2) turns by an
 * angle whose cosine and sine are cos[t, j], sin[t, j], both [tokens, head_size/2]. */
void xvk_rope(const xvk_compute *c, float *x, const float *cos, const float *sin, int64_t tokens, int64_t heads,
              int64_t head_size);

/* y[t, i] = silu(g) * u, g = gate_up[t, i], u = gate_up[t, size + i]; gate_up [tokens, 2 * size], y [tokens, size]. */
void xvk_swiglu(const xvk_compute *c, float *y, const float *gate_up, int64_t tokens, int64_t size);

/* x[i] += y[i]. */
void xvk_add(const xvk_compute *c, float *x, const float *y, int64_t count);

/* log(sum over i of exp(x[i])), stable, accumulated in double; -inf when every x[i] is. */
double xvk_logsumexp(const xvk_compute *c, const float *x, int64_t count);

/* ---- KV cache and attention ----
 *
 * The keys and values of a sequence are in blocks of XVK_KV_BLOCK positions: block b holds b * XVK_KV_BLOCK and up, of
 * all layers. The parts of a layer stand key_offset and value_offset bytes behind the start of each block:
 *   keys     [kv_heads, head_size, XVK_KV_BLOCK]    positions innermost: scores of a block are vertical sums
 *   values   [kv_heads, XVK_KV_BLOCK, head_size]
 * Elements are XVK_F32, XVK_F16 (round to nearest even) or XVK_INT8, the parts aligned to 4 bytes. Slots at or after
 * the end of the sequence may hold anything, NaN too.
 * int8: the part of a KV head is s8 numbers q in -127 ... 127, then a f32 scale for each position,
 *   keys     [kv_heads, {s8 [head_size, XVK_KV_BLOCK], f32 [XVK_KV_BLOCK]}]
 *   values   [kv_heads, {s8 [XVK_KV_BLOCK, head_size], f32 [XVK_KV_BLOCK]}]
 * A number is scale * q, the scale 1 / 127 of the largest magnitude of its vector: off by at most half of that scale.
 * A vector below 2^-100 becomes zeros, one with an infinity or NaN all NaN. Any instruction set stores the same bytes.
 */
enum { XVK_KV_BLOCK = 64, XVK_ATTENTION_STEP = 64, XVK_ATTENTION_CHUNK = 512, XVK_MAX_HEAD_SIZE = 512 };

/* The tokens row ..< row + tokens of a pass: they belong to one sequence and stand at `position` and up in it. */
typedef struct {
  void *const *blocks;
  int64_t position, row, tokens;
} xvk_segment;

/* One layer's keys and values in the blocks of the sequences of a pass. Segments share no row and no sequence. */
typedef struct {
  xvk_dtype dtype;
  int64_t key_offset, value_offset;
  int64_t kv_heads, head_size;
  const xvk_segment *segments;
  int64_t segment_count;
} xvk_kv;

/* Writes the keys and values of the tokens of all segments; k, v [rows of the pass, kv_heads, head_size]. */
void xvk_kv_store(const xvk_compute *c, const xvk_kv *kv, const float *k, const float *v);

/* Floats of scratch that the attention of up to `tokens` tokens needs, in any number of segments, each of which ends at
 * `positions` or before; 0 where the heads alone keep the threads busy. */
size_t xvk_attention_scratch(const xvk_compute *c, int64_t positions, int64_t tokens, int64_t heads, int64_t kv_heads,
                             int64_t head_size);

/* For every token t of every segment, standing at position p(t) of its sequence:
 *   out[t, h, :] = softmax over the positions p in 0 ... p(t) of (scale * q[t, h] . K[p, h / (heads / kv_heads)])
 *                  applied to V.     q, out [rows of the pass, heads, head_size]
 * Online softmax (Milakov & Gimelshein 2018; FlashAttention, Dao et al. 2022): per query the steps of
 * XVK_ATTENTION_STEP positions in a chunk of XVK_ATTENTION_CHUNK are taken in order with a running maximum and sum, and
 * the chunks are added in order; a step is some whole blocks, and their size changes no bit. So memory does not grow
 * with the context, and a query has the same bits whether its tokens were evaluated together or one by one, beside
 * whichever other segments, and however the work is split: by segment, head and tile of queries, and where these are
 * few by chunk as well.
 */
void xvk_attention(const xvk_compute *c, float *out, const float *q, const xvk_kv *kv, int64_t heads, float scale,
                   float *scratch);

#endif
