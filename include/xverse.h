/* xverse.h - run XVERSE language models on a CPU.
 *
 * One library, one model directory, five calls to a first answer:
 *
 *     xverse_model *model;  xverse_session *session;  xverse_request *request;  xverse_result *result;
 *     xverse_model_open("XVERSE-7B-Chat", NULL, &model);                         - a Hugging Face directory
 *     xverse_session_create(model, NULL, &session);
 *     xverse_request_create(model, &request);
 *     xverse_request_add_message(request, "user", "Hello!", XVERSE_NTS);
 *     xverse_session_generate(session, request, NULL, NULL, NULL, &result);      - then xverse_result_text
 *
 * The sections go from simple to special: 1 library, 2 options, 3 runtime, 4 cancellation, 5 model, 6 tokenizer,
 * 7 session, 8 evaluation, 9 sampler, 10 requests and generation, 11 scheduler. A chat program needs 5, 7 and 10, a
 * server 5, 10 and 11.
 *
 * THREADS    A function that takes `const T *` may be called for one object by several threads at the same time, a
 *            function that takes `T *` by one thread at a time. For models, tokenizers, runtimes, cancels and
 *            schedulers there is no such limit: several threads may call any of their functions at the same time.
 *            Sessions, samplers, detokenizers, requests and options have one owner at a time: while one thread is
 *            inside a call, the call of a second thread returns XVERSE_E_BUSY and has no effect. Every object may move
 *            between threads.
 * ERRORS     Every function that can fail returns xverse_status: 0 is XVERSE_OK, negative values are errors, positive
 *            values are information. After an error, xverse_last_error() returns one sentence that names the file,
 *            tensor, option or argument, the value found and the value expected; the out-handle is NULL, and every
 *            object is as it was before the call. The library never prints, exits or aborts. NULL for a required
 *            pointer is XVERSE_E_INVALID.
 * OWNERSHIP  *_free destroys an object; *_release drops one reference (xverse_model_retain adds one). Both accept NULL.
 *            Objects may be freed in any order: a session keeps its model alive, a model its runtime. A `char **`
 *            result ends with NUL, belongs to the caller and is freed with xverse_free. A `const char *` result lives
 *            as long as the object it came from, or as its function says.
 * STRINGS    UTF-8, pointer and length in bytes; XVERSE_NTS as length means "ends with NUL". Text that is not valid
 *            UTF-8 is not an error: invalid bytes become byte tokens. Keys end with NUL. Paths end with NUL and are
 *            bytes in whatever encoding the file system has: any path that open(2) accepts.
 * ARRAYS     The caller passes an array and its capacity; *n always receives the number of elements there are. If the
 *            capacity is too small, the call returns XVERSE_E_RANGE and writes nothing else; capacity 0 with a NULL
 *            array asks for the number.
 * CALLBACKS  The user pointer comes first. Progress, stream and logits functions return 0 to continue and any other
 *            value to stop: the call then returns XVERSE_STOPPED, and what was done so far is valid. Callbacks run on
 *            the thread that made the call. Inside a callback, only xverse_cancel_trigger, xverse_scheduler_cancel,
 *            getters, and calls on an existing tokenizer or detokenizer are allowed; other calls return
 *            XVERSE_E_MISUSE.
 * CANCEL     A cancel object is a flag that stays set, with an optional deadline. It is checked before every file and
 *            after every 64 MiB read while loading, before every tensor while verifying, and while evaluating at least
 *            once in 2^33 multiply-adds (about the work of 64 tokens in one layer of a 7B model). After
 *            XVERSE_E_CANCELLED or XVERSE_E_DEADLINE the session is valid and xverse_session_length() is exact.
 * PROCESS    The library installs no signal handlers, does not call setlocale or chdir, uses no network, writes no
 *            output and opens no files outside the given paths. Computation runs on one thread of the library per
 *            runtime and on its helper threads; all signals are blocked in all of these. The first runtime whose option
 *            `threading` resolves to OpenMP loads libomp into the process. The first quantization with a calibration
 *            text loads OpenBLAS, whose pthread flavour is set to 1 thread. Rounding modes, traps and other
 *            floating-point settings of the calling thread do not affect results; they are unchanged when a call
 *            returns and inside callbacks. Environment: XVERSE_NUM_THREADS and XVERSE_THREADING (defaults of the
 *            options `threads` and `threading`), XVERSE_LOG (off|error|warn|info|debug: log to stderr).
 *            If the process ends, by exit() or by a return from main, while other threads are inside the library, their
 *            calls return XVERSE_E_CANCELLED and invoke no more callbacks. exit() waits up to 10 seconds for the
 *            compute threads to stop. Nothing can be computed after that. If they do not stop in time, the process ends
 *            with its exit code after the exit handlers that were registered since the library was loaded, without
 *            those before them and without the destructors of libraries.
 *            In a child of a process that called the library before fork(), every call returns XVERSE_E_FORKED until
 *            the child executes another program.
 * STRUCTS    Set `size` to sizeof the struct before the call; the library reads or writes no more than that, so
 *            programs and libraries of different minor versions fit together. Members are only ever appended.
 */
#ifndef XVERSE_H
#define XVERSE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As a length: the string ends with NUL. */
#define XVERSE_NTS ((size_t)-1)

typedef struct xverse_options     xverse_options;     /* keys and values; NULL always means the defaults            */
typedef struct xverse_runtime     xverse_runtime;     /* compute thread, memory, log; NULL is the process's default */
typedef struct xverse_cancel      xverse_cancel;      /* cancel flag and deadline                                   */
typedef struct xverse_model       xverse_model;       /* weights, configuration, tokenizer; immutable               */
typedef struct xverse_tokenizer   xverse_tokenizer;   /* text <-> token ids; immutable                              */
typedef struct xverse_detokenizer xverse_detokenizer; /* streaming ids -> text; never splits a character            */
typedef struct xverse_session     xverse_session;     /* KV cache of one sequence of tokens                         */
typedef struct xverse_sampler     xverse_sampler;     /* random numbers and penalties of one sequence               */
typedef struct xverse_request     xverse_request;     /* a prompt and sampling options                              */
typedef struct xverse_result      xverse_result;      /* what was generated                                         */
typedef struct xverse_scheduler   xverse_scheduler;   /* many requests, answered together                           */

