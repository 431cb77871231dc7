// GenerationEndTests.swift -- why generation ends: stop strings, tokens, limits, callbacks, cancels and deadlines.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("The end of generation")
  struct GenerationEndTests {
    let model: Handle

    init() throws { model = try openTinyModel() }

    @Test("a stop string ends the text before it, also across tokens, and no part of it is ever told")
    func stopStrings() throws {
      let options = #""max_new_tokens": 40, "ignore_eos": 1, "temperature": 1.5, "seed": 3"#
      let plain = try Session(model).generate(Request(model, "Hu", "{\(options)}"))
      let characters = Array(plain.text)
      for length in [1, 2, 3, 5] {
        for start in stride(from: 0, to: characters.count - length, by: 3) {
          let stop = String(characters[start..<start + length])
          guard !stop.contains("\u{FFFD}") else { continue }
          let answer = try Session(model).generate(
            Request(model, "Hu", "{\(options), \"stop\": [\(quoted(stop)), \"never\"]}"))
          let end = try #require(plain.text.range(of: stop, options: .literal)).lowerBound
          #expect(answer.text == String(plain.text[..<end]))
          #expect(answer.streamedText == answer.text)
          #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_STOP)
          #expect(answer.events.last?.finishReason == XVERSE_FINISH_STOP)
          var told = ""
          for event in answer.events {
            told += event.text
            #expect(plain.text[..<end].hasPrefix(told))
          }
        }
      }
    }

    @Test("a stop string that never comes holds back only what could become it")
    func stopStringThatNeverComes() throws {
      let options = #""max_new_tokens": 40, "ignore_eos": 1, "temperature": 1.5, "seed": 4"#
      let plain = try Session(model).generate(Request(model, "Hu", "{\(options)}"))
      let stop = String(plain.text.suffix(3)) + "never"
      let answer = try Session(model).generate(Request(model, "Hu", "{\(options), \"stop\": [\(quoted(stop))]}"))
      #expect(answer.text == plain.text)
      #expect(answer.streamedText == plain.text)
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_LENGTH)
    }

    @Test("an end-of-sequence token ends generation; its text is not shown")
    func endOfSequence() throws {
      let eos = try Session(model).generate(
        Request(model, "abc", #"{"max_new_tokens": 9, "logit_bias": {"3": 1000}}"#))
      #expect(eos.tokens == [3])
      #expect(eos.text == "")
      #expect(Int(eos.stats.finish_reason) == XVERSE_FINISH_EOS)
      let ignored = try Session(model).generate(
        Request(model, "abc", #"{"max_new_tokens": 9, "logit_bias": {"3": 1000}, "ignore_eos": 1}"#))
      #expect(ignored.tokens == Array(repeating: 3, count: 9))
      #expect(ignored.text == "")
      #expect(Int(ignored.stats.finish_reason) == XVERSE_FINISH_LENGTH)
    }

    @Test("max_new_tokens 0 only evaluates the prompt")
    func prefillOnly() throws {
      let session = try Session(model)
      let prompt = someTokens(9)
      let answer = session.generate(try Request(model, tokens: prompt, #"{"max_new_tokens": 0}"#))
      #expect(answer.status == XVERSE_OK && answer.tokens == [] && answer.text == "")
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_LENGTH)
      #expect(answer.stats.n_prompt == 9 && answer.stats.n_generated == 0)
      let fresh = try Session(model)
      try check(fresh.evaluate(prompt))
      #expect(try session.tokens == prompt)
      #expect(try session.logits == fresh.logits)
    }

    @Test("a callback that asks to stop ends the call with STOPPED and a valid result", arguments: [0, 1, 2, 5])
    func stoppedByCallback(events: Int) throws {
      let session = try Session(model)
      let request = try Request(
        model, tokens: someTokens(9), #"{"max_new_tokens": 20, "ignore_eos": 1, "logprobs": 1}"#)
      let full = try Session(model).generate(request)
      let counter = Counter()
      let answer = session.generate(request) { event in
        event.kind != XVERSE_EVENT_FINISHED && counter.next() >= events ? 1 : 0
      }
      #expect(answer.status == XVERSE_STOPPED)
      #expect(answer.hasResult)
      #expect(answer.events.last?.kind == XVERSE_EVENT_FINISHED)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_CALLBACK)
      #expect(answer.events.last?.status == XVERSE_STOPPED)
      #expect(answer.events.filter { $0.kind == XVERSE_EVENT_FINISHED }.count == 1)
      #expect(answer.tokens == Array(full.tokens.prefix(events)))
      #expect(answer.logprobs ?? [] == Array(full.logprobs?.prefix(events) ?? []))
      #expect(answer.streamedText == answer.text)
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_CALLBACK)
      #expect(session.generate(request).tokens == full.tokens)
    }

    @Test("cancelled before: nothing is evaluated")
    func cancelledBefore() throws {
      let session = try Session(model)
      let cancel = try makeCancel()
      xverse_cancel_trigger(cancel.pointer)
      let answer = session.generate(try Request(model, "abc"), cancel: cancel)
      #expect(answer.status == XVERSE_E_CANCELLED && !answer.hasResult && !answer.message.isEmpty)
      #expect(answer.events.last?.kind == XVERSE_EVENT_FINISHED)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_CANCELLED)
      #expect(answer.events.last?.status == XVERSE_E_CANCELLED)
      #expect(session.length == 0)
    }

    @Test("cancelled meanwhile: no result, the session holds what was evaluated", arguments: [1, 2, 7])
    func cancelledMeanwhile(events: Int) throws {
      let session = try Session(model)
      let request = try Request(model, tokens: someTokens(9), #"{"max_new_tokens": 20, "ignore_eos": 1}"#)
      let full = try Session(model).generate(request)
      let cancel = try makeCancel()
      let counter = Counter()
      let answer = session.generate(request, cancel: cancel) { _ in
        if counter.next() == events { xverse_cancel_trigger(cancel.pointer) }
        return 0
      }
      #expect(answer.status == XVERSE_E_CANCELLED && !answer.hasResult)
      #expect(answer.events.filter { $0.kind == XVERSE_EVENT_FINISHED }.count == 1)
      #expect(try session.stats.finish_reason == Int32(XVERSE_FINISH_CANCELLED))
      let held = try session.tokens
      #expect(Int(session.length) == held.count)
      #expect(held == Array((someTokens(9) + full.tokens).prefix(held.count)))
      #expect(held.count >= 9)
      #expect(session.generate(request).tokens == full.tokens)
    }

    @Test("cancelled after: nothing happens")
    func cancelledAfter() throws {
      let session = try Session(model)
      let cancel = try makeCancel()
      let answer = session.generate(try Request(model, "abc", #"{"max_new_tokens": 3}"#), cancel: cancel)
      xverse_cancel_trigger(cancel.pointer)
      #expect(answer.status == XVERSE_OK)
      try check(session.evaluate([7]))
    }

    @Test("a deadline that has passed is E_DEADLINE, and the flag is cleared by reset")
    func deadlineOfCancel() throws {
      let session = try Session(model)
      let request = try Request(model, "abc", #"{"max_new_tokens": 3}"#)
      let cancel = try makeCancel()
      xverse_cancel_reset(cancel.pointer, 1)
      usleep(3000)
      let late = session.generate(request, cancel: cancel)
      #expect(late.status == XVERSE_E_DEADLINE && !late.hasResult)
      #expect(late.events.last?.finishReason == XVERSE_FINISH_DEADLINE)
      #expect(late.events.last?.status == XVERSE_E_DEADLINE)
      for milliseconds in [0, -1, Int64.min, .max, 3_600_000] {
        xverse_cancel_trigger(cancel.pointer)
        xverse_cancel_reset(cancel.pointer, milliseconds)
        #expect(session.generate(request, cancel: cancel).status == XVERSE_OK)
      }
    }

    @Test("the option deadline_ms ends generation with OK and FINISH_DEADLINE")
    func deadlineOption() throws {
      let session = try Session(model, #"{"overflow": "shift"}"#)
      let request = try Request(model, "abc", #"{"deadline_ms": 200, "ignore_eos": 1}"#)
      let answer = session.generate(request)
      #expect(answer.status == XVERSE_OK && answer.hasResult)
      #expect(Int(answer.stats.finish_reason) == XVERSE_FINISH_DEADLINE)
      #expect(answer.events.last?.finishReason == XVERSE_FINISH_DEADLINE)
      #expect(answer.tokens.count > 1)
      #expect(answer.streamedText == answer.text)
      #expect(answer.streamedTokens == answer.tokens)
      let patient = session.generate(
        try Request(model, "abc", #"{"deadline_ms": 3600000, "max_new_tokens": 2, "ignore_eos": 1}"#))
      #expect(Int(patient.stats.finish_reason) == XVERSE_FINISH_LENGTH)
    }
  }
}

/// Counts calls from a closure.
private final class Counter {
  private var count = 0

  /// 0, 1, 2...
  func next() -> Int {
    defer { count += 1 }
    return count
  }
}

/// The text as a JSON string.
private func quoted(_ text: String) -> String {
  let data = (try? JSONSerialization.data(withJSONObject: [text])) ?? Data()
  return String(String(decoding: data, as: UTF8.self).dropFirst().dropLast())
}
