// quantize.h -- weights to int8 and int4 blocks, the 16 rows of a panel side by side: the body of every instruction
// set's quantize.c, which the compiler turns into its vectors.
//
// The 32 weights of a row in a group get the step s, zero point z (in eighths of a code, for int4) and codes q that
// make the error least,
//   E = sum over columns of importance[c] * (w[c] - s * (q[c] - z))^2.
// Candidates are ranges a little narrower and wider than that of the weights, for int4 in different places. For each
// the codes follow by rounding; step and zero point are then those of the line through the points (q, w), found by
// least squares. For weights of real models the int4 error is within 0.5 % of that of a search through all steps and
// zero points.
//
// Rows that fill up a block become zeros. No product is fused with a sum, so that every instruction set chooses
// the same blocks.
#include <math.h>
#include "quantized.h"

#pragma STDC FP_CONTRACT OFF

typedef struct {
  float w[XVK_GROUP][XVK_PANEL];
  float importance[XVK_GROUP];
} weight_group;

// Step, zero point and error of every row: a candidate, or the best so far. Weights are step * (q - zero).
typedef struct {
  float step[XVK_PANEL], zero[XVK_PANEL], error[XVK_PANEL];
} grid;

// What a code can be, the largest weight and step, and the bits of a step's f32 that a block does not hold.
typedef struct {
  float lowest, highest, largest_weight, largest_step;
  uint32_t lost;
} code_range;

static void load_group(weight_group *g, const xvk_quantize_work *q, int64_t row, int64_t col) {
  const int64_t rows = q->rows - row < XVK_PANEL ? q->rows - row : XVK_PANEL;
  const int64_t cols = q->cols - col < XVK_GROUP ? q->cols - col : XVK_GROUP;
  memset(g, 0, sizeof *g);
  for (int64_t c = 0; c < cols; ++c) {
    g->importance[c] = q->importance ? q->importance[col + c] : 1;
    for (int64_t r = 0; r < rows; ++r) g->w[c][r] = q->x[(row + r) * q->cols + col + c];
  }
}

// Whether every weight can be quantized: then no step that follows from a range is near the largest of a block.
static int is_quantizable(const weight_group *g, const code_range *codes) {
  int outside = 0;
  for (int c = 0; c < XVK_GROUP; ++c)
    for (int r = 0; r < XVK_PANEL; ++r) outside |= !(fabsf(g->w[c][r]) <= codes->largest_weight);
  return !outside;
}

static inline float smaller(float a, float b) { return a < b ? a : b; }
static inline float larger(float a, float b) { return a > b ? a : b; }

// Rounded as the block will hold it. The order of the arguments here and in what follows makes a bound of NaN.
static inline float stored(float step, const code_range *codes) {
  const float rounded = xvk_float_from_bits((xvk_bits_of_float(step) + (codes->lost + 1) / 2) & ~codes->lost);
  return smaller(rounded, codes->largest_step);
}

static inline float stored_zero(float zero) { return larger(0, smaller(rintf(8 * zero) * 0.125f, 15.875f)); }

static inline float inverse_of(float step) { return step > 0 ? 1 / step : 0; }

static inline float code(float w, float inverse, float zero, const code_range *codes) {
  return larger(codes->lowest, smaller(rintf(w * inverse + zero), codes->highest));
}

// Moves a candidate without zero points to the best step for its codes.
static void fit_step(const weight_group *g, grid *trial, const code_range *codes) {
  float products[XVK_PANEL] = {0}, squares[XVK_PANEL] = {0}, inverse[XVK_PANEL];
  for (int r = 0; r < XVK_PANEL; ++r) inverse[r] = inverse_of(trial->step[r]);
  for (int c = 0; c < XVK_GROUP; ++c) {
    const float importance = g->importance[c];
    for (int r = 0; r < XVK_PANEL; ++r) {
      const float w = g->w[c][r], q = code(w, inverse[r], 0, codes);
      products[r] += importance * q * w;
      squares[r] += importance * q * q;
    }
  }
  for (int r = 0; r < XVK_PANEL; ++r) {
    const float step = squares[r] > 0 ? larger(0, products[r] / squares[r]) : trial->step[r];
    trial->step[r] = stored(step, codes);
  }
}

