// gemm_quantized.h -- y = x W^T for int8 and 4-bit weights: the template of avx2/, avxvnni/ and avx512/gemm_quantized.c.
//
// One token (decode) is bound by memory. PANELS panels a part of the range apart are read together: that many streams of
// consecutive bytes. int4 codes are the unsigned bytes and activations the signed ones: nothing is done to a code but parting
// its nibbles; the zero point leaves the group as zero * sum of q. int8 weights are widened to s16.
//
// More tokens are bound by the multipliers. VECTORS vectors of LANES rows are swept over all tokens in tiles of TILE, the sums
// of a tile in registers, DEPTH groups deep: so many blocks stay in L1. Every tile widens int8 and parts nibbles anew, which
// is cheaper than to write the result and read it again. Only for more than FEW tokens are 4-bit codes unpacked into L1, in
// whatever form multiplies fastest, and only then do activations have the offset of the set. The panels of a sweep are far
// apart, as with one token, and memory is read ahead at an even pace: each tile fetches its share of what is needed later.
//
// An includer defines, for vectors of LANES rows, the types ints and floats, LANES, PANELS, TILE, FEW and
//   ints zero_ints(void), load_ints(place), each_s32(value), and(a, b), shift1(a), shift4(a), add(a, b), subtract(a, b),
//     widen_bytes(place)
//   ints dot_s16(sum, a, b): adds the products of pairs of s16
//   floats zero_floats(void), each_f32(value), to_float(ints), multiply(a, b), fused(a, b, c), load_scales(place, mask, shift)
//   ints load_words(place), load_bytes(place): LANES u16 or u8 as s32
//   floats load_rows(y, count), void store_rows(y, floats, count): the first count rows
// and for codes of 4 bits, with `partial` the type of a sum within a group,
//   partial no_products(void), add_products(partial, codes, q): adds four products u8 * s8 a row
//   ints sum_of(partial, partial), times8(a)
//   EIGHTFOLD: whether a partial is the sum itself, and has room for products with 8 code
//   ints accumulate_s16(sum, a, b), partial accumulate_bytes(sum, codes, q): dot_s16 and add_products as one instruction
// and after it what it declares.
#include "quantized.h"

// A vector is a panel, or one of two strips of it; vectors that are swept together come from STREAMS panels.
enum { VECTORS = 2, STRIPS = XVK_PANEL / LANES, STREAMS = VECTORS / STRIPS };

// ... bytes ahead, with one token and with several: measured in bench_kernels.
enum { PREFETCH = 1536, PREFETCH_SEVERAL = 6912 };

// A strip of a group of 4 bits ready to be multiplied. What stands in `weights` and `start` is the includer's business.
typedef struct {
  ints weights[XVK_INT4_STEPS];
  ints start;
  floats scales;
} strip;

// The codes of a strip, whose rows stand at `codes` in each step, and their zero points; all but the scales.
XVK_INLINE strip unpack_int4(const unsigned char *codes, ints zeros);
XVK_INLINE void multiply_int4(int tokens, int vectors, const strip *const strips[VECTORS], const unsigned char *x,
                              ints sums[TILE][VECTORS]);

XVK_INLINE floats block_scales(xvk_number number, const unsigned char *block, int first) {
  const unsigned char *const place = block + xvk_block_scales(number) + 2 * first;
  return number == XVK_INT4 ? load_scales(place, XVK_INT4_SCALE, XVK_INT4_SHIFT) : load_scales(place, 0xFFFF, 0);
}

XVK_INLINE ints block_zeros(xvk_number number, const unsigned char *block, int first) {
  if (number == XVK_INT4_F16) return load_bytes(block + XVK_INT4_F16_ZEROS + first);
  return and(load_words(block + XVK_INT4_CODES + 2 * first), each_s32(XVK_INT4_ZERO));
}

// a * value, both within 16 bits; the upper half of `a` is 0.
XVK_INLINE ints times_s16(ints a, int32_t value) { return dot_s16(zero_ints(), a, each_s32(value)); }

// ---- one token ----

