// SafetensorsPatch.swift -- changes one thing in the file of a TinyCheckpoint.

import Foundation
import TestSupport

/// A safetensors file taken apart: 8 bytes of length, a JSON header, data.
struct SafetensorsPatch {
  private(set) var header: [String: [String: Any]]
  private var data: [UInt8]

  init(_ checkpoint: TinyCheckpoint) throws {
    let file = checkpoint.safetensors
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let object = try JSONSerialization.jsonObject(with: Data(file[8..<8 + length]))
    header = object as? [String: [String: Any]] ?? [:]
    data = Array(file[(8 + length)...])
  }

  /// Gives a tensor another name; its bytes stay where they are.
  mutating func rename(_ name: String, to other: String) {
    header[other] = header.removeValue(forKey: name)
  }

  /// The file with other names for all tensors.
  func renaming(_ newName: (String) -> String) -> [UInt8] {
    var copy = self
    copy.header = Dictionary(uniqueKeysWithValues: header.map { (newName($0.key), $0.value) })
    return copy.bytes
  }

  /// Changes a member of a tensor's description.
  mutating func set(_ member: String, of name: String, to value: Any) { header[name]?[member] = value }

  /// Puts zeros of another type and shape in a tensor's place.
  mutating func replace(_ name: String, dtype: String, shape: [Int]) {
    guard let offsets = header[name]?["data_offsets"] as? [Int] else { return }
    let count = shape.reduce(dtype == "U8" ? 1 : 4, *)
    data.replaceSubrange(offsets[0]..<offsets[1], with: [UInt8](repeating: 0, count: count))
    let shift = count - (offsets[1] - offsets[0])
    for (other, entry) in header {
      guard let place = entry["data_offsets"] as? [Int], place[0] >= offsets[1] else { continue }
      header[other]?["data_offsets"] = place.map { $0 + shift }
    }
    header[name] = ["dtype": dtype, "shape": shape, "data_offsets": [offsets[0], offsets[0] + count]]
  }

  /// Overwrites the element at `index` of a tensor with bytes.
  mutating func set(element index: Int, of name: String, to bytes: [UInt8]) {
    guard let begin = (header[name]?["data_offsets"] as? [Int])?.first else { return }
    data.replaceSubrange(begin + index * bytes.count..<begin + (index + 1) * bytes.count, with: bytes)
  }

  var bytes: [UInt8] {
    let text = (try? JSONSerialization.data(withJSONObject: header)) ?? Data()
    return withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init) + Array(text) + data
  }
}
