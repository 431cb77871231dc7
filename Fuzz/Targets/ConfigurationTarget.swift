// ConfigurationTarget.swift -- config.json and generation_config.json, whose fields may stand in one text.

import XverseCore
import XverseLoading
import XverseModels

extension FuzzTarget {
  /// The bytes are both files.
  static let configuration = FuzzTarget(name: "configuration") { bytes in
    try reading(bytes, multiple: 64, constant: 4096) { allocator in
      let document = try JSONDocument(bytes, source: "config.json", dialect: .python, allocator: allocator)
      try check(ModelConfiguration(json: document))
    }
    try reading(bytes, multiple: 64, constant: 4096) { allocator in
      let document = try JSONDocument(bytes, source: "generation_config.json", dialect: .python, allocator: allocator)
      let defaults = try GenerationDefaults(json: document, vocabularySize: 100)
      let tokens = (defaults.eosTokens ?? []) + [defaults.bosToken, defaults.padToken].compactMap { $0 }
      try require(tokens.allSatisfy { $0 >= 0 }, "tokens \(tokens)")
      let numbers = [
        defaults.temperature, defaults.topP, defaults.minP, defaults.typicalP, defaults.repetitionPenalty,
      ]
      try require(numbers.allSatisfy { $0?.isFinite != false }, "numbers \(numbers)")
    }
  }

  private static func check(_ model: ModelConfiguration) throws {
    let sizes = [
      model.vocabularySize, model.hiddenSize, model.intermediateSize, model.layerCount, model.headCount,
      model.kvHeadCount, model.headSize, model.maximumPositions, model.maximumTokenizerTruncation, model.parameterCount,
    ]
    try require(sizes.allSatisfy { $0 > 0 }, "sizes \(sizes)")
    try require(model.hiddenSize % model.headCount == 0 && model.headCount % model.kvHeadCount == 0, "heads \(sizes)")
    try require(model.headSize % 2 == 0, "head size \(model.headSize)")
    let (values, overflow) = (2 * 8 * model.layerCount * model.kvHeadCount * model.headSize)
      .multipliedReportingOverflow(by: model.maximumPositions)
    try require(!overflow && values > 0, "keys and values of \(sizes)")
    try require(model.rmsNormEpsilon > 0 && model.ropeTheta > 0 && model.ropeTheta.isFinite, "numbers of \(model)")
    let tokens = model.eosTokens + [model.bosToken, model.padToken].compactMap { $0 }
    try require(tokens.allSatisfy { $0 >= 0 }, "tokens \(tokens)")
  }
}
