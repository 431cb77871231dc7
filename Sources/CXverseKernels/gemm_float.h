// gemm_float.h -- y[t, r] = sum over c of x[t, c] * W[r, c] for f32, f16 and bf16 weights: the template of avx2/, avx512/
// and neon/gemm.c.
//
// Order of summation: each (token, row) has one vector of LANES sums; sum i takes the columns that leave the remainder
// i when divided by LANES, in ascending order, with fused multiply-adds; then the LANES sums are added, always in the
// same order. All paths below keep it, so the bits of y depend on neither the tokens nor the rows that are computed together.
//
//   1 ... AS_IS    x as it is: 4 rows of W, a quarter of the range apart, go through all columns. Each is a stream of
//                  memory that goes on without a break. Bound by memory.
//   ... FEW        x in tiles of up to FEW_TILE tokens; each widens its rows of W anew, in registers. Up to STREAMED
//                  tokens the rows are such streams too, fetched at an even pace; with more tokens a tile of x stays
//                  in L1 while PANEL rows pass. Bound by memory, then by the multipliers.
//   more           x in tiles of up to 3 tokens. The first tile widens some rows of W into L1, and all others take them
//                  from there. Bound by the multipliers, of which a twentieth of the time is lost between tiles: the
//                  sums of DEPTH columns wait in the thread's room for the next ones, and a tile loads and stores them.
//
// What a tile reads is packed, whole vectors in consecutive lines: rows of x and W are often a multiple of 4 KiB apart,
// and few such lines find room in a cache.
//
// An includer defines, for vectors of LANES floats, the type floats, LANES, FEW_ROWS x FEW_TILE and MANY_ROWS x 3 (rows and
// tokens of a tile: as many as keep all sums in registers), STREAMED and
//   floats zero(void), fused(a, b, c): a * b + c
//   floats load(dtype, place), load_first(dtype, place, count): at any byte; the first count numbers, then zeros
//   void put(float *, floats)
//   float sum_of(floats)
//   void sums_of(float sums[4], const floats v[4]): sum_of each
#include "numbers.h"

enum {
  AS_IS = XVK_FLOAT_AS_IS,
  FEW = 32,
  MANY_TILE = 3,
  PANEL = XVK_FLOAT_PANEL,
  DEPTH = XVK_FLOAT_DEPTH,
  STREAMS = 4,
  UNROLL = 4,
};

_Static_assert(PANEL % FEW_ROWS == 0 && PANEL % MANY_ROWS == 0 && MANY_ROWS % 4 == 0, "whole tiles");
_Static_assert(DEPTH % LANES == 0 && LANES <= XVK_FLOAT_LANES, "whole vectors");

// Bytes that are fetched ahead in each stream while x is as it is. One core of a Zen 5 reads f32 at 0.98 of what it can
// read bare; bf16 and f16, which take twice the instructions a byte, at 0.90 with 1536, 0.99 and 0.96 with 2304, 0.98
// and 0.85 with 4096. (bench_kernels 1 7 gemv)
enum { PREFETCH = 1536, PREFETCH_NARROW = 2304, PREFETCH_FEW = 4096 };

XVK_INLINE floats load_floats(const float *place) { return load(XVK_F32, (const unsigned char *)place); }

// ---- x as it is ----

// Adds LANES columns to the sums of a tile; `some` of them when it is not 0.
XVK_INLINE void step(xvk_dtype dtype, int rows, int tokens, floats sums[STREAMS][AS_IS], const unsigned char *w,
                     int64_t row_size, const float *x, int64_t cols, int64_t some) {
  floats xs[AS_IS];
  for (int t = 0; t < tokens; ++t) {
    const unsigned char *const place = (const unsigned char *)(x + t * cols);
    xs[t] = some ? load_first(XVK_F32, place, some) : load(XVK_F32, place);
  }
  for (int r = 0; r < rows; ++r) {
    const unsigned char *const place = w + r * row_size;
    const floats ws = some ? load_first(dtype, place, some) : load(dtype, place);
    for (int t = 0; t < tokens; ++t) sums[r][t] = fused(ws, xs[t], sums[r][t]);
  }
}

