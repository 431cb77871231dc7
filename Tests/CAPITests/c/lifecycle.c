/* lifecycle.c - calls every function of xverse.h on a model, and leaves nothing behind: a program for valgrind and the
 * sanitizers.
 * usage: lifecycle MODEL [ROUNDS]
 */
#include <xverse.h>

#include "check.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct {
  int64_t blocks, bytes;
} host;

static void *host_alloc(void *user, size_t len, size_t align) {
  host *const h = user;
  void *const memory = aligned_alloc(align, (len + align - 1) / align * align);
  if (memory == NULL) return NULL;
  __atomic_add_fetch(&h->blocks, 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&h->bytes, (int64_t)len, __ATOMIC_RELAXED);
  return memory;
}

static void host_dealloc(void *user, void *ptr, size_t len) {
  host *const h = user;
  __atomic_sub_fetch(&h->blocks, 1, __ATOMIC_RELAXED);
  __atomic_sub_fetch(&h->bytes, (int64_t)len, __ATOMIC_RELAXED);
  free(ptr);
}

static int32_t on_progress(void *user, const char *phase, int64_t done, int64_t total) {
  CHECK(phase[0] != '\0' && done <= total);
  ++*(int *)user;
  return 0;
}

static int32_t on_event(void *user, const xverse_event *event) {
  CHECK(event->size >= sizeof *event && event->text[event->text_len] == '\0');
  ++*(int *)user;
  return 0;
}

static int32_t on_second_event(void *user, const xverse_event *event) {
  (void)event;
  return ++*(int *)user == 2;
}

static int32_t on_logits(void *user, float *logits, int32_t n_vocab) {
  ++*(int *)user;
  logits[n_vocab - 1] -= 1;
  return 0;
}

/* The files of a directory as a source; `user` points to its path. */
static FILE *open_file(void *user, const char *name) {
  char path[4096];
  CHECK(snprintf(path, sizeof path, "%s/%s", *(const char **)user, name) < (int)sizeof path);
  return fopen(path, "rb");
}

static int64_t source_length(void *user, const char *name) {
  FILE *const file = open_file(user, name);
  if (file == NULL) return -1;
  CHECK(fseek(file, 0, SEEK_END) == 0);
  const long length = ftell(file);
  fclose(file);
  return length;
}

static int64_t source_read_at(void *user, const char *name, int64_t offset, void *buf, size_t len) {
  FILE *const file = open_file(user, name);
  if (file == NULL || fseek(file, (long)offset, SEEK_SET) != 0) return -1;
  const size_t count = fread(buf, 1, len, file);
  fclose(file);
  return (int64_t)count;
}

static void on_log(void *user, int32_t level, const char *message, size_t len) {
  CHECK(level > 0 && message[len] == '\0');
  ++*(int *)user;
}

static int thread_count(void) {
  DIR *const directory = opendir("/proc/self/task");
  int count = 0;
  CHECK(directory != NULL);
  while (readdir(directory) != NULL) ++count;
  closedir(directory);
  return count - 2;
}

static xverse_options *make_options(int32_t kind, const char *json) {
  xverse_options *options;
  OK(xverse_options_create(kind, &options));
  OK(xverse_options_set_json(options, json, XVERSE_NTS));
  return options;
}

static void use_library(void) {
  CHECK(xverse_version_number() >= 0 && xverse_version()[0] != '\0' && xverse_build_info()[0] == '{');
  CHECK(xverse_model_open("/nowhere", NULL, &(xverse_model *){NULL}) == XVERSE_E_NOTFOUND);
  CHECK(strstr(xverse_last_error(), "/nowhere") != NULL && xverse_last_error_offset() == -1);
  CHECK(strcmp(xverse_status_name(XVERSE_E_NOTFOUND), "XVERSE_E_NOTFOUND") == 0);
}

