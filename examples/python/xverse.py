"""libxverse for Python, by ctypes alone.

    from xverse import Model

    model = Model("XVERSE-7B-Chat")
    session = model.session()
    for piece in session.chat([("user", "Hello!")], max_new_tokens=100):
        print(piece, end="", flush=True)

Sampling options have Hugging Face's names; see section 2 of xverse.h. Every failure raises XverseError. Ctrl-C ends what
is computed or loaded within a moment, and so does the end of the interpreter.
The library is libxverse.so.1; set XVERSE_LIBRARY to the path of another one.
"""

import _thread
import atexit
import contextlib
import ctypes
import ctypes.util
import functools
import json
import operator
import os
import queue
import threading
from ctypes import POINTER, byref, c_char_p, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

__all__ = ["Model", "Result", "Scheduler", "Session", "Tokenizer", "XverseError", "version"]

OPTIONS_RUNTIME, OPTIONS_MODEL, OPTIONS_SESSION, OPTIONS_SAMPLING, OPTIONS_SCHEDULER = 1, 2, 3, 4, 5
TIMEOUT, EVENT_FINISHED = 1, 2
ENCODE_BOS, ENCODE_SPECIAL = 1, 2
DECODE_SKIP_SPECIAL = 1
TOKEN_EOS, TOKEN_BOS, TOKEN_PAD, TOKEN_UNK = 1, 2, 3, 4
EVENT_JSON = 4
FINISH = {0: "none", 1: "eos", 2: "stop", 3: "length", 4: "callback", 5: "cancelled", 6: "deadline", 8: "error"}


# ---- the C interface ----


class ModelInfo(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32), ("n_layers", c_int32), ("n_params", c_int64), ("weight_bytes", c_int64),
        ("n_embd", c_int32), ("n_ff", c_int32), ("n_heads", c_int32), ("n_kv_heads", c_int32), ("n_vocab", c_int32),
        ("n_ctx_train", c_int32), ("n_experts", c_int32), ("n_experts_used", c_int32),
        ("arch", c_char_p), ("quant", c_char_p), ("name", c_char_p),
    ]  # fmt: skip


class Stats(ctypes.Structure):
    _fields_ = [("size", c_uint32), ("finish_reason", c_int32)] + [
        (name, c_int64)
        for name in (
            "n_prompt n_cached n_generated n_draft n_draft_accepted "
            "ns_queue ns_prefill ns_decode ns_first_token kv_bytes scratch_bytes"
        ).split()
    ]


class Event(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32), ("kind", c_int32), ("request_id", c_uint64), ("text", c_void_p), ("text_len", c_size_t),
        ("tokens", POINTER(c_int32)), ("logprobs", POINTER(c_float)), ("n_tokens", c_size_t),
        ("n_prompt_done", c_int64), ("n_prompt_total", c_int64), ("finish_reason", c_int32), ("status", c_int32),
        ("stats", POINTER(Stats)), ("message", c_char_p),
    ]  # fmt: skip


StreamFunction = ctypes.CFUNCTYPE(c_int32, c_void_p, POINTER(Event))


class XverseError(Exception):
    """A failed call: `status` is its number, `name` the number's name, the text says what is wrong and where."""

    def __init__(self, status, name, message):
        super().__init__(message)
        self.status = status
        self.name = name


def _load():
    path = os.environ.get("XVERSE_LIBRARY")
    # find_library needs a development install or ldconfig; the file name also works with LD_LIBRARY_PATH.
    return ctypes.CDLL(path or ctypes.util.find_library("xverse") or "libxverse.so.1")


_lib = _load()


def _declare(result, name, *parameters):
    function = getattr(_lib, name)
    function.restype = result
    function.argtypes = parameters


