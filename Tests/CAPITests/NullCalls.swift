// NullCalls.swift -- how to call each function of xverse.h with one of its pointers NULL, and what it must answer.

import CXverse
import Glibc

/// Calls a function that makes a handle, with something else than NULL in the handle before.
private func making(
  _ free: Handle.Free, _ argument: NulledArgument,
  _ create: (UnsafeMutablePointer<OpaquePointer?>?) -> xverse_status
) -> NullAnswer {
  var out = OpaquePointer(bitPattern: 1)
  let status = withUnsafeMutablePointer(to: &out) { create(argument("out", $0)) }
  guard argument.name != "out" else { return .status(Int(status)) }
  if status == 0 { free(out) }
  return .status(Int(status), outIsNull: out == nil)
}

/// Calls a function that delivers something through a pointer, which is not NULL before.
private func pointing<Pointee>(
  to name: String, _ argument: NulledArgument,
  _ call: (UnsafeMutablePointer<UnsafePointer<Pointee>?>?) -> xverse_status
) -> NullAnswer {
  var out = UnsafePointer<Pointee>(bitPattern: 16)
  let status = withUnsafeMutablePointer(to: &out) { call(argument(name, $0)) }
  return argument.name == name ? .status(Int(status)) : .status(Int(status), outIsNull: out == nil)
}

private func done(_ status: xverse_status) -> NullAnswer { .status(Int(status)) }

private func nothing(_: Void) -> NullAnswer { .nothing }

/// A variable for results that no test looks at.
private func scratch<Value, Result>(_ value: Value, _ body: (UnsafeMutablePointer<Value>) -> Result) -> Result {
  var value = value
  return withUnsafeMutablePointer(to: &value, body)
}

private let goOn: xverse_progress_fn = { _, _, _, _ in 0 }

extension NullCall {
  static let library = [
    NullCall("xverse_free", ["memory": .nothing]) { _, null in nothing(xverse_free(null("memory", malloc(1)))) }
  ]

  static let options = [
    NullCall("xverse_options_create", ["out": .rejected]) { _, null in
      making(xverse_options_free, null) { xverse_options_create(Int32(XVERSE_OPTIONS_MODEL), $0) }
    },
    NullCall("xverse_options_free", ["options": .nothing]) { _, null in
      nothing(xverse_options_free(null("options", nil)))
    },
    NullCall("xverse_options_set_int", ["options": .rejected, "key": .rejected]) { o, null in
      done("top_k".withCString { xverse_options_set_int(null("options", o.options), null("key", $0), 1) })
    },
    NullCall("xverse_options_set_float", ["options": .rejected, "key": .rejected]) { o, null in
      done("top_p".withCString { xverse_options_set_float(null("options", o.options), null("key", $0), 1) })
    },
    NullCall("xverse_options_set_string", ["options": .rejected, "key": .rejected, "value": .rejected]) { o, null in
      done(
        "stop".withCString { key in
          "[]".withCString { value in
            xverse_options_set_string(null("options", o.options), null("key", key), null("value", value), 2)
          }
        })
    },
    NullCall("xverse_options_set_json", ["options": .rejected, "json": .rejected]) { o, null in
      done("{}".withCString { xverse_options_set_json(null("options", o.options), null("json", $0), 2) })
    },
    NullCall("xverse_options_describe", ["info": .rejected]) { _, null in
      done(
        scratch(xverse_option_info()) {
          $0.pointee.size = UInt32(MemoryLayout<xverse_option_info>.size)
          return xverse_options_describe(Int32(XVERSE_OPTIONS_MODEL), 0, null("info", $0))
        })
    },
  ]