static void use_options(void) {
  xverse_options *const options = make_options(XVERSE_OPTIONS_SAMPLING, "{\"temperature\": 0.5}");
  xverse_option_info info = {.size = sizeof info};
  int32_t index = 0;
  while (xverse_options_describe(XVERSE_OPTIONS_SAMPLING, index, &info) == XVERSE_OK) ++index;
  CHECK(index > 10);
  OK(xverse_options_set_int(options, "top_k", 5));
  OK(xverse_options_set_float(options, "top_p", 0.5));
  OK(xverse_options_set_string(options, "stop", "[\"a\", \"bc\"]", XVERSE_NTS));
  CHECK(xverse_options_set_int(options, "top", 5) == XVERSE_E_INVALID);
  xverse_options_free(options);
}

static void use_tokenizer(const char *path, const xverse_model *model) {
  const char *const text = "Hello, world \xE4\xBD\xA0\xFF <|endoftext|>";
  xverse_tokenizer *tokenizer;
  xverse_detokenizer *detokenizer;
  int32_t tokens[256];
  size_t n, length;
  char *whole;
  OK(xverse_tokenizer_open(path, &tokenizer));
  CHECK(xverse_tokenizer_vocab_size(tokenizer) == xverse_tokenizer_vocab_size(xverse_model_tokenizer(model)));
  OK(xverse_tokenizer_encode(tokenizer, text, XVERSE_NTS, XVERSE_ENCODE_BOS, tokens, COUNT(tokens), &n));
  CHECK(tokens[0] == xverse_tokenizer_special(tokenizer, XVERSE_TOKEN_BOS));
  OK(xverse_tokenizer_decode(tokenizer, tokens, n, XVERSE_DECODE_SKIP_SPECIAL, &whole, &length));
  CHECK(strlen(whole) == length && length > 0);
  xverse_free(whole);
  OK(xverse_detokenizer_create(tokenizer, XVERSE_DECODE_SKIP_SPECIAL, &detokenizer));
  xverse_tokenizer_release(tokenizer);
  for (size_t i = 0; i < n; ++i) {
    const char *piece;
    OK(xverse_detokenizer_push(detokenizer, tokens[i], &piece, &length));
    OK(xverse_tokenizer_token_bytes(xverse_model_tokenizer(model), tokens[i], &piece, &length, NULL));
  }
  OK(xverse_detokenizer_flush(detokenizer, &(const char *){NULL}, &length));
  xverse_detokenizer_free(detokenizer);
}

/* What makes sessions of a session of 90 tokens, or of several. */
static void use_copies(xverse_model *model, xverse_session *session) {
  const int32_t more[] = {11, 12, 13};
  const int32_t *const both[] = {more, more + 1};
  const size_t counts[] = {3, 2};
  char path[] = "/tmp/lifecycle-XXXXXX";
  float state[4096];
  const void *note;
  xverse_session *fork;
  size_t n;
  OK(xverse_session_set_note(session, "a note", 6));
  OK(xverse_session_fork(session, &fork));
  xverse_session *const sessions[] = {session, fork};
  OK(xverse_session_eval_batch(sessions, both, counts, 2, NULL));
  CHECK(xverse_session_length(session) == 93 && xverse_session_length(fork) == 92);
  OK(xverse_session_embed(fork, more, 3, XVERSE_POOL_MEAN | XVERSE_POOL_NORMALIZE, NULL, state, COUNT(state), &n));
  CHECK(n > 0 && n <= COUNT(state));
  const int file = mkstemp(path);
  CHECK(file >= 0 && close(file) == 0);
  OK(xverse_session_save(session, path));
  OK(xverse_session_restore(fork, path));
  CHECK(xverse_session_length(fork) == 93 && unlink(path) == 0);
  OK(xverse_session_note(fork, &note, &n));
  CHECK(n == 6 && memcmp(note, "a note", 6) == 0);
  OK(xverse_session_set_draft(fork, model, NULL));
  OK(xverse_session_set_draft(fork, NULL, NULL));
  xverse_session_free(fork);
}

