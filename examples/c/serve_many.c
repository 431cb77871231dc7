/* serve_many.c - 16 conversations at a time on one epoll loop, as a server would hold them.
 *
 *     cc -std=c99 serve_many.c -o serve_many $(pkg-config --cflags --libs xverse)
 *     ./serve_many MODEL
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <xverse.h>

enum { CONVERSATIONS = 16, TURNS = 2 };

typedef struct {
  xverse_request *request; /* everything that was said */
  uint64_t id;             /* of the answer that is being given */
  int turn;
  char reply[16384];
  size_t length;
} conversation;

static conversation conversations[CONVERSATIONS];
static xverse_scheduler *scheduler;

static const char *const questions[] = {"Hello!", "Tell me a story.", "What is your name?", "Once upon a time"};

static void must(xverse_status status) {
  if (status >= 0) return;
  fprintf(stderr, "%s: %s\n", xverse_status_name(status), xverse_last_error());
  exit(1);
}

static void ask(conversation *c, const char *question) {
  c->length = 0;
  must(xverse_request_add_message(c->request, "user", question, XVERSE_NTS));
  must(xverse_scheduler_submit(scheduler, c->request, &c->id));
}

static conversation *find(uint64_t id) {
  int i;
  for (i = 0; i < CONVERSATIONS; i++) {
    if (conversations[i].id == id) return &conversations[i];
  }
  return NULL;
}

/* Takes all events that there are; returns how many conversations have come to their end. */
static int read_events(void) {
  const xverse_event *event;
  xverse_status status;
  int ended = 0;
  while ((status = xverse_scheduler_next(scheduler, 0, &event)) == XVERSE_OK) {
    conversation *c = find(event->request_id);
    size_t room;
    if (!c) continue;
    room = sizeof c->reply - c->length;
    if (event->text_len > room) {
      fprintf(stderr, "a reply is longer than %d bytes\n", (int)sizeof c->reply);
      exit(1);
    }
    memcpy(c->reply + c->length, event->text, event->text_len);
    c->length += event->text_len;
    if (event->kind != XVERSE_EVENT_FINISHED) continue;
    if (event->status < 0) fprintf(stderr, "%s: %s\n", xverse_status_name(event->status), event->message);
    printf("[%d.%d] %.*s\n", (int)(c - conversations), c->turn, (int)c->length, c->reply);
    if (event->status < 0 || ++c->turn == TURNS) {
      ended++;
      continue;
    }
    must(xverse_request_add_message(c->request, "assistant", c->reply, c->length));
    ask(c, "Go on.");
  }
  must(status);
  return ended;
}

int main(int argc, char **argv) {
  xverse_model *model;
  xverse_options *options;
  struct epoll_event readable;
  int loop, left, i;

  if (argc != 2) {
    fprintf(stderr, "usage: %s MODEL\n", argv[0]);
    return 2;
  }
  must(xverse_model_open(argv[1], NULL, &model));
  must(xverse_options_create(XVERSE_OPTIONS_SCHEDULER, &options));
  must(xverse_options_set_int(options, "max_num_seqs", CONVERSATIONS));
  must(xverse_scheduler_create(model, options, &scheduler));
  xverse_options_free(options);

  must(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options));
  must(xverse_options_set_int(options, "max_new_tokens", 60));
  for (i = 0; i < CONVERSATIONS; i++) {
    must(xverse_request_create(model, &conversations[i].request));
    must(xverse_request_set_options(conversations[i].request, options));
    ask(&conversations[i], questions[i % 4]);
  }
  xverse_options_free(options);

  /* Sockets and timers of a server would be in the same loop. */
  loop = epoll_create1(EPOLL_CLOEXEC);
  memset(&readable, 0, sizeof readable);
  readable.events = EPOLLIN;
  if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, xverse_scheduler_fd(scheduler), &readable) != 0) {
    perror("epoll");
    return 1;
  }
  for (left = CONVERSATIONS; left > 0;) {
    if (epoll_wait(loop, &readable, 1, -1) == 1) left -= read_events();
  }

  for (i = 0; i < CONVERSATIONS; i++) xverse_request_free(conversations[i].request);
  xverse_scheduler_free(scheduler);
  xverse_model_release(model);
  return 0;
}
