// GGMLBlocks.swift -- blocks of GGUF's types with the floats that they stand for, computed by the `gguf` package of ggml's
// authors.

import Foundation

/// Tests/Fixtures/ggml-blocks.json: random codes, two blocks of each type.
package struct GGMLBlocks: Decodable, Sendable {
  package struct Blocks: Decodable, Sendable, CustomStringConvertible {
    /// "q4_K".
    package let type: String
    private let bytes: String
    private let floats: String

    package var description: String { type }
    package var data: [UInt8] { unhex(bytes) }
    package var values: [Float] { unhexFloats(floats) }
  }

  /// Floats `[2, 64]`, and the bytes of the types that they were narrowed to.
  package struct Narrowed: Decodable, Sendable {
    private let floats: String
    private let bytes: [String: String]

    package var values: [Float] { unhexFloats(floats) }
    package func data(_ type: String) -> [UInt8] { unhex(bytes[type] ?? "") }
  }

  package let blocks: [Blocks]
  package let narrowed: Narrowed

  /// What the fixture holds; nothing when it cannot be read, which its tests find.
  package static let fixture: GGMLBlocks? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    guard let data = try? Data(contentsOf: root.appendingPathComponent("Fixtures/ggml-blocks.json")) else { return nil }
    return try? JSONDecoder().decode(GGMLBlocks.self, from: data)
  }()
}

private func unhex(_ text: String) -> [UInt8] {
  let digits = text.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map(UInt8.init) }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

private func unhexFloats(_ text: String) -> [Float] {
  let bytes = unhex(text)
  return stride(from: 0, to: bytes.count - 3, by: 4).map { place in
    Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[place + $1]) << (8 * $1) })
  }
}