// Moves a candidate to the best step for its codes, then to the best zero point for these and that step.
static void fit_line(const weight_group *g, grid *trial, const code_range *codes) {
  float levels[XVK_PANEL] = {0}, squares[XVK_PANEL] = {0}, sums[XVK_PANEL] = {0}, products[XVK_PANEL] = {0};
  float inverse[XVK_PANEL], weights = 0;
  for (int r = 0; r < XVK_PANEL; ++r) inverse[r] = inverse_of(trial->step[r]);
  for (int c = 0; c < XVK_GROUP; ++c) {
    const float importance = g->importance[c];
    weights += importance;
    for (int r = 0; r < XVK_PANEL; ++r) {
      const float w = g->w[c][r], level = code(w, inverse[r], trial->zero[r], codes) - trial->zero[r];
      levels[r] += importance * level;
      squares[r] += importance * level * level;
      sums[r] += importance * w;
      products[r] += importance * level * w;
    }
  }
  for (int r = 0; r < XVK_PANEL; ++r) {
    const float spread = weights * squares[r] - levels[r] * levels[r];
    const float slope = weights * products[r] - levels[r] * sums[r];
    trial->step[r] = spread > 0 ? stored(larger(0, slope / spread), codes) : trial->step[r];
    const float offset = levels[r] - sums[r] * inverse_of(trial->step[r]);
    trial->zero[r] = weights > 0 ? stored_zero(trial->zero[r] + offset / weights) : trial->zero[r];
  }
}

static void measure(const weight_group *g, grid *trial, const code_range *codes) {
  float inverse[XVK_PANEL];
  for (int r = 0; r < XVK_PANEL; ++r) {
    inverse[r] = inverse_of(trial->step[r]);
    trial->error[r] = 0;
  }
  for (int c = 0; c < XVK_GROUP; ++c) {
    for (int r = 0; r < XVK_PANEL; ++r) {
      const float level = code(g->w[c][r], inverse[r], trial->zero[r], codes) - trial->zero[r];
      const float off = g->w[c][r] - trial->step[r] * level;
      trial->error[r] += g->importance[c] * off * off;
    }
  }
}

static void keep_better(grid *best, const grid *trial) {
  for (int r = 0; r < XVK_PANEL; ++r) {
    const int better = trial->error[r] < best->error[r];
    best->step[r] = better ? trial->step[r] : best->step[r];
    best->zero[r] = better ? trial->zero[r] : best->zero[r];
    best->error[r] = better ? trial->error[r] : best->error[r];
  }
}

// The extremes of every row, 0 among them.
static void extremes(const weight_group *g, float low[XVK_PANEL], float high[XVK_PANEL]) {
  for (int r = 0; r < XVK_PANEL; ++r) low[r] = high[r] = 0;
  for (int c = 0; c < XVK_GROUP; ++c) {
    for (int r = 0; r < XVK_PANEL; ++r) {
      low[r] = smaller(low[r], g->w[c][r]);
      high[r] = larger(high[r], g->w[c][r]);
    }
  }
}

// The candidates around the best one: a unit of the step and of the zero point to either side.
static void search_nearby(const weight_group *g, grid *best, const code_range *codes) {
  const grid center = *best;
  for (int i = -1; i <= 1; ++i) {
    for (int j = -1; j <= 1; ++j) {
      grid trial;
      for (int r = 0; r < XVK_PANEL; ++r) {
        const uint32_t bits = xvk_bits_of_float(center.step[r]) + (uint32_t)i * (codes->lost + 1);
        trial.step[r] = center.step[r] > 0 ? smaller(xvk_float_from_bits(bits), codes->largest_step) : 0;
        trial.zero[r] = stored_zero(center.zero[r] + 0.125f * (float)j);
      }
      measure(g, &trial, codes);
      keep_better(best, &trial);
    }
  }
}

static void search_int4(const weight_group *g, grid *best, const code_range *codes) {
  float low[XVK_PANEL], high[XVK_PANEL];
  extremes(g, low, high);
  for (int i = 0; i < 8; ++i) {
    for (int j = -1; j <= 1; ++j) {
      grid trial;
      for (int r = 0; r < XVK_PANEL; ++r) {
        // From 14 steps across the weights, all of them well inside, to 19.25, the outermost cut off: on one side or
        // both.
        const float steps = 14 + 0.75f * (float)i, cut_below = (steps - 15) * 0.5f - 0.5f * (float)j;
        trial.step[r] = stored((high[r] - low[r]) / steps, codes);
        trial.zero[r] = stored_zero(-low[r] * inverse_of(trial.step[r]) - cut_below);
      }
      fit_line(g, &trial, codes);
      fit_line(g, &trial, codes);
      measure(g, &trial, codes);
      keep_better(best, &trial);
    }
  }
  search_nearby(g, best, codes);
}

