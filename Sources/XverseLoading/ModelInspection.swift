// ModelInspection.swift -- what a model is, told from the headers of its files as a JSON text.

import XverseCore
import XverseFormats
import XverseModels
import XverseTokenizers

/// Describes the model at a path without reading its weights.
package enum ModelInspection {
  /// - Throws: What loading would throw for the same headers.
  package static func json(
    path: some PathName, options: ModelOptions, allocator: MemoryAllocator
  ) throws(XverseError) -> String {
    let origin = LoadedModel.Origin.path(try FilePath(path))
    let description = try ModelDescription(origin.location(), options: options, allocator: allocator)
    var writer = JSONWriter()
    writer.beginObject()
    writer.write(origin.name, "name")
    write(description.configuration, to: &writer)
    if !options.vocabularyOnly {
      let checkpoint = try Checkpoint(ofModelAt: description.location, mode: .map, allocator: allocator) {
        (_, _) throws(XverseError) in
      }
      try write(checkpoint, description.configuration, to: &writer)
    }
    writer.beginObject("tokenizer")
    writer.write(description.tokenizer.kind, "kind")
    writer.write(description.tokenizer.vocabularySize, "n_vocab")
    writer.endObject()
    write(
      description.generationDefaults, SpecialTokens(description.configuration, description.generationDefaults),
      to: &writer)
    writer.endObject()
    return writer.text
  }

  private static func write(_ configuration: ModelConfiguration, to writer: inout JSONWriter) {
    writer.write(configuration.modelType, "arch")
    writer.write(configuration.parameterCount, "n_params")
    writer.write(configuration.layerCount, "n_layers")
    writer.write(configuration.hiddenSize, "n_embd")
    writer.write(configuration.intermediateSize, "n_ff")
    writer.write(configuration.headCount, "n_heads")
    writer.write(configuration.kvHeadCount, "n_kv_heads")
    writer.write(configuration.headSize, "head_size")
    writer.write(configuration.vocabularySize, "n_vocab")
    writer.write(configuration.maximumPositions, "n_ctx_train")
    writer.write(configuration.rmsNormEpsilon, "rms_norm_eps")
    writer.write(configuration.ropeTheta, "rope_theta")
    switch configuration.ropeScaling {
    case .none: writer.write("none", "rope_scaling")
    case .linear(let factor): writer.write("linear:\(factor)", "rope_scaling")
    case .dynamic(let factor): writer.write("dynamic:\(factor)", "rope_scaling")
    }
    writer.write(configuration.tieWordEmbeddings, "tie_word_embeddings")
  }

  private static func write(
    _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, to writer: inout JSONWriter
  ) throws(XverseError) {
    writer.write(checkpoint.format.rawValue, "format")
    writer.write(checkpoint.byteCount, "weight_bytes")
    if let gptq = configuration.gptq {
      writer.beginObject("quantization")
      writer.write("gptq", "method")
      writer.write(gptq.bits, "bits")
      writer.write(gptq.groupSize ?? -1, "group_size")
      writer.endObject()
    }
    var sizes: [String: (elements: Int, bytes: Int)] = [:]
    var files: [String: Int] = [:]
    for name in checkpoint.tensorNames where WeightNames.isUsed(name, in: checkpoint.format, by: configuration) {
      guard let tensor = try checkpoint.tensor(named: name) else { continue }
      let type = tensor.typeName
      let size = sizes[type] ?? (0, 0)
      sizes[type] = (size.elements + tensor.elementCount, size.bytes + tensor.byteCount)
      files[tensor.fileName, default: 0] += 1
    }
    writer.beginObject("dtypes")
    for (type, size) in sizes.sorted(by: { $0.key < $1.key }) {
      writer.beginObject(type)
      writer.write(size.elements, "elements")
      writer.write(size.bytes, "bytes")
      writer.endObject()
    }
    writer.endObject()
    writer.beginObject("files")
    for (file, tensors) in files.sorted(by: { $0.key < $1.key }) { writer.write(tensors, file) }
    writer.endObject()
  }

  private static func write(_ defaults: GenerationDefaults, _ special: SpecialTokens, to writer: inout JSONWriter) {
    writer.beginObject("generation")
    if let value = defaults.doSample { writer.write(value, "do_sample") }
    if let value = defaults.temperature { writer.write(value, "temperature") }
    if let value = defaults.topK { writer.write(value, "top_k") }
    if let value = defaults.topP { writer.write(value, "top_p") }
    if let value = defaults.minP { writer.write(value, "min_p") }
    if let value = defaults.typicalP { writer.write(value, "typical_p") }
    if let value = defaults.repetitionPenalty { writer.write(value, "repetition_penalty") }
    if let value = defaults.maxNewTokens { writer.write(value, "max_new_tokens") }
    if let value = special.bos { writer.write(Int(value), "bos_token_id") }
    writer.beginArray("eos_token_id")
    for value in special.eos { writer.write(Int(value)) }
    writer.endArray()
    if let value = special.pad { writer.write(Int(value), "pad_token_id") }
    writer.endObject()
  }
}
