// XverseModelTests.swift -- the logits of whole models: against the Float64 reference, and against themselves however
// the tokens are cut into passes and spread over threads.

import Glibc
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels

/// Shapes of models, each with what is special about it.
private enum Shape: String, CaseIterable, CustomTestStringConvertible {
  case multiHead, groupedInTwos, oneKVHead, wideHeads, narrowHeads, headOfTen, ragged, tied, float16, bfloat16, deep

  var testDescription: String { rawValue }

  var checkpoint: TinyCheckpoint {
    tinyCheckpoint { tiny in
      switch self {
      case .multiHead: break
      case .groupedInTwos: tiny.kvHeadCount = 2
      case .oneKVHead: tiny.kvHeadCount = 1
      case .wideHeads: (tiny.headSize, tiny.kvHeadCount) = (16, 2)
      case .narrowHeads: tiny.headSize = 2
      case .headOfTen: (tiny.hiddenSize, tiny.headSize) = (40, 10)
      case .ragged:
        (tiny.hiddenSize, tiny.intermediateSize, tiny.headCount, tiny.kvHeadCount, tiny.headSize) = (33, 37, 3, 1, 6)
      case .tied: tiny.tiesWordEmbeddings = true
      case .float16: tiny.dtype = .float16
      case .bfloat16: tiny.dtype = .bfloat16
      case .deep: (tiny.layerCount, tiny.hiddenSize, tiny.intermediateSize) = (5, 24, 7)
      }
      tiny.seed = UInt64(rawValue.utf8.count)
    }
  }
}

@Suite("XverseModel")
struct XverseModelTests {
  @Test("logits agree with Float64", arguments: Shape.allCases)
  fileprivate func agreesWithReference(shape: Shape) throws {
    let tiny = try TinyModel(shape.checkpoint)
    let tokens = randomTokens(70, seed: 1)
    let expected = ReferenceLogits(ReferenceForward(shape.checkpoint), tokens)
    #expect(expected.tolerance < 1e-3)

    for set in availableSets {
      let prefill = try TinySequence(tiny.model, set: set).evaluate(tokens)
      let decode = try TinySequence(tiny.model, set: set).evaluate(tokens, inChunksOf: 1)

      #expect(largestDifference(doubles(prefill), expected.exact) <= expected.tolerance, "\(set) prefill")
      #expect(largestDifference(doubles(decode), expected.exact) <= expected.tolerance, "\(set) decode")
    }
  }

  @Test("logits agree with Float64 after any number of tokens", arguments: availableSets)
  func agreesAfterAnyNumber(set: Kernels.InstructionSet) throws {
    let checkpoint = tinyCheckpoint { $0.kvHeadCount = 2 }
    let tiny = try TinyModel(checkpoint)
    let tokens = randomTokens(70, seed: 2)
    // Logits depend on the tokens before them only, so one reference has the answers for every length.
    let expected = ReferenceLogits(ReferenceForward(checkpoint), tokens)

    for count in 1...70 {
      let logits = try TinySequence(tiny.model, set: set).evaluate(tokens.prefix(count))

      let difference = largestDifference(doubles(logits), Array(expected.exact.prefix(count)))
      #expect(difference <= expected.tolerance, "\(count) tokens")
    }
  }

  @Test(
    "a narrower cache costs no more than the rounding of keys and values", arguments: availableSets,
    [KVElement.float16, .int8])
  func agreesWithNarrowCache(set: Kernels.InstructionSet, element: KVElement) throws {
    let checkpoint = tinyCheckpoint { $0.kvHeadCount = 2 }
    let tiny = try TinyModel(checkpoint)
    let tokens = randomTokens(70, seed: 3)
    var rounding = ReferenceForward(checkpoint)
    rounding.cache = element == .int8 ? .steps : .halves
    let expected = ReferenceLogits(ReferenceForward(checkpoint), tokens)
    // A number beside the middle of two stored ones may round to the other one, which moves it by as much as rounding does.
    let tolerance = expected.tolerance + 2 * largestDifference(expected.exact, rounding.logits(of: tokens))

    let logits = try TinySequence(tiny.model, set: set, element: element).evaluate(tokens)

    let difference = largestDifference(doubles(logits), expected.exact)
    #expect(difference <= tolerance)
    #expect(difference > expected.tolerance, "the cache holds more than that")
  }

