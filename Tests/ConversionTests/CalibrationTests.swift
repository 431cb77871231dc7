// CalibrationTests.swift -- quantization layer by layer on a text.

import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels
@testable import XverseConversion

@Suite("Calibration")
struct CalibrationTests {
  private let model: XverseModel

  init() throws { model = try TinyModel { $0.kvHeadCount = 2 }.model }

  private func calibrated(
    _ scheme: QuantizationScheme, on tokens: [Int32], _ context: ComputeContext
  ) throws -> XverseModel {
    try Calibration(scheme, context).quantize(model, on: tokens)
  }

  @Test(
    "gives the types of plain rounding, other layers, another head, and the same embedding",
    arguments: QuantizationScheme.allCases)
  func changesLayers(scheme: QuantizationScheme) throws {
    let plain = try RoundToNearest.quantized(model, scheme).stored

    let found = try calibrated(scheme, on: randomTokens(100), context()).stored

    #expect(found.map(\.name) == plain.map(\.name))
    #expect(found.map(\.dtype) == plain.map(\.dtype) && found.map(\.shape) == plain.map(\.shape))
    for (calibrated, plain) in zip(found, plain) {
      let isProduct = calibrated.name.contains("proj") || calibrated.name == WeightKey(.head).name(in: .safetensors)
      #expect((calibrated != plain) == isProduct, "\(calibrated.name)")
    }
  }

  // One token more than whole sequences: the model's 256 positions are fewer than `sequenceLength`.
  @Test("gives the same bits on any number of threads", arguments: [16, 513])
  func ignoresThreads(count: Int) throws {
    let tokens = randomTokens(count)
    let alone = try calibrated(.int4, on: tokens, context()).stored

    #expect(try calibrated(.int4, on: tokens, context(threadCount: 2)).stored == alone)
    #expect(try calibrated(.int4, on: tokens, context(threadCount: 3)).stored == alone)
  }

  @Test("lowers the error of the logits on its own text")
  func lowersError() throws {
    // Few tokens in any order: inputs of the layers that correlate.
    let tokens = randomTokens(600).map { $0 % 8 + 40 }
    let beginning = Array(tokens.prefix(200))
    let exact = try logits(model, beginning, chunk: 200)
    func error(_ model: XverseModel) throws -> Float {
      zip(try logits(model, beginning, chunk: 200), exact).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }

    let found = try error(calibrated(.int4, on: tokens, context()))

    #expect(found < (try error(RoundToNearest.quantized(model, .int4))))
  }

  @Test("works with inputs that are all alike", arguments: QuantizationScheme.allCases)
  func takesOneToken(scheme: QuantizationScheme) throws {
    let found = try calibrated(scheme, on: [Int32](repeating: 50, count: 40), context())

    #expect(try logits(found, randomTokens(5), chunk: 5).allSatisfy { $0.isFinite })
  }

  @Test("refuses fewer than 16 tokens", arguments: [0, 1, 15])
  func refusesFewTokens(count: Int) throws {
    let error = #expect(throws: XverseError.self) { try calibrated(.int4, on: randomTokens(count), context()) }

    #expect(error == .range("the calibration text has \(count) tokens, expected at least 16"))
  }

  @Test("refuses a model that is quantized already")
  func refusesQuantized() throws {
    let quantized = try RoundToNearest.quantized(model, .int8)

    let error = #expect(throws: XverseError.self) {
      try Calibration(.int4, context()).quantize(quantized, on: randomTokens(20))
    }

    #expect(error?.code == .unsupported)
  }

  @Test("leaves a head that is the embedding to the embedding")
  func keepsTiedHead() throws {
    let tied = try TinyModel { $0.tiesWordEmbeddings = true }.model

    let found = try Calibration(.int4, context()).quantize(tied, on: randomTokens(20))

    #expect(found.head.weights.data == found.embedding.weights.data)
  }

  @Test("tells the steps done, the head one of them, ends where the caller says so, and gives everything back")
  func tellsProgress() throws {
    var steps: [[Int]] = []
    let told = try context { (done, total) throws(XverseError) in steps.append([done, total]) }
    _ = try calibrated(.int4, on: randomTokens(20), told)
    #expect(steps == [[0, 3], [1, 3], [2, 3], [3, 3]])

    for report in 0..<4 {
      let host = CountingHost()
      let ended = try context(allocator: MemoryAllocator(host)) { (done, _) throws(XverseError) in
        if done == report { throw XverseError(.cancelled, "stop here") }
      }
      let error = #expect(throws: XverseError.self) { try calibrated(.int4, on: randomTokens(20), ended) }
      #expect(error?.message == "stop here")
      #expect(host.blockCount == 0, "report \(report)")
    }
  }

  @Test("gives everything back when memory runs out")
  func givesBack() throws {
    let whole = CountingHost()
    _ = try calibrated(.int4, on: randomTokens(20), context(allocator: MemoryAllocator(whole)))
    let codes = try (0..<whole.requestCount).map { (request) throws -> XverseError.Code? in
      let host = CountingHost(failingRequest: request)
      let limited = try context(allocator: MemoryAllocator(host))
      let result = Result { try calibrated(.int4, on: randomTokens(20), limited).matrixTypeName }
      #expect(host.blockCount == 0, "request \(request)")
      guard case .failure(let error as XverseError) = result else { return nil }
      return error.code
    }

    // An arena that cannot become one block goes on with several.
    #expect(codes.allSatisfy { $0 == nil || $0 == .outOfMemory })
    #expect(codes.count { $0 == .outOfMemory } > 20)
    #expect(whole.blockCount == 0)
  }
}