// Steps up to an eighth coarser than it takes: the error of 32 weights differs from step to step by chance, and by more
// than what a coarser step adds. The best of 32 errs 13 % less than the best of 5 for normal numbers, 30 % for
// SmolLM2-135M.
static void search_int8(const weight_group *g, grid *best, const code_range *codes) {
  float low[XVK_PANEL], high[XVK_PANEL];
  extremes(g, low, high);
  for (int i = 0; i < 32; ++i) {
    grid trial;
    for (int r = 0; r < XVK_PANEL; ++r) {
      trial.step[r] = stored(larger(-low[r], high[r]) / (112 + 0.5f * (float)i), codes);
      trial.zero[r] = 0;
    }
    fit_step(g, &trial, codes);
    measure(g, &trial, codes);
    keep_better(best, &trial);
  }
}

// What the block holds of a step is an f16, for int4 of an eighth of it. Below 2^-14 that has fewer bits than the
// search knew.
static void round_steps(xvk_dtype dtype, grid *best) {
  const float unit = dtype == XVK_INT4 ? 8 : 1;
  for (int r = 0; r < XVK_PANEL; ++r) {
    uint16_t half = xvk_narrow_f16(best->step[r] / unit);
    if (dtype == XVK_INT4) half = (half + 0x10) & XVK_INT4_SCALE >> XVK_INT4_SHIFT;
    best->step[r] = xvk_widen_f16(half) * unit;
  }
}

static void write_grid(xvk_dtype dtype, unsigned char *block, const grid *best) {
  memset(block, 0, (size_t)xvk_block_size(dtype));
  for (int r = 0; r < XVK_PANEL; ++r) {
    const int is_int4 = dtype == XVK_INT4;
    const uint16_t half = xvk_narrow_f16(is_int4 ? best->step[r] / 8 : best->step[r]);
    const uint16_t word = is_int4 ? (uint16_t)(half << XVK_INT4_SHIFT | (int)(8 * best->zero[r])) : half;
    memcpy(block + xvk_block_scales(dtype) + 2 * r, &word, sizeof word);
  }
}

static void codes_of(const float w[XVK_PANEL], const grid *best, const code_range *codes, float q[XVK_PANEL]) {
  for (int r = 0; r < XVK_PANEL; ++r) q[r] = code(w[r], inverse_of(best->step[r]), best->zero[r], codes);
}

// Writes the codes of a column of a group.
static void write_column(xvk_dtype dtype, unsigned char *block, int64_t c, const float q[XVK_PANEL]) {
  for (int r = 0; r < XVK_PANEL; ++r) {
    const int value = (int)q[r];
    if (dtype == XVK_INT8) {
      block[(c / 2 * XVK_PANEL + r) * 2 + c % 2] = (unsigned char)value;
    } else {
      block[(c / 8 * XVK_PANEL + r) * 4 + c % 4] |= (unsigned char)(c % 8 < 4 ? value : value << 4);
    }
  }
}

static void write_block(xvk_dtype dtype, unsigned char *block, const weight_group *g, grid *best,
                        const code_range *codes) {
  round_steps(dtype, best);
  write_grid(dtype, block, best);
  for (int c = 0; c < XVK_GROUP; ++c) {
    float q[XVK_PANEL];
    codes_of(g->w[c], best, codes, q);
    write_column(dtype, block, c, q);
  }
}

static void search(xvk_dtype dtype, const weight_group *g, grid *best, const code_range *codes) {
  for (int r = 0; r < XVK_PANEL; ++r) {
    best->step[r] = best->zero[r] = 0;
    best->error[r] = INFINITY;
  }
  if (dtype == XVK_INT8) {
    search_int8(g, best, codes);
  } else {
    search_int4(g, best, codes);
  }
}

// An f16 has 10 bits of the fraction and ends at 2^16; int4 keeps 5, ends at 2, and a step is 8 scales.
static inline code_range range_of(xvk_dtype dtype) {
  return dtype == XVK_INT8 ? (code_range){-127, 127, XVK_INT8_LIMIT, 0x1.FFCp15f, 0x1FFF}
                           : (code_range){0, 15, XVK_INT4_LIMIT, 0x1.F8p3f, 0x3FFFF};
}