// Adds a group to the sums of LANES rows of a block, `first` the number of the first in its panel.
XVK_INLINE floats add_group(xvk_number number, floats y, const unsigned char *block, int first, const unsigned char *x) {
  const floats x_scale = each_f32(xvk_load_f32(x + xvk_packed_size(number) - 8));
  if (number == XVK_INT8) {
    ints even = zero_ints(), odd = zero_ints();
    for (int step = 0; step < XVK_INT8_STEPS; step += 2) {
      const unsigned char *const place = block + 2 * (step * XVK_PANEL + first);
      even = dot_s16(even, widen_bytes(place), each_s32(xvk_load_s32(x + XVK_STEP * step)));
      odd = dot_s16(odd, widen_bytes(place + 2 * XVK_PANEL), each_s32(xvk_load_s32(x + XVK_STEP * step + XVK_STEP)));
    }
    return fused(multiply(to_float(add(even, odd)), x_scale), block_scales(number, block, first), y);
  }
  const ints nibble = each_s32(0x0F0F0F0F);
  partial low = no_products(), high = no_products();
  for (int step = 0; step < XVK_INT4_STEPS; step += 2) {
    const ints both = load_ints(block + 4 * (step / 2 * XVK_PANEL + first));
    low = add_products(low, and(both, nibble), each_s32(xvk_load_s32(x + XVK_STEP * step)));
    high = add_products(high, and(shift4(both), nibble), each_s32(xvk_load_s32(x + XVK_STEP * step + XVK_STEP)));
  }
  const ints zeros = times_s16(block_zeros(number, block, first), xvk_load_s32(x + XVK_S8_GROUP - 4));
  const ints sum = subtract(times8(sum_of(low, high)), zeros);
  return fused(multiply(to_float(sum), x_scale), block_scales(number, block, first), y);
}

// The panels `panel`, panel + apart ... with one token.
XVK_INLINE void few_panels(xvk_number number, int panels, const xvk_gemm_work *g, int64_t panel, int64_t apart) {
  const int64_t groups = xvk_groups(g->cols), size = xvk_block_size(number);
  const unsigned char *block = g->w + panel * groups * size, *x = g->x;
  floats y[PANELS][STRIPS];
  for (int p = 0; p < panels; ++p)
    for (int s = 0; s < STRIPS; ++s) y[p][s] = zero_floats();
  for (int64_t group = 0; group < groups; ++group, block += size, x += xvk_packed_size(number)) {
    for (int p = 0; p < panels; ++p) {
      const unsigned char *const place = block + p * apart * groups * size;
      for (int64_t line = 0; line < size; line += 64) _mm_prefetch((const char *)place + line + PREFETCH, _MM_HINT_T0);
      for (int s = 0; s < STRIPS; ++s) y[p][s] = add_group(number, y[p][s], place, s * LANES, x);
    }
  }
  for (int p = 0; p < panels; ++p) {
    for (int s = 0; s < STRIPS; ++s) {
      const int64_t row = (panel + p * apart) * XVK_PANEL + s * LANES;
      store_rows(g->y + row, y[p][s], g->rows - row);
    }
  }
}

XVK_INLINE void one_token(xvk_number number, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const int64_t first = begin / XVK_PANEL, last = xvk_panels(end), apart = (last - first) / PANELS;
  for (int64_t i = 0; i < apart; ++i) few_panels(number, PANELS, g, first + i, apart);
  for (int64_t panel = first + PANELS * apart; panel < last; ++panel) few_panels(number, 1, g, panel, 0);
}

// ---- several tokens ----

// Groups that are multiplied with all tokens while they are in L1: 9 KiB of int8 blocks, or 20 KiB of strips, for vectors of
// 64 bytes.
enum { INT8_DEPTH = 8, INT4_DEPTH = 16 };

// `groups` groups of the rows of some vectors. A vector has blocks, its rows beginning with `first` in them, or strips.
typedef struct {
  const unsigned char *blocks[VECTORS];
  strip (*strips)[INT4_DEPTH];
  float *y[VECTORS];
  int64_t counts[VECTORS], groups;
  int first[VECTORS], is_first; // the first groups of all: y holds nothing
} sweep;

// The tile that begins with `token`. It fetches what stands `ahead` bytes behind the first blocks and further on, `share`
// bytes a group.
typedef struct {
  const unsigned char *x;
  int64_t token, ahead, share;
} tile_work;

// The products of a group: sums[t][v] of `tokens` tokens and `vectors` vectors.
XVK_INLINE void multiply_int8(int tokens, int vectors, const unsigned char *const blocks[VECTORS], const int first[VECTORS],
                              const unsigned char *x, ints sums[TILE][VECTORS]) {
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) sums[t][v] = zero_ints();
#pragma clang loop unroll(full)
  for (int step = 0; step < XVK_INT8_STEPS; ++step) {
    ints weights[VECTORS];
    for (int v = 0; v < vectors; ++v) weights[v] = widen_bytes(blocks[v] + 2 * (step * XVK_PANEL + first[v]));
    for (int t = 0; t < tokens; ++t) {
      const ints q = each_s32(xvk_load_s32(x + (step * tokens + t) * XVK_STEP));
      for (int v = 0; v < vectors; ++v) sums[t][v] = accumulate_s16(sums[t][v], weights[v], q);
    }
  }
}

