// HostSource.swift -- xverse_source: the host's functions that hand out the files of a model.

import CXverse
import XverseCore
import XverseFormats

/// A source whose functions are all there; they count as callbacks.
struct HostSource {
  let files: HostFiles
  private let closing: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
  private let user: UnsafeMutableRawPointer?

  /// - Throws: `invalid` for NULL, another size, or a function that is missing.
  init(_ pointer: UnsafePointer<xverse_source>?, user: UnsafeMutableRawPointer?) throws(XverseError) {
    let source = try required(pointer, "source")
    let size = Int(source.pointee.size)
    guard size >= MemoryLayout<xverse_source>.size else {
      throw .invalid("source->size is \(size), expected sizeof(xverse_source) \(MemoryLayout<xverse_source>.size)")
    }
    guard let length = source.pointee.length, let readAt = source.pointee.read_at else {
      throw .invalid("source->length or source->read_at is NULL")
    }
    files = HostFiles(
      length: { name in insideCallback { length(user, name) } },
      readAt: { name, offset, buffer in
        insideCallback { readAt(user, name, offset, buffer.baseAddress, buffer.count) }
      })
    closing = source.pointee.close
    self.user = user
  }

  func close() { if let closing { insideCallback { closing(user) } } }
}
