// SpeculationTests.swift -- answers with guesses against answers without: nothing but the number of passes may differ.

import Glibc
import ModelTestSupport
import TestSupport
import Testing
import XverseConversion
import XverseCore
import XverseTensors

@testable import XverseRuntime

/// Of few tokens, so that what follows repeats what was.
private let repeatingPrompt: [Int32] = [10, 11, 12, 13, 14, 10, 11, 12, 13, 14, 10, 11]

/// A bias that leaves an answer few tokens: it repeats itself, though not for ever.
private func fewTokens(_ options: inout GenerationOptions) {
  options.sampling.logitBias = (10..<16).map { (token: $0, bias: 6) }
  options.ignoresEOS = true
}

private func sampled(_ count: Int, seed: UInt64) -> GenerationOptions {
  greedyOptions(count) {
    fewTokens(&$0)
    $0.sampling.doSample = true
    $0.sampling.temperature = 0.7
    $0.sampling.seed = seed
    $0.wantsLogprobs = true
  }
}

/// Generates without guesses and with guesses; returns what came of both, and the second session's figures.
private func both(
  _ host: TinyHost, _ options: GenerationOptions, draft: TinyHost? = nil, lookup: Int = 8, guessSeed: UInt64? = nil,
  context: Int? = nil, cacheElement: KVElement = .float32, overflow: Session.Overflow = .error
) throws -> (plain: Outcome, guessed: Outcome, statistics: SessionStatistics) {
  func session() throws -> Session {
    try Session(host, context: context, cacheElement: cacheElement, overflow: overflow)
  }
  let plain = try session()
  let guessing = try session().guessEagerly(seed: guessSeed)
  if let draft { _ = try guessing.withDraft(draft) }
  let expected = try plain.generate(repeatingPrompt, options)
  let found = try guessing.generate(repeatingPrompt, options.lookingUp(lookup))
  return (Outcome(expected, plain), Outcome(found, guessing), found.statistics)
}

@Suite("Speculation")
struct SpeculationTests {
  @Test(
    "answers are the same with prompt lookup, for every type of weights and of cache",
    arguments: [("F32", nil), ("BF16", nil), ("F32", .int8), ("F32", .int4)] as [(String, QuantizationScheme?)],
    KVElement.allCases)
  func agreesForEveryType(weights: (dtype: String, scheme: QuantizationScheme?), element: KVElement) throws {
    let host = try loadTiny(weights.scheme) { $0.dtype = .init(rawValue: weights.dtype) ?? .float32 }
    for seed in UInt64(1)...3 {
      for options in [greedyOptions(60, fewTokens), sampled(60, seed: seed)] {
        let (plain, guessed, statistics) = try both(host, options, guessSeed: seed, cacheElement: element)
        #expect(guessed == plain)
        #expect(statistics.draftTokens > 0)
        #expect(statistics.acceptedDraftTokens > 0)
      }
    }
  }

  @Test("answers are the same with a draft model, whether or not it guesses well", arguments: [1, 2] as [UInt64])
  func agreesWithDraft(draftSeed: UInt64) throws {
    let host = try loadTiny()
    let draft = try loadTiny(.int4, runtime: host.runtime) { $0.seed = draftSeed }
    for seed in UInt64(1)...3 {
      for options in [greedyOptions(60) { $0.ignoresEOS = true }, sampled(60, seed: seed)] {
        let (plain, guessed, statistics) = try both(host, options, draft: draft, lookup: 0, guessSeed: seed)
        #expect(guessed == plain)
        #expect(statistics.draftTokens > 0)
      }
    }
  }

  @Test("the model itself as draft is right each time, and no guess is wasted at the end")
  func draftOfItself() throws {
    let host = try loadTiny()
    let options = greedyOptions(61) { $0.ignoresEOS = true }

    let (plain, guessed, statistics) = try both(host, options, draft: host, lookup: 0)

    #expect(guessed == plain)
    #expect(statistics.draftTokens == statistics.acceptedDraftTokens)
    // 1 from the prompt, then passes of 21 tokens: 20 guesses and one more.
    #expect(statistics.draftTokens >= 55)
  }

