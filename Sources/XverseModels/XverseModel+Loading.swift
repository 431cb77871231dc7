// XverseModel+Loading.swift -- from the tensors of a checkpoint to a model: every tensor must be there with the shape
// that the configuration implies.

import XverseCore
import XverseFormats
import XverseTensors

extension XverseModel {
  /// Takes the weights of `checkpoint`: where they lie, or converted into memory of their own.
  ///
  /// - Parameter importer: The progress of its context is called with bytes converted of all that must be, if any.
  /// - Throws: `corrupt` naming the file and tensor that is missing or has another shape; `unsupported` for a type that
  ///   is not f32, f16, bf16, int8, int4 or int4_f16; `outOfMemory`.
  package convenience init(
    _ configuration: ModelConfiguration, checkpoint: Checkpoint, importer: WeightImporter
  ) throws(XverseError) {
    // The file must hold the norms before memory for them is taken: config.json alone proves nothing.
    for name in WeightNames.norms(layerCount: configuration.layerCount) {
      _ = try checkpoint.tensor(named: name, rows: nil, columns: configuration.hiddenSize)
    }
    let source = WeightSource(
      checkpoint: checkpoint, importedBytes: try checkpoint.importedBytes(configuration),
      norms: try NormWeights(
        vectorCount: 2 * configuration.layerCount + 1, size: configuration.hiddenSize,
        allocator: importer.context.allocator),
      epsilon: configuration.rmsNormEpsilon, kernels: importer.context.kernels.serial, importer: importer,
      gptq: configuration.gptq)
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
    try source.reportImport()
    self.init(
      configuration, embedding: embedding, layers: layers, finalNorm: finalNorm, head: head,
      memory: [checkpoint] + importer.memory, norms: source.norms)
  }
}

