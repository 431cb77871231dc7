// NullCalls.swift -- how to call each function of xverse.h with one of its pointers NULL, and what it must answer.

import CXverse
import Glibc
import TestSupport

extension NullCall {
  /// Calls a function that makes a handle, with something else than NULL in the handle before.
  static func making(
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
  static func pointing<Pointee>(
    to name: String, _ argument: NulledArgument,
    _ call: (UnsafeMutablePointer<UnsafePointer<Pointee>?>?) -> xverse_status
  ) -> NullAnswer {
    var out = UnsafePointer<Pointee>(bitPattern: 16)
    let status = withUnsafeMutablePointer(to: &out) { call(argument(name, $0)) }
    return argument.name == name ? .status(Int(status)) : .status(Int(status), outIsNull: out == nil)
  }

  static func done(_ status: xverse_status) -> NullAnswer { .status(Int(status)) }

  static func nothing(_: Void) -> NullAnswer { .nothing }

  /// A variable for results that no test looks at.
  static func scratch<Value, Result>(_ value: Value, _ body: (UnsafeMutablePointer<Value>) -> Result) -> Result {
    var value = value
    return withUnsafeMutablePointer(to: &value, body)
  }

  static let goOn: xverse_progress_fn = { _, _, _, _ in 0 }
}

extension NullCall {
  static let library = [
    NullCall("xverse_free", ["memory": .nothing]) { _, null in nothing(xverse_free(null("memory", nil))) }
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
      "xverse_model_load_source",
      [
        "runtime": .made, "source": .rejectedWithNull, "options": .made, "cancel": .made, "fn": .made,
        "out": .rejected,
      ]
    ) { o, null in
      guard let files = try? MemoryFiles(directory: o.path) else { return .nothing }
      let options = o.options(XVERSE_OPTIONS_MODEL)
      return making(xverse_model_release, null) { out in
        scratch(MemoryFiles.source) { source in
          xverse_model_load_source(
            null("runtime", o.runtime), null("source", UnsafePointer(source)), files.user,
            null("options", options?.pointer), null("cancel", o.cancel), null("fn", goOn), nil, out)
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
    NullCall(
      "xverse_model_estimate",
      ["path": .rejected, "model": .accepted, "session": .accepted, "out": .rejected]
    ) { o, null in
      let options = (o.options(XVERSE_OPTIONS_MODEL), o.options(XVERSE_OPTIONS_SESSION))
      var out = xverse_memory_estimate()
      out.size = UInt32(MemoryLayout<xverse_memory_estimate>.size)
      return done(
        scratch(out) { out in
          o.path.withCString {
            xverse_model_estimate(
              null("path", $0), null("model", options.0?.pointer), null("session", options.1?.pointer),
              null("out", out))
          }
        })
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

  static let conversion = [
    NullCall(
      "xverse_convert",
      [
        "runtime": .accepted, "source": .rejected, "destination": .rejected, "options": .accepted, "cancel": .accepted,
        "fn": .accepted,
      ]
    ) { o, null in
      let options = o.options(XVERSE_OPTIONS_CONVERT)
      guard let place = try? TemporaryDirectory() else { return .nothing }
      return done(
        o.path.withCString { source in
          (place.path + "/new").withCString { destination in
            xverse_convert(
              null("runtime", o.runtime), null("source", source), null("destination", destination),
              null("options", options?.pointer), null("cancel", o.cancel), null("fn", goOn), nil)
          }
        })
    }
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
}