_out = POINTER(c_void_p)
_text = (c_char_p, c_size_t)
_declare(c_char_p, "xverse_version")
_declare(c_char_p, "xverse_status_name", c_int32)
_declare(c_char_p, "xverse_last_error")
_declare(None, "xverse_free", c_void_p)
_declare(c_int32, "xverse_options_create", c_int32, _out)
_declare(None, "xverse_options_free", c_void_p)
_declare(c_int32, "xverse_options_set_json", c_void_p, *_text)
_declare(c_int32, "xverse_runtime_create", c_void_p, c_void_p, _out)
_declare(None, "xverse_runtime_release", c_void_p)
_declare(c_int32, "xverse_cancel_create", _out)
_declare(None, "xverse_cancel_free", c_void_p)
_declare(None, "xverse_cancel_trigger", c_void_p)
_declare(c_int32, "xverse_model_load", c_void_p, c_char_p, c_void_p, c_void_p, c_void_p, c_void_p, _out)
_declare(None, "xverse_model_release", c_void_p)
_declare(c_int32, "xverse_model_get_info", c_void_p, POINTER(ModelInfo))
_declare(c_void_p, "xverse_model_tokenizer", c_void_p)
_declare(
    c_int32, "xverse_tokenizer_encode",
    c_void_p, *_text, c_int32, POINTER(c_int32), c_size_t, POINTER(c_size_t),
)  # fmt: skip
_declare(
    c_int32, "xverse_tokenizer_decode",
    c_void_p, POINTER(c_int32), c_size_t, c_int32, _out, POINTER(c_size_t),
)  # fmt: skip
_declare(c_int32, "xverse_tokenizer_vocab_size", c_void_p)
_declare(c_int32, "xverse_tokenizer_special", c_void_p, c_int32)
_declare(c_int32, "xverse_session_create", c_void_p, c_void_p, _out)
_declare(None, "xverse_session_free", c_void_p)
_declare(c_int64, "xverse_session_length", c_void_p)
_declare(c_int32, "xverse_request_create", c_void_p, _out)
_declare(None, "xverse_request_free", c_void_p)
_declare(c_int32, "xverse_request_add_text", c_void_p, *_text)
_declare(c_int32, "xverse_request_add_message", c_void_p, c_char_p, *_text)
_declare(c_int32, "xverse_request_set_options", c_void_p, c_void_p)
_declare(c_int32, "xverse_session_generate", c_void_p, c_void_p, c_void_p, StreamFunction, c_void_p, _out)
_declare(
    c_int32, "xverse_session_generate_json",
    c_void_p, *_text, c_void_p, StreamFunction, c_void_p, _out, POINTER(c_size_t),
)  # fmt: skip
_declare(c_int32, "xverse_result_text", c_void_p, _out, POINTER(c_size_t))
_declare(
    c_int32, "xverse_result_tokens",
    c_void_p, POINTER(POINTER(c_int32)), POINTER(POINTER(c_float)), POINTER(c_size_t),
)  # fmt: skip
_declare(c_int32, "xverse_result_stats", c_void_p, POINTER(Stats))
_declare(None, "xverse_result_free", c_void_p)
_declare(c_int32, "xverse_scheduler_create", c_void_p, c_void_p, _out)
_declare(None, "xverse_scheduler_free", c_void_p)
_declare(c_int32, "xverse_scheduler_submit", c_void_p, c_void_p, POINTER(c_uint64))
_declare(c_int32, "xverse_scheduler_cancel", c_void_p, c_uint64)
_declare(c_int32, "xverse_scheduler_next", c_void_p, c_int32, POINTER(POINTER(Event)))
_declare(c_int32, "xverse_scheduler_fd", c_void_p)


def _check(status):
    if status < 0:
        message = _lib.xverse_last_error().decode(errors="replace")
        raise XverseError(status, _lib.xverse_status_name(status).decode(), message)


class _Handle:
    """Owns one object of the library and frees it with the Python object."""

    # What frees the object; until there is one, a call without arguments that does nothing.
    _release = int
    # A method here would lose Ctrl-C: Python can raise KeyboardInterrupt at its first line, and passes over whatever a __del__
    # raises. This one comes to `_release()` without running a line of Python.
    __del__ = property(operator.attrgetter("_release"))

    def __init__(self, create, free, *arguments):
        handle = c_void_p()
        _check(create(*arguments, byref(handle)))
        self._release = functools.partial(free, handle)
        self._as_parameter_ = handle


