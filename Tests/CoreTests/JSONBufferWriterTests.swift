// JSONBufferWriterTests.swift -- JSON texts of any length, whatever the strings in them are.

import Testing

@testable import XverseCore

@Suite("JSONBufferWriter")
struct JSONBufferWriterTests {
  @Test("writes objects, arrays, strings and numbers")
  func writes() throws {
    var json = JSONBufferWriter(allocator: .system)
    try json.beginObject()
    try json.write("a\"\\\n\t\r\u{1}\u{1F}\u{7F}好😀", "k\"")
    try json.beginArray("numbers")
    try json.write(-7)
    try json.write(Float(0.1))
    try json.write(Float.infinity)
    try json.writeNull()
    try json.beginObject()
    try json.endObject()
    try json.endArray()
    try json.endObject()

    let expected = #"{"k\"":"a\"\\\n\t\r\u0001\u001f"# + "\u{7F}好😀" + #"","numbers":[-7,0.1,null,null,{}]}"#
    #expect(String(decoding: json.text, as: UTF8.self) == expected)
  }

  @Test("bytes that are not UTF-8 become U+FFFD")
  func repairs() throws {
    var json = JSONBufferWriter(allocator: .system)
    try ([0x61, 0xFF, 0xE5, 0xA5, 0xBD, 0xE5] as [UInt8]).withUnsafeBytes { try json.write($0) }
    #expect(String(decoding: json.text, as: UTF8.self) == "\"a\u{FFFD}好\u{FFFD}\"")
  }

  @Test("says no when there is no memory")
  func outOfMemory() throws {
    var json = JSONBufferWriter(allocator: MemoryAllocator(limit: 64))
    let long = String(repeating: "a", count: 100)
    var code: XverseError.Code?
    do throws(XverseError) { try json.write(long) } catch { code = error.code }
    #expect(code == .outOfMemory)
  }
}
