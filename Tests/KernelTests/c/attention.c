// attention.c -- the KV cache of every set: what it stores against the reference, bit for bit, and attention against
// float64, within a tolerance that is derived here. Beside whichever tokens, segments and threads, the bits are the same.
// usage: attention [SET ...]    sets that must be among those that ran
#include "sets.h"

static const struct {
  const char *name;
  xvk_dtype dtype;
  int64_t size;
  uint32_t infinity;  // the numbers of a word, for int8 the scale
} formats[] = {{"f32", XVK_F32, 4, 0x7F800000}, {"f16", XVK_F16, 2, 0x7C007C00}, {"int8", XVK_INT8, 1, 0x7F800000}};

enum { FORMATS = 3, NAN_WORD = -1, MOST_BLOCKS = 32 };

// ---- a cache ----

// A sequence: values stand first in a block, then as much as two parts that nothing may touch, then keys.
typedef struct {
  int format;
  int64_t kv_heads, size, count;
  void *blocks[MOST_BLOCKS];
} cache;

static int64_t head_bytes(const cache *s) {
  return XVK_KV_BLOCK * (s->size * formats[s->format].size + (formats[s->format].dtype == XVK_INT8 ? 4 : 0));
}

static int64_t key_offset(const cache *s) { return 3 * s->kv_heads * head_bytes(s); }
static size_t block_bytes(const cache *s) { return (size_t)(4 * s->kv_heads * head_bytes(s)); }

// Room for some positions, made of one word: NaN or infinity.
static cache new_cache(int format, int64_t kv_heads, int64_t size, int64_t positions, uint32_t word) {
  cache s = {format, kv_heads, size, (positions + XVK_KV_BLOCK - 1) / XVK_KV_BLOCK, {NULL}};
  if (s.count > MOST_BLOCKS) abort();
  for (int64_t b = 0; b < s.count; ++b) {
    s.blocks[b] = checked(malloc(block_bytes(&s)));
    for (size_t i = 0; i < block_bytes(&s); i += sizeof word) memcpy((char *)s.blocks[b] + i, &word, sizeof word);
  }
  return s;
}

static void free_cache(const cache *s) {
  for (int64_t b = 0; b < s->count; ++b) free(s->blocks[b]);
}

static int same_bytes(const cache *a, const cache *b) {
  for (int64_t i = 0; i < a->count; ++i)
    if (memcmp(a->blocks[i], b->blocks[i], block_bytes(a)) != 0) return 0;
  return 1;
}

static xvk_kv layer_of(const cache *s, const xvk_segment *segments, int64_t count) {
  return (xvk_kv){formats[s->format].dtype, key_offset(s), 0, s->kv_heads, s->size, segments, count};
}

// k and v are read from memory that ends behind them.
static void store(const xvk_compute *c, const cache *s, const float *k, const float *v, int64_t position,
                  int64_t tokens) {
  const xvk_segment segment = {s->blocks, position, 0, tokens};
  const xvk_kv kv = layer_of(s, &segment, 1);
  const int64_t count = tokens * s->kv_heads * s->size;
  xvk_kv_store(c, &kv, guarded_floats(0, k, count), guarded_floats(1, v, count));
}

