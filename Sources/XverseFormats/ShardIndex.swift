// ShardIndex.swift -- model.safetensors.index.json and its like: which shard holds which tensor.

import XverseCore

/// The index of a checkpoint that is split over several files.
struct ShardIndex {
  static let maximumLength = 64 << 20
  static let maximumShardCount = 10_000

  /// The index's own file.
  let name: String
  private let document: JSONDocument
  private let weightMap: JSONValue
  private let numbers: [String: Int]
  /// The files' names, each once, in the order of their bytes: the order in which Hugging Face's loader reads them.
  let shards: [FilePath]

  /// - Throws: `corrupt`; `invalid` for a shard outside the directory; `limit`.
  init(_ file: MappedFile, allocator: MemoryAllocator) throws(XverseError) {
    name = file.name
    document = try JSONDocument(file.bytes, owner: file, source: file.name, dialect: .python, allocator: allocator)
    guard let map = document.root["weight_map"], map.kind == .object else {
      throw .corrupt("\(file.name): there is no 'weight_map' that is an object", offset: document.root.offset)
    }
    weightMap = map
    var shards: Set<String> = []
    for (tensor, value) in map.members {
      guard let shard = value.string else {
        throw .corrupt(
          "\(file.name): the shard of '\(tensor.text.inMessage)' is \(value.kind.rawValue), expected a file name",
          offset: value.offset)
      }
      guard !shards.contains(shard) else { continue }
      try Self.check(shard, value)
      guard shards.count < Self.maximumShardCount else {
        throw .limit("\(file.name): more than \(Self.maximumShardCount) shards", offset: value.offset)
      }
      shards.insert(shard)
    }
    guard !shards.isEmpty else { throw .corrupt("\(file.name): 'weight_map' names no shard", offset: map.offset) }
    let sorted = shards.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    numbers = Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($1, $0) })
    self.shards = try sorted.map { (shard) throws(XverseError) in try FilePath(shard) }
  }

  /// What the index says wrongly of the tensors in the files, in sentences for people; `table` has been sorted.
  func warnings(of table: borrowing TensorTable) -> [String] {
    var warnings = document.warnings
    var (absent, moved) = (Examples(), Examples())
    for (tensor, value) in weightMap.members {
      let name = tensor.text
      guard let entry = table.number(of: name) else {
        absent.add("'\(name.inMessage)'")
        continue
      }
      if let shard = value.string, table.entries[entry].file != numbers[shard] {
        moved.add("'\(name.inMessage)' not in '\(shard.inMessage)'")
      }
    }
    if let first = absent.first {
      warnings.append("\(self.name): \(absent.count) tensors that it lists stand in no shard, such as \(first)")
    }
    if let first = moved.first {
      warnings.append("\(self.name): \(moved.count) tensors stand in another shard than it lists, such as \(first)")
    }
    return warnings
  }

  /// Things of one kind, counted.
  private struct Examples {
    var first: String?
    var count = 0

    mutating func add(_ text: String) {
      if first == nil { first = text }
      count += 1
    }
  }

  /// A shard is a plain file name: a name with a path could leave the directory.
  private static func check(_ shard: String, _ value: JSONValue) throws(XverseError) {
    let bytes = shard.utf8
    let source = value.document.source
    guard !shard.isEmpty, shard != ".", shard != "..", !bytes.contains(UInt8(ascii: "/")), !bytes.contains(0),
      bytes.count <= 255
    else {
      throw XverseError(
        .invalid, "\(source): shard '\(shard.inMessage)' is not the name of a file in the index's own directory",
        offset: value.offset)
    }
  }
}
