// MatrixSweep.swift -- the matrix products of a pass without anything between them.

import XverseCore
import XverseTensors

/// The products of all layers with some tokens, in the groups in which a pass makes them.
struct MatrixSweep {
  private let products: [[[WeightMatrix]]]
  private let input: Matrix
  private let output: Matrix
  private let scratch: UnsafeMutablePointer<Float>
  private let kernels: Kernels

  /// - Parameters:
  ///   - products: The matrices of each layer, up to three with the same input together.
  ///   - arena: What it keeps there it needs until its last run.
  init(_ products: [[[WeightMatrix]]], tokens: Int, kernels: Kernels, arena: ScratchArena) throws(XverseError) {
    let groups = products.joined()
    let widest = groups.joined().map(\.columns).max() ?? 0
    let rows = groups.map { $0.reduce(0) { $0 + $1.rows } }.max() ?? 0
    self.products = products
    self.kernels = kernels
    input = try arena.matrix(rows: tokens, columns: widest)
    output = try arena.matrix(rows: tokens, columns: rows)
    scratch = try arena.floats(kernels.productScratch(tokens: tokens, columns: widest))
    for index in 0..<tokens * widest { input.data[index] = Float(index % 255 - 127) / 127 }
  }

  func run() throws(XverseError) {
    for group in products.joined() {
      let x = Matrix(data: input.data, rows: input.rows, columns: group[0].columns)
      var products: [Kernels.Product] = []
      var column = 0
      for weights in group {
        products.append(Kernels.Product(weights, into: output, column: column))
        column += weights.rows
      }
      try kernels.multiply(
        x, products[0], group.count > 1 ? products[1] : nil, group.count > 2 ? products[2] : nil, scratch: scratch,
        cancellation: nil)
    }
  }
}
