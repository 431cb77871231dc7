/* fork.c - after fork() the child gets XVERSE_E_FORKED from every call and can exit; the parent goes on.
 * usage: fork MODEL
 */
#include <xverse.h>

#include "check.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKED(call) CHECK((call) == XVERSE_E_FORKED)

typedef struct {
  const char *path;
  xverse_model *model;
  xverse_session *session;
  xverse_request *request;
  xverse_options *options;
  xverse_cancel *cancel;
} objects;

static const char told[] =
    "called in a child process after fork(), but the library had been called before it: "
    "execute a program in the child, or fork before the first call";

static void be_child(const objects *o) {
  const int32_t tokens[] = {10, 11};
  void *out = &out;
  size_t n;
  alarm(60);
  FORKED(xverse_model_open(o->path, NULL, (xverse_model **)&out));
  CHECK(out == NULL);
  CHECK(strcmp(xverse_last_error(), told) == 0);
  FORKED(xverse_session_eval(o->session, tokens, 2, NULL, NULL, NULL));
  FORKED(xverse_session_generate(o->session, o->request, NULL, NULL, NULL, (xverse_result **)&out));
  FORKED(xverse_session_create(o->model, NULL, (xverse_session **)&out));
  FORKED(xverse_session_tokens(o->session, NULL, 0, &n));
  FORKED(xverse_runtime_create(NULL, NULL, (xverse_runtime **)&out));
  FORKED(xverse_options_set_int(o->options, "top_k", 1));
  FORKED(xverse_request_add_text(o->request, "a", 1));
  FORKED(xverse_tokenizer_open(o->path, (xverse_tokenizer **)&out));
  CHECK(xverse_session_length(o->session) == -1);
  CHECK(xverse_model_tokenizer(o->model) == NULL);
  CHECK(xverse_version()[0] != '\0');
  xverse_cancel_trigger(o->cancel);
  xverse_session_free(o->session);
  xverse_request_free(o->request);
  xverse_options_free(o->options);
  xverse_cancel_free(o->cancel);
  xverse_model_release(o->model);
  exit(0);
}

int main(int argc, char **argv) {
  int32_t tokens[200];
  objects o = {argc == 2 ? argv[1] : NULL, NULL, NULL, NULL, NULL, NULL};
  xverse_result *result;
  int status;
  if (o.path == NULL) {
    fprintf(stderr, "usage: fork MODEL\n");
    return 2;
  }
  for (int i = 0; i < 200; ++i) tokens[i] = 10 + i % 50;
  OK(xverse_model_open(o.path, NULL, &o.model));
  OK(xverse_session_create(o.model, NULL, &o.session));
  OK(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &o.options));
  OK(xverse_options_set_int(o.options, "max_new_tokens", 4));
  OK(xverse_cancel_create(&o.cancel));
  OK(xverse_request_create(o.model, &o.request));
  OK(xverse_request_add_tokens(o.request, tokens, 20));
  OK(xverse_request_set_options(o.request, o.options));
  OK(xverse_session_eval(o.session, tokens, 200, NULL, NULL, NULL));

  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) be_child(&o);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

  CHECK(xverse_session_length(o.session) == 200);
  OK(xverse_session_generate(o.session, o.request, o.cancel, NULL, NULL, &result));
  xverse_result_free(result);
  xverse_session_free(o.session);
  xverse_request_free(o.request);
  xverse_options_free(o.options);
  xverse_cancel_free(o.cancel);
  xverse_model_release(o.model);
  return 0;
}
