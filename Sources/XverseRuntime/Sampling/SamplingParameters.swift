// SamplingParameters.swift -- what a caller asked of sampling, as plain values, and the bounds that each value has.

import XverseCore

/// How the next token is chosen, with Hugging Face's names and semantics; the defaults are greedy decoding.
package struct SamplingParameters: Sendable {
  /// Divides the logits before sampling; 0 chooses greedily.
  package var temperature: Float = 1
  /// False chooses greedily: the largest logit after bias and penalties, the lowest id among equals.
  package var doSample = false
  /// Keeps the `topK` largest logits and all that equal the last of them; 0 is off.
  package var topK = 0
  /// Keeps the most probable tokens, as few as reach this mass, at least one; 1 is off.
  package var topP: Float = 1
  /// Keeps the tokens at least this fraction as probable as the most probable one; 0 is off.
  package var minP: Float = 0
  /// Keeps the tokens whose surprise is nearest to the entropy, as few as reach this mass; 1 is off.
  package var typicalP: Float = 1
  /// Divides positive and multiplies negative logits of every token of prompt and output; 1 is off.
  package var repetitionPenalty: Float = 1
  /// The repetition penalty looks at the last `repeatLastN` tokens of prompt and output; 0 is all of them.
  package var repeatLastN = 0
  /// Subtracted from the logit of a generated token once for each time it was generated; 0 is off.
  package var frequencyPenalty: Float = 0
  /// Subtracted once from the logit of every generated token; 0 is off.
  package var presencePenalty: Float = 0
  /// Starts the random numbers; nil takes a seed from the system.
  package var seed: UInt64?
  /// Added to the logits before everything else; several entries of one token add up.
  ///
  /// -infinity forbids a token. A finite bias never does, but -100 leaves it a chance of e^-100 at most beside a
  /// token of equal logit, and 100 all but forces it: the range of OpenAI's `logit_bias`.
  package var logitBias: [(token: Int32, bias: Float)] = []

  package init() {}

  /// True when no random number is used.
  package var isGreedy: Bool { !doSample || temperature == 0 }

  /// Switches off what only drawing looks at.
  mutating func removeSamplingSteps() {
    let standard = Self()
    doSample = false
    (temperature, topK, topP) = (standard.temperature, standard.topK, standard.topP)
    (minP, typicalP) = (standard.minP, standard.typicalP)
  }

  var penalizesRepetition: Bool { repetitionPenalty != 1 }
  var penalizesOccurrence: Bool { frequencyPenalty != 0 || presencePenalty != 0 }

  /// Checks every value against its bounds.
  ///
  /// - Throws: `range`, naming the parameter, its value and its bounds.
  package func validate(vocabularySize: Int) throws(XverseError) {
    guard temperature.isFinite, temperature >= 0 else {
      throw .range("temperature is \(temperature), expected a finite number of at least 0")
    }
    guard topK >= 0 else { throw .range("top_k is \(topK), expected at least 0") }
    try Self.check("top_p", topP, in: 0...1)
    try Self.check("min_p", minP, in: 0...1)
    try Self.check("typical_p", typicalP, in: 0...1)
    guard repetitionPenalty.isFinite, repetitionPenalty > 0 else {
      throw .range("repetition_penalty is \(repetitionPenalty), expected a finite number above 0")
    }
    guard repeatLastN >= 0 else { throw .range("repeat_last_n is \(repeatLastN), expected at least 0") }
    try Self.check("frequency_penalty", frequencyPenalty, in: -2...2)
    try Self.check("presence_penalty", presencePenalty, in: -2...2)
    try validateLogitBias(vocabularySize: vocabularySize)
  }

  /// - Throws: `range` for a token outside the vocabulary or a bias that is no number.
  package func validateLogitBias(vocabularySize: Int) throws(XverseError) {
    for (token, bias) in logitBias {
      guard token >= 0, Int(token) < vocabularySize else {
        throw .range("logit_bias names token \(token), expected 0 to \(vocabularySize - 1)")
      }
      guard bias < .infinity else {
        throw .range("logit_bias of token \(token) is \(bias), expected a finite number or -inf")
      }
    }
  }

  private static func check(_ name: String, _ value: Float, in bounds: ClosedRange<Float>) throws(XverseError) {
    guard bounds.contains(value) else {
      throw .range("\(name) is \(value), expected \(bounds.lowerBound) to \(bounds.upperBound)")
    }
  }
}
