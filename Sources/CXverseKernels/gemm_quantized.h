// gemm_quantized.h -- y = x W^T for int8 and 4-bit weights: the template of avx2/, avxvnni/ and
// avx512/gemm_quantized.c.
//
// VECTORS vectors of LANES rows are swept over up to MOST tokens in tiles of TILE, the sums of a tile in registers. One
// token (decode) is bound by memory, more tokens by the multipliers: they sweep DEPTH groups at a time, so many blocks
// stay in L1, as do the sums. (In y, whose rows are often a multiple of 4 KiB apart, few of them would find room in a
// cache.) For few tokens every tile widens int8 and unpacks nibbles anew, which is cheaper than to write the result and
// read it again. For more than INT4_FEW or INT8_FEW tokens weights are unpacked into L1. The panels of a sweep are far
// apart, and memory is read ahead at an even pace: each tile fetches its share of what is needed later.
//
// An includer defines, for vectors of LANES rows, the types ints and floats, LANES, TILE, INT4_FEW, INT8_FEW and
//   ints zero_ints(void), load_ints(place), each_s32(value), and(a, b), widen_bytes(place)
//   ints accumulate_s16(sum, a, b): adds the products of pairs of s16
//   floats zero_floats(void), each_f32(value), multiply(a, b)
//   floats load_scales(place, mask, shift)
//   floats add_sum(dtype, sum, scales, x_scale, y): y + sum * (scales * x_scale), the latter as the set's activations
//     store it, in one fused multiply-add
//   ints load_words(place), load_bytes(place): LANES u16 or u8 as s32
//   void store_rows(y, floats, count): the first count rows
// and for codes of 4 bits
//   ints low_weights(both), high_weights(both): of the low or high nibbles of 4 columns, what multiplies fastest
//   ints unpacked_weights(weights, zeros): the same for weights that are unpacked once
//   floats int4_scales(is_unpacked, scales): what add_sum takes as scales
//   ints first_sum(is_unpacked, zeros, x_sum, x_scale), add_products(sum, weights, q), last_sum(sum, zeros, x_sum): the
//     sum of a group; x_sum and x_scale as they are stored, the former minus the sum of q
// and after it what it declares.
#include "quantized.h"

// A vector is a panel, or one of two strips of it; vectors that are swept together come from STREAMS panels.
enum { VECTORS = 2, STRIPS = XVK_PANEL / LANES, STREAMS = VECTORS / STRIPS };

// Bytes that are read ahead in each stream, with one token and with several: measured in bench_kernels.
enum { PREFETCH_ONE = 8192 / STREAMS, PREFETCH = 6912 };

// Steps of a group ready to be multiplied: all of a group of 4 bits, half of one of int8.
typedef struct {
  ints weights[XVK_INT4_STEPS], zeros;
  floats scales;
} strip;

XVK_INLINE floats block_scales(xvk_dtype dtype, const unsigned char *block, int first) {
  const unsigned char *const place = block + xvk_block_scales(dtype) + 2 * first;
  return dtype == XVK_INT4 ? load_scales(place, XVK_INT4_SCALE, XVK_INT4_SHIFT) : load_scales(place, 0xFFFF, 0);
}

XVK_INLINE ints block_zeros(xvk_dtype dtype, const unsigned char *block, int first) {
  if (dtype == XVK_INT4_F16) return load_bytes(block + XVK_INT4_F16_ZEROS + first);
  return and(load_words(block + XVK_INT4_CODES + 2 * first), each_s32(XVK_INT4_ZERO));
}

// The weights of the columns 4 step ..< 4 step + 4 of a strip.
XVK_INLINE ints int4_weights(const unsigned char *block, int first, int step) {
  const ints both = load_ints(block + XVK_STEP * (step / 2 * XVK_PANEL + first));
  return step % 2 == 0 ? low_weights(both) : high_weights(both);
}

// The weights of the columns 2 step, 2 step + 1 of a strip.
XVK_INLINE ints int8_weights(const unsigned char *block, int first, int step) {
  return widen_bytes(block + 2 * (step * XVK_PANEL + first));
}

// Groups that are multiplied with all tokens while they are in L1: 9 KiB of int8 blocks, or 20 KiB of strips, for
// vectors of 64 bytes. The sums of so many tokens are 12 KiB.
enum { INT8_DEPTH = 8, INT4_DEPTH = 16, INT8_STRIPS = INT4_DEPTH / INT8_DEPTH, MOST = 96 };

