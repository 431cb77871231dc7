// MemoryEstimation.swift -- what a model and a session will take, told from the headers of its files: the model is loaded
// without its weights, and what would be taken is counted.

import Glibc
import XverseCore
import XverseFormats
import XverseModels
import XverseTensors

/// Bytes, as in `xverse_memory_estimate`.
package struct MemoryEstimate: Sendable {
  package var weightsResident = 0
  package var weightsMapped = 0
  package var loadPeak = 0
  package var cachePerToken = 0
  package var cacheTotal = 0
  package var scratch = 0
  package var hostAvailable = 0

  package var total: Int { weightsResident + weightsMapped + cacheTotal + scratch }
}

/// What will be loaded, and how it will be used.
package struct MemoryEstimation {
  /// The type that quantizing gives a matrix.
  package typealias QuantizedType = (WeightKey) -> DType

  private let options: ModelOptions
  private let quantizedType: QuantizedType?
  private let context: Int?
  private let cacheElement: KVElement
  private let kernels: Kernels

  /// Widened weights that quantizing holds at a time.
  private static let quantizationChunk = 4 << 20

  /// - Parameters:
  ///   - quantizedType: nil for weights that stay as they are.
  ///   - context: Most tokens of the session; nil for the model's own.
  ///   - kernels: Those that will compute, with their threads.
  package init(
    options: ModelOptions, quantizedType: QuantizedType?, context: Int?, cacheElement: KVElement,
    kernels: Kernels
  ) {
    self.options = options
    self.quantizedType = quantizedType
    self.context = context
    self.cacheElement = cacheElement
    self.kernels = kernels
  }

  /// - Throws: What loading would throw for the same headers.
  package func estimate(path: some PathName) throws(XverseError) -> MemoryEstimate {
    let allocator = MemoryAllocator()
    var estimate = MemoryEstimate()
    let description = try ModelDescription(
      LoadedModel.Origin.path(FilePath(path)).location(), options: options, allocator: allocator)
    let configuration = description.configuration
    if !options.vocabularyOnly {
      let model = try plan(description, allocator, &estimate)
      estimate.weightsResident += allocator.current
      estimate.loadPeak += allocator.peak
      try withExtendedLifetime(model) { () throws(XverseError) in try addSession(of: configuration, to: &estimate) }
    } else {
      estimate.weightsResident = allocator.current
      estimate.loadPeak = allocator.peak
    }
    withExtendedLifetime(description) {}
    estimate.hostAvailable = Self.availableMemory
    return estimate
  }

  /// The model without its weights; what they take goes to `estimate`.
  private func plan(
    _ description: ModelDescription, _ allocator: MemoryAllocator, _ estimate: inout MemoryEstimate
  ) throws(XverseError) -> XverseModel {
    let checkpoint = try Checkpoint(ofModelAt: description.location, mode: .map, allocator: allocator) {
      (_, _) throws(XverseError) in
    }
    let importer = WeightImporter(planningWith: ComputeContext(kernels: kernels, allocator: allocator))
    let model = try XverseModel(description.configuration, checkpoint: checkpoint, importer: importer)
    let read = options.mode == .read ? checkpoint.fileBytes : 0
    let mapped = model.linears.reduce(0) { $0 + ($1.weights.isPlanned ? 0 : $1.weights.byteCount) }
    guard let quantizedType else {
      estimate.weightsResident = importer.plannedBytes + read
      estimate.weightsMapped = options.mode == .read ? 0 : mapped
      estimate.loadPeak = estimate.weightsResident
      return model
    }
    let quantized = model.linears.reduce(0) { sum, linear in
      sum + quantizedType(linear.key).byteCount(rows: linear.weights.rows, columns: linear.weights.columns)
    }
    estimate.weightsResident = quantized
    estimate.loadPeak = importer.plannedBytes + read + quantized + Self.quantizationChunk
    return model.withoutMatrices
  }

  private func addSession(of configuration: ModelConfiguration, to estimate: inout MemoryEstimate) throws(XverseError) {
    let context = context ?? configuration.maximumPositions
    let layout = KVLayout(configuration, cacheElement)
    let cache = KVCache.byteCount(layout, capacity: context)
    estimate.cachePerToken = layout.bytesPerPosition
    estimate.cacheTotal = cache.blocks + cache.table
    let arena = ScratchArena.measuring
    try XverseModel.reserveScratch(
      in: arena, for: configuration, tokens: min(context, XverseModel.tokensPerPass), positions: context,
      kernels: kernels)
    let logits = configuration.vocabularySize * MemoryLayout<Float>.stride
    estimate.scratch = arena.byteCount + logits + context * MemoryLayout<Int32>.stride
  }

  /// MemAvailable of /proc/meminfo, which counts what the page cache would give; 0 where there is none.
  private static var availableMemory: Int {
    guard let file = fopen("/proc/meminfo", "re") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, Int32(line.count), file) != nil {
      let words = line.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        .split(whereSeparator: \.isWhitespace)
      if words.count >= 2, words[0] == "MemAvailable:", let kilobytes = Int(words[1]) { return kilobytes << 10 }
    }
    return 0
  }
}
