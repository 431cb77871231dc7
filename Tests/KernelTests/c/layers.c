// layers.c -- the float kernels of every set but those of the KV cache: products, rows of weights, norm, RoPE, SwiGLU,
// sums. Against float64, within tolerances that are derived here; where nothing may differ, against the reference.
// usage: layers [SET ...]    sets that must be among those that ran
#include "sets.h"

// Each calls its own threads' share one after the other where there is no OpenMP.
static const int32_t thread_counts[] = {1, 3};

static void check_bits(int32_t set, const char *what, const float *y, const float *expected, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (same_bits(y[i], expected[i])) continue;
    fail("%s: %s: %a at %lld, expected %a", xvk_isa_name(set), what, (double)y[i], (long long)i, (double)expected[i]);
    return;
  }
}

// y is within `ulps` halves of an ulp of exact.
static int is_near(float y, double exact, double ulps) { return fabs(y - exact) <= ulps * half_ulp * fabs(exact); }

static void fill(float *x, int64_t count, float largest) {
  for (int64_t i = 0; i < count; ++i) x[i] = largest * random_uniform();
}

// ---- rows of weights ----

// All 65536 numbers of a format, at an odd byte; the sizes end in every lane.
static void check_rows(xvk_dtype dtype, const char *name) {
  enum { ALL = 1 << 16 };
  static uint16_t bits[ALL];
  static float expected[ALL], y[ALL + 1];
  for (int64_t i = 0; i < ALL; ++i) bits[i] = (uint16_t)i;
  for (int64_t count = ALL; count > ALL - 9; --count) {
    const unsigned char *const w = guarded(0, (unsigned char *)bits + 1, 2 * (size_t)count - 1);
    const xvk_weights weights = {w, dtype, 1, count - 1, 2 * (count - 1)};
    xvk_rows(&(xvk_compute){tables[0], 1, 0}, expected, &weights, NULL, 1);
    for (int32_t set = 1; set < SETS; ++set) {
      if (!tables[set]) continue;
      y[count - 1] = untouched;
      xvk_rows(&(xvk_compute){tables[set], 1, 0}, y, &weights, NULL, 1);
      check_bits(set, name, y, expected, count - 1);
      check_bits(set, "behind the end", &y[count - 1], &untouched, 1);
    }
  }
}

// ---- products with float weights ----

enum { MOST_ROWS = 65, MOST_COLS = 1041, MOST_TOKENS = 98 };

// One or a few tokens as they are, packed, and in turns; the last two of each kind differ in one token.
static const int64_t token_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 32, 33, 34, 47, 96, 97, MOST_TOKENS};

static void multiply(const xvk_compute *c, float *y, const xvk_weights *w, const float *x, int64_t tokens) {
  static float scratch[1 << 20];
  if (xvk_gemm_scratch(c, tokens, w->cols) > sizeof scratch / sizeof *scratch) abort();
  xvk_gemm(c, &(xvk_product){y, w->rows, *w}, 1, x, tokens, scratch);
}

static void check_products(int32_t set, const xvk_weights *w, const float *x, const double *exact,
                           const double *magnitudes, int64_t tokens) {
  static float y[MOST_TOKENS * MOST_ROWS + 1], alone[MOST_ROWS];
  for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; ++i) {
    const xvk_compute c = {tables[set], thread_counts[i], 0};
    y[tokens * w->rows] = untouched;
    multiply(&c, y, w, x, tokens);
    check_bits(set, "behind the products", &y[tokens * w->rows], &untouched, 1);
    for (int64_t j = 0; j < tokens * w->rows; ++j) {
      // A term passes one product and at most `cols` additions, each off by half an ulp of a partial sum that is at
      // most the sum of magnitudes.
      if (fabs(y[j] - exact[j]) <= (double)(w->cols + 1) * half_ulp * magnitudes[j]) continue;
      fail("%s: product of format %d, %lld rows, %lld columns, %lld tokens", xvk_isa_name(set), (int)w->dtype,
           (long long)w->rows, (long long)w->cols, (long long)tokens);
      return;
    }
    for (int64_t t = 0; t < tokens; ++t) {
      multiply(&c, alone, w, x + t * w->cols, 1);
      check_bits(set, "product of a token alone", y + t * w->rows, alone, w->rows);
    }
  }
}

