// xverse.hpp - libxverse for C++17 and later: xverse.h with owners, views and exceptions.
//
//     auto model = xverse::model::open("XVERSE-7B-Chat");
//     auto session = model.create_session();
//     auto request = model.create_request();
//     request.add_message("user", "Hello!");
//     session.generate(request, [](const xverse::event &event) { std::cout << event.text() << std::flush; });
//
// xverse.h is the manual: a function here does what the C function of the same name does, with the same shapes, units,
// errors and rules for threads. What differs:
//
// OBJECTS    Each type of handle is a class that owns one and can be moved, not copied. The order of destruction does not
//            matter. An empty object (default-constructed, moved from) may be used: it is the NULL of the C call, so an
//            empty `options` means the defaults, an empty `runtime` the default one, and everything else is
//            status::invalid. get() is the C handle, for functions of xverse.h; the explicit constructor adopts one.
// ERRORS     A failure throws: xverse::error, or the class derived from it for its status, such as xverse::not_found.
//            Where exceptions are off, or XVERSE_NO_EXCEPTIONS is defined before this file is included, a function
//            returns xverse::expected instead, which has the value or the error; returns<T> stands for T or
//            expected<T>. An inline namespace keeps the two apart, so files of one program may differ.
// CALLBACKS  Any callable; nullptr for none. A callback returns nothing, or a bool: true to go on, false to stop. What it
//            throws stops the call and is thrown again by it. A stopped generation returns a result; any other call that is
//            stopped fails with status::stopped.
// ARRAYS     xverse::span is std::span since C++20; before, a view made from a pointer and a size, an array, or a container
//            such as std::vector. Text is std::string_view in, and std::string_view or std::string out. Paths, keys and
//            roles end with NUL, so they are std::string.
#ifndef XVERSE_HPP
#define XVERSE_HPP

#include <xverse.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if __cplusplus >= 202002L && __has_include(<span>)
#include <span>
#endif

#if !defined(XVERSE_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define XVERSE_NO_EXCEPTIONS
#endif

namespace xverse {

// ------------------------------------------------------------------------------------------------------ errors ----

/// xverse_status.
enum class status : std::int32_t {
  ok = XVERSE_OK,
  timeout = XVERSE_TIMEOUT,
  stopped = XVERSE_STOPPED,
  fail = XVERSE_E_FAIL,
  no_memory = XVERSE_E_NOMEM,
  invalid = XVERSE_E_INVALID,
  misuse = XVERSE_E_MISUSE,
  busy = XVERSE_E_BUSY,
  cancelled = XVERSE_E_CANCELLED,
  deadline = XVERSE_E_DEADLINE,
  io = XVERSE_E_IO,
  not_found = XVERSE_E_NOTFOUND,
  corrupt = XVERSE_E_CORRUPT,
  unsupported = XVERSE_E_UNSUPPORTED,
  unsafe = XVERSE_E_UNSAFE,
  range = XVERSE_E_RANGE,
  context_full = XVERSE_E_CONTEXT_FULL,
  queue_full = XVERSE_E_QUEUE_FULL,
  parse = XVERSE_E_PARSE,
  mismatch = XVERSE_E_MISMATCH,
  forked = XVERSE_E_FORKED,
  limit = XVERSE_E_LIMIT,
  callback = XVERSE_E_CALLBACK,
  internal = XVERSE_E_INTERNAL
};

/// "XVERSE_E_NOTFOUND"; static.
inline const char *status_name(status value) noexcept { return xverse_status_name(static_cast<xverse_status>(value)); }

/// A failed call. what() is the sentence of xverse_last_error.
class error : public std::runtime_error {
 public:
  error(xverse::status status, const std::string &message, std::int64_t offset = -1, std::string response = {})
      : std::runtime_error(message), status_(status), offset_(offset), response_(std::move(response)) {}

  xverse::status status() const noexcept { return status_; }

  /// xverse_last_error_offset: the place in the text or file, in bytes from its start; -1: none.
  std::int64_t offset() const noexcept { return offset_; }

  /// OpenAI's error object, in JSON, of a failed generate_json or submit_json; else empty.
  const std::string &response() const noexcept { return response_; }

 private:
  xverse::status status_;
  std::int64_t offset_;
  std::string response_;
};

/// A failed call with this status: what is thrown.
template <status Status>
class error_of final : public error {
 public:
  explicit error_of(error &&other) : error(std::move(other)) {}
};

using stopped = error_of<status::stopped>;
using failed = error_of<status::fail>;
using out_of_memory = error_of<status::no_memory>;
using invalid_argument = error_of<status::invalid>;
using misuse = error_of<status::misuse>;
using busy = error_of<status::busy>;
using cancelled = error_of<status::cancelled>;
using deadline_exceeded = error_of<status::deadline>;
using io_error = error_of<status::io>;
using not_found = error_of<status::not_found>;
using corrupt = error_of<status::corrupt>;
using unsupported = error_of<status::unsupported>;
using unsafe = error_of<status::unsafe>;
using out_of_range = error_of<status::range>;
using context_full = error_of<status::context_full>;
using queue_full = error_of<status::queue_full>;
using parse_error = error_of<status::parse>;
using mismatch = error_of<status::mismatch>;
using forked = error_of<status::forked>;
using limit_exceeded = error_of<status::limit>;
using callback_error = error_of<status::callback>;
using internal_error = error_of<status::internal>;

/// A value, or why there is none: what calls return without exceptions. `*` and `->` need a value, error() an error.
template <class T>
class [[nodiscard]] expected {
 public:
  expected(T &&value) : content_(std::in_place_index<0>, std::move(value)) {}                // NOLINT(*-explicit-*)
  expected(xverse::error &&error) : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(*-explicit-*)

  bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  T &operator*() & noexcept { return *std::get_if<0>(&content_); }
  const T &operator*() const & noexcept { return *std::get_if<0>(&content_); }
  T &&operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
  T *operator->() noexcept { return std::get_if<0>(&content_); }
  const T *operator->() const noexcept { return std::get_if<0>(&content_); }

  const xverse::error &error() const noexcept { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, xverse::error> content_;
};

/// Success, or why not.
template <>
class [[nodiscard]] expected<void> {
 public:
  expected() = default;
  expected(xverse::error &&error) : error_(std::move(error)) {}  // NOLINT(*-explicit-*)

  bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  const xverse::error &error() const noexcept { return *error_; }

