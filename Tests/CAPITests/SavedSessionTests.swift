// SavedSessionTests.swift -- xverse_session_save and restore: int4 weights, notes, and errors with their words.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Saved sessions")
  struct SavedSessionTests {
    private let directory: ModelDirectory
    private let files: TemporaryDirectory
    private var path: String { files.path + "/chat.session" }

    init() throws {
      directory = try ModelDirectory()
      files = try TemporaryDirectory()
    }

    private func open(_ json: String? = nil) throws -> Handle { try openModel(directory.path, json) }

    @Test(
      "what is restored by another model object goes on as if nothing had happened",
      arguments: ["{}", #"{"quantize": "int8"}"#, #"{"quantize": "int4"}"#], ["f32", "f16", "int8"])
    func goesOn(json: String, kvType: String) throws {
      let sessionJSON = "{\"kv_type\": \"\(kvType)\"}"
      let prompt = someTokens(100)
      let model = try open(json)
      let undisturbed = try Session(model, sessionJSON)
      try check(undisturbed.evaluate(prompt))
      try check(xverse_session_save(undisturbed.pointer, path))

      let again = try open(json)
      let restored = try Session(again, sessionJSON)
      try check(xverse_session_restore(restored.pointer, path))

      #expect(restored.length == 100)
      #expect(try restored.logits == undisturbed.logits)
      for options in [
        #"{"max_new_tokens": 30, "ignore_eos": 1}"#,
        #"{"max_new_tokens": 30, "ignore_eos": 1, "temperature": 1, "seed": 5}"#,
      ] {
        let tokens = try undisturbed.tokens + [9]
        let expected = undisturbed.generate(try Request(model, tokens: tokens, options))
        let answer = restored.generate(try Request(again, tokens: tokens, options))
        #expect(answer.tokens == expected.tokens)
        #expect(answer.stats.n_cached == Int64(tokens.count - 1))
      }
    }

    @Test("another quantization of the same model is another model")
    func tellsQuantizations() throws {
      let session = try Session(open(#"{"quantize": "int4"}"#))
      try check(session.evaluate([7, 8]))
      try check(xverse_session_save(session.pointer, path))

      let other = try Session(open(#"{"quantize": "int8"}"#))
      try check(other.evaluate([9]))

      expect(xverse_session_restore(other.pointer, path), is: XVERSE_E_MISMATCH, saying: "int4", "int8", "fingerprint")
      #expect(try other.tokens == [9])
    }

    @Test("errors name the file and what is wrong")
    func errors() throws {
      let session = try Session(open())
      expect(xverse_session_restore(session.pointer, path), is: XVERSE_E_NOTFOUND, saying: "chat.session")
      expect(xverse_session_save(session.pointer, files.path + "/no/file"), is: XVERSE_E_NOTFOUND, saying: "no")
      expect(xverse_session_save(session.pointer, files.path), is: XVERSE_E_UNSUPPORTED, saying: "directory")
      try files.write(
        "chat.session",
        "not a session, but some text that is long enough for its header".utf8 + [UInt8](repeating: 0, count: 512))
      expect(
        xverse_session_restore(session.pointer, path), is: XVERSE_E_CORRUPT, saying: "chat.session", "no saved session")
      #expect(session.length == 0)
    }

    @Test("a note is there until it is replaced, in forks and files too")
    func notes() throws {
      let model = try open()
      let session = try Session(model)
      #expect(try note(session) == nil)
      try check(xverse_session_set_note(session.pointer, "hello", 5))
      #expect(try note(session) == "hello")
      let fork = try session.fork()
      try check(xverse_session_save(fork.pointer, path))
      let long = [UInt8](repeating: 7, count: (64 << 20) + 1)
      expect(xverse_session_set_note(session.pointer, long, long.count), is: XVERSE_E_LIMIT, saying: "67108864")
      try check(xverse_session_set_note(session.pointer, nil, 0))
      #expect(try note(session) == nil)

      try check(xverse_session_restore(session.pointer, path))

      #expect(try note(session) == "hello")
    }

    private func note(_ session: Session) throws -> String? {
      var note: UnsafeRawPointer?
      var length = -1
      try check(xverse_session_note(session.pointer, &note, &length))
      return note.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: length), as: UTF8.self) }
    }

    @Test("several threads can save one session at a time into files of their own")
    func savesFromThreads() throws {
      let session = try Session(open())
      try check(session.evaluate(someTokens(100)))
      let folder = files.path
      onThreads(4) { index in
        for _ in 0..<5 { expect(xverse_session_save(session.pointer, folder + "/\(index)"), is: XVERSE_OK) }
      }
      let contents = try (0..<4).map { try Data(contentsOf: URL(fileURLWithPath: folder + "/\($0)")) }
      #expect(Set(contents).count == 1)
    }
  }
}
