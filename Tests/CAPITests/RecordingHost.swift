// RecordingHost.swift -- a host program's allocator that remembers every block, so that one given back twice or with
// another size is noticed, and that fails when it is told to.

import CXverse
import Foundation

/// A value behind a lock of pthreads, which ThreadSanitizer knows; it does not know `Synchronization.Mutex`.
final class Guarded<Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var value: Value

  init(_ value: Value) { self.value = value }

  func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
    lock.lock()
    defer { lock.unlock() }
    return try body(&value)
  }
}

/// Functions for an `xverse_allocator`. They must outlive everything made from it.
///
/// Threads: any.
final class RecordingHost: Sendable {
  private struct State {
    var sizes: [UInt: Int] = [:]
    var requests = 0
    var faults: [String] = []
    var failing: Range<Int> = 0..<0
    var sweep: Range<Int> = 0..<0
    var failures = 0
  }

  private let state = Guarded(State())

  /// Calls for memory so far, the failed ones among them.
  var requests: Int { state.withLock { $0.requests } }
  /// The failed ones.
  var failures: Int { state.withLock { $0.failures } }
  var blocks: Int { state.withLock { $0.sizes.count } }
  var bytes: Int { state.withLock { $0.sizes.values.reduce(0, +) } }
  /// What the library did wrong, in words.
  var faults: [String] { state.withLock { $0.faults } }

  /// Fails the requests with these numbers, counted from the next one.
  func fail(_ numbers: Range<Int>) {
    state.withLock { $0.failing = $0.requests + numbers.lowerBound..<$0.requests + numbers.upperBound }
  }

  /// Fails request `number`, counted from the next one, or all from that one on.
  func failNext(_ number: Int, forGood: Bool = false) {
    state.withLock { $0.sweep = number..<(forGood ? 1 << 40 : number + 1) }
    failAgain()
  }

  /// Fails the requests of the last `failNext`, counted from the next one.
  func failAgain() { fail(state.withLock { $0.sweep }) }

  func recover() { state.withLock { $0.failing = 0..<0 } }

  var allocator: xverse_allocator {
    xverse_allocator(
      size: UInt32(MemoryLayout<xverse_allocator>.size), reserved: 0,
      alloc: { user, size, alignment in RecordingHost.from(user)?.allocate(size, alignment) },
      dealloc: { user, block, size in RecordingHost.from(user)?.deallocate(block, size) },
      user: Unmanaged.passUnretained(self).toOpaque())
  }

  private static func from(_ user: UnsafeMutableRawPointer?) -> RecordingHost? {
    user.map { Unmanaged.fromOpaque($0).takeUnretainedValue() }
  }

  private func allocate(_ size: Int, _ alignment: Int) -> UnsafeMutableRawPointer? {
    state.withLock { state in
      defer { state.requests += 1 }
      guard !state.failing.contains(state.requests) else {
        state.failures += 1
        return nil
      }
      guard size > 0, alignment > 0, alignment & (alignment - 1) == 0 else {
        state.faults.append("\(size) bytes aligned to \(alignment) were asked for")
        return nil
      }
      var block: UnsafeMutableRawPointer?
      guard posix_memalign(&block, alignment, size) == 0, let block else { return nil }
      state.sizes[UInt(bitPattern: block)] = size
      return block
    }
  }

  private func deallocate(_ block: UnsafeMutableRawPointer?, _ size: Int) {
    state.withLock { state in
      let found = state.sizes.removeValue(forKey: UInt(bitPattern: block))
      guard found == size else {
        state.faults.append("a block of \(found.map(String.init) ?? "unknown") bytes was given back as \(size)")
        return
      }
      free(block)
    }
  }
}
