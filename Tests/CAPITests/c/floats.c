/* floats.c - hosts that unmask floating-point exceptions (Free Pascal, gfortran -ffpe-trap), round otherwise or flush
 * subnormal numbers to zero: they get the bits that everybody gets, and their environment back.
 * usage: floats MODEL
 */
#define _GNU_SOURCE
#include <xverse.h>

#include "check.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { MOST = 1 << 20 };

/* What a host sees of its environment. */
typedef struct {
  int rounding, traps, flags;
  unsigned control;
} environment;

static environment seen(void) {
  environment e = {fegetround(), fegetexcept(), fetestexcept(FE_ALL_EXCEPT), 0};
#if defined(__x86_64__)
  e.control = _mm_getcsr();
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  e.control = (unsigned)control;
#endif
  return e;
}

static int is_same(environment a, environment b) {
  return a.rounding == b.rounding && a.traps == b.traps && a.flags == b.flags && a.control == b.control;
}

static void set_nothing(void) {}
static void set_traps(void) { feenableexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW); }
static void set_all_traps(void) { feenableexcept(FE_ALL_EXCEPT); }
static void set_up(void) { fesetround(FE_UPWARD); }
static void set_down(void) { fesetround(FE_DOWNWARD); }
static void set_zero(void) { fesetround(FE_TOWARDZERO); }
static void set_flags(void) { feraiseexcept(FE_INEXACT | FE_UNDERFLOW); }
static void set_flush(void) {
#if defined(__x86_64__)
  _mm_setcsr(_mm_getcsr() | 0x8040);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24));
#endif
}
/* Single precision, as old Direct3D and some Pascal programs leave it. */
static void set_x87(void) {
#if defined(__x86_64__)
  const unsigned short control = 0x0060;
  __asm__ volatile("fldcw %0" : : "m"(control));
#endif
}

/* Everything that was computed. */
static unsigned char results[2][MOST];
static size_t lengths[2];
static int which;
static environment host;

static void keep(const void *bytes, size_t count) {
  CHECK(lengths[which] + count <= MOST);
  if (count > 0) memcpy(results[which] + lengths[which], bytes, count);
  lengths[which] += count;
}

static int32_t on_event(void *user, const xverse_event *event) {
  (void)user;
  CHECK(is_same(seen(), host));
  keep(event->text, event->text_len);
  return 0;
}

static int32_t on_progress(void *user, const char *phase, int64_t done, int64_t total) {
  (void)user, (void)phase, (void)done, (void)total;
  CHECK(is_same(seen(), host));
  return 0;
}

static int32_t on_logits(void *user, float *logits, int32_t count) {
  (void)user;
  CHECK(is_same(seen(), host));
  keep(logits, sizeof *logits * (size_t)count);
  return 0;
}

static void generate(xverse_model *model, const char *sampling) {
  xverse_session *session;
  xverse_request *request;
  xverse_options *options;
  xverse_result *result;
  const int32_t *tokens;
  const float *logprobs, *logits;
  size_t count;
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_request_create(model, &request));
  OK(xverse_request_add_text(request, "Once upon a time there was a hedgehog", XVERSE_NTS));
  OK(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options));
  OK(xverse_options_set_json(options, sampling, XVERSE_NTS));
  OK(xverse_request_set_options(request, options));
  OK(xverse_session_generate(session, request, NULL, on_event, NULL, &result));
  OK(xverse_result_tokens(result, &tokens, &logprobs, &count));
  keep(tokens, sizeof *tokens * count);
  if (logprobs != NULL) keep(logprobs, sizeof *logprobs * count);
  OK(xverse_session_logits(session, &logits, &count));
  keep(logits, sizeof *logits * count);
  xverse_result_free(result);
  xverse_options_free(options);
  xverse_request_free(request);
  xverse_session_free(session);
}

static void score(xverse_model *model) {
  static const int32_t tokens[] = {1, 7, 9, 200, 11, 30};
  enum { COUNT = sizeof tokens / sizeof *tokens };
  xverse_session *session;
  float logprobs[COUNT];
  double sum;
  int32_t best[3];
  size_t count;
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_session_score(session, tokens, COUNT, NULL, logprobs, &sum));
  keep(logprobs, sizeof logprobs);
  keep(&sum, sizeof sum);
  OK(xverse_session_top_logprobs(session, 3, best, logprobs, &count));
  keep(best, sizeof best);
  keep(logprobs, sizeof *logprobs * 3);
  xverse_session_free(session);
}

static void sample(xverse_model *model) {
  xverse_sampler *sampler;
  xverse_options *options;
  xverse_session *session;
  const float *logits;
  const int32_t first = 9;
  size_t count;
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_session_eval(session, &first, 1, NULL, on_progress, NULL));
  OK(xverse_session_logits(session, &logits, &count));
  OK(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options));
  OK(xverse_options_set_json(options, "{\"temperature\": 1.5, \"typical_p\": 0.9, \"seed\": 3}", XVERSE_NTS));
  OK(xverse_sampler_create(model, options, &sampler));
  OK(xverse_sampler_set_callback(sampler, on_logits, NULL));
  for (int i = 0; i < 5; ++i) {
    int32_t token;
    float logprob;
    OK(xverse_sampler_sample(sampler, logits, count, &token, &logprob));
    OK(xverse_sampler_accept(sampler, token));
    keep(&token, sizeof token);
    keep(&logprob, sizeof logprob);
  }
  xverse_sampler_free(sampler);
  xverse_options_free(options);
  xverse_session_free(session);
}

static void run(const char *path, const char *quantize) {
  xverse_options *options;
  xverse_model *model;
  OK(xverse_options_create(XVERSE_OPTIONS_MODEL, &options));
  OK(xverse_options_set_string(options, "quantize", quantize, XVERSE_NTS));
  OK(xverse_model_load(NULL, path, options, NULL, on_progress, NULL, &model));
  xverse_options_free(options);
  generate(model, "{\"do_sample\": 0, \"max_new_tokens\": 8, \"logprobs\": 1, \"repetition_penalty\": 1.1}");
  generate(model, "{\"temperature\": 0.9, \"top_k\": 40, \"top_p\": 0.9, \"seed\": 5, \"max_new_tokens\": 8}");
  score(model);
  sample(model);
  xverse_model_release(model);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*set)(void);
  } hosts[] = {
      {"the default", set_nothing}, {"traps", set_traps},   {"all traps", set_all_traps},
      {"upward", set_up},           {"downward", set_down}, {"toward zero", set_zero},
      {"flush to zero", set_flush}, {"flags", set_flags},   {"x87 traps and precision", set_x87},
  };
  static const char *const types[] = {"none", "int8", "int4"};
  if (argc != 2) {
    fprintf(stderr, "usage: floats MODEL\n");
    return 2;
  }
  for (size_t t = 0; t < sizeof types / sizeof *types; ++t) {
    lengths[0] = 0;
    for (size_t h = 0; h < sizeof hosts / sizeof *hosts; ++h) {
      which = h > 0;
      lengths[which] = 0;
      fesetenv(FE_DFL_ENV);
      hosts[h].set();
      host = seen();
      run(argv[1], types[t]);
      const int is_unchanged = is_same(seen(), host);
      fesetenv(FE_DFL_ENV);
      CHECK(is_unchanged);
      if (lengths[0] == lengths[which] && memcmp(results[0], results[which], lengths[0]) == 0) continue;
      fprintf(stderr, "%s with %s: other results\n", types[t], hosts[h].name);
      return 1;
    }
  }
  return 0;
}
