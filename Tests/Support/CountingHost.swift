// CountingHost.swift -- a host program's allocator for tests: counts what is held and fails when it is told to.

import Glibc

/// Functions to hand to a `MemoryAllocator`, with the host as their `user`.
package final class CountingHost {
  package typealias Allocate =
    @convention(c) (UnsafeMutableRawPointer?, Int, Int) -> UnsafeMutableRawPointer?
  package typealias Deallocate = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, Int) -> Void

  /// Calls for memory so far, the failed ones among them.
  package private(set) var requestCount = 0
  package private(set) var blockCount = 0
  package private(set) var byteCount = 0
  private var failingRequest: Int?

  /// - Parameter failingRequest: Number, from 0, of the call that gets no memory; nil for none.
  package init(failingRequest: Int? = nil) { self.failingRequest = failingRequest }

  /// Lets the call of this number, from 0, get no memory.
  package func fail(request: Int) { failingRequest = request }

  /// Valid as long as the host.
  package var user: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  package static let allocate: Allocate = { user, size, alignment in
    guard let user else { return nil }
    let host = Unmanaged<CountingHost>.fromOpaque(user).takeUnretainedValue()
    defer { host.requestCount += 1 }
    guard host.requestCount != host.failingRequest, let block = aligned_alloc(alignment, (size + 63) / 64 * 64) else {
      return nil
    }
    host.blockCount += 1
    host.byteCount += size
    return block
  }

  package static let deallocate: Deallocate = { user, block, size in
    guard let user else { return }
    let host = Unmanaged<CountingHost>.fromOpaque(user).takeUnretainedValue()
    host.blockCount -= 1
    host.byteCount -= size
    free(block)
  }
}
