// Runtime.swift -- what the sessions of a process share: the compute thread, its work memory, the allocator, the log.

import Synchronization
import XverseCore
import XverseModels
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
  ///   - threadCount: nil for what `ProcessorLimits` says.
  ///   - threading: nil for OpenMP where nothing speaks against it.
  ///   - instructionSet: nil for the fastest of this CPU.
  package init(
    threadCount: Int? = nil, threading: Kernels.Threading? = nil, instructionSet: Kernels.InstructionSet? = nil,
    allocator: MemoryAllocator = MemoryAllocator(), log: Log = Log()
  ) throws(XverseError) {
    let limits = ProcessorLimits.current
    let count = threadCount ?? limits.threadCount
    let team =
      threading.map { (threading: $0, reason: "as asked for") } ?? Kernels.Threading.suitable(threadCount: count)
    kernels = try Kernels(instructionSet: instructionSet, threadCount: count, threading: team.threading)
    self.allocator = allocator
    self.log = log
    kvBlocks = KVBlockPool(allocator: allocator)
    arena = ScratchArena(allocator: allocator)
    let isPinned = limits.processors != ProcessorSet(ofThread: 0)
    computeThread = try ComputeThread(kernels, on: isPinned ? limits.processors : nil)
    log(
      .info,
      "\(count) compute thread\(count == 1 ? "" : "s") (\(threadCount == nil ? limits.reason : "as asked for")), "
        + "by \(kernels.threading.name) (\(team.reason))")
    if isPinned {
      log(.info, "the calling thread is bound to some of these CPUs; the compute threads are not")
    }
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

  /// Takes the work memory of a model's passes now, so that none fails for want of it.
  ///
  /// - Throws: `outOfMemory`.
  func reserveScratch(
    _ configuration: ModelConfiguration, tokens: Int, positions: Int, outputs: Int
  ) throws(XverseError) {
    var outcome = Result<Void, XverseError>.success(())
    onComputeThread {
      do throws(XverseError) {
        arena.reset()
        try XverseModel.reserveScratch(
          in: arena, for: configuration, tokens: tokens, positions: positions, outputs: outputs, kernels: kernels)
      } catch { outcome = .failure(error) }
      noteArenaSize()
    }
    try outcome.get()
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
