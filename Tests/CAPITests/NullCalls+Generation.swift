// NullCalls+Generation.swift -- sections 7 to 11 of xverse.h with NULL: sessions, samplers, requests, results and
// schedulers.

import CXverse

extension NullCall {
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
    NullCall("xverse_session_fork", ["session": .rejectedWithNull, "out": .rejected]) { o, null in
      making(xverse_session_free, null) { xverse_session_fork(null("session", o.session), $0) }
    },
    NullCall("xverse_session_save", ["session": .rejected, "path": .rejected]) { o, null in
      done((o.path + "/session").withCString { xverse_session_save(null("session", o.session), null("path", $0)) })
    },
    NullCall("xverse_session_restore", ["session": .rejected, "path": .rejected]) { o, null in
      let path = o.path + "/session"
      _ = xverse_session_save(o.session, path)
      return done(path.withCString { xverse_session_restore(null("session", o.session), null("path", $0)) })
    },
    NullCall("xverse_session_set_note", ["session": .rejected, "note": .rejected]) { o, null in
      done(
        scratch(Int32(7)) {
          xverse_session_set_note(null("session", o.session), null("note", UnsafeRawPointer($0)), 4)
        })
    },
    NullCall("xverse_session_note", ["session": .rejected, "note": .rejected, "len": .rejected]) { o, null in
      done(
        scratch(UnsafeRawPointer?.none) { note in
          scratch(0) { xverse_session_note(null("session", o.session), null("note", note), null("len", $0)) }
        })
    },
    NullCall("xverse_session_truncate", ["session": .rejected]) { o, null in
      done(xverse_session_truncate(null("session", o.session), 0))
    },
    NullCall(
      "xverse_session_set_draft", ["session": .rejected, "draft": .accepted, "options": .accepted]
    ) { o, null in
      let options = o.options(XVERSE_OPTIONS_SESSION)
      return done(
        xverse_session_set_draft(null("session", o.session), null("draft", o.model), null("options", options?.pointer)))
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
      "xverse_session_eval_batch",
      ["sessions": .rejected, "tokens": .rejected, "n": .rejected, "cancel": .accepted]
    ) { o, null in
      done(
        scratch(Int32(7)) { token in
          scratch(o.session) { session in
            scratch(Optional(UnsafePointer(token))) { tokens in
              scratch(1) {
                xverse_session_eval_batch(
                  null("sessions", UnsafePointer(session)), null("tokens", UnsafePointer(tokens)),
                  null("n", UnsafePointer($0)), 1, null("cancel", o.cancel))
              }
            }
          }
        })
    },
    NullCall(
      "xverse_session_embed",
      ["session": .rejected, "tokens": .rejected, "cancel": .accepted, "out": .rejected, "dim": .rejected]
    ) { o, null in
      done(
        scratch(Int32(7)) { tokens in
          withUnsafeTemporaryAllocation(of: Float.self, capacity: 4096) { out in
            scratch(0) {
              xverse_session_embed(
                null("session", o.session), null("tokens", UnsafePointer(tokens)), 1, Int32(XVERSE_POOL_LAST),
                null("cancel", o.cancel), null("out", out.baseAddress), 4096, null("dim", $0))
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
    NullCall(
      "xverse_session_generate_json",
      [
        "session": .rejectedWithObject, "json": .rejectedWithObject, "cancel": .made, "fn": .made, "out": .rejected,
        "out_len": .made,
      ]
    ) { o, null in
      let listen: xverse_stream_fn = { _, _ in 0 }
      var out = UnsafeMutablePointer<CChar>(bitPattern: 1)
      let json = #"{"prompt": "a", "max_tokens": 2, "ignore_eos": true}"#
      let status = withUnsafeMutablePointer(to: &out) { out in
        json.withCString { json in
          scratch(0) {
            xverse_session_generate_json(
              null("session", o.session), null("json", json), -1, null("cancel", o.cancel), null("fn", listen),
              nil, null("out", out), null("out_len", $0))
          }
        }
      }
      guard null("out", o.session) != nil else { return .status(Int(status)) }
      xverse_free(out)
      return .status(Int(status), outIsNull: out == nil)
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

  static let schedulers = [
    NullCall("xverse_scheduler_create", ["model": .rejectedWithNull, "options": .made, "out": .rejected]) { o, null in
      let options = o.options(XVERSE_OPTIONS_SCHEDULER)
      return making(xverse_scheduler_free, null) {
        xverse_scheduler_create(null("model", o.model), null("options", options?.pointer), $0)
      }
    },
    NullCall("xverse_scheduler_free", ["scheduler": .nothing]) { _, null in
      nothing(xverse_scheduler_free(null("scheduler", nil)))
    },
    NullCall(
      "xverse_scheduler_set_draft", ["scheduler": .rejected, "draft": .accepted, "options": .accepted]
    ) { o, null in
      let (scheduler, options) = (o.scheduler, o.options(XVERSE_OPTIONS_SESSION))
      return done(
        xverse_scheduler_set_draft(
          null("scheduler", scheduler?.pointer), null("draft", o.model), null("options", options?.pointer)))
    },
    NullCall("xverse_scheduler_submit", ["scheduler": .rejected, "request": .rejected, "id": .rejected]) { o, null in
      let scheduler = o.scheduler
      return done(
        scratch(UInt64(0)) {
          xverse_scheduler_submit(
            null("scheduler", scheduler?.pointer), null("request", o.request), null("id", $0))
        })
    },
    NullCall(
      "xverse_scheduler_submit_json",
      ["scheduler": .rejected, "json": .rejected, "id": .rejected, "error": .accepted, "error_len": .accepted]
    ) { o, null in
      let scheduler = o.scheduler
      return done(
        #"{"prompt": "a"}"#.withCString { json in
          scratch(UInt64(0)) { id in
            scratch(UnsafeMutablePointer<CChar>(bitPattern: 0)) { error in
              defer { xverse_free(error.pointee) }
              return scratch(0) {
                xverse_scheduler_submit_json(
                  null("scheduler", scheduler?.pointer), null("json", json), -1, null("id", id), null("error", error),
                  null("error_len", $0))
              }
            }
          }
        })
    },
    NullCall("xverse_scheduler_cancel", ["scheduler": .rejected]) { o, null in
      let scheduler = o.scheduler
      var id: UInt64 = 0
      _ = xverse_scheduler_submit(scheduler?.pointer, o.request, &id)
      return done(xverse_scheduler_cancel(null("scheduler", scheduler?.pointer), id))
    },
    NullCall("xverse_scheduler_next", ["scheduler": .rejectedWithNull, "event": .rejected]) { o, null in
      let scheduler = o.scheduler
      var id: UInt64 = 0
      _ = xverse_scheduler_submit(scheduler?.pointer, o.request, &id)
      return pointing(to: "event", null) { xverse_scheduler_next(null("scheduler", scheduler?.pointer), -1, $0) }
    },
    NullCall("xverse_scheduler_fd", ["scheduler": .value(-1)]) { _, null in
      .value(Int64(xverse_scheduler_fd(null("scheduler", nil))))
    },
    NullCall("xverse_scheduler_stats", ["scheduler": .rejectedWithNull, "json": .rejected, "len": .made]) { o, null in
      let scheduler = o.scheduler
      var json = UnsafeMutablePointer<CChar>(bitPattern: 16)
      var length = 0
      let status = withUnsafeMutablePointer(to: &json) { json in
        withUnsafeMutablePointer(to: &length) {
          xverse_scheduler_stats(null("scheduler", scheduler?.pointer), null("json", json), null("len", $0))
        }
      }
      if status == 0 { xverse_free(json) }
      return null.name == "json" ? .status(Int(status)) : .status(Int(status), outIsNull: json == nil)
    },
  ]
}