static void check_product(xvk_dtype dtype, int64_t rows, int64_t cols) {
  static float numbers[MOST_TOKENS * MOST_COLS], weights[MOST_ROWS * MOST_COLS];
  static uint16_t halves[MOST_ROWS * MOST_COLS];
  static double exact[MOST_TOKENS * MOST_ROWS], magnitudes[MOST_TOKENS * MOST_ROWS];
  static float widened[MOST_ROWS * MOST_COLS];
  fill(numbers, MOST_TOKENS * cols, 2);
  fill(weights, rows * cols, 1);
  for (int64_t i = 0; i < rows * cols; ++i) {  // normal numbers below 1 of either sign
    const uint32_t random = (uint32_t)(0x40000000 * (1 + weights[i]));
    halves[i] = (uint16_t)(dtype == XVK_F16 ? random % 0x3C00 | (random & 0x8000) : 0x3C00 + random % 0x380);
  }
  const int64_t size = dtype == XVK_F32 ? 4 : 2;
  const void *const from = dtype == XVK_F32 ? (const void *)weights : halves;
  const unsigned char *const place = guarded(1, from, (size_t)(rows * cols * size));
  const xvk_weights w = {place, dtype, rows, cols, cols * size};
  xvk_rows(&(xvk_compute){tables[0], 1, 0}, widened, &w, NULL, rows);
  for (size_t n = 0; n < sizeof token_counts / sizeof *token_counts; ++n) {
    const int64_t tokens = token_counts[n];
    const float *const x = guarded_floats(0, numbers, tokens * cols);
    for (int64_t i = 0; i < tokens * rows; ++i) {
      exact[i] = magnitudes[i] = 0;
      for (int64_t c = 0; c < cols; ++c) {
        const double term = (double)x[i / rows * cols + c] * (double)widened[i % rows * cols + c];
        exact[i] += term;
        magnitudes[i] += fabs(term);
      }
    }
    for (int32_t set = 0; set < SETS; ++set)
      if (tables[set]) check_products(set, &w, x, exact, magnitudes, tokens);
  }
}

// ---- pieces of a layer ----

enum { TOKENS = 3, MOST_SIZE = 2048 };

static void check_rmsnorm(int64_t size) {
  static float numbers[TOKENS * MOST_SIZE], weights[MOST_SIZE], y[TOKENS * MOST_SIZE + 1], in_place[TOKENS * MOST_SIZE];
  fill(numbers, TOKENS * size, 4);
  fill(weights, size, 2);
  const float *const x = guarded_floats(0, numbers, TOKENS * size), *const weight = guarded_floats(1, weights, size);
  for (int32_t set = 0; set < SETS; ++set) {
    const xvk_compute c = {tables[set], 1, 0};
    if (!tables[set]) continue;
    y[TOKENS * size] = untouched;
    xvk_rmsnorm(&c, y, x, weight, TOKENS, size, 1e-6f);
    check_bits(set, "behind rmsnorm", &y[TOKENS * size], &untouched, 1);
    for (int64_t t = 0; t < TOKENS; ++t) {
      double squares = 0;
      for (int64_t i = 0; i < size; ++i) squares += (double)x[t * size + i] * x[t * size + i];
      const double scale = 1 / sqrt(squares / (double)size + (double)1e-6f);
      for (int64_t i = 0; i < size; ++i) {
        // Rounded: the mean and its sum with epsilon (each halved by the root), root, quotient and two products.
        if (is_near(y[t * size + i], weight[i] * (x[t * size + i] * scale), 5.01)) continue;
        fail("%s: rmsnorm of size %lld", xvk_isa_name(set), (long long)size);
        return;
      }
    }
    memcpy(in_place, numbers, sizeof in_place);
    xvk_rmsnorm(&c, in_place, in_place, weight, TOKENS, size, 1e-6f);
    check_bits(set, "rmsnorm in place", in_place, y, TOKENS * size);
  }
}