/* Outcome of a call. The values will never change; xverse_status_name() returns their names. */
typedef int32_t xverse_status;
enum {
  XVERSE_OK = 0,
  XVERSE_TIMEOUT = 1,          /* xverse_scheduler_next: no event within the given time                         */
  XVERSE_STOPPED = 2,          /* a callback asked to stop; everything so far is valid                          */
  XVERSE_E_FAIL = -1,          /* no usable result from the model, for example no token with a finite logit     */
  XVERSE_E_NOMEM = -2,         /* memory or memory_limit exhausted                                              */
  XVERSE_E_INVALID = -3,       /* an invalid argument: NULL, unknown key, malformed path                        */
  XVERSE_E_MISUSE = -4,        /* a valid call at the wrong time                                                */
  XVERSE_E_BUSY = -5,          /* another thread is using this object                                           */
  XVERSE_E_CANCELLED = -6,     /* xverse_cancel_trigger                                                         */
  XVERSE_E_DEADLINE = -7,      /* the deadline of the cancel object passed                                      */
  XVERSE_E_IO = -8,            /* the system could not read a file                                              */
  XVERSE_E_NOTFOUND = -9,      /* a file does not exist                                                         */
  XVERSE_E_CORRUPT = -10,      /* a file contradicts its format or itself                                       */
  XVERSE_E_UNSUPPORTED = -11,  /* a valid file that needs something this library does not support              */
  XVERSE_E_UNSAFE = -12,       /* a file that cannot be read without executing code in it                       */
  XVERSE_E_RANGE = -13,        /* a value or capacity outside its bounds                                        */
  XVERSE_E_CONTEXT_FULL = -14, /* more tokens than the session's context holds                                  */
  XVERSE_E_QUEUE_FULL = -15,   /* a scheduler holds as many unfinished or unread answers as it accepts          */
  XVERSE_E_PARSE = -16,        /* an argument is not valid JSON; see xverse_last_error_offset                   */
  XVERSE_E_MISMATCH = -17,     /* two objects that do not belong together                                       */
  XVERSE_E_FORKED = -18,       /* called in a child after fork()                                                */
  XVERSE_E_LIMIT = -19,        /* a file larger or deeper than this library accepts                             */
  XVERSE_E_CALLBACK = -20,     /* a callback broke its contract                                                 */
  XVERSE_E_COMM = -21,         /* reserved; nothing returns it yet                                              */
  XVERSE_E_INTERNAL = -99      /* a bug in this library: please report it                                       */
};

/* ---------------------------------------------------------------------------------------------- 1 library ---- */

/* "major.minor.patch"; static. */
const char *xverse_version(void);

/* major * 1000000 + minor * 1000 + patch. */
int32_t xverse_version_number(void);

/* A JSON object: version, commit, compiler, kernels (the instruction sets built in), kernel (the one used on this
 * CPU), openmp (whether it was built with OpenMP), threading (what option `threading` = auto resolved to when this was
 * first called), threading_reason. Lives as long as the process. */
const char *xverse_build_info(void);

/* The name of a status, "XVERSE_OK"; "unknown status" for another number. Static. */
const char *xverse_status_name(xverse_status status);

/* The message of this thread's last call that returned an error, never NULL; "" before the first. Valid until this
 * thread's next error. */
const char *xverse_last_error(void);

/* The position that the message refers to, in bytes from the start of the text or file; -1 when it has none. */
int64_t xverse_last_error_offset(void);

/* Frees memory that a function of this library returned through a `char **`. NULL is allowed. */
void xverse_free(void *memory);

/* ---------------------------------------------------------------------------------------------- 2 options ---- */

/* An options object holds values for the keys of one kind. Setting a key that does not exist or a value out of bounds
 * fails at once and changes nothing; the message has the nearest key (or all keys), or the bounds.
 * xverse_options_describe lists all keys.
 *
 * Sampling options set neither by the caller nor by the model's generation_config.json have the defaults of
 * transformers' GenerationConfig: greedy; with do_sample, temperature 1, top_k 50 and everything else off. One default
 * differs: without max_new_tokens, generation continues until the context is full, not for 20 tokens. An invalid value
 * in the file fails the generation that needs it with CORRUPT, unless an option replaces it.
 *
 * RUNTIME   threads             compute threads; default: XVERSE_NUM_THREADS, or the CPUs this process may use (the
 *                               affinity masks of all its threads together), at most as many as its cgroup grants CPU
 *                               time for
 *           threading           auto | openmp | pthread: what starts the compute threads; results are the same.
 *                               openmp: libomp, which aborts the process on malformed OMP_* or KMP_* settings, tight
 *                               limits, or another OpenMP runtime of LLVM or Intel, whether loaded before or after it.
 *                               pthread: the library itself, without these problems.  auto: openmp if none of these is
 *                               found in the process, else pthread; default: XVERSE_THREADING, or auto
 *           memory_limit        most bytes of memory to hold at a time, mapped files not counted; 0: no limit
 *           isa                 auto | reference | avx2 | avxvnni | avx512 | neon: kernels to use; a set that the CPU
 *                               lacks is XVERSE_E_UNSUPPORTED
 * MODEL     quantize            none | int8 | int4: float weights become 8.5 or 4.5 bits each while they are read
 *                               (int4: the embedding and lm_head 8.5); see docs/quantization.md for the cost.
 *                               xverse_convert does it once and for all
 *           calibration         path of a text in the model's languages, of which 32768 tokens are used: each matrix is
 *                               quantized for the inputs that this text produces (GPTQ); takes an hour or more for 7B;
 *                               XVERSE_E_UNSUPPORTED without OpenBLAS
 *           load                mmap: weights stay in the files' mapping, shared between processes; a file that is
 *                               truncated while it is mapped ends the process with SIGBUS.  read: a private copy,
 *                               which that cannot affect
 *           verify              header: checks sizes, shapes and names.  values: also reads all weights and rejects NaN
 *                               and infinity
 *           tokenizer           path of a tokenizer.json, of its directory or of a GGUF file, to use instead of the
 *                               model's own
 *           vocab_only          1: configuration and tokenizer only; sessions cannot be made from it
 *           rope_theta          base of the rotary frequencies; default: config.json's
 *           rope_scaling        none | linear:FACTOR | dynamic:FACTOR; default: config.json's
 *           prefix_cache        most bytes of keys and values to keep that no session of the model holds any more,
 *                               default 1 GiB: tokens with which an earlier session began are not evaluated again.
 *                               Under memory_limit they are freed before anything fails. 0: off, as with dynamic
 *                               rope_scaling, whose keys depend on the length of the sequence
 * SESSION   context             most tokens; memory is taken as the sequence grows; default: the model's n_ctx_train
 *           kv_type             f32 | f16 | int8: element type of the KV cache, 32, 16 or 8 bits a number (int8: plus
 *                               a scale for each head and position); see docs/numerics.md for the cost in accuracy
 *           overflow            error: XVERSE_E_CONTEXT_FULL.  shift: the older half is dropped and the rest evaluated
 *                               again, so the session is as if it had begun with what remains; if that fails, the
 *                               session holds what was evaluated until then
 * SAMPLING  names and meaning are Hugging Face's; defaults come from the model's generation_config.json, else as above
 *           do_sample           0: greedy (the most probable token).  1: draw from the distribution
 *           temperature         0 is greedy; setting it above 0 also sets do_sample
 *           top_k top_p min_p typical_p                       0, 1, 0, 1 switch them off
 *           repetition_penalty  covers prompt and output; 1 is off
 *           repeat_last_n       how many of the last tokens repetition_penalty covers; 0: all
 *           frequency_penalty presence_penalty                OpenAI's; cover the generated tokens; 0 is off
 *           seed                for the random numbers; -1: chosen by the system
 *           max_new_tokens      most tokens to generate; 0: prefill only
 *           stop                JSON array of strings: generation ends before the first of them, which is not returned
 *           logit_bias          JSON object {"id": bias}: added to the logits; at most 2^60; below -2^60: never
 *           ignore_eos          1: continue past end-of-sequence tokens
 *           logprobs            1: also return the log-probability of every generated token
 *           deadline_ms         end generation after this time with XVERSE_FINISH_DEADLINE; 0: none; in a scheduler
 *                               counted from the submission of the request
 *           n                   scheduler only: number of answers to the prompt; each after the first has a seed 1
 *                               higher, if a seed is set
 *           priority            scheduler only: lower numbers go first; 0
 *           prompt_lookup_num_tokens                          prompt lookup decoding: most tokens to guess for a pass,
 *                               at most 64, from what followed an earlier occurrence of the last three or two tokens in
 *                               the prompt or answer; 0, the default, is off. It is faster where the answer repeats the
 *                               prompt, can be up to 3 % slower elsewhere, and needs memory for that many more logits
 *           num_assistant_tokens                              most tokens that the draft model guesses for a pass, at
 *                               most 64; default: 20; 0 is off; no effect without a draft model; see
 *                               xverse_session_set_draft and xverse_scheduler_set_draft
 *                               Neither option changes what is generated: each token is chosen as without guesses, from
 *                               the same logits. The number of guesses adapts to how often they are right and to how
 *                               long passes take
 * SCHEDULER names are vLLM's
 *           max_num_seqs            most answers that run together; default: 16
 *           max_num_batched_tokens  most prompt tokens in one pass; default: 512; fewer while answers grow, so that
 *                                   these are not delayed
 *           max_queued_requests     most answers beyond max_num_seqs that wait or whose end is unread; default: 256
 *           context                 most tokens of a prompt with its answer; default: the model's n_ctx_train
 *           kv_type                 f32 | f16 | int8: as for SESSION
 * CONVERT   quantize calibration tokenizer                    as for MODEL
 *           max_shard_size      most bytes of weights in one file, with model.safetensors.index.json for several; 0:
 *                               one file
 *           format              safetensors: a Hugging Face directory.  gguf: a file that llama.cpp loads
 *           type                f16 | q8_0 | q4_0 (embedding and head q8_0): of a GGUF file's matrices; default: f16
 * SCORE     context             tokens in a window of xverse_model_perplexity; default: n_ctx_train, at most 2048
 *           bos                 1: every window begins with the BOS token
 *           windows             score at most this many windows; 0: all
 */
