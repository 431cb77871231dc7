// Checkpoint.swift -- the weights of a model as they lie on the disk: name -> tensor, over one file or many.

import XverseCore
import XverseTensors

/// An opened checkpoint; it holds its files.
///
/// Every header is checked as a whole before any data are read. What stands in the files counts, as for Hugging Face's
/// loader: an index says which files there are, and what else it says wrongly is told in `warnings`.
///
/// Threads: immutable; any number of readers.
package final class Checkpoint: WeightMemory, @unchecked Sendable {
  /// The place in messages.
  package let directory: String
  package let format: WeightsFormat
  /// Sentences for people about what is odd in the files and changes nothing.
  package let warnings: [String]
  /// The sum over all tensors.
  package let byteCount: Int
  private let table: TensorTable
  private let files: [MappedFile]

  /// Opens the checkpoint at `path`: a directory or one file.
  package convenience init(
    path: some PathName, mode: MappedFile.Mode, allocator: MemoryAllocator,
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
  ///   - renaming: Called with the name of each tensor, unless it is a GGUF file's; what it should be called, or nil when
  ///     it is called so.
  ///   - progress: Called with bytes of files before each file's header is read (0 done), before its data are taken
  ///     and after every `InputFile.chunkLength` read; what it throws ends the opening.
  /// - Throws: `notFound`, `io`, `unsupported`, `invalid`, `corrupt`, `limit`, `outOfMemory`, what `progress` throws.
  package init(
    _ location: CheckpointLocation, mode: MappedFile.Mode, allocator: MemoryAllocator,
    renaming: (_ name: String) -> String? = { _ in nil },
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    let index: ShardIndex?
    let names: [FilePath]
    let expected: WeightsFormat
    switch try location.locateWeights() {
    case .single(let name, let format):
      index = nil
      names = [name]
      expected = format
    case .split(let parts, let format):
      index = nil
      names = parts
      expected = format
    case .sharded(let indexName, let format):
      let file = try location.requiredCompanion(
        indexName, maximumLength: ShardIndex.maximumLength, allocator: allocator)
      let shards = try ShardIndex(file, allocator: allocator)
      index = shards
      names = shards.shards
      expected = format
    }
    let opening = try Opening(
      names, expected: expected, index: index?.name, in: location.files, allocator: allocator)
    format = opening.format
    var warnings: [String] = []
    var table = try opening.readHeaders(progress, warn: { warnings.append($0) })
    warnings += index?.warnings(of: table) ?? []
    if format != .gguf, let renamed = try table.rename(renaming) {
      warnings.append(
        "\(location.directory.inMessage): \(renamed.count) tensors have other names than a model's; "
          + "'\(renamed.from.inMessage)' was taken for '\(renamed.to.inMessage)', the others likewise")
    }
    self.warnings = warnings
    files = try opening.openFiles(mode, progress)
    byteCount = table.order.elements.reduce(0) { $0 + table.entries[Int($1)].byteCount }
    self.table = table
    directory = location.directory
  }

  /// Bytes of the files.
  package var fileBytes: Int { files.reduce(0) { $0 + $1.bytes.count } }

  /// The tensor called `name`; nil when there is none. O(log n).
  package func tensor(named name: String) throws(XverseError) -> CheckpointTensor? {
    guard let number = table.number(of: name) else { return nil }
    let entry = table.entries[number]
    let file = files[entry.file]
    let data = try ByteReader(file.bytes, source: file.name)
      .slice(at: entry.begin, count: entry.byteCount, "tensor '\(name.inMessage)'")
    return CheckpointTensor(
      name: name, encoding: entry.encoding, shape: table.shape(of: number), strides: table.strides(of: number),
      data: data.baseAddress ?? file.bytes.baseAddress.unsafelyUnwrapped, byteCount: entry.byteCount,
      fileName: file.name)
  }

  /// All names in the order of their bytes; tensors of any dtype are among them.
  package var tensorNames: [String] { table.order.elements.map { table.name(of: Int($0)) } }

  package func discardPages(of bytes: UnsafeRawBufferPointer) {
    for file in files { file.discardPages(of: bytes) }
  }
}
