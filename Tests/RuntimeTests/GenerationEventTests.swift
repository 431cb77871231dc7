// GenerationEventTests.swift -- what a generation tells while it runs, and the ends that come from outside.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

/// A copy of a `GenerationEvent`.
private struct Told {
  let kind: GenerationEvent.Kind
  let text: [UInt8]
  let tokens: [Int32]
  let logprobs: [Float]
  let done: Int
  let total: Int
  let reason: FinishReason
  let error: XverseError.Code?
  let isTerminated: Bool

  init(_ event: borrowing GenerationEvent) {
    kind = event.kind
    text = Array(event.text)
    tokens = Array(event.tokens)
    logprobs = Array(event.logprobs)
    done = event.promptDone
    total = event.promptTotal
    reason = event.finishReason
    error = event.error?.code
    isTerminated = event.text.baseAddress.map { $0[event.text.count] == 0 } ?? false
  }
}

/// Collects events and asks to stop at the one that `stops` chooses.
private final class Listener {
  private(set) var told: [Told] = []
  private let stops: (Told) -> Bool

  init(stops: @escaping (Told) -> Bool = { _ in false }) { self.stops = stops }

  func hear(_ event: borrowing GenerationEvent) -> Bool {
    let copy = Told(event)
    told.append(copy)
    return !stops(copy)
  }

  func of(_ kind: GenerationEvent.Kind) -> [Told] { told.filter { $0.kind == kind } }
  var text: [UInt8] { told.flatMap(\.text) }
}

@Suite("GenerationEvent")
struct GenerationEventTests {
  @Test("prefill, then each token, then the end; the texts are the result's text")
  func tellsInOrder() throws {
    let session = try Session(try loadTiny())
    let listener = Listener()

    let result = try session.generate(generationPrompt, greedyOptions(30) { $0.wantsLogprobs = true }) {
      listener.hear($0)
    }

    #expect(listener.told.map(\.kind) == [.prefill] + Array(repeating: .tokens, count: 30) + [.finished])
    #expect(listener.of(.prefill).map { [$0.done, $0.total] } == [[9, 9]])
    #expect(listener.of(.tokens).map(\.tokens) == result.tokenArray.map { [$0] })
    #expect(listener.of(.tokens).flatMap(\.logprobs) == Array(result.logprobs.elements))
    #expect(listener.of(.tokens).allSatisfy { $0.reason == .none })
    #expect(listener.of(.finished).map(\.reason) == [.length])
    #expect(listener.of(.finished).allSatisfy { $0.tokens.isEmpty && $0.error == nil })
    #expect(listener.text == result.textBytes)
    #expect(listener.told.allSatisfy { $0.isTerminated })
    #expect(listener.told.allSatisfy { String(validating: $0.text, as: UTF8.self) != nil })
  }

  @Test("log probabilities are told only when asked for")
  func omitsLogprobs() throws {
    let listener = Listener()

    _ = try Session(try loadTiny()).generate(generationPrompt, greedyOptions(3)) { listener.hear($0) }

    #expect(listener.told.allSatisfy { $0.logprobs.isEmpty })
  }

  @Test("a long prompt is told chunk by chunk, with what was cached")
  func tellsPrefill() throws {
    let session = try Session(try loadTiny { $0.maximumPositions = 2048 })
    let prompt = randomTokens(1200, seed: 1)
    try session.evaluate(Array(prompt.prefix(100)))
    let listener = Listener()

    _ = try session.generate(prompt, greedyOptions(1)) { listener.hear($0) }

    #expect(listener.of(.prefill).map { [$0.done, $0.total] } == [[612, 1200], [1124, 1200], [1200, 1200]])
  }