  @Test("linear scaling divides positions", arguments: [2.0, 3.0])
  func scalesLinearly(factor: Double) throws {
    let scaling: [String: Any] = ["rope_type": "linear", "factor": factor]
    let checkpoint = tinyCheckpoint { $0.extraConfiguration = ["rope_scaling": scaling] }
    let tiny = try TinyModel(checkpoint)
    let tokens = randomTokens(40, seed: 4)
    var reference = ReferenceForward(checkpoint)
    reference.positionDivisor = factor
    let expected = ReferenceLogits(reference, tokens)

    let logits = try TinySequence(tiny.model).evaluate(tokens)

    #expect(largestDifference(doubles(logits), expected.exact) <= expected.tolerance)
  }
}

/// Dynamic NTK scaling of a model that was trained for 16 positions.
@Suite("XverseModel with dynamic scaling")
struct DynamicScalingTests {
  private static let trained = 16
  private static var checkpoint: TinyCheckpoint {
    tinyCheckpoint {
      $0.maximumPositions = trained
      let scaling: [String: Any] = ["type": "dynamic", "factor": 2.0]
      $0.extraConfiguration = ["rope_theta": 500_000, "rope_scaling": scaling]
    }
  }

  /// base * (2L/M - 1)^(d/(d-2)) beyond M.
  private static func base(_ length: Int) -> Double {
    guard length > trained else { return 500_000 }
    let exponent = Double(checkpoint.headSize) / Double(checkpoint.headSize - 2)
    return 500_000 * pow(2 * Double(length) / Double(trained) - 1, exponent)
  }

  @Test("one pass beyond the trained length turns all tokens by the base of the final length", arguments: [17, 40])
  func scalesPrefill(count: Int) throws {
    let tiny = try TinyModel(Self.checkpoint)
    let tokens = randomTokens(count, seed: 5)
    var reference = ReferenceForward(Self.checkpoint)
    reference.base = { _ in Self.base(count) }
    let expected = ReferenceLogits(reference, tokens)

    let logits = try TinySequence(tiny.model, capacity: 64).evaluate(tokens)

    #expect(largestDifference(doubles(logits), expected.exact) <= expected.tolerance)
  }

  @Test("token by token each takes the base of its own length, and cached keys keep theirs")
  func scalesDecode() throws {
    let tiny = try TinyModel(Self.checkpoint)
    let tokens = randomTokens(40, seed: 6)
    var reference = ReferenceForward(Self.checkpoint)
    reference.base = { Self.base($0 + 1) }
    let expected = ReferenceLogits(reference, tokens)
    var unscaled = reference
    unscaled.base = { _ in 500_000 }

    let logits = try TinySequence(tiny.model, capacity: 64).evaluate(tokens, inChunksOf: 1)

    #expect(largestDifference(doubles(logits), expected.exact) <= expected.tolerance)
    #expect(largestDifference(unscaled.logits(of: tokens), expected.exact) > 10 * expected.tolerance)
  }

  @Test("passes of one evaluation share the base of its end")
  func sharesBase() throws {
    let tiny = try TinyModel(Self.checkpoint)
    let tokens = randomTokens(40, seed: 7)
    let whole = try TinySequence(tiny.model, capacity: 64)
    let chunked = try TinySequence(tiny.model, capacity: 64)

    let expected = try whole.evaluate(tokens.prefix(30)).prefix(30)
    let logits = try chunked.evaluate(tokens.prefix(13), endingAt: 30) + chunked.evaluate(tokens[13..<30], endingAt: 30)

    #expect(sameBits(logits, Array(expected)))
  }

  @Test("up to the trained length nothing changes")
  func keepsTrainedLengths() throws {
    let plain = tinyCheckpoint {
      $0.maximumPositions = Self.trained
      $0.extraConfiguration = ["rope_theta": 500_000]
    }
    let tokens = randomTokens(Self.trained, seed: 8)
    let expected = try TinySequence(try TinyModel(plain).model).evaluate(tokens)

    let logits = try TinySequence(try TinyModel(Self.checkpoint).model).evaluate(tokens)

    #expect(sameBits(logits, expected))
  }
}
