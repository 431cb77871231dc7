// Runtime.swift -- what the sessions of a process share: the compute thread, its work memory, the allocator, the log.

import Synchronization
import XverseCore
import XverseTensors

/// One compute thread with its kernels and memory.
///
/// Threads: any thread may use it at any time.
package final class Runtime: @unchecked Sendable {
  package let allocator: MemoryAllocator
  package let kernels: Kernels
  package let log: Log
  /// Where the KV caches of sessions take their blocks.
  package let kvBlocks: KVBlockPool
  let computeThread: ComputeThread
  /// Used on the compute thread only.
  let arena: ScratchArena
  private let arenaBytes = Atomic<Int>(0)

  /// - Parameters:
  ///   - threadCount: nil for the CPUs that the process may use.
  ///   - instructionSet: nil for the fastest of this CPU.
  package init(
    threadCount: Int? = nil, instructionSet: Kernels.InstructionSet? = nil,
    allocator: MemoryAllocator = MemoryAllocator(), log: Log = Log()
  ) throws(XverseError) {
    kernels = try Kernels(
      instructionSet: instructionSet, threadCount: threadCount ?? Kernels.processorCount)
    self.allocator = allocator
    self.log = log
    kvBlocks = KVBlockPool(allocator: allocator)
    Kernels.prepareBLAS()
    arena = ScratchArena(allocator: allocator)
    computeThread = try ComputeThread(kernels)
  }

  /// Runs `body` on the compute thread, where kernels may use all threads, and returns when it is done.
  package func onComputeThread(_ body: () -> Void) {
    withoutActuallyEscaping(body) { computeThread.perform(ComputeClosure($0), with: ComputeTicket()) }
  }

  /// What loading, quantizing and writing a model need of this runtime.
  package func context(
    cancellation: Cancellation? = nil,
    report: @escaping ComputeContext.Report = { (_, _, _) throws(XverseError) in }
  ) -> ComputeContext {
    ComputeContext(
      kernels: kernels, allocator: allocator, log: log, executor: onComputeThread, cancellation: cancellation,
      report: report)
  }

  /// Bytes of work memory that evaluations share.
  package var scratchBytes: Int { arenaBytes.load(ordering: .relaxed) }

  /// Called on the compute thread after it used the arena.
  func noteArenaSize() { arenaBytes.store(arena.byteCount, ordering: .relaxed) }
}

/// A closure as work.
private final class ComputeClosure: ComputeWork {
  private let body: () -> Void

  init(_ body: @escaping () -> Void) { self.body = body }

  func run() { body() }
}
