// TinyModel.swift -- a TinyCheckpoint loaded from a directory, and sequences over it.

import TestSupport
import XverseCore
import XverseFormats
import XverseTensors

@testable import XverseModels

/// The instruction sets that this CPU runs.
let availableSets = Kernels.InstructionSet.allCases.filter(\.isAvailable)

func tinyCheckpoint(_ change: (inout TinyCheckpoint) -> Void = { _ in }) -> TinyCheckpoint {
  var checkpoint = TinyCheckpoint()
  change(&checkpoint)
  return checkpoint
}

/// A checkpoint on the disk with its configuration and, once loaded, its model.
struct TinyModel {
  let directory = try? TemporaryDirectory()
  let configuration: ModelConfiguration
  let checkpoint: Checkpoint
  let model: XverseModel

  /// - Parameter safetensors: The bytes of the weights' file in place of the checkpoint's own.
  init(_ tiny: TinyCheckpoint, safetensors: [UInt8]? = nil, allocator: MemoryAllocator = .system) throws {
    guard let directory else { throw XverseError.io("no temporary directory") }
    try tiny.write(to: directory)
    if let safetensors { try directory.write("model.safetensors", safetensors) }
    let location = try CheckpointLocation(path: directory.path)
    let file = try location.requiredCompanion("config.json", maximumLength: 1 << 20)
    configuration = try ModelConfiguration(json: JSONDocument(file.bytes, owner: file, source: file.name))
    checkpoint = try Checkpoint(location, mode: .map, allocator: allocator) { (_, _) throws(XverseError) in }
    model = try XverseModel(
      configuration, checkpoint: checkpoint,
      importer: WeightImporter(
        ComputeContext(kernels: Kernels(threadCount: 1), allocator: allocator)))
  }
}

/// One sequence over a model.
final class TinySequence {
  let model: XverseModel
  let cache: KVCache
  let arena: ScratchArena
  let kernels: Kernels

  init(
    _ model: XverseModel, set: Kernels.InstructionSet? = nil, threadCount: Int = 1,
    element: KVElement = .float32, capacity: Int? = nil, allocator: MemoryAllocator = .system
  ) throws {
    self.model = model
    kernels = try Kernels(instructionSet: set, threadCount: threadCount)
    cache = try KVCache(
      KVLayout(model.configuration, element), capacity: capacity ?? model.configuration.maximumPositions,
      source: allocator, allocator: allocator)
    arena = ScratchArena(allocator: allocator)
  }

  /// Appends tokens in one pass and returns the logits after each of them.
  @discardableResult
  func evaluate(
    _ tokens: some Collection<Int32>, endingAt sequenceLength: Int? = nil, cancellation: Cancellation? = nil
  ) throws -> [[Float]] {
    let width = model.configuration.vocabularySize
    let logits = try product(tokens, endingAt: sequenceLength, cancellation: cancellation)
    return (0..<tokens.count).map { Array(UnsafeBufferPointer(start: logits.data + $0 * width, count: width)) }
  }

  /// The same, with the logits left in the arena.
  @discardableResult
  func product(
    _ tokens: some Collection<Int32>, endingAt sequenceLength: Int? = nil, cancellation: Cancellation? = nil
  ) throws -> Matrix {
    let states = try Array(tokens).withUnsafeBufferPointer { tokens in
      var batch = TokenBatch()
      batch.append(tokens, to: cache, sequenceLength: sequenceLength, outputs: 0..<tokens.count)
      return try model.forward(batch, kernels: kernels, arena: arena, cancellation: cancellation)
    }
    let logits = try arena.matrix(rows: states.rows, columns: model.configuration.vocabularySize)
    try model.logits(into: logits, of: states, kernels: kernels, arena: arena, cancellation: cancellation)
    return logits
  }

  /// Appends tokens in passes of `chunk` and returns the logits after each of them.
  func evaluate(_ tokens: some Collection<Int32>, inChunksOf chunk: Int) throws -> [[Float]] {
    let tokens = Array(tokens)
    var logits: [[Float]] = []
    for start in stride(from: 0, to: tokens.count, by: chunk) {
      logits += try evaluate(tokens[start..<min(tokens.count, start + chunk)])
    }
    return logits
  }
}

/// `count` ids of the tiny vocabulary.
func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
  var random = SeededRandom(seed: seed)
  let vocabularySize = Int32(TinyCheckpoint.vocabulary.pieces.count)
  return (0..<count).map { _ in Int32.random(in: 0..<vocabularySize, using: &random) }
}

func doubles(_ logits: [[Float]]) -> [[Double]] { logits.map { $0.map { Double($0) } } }

/// Whether both hold the same bits.
func sameBits(_ a: [[Float]], _ b: [[Float]]) -> Bool {
  a.map { $0.map(\.bitPattern) } == b.map { $0.map(\.bitPattern) }
}