// Rows row, row + apart, row + 2 * apart ... times all tokens.
XVK_INLINE void stream(xvk_dtype dtype, int rows, int tokens, const xvk_gemm_work *g, int64_t row, int64_t apart) {
  const int64_t size = xvk_dtype_size(dtype), row_size = g->w_stride;
  const int64_t ahead = dtype == XVK_F32 ? PREFETCH : PREFETCH_NARROW;
  const unsigned char *const w = g->w + row * row_size;
  const float *const x = g->x;
  floats sums[STREAMS][AS_IS];
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) sums[r][t] = zero();

  int64_t col = 0;
  for (; col + LANES * UNROLL <= g->cols; col += LANES * UNROLL) {
    for (int r = 0; r < rows; ++r)
      for (int line = 0; line < LANES * UNROLL * size; line += 64)
        __builtin_prefetch(w + r * apart * row_size + col * size + line + ahead, 0, 3);
    for (int i = 0; i < LANES * UNROLL; i += LANES)
      step(dtype, rows, tokens, sums, w + (col + i) * size, apart * row_size, x + col + i, g->cols, 0);
  }
  for (; col + LANES <= g->cols; col += LANES)
    step(dtype, rows, tokens, sums, w + col * size, apart * row_size, x + col, g->cols, 0);
  if (col < g->cols) step(dtype, rows, tokens, sums, w + col * size, apart * row_size, x + col, g->cols, g->cols - col);

  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < tokens; ++t) g->y[t * g->y_stride + row + r * apart] = sum_of(sums[r][t]);
}

XVK_INLINE void streams(xvk_dtype dtype, int tokens, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  const int64_t apart = (end - begin) / STREAMS;
  for (int64_t i = 0; i < apart; ++i) stream(dtype, STREAMS, tokens, g, begin + i, apart);
  for (int64_t row = begin + STREAMS * apart; row < end; ++row) stream(dtype, 1, tokens, g, row, 1);
}

// ---- x packed ----

// Packed x: blocks of DEPTH columns, in each the tiles, in a tile [steps][tokens][LANES]; zeros fill up the last step.
// The tiles of a product have nearly the same number of tokens, the larger ones first, and none has 1: its sums would
// wait for each other.
static inline int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t whole_steps(int64_t cols) { return (cols + LANES - 1) / LANES * LANES; }

static inline int64_t tiles_of(int64_t tokens) {
  const int64_t most = tokens <= FEW ? FEW_TILE : MANY_TILE;
  return (tokens + most - 1) / most;
}

// The first token of a tile.
static inline int64_t tile_begin(int64_t tokens, int64_t tile) {
  const int64_t tiles = tiles_of(tokens), least = tokens / tiles;
  return tile * least + lesser(tile, tokens - tiles * least);
}

XVK_INLINE void pack(const xvk_pack_f32_work *p, int64_t begin, int64_t end) {
  int64_t tile = 0;
  for (int64_t token = begin; token < end; ++token) {
    while (tile_begin(p->tokens, tile + 1) <= token) ++tile;
    const int64_t first = tile_begin(p->tokens, tile), tokens = tile_begin(p->tokens, tile + 1) - first;
    for (int64_t block = 0; block < p->cols; block += DEPTH) {
      const int64_t cols = lesser(p->cols - block, DEPTH);
      const float *const x = p->x + token * p->cols + block;
      float *const packed = p->packed + block * p->tokens + first * whole_steps(cols) + (token - first) * LANES;
      for (int64_t col = 0; col < cols; col += LANES) {
        const unsigned char *const place = (const unsigned char *)(x + col);
        put(packed + col * tokens, cols - col < LANES ? load_first(XVK_F32, place, cols - col) : load(XVK_F32, place));
      }
    }
  }
}

// Rows that meet all tokens, DEPTH columns at a time, and what is fetched meanwhile. Rows beyond `count` are the last
// one again, and not stored.
typedef struct {
  const unsigned char *w[PANEL], *next[PANEL];
  int64_t rows[PANEL], count;
  int64_t col, cols;  // those in turn
} panel;

// The rows row, row + apart ... of `count`.
XVK_INLINE panel panel_at(const xvk_gemm_work *g, int64_t row, int64_t apart, int64_t count, int most) {
  panel p = {.count = count};
  for (int i = 0; i < most; ++i) {
    p.rows[i] = row + lesser(i, count - 1) * apart;
    p.w[i] = g->w + p.rows[i] * g->w_stride;
  }
  return p;
}