  static let runtime = [
    NullCall("xverse_runtime_create", ["options": .made, "allocator": .made, "out": .rejected]) { o, null in
      let host = RecordingHost()
      let options = o.options(XVERSE_OPTIONS_RUNTIME)
      return withExtendedLifetime(host) {
        making(xverse_runtime_release, null) { out in
          scratch(host.allocator) {
            xverse_runtime_create(null("options", options?.pointer), null("allocator", UnsafePointer($0)), out)
          }
        }
      }
    },
    NullCall("xverse_runtime_release", ["runtime": .nothing]) { _, null in
      nothing(xverse_runtime_release(null("runtime", nil)))
    },
    NullCall("xverse_runtime_set_log", ["runtime": .accepted, "fn": .accepted]) { o, null in
      let log: xverse_log_fn = { _, _, _, _ in }
      return done(
        xverse_runtime_set_log(null("runtime", o.runtime), null("fn", log), nil, Int32(XVERSE_LOG_OFF)))
    },
    NullCall("xverse_runtime_memory", ["runtime": .accepted, "current": .accepted, "peak": .accepted]) { o, null in
      done(
        scratch(Int64(0)) { current in
          scratch(Int64(0)) { peak in
            xverse_runtime_memory(null("runtime", o.runtime), null("current", current), null("peak", peak))
          }
        })
    },
    NullCall("xverse_cancel_create", ["out": .rejected]) { _, null in
      making(xverse_cancel_free, null) { xverse_cancel_create($0) }
    },
    NullCall("xverse_cancel_free", ["cancel": .nothing]) { _, null in
      nothing(xverse_cancel_free(null("cancel", nil)))
    },
    NullCall("xverse_cancel_trigger", ["cancel": .nothing]) { o, null in
      nothing(xverse_cancel_trigger(null("cancel", o.cancel)))
    },
    NullCall("xverse_cancel_reset", ["cancel": .nothing]) { o, null in
      nothing(xverse_cancel_reset(null("cancel", o.cancel), 1))
    },
  ]

  static let models = [
    NullCall("xverse_model_open", ["path": .rejectedWithNull, "options": .made, "out": .rejected]) { o, null in
      let options = o.options(XVERSE_OPTIONS_MODEL)
      return making(xverse_model_release, null) { out in
        o.path.withCString { xverse_model_open(null("path", $0), null("options", options?.pointer), out) }
      }
    },
    NullCall(
      "xverse_model_load",
      [
        "runtime": .made, "path": .rejectedWithNull, "options": .made, "cancel": .made, "fn": .made, "out": .rejected,
      ]
    ) { o, null in
      let options = o.options(XVERSE_OPTIONS_MODEL)
      return making(xverse_model_release, null) { out in
        o.path.withCString {
          xverse_model_load(
            null("runtime", o.runtime), null("path", $0), null("options", options?.pointer),
            null("cancel", o.cancel), null("fn", goOn), nil, out)
        }
      }
    },
    NullCall(
      "xverse_model_inspect", ["path": .rejectedWithNull, "options": .made, "json": .rejected, "len": .made]
    ) { o, null in
      let options = o.options(XVERSE_OPTIONS_MODEL)
      var json = UnsafeMutablePointer<CChar>(bitPattern: 1)
      let status = withUnsafeMutablePointer(to: &json) { json in
        scratch(0) { length in
          o.path.withCString {
            xverse_model_inspect(
              null("path", $0), null("options", options?.pointer), null("json", json), null("len", length))
          }
        }
      }
      guard null.name != "json" else { return .status(Int(status)) }
      if status == 0 { xverse_free(json) }
      return .status(Int(status), outIsNull: json == nil)
    },
    NullCall("xverse_model_retain", ["model": .null]) { _, null in
      xverse_model_retain(null("model", nil)) == nil ? .null : .nothing
    },
    NullCall("xverse_model_release", ["model": .nothing]) { _, null in
      nothing(xverse_model_release(null("model", nil)))
    },
    NullCall("xverse_model_get_info", ["model": .rejected, "out": .rejected]) { o, null in
      done(
        scratch(xverse_model_info()) {
          $0.pointee.size = UInt32(MemoryLayout<xverse_model_info>.size)
          return xverse_model_get_info(null("model", o.model), null("out", $0))
        })
    },
    NullCall(
      "xverse_model_perplexity",
      [
        "model": .rejected, "text": .rejected, "score_options": .accepted, "cancel": .accepted, "fn": .accepted,
        "perplexity": .rejected, "standard_error": .accepted,
      ]
    ) { o, null in
      let options = o.options(XVERSE_OPTIONS_SCORE)
      return done(
        scratch(0.0) { perplexity in
          scratch(0.0) { error in
            "some text".withCString {
              xverse_model_perplexity(
                null("model", o.model), null("text", $0), 9, null("score_options", options?.pointer),
                null("cancel", o.cancel), null("fn", goOn), nil, null("perplexity", perplexity),
                null("standard_error", error))
            }
          }
        })
    },
  ]