  @Test(
    "penalties, bias and processors see the tokens that were accepted",
    arguments: [
      { (options: inout GenerationOptions) in options.sampling.repetitionPenalty = 1.3 },
      { options in
        options.sampling.repetitionPenalty = 1.2
        options.sampling.repeatLastN = 3
      },
      { options in options.sampling.frequencyPenalty = 0.2 },
      { options in options.sampling.presencePenalty = -1 },
      { options in options.sampling.topP = 0.8 },
      { options in options.sampling.typicalP = 0.9 },
    ] as [@Sendable (inout GenerationOptions) -> Void])
  func agreesWithProcessors(change: @Sendable (inout GenerationOptions) -> Void) throws {
    let host = try loadTiny()
    let draft = try loadTiny(.int8, runtime: host.runtime)
    var accepted = 0
    for seed in UInt64(1)...4 {
      for var options in [greedyOptions(50, fewTokens), sampled(50, seed: seed)] {
        change(&options)
        let (plain, guessed, statistics) = try both(host, options, draft: draft, lookup: 6)
        #expect(guessed == plain)
        accepted += statistics.acceptedDraftTokens
      }
    }
    #expect(accepted > 0)
  }

  @Test("every length of an answer ends where it does without guesses", arguments: 1...25)
  func endsAtLength(count: Int) throws {
    let (plain, guessed, statistics) = try both(try loadTiny(), greedyOptions(count, fewTokens))

    #expect(guessed == plain)
    #expect(guessed.tokens.count == count)
    #expect(guessed.held == repeatingPrompt + guessed.tokens.dropLast())
    #expect(statistics.draftTokens >= statistics.acceptedDraftTokens)
  }

  @Test("every context is filled as it is without guesses", arguments: 12...30)
  func fillsContext(context: Int) throws {
    let (plain, guessed, _) = try both(try loadTiny(), greedyOptions(nil, fewTokens), context: context)

    #expect(guessed == plain)
    #expect(guessed.reason == .length)
    #expect(guessed.held.count == context)
  }

  @Test("a context that shifts", arguments: [13, 14, 15] as [Int])
  func shifts(context: Int) throws {
    let host = try loadTiny()
    let (plain, guessed, statistics) = try both(
      host, greedyOptions(60, fewTokens), context: context, overflow: .shift)

    #expect(guessed == plain)
    #expect(statistics.draftTokens > 0)
  }

  @Test("positions whose rotation depends on the length of the sequence are evaluated one by one")
  func scalesDynamically() throws {
    let host = try loadTiny {
      $0.maximumPositions = 40
      $0.extraConfiguration = ["rope_scaling": ["type": "dynamic", "factor": 4.0]]
    }
    let (plain, guessed, statistics) = try both(host, greedyOptions(70, fewTokens), context: 90)
    let (_, _, before) = try both(host, greedyOptions(70, fewTokens), context: 40)

    #expect(guessed == plain)
    #expect(guessed.tokens.count == 70)
    #expect(before.acceptedDraftTokens > 0)
    #expect(statistics.draftTokens == before.draftTokens)
  }

  @Test("an eos among accepted guesses ends the answer", arguments: 10...15 as ClosedRange<Int>)
  func endsAtEOS(eos: Int) throws {
    let host = try loadTiny { $0.generationConfiguration = ["eos_token_id": eos] }
    for seed in UInt64(1)...5 {
      var options = sampled(60, seed: seed)
      options.ignoresEOS = false
      let (plain, guessed, _) = try both(host, options, draft: host)
      #expect(guessed == plain)
    }
  }

