// gemm_quantized.h -- y = x W^T for int8 and int4 weights: the template of avx2/, avxvnni/ and avx512/gemm_quantized.c.
//
// One token (decode) is bound by memory. PANELS panels a part of the range apart are read together: that many streams of
// consecutive bytes. int4 codes are the unsigned bytes and activations the signed ones: nothing is done to a code but parting
// its nibbles; the zero point leaves the group as zero * sum of q. int8 weights are widened to s16.
//
// More tokens are bound by the multipliers. VECTORS vectors of LANES rows are unpacked once, DEPTH groups deep, into L1 and
// swept over all tokens in tiles of TILE, the sums of a tile in registers.
//
// An includer defines, for vectors of LANES rows, the types ints and floats, LANES, PANELS, TILE and
//   ints zero_ints(void), load_ints(place), each_s32(value), and(a, b), shift4(a), add(a, b), subtract(a, b), widen_bytes(place)
//   ints dot_s16(sum, a, b): adds the products of pairs of s16
//   floats zero_floats(void), each_f32(value), to_float(ints), multiply(a, b), fused(a, b, c), load_scales(place, mask, shift)
//   ints load_words(place): LANES u16 as s32
//   floats load_rows(y, count), void store_rows(y, floats, count): the first count rows
// and for codes of 4 bits, with `partial` the type of a sum within a group,
//   partial no_products(void), add_products(partial, codes, q): adds four products u8 * s8 a row
//   ints sum_of(partial, partial), times4(a)
// and after it what it declares: take_zeros turns the codes of a strip, its `weights`, and their zero points into what
// multiply_int4 takes.
#include "quantized.h"

enum { VECTORS = 2, STRIPS = XVK_PANEL / LANES };

// ... bytes ahead: measured in bench_kernels.
enum { PREFETCH = 1536 };

// LANES rows of a group ready to be multiplied. What int4 keeps in `weights` and `start` is the includer's business.
typedef struct {
  ints weights[XVK_INT8_STEPS];
  ints start;
  floats scales;
} strip;

XVK_INLINE void take_zeros(strip *s, ints zeros);
XVK_INLINE void multiply_int4(int tokens, int vectors, const strip *const strips[VECTORS], const unsigned char *x,
                              ints sums[TILE][VECTORS]);

XVK_INLINE ints load_zeros(const unsigned char *place) { return and(load_words(place), each_s32(XVK_INT4_ZERO)); }

// zeros * value, both within 16 bits.
XVK_INLINE ints times_s16(ints zeros, int32_t value) { return dot_s16(zero_ints(), zeros, each_s32(value & 0xFFFF)); }

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
    const floats scales = load_scales(block + XVK_INT8_CODES + 2 * first, 0xFFFF, 0);
    return fused(multiply(to_float(add(even, odd)), x_scale), scales, y);
  }
  const ints nibble = each_s32(0x0F0F0F0F);
  partial low = no_products(), high = no_products();
  for (int step = 0; step < XVK_INT4_STEPS; step += 2) {
    const ints both = load_ints(block + 4 * (step / 2 * XVK_PANEL + first));
    low = add_products(low, and(both, nibble), each_s32(xvk_load_s32(x + XVK_STEP * step)));
    high = add_products(high, and(shift4(both), nibble), each_s32(xvk_load_s32(x + XVK_STEP * step + XVK_STEP)));
  }
  const unsigned char *const words = block + XVK_INT4_CODES + 2 * first;
  const ints zeros = times_s16(load_zeros(words), xvk_load_s32(x + XVK_S8_GROUP - 4));
  const ints sum = subtract(times4(sum_of(low, high)), zeros);
  return fused(multiply(to_float(sum), x_scale), load_scales(words, XVK_INT4_SCALE, 1), y);
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

// Groups that are unpacked together: two strips of them are 20 KiB or less for vectors of 64 bytes.
enum { INT8_DEPTH = 8, INT4_DEPTH = 16 };

XVK_INLINE void unpack(xvk_number number, strip *to, const unsigned char *block, int first) {
  if (number == XVK_INT8) {
    for (int step = 0; step < XVK_INT8_STEPS; ++step)
      to->weights[step] = widen_bytes(block + 2 * (step * XVK_PANEL + first));
    to->scales = load_scales(block + XVK_INT8_CODES + 2 * first, 0xFFFF, 0);
    return;
  }
  const ints nibble = each_s32(0x0F0F0F0F);
  const unsigned char *const words = block + XVK_INT4_CODES + 2 * first;
  for (int step = 0; step < XVK_INT4_STEPS; step += 2) {
    const ints both = load_ints(block + 4 * (step / 2 * XVK_PANEL + first));
    to->weights[step] = and(both, nibble);
    to->weights[step + 1] = and(shift4(both), nibble);
  }
  to->scales = load_scales(words, XVK_INT4_SCALE, 1);
  take_zeros(to, load_zeros(words));
}

// Where a sweep writes: vectors of rows, of which `counts` exist.
typedef struct {
  const strip *strips[VECTORS];
  float *y[VECTORS];
  int64_t counts[VECTORS], y_stride, groups;
  int is_first; // of the depth: y holds nothing
} sweep;

