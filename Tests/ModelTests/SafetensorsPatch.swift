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

  /// Changes a member of a tensor's description.
  mutating func set(_ member: String, of name: String, to value: Any) { header[name]?[member] = value }

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
