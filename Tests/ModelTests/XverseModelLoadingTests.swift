// XverseModelLoadingTests.swift -- from tensors to a model: what is missing or misshapen is named, values are checked.

import TestSupport
import Testing
import XverseCore
import XverseFormats
import XverseTensors

@testable import XverseModels

/// Grouped heads, so that no two kinds of matrix have the same shape.
private let tiny = [(name: String, shape: [Int])](
  tinyCheckpoint { ($0.layerCount, $0.kvHeadCount) = (2, 2) }.tensors.map { ($0.name, $0.shape) })

private func checkpoint(_ dtype: TinyCheckpoint.DType = .float32) -> TinyCheckpoint {
  tinyCheckpoint { ($0.layerCount, $0.kvHeadCount, $0.dtype) = (2, 2, dtype) }
}

/// What loading the checkpoint's weights throws after a change.
private func errorOfLoading(_ change: (inout SafetensorsPatch) -> Void) throws -> XverseError? {
  var patch = try SafetensorsPatch(checkpoint())
  change(&patch)
  return #expect(throws: XverseError.self) { try TinyModel(checkpoint(), safetensors: patch.bytes) }
}

@Suite("XverseModel loading")
struct XverseModelLoadingTests {
  @Test("names a missing tensor, its shape and the directory", arguments: tiny)
  func namesMissing(name: String, shape: [Int]) throws {
    let error = try errorOfLoading { $0.rename(name, to: "spare.weight") }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("tensor '\(name)' is missing") == true)
    #expect(error?.message.contains("\(shape)") == true)
    #expect(error?.message.contains("xverse-test-") == true)
  }

  @Test("names a tensor of another rank, both shapes and the file", arguments: tiny)
  func namesFlattened(name: String, shape: [Int]) throws {
    let flat = shape.count == 1 ? [1] + shape : [shape.reduce(1, *)]

    let error = try errorOfLoading { $0.set("shape", of: name, to: flat) }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "model.safetensors: tensor '\(name)' has shape \(flat), expected \(shape)")
  }

  @Test("names a transposed matrix", arguments: tiny.filter { $0.shape.count == 2 && $0.shape[0] != $0.shape[1] })
  func namesTransposed(name: String, shape: [Int]) throws {
    let turned = Array(shape.reversed())

    let error = try errorOfLoading { $0.set("shape", of: name, to: turned) }

    #expect(error?.message == "model.safetensors: tensor '\(name)' has shape \(turned), expected \(shape)")
  }

  @Test("names a tensor of integers", arguments: [tiny[0], tiny[3], tiny[tiny.count - 1]])
  func namesUnsupported(name: String, shape: [Int]) throws {
    let error = try errorOfLoading { $0.set("dtype", of: name, to: "I32") }

    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("'\(name)'") == true)
    #expect(error?.message.contains("I32") == true)
  }

  // What is expected depends on the size of the blocks that are found.
  @Test(
    "names blocks of another number",
    arguments: [
      ("model.layers.1.mlp.up_proj.weight", [3, 2, 288], [3, 1, 288]),
      ("model.layers.1.mlp.up_proj.weight", [2, 1, 544], [3, 1, 544]),
      ("model.layers.0.mlp.down_proj.weight", [2, 1, 288], [2, 2, 288]),
      ("model.layers.0.self_attn.k_proj.weight", [0, 1, 288], [1, 1, 288]),
      ("model.norm.weight", [1, 1, 288], [32]), ("lm_head.weight", [1, 1, 544], [24, 1, 544]),
    ])
  func namesOtherBlocks(name: String, found: [Int], expected: [Int]) throws {
    let error = try errorOfLoading { $0.replace(name, dtype: "U8", shape: found) }

    #expect(error?.code == .corrupt)
    #expect(error?.message == "model.safetensors: tensor '\(name)' has shape \(found), expected \(expected)")
  }

  @Test("names bytes that are no blocks", arguments: [[3, 1, 287], [48, 32], [3, 288], [1, 3, 1, 288]])
  func namesOtherBytes(shape: [Int]) throws {
    let name = "model.layers.1.mlp.up_proj.weight"

    let error = try errorOfLoading { $0.replace(name, dtype: "U8", shape: shape) }

    #expect(error?.code == .unsupported)
    #expect(
      error?.message.hasPrefix("model.safetensors: tensor '\(name)' has dtype U8 and shape \(shape), expected") == true)
  }

  @Test("needs no lm_head when embeddings are tied, and ignores one")
  func tiesEmbeddings() throws {
    let tied = tinyCheckpoint { $0.tiesWordEmbeddings = true }
    var patch = try SafetensorsPatch(tinyCheckpoint())
    patch.set(element: 0, of: "lm_head.weight", to: [0, 0, 0xC0, 0x7F])
    let tokens = randomTokens(5, seed: 1)

    let without = try TinySequence(try TinyModel(tied).model).evaluate(tokens)
    let with = try TinyModel(tied, safetensors: patch.bytes)

    #expect(sameBits(try TinySequence(with.model).evaluate(tokens), without))
    try with.model.verifyValues(of: with.checkpoint, kernels: try Kernels(threadCount: 1)) {
      (_, _) throws(XverseError) in
    }
  }

  @Test("takes tensors of mixed types")
  func mixesTypes() throws {
    var patch = try SafetensorsPatch(checkpoint(.float16))
    patch.set("dtype", of: "model.layers.1.mlp.up_proj.weight", to: "BF16")

    let mixed = try TinyModel(checkpoint(.float16), safetensors: patch.bytes)

    #expect(mixed.model.matrixTypeName == "mixed")
    #expect(try TinyModel(checkpoint(.float16)).model.matrixTypeName == "f16")
    #expect(try TinyModel(checkpoint(.bfloat16)).model.matrixTypeName == "bf16")
    #expect(try TinyModel(checkpoint(.float32)).model.matrixTypeName == "f32")
  }

  @Test("names a model after the layers where they have 4 bits and the ends int8", arguments: [DType.int4, .int4F16])
  func namesFourBits(dtype: DType) throws {
    var patch = try SafetensorsPatch(checkpoint(.float16))
    for (name, shape) in tiny where shape.count == 2 && name.contains("layers") {
      patch.replace(name, dtype: "U8", shape: dtype.storedShape(rows: shape[0], columns: shape[1]))
    }
    let floatEnds = try TinyModel(checkpoint(.float16), safetensors: patch.bytes)
    for (name, shape) in tiny where shape.count == 2 && !name.contains("layers") {
      patch.replace(name, dtype: "U8", shape: DType.int8.storedShape(rows: shape[0], columns: shape[1]))
    }
    let smallEnds = try TinyModel(checkpoint(.float16), safetensors: patch.bytes)

    #expect(floatEnds.model.matrixTypeName == "mixed")
    #expect(smallEnds.model.matrixTypeName == dtype.name)
  }

  @Test("the type of norms does not count as the model's")
  func ignoresNormTypes() throws {
    var patch = try SafetensorsPatch(checkpoint(.float16))
    patch.set("dtype", of: "model.norm.weight", to: "BF16")

    #expect(try TinyModel(checkpoint(.float16), safetensors: patch.bytes).model.matrixTypeName == "f16")
  }

  @Test("gives everything back when memory runs out in the middle", arguments: 0..<3)
  func givesBack(failingRequest: Int) throws {
    let host = CountingHost(failingRequest: failingRequest)
    let functions = MemoryAllocator.Functions(
      allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
    withExtendedLifetime(host) {
      let error = #expect(throws: XverseError.self) {
        try TinyModel(checkpoint(), allocator: MemoryAllocator(functions: functions))
      }

      #expect(error?.code == .outOfMemory)
      #expect(host.blockCount == 0)
    }
  }
}