static void check_rope(int64_t size) {
  enum { HEADS = 5, MOST = TOKENS * HEADS * 128 };
  static float x[MOST], cosines[MOST], sines[MOST], expected[MOST + 1], y[MOST + 1];
  const int64_t count = TOKENS * HEADS * size, angles = TOKENS * size / 2;
  fill(x, count, 3);
  fill(cosines, angles, 1);
  fill(sines, angles, 1);
  const float *const cos = guarded_floats(0, cosines, angles), *const sin = guarded_floats(1, sines, angles);
  for (int32_t set = 0; set < SETS; ++set) {
    float *const to = set == XVK_ISA_REFERENCE ? expected : y;
    if (!tables[set]) continue;
    memcpy(to, x, (size_t)count * sizeof *x);
    to[count] = untouched;
    xvk_rope(&(xvk_compute){tables[set], 1, 0}, to, cos, sin, TOKENS, HEADS, size);
    check_bits(set, "rope", to, expected, count + 1);
  }
}

static void swiglu(int32_t set, float *y, const float *gate_up, int64_t tokens, int64_t size) {
  y[tokens * size] = untouched;
  xvk_swiglu(&(xvk_compute){tables[set], 1, 0}, y, guarded_floats(0, gate_up, tokens * 2 * size), tokens, size);
  check_bits(set, "behind swiglu", &y[tokens * size], &untouched, 1);
}

static void check_swiglu(int64_t tokens, int64_t size, const float *gate_up) {
  static float y[1 << 16];
  for (int32_t set = 0; set < SETS; ++set) {
    if (!tables[set]) continue;
    swiglu(set, y, gate_up, tokens, size);
    for (int64_t i = 0; i < tokens * size; ++i) {
      const double gate = gate_up[i / size * 2 * size + i % size], up = gate_up[(i / size * 2 + 1) * size + i % size];
      // The exponential is off by at most 2 ulp = 4 half ulp; sum, quotient and product round once each.
      if (is_near(y[i], gate / (1 + exp(-gate)) * up, 7.01)) continue;
      fail("%s: swiglu(%a, %a) is %a, size %lld", xvk_isa_name(set), gate, up, (double)y[i], (long long)size);
      break;
    }
  }
}

// Gates where the exponential is 0, infinite, or neither: exactly 0 and the gate itself beyond its range.
static void check_extreme_gates(void) {
  enum { COUNT = 8 };
  static const float gate_up[2 * COUNT] = {-1e30f, -200, 89, 1e30f, INFINITY, 0, NAN, -89, 1, 1, 1, 1, 1, 1, 1, 1};
  float y[COUNT + 1];
  for (int32_t set = 0; set < SETS; ++set) {
    if (!tables[set]) continue;
    swiglu(set, y, gate_up, 1, COUNT);
    if (y[0] != 0 || y[1] != 0 || y[2] != 89 || y[3] != 1e30f || y[4] != INFINITY || y[5] != 0 || !isnan(y[6]) ||
        !(fabsf(y[7]) < 1e-30f))
      fail("%s: swiglu of extreme gates", xvk_isa_name(set));
  }
}

static void check_all_gates(void) {
  enum { COUNT = 18600 };  // -86 ... 100
  static float gate_up[2 * COUNT];
  for (int64_t i = 0; i < COUNT; ++i) {
    gate_up[i] = (float)i / 100 - 86;
    gate_up[COUNT + i] = 1.5f;
  }
  check_swiglu(1, COUNT, gate_up);
}

