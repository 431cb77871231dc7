// ModelConfiguration.swift -- the shape of a model, from config.json. The file's keys stand here and nowhere else.

import XverseCore
import XverseFormats
import XverseTensors

/// What config.json says about a model, checked: the sizes agree, and no product of them passes Int.
///
/// An absent field, and one that is null, takes the value that Hugging Face's configuration class gives it.
package struct ModelConfiguration: Sendable {
  /// How RoPE is stretched beyond the trained context.
  package enum RoPEScaling: Sendable, Equatable {
    case none
    /// Positions are divided by `factor`.
    case linear(factor: Double)
    /// "Dynamic NTK": the base grows with the length once that passes `maximumPositions`.
    case dynamic(factor: Double)
  }

  /// Longest config.json, and longest generation_config.json, that is read.
  package static let maximumFileLength = 1 << 20

  /// "xverse" or "llama", which have the same mathematics.
  package var modelType: String
  /// The class that the checkpoint was written for: "XverseForCausalLM".
  package var architecture: String
  package var vocabularySize, hiddenSize, intermediateSize, layerCount, headCount, kvHeadCount, headSize: Int
  /// Longest context that the model was trained for.
  package var maximumPositions: Int
  /// Longest prompt of a chat; `maximumPositions`, which cuts nothing, when the checkpoint does not say.
  package var maximumTokenizerTruncation: Int
  package var rmsNormEpsilon: Float
  package var ropeTheta: Double
  package var ropeScaling: RoPEScaling
  /// Whether the output layer uses the embedding's weights.
  package var tieWordEmbeddings: Bool
  package var padToken, bosToken: Int32?
  package var eosTokens: [Int32]
  /// How the matrices are packed, when GPTQ quantized them.
  package var gptq: GPTQParameters?
  /// The file that it was read from, for messages.
  package var source: String
  /// Sentences for people about what is odd in the file and changes no answer.
  package var warnings: [String] = []

  /// - Throws: `corrupt` for a field that cannot be, `limit` for one that is too large, `unsupported` for a model that
  ///   needs other mathematics.
  package init(json: JSONDocument) throws(XverseError) {
    let fields = try JSONFields(json.root)
    let family = try Family(fields)
    try Self.requireDenseModel(fields)
    gptq = try Self.quantization(fields)
    source = json.source
    warnings = json.warnings
    modelType = family.rawValue
    architecture = family.className
    if let warning = family.warning(fields) { warnings.append(warning) }
    vocabularySize = try Self.size("vocab_size", Limit.vocabularySize, fields)
    hiddenSize = try Self.size("hidden_size", Limit.hiddenSize, fields)
    intermediateSize = try Self.size("intermediate_size", Limit.intermediateSize, fields)
    layerCount = try Self.size("num_hidden_layers", Limit.layerCount, fields)
    (headCount, kvHeadCount, headSize) = try Self.heads(fields, hiddenSize: hiddenSize)
    maximumPositions = try Self.size("max_position_embeddings", Limit.positions, fields)
    maximumTokenizerTruncation = Self.truncation(fields, &warnings) ?? maximumPositions
    rmsNormEpsilon = try Self.epsilon(fields)
    (ropeTheta, ropeScaling) = try Self.rope(fields, headSize: headSize)
    tieWordEmbeddings = try fields.bool("tie_word_embeddings") ?? false
    padToken = try Self.tokens("pad_token_id", fields, family.padToken, vocabularySize, &warnings).first
    bosToken = try Self.tokens("bos_token_id", fields, family.bosToken, vocabularySize, &warnings).first
    eosTokens = try Self.tokens("eos_token_id", fields, family.eosToken, vocabularySize, &warnings)
  }
}

// MARK: families

extension ModelConfiguration {
  /// A `model_type` with its defaults.
  private enum Family: String {
    case xverse
    case llama

    init(_ fields: JSONFields) throws(XverseError) {
      guard let value = fields["model_type"], let name = try fields.string("model_type") else {
        throw fields.missing("model_type", expected: "\"xverse\" or \"llama\"")
      }
      guard let family = Family(rawValue: name) else {
        throw .unsupported(fields.message("model_type", value, expected: "\"xverse\" or \"llama\""))
      }
      self = family
    }

    var className: String { self == .xverse ? "XverseForCausalLM" : "LlamaForCausalLM" }
    var padToken: Int32? { self == .xverse ? 1 : nil }
    var bosToken: Int32 { self == .xverse ? 2 : 1 }
    var eosToken: Int32 { self == .xverse ? 3 : 2 }

    /// What to say about `architectures`, which names the class that saved the model; what computes is `model_type`.
    func warning(_ fields: JSONFields) -> String? {
      guard let value = fields["architectures"] else { return nil }
      if value.kind == .array, !value.elements.contains(where: { $0.string != className }) { return nil }
      return fields.message("architectures", value, expected: "[\"\(className)\"], which is taken for it")
    }
  }

  /// The number of the layout of blocks that docs/quantization.md draws; another layout gets another number.
  private static let quantizationLayout = 2

