/* saves.c - a session that is saved again and again until the process is killed, and the look at what is left then.
 * usage: saves MODEL FILE write    restores FILE if it is there, then adds a token and saves, for ever; says "saved N"
 *                                  when the file with N tokens is there
 *        saves MODEL FILE read     restores FILE and says how many tokens it has; the exit code is 1 unless the logits are
 *                                  those of a new evaluation
 */
#include <xverse.h>

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 1000 };

static int32_t token(int64_t position) { return (int32_t)(10 + position * 7 % 1000); }

static void append(xverse_session *session, int64_t count) {
  while (count > 0) {
    int32_t tokens[512];
    const int64_t n = count < 512 ? count : 512;
    for (int64_t i = 0; i < n; ++i) tokens[i] = token(xverse_session_length(session) + i);
    OK(xverse_session_eval(session, tokens, (size_t)n, NULL, NULL, NULL));
    count -= n;
  }
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  const char *path = arguments[2];
  xverse_model *model;
  xverse_options *options;
  xverse_session *session;
  OK(xverse_model_open(arguments[1], NULL, &model));
  OK(xverse_options_create(XVERSE_OPTIONS_SESSION, &options));
  OK(xverse_options_set_int(options, "context", 4096));
  OK(xverse_session_create(model, options, &session));
  const xverse_status status = xverse_session_restore(session, path);
  if (strcmp(arguments[3], "read") == 0) {
    OK(status);
    xverse_session *other;
    const float *found, *expected;
    size_t n;
    OK(xverse_session_create(model, options, &other));
    append(other, xverse_session_length(session));
    OK(xverse_session_logits(session, &found, &n));
    OK(xverse_session_logits(other, &expected, &n));
    printf("%lld\n", (long long)xverse_session_length(session));
    return memcmp(found, expected, n * sizeof *found) != 0;
  }
  if (status != XVERSE_E_NOTFOUND) OK(status);
  if (status == XVERSE_E_NOTFOUND) append(session, FIRST);
  for (;;) {
    append(session, 1);
    OK(xverse_session_save(session, path));
    printf("saved %lld\n", (long long)xverse_session_length(session));
    fflush(stdout);
  }
}