// The products of a group: sums[t][v] of `tokens` tokens and `vectors` strips.
XVK_INLINE void multiply_int8(int tokens, int vectors, const strip *const strips[VECTORS], const unsigned char *x,
                              ints sums[TILE][VECTORS]) {
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) sums[t][v] = zero_ints();
#pragma clang loop unroll(full)
  for (int step = 0; step < XVK_INT8_STEPS; ++step) {
    for (int t = 0; t < tokens; ++t) {
      const ints q = each_s32(xvk_load_s32(x + (step * tokens + t) * XVK_STEP));
      for (int v = 0; v < vectors; ++v) sums[t][v] = dot_s16(sums[t][v], strips[v]->weights[step], q);
    }
  }
}

XVK_INLINE void tile(xvk_number number, int tokens, int vectors, const sweep *w, int64_t token, const unsigned char *x) {
  const int64_t scales = (xvk_packed_size(number) - 8) * tokens;
  floats y[TILE][VECTORS];
  for (int t = 0; t < tokens; ++t) {
    for (int v = 0; v < vectors; ++v) {
      const float *const place = w->y[v] + (token + t) * w->y_stride;
      y[t][v] = w->is_first ? zero_floats() : load_rows(place, w->counts[v]);
    }
  }
  for (int64_t group = 0; group < w->groups; ++group, x += tokens * xvk_packed_size(number)) {
    const strip *strips[VECTORS];
    for (int v = 0; v < vectors; ++v) strips[v] = w->strips[v] + group;
    ints sums[TILE][VECTORS];
    if (number == XVK_INT8) {
      multiply_int8(tokens, vectors, strips, x, sums);
    } else {
      multiply_int4(tokens, vectors, strips, x, sums);
    }
    for (int t = 0; t < tokens; ++t) {
      const floats x_scale = each_f32(xvk_load_f32(x + scales + 4 * t));
      for (int v = 0; v < vectors; ++v)
        y[t][v] = fused(multiply(to_float(sums[t][v]), x_scale), strips[v]->scales, y[t][v]);
    }
  }
  for (int t = 0; t < tokens; ++t)
    for (int v = 0; v < vectors; ++v) store_rows(w->y[v] + (token + t) * w->y_stride, y[t][v], w->counts[v]);
}

XVK_INLINE void all_tiles(xvk_number number, int vectors, const sweep *w, const xvk_gemm_work *g, int64_t depth) {
  for (int64_t token = 0; token < g->tokens; token += TILE) {
    const int64_t left = g->tokens - token, tokens = left < TILE ? left : TILE;
    const unsigned char *const x = xvk_packed_tile(number, g, token) + depth * tokens * xvk_packed_size(number);
    switch (tokens) {
    case 1: tile(number, 1, vectors, w, token, x); break;
    case 2: tile(number, 2, vectors, w, token, x); break;
    case 3: tile(number, 3, vectors, w, token, x); break;
#if TILE_TOKENS > 4
    case 4: tile(number, 4, vectors, w, token, x); break;
    case 5: tile(number, 5, vectors, w, token, x); break;
#endif
    default: tile(number, TILE, vectors, w, token, x); break;
    }
  }
}

// Calls for the part of W that is unpacked after this one: with few tokens the sweep between is short, and the memory is
// what bounds it.
XVK_INLINE void prefetch(const unsigned char *place, int64_t size) {
  for (int64_t line = 0; line < size; line += 64) _mm_prefetch((const char *)place + line, _MM_HINT_T0);
}

XVK_INLINE void several_tokens(xvk_number number, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  enum { MOST = INT4_DEPTH };
  const int64_t groups = xvk_groups(g->cols), size = xvk_block_size(number);
  const int64_t deepest = number == XVK_INT8 ? INT8_DEPTH : INT4_DEPTH;
  strip strips[VECTORS][MOST];
  for (int64_t row = begin; row < end; row += VECTORS * LANES) {
    const int vectors = row + LANES < end ? VECTORS : 1;
    for (int64_t depth = 0; depth < groups; depth += deepest) {
      sweep w = {.y_stride = g->y_stride, .groups = groups - depth < deepest ? groups - depth : deepest,
                 .is_first = depth == 0};
      for (int v = 0; v < vectors; ++v) {
        const int64_t r = row + v * LANES;
        const unsigned char *const panel = g->w + (r / XVK_PANEL * groups + depth) * size;
        // The same panel further on, or behind its end the one that stands in its place in the next round.
        const int64_t next = depth + deepest < groups ? deepest : VECTORS * LANES / XVK_PANEL * groups - depth;
        for (int64_t i = 0; i < w.groups; ++i) {
          prefetch(panel + (next + i) * size, size);
          unpack(number, &strips[v][i], panel + i * size, (int)(r % XVK_PANEL));
        }
        w.strips[v] = strips[v];
        w.y[v] = g->y + r;
        w.counts[v] = g->rows - r < LANES ? g->rows - r : LANES;
      }
      if (vectors == VECTORS) {
        all_tiles(number, VECTORS, &w, g, depth);
      } else {
        all_tiles(number, 1, &w, g, depth);
      }
    }
  }
}

XVK_INLINE void gemm(xvk_number number, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  if (g->tokens == 1) {
    one_token(number, g, begin, end);
  } else {
    several_tokens(number, g, begin, end);
  }
}
