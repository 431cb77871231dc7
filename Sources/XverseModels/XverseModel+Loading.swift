// XverseModel+Loading.swift -- from the tensors of a checkpoint to a model: every tensor must be there with the shape
// that the configuration implies.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
  /// Takes the weights of `checkpoint`.
  ///
  /// - Throws: `corrupt` naming the file and tensor that is missing or has another shape; `unsupported` for a type that
  ///   is not f32, f16, bf16, int8, int4 or int4_f16; `outOfMemory`.
  package convenience init(
    _ configuration: ModelConfiguration, checkpoint: Checkpoint, kernels: Kernels, allocator: MemoryAllocator
  ) throws(XverseError) {
    // The file must hold the norms before memory for them is taken: config.json alone proves nothing.
    for name in WeightNames.norms(layerCount: configuration.layerCount) {
      _ = try checkpoint.tensor(named: name, rows: nil, columns: configuration.hiddenSize)
    }
    let source = WeightSource(
      checkpoint: checkpoint,
      norms: try NormWeights(
        vectorCount: 2 * configuration.layerCount + 1, size: configuration.hiddenSize, allocator: allocator),
      epsilon: configuration.rmsNormEpsilon, kernels: kernels)
    let vocabularySize = configuration.vocabularySize
    let hiddenSize = configuration.hiddenSize
    let embedding = try source.matrix(WeightNames.embedding, vocabularySize, hiddenSize)
    let head =
      configuration.tieWordEmbeddings ? embedding : try source.matrix(WeightNames.head, vocabularySize, hiddenSize)
    var layers: [DecoderLayer] = []
    layers.reserveCapacity(configuration.layerCount)
    for index in 0..<configuration.layerCount {
      layers.append(try source.layer(index, configuration))
    }
    let finalNorm = try source.norm(WeightNames.finalNorm, slot: 2 * configuration.layerCount)
    self.init(
      configuration, embedding: embedding, layers: layers, finalNorm: finalNorm, head: head, memory: [checkpoint],
      norms: source.norms)
  }
}

/// The norm weights of all layers as f32: small, and used with every token.
final class NormWeights: @unchecked Sendable {
  let size: Int
  private let values: UnsafeMutablePointer<Float>
  private let byteCount: Int
  private let allocator: MemoryAllocator

  init(vectorCount: Int, size: Int, allocator: MemoryAllocator) throws(XverseError) {
    self.size = size
    self.allocator = allocator
    byteCount = vectorCount * size * MemoryLayout<Float>.stride
    values = try allocator.allocate(byteCount).bindMemory(to: Float.self, capacity: vectorCount * size)
  }

  deinit { allocator.deallocate(values, bytes: byteCount) }

  func vector(_ slot: Int) -> UnsafeMutablePointer<Float> { values + slot * size }
}

/// Looks up and checks tensors.
private struct WeightSource {
  let checkpoint: Checkpoint
  let norms: NormWeights
  let epsilon: Float
  let kernels: Kernels

  func layer(_ index: Int, _ configuration: ModelConfiguration) throws(XverseError) -> DecoderLayer {
    let names = WeightNames.Layer(index)
    let hiddenSize = configuration.hiddenSize
    let intermediateSize = configuration.intermediateSize
    let queryWidth = configuration.headCount * configuration.headSize
    let kvWidth = configuration.kvHeadCount * configuration.headSize
    return DecoderLayer(
      inputNorm: try norm(names.inputNorm, slot: 2 * index),
      attention: Attention(
        query: try matrix(names.query, queryWidth, hiddenSize),
        key: try matrix(names.key, kvWidth, hiddenSize),
        value: try matrix(names.value, kvWidth, hiddenSize),
        output: try matrix(names.output, hiddenSize, queryWidth)),
      postAttentionNorm: try norm(names.postAttentionNorm, slot: 2 * index + 1),
      mlp: SwiGLU(
        gate: try matrix(names.gate, intermediateSize, hiddenSize),
        up: try matrix(names.up, intermediateSize, hiddenSize),
        down: try matrix(names.down, hiddenSize, intermediateSize)))
  }

  func matrix(_ name: String, _ rows: Int, _ columns: Int) throws(XverseError) -> WeightMatrix {
    let tensor = try checkpoint.tensor(named: name, rows: rows, columns: columns)
    return WeightMatrix(data: tensor.data, dtype: tensor.dtype, rows: rows, columns: columns)
  }

  func norm(_ name: String, slot: Int) throws(XverseError) -> RMSNorm {
    let tensor = try checkpoint.tensor(named: name, rows: nil, columns: norms.size)
    let stored = WeightMatrix(data: tensor.data, dtype: tensor.dtype, rows: 1, columns: norms.size)
    kernels.widen(stored, into: norms.vector(slot))
    return RMSNorm(weight: UnsafePointer(norms.vector(slot)), epsilon: epsilon)
  }
}

extension Checkpoint {
  /// The tensor called `name`, which must be there and be a matrix `[rows, columns]`, or a vector when there are no rows.
  fileprivate func tensor(named name: String, rows: Int?, columns: Int) throws(XverseError) -> CheckpointTensor {
    let shape = [rows, columns].compactMap(\.self)
    guard let tensor = try tensor(named: name) else {
      throw .corrupt("\(directory): tensor '\(name)' is missing, expected with shape \(shape)")
    }
    let expected = rows.map { tensor.dtype.storedShape(rows: $0, columns: columns) } ?? shape
    guard tensor.shape == expected else {
      throw .corrupt("\(tensor.fileName): tensor '\(name)' has shape \(tensor.shape), expected \(expected)")
    }
    return tensor
  }
}