def _options(kind, values):
    options = _Handle(_lib.xverse_options_create, _lib.xverse_options_free, kind)
    text = json.dumps(values).encode()
    _check(_lib.xverse_options_set_json(options, text, len(text)))
    return options


# ---- long calls ----

_calls = set()
_calls_lock = threading.Lock()
_is_ending = False


class _Call:
    """A long call of the library on a thread of its own, and what comes out of it.

    Python notices signals only while its main thread runs Python, so that thread must not be inside the library for long. And
    no thread may be inside a callback when the interpreter ends.
    """

    def __init__(self, function):
        """What is called is function(call); what it returns, or raises, ends `pieces`, and nothing runs before that."""
        self.cancel_handle = _Handle(_lib.xverse_cancel_create, _lib.xverse_cancel_free)
        self.result = None
        self._function = function
        self._pieces = queue.SimpleQueue()
        self._answers = queue.SimpleQueue()
        self._is_cancelled = False
        self._finished = threading.Event()
        self._threads = []

    def _start(self):
        with _calls_lock:
            if _is_ending:
                raise RuntimeError("the interpreter is shutting down")
            _calls.add(self)
            # Started and noted without a line of Python between, so that Ctrl-C cannot leave a thread that nobody knows.
            self._threads.extend(map(_thread.start_new_thread, [self._run], [()]))

    def _stop(self):
        self.cancel()
        if not self._threads:
            _calls.discard(self)
        elif not _is_ending:
            self._finished.wait()

    def _run(self):
        try:
            self.result = self._function(self)
            self._pieces.put(None)
        except BaseException as error:  # noqa: BLE001 -- raised again by the reader
            self._pieces.put(error)
        self._function = None
        self._finished.set()
        with _calls_lock:
            _calls.discard(self)

    def tell(self, piece, wait):
        """On the call's thread: hands a piece to the reader; returns whether to stop, which the reader says when it waits."""
        if self._is_cancelled:
            return True
        self._pieces.put(piece)
        return self._answers.get() if wait else False

    def answer(self, stop):
        self._answers.put(stop)

    def pieces(self):
        """Starts the call, and yields what it tells until it is done; leaving early cancels it, and waits for its end."""
        try:
            self._start()
            while (piece := self._pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            try:
                self._stop()
            except BaseException:  # Ctrl-C on the way
                self._stop()
                raise

    def cancel(self):
        self._is_cancelled = True
        _lib.xverse_cancel_trigger(self.cancel_handle)
        self.answer(True)

    def wait(self):
        """The result of a call that tells nothing."""
        for _ in self.pieces():
            pass
        return self.result

    @staticmethod
    def end_all():
        """Before the interpreter goes."""
        global _is_ending
        with _calls_lock:
            _is_ending = True
            calls = list(_calls)
        for call in calls:
            call.cancel()
        for call in calls:
            if call._threads:
                call._finished.wait(10)


def _forget_calls():
    global _calls_lock
    _calls.clear()  # their threads are the parent's
    _calls_lock = threading.Lock()


atexit.register(_Call.end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_calls)


# ---- for programs ----


def version():
    return _lib.xverse_version().decode()


class Model:
    """A loaded model; threads may share it.

    `path` is a Hugging Face directory. `threads` is the number of compute threads, `threading` who starts them: "pthread",
    because a module that is imported later may bring an OpenMP runtime that bears no other beside it. Other options are
    those of kind MODEL in xverse.h.
    """

    def __init__(self, path, threads=None, threading="pthread", **options):
        runtime_options = {"threading": threading}
        if threads is not None:
            runtime_options["threads"] = threads
        runtime = _Handle(
            _lib.xverse_runtime_create, _lib.xverse_runtime_release, _options(OPTIONS_RUNTIME, runtime_options), None
        )
        model_options = _options(OPTIONS_MODEL, options)

        def load(call):
            return _Handle(
                _lib.xverse_model_load, _lib.xverse_model_release,
                runtime, os.fsencode(path), model_options, call.cancel_handle, None, None,
            )  # fmt: skip

        self._handle = _Call(load).wait()
        self.tokenizer = Tokenizer(self._handle)
        self.info = ModelInfo(size=ctypes.sizeof(ModelInfo))
        _check(_lib.xverse_model_get_info(self._handle, byref(self.info)))

    def session(self, **options):
        """A new conversation or text; options are those of kind SESSION in xverse.h."""
        return Session(self, options)

    def scheduler(self, **options):
        """Many conversations at a time; options are those of kind SCHEDULER in xverse.h."""
        return Scheduler(self, options)


class Tokenizer:
    """Text to ids and back; belongs to a model."""

    def __init__(self, model):
        self._model = model
        self._handle = c_void_p(_lib.xverse_model_tokenizer(model))
        self.vocab_size = _lib.xverse_tokenizer_vocab_size(self._handle)
        self.bos, self.eos = (_lib.xverse_tokenizer_special(self._handle, which) for which in (TOKEN_BOS, TOKEN_EOS))

    def encode(self, text, bos=False, special=False):
        """The ids of a text. special: "<|endoftext|>" in it becomes that token instead of characters."""
        data = text.encode("utf-8", "surrogatepass")
        flags = (ENCODE_BOS if bos else 0) | (ENCODE_SPECIAL if special else 0)
        count = c_size_t()
        encode = _lib.xverse_tokenizer_encode
        _check(encode(self._handle, data, len(data), flags, None, 0, byref(count)))
        ids = (c_int32 * count.value)()
        _check(encode(self._handle, data, len(data), flags, ids, len(ids), byref(count)))
        return ids[: count.value]

    def decode(self, ids, skip_special=False):
        array, text, length = (c_int32 * len(ids))(*ids), c_void_p(), c_size_t()
        flags = DECODE_SKIP_SPECIAL if skip_special else 0
        _check(_lib.xverse_tokenizer_decode(self._handle, array, len(ids), flags, byref(text), byref(length)))
        try:
            return ctypes.string_at(text, length.value).decode()
        finally:
            _lib.xverse_free(text)


def _request(model, prompt, sampling):
    request = _Handle(_lib.xverse_request_create, _lib.xverse_request_free, model._handle)
    _check(_lib.xverse_request_set_options(request, _options(OPTIONS_SAMPLING, sampling)))
    if isinstance(prompt, str):
        text = prompt.encode("utf-8", "surrogatepass")
        _check(_lib.xverse_request_add_text(request, text, len(text)))
    else:
        for role, content in prompt:
            text = content.encode("utf-8", "surrogatepass")
            _check(_lib.xverse_request_add_message(request, role.encode(), text, len(text)))
    return request


class Result:
    """A finished answer: text, tokens, logprobs (None without option logprobs=1), stats, finish_reason."""

    def __init__(self, handle):
        text, length = c_void_p(), c_size_t()
        _check(_lib.xverse_result_text(handle, byref(text), byref(length)))
        self.text = ctypes.string_at(text, length.value).decode()
        tokens, logprobs = POINTER(c_int32)(), POINTER(c_float)()
        _check(_lib.xverse_result_tokens(handle, byref(tokens), byref(logprobs), byref(length)))
        self.tokens = tokens[: length.value]
        self.logprobs = logprobs[: length.value] if logprobs else None
        self.stats = Stats(size=ctypes.sizeof(Stats))
        _check(_lib.xverse_result_stats(handle, byref(self.stats)))
        self.finish_reason = FINISH.get(self.stats.finish_reason, "unknown")


class Session:
    """What the model has read so far. One thread at a time.

    A prompt is a text, which the model continues, or a list of (role, text) messages, which it answers. What a new
    prompt has in common with the last one is not computed again.
    """

    def __init__(self, model, options):
        self._model = model
        self._handle = _Handle(
            _lib.xverse_session_create, _lib.xverse_session_free, model._handle, _options(OPTIONS_SESSION, options)
        )

    def __len__(self):
        """Tokens in the session."""
        return _lib.xverse_session_length(self._handle)

    def generate(self, prompt, on_text=None, **sampling):
        """Generates and returns a Result; options are those of kind SAMPLING in xverse.h.

        `on_text` receives the text piece by piece, whole characters only; True from it stops the answer.
        """
        call = self._call(prompt, sampling, tells=on_text is not None, waits=True)
        with contextlib.closing(call.pieces()) as pieces:
            for piece in pieces:
                call.answer(on_text(piece) is True)
        return call.result

    def chat(self, prompt, **sampling):
        """A generator of the answer's pieces; closing it stops the answer."""
        yield from self._call(prompt, sampling, tells=True, waits=False).pieces()

    def generate_json(self, request):
        """The response to a request of OpenAI's interface, both as dicts."""
        return self._start_json(dict(request, stream=False)).wait()

    def stream_json(self, request):
        """A generator of the response's chunks; closing it stops the answer."""
        with contextlib.closing(self._start_json(dict(request, stream=True)).pieces()) as chunks:
            for chunk in chunks:
                yield json.loads(chunk)

    def _start_json(self, request):
        text = json.dumps(request).encode()

        def work(call):
            def receive(_, event):
                event = event.contents
                return (
                    1
                    if event.kind == EVENT_JSON and call.tell(ctypes.string_at(event.text, event.text_len), False)
                    else 0
                )

            callback, out, length = StreamFunction(receive), c_void_p(), c_size_t()
            generate = _lib.xverse_session_generate_json
            status = generate(
                self._handle, text, len(text), call.cancel_handle, callback, None, byref(out), byref(length)
            )
            try:
                _check(status)
                return json.loads(ctypes.string_at(out, length.value))
            finally:
                _lib.xverse_free(out)

        return _Call(work)

    def _call(self, prompt, sampling, tells, waits):
        request = _request(self._model, prompt, sampling)

        def work(call):
            def receive(_, event):
                piece = ctypes.string_at(event.contents.text, event.contents.text_len).decode(errors="replace")
                return 1 if piece and call.tell(piece, waits) else 0

            callback = StreamFunction(receive) if tells else StreamFunction()
            handle = c_void_p()
            try:
                generate = _lib.xverse_session_generate
                _check(generate(self._handle, request, call.cancel_handle, callback, None, byref(handle)))
                return Result(handle)
            finally:
                _lib.xverse_result_free(handle)

        return _Call(work)


class Scheduler:
    """Answers many prompts at a time. Any thread may use it; `fileno` makes it fit for select and asyncio."""

    def __init__(self, model, options):
        self._model = model
        self._handle = _Handle(
            _lib.xverse_scheduler_create,
            _lib.xverse_scheduler_free,
            model._handle,
            _options(OPTIONS_SCHEDULER, options),
        )

    def fileno(self):
        """A descriptor that is readable while there are events."""
        return _lib.xverse_scheduler_fd(self._handle)

    def submit(self, prompt, **sampling):
        """Takes a prompt, a text or (role, text) messages; returns the answer's number."""
        number = c_uint64()
        request = _request(self._model, prompt, sampling)
        _check(_lib.xverse_scheduler_submit(self._handle, request, byref(number)))
        return number.value

    def cancel(self, number):
        """Ends an answer soon; it finishes with the reason "cancelled"."""
        _check(_lib.xverse_scheduler_cancel(self._handle, number))

    def events(self, timeout=0):
        """What happened: (number, text, finish_reason or None) until nothing did for `timeout` seconds. An answer that failed
        is (number, XverseError, "error")."""
        event = POINTER(Event)()
        while True:
            status = _lib.xverse_scheduler_next(self._handle, round(timeout * 1000), byref(event))
            _check(status)
            if status == TIMEOUT:
                return
            told = event.contents
            text = ctypes.string_at(told.text, told.text_len).decode(errors="replace")
            reason = FINISH.get(told.finish_reason, "unknown") if told.kind == EVENT_FINISHED else None
            if reason == "error":
                name = _lib.xverse_status_name(told.status).decode()
                text = XverseError(told.status, name, told.message.decode(errors="replace"))
            yield told.request_id, text, reason