  static let tokenizers = [
    NullCall("xverse_model_tokenizer", ["model": .null]) { _, null in
      xverse_model_tokenizer(null("model", nil)) == nil ? .null : .nothing
    },
    NullCall("xverse_tokenizer_open", ["path": .rejectedWithNull, "out": .rejected]) { o, null in
      making(xverse_tokenizer_release, null) { out in
        o.path.withCString { xverse_tokenizer_open(null("path", $0), out) }
      }
    },
    NullCall("xverse_tokenizer_release", ["tokenizer": .nothing]) { _, null in
      nothing(xverse_tokenizer_release(null("tokenizer", nil)))
    },
    NullCall(
      "xverse_tokenizer_encode", ["tokenizer": .rejected, "text": .rejected, "tokens": .rejected, "n": .rejected]
    ) { o, null in
      done(
        scratch(Int32(0)) { tokens in
          scratch(0) { count in
            "a".withCString {
              xverse_tokenizer_encode(
                null("tokenizer", o.tokenizer), null("text", $0), 1, 0, null("tokens", tokens), 1, null("n", count))
            }
          }
        })
    },
    NullCall(
      "xverse_tokenizer_decode",
      ["tokenizer": .rejectedWithNull, "tokens": .rejectedWithNull, "text": .rejected, "len": .made]
    ) { o, null in
      var text = UnsafeMutablePointer<CChar>(bitPattern: 1)
      let status = withUnsafeMutablePointer(to: &text) { text in
        scratch(0) { length in
          scratch(Int32(7)) {
            xverse_tokenizer_decode(
              null("tokenizer", o.tokenizer), null("tokens", UnsafePointer($0)), 1, 0, null("text", text),
              null("len", length))
          }
        }
      }
      guard null.name != "text" else { return .status(Int(status)) }
      if status == 0 { xverse_free(text) }
      return .status(Int(status), outIsNull: text == nil)
    },
    NullCall("xverse_tokenizer_vocab_size", ["tokenizer": .value(-1)]) { _, null in
      .value(Int64(xverse_tokenizer_vocab_size(null("tokenizer", nil))))
    },
    NullCall("xverse_tokenizer_special", ["tokenizer": .value(-1)]) { _, null in
      .value(Int64(xverse_tokenizer_special(null("tokenizer", nil), Int32(XVERSE_TOKEN_EOS))))
    },
    NullCall(
      "xverse_tokenizer_token_bytes",
      ["tokenizer": .rejected, "bytes": .accepted, "len": .accepted, "is_special": .accepted]
    ) { o, null in
      done(
        scratch(UnsafePointer<CChar>(bitPattern: 0)) { bytes in
          scratch(0) { length in
            scratch(Int32(0)) {
              xverse_tokenizer_token_bytes(
                null("tokenizer", o.tokenizer), 7, null("bytes", bytes), null("len", length), null("is_special", $0))
            }
          }
        })
    },
    NullCall("xverse_detokenizer_create", ["tokenizer": .rejectedWithNull, "out": .rejected]) { o, null in
      making(xverse_detokenizer_free, null) { xverse_detokenizer_create(null("tokenizer", o.tokenizer), 0, $0) }
    },
    NullCall("xverse_detokenizer_free", ["detokenizer": .nothing]) { _, null in
      nothing(xverse_detokenizer_free(null("detokenizer", nil)))
    },
    NullCall(
      "xverse_detokenizer_push", ["detokenizer": .rejectedWithNull, "text": .rejected, "len": .made]
    ) { o, null in
      pointing(to: "text", null) { text in
        scratch(0) { xverse_detokenizer_push(null("detokenizer", o.detokenizer), 7, text, null("len", $0)) }
      }
    },
    NullCall(
      "xverse_detokenizer_flush", ["detokenizer": .rejectedWithNull, "text": .rejected, "len": .made]
    ) { o, null in
      pointing(to: "text", null) { text in
        scratch(0) { xverse_detokenizer_flush(null("detokenizer", o.detokenizer), text, null("len", $0)) }
      }
    },
  ]

