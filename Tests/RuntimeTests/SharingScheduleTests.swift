// SharingScheduleTests.swift -- random schedules of sessions that fork, are saved, restored, evaluated together and share
// what they computed: each is at any time what a session of its own with the same tokens would be.

import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseTensors

@testable import XverseRuntime

private struct SharingSchedule {
  let host: TinyHost
  let prefixes: PrefixCache
  let directory: TemporaryDirectory
  let element: KVElement
  var random: SeededRandom
  var sessions: [(session: Session, tokens: [Int32])] = []
  /// The tokens in each file.
  var files: [[Int32]?] = [nil, nil]

  init(seed: UInt64, element: KVElement) throws {
    host = try loadTiny { ($0.seed, $0.maximumPositions) = (seed, 300) }
    prefixes = PrefixCache(
      limit: 12 * KVLayout(host.configuration, element).bytesPerBlock, allocator: host.runtime.allocator)
    directory = try TemporaryDirectory()
    self.element = element
    random = SeededRandom(seed: seed)
  }

  private func newSession(sharing: Bool) throws -> Session {
    try Session(host.loaded, host.runtime, cacheElement: element, prefixes: sharing ? prefixes : nil)
  }

  private func path(_ file: Int) -> String { "\(directory.path)/\(file).session" }

  /// Stretches of few different tokens, so that sequences often begin alike.
  private mutating func someTokens(atMost room: Int) -> [Int32] {
    let tokens = (0..<Int.random(in: 1...3, using: &random)).flatMap { _ in
      [Int32](repeating: Int32.random(in: 10...11, using: &random), count: Int.random(in: 1...40, using: &random))
    }
    return Array(tokens.prefix(room))
  }

  mutating func step() throws {
    if sessions.isEmpty { sessions.append((try newSession(sharing: true), [])) }
    let index = Int.random(in: 0..<sessions.count, using: &random)
    let file = Int.random(in: 0..<files.count, using: &random)
    let new = someTokens(atMost: 300 - sessions[index].tokens.count)
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<25:
      try sessions[index].session.evaluate(new)
      sessions[index].tokens += new
    case 25..<40: try evaluateTogether()
    case 40..<50:
      let count = Int.random(in: 0...sessions[index].tokens.count, using: &random)
      sessions[index].session.truncate(to: count)
      sessions[index].tokens.removeLast(sessions[index].tokens.count - count)
    case 50..<62: sessions.append((try sessions[index].session.fork(), sessions[index].tokens))
    case 62..<70:
      try sessions[index].session.save(to: path(file))
      files[file] = sessions[index].tokens
    case 70..<78:
      guard let tokens = files[file] else { break }
      try sessions[index].session.restore(from: path(file))
      sessions[index].tokens = tokens
    case 78..<85: sessions.append((try newSession(sharing: true), []))
    case 85..<90: try sessions[index].session.restoreLogits()
    default: sessions.remove(at: index)
    }
    if sessions.count > 5 { sessions.removeFirst() }
    try checkInvariants()
  }

  private mutating func evaluateTogether() throws {
    let parts = sessions.map { someTokens(atMost: min(20, 300 - $0.tokens.count)) }
    let all = parts.flatMap { $0 }
    try all.withUnsafeBufferPointer { all in
      var start = 0
      try Session.evaluate(
        zip(sessions, parts).map { session, part in
          defer { start += part.count }
          return (session.session, UnsafeBufferPointer(rebasing: all[start..<start + part.count]))
        })
    }
    for index in sessions.indices { sessions[index].tokens += parts[index] }
  }

  private func checkInvariants() throws {
    try prefixes.checkInvariants()
    for (session, tokens) in sessions { #expect(session.heldTokens == tokens) }
    guard let (session, tokens) = sessions.last, let logits = session.heldLogits else { return }
    let alone = try newSession(sharing: false)
    try alone.evaluate(tokens)
    #expect(logits == alone.heldLogits, "after \(tokens.count) tokens")
  }

  mutating func finish() throws {
    for (session, tokens) in sessions {
      guard let logits = session.heldLogits else { continue }
      let alone = try newSession(sharing: false)
      try alone.evaluate(tokens)
      #expect(logits == alone.heldLogits)
    }
    sessions.removeAll()
    try prefixes.checkInvariants()
    #expect(host.runtime.kvBlocks.blockCount == prefixes.statistics.blocks)
    #expect(prefixes.statistics.blocks <= 12)
  }
}

@Suite("Sharing schedules")
struct SharingScheduleTests {
  @Test(
    "any schedule leaves every session as one of its own would be", arguments: [1, 2] as [UInt64], KVElement.allCases)
  func keepsBits(seed: UInt64, element: KVElement) throws {
    var schedule = try SharingSchedule(seed: seed, element: element)

    for _ in 0..<400 { try schedule.step() }

    try schedule.finish()
  }
}