@Suite("XverseModel.verifyValues")
struct VerificationTests {
  /// Bytes of NaN and infinities, the least significant first, and of the largest and the smallest finite numbers.
  private static let patterns: [TinyCheckpoint.DType: (nonFinite: [[UInt8]], finite: [[UInt8]])] = [
    .float32: (
      [[0, 0, 0xC0, 0x7F], [1, 0, 0x80, 0xFF], [0, 0, 0x80, 0x7F], [0, 0, 0x80, 0xFF]],
      [[0xFF, 0xFF, 0x7F, 0x7F], [0xFF, 0xFF, 0x7F, 0xFF], [1, 0, 0, 0], [0, 0, 0, 0x80]]
    ),
    .float16: (
      [[0, 0x7E], [1, 0xFC], [0, 0x7C], [0, 0xFC]], [[0xFF, 0x7B], [0xFF, 0xFB], [1, 0], [0, 0x80]]
    ),
    .bfloat16: (
      [[0xC0, 0x7F], [0x81, 0xFF], [0x80, 0x7F], [0x80, 0xFF]], [[0x7F, 0x7F], [0x7F, 0xFF], [1, 0], [0, 0x80]]
    ),
  ]

  private func verify(_ patch: SafetensorsPatch, _ dtype: TinyCheckpoint.DType) throws {
    let tiny = try TinyModel(checkpoint(dtype), safetensors: patch.bytes)
    try tiny.model.verifyValues(of: tiny.checkpoint, kernels: try Kernels(threadCount: 1)) {
      (_, _) throws(XverseError) in
    }
  }