 private:
  std::optional<xverse::error> error_;
};

// ------------------------------------------------------------------------------------------------------ arrays ----

#ifdef __cpp_lib_span
inline namespace cpp20 {
template <class T>
using span = std::span<T>;
#else
inline namespace cpp17 {
/// A view of `size` elements from `data` on: what std::span is since C++20.
template <class T>
class span {
 public:
  using value_type = std::remove_cv_t<T>;
  using iterator = T *;

  constexpr span() noexcept = default;
  constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

  template <std::size_t Size>
  constexpr span(T (&array)[Size]) noexcept : data_(array), size_(Size) {}  // NOLINT(*-explicit-*, *-avoid-c-arrays)

  /// From a vector, array, string, another span ...
  template <class Container, class = std::enable_if_t<std::is_convertible_v<
                                 std::remove_pointer_t<decltype(std::declval<Container &>().data())> (*)[], T (*)[]>>>
  constexpr span(Container &&container) noexcept  // NOLINT(*-explicit-*, *-forwarding-reference-overload)
      : data_(container.data()), size_(container.size()) {}

  constexpr T *data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr T *begin() const noexcept { return data_; }
  constexpr T *end() const noexcept { return data_ + size_; }
  constexpr T &operator[](std::size_t index) const noexcept { return data_[index]; }

 private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};
#endif

#ifdef XVERSE_NO_EXCEPTIONS
inline namespace without_exceptions {
/// What a function that makes a T returns.
template <class T>
using returns = expected<T>;
#else
inline namespace with_exceptions {
/// What a function that makes a T returns.
template <class T>
using returns = T;
#endif

// ------------------------------------------------------------------------------------------------------ values ----

/// XVERSE_OPTIONS_*: what options are for.
enum class options_kind : std::int32_t {
  runtime = XVERSE_OPTIONS_RUNTIME,
  model = XVERSE_OPTIONS_MODEL,
  session = XVERSE_OPTIONS_SESSION,
  sampling = XVERSE_OPTIONS_SAMPLING,
  scheduler = XVERSE_OPTIONS_SCHEDULER,
  convert = XVERSE_OPTIONS_CONVERT,
  score = XVERSE_OPTIONS_SCORE
};

/// XVERSE_LOG_*.
enum class log_level : std::int32_t {
  off = XVERSE_LOG_OFF,
  error = XVERSE_LOG_ERROR,
  warn = XVERSE_LOG_WARN,
  info = XVERSE_LOG_INFO,
  debug = XVERSE_LOG_DEBUG
};

/// XVERSE_ENCODE_*; combined with |.
enum class encode_flags : std::int32_t {
  plain = XVERSE_ENCODE_PLAIN,
  bos = XVERSE_ENCODE_BOS,
  special = XVERSE_ENCODE_SPECIAL
};

constexpr encode_flags operator|(encode_flags a, encode_flags b) noexcept {
  return static_cast<encode_flags>(static_cast<std::int32_t>(a) | static_cast<std::int32_t>(b));
}

/// XVERSE_DECODE_*.
enum class decode_flags : std::int32_t { plain = XVERSE_DECODE_PLAIN, skip_special = XVERSE_DECODE_SKIP_SPECIAL };

/// XVERSE_TOKEN_*.
enum class special_token : std::int32_t {
  eos = XVERSE_TOKEN_EOS,
  bos = XVERSE_TOKEN_BOS,
  pad = XVERSE_TOKEN_PAD,
  unk = XVERSE_TOKEN_UNK
};

/// XVERSE_POOL_*; combined with |.
enum class pooling : std::int32_t {
  last = XVERSE_POOL_LAST,
  mean = XVERSE_POOL_MEAN,
  normalize = XVERSE_POOL_NORMALIZE
};

constexpr pooling operator|(pooling a, pooling b) noexcept {
  return static_cast<pooling>(static_cast<std::int32_t>(a) | static_cast<std::int32_t>(b));
}

/// XVERSE_FINISH_*: why generation ended.
enum class finish_reason : std::int32_t {
  none = XVERSE_FINISH_NONE,
  eos = XVERSE_FINISH_EOS,
  stop = XVERSE_FINISH_STOP,
  length = XVERSE_FINISH_LENGTH,
  callback = XVERSE_FINISH_CALLBACK,
  cancelled = XVERSE_FINISH_CANCELLED,
  deadline = XVERSE_FINISH_DEADLINE,
  error = XVERSE_FINISH_ERROR
};

/// XVERSE_EVENT_*.
enum class event_kind : std::int32_t {
  tokens = XVERSE_EVENT_TOKENS,
  finished = XVERSE_EVENT_FINISHED,
  prefill = XVERSE_EVENT_PREFILL,
  json = XVERSE_EVENT_JSON
};

using stats = xverse_stats;
using model_info = xverse_model_info;
using option_info = xverse_option_info;
using memory_estimate = xverse_memory_estimate;

/// What a progress callback receives: `done` of `total`, in the units of xverse_progress_fn.
struct progress {
  std::string_view phase;
  std::int64_t done;
  std::int64_t total;
};

/// A token and its natural log-probability.
struct token_logprob {
  std::int32_t token;
  float logprob;
};

/// xverse_event, of a stream callback or scheduler::next: a view, valid as long as that says.
class event {
 public:
  explicit event(const xverse_event *seen) noexcept : event_(seen) {}

  event_kind kind() const noexcept { return static_cast<event_kind>(event_->kind); }
  std::uint64_t request_id() const noexcept { return event_->request_id; }
  std::string_view text() const noexcept { return {event_->text, event_->text_len}; }
  span<const std::int32_t> tokens() const noexcept { return {event_->tokens, event_->n_tokens}; }
  /// Empty without option logprobs.
  span<const float> logprobs() const noexcept {
    return {event_->logprobs, event_->logprobs == nullptr ? 0 : event_->n_tokens};
  }
  std::int64_t n_prompt_done() const noexcept { return event_->n_prompt_done; }
  std::int64_t n_prompt_total() const noexcept { return event_->n_prompt_total; }
  xverse::finish_reason finish_reason() const noexcept {
    return static_cast<xverse::finish_reason>(event_->finish_reason);
  }
  xverse::status status() const noexcept { return static_cast<xverse::status>(event_->status); }
  /// Of a scheduler's event of kind finished; else NULL.
  const xverse::stats *stats() const noexcept { return event_->stats; }
  /// Empty unless status() is an error.
  std::string_view message() const noexcept { return event_->message == nullptr ? "" : event_->message; }
  const xverse_event *get() const noexcept { return event_; }

 private:
  const xverse_event *event_;
};

// -------------------------------------------------------------------------------------------------- underneath ----

/// The owner of a C handle.
template <class T, void (*Free)(T *)>
class handle {
 public:
  handle() = default;
  /// Adopts a handle.
  explicit handle(T *adopted) noexcept : owned_(adopted) {}

  /// The C handle; NULL when empty.
  T *get() const noexcept { return owned_.get(); }
  /// Gives the handle up: the caller frees it.
  T *release() noexcept { return owned_.release(); }
  explicit operator bool() const noexcept { return owned_ != nullptr; }

 private:
  struct freeing {
    void operator()(T *pointer) const noexcept { Free(pointer); }
  };
  std::unique_ptr<T, freeing> owned_;
};

namespace detail {

inline error last_error(xverse_status status, std::string response = {}) {
  return {static_cast<xverse::status>(status), xverse_last_error(), xverse_last_error_offset(), std::move(response)};
}

#ifdef XVERSE_NO_EXCEPTIONS

template <class T>
returns<T> fail(error &&error) {
  return returns<T>(std::move(error));
}

#else

template <status... Known>
struct thrower {
  /// Throws the class of the error's status.
  [[noreturn]] static void raise(error &&error) {
    (raise_if<Known>(error), ...);
    throw std::move(error);
  }

  template <status Status>
  static void raise_if(error &error) {
    if (error.status() == Status) throw error_of<Status>(std::move(error));
  }
};

using known_thrower =
    thrower<status::stopped, status::fail, status::no_memory, status::invalid, status::misuse, status::busy,
            status::cancelled, status::deadline, status::io, status::not_found, status::corrupt, status::unsupported,
            status::unsafe, status::range, status::context_full, status::queue_full, status::parse, status::mismatch,
            status::forked, status::limit, status::callback, status::internal>;

template <class T>
[[noreturn]] returns<T> fail(error &&error) {
  known_thrower::raise(std::move(error));
}

#endif

/// What `make` makes, or the error of this thread's last call when `status` is one.
template <class T, class Make>
returns<T> finish(xverse_status status, Make &&make) {
  if (status != XVERSE_OK) return fail<T>(last_error(status));
  return returns<T>(make());
}

inline returns<void> finish(xverse_status status) {
  if (status != XVERSE_OK) return fail<void>(last_error(status));
  return returns<void>();
}

/// Text of the library's that is freed with xverse_free.
class owned_text {
 public:
  char **out() noexcept { return &text_; }
  std::size_t *length() noexcept { return &length_; }
  std::string str() const { return text_ == nullptr ? std::string() : std::string(text_, length_); }

  owned_text() = default;
  owned_text(const owned_text &) = delete;
  owned_text &operator=(const owned_text &) = delete;
  ~owned_text() { xverse_free(text_); }

 private:
  char *text_ = nullptr;
  std::size_t length_ = 0;
};

/// An empty view may have no address; the C calls want one.
inline const char *data(std::string_view text) noexcept { return text.data() == nullptr ? "" : text.data(); }

template <class T>
const T *data(span<const T> view) noexcept {
  static constexpr T none{};
  return view.data() == nullptr ? &none : view.data();
}

/// An array from a call that fills (pointer, capacity, count); `guess` elements are tried first.
template <class T, class Fill>
returns<std::vector<T>> collect(std::size_t guess, Fill &&fill) {
  std::vector<T> elements(guess);
  std::size_t count = 0;
  xverse_status status = fill(elements.data(), elements.size(), &count);
  if ((status == XVERSE_OK || status == XVERSE_E_RANGE) && count > elements.size()) {
    elements.resize(count);
    status = fill(elements.data(), elements.size(), &count);
  }
  return finish<std::vector<T>>(status, [&]() -> std::vector<T> && {
    elements.resize(count);
    return std::move(elements);
  });
}

/// Calls a callback of the program's and keeps what it throws, which must not pass through frames of C.
class guard {
 public:
  /// What `body` returns, or `otherwise` when it throws or has thrown: it is not called again then.
  template <class Result, class Body>
  Result call(Result otherwise, Body &&body) noexcept {
#ifdef __cpp_exceptions
    if (thrown_) return otherwise;
    try {
      return body();
    } catch (...) {
      thrown_ = std::current_exception();
      return otherwise;
    }
#else
    (void)otherwise;
    return body();
#endif
  }

  /// Throws it again, once the C call has returned.
  void rethrow() {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  }

 private:
  std::exception_ptr thrown_;
};

/// Whether a callback wants to go on.
template <class Function, class... Arguments>
bool goes_on(Function &function, Arguments &&...arguments) {
  using answer = std::invoke_result_t<Function &, Arguments...>;
  static_assert(std::is_void_v<answer> || std::is_same_v<answer, bool>,
                "a callback returns nothing, or a bool: true to go on, false to stop");
  if constexpr (std::is_void_v<answer>) {
    std::invoke(function, std::forward<Arguments>(arguments)...);
    return true;
  } else {
    return std::invoke(function, std::forward<Arguments>(arguments)...);
  }
}

/// A callable as the function and user pointer of a C call: NULL for nullptr.
template <class Function>
class callback {
 public:
  explicit callback(Function &function) noexcept : function_(function) {}

  xverse_progress_fn progress_function() const noexcept {
    if constexpr (is_none) {
      return nullptr;
    } else {
      return [](void *user, const char *phase, std::int64_t done, std::int64_t total) -> std::int32_t {
        return static_cast<callback *>(user)->call(progress{phase, done, total});
      };
    }
  }

  xverse_stream_fn stream_function() const noexcept {
    if constexpr (is_none) {
      return nullptr;
    } else {
      return [](void *user, const xverse_event *event) -> std::int32_t {
        return static_cast<callback *>(user)->call(xverse::event(event));
      };
    }
  }

  void *user() noexcept { return this; }
  void rethrow() { guard_.rethrow(); }

 private:
  static constexpr bool is_none = std::is_same_v<std::remove_cv_t<Function>, std::nullptr_t>;

  template <class Argument>
  std::int32_t call(const Argument &argument) noexcept {
    return guard_.call(std::int32_t{1}, [&] { return goes_on(function_, argument) ? 0 : 1; });
  }

  Function &function_;
  guard guard_;
};

}  // namespace detail

// ---------------------------------------------------------------------------------------------------- 1 library ----

/// "major.minor.patch"; static.
inline const char *version() noexcept { return xverse_version(); }

/// major * 1000000 + minor * 1000 + patch.
inline std::int32_t version_number() noexcept { return xverse_version_number(); }

/// xverse_build_info: a JSON object.
inline const char *build_info() noexcept { return xverse_build_info(); }

// ---------------------------------------------------------------------------------------------------- 2 options ----

/// One key and its value: a number, a bool (1 or 0), a string, or JSON as text.
class option {
 public:
  template <class Number, class = std::enable_if_t<std::is_arithmetic_v<Number>>>
  option(std::string key, Number value) : key_(std::move(key)) {
    if constexpr (std::is_integral_v<Number>) {
      if constexpr (std::is_unsigned_v<Number> && sizeof(Number) >= sizeof(std::int64_t)) {
        // Out of everybody's bounds, as it should be, and not negative.
        constexpr auto most = static_cast<Number>(std::numeric_limits<std::int64_t>::max());
        value_ = static_cast<std::int64_t>(value < most ? value : most);
      } else {
        value_ = static_cast<std::int64_t>(value);
      }
    } else {
      value_ = static_cast<double>(value);
    }
  }
  option(std::string key, std::string value) : key_(std::move(key)), value_(std::move(value)) {}
  option(std::string key, std::string_view value) : option(std::move(key), std::string(value)) {}
  option(std::string key, const char *value) : option(std::move(key), std::string(value)) {}

  const std::string &key() const noexcept { return key_; }
  const std::variant<std::int64_t, double, std::string> &value() const noexcept { return value_; }

 private:
  std::string key_;
  std::variant<std::int64_t, double, std::string> value_;
};

/// xverse_options: `options::create(options_kind::sampling, {{"temperature", 0.7}, {"max_new_tokens", 100}})`.
class options : public handle<xverse_options, xverse_options_free> {
 public:
  using handle::handle;

  /// xverse_options_create, and set for each of `values`.
  static returns<options> create(options_kind kind, std::initializer_list<option> values = {}) {
    xverse_options *created = nullptr;
    xverse_status status = xverse_options_create(static_cast<std::int32_t>(kind), &created);
    options made(created);
    for (const option &value : values)
      if (status == XVERSE_OK) status = made.put(value);
    return detail::finish<options>(status, [&]() -> options && { return std::move(made); });
  }

  /// xverse_options_set_int, _set_float or _set_string: `set({"top_k", 5})`.
  returns<void> set(const option &value) { return detail::finish(put(value)); }

  /// xverse_options_set_json: all members of a JSON object, or none.
  returns<void> set_json(std::string_view json) {
    return detail::finish(xverse_options_set_json(get(), detail::data(json), json.size()));
  }

  /// xverse_options_describe, for all keys of a kind.
  static returns<std::vector<option_info>> describe(options_kind kind) {
    std::vector<option_info> all;
    option_info info{};
    info.size = sizeof info;
    xverse_status status = XVERSE_OK;
    while ((status = xverse_options_describe(static_cast<std::int32_t>(kind), static_cast<std::int32_t>(all.size()),
                                             &info)) == XVERSE_OK)
      all.push_back(info);
    return detail::finish<std::vector<option_info>>(status == XVERSE_E_RANGE ? XVERSE_OK : status,
                                                    [&]() -> std::vector<option_info> && { return std::move(all); });
  }

 private:
  xverse_status put(const option &option) {
    const char *const key = option.key().c_str();
    if (const auto *const integer = std::get_if<std::int64_t>(&option.value()))
      return xverse_options_set_int(get(), key, *integer);
    if (const auto *const number = std::get_if<double>(&option.value()))
      return xverse_options_set_float(get(), key, *number);
    const std::string &text = *std::get_if<std::string>(&option.value());
    return xverse_options_set_string(get(), key, text.data(), text.size());
  }
};

// ---------------------------------------------------------------------------------------------------- 3 runtime ----

/// Bytes held now, and the most ever held.
struct memory_usage {
  std::int64_t current;
  std::int64_t peak;
};

/// xverse_runtime; an empty one is the default runtime.
class runtime : public handle<xverse_runtime, xverse_runtime_release> {
 public:
  using handle::handle;

  /// options: kind runtime. allocator: xverse_allocator, copied; NULL: the C library's.
  static returns<runtime> create(const options &options = {}, const xverse_allocator *allocator = nullptr) {
    xverse_runtime *created = nullptr;
    const xverse_status status = xverse_runtime_create(options.get(), allocator, &created);
    return detail::finish<runtime>(status, [&] { return runtime(created); });
  }

  /// xverse_runtime_set_log: function(level, message without line feed), called by any thread; an empty function for
  /// silence. What it throws is dropped. It is kept until the process ends, for a thread may still be inside it when
  /// another takes its place.
  returns<void> set_log(std::function<void(log_level, std::string_view)> function, log_level level) {
    using receiver = std::function<void(log_level, std::string_view)>;
    static std::mutex mutex;
    static auto *const kept = new std::list<receiver>();  // NOLINT(*-owning-memory, *-global-variables): see above
    receiver *user = nullptr;
    if (function) {
      const std::lock_guard<std::mutex> lock(mutex);
      user = &kept->emplace_back(std::move(function));
    }
    const xverse_log_fn call = [](void *context, std::int32_t severity, const char *message, std::size_t length) {
      detail::guard().call(0, [&] {
        (*static_cast<receiver *>(context))(static_cast<log_level>(severity), std::string_view(message, length));
        return 0;
      });
    };
    return detail::finish(
        xverse_runtime_set_log(get(), user == nullptr ? nullptr : call, user, static_cast<std::int32_t>(level)));
  }

  /// xverse_runtime_memory.
  returns<memory_usage> memory() const {
    memory_usage usage{};
    const xverse_status status = xverse_runtime_memory(get(), &usage.current, &usage.peak);
    return detail::finish<memory_usage>(status, [&] { return usage; });
  }
};

// ----------------------------------------------------------------------------------------------- 4 cancellation ----

/// xverse_cancel: a flag that stays set, with an optional deadline. It must outlive the calls that it is given to.
class cancel : public handle<xverse_cancel, xverse_cancel_free> {
 public:
  using handle::handle;

  static returns<cancel> create() {
    xverse_cancel *created = nullptr;
    const xverse_status status = xverse_cancel_create(&created);
    return detail::finish<cancel>(status, [&] { return cancel(created); });
  }

  /// Sets the flag. Any thread, any callback, any signal handler.
  void trigger() noexcept { xverse_cancel_trigger(get()); }

  /// Clears the flag and the deadline.
  void reset() noexcept { xverse_cancel_reset(get(), 0); }

  /// Clears the flag and sets a deadline, from now; one that is not in the future is a millisecond away.
  void reset(std::chrono::milliseconds deadline) noexcept {
    xverse_cancel_reset(get(), deadline.count() > 0 ? deadline.count() : 1);
  }
};

namespace detail {
inline xverse_cancel *handle_of(const cancel *cancel) noexcept { return cancel == nullptr ? nullptr : cancel->get(); }
}  // namespace detail

// -------------------------------------------------------------------------------------------------- 6 tokenizer ----

/// The bytes that a token adds to a text; they live as long as the tokenizer.
struct token_bytes {
  std::string_view bytes;
  bool is_special;
};

/// xverse_detokenizer: ids to text, one by one. The views are valid until the next call.
class detokenizer : public handle<xverse_detokenizer, xverse_detokenizer_free> {
 public:
  using handle::handle;

  /// The text that became certain, often none.
  returns<std::string_view> push(std::int32_t token) {
    const char *text = nullptr;
    std::size_t length = 0;
    const xverse_status status = xverse_detokenizer_push(get(), token, &text, &length);
    return detail::finish<std::string_view>(status, [&] { return std::string_view(text, length); });
  }

  /// The text that was held back; ends the text.
  returns<std::string_view> flush() {
    const char *text = nullptr;
    std::size_t length = 0;
    const xverse_status status = xverse_detokenizer_flush(get(), &text, &length);
    return detail::finish<std::string_view>(status, [&] { return std::string_view(text, length); });
  }
};

namespace detail {

/// Ends a tokenizer's owner: the model whose tokenizer it is, or itself.
class tokenizer_freeing {
 public:
  explicit tokenizer_freeing(xverse_model *model = nullptr) noexcept : model_(model) {}

  void operator()(const xverse_tokenizer *tokenizer) const noexcept {
    if (model_ != nullptr) {
      xverse_model_release(model_);
    } else {
      xverse_tokenizer_release(const_cast<xverse_tokenizer *>(tokenizer));  // NOLINT(*-const-cast): ours to end
    }
  }

 private:
  xverse_model *model_;
};

}  // namespace detail

/// xverse_tokenizer: of a model, which it keeps alive, or opened without one. Any number of threads may use it.
class tokenizer {
 public:
  tokenizer() = default;
  /// Adopts the handle of xverse_tokenizer_open, or with `owner`, a reference that is adopted too, a model's tokenizer.
  explicit tokenizer(const xverse_tokenizer *adopted, xverse_model *owner = nullptr) noexcept
      : owned_(adopted, detail::tokenizer_freeing(owner)) {}

  /// xverse_tokenizer_open.
  static returns<tokenizer> open(const std::string &path) {
    xverse_tokenizer *created = nullptr;
    const xverse_status status = xverse_tokenizer_open(path.c_str(), &created);
    return detail::finish<tokenizer>(status, [&] { return tokenizer(created); });
  }

  /// Text to ids.
  returns<std::vector<std::int32_t>> encode(std::string_view text, encode_flags flags = encode_flags::plain) const {
    return detail::collect<std::int32_t>(
        text.size() / 2 + 16, [&](std::int32_t *tokens, std::size_t capacity, std::size_t *n) {
          return xverse_tokenizer_encode(get(), detail::data(text), text.size(), static_cast<std::int32_t>(flags),
                                         tokens, capacity, n);
        });
  }

  /// Ids to text.
  returns<std::string> decode(span<const std::int32_t> tokens, decode_flags flags = decode_flags::plain) const {
    detail::owned_text text;
    const xverse_status status = xverse_tokenizer_decode(
        get(), detail::data(tokens), tokens.size(), static_cast<std::int32_t>(flags), text.out(), text.length());
    return detail::finish<std::string>(status, [&] { return text.str(); });
  }

  /// Highest id + 1; -1 when empty.
  std::int32_t vocab_size() const noexcept { return xverse_tokenizer_vocab_size(get()); }

  /// The id of a special token, where there is one.
  std::optional<std::int32_t> special(special_token which) const noexcept {
    const std::int32_t id = xverse_tokenizer_special(get(), static_cast<std::int32_t>(which));
    return id < 0 ? std::nullopt : std::optional<std::int32_t>(id);
  }

  /// xverse_tokenizer_token_bytes.
  returns<xverse::token_bytes> token_bytes(std::int32_t token) const {
    const char *bytes = nullptr;
    std::size_t length = 0;
    std::int32_t is_special = 0;
    const xverse_status status = xverse_tokenizer_token_bytes(get(), token, &bytes, &length, &is_special);
    return detail::finish<xverse::token_bytes>(
        status, [&] { return xverse::token_bytes{std::string_view(bytes, length), is_special != 0}; });
  }

  /// xverse_detokenizer_create.
  returns<detokenizer> create_detokenizer(decode_flags flags = decode_flags::plain) const {
    xverse_detokenizer *created = nullptr;
    const xverse_status status = xverse_detokenizer_create(get(), static_cast<std::int32_t>(flags), &created);
    return detail::finish<detokenizer>(status, [&] { return detokenizer(created); });
  }

  const xverse_tokenizer *get() const noexcept { return owned_.get(); }
  explicit operator bool() const noexcept { return owned_ != nullptr; }

 private:
  std::unique_ptr<const xverse_tokenizer, detail::tokenizer_freeing> owned_;
};

// ---------------------------------------------------------------------------------------- 10 requests and results ----

/// xverse_request: a prompt and sampling options. Made by model::create_request.
class request : public handle<xverse_request, xverse_request_free> {
 public:
  using handle::handle;

  returns<void> add_tokens(span<const std::int32_t> tokens) {
    return detail::finish(xverse_request_add_tokens(get(), detail::data(tokens), tokens.size()));
  }

  returns<void> add_text(std::string_view text) {
    return detail::finish(xverse_request_add_text(get(), detail::data(text), text.size()));
  }

  /// role: "system", "user", "assistant" or "exec".
  returns<void> add_message(const std::string &role, std::string_view text) {
    return detail::finish(xverse_request_add_message(get(), role.c_str(), detail::data(text), text.size()));
  }

  /// options: kind sampling, copied; empty: the model's defaults.
  returns<void> set_options(const options &options) {
    return detail::finish(xverse_request_set_options(get(), options.get()));
  }

  /// The prompt as tokens.
  returns<std::vector<std::int32_t>> tokens() const {
    return detail::collect<std::int32_t>(1024, [&](std::int32_t *tokens, std::size_t capacity, std::size_t *n) {
      return xverse_request_tokens(get(), tokens, capacity, n);
    });
  }
};

/// xverse_result: what was generated. The views live as long as the result.
class result : public handle<xverse_result, xverse_result_free> {
 public:
  using handle::handle;

  returns<std::string_view> text() const {
    const char *text = nullptr;
    std::size_t length = 0;
    const xverse_status status = xverse_result_text(get(), &text, &length);
    return detail::finish<std::string_view>(status, [&] { return std::string_view(text, length); });
  }

  returns<span<const std::int32_t>> tokens() const {
    const std::int32_t *tokens = nullptr;
    std::size_t n = 0;
    const xverse_status status = xverse_result_tokens(get(), &tokens, nullptr, &n);
    return detail::finish<span<const std::int32_t>>(status, [&] { return span<const std::int32_t>(tokens, n); });
  }

  /// One for each token; empty without option logprobs.
  returns<span<const float>> logprobs() const {
    const std::int32_t *tokens = nullptr;
    const float *logprobs = nullptr;
    std::size_t n = 0;
    const xverse_status status = xverse_result_tokens(get(), &tokens, &logprobs, &n);
    return detail::finish<span<const float>>(
        status, [&] { return span<const float>(logprobs, logprobs == nullptr ? 0 : n); });
  }

  returns<xverse::stats> stats() const {
    xverse::stats stats{};
    stats.size = sizeof stats;
    const xverse_status status = xverse_result_stats(get(), &stats);
    return detail::finish<xverse::stats>(status, [&] { return stats; });
  }
};

// ---------------------------------------------------------------------------------------------------- 9 sampler ----

/// xverse_sampler: random numbers and penalties of one sequence. Made by model::create_sampler.
class sampler : public handle<xverse_sampler, xverse_sampler_free> {
 public:
  using handle::handle;

  /// A copy with the same history, random numbers and a copy of the callback.
  returns<sampler> clone() const {
    xverse_sampler *created = nullptr;
    xverse_status status = xverse_sampler_clone(get(), &created);
    sampler made(created);
    if (status == XVERSE_OK && hook_) status = made.install(std::make_unique<hook>(hook_->function));
    return detail::finish<sampler>(status, [&]() -> sampler && { return std::move(made); });
  }

  /// xverse_sampler_set_callback: `function` sees and may change the logits [n_vocab] before each choice, and returns
  /// nothing or a bool, false to stop. nullptr: none.
  template <class Function>
  returns<void> set_callback(Function function) {
    if constexpr (std::is_same_v<Function, std::nullptr_t>) {
      return detail::finish(install(nullptr));
    } else {
      return detail::finish(install(std::make_unique<hook>(
          [function = std::move(function)](span<float> logits) mutable { return detail::goes_on(function, logits); })));
    }
  }

  /// Chooses from logits [n_vocab]; the logprob is that under the unchanged logits.
  returns<token_logprob> sample(span<const float> logits) {
    token_logprob chosen{};
    const xverse_status status =
        xverse_sampler_sample(get(), detail::data(logits), logits.size(), &chosen.token, &chosen.logprob);
    if (hook_) hook_->guard.rethrow();
    return detail::finish<token_logprob>(status, [&] { return chosen; });
  }

  /// Adds a token to the history that the penalties look at.
  returns<void> accept(std::int32_t token) { return detail::finish(xverse_sampler_accept(get(), token)); }

 private:
  /// What the library has a pointer to, so it stays where it is when the sampler moves.
  struct hook {
    explicit hook(std::function<bool(span<float>)> called) : function(std::move(called)) {}

    std::function<bool(span<float>)> function;
    detail::guard guard;
  };

  xverse_status install(std::unique_ptr<hook> replacement) {
    const xverse_logits_fn call = [](void *user, float *logits, std::int32_t n) -> std::int32_t {
      auto *const self = static_cast<hook *>(user);
      return self->guard.call(
          std::int32_t{1}, [&] { return self->function(span<float>(logits, static_cast<std::size_t>(n))) ? 0 : 1; });
    };
    const xverse_status status = xverse_sampler_set_callback(get(), replacement ? call : nullptr, replacement.get());
    if (status == XVERSE_OK) hook_ = std::move(replacement);
    return status;
  }

  std::unique_ptr<hook> hook_;
};

// ---------------------------------------------------------------------------------------------------- 7 session ----

class model;

/// xverse_session_score: the log-probability of each token, and their sum.
struct scores {
  std::vector<float> logprobs;
  double sum;
};

/// xverse_session: a sequence of tokens with their keys and values. Made by model::create_session.
class session : public handle<xverse_session, xverse_session_free> {
 public:
  using handle::handle;

  /// Generates; `on_event` receives the events of xverse_stream_fn. cancel may be NULL.
  template <class Function = std::nullptr_t>
  returns<result> generate(const request &request, Function &&on_event = nullptr, cancel *cancel = nullptr) {
    detail::callback<std::remove_reference_t<Function>> callback(on_event);
    xverse_result *created = nullptr;
    const xverse_status status = xverse_session_generate(get(), request.get(), detail::handle_of(cancel),
                                                         callback.stream_function(), callback.user(), &created);
    result made(created);
    callback.rethrow();
    return detail::finish<result>(status == XVERSE_STOPPED ? XVERSE_OK : status,
                                  [&]() -> result && { return std::move(made); });
  }

  /// xverse_session_generate_json: the response, in JSON. After a failure error::response() is OpenAI's error object.
  template <class Function = std::nullptr_t>
  returns<std::string> generate_json(std::string_view json, Function &&on_event = nullptr, cancel *cancel = nullptr) {
    detail::callback<std::remove_reference_t<Function>> callback(on_event);
    detail::owned_text response;
    const xverse_status status = xverse_session_generate_json(
        get(), detail::data(json), json.size(), detail::handle_of(cancel), callback.stream_function(), callback.user(),
        response.out(), response.length());
    callback.rethrow();
    if (status < 0) return detail::fail<std::string>(detail::last_error(status, response.str()));
    return returns<std::string>(response.str());
  }

  returns<session> fork() const {
    xverse_session *created = nullptr;
    const xverse_status status = xverse_session_fork(get(), &created);
    return detail::finish<session>(status, [&] { return session(created); });
  }

  /// Forgets all but the first n_tokens.
  returns<void> truncate(std::int64_t n_tokens) { return detail::finish(xverse_session_truncate(get(), n_tokens)); }

  /// Number of tokens; -1 when empty.
  std::int64_t length() const noexcept { return xverse_session_length(get()); }

  returns<std::vector<std::int32_t>> tokens() const {
    const std::int64_t length = this->length();
    return detail::collect<std::int32_t>(length > 0 ? static_cast<std::size_t>(length) : 0,
                                         [&](std::int32_t *tokens, std::size_t capacity, std::size_t *n) {
                                           return xverse_session_tokens(get(), tokens, capacity, n);
                                         });
  }

  returns<void> save(const std::string &path) const { return detail::finish(xverse_session_save(get(), path.c_str())); }
  returns<void> restore(const std::string &path) { return detail::finish(xverse_session_restore(get(), path.c_str())); }

  /// Bytes of the program's own that go with the session; empty: none.
  returns<void> set_note(std::string_view note) {
    return detail::finish(xverse_session_set_note(get(), detail::data(note), note.size()));
  }

  /// Valid until the next set_note or restore.
  returns<std::string_view> note() const {
    const void *note = nullptr;
    std::size_t length = 0;
    const xverse_status status = xverse_session_note(get(), &note, &length);
    return detail::finish<std::string_view>(
        status, [&] { return std::string_view(static_cast<const char *>(note), length); });
  }

  /// A smaller model that guesses tokens; an empty model for none. options: kind session.
  returns<void> set_draft(const model &draft, const options &options = {});

  returns<xverse::stats> stats() const {
    xverse::stats stats{};
    stats.size = sizeof stats;
    const xverse_status status = xverse_session_stats(get(), &stats);
    return detail::finish<xverse::stats>(status, [&] { return stats; });
  }

  /// Appends tokens; `on_progress` receives phase "prefill", in tokens. cancel may be NULL.
  template <class Function = std::nullptr_t>
  returns<void> eval(span<const std::int32_t> tokens, Function &&on_progress = nullptr, cancel *cancel = nullptr) {
    detail::callback<std::remove_reference_t<Function>> callback(on_progress);
    const xverse_status status =
        xverse_session_eval(get(), detail::data(tokens), tokens.size(), detail::handle_of(cancel),
                            callback.progress_function(), callback.user());
    callback.rethrow();
    return detail::finish(status);
  }

  /// The logits after the last token, [n_vocab]; valid until the next call that is not a getter.
  returns<span<const float>> logits() const {
    const float *logits = nullptr;
    std::size_t n = 0;
    const xverse_status status = xverse_session_logits(get(), &logits, &n);
    return detail::finish<span<const float>>(status, [&] { return span<const float>(logits, n); });
  }

  /// The k most probable next tokens, most probable first.
  returns<std::vector<token_logprob>> top_logprobs(std::int32_t k) const {
    const float *logits = nullptr;
    std::size_t n = 0;
    xverse_status status = xverse_session_logits(get(), &logits, &n);
    // Room for as many as there are, however many were asked for.
    const std::size_t capacity = k < 1 ? 1 : std::min(static_cast<std::size_t>(k), n);
    std::vector<std::int32_t> tokens(capacity);
    std::vector<float> logprobs(capacity);
    if (status == XVERSE_OK)
      status = xverse_session_top_logprobs(get(), k < 1 ? k : static_cast<std::int32_t>(capacity), tokens.data(),
                                           logprobs.data(), &n);
    return detail::finish<std::vector<token_logprob>>(status, [&] {
      std::vector<token_logprob> top(n);
      for (std::size_t i = 0; i < n; ++i) top[i] = {tokens[i], logprobs[i]};
      return top;
    });
  }

  /// Appends tokens and returns their log-probabilities. cancel may be NULL.
  returns<scores> score(span<const std::int32_t> tokens, cancel *cancel = nullptr) {
    scores scores{std::vector<float>(tokens.size() + 1), 0};
    const xverse_status status =
        xverse_session_score(get(), detail::data(tokens), tokens.size(), detail::handle_of(cancel),
                             scores.logprobs.data(), &scores.sum);
    scores.logprobs.resize(tokens.size());
    return detail::finish<xverse::scores>(status, [&]() -> xverse::scores && { return std::move(scores); });
  }

  /// Appends n tokens, at least 1, and pools their final hidden states: [n_embd]. cancel may be NULL.
  returns<std::vector<float>> embed(span<const std::int32_t> tokens, xverse::pooling pooling,
                                    cancel *cancel = nullptr) {
    return detail::collect<float>(0, [&](float *out, std::size_t capacity, std::size_t *dim) {
      return xverse_session_embed(get(), detail::data(tokens), tokens.size(), static_cast<std::int32_t>(pooling),
                                  detail::handle_of(cancel), capacity == 0 ? nullptr : out, capacity, dim);
    });
  }

  /// A session and the tokens to append to it.
  struct batch_item {
    session *target = nullptr;
    span<const std::int32_t> tokens;
  };

  /// xverse_session_eval_batch. cancel may be NULL.
  static returns<void> eval_batch(span<const batch_item> items, cancel *cancel = nullptr) {
    std::vector<xverse_session *> sessions;
    std::vector<const std::int32_t *> tokens;
    std::vector<std::size_t> counts;
    for (const batch_item &item : items) {
      sessions.push_back(item.target == nullptr ? nullptr : item.target->get());
      tokens.push_back(detail::data(item.tokens));
      counts.push_back(item.tokens.size());
    }
    // One more, so that none of them is NULL.
    sessions.push_back(nullptr);
    tokens.push_back(nullptr);
    counts.push_back(0);
    return detail::finish(xverse_session_eval_batch(sessions.data(), tokens.data(), counts.data(), items.size(),
                                                    detail::handle_of(cancel)));
  }
};

// -------------------------------------------------------------------------------------------------- 11 scheduler ----

/// xverse_scheduler: many requests, answered together. Made by model::create_scheduler. Any thread may call any member;
/// nobody may be inside one, but for next, when it is destroyed.
class scheduler : public handle<xverse_scheduler, xverse_scheduler_free> {
 public:
  using handle::handle;

  /// xverse_scheduler_set_draft: a smaller model that guesses tokens; an empty model for none. options: kind session.
  returns<void> set_draft(const model &draft, const options &options = {});

  /// Queues a request, which is copied; the number of its first answer.
  returns<std::uint64_t> submit(const request &request) {
    std::uint64_t id = 0;
    const xverse_status status = xverse_scheduler_submit(get(), request.get(), &id);
    return detail::finish<std::uint64_t>(status, [&] { return id; });
  }

  /// Queues a request of OpenAI's interface. After a failure error::response() is OpenAI's error object.
  returns<std::uint64_t> submit_json(std::string_view json) {
    std::uint64_t id = 0;
    detail::owned_text response;
    const xverse_status status = xverse_scheduler_submit_json(get(), detail::data(json), json.size(), &id,
                                                              response.out(), response.length());
    if (status < 0) return detail::fail<std::uint64_t>(detail::last_error(status, response.str()));
    return detail::finish<std::uint64_t>(XVERSE_OK, [&] { return id; });
  }

  /// Ends an answer soon.
  returns<void> cancel(std::uint64_t id) { return detail::finish(xverse_scheduler_cancel(get(), id)); }

  /// Waits for the next event; nothing when there is none within `timeout`. Without a timeout it waits as long as it
  /// takes. The event is valid until the same thread calls this again, for any scheduler, or frees the scheduler.
  returns<std::optional<event>> next(std::optional<std::chrono::milliseconds> timeout = std::nullopt) {
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    const std::int64_t asked = timeout ? static_cast<std::int64_t>(timeout->count()) : -1;
    const std::int64_t wait = !timeout ? -1 : asked < 0 ? 0 : asked < most ? asked : most;
    const xverse_event *event = nullptr;
    const xverse_status status = xverse_scheduler_next(get(), static_cast<std::int32_t>(wait), &event);
    return detail::finish<std::optional<xverse::event>>(status == XVERSE_TIMEOUT ? XVERSE_OK : status, [&] {
      return event == nullptr ? std::nullopt : std::optional<xverse::event>(xverse::event(event));
    });
  }

  /// A descriptor that is readable while there are events; -1 when empty.
  std::int32_t fd() const noexcept { return xverse_scheduler_fd(get()); }

  /// xverse_scheduler_stats: a JSON object.
  returns<std::string> stats() const {
    detail::owned_text json;
    const xverse_status status = xverse_scheduler_stats(get(), json.out(), json.length());
    return detail::finish<std::string>(status, [&] { return json.str(); });
  }
};

// ------------------------------------------------------------------------------------------------------ 5 model ----

/// Perplexity of a text, and its standard error.
struct perplexity {
  double value;
  double standard_error;
};

/// The files of a model behind functions of the program's: xverse_source.
class source {
 public:
  source() = default;
  source(const source &) = delete;
  source &operator=(const source &) = delete;
  virtual ~source() = default;

  /// Bytes of the file; nothing when there is no such file.
  virtual std::optional<std::int64_t> length(std::string_view name) = 0;

  /// Copies at most buffer.size() bytes from offset on; how many, 0 at the end, nothing when they cannot be read.
  virtual std::optional<std::size_t> read_at(std::string_view name, std::int64_t offset, span<std::byte> buffer) = 0;

  /// Called once, when nothing will be read any more.
  virtual void close() {}
};

namespace detail {

/// A source as the functions and user pointer of xverse_model_load_source.
class source_functions {
 public:
  explicit source_functions(source &source) noexcept : source_(source) {}

  static xverse_source functions() noexcept {
    xverse_source functions{};
    functions.size = sizeof functions;
    functions.length = [](void *user, const char *name) -> std::int64_t {
      auto *const self = static_cast<source_functions *>(user);
      return self->guard_.call(std::int64_t{-1}, [&] { return self->source_.length(name).value_or(-1); });
    };
    functions.read_at = [](void *user, const char *name, std::int64_t offset, void *buffer,
                           std::size_t length) -> std::int64_t {
      auto *const self = static_cast<source_functions *>(user);
      return self->guard_.call(std::int64_t{-1}, [&] {
        const auto count = self->source_.read_at(name, offset, {static_cast<std::byte *>(buffer), length});
        return count ? static_cast<std::int64_t>(*count) : -1;
      });
    };
    functions.close = [](void *user) {
      auto *const self = static_cast<source_functions *>(user);
      self->closing_.call(0, [&] {
        self->source_.close();
        return 0;
      });
    };
    return functions;
  }

  void rethrow() {
    guard_.rethrow();
    closing_.rethrow();
  }

 private:
  source &source_;
  guard guard_;
  guard closing_;
};

}  // namespace detail

/// xverse_model: weights, configuration, tokenizer; immutable. Any number of threads may use it.
class model : public handle<xverse_model, xverse_model_release> {
 public:
  using handle::handle;

  /// xverse_model_open: the everyday call. options: kind model.
  static returns<model> open(const std::string &path, const options &options = {}) {
    xverse_model *created = nullptr;
    const xverse_status status = xverse_model_open(path.c_str(), options.get(), &created);
    return detail::finish<model>(status, [&] { return model(created); });
  }

  /// xverse_model_load: with progress, cancellation and a runtime of one's own. cancel may be NULL.
  template <class Function = std::nullptr_t>
  static returns<model> load(const std::string &path, const options &options = {}, Function &&on_progress = nullptr,
                             cancel *cancel = nullptr, const runtime &runtime = {}) {
    detail::callback<std::remove_reference_t<Function>> callback(on_progress);
    xverse_model *created = nullptr;
    const xverse_status status =
        xverse_model_load(runtime.get(), path.c_str(), options.get(), detail::handle_of(cancel),
                          callback.progress_function(), callback.user(), &created);
    model made(created);
    callback.rethrow();
    return detail::finish<model>(status, [&]() -> model && { return std::move(made); });
  }

  /// xverse_model_load_source.
  template <class Function = std::nullptr_t>
  static returns<model> load(source &source, const options &options = {}, Function &&on_progress = nullptr,
                             cancel *cancel = nullptr, const runtime &runtime = {}) {
    detail::callback<std::remove_reference_t<Function>> callback(on_progress);
    detail::source_functions reader(source);
    const xverse_source functions = detail::source_functions::functions();
    xverse_model *created = nullptr;
    const xverse_status status =
        xverse_model_load_source(runtime.get(), &functions, &reader, options.get(), detail::handle_of(cancel),
                                 callback.progress_function(), callback.user(), &created);
    model made(created);
    reader.rethrow();
    callback.rethrow();
    return detail::finish<model>(status, [&]() -> model && { return std::move(made); });
  }

  /// xverse_model_inspect: what the model at `path` is, as a JSON object. options: kind model.
  static returns<std::string> inspect(const std::string &path, const options &options = {}) {
    detail::owned_text json;
    const xverse_status status = xverse_model_inspect(path.c_str(), options.get(), json.out(), json.length());
    return detail::finish<std::string>(status, [&] { return json.str(); });
  }

  /// xverse_model_estimate: bytes that the model at `path` and one session will take.
  static returns<memory_estimate> estimate(const std::string &path, const options &model = {},
                                           const options &session = {}) {
    memory_estimate estimate{};
    estimate.size = sizeof estimate;
    const xverse_status status = xverse_model_estimate(path.c_str(), model.get(), session.get(), &estimate);
    return detail::finish<memory_estimate>(status, [&] { return estimate; });
  }

  /// xverse_model_retain: another owner of the same model.
  model retain() const noexcept { return model(xverse_model_retain(get())); }

  /// xverse_model_get_info; its strings live as long as the model.
  returns<model_info> info() const {
    model_info info{};
    info.size = sizeof info;
    const xverse_status status = xverse_model_get_info(get(), &info);
    return detail::finish<model_info>(status, [&] { return info; });
  }

  /// The model's tokenizer, which keeps the model alive.
  xverse::tokenizer tokenizer() const noexcept {
    return xverse::tokenizer(xverse_model_tokenizer(get()), xverse_model_retain(get()));
  }

  /// xverse_model_perplexity. options: kind score; cancel may be NULL.
  template <class Function = std::nullptr_t>
  returns<xverse::perplexity> perplexity(std::string_view text, const options &options = {},
                                         Function &&on_progress = nullptr, cancel *cancel = nullptr) const {
    detail::callback<std::remove_reference_t<Function>> callback(on_progress);
    xverse::perplexity measured{};
    const xverse_status status = xverse_model_perplexity(
        get(), detail::data(text), text.size(), options.get(), detail::handle_of(cancel), callback.progress_function(),
        callback.user(), &measured.value, &measured.standard_error);
    callback.rethrow();
    return detail::finish<xverse::perplexity>(status, [&] { return measured; });
  }

  /// options: kind session.
  returns<session> create_session(const options &options = {}) const {
    xverse_session *created = nullptr;
    const xverse_status status = xverse_session_create(get(), options.get(), &created);
    return detail::finish<session>(status, [&] { return session(created); });
  }

  returns<request> create_request() const {
    xverse_request *created = nullptr;
    const xverse_status status = xverse_request_create(get(), &created);
    return detail::finish<request>(status, [&] { return request(created); });
  }

  /// options: kind sampling.
  returns<sampler> create_sampler(const options &options = {}) const {
    xverse_sampler *created = nullptr;
    const xverse_status status = xverse_sampler_create(get(), options.get(), &created);
    return detail::finish<sampler>(status, [&] { return sampler(created); });
  }

  /// options: kind scheduler.
  returns<scheduler> create_scheduler(const options &options = {}) const {
    xverse_scheduler *created = nullptr;
    const xverse_status status = xverse_scheduler_create(get(), options.get(), &created);
    return detail::finish<scheduler>(status, [&] { return scheduler(created); });
  }
};

inline returns<void> session::set_draft(const model &draft, const options &options) {
  return detail::finish(xverse_session_set_draft(get(), draft.get(), options.get()));
}

inline returns<void> scheduler::set_draft(const model &draft, const options &options) {
  return detail::finish(xverse_scheduler_set_draft(get(), draft.get(), options.get()));
}

/// xverse_convert: writes the model at `source` to `destination`. options: kind convert; cancel may be NULL.
template <class Function = std::nullptr_t>
returns<void> convert(const std::string &source, const std::string &destination, const options &options = {},
                      Function &&on_progress = nullptr, cancel *cancel = nullptr, const runtime &runtime = {}) {
  detail::callback<std::remove_reference_t<Function>> callback(on_progress);
  const xverse_status status =
      xverse_convert(runtime.get(), source.c_str(), destination.c_str(), options.get(), detail::handle_of(cancel),
                     callback.progress_function(), callback.user());
  callback.rethrow();
  return detail::finish(status);
}

}  // namespace with_exceptions or without_exceptions
}  // namespace cpp17 or cpp20
}  // namespace xverse

#endif