// What comes after some columns of a row: its next ones, or the first ones of the row that takes its place.
XVK_INLINE const unsigned char *after(const xvk_gemm_work *g, const panel *p, const unsigned char *w, int64_t size) {
  return p->col + p->cols < g->cols ? w + DEPTH * size : w + PANEL * g->w_stride - p->col * size;
}

XVK_INLINE floats sums_before(const panel *p, const float *sums) { return p->col == 0 ? zero() : load_floats(sums); }

// ---- few tokens ----

// sums += W x for LANES columns.
XVK_INLINE void few_step(xvk_dtype dtype, int tokens, const unsigned char *const w[FEW_ROWS], int64_t offset,
                         const float *x, floats sums[FEW_ROWS][FEW_TILE]) {
  floats ws[FEW_ROWS];
  for (int r = 0; r < FEW_ROWS; ++r) ws[r] = load(dtype, w[r] + offset);
  for (int t = 0; t < tokens; ++t) {
    const floats xs = load_floats(x + t * LANES);
    for (int r = 0; r < FEW_ROWS; ++r) sums[r][t] = fused(ws[r], xs, sums[r][t]);
  }
}

// sums += W x; fetches meanwhile what comes PREFETCH_FEW bytes later in each row.
XVK_INLINE void multiply_few(xvk_dtype dtype, int fetches, int tokens, const unsigned char *const w[FEW_ROWS],
                             const float *x, int64_t cols, floats sums[FEW_ROWS][FEW_TILE]) {
  const int64_t size = xvk_dtype_size(dtype);
  int64_t col = 0;
  for (; col + LANES * UNROLL <= cols; col += LANES * UNROLL, x += tokens * LANES * UNROLL) {
    for (int r = 0; r < FEW_ROWS && fetches; ++r)
      for (int line = 0; line < LANES * UNROLL * size; line += 64)
        __builtin_prefetch(w[r] + col * size + line + PREFETCH_FEW, 0, 3);
    for (int i = 0; i < UNROLL; ++i) few_step(dtype, tokens, w, (col + i * LANES) * size, x + i * tokens * LANES, sums);
  }
  for (; col + LANES <= cols; col += LANES, x += tokens * LANES) few_step(dtype, tokens, w, col * size, x, sums);
  if (col == cols) return;
  for (int r = 0; r < FEW_ROWS; ++r) {
    const floats ws = load_first(dtype, w[r] + col * size, cols - col);
    for (int t = 0; t < tokens; ++t) sums[r][t] = fused(ws, load_floats(x + t * LANES), sums[r][t]);
  }
}

// A tile of x, whose first token is `token`, and the bytes line ..< end of the rows that come next, which it fetches.
typedef struct {
  const float *x;
  float *sums;  // [rows / FEW_ROWS][FEW_ROWS][tokens][LANES]
  int64_t token, line, end;
} few_tile;

// A tile of x with all rows. With `streams` it fetches as it reads.
XVK_INLINE void few_rows(xvk_dtype dtype, int streams, int tokens, const xvk_gemm_work *g, const panel *p,
                         const few_tile *tile) {
  float *place = tile->sums;
  for (int64_t row = 0; row < p->count; row += FEW_ROWS, place += FEW_ROWS * tokens * LANES) {
    for (int64_t line = tile->line; line < tile->end; line += 64)
      for (int r = 0; r < FEW_ROWS; ++r) __builtin_prefetch(p->next[row + r] + line, 0, 3);
    floats sums[FEW_ROWS][FEW_TILE];
    for (int r = 0; r < FEW_ROWS; ++r)
      for (int t = 0; t < tokens; ++t) sums[r][t] = sums_before(p, place + (r * tokens + t) * LANES);
    multiply_few(dtype, streams, tokens, p->w + row, tile->x, p->cols, sums);
    if (p->col + p->cols < g->cols) {
      for (int r = 0; r < FEW_ROWS; ++r)
        for (int t = 0; t < tokens; ++t) put(place + (r * tokens + t) * LANES, sums[r][t]);
      continue;
    }
    for (int r = 0; r < FEW_ROWS; ++r)
      for (int t = 0; t < tokens && row + r < p->count; ++t)
        g->y[(tile->token + t) * g->y_stride + p->rows[row + r]] = sum_of(sums[r][t]);
  }
}

