// HostileCallTests.swift -- ids that no vocabulary has, small capacities, crowds of callers, signals, and the stack.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Hostile calls")
  struct HostileCallTests {
    @Test("an id outside the vocabulary is RANGE in every call and changes nothing")
    func unknownTokens() throws {
      let model = try openTinyModel()
      let size = xverse_tokenizer_vocab_size(xverse_model_tokenizer(model.pointer))
      let calls = try TokenCalls(model)
      for token in [-1, .min, size, .max] {
        for (name, call) in calls.all {
          let status = call([9, token])
          expect(status, is: XVERSE_E_RANGE, saying: "\(token)", "\(size - 1)")
          #expect(Int(status) == XVERSE_E_RANGE, "\(name)")
        }
        #expect(calls.session.length == 1)
      }
      #expect(try calls.session.logits.count == Int(size))
      #expect(try calls.request.tokens == [])
    }

    @Test("a capacity of 0 with an array, and one that is too small, is RANGE and writes nothing")
    func smallCapacities() throws {
      let model = try openTinyModel()
      let session = try Session(model)
      try check(session.evaluate(someTokens(5)))
      var tokens: [Int32] = [-7, -7, -7]
      for capacity in 0...3 {
        var count = 0
        expect(
          xverse_session_tokens(session.pointer, &tokens, capacity, &count), is: XVERSE_E_RANGE, saying: "\(capacity)",
          "5")
        #expect(count == 5)
        expect(
          xverse_tokenizer_encode(xverse_model_tokenizer(model.pointer), "abcde", 5, 0, &tokens, capacity, &count),
          is: XVERSE_E_RANGE, saying: "\(capacity)", "5")
        #expect(count == 5)
        #expect(tokens == [-7, -7, -7])
      }
    }

    @Test("a thousand threads, fifty at a time, load, encode and generate")
    func crowd() throws {
      let directory = try ModelDirectory()
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      let model = try openModel(directory.path, on: runtime)
      let expected = try Session(model).generate(Request(model, "the world", #"{"max_new_tokens": 2}"#)).tokens
      let failures = Guarded([String]())
      for _ in 0..<20 {
        onThreads(50) { index in
          do {
            let own = index % 25 == 0 ? try openModel(directory.path, on: runtime) : model
            let answer = try Session(own).generate(Request(own, "the world", #"{"max_new_tokens": 2}"#))
            guard answer.tokens == expected else { throw CallFailed(status: answer.status, message: answer.message) }
          } catch { failures.withLock { $0.append("\(error)") } }
        }
      }
      #expect(failures.withLock { $0 } == [])
    }

    @Test("signals while files are read, weights quantized and tokens generated disturb nothing")
    func interruptions() throws {
      let directory = try ModelDirectory()
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"load": "read", "quantize": "int8", "verify": "values"}"#)
      // Without SA_RESTART, so that system calls return EINTR.
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { _ in }
      var before = sigaction()
      try #require(sigaction(SIGUSR2, &action, &before) == 0)
      defer { sigaction(SIGUSR2, &before, nil) }
      let isDone = Guarded(false)
      let caller = pthread_self()
      let disturber = Thread {
        while !isDone.withLock({ $0 }) {
          pthread_kill(caller, SIGUSR2)
          usleep(50)
        }
      }
      disturber.start()
      defer { isDone.withLock { $0 = true } }
      for _ in 0..<20 {
        let model = try makeHandle(xverse_model_release) { xverse_model_open(directory.path, options.pointer, $0) }
        let answer = try Session(model).generate(
          Request(model, "the world", #"{"max_new_tokens": 4, "ignore_eos": 1}"#))
        #expect(answer.tokens.count == 4, "\(answer.message)")
      }
    }

    @Test("a call takes at most 64 KiB of its caller's stack")
    func smallStacks() throws {
      let directory = try ModelDirectory()
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      let model = try openModel(directory.path, on: runtime)
      let session = try Session(model)
      let request = try Request(model, "the world", #"{"max_new_tokens": 2, "temperature": 1, "logprobs": 1}"#)
      let calls: [(String, () -> xverse_status)] = [
        ("load", { load(directory, runtime) }),
        (
          "inspect",
          {
            var text: UnsafeMutablePointer<CChar>?
            defer { xverse_free(text) }
            return xverse_model_inspect(directory.path, nil, &text, nil)
          }
        ),
        (
          "encode",
          {
            var count = 0
            return xverse_tokenizer_encode(xverse_model_tokenizer(model.pointer), "the world", 9, 0, nil, 0, &count)
          }
        ),
        ("eval", { session.evaluate([9, 10]) }),
        (
          "generate",
          {
            var result: OpaquePointer?
            defer { xverse_result_free(result) }
            return xverse_session_generate(session.pointer, request.pointer, nil, nil, nil, &result)
          }
        ),
      ]
      let (_, own) = try OwnStack({ 0 }).run()
      for (name, call) in calls {
        let (status, all) = try OwnStack(call).run()
        let used = all - own
        #expect(status == 0, "\(name)")
        #expect(used <= 64 << 10, "\(name) used \(used) bytes")
      }
    }

    private func load(_ directory: ModelDirectory, _ runtime: Handle) -> xverse_status {
      var model: OpaquePointer?
      defer { xverse_model_release(model) }
      return xverse_model_load(runtime.pointer, directory.path, nil, nil, nil, nil, &model)
    }
  }
}

/// Every call that takes ids, on objects that are ready for it.
private struct TokenCalls {
  let session: Session
  let request: Request
  let all: [(name: String, call: ([Int32]) -> xverse_status)]

  init(_ model: Handle) throws {
    let session = try Session(model)
    try check(session.evaluate([9]))
    let request = try Request(model)
    let sampler = try makeSampler(model)
    let tokenizer = xverse_model_tokenizer(model.pointer)
    let detokenizer = try makeHandle(xverse_detokenizer_free) { xverse_detokenizer_create(tokenizer, 0, $0) }
    (self.session, self.request) = (session, request)
    all = [
      ("eval", { session.evaluate($0) }),
      (
        "score",
        {
          var sum = 0.0
          return xverse_session_score(session.pointer, $0, $0.count, nil, nil, &sum)
        }
      ),
      ("add_tokens", { xverse_request_add_tokens(request.pointer, $0, $0.count) }),
      ("accept", { xverse_sampler_accept(sampler.pointer, $0[1]) }),
      ("token_bytes", { xverse_tokenizer_token_bytes(tokenizer, $0[1], nil, nil, nil) }),
      (
        "push",
        {
          var text: UnsafePointer<CChar>?
          defer { withExtendedLifetime(model) {} }
          return xverse_detokenizer_push(detokenizer.pointer, $0[1], &text, nil)
        }
      ),
      (
        "decode",
        {
          var text: UnsafeMutablePointer<CChar>?
          defer { xverse_free(text) }
          return xverse_tokenizer_decode(tokenizer, $0, $0.count, 0, &text, nil)
        }
      ),
    ]
  }
}

/// A thread whose stack is filled before it runs, so that one can see how much of it was used.
private final class OwnStack {
  private static let size = 1 << 20
  private static let fill: UInt8 = 0xA5

  private let call: () -> xverse_status
  private var status: xverse_status = 0

  init(_ call: @escaping () -> xverse_status) { self.call = call }

  /// - Returns: What the call returned, and how many bytes of stack it and its thread took.
  func run() throws -> (status: xverse_status, used: Int) {
    let stack = UnsafeMutableRawPointer.allocate(byteCount: Self.size, alignment: 4096)
    defer { stack.deallocate() }
    stack.initializeMemory(as: UInt8.self, repeating: Self.fill, count: Self.size)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    try #require(pthread_attr_setstack(&attributes, stack, Self.size) == 0)
    var thread = pthread_t()
    let made = pthread_create(
      &thread, &attributes,
      { user in
        guard let user else { return nil }
        let stack = Unmanaged<OwnStack>.fromOpaque(user).takeUnretainedValue()
        stack.status = stack.call()
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    try #require(made == 0)
    pthread_join(thread, nil)
    let untouched = UnsafeRawBufferPointer(start: stack, count: Self.size).prefix { $0 == Self.fill }.count
    return (status, Self.size - untouched)
  }
}
