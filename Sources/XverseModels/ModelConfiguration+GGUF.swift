// ModelConfiguration+GGUF.swift -- the shape of a model, from the metadata of a GGUF file. The file's keys stand here and
// nowhere else.

import XverseCore
import XverseFormats
import XverseTensors

extension ModelConfiguration {
  /// - Throws: As for config.json.
  package init(gguf description: GGUFDescription) throws(XverseError) {
    let general = GGUFFields(description.metadata)
    let name = try Self.ggufArchitecture(general)
    let fields = GGUFFields(description.metadata, prefix: name + ".")
    try Self.requireDenseModel(fields, description)
    source = description.metadata.source
    modelType = name
    architecture = name == "xverse" ? "XverseForCausalLM" : "LlamaForCausalLM"
    vocabularySize = try Self.vocabularySize(fields, general)
    hiddenSize = try Self.size("embedding_length", Limit.hiddenSize, fields)
    intermediateSize = try Self.size("feed_forward_length", Limit.intermediateSize, fields)
    layerCount = try Self.size("block_count", Limit.layerCount, fields)
    (headCount, kvHeadCount, headSize) = try Self.heads(fields, hiddenSize: hiddenSize)
    maximumPositions = try Self.size("context_length", Limit.positions, fields)
    maximumTokenizerTruncation = maximumPositions
    rmsNormEpsilon = try Self.epsilon(fields)
    ropeTheta = try fields.number("rope.freq_base", expected: "a number above 0") { $0 > 0 } ?? 10_000
    ropeScaling = try Self.ropeScaling(fields)
    tieWordEmbeddings = !description.hasTensor(named: WeightKey(.head).name(in: .gguf))
    padToken = try Self.token("padding_token_id", general, vocabularySize, &warnings)
    bosToken = try Self.token("bos_token_id", general, vocabularySize, &warnings)
    eosTokens = try Self.endTokens(general, vocabularySize, &warnings)
  }

  private static func ggufArchitecture(_ general: GGUFFields) throws(XverseError) -> String {
    let key = "general.architecture"
    let expected = "'xverse' or 'llama'"
    guard let value = general[key], let name = try general.string(key) else {
      throw general.missing(key, expected: expected)
    }
    guard name == "xverse" || name == "llama" else {
      throw .unsupported(general.message(key, value, expected: expected))
    }
    return name
  }

  /// Rejects what the mathematics of the dense model do not cover.
  private static func requireDenseModel(
    _ fields: GGUFFields, _ description: GGUFDescription
  ) throws(XverseError) {
    for key in ["expert_count", "expert_used_count"] {
      guard let value = fields[key], value.integer != 0 else { continue }
      throw .unsupported(fields.message(key, value, expected: "0: mixtures of experts are not supported"))
    }
    if let name = description.firstTensorName(where: WeightNames.isEssential) {
      throw .unsupported(
        "\(description.metadata.source): tensor '\(name.inMessage)' is not supported, expected a model without it")
    }
  }

  // MARK: sizes

  private static func size(_ key: String, _ limit: Int, _ fields: GGUFFields) throws(XverseError) -> Int {
    if let size = try fields.integer(key, in: 1...limit) { return size }
    throw fields.missing(key, expected: "an integer from 1 to \(limit)")
  }

  /// What the file says, else the number of its tokens.
  private static func vocabularySize(_ fields: GGUFFields, _ general: GGUFFields) throws(XverseError) -> Int {
    if let size = try fields.integer("vocab_size", in: 1...Limit.vocabularySize) { return size }
    let key = "tokenizer.ggml.tokens"
    guard let tokens = general[key] else {
      throw fields.missing("vocab_size", expected: "an integer from 1 to \(Limit.vocabularySize)")
    }
    guard let count = tokens.count, count > 0 else {
      throw general.unexpected(key, tokens, expected: "an array of tokens")
    }
    guard count <= Limit.vocabularySize else {
      throw .limit(general.message(key, tokens, expected: "at most \(Limit.vocabularySize)"))
    }
    return count
  }

