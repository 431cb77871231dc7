// XverseModelSchedulingTests.swift -- how the work is cut changes nothing: passes, threads, cancellation, memory.

import Foundation
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseModels

@Suite("XverseModel scheduling")
struct XverseModelSchedulingTests {
  @Test("short passes give the bits of one token at a time", arguments: [2, 3, 7, 15], availableSets)
  func passesGiveSameBits(chunk: Int, set: Kernels.InstructionSet) throws {
    let tiny = try TinyModel(tinyCheckpoint { $0.kvHeadCount = 2 })
    let tokens = randomTokens(150, seed: 1)
    let decoded = try TinySequence(tiny.model, set: set).evaluate(tokens, inChunksOf: 1)

    let prefilled = try TinySequence(tiny.model, set: set).evaluate(tokens, inChunksOf: chunk)

    let isSame = sameBits(prefilled, decoded)
    #expect(isSame)
  }

  @Test("long passes agree with one token at a time", arguments: [33, 64, 65, 150], availableSets)
  func passesAgree(chunk: Int, set: Kernels.InstructionSet) throws {
    let checkpoint = tinyCheckpoint { $0.kvHeadCount = 2 }
    let tiny = try TinyModel(checkpoint)
    let tokens = randomTokens(150, seed: 2)
    let decoded = try TinySequence(tiny.model, set: set).evaluate(tokens, inChunksOf: 1)
    // Both are within the tolerance of the exact logits.
    let tolerance = 2 * ReferenceLogits(ReferenceForward(checkpoint), tokens).tolerance

    let prefilled = try TinySequence(tiny.model, set: set).evaluate(tokens, inChunksOf: chunk)

    #expect(largestDifference(doubles(prefilled), doubles(decoded)) <= tolerance)
  }

  /// Large enough that every product and the attention are worth three threads.
  private static var largeCheckpoint: TinyCheckpoint {
    tinyCheckpoint {
      ($0.hiddenSize, $0.intermediateSize, $0.headCount, $0.kvHeadCount, $0.headSize) = (192, 272, 6, 3, 32)
      $0.dtype = .bfloat16
    }
  }

  @Test("any number of threads gives the same bits", arguments: availableSets)
  func threadsGiveSameBits(set: Kernels.InstructionSet) throws {
    let tiny = try TinyModel(Self.largeCheckpoint)
    let tokens = randomTokens(170, seed: 3)
    func logits(_ threadCount: Int) throws -> [[Float]] {
      let sequence = try TinySequence(tiny.model, set: set, threadCount: threadCount)
      return try sequence.evaluate(tokens.prefix(100)) + sequence.evaluate(tokens[100..<140])
        + sequence.evaluate(tokens[140...], inChunksOf: 7)
    }
    let alone = try logits(1)

    for threadCount in [2, 3] {
      let isSame = sameBits(try logits(threadCount), alone)
      #expect(isSame, "\(threadCount) threads")
    }
  }

  @Test("a flag that is up leaves the cache as long as it was, and nothing behind")
  func cancelsBefore() throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let tokens = randomTokens(30, seed: 4)
    let expected = try TinySequence(tiny.model).evaluate(tokens, inChunksOf: 10)
    let sequence = try TinySequence(tiny.model)
    let first = try sequence.evaluate(tokens.prefix(10))
    let cancellation = Cancellation()
    cancellation.trigger()

    let error = #expect(throws: XverseError.self) {
      try sequence.evaluate(tokens.suffix(20), cancellation: cancellation)
    }

    #expect(error?.code == .cancelled)
    #expect(sequence.cache.length == 10)
    let rest = try sequence.evaluate(tokens[10..<20]) + sequence.evaluate(tokens[20...])
    #expect(sameBits(first + rest, expected))
  }

  @Test("a flag that comes up in the middle leaves the cache as long as it was")
  func cancelsInTheMiddle() throws {
    let tiny = try TinyModel(Self.largeCheckpoint)
    let tokens = randomTokens(200, seed: 5)
    let undisturbed = try TinySequence(tiny.model)
    try undisturbed.product(tokens.prefix(70))
    let expected = try undisturbed.evaluate(tokens[70..<72], inChunksOf: 1)
    let sequence = try TinySequence(tiny.model)
    try sequence.product(tokens.prefix(70))
    var cancelled = 0

    // The delays spread over the pass, wherever it is then; a busy machine may start every thread of a round too late.
    for round in 0..<1000 where round < 40 || cancelled == 0 {
      let delay = UInt32(round % 40) * 100
      let cancellation = Cancellation()
      let thread = Thread {
        usleep(delay)
        cancellation.trigger()
      }
      thread.start()
      do {
        _ = try sequence.product(tokens[70...], cancellation: cancellation)
        sequence.cache.truncate(to: 70)
      } catch let error as XverseError {
        #expect(error.code == .cancelled)
        // The pass itself or, when only the head was left, the product after it ended.
        if sequence.cache.length == 200 { sequence.cache.truncate(to: 70) }
        cancelled += 1
      }
      #expect(sequence.cache.length == 70)
    }

    #expect(cancelled > 0)
    let isSame = sameBits(try sequence.evaluate(tokens[70..<72], inChunksOf: 1), expected)
    #expect(isSame)
  }

  @Test("decoding takes memory at the boundaries of blocks only", arguments: KVElement.allCases)
  func decodesWithoutMemory(element: KVElement) throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let host = CountingHost()
    let functions = MemoryAllocator.Functions(
      allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
    try withExtendedLifetime(host) {
      let sequence = try TinySequence(
        tiny.model, element: element, allocator: MemoryAllocator(functions: functions))
      let tokens = randomTokens(200, seed: 6)
      // Two passes: the second makes one block of what the first needed.
      try sequence.product(tokens.prefix(60))
      try sequence.product(tokens[60..<61])
      var growth: [Int: Int] = [:]

      for position in 61..<200 {
        let requests = host.requestCount
        try sequence.product(tokens[position..<position + 1])
        if host.requestCount > requests { growth[position] = host.requestCount - requests }
      }

      #expect(growth == [64: 1, 128: 1, 192: 1])
    }
  }

  @Test("without memory says so, and the cache is as before", arguments: 0..<12)
  func reportsShortage(failingRequest: Int) throws {
    let tiny = try TinyModel(tinyCheckpoint())
    let tokens = randomTokens(150, seed: 7)
    let expected = try TinySequence(tiny.model).evaluate(tokens)
    let host = CountingHost(failingRequest: 1 + failingRequest)
    let functions = MemoryAllocator.Functions(
      allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
    try withExtendedLifetime(host) {
      let sequence = try TinySequence(tiny.model, allocator: MemoryAllocator(functions: functions))

      let error = #expect(throws: XverseError.self) { try sequence.evaluate(tokens) }

      #expect(error?.code == .outOfMemory)
      // A shortage in the head's product comes after the pass.
      sequence.cache.truncate(to: 0)
      let isSame = sameBits(try sequence.evaluate(tokens), expected)
      #expect(isSame)
    }
    #expect(host.blockCount == 0)
    #expect(host.byteCount == 0)
  }
}
