// Calibration.swift -- quantizes a model layer by layer on a text: each matrix with the inputs that it gets in mind, and
// each layer on the outputs of the quantized ones before it (GPTQ, Frantar et al. 2022).

import XverseCore
import XverseModels
import XverseTensors

/// Quantizes the layers and the head of a float model with GPTQ; the embedding as `RoundToNearest` does.
///
/// Memory: the result; the hidden states of the whole text, `[tokens, hiddenSize]` floats; the Hessians of one layer, twice
/// the largest, `[columns, columns]` floats each; `rowsAtATime` rows of the widest matrix in floats, twice.
package final class Calibration {
  /// Most tokens of the text that are used, and tokens of a sequence.
  package static let maximumTokens = 32_768
  package static let sequenceLength = 512
  /// Share of the mean diagonal that is added to the diagonal of a Hessian, as in the paper; tenfold as often as needed.
  private static let damping: Float = 0.01
  /// Rows that are floats at a time, whole panels. The error of a row goes along that row, so each stands for itself.
  private static let rowsAtATime = 2048

  private let scheme: QuantizationScheme
  private let context: ComputeContext
  private let arena: ScratchArena
  private var memory: [WeightStorage] = []

  package init(_ scheme: QuantizationScheme, _ context: ComputeContext) {
    self.scheme = scheme
    self.context = context
    arena = ScratchArena(allocator: context.allocator)
  }

  /// - Parameter tokens: Of the text; cut into sequences of `sequenceLength`, a shorter rest is used as well.
  /// - Throws: As `RoundToNearest.quantize`; `range` for fewer than 16 tokens; `unsupported` or `outOfMemory` for want of
  ///   OpenBLAS.
  package func quantize(
    _ model: XverseModel, on tokens: UnsafeBufferPointer<Int32>
  ) throws(XverseError) -> XverseModel {
    guard tokens.count >= 16 else {
      throw .range("the calibration text has \(tokens.count) tokens, expected at least 16")
    }
    try context.kernels.loadBLAS()
    let tokens = UnsafeBufferPointer(rebasing: tokens.prefix(Self.maximumTokens))
    let plain = RoundToNearest(scheme, context.silent)
    let embedding = Linear(model.embedding.key, try plain.quantize(model.embedding, of: model))
    memory = plain.memory
    let states = try CalibrationStates(model, embedding.weights, tokens, context)
    let steps = model.layers.count + 1
    var layers: [DecoderLayer] = []
    layers.reserveCapacity(model.layers.count)
    for (index, layer) in model.layers.enumerated() {
      try context.progress(index, steps)
      layers.append(try quantize(layer, of: model, states))
    }
    try context.progress(model.layers.count, steps)
    let head = model.configuration.tieWordEmbeddings ? embedding : try quantizeHead(of: model, states)
    try context.progress(steps, steps)
    return XverseModel(model, embedding: embedding, layers: layers, head: head, memory: memory)
  }

  private func quantize(
    _ layer: DecoderLayer, of model: XverseModel, _ states: CalibrationStates
  ) throws(XverseError) -> DecoderLayer {
    let hessians = try Hessians(of: layer.linears.all, context)
    try states.observe(layer, hessians)
    let linears = try layer.linears.replacing { (linear) throws(XverseError) in
      try quantize(linear, hessians.factor(of: linear, damping: Self.damping))
    }
    for linear in layer.linears.all { model.discardPages(of: linear.weights) }
    let quantized = layer.withLinears(linears)
    try states.advance(through: quantized)
    return quantized
  }

  private func quantizeHead(of model: XverseModel, _ states: CalibrationStates) throws(XverseError) -> Linear {
    let hessians = try Hessians(of: [model.head], context)
    try states.finish(hessians)
    let head = try quantize(model.head, hessians.factor(of: model.head, damping: Self.damping))
    model.discardPages(of: model.head.weights)
    return Linear(model.head.key, head)
  }

  private func quantize(_ linear: Linear, _ factor: InputFactor) throws(XverseError) -> WeightMatrix {
    try RoundToNearest.requireFloats(linear)
    let weights = linear.weights
    let dtype = scheme.dtype(for: linear.key)
    let storage = try WeightStorage(
      byteCount: dtype.byteCount(rows: weights.rows, columns: weights.columns), allocator: context.allocator)
    memory.append(storage)
    for row in stride(from: 0, to: weights.rows, by: Self.rowsAtATime) {
      try context.check()
      arena.reset()
      let chunk = weights.rows(row..<min(row + Self.rowsAtATime, weights.rows))
      let floats = try arena.matrix(rows: chunk.rows, columns: chunk.columns)
      let room = try arena.matrix(rows: chunk.rows, columns: chunk.columns + Kernels.gptqBlockSize)
      let place = storage.start + dtype.byteCount(rows: row, columns: weights.columns)
      let isQuantizable = try context.compute { () throws(XverseError) in
        context.kernels.widen(chunk, into: floats)
        return context.kernels.quantizeGPTQ(
          floats, to: dtype, at: place, factor: factor.matrix, order: factor.order, room: room)
      }
      guard isQuantizable else { throw RoundToNearest.notQuantizable(linear, row..<row + chunk.rows, to: dtype) }
    }
    return WeightMatrix(data: storage.start, dtype: dtype, rows: weights.rows, columns: weights.columns)
  }
}

