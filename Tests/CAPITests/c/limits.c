/* limits.c - the limits of a process: files that cannot be opened or grow, and a small stack. Each failing call says so,
 * leaves nothing behind, and works when the limit is gone.
 * usage: limits MODEL FOLDER      FOLDER: an empty one
 */
#include <xverse.h>

#include "check.h"

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STACK_BYTES (192 << 10)

static void limit(int resource, rlim_t soft) {
  struct rlimit r;
  CHECK(getrlimit(resource, &r) == 0);
  r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
  CHECK(setrlimit(resource, &r) == 0);
}

static int entries(const char *folder) {
  DIR *const stream = opendir(folder);
  int count = -2;
  CHECK(stream != NULL);
  while (readdir(stream) != NULL) ++count;
  closedir(stream);
  return count;
}

static void generate_a_token(xverse_model *model) {
  xverse_session *session;
  xverse_request *request;
  xverse_options *options;
  xverse_result *result;
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_request_create(model, &request));
  OK(xverse_request_add_text(request, "the world", XVERSE_NTS));
  OK(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options));
  OK(xverse_options_set_int(options, "max_new_tokens", 1));
  OK(xverse_request_set_options(request, options));
  OK(xverse_session_generate(session, request, NULL, NULL, NULL, &result));
  xverse_result_free(result);
  xverse_options_free(options);
  xverse_request_free(request);
  xverse_session_free(session);
}

/* The first, second, third... file cannot be opened. */
static void few_files(const char *path) {
  struct rlimit before;
  xverse_model *model;
  int refused = 0;
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  for (rlim_t files = 0;; ++files) {
    model = (xverse_model *)&model;
    limit(RLIMIT_NOFILE, files);
    const xverse_status status = xverse_model_open(path, NULL, &model);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    if (status == XVERSE_OK) break;
    CHECK(status == XVERSE_E_IO && model == NULL && strstr(xverse_last_error(), "Too many open files") != NULL);
    ++refused;
  }
  CHECK(refused > 0);
  generate_a_token(model);
  xverse_model_release(model);
}

/* The disk is full after so many bytes. */
static void full_disk(const char *path, const char *folder) {
  char destination[4096];
  struct rlimit before;
  xverse_model *model;
  int refused = 0;
  CHECK(snprintf(destination, sizeof destination, "%s/converted", folder) < (int)sizeof destination);
  CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
  for (rlim_t bytes = 0;; bytes = bytes * 2 + 1) {
    limit(RLIMIT_FSIZE, bytes);
    const xverse_status status = xverse_convert(NULL, path, destination, NULL, NULL, NULL, NULL);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    if (status == XVERSE_OK) break;
    CHECK(status == XVERSE_E_IO && strstr(xverse_last_error(), "File too large") != NULL);
    CHECK(entries(folder) == 0);
    ++refused;
  }
  CHECK(refused > 10);
  OK(xverse_model_open(destination, NULL, &model));
  generate_a_token(model);
  xverse_model_release(model);
}

int main(int argc, char **argv) {
  struct rlimit stack;
  if (argc != 3) {
    fprintf(stderr, "usage: limits MODEL FOLDER\n");
    return 2;
  }
  CHECK(getrlimit(RLIMIT_STACK, &stack) == 0);
  if (stack.rlim_cur != STACK_BYTES) {
    /* The stack of new threads is as large as the limit was when the program began. */
    limit(RLIMIT_STACK, STACK_BYTES);
    execv("/proc/self/exe", argv);
    CHECK(!"the program can begin again");
  }
  few_files(argv[1]);
  full_disk(argv[1], argv[2]);
  return 0;
}
