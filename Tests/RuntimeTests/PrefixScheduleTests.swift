// PrefixScheduleTests.swift -- random schedules of sequences that share a prefix cache: what each holds is always its own
// tokens, what is found is all that was left, and the tree never contradicts itself.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

private struct PrefixSchedule {
  let fixture: PrefixFixture
  /// Whether the cache has room for everything: then all that was ever left must be found.
  let keepsAll: Bool
  var random: SeededRandom
  var sequences: [(sequence: TokenSequence, tokens: [Int32])] = []
  var left: Set<[Int32]> = []

  init(seed: UInt64, limit: Int, memoryLimit: Int) {
    fixture = PrefixFixture(limit: limit, memoryLimit: memoryLimit)
    keepsAll = limit == .max && memoryLimit == 0
    random = SeededRandom(seed: seed)
  }

  /// Few different tokens in stretches, so that sequences often have a beginning in common and part anywhere.
  private mutating func someTokens() -> [Int32] {
    (0..<Int.random(in: 1...4, using: &random)).flatMap { _ in
      [Int32](repeating: Int32.random(in: 0...1, using: &random), count: Int.random(in: 1...50, using: &random))
    }
  }

  mutating func step() throws {
    let index = sequences.isEmpty ? nil : Int.random(in: 0..<sequences.count, using: &random)
    switch (Int.random(in: 0..<100, using: &random), index) {
    case (0..<25, _), (_, nil): try begin()
    case (25..<60, let index?): try grow(index)
    case (60..<70, let index?): truncate(index)
    case (70..<80, let index?): try fork(index)
    case (_, let index?): end(index)
    }
    if sequences.count > 12 { end(0) }
    try fixture.prefixes.checkInvariants()
  }

  /// The memory of some schedules ends now and then: the sequence must then be as before.
  private func attempt(_ index: Int, _ body: (TokenSequence) throws -> Void) throws -> Bool {
    do {
      try body(sequences[index].sequence)
      return true
    } catch let error as XverseError where error.code == .outOfMemory && !keepsAll {
      sequences[index].sequence.truncate(to: sequences[index].tokens.count)
      return false
    }
  }

  private mutating func begin() throws {
    guard let sequence = try? fixture.sequence() else { return #expect(!keepsAll) }
    sequences.append((sequence, []))
    try grow(sequences.count - 1)
  }

  private mutating func grow(_ index: Int) throws {
    let new = someTokens()
    let before = sequences[index].tokens
    guard before.count + new.count < 2000 else { return }
    let known = keepsAll ? longestLeft(before + new.dropLast()) : 0
    let isDone = try attempt(index) { sequence in
      let found = try sequence.adopt(new)
      #expect(sequence.length == before.count + found)
      if keepsAll { #expect(found == (new.count > 1 ? max(0, known - before.count) : 0)) }
      try sequence.grow(Array(new[found...]))
    }
    if isDone { sequences[index].tokens += new }
    leave(sequences[index].tokens.prefix(sequences[index].tokens.count / 64 * 64))
    try check(index)
  }

  private mutating func truncate(_ index: Int) {
    let count = Int.random(in: 0...sequences[index].tokens.count, using: &random)
    sequences[index].sequence.truncate(to: count)
    sequences[index].tokens.removeLast(sequences[index].tokens.count - count)
  }

  private mutating func fork(_ index: Int) throws {
    guard let copy = try? sequences[index].sequence.fork() else { return #expect(!keepsAll) }
    sequences.append((copy, sequences[index].tokens))
    try check(sequences.count - 1)
  }

  private mutating func end(_ index: Int) {
    leave(sequences[index].tokens[...])
    sequences.remove(at: index)
  }

  private mutating func leave(_ tokens: ArraySlice<Int32>) {
    if keepsAll, !tokens.isEmpty { left.insert(Array(tokens)) }
  }

  /// How much of `tokens` any sequence had that left its blocks.
  private func longestLeft(_ tokens: [Int32]) -> Int {
    left.reduce(0) { longest, other in max(longest, zip(other, tokens).prefix { $0 == $1 }.count) }
  }

  private func check(_ index: Int) throws {
    let (sequence, tokens) = sequences[index]
    #expect(sequence.contents == tokens)
    #expect(sequence.tokens.elementsEqual(tokens))
  }

  mutating func finish(limit: Int) throws {
    for index in sequences.indices { try check(index) }
    sequences.removeAll()
    try fixture.prefixes.checkInvariants()
    #expect(fixture.pool.blockCount == fixture.prefixes.statistics.blocks)
    #expect(fixture.pool.byteCount <= limit)
  }
}

@Suite("Prefix schedules")
struct PrefixScheduleTests {
  @Test(
    "thousands of steps keep every sequence's tokens, find all that is there, and leak no block",
    arguments: [1, 2, 3] as [UInt64], [(Int.max, 0), (40, 0), (40, 60), (0, 30)])
  func keepsTokens(seed: UInt64, room: (limit: Int, memory: Int)) throws {
    let limit = room.limit == .max ? .max : room.limit * PrefixFixture.blockBytes
    var schedule = PrefixSchedule(seed: seed, limit: limit, memoryLimit: room.memory * PrefixFixture.blockBytes)

    for _ in 0..<2000 { try schedule.step() }

    try schedule.finish(limit: limit)
  }
}
