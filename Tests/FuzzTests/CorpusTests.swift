// CorpusTests.swift -- the seeds and findings of the fuzzer in every run of the tests, with the files that lie near them.

import Foundation
import FuzzTargets
import TestSupport
import Testing

@Suite("Corpus of the fuzzer")
struct CorpusTests {
  @Test("every seed, cut anywhere and changed at random, keeps what its reader promises", arguments: FuzzTarget.all)
  func seeds(target: FuzzTarget) throws {
    let check = try target.prepare()
    let seeds = try Self.seeds(of: target)
    #expect(seeds.count >= 5)
    var random = SeededRandom(seed: 1)
    for (name, bytes) in seeds {
      expectNoViolation(bytes, name, check)
      for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 50)) {
        expectNoViolation(Array(bytes.prefix(length)), "\(name) cut to \(length)", check)
      }
      for number in 0..<50 where !bytes.isEmpty {
        var changed = bytes
        for _ in 0...number / 10 {
          changed[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        expectNoViolation(changed, "\(name) changed: \(Data(changed).base64EncodedString())", check)
      }
    }
  }

  @Test("every folder of seeds and every dictionary belongs to a target")
  func folders() throws {
    let names = Set(FuzzTarget.all.map(\.name))
    #expect(names.count == FuzzTarget.all.count)
    let manager = FileManager.default
    #expect(try Set(manager.contentsOfDirectory(atPath: Self.root + "/corpus")) == names)
    #expect(try Set(manager.contentsOfDirectory(atPath: Self.root + "/dictionaries")).isSubset(of: names))
  }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fuzz").path

  private static func seeds(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
    let folder = root + "/corpus/" + target.name
    return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().map {
      ($0, try [UInt8](Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0))))
    }
  }

  private func expectNoViolation(_ bytes: [UInt8], _ name: String, _ check: FuzzTarget.Check) {
    do { try bytes.withUnsafeBytes(check) } catch { Issue.record("\(name): \(error)") }
  }
}