  /// Writes the `quantization_config` of a checkpoint with matrices of this type in this library's own blocks.
  package static func writeQuantization(_ type: String, _ key: String? = nil, to writer: inout JSONWriter) {
    writer.beginObject(key)
    writer.write(quantizationMethod, "quant_method")
    writer.write(type, "type")
    writer.write(DType.groupSize, "group_size")
    writer.write(quantizationLayout, "layout")
    writer.endObject()
  }

  /// What config.json says of checkpoints in this library's own blocks: `quant_method`, and the types that there are.
  package static let quantizationMethod = "xverse"
  private static let quantizedTypes = ["int8", "int4", "int4_f16", "mixed"]

  /// Rejects what the mathematics of the dense model do not cover.
  private static func requireDenseModel(_ fields: JSONFields) throws(XverseError) {
    for key in ["num_experts", "moe_top_k", "num_shared_experts"] {
      guard let value = fields[key], value.int != 0 else { continue }
      throw .unsupported(fields.message(key, value, expected: "no such field: mixtures of experts are not supported"))
    }
    for key in ["attention_bias", "mlp_bias"] {
      guard let value = fields[key], try fields.bool(key) == true else { continue }
      throw .unsupported(fields.message(key, value, expected: "false"))
    }
    // Two names of one function.
    if let value = fields["hidden_act"], !["silu", "swish"].contains(try fields.string("hidden_act")) {
      throw .unsupported(fields.message("hidden_act", value, expected: "\"silu\""))
    }
  }
}

extension ModelConfiguration {
  /// What GPTQ's tensors need to be read; nil for weights as they are and in our own blocks, which tell themselves what
  /// they are: looking at the field keeps weights of another layout from being taken for them.
  private static func quantization(_ fields: JSONFields) throws(XverseError) -> GPTQParameters? {
    guard let value = fields["quantization_config"] else { return nil }
    let method = value["quant_method"]?.string
    guard method == quantizationMethod || method == "gptq",
      let quantization = try fields.object("quantization_config")
    else {
      throw .unsupported(
        fields.message(
          "quantization_config", value,
          expected: "no such field, or \"quant_method\": \"\(quantizationMethod)\" or \"gptq\""))
    }
    if method == "gptq" { return try GPTQParameters(quantization) }
    if let type = quantization["type"], let name = try quantization.string("type"), !quantizedTypes.contains(name) {
      throw .unsupported(
        quantization.message("type", type, expected: "\"int8\", \"int4\", \"int4_f16\" or \"mixed\""))
    }
    if let size = quantization["group_size"], size.int != DType.groupSize {
      throw .unsupported(quantization.message("group_size", size, expected: "\(DType.groupSize)"))
    }
    guard quantization["layout"]?.int == quantizationLayout else {
      throw .unsupported(
        fields.message(
          "quantization_config", value,
          expected: "\"layout\": \(quantizationLayout) in it; convert the model again from its floats"))
    }
    return nil
  }
}

// MARK: sizes

extension ModelConfiguration {
  /// Several times what any published model has. The largest product, all keys and values of a full context in bytes
  /// (2^10 layers, 2^21 values, 2^24 positions, 2^3 bytes), is 2^58, and all weights are fewer than 2^56.
  enum Limit {
    static let vocabularySize = 1 << 24
    static let hiddenSize = 1 << 20
    static let intermediateSize = 1 << 22
    static let layerCount = 1000
    static let headCount = 1 << 12
    static let headSize = 512
    static let positions = 1 << 24
  }

  private static func size(_ key: String, _ limit: Int, _ fields: JSONFields) throws(XverseError) -> Int {
    if let size = try fields.integer(key, in: 1...limit) { return size }
    throw fields.missing(key, expected: "an integer from 1 to \(limit)")
  }

  private static func heads(
    _ fields: JSONFields, hiddenSize: Int
  ) throws(XverseError) -> (headCount: Int, kvHeadCount: Int, headSize: Int) {
    let headCount = try size("num_attention_heads", Limit.headCount, fields)
    if let value = fields["num_attention_heads"], !hiddenSize.isMultiple(of: headCount) {
      throw fields.unexpected("num_attention_heads", value, expected: "a divisor of hidden_size \(hiddenSize)")
    }
    let kvHeadCount = try fields.integer("num_key_value_heads", in: 1...Limit.headCount) ?? headCount
    if let value = fields["num_key_value_heads"], !headCount.isMultiple(of: kvHeadCount) {
      throw fields.unexpected("num_key_value_heads", value, expected: "a divisor of num_attention_heads \(headCount)")
    }
    let headSize = try fields.integer("head_dim", in: 1...Limit.headSize) ?? hiddenSize / headCount
    let origin = fields["head_dim"] == nil ? "num_attention_heads" : "head_dim"
    guard let value = fields[origin] else { return (headCount, kvHeadCount, headSize) }
    guard headSize <= Limit.headSize else {
      throw .limit(fields.message(origin, value, expected: "heads of at most \(Limit.headSize), not of \(headSize)"))
    }
    guard headSize.isMultiple(of: 2) else {
      throw fields.unexpected(origin, value, expected: "heads of an even size, which RoPE needs, not of \(headSize)")
    }
    return (headCount, kvHeadCount, headSize)
  }