static void use_sessions(xverse_model *model) {
  xverse_options *const options = make_options(XVERSE_OPTIONS_SESSION, "{\"kv_type\": \"f16\"}");
  xverse_stats stats = {.size = sizeof stats};
  xverse_session *session;
  xverse_sampler *sampler, *clone;
  int32_t tokens[100], top[3], token;
  float logprobs[100], logprob;
  const float *logits;
  double sum;
  size_t n;
  int calls = 0;
  OK(xverse_session_create(model, options, &session));
  xverse_options_free(options);
  for (int i = 0; i < 100; ++i) tokens[i] = 10 + i % 50;
  OK(xverse_session_eval(session, tokens, 100, NULL, on_progress, &calls));
  CHECK(calls > 0 && xverse_session_length(session) == 100);
  OK(xverse_session_truncate(session, 70));
  OK(xverse_session_score(session, tokens, 20, NULL, logprobs, &sum));
  CHECK(sum < 0);
  OK(xverse_session_logits(session, &logits, &n));
  OK(xverse_session_top_logprobs(session, 3, top, logprobs, &n));
  OK(xverse_session_tokens(session, tokens, COUNT(tokens), &n));
  CHECK(n == 90);
  OK(xverse_session_stats(session, &stats));
  CHECK(stats.kv_bytes > 0);

  xverse_options *const sampling =
      make_options(XVERSE_OPTIONS_SAMPLING, "{\"temperature\": 1, \"top_p\": 0.9, \"repetition_penalty\": 1.1}");
  OK(xverse_sampler_create(model, sampling, &sampler));
  xverse_options_free(sampling);
  OK(xverse_sampler_accept(sampler, 7));
  calls = 0;
  OK(xverse_sampler_set_callback(sampler, on_logits, &calls));
  OK(xverse_sampler_clone(sampler, &clone));
  OK(xverse_session_logits(session, &logits, &n));
  OK(xverse_sampler_sample(sampler, logits, n, &token, &logprob));
  OK(xverse_sampler_sample(clone, logits, n, &top[0], &logprob));
  CHECK(calls == 2);
  xverse_sampler_free(sampler);
  xverse_sampler_free(clone);
  use_copies(model, session);
  xverse_session_free(session);
}

static void use_generation(xverse_model *model) {
  xverse_options *const options = make_options(
      XVERSE_OPTIONS_SAMPLING, "{\"max_new_tokens\": 8, \"ignore_eos\": 1, \"logprobs\": 1, \"stop\": [\"zz\"]}");
  xverse_stats stats = {.size = sizeof stats};
  xverse_session *session;
  xverse_request *request, *raw;
  xverse_result *result;
  xverse_cancel *cancel;
  const char *text;
  const int32_t *tokens;
  const float *logprobs;
  size_t n;
  int calls = 0;
  OK(xverse_session_create(model, NULL, &session));
  OK(xverse_request_create(model, &request));
  OK(xverse_request_set_options(request, options));
  OK(xverse_request_add_message(request, "system", "Be kind.", XVERSE_NTS));
  OK(xverse_request_add_message(request, "user", "Hello!", XVERSE_NTS));
  CHECK(xverse_request_add_message(request, "nobody", "", 0) == XVERSE_E_INVALID);
  OK(xverse_request_tokens(request, NULL, 0, &n));
  OK(xverse_session_generate(session, request, NULL, on_event, &calls, &result));
  OK(xverse_result_text(result, &text, &n));
  OK(xverse_result_tokens(result, &tokens, &logprobs, &n));
  OK(xverse_result_stats(result, &stats));
  CHECK(calls > 1 && n > 0 && logprobs != NULL && (size_t)stats.n_generated == n);
  xverse_result_free(result);

  const char *const json =
      "{\"prompt\": \"Once upon\", \"max_tokens\": 4, \"n\": 2, \"logprobs\": 2, \"stream\": true}";
  char *response;
  calls = 0;
  OK(xverse_session_generate_json(session, json, XVERSE_NTS, NULL, on_event, &calls, &response, &n));
  CHECK(calls > 1 && n > 0 && response[0] == '{' && response[n] == '\0');
  xverse_free(response);
  CHECK(xverse_session_generate_json(session, "{", 1, NULL, NULL, NULL, &response, NULL) == XVERSE_E_PARSE);
  CHECK(response != NULL && xverse_last_error_offset() == 1);
  xverse_free(response);

  OK(xverse_cancel_create(&cancel));
  xverse_cancel_trigger(cancel);
  OK(xverse_request_create(model, &raw));
  OK(xverse_request_add_tokens(raw, &(int32_t){20}, 1));
  OK(xverse_request_add_text(raw, "Once upon", XVERSE_NTS));
  CHECK(xverse_session_generate(session, raw, cancel, NULL, NULL, &result) == XVERSE_E_CANCELLED && result == NULL);
  xverse_cancel_reset(cancel, 3600000);
  OK(xverse_request_set_options(raw, options));
  OK(xverse_session_generate(session, raw, cancel, NULL, NULL, &result));
  xverse_result_free(result);
  calls = 0;
  CHECK(xverse_session_generate(session, request, cancel, on_second_event, &calls, &result) == XVERSE_STOPPED);
  xverse_cancel_free(cancel);
  xverse_options_free(options);
  xverse_session_free(session);
  xverse_request_free(request);
  xverse_request_free(raw);
  xverse_result_free(result);
}

