// RotaryEmbeddingTests.swift -- the angles: against float64, and against Hugging Face's own numbers.

import Foundation
import Testing
import XverseTensors

@testable import XverseModels

extension RotaryEmbedding {
  /// Cosines and sines of one token, `[headSize / 2]` each.
  fileprivate func angles(at position: Int, sequenceLength: Int? = nil) -> (cosines: [Float], sines: [Float]) {
    var cosines = [Float](repeating: .nan, count: headSize / 2)
    var sines = cosines
    cosines.withUnsafeMutableBufferPointer { cosines in
      sines.withUnsafeMutableBufferPointer { sines in
        fill(
          cosines: Matrix(data: cosines.baseAddress.unsafelyUnwrapped, rows: 1, columns: headSize / 2),
          sines: Matrix(data: sines.baseAddress.unsafelyUnwrapped, rows: 1, columns: headSize / 2),
          startingAt: position, sequenceLength: sequenceLength ?? position + 1)
      }
    }
    return (cosines, sines)
  }
}

private func embedding(
  base: Double = 10_000, _ scaling: ModelConfiguration.RoPEScaling = .none, headSize: Int = 8, maximum: Int = 256
) -> RotaryEmbedding {
  RotaryEmbedding(base: base, scaling: scaling, headSize: headSize, maximumPositions: maximum)
}

/// An angle of float32 passes the roundings of the base b and of the exponent e, which move b^e by e <= 1 and by
/// ln(b^e) <= ln b half ulps (2^-24), and of the power (below 2 half ulps), its inverse, the division and the product;
/// its cosine and sine are off by 1 ulp (2^-23) more.
private func tolerance(angle: Double, base: Double) -> Double {
  angle * (log(base) + 1 + 5) * 0x1p-24 + 0x1p-23
}

@Suite("RotaryEmbedding")
struct RotaryEmbeddingTests {
  @Test("agrees with float64", arguments: [2, 8, 10, 80, 128], [10_000.0, 500_000])
  func agreesWithFloat64(headSize: Int, base: Double) {
    let embedding = embedding(base: base, headSize: headSize, maximum: 16_384)
    for position in [0, 1, 63, 1000, 8191, 16_383] {
      let (cosines, sines) = embedding.angles(at: position)

      for j in 0..<headSize / 2 {
        let angle = Double(position) * pow(base, -2 * Double(j) / Double(headSize))
        let tolerance = tolerance(angle: angle, base: base)
        #expect(abs(Double(cosines[j]) - cos(angle)) <= tolerance, "position \(position), pair \(j)")
        #expect(abs(Double(sines[j]) - sin(angle)) <= tolerance, "position \(position), pair \(j)")
      }
    }
  }

  @Test("linear scaling divides positions by its factor", arguments: [1.0, 2, 2.7, 8])
  func scalesLinearly(factor: Double) {
    let embedding = embedding(.linear(factor: factor), headSize: 80)
    for position in [0, 1, 255, 2000] {
      let (cosines, sines) = embedding.angles(at: position)

      for j in 0..<40 {
        let angle = Double(position) / factor * pow(10_000, -2 * Double(j) / 80)
        let tolerance = tolerance(angle: angle, base: 10_000)
        #expect(abs(Double(cosines[j]) - cos(angle)) <= tolerance, "position \(position), pair \(j)")
        #expect(abs(Double(sines[j]) - sin(angle)) <= tolerance, "position \(position), pair \(j)")
      }
    }
  }

  @Test("tokens of one pass stand at consecutive positions")
  func fillsConsecutivePositions() {
    let embedding = embedding()
    var cosines = [Float](repeating: .nan, count: 5 * 4)
    var sines = cosines

    cosines.withUnsafeMutableBufferPointer { cosines in
      sines.withUnsafeMutableBufferPointer { sines in
        embedding.fill(
          cosines: Matrix(data: cosines.baseAddress.unsafelyUnwrapped, rows: 5, columns: 4),
          sines: Matrix(data: sines.baseAddress.unsafelyUnwrapped, rows: 5, columns: 4), startingAt: 100,
          sequenceLength: 105)
      }
    }

    #expect(cosines == (100..<105).flatMap { embedding.angles(at: $0).cosines })
    #expect(sines == (100..<105).flatMap { embedding.angles(at: $0).sines })
  }
}

@Suite("RotaryEmbedding dynamic scaling")
struct DynamicRotaryEmbeddingTests {
  @Test("up to the trained length the base stays", arguments: [1, 2, 8191, 8192])
  func keepsBase(length: Int) {
    let embedding = embedding(base: 500_000, .dynamic(factor: 2), headSize: 128, maximum: 8192)

    #expect(embedding.effectiveBase(sequenceLength: length) == 500_000)
  }