static double half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 0x3FF;
  const double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(0x400 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

// What the cache holds: number i of a KV head, and its scale.
static double number_at(const cache *s, int64_t part, int64_t kv_head, int64_t position, int64_t i) {
  const unsigned char *const head =
      (const unsigned char *)s->blocks[position / XVK_KV_BLOCK] + part + kv_head * head_bytes(s);
  float number, scale;
  uint16_t bits;
  memcpy(&number, head + 4 * i * (s->format == 0), sizeof number);
  memcpy(&bits, head + 2 * i * (s->format == 1), sizeof bits);
  if (s->format == 0) return number;
  if (s->format == 1) return half(bits);
  memcpy(&scale, head + XVK_KV_BLOCK * s->size + 4 * (position % XVK_KV_BLOCK), sizeof scale);
  return (double)scale * (signed char)head[i];
}

static double key_at(const cache *s, int64_t kv_head, int64_t position, int64_t d) {
  return number_at(s, key_offset(s), kv_head, position, d * XVK_KV_BLOCK + position % XVK_KV_BLOCK);
}

static double value_at(const cache *s, int64_t kv_head, int64_t position, int64_t d) {
  return number_at(s, 0, kv_head, position, position % XVK_KV_BLOCK * s->size + d);
}

// ---- storing ----

// Vectors of every kind: spread, zero, vanishing, near the ends of f32 and f16, half steps of int8, infinite, NaN.
static void fill_vectors(float *x, int64_t tokens, int64_t size) {
  static const float factors[] = {3, 0x1p-110f, 0x1p-140f, 0x1p126f, 0x1p-15f, 0x1p-24f, 0x1p15f, 0};
  for (int64_t t = 0; t < tokens; ++t) {
    float *const vector = x + t * size;
    for (int64_t d = 0; d < size; ++d) vector[d] = random_uniform() * factors[t % 8];
    if (t % 11 == 1) vector[size / 2] = NAN;
    if (t % 11 == 2) vector[size - 1] = -INFINITY;
    if (t % 11 == 3) vector[0] = float_from_bits(0x7F800001);
    if (t % 11 == 4) vector[0] = -0x1.fffffep127f;
    for (int64_t d = 0; t % 11 == 5 && d < size; ++d) vector[d] = d == 0 ? 127 : (float)(d % 250) * 0.5f;
  }
}

// Stores in one go, token by token, and in two runs.
static void check_store(int format, int64_t kv_heads, int64_t size, int64_t position, int64_t tokens) {
  enum { MOST = 16384 };
  static float k[MOST], v[MOST];
  const int64_t row = kv_heads * size, ends[] = {tokens, 1, (tokens + 1) / 2};
  if (tokens * row > MOST) abort();
  fill_vectors(k, tokens * kv_heads, size);
  fill_vectors(v, tokens * kv_heads, size);
  cache expected = new_cache(format, kv_heads, size, position + tokens, NAN_WORD);
  store(&(xvk_compute){tables[XVK_ISA_REFERENCE], 1, 0}, &expected, k, v, position, tokens);
  for (int32_t set = 0; set < SETS; ++set) {
    for (int i = 0; i < 3 && tables[set]; ++i) {
      cache s = new_cache(format, kv_heads, size, position + tokens, NAN_WORD);
      for (int64_t t = 0; t < tokens; t += ends[i])
        store(&(xvk_compute){tables[set], 3, 0}, &s, k + t * row, v + t * row, position + t,
              tokens - t < ends[i] ? tokens - t : ends[i]);
      if (!same_bytes(&s, &expected))
        fail("%s: stores other %s than the reference: %lld tokens, %lld at a time, heads of %lld", xvk_isa_name(set),
             formats[format].name, (long long)tokens, (long long)ends[i], (long long)size);
      free_cache(&s);
    }
  }
  free_cache(&expected);
}

// ---- attention ----

// Tokens of a pass that stand in one sequence. Scores spread over about plus and minus `spread`.
typedef struct {
  int64_t heads, kv_heads, size, position, tokens;
  float spread;
} attention_case;

// Heads of one number up to 128; tiles of 1 to 12 queries; steps and chunks that end before, at and behind a position.
static const attention_case cases[] = {
    {1, 1, 1, 0, 1, 4},       {2, 1, 7, 0, 13, 4},    {4, 2, 33, 62, 5, 4},     {9, 3, 64, 127, 2, 4},
    {3, 1, 16, 400, 2, 0.25}, {14, 1, 80, 191, 1, 4}, {2, 2, 128, 300, 1, 60},  {4, 2, 24, 509, 6, 4},
    {5, 1, 128, 1022, 3, 4},  {4, 2, 64, 0, 70, 4},   {3, 3, 16, 1600, 1, 30},  {2, 1, 80, 505, 11, 4},
    {4, 4, 1, 63, 2, 4},      {1, 1, 12, 1535, 2, 4}, {8, 2, 128, 448, 2, 0.5},
};

enum { CASES = sizeof cases / sizeof *cases, MOST_NUMBERS = 1 << 18, MOST_OUT = 1 << 15 };

static float scale_of(const attention_case *a) { return a->spread / (float)a->size; }

// q is read from memory that ends behind it.
static void attend(const xvk_compute *c, const cache *s, const xvk_segment *segments, int64_t count, float *out,
                   const float *q, const attention_case *a) {
  const xvk_kv kv = layer_of(s, segments, count);
  const int64_t row = a->heads * a->size;
  int64_t tokens = 0, positions = 0;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = segments[i].position + segments[i].tokens;
    tokens += segments[i].tokens;
    positions = end > positions ? end : positions;
  }
  const size_t size = xvk_attention_scratch(c, positions, tokens, a->heads, a->kv_heads, a->size);
  float *const scratch = checked(malloc((size + 1) * sizeof *scratch));
  out[tokens * row] = untouched;
  xvk_attention(c, out, guarded_floats(2, q, tokens * row), &kv, a->heads, scale_of(a), scratch);
  if (!same_bits(out[tokens * row], untouched)) fail("attention writes behind its end");
  free(scratch);
}