  static let sessions = [
    NullCall("xverse_session_create", ["model": .rejectedWithNull, "options": .made, "out": .rejected]) { o, null in
      let options = o.options(XVERSE_OPTIONS_SESSION)
      return making(xverse_session_free, null) {
        xverse_session_create(null("model", o.model), null("options", options?.pointer), $0)
      }
    },
    NullCall("xverse_session_free", ["session": .nothing]) { _, null in
      nothing(xverse_session_free(null("session", nil)))
    },
    NullCall("xverse_session_truncate", ["session": .rejected]) { o, null in
      done(xverse_session_truncate(null("session", o.session), 0))
    },
    NullCall("xverse_session_length", ["session": .value(-1)]) { _, null in
      .value(xverse_session_length(null("session", nil)))
    },
    NullCall("xverse_session_tokens", ["session": .rejected, "tokens": .rejected, "n": .rejected]) { o, null in
      done(
        scratch(Int32(0)) { tokens in
          scratch(0) { xverse_session_tokens(null("session", o.session), null("tokens", tokens), 1, null("n", $0)) }
        })
    },
    NullCall("xverse_session_stats", ["session": .rejected, "out": .rejected]) { o, null in
      done(
        scratch(xverse_stats()) {
          $0.pointee.size = UInt32(MemoryLayout<xverse_stats>.size)
          return xverse_session_stats(null("session", o.session), null("out", $0))
        })
    },
    NullCall(
      "xverse_session_eval", ["session": .rejected, "tokens": .rejected, "cancel": .accepted, "fn": .accepted]
    ) { o, null in
      done(
        scratch(Int32(7)) {
          xverse_session_eval(
            null("session", o.session), null("tokens", UnsafePointer($0)), 1, null("cancel", o.cancel),
            null("fn", goOn), nil)
        })
    },
    NullCall("xverse_session_logits", ["session": .rejectedWithNull, "logits": .rejected, "n": .made]) { o, null in
      pointing(to: "logits", null) { logits in
        scratch(0) { xverse_session_logits(null("session", o.session), logits, null("n", $0)) }
      }
    },
    NullCall(
      "xverse_session_top_logprobs",
      ["session": .rejected, "tokens": .rejected, "logprobs": .rejected, "n": .rejected]
    ) { o, null in
      done(
        scratch(Int32(0)) { tokens in
          scratch(Float(0)) { logprobs in
            scratch(0) {
              xverse_session_top_logprobs(
                null("session", o.session), 1, null("tokens", tokens), null("logprobs", logprobs), null("n", $0))
            }
          }
        })
    },
    NullCall(
      "xverse_session_score",
      [
        "session": .rejected, "tokens": .rejected, "cancel": .accepted, "logprobs": .accepted, "sum": .accepted,
      ]
    ) { o, null in
      done(
        scratch(Int32(7)) { tokens in
          scratch(Float(0)) { logprobs in
            scratch(0.0) {
              xverse_session_score(
                null("session", o.session), null("tokens", UnsafePointer(tokens)), 1, null("cancel", o.cancel),
                null("logprobs", logprobs), null("sum", $0))
            }
          }
        })
    },
    NullCall(
      "xverse_session_generate",
      ["session": .rejectedWithNull, "request": .rejectedWithNull, "cancel": .made, "fn": .made, "out": .rejected]
    ) { o, null in
      let listen: xverse_stream_fn = { _, _ in 0 }
      return making(xverse_result_free, null) {
        xverse_session_generate(
          null("session", o.session), null("request", o.request), null("cancel", o.cancel), null("fn", listen), nil,
          $0)
      }
    },
  ]