  @Test("no event shows any part of a stop string")
  func hidesStopStrings() throws {
    let model = try loadTiny()
    let free = try Session(model).generate(generationPrompt, greedyOptions(40))
    let bytes = free.textBytes
    let characters = Array(free.string)
    let stop = Array(String(characters[6..<10]).utf8)
    let listener = Listener()

    let result = try Session(model).generate(generationPrompt, greedyOptions(40) { $0.stops = [stop] }) {
      listener.hear($0)
    }

    #expect(result.statistics.finishReason == .stop)
    #expect(listener.text == result.textBytes)
    #expect(bytes.starts(with: result.textBytes + stop))
    #expect(listener.of(.finished).map(\.reason) == [.stop])
  }

  @Test("a listener ends it at any token, which is then in the result", arguments: [1, 2, 7])
  func stopsAtToken(count: Int) throws {
    let model = try loadTiny()
    let session = try Session(model)
    let free = try Session(model).generate(generationPrompt, greedyOptions(count))
    var heard = 0
    let listener = Listener { told in
      if told.kind == .tokens { heard += 1 }
      return told.kind == .tokens && heard == count
    }

    let result = try session.generate(generationPrompt, greedyOptions(30)) { listener.hear($0) }

    #expect(result.statistics.finishReason == .callback)
    #expect(result.tokenArray == free.tokenArray)
    #expect(result.textBytes == free.textBytes)
    #expect(listener.text == result.textBytes)
    #expect(session.heldTokens == generationPrompt + free.tokenArray.dropLast())
  }

  @Test("a listener ends it while the prompt is evaluated")
  func stopsAtPrefill() throws {
    let session = try Session(try loadTiny { $0.maximumPositions = 2048 })
    let prompt = randomTokens(1200, seed: 2)
    let listener = Listener { $0.kind == .prefill && $0.done == 1024 }

    let result = try session.generate(prompt, greedyOptions(5)) { listener.hear($0) }

    #expect(result.statistics.finishReason == .callback)
    #expect(result.tokenArray.isEmpty)
    #expect(session.heldTokens == Array(prompt.prefix(1024)))
    #expect(listener.of(.finished).map(\.reason) == [.callback])
  }

  @Test("what a listener says to the end changes nothing")
  func ignoresAnswerToEnd() throws {
    let listener = Listener { $0.kind == .finished }

    let result = try Session(try loadTiny()).generate(generationPrompt, greedyOptions(3)) { listener.hear($0) }

    #expect(result.statistics.finishReason == .length)
  }
}

@Suite("Session.generate ended from outside")
struct EndedGenerationTests {
  @Test("the options' deadline is an end with a result")
  func endsAtDeadline() throws {
    let model = try loadTiny()
    let session = try Session(model, context: 200, overflow: .shift)
    let options = greedyOptions {
      $0.ignoresEOS = true
      $0.deadline = 30
    }
    let listener = Listener()

    let result = try session.generate(generationPrompt, options) { listener.hear($0) }

    #expect(result.statistics.finishReason == .deadline)
    #expect(listener.of(.finished).map(\.reason) == [.deadline])
    #expect(listener.text == result.textBytes)
    session.truncate(to: 0)
    #expect(try session.generate(generationPrompt, greedyOptions(3)).tokens.count == 3)
  }

  @Test("the caller's deadline is an error")
  func failsAtCallersDeadline() throws {
    let session = try Session(try loadTiny(), context: 200, overflow: .shift)
    let cancellation = Cancellation()
    cancellation.reset(deadlineAfter: 30)
    let listener = Listener()

    let error = #expect(throws: XverseError.self) {
      _ = try session.generate(
        generationPrompt, greedyOptions { $0.ignoresEOS = true }, cancellation: cancellation
      ) { listener.hear($0) }
    }