static void attend_alone(const xvk_compute *c, const cache *s, int64_t position, int64_t tokens, float *out,
                         const float *q, const attention_case *a) {
  const xvk_segment segment = {(void *const *)s->blocks, position, 0, tokens};
  attend(c, s, &segment, 1, out, q, a);
}

// The exact result of one query and head, and how far that of a kernel may be from it.
//
// A score is a sum of size + 3 rounded terms, relative to its sum of magnitudes; subtracting the maximum, of the chunk
// and of all, rounds twice more; the exponential is off by 4 half ulps, and the scale of int8 rounds once. These are
// relative errors of a weight, and weights stand above and below the fraction; so do the sum over `seen` of them and
// one rescaling for each step and chunk, off by 5 half ulps. (An error of the maximum itself cancels.) Rounding errors
// of n terms add up like a random walk, to no more than 5 sqrt(n) half ulps but for one in a million (Higham & Mary
// 2019).
static void exact_query(const cache *s, const attention_case *a, const float *q, int64_t kv_head, int64_t seen,
                        double *out, double *tolerance) {
  static double weights[MOST_BLOCKS * XVK_KV_BLOCK];
  double largest = -INFINITY, magnitude = 0, sum = 0;
  for (int64_t p = 0; p < seen; ++p) {
    double magnitudes = 0;
    weights[p] = 0;
    for (int64_t d = 0; d < a->size; ++d) {
      const double term = q[d] * key_at(s, kv_head, p, d) * scale_of(a);
      weights[p] += term;
      magnitudes += fabs(term);
    }
    largest = weights[p] > largest ? weights[p] : largest;
    magnitude = magnitudes > magnitude ? magnitudes : magnitude;
  }
  for (int64_t p = 0; p < seen; ++p) sum += weights[p] = exp(weights[p] - largest);
  const double in_scores = 5 * sqrt((double)a->size + 5) * half_ulp * magnitude;
  const double rescalings = (double)(seen / XVK_ATTENTION_STEP + seen / XVK_ATTENTION_CHUNK);
  const double in_sums = (5 + 5 * sqrt((double)seen + 1) + 5 * rescalings) * half_ulp;
  for (int64_t d = 0; d < a->size; ++d) {
    double terms = 0, magnitudes = 0;
    for (int64_t p = 0; p < seen; ++p) {
      const double term = weights[p] / sum * value_at(s, kv_head, p, d);
      terms += term;
      magnitudes += fabs(term);
    }
    out[d] = terms;
    // Not 0, should int8 have rounded every value to 0: the result is then exact.
    tolerance[d] = 2 * (in_scores + in_sums) * magnitudes + 0x1p-149;
  }
}

static void exact_attention(const cache *s, const attention_case *a, const float *q, double *out, double *tolerances) {
  for (int64_t i = 0; i < a->tokens * a->heads; ++i)
    exact_query(s, a, q + i * a->size, i % a->heads / (a->heads / a->kv_heads), a->position + i / a->heads + 1,
                out + i * a->size, tolerances + i * a->size);
}

