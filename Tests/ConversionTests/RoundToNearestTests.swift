// RoundToNearestTests.swift -- float models to int8 and int4, matrix by matrix.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels
@testable import XverseConversion

@Suite("QuantizationScheme")
struct QuantizationSchemeTests {
  @Test("keeps embedding and head in int8")
  func choosesTypes() {
    for role in WeightKey.Role.layerMatrices {
      #expect(QuantizationScheme.int8.dtype(for: WeightKey(role, layer: 0)) == .int8)
      #expect(QuantizationScheme.int4.dtype(for: WeightKey(role, layer: 0)) == .int4)
    }
    for role in [WeightKey.Role.embedding, .head] {
      #expect(QuantizationScheme.int8.dtype(for: WeightKey(role)) == .int8)
      #expect(QuantizationScheme.int4.dtype(for: WeightKey(role)) == .int8)
    }
  }
}

@Suite("RoundToNearest")
struct RoundToNearestTests {
  @Test("gives every matrix the type of its role and leaves the norms", arguments: QuantizationScheme.allCases)
  func givesTypes(scheme: QuantizationScheme) throws {
    let tiny = try TinyModel()

    let model = try RoundToNearest.quantized(tiny.model, scheme)

    for (old, new) in zip(tiny.model.stored, model.stored) {
      #expect(old.name == new.name)
      let key = try #require(WeightKey(named: new.name, in: .safetensors))
      if old.shape.count == 1 {
        #expect(old == new)
      } else {
        let dtype = scheme.dtype(for: key)
        #expect(new.dtype == dtype, "\(new.name)")
        #expect(new.shape == dtype.storedShape(rows: old.shape[0], columns: old.shape[1]), "\(new.name)")
      }
    }
    #expect(model.matrixTypeName == scheme.rawValue)
    #expect(model.weightBytes == model.stored.reduce(0) { $0 + $1.bytes.count })
  }

