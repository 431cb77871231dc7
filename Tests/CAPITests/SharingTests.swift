// SharingTests.swift -- what sessions of a model share: beginnings that any of them computed, forks, passes.

import CXverse
import TestSupport
import Testing

extension ABI {
  @Suite("Sessions that share")
  struct SharingTests {
    private func longModel(_ json: String? = nil, on runtime: Handle? = nil) throws -> Handle {
      var checkpoint = TinyCheckpoint()
      checkpoint.maximumPositions = 4096
      let directory = try ModelDirectory(checkpoint)
      return try withExtendedLifetime(directory) { try openModel(directory.path, json, on: runtime) }
    }

    private func request(_ model: Handle, _ tokens: [Int32]) throws -> Request {
      try Request(model, tokens: tokens, #"{"max_new_tokens": 20, "ignore_eos": 1}"#)
    }

    @Test("a second session with the same 1000 tokens evaluates only its own rest")
    func findsPrefix() throws {
      let model = try longModel()
      let common = someTokens(1000)
      let prompts = (2..<5).map { common + someTokens(50, seed: UInt64($0)) }
      let alone = try longModel(#"{"prefix_cache": 0}"#)
      for (index, prompt) in prompts.enumerated() {
        let answer = try Session(model).generate(request(model, prompt))
        let expected = try Session(alone).generate(request(alone, prompt))
        #expect(answer.stats.n_prompt == 1050)
        #expect(answer.stats.n_cached == (index == 0 ? 0 : 1000))
        #expect(expected.stats.n_cached == 0)
        #expect(answer.tokens == expected.tokens)
      }
    }

    @Test("evaluating counts what was found, and the second turn of a chat only its new tokens")
    func countsEvaluation() throws {
      let model = try longModel()
      let tokens = someTokens(1500)
      let session = try Session(model)
      try check(session.evaluate(tokens))
      #expect(try session.stats.n_prompt == 1500 && session.stats.n_cached == 0)
      let turn = session.generate(try request(model, tokens + someTokens(30, seed: 2)))
      #expect(turn.stats.n_cached == 1500 && turn.stats.n_prompt == 1530)

      let other = try Session(model)
      try check(other.evaluate(tokens))

      // The full block that the second turn ended in has all of them; the last one is always evaluated.
      #expect(try other.stats.n_cached == 1499)
      #expect(try other.tokens == tokens)
    }

    @Test("dynamic rope_scaling shares nothing, for its keys depend on the length")
    func dynamicScaling() throws {
      let model = try longModel(#"{"rope_scaling": "dynamic:2"}"#)
      for _ in 0..<2 {
        let session = try Session(model)
        try check(session.evaluate(someTokens(200)))
        #expect(try session.stats.n_cached == 0)
      }
    }

    @Test("the memory of the cache keeps to prefix_cache, and goes with the model")
    func keepsToLimit() throws {
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      // 64 positions of 2 layers of keys and values, 4 heads of 8 numbers of 4 bytes.
      let block: Int64 = 64 * 2 * 2 * 4 * 8 * 4
      let model = try longModel("{\"prefix_cache\": \(3 * block)}", on: runtime)
      try check(Session(model).evaluate(someTokens(640)))
      let held = try memory(of: runtime).current
      try check(Session(model).evaluate(someTokens(640, seed: 2)))
      #expect(try memory(of: runtime).current == held)
      let found = try Session(model)
      try check(found.evaluate(someTokens(640, seed: 2)))
      #expect(try found.stats.n_cached == 192)
    }

    @Test("under memory_limit the cache goes before anything fails")
    func givesUpMemory() throws {
      let runtime = try makeRuntime(#"{"threads": 1, "memory_limit": 16000000}"#)
      let model = try longModel(on: runtime)
      for seed in 0..<20 as Range<UInt64> {
        let session = try Session(model)
        try check(session.evaluate(someTokens(3000, seed: seed)))
        #expect(session.length == 3000)
      }
    }

    @Test("threads that share a beginning get what one alone gets")
    func threads() throws {
      let model = try longModel()
      let common = someTokens(700)
      let expected = try (0..<4).map { index in
        let alone = try longModel(#"{"prefix_cache": 0}"#)
        return try Session(alone).generate(request(alone, common + someTokens(40, seed: UInt64(index + 10)))).tokens
      }
      onThreads(4) { index in
        for _ in 0..<3 {
          do {
            let session = try Session(model)
            let prompt = common + someTokens(40, seed: UInt64(index + 10))
            #expect(try session.generate(request(model, prompt)).tokens == expected[index])
          } catch { Issue.record("\(error)") }
        }
      }
    }

    // MARK: fork

    @Test("a fork has all of the session, takes no KV memory, and goes its own way")
    func fork() throws {
      let model = try longModel()
      let session = try Session(model)
      try check(session.evaluate(someTokens(2000)))
      let before = try memory(of: nil).current
      let fork = try session.fork()
      let taken = try memory(of: nil).current - before
      // Ids, logits and a table of places; a block is 64 * 512 bytes.
      #expect(taken < 16384)
      #expect(fork.length == 2000)
      #expect(try fork.tokens == session.tokens && fork.logits == session.logits)
      #expect(try fork.stats.kv_bytes == session.stats.kv_bytes)

      try check(fork.evaluate([7]))
      try check(session.evaluate([8]))

      let alone = try Session(longModel(#"{"prefix_cache": 0}"#))
      try check(alone.evaluate(someTokens(2000)))
      try check(alone.evaluate([8]))
      #expect(try session.logits == alone.logits)
      session.handle.end()
      try check(alone.truncate(2000))
      try check(alone.evaluate([7]))
      #expect(try fork.logits == alone.logits)
    }

    private func memory(of runtime: Handle?) throws -> (current: Int64, peak: Int64) {
      var (current, peak): (Int64, Int64) = (0, 0)
      try check(xverse_runtime_memory(runtime?.pointer, &current, &peak))
      return (current, peak)
    }

    // MARK: eval_batch

    private func evaluate(_ parts: [(Session?, [Int32])], cancel: Handle? = nil) -> xverse_status {
      let counts = parts.map(\.1.count)
      let buffers = parts.map { part in
        let buffer = UnsafeMutableBufferPointer<Int32>.allocate(capacity: part.1.count)
        _ = buffer.initialize(from: part.1)
        return buffer
      }
      defer { for buffer in buffers { buffer.deallocate() } }
      return xverse_session_eval_batch(
        parts.map { $0.0?.pointer }, buffers.map { UnsafePointer($0.baseAddress) }, counts, parts.count,
        cancel?.pointer)
    }

    @Test("a batch gives each session the bits that it gets alone")
    func batch() throws {
      let model = try longModel(#"{"prefix_cache": 0}"#)
      let prompts = [someTokens(600), someTokens(5, seed: 2), [9]]
      let (together, alone) = (try prompts.map { _ in try Session(model) }, try prompts.map { _ in try Session(model) })

      try check(evaluate(Array(zip(together, prompts))))
      try check(evaluate(together.map { ($0, [11]) }))

      for index in prompts.indices {
        try check(alone[index].evaluate(prompts[index]))
        try check(alone[index].evaluate([11]))
        #expect(try together[index].logits == alone[index].logits)
        #expect(together[index].length == alone[index].length)
      }
    }

    @Test("what is wrong with one session of a batch is said and changes none")
    func refusesBatches() throws {
      let model = try longModel()
      let (one, two) = (try Session(model), try Session(model, #"{"context": 8}"#))
      let (other, int8) = (try Session(longModel()), try Session(model, #"{"kv_type": "int8"}"#))
      for session in [one, two] { try check(session.evaluate([7, 8])) }

      expect(
        evaluate([(one, [9]), (two, [9]), (one, [9])]), is: XVERSE_E_INVALID, saying: "sessions[2]", "sessions[0]")
      expect(evaluate([(one, [9]), (other, [9])]), is: XVERSE_E_MISMATCH, saying: "sessions[1]", "models")
      expect(evaluate([(one, [9]), (int8, [9])]), is: XVERSE_E_MISMATCH, saying: "int8", "f32")
      expect(evaluate([(one, [9]), (two, [9, -3])]), is: XVERSE_E_RANGE, saying: "tokens[1][1] is -3")
      expect(evaluate([(one, [9]), (two, someTokens(7))]), is: XVERSE_E_CONTEXT_FULL, saying: "7", "8")
      expect(evaluate([(one, [9]), (nil, [9])]), is: XVERSE_E_INVALID, saying: "sessions[1]")
      expect(
        xverse_session_eval_batch([one.pointer], [nil], [1], 1, nil), is: XVERSE_E_INVALID, saying: "tokens[0]")
      expect(
        xverse_session_eval_batch([one.pointer], [nil], [1], 513, nil), is: XVERSE_E_RANGE, saying: "513", "512")
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      expect(evaluate([(one, [9]), (two, [9])], cancel: cancel), is: XVERSE_E_CANCELLED)

      #expect(try one.tokens == [7, 8] && two.tokens == [7, 8])
      try check(evaluate([]))
      try check(evaluate([(one, []), (two, [9])]))
      #expect(one.length == 2 && two.length == 3)
    }

    @Test("a session that another thread uses makes the batch BUSY and leaves the others free")
    func busyBatch() throws {
      let model = try longModel()
      let (one, two) = (try Session(model), try Session(model))
      let request = try Request(model, "abc", #"{"max_new_tokens": 1}"#)
      var status: xverse_status = 0
      _ = two.generate(request) { event in
        guard event.kind == XVERSE_EVENT_TOKENS else { return 0 }
        onThreads(1) { _ in
          let found = xverse_session_eval_batch(
            [one.pointer, two.pointer], [nil, nil], [0, 0], 2, nil)
          expect(found, is: XVERSE_E_BUSY, saying: "sessions")
        }
        status = 1
        return 0
      }
      #expect(status == 1)
      try check(one.evaluate([7]))
      try check(evaluate([(one, [9]), (two, [9])]))
    }

    // MARK: embed

    @Test("an embedding is asked for its size first, and evaluates nothing then")
    func embedding() throws {
      let model = try longModel()
      let session = try Session(model)
      var dim = 0
      try check(
        xverse_session_embed(session.pointer, [7], 1, Int32(XVERSE_POOL_MEAN), nil, nil, 0, &dim))
      #expect(dim == 32 && session.length == 0)
      var vectors: [[Float]] = []
      let poolings = [
        XVERSE_POOL_LAST, XVERSE_POOL_MEAN, XVERSE_POOL_LAST | XVERSE_POOL_NORMALIZE,
        XVERSE_POOL_MEAN | XVERSE_POOL_NORMALIZE,
      ]
      for pooling in poolings {
        try check(session.truncate(0))
        var vector = [Float](repeating: .nan, count: dim)
        let tokens = someTokens(30)
        try check(
          xverse_session_embed(session.pointer, tokens, 30, Int32(pooling), nil, &vector, dim, &dim))
        #expect(session.length == 30)
        vectors.append(vector)
      }
      #expect(Set(vectors).count == 4)
      for vector in vectors[2...] {
        let square = vector.reduce(0) { $0 + Double($1) * Double($1) }
        #expect(abs(square - 1) < 0x1p-20)
      }
      #expect(try session.logits.count > 0)

      var vector = [Float](repeating: 0, count: dim)
      func embed(_ tokens: [Int32], _ pooling: Int, _ capacity: Int) -> xverse_status {
        xverse_session_embed(session.pointer, tokens, tokens.count, Int32(pooling), nil, &vector, capacity, &dim)
      }
      expect(embed([7], 0, dim), is: XVERSE_E_INVALID, saying: "pooling is 0")
      expect(embed([7], 3, dim), is: XVERSE_E_INVALID, saying: "pooling is 3")
      expect(embed([7], XVERSE_POOL_LAST, dim - 1), is: XVERSE_E_RANGE, saying: "31", "32")
      expect(embed([], XVERSE_POOL_LAST, dim), is: XVERSE_E_RANGE, saying: "n is 0")
      expect(embed([-1], XVERSE_POOL_LAST, dim), is: XVERSE_E_RANGE, saying: "-1")
      #expect(session.length == 30)
    }
  }
}
