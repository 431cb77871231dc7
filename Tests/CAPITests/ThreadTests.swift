// ThreadTests.swift -- many host threads at once: sessions of one model beside each other, one session from two sides,
// cancels at any moment.

import CXverse
import Foundation
import Synchronization
import TestSupport
import Testing

extension ABI {
  @Suite("Threads")
  struct ThreadTests {
    @Test("eight threads on eight sessions of one model each get the answer that they would get alone")
    func besideEachOther() throws {
      let model = try openTinyModel(on: makeRuntime())
      let work = try (0..<8).map { try Work(model, number: $0) }
      let expected = try work.map { try Session(model).generate($0.request).tokens }
      for _ in 0..<3 {
        let found = Guarded([Int: [Int32]]())
        onThreads(8) { index in
          let answer = work[index].session.generate(work[index].request)
          found.withLock { $0[index] = answer.tokens }
        }
        #expect(found.withLock { found in (0..<8).map { found[$0] ?? [] } } == expected)
      }
    }

    @Test("cancels at random moments end calls with OK or CANCELLED and leave sessions that answer right")
    func randomCancels() throws {
      let model = try openTinyModel(on: makeRuntime())
      let work = try (0..<4).map { try Work(model, number: $0) }
      let expected = try work.map { try Session(model).generate($0.request).tokens }
      let cancels = try (0..<4).map { _ in try makeCancel() }
      let isDone = Atomic<Bool>(false)
      let wrong = Guarded([String]())
      let outcomes = Guarded([0, 0])
      withExtendedLifetime(cancels) {
        let canceller = Thread {
          var random = SeededRandom(seed: 1)
          while !isDone.load(ordering: .relaxed) {
            xverse_cancel_trigger(cancels[Int.random(in: 0..<4, using: &random)].pointer)
            usleep(UInt32.random(in: 0..<3000, using: &random))
          }
        }
        canceller.start()
        onThreads(4) { index in
          for _ in 0..<15 {
            xverse_cancel_reset(cancels[index].pointer, 0)
            let answer = work[index].session.generate(work[index].request, cancel: cancels[index])
            outcomes.withLock { $0[answer.status == XVERSE_OK ? 0 : 1] += 1 }
            let isRight =
              answer.status == XVERSE_OK
              ? answer.tokens == expected[index]
              : answer.status == XVERSE_E_CANCELLED && !answer.hasResult
                && (try? work[index].session.tokens.count) == Int(work[index].session.length)
            if !isRight { wrong.withLock { $0.append("session \(index): \(answer.status) \(answer.message)") } }
          }
        }
        isDone.store(true, ordering: .relaxed)
        while !canceller.isFinished { usleep(1000) }
      }
      #expect(wrong.withLock { $0 } == [])
      #expect(outcomes.withLock { $0[1] } > 0, "nothing was cancelled")
      for (work, expected) in zip(work, expected) {
        #expect(work.session.generate(work.request).tokens == expected)
      }
    }

    @Test("two threads on one session get OK or BUSY and nothing else")
    func oneSessionFromTwoSides() throws {
      let model = try openTinyModel(on: makeRuntime())
      let session = try Session(model)
      let statuses = Guarded([Int: Int]())
      let evaluated = Atomic<Int>(0)
      onThreads(2) { index in
        for _ in 0..<60 {
          let status = session.evaluate([Int32(7 + index)])
          statuses.withLock { $0[Int(status), default: 0] += 1 }
          if status == 0 { evaluated.add(1, ordering: .relaxed) }
          var count = 0
          let reading = xverse_session_tokens(session.pointer, nil, 0, &count)
          statuses.withLock { $0[Int(reading), default: 0] += 1 }
        }
      }
      let found = statuses.withLock { $0 }
      #expect(Set(found.keys).isSubset(of: [XVERSE_OK, XVERSE_E_BUSY]), "\(found)")
      #expect(session.length == evaluated.load(ordering: .relaxed))
      let fresh = try Session(model)
      try check(fresh.evaluate(session.tokens))
      // As for long prefills: within 1e-4 of each other.
      #expect(zip(try fresh.logits, try session.logits).allSatisfy { abs($0 - $1) <= 1e-4 * max(1, abs($1)) })
    }

    @Test("a session that another thread is using is BUSY for every call, and nothing happens to it")
    func busy() throws {
      let model = try openTinyModel(on: makeRuntime())
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 3, "ignore_eos": 1}"#)
      let statuses = Guarded([Int]())
      let lengths = Guarded([Int64]())
      let answer = session.generate(request) { event in
        guard event.kind == XVERSE_EVENT_TOKENS else { return 0 }
        onThreads(1) { _ in
          var logits: UnsafePointer<Float>?
          var count = 0
          let found: [xverse_status] = [
            session.evaluate([7]), session.truncate(0), xverse_session_logits(session.pointer, &logits, nil),
            xverse_session_tokens(session.pointer, nil, 0, &count),
          ]
          statuses.withLock { $0 += found.map(Int.init) }
          lengths.withLock { $0.append(session.length) }
        }
        return 0
      }
      #expect(answer.status == XVERSE_OK && answer.tokens.count == 3)
      #expect(statuses.withLock { $0 } == Array(repeating: XVERSE_E_BUSY, count: 12))
      #expect(lengths.withLock { $0.allSatisfy { $0 >= 0 } })
    }