XVK_INLINE void any_few_rows(xvk_dtype dtype, int streams, int64_t tokens, const xvk_gemm_work *g, const panel *p,
                             const few_tile *tile) {
  switch (tokens) {
    case 3:
      few_rows(dtype, streams, 3, g, p, tile);
      break;
    case 4:
      few_rows(dtype, streams, 4, g, p, tile);
      break;
    case 5:
      few_rows(dtype, streams, 5, g, p, tile);
      break;
    default:
      few_rows(dtype, streams, FEW_TILE, g, p, tile);
      break;
  }
}

// All columns of the rows row, row + apart ... of `count`, which is FEW_ROWS for streams.
XVK_INLINE void few(xvk_dtype dtype, int streams, const xvk_gemm_work *g, int64_t row, int64_t apart, int64_t count) {
  const int64_t size = xvk_dtype_size(dtype), tiles = tiles_of(g->tokens);
  const int most = streams ? FEW_ROWS : PANEL;
  panel p = panel_at(g, row, apart, count, most);
  for (p.col = 0; p.col < g->cols; p.col += DEPTH) {
    p.cols = lesser(g->cols - p.col, DEPTH);
    for (int i = 0; i < most && !streams; ++i) p.next[i] = after(g, &p, p.w[i], size);
    const int64_t lines = streams ? 0 : (p.cols * size + 63) / 64;
    for (int64_t i = 0; i < tiles; ++i) {
      const int64_t token = tile_begin(g->tokens, i), tokens = tile_begin(g->tokens, i + 1) - token;
      const float *const x = (const float *)g->x + p.col * g->tokens + token * whole_steps(p.cols);
      const few_tile tile = {x, g->room + token * PANEL * LANES, token, lines * i / tiles * 64,
                             lines * (i + 1) / tiles * 64};
      if (streams && i == 0) {
        any_few_rows(dtype, 1, tokens, g, &p, &tile);
      } else {
        any_few_rows(dtype, 0, tokens, g, &p, &tile);
      }
    }
    for (int i = 0; i < most; ++i) p.w[i] += DEPTH * size;
  }
}

// ---- many tokens ----

// sums += W x for some columns. The first tile reads W at w and leaves it in wide [steps][MANY_ROWS][LANES].
XVK_INLINE void multiply_many(xvk_dtype dtype, int is_first, int tokens, const unsigned char *const w[MANY_ROWS],
                              float *wide, const float *x, int64_t cols, floats sums[MANY_ROWS][MANY_TILE]) {
  const int64_t size = xvk_dtype_size(dtype);
#pragma clang loop unroll_count(2)
  for (int64_t col = 0; col + LANES <= cols; col += LANES) {
    floats xs[MANY_TILE];
    for (int t = 0; t < tokens; ++t) xs[t] = load_floats(x + t * LANES);
    for (int r = 0; r < MANY_ROWS; ++r) {
      const floats ws = is_first ? load(dtype, w[r] + col * size) : load_floats(wide + r * LANES);
      if (is_first) put(wide + r * LANES, ws);
      for (int t = 0; t < tokens; ++t) sums[r][t] = fused(ws, xs[t], sums[r][t]);
    }
    wide += MANY_ROWS * LANES;
    x += tokens * LANES;
  }
  const int64_t some = cols % LANES;
  if (!is_first || some == 0) return;
  for (int r = 0; r < MANY_ROWS; ++r) {
    const floats ws = load_first(dtype, w[r] + (cols - some) * size, some);
    put(wide + r * LANES, ws);
    for (int t = 0; t < tokens; ++t) sums[r][t] = fused(ws, load_floats(x + t * LANES), sums[r][t]);
  }
}

// The tiles that MANY_ROWS rows have still to meet.
typedef struct {
  const float *x;
  float *wide, *sums;  // sums of each tile: [MANY_ROWS][tokens][LANES]
  int64_t token;
  // Of the columns that come next, in 1/256 bytes: fetched already, to be fetched by now, the share of each tile.
  int64_t line, end, share;
} sweep;

