// Workload.swift -- what a pass costs by the shape of the model: bytes that it must read, operations that it must do.

import XverseModels
import XverseTensors

/// What a run does; a multiply-add is two operations.
struct Work {
  /// What the table counts a second: tokens, or the bytes or operations below in 10^9.
  var amount: Double
  var bytes = 0.0
  var operations = 0.0
}

struct Workload {
  /// The matrices of a layer in the order of their use, those with the same input together.
  let products: [[[WeightMatrix]]]
  private let head: WeightMatrix
  private let cacheBytesPerPosition: Double

  init(_ model: XverseModel, cacheBytesPerPosition: Int) {
    products = model.layers.map { layer in
      LinearInput.allCases.map { layer.linears[$0].map(\.weights) }.filter { !$0.isEmpty }
    }
    head = model.head.weights
    self.cacheBytesPerPosition = Double(cacheBytesPerPosition)
  }

  /// The type of the layers' matrices.
  var dtype: DType { products[0][0][0].dtype }

  private var allMatrices: [WeightMatrix] { products.joined().flatMap { $0 } }
  private var layerBytes: Double { allMatrices.reduce(0) { $0 + Double($1.byteCount) } }
  private var layerElements: Double { allMatrices.reduce(0) { $0 + Double($1.rows * $1.columns) } }
  private var headElements: Double { Double(head.rows * head.columns) }

  /// The products of all layers with `tokens` tokens.
  func matrices(tokens: Int) -> Work {
    let operations = 2 * layerElements * Double(tokens)
    return Work(amount: 1e-9 * (tokens == 1 ? layerBytes : operations), bytes: layerBytes, operations: operations)
  }

  /// A prompt, of whose tokens the last gets logits. Attention is not counted.
  func prefill(_ tokens: Int) -> Work {
    Work(amount: Double(tokens), operations: 2 * (layerElements * Double(tokens) + headElements))
  }

  /// `steps` tokens one after the other for each of `sequences` sequences of `depth` tokens: all weights are read once
  /// a step, and the cache so far.
  func decode(_ steps: Int, at depth: Int = 0, sequences: Int = 1) -> Work {
    let tokens = Double(steps * sequences)
    let positions = tokens * (Double(depth) + Double(steps + 1) / 2)
    return Work(
      amount: tokens,
      bytes: Double(steps) * (layerBytes + Double(head.byteCount)) + positions * cacheBytesPerPosition,
      operations: 2 * tokens * (layerElements + headElements))
  }
}