static void use_scheduler(xverse_model *model) {
  xverse_options *options = make_options(XVERSE_OPTIONS_SCHEDULER, "{\"max_num_seqs\": 3}");
  const xverse_event *event;
  xverse_scheduler *scheduler;
  xverse_request *request;
  uint64_t id, other;
  char *json;
  int ended = 0;
  OK(xverse_scheduler_create(model, options, &scheduler));
  xverse_options_free(options);
  CHECK(xverse_scheduler_fd(scheduler) >= 0);
  CHECK(xverse_scheduler_next(scheduler, 0, &event) == XVERSE_TIMEOUT && event == NULL);

  OK(xverse_scheduler_set_draft(scheduler, model, NULL));

  options = make_options(XVERSE_OPTIONS_SAMPLING, "{\"max_new_tokens\": 8, \"n\": 2, \"prompt_lookup_num_tokens\": 4}");
  OK(xverse_request_create(model, &request));
  OK(xverse_request_set_options(request, options));
  xverse_options_free(options);
  OK(xverse_request_add_text(request, "Once upon a time", XVERSE_NTS));
  OK(xverse_scheduler_submit(scheduler, request, &id));
  xverse_request_free(request);
  OK(xverse_scheduler_submit_json(scheduler, "{\"prompt\": \"Once\", \"max_tokens\": 200}", XVERSE_NTS, &other, NULL,
                                  NULL));
  CHECK(other == id + 2);
  OK(xverse_scheduler_cancel(scheduler, other));
  CHECK(xverse_scheduler_submit_json(scheduler, "[]", 2, &other, &json, NULL) < 0 && other == 0);
  xverse_free(json);
  while (ended < 3) {
    const xverse_status status = xverse_scheduler_next(scheduler, -1, &event);
    CHECK(status == XVERSE_OK && event->text[event->text_len] == '\0');
    if (event->kind == XVERSE_EVENT_FINISHED) ++ended;
  }
  OK(xverse_scheduler_stats(scheduler, &json, NULL));
  CHECK(strstr(json, "\"finished\":3") != NULL);
  xverse_free(json);
  OK(xverse_scheduler_set_draft(scheduler, NULL, NULL));
  xverse_scheduler_free(scheduler);
}

static void remove_directory(const char *path) {
  DIR *const directory = opendir(path);
  CHECK(directory != NULL);
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] != '.') CHECK(unlinkat(dirfd(directory), entry->d_name, 0) == 0);
  closedir(directory);
  CHECK(rmdir(path) == 0);
}

