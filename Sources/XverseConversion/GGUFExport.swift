// GGUFExport.swift -- a model as a GGUF file that llama.cpp loads.

import XverseCore
import XverseFormats
import XverseLoading
import XverseModels
import XverseTensors
import XverseTokenizers

/// Writes a loaded model, matrix by matrix.
///
/// Memory: a few MB beside the model.
package struct GGUFExport {
  /// What matrices become. With q4_0 embedding and head are q8_0; rows that are no whole blocks stay f16.
  package enum Encoding: String, CaseIterable, Sendable {
    case f16
    case q8_0
    case q4_0

    /// llama.cpp's number, "general.file_type".
    fileprivate var fileType: UInt32 {
      switch self {
      case .f16: 1
      case .q8_0: 7
      case .q4_0: 2
      }
    }
  }

  /// Elements that are converted at a time: few enough to stay in a cache of a few MB.
  private static let chunkSize = 1 << 20

  private let loaded: LoadedModel
  private let model: XverseModel
  private let encoding: Encoding
  private let context: ComputeContext
  private let arena: ScratchArena

  /// - Parameter context: Its progress is called with bytes written of all, as the model holds them.
  package init(_ loaded: LoadedModel, as encoding: Encoding, _ context: ComputeContext) throws(XverseError) {
    guard let model = loaded.model else { throw XverseError(.internal, "the model has no weights") }
    self.loaded = loaded
    self.model = model
    self.encoding = encoding
    self.context = context
    arena = ScratchArena(allocator: context.allocator)
  }

  /// Writes the file, and publishes it.
  ///
  /// - Parameter tokenizer: What goes into the file as the model's.
  /// - Throws: `unsupported` for what GGUF has no words for; `corrupt` for a weight that no f16 holds; `io`,
  ///   `outOfMemory`, what the context's progress throws.
  package func write(to file: ReplacementFile, tokenizer: TokenizerSource) throws(XverseError) {
    let linears = model.linears
    let norms = model.norms
    let metadata = try GGUFOutputMetadata(loaded, fileType: encoding.fileType, tokenizer, context)
    let outputs = linears.map(output) + norms.map(output)
    var writer = try GGUFWriter(to: file, metadata: metadata.pairs, tensors: outputs, allocator: context.allocator)
    let total = model.weightBytes
    var done = 0
    for (linear, output) in zip(linears, outputs) {
      try write(linear, as: output.type, to: &writer) { (count) throws(XverseError) in
        try context.progress(done, total)
        done += count
      }
      try writer.endTensor()
    }
    for norm in norms {
      try writer.write(model.bytes(of: norm))
      try writer.endTensor()
    }
    try context.progress(total, total)
    try writer.finish()
  }

  private func output(_ linear: Linear) -> GGUFOutputTensor {
    let wanted: GGMLType =
      switch encoding {
      case .f16: .f16
      case .q8_0: .q8_0
      case .q4_0: linear.key.role.declaration.isInLayers ? .q4_0 : .q8_0
      }
    return GGUFOutputTensor(
      name: linear.key.name(in: .gguf),
      type: linear.weights.columns.isMultiple(of: wanted.block.columns) ? wanted : .f16,
      shape: [linear.weights.rows, linear.weights.columns])
  }

  private func output(_ norm: RMSNorm) -> GGUFOutputTensor {
    GGUFOutputTensor(name: norm.key.name(in: .gguf), type: .f32, shape: [model.configuration.hiddenSize])
  }

  /// Writes a matrix, a few rows after the other, in the order that GGUF has them in.
  ///
  /// - Parameter progress: Called before each few rows with their bytes in the model.
  private func write(
    _ linear: Linear, as type: GGMLType, to writer: inout GGUFWriter, progress: (Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    let weights = linear.weights
    let order = linear.key.rowOrder(in: .gguf, model.configuration)
    let rowsPerChunk = min(weights.rows, max(1, Self.chunkSize / weights.columns))
    arena.reset()
    let floats = try arena.matrix(rows: rowsPerChunk, columns: weights.columns)
    let rowBytes = type.rowBytes(columns: weights.columns)
    let bytes = try WeightStorage(byteCount: rowsPerChunk * rowBytes, allocator: context.allocator)
    var ids = try Buffer<Int32>(repeating: 0, count: rowsPerChunk, allocator: context.allocator)
    for row in stride(from: 0, to: weights.rows, by: rowsPerChunk) {
      let rows = row..<min(row + rowsPerChunk, weights.rows)
      try progress(weights.byteCount / weights.rows * rows.count)
      for stored in rows { ids[stored - row] = Int32(order.row(storedAt: stored, in: weights.rows)) }
      let chunk = floats.rows(0..<rows.count)
      let fits = try context.compute { () throws(XverseError) in
        context.kernels.rows(into: chunk, of: weights, ids: UnsafeBufferPointer(rebasing: ids.elements[..<rows.count]))
        return context.kernels.narrow(chunk, to: type, at: bytes.start)
      }
      guard fits else {
        throw .corrupt(
          "tensor '\(linear.key.name(in: .safetensors))' has a value that is not finite or beyond 65504, which \(type.name) cannot hold"
        )
      }
      try writer.write(UnsafeRawBufferPointer(start: bytes.start, count: rows.count * rowBytes))
    }
    model.discardPages(of: weights)
  }
}