enum {
  XVERSE_OPTIONS_RUNTIME = 1,
  XVERSE_OPTIONS_MODEL = 2,
  XVERSE_OPTIONS_SESSION = 3,
  XVERSE_OPTIONS_SAMPLING = 4,
  XVERSE_OPTIONS_SCHEDULER = 5,
  XVERSE_OPTIONS_CONVERT = 6,
  XVERSE_OPTIONS_SCORE = 7
};

/* The type of an option's value. A string with `choices` must be one of them (or begin with one that ends in ':'). */
enum { XVERSE_OPTION_INT = 1, XVERSE_OPTION_FLOAT = 2, XVERSE_OPTION_STRING = 3, XVERSE_OPTION_JSON = 4 };

typedef struct {
  uint32_t size;
  int32_t type;           /* XVERSE_OPTION_*                                                          */
  const char *key;        /* static, like all strings here                                            */
  const char *doc;        /* one sentence                                                             */
  const char *choices;    /* "mmap|read"; NULL when any string or number within the bounds is allowed */
  double min, max;        /* bounds of a number, inclusive                                            */
  double def;             /* default of a number; NaN when it comes from the model or the machine     */
  const char *unit;       /* what a number counts: "tokens", "bytes", "milliseconds"; "" for none     */
  const char *def_choice; /* default of a string with choices; NULL when it comes from the model      */
} xverse_option_info;

/* kind: XVERSE_OPTIONS_*. Errors: INVALID (unknown kind), NOMEM. */
xverse_status xverse_options_create(int32_t kind, xverse_options **out);
void xverse_options_free(xverse_options *options);

/* Sets one value. Numbers convert between int and float when nothing is lost. A JSON option is set as text with
 * set_string. Errors: INVALID (unknown key, wrong type), RANGE (out of bounds, not one of the choices), PARSE. */
xverse_status xverse_options_set_int(xverse_options *options, const char *key, int64_t value);
xverse_status xverse_options_set_float(xverse_options *options, const char *key, double value);
xverse_status xverse_options_set_string(xverse_options *options, const char *key, const char *value, size_t len);

/* Sets every member of a JSON object, or none of them when one is wrong: {"temperature": 0.7, "stop": ["\n\n"]}. */
xverse_status xverse_options_set_json(xverse_options *options, const char *json, size_t len);

/* Describes the key number `index`, counted from 0, of a kind. Errors: RANGE when there are fewer. */
xverse_status xverse_options_describe(int32_t kind, int32_t index, xverse_option_info *info);

/* ---------------------------------------------------------------------------------------------- 3 runtime ---- */

/* A runtime owns one compute thread, to which the sessions of its models submit their work in turn, and the memory that
 * they share. Most programs use the default runtime (NULL), which exists while anything uses it. */

/* The host's own memory functions. They may be called from any thread, must return memory aligned to `align` bytes or
 * NULL, must not call functions of this library, and must live as long as the runtime and everything made from it.
 * Small objects are not allocated through them. */
typedef struct {
  uint32_t size;
  uint32_t reserved; /* not read */
  void *(*alloc)(void *user, size_t len, size_t align);
  void (*dealloc)(void *user, void *ptr, size_t len);
  void *user;
} xverse_allocator;

enum { XVERSE_LOG_OFF = 0, XVERSE_LOG_ERROR = 1, XVERSE_LOG_WARN = 2, XVERSE_LOG_INFO = 3, XVERSE_LOG_DEBUG = 4 };

/* message: one line of `len` bytes without the line feed, also NUL-terminated; valid during the call. Runs on the
 * thread that caused it, under the same rules as other callbacks. */
typedef void (*xverse_log_fn)(void *user, int32_t level, const char *message, size_t len);

/* options: kind RUNTIME or NULL; allocator: copied, or NULL for the C library's.
 * Errors: UNSUPPORTED (isa; threading openmp without libomp), INVALID (options of another kind, allocator without
 * functions), NOMEM (also when threads cannot be started). At level info the log states the number of threads, their
 * kind, and the reason for both. */
xverse_status xverse_runtime_create(const xverse_options *options, const xverse_allocator *allocator,
                                    xverse_runtime **out);
void xverse_runtime_release(xverse_runtime *runtime);

/* Sends messages up to `level` to `fn`; NULL or XVERSE_LOG_OFF turns logging off. runtime NULL: the default runtime. */
xverse_status xverse_runtime_set_log(xverse_runtime *runtime, xverse_log_fn fn, void *user, int32_t level);

/* Bytes held now and the most ever held, mapped files not counted; each pointer may be NULL, not both. */
xverse_status xverse_runtime_memory(const xverse_runtime *runtime, int64_t *current, int64_t *peak);

/* ----------------------------------------------------------------------------------------- 4 cancellation ---- */

/* Any number of calls may use one cancel object. It must outlive the calls that it was passed to. */
xverse_status xverse_cancel_create(xverse_cancel **out);
void xverse_cancel_free(xverse_cancel *cancel);

/* Sets the flag; it stays set. Any thread, any callback, any signal handler. */
void xverse_cancel_trigger(xverse_cancel *cancel);

