/* chat.c - a conversation on the terminal: streaming, and Ctrl-C to stop an answer.
 *
 *     cc -std=c99 chat.c -o chat $(pkg-config --cflags --libs xverse)
 *     ./chat MODEL
 */
#define _POSIX_C_SOURCE 200809L /* sigaction */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xverse.h>

static xverse_cancel *cancel;

/* xverse_cancel_trigger is the one function that a signal handler may call. */
static void stop_answer(int signal_number) {
  (void)signal_number;
  xverse_cancel_trigger(cancel);
}

typedef struct {
  char text[65536];
  size_t length;
} answer;

/* Called for each token. `text` is always whole characters, often none; 0 means go on. */
static int32_t show(void *user, const xverse_event *event) {
  answer *reply = user;
  fwrite(event->text, 1, event->text_len, stdout);
  fflush(stdout);
  if (event->text_len > sizeof reply->text - reply->length) return 1;
  memcpy(reply->text + reply->length, event->text, event->text_len);
  reply->length += event->text_len;
  return 0;
}

/* Returns only when the call did not fail; being cancelled is no failure here. */
static void must(xverse_status status) {
  if (status >= 0 || status == XVERSE_E_CANCELLED) return;
  fprintf(stderr, "%s: %s\n", xverse_status_name(status), xverse_last_error());
  exit(1);
}

int main(int argc, char **argv) {
  static answer reply;
  static char line[65536];
  struct sigaction action;
  xverse_model *model;
  xverse_session *session;
  xverse_request *conversation;

  if (argc != 2) {
    fprintf(stderr, "usage: %s MODEL\n", argv[0]);
    return 2;
  }
  must(xverse_cancel_create(&cancel));
  memset(&action, 0, sizeof action);
  action.sa_handler = stop_answer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, NULL);

  must(xverse_model_open(argv[1], NULL, &model));
  must(xverse_session_create(model, NULL, &session));
  must(xverse_request_create(model, &conversation));

  /* The request grows with the conversation. The session keeps what both have in common, so each turn costs only what
   * is new. */
  while (printf("> "), fflush(stdout), fgets(line, sizeof line, stdin)) {
    xverse_result *result = NULL;
    line[strcspn(line, "\n")] = '\0';
    if (line[0] == '\0') continue;

    reply.length = 0;
    xverse_cancel_reset(cancel, 0);
    must(xverse_request_add_message(conversation, "user", line, XVERSE_NTS));
    must(xverse_session_generate(session, conversation, cancel, show, &reply, &result));
    must(xverse_request_add_message(conversation, "assistant", reply.text, reply.length));
    xverse_result_free(result);
    printf("\n");
  }

  xverse_request_free(conversation);
  xverse_session_free(session);
  xverse_model_release(model);
  signal(SIGINT, SIG_DFL);
  xverse_cancel_free(cancel);
  return 0;
}