extension XverseModel {
  /// Embedding, head (when it is another), and the matrices of all layers.
  package var matrices: [WeightMatrix] {
    (configuration.tieWordEmbeddings ? [embedding] : [embedding, head]) + layers.flatMap(\.matrices)
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
  /// Bytes of all tensors that must be converted.
  let importedBytes: Int
  let norms: NormWeights
  let epsilon: Float
  let kernels: Kernels
  let importer: WeightImporter
  let gptq: GPTQParameters?

  func layer(_ index: Int, _ configuration: ModelConfiguration) throws(XverseError) -> DecoderLayer {
    let names = WeightNames.Layer(index)
    let hiddenSize = configuration.hiddenSize
    let intermediateSize = configuration.intermediateSize
    let queryWidth = configuration.headCount * configuration.headSize
    let kvWidth = configuration.kvHeadCount * configuration.headSize
    return DecoderLayer(
      inputNorm: try norm(names.inputNorm, slot: 2 * index),
      attention: Attention(
        query: try matrix(
          names.query, queryWidth, hiddenSize,
          WeightNames.rowOrder(of: names.query, in: checkpoint.format, configuration)),
        key: try matrix(
          names.key, kvWidth, hiddenSize, WeightNames.rowOrder(of: names.key, in: checkpoint.format, configuration)),
        value: try matrix(names.value, kvWidth, hiddenSize),
        output: try matrix(names.output, hiddenSize, queryWidth)),
      postAttentionNorm: try norm(names.postAttentionNorm, slot: 2 * index + 1),
      mlp: SwiGLU(
        gate: try matrix(names.gate, intermediateSize, hiddenSize),
        up: try matrix(names.up, intermediateSize, hiddenSize),
        down: try matrix(names.down, hiddenSize, intermediateSize)))
  }

  func matrix(
    _ name: String, _ rows: Int, _ columns: Int, _ order: WeightImporter.RowOrder = .natural
  ) throws(XverseError) -> WeightMatrix {
    if let gptq, let packed = try packed(name, rows, columns, gptq) {
      try reportImport()
      return try importer.matrix(packed)
    }
    let tensor = try checkpoint.tensor(named: name, rows: rows, columns: columns)
    if order == .natural, let dtype = tensor.dtype {
      return WeightMatrix(data: tensor.data, dtype: dtype, rows: rows, columns: columns)
    }
    try reportImport()
    let matrix = try importer.matrix(tensor, rows: rows, columns: columns, order: order)
    checkpoint.discardPages(of: UnsafeRawBufferPointer(start: tensor.data, count: tensor.byteCount))
    return matrix
  }

  func reportImport() throws(XverseError) {
    if importedBytes > 0 { try importer.context.progress(min(importer.importedBytes, importedBytes), importedBytes) }
  }

  /// The tensors in which GPTQ packed a matrix; nil when it left the matrix as it was.
  private func packed(
    _ name: String, _ rows: Int, _ columns: Int, _ gptq: GPTQParameters
  ) throws(XverseError) -> GPTQMatrix? {
    let names = WeightNames.GPTQ(name)
    guard let codes = try checkpoint.tensor(named: names.codes) else { return nil }
    if let bias = try checkpoint.tensor(named: names.bias), !bias.isZero {
      throw .unsupported("\(bias.fileName): tensor '\(names.bias)' has other values than 0, expected no bias")
    }
    func companion(_ name: String) throws(XverseError) -> CheckpointTensor {
      if let tensor = try checkpoint.tensor(named: name) { return tensor }
      throw .corrupt("\(checkpoint.directory): tensor '\(name)' is missing, expected beside '\(names.codes)'")
    }
    return try GPTQMatrix(
      codes: codes, zeros: companion(names.zeros), scales: companion(names.scales),
      groupIndices: checkpoint.tensor(named: names.groupIndices), rows: rows, columns: columns, gptq)
  }

  func norm(_ name: String, slot: Int) throws(XverseError) -> RMSNorm {
    let tensor = try checkpoint.tensor(named: name, rows: nil, columns: norms.size)
    let stored =
      if let dtype = tensor.dtype {
        WeightMatrix(data: tensor.data, dtype: dtype, rows: 1, columns: norms.size)
      } else {
        try importer.matrix(tensor, rows: 1, columns: norms.size)
      }
    kernels.widen(stored, into: norms.vector(slot))
    return RMSNorm(weight: UnsafePointer(norms.vector(slot)), epsilon: epsilon)
  }
}

extension Checkpoint {
  /// Bytes of the tensors that a `WeightImporter` converts.
  fileprivate func importedBytes(_ configuration: ModelConfiguration) throws(XverseError) -> Int {
    var sum = 0
    for name in WeightNames.matrices(of: configuration) {
      if configuration.gptq != nil, let codes = try tensor(named: WeightNames.GPTQ(name).codes) {
        sum += codes.byteCount
      }
      guard let tensor = try tensor(named: WeightNames.name(of: name, in: format)) else { continue }
      let isRotated = WeightNames.rotaryHeads(of: name, in: format, configuration) != nil
      if tensor.dtype == nil || isRotated { sum += tensor.byteCount }
    }
    return sum
  }

  /// The tensor that Hugging Face calls `name`, which must be there and be a matrix `[rows, columns]`, or a vector when
  /// there are no rows.
  fileprivate func tensor(named name: String, rows: Int?, columns: Int) throws(XverseError) -> CheckpointTensor {
    let name = WeightNames.name(of: name, in: format)
    guard let tensor = try tensor(named: name) else {
      let shape = [rows, columns].compactMap(\.self)
      throw .corrupt("\(directory): tensor '\(name)' is missing, expected with shape \(shape)")
    }
    try tensor.requireWeights()
    let expected = tensor.expectedShape(rows: rows, columns: columns)
    guard tensor.shape == expected else {
      throw .corrupt("\(tensor.fileName): tensor '\(name)' has shape \(tensor.shape), expected \(expected)")
    }
    return tensor
  }
}