/* Clears the flag and sets the deadline `deadline_ms` milliseconds from now; 0 or less: no deadline. */
void xverse_cancel_reset(xverse_cancel *cancel, int64_t deadline_ms);

/* ------------------------------------------------------------------------------------------------ 5 model ---- */

/* phase, static: "load", "import" (weights that are converted, as those of most GGUF files), "verify", "quantize" or
 * "write", done of total in bytes; "calibrate" in layers, lm_head one more; "prefill" or "score" in tokens. */
typedef int32_t (*xverse_progress_fn)(void *user, const char *phase, int64_t done, int64_t total);

typedef struct {
  uint32_t size;
  int32_t n_layers;
  int64_t n_params;
  int64_t weight_bytes;     /* of the tensors as stored, or as quantized                                     */
  int32_t n_embd;           /* hidden_size                                                                   */
  int32_t n_ff;             /* intermediate_size                                                             */
  int32_t n_heads;
  int32_t n_kv_heads;
  int32_t n_vocab;
  int32_t n_ctx_train;      /* max_position_embeddings                                                       */
  int32_t n_experts;        /* reserved; always 0: the models are dense                                      */
  int32_t n_experts_used;   /* reserved; always 0                                                            */
  const char *arch;         /* "xverse" or "llama"; these three live as long as the model                    */
  const char *quant;        /* type of the matrices: "f32", "f16", "bf16", "int8", "int4", "int4_f16" (with  */
                            /* both, embedding and lm_head int8), "mixed"; "none" with vocab_only            */
  const char *name;         /* last component of the path                                                    */
} xverse_model_info;

/* Loads a model: the everyday call.
 * path: a Hugging Face directory with config.json, tokenizer.json and model.safetensors or
 * model.safetensors.index.json with its shards (f32, f16, bf16, or what xverse_convert wrote), or pytorch_model.bin or
 * pytorch_model.bin.index.json with its shards (torch.save of PyTorch 1.6 or later), or one file of either kind beside
 * those two; or a GGUF file, which contains everything (the first of several parts), or a directory with no other
 * weights and a single .gguf file. The format is recognized by the first bytes, whatever the file's name. Models
 * that transformers opens and runs open here too; irregularities that do not change answers are logged as warnings.
 * docs/formats.md lists the supported types and how irregularities are handled.
 * options: kind MODEL or NULL.
 * Errors: NOTFOUND, IO, CORRUPT, UNSUPPORTED, UNSAFE, LIMIT (each naming the file and the field or tensor), INVALID,
 * NOMEM. */
xverse_status xverse_model_open(const char *path, const xverse_options *options, xverse_model **out);

/* The same on a given runtime, with progress (phase "load", in bytes) and cancellation; runtime, options,
 * cancel, fn may be NULL. Errors: also CANCELLED, DEADLINE; STOPPED when fn asked to stop, with *out NULL. */
xverse_status xverse_model_load(xverse_runtime *runtime, const char *path, const xverse_options *options,
                                xverse_cancel *cancel, xverse_progress_fn fn, void *user, xverse_model **out);

/* Functions of yours that provide the files of a model, from memory, an archive or an encrypted store for example. They
 * are callbacks, called by the thread that loads, one at a time, during xverse_model_load_source only. They receive the
 * names of the files of a Hugging Face directory: "config.json", "tokenizer.json", "model.safetensors" ..., or
 * "model.gguf" when there is no "config.json". */
typedef struct {
  uint32_t size;
  uint32_t reserved; /* not read */
  /* Bytes of the file; negative when there is no such file. */
  int64_t (*length)(void *user, const char *name);
  /* Copies at most len bytes from offset on to buf; returns how many, at least 1; 0 at the end, negative when they
   * cannot be read, which is XVERSE_E_IO. */
  int64_t (*read_at)(void *user, const char *name, int64_t offset, void *buf, size_t len);
  /* May be NULL. Called once, after the last read and before xverse_model_load_source returns, whatever it returns,
   * unless the source itself was rejected with INVALID or no function of it was called (MISUSE, FORKED). */
  void (*close)(void *user);
} xverse_source;

/* xverse_model_load from a source: weights are copied to memory (option load has no effect). source_user: passed to
 * its functions. Errors: as xverse_model_load; IO when read_at failed, CALLBACK when it returned more than it was asked
 * for. */
xverse_status xverse_model_load_source(xverse_runtime *runtime, const xverse_source *source, void *source_user,
                                       const xverse_options *options, xverse_cancel *cancel, xverse_progress_fn fn,
                                       void *user, xverse_model **out);

/* Describes a model as a JSON object, from the headers of its files only: format, arch, sizes, n_params, weight_bytes,
 * dtypes (elements and bytes of each), files, tokenizer, generation defaults. options: kind MODEL or NULL; len may be
 * NULL. *json is freed with xverse_free. Errors: as xverse_model_open. */
xverse_status xverse_model_inspect(const char *path, const xverse_options *options, char **json, size_t *len);

/* Bytes that a model and one session will need. */
typedef struct {
  uint32_t size;
  uint32_t reserved;        /* always 0                                                                      */
  int64_t weights_resident; /* weights in memory of the process, and the tokenizer                           */
  int64_t weights_mapped;   /* weights used where the files are mapped: page cache, shared between processes  */
  int64_t load_peak;        /* most memory held while loading, without calibration                            */
  int64_t kv_per_token;     /* keys and values of one token                                                   */
  int64_t kv_total;         /* of a full context                                                              */
  int64_t scratch;          /* work memory of a prefill, shared by all sessions, and the session's logits     */
  int64_t total;            /* of all that stays: resident, mapped, kv_total, scratch                         */
  int64_t host_available;   /* memory that the system could provide now; 0: unknown                           */
} xverse_memory_estimate;

/* Computes, from the file headers, how much memory the model at path needs with these options (kind MODEL or NULL),
 * together with one session (options of kind SESSION or NULL), on the default runtime's threads. Accurate to 3 %: the
 * weights of a GGUF file may turn out to need another type. Errors: as xverse_model_open. */
xverse_status xverse_model_estimate(const char *path, const xverse_options *model, const xverse_options *session,
                                    xverse_memory_estimate *out);

/* Writes the model at `source` to a new Hugging Face directory: config.json, tokenizer files, and model.safetensors
 * (or shards) with the weights that options ask for (kind CONVERT; NULL: as they are). A quantized model is then
 * loaded by mapping it, without conversion and without a copy. With option format=gguf it writes a GGUF file for
 * llama.cpp instead, of the type that option type names; the log warns where llama.cpp's tokenizer will give other
 * ids. `destination` must not exist; it appears when everything is on the disk, or not at all. Needs memory for the
 * quantized weights. Phases: those of loading, "quantize" or "calibrate", "write".
 * Errors: as xverse_model_load; MISUSE (destination exists), IO. */
xverse_status xverse_convert(xverse_runtime *runtime, const char *source, const char *destination,
                             const xverse_options *options, xverse_cancel *cancel, xverse_progress_fn fn, void *user);

/* Adds a reference and returns the model. */
xverse_model *xverse_model_retain(xverse_model *model);
void xverse_model_release(xverse_model *model);