XVK_INLINE void store(int tokens, const xvk_gemm_work *g, const panel *p, int64_t row, int64_t token,
                      floats sums[MANY_ROWS][MANY_TILE]) {
  for (int t = 0; t < tokens; ++t) {
    float *const y = g->y + (token + t) * g->y_stride, results[MANY_ROWS];
    for (int r = 0; r < MANY_ROWS; r += 4) {
      const floats four[4] = {sums[r][t], sums[r + 1][t], sums[r + 2][t], sums[r + 3][t]};
      sums_of(results + r, four);
    }
    for (int r = 0; r < MANY_ROWS && row + r < p->count; ++r) y[p->rows[row + r]] = results[r];
  }
}

// The next `tiles` tiles, of so many tokens each.
XVK_INLINE void sweep_tiles(xvk_dtype dtype, int is_first, int tokens, int64_t tiles, const xvk_gemm_work *g,
                            const panel *p, int64_t row, sweep *s) {
  const int64_t steps = whole_steps(p->cols);
  const int is_last = p->col + p->cols == g->cols;
  for (; tiles > 0; --tiles) {
    for (s->end += s->share; s->line < s->end; s->line += 64 << 8)
      for (int r = 0; r < MANY_ROWS; ++r) __builtin_prefetch(p->next[row + r] + (s->line >> 8), 0, 2);
    floats sums[MANY_ROWS][MANY_TILE];
    for (int r = 0; r < MANY_ROWS; ++r)
      for (int t = 0; t < tokens; ++t) sums[r][t] = sums_before(p, s->sums + (r * tokens + t) * LANES);
    multiply_many(dtype, is_first, tokens, p->w + row, s->wide, s->x, is_first ? p->cols : steps, sums);
    if (is_last) {
      store(tokens, g, p, row, s->token, sums);
    } else {
      for (int r = 0; r < MANY_ROWS; ++r)
        for (int t = 0; t < tokens; ++t) put(s->sums + (r * tokens + t) * LANES, sums[r][t]);
    }
    s->token += tokens;
    s->x += tokens * steps;
    s->sums += MANY_ROWS * tokens * LANES;
  }
}

// All columns of the rows row ..< row + count, at most PANEL.
XVK_INLINE void many(xvk_dtype dtype, const xvk_gemm_work *g, int64_t first_row, int64_t count) {
  const int64_t size = xvk_dtype_size(dtype), tiles = tiles_of(g->tokens);
  const int64_t full = g->tokens - (MANY_TILE - 1) * tiles;  // tiles of 3 tokens; the others have 2
  panel p = panel_at(g, first_row, 1, count, PANEL);
  for (p.col = 0; p.col < g->cols; p.col += DEPTH) {
    p.cols = lesser(g->cols - p.col, DEPTH);
    for (int i = 0; i < PANEL; ++i) p.next[i] = after(g, &p, p.w[i], size);
    for (int64_t row = 0; row < count; row += MANY_ROWS) {
      sweep s = {.x = (const float *)g->x + p.col * g->tokens, .wide = g->room};
      s.sums = g->room + MANY_ROWS * DEPTH + row * g->tokens * LANES;
      s.share = (lesser(g->cols, DEPTH) * size << 8) / tiles + 1;
      sweep_tiles(dtype, 1, 3, 1, g, &p, row, &s);
      sweep_tiles(XVK_F32, 0, 3, full - 1, g, &p, row, &s);
      sweep_tiles(XVK_F32, 0, 2, tiles - full, g, &p, row, &s);
    }
    for (int i = 0; i < PANEL; ++i) p.w[i] += DEPTH * size;
  }
}

XVK_INLINE void gemm(xvk_dtype dtype, const xvk_gemm_work *g, int64_t begin, int64_t end) {
  switch (g->tokens) {
    case 1:
      streams(dtype, 1, g, begin, end);
      return;
    case 2:
      streams(dtype, 2, g, begin, end);
      return;
    case 3:
      streams(dtype, 3, g, begin, end);
      return;
    default:
      break;
  }
  const int64_t apart = g->tokens <= STREAMED ? (end - begin) / FEW_ROWS : 0;
  for (int64_t i = 0; i < apart; ++i) few(dtype, 1, g, begin + i, apart, FEW_ROWS);
  for (int64_t row = begin + FEW_ROWS * apart; row < end; row += PANEL) {
    const int64_t count = lesser(end - row, PANEL);
    if (g->tokens <= FEW) {
      few(dtype, 0, g, row, 1, count);
    } else {
      many(dtype, g, row, count);
    }
  }
}
