// GGUFOutputMetadata.swift -- what a GGUF file says about a model, in llama.cpp's keys.

import XverseCore
import XverseFormats
import XverseLoading
import XverseModels
import XverseTensors
import XverseTokenizers

/// The metadata of a file to write.
struct GGUFOutputMetadata {
  /// What is copied from another file, and what a description holds.
  private final class Described {
    let description: TokenizerDescription

    init(_ description: consuming TokenizerDescription) { self.description = description }
  }

  private(set) var pairs: [(key: String, value: GGUFOutputValue)] = []

  init(
    _ model: LoadedModel, fileType: UInt32, _ tokenizer: TokenizerSource, _ context: ComputeContext
  ) throws(XverseError) {
    let configuration = model.configuration
    let architecture = Self.architecture(configuration)
    pairs = [
      ("general.architecture", .string(architecture)), ("general.name", .string(model.name)),
      ("general.file_type", .uint32(fileType)), ("general.quantization_version", .uint32(2)),
    ]
    append(configuration, architecture + ".")
    try append(configuration.ropeScaling, architecture + ".")
    switch tokenizer {
    case .gguf(let metadata): pairs += metadata.values(withPrefix: "tokenizer.").map { ($0.key, .copy($0.value)) }
    case .json(let file):
      var loss: String?
      let description = try TokenizerDescription.describing(
        json: file.bytes, source: file.name, tokenCount: configuration.vocabularySize, allocator: context.allocator,
        loss: &loss
      )
      if let loss { context.log(.warning, loss) }
      append(Described(description))
    }
    append(model.specialTokens)
  }

  /// llama.cpp's "xverse" wants a head of its own and heads that fill the hidden state; its "llama" is the same mathematics
  /// without these wishes.
  private static func architecture(_ configuration: ModelConfiguration) -> String {
    let isPlain =
      !configuration.tieWordEmbeddings
      && configuration.headCount * configuration.headSize == configuration.hiddenSize
    return configuration.modelType == "xverse" && isPlain ? "xverse" : "llama"
  }

  private mutating func append(_ configuration: ModelConfiguration, _ prefix: String) {
    let sizes = [
      ("vocab_size", configuration.vocabularySize), ("context_length", configuration.maximumPositions),
      ("embedding_length", configuration.hiddenSize), ("block_count", configuration.layerCount),
      ("feed_forward_length", configuration.intermediateSize), ("rope.dimension_count", configuration.headSize),
      ("attention.head_count", configuration.headCount), ("attention.head_count_kv", configuration.kvHeadCount),
      ("attention.key_length", configuration.headSize), ("attention.value_length", configuration.headSize),
    ]
    // No size of a configuration passes 2^24.
    pairs += sizes.map { (prefix + $0.0, .uint32(UInt32(clamping: $0.1))) }
    pairs += [
      (prefix + "attention.layer_norm_rms_epsilon", .float32(configuration.rmsNormEpsilon)),
      (prefix + "rope.freq_base", .float32(Float(configuration.ropeTheta))),
    ]
  }

  private mutating func append(
    _ scaling: ModelConfiguration.RoPEScaling, _ prefix: String
  ) throws(XverseError) {
    switch scaling {
    case .none: break
    case .linear(let factor):
      pairs += [
        (prefix + "rope.scaling.type", .string("linear")), (prefix + "rope.scaling.factor", .float32(Float(factor))),
      ]
    case .dynamic:
      throw .unsupported("rope_scaling is dynamic, which GGUF has no words for; expected none or linear")
    }
  }

  private mutating func append(_ tokenizer: Described) {
    let prefix = "tokenizer.ggml."
    pairs.append((prefix + "model", .string(tokenizer.description.model)))
    if let name = tokenizer.description.preTokenizer { pairs.append((prefix + "pre", .string(name))) }
    let (tokens, merges) = (tokenizer.description.tokens.count, tokenizer.description.merges.count)
    pairs.append((prefix + "tokens", .texts(count: tokens) { tokenizer.description.tokens[$0] }))
    pairs.append((prefix + "token_type", .int32s(count: tokens) { tokenizer.description.types[$0] }))
    if !tokenizer.description.scores.isEmpty {
      pairs.append((prefix + "scores", .floats(count: tokens) { tokenizer.description.scores[$0] }))
    }
    if merges > 0 { pairs.append((prefix + "merges", .texts(count: merges) { tokenizer.description.merges[$0] })) }
    if let adds = tokenizer.description.addsBeginToken { pairs.append((prefix + "add_bos_token", .bool(adds))) }
    if let adds = tokenizer.description.addsSpacePrefix { pairs.append((prefix + "add_space_prefix", .bool(adds))) }
    if let id = tokenizer.description.unknownToken {
      pairs.append((prefix + "unknown_token_id", .uint32(UInt32(clamping: id))))
    }
  }

  /// The ids that the copy does not have.
  private mutating func append(_ special: SpecialTokens) {
    let ids = [
      ("bos_token_id", special.bos), ("eos_token_id", special.eos.first), ("padding_token_id", special.pad),
      ("eot_token_id", special.eos.dropFirst().first),
    ]
    for case (let name, let id?) in ids {
      let key = "tokenizer.ggml." + name
      guard !pairs.contains(where: { $0.key == key }) else { continue }
      pairs.append((key, .uint32(UInt32(clamping: id))))
    }
  }
}