  @Test(
    "weighs errors by the norm before a matrix, where there is one", arguments: QuantizationScheme.allCases,
    [
      ("self_attn.v_proj", "model.layers.1.input_layernorm.weight"),
      ("mlp.gate_proj", "model.layers.1.post_attention_layernorm.weight"), ("self_attn.o_proj", nil),
      ("mlp.down_proj", nil),
    ] as [(String, String?)])
  func weighsErrors(scheme: QuantizationScheme, matrix: (name: String, norm: String?)) throws {
    let name = "model.layers.1.\(matrix.name).weight"
    let arena = ScratchArena(allocator: .system)
    for stored in [TinyCheckpoint.DType.float32, .float16, .bfloat16] {
      var checkpoint = TinyCheckpoint()
      checkpoint.dtype = stored
      let tensors = Dictionary(uniqueKeysWithValues: checkpoint.tensors.map { ($0.name, ($0.shape, $0.values)) })
      let (shape, values) = try #require(tensors[name])
      let importance = matrix.norm.flatMap { tensors[$0]?.1.map { $0 * $0 } }
      let floats = try arena.matrix(rows: shape[0], columns: shape[1])
      floats.data.update(from: values, count: values.count)
      let dtype = scheme.dtype(for: try #require(WeightKey(named: name, in: .safetensors)))
      var expected = [UInt8](repeating: 0, count: dtype.byteCount(rows: shape[0], columns: shape[1]))
      let isQuantizable = try Kernels(threadCount: 1).quantize(floats, to: dtype, at: &expected, importance: importance)

      let model = try RoundToNearest.quantized(TinyModel { $0.dtype = stored }.model, scheme)

      #expect(isQuantizable)
      #expect(model.stored(name)?.bytes == expected, "\(stored)")
    }
  }

  @Test("gives the same bits on any number of threads and with any kernels", arguments: QuantizationScheme.allCases)
  func ignoresKernels(scheme: QuantizationScheme) throws {
    let tiny = try TinyModel()
    let expected = try RoundToNearest.quantized(tiny.model, scheme).stored
    for set in Kernels.InstructionSet.allCases where set.isAvailable {
      for threadCount in [1, 3] {
        let model = try RoundToNearest(scheme, context(threadCount: threadCount, set: set)).quantize(tiny.model)
        #expect(model.stored == expected, "\(set), \(threadCount) threads")
      }
    }
  }

  @Test("ties the head to the embedding where the model does", arguments: QuantizationScheme.allCases)
  func tiesHead(scheme: QuantizationScheme) throws {
    let model = try RoundToNearest.quantized(TinyModel { $0.tiesWordEmbeddings = true }.model, scheme)

    #expect(model.head.weights.data == model.embedding.weights.data)
    #expect(model.stored(WeightKey(.head).name(in: .safetensors)) == nil)
  }

  // 70 tokens are so many that codes are unpacked.
  @Test("a quantized model gives the same bits in one pass and token by token", arguments: QuantizationScheme.allCases)
  func ignoresPasses(scheme: QuantizationScheme) throws {
    let model = try RoundToNearest.quantized(TinyModel { $0.kvHeadCount = 2 }.model, scheme)
    let tokens = randomTokens(70)
    let together = try logits(model, tokens, chunk: 70).map(\.bitPattern)

    for (chunk, threadCount) in [(1, 1), (7, 2), (70, 3)] {
      let found = try logits(model, tokens, chunk: chunk, threadCount: threadCount).map(\.bitPattern)
      #expect(found == together, "\(chunk) at a time, \(threadCount) threads")
    }
  }

  @Test("int8 answers nearly as the float model does, and int4 less so")
  func answersAlike() throws {
    let tiny = try TinyModel()
    let tokens = randomTokens(40)
    let exact = try logits(tiny.model, tokens, chunk: 40)
    let size = exact.reduce(0) { $0 + Double($1 * $1) }.squareRoot()

    let errors = try QuantizationScheme.allCases.map { (scheme) throws -> Double in
      let found = try logits(RoundToNearest.quantized(tiny.model, scheme), tokens, chunk: 40)
      return zip(found, exact).reduce(0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }.squareRoot() / size
    }

    // Weights spread evenly over a range of 255 or 15 steps are off by 1/255 or 1/15 of their own size in the mean. A path
    // through two layers passes 8 matrices, whose errors add up as squares do; twice that leaves room.
    let passed = 8.0.squareRoot()
    #expect(errors[0] > 0 && errors[0] < 2 * passed / 255)
    #expect(errors[1] > errors[0] && errors[1] < 2 * passed / 15)
  }

  @Test(
    "names the weight that cannot be quantized", arguments: QuantizationScheme.allCases,
    [.nan, -.infinity, 4097] as [Float])
  func namesBadWeight(scheme: QuantizationScheme, value: Float) throws {
    let directory = try TemporaryDirectory()
    let checkpoint = TinyCheckpoint()
    try checkpoint.write(to: directory)
    // The data begin with the embedding.
    var file = checkpoint.safetensors
    let begin = 8 + file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    file.replaceSubrange(begin..<begin + 4, with: withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init))
    try directory.write("model.safetensors", file)
    let model = try loadModel(directory.path)

    let error = #expect(throws: XverseError.self) { try RoundToNearest.quantized(model, scheme) }

    #expect(error?.code == .corrupt)
    #expect(
      error?.message.hasPrefix("tensor 'model.embed_tokens.weight' has a value in rows 0 to 369 that is not") == true)
  }

  @Test("refuses a model that is quantized already", arguments: QuantizationScheme.allCases)
  func refusesQuantized(scheme: QuantizationScheme) throws {
    let model = try RoundToNearest.quantized(TinyModel().model, .int4)

    let error = #expect(throws: XverseError.self) { try RoundToNearest.quantized(model, scheme) }

    #expect(error?.code == .unsupported)
    #expect(
      error?.message == "tensor 'model.embed_tokens.weight' is int8 already, expected f32, f16 or bf16 to quantize")
  }

  @Test("tells the bytes done, ends where the caller says so, and gives everything back")
  func tellsProgress() throws {
    let tiny = try TinyModel()
    var steps: [Int] = []
    let told = try context { (done, total) throws(XverseError) in
      steps.append(done)
      if total != tiny.model.weightBytes { throw XverseError(.internal, "the total is \(total)") }
    }
    _ = try RoundToNearest(.int4, told).quantize(tiny.model)
    #expect(steps == steps.sorted() && steps.first == 0 && steps.last == tiny.model.weightBytes)
    // 7 matrices in each of two layers, embedding, head, and the end.
    #expect(steps.count == 2 * 7 + 3)

    for report in 0..<steps.count {
      let host = CountingHost()
      let allocator = MemoryAllocator(host)
      let ended = try context(allocator: allocator) { (done, _) throws(XverseError) in
        if done == steps[report] { throw XverseError(.cancelled, "stop here") }
      }
      let error = #expect(throws: XverseError.self) { try RoundToNearest(.int4, ended).quantize(tiny.model) }
      #expect(error?.message == "stop here")
      #expect(host.blockCount == 0, "report \(report)")
    }
  }

  @Test("looks at the cancel flag")
  func cancels() throws {
    let cancellation = Cancellation()
    cancellation.trigger()

    let error = #expect(throws: XverseError.self) {
      try RoundToNearest(.int8, context(cancellation: cancellation)).quantize(TinyModel().model)
    }

    #expect(error?.code == .cancelled)
  }

  @Test("a compute thread that does not run the work is an error")
  func needsExecutor() throws {
    let idle = ComputeContext(kernels: try Kernels(threadCount: 1), allocator: .system, executor: { _ in })

    let error = #expect(throws: XverseError.self) { try RoundToNearest(.int8, idle).quantize(TinyModel().model) }

    #expect(error?.code == .internal)
  }
}