xverse_status xverse_model_get_info(const xverse_model *model, xverse_model_info *out);

/* Perplexity of a text: exp of the mean negative log-likelihood over non-overlapping windows of `context` tokens; the
 * first token of a window is not scored, a last window that is not full is skipped unless it is the only one.
 * score_options: kind SCORE or NULL. *standard_error (may be NULL): of the perplexity, by the delta method.
 * Errors: RANGE (fewer than two tokens), UNSUPPORTED (option bos without a BOS token), MISUSE (a model loaded with
 * vocab_only), CANCELLED, DEADLINE, STOPPED, NOMEM. */
xverse_status xverse_model_perplexity(xverse_model *model, const char *text, size_t len,
                                      const xverse_options *score_options, xverse_cancel *cancel,
                                      xverse_progress_fn fn, void *user, double *perplexity, double *standard_error);

/* -------------------------------------------------------------------------------------------- 6 tokenizer ---- */

/* encode: PLAIN turns everything in the text into ordinary tokens, so that "<|endoftext|>" in a user's text stays text;
 * SPECIAL recognizes special tokens in the text, as Hugging Face does; BOS puts the BOS token first. */
enum { XVERSE_ENCODE_PLAIN = 0, XVERSE_ENCODE_BOS = 1, XVERSE_ENCODE_SPECIAL = 2 };
enum { XVERSE_DECODE_PLAIN = 0, XVERSE_DECODE_SKIP_SPECIAL = 1 };
enum { XVERSE_TOKEN_EOS = 1, XVERSE_TOKEN_BOS = 2, XVERSE_TOKEN_PAD = 3, XVERSE_TOKEN_UNK = 4 };

/* The model's tokenizer, borrowed: it lives as long as the model and must not be released. NULL for NULL. */
const xverse_tokenizer *xverse_model_tokenizer(const xverse_model *model);

/* Loads a tokenizer without a model. path: a tokenizer.json or its directory, or a GGUF file. Special ids come from the
 * config.json in the same directory.
 * Errors: as xverse_model_open; UNSUPPORTED names the component that is not supported. */
xverse_status xverse_tokenizer_open(const char *path, xverse_tokenizer **out);

/* For tokenizers from xverse_tokenizer_open. */
void xverse_tokenizer_release(xverse_tokenizer *tokenizer);

/* Text to ids; *n receives their number. flags: XVERSE_ENCODE_*. Takes time n log n in len.
 * Errors: RANGE (capacity), UNSUPPORTED (XVERSE_ENCODE_BOS without a BOS token), INVALID (flags), NOMEM. */
xverse_status xverse_tokenizer_encode(const xverse_tokenizer *tokenizer, const char *text, size_t len, int32_t flags,
                                      int32_t *tokens, size_t capacity, size_t *n);

/* Ids to text, always valid UTF-8: bytes that form no character become U+FFFD. *text is freed with xverse_free; len
 * may be NULL. Errors: RANGE (an id that does not exist). */
xverse_status xverse_tokenizer_decode(const xverse_tokenizer *tokenizer, const int32_t *tokens, size_t n, int32_t flags,
                                      char **text, size_t *len);

/* Highest id + 1; -1 for NULL. */
int32_t xverse_tokenizer_vocab_size(const xverse_tokenizer *tokenizer);

/* The id of a special token; which: XVERSE_TOKEN_*; -1 when there is none. */
int32_t xverse_tokenizer_special(const xverse_tokenizer *tokenizer, int32_t which);

/* The bytes that a token adds to a text (of a special token: its spelling); they may be part of a character, and live
 * as long as the tokenizer. Each of the three result pointers may be NULL. Errors: RANGE. */
xverse_status xverse_tokenizer_token_bytes(const xverse_tokenizer *tokenizer, int32_t token, const char **bytes,
                                           size_t *len, int32_t *is_special);

/* Streaming: push tokens one by one; *text receives the text that has become certain, whole characters only, often
 * none; it is valid until the next call; len may be NULL. Joined, the pieces are what xverse_tokenizer_decode returns
 * (except for the number of U+FFFD for invalid bytes).
 * flush ends the text, returns what was held back, and makes the object ready for another text.
 * The detokenizer keeps its tokenizer alive. */
xverse_status xverse_detokenizer_create(const xverse_tokenizer *tokenizer, int32_t flags, xverse_detokenizer **out);
void xverse_detokenizer_free(xverse_detokenizer *detokenizer);
xverse_status xverse_detokenizer_push(xverse_detokenizer *detokenizer, int32_t token, const char **text, size_t *len);
xverse_status xverse_detokenizer_flush(xverse_detokenizer *detokenizer, const char **text, size_t *len);

/* ---------------------------------------------------------------------------------------------- 7 session ---- */

/* The reason why generation ended. */
enum {
  XVERSE_FINISH_NONE = 0,      /* it has not ended                              */
  XVERSE_FINISH_EOS = 1,       /* an end-of-sequence token                      */
  XVERSE_FINISH_STOP = 2,      /* a stop string                                 */
  XVERSE_FINISH_LENGTH = 3,    /* max_new_tokens or the context                 */
  XVERSE_FINISH_CALLBACK = 4,  /* the stream callback                           */
  XVERSE_FINISH_CANCELLED = 5,
  XVERSE_FINISH_DEADLINE = 6,
  XVERSE_FINISH_ERROR = 8
};

/* Figures of the last evaluation or generation. Times in nanoseconds of the monotonic clock. In the FINISHED event of a
 * scheduler, times count from xverse_scheduler_submit, ns_queue is the time until the answer first ran, and kv_bytes is
 * the size of all KV blocks of the runtime. */
typedef struct {
  uint32_t size;
  int32_t finish_reason;       /* XVERSE_FINISH_*                                                  */
  int64_t n_prompt;            /* tokens of the prompt, or those that were appended                */
  int64_t n_cached;            /* of these, already in the session or computed by another one     */
  int64_t n_generated;
  int64_t n_draft;             /* tokens guessed and evaluated: prompt lookup, draft model         */
  int64_t n_draft_accepted;    /* of these, those that were then chosen                            */
  int64_t ns_queue;            /* waiting for the compute thread                                   */
  int64_t ns_prefill;          /* evaluating the prompt                                            */
  int64_t ns_decode;           /* everything after the first token was chosen                      */
  int64_t ns_first_token;      /* from the call to the first token                                 */
  int64_t kv_bytes;            /* of this session's KV cache                                       */
  int64_t scratch_bytes;       /* of the runtime's shared work memory                              */
} xverse_stats;

/* A session holds a sequence of tokens and their keys and values. options: kind SESSION or NULL.
 * Errors: MISUSE (a model loaded with vocab_only), NOMEM. */
xverse_status xverse_session_create(xverse_model *model, const xverse_options *options, xverse_session **out);
void xverse_session_free(xverse_session *session);

/* Creates an independent session with the same tokens, logits, options and note, but without a draft model. The keys
 * and values of the common tokens are shared and take no extra memory. Errors: BUSY, NOMEM. */
xverse_status xverse_session_fork(const xverse_session *session, xverse_session **out);

/* Drops all but the first n_tokens; there are no logits until the next evaluation. Errors: RANGE. */
xverse_status xverse_session_truncate(xverse_session *session, int64_t n_tokens);

