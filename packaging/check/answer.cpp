// answer.cpp -- one answer through xverse.h from C++, for scripts/check-packages.sh.
#include <xverse.h>

#include <cstdio>
#include <memory>

namespace {

template <typename T, void (*end)(T *)>
struct Ended {
  void operator()(T *object) const { end(object); }
};

template <typename T, void (*end)(T *)>
using Owned = std::unique_ptr<T, Ended<T, end>>;

int fail() {
  std::fprintf(stderr, "%s\n", xverse_last_error());
  return 1;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  xverse_model *model = nullptr;
  if (xverse_model_open(argv[1], nullptr, &model) != XVERSE_OK) return fail();
  const Owned<xverse_model, xverse_model_release> model_owner(model);
  xverse_session *session = nullptr;
  if (xverse_session_create(model, nullptr, &session) != XVERSE_OK) return fail();
  const Owned<xverse_session, xverse_session_free> session_owner(session);
  xverse_request *request = nullptr;
  if (xverse_request_create(model, &request) != XVERSE_OK) return fail();
  const Owned<xverse_request, xverse_request_free> request_owner(request);
  xverse_result *result = nullptr;
  const char *text = nullptr;
  if (xverse_request_add_message(request, "user", "How many legs does a spider have?", XVERSE_NTS) != XVERSE_OK ||
      xverse_session_generate(session, request, nullptr, nullptr, nullptr, &result) != XVERSE_OK) {
    return fail();
  }
  const Owned<xverse_result, xverse_result_free> result_owner(result);
  if (xverse_result_text(result, &text, nullptr) != XVERSE_OK) return fail();
  std::printf("%s", text);
  return 0;
}