XVK_INLINE void multiply_codes(xvk_number number, int tokens, int vectors, const unsigned char *const blocks[VECTORS],
                               const int first[VECTORS], const unsigned char *x, ints sums[TILE][VECTORS]) {
  const unsigned char *const x_sums = x + (XVK_S8_GROUP - 4) * tokens;
  const ints mask = each_s32(EIGHTFOLD ? 0x78787878 : 0x0F0F0F0F);
  ints minus_zeros[VECTORS];
  for (int v = 0; v < vectors; ++v)
    minus_zeros[v] = and(subtract(zero_ints(), block_zeros(number, blocks[v], first[v])), each_s32(0xFFFF));
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v)
      sums[t][v] = EIGHTFOLD ? times_s16(minus_zeros[v], xvk_load_s32(x_sums + 4 * t)) : no_products();
#pragma clang loop unroll(full)
  for (int step = 0; step < XVK_INT4_STEPS; ++step) {
    ints codes[VECTORS];
    for (int v = 0; v < vectors; ++v) {
      const ints both = load_ints(blocks[v] + 4 * (step / 2 * XVK_PANEL + first[v]));
      const ints low = EIGHTFOLD ? times8(both) : both, high = EIGHTFOLD ? shift1(both) : shift4(both);
      codes[v] = and(step % 2 ? high : low, mask);
    }
    for (int t = 0; t < tokens; ++t) {
      const ints q = each_s32(xvk_load_s32(x + (step * tokens + t) * XVK_STEP));
      for (int v = 0; v < vectors; ++v) sums[t][v] = accumulate_bytes(sums[t][v], codes[v], q);
    }
  }
  for (int t = 0; t < tokens && !EIGHTFOLD; ++t) {
    for (int v = 0; v < vectors; ++v) {
      const ints zeros = times_s16(minus_zeros[v], xvk_load_s32(x_sums + 4 * t));
      sums[t][v] = add(times8(sum_of(sums[t][v], no_products())), zeros);
    }
  }
}

// Adds a group, whose blocks and activations are at hand, to y.
XVK_INLINE void add_tile(xvk_number number, int is_unpacked, int tokens, int vectors, const sweep *w, int64_t group,
                         const unsigned char *const blocks[VECTORS], const unsigned char *x, floats y[TILE][VECTORS]) {
  const int64_t scales = (xvk_packed_size(number) - 8) * tokens;
  const strip *strips[VECTORS];
  ints sums[TILE][VECTORS];
  for (int v = 0; v < vectors; ++v) strips[v] = &w->strips[v][group];
  if (is_unpacked) {
    multiply_int4(tokens, vectors, strips, x, sums);
  } else if (number == XVK_INT8) {
    multiply_int8(tokens, vectors, blocks, w->first, x, sums);
  } else {
    multiply_codes(number, tokens, vectors, blocks, w->first, x, sums);
  }
  for (int t = 0; t < tokens; ++t) {
    const floats x_scale = each_f32(xvk_load_f32(x + scales + 4 * t));
    for (int v = 0; v < vectors; ++v) {
      const floats scale = is_unpacked ? strips[v]->scales : block_scales(number, blocks[v], w->first[v]);
      y[t][v] = fused(multiply(to_float(sums[t][v]), x_scale), scale, y[t][v]);
    }
  }
}

XVK_INLINE void tile(xvk_number number, int is_unpacked, int tokens, int vectors, const sweep *w, const xvk_gemm_work *g,
                     const tile_work *i) {
  const int64_t size = xvk_block_size(number);
  const unsigned char *x = i->x, *blocks[VECTORS];
  floats y[TILE][VECTORS];
  for (int t = 0; t < tokens; ++t) {
    for (int v = 0; v < vectors; ++v) {
      const float *const place = w->y[v] + (i->token + t) * g->y_stride;
      y[t][v] = w->is_first ? zero_floats() : load_rows(place, w->counts[v]);
    }
  }
  for (int v = 0; v < vectors; ++v) blocks[v] = w->blocks[v];
  int64_t line = (i->ahead + 63) / 64 * 64, end = i->ahead;
  for (int64_t group = 0; group < w->groups; ++group, x += tokens * xvk_packed_size(number)) {
    for (end += i->share; line < end; line += 64)
      for (int v = 0; v < vectors; v += STRIPS) _mm_prefetch((const char *)w->blocks[v] + line, _MM_HINT_T0);
    add_tile(number, is_unpacked, tokens, vectors, w, group, blocks, x, y);
    for (int v = 0; v < vectors; ++v) blocks[v] += size;
  }
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) store_rows(w->y[v] + (i->token + t) * g->y_stride, y[t][v], w->counts[v]);
}

