// lifecycle.cpp -- calls every member of xverse.hpp on a model, with exceptions and without, and leaves nothing behind.
// usage: lifecycle MODEL
#include <xverse.hpp>

#include "check.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

using xverse::options;
using xverse::options_kind;
using xverse::status;

namespace {

#ifdef XVERSE_NO_EXCEPTIONS

template <class T>
T must(xverse::expected<T> &&outcome) {
  CHECK(outcome.has_value() && outcome);
  if constexpr (!std::is_void_v<T>) return *std::move(outcome);
}

template <class Call>
xverse::error fails(Call &&call) {
  auto outcome = call();
  CHECK(!outcome);
  return outcome.error();
}

#else

#define must(...) __VA_ARGS__

/// What `call` throws.
template <class Call>
xverse::error fails(Call &&call) {
  try {
    call();
  } catch (const xverse::error &error) {
    return error;
  }
  std::fprintf(stderr, "a call that should fail does not\n");
  std::exit(1);
}

#endif

options made(options_kind kind, std::initializer_list<xverse::option> values) {
  return must(options::create(kind, values));
}

void use_library() {
  CHECK(xverse::version_number() >= 0 && xverse::version()[0] != '\0' && xverse::build_info()[0] == '{');
  const auto error = fails([] { return xverse::model::open("/nowhere"); });
  CHECK(error.status() == status::not_found && std::strstr(error.what(), "/nowhere") != nullptr &&
        error.offset() == -1);
  CHECK(std::strcmp(xverse::status_name(error.status()), "XVERSE_E_NOTFOUND") == 0 && error.response().empty());
#ifndef XVERSE_NO_EXCEPTIONS
  int caught = 0;
  try {
    xverse::model::open("/nowhere");
  } catch (const xverse::not_found &) {
    ++caught;
  }
  try {
    xverse::options().set({"threads", 1});
  } catch (const xverse::invalid_argument &) {
    ++caught;
  }
  CHECK(caught == 2);
#endif
}

void use_options() {
  auto sampling = made(options_kind::sampling, {{"temperature", 0.5}, {"top_k", 5U}, {"ignore_eos", true}});
  must(sampling.set({"stop", R"(["a", "bc"])"}));
  must(sampling.set({"top_p", 0.5F}));
  must(sampling.set_json(R"({"logit_bias": {"5": 1}})"));
  CHECK(must(options::describe(options_kind::sampling)).size() > 10);
  CHECK(fails([] { return options::create(options_kind::sampling, {{"top", 1}}); }).status() == status::invalid);
  CHECK(fails([&] { return sampling.set({"top_k", SIZE_MAX}); }).status() == status::range);
  CHECK(fails([&] { return sampling.set_json("{"); }).offset() == 1);
  CHECK(fails([] { return options::describe(static_cast<options_kind>(99)); }).status() == status::invalid);
  options moved = std::move(sampling);
  CHECK(moved && !sampling);  // NOLINT(*-use-after-move): an empty object is defined
  CHECK(fails([&] { return sampling.set({"top_k", 5}); }).status() == status::invalid);
  options adopted(moved.release());
  CHECK(adopted.get() != nullptr && moved.get() == nullptr);
}

void use_tokenizer(const std::string &path, const xverse::model &model) {
  const std::string text = "Hello, world \xE4\xBD\xA0 <|endoftext|>";
  xverse::tokenizer tokenizer = must(xverse::tokenizer::open(path));
  const auto plain = must(tokenizer.encode(text));
  const auto tokens = must(tokenizer.encode(text, xverse::encode_flags::bos | xverse::encode_flags::special));
  CHECK(tokens.size() < plain.size() && tokens.front() == *tokenizer.special(xverse::special_token::bos));
  CHECK(must(tokenizer.encode("")).empty() && must(tokenizer.decode({})).empty());
  CHECK(must(tokenizer.decode(plain)) == text);
  CHECK(must(tokenizer.token_bytes(tokens.front())).is_special);
  CHECK(fails([&] { return tokenizer.token_bytes(-1); }).status() == status::range);
  auto detokenizer = must(tokenizer.create_detokenizer(xverse::decode_flags::skip_special));
  tokenizer = model.tokenizer();
  CHECK(tokenizer && tokenizer.vocab_size() > 100);
  std::string pieces;
  for (const std::int32_t token : plain) pieces += must(detokenizer.push(token));
  pieces += must(detokenizer.flush());
  CHECK(pieces == text);
  // Lives without its model.
  const auto kept = [&] {
    return must(xverse::model::open(path, made(options_kind::model, {{"vocab_only", 1}}))).tokenizer();
  }();
  CHECK(must(kept.encode(text)) == plain);
  CHECK(xverse::tokenizer().vocab_size() == -1 && !xverse::tokenizer().special(xverse::special_token::eos));
}

void use_sessions(const xverse::model &model, const std::string &scratch) {
  auto session = must(model.create_session(made(options_kind::session, {{"kv_type", "f16"}})));
  std::vector<std::int32_t> tokens(100);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = 10 + static_cast<std::int32_t>(i % 50);
  int calls = 0;
  must(session.eval(tokens, [&](const xverse::progress &progress) {
    CHECK(progress.phase == "prefill" && progress.done <= progress.total);
    ++calls;
  }));
  must(session.eval({}));
  CHECK(calls > 0 && session.length() == 100 && must(session.tokens()) == tokens);
  must(session.truncate(70));
  const auto scores = must(session.score({tokens.data(), 20}));
  CHECK(scores.logprobs.size() == 20 && scores.sum < 0);
  const auto logits = must(session.logits());
  const auto top = must(session.top_logprobs(3));
  CHECK(top.size() == 3 && top[0].logprob >= top[1].logprob);
  CHECK(must(session.top_logprobs(INT32_MAX)).size() == logits.size());
  CHECK(fails([&] { return session.top_logprobs(-1); }).status() == status::range);
  CHECK(must(session.stats()).kv_bytes > 0);

  auto sampler = must(model.create_sampler(made(options_kind::sampling, {{"temperature", 0}})));
  must(sampler.accept(7));
  CHECK(must(sampler.sample(logits)).token == top[0].token);
  calls = 0;
  const std::int32_t favourite = top[2].token;
  must(sampler.set_callback([&calls, favourite](xverse::span<float> row) {
    ++calls;
    row[static_cast<std::size_t>(favourite)] += 1000;
  }));
  auto clone = must(sampler.clone());
  auto moved = std::move(sampler);
  CHECK(must(moved.sample(logits)).token == favourite && must(clone.sample(logits)).token == favourite && calls == 2);
  must(clone.set_callback([](xverse::span<float>) { return false; }));
  CHECK(fails([&] { return clone.sample(logits); }).status() == status::stopped);
  must(clone.set_callback(nullptr));
  CHECK(must(clone.sample(logits)).token == top[0].token);

  must(session.set_note("a note"));
  auto fork = must(session.fork());
  const xverse::session::batch_item items[] = {{&session, {tokens.data(), 3}}, {&fork, {tokens.data(), 2}}};
  must(xverse::session::eval_batch(items));
  CHECK(session.length() == 93 && fork.length() == 92);
  CHECK(must(fork.embed({tokens.data(), 3}, xverse::pooling::mean | xverse::pooling::normalize)).size() > 1);
  const std::string path = scratch + "/session";
  must(session.save(path));
  must(fork.restore(path));
  CHECK(fork.length() == 93 && must(fork.note()) == "a note");
  must(fork.set_note({}));
  CHECK(must(fork.note()).empty());
  must(fork.set_draft(model));
  must(fork.set_draft({}));
  CHECK(fails([] { return xverse::session().eval({}); }).status() == status::invalid &&
        xverse::session().length() == -1);
}

void use_generation(const xverse::model &model) {
  const auto sampling = made(options_kind::sampling, {{"max_new_tokens", 8}, {"ignore_eos", 1}, {"logprobs", 1}});
  auto session = must(model.create_session());
  auto request = must(model.create_request());
  must(request.set_options(sampling));
  must(request.add_message("system", "Be kind."));
  must(request.add_message("user", "Hello!"));
  CHECK(fails([&] { return request.add_message("nobody", ""); }).status() == status::invalid);
  std::string text;
  std::size_t n = 0;
  xverse::finish_reason reason = xverse::finish_reason::none;
  const auto result = must(session.generate(request, [&](const xverse::event &event) {
    CHECK(event.get() != nullptr && event.request_id() == 0 && event.status() == status::ok && event.message().empty());
    CHECK(event.tokens().size() == event.logprobs().size() && event.n_prompt_done() <= event.n_prompt_total());
    text += event.text();
    n += event.tokens().size();
    if (event.kind() == xverse::event_kind::finished) reason = event.finish_reason();
    return true;
  }));
  CHECK(must(result.text()) == text && must(result.tokens()).size() == n && must(result.logprobs()).size() == n);
  CHECK(reason == xverse::finish_reason::length && must(result.stats()).n_generated == 8);
  CHECK(must(request.tokens()).size() == static_cast<std::size_t>(must(result.stats()).n_prompt));

  auto raw = must(model.create_request());
  const std::int32_t first[] = {20};
  must(raw.add_tokens(first));
  must(raw.add_text("Once upon"));
  auto cancel = must(xverse::cancel::create());
  cancel.trigger();
  CHECK(fails([&] { return session.generate(raw, nullptr, &cancel); }).status() == status::cancelled);
  cancel.reset(std::chrono::milliseconds(-5));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(fails([&] { return session.generate(raw, nullptr, &cancel); }).status() == status::deadline);
  cancel.reset();
  int calls = 0;
  const auto stopped = must(session.generate(
      request, [&](const xverse::event &) { return ++calls != 2; }, &cancel));
  // The event that ends the stream comes after that.
  CHECK(calls == 3 && must(stopped.stats()).finish_reason == XVERSE_FINISH_CALLBACK);

  const std::string_view json = R"({"prompt": "Once upon", "max_tokens": 4, "stream": true})";
  int chunks = 0;
  const auto response = must(session.generate_json(json, [&](const xverse::event &event) {
    if (event.kind() == xverse::event_kind::json) ++chunks;
  }));
  CHECK(chunks > 1 && response.front() == '{');
  const auto error = fails([&] { return session.generate_json("{"); });
  CHECK(error.status() == status::parse && error.offset() == 1 && error.response().front() == '{');
}

void use_scheduler(const xverse::model &model) {
  auto scheduler = must(model.create_scheduler(made(options_kind::scheduler, {{"max_num_seqs", 3}})));
  CHECK(scheduler.fd() >= 0 && !must(scheduler.next(std::chrono::milliseconds(0))));
  must(scheduler.set_draft(model));
  must(scheduler.set_draft({}));
  auto request = must(model.create_request());
  must(request.set_options(made(options_kind::sampling, {{"max_new_tokens", 8}, {"n", 2}})));
  must(request.add_text("Once upon a time"));
  const std::uint64_t id = must(scheduler.submit(request));
  const std::uint64_t other = must(scheduler.submit_json(R"({"prompt": "Once", "max_tokens": 200})"));
  CHECK(other == id + 2);
  must(scheduler.cancel(other));
  CHECK(fails([&] { return scheduler.submit_json("[]"); }).response().front() == '{');
  for (int ended = 0; ended < 3;) {
    const auto event = must(scheduler.next());
    CHECK(event && event->request_id() >= id);
    if (event->kind() != xverse::event_kind::finished) continue;
    ++ended;
    CHECK((event->stats() != nullptr) && (event->status() == status::ok) == event->message().empty());
  }
  CHECK(must(scheduler.stats()).find("\"finished\":3") != std::string::npos);
}

/// The files of a directory.
class directory final : public xverse::source {
 public:
  explicit directory(std::string path) : path_(std::move(path)) {}

