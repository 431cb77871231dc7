/* header_test.c - xverse.h compiles on its own, as C99 and later, without padding in its structs, and what it froze is
 * still so. Run against the library it checks what needs no model.
 */
#include <xverse.h>

#include <string.h>

/* C99 has no static assertions: an array of -1 elements is an error. */
#define FROZEN(name, condition) typedef char frozen_##name[(condition) ? 1 : -1]
#define OFFSET(name, type, member, offset) FROZEN(name, offsetof(type, member) == (offset))

FROZEN(pointers, sizeof(void *) == 8);
FROZEN(status, sizeof(xverse_status) == 4);
FROZEN(option_info, sizeof(xverse_option_info) == 72);
OFFSET(option_key, xverse_option_info, key, 8);
OFFSET(option_min, xverse_option_info, min, 32);
OFFSET(option_unit, xverse_option_info, unit, 56);
FROZEN(allocator, sizeof(xverse_allocator) == 32);
OFFSET(allocator_alloc, xverse_allocator, alloc, 8);
FROZEN(model_info, sizeof(xverse_model_info) == 80);
OFFSET(model_params, xverse_model_info, n_params, 8);
OFFSET(model_arch, xverse_model_info, arch, 56);
FROZEN(stats, sizeof(xverse_stats) == 96);
OFFSET(stats_prompt, xverse_stats, n_prompt, 8);
FROZEN(event, sizeof(xverse_event) == 96);
OFFSET(event_request, xverse_event, request_id, 8);
OFFSET(event_text, xverse_event, text, 16);
OFFSET(event_status, xverse_event, status, 76);
OFFSET(event_stats, xverse_event, stats, 80);
OFFSET(event_message, xverse_event, message, 88);

FROZEN(ok, XVERSE_OK == 0 && XVERSE_TIMEOUT == 1 && XVERSE_STOPPED == 2);
FROZEN(errors, XVERSE_E_FAIL == -1 && XVERSE_E_COMM == -21 && XVERSE_E_INTERNAL == -99);
FROZEN(kinds, XVERSE_OPTIONS_RUNTIME == 1 && XVERSE_OPTIONS_SAMPLING == 4 && XVERSE_OPTIONS_SCORE == 7);
FROZEN(reasons, XVERSE_FINISH_EOS == 1 && XVERSE_FINISH_DEADLINE == 6 && XVERSE_FINISH_ERROR == 8);
FROZEN(events, XVERSE_EVENT_TOKENS == 1 && XVERSE_EVENT_FINISHED == 2 && XVERSE_EVENT_PREFILL == 3);
FROZEN(text, XVERSE_NTS == (size_t)-1);

int main(void) {
  xverse_options *options = NULL;
  xverse_model *model = NULL;
  xverse_option_info info;
  memset(&info, 0, sizeof info);
  info.size = (uint32_t)sizeof info;
  if (strchr(xverse_version(), '.') == NULL) return 1;
  if (strstr(xverse_build_info(), xverse_version()) == NULL) return 2;
  if (strcmp(xverse_status_name(XVERSE_E_NOMEM), "XVERSE_E_NOMEM") != 0) return 3;
  if (xverse_last_error()[0] != '\0' || xverse_last_error_offset() != -1) return 4;
  if (xverse_options_create(XVERSE_OPTIONS_SAMPLING, &options) != XVERSE_OK) return 5;
  if (xverse_options_set_json(options, "{\"top_k\": ", XVERSE_NTS) != XVERSE_E_PARSE) return 6;
  if (xverse_last_error_offset() != 10) return 7;
  if (xverse_options_describe(XVERSE_OPTIONS_SAMPLING, 0, &info) != XVERSE_OK || info.unit == NULL) return 8;
  xverse_options_free(options);
  if (xverse_model_open("", NULL, &model) != XVERSE_E_INVALID || model != NULL) return 9;
  return 0;
}