XVK_INLINE void all_tiles(xvk_number number, int is_unpacked, int vectors, const sweep *w, const xvk_gemm_work *g,
                          int64_t depth) {
  const int64_t tiles = (g->tokens + TILE - 1) / TILE, share = (xvk_block_size(number) + tiles - 1) / tiles;
  for (int64_t n = 0; n < tiles; ++n) {
    const int64_t token = n * TILE, left = g->tokens - token, tokens = left < TILE ? left : TILE;
    const tile_work i = {xvk_packed_tile(number, g, token) + depth * tokens * xvk_packed_size(number), token,
                         PREFETCH_SEVERAL + n * w->groups * share, share};
    switch (tokens) {
    case 1: tile(number, is_unpacked, 1, vectors, w, g, &i); break;
    case 2: tile(number, is_unpacked, 2, vectors, w, g, &i); break;
    case 3: tile(number, is_unpacked, 3, vectors, w, g, &i); break;
#if TILE_TOKENS > 4
    case 4: tile(number, is_unpacked, 4, vectors, w, g, &i); break;
    case 5: tile(number, is_unpacked, 5, vectors, w, g, &i); break;
#endif
    default: tile(number, is_unpacked, TILE, vectors, w, g, &i); break;
    }
  }
}

// All tokens with the vectors of the panels `panel`, panel + apart ...
XVK_INLINE void all_groups(xvk_number number, int is_unpacked, int vectors, const xvk_gemm_work *g, int64_t panel,
                           int64_t apart) {
  const int64_t groups = xvk_groups(g->cols), size = xvk_block_size(number);
  const int64_t deepest = number == XVK_INT8 ? INT8_DEPTH : INT4_DEPTH;
  strip strips[VECTORS][INT4_DEPTH];
  sweep w = {.strips = strips};
  for (int64_t depth = 0; depth < groups; depth += deepest) {
    w.groups = groups - depth < deepest ? groups - depth : deepest;
    w.is_first = depth == 0;
    for (int v = 0; v < vectors; ++v) {
      const int64_t p = panel + v / STRIPS * apart, row = p * XVK_PANEL + v % STRIPS * LANES;
      w.blocks[v] = g->w + (p * groups + depth) * size;
      w.first[v] = v % STRIPS * LANES;
      w.y[v] = g->y + row;
      w.counts[v] = g->rows - row < LANES ? g->rows - row : LANES;
      for (int64_t i = 0; i < w.groups && is_unpacked; ++i) {
        const unsigned char *const block = w.blocks[v] + i * size;
        strips[v][i] = unpack_int4(block + XVK_STEP * w.first[v], block_zeros(number, block, w.first[v]));
        strips[v][i].scales = block_scales(number, block, w.first[v]);
      }
    }
    all_tiles(number, is_unpacked, vectors, &w, g, depth);
  }
}

XVK_INLINE void several_tokens(xvk_number number, int is_unpacked, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const int64_t first = begin / XVK_PANEL, last = xvk_panels(end), apart = (last - first) / STREAMS;
  // The only or second strip of the last panel may have no rows.
  const int64_t whole = STREAMS == 1 && end % XVK_PANEL != 0 && end % XVK_PANEL <= LANES ? apart - 1 : apart;
  for (int64_t i = 0; i < whole; ++i) all_groups(number, is_unpacked, VECTORS, g, first + i, apart);
  for (int64_t panel = first + STREAMS * whole; panel < last; ++panel) all_groups(number, is_unpacked, 1, g, panel, 0);
}

XVK_INLINE void gemm(xvk_number number, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  if (g->tokens == 1) {
    one_token(number, g, begin, end);
  } else if (number == XVK_INT8 || g->tokens <= FEW) {
    several_tokens(number, 0, g, begin, end);
  } else {
    several_tokens(number, 1, g, begin, end);
  }
}
