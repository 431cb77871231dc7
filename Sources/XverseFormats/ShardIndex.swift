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
  /// The files' names, each once, in the order of their first mention.
  let shards: [String]

  /// - Throws: `corrupt`; `invalid` for a shard outside the directory; `unsupported` for another format; `limit`.
  init(_ file: MappedFile, of format: WeightsFormat, allocator: MemoryAllocator) throws(XverseError) {
    name = file.name
    document = try JSONDocument(file.bytes, owner: file, source: file.name, allocator: allocator)
    guard let map = document.root["weight_map"], map.kind == .object else {
      throw .corrupt("\(file.name): there is no 'weight_map' that is an object", offset: document.root.offset)
    }
    weightMap = map
    var numbers: [String: Int] = [:]
    var shards: [String] = []
    for (tensor, value) in map.members {
      guard let shard = value.string else {
        throw .corrupt(
          "\(file.name): the shard of '\(tensor.text.inMessage)' is \(value.kind.rawValue), expected a file name",
          offset: value.offset)
      }
      guard numbers[shard] == nil else { continue }
      try Self.check(shard, value, format)
      guard shards.count < Self.maximumShardCount else {
        throw .limit("\(file.name): more than \(Self.maximumShardCount) shards", offset: value.offset)
      }
      numbers[shard] = shards.count
      shards.append(shard)
    }
    guard !shards.isEmpty else { throw .corrupt("\(file.name): 'weight_map' names no shard", offset: map.offset) }
    self.numbers = numbers
    self.shards = shards
  }

  /// Checks that each tensor of the index stands in the shard that the index names; `table` has been sorted.
  func check(_ table: borrowing TensorTable) throws(XverseError) {
    for (tensor, value) in weightMap.members {
      let name = tensor.text
      let shard = value.string ?? ""
      guard let entry = table.number(of: name), table.entries[entry].file == numbers[shard] else {
        throw .corrupt(
          "\(shard.inMessage): there is no tensor '\(name.inMessage)', which \(document.source) lists there",
          offset: value.offset)
      }
    }
  }

  /// A shard is a plain file name: a name with a path could leave the directory.
  private static func check(_ shard: String, _ value: JSONValue, _ format: WeightsFormat) throws(XverseError) {
    let bytes = shard.utf8
    let source = value.document.source
    guard !shard.isEmpty, shard != ".", shard != "..", !bytes.contains(UInt8(ascii: "/")), !bytes.contains(0),
      bytes.count <= 255
    else {
      throw XverseError(
        .invalid, "\(source): shard '\(shard.inMessage)' is not the name of a file in the index's own directory",
        offset: value.offset)
    }
    guard shard.hasSuffix(format.suffix) else {
      throw XverseError(
        .unsupported, "\(source): shard '\(shard.inMessage)' is no \(format.suffix) file", offset: value.offset)
    }
  }
}
