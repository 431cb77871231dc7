// Workload.swift -- what one run of the model costs by its shape: bytes that decode must read, operations that prefill
// must do.

import CXverse

struct Workload {
  private let info: xverse_model_info
  /// Whether the embedding table is also the output matrix.
  private let isTied: Bool
  /// Bytes of keys and values of one position in all layers.
  private let cacheBytesPerPosition: Double

  init(_ info: xverse_model_info, isTied: Bool, cacheBytesPerPosition: Double) {
    self.info = info
    self.isTied = isTied
    self.cacheBytesPerPosition = cacheBytesPerPosition
  }

  private var hiddenSize: Double { Double(info.n_embd) }
  private var layerCount: Double { Double(info.n_layers) }
  private var vocabularySize: Double { Double(info.n_vocab) }

  /// Weights in the matrices of all layers: all parameters but the embedding, the output matrix, and two norms a layer and
  /// a final one.
  private var layerParameters: Double {
    Double(info.n_params) - (isTied ? 1 : 2) * vocabularySize * hiddenSize - (2 * layerCount + 1) * hiddenSize
  }

  /// Bytes of weights that a decoded token needs: all but the embedding table, of which it needs one row.
  private var bytesPerToken: Double {
    let bytes = Double(info.weight_bytes)
    return isTied ? bytes : bytes - vocabularySize * hiddenSize * bytesPerEmbeddingElement
  }

  /// The embedding table of a model with 4 bits is int8, 8.5 bits an element; other models have one type throughout.
  private var bytesPerEmbeddingElement: Double {
    let isMixed = info.quant.map { String(cString: $0).hasPrefix("int4") } ?? false
    return isMixed ? 8.5 / 8 : Double(info.weight_bytes) / Double(info.n_params)
  }

  /// Bytes that `tokens` decoded tokens read, the first of them after `depth` others: weights, and the cache so far.
  func bytes(decode tokens: Int, depth: Int) -> Double {
    let count = Double(tokens)
    let positions = count * Double(depth) + count * (count + 1) / 2
    return count * bytesPerToken + positions * cacheBytesPerPosition
  }

  /// Floating-point operations (a multiply-add is two) of a prompt from an empty cache: the matrices for every token,
  /// scores and weighted values of causal attention, and the output matrix for the last token.
  func operations(prefill tokens: Int) -> Double {
    let tokens = Double(tokens)
    let attendedPositions = tokens * (tokens + 1) / 2
    return 2 * layerParameters * tokens + 4 * layerCount * hiddenSize * attendedPositions
      + 2 * vocabularySize * hiddenSize
  }
}