// The strips of a group, each VECTORS after the one before.
XVK_INLINE void unpack_int8(strip *to, const unsigned char *block, int first) {
  for (int step = 0; step < XVK_INT8_STEPS; ++step)
    to[step / XVK_INT4_STEPS * VECTORS].weights[step % XVK_INT4_STEPS] = int8_weights(block, first, step);
  to->scales = block_scales(XVK_INT8, block, first);
}

XVK_INLINE void unpack_int4(xvk_dtype dtype, strip *to, const unsigned char *block, int first) {
  const ints zeros = block_zeros(dtype, block, first);
  for (int step = 0; step < XVK_INT4_STEPS; ++step)
    to->weights[step] = unpacked_weights(int4_weights(block, first, step), zeros);
  to->zeros = zeros;
  to->scales = int4_scales(1, block_scales(dtype, block, first));
}

XVK_INLINE int64_t strips_of(xvk_dtype dtype, int64_t groups) {
  return dtype == XVK_INT8 ? groups * INT8_STRIPS : groups;
}

// `groups` groups of the rows of some vectors. A vector has blocks, its rows beginning with `first` in them, or strips.
typedef struct {
  const unsigned char *blocks[VECTORS];
  strip (*strips)[VECTORS];
  floats (*sums)[VECTORS];
  float *y[VECTORS];
  int64_t counts[VECTORS], groups;
  int first[VECTORS], is_last;  // the last groups of all: sums go to y, a few at a time, as most miss all caches
} sweep;

// The tile that begins with `token`. It fetches what stands `ahead` bytes behind the first blocks and further on,
// `share` bytes a group.
typedef struct {
  const unsigned char *x;
  int64_t token, ahead, share;
} tile_work;

// The products of a group: sums[t][v] of `tokens` tokens and `vectors` vectors, with strips if they are unpacked.
XVK_INLINE void multiply_int8(int is_unpacked, int tokens, int vectors, const strip *strips,
                              const unsigned char *const blocks[VECTORS], const int first[VECTORS],
                              const unsigned char *x, ints sums[TILE][VECTORS]) {
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) sums[t][v] = zero_ints();
#pragma clang loop unroll(full)
  for (int step = 0; step < XVK_INT8_STEPS; ++step) {
    ints weights[VECTORS];
    for (int v = 0; v < vectors; ++v)
      weights[v] = is_unpacked ? strips[step / XVK_INT4_STEPS * VECTORS + v].weights[step % XVK_INT4_STEPS]
                               : int8_weights(blocks[v], first[v], step);
    for (int t = 0; t < tokens; ++t) {
      const ints q = each_s32(xvk_load_s32(x + (step * tokens + t) * XVK_STEP));
      for (int v = 0; v < vectors; ++v) sums[t][v] = accumulate_s16(sums[t][v], weights[v], q);
    }
  }
}

// The same for 4 bits.
XVK_INLINE void multiply_int4(xvk_dtype dtype, int is_unpacked, int tokens, int vectors, const strip *strips,
                              const unsigned char *const blocks[VECTORS], const int first[VECTORS],
                              const unsigned char *x, ints sums[TILE][VECTORS]) {
  const unsigned char *const x_sums = x + (XVK_S8_GROUP - 4) * tokens, *const x_scales = x_sums - 4 * tokens;
  ints zeros[VECTORS];
  for (int v = 0; v < vectors; ++v) zeros[v] = is_unpacked ? strips[v].zeros : block_zeros(dtype, blocks[v], first[v]);
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v)
      sums[t][v] = first_sum(is_unpacked, zeros[v], each_s32(xvk_load_s32(x_sums + 4 * t)),
                             each_s32(xvk_load_s32(x_scales + 4 * t)));
#pragma clang loop unroll(full)
  for (int step = 0; step < XVK_INT4_STEPS; ++step) {
    ints weights[VECTORS];
    for (int v = 0; v < vectors; ++v)
      weights[v] = is_unpacked ? strips[v].weights[step] : int4_weights(blocks[v], first[v], step);
    for (int t = 0; t < tokens; ++t) {
      const ints q = each_s32(xvk_load_s32(x + (step * tokens + t) * XVK_STEP));
      for (int v = 0; v < vectors; ++v) sums[t][v] = add_products(sums[t][v], weights[v], q);
    }
  }
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v)
      sums[t][v] = last_sum(sums[t][v], zeros[v], each_s32(xvk_load_s32(x_sums + 4 * t)));
}