static void fail_case(int32_t set, int format, const attention_case *a, const char *what) {
  fail("%s: attention, %s: %s: %lld tokens at %lld, %lld/%lld heads of %lld", xvk_isa_name(set), formats[format].name,
       what, (long long)a->tokens, (long long)a->position, (long long)a->heads, (long long)a->kv_heads,
       (long long)a->size);
}

static void expect_bits(int32_t set, int format, const attention_case *a, const char *what, const float *out,
                        const float *expected, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (same_bits(out[i], expected[i])) continue;
    fail_case(set, format, a, what);
    return;
  }
}

static float q[MOST_OUT], out[MOST_OUT + 1], other[MOST_OUT + 1];
static float k[MOST_NUMBERS], v[MOST_NUMBERS];

// The queries before a token see nothing of it, and those behind all of it.
static void check_hidden(int32_t set, int format, const attention_case *a, const cache *s) {
  static float nan[MOST_OUT];
  const xvk_compute c = {tables[set], 1, 0};
  const int64_t row = a->heads * a->size, kept = a->tokens / 2;
  const int64_t position = a->position + kept, spoiled = a->tokens - kept;
  for (int64_t i = 0; i < spoiled * a->kv_heads * a->size; ++i) nan[i] = NAN;
  cache changed = new_cache(format, a->kv_heads, a->size, a->position + a->tokens, NAN_WORD);
  for (int64_t b = 0; b < s->count; ++b) memcpy(changed.blocks[b], s->blocks[b], block_bytes(s));
  store(&c, &changed, nan, nan, position, spoiled);
  attend_alone(&c, &changed, a->position, a->tokens, other, q, a);
  expect_bits(set, format, a, "reads behind a query's own position", other, out, kept * row);
  for (int64_t i = kept * row; i < a->tokens * row; ++i)
    if (!isnan(other[i])) {
      fail_case(set, format, a, "hides NaN");
      break;
    }
  free_cache(&changed);
}

static void check_attention(int32_t set, int format, const attention_case *a, const cache *s, const cache *infinite,
                            const double *exact, const double *tolerances) {
  static const int32_t thread_counts[] = {2, 3, 7};
  const xvk_compute c = {tables[set], 1, 0};
  const int64_t row = a->heads * a->size, count = a->tokens * row;
  attend_alone(&c, s, a->position, a->tokens, out, q, a);
  for (int64_t i = 0; i < count; ++i) {
    if (fabs(out[i] - exact[i]) <= tolerances[i]) continue;
    fail_case(set, format, a, "is beyond the tolerance");
    break;
  }
  attend_alone(&c, infinite, a->position, a->tokens, other, q, a);
  expect_bits(set, format, a, "reads unused slots", other, out, count);
  for (int64_t t = 0; t < a->tokens && a->tokens > 1; ++t) {
    attend_alone(&c, s, a->position + t, 1, other, q + t * row, a);
    expect_bits(set, format, a, "a token alone", other, out + t * row, row);
  }
  for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; ++i) {
    attend_alone(&(xvk_compute){tables[set], thread_counts[i], 0}, s, a->position, a->tokens, other, q, a);
    expect_bits(set, format, a, "cut otherwise", other, out, count);
  }
  if (a->tokens > 1) check_hidden(set, format, a, s);
}

// A cache of random keys and values up to the end of a case, the rest of one word.
static cache filled_cache(int format, const attention_case *a, uint32_t word) {
  const int64_t positions = a->position + a->tokens, count = positions * a->kv_heads * a->size;
  if (count > MOST_NUMBERS || a->tokens * a->heads * a->size > MOST_OUT) abort();
  cache s = new_cache(format, a->kv_heads, a->size, positions, word);
  store(&(xvk_compute){tables[XVK_ISA_REFERENCE], 1, 0}, &s, k, v, 0, positions);
  return s;
}

