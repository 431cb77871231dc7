// quantized.c -- every set of kernels against the reference, bit for bit, for int8, int4 and int4_f16: a program of its
// own, so that a CPU on which no Swift runs, or an emulated one, can be tried too. scripts/check-neon.sh builds it
// without OpenMP.
// usage: quantized [SET ...]    sets that must be among those that ran
#include "sets.h"

// The blocks of int4_f16 are of codes from elsewhere; the others are quantized.
typedef struct {
  const char *name;
  xvk_dtype dtype;
  int64_t block_size;
} format;

static const format formats[] = {
    {"int8", XVK_INT8, XVK_INT8_BLOCK},
    {"int4", XVK_INT4, XVK_INT4_BLOCK},
    {"int4_f16", XVK_INT4_F16, XVK_INT4_F16_BLOCK},
};

static int is_quantized_here(const format *f) { return f->dtype != XVK_INT4_F16; }

static const struct {
  int64_t rows, cols;
} shapes[] = {{1, 1}, {7, 33}, {16, 32}, {33, 7}, {172, 64}, {64, 172}, {65, 32}, {33, 544}};

static const int64_t token_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 49};

enum { GAP = 3, MOST_TOKENS = 49, MOST_ROWS = 172, MOST_COLS = 544, MOST_BLOCKS = 64 };

static float x[MOST_TOKENS * MOST_COLS], weights[MOST_ROWS * MOST_COLS], importance[MOST_COLS];
static float expected[MOST_TOKENS * (MOST_ROWS + GAP)], y[MOST_TOKENS * (MOST_ROWS + GAP)];
static unsigned char reference_blocks[MOST_BLOCKS * XVK_INT8_BLOCK], blocks[MOST_BLOCKS * XVK_INT8_BLOCK];
static uint8_t codes[MOST_ROWS * MOST_COLS], zeros[MOST_ROWS * MOST_COLS];
static uint16_t scales[MOST_ROWS * MOST_COLS];

static void fill_weights(void) {
  for (int64_t i = 0; i < MOST_ROWS * MOST_COLS; ++i) weights[i] = random_number();
  for (int64_t i = 0; i < MOST_COLS; ++i) importance[i] = fabsf(random_number());
  for (int64_t i = 0; i < MOST_ROWS * MOST_COLS; ++i) {
    codes[i] = (uint8_t)((int)(8 + 4 * random_number()) & 15);
    zeros[i] = (uint8_t)(i % 7 == 0 ? 128 : i % 128);
    scales[i] = (uint16_t)(0x2400 + 97 * i % 0x400 + (i % 3 == 0 ? 0x8000 : 0));  // some are negative
  }
}

static void fill_activations(void) {
  for (int64_t i = 0; i < MOST_TOKENS * MOST_COLS; ++i) x[i] = random_number() * (i % 97 == 0 ? 20 : 1);
}

// What some of the later tokens have in their first group: zeros, numbers that vanish, infinity, NaN.
static void spoil_tokens(int64_t cols) {
  const int64_t width = cols < XVK_GROUP ? cols : XVK_GROUP;
  for (int64_t c = 0; c < width; ++c) x[9 * cols + c] = 0;
  for (int64_t c = 0; c < width; ++c) x[10 * cols + c] = 0x1p-120f;
  x[11 * cols] = INFINITY;
  x[13 * cols + width - 1] = NAN;
}

static void fail_shape(const char *set, const format *f, const char *what, int64_t rows, int64_t cols, int64_t tokens) {
  fail("%s: %s: other %s than the reference: %lld rows, %lld columns, %lld tokens", set, f->name, what, (long long)rows,
       (long long)cols, (long long)tokens);
}

static void multiply(const xvk_compute *c, const format *f, float *to, int64_t rows, const float *from, int64_t tokens,
                     int64_t cols) {
  float *const scratch = checked(malloc(xvk_gemm_scratch(c, tokens, cols) * sizeof *scratch));
  const int64_t stride = (cols + XVK_GROUP - 1) / XVK_GROUP * f->block_size;
  const xvk_product product = {to, rows + GAP, {reference_blocks, f->dtype, rows, cols, stride}};
  xvk_gemm(c, &product, 1, from, tokens, scratch);
  free(scratch);
}

// One token after the other, by the reference.
static void expect_products(const xvk_compute *reference, const format *f, int64_t rows, int64_t tokens, int64_t cols) {
  for (int64_t i = 0; i < tokens * (rows + GAP); ++i) expected[i] = untouched;
  for (int64_t t = 0; t < tokens; ++t) multiply(reference, f, expected + t * (rows + GAP), rows, x + t * cols, 1, cols);
}

static void check_products(const xvk_compute *c, const char *set, const format *f, int64_t rows, int64_t tokens,
                           int64_t cols) {
  int differ = 0;
  for (int64_t i = 0; i < tokens * (rows + GAP); ++i) y[i] = untouched;
  multiply(c, f, y, rows, guarded_floats(0, x, tokens * cols), tokens, cols);
  for (int64_t i = 0; i < tokens * (rows + GAP); ++i) differ |= !same_bits(y[i], expected[i]);
  if (differ) fail_shape(set, f, "products", rows, cols, tokens);
}

static void check_blocks(const xvk_compute *c, const char *set, const format *f, const float *importance_or_null,
                         int64_t rows, int64_t cols, size_t size) {
  memset(blocks, 0xA5, size);
  if (!xvk_quantize(c, f->dtype, blocks, weights, importance_or_null, rows, cols) ||
      memcmp(blocks, reference_blocks, size) != 0)
    fail_shape(set, f, "blocks", rows, cols, 0);
}

static void check_shape(const format *f, int64_t rows, int64_t cols) {
  const xvk_compute reference = {tables[XVK_ISA_REFERENCE], 1, 0};
  const int64_t panels = (rows + XVK_PANEL - 1) / XVK_PANEL, groups = (cols + XVK_GROUP - 1) / XVK_GROUP;
  const size_t size = (size_t)(panels * groups * f->block_size);
  if (panels * groups > MOST_BLOCKS) abort();
  fill_activations();
  spoil_tokens(cols);
  if (!is_quantized_here(f) && !xvk_pack_int4_f16(&reference, reference_blocks, codes, scales, zeros, rows, cols))
    fail_shape("reference", f, "answer", rows, cols, 0);
  for (int weighed = 1; weighed >= 0 && is_quantized_here(f); --weighed) {
    const float *const importances = weighed ? importance : NULL;
    if (!xvk_quantize(&reference, f->dtype, reference_blocks, weights, importances, rows, cols))
      fail_shape("reference", f, "answer", rows, cols, 0);
    for (int32_t set = 1; set < SETS; ++set)
      if (tables[set])
        check_blocks(&(xvk_compute){tables[set], 2, 0}, xvk_isa_name(set), f, importances, rows, cols, size);
  }
  for (size_t i = 0; i < sizeof token_counts / sizeof *token_counts; ++i) {
    const int64_t tokens = token_counts[i];
    expect_products(&reference, f, rows, tokens, cols);
    for (int32_t set = 0; set < SETS; ++set)
      for (int32_t threads = 1; threads <= 2 && tables[set]; ++threads)
        check_products(&(xvk_compute){tables[set], threads, 0}, xvk_isa_name(set), f, rows, tokens, cols);
  }
}

int main(int argc, char **argv) {
  if (!find_sets(argc, argv)) return 1;
  fill_weights();
  for (size_t f = 0; f < sizeof formats / sizeof *formats; ++f)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; ++s)
      check_shape(&formats[f], shapes[s].rows, shapes[s].cols);
  return report("all sets give the reference's bits");
}
