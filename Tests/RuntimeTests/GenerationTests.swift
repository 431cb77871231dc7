// GenerationTests.swift -- the loop: why it ends, what it reuses, what it leaves.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

extension GenerationResult {
  var textBytes: [UInt8] { Array(text.elements.prefix(textLength)) }
  var string: String { String(decoding: textBytes, as: UTF8.self) }
  var tokenArray: [Int32] { Array(tokens.elements) }
}

let generationPrompt = randomTokens(9, seed: 20)

@Suite("Session.generate")
struct GenerationTests {
  @Test("takes the most probable token again and again")
  func generatesGreedily() throws {
    let model = try loadTiny()
    let session = try Session(model)
    let expected = try Oracle(model).continuation(of: generationPrompt, count: 30)
    #expect(!expected.contains(3))

    let result = try session.generate(generationPrompt, greedyOptions(30))

    #expect(result.tokenArray == expected)
    #expect(result.statistics.finishReason == .length)
    #expect(result.statistics.promptTokens == 9)
    #expect(result.statistics.cachedTokens == 0)
    #expect(result.statistics.generatedTokens == 30)
    #expect(result.statistics.firstTokenTime > 0)
    #expect(session.heldTokens == generationPrompt + expected.dropLast())
    #expect(session.statistics.generatedTokens == 30)
  }

  @Test("the text ends with a NUL that is not counted")
  func terminatesText() throws {
    let result = try Session(try loadTiny()).generate(generationPrompt, greedyOptions(10))

    #expect(result.textLength > 0)
    #expect(result.text.count == result.textLength + 1)
    #expect(result.text[result.textLength] == 0)
    #expect(!result.textBytes.contains(0))
  }

  @Test("no new tokens: evaluates the prompt and ends")
  func generatesNothing() throws {
    let session = try Session(try loadTiny())

    let result = try session.generate(generationPrompt, greedyOptions(0))

    #expect(result.tokenArray.isEmpty)
    #expect(result.textLength == 0)
    #expect(result.statistics.finishReason == .length)
    #expect(session.heldTokens == generationPrompt)
    #expect(session.logits != nil)
  }

  @Test("ends when the context is full, with the token that did not fit", arguments: [9, 10, 15])
  func fillsContext(context: Int) throws {
    let model = try loadTiny()
    let session = try Session(model, context: context)
    let expected = try Oracle(model).continuation(of: generationPrompt, count: context - 9 + 1)

    let result = try session.generate(generationPrompt, greedyOptions())

    #expect(result.tokenArray == expected)
    #expect(result.statistics.finishReason == .length)
    #expect(session.length == context)
  }

  @Test("goes on beyond the context by shifting")
  func shifts() throws {
    let session = try Session(try loadTiny(), context: 12, overflow: .shift)

    let result = try session.generate(generationPrompt, greedyOptions(40) { $0.ignoresEOS = true })

    #expect(result.tokens.count == 40)
    #expect(session.length <= 12)
  }

  @Test("any eos of the model ends it, is a token, and is no text")
  func endsAtEOS() throws {
    let free = try Session(try loadTiny()).generate(generationPrompt, greedyOptions(20))
    let eos = free.tokenArray[12]
    let first = try #require(free.tokenArray.firstIndex(of: eos))
    let model = try loadTiny { $0.generationConfiguration = ["eos_token_id": [3, Int(eos)]] }
    let before = try Session(model).generate(generationPrompt, greedyOptions(first))

    let result = try Session(model).generate(generationPrompt, greedyOptions(20))

    #expect(result.tokenArray == Array(free.tokenArray.prefix(first + 1)))
    #expect(result.statistics.finishReason == .eos)
    #expect(result.string == before.string)
  }

  @Test("an ignored eos is a token like others")
  func ignoresEOS() throws {
    let free = try Session(try loadTiny()).generate(generationPrompt, greedyOptions(20))
    let model = try loadTiny { $0.generationConfiguration = ["eos_token_id": Int(free.tokenArray[5])] }

    let result = try Session(model).generate(generationPrompt, greedyOptions(20) { $0.ignoresEOS = true })

    #expect(result.tokenArray == free.tokenArray)
    #expect(result.string == free.string)
    #expect(result.statistics.finishReason == .length)
  }

  @Test("ends before the first stop string", arguments: [0, 3, 8])
  func endsAtStop(start: Int) throws {
    let model = try loadTiny()
    let free = try Session(model).generate(generationPrompt, greedyOptions(40))
    // Three ASCII characters: bytes that make no character are text only once they cannot make one any more.
    let scalars = Array(free.string.unicodeScalars)
    let place = try #require((start..<38).first { scalars[$0..<$0 + 3].allSatisfy(\.isASCII) })
    let stop = text(scalars[place..<place + 3])
    let found = try #require(free.string.range(of: stop))

    let result = try Session(model).generate(
      generationPrompt, greedyOptions(40) { $0.stops = [Array("never".utf8), Array(stop.utf8)] })

    #expect(result.statistics.finishReason == .stop)
    #expect(result.string == String(free.string[..<found.lowerBound]))
    #expect(result.tokenArray == Array(free.tokenArray.prefix(result.tokens.count)))
    let shorter = try Session(model).generate(generationPrompt, greedyOptions(result.tokens.count - 1))
    #expect(!shorter.string.contains(stop), "it could have ended earlier")
  }

