/* companion.c - a host with an OpenMP region of its own, which runs before the library computes, after it, or both: built
 * with GCC's, LLVM's or Intel's runtime, or with none. Prints what the model says.
 * usage: companion MODEL before | after | both | none [LIBRARY...]
 *   LIBRARY   is loaded between `before` and the model
 */
#include <xverse.h>

#include "check.h"

#include <dlfcn.h>
#include <string.h>

static int32_t print(void *user, const xverse_event *event) {
  (void)user;
  fwrite(event->text, 1, event->text_len, stdout);
  return 0;
}

static void add_up(void) {
  long sum = 0;
#ifdef _OPENMP
#pragma omp parallel for reduction(+ : sum) num_threads(3)
#endif
  for (long i = 0; i < 1000; ++i) sum += i;
  CHECK(sum == 499500);
}

int main(int argc, char **argv) {
  xverse_model *model;
  xverse_session *session;
  xverse_request *request;
  xverse_options *options;
  xverse_result *result;
  CHECK(argc >= 3);
  if (strcmp(argv[2], "before") == 0 || strcmp(argv[2], "both") == 0) add_up();
  for (int i = 3; i < argc; ++i) {
    if (dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL) == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 3;
    }
  }
  OK(xverse_model_open(argv[1], NULL, &model));
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_request_create(model, &request));
  OK(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options));
  OK(xverse_options_set_json(options, "{\"do_sample\": 0, \"max_new_tokens\": 8}", XVERSE_NTS));
  OK(xverse_request_set_options(request, options));
  OK(xverse_request_add_text(request, "Once upon a time", XVERSE_NTS));
  OK(xverse_session_generate(session, request, NULL, print, NULL, &result));
  if (strcmp(argv[2], "after") == 0 || strcmp(argv[2], "both") == 0) add_up();
  xverse_result_free(result);
  xverse_options_free(options);
  xverse_request_free(request);
  xverse_session_free(session);
  xverse_model_release(model);
  return 0;
}