    @Test("any thread may ask for a session's length at any time without disturbing its owner")
    func lengthFromAnyThread() throws {
      let model = try openTinyModel(on: makeRuntime())
      let session = try Session(model)
      let isDone = Atomic<Bool>(false)
      let failures = Atomic<Int>(0)
      let wrongLengths = Atomic<Int>(0)
      onThreads(3) { index in
        if index == 0 {
          for _ in 0..<100 where session.evaluate([7]) != 0 { failures.add(1, ordering: .relaxed) }
          isDone.store(true, ordering: .relaxed)
        } else {
          while !isDone.load(ordering: .relaxed) {
            if !(0...100).contains(session.length) { wrongLengths.add(1, ordering: .relaxed) }
          }
        }
      }
      #expect(failures.load(ordering: .relaxed) == 0)
      #expect(wrongLengths.load(ordering: .relaxed) == 0)
      #expect(session.length == 100)
    }

    @Test("options, requests and samplers used by two threads are BUSY or OK")
    func otherOwnedObjects() throws {
      let model = try openTinyModel(on: makeRuntime())
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      let request = try Request(model)
      let sampler = try makeSampler(model, #"{"repetition_penalty": 1.1}"#)
      let statuses = Guarded(Set<Int>())
      let added = Atomic<Int>(0)
      onThreads(2) { _ in
        for _ in 0..<300 {
          let adding = xverse_request_add_tokens(request.pointer, [7], 1)
          if adding == 0 { added.add(1, ordering: .relaxed) }
          let found = [
            adding, xverse_options_set_int(options.pointer, "top_k", 5),
            xverse_request_set_options(request.pointer, options.pointer), xverse_sampler_accept(sampler.pointer, 7),
          ]
          statuses.withLock { $0.formUnion(found.map(Int.init)) }
        }
      }
      #expect(statuses.withLock { $0 }.isSubset(of: [XVERSE_OK, XVERSE_E_BUSY]))
      #expect(try request.tokens.count == added.load(ordering: .relaxed))
    }

    @Test("a model is opened, tokenized with and released by many threads at once")
    func sharedModel() throws {
      let directory = try ModelDirectory()
      let host = RecordingHost()
      let runtime = try makeRuntime(nil, host)
      let model = try openModel(directory.path, on: runtime)
      let expected = try encode(model, "the world")
      let wrong = Guarded([String]())
      let path = directory.path
      onThreads(8) { index in
        do {
          for _ in 0..<5 {
            _ = xverse_model_retain(model.pointer)
            if try encode(model, "the world") != expected { wrong.withLock { $0.append("tokens") } }
            xverse_model_release(model.pointer)
            let own = try openModel(path, on: index % 2 == 0 ? runtime : nil)
            try check(Session(own).evaluate([7, 8]))
          }
        } catch {
          wrong.withLock { $0.append("\(error)") }
        }
      }
      #expect(wrong.withLock { $0 } == [])
      model.end()
      runtime.end()
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("each thread has its own last error")
    func lastErrors() throws {
      let model = try openTinyModel()
      expect(xverse_session_truncate(nil, 0), is: XVERSE_E_INVALID, saying: "session")
      let wrong = Atomic<Int>(0)
      onThreads(4) { index in
        if lastMessage != "" || xverse_last_error_offset() != -1 { wrong.add(1, ordering: .relaxed) }
        for _ in 0..<100 {
          var out: OpaquePointer?
          _ = xverse_options_create(Int32(1000 + index), &out)
          if !lastMessage.contains("kind is \(1000 + index),") { wrong.add(1, ordering: .relaxed) }
        }
      }
      #expect(wrong.load(ordering: .relaxed) == 0)
      #expect(lastMessage.contains("session is NULL"))
      // A call that succeeds leaves the message.
      _ = try info(of: model)
      #expect(lastMessage.contains("session is NULL"))
    }

    @Test("one, two and three compute threads give the same bits")
    func threadCounts() throws {
      // Wide enough for three threads: a part is at least 2^15 multiply-adds.
      var checkpoint = TinyCheckpoint()
      checkpoint.hiddenSize = 256
      checkpoint.intermediateSize = 512
      checkpoint.headSize = 64
      checkpoint.kvHeadCount = 2
      checkpoint.layerCount = 1
      let directory = try ModelDirectory(checkpoint)
      let answers = try [1, 2, 3].map { threads in
        let model = try openModel(directory.path, on: makeRuntime("{\"threads\": \(threads)}"))
        let (long, short) = (try Session(model), try Session(model))
        try check(long.evaluate(someTokens(100)))
        try check(long.evaluate([7]))
        try check(short.evaluate(someTokens(5)))
        return try [long.logits, short.logits, long.score(someTokens(40)).logprobs]
      }
      #expect(answers[1] == answers[0])
      #expect(answers[2] == answers[0])
    }

    @Test("the compute thread blocks all signals and keeps those of the host deliverable")
    func signals() throws {
      let session = try Session(openTinyModel(on: makeRuntime()))
      var before = sigset_t()
      var after = sigset_t()
      pthread_sigmask(SIG_SETMASK, nil, &before)
      try check(session.evaluate([7]))
      pthread_sigmask(SIG_SETMASK, nil, &after)
      for signal in 1..<Int32(32) { #expect(sigismember(&before, signal) == sigismember(&after, signal)) }
    }
  }
}

/// A session with something to generate.
private struct Work: Sendable {
  let session: Session
  let request: Request

  init(_ model: Handle, number: Int) throws {
    session = try Session(model)
    request = try Request(
      model, tokens: someTokens(10 + 5 * number, seed: UInt64(number)),
      "{\"max_new_tokens\": 20, \"ignore_eos\": 1, \"temperature\": 0.9, \"seed\": \(number)}")
  }
}