  static let samplers = [
    NullCall("xverse_sampler_create", ["model": .rejectedWithNull, "options": .made, "out": .rejected]) { o, null in
      making(xverse_sampler_free, null) {
        xverse_sampler_create(null("model", o.model), null("options", o.options), $0)
      }
    },
    NullCall("xverse_sampler_free", ["sampler": .nothing]) { _, null in
      nothing(xverse_sampler_free(null("sampler", nil)))
    },
    NullCall("xverse_sampler_clone", ["sampler": .rejectedWithNull, "out": .rejected]) { o, null in
      making(xverse_sampler_free, null) { xverse_sampler_clone(null("sampler", o.sampler), $0) }
    },
    NullCall("xverse_sampler_set_callback", ["sampler": .rejected, "fn": .accepted]) { o, null in
      let look: xverse_logits_fn = { _, _, _ in 0 }
      return done(xverse_sampler_set_callback(null("sampler", o.sampler), null("fn", look), nil))
    },
    NullCall(
      "xverse_sampler_sample",
      ["sampler": .rejected, "logits": .rejected, "token": .rejected, "logprob": .accepted]
    ) { o, null in
      var logits: UnsafePointer<Float>?
      var count = 0
      _ = xverse_session_logits(o.session, &logits, &count)
      return done(
        scratch(Int32(0)) { token in
          scratch(Float(0)) {
            xverse_sampler_sample(
              null("sampler", o.sampler), null("logits", logits), count, null("token", token), null("logprob", $0))
          }
        })
    },
    NullCall("xverse_sampler_accept", ["sampler": .rejected]) { o, null in
      done(xverse_sampler_accept(null("sampler", o.sampler), 7))
    },
  ]

  static let requests = [
    NullCall("xverse_request_create", ["model": .rejectedWithNull, "out": .rejected]) { o, null in
      making(xverse_request_free, null) { xverse_request_create(null("model", o.model), $0) }
    },
    NullCall("xverse_request_free", ["request": .nothing]) { _, null in
      nothing(xverse_request_free(null("request", nil)))
    },
    NullCall("xverse_request_add_tokens", ["request": .rejected, "tokens": .rejected]) { o, null in
      done(
        scratch(Int32(7)) {
          xverse_request_add_tokens(null("request", o.request), null("tokens", UnsafePointer($0)), 1)
        })
    },
    NullCall("xverse_request_add_text", ["request": .rejected, "text": .rejected]) { o, null in
      done("a".withCString { xverse_request_add_text(null("request", o.request), null("text", $0), 1) })
    },
    NullCall("xverse_request_add_message", ["request": .rejected, "role": .rejected, "text": .rejected]) { o, null in
      let conversation = o.emptyRequest
      return done(
        "user".withCString { role in
          "a".withCString {
            xverse_request_add_message(null("request", conversation?.pointer), null("role", role), null("text", $0), 1)
          }
        })
    },
    NullCall("xverse_request_set_options", ["request": .rejected, "sampling": .accepted]) { o, null in
      done(xverse_request_set_options(null("request", o.request), null("sampling", o.options)))
    },
    NullCall("xverse_request_tokens", ["request": .rejected, "tokens": .rejected, "n": .rejected]) { o, null in
      done(
        scratch(Int32(0)) { tokens in
          scratch(0) { xverse_request_tokens(null("request", o.request), null("tokens", tokens), 1, null("n", $0)) }
        })
    },
    NullCall("xverse_result_text", ["result": .rejectedWithNull, "text": .rejected, "len": .made]) { o, null in
      pointing(to: "text", null) { text in
        scratch(0) { xverse_result_text(null("result", o.result), text, null("len", $0)) }
      }
    },
    NullCall(
      "xverse_result_tokens",
      ["result": .rejectedWithNull, "tokens": .rejected, "logprobs": .made, "n": .rejectedWithNull]
    ) { o, null in
      pointing(to: "tokens", null) { tokens in
        scratch(UnsafePointer<Float>(bitPattern: 0)) { logprobs in
          scratch(0) {
            xverse_result_tokens(null("result", o.result), tokens, null("logprobs", logprobs), null("n", $0))
          }
        }
      }
    },
    NullCall("xverse_result_stats", ["result": .rejected, "out": .rejected]) { o, null in
      done(
        scratch(xverse_stats()) {
          $0.pointee.size = UInt32(MemoryLayout<xverse_stats>.size)
          return xverse_result_stats(null("result", o.result), null("out", $0))
        })
    },
    NullCall("xverse_result_free", ["result": .nothing]) { _, null in
      nothing(xverse_result_free(null("result", nil)))
    },
  ]
}
