// ComputeThreadTests.swift -- the one thread that computes: order, many callers, its end, its signals.

import Foundation
import Testing

import XverseTensors

@testable import XverseRuntime

/// Notes where and when it ran.
private final class Note: ComputeWork, @unchecked Sendable {
  private let body: () -> Void
  private(set) var thread: pthread_t?
  private(set) var runCount = 0

  init(_ body: @escaping () -> Void = {}) { self.body = body }

  func run() {
    thread = pthread_self()
    runCount += 1
    body()
  }
}

/// Changed on the compute thread only, which is what makes it safe.
private final class Unguarded: @unchecked Sendable {
  var values: [Int] = []
  var count = 0
}

/// Starts a thread and returns something to wait on for its end.
private func start(_ body: @escaping @Sendable () -> Void) -> DispatchSemaphore {
  let done = DispatchSemaphore(value: 0)
  Thread {
    body()
    done.signal()
  }.start()
  return done
}

@Suite("ComputeThread")
struct ComputeThreadTests {
  @Test("work is done when perform returns, on one thread that is not the caller's")
  func performs() throws {
    let compute = try ComputeThread(Kernels(threadCount: 2))
    let ticket = ComputeTicket()
    let first = Note()
    let second = Note()

    compute.perform(first, with: ticket)
    compute.perform(second, with: ticket)

    #expect(first.runCount == 1)
    #expect(second.runCount == 1)
    let (a, b) = (try #require(first.thread), try #require(second.thread))
    #expect(pthread_equal(a, b) != 0)
    #expect(pthread_equal(a, pthread_self()) == 0)
  }

  @Test("work is done in the order in which it comes")
  func keepsOrder() throws {
    let compute = try ComputeThread(Kernels(threadCount: 2))
    let order = Unguarded()
    let release = DispatchSemaphore(value: 0)
    let started = DispatchSemaphore(value: 0)
    var waits = [
      start {
        compute.perform(
          Note {
            started.signal()
            release.wait()
          }, with: ComputeTicket())
      }
    ]
    started.wait()

    for index in 0..<10 {
      waits.append(start { compute.perform(Note { order.values.append(index) }, with: ComputeTicket()) })
      // It stands in the queue before the next one comes.
      while compute.waitingCount <= index { usleep(500) }
    }
    release.signal()
    for wait in waits { wait.wait() }

    #expect(order.values == Array(0..<10))
  }

  @Test("many callers at a time lose nothing", arguments: [Kernels.Threading.pthread, .openmp])
  func servesManyCallers(threading: Kernels.Threading) throws {
    let compute = try ComputeThread(Kernels(threadCount: 2, threading: threading))
    let counter = Unguarded()
    let waits = (0..<24).map { _ in
      start {
        let ticket = ComputeTicket()
        for _ in 0..<200 { compute.perform(Note { counter.count += 1 }, with: ticket) }
      }
    }

    for wait in waits { wait.wait() }

    #expect(counter.count == 24 * 200)
  }

  @Test("a ticket says how long its work waited")
  func measuresWaiting() throws {
    let compute = try ComputeThread(Kernels(threadCount: 2))
    let started = DispatchSemaphore(value: 0)
    let blocker = start {
      compute.perform(
        Note {
          started.signal()
          usleep(50_000)
        }, with: ComputeTicket())
    }
    started.wait()
    let ticket = ComputeTicket()

    compute.perform(Note(), with: ticket)

    blocker.wait()
    // It came just after the other had begun its 50 ms.
    #expect(ticket.queueTime > 25_000_000)
    #expect(ticket.queueTime < 10_000_000_000)
  }

  @Test("the thread has ended when the object is gone")
  func joins() throws {
    var key = pthread_key_t()
    // What a thread sets for a key is destroyed as the last thing that it does; this one takes its time.
    pthread_key_create(&key) { value in
      usleep(50_000)
      if let value { Unmanaged<Unguarded>.fromOpaque(value).takeRetainedValue().count += 1 }
    }
    defer { pthread_key_delete(key) }
    let ended = Unguarded()
    let note = Note { pthread_setspecific(key, Unmanaged.passRetained(ended).toOpaque()) }

    for round in 1...3 {
      do {
        let compute = try ComputeThread(Kernels(threadCount: 2))
        compute.perform(note, with: ComputeTicket())
        #expect(ended.count == round - 1)
      }

      #expect(ended.count == round)
    }
  }

  @Test("computes in the default floating-point environment, and so do its helpers")
  func defaultFloats() throws {
    let rounding = fegetround()
    fesetround(FE_UPWARD)
    let compute = try ComputeThread(Kernels(threadCount: 2))
    let found = Unguarded()
    compute.perform(Note { found.values = [Int(fegetround())] }, with: ComputeTicket())
    #expect(fegetround() == FE_UPWARD)
    fesetround(rounding)
    #expect(found.values == [Int(rounding)])
  }

  @Test("runs on the CPUs that it is given")
  func boundToProcessors() throws {
    let all = try #require(ProcessorSet(ofThread: 0))
    let compute = try ComputeThread(Kernels(threadCount: 2), on: all)
    let found = Unguarded()
    compute.perform(
      Note { found.values = [ProcessorSet(ofThread: 0) == all ? 1 : 0] }, with: ComputeTicket())
    #expect(found.values == [1])
  }

  @Test("the host's signal handlers never run on it, and the creator's mask stays")
  func blocksSignals() throws {
    var before = sigset_t()
    pthread_sigmask(SIG_SETMASK, nil, &before)

    let compute = try ComputeThread(Kernels(threadCount: 2))
    let blocked = Unguarded()
    compute.perform(
      Note {
        var mask = sigset_t()
        pthread_sigmask(SIG_SETMASK, nil, &mask)
        blocked.values = [SIGINT, SIGTERM, SIGUSR1, SIGPROF, SIGCHLD, SIGALRM].map { Int(sigismember(&mask, $0)) }
      }, with: ComputeTicket())

    var after = sigset_t()
    pthread_sigmask(SIG_SETMASK, nil, &after)
    #expect(blocked.values == [1, 1, 1, 1, 1, 1])
    #expect((1...64).allSatisfy { sigismember(&before, $0) == sigismember(&after, $0) })
  }
}