  @Test(
    "names the first value that is not finite", arguments: [TinyCheckpoint.DType.float32, .float16, .bfloat16],
    [
      ("model.embed_tokens.weight", 0), ("model.layers.1.self_attn.k_proj.weight", 511),
      ("model.layers.0.input_layernorm.weight", 31), ("lm_head.weight", 1000),
    ])
  func findsNonFinite(dtype: TinyCheckpoint.DType, place: (name: String, index: Int)) throws {
    for pattern in try #require(Self.patterns[dtype]).nonFinite {
      var patch = try SafetensorsPatch(checkpoint(dtype))
      patch.set(element: place.index, of: place.name, to: pattern)

      let error = #expect(throws: XverseError.self) { try verify(patch, dtype) }

      #expect(error?.code == .corrupt)
      #expect(
        error?.message.hasPrefix(
          "model.safetensors: tensor '\(place.name)' has a NaN or infinite value at element \(place.index),") == true)
    }
  }

  /// The words of the first row of the last block behind its codes: scales of 16 bits, or always finite ones of 9.
  @Test(
    "names the first block with a scale that is not finite",
    arguments: [
      ([UInt8(0), 0x7C], [1, 1, 544], false), ([1, 0xFC], [1, 1, 544], false), ([0xFF, 0x7B], [1, 1, 544], true),
      ([0xFF, 0xFF], [1, 1, 288], true), ([0, 0x7C], [1, 1, 304], false), ([0xFF, 0xFB], [1, 1, 304], true),
    ])
  func findsNonFiniteScales(word: [UInt8], shape: [Int], isFinite: Bool) throws {
    var patch = try SafetensorsPatch(checkpoint())
    let name = "model.layers.1.self_attn.k_proj.weight"
    patch.replace(name, dtype: "U8", shape: shape)
    patch.set(element: shape[2] == 544 ? 256 : 128, of: name, to: word)

    guard !isFinite else { return try verify(patch, .float32) }
    let error = #expect(throws: XverseError.self) { try verify(patch, .float32) }

    #expect(error?.code == .corrupt)
    #expect(error?.message.contains("tensor '\(name)' has a NaN or infinite value at element 0,") == true)
  }

  @Test("passes the largest and the smallest numbers", arguments: [TinyCheckpoint.DType.float32, .float16, .bfloat16])
  func passesFinite(dtype: TinyCheckpoint.DType) throws {
    var patch = try SafetensorsPatch(checkpoint(dtype))
    for (index, pattern) in try #require(Self.patterns[dtype]).finite.enumerated() {
      patch.set(element: index, of: "lm_head.weight", to: pattern)
    }

    try verify(patch, dtype)
  }

  @Test("passes over tensors that the model does not use")
  func passesUnused() throws {
    var patch = try SafetensorsPatch(tinyCheckpoint { ($0.layerCount, $0.kvHeadCount) = (3, 2) })
    patch.set(element: 0, of: "model.layers.2.mlp.up_proj.weight", to: [0, 0, 0xC0, 0x7F])

    try verify(patch, .float32)
  }

  @Test("tells how far it is before each tensor and at the end, and ends where the caller says so")
  func tellsProgress() throws {
    let tiny = try TinyModel(checkpoint())
    var steps: [Int] = []
    var totals: Set<Int> = []
    try tiny.model.verifyValues(of: tiny.checkpoint, kernels: try Kernels(threadCount: 1)) {
      (done, total) throws(XverseError) in
      steps.append(done)
      totals.insert(total)
    }

    let error = #expect(throws: XverseError.self) {
      try tiny.model.verifyValues(of: tiny.checkpoint, kernels: try Kernels(threadCount: 1)) {
        (done, _) throws(XverseError) in
        if done > 0 { throw XverseError(.cancelled, "stop here") }
      }
    }

    #expect(steps.count == tiny.checkpoint.tensorNames.count + 1)
    #expect(steps.first == 0)
    #expect(steps.last == tiny.checkpoint.byteCount)
    #expect(zip(steps, steps.dropFirst()).allSatisfy { $0 < $1 })
    #expect(totals == [tiny.checkpoint.byteCount])
    #expect(error?.message == "stop here")
  }
}
