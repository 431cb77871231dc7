// WeightStorage.swift -- memory for weights that stand in no file: quantized ones.

import XverseCore

/// What holds weights; they live as long as it.
package protocol WeightMemory: AnyObject, Sendable {
  /// Tells that bytes, which may stand elsewhere, will not be read again soon.
  func discardPages(of bytes: UnsafeRawBufferPointer)
}

/// A block of memory for weights.
///
/// Threads: filled by one, then read by any number.
package final class WeightStorage: WeightMemory, @unchecked Sendable {
  package let bytes: UnsafeMutableRawBufferPointer
  package var start: UnsafeMutableRawPointer { bytes.baseAddress.unsafelyUnwrapped }
  private let allocator: MemoryAllocator

  package init(byteCount: Int, allocator: MemoryAllocator) throws(XverseError) {
    bytes = UnsafeMutableRawBufferPointer(start: try allocator.allocate(byteCount), count: byteCount)
    self.allocator = allocator
  }

  /// Nothing: what stands here stands nowhere else.
  package func discardPages(of bytes: UnsafeRawBufferPointer) {}

  deinit { allocator.deallocate(bytes.baseAddress.unsafelyUnwrapped, bytes: bytes.count) }
}
