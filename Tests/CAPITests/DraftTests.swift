// DraftTests.swift -- guesses through the C ABI: prompt lookup, draft models, those that do not fit, and memory that ends.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Speculation")
  struct DraftTests {
    private static let repeating: [Int32] = (0..<6).flatMap { _ in someTokens(5) }

    private func request(_ model: Handle, lookup: Int = 0, assistant: Int = 20) throws -> Request {
      try Request(
        model, tokens: Self.repeating,
        """
        {"max_new_tokens": 40, "ignore_eos": 1, "logprobs": 1, "temperature": 0.5, "seed": 3,
         "prompt_lookup_num_tokens": \(lookup), "num_assistant_tokens": \(assistant)}
        """)
    }

    private func set(_ session: Session, _ draft: Handle?, _ json: String = "{}") throws -> xverse_status {
      let options = try makeOptions(XVERSE_OPTIONS_SESSION, json)
      return xverse_session_set_draft(session.pointer, draft?.pointer, options.pointer)
    }

    @Test("answers are the same with prompt lookup, a draft model and both, and guesses are counted")
    func agrees() throws {
      let model = try openTinyModel()
      let plain = try Session(model).generate(request(model))
      #expect(plain.tokens.count == 40)
      #expect(plain.stats.n_draft == 0 && plain.stats.n_draft_accepted == 0)
      for (lookup, hasDraft) in [(10, false), (0, true), (10, true)] {
        let session = try Session(model)
        if hasDraft { try check(set(session, model)) }
        let answer = session.generate(try request(model, lookup: lookup))
        #expect(answer.tokens == plain.tokens && answer.logprobs == plain.logprobs && answer.text == plain.text)
        #expect(answer.streamedTokens == plain.tokens)
        #expect(answer.stats.n_draft > 0 && answer.stats.n_draft_accepted <= answer.stats.n_draft)
        #expect(try session.tokens == Self.repeating + plain.tokens.dropLast())
        #expect(try session.stats.n_draft == answer.stats.n_draft)
      }
    }

    @Test("a draft can be replaced, switched off for a request, and taken away")
    func replaces() throws {
      let model = try openTinyModel()
      let session = try Session(model)
      try check(set(session, model))
      try check(set(session, model, #"{"context": 200, "kv_type": "int8"}"#))
      #expect(session.generate(try request(model)).stats.n_draft > 0)
      #expect(session.generate(try request(model, assistant: 0)).stats.n_draft == 0)
      try check(set(session, nil))
      #expect(session.generate(try request(model)).stats.n_draft == 0)
    }

    @Test("a draft does not guess beyond its context")
    func endsWithContext() throws {
      let model = try openTinyModel()
      let session = try Session(model)
      try check(set(session, model, "{\"context\": \(Self.repeating.count)}"))
      let answer = session.generate(try request(model))
      #expect(answer.tokens == (try Session(model).generate(request(model)).tokens))
      #expect(answer.stats.n_draft == 0)
    }

    @Test("a draft may be released at once, and ends with the session", arguments: [false, true])
    func lives(isReplaced: Bool) throws {
      let host = RecordingHost()
      let runtime = try makeRuntime(#"{"threads": 1}"#, host)
      let model = try openTinyModel(on: runtime)
      let draft = try openTinyModel(on: runtime)
      let session = try Session(model)
      let expected = session.generate(try request(model)).tokens
      let before = host.blocks
      try check(set(session, draft))
      draft.end()
      let answer = session.generate(try request(model))
      #expect(answer.tokens == expected && answer.stats.n_draft > 0)
      if isReplaced {
        try check(set(session, nil))
        #expect(host.blocks < before)
      }
      session.handle.end()
      model.end()
      runtime.end()
      #expect(host.faults == [])
    }

    // MARK: drafts that do not fit

    private func expectMismatch(_ words: String..., change: (ModelDirectory) throws -> Void) throws {
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      let model = try openTinyModel(on: runtime)
      let directory = try ModelDirectory()
      try change(directory)
      let other = try openModel(directory.path, on: runtime)
      let session = try Session(model)
      try check(set(session, model))
      for (target, draft) in [(session, other), (try Session(other), model)] {
        expect(try set(target, draft), is: XVERSE_E_MISMATCH, saying: "tokens")
      }
      expect(try set(session, other), is: XVERSE_E_MISMATCH, saying: "tokens")
      for word in words { #expect(lastMessage.contains(word), "\(lastMessage)") }
      #expect(session.generate(try request(model)).stats.n_draft > 0, "the draft set before stays")
    }

    private func editTokenizer(_ directory: ModelDirectory, _ edits: KeyValuePairs<String, String>) throws {
      var text = String(decoding: try directory.bytes(of: "tokenizer.json"), as: UTF8.self)
      for (found, replacement) in edits {
        let place = try #require(text.range(of: found), "tokenizer.json has no \(found)")
        text.replaceSubrange(place, with: replacement)
      }
      try directory.write("tokenizer.json", text)
    }

    @Test("another vocabulary is MISMATCH, naming a token")
    func otherVocabulary() throws {
      try expectMismatch("token 61 is 'Y'", "'X'") {
        try editTokenizer($0, [#""X":61"#: #""X":62"#, #""Y":62"#: #""Y":61"#])
      }
    }

    @Test("a token that is special in one of the two only is MISMATCH")
    func otherSpecial() throws {
      try expectMismatch("token 5", "special") {
        try editTokenizer($0, [#""special":true}],"decoder""#: #""special":false}],"decoder""#])
      }
    }

    @Test("another end of a sequence is MISMATCH")
    func otherEOS() throws {
      try expectMismatch("eos_token_id is [4]", "[3]") {
        try $0.edit("generation_config.json", ["eos_token_id": 4])
      }
    }

    @Test("another beginning of a sequence is MISMATCH")
    func otherBOS() throws {
      try expectMismatch("bos_token_id is 4", "2") { try $0.edit("config.json", ["bos_token_id": 4]) }
    }

    @Test("a draft of another runtime is MISMATCH, one without weights MISUSE, options of another kind INVALID")
    func otherObjects() throws {
      let model = try openTinyModel()
      let session = try Session(model)
      let stranger = try openTinyModel(on: makeRuntime())
      expect(try set(session, stranger), is: XVERSE_E_MISMATCH, saying: "runtime")
      let directory = try ModelDirectory()
      let empty = try openModel(directory.path, #"{"vocab_only": 1}"#)
      expect(try set(session, empty), is: XVERSE_E_MISUSE, saying: "vocab_only")
      let options = try makeOptions(XVERSE_OPTIONS_SAMPLING)
      expect(
        xverse_session_set_draft(session.pointer, model.pointer, options.pointer), is: XVERSE_E_INVALID,
        saying: "SAMPLING")
      #expect(session.generate(try request(model)).stats.n_draft == 0)
    }

    @Test("a draft with more rows than tokens guesses tokens that the model has")
    func unevenRows() throws {
      let runtime = try makeRuntime(#"{"threads": 1}"#)
      var checkpoint = TinyCheckpoint()
      checkpoint.unusedRowCount = 40
      let wide = try ModelDirectory(checkpoint)
      let (model, draft) = (try openTinyModel(on: runtime), try openModel(wide.path, on: runtime))
      for (target, other) in [(model, draft), (draft, model)] {
        let session = try Session(target)
        try check(set(session, other))
        let answer = session.generate(try request(target))
        #expect(answer.tokens == (try Session(target).generate(request(target)).tokens))
      }
    }

    // MARK: memory that ends

    @Test("setting a draft and generating fail at each request, or go on without guesses", arguments: [false, true])
    func exhausted(forGood: Bool) throws {
      let host = RecordingHost()
      let directory = try ModelDirectory()
      let failures = try failingEach(host, forGood: forGood) {
        host.recover()
        // Else blocks of the cache would make up for an allocation that fails once.
        let model = try openModel(
          directory.path, #"{"prefix_cache": 0}"#, on: makeRuntime(#"{"threads": 1}"#, host))
        let expected = try Session(model).generate(request(model)).tokens
        let session = try Session(model)
        let guessing = try request(model, lookup: 10)
        let options = try makeOptions(XVERSE_OPTIONS_SESSION)
        try failing(host) {
          let status = xverse_session_set_draft(session.pointer, model.pointer, options.pointer)
          guard status == 0 else {
            expect(status, is: XVERSE_E_NOMEM, saying: "memory")
            throw OutOfMemory()
          }
          let answer = session.generate(guessing)
          guard answer.status != XVERSE_OK else { return #expect(answer.tokens == expected) }
          #expect(answer.status == XVERSE_E_NOMEM && !answer.hasResult && answer.message.contains("memory"))
          host.recover()
          #expect(try session.tokens.count == Int(session.length))
          #expect(session.generate(guessing).tokens == expected)
          throw OutOfMemory()
        }
      }
      #expect(failures > 5)
      #expect(host.blocks == 0)
      #expect(host.faults == [])
    }
  }
}