/* Number of tokens in the session; -1 for NULL. Any thread may call this at any time; while another thread is inside a
 * call on the session, it returns the length from before that call. */
int64_t xverse_session_length(const xverse_session *session);

xverse_status xverse_session_tokens(const xverse_session *session, int32_t *tokens, size_t capacity, size_t *n);

/* Writes the session to a file: its tokens, keys and values, logits and note. After xverse_session_restore, in another
 * process too, it continues with the same bits. The file is written as PATH.partial, readable by its owner only, and
 * replaces PATH when all of it is on the disk: however the process ends, PATH is the old file or the new one. Its size
 * is a little more than kv_bytes of xverse_stats.
 * Errors: UNSUPPORTED (PATH exists and is not a file), BUSY (the session is being changed, or another process is
 * writing the file), NOTFOUND (the directory), IO, NOMEM. */
xverse_status xverse_session_save(const xverse_session *session, const char *path);

/* Replaces the contents of the session by the saved ones; its options stay as they are. A file fits the model that it
 * was saved from, wherever that is loaded from now: sizes, RoPE, types of the matrices and samples of their weights
 * must be the same. Checksums find damage, not forgery: restored keys and values are shared with forks only, not with
 * other sessions.
 * Errors: CORRUPT (damaged, or no saved session), UNSUPPORTED (of a newer version of this library), MISMATCH (of
 * another model or kv_type), CONTEXT_FULL (more tokens than the session's context), NOTFOUND, IO, NOMEM. */
xverse_status xverse_session_restore(xverse_session *session, const char *path);

/* A note is data of the program that belongs to the session: save writes it, restore replaces it, a fork has a copy;
 * nothing else changes or reads it. A chat program can keep its messages there. note is copied; len 0 removes it.
 * Errors: LIMIT (more than 64 MiB), NOMEM: the note is unchanged. */
xverse_status xverse_session_set_note(xverse_session *session, const void *note, size_t len);

/* The note; it lives until the session's next set_note or restore. *note is NULL and *len 0 when there is none. */
xverse_status xverse_session_note(const xverse_session *session, const void **note, size_t *len);

/* Sets a draft model: a smaller one, which guesses tokens that the session's model then evaluates together when the
 * session generates. Answers are the same as without it (section 2, num_assistant_tokens). A draft that does not
 * make generation faster is rarely used. draft NULL: none from now on.
 * options: kind SESSION or NULL: context and kv_type of the draft, which keeps a cache of its own and evaluates
 * the prompt too; it does not guess beyond its context. The session keeps the draft alive until it is replaced or the
 * session is freed.
 * Errors: MISMATCH (a draft with other tokens, other special tokens, another BOS or EOS, or of another runtime), MISUSE
 * (a draft loaded with vocab_only), NOMEM: the previous draft stays. */
xverse_status xverse_session_set_draft(xverse_session *session, xverse_model *draft, const xverse_options *options);

xverse_status xverse_session_stats(const xverse_session *session, xverse_stats *out);

/* ------------------------------------------------------------------------------------------- 8 evaluation ---- */

/* Appends tokens: a prompt (prefill) or the token just chosen (decode). cancel and fn may be NULL; fn: phase
 * "prefill", in tokens. n 0 does nothing.
 * Errors: RANGE (an id outside the vocabulary, nothing appended), CONTEXT_FULL (nothing appended), NOMEM; CANCELLED,
 * DEADLINE, STOPPED: the session holds the tokens evaluated until then. */
xverse_status xverse_session_eval(xverse_session *session, const int32_t *tokens, size_t n, xverse_cancel *cancel,
                                  xverse_progress_fn fn, void *user);

/* The logits after the last token, f32 [n_vocab]; they live until the session's next call that is not a getter. n may
 * be NULL. Errors: MISUSE (there are none yet). */
xverse_status xverse_session_logits(const xverse_session *session, const float **logits, size_t *n);

/* The k most probable next tokens and their natural log-probabilities, most probable first, lower id first among
 * equals. tokens and logprobs hold k entries each; *n receives min(k, n_vocab). Errors: MISUSE (no logits), RANGE. */
xverse_status xverse_session_top_logprobs(const xverse_session *session, int32_t k, int32_t *tokens, float *logprobs,
                                          size_t *n);

/* Appends tokens and returns their log-probabilities: logprobs[i] = ln p(tokens[i] | everything before it), 0 for the
 * first token of an empty session; *sum receives their sum. logprobs [n] and sum may be NULL, not both. Errors: as
 * xverse_session_eval. */
xverse_status xverse_session_score(xverse_session *session, const int32_t *tokens, size_t n, xverse_cancel *cancel,
                                   float *logprobs, double *sum);

/* Appends to each of n_sessions sessions its tokens, tokens[i] [n[i]], and keeps the logits after the last of them:
 * the same bits as xverse_session_eval for one session after the other, in passes of up to 512 tokens that read each
 * weight once for all sessions. tokens[i] may be NULL where n[i] is 0.
 * Errors: INVALID (the same session twice), MISMATCH (sessions of different models, runtimes or kv_types), BUSY (one
 * of them is in use), RANGE (an id outside the vocabulary, more than 512 sessions), CONTEXT_FULL, NOMEM: all sessions
 * are as before, except that after NOMEM one whose older half had to be dropped (option overflow) may be empty.
 * CANCELLED, DEADLINE: each holds what was evaluated until then. */
xverse_status xverse_session_eval_batch(xverse_session *const *sessions, const int32_t *const *tokens, const size_t *n,
                                        size_t n_sessions, xverse_cancel *cancel);

/* How xverse_session_embed reduces the final hidden states of several tokens to one vector: the state of the last
 * token or their mean; with | XVERSE_POOL_NORMALIZE it is scaled to length 1. */
enum { XVERSE_POOL_LAST = 1, XVERSE_POOL_MEAN = 2, XVERSE_POOL_NORMALIZE = 16 };

/* Appends n tokens, at least 1, as xverse_session_eval does, and pools their hidden states after the final norm, the
 * inputs of lm_head: out, f32 [dim]; *dim receives n_embd. To embed a text by itself, begin with an empty session, or
 * truncate it to 0. With capacity 0 and NULL for out nothing is evaluated.
 * Errors: as xverse_session_eval, but CONTEXT_FULL also with overflow = shift; INVALID (pooling), RANGE (n, capacity:
 * nothing is evaluated). */
xverse_status xverse_session_embed(xverse_session *session, const int32_t *tokens, size_t n, int32_t pooling,
                                   xverse_cancel *cancel, float *out, size_t capacity, size_t *dim);

/* ---------------------------------------------------------------------------------------------- 9 sampler ---- */

/* For programs with their own loop: eval, logits, sample, accept. xverse_session_generate does all of this. */

/* Receives, and may change, the logits [n_vocab] after bias and penalties, before temperature. A non-zero result ends
 * the call with XVERSE_STOPPED. */
typedef int32_t (*xverse_logits_fn)(void *user, float *logits, int32_t n_vocab);

/* options: kind SAMPLING or NULL. Errors: RANGE (a logit_bias id outside the vocabulary), CORRUPT (a default of the
 * model's that cannot be used), NOMEM. */
