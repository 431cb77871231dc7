// Checkpoint.swift -- the weights of a model as they lie on the disk: name -> tensor, over one file or many.

import XverseCore
import XverseTensors

/// An opened checkpoint; it holds its files.
///
/// Every header is checked as a whole before any data are read. Tensors of a shard that its index does not list are
/// there like the others, as they are for Hugging Face's loader.
///
/// Threads: immutable; any number of readers.
package final class Checkpoint: WeightMemory, @unchecked Sendable {
  private let location: CheckpointLocation
  /// The sum over all tensors.
  package let byteCount: Int
  private let table: TensorTable
  private let files: [MappedFile]

  package var directory: String { location.directory }
  package var format: String { "safetensors" }

  /// Opens the checkpoint at `path`: a Hugging Face directory or one .safetensors file.
  package convenience init(
    path: String, mode: MappedFile.Mode, allocator: MemoryAllocator,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    try self.init(CheckpointLocation(path: path), mode: mode, allocator: allocator, progress: progress)
  }

  /// Opens the checkpoint at `location`.
  ///
  /// In mode `map` no tensor's data are touched: opening costs the headers only.
  ///
  /// - Parameters:
  ///   - allocator: Where the index of tensors and, in mode `read`, the files' bytes are kept.
  ///   - progress: Called with bytes of files before each file's header is read (0 done), before its data are taken
  ///     and after every `InputFile.chunkLength` read; what it throws ends the opening.
  /// - Throws: `notFound`, `io`, `unsupported`, `invalid`, `corrupt`, `limit`, `outOfMemory`, what `progress` throws.
  package init(
    _ location: CheckpointLocation, mode: MappedFile.Mode, allocator: MemoryAllocator,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    let index: ShardIndex?
    let names: [String]
    switch try location.weights() {
    case .single(let name):
      index = nil
      names = [name]
    case .sharded(let indexName):
      let file = try location.requiredCompanion(
        indexName, maximumLength: ShardIndex.maximumLength, allocator: allocator)
      let shards = try ShardIndex(file, allocator: allocator)
      index = shards
      names = shards.shards
    }
    let (identities, total) = try Self.look(at: names, in: location, indexed: index != nil)
    let table = try Self.readHeaders(of: names, identities, in: location, allocator, total: total, progress)
    try index?.check(table)
    files = try Self.open(names, identities, in: location, mode, allocator, total: total, progress)
    byteCount = table.entries.elements.reduce(0) { $0 + $1.byteCount }
    self.table = table
    self.location = location
  }

  /// The tensor called `name`; nil when there is none. O(log n).
  ///
  /// - Throws: `unsupported` for a tensor whose dtype is not float32, float16 or bfloat16, nor bytes in the shape of blocks.
  package func tensor(named name: String) throws(XverseError) -> CheckpointTensor? {
    guard let number = table.number(of: name) else { return nil }
    let entry = table.entries[number]
    let file = files[entry.file]
    let shape = table.shape(of: number)
    guard let dtype = entry.dtype.dtype(shape: shape) else {
      throw .unsupported(
        "\(file.name): tensor '\(name.inMessage)' has dtype \(entry.dtype.rawValue) and shape \(shape), "
          + "expected F32, F16 or BF16, or blocks of int8, int4 or int4_f16: U8 and [panels, groups, 544, 288 or 304]")
    }
    let data = try ByteReader(file.bytes, source: file.name)
      .slice(at: entry.begin, count: entry.byteCount, "tensor '\(name.inMessage)'")
    return CheckpointTensor(
      name: name, dtype: dtype, shape: shape,
      data: data.baseAddress ?? file.bytes.baseAddress.unsafelyUnwrapped, byteCount: entry.byteCount,
      fileName: file.name)
  }

  /// All names in the order of their bytes; tensors of any dtype are among them.
  package var tensorNames: [String] { table.order.elements.map { table.name(of: Int($0)) } }

  /// Reads a file that stands beside the weights; nil when there is none.
  package func companion(
    _ name: String, maximumLength: Int, allocator: MemoryAllocator = .system
  ) throws(XverseError) -> MappedFile? {
    try location.companion(name, maximumLength: maximumLength, allocator: allocator)
  }

  package func discardPages(of bytes: UnsafeRawBufferPointer) {
    for file in files { file.discardPages(of: bytes) }
  }

  // MARK: opening

  /// Looks at all files before reading any: a missing shard and the sum of bytes are then known.
  private static func look(
    at names: [String], in location: CheckpointLocation, indexed: Bool
  ) throws(XverseError) -> (identities: [InputFile.Identity], total: Int) {
    var identities: [InputFile.Identity] = []
    var total = 0
    for name in names {
      let path = try location.path(of: name)
      if indexed, !(try FilePath(path).exists()) {
        throw .notFound("\(path.inMessage): the shard is missing, which \(CheckpointLocation.indexName) names")
      }
      let identity = try InputFile(path: path).identity
      let (sum, overflow) = total.addingReportingOverflow(identity.length)
      guard !overflow else { throw .limit("\(path.inMessage): the files have more than \(Int.max) bytes in all") }
      identities.append(identity)
      total = sum
    }
    return (identities, total)
  }

  private static func readHeaders(
    of names: [String], _ identities: [InputFile.Identity], in location: CheckpointLocation,
    _ allocator: MemoryAllocator, total: Int, _ progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) -> TensorTable {
    var table = TensorTable(allocator: allocator)
    for (number, name) in names.enumerated() {
      try progress(0, total)
      let file = try InputFile(path: location.path(of: name), expected: identities[number])
      try SafetensorsHeader(of: file, number: number, allocator: allocator).addTensors(to: &table)
    }
    if let (first, second) = try table.sort() {
      let places = [table.entries[first].file, table.entries[second].file].map { names[$0].inMessage }
      throw .corrupt("tensor '\(table.name(of: first).inMessage)' stands both in \(places[0]) and in \(places[1])")
    }
    return table
  }

  private static func open(
    _ names: [String], _ identities: [InputFile.Identity], in location: CheckpointLocation, _ mode: MappedFile.Mode,
    _ allocator: MemoryAllocator, total: Int, _ progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) -> [MappedFile] {
    var files: [MappedFile] = []
    var done = 0
    for (number, name) in names.enumerated() {
      try progress(done, total)
      let file = try InputFile(path: location.path(of: name), expected: identities[number])
      let start = done
      files.append(
        try MappedFile(file, mode: mode, allocator: allocator) { (read) throws(XverseError) in
          try progress(start + read, total)
        })
      done += file.length
    }
    return files
  }
}
