// TinyModel.swift -- a TinyCheckpoint on the disk and its model, the runtime it is quantized in, and models as bytes.

import TestSupport
import XverseCore
import XverseFormats
import XverseTensors

@testable import XverseModels
@testable import XverseConversion

/// A model and where it came from.
struct TinyModel {
  let directory: TemporaryDirectory
  let location: CheckpointLocation
  let model: XverseModel

  init(_ change: (inout TinyCheckpoint) -> Void = { _ in }) throws {
    var checkpoint = TinyCheckpoint()
    change(&checkpoint)
    directory = try TemporaryDirectory()
    try checkpoint.write(to: directory)
    location = try CheckpointLocation(path: directory.path)
    model = try loadModel(directory.path)
  }
}

func loadModel(_ path: String) throws -> XverseModel {
  let location = try CheckpointLocation(path: path)
  let file = try location.requiredCompanion("config.json", maximumLength: 1 << 20)
  let checkpoint = try Checkpoint(location, mode: .map, allocator: .system) { (_, _) throws(XverseError) in }
  return try XverseModel(
    ModelConfiguration(json: JSONDocument(file.bytes, owner: file, source: file.name)), checkpoint: checkpoint,
    importer: WeightImporter(context()))
}

/// Work on the calling thread.
func context(
  threadCount: Int = 1, set: Kernels.InstructionSet? = nil, allocator: MemoryAllocator = .system,
  cancellation: Cancellation? = nil,
  progress: @escaping (_ done: Int, _ total: Int) throws(XverseError) -> Void = { (_, _) throws(XverseError) in }
) throws -> ComputeContext {
  ComputeContext(
    kernels: try Kernels(instructionSet: set, threadCount: threadCount), allocator: allocator, executor: { $0() },
    cancellation: cancellation, report: { (_, done, total) throws(XverseError) in try progress(done, total) })
}

/// A tensor by value.
struct StoredTensor: Equatable {
  let name: String
  let dtype: DType
  let shape: [Int]
  let bytes: [UInt8]
}

extension XverseModel {
  /// All weights, norms as f32.
  var stored: [StoredTensor] {
    withExtendedLifetime(self) {
      tensors.map { StoredTensor(name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: Array($0.bytes)) }
    }
  }

  func stored(_ name: String) -> StoredTensor? { stored.first { $0.name == name } }
}

extension RoundToNearest {
  /// The model quantized on one thread.
  static func quantized(_ model: XverseModel, _ scheme: QuantizationScheme) throws -> XverseModel {
    try RoundToNearest(scheme, context()).quantize(model)
  }
}

extension Calibration {
  func quantize(_ model: XverseModel, on tokens: [Int32]) throws -> XverseModel {
    try tokens.withUnsafeBufferPointer { (tokens) throws in try quantize(model, on: tokens) }
  }
}

/// The logits after each of `tokens`, evaluated `chunk` at a time.
func logits(_ model: XverseModel, _ tokens: [Int32], chunk: Int, threadCount: Int = 1) throws -> [Float] {
  let kernels = try Kernels(threadCount: threadCount)
  let arena = ScratchArena(allocator: .system)
  let cache = try KVCache(
    KVLayout(model.configuration, .float32), capacity: tokens.count, source: MemoryAllocator.system, allocator: .system)
  var logits: [Float] = []
  for start in stride(from: 0, to: tokens.count, by: chunk) {
    let part = Array(tokens[start..<min(start + chunk, tokens.count)])
    let states = try part.withUnsafeBufferPointer { part in
      var batch = TokenBatch()
      batch.append(part, to: cache, outputs: 0..<part.count)
      return try model.forward(batch, kernels: kernels, arena: arena, cancellation: nil)
    }
    let rows = try arena.matrix(rows: part.count, columns: model.configuration.vocabularySize)
    try model.logits(into: rows, of: states, kernels: kernels, arena: arena, cancellation: nil)
    logits += UnsafeBufferPointer(start: rows.data, count: rows.rows * rows.columns)
  }
  return logits
}

/// `count` ids of the tiny vocabulary.
func randomTokens(_ count: Int, seed: UInt64 = 1) -> [Int32] {
  var random = SeededRandom(seed: seed)
  let vocabularySize = Int32(TinyCheckpoint.vocabulary.pieces.count)
  return (0..<count).map { _ in Int32.random(in: 0..<vocabularySize, using: &random) }
}

extension MemoryAllocator {
  /// An allocator over the functions of `host`, which must outlive it.
  convenience init(_ host: CountingHost) {
    self.init(
      functions: Functions(allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user))
  }
}