static inline void quantize(xvk_dtype dtype, const xvk_quantize_work *q, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(q->cols);
  const code_range codes = range_of(dtype);
  for (int64_t panel = begin; panel < end; ++panel) {
    for (int64_t group = 0; group < groups; ++group) {
      weight_group g;
      grid best;
      load_group(&g, q, panel * XVK_PANEL, group * XVK_GROUP);
      if (!is_quantizable(&g, &codes)) __atomic_store_n(q->faults, 1, __ATOMIC_RELAXED);
      search(dtype, &g, &best, &codes);
      write_block(dtype, q->w + (panel * groups + group) * xvk_block_size(dtype), &g, &best, &codes);
    }
  }
}

// ---- GPTQ ----
//
// GPTQ (Frantar et al. 2022): when a column is rounded, the columns behind it that are not rounded yet take up the
// error as the inputs correlate with it. With H = sum over inputs of x x^T and its inverse = U^T U, U upper triangular,
//   e = (w[c] - rounded) / U[c, c],   w[j] -= e * U[c, j] for j > c.
// This does a block of XVK_GPTQ_BLOCK columns; the driver then takes e U off the columns behind it in one matrix
// product. Groups come in the order that u has. The grid of one is searched when its first column is reached, errors
// weighed by 1 / U[c, c]^2: what an error there costs after all columns behind it have done their best.

// The columns of a block in a panel, turned: rows innermost.
typedef struct {
  float w[XVK_GPTQ_BLOCK][XVK_PANEL];
} weight_columns;

static void load_columns(weight_columns *p, const xvk_gptq_work *work, int64_t row) {
  const int64_t rows = work->rows - row < XVK_PANEL ? work->rows - row : XVK_PANEL;
  memset(p, 0, sizeof *p);
  for (int64_t c = 0; c < work->width; ++c)
    for (int64_t r = 0; r < rows; ++r) p->w[c][r] = work->x[(row + r) * work->cols + work->col + c];
}

// Rounds the columns of a group, hands their errors on within the block, and keeps them in work->errors.
static void round_group(xvk_dtype dtype, unsigned char *block, weight_columns *p, const xvk_gptq_work *work,
                        int64_t row, int64_t first, const grid *best, const code_range *codes) {
  const int64_t rows = work->rows - row < XVK_PANEL ? work->rows - row : XVK_PANEL;
  write_grid(dtype, block, best);
  for (int64_t c = first; c < first + XVK_GROUP; ++c) {
    float q[XVK_PANEL] = {0}, error[XVK_PANEL];
    if (c < work->width) {
      const float *const u = work->u + (work->col + c) * work->cols + work->col;
      const float diagonal = 1 / u[c];
      codes_of(p->w[c], best, codes, q);
      for (int r = 0; r < XVK_PANEL; ++r) error[r] = (p->w[c][r] - best->step[r] * (q[r] - best->zero[r])) * diagonal;
      for (int64_t j = c + 1; j < work->width; ++j)
        for (int r = 0; r < XVK_PANEL; ++r) p->w[j][r] -= error[r] * u[j];
      for (int64_t r = 0; r < rows; ++r) work->errors[(row + r) * XVK_GPTQ_BLOCK + c] = error[r];
    }
    write_column(dtype, block, c - first, q);
  }
}

static inline void quantize_gptq(xvk_dtype dtype, const xvk_gptq_work *work, int64_t begin, int64_t end) {
  const int64_t groups = xvk_groups(work->cols), group = work->col / XVK_GROUP;
  const code_range codes = range_of(dtype);
  for (int64_t panel = begin; panel < end; ++panel) {
    weight_columns p;
    load_columns(&p, work, panel * XVK_PANEL);
    for (int64_t first = 0; first < work->width; first += XVK_GROUP) {
      weight_group g = {0};
      grid best;
      for (int64_t c = 0; c < XVK_GROUP && first + c < work->width; ++c) {
        const int64_t col = work->col + first + c;
        const float diagonal = work->u[col * work->cols + col];
        g.importance[c] = 1 / (diagonal * diagonal);
        memcpy(g.w[c], p.w[first + c], sizeof g.w[c]);
      }
      if (!is_quantizable(&g, &codes)) __atomic_store_n(work->faults, 1, __ATOMIC_RELAXED);
      search(dtype, &g, &best, &codes);
      const int64_t place = panel * groups + work->order[group + first / XVK_GROUP];
      unsigned char *const block = work->w + place * xvk_block_size(dtype);
      round_steps(dtype, &best);
      round_group(dtype, block, &p, work, panel * XVK_PANEL, first, &best, &codes);
    }
  }
}
