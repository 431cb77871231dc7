// SamplerOracleTests.swift -- the distribution that is drawn from, against Hugging Face's own processors.
//
// The numbers are softmax probabilities after the LogitsProcessorList that transformers 5.23 builds for such a
// GenerationConfig (`_get_logits_processor`, do_sample) on `scatteredLogits`, in float32; the frequency and presence
// penalties, which it lacks, are a custom processor of one line. The prompt is [3, 5, 0, 3], the output [1, 1, 6, 3].

import Testing

@testable import XverseRuntime

@Suite("Sampler against transformers")
struct SamplerOracleTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let vocabularySize: Int
    let expected: KeyValuePairs<Int32, Float>
    let change: @Sendable (inout SamplingParameters) -> Void

    init(
      _ name: String, vocabularySize: Int, _ expected: KeyValuePairs<Int32, Float>,
      change: @escaping @Sendable (inout SamplingParameters) -> Void
    ) {
      testDescription = name
      self.vocabularySize = vocabularySize
      self.expected = expected
      self.change = change
    }
  }

  static let cases = [
    Case(
      "temperature and top-k", vocabularySize: 64,
      [
        3: 0.08157691, 10: 0.1726983, 29: 0.1344976, 36: 0.2847314, 48: 0.1047468, 55: 0.221749,
      ]
    ) {
      $0.temperature = 0.5
      $0.topK = 6
    },
    Case(
      "a high temperature and top-k", vocabularySize: 64,
      [
        3: 0.1417488, 10: 0.1709816, 29: 0.1606224, 36: 0.1937476, 48: 0.1508908, 55: 0.182009,
      ]
    ) {
      $0.temperature = 2.0
      $0.topK = 6
    },
    Case(
      "top-k whose last token has an equal", vocabularySize: 96,
      [
        10: 0.1617555, 29: 0.1427488, 36: 0.2076982, 55: 0.1832931, 74: 0.1617555, 93: 0.1427488,
      ]
    ) {
      $0.topK = 5
    },
    Case(
      "top-k of 1 with an equal", vocabularySize: 128,
      [
        36: 0.5, 100: 0.5,
      ]
    ) {
      $0.topK = 1
    },
    Case(
      "top-p", vocabularySize: 64,
      [
        3: 0.1192018, 10: 0.1734376, 29: 0.1530582, 36: 0.2226983, 48: 0.1350734, 55: 0.1965306,
      ]
    ) {
      $0.topP = 0.5
    },
    Case(
      "top-p of 0", vocabularySize: 64,
      [
        36: 1
      ]
    ) {
      $0.topP = 0.0
    },
    Case(
      "min-p", vocabularySize: 64,
      [
        3: 0.09949823, 10: 0.1447691, 22: 0.08780687, 29: 0.1277582, 36: 0.1858872, 41: 0.07748929, 48: 0.1127463,
        55: 0.1640448,
      ]
    ) {
      $0.minP = 0.375
    },
    Case(
      "min-p after a temperature", vocabularySize: 64,
      [
        3: 0.08157691, 10: 0.1726983, 29: 0.1344976, 36: 0.2847314, 48: 0.1047468, 55: 0.221749,
      ]
    ) {
      $0.temperature = 0.5
      $0.minP = 0.25
    },
    Case(
      "min-p of 1 with an equal", vocabularySize: 128,
      [
        36: 0.5, 100: 0.5,
      ]
    ) {
      $0.minP = 1.0
    },
    Case(
      "typical-p", vocabularySize: 64,
      [
        3: 0.1652962, 10: 0.349932, 29: 0.2725273, 48: 0.2122445,
      ]
    ) {
      $0.temperature = 0.5
      $0.typicalP = 0.25
    },
    Case(
      "typical-p with equals", vocabularySize: 96,
      [
        10: 0.2056859, 29: 0.1247548, 55: 0.3391187, 74: 0.2056859, 93: 0.1247548,
      ]
    ) {
      $0.temperature = 0.25
      $0.typicalP = 0.5
    },
    Case(
      "repetition penalty", vocabularySize: 8,
      [
        0: 0.001225812, 1: 0.2385162, 2: 0.01589658, 3: 0.54882, 4: 0.0554845, 5: 0.0003299228, 6: 0.1331004,
        7: 0.006626677,
      ]
    ) {
      $0.repetitionPenalty = 1.5
    },
    Case(
      "repetition reward", vocabularySize: 8,
      [
        0: 0.000368234, 1: 0.07469875, 2: 0.0003459238, 3: 0.910017, 4: 0.001207393, 5: 0.0002377497,
        6: 0.01298069, 7: 0.0001442025,
      ]
    ) {
      $0.repetitionPenalty = 0.5
    },
    Case(
      "frequency and presence penalty", vocabularySize: 8,
      [
        0: 0.00682433, 1: 0.09420698, 2: 0.02381925, 3: 0.6961007, 4: 0.08313737, 5: 0.002844804, 6: 0.08313737,
        7: 0.009929342,
      ]
    ) {
      $0.frequencyPenalty = 0.75
      $0.presencePenalty = 0.5
    },
    Case(
      "logit bias before the repetition penalty", vocabularySize: 8,
      [
        0: 0.2822028, 1: 0.0034647, 3: 0.5682867, 4: 0.03724904, 5: 0.000531329, 6: 0.1038166, 7: 0.004448763,
      ]
    ) {
      $0.logitBias = [(0, 5.0), (1, -4.0), (2, -.infinity)]
      $0.repetitionPenalty = 1.25
    },
    Case(
      "the chat models' defaults", vocabularySize: 64,
      [
        3: 0.0419642, 10: 0.1604088, 22: 0.05901112, 29: 0.1249265, 36: 0.2644695, 41: 0.0459579, 48: 0.09729289,
        55: 0.205969,
      ]
    ) {
      $0.temperature = 0.5
      $0.topK = 30
      $0.topP = 0.85
      $0.repetitionPenalty = 1.1
    },
    Case(
      "everything", vocabularySize: 96,
      [
        10: 0.1104432, 22: 0.05670341, 29: 0.09348811, 36: 0.1541358, 41: 0.04799841, 48: 0.07913599,
        55: 0.1304732, 67: 0.06698718, 74: 0.1104432, 86: 0.05670341, 93: 0.09348811,
      ]
    ) {
      $0.logitBias = [(1, 2.5)]
      $0.repetitionPenalty = 1.25
      $0.frequencyPenalty = 0.25
      $0.presencePenalty = 0.25
      $0.temperature = 0.75
      $0.topK = 20
      $0.topP = 0.9
      $0.minP = 0.125
      $0.typicalP = 0.75
    },
  ]

  @Test("agrees with the processors of transformers", arguments: cases)
  func agrees(with example: Case) throws {
    let sampler = try makeSampler(vocabularySize: example.vocabularySize) {
      $0.doSample = true
      example.change(&$0)
    }
    try sampler.accept(prompt: [3, 5, 0, 3], output: [1, 1, 6, 3])

    let (tokens, probabilities) = try sampler.distribution(scatteredLogits(example.vocabularySize))

    #expect(tokens == example.expected.map(\.key))
    // Seven digits were written down, each exponential of either side is within 3 * 2^-24, each of the oracle's sums of
    // at most 128 terms rounds by less than 2^-23 of it: 1e-6 in all.
    for (probability, expected) in zip(probabilities, example.expected) {
      #expect(abs(probability - expected.value) <= 1e-6 * expected.value)
    }
  }
}