xverse_status xverse_sampler_create(const xverse_model *model, const xverse_options *options, xverse_sampler **out);
void xverse_sampler_free(xverse_sampler *sampler);

/* A copy with the same history, random numbers and callback. */
xverse_status xverse_sampler_clone(const xverse_sampler *sampler, xverse_sampler **out);
xverse_status xverse_sampler_set_callback(xverse_sampler *sampler, xverse_logits_fn fn, void *user);

/* Chooses a token from logits [n], n = n_vocab, which are not changed; the token is not accepted yet. NaN counts as
 * -infinity. *logprob (may be NULL): its natural log-probability under the unchanged logits.
 * Errors: RANGE (n), FAIL (no token possible), STOPPED. */
xverse_status xverse_sampler_sample(xverse_sampler *sampler, const float *logits, size_t n, int32_t *token,
                                    float *logprob);

/* Adds a token to the history that the penalties cover. Tokens accepted before the first sample call are the prompt.
 * Errors: RANGE. */
xverse_status xverse_sampler_accept(xverse_sampler *sampler, int32_t token);

/* ----------------------------------------------------------------------------------- 10 requests, generation ---- */

enum { XVERSE_EVENT_TOKENS = 1, XVERSE_EVENT_FINISHED = 2, XVERSE_EVENT_PREFILL = 3, XVERSE_EVENT_JSON = 4 };

/* What the stream callback receives, valid during the call only, and what xverse_scheduler_next returns.
 * PREFILL: part of the prompt was evaluated. TOKENS: a token was generated; `text` is the text that has become
 * certain, whole characters, possibly none. FINISHED: the last event, with the text that was held back and the reason.
 * JSON: only for requests of OpenAI's interface; `text` is one chunk of the stream (from a scheduler one or more, each
 * followed by a line feed), and apart from request_id nothing else is set. */
typedef struct {
  uint32_t size;
  int32_t kind;              /* XVERSE_EVENT_*                                          */
  uint64_t request_id;       /* of a scheduler; else 0                                  */
  const char *text;          /* never NULL, ends with NUL                               */
  size_t text_len;
  const int32_t *tokens;
  const float *logprobs;     /* NULL without option logprobs                            */
  size_t n_tokens;
  int64_t n_prompt_done;
  int64_t n_prompt_total;
  int32_t finish_reason;     /* XVERSE_FINISH_*                                         */
  xverse_status status;      /* what the generating call will return                    */
  const xverse_stats *stats; /* FINISHED from a scheduler; else NULL                    */
  const char *message;       /* one sentence when status is an error; else NULL         */
} xverse_event;

typedef int32_t (*xverse_stream_fn)(void *user, const xverse_event *event);

/* A request is a prompt and sampling options; it can be used again and extended. The prompt is either raw, tokens and
 * text in the order they were added, or a conversation of messages: mixing them is XVERSE_E_MISUSE. */
xverse_status xverse_request_create(const xverse_model *model, xverse_request **out);
void xverse_request_free(xverse_request *request);

/* Raw tokens. Errors: RANGE (an id outside the vocabulary), MISUSE (the request has messages), NOMEM. */
xverse_status xverse_request_add_tokens(xverse_request *request, const int32_t *tokens, size_t n);

/* Raw text without a template; special tokens in it stay text. */
xverse_status xverse_request_add_text(xverse_request *request, const char *text, size_t len);

/* One message of a conversation, in order. role: "system" (first message only), "user", "assistant" or "exec" (the
 * output of a tool). When the prompt is made, the last message must not be the system's. If it is the assistant's, it
 * is continued: the rest of that answer is generated, and the caller appends it. As in XVERSE's own chat(), the prompt
 * may take the context less max_new_tokens, but at least half the context, and exactly half of it when max_new_tokens
 * is not set: the oldest rounds that do not fit are left out, and a last message that does not fit by itself is cut at
 * its end. Errors: INVALID (role), MISUSE (the request has raw text or tokens), NOMEM. */
xverse_status xverse_request_add_message(xverse_request *request, const char *role, const char *text, size_t len);

/* sampling: kind SAMPLING, copied; NULL: the model's defaults. Errors: RANGE (a logit_bias id outside the
 * vocabulary). */
xverse_status xverse_request_set_options(xverse_request *request, const xverse_options *sampling);

/* The prompt as tokens, as a session or scheduler whose context is n_ctx_train evaluates it; with a smaller context,
 * more rounds of a conversation may be left out. Errors: INVALID (a conversation that cannot be answered), UNSUPPORTED
 * (a conversation, and the model has no end-of-sequence token), CONTEXT_FULL, RANGE (capacity), BUSY, NOMEM. */
xverse_status xverse_request_tokens(const xverse_request *request, int32_t *tokens, size_t capacity, size_t *n);

/* Generates. The longest common prefix of the session's tokens and the prompt is kept and the rest evaluated, so a
 * growing conversation costs only its new part; afterwards the session holds the prompt and the generated tokens except
 * the last. cancel and fn may be NULL; *out is freed with xverse_result_free.
 * Errors: CONTEXT_FULL (a prompt that does not fit), INVALID (an empty prompt, a conversation that cannot be answered,
 * option n above 1), RANGE (a token beyond the vocabulary), UNSUPPORTED (a conversation, and the model has no
 * end-of-sequence token), CORRUPT (an invalid default of the model), MISMATCH (session and request of
 * different models), BUSY (session or request in use): the session is as before. CANCELLED, DEADLINE, FAIL, NOMEM: no
 * result, the session holds what was evaluated.
 * STOPPED (by fn): *out is valid. */
xverse_status xverse_session_generate(xverse_session *session, const xverse_request *request, xverse_cancel *cancel,
                                      xverse_stream_fn fn, void *user, xverse_result **out);

/* Answers a request of OpenAI's interface: chat completions when the object has "messages", completions when it has
 * "prompt". docs/openai.md lists the fields. A field or value that is not supported is an error that names it; null
 * counts as absent.
 *
 * Defaults come from the model's generation_config.json, otherwise from OpenAI's interface: sampling with temperature
 * 1, top_p 1, no top_k; max_tokens 16 for completions, else the context. The roles developer and system are "system",
 * tool and function "exec" (see xverse_request_add_message); a last message of the assistant is continued. No message
 * is left out: a conversation that does not fit is CONTEXT_FULL. The session's tokens are used again as in
 * xverse_session_generate, and counted in usage.prompt_tokens_details.cached_tokens. "n" answers are generated one
 * after the other, answer i with seed + i; the prompt is evaluated once for all of them.
 *
 * *out receives the response, UTF-8 that ends with NUL, freed with xverse_free; out_len may be NULL. After an error
 * *out is not NULL but OpenAI's error object, {"error": {"message", "type", "param", "code"}}, with the message of
 * xverse_last_error(), freed with xverse_free as well. *out is NULL only inside a callback (MISUSE), after fork()
 * (FORKED), and when there is no memory for the object.
 *
 * fn may be NULL without "stream": true, and receives the events of xverse_session_generate, those of answer 0 first.
 * With "stream": true it receives PREFILL events, and a JSON event for each chunk of the stream; *out still receives
 * the whole response. For each chunk, a server sends "data: ", the chunk and two line feeds; at the end, "data:
 * [DONE]". cancel may be NULL. The request may have at most 64 MiB.
 *
 * Errors: PARSE (not JSON; see xverse_last_error_offset), LIMIT (longer or more deeply nested than accepted), INVALID,
 * RANGE, UNSUPPORTED (a field), and those of xverse_session_generate, which leave the session as described there.
 * STOPPED (by fn): *out is valid and has the answers so far; one that was cut off has "finish_reason": null. */
