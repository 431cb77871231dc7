// header_test.cpp -- xverse.h compiles as C++11 and later, and links: every function has C's linkage.
#include <xverse.h>

#include <type_traits>

static_assert(std::is_standard_layout<xverse_event>::value, "xverse_event is a struct of C");
static_assert(std::is_same<decltype(xverse_session_length(nullptr)), int64_t>::value, "lengths have 64 bits");
static_assert(sizeof(xverse_stats) == 96, "xverse_stats is as C has it");

namespace {

int32_t goOn(void *, const xverse_event *) { return 0; }

}  // namespace

int main() {
  const xverse_stream_fn listener = goOn;
  xverse_result *result = nullptr;
  const xverse_status status = xverse_session_generate(nullptr, nullptr, nullptr, listener, nullptr, &result);
  if (status != XVERSE_E_INVALID || result != nullptr || xverse_last_error()[0] == '\0') return 1;
  xverse_free(nullptr);
  xverse_session_free(nullptr);
  xverse_model_release(nullptr);
  return xverse_version_number() > 0 ? 0 : 2;
}
