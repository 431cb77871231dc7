// SafetensorsWriter.swift -- tensors to safetensors files, in an order that keeps every one of them aligned.

import XverseCore
import XverseTensors

/// A tensor to write.
package struct OutputTensor {
  package let name: String
  package let dtype: DType
  /// As it stands in the file.
  package let shape: [Int]
  package let bytes: UnsafeRawBufferPointer

  package init(name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }
}

package enum SafetensorsWriter {
  /// The data begin at a multiple of a cache line, and so, as no tensor that is read as vectors has another size, do they.
  private static let alignment = 64

  /// Writes model.safetensors, or several files and their index when one would have more bytes of data than
  /// `maximumShardSize`; only a tensor that is larger itself then has a file that is.
  ///
  /// - Parameter progress: Called with bytes written of all; throws to end the writing.
  package static func write(
    _ tensors: [OutputTensor], to directory: OutputDirectory, maximumShardSize: Int = .max,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    let total = tensors.reduce(0) { $0 + $1.bytes.count }
    let shards = split(tensors, maximumShardSize)
    let names = shards.indices.map { shards.count == 1 ? singleName : shardName($0 + 1, of: shards.count) }
    var done = 0
    for (shard, name) in zip(shards, names) {
      var file = try OutputFile(path: directory.path(of: name))
      try writeHeader(of: shard, to: &file)
      for tensor in shard {
        try progress(done, total)
        try file.write(tensor.bytes) { (count) throws(XverseError) in
          done += count
          try progress(done, total)
        }
      }
      try file.finish()
    }
    if shards.count > 1 { try writeIndex(of: shards, names, total: total, to: directory) }
  }

  private static let singleName = "model.safetensors"

  private static func shardName(_ number: Int, of count: Int) -> String {
    func digits(_ value: Int) -> String { String(repeating: "0", count: max(0, 5 - "\(value)".count)) + "\(value)" }
    return "model-\(digits(number))-of-\(digits(count)).safetensors"
  }

  /// The tensors in their order, at least one to a file.
  private static func split(_ tensors: [OutputTensor], _ maximumSize: Int) -> [[OutputTensor]] {
    var shards: [[OutputTensor]] = [[]]
    var size = 0
    for tensor in tensors {
      if size > 0, tensor.bytes.count > maximumSize - size {
        shards.append([])
        size = 0
      }
      shards[shards.count - 1].append(tensor)
      size += tensor.bytes.count
    }
    return shards
  }

  private static func writeIndex(
    of shards: [[OutputTensor]], _ names: [String], total: Int, to directory: OutputDirectory
  ) throws(XverseError) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.beginObject("metadata")
    writer.write(total, "total_size")
    writer.endObject()
    writer.beginObject("weight_map")
    for (shard, name) in zip(shards, names) {
      for tensor in shard { writer.write(name, tensor.name) }
    }
    writer.endObject()
    writer.endObject()
    var file = try OutputFile(path: directory.path(of: singleName + ".index.json"))
    try file.write(writer.text)
    try file.finish()
  }

  private static func writeHeader(of tensors: [OutputTensor], to file: inout OutputFile) throws(XverseError) {
    var writer = JSONWriter()
    writer.beginObject()
    writer.beginObject("__metadata__")
    writer.write("pt", "format")
    writer.endObject()
    var begin = 0
    for tensor in tensors {
      writer.beginObject(tensor.name)
      writer.write(ElementType(tensor.dtype).rawValue, "dtype")
      writer.beginArray("shape")
      for dimension in tensor.shape { writer.write(dimension) }
      writer.endArray()
      writer.beginArray("data_offsets")
      writer.write(begin)
      begin += tensor.bytes.count
      writer.write(begin)
      writer.endArray()
      writer.endObject()
    }
    writer.endObject()
    let unpadded = MemoryLayout<UInt64>.size + writer.text.utf8.count
    let text = writer.text + String(repeating: " ", count: -unpadded & (alignment - 1))
    try withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { (length) throws(XverseError) in
      try file.write(length)
    }
    try file.write(text)
  }
}