  @Test(
    "beyond it the base is 500000 (2L/M - 1)^(d/(d-2)), as XVERSE-13B-256K has it", arguments: [8193, 16_384, 262_144])
  func raisesBase(length: Int) {
    let embedding = embedding(base: 500_000, .dynamic(factor: 2), headSize: 128, maximum: 8192)

    let base = embedding.effectiveBase(sequenceLength: length)

    let expected = 500_000 * pow(2 * Double(length) / 8192 - 1, 128.0 / 126)
    // A handful of float64 operations.
    #expect(abs(base - expected) <= expected * 0x1p-48)
  }

  @Test("other factors stretch more, and the factor 1 by length / trained length", arguments: [1.0, 4])
  func stretches(factor: Double) {
    let base = embedding(.dynamic(factor: factor), headSize: 10, maximum: 64).effectiveBase(sequenceLength: 192)

    let expected = 10_000 * pow(factor * 3 - (factor - 1), 10.0 / 8)
    #expect(abs(base - expected) <= expected * 0x1p-48)
  }

  @Test("linear and unscaled embeddings have one base for all lengths")
  func keepsOtherBases() {
    #expect(embedding(.none).effectiveBase(sequenceLength: 100_000) == 10_000)
    #expect(embedding(.linear(factor: 4)).effectiveBase(sequenceLength: 100_000) == 10_000)
  }

  @Test("the angles follow the sequence's length, not the position")
  func followsLength() {
    let embedding = embedding(.dynamic(factor: 2), headSize: 8, maximum: 64)

    let short = embedding.angles(at: 7, sequenceLength: 64)
    let long = embedding.angles(at: 7, sequenceLength: 200)

    #expect(short.cosines == RotaryEmbeddingTests.plainCosines(at: 7))
    #expect(long.cosines[0] == short.cosines[0])
    #expect(long.cosines[1] != short.cosines[1])
  }
}

extension RotaryEmbeddingTests {
  fileprivate static func plainCosines(at position: Int) -> [Float] {
    embedding(headSize: 8, maximum: 64).angles(at: position).cosines
  }
}

/// Numbers of transformers 5.23.0 with torch on a CPU: `cos, sin = LlamaRotaryEmbedding(LlamaConfig(hidden_size=4 * d,
/// num_attention_heads=4, head_dim=d, max_position_embeddings=M, rope_parameters=...))(torch.zeros(1, 1, d),
/// torch.tensor([positions]))`, the first d / 2 columns, printed with 9 digits.
@Suite("RotaryEmbedding in Hugging Face's numbers")
struct HuggingFaceRotaryEmbeddingTests {
  /// Frequencies of the two differ by an ulp (2^-23) at most, and so do their cosines and sines.
  private func expectClose(
    _ found: (cosines: [Float], sines: [Float]), _ cosines: [Float], _ sines: [Float], position: Int,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for j in cosines.indices {
      let frequency = pow(10_000, -Float(j) / Float(cosines.count))
      let tolerance = (Float(position) * frequency + 1) * 0x1p-23
      #expect(abs(found.cosines[j] - cosines[j]) <= tolerance, "pair \(j)", sourceLocation: sourceLocation)
      #expect(abs(found.sines[j] - sines[j]) <= tolerance, "pair \(j)", sourceLocation: sourceLocation)
    }
  }

  @Test("without scaling: d = 8, M = 256, position 255")
  func unscaled() {
    expectClose(
      embedding().angles(at: 255), [-0.862303615, 0.933315098, -0.830053508, 0.967663288],
      [-0.506391644, 0.35905835, 0.557683766, 0.252245426], position: 255)
  }

  @Test("linear, factor 3: d = 8, M = 256, position 700")
  func linear() {
    expectClose(
      embedding(.linear(factor: 3)).angles(at: 700), [0.655850828, -0.226624817, -0.690758109, 0.972901046],
      [0.754890501, -0.973982155, 0.72308594, 0.231221825], position: 700)
  }

  @Test("dynamic, factor 2, base 500000: d = 8, M = 64, position 199 of 200")
  func dynamic() {
    expectClose(
      embedding(base: 500_000, .dynamic(factor: 2), maximum: 64).angles(at: 199, sequenceLength: 200),
      [-0.471625715, -0.395445883, 0.995663106, 0.999997973], [-0.881798863, -0.918489277, 0.093032226, 0.00201588613],
      position: 199)
  }
}
