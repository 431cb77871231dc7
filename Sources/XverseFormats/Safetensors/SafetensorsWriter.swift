// SafetensorsWriter.swift -- tensors to a safetensors file, in an order that keeps every one of them aligned.

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

  /// Writes model.safetensors.
  ///
  /// - Parameter progress: Called with bytes written of all; throws to end the writing.
  package static func write(
    _ tensors: [OutputTensor], to directory: OutputDirectory,
    progress: (_ done: Int, _ total: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    let total = tensors.reduce(0) { $0 + $1.bytes.count }
    var file = try OutputFile(path: directory.path(of: "model.safetensors"))
    try writeHeader(of: tensors, to: &file)
    var done = 0
    for tensor in tensors {
      try progress(done, total)
      try file.write(tensor.bytes) { (count) throws(XverseError) in
        done += count
        try progress(done, total)
      }
    }
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
      writer.write(SafetensorsDType(tensor.dtype).rawValue, "dtype")
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
