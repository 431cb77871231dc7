// GGUFDescription.swift -- what the headers of a GGUF model's files say, before any of the data is opened.

import XverseCore

/// The metadata of the first file, and the tensors of all.
package final class GGUFDescription {
  package let metadata: GGUFMetadata
  private let table: TensorTable

  /// - Parameter location: One whose model is described by GGUF.
  package convenience init(_ location: CheckpointLocation, allocator: MemoryAllocator) throws(XverseError) {
    let names: [FilePath] =
      switch try location.locateWeights() {
      case .single(let name, _): [name]
      case .split(let names, _): names
      case .sharded: []
      }
    try self.init(names, in: location.files, allocator)
  }

  /// - Parameter name: A file that stands beside the weights at `location`.
  package convenience init(
    companion name: String, of location: CheckpointLocation, allocator: MemoryAllocator
  ) throws(XverseError) {
    try self.init([FilePath(name)], in: location.files, allocator)
  }

  private init(_ names: [FilePath], in files: FileDirectory, _ allocator: MemoryAllocator) throws(XverseError) {
    var first: GGUFMetadata?
    let opening = try Checkpoint.Opening(
      names, expected: .gguf, index: nil, in: files, allocator: allocator)
    table = try opening.readHeaders({ (_, _) throws(XverseError) in }, metadata: { first = first ?? $0 })
    guard let first else { throw XverseError(.internal, "a GGUF model without files") }
    metadata = first
  }

  package func hasTensor(named name: String) -> Bool { table.number(of: name) != nil }

  /// The first name, in the order of their bytes, that meets a condition.
  package func firstTensorName(where condition: (String) -> Bool) -> String? {
    for number in table.order.elements {
      let name = table.name(of: Int(number))
      if condition(name) { return name }
    }
    return nil
  }
}