  private static func heads(
    _ fields: GGUFFields, hiddenSize: Int
  ) throws(XverseError) -> (headCount: Int, kvHeadCount: Int, headSize: Int) {
    let headCount = try headCount("attention.head_count", fields)
    guard let headCount else {
      throw fields.missing("attention.head_count", expected: "an integer from 1 to \(Limit.headCount)")
    }
    if let value = fields["attention.head_count"], !hiddenSize.isMultiple(of: headCount) {
      throw fields.unexpected(
        "attention.head_count", value, expected: "a divisor of embedding_length \(hiddenSize)")
    }
    let kvHeadCount = try Self.headCount("attention.head_count_kv", fields) ?? headCount
    if let value = fields["attention.head_count_kv"], !headCount.isMultiple(of: kvHeadCount) {
      throw fields.unexpected(
        "attention.head_count_kv", value, expected: "a divisor of attention.head_count \(headCount)")
    }
    let headSize = try fields.integer("attention.key_length", in: 1...Limit.headSize) ?? hiddenSize / headCount
    try requireHeadSize(headSize, fields)
    return (headCount, kvHeadCount, headSize)
  }

  private static func headCount(_ key: String, _ fields: GGUFFields) throws(XverseError) -> Int? {
    if let value = fields[key], value.count != nil {
      throw .unsupported(fields.message(key, value, expected: "the same number in all layers"))
    }
    return try fields.integer(key, in: 1...Limit.headCount)
  }

  private static func requireHeadSize(_ headSize: Int, _ fields: GGUFFields) throws(XverseError) {
    let origin = fields["attention.key_length"] == nil ? "attention.head_count" : "attention.key_length"
    guard let value = fields[origin] else { return }
    guard headSize <= Limit.headSize else {
      throw .limit(fields.message(origin, value, expected: "heads of at most \(Limit.headSize), not of \(headSize)"))
    }
    guard headSize.isMultiple(of: 2) else {
      throw fields.unexpected(origin, value, expected: "heads of an even size, which RoPE needs, not of \(headSize)")
    }
    for key in ["attention.value_length", "rope.dimension_count"] {
      guard let value = fields[key], value.integer != headSize else { continue }
      throw .unsupported(fields.message(key, value, expected: "the size of a head, \(headSize)"))
    }
  }

  private static func epsilon(_ fields: GGUFFields) throws(XverseError) -> Float {
    let key = "attention.layer_norm_rms_epsilon"
    let expected = "a number above 0, at most 1"
    let epsilon = try fields.number(key, expected: expected) { Float($0) > 0 && $0 <= 1 }
    guard let epsilon else { throw fields.missing(key, expected: expected) }
    return Float(epsilon)
  }

  // MARK: RoPE

  private static func ropeScaling(_ fields: GGUFFields) throws(XverseError) -> RoPEScaling {
    if let value = fields["rope.scaling.type"], let type = try fields.string("rope.scaling.type"), type != "linear" {
      guard type != "none" else { return .none }
      throw .unsupported(fields.message("rope.scaling.type", value, expected: "'none' or 'linear'"))
    }
    // The second key is what older files have. 0 stands for no scaling.
    for key in ["rope.scaling.factor", "rope.scale_linear"] {
      let factor = try fields.number(key, expected: "0, or a number of at least 1") { $0 == 0 || $0 >= 1 }
      if let factor, factor > 1 { return .linear(factor: factor) }
    }
    return .none
  }

  // MARK: tokens

  /// As in config.json, a token beyond the vocabulary stays with a warning.
  private static func token(
    _ key: String, _ general: GGUFFields, _ vocabularySize: Int, _ warnings: inout [String]
  ) throws(XverseError) -> Int32? {
    let key = "tokenizer.ggml." + key
    guard let value = general[key] else { return nil }
    let expected = "a token below the vocabulary's size \(vocabularySize)"
    guard let number = value.integer else { throw general.unexpected(key, value, expected: expected) }
    // What older converters wrote for "none".
    if number == -1 || number == Int(UInt32.max) { return nil }
    if !(0..<vocabularySize).contains(number) { warnings.append(general.message(key, value, expected: expected)) }
    return number < 0 ? nil : Int32(exactly: number)
  }

  /// The token that ends a text, then the one that ends a turn.
  private static func endTokens(
    _ general: GGUFFields, _ vocabularySize: Int, _ warnings: inout [String]
  ) throws(XverseError) -> [Int32] {
    var tokens: [Int32] = []
    for key in ["eos_token_id", "eot_token_id"] {
      if let token = try token(key, general, vocabularySize, &warnings), !tokens.contains(token) {
        tokens.append(token)
      }
    }
    return tokens
  }
}