xverse_status xverse_session_generate_json(xverse_session *session, const char *json, size_t len, xverse_cancel *cancel,
                                           xverse_stream_fn fn, void *user, char **out, size_t *out_len);

/* The generated text, without the stop string and special tokens. After a raw prompt, and for an answer that is
 * continued, it is the continuation, including a leading space. NUL-terminated. Lives as long as the result, as do the
 * arrays below. len may be NULL. */
xverse_status xverse_result_text(const xverse_result *result, const char **text, size_t *len);

/* The generated tokens, including a final EOS; *logprobs is NULL without option logprobs. logprobs may be NULL. */
xverse_status xverse_result_tokens(const xverse_result *result, const int32_t **tokens, const float **logprobs,
                                   size_t *n);
xverse_status xverse_result_stats(const xverse_result *result, xverse_stats *out);
void xverse_result_free(xverse_result *result);

/* ------------------------------------------------------------------------------------------- 11 scheduler ---- */

/* A scheduler answers many requests to one model at a time: every pass through the weights extends all running answers
 * and evaluates parts of the prompts that join them (continuous batching). An answer has the same tokens as from
 * xverse_session_generate, whatever else runs at the same time. Requests that begin with the same tokens share the
 * keys and values of these. Under memory_limit an answer may be preempted and computed again later; it fails with
 * NOMEM only if it does not fit alone. docs/scheduling.md describes the policy.
 *
 * Any thread may call any of these functions at any time, except xverse_scheduler_free. A scheduler has one thread,
 * which plans the passes; they run on the runtime's compute thread, in turn with the work of its sessions. The
 * scheduler keeps its model alive. */

/* options: kind SCHEDULER or NULL. Errors: MISUSE (a model loaded with vocab_only), NOMEM, IO (no file descriptor). */
xverse_status xverse_scheduler_create(xverse_model *model, const xverse_options *options, xverse_scheduler **out);

/* Ends all answers; there are no more events. Calls waiting in xverse_scheduler_next return MISUSE; no thread may call
 * a function of this scheduler afterwards. */
void xverse_scheduler_free(xverse_scheduler *scheduler);

/* Sets a draft model, which guesses for all answers that start to run from now on, together; draft NULL: none.
 * Otherwise as xverse_session_set_draft, with a cache for each running answer. When memory is short, the draft's caches
 * are freed before an answer has to wait. Errors: MISMATCH, MISUSE, NOMEM: the previous draft stays. */
xverse_status xverse_scheduler_set_draft(xverse_scheduler *scheduler, xverse_model *draft, const xverse_options *options);

/* Queues n answers (option n) to a request and returns at once. The request is copied and may be changed or freed. *id
 * receives the number of the first answer, at least 1; the others have the following numbers.
 * Errors: QUEUE_FULL (there would be more than max_num_seqs + max_queued_requests answers whose FINISHED event has not
 * been read), CONTEXT_FULL (a prompt longer than option context), INVALID (an empty prompt, a conversation that cannot
 * be answered), RANGE (a token beyond the vocabulary), UNSUPPORTED (a conversation, and the model has no
 * end-of-sequence token), CORRUPT (an invalid default of the model), MISMATCH (scheduler and request of different
 * models), BUSY (the request is being changed), NOMEM. *id is 0 after an error. */
xverse_status xverse_scheduler_submit(xverse_scheduler *scheduler, const xverse_request *request, uint64_t *id);

/* Queues a request of OpenAI's interface: the same JSON as for xverse_session_generate_json (docs/openai.md lists the
 * fields). All its answers share the number *id and run together: chunks of different answers may alternate and are
 * distinguished by "index". With "stream": true there are events of kind JSON, whose text is one or more chunks, each
 * followed by a line feed. The one FINISHED event has the last chunks as its text; without "stream" the response; after
 * an error OpenAI's error object. xverse_scheduler_cancel ends all answers of the request.
 * error and error_len may be NULL. If the call fails, *error receives OpenAI's error object, freed with xverse_free, or
 * NULL when there is no memory for it, in a callback (MISUSE), and after fork() (FORKED); else NULL.
 * Errors: as xverse_scheduler_submit; PARSE, INVALID, RANGE, UNSUPPORTED, LIMIT (the request). */
xverse_status xverse_scheduler_submit_json(xverse_scheduler *scheduler, const char *json, size_t len, uint64_t *id,
                                           char **error, size_t *error_len);

/* Ends an answer soon. Its FINISHED event has the reason CANCELLED and the status XVERSE_E_CANCELLED, unless the answer
 * ended before; option deadline_ms, in contrast, ends it with the status XVERSE_OK. Allowed in callbacks.
 * Errors: INVALID (a number that no answer has had). */
xverse_status xverse_scheduler_cancel(xverse_scheduler *scheduler, uint64_t id);

/* Waits for the next event, at most timeout_ms milliseconds; 0: does not wait; below 0: no limit. *event belongs to
 * the library and is valid until the same thread calls this function again, for any scheduler, frees the scheduler, or
 * ends. Each event is returned once, to one thread; the events of one answer come in order. TOKENS has all tokens and
 * text since the answer's last event: an unread answer needs memory in proportion to its length and does not delay
 * others. FINISHED has the answer's stats, and a message when its status is below 0. There are no PREFILL events.
 * Returns XVERSE_TIMEOUT, with *event NULL, when there was no event in time. Errors: NOMEM (the event stays), MISUSE
 * (the scheduler was freed meanwhile). */
xverse_status xverse_scheduler_next(xverse_scheduler *scheduler, int32_t timeout_ms, const xverse_event **event);

/* A file descriptor (eventfd) that is readable while there are events, for poll, epoll, asyncio or libuv. When it is
 * readable, call xverse_scheduler_next with timeout 0 until it returns XVERSE_TIMEOUT. The scheduler reads, writes and
 * closes it. -1 for NULL. */
int32_t xverse_scheduler_fd(const xverse_scheduler *scheduler);

/* Statistics since the scheduler was created, as a JSON object: running, waiting, unread (answers); finished,
 * preemptions, passes; prompt_tokens (evaluated), cached_tokens (of prompts, not evaluated), generated_tokens;
 * draft_tokens and accepted_draft_tokens (guessed, and how many of these were right, of finished answers);
 * busy_seconds and tokens_per_second (evaluated and generated, in that time); first_token_ms_mean and
 * first_token_ms_max (from submission, of finished answers); of the runtime: kv_blocks, kv_bytes; of the model:
 * prefix_blocks, prefix_bytes, prefix_hit_rate (of the tokens that were looked up). *json is freed with xverse_free;
 * len may be NULL. */
xverse_status xverse_scheduler_stats(const xverse_scheduler *scheduler, char **json, size_t *len);

#ifdef __cplusplus
}
#endif
#endif
