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
  ///   that is no `DType` and cannot be converted to one; `outOfMemory`.
  package convenience init(
    _ configuration: ModelConfiguration, checkpoint: Checkpoint, importer: WeightImporter
  ) throws(XverseError) {
    // The file must hold the norms before memory for them is taken: config.json alone proves nothing.
    for key in configuration.normKeys { _ = try checkpoint.tensor(key, configuration) }
    let source = WeightSource(
      checkpoint: checkpoint, configuration: configuration, importedBytes: try checkpoint.importedBytes(configuration),
      norms: try NormWeights(
        vectorCount: configuration.normKeys.count, size: configuration.hiddenSize, allocator: importer.context.allocator
      ),
      kernels: importer.context.kernels.serial, importer: importer)
    let embedding = try source.linear(WeightKey(.embedding))
    let head = configuration.tieWordEmbeddings ? embedding : try source.linear(WeightKey(.head))
    var layers: [DecoderLayer] = []
    layers.reserveCapacity(configuration.layerCount)
    for index in 0..<configuration.layerCount {
      layers.append(
        DecoderLayer(
          inputNorm: try source.norm(WeightKey(.inputNorm, layer: index)),
          postAttentionNorm: try source.norm(WeightKey(.postAttentionNorm, layer: index)),
          linears: try LayerLinears(layer: index, source.matrix)))
    }
    let finalNorm = try source.norm(WeightKey(.finalNorm))
    try source.reportImport()
    self.init(
      configuration, embedding: embedding, layers: layers, finalNorm: finalNorm, head: head,
      memory: [checkpoint] + importer.memory, normWeights: source.norms)
  }
}

/// The norm weights of all layers as f32: small, and used with every token.
final class NormWeights: @unchecked Sendable {
  private let size: Int
  private let values: UnsafeMutablePointer<Float>
  private let byteCount: Int
  private let allocator: MemoryAllocator
  private var usedCount = 0

  init(vectorCount: Int, size: Int, allocator: MemoryAllocator) throws(XverseError) {
    self.size = size
    self.allocator = allocator
    byteCount = vectorCount * size * MemoryLayout<Float>.stride
    values = try allocator.allocate(byteCount).bindMemory(to: Float.self, capacity: vectorCount * size)
  }

  deinit { allocator.deallocate(values, bytes: byteCount) }

  /// Room for one vector; as many are there as were asked for.
  func next() -> UnsafeMutablePointer<Float> {
    defer { usedCount += 1 }
    precondition((usedCount + 1) * size * MemoryLayout<Float>.stride <= byteCount, "more norms than were counted")
    return values + usedCount * size
  }
}

/// Looks up and checks tensors.
private struct WeightSource {
  let checkpoint: Checkpoint
  let configuration: ModelConfiguration
  /// Bytes of all tensors that must be converted.
  let importedBytes: Int
  let norms: NormWeights
  let kernels: Kernels
  let importer: WeightImporter

  func linear(_ key: WeightKey) throws(XverseError) -> Linear { Linear(key, try matrix(key)) }

  func matrix(_ key: WeightKey) throws(XverseError) -> WeightMatrix {
    let (rows, columns) = key.role.declaration.shape(in: configuration)
    if let gptq = configuration.gptq, let packed = try packed(key, rows, columns, gptq) {
      try reportImport()
      return try importer.matrix(packed)
    }
    let tensor = try checkpoint.tensor(key, configuration)
    let order = key.rowOrder(in: checkpoint.format, configuration)
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
    _ key: WeightKey, _ rows: Int, _ columns: Int, _ gptq: GPTQParameters
  ) throws(XverseError) -> GPTQMatrix? {
    let names = WeightNames.GPTQ(key.name(in: checkpoint.format))
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

  func norm(_ key: WeightKey) throws(XverseError) -> RMSNorm {
    let tensor = try checkpoint.tensor(key, configuration)
    let (rows, columns) = key.role.declaration.shape(in: configuration)
    let stored =
      if let dtype = tensor.dtype {
        WeightMatrix(data: tensor.data, dtype: dtype, rows: rows, columns: columns)
      } else {
        try importer.matrix(tensor, rows: rows, columns: columns)
      }
    let weight = norms.next()
    kernels.widen(stored, into: weight)
    return RMSNorm(key: key, weight: UnsafePointer(weight), epsilon: configuration.rmsNormEpsilon)
  }
}

extension Checkpoint {
  /// Bytes of the tensors that a `WeightImporter` converts.
  fileprivate func importedBytes(_ configuration: ModelConfiguration) throws(XverseError) -> Int {
    var sum = 0
    for key in configuration.matrixKeys {
      let name = key.name(in: format)
      if configuration.gptq != nil, let codes = try tensor(named: WeightNames.GPTQ(name).codes) {
        sum += codes.byteCount
      }
      guard let tensor = try tensor(named: name) else { continue }
      if tensor.dtype == nil || key.rowOrder(in: format, configuration) != .natural { sum += tensor.byteCount }
    }
    return sum
  }

  /// The tensor of a weight, which must be there with the shape that the configuration implies.
  fileprivate func tensor(_ key: WeightKey, _ configuration: ModelConfiguration) throws(XverseError) -> CheckpointTensor
  {
    let name = key.name(in: format)
    let (rows, columns) = key.role.declaration.shape(in: configuration)
    let matrixRows = key.role.declaration.isNorm ? nil : rows
    guard let tensor = try tensor(named: name) else {
      let shape = [matrixRows, columns].compactMap(\.self)
      throw .corrupt(
        "\(directory.inMessage): tensor '\(name)' is missing, expected with shape \(shape)\(others(than: configuration))"
      )
    }
    try tensor.requireWeights()
    let expected = tensor.expectedShape(rows: matrixRows, columns: columns)
    guard tensor.shape == expected else {
      throw .corrupt("\(tensor.fileName): tensor '\(name)' has shape \(tensor.shape), expected \(expected)")
    }
    return tensor
  }
}