  private static func epsilon(_ fields: JSONFields) throws(XverseError) -> Float {
    let epsilon = try fields.number("rms_norm_eps", expected: "a number above 0, at most 1") { number in
      Float(number) > 0 && number <= 1
    }
    return Float(epsilon ?? 1e-6)
  }

  /// A length that only the prompts of conversations look at.
  private static func truncation(_ fields: JSONFields, _ warnings: inout [String]) -> Int? {
    let key = "max_tokenizer_truncation"
    guard let value = fields[key] else { return nil }
    if let length = value.wholeNumber, (1...Limit.positions).contains(length) { return length }
    warnings.append(
      fields.message(key, value, expected: "an integer from 1 to \(Limit.positions): it is passed over"))
    return nil
  }

  /// Tokens with a part to play: an absent field gives the default, where the vocabulary has it, null gives none.
  private static func tokens(
    _ key: String, _ fields: JSONFields, _ standard: Int32?, _ vocabularySize: Int, _ warnings: inout [String]
  ) throws(XverseError) -> [Int32] {
    if fields.has(key) { return try fields.tokens(key, vocabularySize: vocabularySize, warnings: &warnings) ?? [] }
    guard let standard, standard < vocabularySize else { return [] }
    return [standard]
  }
}

extension JSONFields {
  /// The tokens of a field that holds one or an array of them; nil when it is absent or null.
  ///
  /// A token beyond the vocabulary stays, with a warning: only using it is an error. Negative numbers, among them the -1
  /// that older LLaMA checkpoints write for "none", are left out.
  package func tokens(
    _ key: String, vocabularySize: Int, warnings: inout [String]
  ) throws(XverseError) -> [Int32]? {
    guard let value = self[key] else { return nil }
    var tokens: [Int32] = []
    var oddities: [String] = []
    if value.kind != .array, let token = try token(value, key, vocabularySize, &oddities) { tokens.append(token) }
    for element in value.elements {
      guard tokens.count < 1000 else { throw .limit(message(key, value, expected: "at most 1000 tokens")) }
      if let token = try token(element, key, vocabularySize, &oddities) { tokens.append(token) }
    }
    warnings += oddities
    return tokens
  }

  private func token(
    _ value: JSONValue, _ key: String, _ vocabularySize: Int, _ warnings: inout [String]
  ) throws(XverseError) -> Int32? {
    let expected = "a token below vocab_size \(vocabularySize)"
    guard let number = value.wholeNumber else { throw unexpected(key, value, expected: expected) }
    if number < -1 || number >= vocabularySize, warnings.count < Self.maximumWarningCount {
      warnings.append(message(key, value, expected: expected))
    }
    return number < 0 ? nil : Int32(exactly: number)
  }

  /// Most warnings about the tokens of one field.
  private static let maximumWarningCount = 8
}

// MARK: RoPE

extension ModelConfiguration {
  /// `rope_scaling` goes before `rope_parameters`, and a base in either before the one beside them, as Hugging Face's
  /// transformers 5 has it.
  private static func rope(
    _ fields: JSONFields, headSize: Int
  ) throws(XverseError) -> (theta: Double, scaling: RoPEScaling) {
    let key = fields["rope_scaling"] == nil ? "rope_parameters" : "rope_scaling"
    let rope = try fields.object(key)
    for place in [fields, rope] {
      guard let place, let value = place["partial_rotary_factor"], value.double != 1 else { continue }
      throw .unsupported(place.message("partial_rotary_factor", value, expected: "1"))
    }
    let outer = try theta(fields) ?? 10_000
    guard let rope else { return (outer, .none) }
    return (try theta(rope) ?? outer, try scaling(rope, headSize: headSize))
  }

  private static func theta(_ fields: JSONFields) throws(XverseError) -> Double? {
    try fields.number("rope_theta", expected: "a number above 0") { $0 > 0 }
  }

  private static func scaling(_ rope: JSONFields, headSize: Int) throws(XverseError) -> RoPEScaling {
    let expected = "\"default\", \"linear\" or \"dynamic\""
    let key = rope["rope_type"] == nil ? "type" : "rope_type"
    guard let value = rope[key], let type = try rope.string(key) else {
      guard rope["factor"] == nil else { throw rope.missing("rope_type", expected: expected) }
      return .none
    }
    switch type {
    case "default": return .none
    case "linear": return .linear(factor: try factor(rope))
    case "dynamic":
      // The base grows by a power d / (d - 2) of the length.
      guard headSize > 2 else {
        throw .unsupported(rope.message(key, value, expected: "another scaling for heads of size \(headSize)"))
      }
      return .dynamic(factor: try factor(rope))
    default: throw .unsupported(rope.message(key, value, expected: expected))
    }
  }

  private static func factor(_ rope: JSONFields) throws(XverseError) -> Double {
    let expected = "a number of at least 1"
    if let factor = try rope.number("factor", expected: expected, where: { $0 >= 1 }) { return factor }
    throw rope.missing("factor", expected: expected)
  }
}
