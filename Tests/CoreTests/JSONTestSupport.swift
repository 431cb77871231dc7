// JSONTestSupport.swift -- documents from literals, for the JSON suites.

import XverseCore

/// Keeps the bytes of a document in place.
final class TestText {
  let bytes: UnsafeRawBufferPointer

  init(_ bytes: some Collection<UInt8>) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    copy.copyBytes(from: bytes)
    self.bytes = UnsafeRawBufferPointer(copy)
  }

  deinit { bytes.deallocate() }
}

func parse(
  _ bytes: some Collection<UInt8>, faultCode: XverseError.Code = .corrupt, allocator: MemoryAllocator = .system
) throws(XverseError) -> JSONDocument {
  let text = TestText(bytes)
  return try JSONDocument(text.bytes, owner: text, source: "test.json", faultCode: faultCode, allocator: allocator)
}

func parse(_ text: String, faultCode: XverseError.Code = .corrupt) throws(XverseError) -> JSONDocument {
  try parse(Array(text.utf8), faultCode: faultCode)
}
