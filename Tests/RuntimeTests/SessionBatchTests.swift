// SessionBatchTests.swift -- sessions evaluated together have the bits of sessions evaluated alone, and lose nothing when
// something goes wrong.

import Glibc
import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

/// Evaluates together; tokens stay in place for the length of the call.
private func evaluate(
  _ parts: [(session: Session, tokens: [Int32])], cancellation: Cancellation? = nil
) throws {
  let all = parts.flatMap(\.tokens)
  try all.withUnsafeBufferPointer { all in
    var start = 0
    let parts = parts.map { part in
      defer { start += part.tokens.count }
      return (session: part.session, tokens: UnsafeBufferPointer(rebasing: all[start..<start + part.tokens.count]))
    }
    try Session.evaluate(parts, cancellation: cancellation)
  }
}

/// A host's memory that sets a flag when the last of some blocks is asked for.
private final class CancellingHost {
  let cancellation = Cancellation()
  var blockBytes = -1
  var remainingBlocks = 0

  var functions: MemoryAllocator.Functions {
    MemoryAllocator.Functions(
      allocate: { user, size, alignment in
        guard let user else { return nil }
        let host = Unmanaged<CancellingHost>.fromOpaque(user).takeUnretainedValue()
        if size == host.blockBytes {
          host.remainingBlocks -= 1
          if host.remainingBlocks == 0 { host.cancellation.trigger() }
        }
        return aligned_alloc(alignment, (size + 63) / 64 * 64)
      },
      deallocate: { _, pointer, _ in free(pointer) }, user: Unmanaged.passUnretained(self).toOpaque())
  }
}

@Suite("Session batches")
struct SessionBatchTests {
  @Test("any mix of lengths gives the bits of sessions alone", arguments: KVElement.allCases)
  func sameBits(element: KVElement) throws {
    let host = try loadTiny { $0.maximumPositions = 2048 }
    let counts = [1, 700, 0, 3, 513, 1]
    let old = [20, 0, 5, 600, 64, 63]
    var (together, alone): ([Session], [Session]) = ([], [])
    for index in counts.indices {
      for isTogether in [true, false] {
        let session = try Session(host, cacheElement: element)
        try session.evaluate(randomTokens(old[index], seed: UInt64(index)))
        if isTogether { together.append(session) } else { alone.append(session) }
      }
    }
    for round in 0..<3 as Range<UInt64> {
      let new = counts.indices.map { randomTokens(round == 0 ? counts[$0] : 1, seed: 100 * round + UInt64($0)) }

      try evaluate(Array(zip(together, new)))

      for index in counts.indices {
        try alone[index].evaluate(new[index])
        #expect(together[index].heldTokens == alone[index].heldTokens)
        #expect(together[index].heldLogits == alone[index].heldLogits, "session \(index)")
      }
    }
  }

  @Test("nothing to evaluate changes nothing")
  func evaluatesNothing() throws {
    let session = try Session(try loadTiny())
    try evaluate([])
    try evaluate([(session, [])])
    #expect(session.length == 0 && session.logits == nil)
  }

  @Test("as many sessions as a pass has rows")
  func takesMany() throws {
    let host = try loadTiny()
    let sessions = try (0..<Session.sessionsPerBatch).map { _ in try Session(host) }
    let tokens = sessions.indices.map { Int32(10 + $0 % 80) }

    try evaluate(zip(sessions, tokens).map { ($0, [$1, 9]) })

    let oracle = try Oracle(host)
    for (session, token) in zip(sessions, tokens) {
      let isSame = try session.heldLogits == oracle.logits(after: [token, 9])
      #expect(isSame)
    }
  }

  @Test("a session that shifts does as it would alone")
  func shifts() throws {
    let host = try loadTiny()
    let sessions = try (0..<2).map { _ in try Session(host, context: 15, overflow: .shift) }
    let other = try Session(host)
    for round in 0..<8 as Range<UInt64> {
      let tokens = randomTokens(4, seed: round)
      try evaluate([(sessions[0], tokens), (other, tokens)])
      try sessions[1].evaluate(tokens)
      #expect(sessions[0].heldTokens == sessions[1].heldTokens)
      #expect(sessions[0].heldLogits == sessions[1].heldLogits)
    }
    #expect(other.length == 32)
  }