// Adds a group, whose blocks and activations are at hand, to y.
XVK_INLINE void add_tile(xvk_dtype dtype, int is_unpacked, int tokens, int vectors, const sweep *w, int64_t group,
                         const unsigned char *const blocks[VECTORS], const unsigned char *x, floats y[TILE][VECTORS]) {
  const int64_t scales = (xvk_packed_size(dtype) - 8) * tokens;
  const strip *const strips = w->strips[strips_of(dtype, group)];
  ints sums[TILE][VECTORS];
  floats scale[VECTORS];
  if (dtype == XVK_INT8) {
    multiply_int8(is_unpacked, tokens, vectors, strips, blocks, w->first, x, sums);
  } else {
    multiply_int4(dtype, is_unpacked, tokens, vectors, strips, blocks, w->first, x, sums);
  }
  __asm__("" : "+r"(x));  // scales that are read twice would take the registers of sums in between
  for (int v = 0; v < vectors; ++v) {
    scale[v] = is_unpacked ? strips[v].scales : block_scales(dtype, blocks[v], w->first[v]);
    if (!is_unpacked && dtype != XVK_INT8) scale[v] = int4_scales(0, scale[v]);
  }
  for (int t = 0; t < tokens; ++t) {
    const floats x_scale = each_f32(xvk_load_f32(x + scales + 4 * t));
    for (int v = 0; v < vectors; ++v) y[t][v] = add_sum(dtype, sums[t][v], scale[v], x_scale, y[t][v]);
  }
}

XVK_INLINE void tile(xvk_dtype dtype, int is_unpacked, int tokens, int vectors, const sweep *w, const xvk_gemm_work *g,
                     const tile_work *i) {
  const int64_t size = xvk_block_size(dtype);
  const unsigned char *x = i->x, *blocks[VECTORS];
  floats y[TILE][VECTORS];
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) y[t][v] = w->sums[i->token + t][v];
  for (int v = 0; v < vectors; ++v) blocks[v] = w->blocks[v];
  int64_t line = (i->ahead + 63) / 64 * 64, end = i->ahead;
  for (int64_t group = 0; group < w->groups; ++group, x += tokens * xvk_packed_size(dtype)) {
    for (end += i->share; line < end; line += 64)
      for (int v = 0; v < vectors; v += STRIPS) __builtin_prefetch(w->blocks[v] + line, 0, 3);
    add_tile(dtype, is_unpacked, tokens, vectors, w, group, blocks, x, y);
    for (int v = 0; v < vectors; ++v) blocks[v] += size;
  }
  for (int t = 0; t < tokens; ++t) {
    for (int v = 0; v < vectors; ++v) {
      if (w->is_last) {
        const floats result = multiply(y[t][v], each_f32(g->factors[i->token + t]));
        store_rows(w->y[v] + (i->token + t) * g->y_stride, result, w->counts[v]);
      } else {
        w->sums[i->token + t][v] = y[t][v];
      }
    }
  }
}

XVK_INLINE void all_tiles(xvk_dtype dtype, int is_unpacked, int vectors, const sweep *w, const xvk_gemm_work *g,
                          int64_t depth) {
  const int64_t tiles = (g->tokens + TILE - 1) / TILE, share = (xvk_block_size(dtype) + tiles - 1) / tiles;
  for (int64_t n = 0; n < tiles; ++n) {
    const int64_t token = n * TILE, left = g->tokens - token, tokens = left < TILE ? left : TILE;
    const tile_work i = {xvk_packed_tile(dtype, g, token) + depth * tokens * xvk_packed_size(dtype), token,
                         (g->tokens == 1 ? PREFETCH_ONE : PREFETCH) + n * w->groups * share, share};
    switch (tokens) {
      case 1:
        tile(dtype, is_unpacked, 1, vectors, w, g, &i);
        break;
      case 2:
        tile(dtype, is_unpacked, 2, vectors, w, g, &i);
        break;
      case 3:
        tile(dtype, is_unpacked, 3, vectors, w, g, &i);
        break;
#if TILE_TOKENS > 4
      case 4:
        tile(dtype, is_unpacked, 4, vectors, w, g, &i);
        break;
      case 5:
        tile(dtype, is_unpacked, 5, vectors, w, g, &i);
        break;
#endif
      default:
        tile(dtype, is_unpacked, TILE, vectors, w, g, &i);
        break;
    }
  }
}

