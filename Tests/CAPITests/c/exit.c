/* exit.c - the process ends while another thread computes: with the host's own exit code, and soon.
 * usage: exit MODEL WORK WAY MICROSECONDS
 *   WORK   prefill | decode | load | quantize | calibrate
 *          stuck     a compute thread that never stops; the exit takes 10 seconds
 *   WAY    return    main returns
 *          exit      another thread calls exit
 *          callback  exit is called inside a callback
 *          joined    main returns, and a handler of the host waits for the thread that computes
 *   The exit code is 7.
 */
#define _GNU_SOURCE
#include <xverse.h>

#include "check.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_CODE = 7 };

static const char *path, *work, *way;
static int microseconds;
static struct timespec start;
static pthread_t worker;
static xverse_model *model;
static volatile int is_ending, is_loaded;

static int is(const char *text, const char *other) { return strcmp(text, other) == 0; }

static int leaves_from_callback(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long passed = (now.tv_sec - start.tv_sec) * 1000000ll + (now.tv_nsec - start.tv_nsec) / 1000;
  if (is(way, "callback") && passed > microseconds) exit(EXIT_CODE);
  return 0;
}

static int32_t on_event(void *user, const xverse_event *event) {
  (void)user, (void)event;
  return leaves_from_callback();
}

static int32_t on_progress(void *user, const char *phase, int64_t done, int64_t total) {
  (void)user, (void)phase, (void)done, (void)total;
  return leaves_from_callback();
}

/* For `stuck`: never comes back to the compute thread, which is neither of the threads of this program. */
static void *allocate(void *main_thread, size_t len, size_t align) {
  void *memory = NULL;
  if (is_loaded && !pthread_equal(pthread_self(), *(pthread_t *)main_thread) && !pthread_equal(pthread_self(), worker))
    for (;;) pause();
  return posix_memalign(&memory, align < sizeof memory ? sizeof memory : align, len) == 0 ? memory : NULL;
}

static void deallocate(void *unused, void *memory, size_t len) {
  (void)unused, (void)len;
  free(memory);
}

static void open_model(void) {
  static pthread_t main_thread;
  main_thread = pthread_self();
  const xverse_allocator allocator = {
      .size = sizeof allocator, .alloc = allocate, .dealloc = deallocate, .user = &main_thread};
  xverse_runtime *runtime = NULL;
  if (is(work, "stuck")) OK(xverse_runtime_create(NULL, &allocator, &runtime));
  /* Each prefill computes all of the prompt. */
  xverse_options *options;
  OK(xverse_options_create(XVERSE_OPTIONS_MODEL, &options));
  OK(xverse_options_set_int(options, "prefix_cache", 0));
  OK(xverse_model_load(runtime, path, options, NULL, NULL, NULL, &model));
  xverse_options_free(options);
  is_loaded = 1;
}

static void generate(void) {
  static char prompt[6000];
  xverse_session *session;
  xverse_request *request;
  xverse_options *options;
  xverse_result *result;
  if (prompt[0] == '\0') {
    for (int i = 0; i < (is(work, "prefill") ? 300 : 1); ++i) strcat(prompt, "word ");
  }
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_request_create(model, &request));
  OK(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options));
  OK(xverse_options_set_int(options, "max_new_tokens", is(work, "prefill") ? 1 : 200));
  OK(xverse_options_set_int(options, "ignore_eos", 1));
  OK(xverse_request_set_options(request, options));
  OK(xverse_request_add_text(request, prompt, XVERSE_NTS));
  const xverse_status status = xverse_session_generate(session, request, NULL, on_event, NULL, &result);
  /* While the process ends, it is cancelled or stopped. */
  if (!is_ending && status != XVERSE_OK && status != XVERSE_E_CANCELLED && status != XVERSE_STOPPED) OK(status);
  xverse_result_free(result);
  xverse_session_free(session);
  xverse_request_free(request);
  xverse_options_free(options);
}

static void load(const char *calibration) {
  xverse_options *options;
  xverse_model *loaded;
  OK(xverse_options_create(XVERSE_OPTIONS_MODEL, &options));
  if (!is(work, "load")) OK(xverse_options_set_string(options, "quantize", "int4", XVERSE_NTS));
  if (calibration != NULL) OK(xverse_options_set_string(options, "calibration", calibration, XVERSE_NTS));
  const xverse_status status = xverse_model_load(NULL, path, options, NULL, on_progress, NULL, &loaded);
  if (!is_ending && status != XVERSE_OK && status != XVERSE_E_CANCELLED) OK(status);
  xverse_model_release(loaded);
  xverse_options_free(options);
}

static void *run(void *unused) {
  char text[4096];
  (void)unused;
  snprintf(text, sizeof text, "%s/README.md", path);
  while (!is_ending) {
    if (is(work, "prefill") || is(work, "decode") || is(work, "stuck")) {
      generate();
    } else {
      load(is(work, "calibrate") ? text : NULL);
    }
  }
  return NULL;
}

static void *leave(void *unused) {
  (void)unused;
  usleep((useconds_t)microseconds);
  exit(EXIT_CODE);
}

static void wait_for_worker(void) {
  is_ending = 1;
  pthread_join(worker, NULL);
  xverse_model_release(model);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: exit MODEL WORK WAY MICROSECONDS\n");
    return 2;
  }
  path = argv[1], work = argv[2], way = argv[3], microseconds = atoi(argv[4]);
  clock_gettime(CLOCK_MONOTONIC, &start);
  if (is(way, "joined")) CHECK(atexit(wait_for_worker) == 0);
  open_model();
  CHECK(pthread_create(&worker, NULL, run, NULL) == 0);
  if (is(way, "callback")) {
    pthread_join(worker, NULL);
  } else if (is(way, "exit")) {
    pthread_t leaver;
    CHECK(pthread_create(&leaver, NULL, leave, NULL) == 0);
    pthread_join(leaver, NULL);
  }
  usleep((useconds_t)microseconds);
  printf("left");
  return EXIT_CODE;
}