  std::optional<std::int64_t> length(std::string_view name) override {
    std::error_code error;
    const auto size = std::filesystem::file_size(path_ + "/" + std::string(name), error);
    return error ? std::nullopt : std::optional<std::int64_t>(size);
  }

  std::optional<std::size_t> read_at(std::string_view name, std::int64_t offset,
                                     xverse::span<std::byte> buffer) override {
    if (is_broken && name == "model.safetensors") {
#ifdef __cpp_exceptions
      throw std::logic_error("broken");
#else
      return std::nullopt;
#endif
    }
    std::ifstream file(path_ + "/" + std::string(name), std::ios::binary);
    file.seekg(offset);
    char *const bytes = static_cast<char *>(static_cast<void *>(buffer.data()));
    file.read(bytes, static_cast<std::streamsize>(buffer.size()));
    return static_cast<std::size_t>(file.gcount());
  }

  void close() override { ++closed; }

  bool is_broken = false;
  int closed = 0;

 private:
  std::string path_;
};

void use_model(const std::string &path, const xverse::runtime &runtime, const std::string &scratch) {
  const auto reading = made(options_kind::model, {{"load", "read"}, {"verify", "values"}});
  CHECK(must(xverse::model::inspect(path, reading)).find("\"n_params\"") != std::string::npos);
  CHECK(must(xverse::model::estimate(path, reading)).total > 0);
  int calls = 0;
  const auto count = [&](const xverse::progress &) { ++calls; };
  auto cancel = must(xverse::cancel::create());
  const auto model = must(xverse::model::load(path, reading, count, &cancel, runtime));
  CHECK(calls > 1 && must(model.info()).n_layers > 0 && must(model.info()).arch[0] != '\0');
  CHECK(fails([&] { return xverse::model::load(path, {}, [](const xverse::progress &) { return false; }); }).status() ==
        status::stopped);
  const auto same = model.retain();
  CHECK(same.get() == model.get());

  directory files(path);
  must(xverse::model::load(files, {}, count, nullptr, runtime));
  CHECK(files.closed == 1);
  files.is_broken = true;
#ifdef __cpp_exceptions
  bool is_thrown = false;
  try {
    (void)xverse::model::load(files);
  } catch (const std::logic_error &error) {
    is_thrown = std::strcmp(error.what(), "broken") == 0;
  }
  CHECK(is_thrown && files.closed == 2);
#else
  CHECK(fails([&] { return xverse::model::load(files); }).status() == status::io && files.closed == 2);
#endif

  const auto scoring = made(options_kind::score, {{"context", 16}, {"windows", 2}});
  const auto perplexity =
      must(model.perplexity("Once upon a time there was a model that wrote.", scoring, count, &cancel));
  CHECK(perplexity.value > 1 && perplexity.standard_error >= 0);
  use_tokenizer(path, model);
  use_sessions(model, scratch);
  use_generation(model);
  use_scheduler(model);

  const std::string converted = scratch + "/int4";
  must(xverse::convert(path, converted, made(options_kind::convert, {{"quantize", "int4"}}), count, &cancel, runtime));
  CHECK(std::strcmp(must(must(xverse::model::open(converted)).info()).quant, "int4") == 0);
  CHECK(fails([&] { return xverse::convert(path, converted); }).status() == status::misuse);
}

void use_runtime(const std::string &path, const std::string &scratch) {
  auto runtime = must(xverse::runtime::create(made(options_kind::runtime, {{"threads", 1}})));
  int lines = 0;
  const auto log = [&](xverse::log_level level, std::string_view line) {
    CHECK(level != xverse::log_level::off && !line.empty());
    ++lines;
#ifdef __cpp_exceptions
    throw std::logic_error("nobody sees this");
#endif
  };
  must(runtime.set_log(log, xverse::log_level::debug));
  use_model(path, runtime, scratch);
  CHECK(lines > 0);
  must(runtime.set_log(nullptr, xverse::log_level::debug));
  const auto memory = must(runtime.memory());
  CHECK(memory.current >= 0 && memory.peak > memory.current && must(xverse::runtime().memory()).peak > 0);
}

#ifdef __cpp_exceptions

struct surprise {
  int value;
};

/// The int that `call` throws within a surprise, which passed by the C call.
template <class Call>
int thrown_by(Call &&call) {
  try {
    (void)call();
  } catch (const surprise &caught) {
    return caught.value;
  }
  return 0;
}

void use_throwing_callbacks(const std::string &path) {
  int calls = 0;
  const auto throwing = [&calls](const auto &) -> bool {
    ++calls;
    throw surprise{7};
  };
  CHECK(thrown_by([&] { return xverse::model::load(path, {}, throwing); }) == 7);
  const auto model = must(xverse::model::open(path));
  auto session = must(model.create_session());
  auto request = must(model.create_request());
  must(request.add_text("Once upon a time"));
  calls = 0;
  CHECK(thrown_by([&] { return session.generate(request, throwing); }) == 7 && calls == 1);
  CHECK(thrown_by([&] { return session.generate_json(R"({"prompt": "Once", "max_tokens": 2})", throwing); }) == 7);
  must(session.truncate(0));
  const std::vector<std::int32_t> tokens(5, 20);
  CHECK(thrown_by([&] {
          (void)session.eval(tokens, throwing);
          return 0;
        }) == 7);
  must(session.truncate(0));
  must(session.eval(tokens));
  auto sampler = must(model.create_sampler());
  must(sampler.set_callback([](xverse::span<float>) { throw surprise{8}; }));
  CHECK(thrown_by([&] { return sampler.sample(must(session.logits())); }) == 8);
}

#endif

}  // namespace

// What throws unexpectedly ends the program with its message.
int main(int argc, char **argv) {  // NOLINT(bugprone-exception-escape)
  if (argc != 2) {
    std::fprintf(stderr, "usage: lifecycle MODEL\n");
    return 2;
  }
  char place[] = "/tmp/xverse-lifecycle-XXXXXX";
  CHECK(mkdtemp(place) != nullptr);
  use_library();
  use_options();
  use_runtime(argv[1], place);
#ifdef __cpp_exceptions
  use_throwing_callbacks(argv[1]);
#endif
  std::filesystem::remove_all(place);
  return 0;
}