static void check_add(int64_t count) {
  enum { MOST = 5003 };
  static float x[MOST], y[MOST], expected[MOST + 1], sums[MOST + 1];
  fill(x, count, 1);
  fill(y, count, 1);
  for (int32_t set = 0; set < SETS; ++set) {
    float *const to = set == XVK_ISA_REFERENCE ? expected : sums;
    if (!tables[set]) continue;
    memcpy(to, x, (size_t)count * sizeof *x);
    to[count] = untouched;
    xvk_add(&(xvk_compute){tables[set], 3, 0}, to, guarded_floats(0, y, count), count);
    check_bits(set, "add", to, expected, count + 1);
  }
}

// ---- logsumexp ----

static double logsumexp(int32_t set, const float *x, int64_t count) {
  return xvk_logsumexp(&(xvk_compute){tables[set], 1, 0}, guarded_floats(0, x, count), count);
}

static void check_logsumexp(int64_t count) {
  static float x[5003];
  fill(x, count, 30);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += exp(x[i]);
  // x - max may round by half an ulp of 60, which is 2^-19; its exponential by 2 ulp. These are relative errors of the
  // sum, so they are absolute ones of its logarithm.
  for (int32_t set = 0; set < SETS; ++set)
    if (tables[set] && !(fabs(logsumexp(set, x, count) - log(sum)) <= 0x1p-19 + 0x1p-22))
      fail("%s: logsumexp of %lld numbers", xvk_isa_name(set), (long long)count);
}

// e^0 is exactly 1 and e^-infinity exactly 0, so that the logarithm is exact; infinities and NaN pass.
static void check_extreme_sums(int64_t count) {
  float x[40];
  for (int32_t set = 0; set < SETS; ++set) {
    if (!tables[set]) continue;
    for (int64_t i = 0; i < count; ++i) x[i] = -INFINITY;
    const double nothing = logsumexp(set, x, count);
    for (int64_t i = 0; i < count; ++i) {
      x[i] = -3.25f;
      const double one = logsumexp(set, x, count);
      x[i] = INFINITY;
      const double infinite = logsumexp(set, x, count);
      x[i] = NAN;
      if (nothing != -INFINITY || one != -3.25 || infinite != INFINITY || !isnan(logsumexp(set, x, count)))
        fail("%s: logsumexp of extremes", xvk_isa_name(set));
      x[i] = -INFINITY;
    }
  }
}

int main(int argc, char **argv) {
  static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 172, MOST_SIZE};
  static const int64_t head_sizes[] = {2, 8, 14, 16, 64, 80, 128};
  static const struct {
    int64_t rows, cols;
  } shapes[] = {{1, 1}, {7, 33}, {16, 8}, {33, 172}, {65, 20}, {19, 530}, {5, MOST_COLS}};
  static float gate_up[TOKENS * 2 * MOST_SIZE];
  if (!find_sets(argc, argv)) return 1;
  check_rows(XVK_F16, "rows of f16");
  check_rows(XVK_BF16, "rows of bf16");
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; ++i)
    for (int dtype = XVK_F32; dtype <= XVK_BF16; ++dtype)
      check_product((xvk_dtype)dtype, shapes[i].rows, shapes[i].cols);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    fill(gate_up, TOKENS * 2 * sizes[i], 8);
    check_rmsnorm(sizes[i]);
    check_swiglu(TOKENS, sizes[i], gate_up);
    check_add(sizes[i]);
    check_logsumexp(sizes[i]);
  }
  for (size_t i = 0; i < sizeof head_sizes / sizeof *head_sizes; ++i) check_rope(head_sizes[i]);
  check_all_gates();
  check_extreme_gates();
  check_add(5003);
  check_logsumexp(5003);
  for (int64_t count = 1; count <= 40; ++count) check_extreme_sums(count);
  return report("all sets are within the tolerances");
}