/// What is known of the inputs of a product: U of their damped Hessian, whose groups of columns stand in this order.
private struct InputFactor {
  let matrix: Matrix
  let order: [Int32]
}

/// The sums of `x xᵀ` over all inputs of some matrices, a sum for each input that they have.
private final class Hessians: LinearObserver {
  private let context: ComputeContext
  private let arena: ScratchArena
  private var hessians: [LinearInput: Matrix] = [:]
  /// Those that were asked for; each has taken the place of its sum.
  private var factors: [LinearInput: InputFactor] = [:]
  private let work: Matrix

  init(of linears: [Linear], _ context: ComputeContext) throws(XverseError) {
    self.context = context
    arena = ScratchArena(allocator: context.allocator)
    for linear in linears {
      guard let input = linear.key.role.declaration.input, hessians[input] == nil else { continue }
      let size = linear.weights.columns
      let hessian = try arena.matrix(rows: size, columns: size)
      hessian.data.initialize(repeating: 0, count: size * size)
      hessians[input] = hessian
    }
    let largest = linears.map(\.weights.columns).max() ?? 0
    work = try arena.matrix(rows: largest, columns: largest)
  }

  func observe(_ input: LinearInput, _ x: Matrix) {
    if let hessian = hessians[input] { context.kernels.addGram(of: x, to: hessian) }
  }

  /// The factor of what `linear` multiplies, computed once for all matrices with that input. Nothing may be observed
  /// afterwards.
  func factor(of linear: Linear, damping: Float) throws(XverseError) -> InputFactor {
    guard let input = linear.key.role.declaration.input, let hessian = hessians[input] else {
      throw XverseError(.internal, "no sums of the input of \(linear.key.role)")
    }
    if let factor = factors[input] { return factor }
    let factor = try factor(hessian, damping: damping)
    factors[input] = factor
    return factor
  }

  private func factor(_ hessian: Matrix, damping: Float) throws(XverseError) -> InputFactor {
    let size = hessian.rows
    var trace: Float = 0
    for index in 0..<size {
      // An input that is always 0 tells nothing of its column, which then stands for itself.
      if hessian.data[index * size + index] == 0 { hessian.data[index * size + index] = 1 }
      trace += hessian.data[index * size + index]
    }
    let room = Matrix(data: work.data, rows: size, columns: size)
    let order = strongestFirst(hessian)
    var share = damping
    for _ in 0..<4 {
      let added = share * trace / Float(size)
      let isFactored = try context.compute { () throws(XverseError) in
        context.kernels.factorInverse(of: hessian, work: room, order: order, damping: added)
      }
      if isFactored { return InputFactor(matrix: hessian, order: order) }
      share *= 10
    }
    throw XverseError(.failed, "calibration: the inputs of a layer or of the head are not finite or all alike")
  }