static void check_case(int format, const attention_case *a) {
  static double exact[MOST_OUT], tolerances[MOST_OUT];
  for (int64_t i = 0; i < a->tokens * a->heads * a->size; ++i) q[i] = 2 * random_uniform();
  for (int64_t i = 0; i < (a->position + a->tokens) * a->kv_heads * a->size; ++i) {
    k[i] = 2 * random_uniform();
    v[i] = 0.5f + 0.5f * random_uniform();
  }
  const cache s = filled_cache(format, a, NAN_WORD), infinite = filled_cache(format, a, formats[format].infinity);
  exact_attention(&s, a, q, exact, tolerances);
  for (int32_t set = 0; set < SETS; ++set)
    if (tables[set]) check_attention(set, format, a, &s, &infinite, exact, tolerances);
  free_cache(&s);
  free_cache(&infinite);
}

// ---- several sequences in one pass ----

// Prompts and single tokens at different depths of sequences of their own, in rows of the pass that are not in order.
static void check_segments(int format, int64_t size) {
  enum { SEGMENTS = 5, HEADS = 4, KV_HEADS = 2 };
  static const int64_t positions[SEGMENTS] = {0, 700, 60, 0, 1023}, tokens[SEGMENTS] = {20, 1, 9, 1, 2};
  const attention_case a = {HEADS, KV_HEADS, size, 0, 0, 4};
  const int64_t row = HEADS * size;
  cache caches[SEGMENTS];
  xvk_segment segments[SEGMENTS];
  int64_t total = 0;
  for (int64_t i = SEGMENTS; i-- > 0; total += tokens[i]) {
    for (int64_t j = 0; j < (positions[i] + tokens[i]) * KV_HEADS * size; ++j) {
      k[j] = 2 * random_uniform();
      v[j] = random_uniform();
    }
    const attention_case one = {HEADS, KV_HEADS, size, positions[i], tokens[i], 4};
    caches[i] = filled_cache(format, &one, NAN_WORD);
    segments[i] = (xvk_segment){caches[i].blocks, positions[i], total, tokens[i]};
  }
  if (total * row > MOST_OUT) abort();
  for (int64_t i = 0; i < total * row; ++i) q[i] = 2 * random_uniform();
  for (int32_t set = 0; set < SETS; ++set) {
    for (int32_t threads = 1; threads <= 4 && tables[set]; threads += 3) {
      attend(&(xvk_compute){tables[set], threads, 0}, &caches[0], segments, SEGMENTS, out, q, &a);
      for (int64_t i = 0; i < SEGMENTS; ++i) {
        const int64_t start = segments[i].row * row;
        attend_alone(&(xvk_compute){tables[set], 1, 0}, &caches[i], positions[i], tokens[i], other, q + start, &a);
        expect_bits(set, format, &a, "a segment alone", other, out + start, tokens[i] * row);
      }
    }
  }
  for (int64_t i = 0; i < SEGMENTS; ++i) free_cache(&caches[i]);
}

// One position has all of the weight, e^0 = 1, and its value comes out as it is.
static void check_only_value(void) {
  const attention_case a = {3, 3, 10, 0, 1, 4};
  for (int64_t i = 0; i < 30; ++i) {
    q[i] = k[i] = random_uniform();
    v[i] = random_uniform();
  }
  const cache s = filled_cache(0, &a, NAN_WORD);
  for (int32_t set = 0; set < SETS; ++set) {
    if (!tables[set]) continue;
    attend_alone(&(xvk_compute){tables[set], 1, 0}, &s, 0, 1, out, q, &a);
    expect_bits(set, 0, &a, "the only value", out, v, 30);
  }
  free_cache(&s);
}

int main(int argc, char **argv) {
  static const int64_t sizes[] = {1, 7, 16, 20, 64, 80, 128};
  if (!find_sets(argc, argv)) return 1;
  for (int format = 0; format < FORMATS; ++format) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
      for (int64_t tokens = 1; tokens <= 9; ++tokens) check_store(format, 2, sizes[i], 60, tokens);
      check_store(format, 1, sizes[i], 3, 70);
    }
    for (size_t i = 0; i < CASES; ++i) check_case(format, &cases[i]);
    check_segments(format, 16);
    check_segments(format, 64);
  }
  check_only_value();
  return report("all sets store the same and attend within the tolerances");
}
