// SpeculatorTests.swift -- what is guessed, and how much of it, with times that are given.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

@Suite("NGramIndex")
struct NGramIndexTests {
  @Test("finds the latest earlier occurrence, as a search does", arguments: [2, 3], [3, 6, 40] as [Int32])
  func agreesWithSearch(size: Int, vocabularySize: Int32) throws {
    var random = SeededRandom(seed: UInt64(size))
    var index = NGramIndex(size: size, allocator: .system)
    var text: [Int32] = []
    var latest: [ArraySlice<Int32>: Int] = [:]
    var (found, missed) = (0, 0)
    for _ in 0..<3000 {
      text.append(Int32.random(in: 0..<vocabularySize, using: &random))
      let place = try text.withUnsafeBufferPointer { (text) throws(XverseError) in try index.add(text) }
      let last = text.suffix(size)
      guard last.count == size else {
        #expect(place == nil)
        continue
      }
      if let place {
        #expect(place == latest[last])
        found += 1
      } else if latest[last] != nil {
        missed += 1
      }
      latest[last] = text.count
    }
    #expect(found > 50)
    // A place may be forgotten where many n-grams have neighbouring hashes.
    #expect(missed * 100 <= found)
  }

  @Test("takes memory in proportion to the text, and without memory stays as it was")
  func limitsMemory() throws {
    let allocator = MemoryAllocator(limit: 40_000)
    var index = NGramIndex(size: 2, allocator: allocator)
    let text = randomTokens(5000, seed: 3)
    var count = 0
    let error = #expect(throws: XverseError.self) {
      try text.withUnsafeBufferPointer { text in
        while count < text.count {
          _ = try index.add(UnsafeBufferPointer(rebasing: text[...count]))
          count += 1
        }
      }
    }
    #expect(error?.code == .outOfMemory)
    #expect(count > 1000)
    #expect(allocator.current <= 16 * count + 1024)
  }
}

/// A speculator that guesses all it may.
private func makeSpeculator(
  _ prompt: [Int32], lookup: Int = 4, record: SpeculationRecord = EagerRecord()
) -> Speculator? {
  var options = SpeculationOptions()
  options.promptLookupTokens = lookup
  return prompt.withUnsafeBufferPointer {
    Speculator(options, prompt: $0, hasDraft: false, record: record, allocator: .system)
  }
}

@Suite("Speculator")
struct SpeculatorTests {
  @Test(
    "guesses what followed the latest occurrence of the last three tokens, else of the last two",
    arguments: [
      ([1, 2, 3, 7, 8, 9, 1, 2, 3], [7, 8, 9, 1]),
      ([5, 2, 3, 7, 8, 1, 2, 3, 4, 9, 2, 3], [4, 9, 2, 3]),
      ([1, 2, 3, 4, 6, 2, 3, 5, 6, 1, 2, 3], [4, 6, 2, 3]),
      ([1, 2, 1, 2], [1, 2, 1, 2]),
      ([4, 4, 4], [4, 4, 4, 4]),
      ([1, 2, 3, 4], []), ([1], []),
    ] as [([Int32], [Int32])])
  func guesses(prompt: [Int32], expected: [Int32]) throws {
    let speculator = try #require(makeSpeculator(prompt))

    speculator.propose(atMost: 10)

    #expect(Array(speculator.guesses) == expected)
    #expect(Array(speculator.segment) == prompt.suffix(1) + expected)
  }

  @Test("behind a token that differs a long match goes on, a short one does not")
  func goesOnBehindEdit() throws {
    let long = try #require(makeSpeculator([1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 4, 9]))
    let short = try #require(makeSpeculator([1, 2, 3, 4, 5, 6, 7, 8, 0, 2, 3, 4, 9]))

    long.propose(atMost: 3)
    short.propose(atMost: 3)

    #expect(Array(long.guesses) == [6, 7, 8])
    #expect(short.guesses.isEmpty)
  }

  @Test("a match that goes on is kept before a later one that is shorter")
  func keepsLongMatch() throws {
    let speculator = try #require(makeSpeculator([1, 2, 3, 4, 5, 6, 0, 3, 4, 5, 9, 0, 1, 2, 3, 4, 5]))

    speculator.propose(atMost: 1)

    #expect(Array(speculator.guesses) == [6])
  }

  @Test("keeps the guesses that are right, and forgets the rest with the first wrong one")
  func accepts() throws {
    let speculator = try #require(makeSpeculator([1, 2, 3, 4, 5, 1, 2]))
    speculator.propose(atMost: 10)
    speculator.countGuesses()
    #expect(Array(speculator.guesses) == [3, 4, 5, 1])

    speculator.append(3)
    #expect(Array(speculator.segment) == [3, 4, 5, 1])
    speculator.append(4)
    speculator.append(9)

    #expect(Array(speculator.segment) == [9])
    #expect(speculator.guessedTokens == 4)
    #expect(speculator.acceptedTokens == 2)
  }

  @Test("guesses no more than there is room for, and nothing without room", arguments: -1...4)
  func keepsToRoom(room: Int) throws {
    let speculator = try #require(makeSpeculator([1, 2, 3, 4, 5, 1, 2]))

    speculator.propose(atMost: room)

    #expect(speculator.guesses.count == max(0, room))
  }

  @Test("there is none without anything to guess with, or without memory")
  func isAbsent() throws {
    #expect(makeSpeculator([1, 2, 1, 2], lookup: 0) == nil)
    var options = SpeculationOptions()
    options.promptLookupTokens = 4
    let allocator = MemoryAllocator(limit: 100)
    let prompt = randomTokens(100, seed: 1)
    let speculator = prompt.withUnsafeBufferPointer {
      Speculator(options, prompt: $0, hasDraft: false, record: EagerRecord(), allocator: allocator)
    }
    #expect(speculator == nil)
    #expect(allocator.current == 0)
  }
}

