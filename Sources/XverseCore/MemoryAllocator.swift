// MemoryAllocator.swift -- where every buffer whose size comes from a file or an argument gets its memory: it can say
// no without ending the process, counts what it gave out, and can be replaced by the host's own functions.

import Glibc
import Synchronization

/// Holds memory that it can do without.
package protocol MemoryReserve: AnyObject, Sendable {
  /// Gives back some memory of `allocator`, which has none left; must not allocate from it.
  ///
  /// - Returns: Whether it gave back any.
  func relieve(_ allocator: MemoryAllocator) -> Bool
}

/// Hands out memory, counts it, and refuses what passes a limit once its reserves are empty.
///
/// Threads: any thread may call any member at any time.
package final class MemoryAllocator: Sendable {
  /// The host's functions, as in `xverse_allocator`. They must be callable from any thread.
  package struct Functions: @unchecked Sendable {
    package typealias Allocate =
      @convention(c) (_ user: UnsafeMutableRawPointer?, _ size: Int, _ alignment: Int) -> UnsafeMutableRawPointer?
    package typealias Deallocate =
      @convention(c) (_ user: UnsafeMutableRawPointer?, _ pointer: UnsafeMutableRawPointer?, _ size: Int) -> Void
    let allocate: Allocate
    let deallocate: Deallocate
    let user: UnsafeMutableRawPointer?

    package init(
      allocate: @escaping Allocate, deallocate: @escaping Deallocate, user: UnsafeMutableRawPointer?
    ) {
      self.allocate = allocate
      self.deallocate = deallocate
      self.user = user
    }
  }

  /// The C library's allocator without a limit.
  package static let system = MemoryAllocator()

  /// Every block starts on a cache line, which is also the width of the widest vector register.
  package static let alignment = 64

  /// Weights and caches of many MB are read end to end: in pages of this size that is up to a tenth faster.
  private static let hugePage = 2 << 20

  private let functions: Functions?
  private let limit: Int
  private let currentBytes = Atomic<Int>(0)
  private let peakBytes = Atomic<Int>(0)
  private let reserves = Guarded<[WeakReserve]>([])

  /// - Parameters:
  ///   - functions: The host's functions; nil for the C library's.
  ///   - limit: Most bytes held at a time; 0 for no limit.
  package init(functions: Functions? = nil, limit: Int = 0) {
    self.functions = functions
    self.limit = limit > 0 ? limit : .max
  }

  /// Bytes held now, and the most that were ever held.
  package var current: Int { currentBytes.load(ordering: .relaxed) }
  package var peak: Int { peakBytes.load(ordering: .relaxed) }

  /// Returns `bytes` of uninitialized memory aligned to `alignment`; release it with `deallocate` and the same size.
  ///
  /// - Throws: `outOfMemory`, after which nothing is held for this call.
  package func allocate(_ bytes: Int) throws(XverseError) -> UnsafeMutableRawPointer {
    precondition(bytes >= 0, "negative allocation of \(bytes) bytes")
    while true {
      do throws(XverseError) { return try allocateOnce(bytes) } catch {
        // Nothing makes room for more than the limit.
        guard bytes <= limit, relieve() else { throw error }
      }
    }
  }

  /// Asks `reserve` for memory before an allocation fails, as long as it lives.
  package func add(_ reserve: any MemoryReserve) {
    reserves.withLock { reserves in
      reserves.removeAll { $0.object == nil }
      reserves.append(WeakReserve(object: reserve))
    }
  }

  private func relieve() -> Bool {
    let present = reserves.withLock { $0.compactMap(\.object) }
    return present.contains { $0.relieve(self) }
  }

  private func allocateOnce(_ bytes: Int) throws(XverseError) -> UnsafeMutableRawPointer {
    let held = try reserve(bytes)
    guard let pointer = obtain(max(bytes, 1)) else {
      currentBytes.subtract(bytes, ordering: .relaxed)
      throw .outOfMemory(bytes: bytes)
    }
    var seen = peakBytes.load(ordering: .relaxed)
    while held > seen {
      let attempt = peakBytes.weakCompareExchange(expected: seen, desired: held, ordering: .relaxed)
      if attempt.exchanged { break }
      seen = attempt.original
    }
    return pointer
  }

  /// Counts `bytes` as held when the limit allows; returns what is then held.
  private func reserve(_ bytes: Int) throws(XverseError) -> Int {
    var current = currentBytes.load(ordering: .relaxed)
    while true {
      let (sum, overflow) = current.addingReportingOverflow(bytes)
      guard !overflow else { throw .outOfMemory(bytes: bytes) }
      guard sum <= limit else {
        throw XverseError(
          .outOfMemory, "cannot allocate \(bytes) bytes: \(current) of memory_limit \(limit) are in use")
      }
      let attempt = currentBytes.weakCompareExchange(expected: current, desired: sum, ordering: .relaxed)
      if attempt.exchanged { return sum }
      current = attempt.original
    }
  }

  package func deallocate(_ pointer: UnsafeMutableRawPointer, bytes: Int) {
    currentBytes.subtract(bytes, ordering: .relaxed)
    if let functions {
      functions.deallocate(functions.user, pointer, max(bytes, 1))
    } else {
      free(pointer)
    }
  }

  private func obtain(_ bytes: Int) -> UnsafeMutableRawPointer? {
    if let functions { return functions.allocate(functions.user, bytes, Self.alignment) }
    let isLarge = bytes >= 2 * Self.hugePage
    var pointer: UnsafeMutableRawPointer?
    guard posix_memalign(&pointer, isLarge ? Self.hugePage : Self.alignment, bytes) == 0 else { return nil }
    // Advice only. The page after the last whole huge page is left out, as it would cost memory that nobody asked for.
    if isLarge, let pointer { madvise(pointer, bytes / Self.hugePage * Self.hugePage, MADV_HUGEPAGE) }
    return pointer
  }
}

private struct WeakReserve: Sendable {
  weak var object: (any MemoryReserve)?
}
