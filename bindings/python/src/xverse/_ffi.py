"""The C interface, as include/xverse.h declares it. Written by scripts/generate_python_ffi.py: do not edit."""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    POINTER,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

# fmt: off

OK = 0
TIMEOUT = 1
STOPPED = 2
E_FAIL = -1
E_NOMEM = -2
E_INVALID = -3
E_MISUSE = -4
E_BUSY = -5
E_CANCELLED = -6
E_DEADLINE = -7
E_IO = -8
E_NOTFOUND = -9
E_CORRUPT = -10
E_UNSUPPORTED = -11
E_UNSAFE = -12
E_RANGE = -13
E_CONTEXT_FULL = -14
E_QUEUE_FULL = -15
E_PARSE = -16
E_MISMATCH = -17
E_FORKED = -18
E_LIMIT = -19
E_CALLBACK = -20
E_COMM = -21
E_INTERNAL = -99
OPTIONS_RUNTIME = 1
OPTIONS_MODEL = 2
OPTIONS_SESSION = 3
OPTIONS_SAMPLING = 4
OPTIONS_SCHEDULER = 5
OPTIONS_CONVERT = 6
OPTIONS_SCORE = 7
OPTION_INT = 1
OPTION_FLOAT = 2
OPTION_STRING = 3
OPTION_JSON = 4
LOG_OFF = 0
LOG_ERROR = 1
LOG_WARN = 2
LOG_INFO = 3
LOG_DEBUG = 4
ENCODE_PLAIN = 0
ENCODE_BOS = 1
ENCODE_SPECIAL = 2
DECODE_PLAIN = 0
DECODE_SKIP_SPECIAL = 1
TOKEN_EOS = 1
TOKEN_BOS = 2
TOKEN_PAD = 3
TOKEN_UNK = 4
FINISH_NONE = 0
FINISH_EOS = 1
FINISH_STOP = 2
FINISH_LENGTH = 3
FINISH_CALLBACK = 4
FINISH_CANCELLED = 5
FINISH_DEADLINE = 6
FINISH_ERROR = 8
POOL_LAST = 1
POOL_MEAN = 2
POOL_NORMALIZE = 16
EVENT_TOKENS = 1
EVENT_FINISHED = 2
EVENT_PREFILL = 3
EVENT_JSON = 4

# Function types and structs, each after those that it needs.

xverse_log_fn = CFUNCTYPE(None, c_void_p, c_int32, c_char_p, c_size_t)

xverse_progress_fn = CFUNCTYPE(c_int32, c_void_p, c_char_p, c_int64, c_int64)

xverse_logits_fn = CFUNCTYPE(c_int32, c_void_p, POINTER(c_float), c_int32)


class xverse_option_info(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("type", c_int32),
        ("key", c_char_p),
        ("doc", c_char_p),
        ("choices", c_char_p),
        ("min", c_double),
        ("max", c_double),
        ("def", c_double),
        ("unit", c_char_p),
        ("def_choice", c_char_p),
    )


class xverse_allocator(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("alloc", CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)),
        ("dealloc", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
        ("user", c_void_p),
    )


class xverse_model_info(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("n_layers", c_int32),
        ("n_params", c_int64),
        ("weight_bytes", c_int64),
        ("n_embd", c_int32),
        ("n_ff", c_int32),
        ("n_heads", c_int32),
        ("n_kv_heads", c_int32),
        ("n_vocab", c_int32),
        ("n_ctx_train", c_int32),
        ("n_experts", c_int32),
        ("n_experts_used", c_int32),
        ("arch", c_char_p),
        ("quant", c_char_p),
        ("name", c_char_p),
    )


class xverse_source(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("length", CFUNCTYPE(c_int64, c_void_p, c_char_p)),
        ("read_at", CFUNCTYPE(c_int64, c_void_p, c_char_p, c_int64, c_void_p, c_size_t)),
        ("close", CFUNCTYPE(None, c_void_p)),
    )


class xverse_memory_estimate(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("weights_resident", c_int64),
        ("weights_mapped", c_int64),
        ("load_peak", c_int64),
        ("kv_per_token", c_int64),
        ("kv_total", c_int64),
        ("scratch", c_int64),
        ("total", c_int64),
        ("host_available", c_int64),
    )


class xverse_stats(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("finish_reason", c_int32),
        ("n_prompt", c_int64),
        ("n_cached", c_int64),
        ("n_generated", c_int64),
        ("n_draft", c_int64),
        ("n_draft_accepted", c_int64),
        ("ns_queue", c_int64),
        ("ns_prefill", c_int64),
        ("ns_decode", c_int64),
        ("ns_first_token", c_int64),
        ("kv_bytes", c_int64),
        ("scratch_bytes", c_int64),
    )


