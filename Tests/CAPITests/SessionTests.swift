// SessionTests.swift -- evaluation, truncation, overflow, progress and the options of a session.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Sessions")
  struct SessionTests {
    let model: Handle

    init() throws { model = try openTinyModel() }

    @Test("evaluating at once has the bits of evaluating token by token below 16 tokens", arguments: [1, 2, 7, 15])
    func shortPrefill(count: Int) throws {
      let (atOnce, oneByOne) = (try Session(model), try Session(model))
      let tokens = someTokens(count)
      try check(atOnce.evaluate(tokens))
      for token in tokens { try check(oneByOne.evaluate([token])) }
      #expect(try atOnce.logits == oneByOne.logits)
    }

    @Test("evaluating at once agrees with evaluating token by token", arguments: [16, 64, 65, 200])
    func longPrefill(count: Int) throws {
      let (atOnce, oneByOne) = (try Session(model), try Session(model))
      let tokens = someTokens(count)
      try check(atOnce.evaluate(tokens))
      for token in tokens { try check(oneByOne.evaluate([token])) }
      let (logits, expected) = (try atOnce.logits, try oneByOne.logits)
      // Sums of at most 48 products in another order, in a model of 2 layers with logits of magnitude 10.
      #expect(zip(logits, expected).allSatisfy { abs($0 - $1) <= 1e-4 * max(1, abs($1)) })
    }

    @Test("length and tokens are those that were evaluated")
    func lengthAndTokens() throws {
      let session = try Session(model)
      #expect(session.length == 0)
      #expect(try session.tokens == [])
      let tokens = someTokens(70)
      try check(session.evaluate(Array(tokens[..<30])))
      try check(session.evaluate([]))
      try check(session.evaluate(Array(tokens[30...])))
      #expect(session.length == 70)
      #expect(try session.tokens == tokens)

      var room = [Int32](repeating: -1, count: 69)
      var count = 0
      expect(xverse_session_tokens(session.pointer, &room, 69, &count), is: XVERSE_E_RANGE, saying: "69", "70")
      #expect(count == 70)
      #expect(room.allSatisfy { $0 == -1 })
    }

    @Test("truncate forgets the end and the logits; what follows is as if it had never been there")
    func truncate() throws {
      let (session, fresh) = (try Session(model), try Session(model))
      let tokens = someTokens(10)
      try check(session.evaluate(tokens))
      try check(session.evaluate(someTokens(5, seed: 2)))
      try check(session.truncate(10))
      #expect(session.length == 10)
      #expect(try session.tokens == tokens)
      var logits = UnsafePointer<Float>(bitPattern: 16)
      expect(xverse_session_logits(session.pointer, &logits, nil), is: XVERSE_E_MISUSE, saying: "no logits")
      #expect(logits == nil)

      try check(session.evaluate([20]))
      try check(fresh.evaluate(tokens))
      try check(fresh.evaluate([20]))
      #expect(try session.logits == fresh.logits)
      for count in [-1, 12, Int64.max, .min] {
        expect(session.truncate(count), is: XVERSE_E_RANGE, saying: "\(count)", "11")
      }
      #expect(session.length == 11)
      #expect(try session.logits == fresh.logits)
    }

    @Test("truncate to the present length keeps the logits")
    func truncateNothing() throws {
      let session = try Session(model)
      try check(session.evaluate([7, 8]))
      let logits = try session.logits
      try check(session.truncate(2))
      #expect(try session.logits == logits)
    }

    @Test("there are no logits before the first evaluation")
    func noLogits() throws {
      let session = try Session(model)
      var token: Int32 = 0
      var logprob: Float = 0
      var count = 0
      expect(xverse_session_logits(session.pointer, nil, nil), is: XVERSE_E_INVALID, saying: "logits")
      expect(
        xverse_session_top_logprobs(session.pointer, 1, &token, &logprob, &count), is: XVERSE_E_MISUSE,
        saying: "no logits")
      try check(session.evaluate([]))
      #expect(throws: CallFailed.self) { try session.logits }
    }

    @Test("ids outside the vocabulary are RANGE and nothing is appended", arguments: [-1, Int32.min, .max, 370, 371])
    func unknownIds(id: Int32) throws {
      let session = try Session(model)
      let size = try info(of: model).n_vocab
      let id = id >= 370 && id < 1000 ? size + id - 370 : id
      try check(session.evaluate([7, 8]))
      let logits = try session.logits
      expect(session.evaluate([9, 10, id]), is: XVERSE_E_RANGE, saying: "tokens[2] is \(id)", "\(size - 1)")
      #expect(throws: CallFailed.self) { try session.score([id]) }
      let request = try Request(model)
      expect(xverse_request_add_tokens(request.pointer, [id], 1), is: XVERSE_E_RANGE, saying: "\(id)")
      #expect(session.length == 2)
      #expect(try session.logits == logits)
    }

    @Test("more tokens than fit are CONTEXT_FULL and leave everything as it was")
    func contextFull() throws {
      let session = try Session(model, #"{"context": 20}"#)
      try check(session.evaluate(someTokens(18)))
      let logits = try session.logits
      for extra in [3, 20, 21, 1000] {
        expect(session.evaluate(someTokens(extra)), is: XVERSE_E_CONTEXT_FULL, saying: "18", "\(extra)", "20")
        #expect(session.length == 18)
        #expect(try session.logits == logits)
      }
      #expect(throws: CallFailed.self) { try session.score(someTokens(3)) }
      #expect(try session.logits == logits)
      let request = try Request(model, tokens: someTokens(21))
      let answer = session.generate(request)
      #expect(answer.status == XVERSE_E_CONTEXT_FULL && !answer.hasResult)
      #expect(try session.tokens == someTokens(18))
      #expect(try session.logits == logits)
      try check(session.evaluate(someTokens(2)))
      #expect(session.length == 20)
      expect(session.evaluate([7]), is: XVERSE_E_CONTEXT_FULL)
    }

    @Test("overflow=shift is a session that began with what remains", arguments: [(1, 10), (5, 10), (16, 4), (20, 0)])
    func shift(added: Int, kept: Int) throws {
      let shifting = try Session(model, #"{"context": 20, "overflow": "shift"}"#)
      let fresh = try Session(model, #"{"context": 20}"#)
      let (old, new) = (someTokens(20), someTokens(added, seed: 2))
      try check(shifting.evaluate(old))
      try check(shifting.evaluate(new))
      let remaining = Array(old.suffix(kept)) + new
      try check(fresh.evaluate(remaining))
      #expect(try shifting.tokens == remaining)
      #expect(try shifting.logits == fresh.logits)
      expect(shifting.evaluate(someTokens(21)), is: XVERSE_E_CONTEXT_FULL, saying: "21")
      #expect(try shifting.tokens == remaining)
      #expect(try shifting.logits == fresh.logits)
    }

    @Test("generation goes on beyond the context with overflow=shift, and ends at it without")
    func generationAtTheContext() throws {
      let request = try Request(model, tokens: someTokens(10), #"{"max_new_tokens": 50, "ignore_eos": 1}"#)
      let shifting = try Session(model, #"{"context": 16, "overflow": "shift"}"#)
      let ending = try Session(model, #"{"context": 16}"#)
      let (long, short) = (shifting.generate(request), ending.generate(request))
      #expect(long.tokens.count == 50)
      // The last token is not evaluated, so one more than the room is generated.
      #expect(short.tokens.count == 7)
      #expect(Int(short.stats.finish_reason) == XVERSE_FINISH_LENGTH)
      #expect(Array(long.tokens.prefix(7)) == short.tokens)
      #expect(ending.length == 16)
    }

    // A half keeps 11 bits: keys and values off by 2^-12 of themselves move scores and states by about as much. With
    // int8 they are off by 2^-8 of the largest of their head.
    @Test(
      "a narrower cache is smaller and close to an f32 cache", arguments: [("f16", 2 * 8, 0.05), ("int8", 8 + 4, 0.8)])
    func narrowCache(type: String, bytes: Int, tolerance: Double) throws {
      let (narrow, full) = (try Session(model, #"{"kv_type": "\#(type)"}"#), try Session(model))
      for session in [narrow, full] { try check(session.evaluate(someTokens(100))) }
      // Heads of 8 floats.
      #expect(try Int(narrow.stats.kv_bytes) * 32 == Int(full.stats.kv_bytes) * bytes)
      let (logits, expected) = (try narrow.logits, try full.logits)
      #expect(logits != expected)
      let error = zip(logits, expected).map { Double(abs($0 - $1)) }.max() ?? .infinity
      #expect(error < tolerance, "the largest error is \(error)")
    }

    @Test("an int8 cache gives the same logits whether tokens come together or one by one")
    func int8CacheInParts() throws {
      let (together, oneByOne) = (
        try Session(model, #"{"kv_type": "int8"}"#), try Session(model, #"{"kv_type": "int8"}"#)
      )
      // Fewer than 48 at once: the products have the same bits.
      for chunk in 0..<3 { try check(together.evaluate(Array(someTokens(120)[chunk * 40..<(chunk + 1) * 40]))) }
      for token in someTokens(120) { try check(oneByOne.evaluate([token])) }
      #expect(try together.logits == oneByOne.logits)
    }

    @Test("stats tell what the last call did and what the session holds")
    func stats() throws {
      let session = try Session(model)
      #expect(try session.stats.kv_bytes == 0)
      try check(session.evaluate(someTokens(65)))
      let stats = try session.stats
      // Blocks of 64 positions: 2 layers x 2 (keys, values) x 32 x 4 bytes a position.
      #expect(stats.kv_bytes == 2 * 64 * 512)
      #expect(stats.scratch_bytes > 0)
      #expect(stats.ns_queue >= 0)
      #expect(Int(stats.finish_reason) == XVERSE_FINISH_NONE)
    }

    @Test("a stats struct of an older program is filled as far as it goes", arguments: [8, 12, 16, 40, 96, 200])
    func truncatedStats(size: Int) throws {
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 4, "ignore_eos": 1}"#)
      _ = session.generate(request)
      let full = try session.stats
      let room = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 16)
      defer { room.deallocate() }
      room.initializeMemory(as: UInt8.self, repeating: 0xA5, count: 256)
      room.storeBytes(of: UInt32(size), as: UInt32.self)
      try check(xverse_session_stats(session.pointer, room.assumingMemoryBound(to: xverse_stats.self)))
      let written = min(size, MemoryLayout<xverse_stats>.size)
      let expected = withUnsafeBytes(of: full) { Array($0[4..<written]) }
      #expect(Array(UnsafeRawBufferPointer(start: room, count: 256)[4..<written]) == expected)
      #expect(UnsafeRawBufferPointer(start: room, count: 256)[written...].allSatisfy { $0 == 0xA5 })
    }

    @Test("the rope options are config.json's fields")
    func ropeOptions() throws {
      let cases: [(option: String, configuration: [String: Any])] = [
        (#"{"rope_theta": 500000}"#, ["rope_theta": 500_000]),
        (#"{"rope_scaling": "linear:2"}"#, ["rope_scaling": ["type": "linear", "factor": 2]]),
        (#"{"rope_scaling": "dynamic:4"}"#, ["rope_scaling": ["type": "dynamic", "factor": 4]]),
      ]
      let tokens = someTokens(40)
      func logits(_ configuration: [String: Any], _ options: String?) throws -> [Float] {
        var checkpoint = TinyCheckpoint()
        checkpoint.maximumPositions = 32
        checkpoint.extraConfiguration = configuration
        let directory = try ModelDirectory(checkpoint)
        let session = try Session(openModel(directory.path, options), #"{"context": 64}"#)
        try check(session.evaluate(tokens))
        return try session.logits
      }
      let plain = try logits([:], nil)
      for (option, configuration) in cases {
        let changed = try logits([:], option)
        #expect(changed != plain)
        #expect(changed == (try logits(configuration, nil)))
        guard option.contains("scaling") else { continue }
        #expect(try logits(configuration, #"{"rope_scaling": "none"}"#) == plain)
      }
    }

    @Test("progress of a prefill counts its tokens, and stopping it keeps what was evaluated")
    func progress() throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.maximumPositions = 2048
      let directory = try ModelDirectory(checkpoint)
      let long = try openModel(directory.path)
      let session = try Session(long)
      let log = ProgressLog(stoppingAfter: 2)
      let tokens = someTokens(1500)
      let status = xverse_session_eval(
        session.pointer, tokens, tokens.count, nil, ProgressLog.receive, log.user)
      expect(status, is: XVERSE_STOPPED)
      #expect(log.reports.map(\.phase) == ["prefill", "prefill"])
      #expect(log.reports.map(\.total) == [1500, 1500])
      #expect(session.length == log.reports.last?.done)
      #expect(session.length > 0 && session.length < 1500)
      #expect(try session.tokens == Array(tokens.prefix(Int(session.length))))
      try check(session.evaluate(Array(tokens.suffix(1500 - Int(session.length)))))
      let fresh = try Session(long)
      try check(fresh.evaluate(tokens))
      #expect(try fresh.logits == session.logits)
    }

    @Test("cancelled evaluations leave a session of the length that it says")
    func cancelled() throws {
      let session = try Session(model)
      try check(session.evaluate(someTokens(10)))
      let logits = try session.logits
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      expect(session.evaluate(someTokens(50), cancel: cancel), is: XVERSE_E_CANCELLED)
      #expect(session.length == 10)
      #expect(try session.tokens == someTokens(10))
      #expect(try session.logits == logits)
      xverse_cancel_reset(cancel.pointer, 1)
      usleep(3000)
      expect(session.evaluate(someTokens(50), cancel: cancel), is: XVERSE_E_DEADLINE)
      #expect(session.length == 10)
      xverse_cancel_reset(cancel.pointer, 0)
      try check(session.evaluate(someTokens(50), cancel: cancel))
      #expect(session.length == 60)
    }

    @Test("an evaluation cancelled on its way holds the tokens evaluated until then")
    func cancelledOnTheWay() throws {
      var checkpoint = TinyCheckpoint()
      checkpoint.maximumPositions = 2048
      let directory = try ModelDirectory(checkpoint)
      let session = try Session(openModel(directory.path))
      let cancel = try makeCancel()
      let log = ProgressLog()
      log.onReport = { xverse_cancel_trigger(cancel.pointer) }
      let tokens = someTokens(1500)
      expect(
        xverse_session_eval(
          session.pointer, tokens, tokens.count, cancel.pointer, ProgressLog.receive, log.user),
        is: XVERSE_E_CANCELLED)
      #expect(log.reports.count == 1)
      #expect(session.length == log.reports.first?.done)
      #expect(try session.tokens == Array(tokens.prefix(Int(session.length))))
      #expect(throws: CallFailed.self) { try session.logits }
    }
  }
}