  @Test("a stop string among accepted guesses ends the answer")
  func endsAtStop() throws {
    let host = try loadTiny()
    let free = try Session(host).generate(repeatingPrompt, greedyOptions(40, fewTokens))
    let bytes = free.textBytes
    for start in stride(from: 0, to: bytes.count - 3, by: 2) {
      let options = greedyOptions(40) {
        fewTokens(&$0)
        $0.stops = [Array(bytes[start..<start + 3])]
      }
      let (plain, guessed, _) = try both(host, options, draft: host)
      #expect(guessed == plain)
      #expect(guessed.reason == .stop)
    }
  }

  @Test("one event for each token, in order, at which the session is as it would be without guesses")
  func tellsEachToken() throws {
    let host = try loadTiny()
    let options = sampled(40, seed: 4)
    func events(_ session: Session, _ options: GenerationOptions) throws -> [[Float]] {
      var told: [[Float]] = []
      _ = try session.generate(repeatingPrompt, options) { event in
        let numbers = [Float(event.kind.rawValue)] + event.tokens.map(Float.init) + Array(event.logprobs)
        told.append(numbers + event.text.map(Float.init) + [Float(session.length)] + (session.heldLogits ?? []))
        return true
      }
      return told
    }

    let expected = try events(Session(host), options)
    let found = try events(try Session(host).guessEagerly().withDraft(host), options.lookingUp(5))

    #expect(found == expected)
    #expect(found.count == 42)
  }

  @Test("a callback that stops and a flag that is set in the middle of accepted guesses", arguments: 1...12)
  func endsFromOutside(place: Int) throws {
    let host = try loadTiny()
    let options = greedyOptions(40, fewTokens)
    func outcome(_ session: Session, _ options: GenerationOptions, cancels: Bool) throws -> [Int32] {
      let cancellation = Cancellation()
      var count = 0
      let onEvent: Session.EventHandler = { event in
        if event.kind == .tokens { count += 1 }
        if cancels && count == place { cancellation.trigger() }
        return cancels || count < place
      }
      do {
        let result = try session.generate(repeatingPrompt, options, cancellation: cancellation, onEvent: onEvent)
        #expect(result.statistics.finishReason == .callback)
      } catch let error as XverseError {
        #expect(error.code == .cancelled)
      }
      return session.heldTokens + [Int32(session.statistics.generatedTokens)]
    }

    for cancels in [false, true] {
      let expected = try outcome(Session(host), options, cancels: cancels)
      let found = try outcome(try Session(host).guessEagerly(), options.lookingUp(7), cancels: cancels)
      #expect(found == expected)
      #expect(found.last == Int32(place))
    }
  }

  @Test("a session goes on after an answer as it would without guesses")
  func goesOn() throws {
    let host = try loadTiny()
    let plain = try Session(host)
    let guessing = try Session(host).guessEagerly().withDraft(host, context: 40)
    for round in 0..<6 {
      let prompt = repeatingPrompt + randomTokens(3 * round, seed: UInt64(round)) + [10, 11, 12]
      let options = sampled(30, seed: UInt64(round))
      let expected = Outcome(try plain.generate(prompt, options), plain)
      let result = try guessing.generate(prompt, options.lookingUp(round % 3 * 4))
      #expect(Outcome(result, guessing) == expected)
      try plain.evaluate([20, 21])
      try guessing.evaluate([20, 21])
      #expect(guessing.heldLogits == plain.heldLogits)
    }
  }

  @Test("guesses that were not verified are in no block that others find")
  func publishesVerifiedTokensOnly() throws {
    let host = try loadTiny()
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let wrong = try loadTiny(runtime: host.runtime) { $0.seed = 9 }
    let options = sampled(200, seed: 7).lookingUp(8)
    let session = try Session(host.loaded, host.runtime, prefixes: prefixes).guessEagerly().withDraft(wrong)
    _ = try session.generate(repeatingPrompt, options)
    let known = session.heldTokens + [20]

    let reader = try Session(host.loaded, host.runtime, prefixes: prefixes)
    try reader.evaluate(known)
    let plain = try Session(host)
    for token in known { try plain.evaluate([token]) }

    #expect(reader.adoptedTokens == 192)
    #expect(reader.heldLogits == plain.heldLogits)
    try prefixes.checkInvariants()
  }

