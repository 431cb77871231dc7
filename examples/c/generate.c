/* generate.c - continues a text: the shortest whole program.
 *
 *     cc -std=c99 generate.c -o generate $(pkg-config --cflags --libs xverse)
 *     ./generate MODEL "Once upon a time"
 */
#include <stdio.h>
#include <xverse.h>

/* Every function that can fail says so by its result, and xverse_last_error() says why. */
static int failed(xverse_status status) {
  if (status < 0) fprintf(stderr, "%s: %s\n", xverse_status_name(status), xverse_last_error());
  return status < 0;
}

int main(int argc, char **argv) {
  xverse_model *model = NULL;
  xverse_session *session = NULL;
  xverse_options *options = NULL;
  xverse_request *request = NULL;
  xverse_result *result = NULL;
  const char *text = NULL;
  int status = 1;

  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  if (failed(xverse_model_open(argv[1], NULL, &model))) goto done;
  if (failed(xverse_session_create(model, NULL, &session))) goto done;

  /* How to choose tokens. What is not set follows the model's generation_config.json. */
  if (failed(xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options))) goto done;
  if (failed(xverse_options_set_int(options, "max_new_tokens", 100))) goto done;
  if (failed(xverse_options_set_float(options, "temperature", 0))) goto done;

  /* What to continue. */
  if (failed(xverse_request_create(model, &request))) goto done;
  if (failed(xverse_request_set_options(request, options))) goto done;
  if (failed(xverse_request_add_text(request, argv[2], XVERSE_NTS))) goto done;

  if (failed(xverse_session_generate(session, request, NULL, NULL, NULL, &result))) goto done;
  if (failed(xverse_result_text(result, &text, NULL))) goto done;
  printf("%s%s\n", argv[2], text);
  status = 0;

done:
  /* Every free accepts NULL, and the order does not matter. */
  xverse_result_free(result);
  xverse_request_free(request);
  xverse_options_free(options);
  xverse_session_free(session);
  xverse_model_release(model);
  return status;
}
