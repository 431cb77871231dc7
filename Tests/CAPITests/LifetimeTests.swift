// LifetimeTests.swift -- objects may be freed in any order, keep alive what they need, and leave nothing behind.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Lifetimes")
  struct LifetimeTests {
    @Test("model, session and runtime may be released in every order", arguments: permutations(of: [0, 1, 2, 3]))
    func everyOrder(order: [Int]) throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let model = try openTinyModel(on: runtime)
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 3}"#)
      let handles = [runtime, model, session.handle, request.handle]
      let expected = session.generate(request).tokens
      try check(session.truncate(0))

      for index in order {
        handles[index].end()
        guard session.pointer != nil, request.pointer != nil else { continue }
        #expect(session.generate(request).tokens == expected)
      }

      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("a model lives until each of its references is released")
    func retain() throws {
      let host = RecordingHost()
      let model = try openTinyModel(on: makeRuntime(nil, host))
      for _ in 0..<10 { #expect(xverse_model_retain(model.pointer) == model.pointer) }
      for _ in 0..<10 { xverse_model_release(model.pointer) }
      #expect(try info(of: model).n_layers == 2)
      #expect(host.blocks > 0)
      model.end()
      #expect(host.blocks == 0)
    }

    @Test("a borrowed tokenizer is the same each time and survives being released")
    func borrowedTokenizer() throws {
      let model = try openTinyModel()
      let tokenizer = xverse_model_tokenizer(model.pointer)
      let ids = try encode(model, "the world")
      for _ in 0..<10 { xverse_tokenizer_release(tokenizer) }
      #expect(xverse_model_tokenizer(model.pointer) == tokenizer)
      #expect(try encode(model, "the world") == ids)
    }

    @Test("a detokenizer outlives the tokenizer and the model that it came from")
    func detokenizerOutlivesTokenizer() throws {
      let directory = try ModelDirectory()
      let model = try openModel(directory.path)
      let tokenizer = try makeHandle(xverse_tokenizer_release) { xverse_tokenizer_open(directory.path, $0) }
      let ids = try encode(model, "你好 the world")
      let detokenizers = try [tokenizer.pointer, xverse_model_tokenizer(model.pointer)].map { tokenizer in
        try makeHandle(xverse_detokenizer_free) { xverse_detokenizer_create(tokenizer, 0, $0) }
      }
      tokenizer.end()
      model.end()
      for detokenizer in detokenizers {
        var text = ""
        for id in ids { text += try piece { xverse_detokenizer_push(detokenizer.pointer, id, $0, $1) } }
        text += try piece { xverse_detokenizer_flush(detokenizer.pointer, $0, $1) }
        #expect(text == "你好 the world")
      }
    }

    @Test("a result outlives session, request, model and runtime")
    func resultOutlivesEverything() throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(nil, host)
      let model = try openTinyModel(on: runtime)
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 8, "ignore_eos": 1, "logprobs": 1}"#)
      let answer = session.generate(request)
      let before = (answer.text, answer.tokens, answer.logprobs)
      for handle in [session.handle, request.handle, model, runtime] { handle.end() }
      #expect(answer.tokens.count == 8)
      #expect(answer.text == before.0 && answer.tokens == before.1 && answer.logprobs == before.2)
      answer.result.end()
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }

    @Test("the text of a detokenizer is valid until its next call, that of a tokenizer's token as long as it lives")
    func borrowedTexts() throws {
      let model = try openTinyModel()
      let tokenizer = xverse_model_tokenizer(model.pointer)
      var first: UnsafePointer<CChar>?
      var second: UnsafePointer<CChar>?
      var length = 0
      try check(xverse_tokenizer_token_bytes(tokenizer, 6, &first, &length, nil))
      for id in Int32(0)..<300 { try check(xverse_tokenizer_token_bytes(tokenizer, id, &second, nil, nil)) }
      try check(xverse_tokenizer_token_bytes(tokenizer, 6, &second, nil, nil))
      #expect(first == second && length == 1)
    }

    @Test("a runtime's memory is nothing again when its objects are gone")
    func memoryReturnsToNothing() throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      #expect(try memory(of: runtime).current == 0)
      try {
        let model = try openTinyModel(on: runtime)
        let session = try Session(model)
        let sampler = try makeSampler(model, #"{"temperature": 1, "repetition_penalty": 1.1}"#)
        try check(session.evaluate(someTokens(100)))
        _ = session.generate(try Request(model, "abc", #"{"max_new_tokens": 5, "temperature": 1}"#))
        #expect(Int(try memory(of: runtime).current) == host.bytes)
        withExtendedLifetime(sampler) {}
      }()
      let held = try memory(of: runtime)
      // Only the work memory stays, which belongs to the runtime.
      #expect(Int(held.current) == host.bytes)
      #expect(held.peak > held.current)
      runtime.end()
      #expect(host.blocks == 0)
      #expect(host.requests > 20)
      #expect(host.faults == [])
    }

    @Test("the default runtime holds nothing when no model is left")
    func defaultRuntime() throws {
      var before: Int64 = -1
      var after: Int64 = -1
      try check(xverse_runtime_memory(nil, &before, nil))
      try {
        let model = try openTinyModel()
        let session = try Session(model)
        try check(session.evaluate(someTokens(20)))
        var during: Int64 = 0
        try check(xverse_runtime_memory(nil, &during, nil))
        #expect(during > before)
      }()
      try check(xverse_runtime_memory(nil, &after, nil))
      #expect(after == before)
    }

    @Test("no thread is left when the last reference is released")
    func noThreadIsLeft() throws {
      // OpenMP's workers stay parked for the next runtime with more than one thread; another suite may have made some.
      let parked = computeThreads().count
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      let model = try openTinyModel(on: runtime)
      let session = try Session(model)
      try check(session.evaluate(someTokens(20)))
      #expect(computeThreads().count == parked + 1)
      for handle in [runtime, model] { handle.end() }
      #expect(computeThreads().count == parked + 1)
      session.handle.end()
      #expect(computeThreads().count == parked)
    }

    @Test("failed calls leave nothing behind")
    func failuresLeaveNothing() throws {
      let host = RecordingHost()
      let parked = computeThreads().count
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let directory = try ModelDirectory()
      try directory.remove("model.safetensors")
      for _ in 0..<5 {
        #expect(throws: CallFailed.self) { try openModel(directory.path, on: runtime) }
        #expect(host.blocks == 0)
      }
      runtime.end()
      #expect(computeThreads().count == parked)
    }

    private func piece(
      _ call: (UnsafeMutablePointer<UnsafePointer<CChar>?>, UnsafeMutablePointer<Int>) -> xverse_status
    ) throws -> String {
      var text: UnsafePointer<CChar>?
      var length = 0
      try check(call(&text, &length))
      return String(decoding: UnsafeRawBufferPointer(start: text, count: length), as: UTF8.self)
    }

    private static func permutations(of items: [Int]) -> [[Int]] {
      guard items.count > 1 else { return [items] }
      return items.flatMap { first in permutations(of: items.filter { $0 != first }).map { [first] + $0 } }
    }
  }
}

/// The threads of this process that block every signal, SIGSEGV among them: those of the library do, as PROCESS in
/// xverse.h says, and those of the test's own runtime keep at least the signals of a crash.
private func computeThreads() -> [String] {
  let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
  return threads.filter { thread in
    let status = (try? String(contentsOfFile: "/proc/self/task/\(thread)/status", encoding: .utf8)) ?? ""
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigBlk:") }),
      let mask = UInt64(line.dropFirst("SigBlk:".count).trimmingCharacters(in: .whitespaces), radix: 16)
    else { return false }
    let segmentationFault = UInt64(1) << UInt64(SIGSEGV - 1)
    return mask & segmentationFault != 0 && mask.nonzeroBitCount > 55
  }
}
