// SafetensorsFile.swift -- a safetensors file taken apart, to be changed and put together again.

import Foundation
import Testing

/// A safetensors file in parts.
struct SafetensorsFile {
  private struct Tensor {
    var name: String
    var dtype: String
    var shape: [Int]
    var data: [UInt8]
  }

  private var tensors: [Tensor]

  init(_ bytes: [UInt8]) throws {
    let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let parsed = try JSONSerialization.jsonObject(with: Data(bytes[8..<8 + length]))
    let header = try #require(parsed as? [String: [String: Any]])
    tensors = try header.filter { $0.key != "__metadata__" }.map { name, entry in
      let offsets = try #require(entry["data_offsets"] as? [Int])
      return Tensor(
        name: name, dtype: try #require(entry["dtype"] as? String), shape: try #require(entry["shape"] as? [Int]),
        data: Array(bytes[8 + length + offsets[0]..<8 + length + offsets[1]]))
    }
    tensors.sort { $0.name < $1.name }
  }

  var names: [String] { tensors.map(\.name) }
  var headerLength: Int { header.count }

  var bytes: [UInt8] {
    let length = withUnsafeBytes(of: UInt64(headerLength).littleEndian, Array.init)
    return length + header + tensors.flatMap(\.data)
  }

  func keeping(_ names: Set<String>) -> SafetensorsFile {
    var result = self
    result.tensors.removeAll { !names.contains($0.name) }
    return result
  }

  func removing(_ name: String) -> SafetensorsFile { keeping(Set(names).subtracting([name])) }

  func adding(_ name: String, shape: [Int]) -> SafetensorsFile {
    var result = self
    result.tensors.append(
      Tensor(name: name, dtype: "F32", shape: shape, data: [UInt8](repeating: 0, count: 4 * shape.reduce(1, *))))
    return result
  }

  func adding(_ name: String, _ dtype: String, shape: [Int], data: [UInt8]) -> SafetensorsFile {
    var result = self
    result.tensors.append(Tensor(name: name, dtype: dtype, shape: shape, data: data))
    return result
  }

  func shaping(_ name: String, _ shape: [Int]) -> SafetensorsFile { changing(name) { $0.shape = shape } }

  func typing(_ name: String, _ dtype: String) -> SafetensorsFile { changing(name) { $0.dtype = dtype } }

  /// Bytes, zeros by default, in the form of quantized weights.
  func blocks(_ name: String, _ shape: [Int], of byte: UInt8 = 0) -> SafetensorsFile {
    changing(name) {
      ($0.dtype, $0.shape) = ("U8", shape)
      $0.data = [UInt8](repeating: byte, count: shape.contains(0) ? 0 : shape.reduce(1, *))
    }
  }

  func replacing(_ name: String, element: Int, with value: Float) -> SafetensorsFile {
    changing(name) { tensor in
      withUnsafeBytes(of: value) { tensor.data.replaceSubrange(element * 4..<element * 4 + 4, with: $0) }
    }
  }

  private func changing(_ name: String, _ change: (inout Tensor) -> Void) -> SafetensorsFile {
    var result = self
    for index in result.tensors.indices where result.tensors[index].name == name { change(&result.tensors[index]) }
    return result
  }

  private var header: [UInt8] {
    var offset = 0
    var entries: [String: Any] = [:]
    for tensor in tensors {
      entries[tensor.name] =
        [
          "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, offset + tensor.data.count],
        ] as [String: Any]
      offset += tensor.data.count
    }
    return [UInt8]((try? JSONSerialization.data(withJSONObject: entries, options: [.sortedKeys])) ?? Data())
  }
}