static void use_conversion(const char *path, xverse_runtime *runtime) {
  xverse_options *const options = make_options(XVERSE_OPTIONS_CONVERT, "{\"quantize\": \"int4\"}");
  char place[] = "/tmp/xverse-lifecycle-XXXXXX", destination[sizeof place + 4];
  xverse_model_info info = {.size = sizeof info};
  xverse_cancel *cancel;
  xverse_model *model;
  int calls = 0;
  CHECK(mkdtemp(place) != NULL);
  snprintf(destination, sizeof destination, "%s/new", place);
  OK(xverse_cancel_create(&cancel));
  xverse_cancel_trigger(cancel);
  CHECK(xverse_convert(runtime, path, destination, options, cancel, NULL, NULL) == XVERSE_E_CANCELLED);
  xverse_cancel_free(cancel);
  OK(xverse_convert(runtime, path, destination, options, NULL, on_progress, &calls));
  CHECK(calls > 1);
  CHECK(xverse_convert(runtime, path, destination, options, NULL, NULL, NULL) == XVERSE_E_MISUSE);
  OK(xverse_model_load(runtime, destination, NULL, NULL, NULL, NULL, &model));
  OK(xverse_model_get_info(model, &info));
  CHECK(strcmp(info.quant, "int4") == 0);
  use_sessions(model);
  xverse_model_release(model);
  xverse_options_free(options);
  remove_directory(destination);
  CHECK(rmdir(place) == 0);
}

static void use_model(const char *path, xverse_runtime *runtime) {
  xverse_options *const options = make_options(XVERSE_OPTIONS_MODEL, "{\"verify\": \"values\", \"load\": \"read\"}");
  xverse_options *const scoring = make_options(XVERSE_OPTIONS_SCORE, "{\"context\": 16, \"windows\": 2}");
  xverse_model_info info = {.size = sizeof info};
  xverse_model *model;
  double perplexity, error;
  char *json;
  int calls = 0;
  OK(xverse_model_inspect(path, options, &json, NULL));
  CHECK(strstr(json, "\"n_params\"") != NULL);
  xverse_free(json);
  xverse_memory_estimate estimate = {.size = sizeof estimate};
  OK(xverse_model_estimate(path, options, NULL, &estimate));
  CHECK(estimate.total > 0);
  const xverse_source source = {.size = sizeof source, .length = source_length, .read_at = source_read_at};
  OK(xverse_model_load_source(runtime, &source, &path, options, NULL, NULL, NULL, &model));
  xverse_model_release(model);
  OK(xverse_model_load(runtime, path, options, NULL, on_progress, &calls, &model));
  CHECK(calls > 1 && xverse_model_retain(model) == model);
  xverse_model_release(model);
  OK(xverse_model_get_info(model, &info));
  CHECK(info.n_layers > 0 && info.arch[0] != '\0');
  OK(xverse_model_perplexity(model, "Once upon a time there was a model that wrote.", XVERSE_NTS, scoring, NULL,
                             on_progress, &calls, &perplexity, &error));
  CHECK(perplexity > 1);
  use_tokenizer(path, model);
  use_sessions(model);
  use_generation(model);
  use_scheduler(model);
  use_conversion(path, runtime);
  xverse_options_free(options);
  xverse_options_free(scoring);
  xverse_model_release(model);
}

static void use_runtime(const char *path) {
  host memory = {0, 0};
  int lines = 0;
  const xverse_allocator allocator = {sizeof allocator, 0, host_alloc, host_dealloc, &memory};
  xverse_options *const options = make_options(XVERSE_OPTIONS_RUNTIME, "{\"threads\": 1}");
  xverse_runtime *runtime;
  int64_t current, peak;
  OK(xverse_runtime_create(options, &allocator, &runtime));
  xverse_options_free(options);
  OK(xverse_runtime_set_log(runtime, on_log, &lines, XVERSE_LOG_DEBUG));
  use_model(path, runtime);
  CHECK(lines > 0);
  OK(xverse_runtime_memory(runtime, &current, &peak));
  CHECK(current == memory.bytes && peak > current);
  xverse_runtime_release(runtime);
  CHECK(memory.blocks == 0 && memory.bytes == 0);
}

int main(int argc, char **argv) {
  const int rounds = argc > 2 ? atoi(argv[2]) : 1;
  if (argc < 2) {
    fprintf(stderr, "usage: lifecycle MODEL [ROUNDS]\n");
    return 2;
  }
  use_library();
  use_options();
  // With one compute thread there are no OpenMP workers, which stay parked after their last work.
  const int threads = thread_count();
  for (int round = 0; round < rounds; ++round) {
    use_runtime(argv[1]);
    CHECK(thread_count() == threads);
    use_model(argv[1], NULL);
  }
  return 0;
}
