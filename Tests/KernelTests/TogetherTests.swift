// TogetherTests.swift -- threads that share the work of many kernels in one region.

import CXverseKernels
import Glibc
import Testing

/// Adds up a vector again and again, which is nothing but sharing.
private final class Additions {
  /// More than a thread adds alone.
  static let count = 1 << 17
  let compute: xvk_compute
  let rounds: Int
  /// Microseconds between two rounds.
  let pause: UInt32
  var sums = [Float](repeating: 0, count: count)
  let ones = [Float](repeating: 1, count: count)

  init(threads: Int32, threading: Int = XVK_PTHREAD, rounds: Int, pause: UInt32 = 0) throws {
    compute = try KernelSet.reference.compute(threads: threads, threading: threading)
    self.rounds = rounds
    self.pause = pause
  }

  func run() {
    withUnsafePointer(to: compute) { compute in
      for _ in 0..<rounds {
        if pause > 0 { usleep(pause) }
        xvk_add(compute, &sums, ones, Int64(Self.count))
      }
    }
  }

  func runTogether(nested: Bool = false) {
    withUnsafePointer(to: compute) { compute in
      let body: @convention(c) (UnsafeMutableRawPointer?) -> Void =
        nested
        ? { $0.map { Unmanaged<Additions>.fromOpaque($0).takeUnretainedValue().runTogether() } }
        : { $0.map { Unmanaged<Additions>.fromOpaque($0).takeUnretainedValue().run() } }
      #expect(xvk_together(compute, body, Unmanaged.passUnretained(self).toOpaque()) == 0)
    }
  }
}

@Suite("threads together")
struct TogetherTests {
  @Test("do every part of every task once", arguments: [1, 2, 3, 16] as [Int32], [XVK_PTHREAD, XVK_OPENMP])
  func shareTasks(threads: Int32, threading: Int) throws {
    let additions = try Additions(threads: threads, threading: threading, rounds: 300)
    additions.runTogether()
    #expect(additions.sums.allSatisfy { $0 == 300 })
  }

  @Test("wake up for a task that comes after they fell asleep", arguments: [XVK_PTHREAD, XVK_OPENMP])
  func wakeUp(threading: Int) throws {
    let additions = try Additions(threads: 3, threading: threading, rounds: 20, pause: 3000)
    additions.runTogether()
    #expect(additions.sums.allSatisfy { $0 == 20 })
  }

  @Test("stay together in a call within the call", arguments: [XVK_PTHREAD, XVK_OPENMP])
  func nest(threading: Int) throws {
    let additions = try Additions(threads: 3, threading: threading, rounds: 50)
    additions.runTogether(nested: true)
    #expect(additions.sums.allSatisfy { $0 == 50 })
    additions.run()
    #expect(additions.sums.allSatisfy { $0 == 100 })
  }

  @Test("of two callers do not meet")
  func separate() throws {
    let all = try (0..<3).map { _ in try Additions(threads: 2, rounds: 100) }
    var callers: [pthread_t] = []
    for additions in all {
      var caller = pthread_t()
      pthread_create(
        &caller, nil,
        { argument in
          argument.map { Unmanaged<Additions>.fromOpaque($0).takeUnretainedValue().runTogether() }
          return nil
        }, Unmanaged.passUnretained(additions).toOpaque())
      callers.append(caller)
    }
    for caller in callers { pthread_join(caller, nil) }
    for additions in all { #expect(additions.sums.allSatisfy { $0 == 100 }) }
  }
}
