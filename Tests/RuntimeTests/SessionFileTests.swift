// SessionFileTests.swift -- saved sessions: what comes back goes on with the same bits, and what was damaged, cut or is of
// something else is refused and changes nothing.

import Foundation
import ModelTestSupport
import TestSupport
import Testing
import XverseCore
import XverseFormats
import XverseTensors

@testable import XverseRuntime

/// A file of a test's own.
private struct SavedFile {
  let directory: TemporaryDirectory
  let path: String

  init() throws {
    directory = try TemporaryDirectory()
    path = directory.path + "/a.session"
  }

  var bytes: [UInt8] { get throws { try [UInt8](Data(contentsOf: URL(fileURLWithPath: path))) } }
  func write(_ bytes: [UInt8]) throws { try directory.write("a.session", bytes) }
  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: directory.path) } }
}

extension Session {
  fileprivate func setNote(_ text: String) throws {
    var bytes = Buffer<UInt8>(allocator: runtime.allocator)
    try bytes.append(utf8: text)
    note = bytes
  }
}

/// A model as small as one can be, so that its files are short.
private func loadSmallest(_ change: (inout TinyCheckpoint) -> Void = { _ in }) throws -> TinyHost {
  try loadTiny {
    ($0.hiddenSize, $0.intermediateSize, $0.layerCount) = (4, 4, 1)
    ($0.headCount, $0.kvHeadCount, $0.headSize) = (2, 1, 2)
    change(&$0)
  }
}

private func expectRefusal(
  _ session: Session, _ path: String, _ code: XverseError.Code, saying words: [String] = [],
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let error = #expect(throws: XverseError.self, sourceLocation: sourceLocation) { try session.restore(from: path) }
  #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
  for word in words {
    #expect(error?.message.contains(word) == true, "\(String(describing: error))", sourceLocation: sourceLocation)
  }
}

@Suite("Session files")
struct SessionFileTests {
  @Test(
    "a restored session goes on with the bits of one that was never saved",
    arguments: KVElement.allCases, [TinyCheckpoint.DType.bfloat16, .float32])
  func goesOn(element: KVElement, dtype: TinyCheckpoint.DType) throws {
    let host = try loadTiny { ($0.maximumPositions, $0.dtype) = (1024, dtype) }
    let file = try SavedFile()
    let (prompt, more) = (randomTokens(150, seed: 1), randomTokens(20, seed: 2))
    var sampled = greedyOptions(40)
    sampled.sampling.doSample = true
    sampled.sampling.seed = 7
    let undisturbed = try Session(host, cacheElement: element)
    try undisturbed.evaluate(prompt)
    try undisturbed.save(to: file.path)

    let restored = try Session(host, cacheElement: element)
    try restored.evaluate(randomTokens(300, seed: 3))
    try restored.restore(from: file.path)

    #expect(restored.heldTokens == prompt)
    #expect(restored.heldLogits == undisturbed.heldLogits)
    var tokens = prompt
    for options in [greedyOptions(40), sampled] {
      let results = try [undisturbed, restored].map { try $0.generated(tokens, options) }
      #expect(results[0] == results[1])
      #expect(restored.heldLogits == undisturbed.heldLogits)
      tokens += results[0] + more
    }
  }

  @Test("any length comes back, without logits where there are none", arguments: [0, 1, 63, 64, 65, 200])
  func restoresAnyLength(count: Int) throws {
    let host = try loadTiny()
    let file = try SavedFile()
    let tokens = randomTokens(count, seed: 4)
    let session = try Session(host)
    try session.evaluate(tokens)
    try session.save(to: file.path)
    let other = try Session(host)
    try other.restore(from: file.path)
    #expect(other.heldTokens == tokens && other.heldLogits == session.heldLogits)

    session.truncate(to: count / 2)
    try session.save(to: file.path)
    try other.restore(from: file.path)

    #expect(other.heldTokens == Array(tokens.prefix(count / 2)))
    #expect((other.logits == nil) == (count > 0 || session.logits == nil))
    try other.evaluate([9])
    try session.evaluate([9])
    #expect(other.heldLogits == session.heldLogits)
    #expect(try file.names == ["a.session"])
  }

  @Test("a note goes with the session, its forks and its file")
  func keepsNote() throws {
    let host = try loadTiny()
    let file = try SavedFile()
    let session = try Session(host)
    try session.evaluate([10])
    try session.setNote("some\u{0}thing")
    try session.fork().save(to: file.path)
    let other = try Session(host)
    try other.setNote("else")

    try other.restore(from: file.path)

    #expect(other.note.text == "some\u{0}thing")
  }

  @Test("the same session has the same file, whatever its blocks held before", arguments: KVElement.allCases)
  func isDeterministic(element: KVElement) throws {
    let host = try loadTiny()
    let (one, two) = (try SavedFile(), try SavedFile())
    let tokens = randomTokens(70, seed: 5)
    let clean = try Session(host, cacheElement: element)
    try clean.evaluate(tokens)
    let used = try Session(host, cacheElement: element)
    try used.evaluate(randomTokens(120, seed: 6))
    used.truncate(to: 0)
    try used.evaluate(tokens)

    try clean.save(to: one.path)
    try used.save(to: two.path)

    #expect(try one.bytes == two.bytes)
    // Saving took nothing away.
    try used.evaluate([9])
    try clean.evaluate([9])
    #expect(used.heldLogits == clean.heldLogits)
  }

