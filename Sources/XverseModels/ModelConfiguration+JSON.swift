// ModelConfiguration+JSON.swift -- a config.json for a model that came without one.

import XverseCore

extension ModelConfiguration {
  /// The text of a config.json that says the same.
  ///
  /// - Parameter type: The type of a quantized model's matrices; nil for floats.
  package func json(quantizedAs type: String?) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.beginArray("architectures")
    writer.write(architecture)
    writer.endArray()
    writer.write(modelType, "model_type")
    writer.write("silu", "hidden_act")
    writer.write(vocabularySize, "vocab_size")
    writer.write(hiddenSize, "hidden_size")
    writer.write(intermediateSize, "intermediate_size")
    writer.write(layerCount, "num_hidden_layers")
    writer.write(headCount, "num_attention_heads")
    writer.write(kvHeadCount, "num_key_value_heads")
    writer.write(headSize, "head_dim")
    writer.write(maximumPositions, "max_position_embeddings")
    writer.write(rmsNormEpsilon, "rms_norm_eps")
    writer.write(ropeTheta, "rope_theta")
    writeScaling(to: &writer)
    writer.write(tieWordEmbeddings, "tie_word_embeddings")
    write(padToken, "pad_token_id", to: &writer)
    write(bosToken, "bos_token_id", to: &writer)
    writer.beginArray("eos_token_id")
    for token in eosTokens { writer.write(Int(token)) }
    writer.endArray()
    if let type { Self.writeQuantization(type, "quantization_config", to: &writer) }
    writer.endObject()
    return writer.text
  }

  private func writeScaling(to writer: inout JSONWriter) {
    let (type, factor): (String, Double)
    switch ropeScaling {
    case .none: return
    case .linear(let value): (type, factor) = ("linear", value)
    case .dynamic(let value): (type, factor) = ("dynamic", value)
    }
    writer.beginObject("rope_scaling")
    writer.write(type, "rope_type")
    writer.write(factor, "factor")
    writer.endObject()
  }

  private func write(_ token: Int32?, _ key: String, to writer: inout JSONWriter) {
    if let token { writer.write(Int(token), key) } else { writer.writeNull(key) }
  }
}