  @Test("what may become a stop string and does not is text in the end")
  func releasesHeldText() throws {
    let model = try loadTiny()
    let free = try Session(model).generate(generationPrompt, greedyOptions(20))
    let end = text(Array(free.string.unicodeScalars).suffix(2))

    let result = try Session(model).generate(
      generationPrompt, greedyOptions(20) { $0.stops = [Array((end + " and more").utf8)] })

    #expect(result.statistics.finishReason == .length)
    #expect(result.textBytes == free.textBytes)
  }

  @Test("log probabilities are those of the softmax")
  func givesLogprobs() throws {
    let model = try loadTiny()
    let oracle = try Oracle(model)

    let result = try Session(model).generate(generationPrompt, greedyOptions(20) { $0.wantsLogprobs = true })
    let without = try Session(model).generate(generationPrompt, greedyOptions(20))

    #expect(result.logprobs.count == 20)
    for index in 0..<20 {
      let before = generationPrompt + result.tokenArray.prefix(index)
      let expected = try oracle.logprob(of: result.tokens[index], after: before)
      // A float32 above -32, of logits that are the same bits.
      #expect(abs(Double(result.logprobs[index]) - expected) <= 0x1p-19)
    }
    #expect(without.logprobs.count == 0)
    #expect(without.tokenArray == result.tokenArray)
  }

  @Test("a seed gives the same tokens, and another seed others")
  func samples() throws {
    let model = try loadTiny()
    func tokens(seed: UInt64) throws -> [Int32] {
      let options = greedyOptions(30) {
        $0.ignoresEOS = true
        $0.sampling.doSample = true
        $0.sampling.seed = seed
      }
      return try Session(model).generate(generationPrompt, options).tokenArray
    }

    #expect(try tokens(seed: 1) == tokens(seed: 1))
    #expect(try tokens(seed: 1) != tokens(seed: 2))
  }

  @Test("a penalty counts the prompt")
  func penalizesPrompt() throws {
    let model = try loadTiny()
    let oracle = try Oracle(model)
    // Without the penalty a token of the prompt would be the best.
    let favorite = generationPrompt[0]
    var logits = try oracle.logits(after: generationPrompt)
    logits[Int(favorite)] += 50
    for token in Set(generationPrompt) {
      logits[Int(token)] = logits[Int(token)] > 0 ? logits[Int(token)] / 1000 : logits[Int(token)] * 1000
    }
    let expected = try #require(logits.indices.max { logits[$0] < logits[$1] })
    let options = greedyOptions(1) {
      $0.sampling.logitBias = [(token: favorite, bias: 50)]
      $0.sampling.repetitionPenalty = 1000
    }

    let result = try Session(model).generate(generationPrompt, options)

    #expect(result.tokenArray == [Int32(expected)])
    #expect(result.tokenArray != [favorite])
  }
}

private func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
  var result = String.UnicodeScalarView()
  result.append(contentsOf: scalars)
  return String(result)
}

@Suite("Session.generate prefix reuse")
struct PrefixReuseTests {
  @Test("the same prompt again is evaluated but for its last token, with the same answer")
  func repeatsPrompt() throws {
    let session = try Session(try loadTiny())
    let first = try session.generate(generationPrompt, greedyOptions(10))

    let second = try session.generate(generationPrompt, greedyOptions(10))

    #expect(second.statistics.cachedTokens == generationPrompt.count - 1)
    #expect(second.tokenArray == first.tokenArray)
    #expect(second.string == first.string)
  }

  @Test("a prompt that goes on with the session's tokens costs its new tokens")
  func continuesPrompt() throws {
    let session = try Session(try loadTiny())
    let first = try session.generate(generationPrompt, greedyOptions(5))
    let longer = generationPrompt + first.tokenArray + [10, 11]
    let fresh = try Session(session.host).generate(longer, greedyOptions(10))

    let second = try session.generate(longer, greedyOptions(10))

    #expect(second.statistics.cachedTokens == generationPrompt.count + 4)
    #expect(second.tokenArray == fresh.tokenArray)
  }

  @Test("a prompt that the session holds with its logits costs nothing")
  func reusesLogits() throws {
    let session = try Session(try loadTiny())
    let fresh = try Session(session.host).generate(generationPrompt, greedyOptions(5))
    try session.evaluate(generationPrompt)
    var prefills = 0

    let result = try session.generate(generationPrompt, greedyOptions(5)) { event in
      if event.kind == .prefill { prefills += 1 }
      return true
    }

    #expect(result.statistics.cachedTokens == generationPrompt.count)
    #expect(result.statistics.queueTime == 0)
    #expect(prefills == 0)
    #expect(result.tokenArray == fresh.tokenArray)
  }

  @Test("another prompt keeps the common beginning", arguments: 0...8)
  func keepsCommonBeginning(common: Int) throws {
    let session = try Session(try loadTiny())
    _ = try session.generate(generationPrompt, greedyOptions(5))
    var other = generationPrompt
    other[common] = other[common] == 50 ? 51 : 50
    let fresh = try Session(session.host).generate(other, greedyOptions(10))

    let result = try session.generate(other, greedyOptions(10))

    #expect(result.statistics.cachedTokens == common)
    #expect(result.tokenArray == fresh.tokenArray)
  }

  @Test("a prompt that is the beginning of what the session holds")
  func shortensPrompt() throws {
    let session = try Session(try loadTiny())
    _ = try session.generate(generationPrompt, greedyOptions(5))
    let shorter = Array(generationPrompt.prefix(4))
    let fresh = try Session(session.host).generate(shorter, greedyOptions(10))

    let result = try session.generate(shorter, greedyOptions(10))

    #expect(result.statistics.cachedTokens == 3)
    #expect(result.tokenArray == fresh.tokenArray)
  }
}