class xverse_event(ctypes.Structure):
    _fields_ = (
        ("size", c_uint32),
        ("kind", c_int32),
        ("request_id", c_uint64),
        ("text", c_void_p),
        ("text_len", c_size_t),
        ("tokens", POINTER(c_int32)),
        ("logprobs", POINTER(c_float)),
        ("n_tokens", c_size_t),
        ("n_prompt_done", c_int64),
        ("n_prompt_total", c_int64),
        ("finish_reason", c_int32),
        ("status", c_int32),
        ("stats", POINTER(xverse_stats)),
        ("message", c_char_p),
    )


xverse_stream_fn = CFUNCTYPE(c_int32, c_void_p, POINTER(xverse_event))


# Result and parameters of each function.
FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "xverse_version": (c_char_p, ()),
    "xverse_version_number": (c_int32, ()),
    "xverse_build_info": (c_char_p, ()),
    "xverse_status_name": (c_char_p, (c_int32,)),
    "xverse_last_error": (c_char_p, ()),
    "xverse_last_error_offset": (c_int64, ()),
    "xverse_free": (None, (c_void_p,)),
    "xverse_options_create": (c_int32, (c_int32, POINTER(c_void_p))),
    "xverse_options_free": (None, (c_void_p,)),
    "xverse_options_set_int": (c_int32, (c_void_p, c_char_p, c_int64)),
    "xverse_options_set_float": (c_int32, (c_void_p, c_char_p, c_double)),
    "xverse_options_set_string": (c_int32, (c_void_p, c_char_p, c_char_p, c_size_t)),
    "xverse_options_set_json": (c_int32, (c_void_p, c_char_p, c_size_t)),
    "xverse_options_describe": (c_int32, (c_int32, c_int32, POINTER(xverse_option_info))),
    "xverse_runtime_create": (c_int32, (c_void_p, POINTER(xverse_allocator), POINTER(c_void_p))),
    "xverse_runtime_release": (None, (c_void_p,)),
    "xverse_runtime_set_log": (c_int32, (c_void_p, xverse_log_fn, c_void_p, c_int32)),
    "xverse_runtime_memory": (c_int32, (c_void_p, POINTER(c_int64), POINTER(c_int64))),
    "xverse_cancel_create": (c_int32, (POINTER(c_void_p),)),
    "xverse_cancel_free": (None, (c_void_p,)),
    "xverse_cancel_trigger": (None, (c_void_p,)),
    "xverse_cancel_reset": (None, (c_void_p, c_int64)),
    "xverse_model_open": (c_int32, (c_char_p, c_void_p, POINTER(c_void_p))),
    "xverse_model_load": (c_int32, (c_void_p, c_char_p, c_void_p, c_void_p, xverse_progress_fn, c_void_p, POINTER(c_void_p))),
    "xverse_model_load_source": (c_int32, (c_void_p, POINTER(xverse_source), c_void_p, c_void_p, c_void_p, xverse_progress_fn, c_void_p, POINTER(c_void_p))),
    "xverse_model_inspect": (c_int32, (c_char_p, c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_model_estimate": (c_int32, (c_char_p, c_void_p, c_void_p, POINTER(xverse_memory_estimate))),
    "xverse_convert": (c_int32, (c_void_p, c_char_p, c_char_p, c_void_p, c_void_p, xverse_progress_fn, c_void_p)),
    "xverse_model_retain": (c_void_p, (c_void_p,)),
    "xverse_model_release": (None, (c_void_p,)),
    "xverse_model_get_info": (c_int32, (c_void_p, POINTER(xverse_model_info))),
    "xverse_model_perplexity": (c_int32, (c_void_p, c_char_p, c_size_t, c_void_p, c_void_p, xverse_progress_fn, c_void_p, POINTER(c_double), POINTER(c_double))),
    "xverse_model_tokenizer": (c_void_p, (c_void_p,)),
    "xverse_tokenizer_open": (c_int32, (c_char_p, POINTER(c_void_p))),
    "xverse_tokenizer_release": (None, (c_void_p,)),
    "xverse_tokenizer_encode": (c_int32, (c_void_p, c_char_p, c_size_t, c_int32, POINTER(c_int32), c_size_t, POINTER(c_size_t))),
    "xverse_tokenizer_decode": (c_int32, (c_void_p, POINTER(c_int32), c_size_t, c_int32, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_tokenizer_vocab_size": (c_int32, (c_void_p,)),
    "xverse_tokenizer_special": (c_int32, (c_void_p, c_int32)),
    "xverse_tokenizer_token_bytes": (c_int32, (c_void_p, c_int32, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_int32))),
    "xverse_detokenizer_create": (c_int32, (c_void_p, c_int32, POINTER(c_void_p))),
    "xverse_detokenizer_free": (None, (c_void_p,)),
    "xverse_detokenizer_push": (c_int32, (c_void_p, c_int32, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_detokenizer_flush": (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_session_create": (c_int32, (c_void_p, c_void_p, POINTER(c_void_p))),
    "xverse_session_free": (None, (c_void_p,)),
    "xverse_session_fork": (c_int32, (c_void_p, POINTER(c_void_p))),
    "xverse_session_truncate": (c_int32, (c_void_p, c_int64)),
    "xverse_session_length": (c_int64, (c_void_p,)),
    "xverse_session_tokens": (c_int32, (c_void_p, POINTER(c_int32), c_size_t, POINTER(c_size_t))),
    "xverse_session_save": (c_int32, (c_void_p, c_char_p)),
    "xverse_session_restore": (c_int32, (c_void_p, c_char_p)),
    "xverse_session_set_note": (c_int32, (c_void_p, c_void_p, c_size_t)),
    "xverse_session_note": (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_session_set_draft": (c_int32, (c_void_p, c_void_p, c_void_p)),
    "xverse_session_stats": (c_int32, (c_void_p, POINTER(xverse_stats))),
    "xverse_session_eval": (c_int32, (c_void_p, POINTER(c_int32), c_size_t, c_void_p, xverse_progress_fn, c_void_p)),
    "xverse_session_logits": (c_int32, (c_void_p, POINTER(POINTER(c_float)), POINTER(c_size_t))),
    "xverse_session_top_logprobs": (c_int32, (c_void_p, c_int32, POINTER(c_int32), POINTER(c_float), POINTER(c_size_t))),
    "xverse_session_score": (c_int32, (c_void_p, POINTER(c_int32), c_size_t, c_void_p, POINTER(c_float), POINTER(c_double))),
    "xverse_session_eval_batch": (c_int32, (POINTER(c_void_p), POINTER(POINTER(c_int32)), POINTER(c_size_t), c_size_t, c_void_p)),
    "xverse_session_embed": (c_int32, (c_void_p, POINTER(c_int32), c_size_t, c_int32, c_void_p, POINTER(c_float), c_size_t, POINTER(c_size_t))),
    "xverse_sampler_create": (c_int32, (c_void_p, c_void_p, POINTER(c_void_p))),
    "xverse_sampler_free": (None, (c_void_p,)),
    "xverse_sampler_clone": (c_int32, (c_void_p, POINTER(c_void_p))),
    "xverse_sampler_set_callback": (c_int32, (c_void_p, xverse_logits_fn, c_void_p)),
    "xverse_sampler_sample": (c_int32, (c_void_p, POINTER(c_float), c_size_t, POINTER(c_int32), POINTER(c_float))),
    "xverse_sampler_accept": (c_int32, (c_void_p, c_int32)),
    "xverse_request_create": (c_int32, (c_void_p, POINTER(c_void_p))),
    "xverse_request_free": (None, (c_void_p,)),
    "xverse_request_add_tokens": (c_int32, (c_void_p, POINTER(c_int32), c_size_t)),
    "xverse_request_add_text": (c_int32, (c_void_p, c_char_p, c_size_t)),
    "xverse_request_add_message": (c_int32, (c_void_p, c_char_p, c_char_p, c_size_t)),
    "xverse_request_set_options": (c_int32, (c_void_p, c_void_p)),
    "xverse_request_tokens": (c_int32, (c_void_p, POINTER(c_int32), c_size_t, POINTER(c_size_t))),
    "xverse_session_generate": (c_int32, (c_void_p, c_void_p, c_void_p, xverse_stream_fn, c_void_p, POINTER(c_void_p))),
    "xverse_session_generate_json": (c_int32, (c_void_p, c_char_p, c_size_t, c_void_p, xverse_stream_fn, c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_result_text": (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_result_tokens": (c_int32, (c_void_p, POINTER(POINTER(c_int32)), POINTER(POINTER(c_float)), POINTER(c_size_t))),
    "xverse_result_stats": (c_int32, (c_void_p, POINTER(xverse_stats))),
    "xverse_result_free": (None, (c_void_p,)),
    "xverse_scheduler_create": (c_int32, (c_void_p, c_void_p, POINTER(c_void_p))),
    "xverse_scheduler_free": (None, (c_void_p,)),
    "xverse_scheduler_set_draft": (c_int32, (c_void_p, c_void_p, c_void_p)),
    "xverse_scheduler_submit": (c_int32, (c_void_p, c_void_p, POINTER(c_uint64))),
    "xverse_scheduler_submit_json": (c_int32, (c_void_p, c_char_p, c_size_t, POINTER(c_uint64), POINTER(c_void_p), POINTER(c_size_t))),
    "xverse_scheduler_cancel": (c_int32, (c_void_p, c_uint64)),
    "xverse_scheduler_next": (c_int32, (c_void_p, c_int32, POINTER(POINTER(xverse_event)))),
    "xverse_scheduler_fd": (c_int32, (c_void_p,)),
    "xverse_scheduler_stats": (c_int32, (c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
}