  @Test("any flipped bit is found")
  func findsFlippedBits() throws {
    let host = try loadSmallest()
    let file = try SavedFile()
    let session = try Session(host)
    try session.evaluate([10, 11, 12])
    try session.setNote("note")
    try session.save(to: file.path)
    let other = try Session(host)
    try other.evaluate([20, 21])
    let (tokens, logits) = (other.heldTokens, other.heldLogits)
    let bytes = try file.bytes
    #expect(bytes.count < 4096)
    for offset in bytes.indices {
      var damaged = bytes
      damaged[offset] ^= 1 << UInt8(offset % 8)
      try file.write(damaged)
      expectRefusal(other, file.path, .corrupt)
    }
    #expect(other.heldTokens == tokens && other.heldLogits == logits)
    try file.write(bytes)
    try other.restore(from: file.path)
    #expect(other.heldTokens == [10, 11, 12])
  }

  @Test("a file that is cut anywhere, or goes on, is refused")
  func findsCuts() throws {
    let host = try loadSmallest()
    let file = try SavedFile()
    let session = try Session(host)
    try session.evaluate([10, 11, 12])
    try session.save(to: file.path)
    let bytes = try file.bytes
    for length in Array(stride(from: 0, to: bytes.count, by: 37)) + [511, 512, 513, bytes.count - 1] {
      try file.write(Array(bytes.prefix(length)))
      expectRefusal(session, file.path, .corrupt)
    }
    try file.write(bytes + [0])
    expectRefusal(session, file.path, .corrupt, saying: ["\(bytes.count + 1)", "\(bytes.count)"])
    #expect(session.heldTokens == [10, 11, 12])
  }

  @Test("another model is a mismatch that names both; loaded again it is the same")
  func tellsModelsApart() throws {
    let file = try SavedFile()
    let session = try Session(try loadTiny())
    try session.evaluate([10, 11])
    try session.save(to: file.path)
    let others: [(inout TinyCheckpoint) -> Void] = [
      { $0.seed = 2 }, { $0.dtype = .bfloat16 }, { $0.layerCount = 1 },
      { $0.extraConfiguration = ["rope_theta": 5000] },
      { $0.extraConfiguration = ["rope_scaling": ["type": "linear", "factor": 2]] }, { $0.headCount = 2 },
    ]
    for change in others {
      let other = try loadTiny(change)
      let names = [session.host.loaded, other.loaded].map { model in
        String(repeating: "0", count: 16 - String(model.fingerprint, radix: 16).count)
          + String(model.fingerprint, radix: 16)
      }
      #expect(names[0] != names[1])
      expectRefusal(try Session(other), file.path, .mismatch, saying: names + [other.name, session.host.name])
    }
    let again = try Session(try loadTiny())
    try again.restore(from: file.path)
    #expect(again.heldLogits == session.heldLogits)
  }

  @Test("a weight anywhere in a small matrix changes the fingerprint")
  func fingerprintsWeights() throws {
    let fingerprints = try (1...20).map { seed in try loadSmallest { $0.seed = UInt64(seed) }.fingerprint }
    #expect(Set(fingerprints).count == 20)
    #expect(try loadSmallest { $0.seed = 1 }.fingerprint == fingerprints[0])
  }

  @Test("another kv_type and a smaller context are refused with the figures")
  func checksOptions() throws {
    let host = try loadTiny()
    let file = try SavedFile()
    let session = try Session(host)
    try session.evaluate(randomTokens(100, seed: 8))
    try session.save(to: file.path)

    expectRefusal(
      try Session(host, cacheElement: .int8), file.path, .mismatch, saying: ["kv_type f32", "int8"])
    expectRefusal(try Session(host, context: 99), file.path, .contextFull, saying: ["100", "99"])
    let fitting = try Session(host, context: 100)
    try fitting.restore(from: file.path)
    #expect(fitting.length == 100)
  }