/// Time that passes as a model says.
private struct Simulation {
  let record = SpeculationRecord()
  /// Nanoseconds of a pass by rows.
  let passTime: (Int) -> Double
  private(set) var time = 0.0
  private(set) var tokens = 0
  private(set) var widest = 0

  init(_ passTime: @escaping (Int) -> Double) { self.passTime = passTime }

  /// Runs passes until there are so many tokens; guesses come after matches of `length`, and the first `right` of each pass
  /// are right.
  mutating func generate(_ count: Int, matchLength length: Int, right: Int) {
    let end = tokens + count
    while tokens < end {
      let guesses = record.guessCount(atMost: 20, besides: 0) { .match(length: length + $0) }
      let pass = passTime(1 + guesses)
      record.recordPass(nanoseconds: Int64(pass), rows: 1 + guesses, guesses: guesses)
      for guess in 0..<max(1, guesses) {
        record.recordGuess(.match(length: length + guess), isRight: guess < right)
        guard guess < min(guesses, right) else { break }
        record.recordSaving(besides: 0)
      }
      time += pass
      tokens += 1 + min(guesses, right)
      widest = max(widest, guesses)
    }
  }
}

@Suite("SpeculationRecord")
struct SpeculationRecordTests {
  @Test(
    "costs at most 3 % where no guess is right, whatever wider passes take",
    arguments: [0.01, 0.1, 0.3, 1], [2, 3, 8, 32])
  func boundsLoss(slope: Double, matchLength: Int) {
    for count in [100, 400, 3000] {
      var simulation = Simulation { 1e6 * (1 + slope * Double($0 - 1)) }
      simulation.generate(count, matchLength: matchLength, right: 0)
      #expect(simulation.time <= 1.03 * 1e6 * Double(count))
    }
  }

  @Test("guesses far where guesses are right and wider passes are cheap")
  func usesGuesses() {
    var simulation = Simulation { 1e6 * (1 + 0.1 * Double($0 - 1)) }
    simulation.generate(400, matchLength: 8, right: 20)
    #expect(simulation.widest == 20)
    #expect(simulation.time < 0.3 * 1e6 * 400)
  }

  @Test("guesses nothing for long where a row more costs a pass more")
  func avoidsDearPasses() {
    var simulation = Simulation { 1e6 * Double($0) }
    simulation.generate(1000, matchLength: 8, right: 20)
    #expect(simulation.time <= 1.03 * 1e6 * 1000)
  }

  @Test("learns again after a text whose guesses were all wrong")
  func recovers() {
    var simulation = Simulation { 1e6 * (1 + 0.1 * Double($0 - 1)) }
    simulation.generate(1000, matchLength: 8, right: 0)
    let before = simulation.time
    simulation.generate(400, matchLength: 8, right: 20)
    #expect(simulation.time - before < 0.5 * 1e6 * 400)
  }

  @Test("beside other sequences a guess must save its share of the pass")
  func countsOthers() {
    let record = SpeculationRecord()
    // A row takes 0.1 of the pass of 16 rows that it saves a sixteenth of.
    for rows in [1, 16, 17, 20] {
      for _ in 0..<10 {
        record.recordPass(nanoseconds: Int64(1_000_000 + 300_000 * (rows - 1)), rows: rows, guesses: 0)
      }
    }
    for _ in 0..<100 { record.recordGuess(.match(length: 3), isRight: true) }
    for _ in 0..<20 { record.recordSaving(besides: 0) }
    #expect(record.guessCount(atMost: 1, besides: 0) { _ in .match(length: 3) } == 1)
    for _ in 0..<100 { record.recordGuess(.match(length: 2), isRight: false) }
    #expect(record.guessCount(atMost: 1, besides: 15) { _ in .match(length: 2) } == 0)
  }
}

@Suite("PassTimes")
struct PassTimesTests {
  @Test("between measured widths it interpolates, beyond them it goes on")
  func estimates() {
    var times = PassTimes()
    #expect(times.estimate(rows: 3) == 0)
    times.record(rows: 1, nanoseconds: 100)
    #expect(times.estimate(rows: 1) == 100)
    #expect(times.estimate(rows: 3) > 100)
    times.record(rows: 5, nanoseconds: 140)
    #expect(times.estimate(rows: 3) == 120)
    #expect(times.estimate(rows: 7) == 160)
    #expect(times.estimate(rows: 1000) > 160)
  }

  @Test("one odd time counts little, a lasting change counts fully")
  func averages() {
    var times = PassTimes()
    for _ in 0..<20 { times.record(rows: 1, nanoseconds: 100) }
    times.record(rows: 1, nanoseconds: 1_000_000)
    #expect(times.estimate(rows: 1) < 115)
    for _ in 0..<100 { times.record(rows: 1, nanoseconds: 200) }
    #expect(abs(times.estimate(rows: 1) - 200) < 1)
  }

  @Test("a pass of one row takes no longer than a wider one, but one of some rows may")
  func boundsOneRow() {
    var times = PassTimes()
    times.record(rows: 1, nanoseconds: 300)
    times.record(rows: 3, nanoseconds: 250)
    times.record(rows: 4, nanoseconds: 200)
    #expect(times.estimate(rows: 1) == 200)
    #expect(times.estimate(rows: 3) == 250)
  }
}