  @Test("a deadline in the middle leaves an answer that is the beginning of the whole")
  func endsAtDeadline() throws {
    let host = try loadTiny()
    let whole = try Session(host).generate(repeatingPrompt, greedyOptions(200, fewTokens))
    let session = try Session(host).guessEagerly()
    let cancellation = Cancellation()
    var count = 0
    let options = greedyOptions(200) {
      fewTokens(&$0)
      $0.deadline = 1_000_000
    }

    let error = #expect(throws: XverseError.self) {
      try session.generate(repeatingPrompt, options.lookingUp(8), cancellation: cancellation) { event in
        if event.kind == .tokens { count += 1 }
        // Sleeps until the deadline that it sets has passed: at the next look at it, not at any time of the machine.
        if count == 20 {
          cancellation.reset(deadlineAfter: 1)
          while !cancellation.isPastDeadline {}
        }
        return true
      }
    }

    #expect(error?.code == .deadline)
    #expect(session.heldTokens == repeatingPrompt + whole.tokenArray.prefix(19))
  }
}

@Suite("Speculation and chance")
struct SpeculationDistributionTests {
  @Test("three tokens of three have the frequencies that their probabilities demand")
  func hasTheRightDistribution() throws {
    let host = try loadTiny()
    let oracle = try Oracle(host)
    let vocabulary: [Int32] = [10, 11, 12]
    // With every pair of them, so that there is always something to guess.
    let prompt: [Int32] = [10, 10, 11, 11, 12, 12, 10, 12, 11, 10]
    let temperature: Float = 2
    func probabilities(after tokens: [Int32]) throws -> [Double] {
      let logits = try oracle.logits(after: tokens)
      let weights = vocabulary.map { exp(Double(logits[Int($0)] / temperature)) }
      return weights.map { $0 / weights.reduce(0, +) }
    }
    var expected: [[Int32]: Double] = [:]
    for (first, p) in zip(vocabulary, try probabilities(after: prompt)) {
      for (second, q) in zip(vocabulary, try probabilities(after: prompt + [first])) {
        for (third, r) in zip(vocabulary, try probabilities(after: prompt + [first, second])) {
          expected[[first, second, third]] = p * q * r
        }
      }
    }
    let session = try Session(host).guessEagerly()
    let drawCount = 2000
    var counts: [[Int32]: Double] = [:]
    var (guessed, accepted) = (0, 0)

    for seed in 0..<drawCount {
      let options = greedyOptions(4) {
        $0.ignoresEOS = true
        $0.sampling.doSample = true
        $0.sampling.topK = 0
        $0.sampling.temperature = temperature
        $0.sampling.seed = UInt64(seed)
        $0.sampling.logitBias = vocabulary.map { (token: $0, bias: 1000) }
      }
      let result = try session.generate(prompt, options.lookingUp(3))
      counts[Array(result.tokenArray.prefix(3)), default: 0] += 1
      guessed += result.statistics.draftTokens
      accepted += result.statistics.acceptedDraftTokens
    }

    let chiSquare = expected.reduce(0.0) { sum, cell in
      let mean = cell.value * Double(drawCount)
      return sum + (counts[cell.key, default: 0] - mean) * (counts[cell.key, default: 0] - mean) / mean
    }
    #expect(counts.keys.allSatisfy { expected[$0] != nil })
    #expect(expected.values.allSatisfy { $0 * Double(drawCount) >= 5 })
    #expect(accepted > drawCount / 4 && guessed > accepted + drawCount / 4, "\(accepted) of \(guessed)")
    // The 99.9th percentile of chi-square with 26 degrees of freedom; the seeds are fixed.
    #expect(chiSquare < 54.05)
  }
}