  @Test("a file that its checksums call whole is still read with care")
  func readsHostileFiles() throws {
    let host = try loadSmallest()
    let file = try SavedFile()
    let session = try Session(host)
    try session.evaluate([10, 11, 12])
    try session.save(to: file.path)
    let bytes = try file.bytes
    // Word of the header, its value, what it is called.
    let cases: [(word: Int, value: UInt64, code: XverseError.Code, name: String)] = [
      (1, 2, .unsupported, "version 2"), (2, 0x0807_0605_0403_0201, .unsupported, "byte order"),
      (3, 1 << 40, .corrupt, "\(1 << 40)"), (4, 1, .mismatch, "is of the model"), (5, 3, .corrupt, "element"),
      (6, 0, .corrupt, "layers"), (6, .max, .corrupt, "layers"), (8, 1 << 30, .corrupt, "head size"),
      (9, 1 << 31, .corrupt, "vocabulary size"), (10, 1 << 62, .corrupt, "tokens"),
      (10, 1 << 30, .corrupt, "its parts take"),
      (11, .max, .corrupt, "note length"), (12, 2, .corrupt, "logits"),
    ]
    for (word, value, code, name) in cases {
      var changed = bytes
      changed.replaceSubrange(8 * word..<8 * word + 8, with: withUnsafeBytes(of: value.littleEndian, Array.init))
      try file.write(sealedSession(changed))
      expectRefusal(session, file.path, code, saying: [name])
    }
    for token in [-1, 100_000] as [Int32] {
      var changed = bytes
      changed.replaceSubrange(516..<520, with: withUnsafeBytes(of: token.littleEndian, Array.init))
      try file.write(sealedSession(changed))
      expectRefusal(session, file.path, .corrupt, saying: ["token 1 is \(token)"])
    }
    #expect(session.heldTokens == [10, 11, 12])
  }

  @Test("without memory is as before, whichever allocation fails")
  func reportsShortage() throws {
    let file = try SavedFile()
    let counting = CountingHost()
    try withExtendedLifetime(counting) {
      let functions = MemoryAllocator.Functions(
        allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: counting.user)
      let runtime = try Runtime(threadCount: 1, allocator: MemoryAllocator(functions: functions))
      let host = try loadTiny(runtime: runtime)
      let source = try Session(host)
      try source.evaluate(randomTokens(150, seed: 9))
      try source.setNote("note")
      try source.save(to: file.path)
      var failures = 0
      for failing in 0..<100 {
        let session = try Session(host)
        try session.evaluate([10, 11])
        let (logits, held) = (session.heldLogits, counting.blockCount)
        counting.fail(request: counting.requestCount + failing)
        do { try session.restore(from: file.path) } catch let error as XverseError {
          failures += 1
          #expect(error.code == .outOfMemory)
          #expect(counting.blockCount == held)
          #expect(session.heldTokens == [10, 11] && session.heldLogits == logits)
          continue
        }
        counting.fail(request: -1)
        #expect(session.heldLogits == source.heldLogits)
        break
      }
      // Tokens, note, logits, three blocks, the ids.
      #expect(failures == 7)
      let bytes = try file.bytes
      for failing in 0..<2 {
        counting.fail(request: counting.requestCount + failing)
        let error = #expect(throws: XverseError.self) { try source.save(to: file.path) }
        #expect(error?.code == .outOfMemory)
        #expect(try file.bytes == bytes)
      }
      #expect(try file.names == ["a.session"])
    }
  }

  @Test("saving replaces the file as a whole, with rights for its owner alone, and says what is in the way")
  func replacesFiles() throws {
    let host = try loadTiny()
    let file = try SavedFile()
    let session = try Session(host)
    try session.evaluate([10])
    // What a killed process may have left.
    try file.directory.write("a.session.partial", [UInt8](repeating: 1, count: 100_000))
    try session.save(to: file.path)
    #expect(try file.names == ["a.session"])
    let rights = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
    // That of the file that lay there.
    #expect(rights.map { $0 & 0o077 } == 0 || rights == 0o644)
    try FileManager.default.removeItem(atPath: file.path)
    try session.save(to: file.path)
    #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int == 0o600)

    for (path, code) in [
      (file.directory.path, .unsupported), (file.directory.path + "/missing/a", .notFound), ("", .invalid),
      ("/dev/null", .unsupported),
    ] as [(String, XverseError.Code)] {
      let error = #expect(throws: XverseError.self) { try session.save(to: path) }
      #expect(error?.code == code, "\(path): \(String(describing: error))")
    }
    let other = try ReplacementFile(path: file.path)
    let error = #expect(throws: XverseError.self) { try session.save(to: file.path) }
    #expect(error?.code == .busy)
    withExtendedLifetime(other) {}
    expectRefusal(session, file.path + "x", .notFound)
    expectRefusal(session, file.directory.path, .unsupported)
  }

  @Test("what came from a file is not shared with other sessions")
  func sharesNothing() throws {
    let host = try loadTiny { $0.maximumPositions = 1024 }
    let prefixes = PrefixCache(limit: 1 << 30, allocator: host.runtime.allocator)
    let file = try SavedFile()
    let tokens = randomTokens(300, seed: 10)
    let source = try Session(host)
    try source.evaluate(tokens)
    try source.save(to: file.path)
    do {
      let restored = try Session(host.loaded, host.runtime, prefixes: prefixes)
      try restored.restore(from: file.path)
      try restored.fork().evaluate(randomTokens(100, seed: 11))
      try restored.evaluate(randomTokens(100, seed: 11))
      #expect(prefixes.statistics.blocks == 0)
      restored.truncate(to: 0)
      try restored.evaluate(tokens)
    }
    #expect(prefixes.statistics.blocks == 5)
    try prefixes.checkInvariants()
  }
}