  /// The groups of columns with the largest inputs first: what is rounded first is made up for by all others. A last group
  /// that is short stays the last.
  private func strongestFirst(_ hessian: Matrix) -> [Int32] {
    let size = hessian.rows, whole = size / DType.groupSize
    let squares = (0..<whole).map { group in
      // maximum takes the number beside NaN: what is compared has an order, and factoring refuses NaN later.
      (group * DType.groupSize..<(group + 1) * DType.groupSize).reduce(Float(0)) {
        Float.maximum($0 + hessian.data[$1 * size + $1], $0)
      }
    }
    let order = (0..<whole).sorted { squares[$0] > squares[$1] || squares[$0] == squares[$1] && $0 < $1 }
    return (order + (whole..<DType.groupCount(columns: size))).map { Int32($0) }
  }
}

/// The hidden states of all sequences between two layers.
private final class CalibrationStates {
  private let model: XverseModel
  private let context: ComputeContext
  private let memory: ScratchArena
  private let arena: ScratchArena
  private let states: Matrix
  private let cache: KVCache
  private let tokens: UnsafeBufferPointer<Int32>
  private let sequences: [Range<Int>]

  init(
    _ model: XverseModel, _ embedding: WeightMatrix, _ tokens: UnsafeBufferPointer<Int32>,
    _ context: ComputeContext
  ) throws(XverseError) {
    self.model = model
    self.context = context
    self.tokens = tokens
    memory = ScratchArena(allocator: context.allocator)
    arena = ScratchArena(allocator: context.allocator)
    states = try memory.matrix(rows: tokens.count, columns: model.configuration.hiddenSize)
    let length = min(Calibration.sequenceLength, model.configuration.maximumPositions)
    cache = try KVCache(
      KVLayout(model.configuration, .float32, layerCount: 1), capacity: length, source: context.allocator,
      allocator: context.allocator)
    sequences = stride(from: 0, to: tokens.count, by: length).map { $0..<min($0 + length, tokens.count) }
    try context.compute { () throws(XverseError) in context.kernels.rows(into: states, of: embedding, ids: tokens) }
  }

  /// Runs a layer and shows the inputs of its products; the states stay as they are.
  func observe(_ layer: DecoderLayer, _ observer: any LinearObserver) throws(XverseError) {
    let copies = ScratchArena(allocator: context.allocator)
    for sequence in sequences {
      copies.reset()
      let copy = try copies.matrix(rows: sequence.count, columns: states.columns)
      copy.data.update(from: states.rows(sequence).data, count: copy.rows * copy.columns)
      try run(layer, on: copy, sequence, observer)
    }
  }

  func advance(through layer: DecoderLayer) throws(XverseError) {
    for sequence in sequences { try run(layer, on: states.rows(sequence), sequence, nil) }
  }

  /// Adds the inputs of the head; the states are these from then on.
  func finish(_ hessians: Hessians) throws(XverseError) {
    for sequence in sequences {
      try context.check()
      try context.compute { () throws(XverseError) in
        model.normalize(states.rows(sequence), kernels: context.kernels)
        hessians.observe(.head, states.rows(sequence))
      }
    }
  }

  private func run(
    _ layer: DecoderLayer, on states: Matrix, _ sequence: Range<Int>, _ observer: (any LinearObserver)?
  ) throws(XverseError) {
    try context.check()
    var batch = TokenBatch()
    batch.append(UnsafeBufferPointer(rebasing: tokens[sequence]), to: cache)
    try context.compute { () throws(XverseError) in
      try model.forward(
        states, of: batch, through: layer, observer: observer, kernels: context.kernels, arena: arena,
        cancellation: nil)
    }
  }
}