// All tokens with the vectors of the panels `panel`, panel + apart ...
XVK_INLINE void all_groups(xvk_dtype dtype, int is_unpacked, int vectors, const xvk_gemm_work *g, int64_t panel,
                           int64_t apart) {
  const int64_t groups = xvk_groups(g->cols), size = xvk_block_size(dtype);
  const int is_alone = g->tokens <= TILE && !is_unpacked;  // what is read once need not stay in L1
  const int64_t deepest = is_alone ? groups : dtype == XVK_INT8 ? INT8_DEPTH : INT4_DEPTH;
  strip strips[INT4_DEPTH][VECTORS];
  floats sums[MOST][VECTORS];
  sweep w = {.strips = strips, .sums = sums};
  for (int64_t t = 0; t < g->tokens; ++t)
    for (int v = 0; v < vectors; ++v) sums[t][v] = zero_floats();
  for (int64_t depth = 0; depth < groups; depth += deepest) {
    w.groups = groups - depth < deepest ? groups - depth : deepest;
    w.is_last = depth + w.groups == groups;
    for (int v = 0; v < vectors; ++v) {
      const int64_t p = panel + v / STRIPS * apart, row = p * XVK_PANEL + v % STRIPS * LANES;
      w.blocks[v] = g->w + p * g->w_stride + depth * size;
      w.first[v] = v % STRIPS * LANES;
      w.y[v] = g->y + row;
      w.counts[v] = g->rows - row < LANES ? g->rows - row : LANES;
      for (int64_t i = 0; i < w.groups && is_unpacked; ++i) {
        strip *const to = &strips[strips_of(dtype, i)][v];
        if (dtype == XVK_INT8) {
          unpack_int8(to, w.blocks[v] + i * size, w.first[v]);
        } else {
          unpack_int4(dtype, to, w.blocks[v] + i * size, w.first[v]);
        }
      }
    }
    all_tiles(dtype, is_unpacked, vectors, &w, g, depth);
  }
}

XVK_INLINE void all_panels(xvk_dtype dtype, int is_unpacked, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const int64_t first = begin / XVK_PANEL, last = xvk_panels(end), apart = (last - first) / STREAMS;
  // The only or second strip of the last panel may have no rows.
  const int64_t whole = STREAMS == 1 && end % XVK_PANEL != 0 && end % XVK_PANEL <= LANES ? apart - 1 : apart;
  for (int64_t i = 0; i < whole; ++i) all_groups(dtype, is_unpacked, VECTORS, g, first + i, apart);
  for (int64_t panel = first + STREAMS * whole; panel < last; ++panel) all_groups(dtype, is_unpacked, 1, g, panel, 0);
}

XVK_INLINE void gemm(xvk_dtype dtype, const xvk_gemm_work *work, int64_t begin, int64_t end) {
  // Another core may have packed x: its lines come together rather than one after the other.
  const int64_t x_size = work->tokens <= TILE ? work->tokens * xvk_groups(work->cols) * xvk_packed_size(dtype) : 0;
  for (int64_t line = 0; line < x_size; line += 64) __builtin_prefetch((const char *)work->x + line, 0, 3);
  const int64_t turns = (work->tokens + MOST - 1) / MOST, share = (work->tokens + turns - 1) / turns;
  const int64_t most = (share + TILE - 1) / TILE * TILE;
  for (int64_t token = 0; token < work->tokens; token += most) {
    xvk_gemm_work g = *work;
    g.x = xvk_packed_tile(dtype, work, token);
    g.factors += token;
    g.y += token * g.y_stride;
    g.tokens = work->tokens - token < most ? work->tokens - token : most;
    if (work->tokens <= (dtype == XVK_INT8 ? INT8_FEW : INT4_FEW)) {
      all_panels(dtype, 0, &g, begin, end);
    } else {
      all_panels(dtype, 1, &g, begin, end);
    }
  }
}
