// RotaryEmbedding.swift -- rotary position embedding (Su et al. 2021), half-split as in Hugging Face's Llama: the pair
// (j, j + headSize/2) turns by position * frequency[j]. Frequencies and angles are float32, as there.

import Glibc
import XverseTensors

/// The angles of a model's rotary embedding.
package struct RotaryEmbedding: Sendable {
  package let base: Double
  package let scaling: ModelConfiguration.RoPEScaling
  package let headSize: Int
  /// `max_position_embeddings`: dynamic scaling begins beyond it.
  package let maximumPositions: Int

  package init(base: Double, scaling: ModelConfiguration.RoPEScaling, headSize: Int, maximumPositions: Int) {
    self.base = base
    self.scaling = scaling
    self.headSize = headSize
    self.maximumPositions = maximumPositions
  }

  /// Fills `cosines` and `sines`, `[tokens, headSize / 2]`, for tokens at `position` and up.
  ///
  /// - Parameter sequenceLength: Positions in the sequence when the evaluation ends; dynamic scaling depends on it, and
  ///   keys that are already cached keep the rotation they were stored with, as in Hugging Face.
  func fill(cosines: Matrix, sines: Matrix, startingAt position: Int, sequenceLength: Int) {
    let divisor = positionDivisor
    let base = Float(effectiveBase(sequenceLength: sequenceLength))
    for j in 0..<headSize / 2 {
      let frequency = 1 / powf(base, Float(2 * j) / Float(headSize)) / divisor
      for token in 0..<cosines.rows {
        let angle = Float(position + token) * frequency
        cosines.data[token * cosines.columns + j] = cosf(angle)
        sines.data[token * sines.columns + j] = sinf(angle)
      }
    }
  }

  /// How many tokens after `length` can be evaluated together and turn as each of them does when it is evaluated alone.
  package func tokensTurnedAlike(after length: Int) -> Int {
    guard case .dynamic = scaling else { return .max }
    return max(1, maximumPositions - length)
  }

  /// Linear scaling squeezes positions by its factor (Chen et al. 2023).
  private var positionDivisor: Float {
    if case .linear(let factor) = scaling { return Float(factor) }
    return 1
  }

  /// Dynamic NTK scaling raises the base as the sequence grows beyond the trained length:
  /// `base * (factor * L / M - (factor - 1)) ^ (d / (d - 2))`.
  package func effectiveBase(sequenceLength: Int) -> Double {
    guard case .dynamic(let factor) = scaling, sequenceLength > maximumPositions, headSize > 2 else { return base }
    let stretch = factor * Double(sequenceLength) / Double(maximumPositions) - (factor - 1)
    return base * pow(stretch, Double(headSize) / Double(headSize - 2))
  }
}