  @Test("uses what other sessions computed")
  func usesPrefixes() throws {
    let host = try loadTiny { $0.maximumPositions = 1024 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let tokens = randomTokens(200, seed: 1)
    let sessions = try (0..<3).map { _ in try Session(host.loaded, host.runtime, prefixes: prefixes) }
    try sessions[0].evaluate(tokens)

    try evaluate([(sessions[1], tokens), (sessions[2], Array(tokens.prefix(130)))])

    #expect(sessions[1].adoptedTokens == 192 && sessions[2].adoptedTokens == 129)
    #expect(sessions[1].heldLogits == sessions[0].heldLogits)
    #expect(sessions[1].statistics.cachedTokens == 192)
    try prefixes.checkInvariants()
  }

  @Test("what one session refuses leaves all as before")
  func refuses() throws {
    let host = try loadTiny()
    let (first, second) = (try Session(host), try Session(host, context: 10))
    try first.evaluate([10, 11])
    try second.evaluate([12])
    let logits = (first.heldLogits, second.heldLogits)
    let other = try Session(try loadTiny())
    let halves = try Session(host, cacheElement: .float16)
    let cases: [([(session: Session, tokens: [Int32])], XverseError.Code)] = [
      ([(first, [7]), (second, [-1])], .range),
      ([(first, [7]), (second, [Int32](repeating: 9, count: 10))], .contextFull),
      ([(first, [7]), (second, [7]), (other, [7])], .mismatch), ([(first, [7]), (halves, [7])], .mismatch),
    ]
    for (parts, code) in cases {
      let error = #expect(throws: XverseError.self) { try evaluate(parts) }
      #expect(error?.code == code)
      #expect(first.heldTokens == [10, 11] && second.heldTokens == [12])
      #expect(first.heldLogits == logits.0 && second.heldLogits == logits.1)
    }
  }

  @Test("a flag that comes up in the second pass leaves what the first evaluated")
  func cancelsBetween() throws {
    let trigger = CancellingHost()
    try withExtendedLifetime(trigger) {
      let allocator = MemoryAllocator(functions: trigger.functions)
      let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 2048 }
      let sessions = try (0..<2).map { _ in try Session(host) }
      for session in sessions { try session.evaluate([10, 11]) }
      let logits = sessions[1].heldLogits
      let tokens = randomTokens(1300, seed: 3)
      // The first pass takes blocks for 514 positions; the second pass asks for more.
      trigger.blockBytes = KVLayout(host.configuration, .float32).bytesPerBlock
      trigger.remainingBlocks = 9

      let error = #expect(throws: XverseError.self) {
        try evaluate([(sessions[0], tokens), (sessions[1], [7])], cancellation: trigger.cancellation)
      }

      #expect(error?.code == .cancelled)
      #expect(sessions[0].heldTokens == [10, 11] + tokens.prefix(512))
      #expect(sessions[0].logits == nil)
      #expect(sessions[1].heldTokens == [10, 11])
      #expect(sessions[1].heldLogits == logits)
    }
  }

  @Test("a flag that is up before the first pass changes nothing")
  func cancels() throws {
    let host = try loadTiny { $0.maximumPositions = 2048 }
    let sessions = try (0..<2).map { _ in try Session(host) }
    for session in sessions { try session.evaluate([10, 11]) }
    let logits = sessions[0].heldLogits
    let cancellation = Cancellation()
    cancellation.trigger()

    let error = #expect(throws: XverseError.self) {
      try evaluate([(sessions[0], randomTokens(700, seed: 1)), (sessions[1], [7])], cancellation: cancellation)
    }

    #expect(error?.code == .cancelled)
    for session in sessions {
      #expect(session.heldTokens == [10, 11])
      #expect(session.heldLogits == logits)
    }
  }

  @Test("the N-th allocation that fails leaves all sessions as before", arguments: 0..<12)
  func reportsShortage(failing: Int) throws {
    let counting = CountingHost()
    let tokens = [randomTokens(600, seed: 1), randomTokens(90, seed: 2), [9]]
    try withExtendedLifetime(counting) {
      let functions = MemoryAllocator.Functions(
        allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: counting.user)
      let allocator = MemoryAllocator(functions: functions)
      let host = try loadTiny(runtime: Runtime(threadCount: 1, allocator: allocator)) { $0.maximumPositions = 2048 }
      let sessions = try (0..<3).map { _ in try Session(host) }
      for (index, session) in sessions.enumerated() { try session.evaluate([10, Int32(11 + index)]) }
      let logits = sessions.map(\.heldLogits)
      counting.fail(request: counting.requestCount + failing)

      let error = #expect(throws: XverseError.self) { try evaluate(Array(zip(sessions, tokens))) }

      #expect(error?.code == .outOfMemory)
      #expect(sessions.map(\.heldLogits) == logits)
      #expect(sessions.map(\.heldTokens) == [[10, 11], [10, 12], [10, 13]])
      try evaluate(Array(zip(sessions, tokens)))
      for (index, session) in sessions.enumerated() {
        let alone = try Session(host)
        try alone.evaluate([10, Int32(11 + index)] + tokens[index])
        #expect(session.heldLogits == alone.heldLogits)
      }
    }
  }
}