    #expect(error?.code == .deadline)
    #expect(listener.of(.finished).map(\.reason) == [.deadline])
    #expect(listener.of(.finished).map(\.error) == [.deadline])
    #expect(session.statistics.finishReason == .deadline)
  }

  @Test("a flag that comes up after a token is an error, and the session holds what was evaluated")
  func fails() throws {
    let model = try loadTiny()
    let session = try Session(model)
    let cancellation = Cancellation()
    let expected = try Oracle(model).continuation(of: generationPrompt, count: 4)
    let listener = Listener { told in
      if told.tokens == [expected[3]] { cancellation.trigger() }
      return false
    }

    let error = #expect(throws: XverseError.self) {
      _ = try session.generate(generationPrompt, greedyOptions(30), cancellation: cancellation) { listener.hear($0) }
    }

    let heard = listener.of(.tokens).flatMap(\.tokens)
    #expect(error?.code == .cancelled)
    #expect(heard == expected)
    #expect(session.heldTokens == generationPrompt + expected.dropLast())
    #expect(listener.of(.finished).map(\.reason) == [.cancelled])
    #expect(listener.of(.finished).map(\.error) == [.cancelled])
    #expect(session.statistics.finishReason == .cancelled)
    let again = try session.generate(generationPrompt, greedyOptions(4))
    #expect(again.tokenArray == expected)
  }

  @Test("a flag from another thread ends a generation without end")
  func endsFromAnotherThread() throws {
    let session = try Session(try loadTiny(), context: 200, overflow: .shift)
    let cancellation = Cancellation()
    let canceller = Thread {
      usleep(20_000)
      cancellation.trigger()
    }
    var isStarted = false

    let error = #expect(throws: XverseError.self) {
      _ = try session.generate(
        generationPrompt, greedyOptions { $0.ignoresEOS = true }, cancellation: cancellation
      ) { event in
        if event.kind == .tokens, !isStarted {
          canceller.start()
          isStarted = true
        }
        return true
      }
    }

    #expect(error?.code == .cancelled)
    #expect(session.length == session.tokens.count)
    // The flag may come up while a shifted sequence begins anew: nothing is held then, and nothing can be restored.
    try session.restoreLogits()
    #expect(session.length == 0 ? session.heldLogits == nil : session.heldLogits?.allSatisfy { $0.isFinite } == true)
  }

  @Test("a prompt that cannot be leaves the session as it was, and nothing is told")
  func refusesPrompts() throws {
    let session = try Session(try loadTiny(), context: 20)
    try session.evaluate([10, 11, 12])
    let logits = session.heldLogits
    let prompts: [([Int32], XverseError.Code)] = [
      ([], .invalid), ([10, 11, 370], .range), ([-1], .range), (randomTokens(21, seed: 3), .contextFull),
    ]
    for (prompt, code) in prompts {
      let listener = Listener()

      let error = #expect(throws: XverseError.self) {
        _ = try session.generate(prompt, greedyOptions(3)) { listener.hear($0) }
      }

      #expect(error?.code == code)
      #expect(listener.told.isEmpty)
      #expect(session.heldTokens == [10, 11, 12])
      #expect(session.heldLogits == logits)
    }
  }

  @Test("options that cannot be leave the session as it was")
  func refusesOptions() throws {
    let session = try Session(try loadTiny())
    try session.evaluate([10, 11, 12])

    let penalty = #expect(throws: XverseError.self) {
      _ = try session.generate([10], greedyOptions(3) { $0.sampling.repetitionPenalty = 0 })
    }
    let stop = #expect(throws: XverseError.self) {
      _ = try session.generate([10], greedyOptions(3) { $0.stops = [[]] })
    }

    #expect(penalty?.code == .range)
    #expect(stop?.code == .range)
    #expect(session.heldTokens == [10, 11, 12])
    #expect(session.logits != nil)
  }

  @Test("no token possible is an error that the end tells")
  func failsWithoutTokens() throws {
    let session = try Session(try loadTiny())
    let listener = Listener()
    let options = greedyOptions(3) { options in
      options.sampling.logitBias = (0..<370).map { (token: Int32($0), bias: -.infinity) }
    }

    let error = #expect(throws: XverseError.self) {
      _ = try session.generate(generationPrompt, options) { listener.hear($0) }
    }

    #expect(error?.code == .failed)
    #expect(listener.of(.finished).map(\.reason) == [.error])
    #expect(session.heldTokens == generationPrompt)
  }
}
