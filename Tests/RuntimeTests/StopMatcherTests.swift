// StopMatcherTests.swift -- stop strings in a stream: nothing of them leaks, nothing else is lost or kept too long.

import TestSupport
import Testing
import XverseCore

@testable import XverseRuntime

extension StopMatcher {
  fileprivate init(_ stops: [String]) throws(XverseError) { try self.init(stops.map { Array($0.utf8) }) }

  /// Feeds one piece; what it lets go, and whether a stop string is complete.
  fileprivate mutating func feed(_ piece: [UInt8]) throws(XverseError) -> (text: [UInt8], isComplete: Bool) {
    var output = Buffer<UInt8>()
    let isComplete = try piece.withUnsafeBufferPointer { (piece) throws(XverseError) in
      try feed(piece, into: &output)
    }
    return (Array(output.elements), isComplete)
  }

  fileprivate mutating func feed(_ piece: String) throws(XverseError) -> (text: String, isComplete: Bool) {
    let (bytes, isComplete) = try feed(Array(piece.utf8))
    return (String(decoding: bytes, as: UTF8.self), isComplete)
  }

  fileprivate mutating func finish() throws(XverseError) -> String {
    var output = Buffer<UInt8>()
    try finish(into: &output)
    return output.text
  }
}

@Suite("StopMatcher")
struct StopMatcherTests {
  @Test("lets everything go at once without stop strings")
  func passesEverything() throws {
    var matcher = try StopMatcher([String]())

    #expect(try matcher.feed("any text") == ("any text", false))
    #expect(try matcher.finish() == "")
  }

  @Test("cuts before a stop string, also when it comes byte by byte")
  func cutsStraddlingMatch() throws {
    var matcher = try StopMatcher(["\nHuman:"])
    var text = ""

    for byte in "Hi.\n\nHuma.\nHuman".utf8 { text += String(decoding: try matcher.feed([byte]).text, as: UTF8.self) }

    #expect(text == "Hi.\n\nHuma.")
    #expect(try matcher.feed(": no") == ("", true))
    #expect(matcher.isComplete == true)
    #expect(try matcher.feed("more") == ("", true))
    #expect(try matcher.finish() == "")
  }

  @Test("releases what was held back when the text ends or goes another way")
  func releases() throws {
    var matcher = try StopMatcher(["abc"])

    #expect(try matcher.feed("xab") == ("x", false))
    #expect(try matcher.feed("ab") == ("ab", false))
    #expect(try matcher.feed("") == ("", false))
    #expect(try matcher.finish() == "ab")
    #expect(try matcher.finish() == "")
  }

  @Test("the stop string that ends first wins, and of those that end together the longest")
  func choosesEarliestEnd() throws {
    var nested = try StopMatcher(["abcd", "bc"])
    var suffixes = try StopMatcher(["c", "bc", "abc"])

    #expect(try nested.feed("xabcd") == ("xa", true))
    #expect(try suffixes.feed("xabcd") == ("x", true))
  }

  @Test("holds back whole characters only")
  func keepsCharactersWhole() throws {
    // 你 is E4 BD A0, 佣 is E4 BD A3; the third stop string begins inside 你.
    var shared = try StopMatcher(["佣金"])
    var inside = try StopMatcher([[0xBD, 0xA0, 0x21]])

    #expect(try shared.feed("去你") == ("去你", false))
    #expect(try shared.feed("佣") == ("", false))
    #expect(try shared.feed("你") == ("佣你", false))
    #expect(try inside.feed("去你") == ("去", false))
    #expect(try inside.feed("?é你") == ("你?é", false))
    #expect(try inside.feed(Array("!".utf8)) == ([0xE4], true))
  }

  @Test("keeps bytes that are not UTF-8")
  func keepsInvalidBytes() throws {
    var matcher = try StopMatcher([[0xFF, 0x80, 0x80]])

    #expect(try matcher.feed([0x80, 0xBF, 0xFF, 0x80, 0xE4, 0xFF, 0x80]).text == [0x80, 0xBF, 0xFF, 0x80, 0xE4])
    #expect(try matcher.feed([0x80, 0x41]) == ([], true))
  }

  @Test("agrees with a search of the whole text, however it is split", arguments: 0..<60)
  func agreesWithSearch(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let stops = (0..<Int.random(in: 1...3, using: &random)).map { _ in letters(1...4, &random) }
    let text = letters(8...8, &random)
    let expected = cut(text, before: stops)

    for split in 0..<128 {
      var matcher = try StopMatcher(stops)
      var output: [UInt8] = []
      var isComplete = false
      var start = 0
      for end in 1...8 where end == 8 || split >> (end - 1) & 1 == 1 {
        let (released, isFound) = try matcher.feed(Array(text[start..<end]))
        output += released
        isComplete = isFound
        start = end
        // As much as can be known not to begin a stop string, and no more.
        if !isFound { #expect(output.count == end - heldCount(text[..<end], stops)) }
      }
      output += Array(try matcher.finish().utf8)

      #expect(output == expected.text)
      #expect(isComplete == expected.isCut)
    }
  }

  @Test("takes the most and longest strings allowed, and no text costs more than its length")
  func takesLargestSet() throws {
    var stops = [[UInt8]](repeating: [UInt8](repeating: 0x61, count: 4095) + [0x62], count: 4)
    stops += (0..<252).map { [0x63, UInt8($0), 0x64] }
    var matcher = try StopMatcher(stops)

    let (text, isComplete) = try matcher.feed([UInt8](repeating: 0x61, count: 10_000))

    #expect(text.count == 10_000 - 4095)
    #expect(!isComplete)
    #expect(try matcher.feed([0x62]) == ([], true))
  }

  @Test("rejects empty, too many and too long strings")
  func rejectsBadSets() {
    func make(_ stops: [[UInt8]]) throws(XverseError) { _ = try StopMatcher(stops) }

    #expect(throws: XverseError.range("stop string 1 is empty, expected at least 1 byte")) { try make([[1], []]) }
    #expect(throws: XverseError.limit("stop has 257 strings, expected at most 256")) {
      try make([[UInt8]](repeating: [1], count: 257))
    }
    #expect(throws: XverseError.limit("stop string 0 has 4097 bytes, expected at most 4096")) {
      try make([[UInt8](repeating: 1, count: 4097)])
    }
  }

  // MARK: the oracle

  private func letters(_ count: ClosedRange<Int>, _ random: inout SeededRandom) -> [UInt8] {
    (0..<Int.random(in: count, using: &random)).map { _ in UInt8.random(in: 0x61...0x62, using: &random) }
  }

  private func cut(_ text: [UInt8], before stops: [[UInt8]]) -> (text: [UInt8], isCut: Bool) {
    for end in 0...text.count {
      let matches = stops.filter { text[..<end].suffix($0.count).elementsEqual($0) }
      if let longest = matches.map(\.count).max() { return (Array(text[..<(end - longest)]), true) }
    }
    return (text, false)
  }

  private func heldCount(_ text: ArraySlice<UInt8>, _ stops: [[UInt8]]) -> Int {
    (0...text.count).last { count in
      stops.contains { $0.count > count && $0.prefix(count).elementsEqual(text.suffix(count)) }
    } ?? 0
  }
}
