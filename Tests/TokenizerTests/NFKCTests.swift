// NFKCTests.swift -- Unicode normalization form KC. Expected values, and digests where they are many, were made with
// Hugging Face's `tokenizers` 0.23 from the same texts.

import TestSupport
import Testing
import XverseCore
@testable import XverseTokenizers

@Suite("NFKC")
struct NFKCTests {
  /// `String` takes canonically equivalent texts for equal, so the tests compare bytes.
  private func normalize(_ bytes: [UInt8]) throws -> (bytes: [UInt8], leadingCount: Int) {
    var nfkc = NFKC(allocator: .system)
    var result = Buffer<UInt8>()
    let leadingCount = try bytes.withUnsafeBytes { try nfkc.append(TextPiece(text: $0), to: &result) }
    return (Array(result.elements), leadingCount)
  }

  private func normalize(_ text: String) throws -> [UInt8] { try normalize(Array(text.utf8)).bytes }

  /// FNV-1a of 64 bits over one result after the other.
  private func digest(_ hash: UInt64?, _ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(hash ?? 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  // MARK: characters

  @Test(
    "agrees with Hugging Face",
    arguments: [
      ("", ""), ("plain text\n", "plain text\n"), ("ＡＢＣ１２３，。！？", "ABC123,。!?"), ("…\u{3000}\u{A0}", "...  "),
      ("①②⑳", "1220"), ("½", "1\u{2044}2"), ("ﬁﬀ", "fiff"), ("㎡㍿", "m2株式会社"), ("\u{FA0C}\u{FA10}", "兀\u{585A}"),
      ("\u{2F800}", "\u{4E3D}"), ("\u{1D7D8}\u{1F100}", "00."), ("\u{FDFA}", "صلى الله عليه وسلم"),
      ("\u{212B}\u{2126}", "\u{C5}\u{3A9}"), ("\u{1D15E}", "\u{1D157}\u{1D165}"),
    ])
  func compatibility(text: String, expected: String) throws {
    #expect(try normalize(text) == Array(expected.utf8))
  }

  @Test(
    "composes and orders marks as Hugging Face does",
    arguments: [
      ("e\u{301}", "\u{E9}"), ("\u{E9}\u{316}", "\u{E9}\u{316}"), ("a\u{316}\u{301}", "\u{E1}\u{316}"),
      ("a\u{301}\u{301}", "\u{E1}\u{301}"), ("q\u{307}\u{323}", "q\u{323}\u{307}"), ("\u{300}a", "\u{300}a"),
      ("\u{1E9B}\u{323}", "\u{1E69}"), ("\u{344}", "\u{308}\u{301}"), ("\u{345}\u{301}", "\u{301}\u{345}"),
      ("a\u{200D}\u{301}", "a\u{200D}\u{301}"), ("ｶﾞか\u{3099}", "\u{30AC}\u{304C}"),
      ("\u{CC6}\u{CC2}\u{CD5}", "\u{CCB}"), ("\u{B92}\u{BD7}", "\u{B94}"), ("\u{F77}", "\u{FB2}\u{F71}\u{F80}"),
      // Excluded from composition.
      ("\u{958}", "\u{915}\u{93C}"), ("\u{FB1D}", "\u{5D9}\u{5B4}"), ("\u{2ADC}", "\u{2ADD}\u{338}"),
    ])
  func marks(text: String, expected: String) throws {
    #expect(try normalize(text) == Array(expected.utf8))
  }

  @Test(
    "composes Hangul by arithmetic",
    arguments: [
      ("\u{1112}\u{1161}", "\u{D558}"), ("\u{1112}\u{1161}\u{11AB}", "\u{D55C}"), ("\u{D558}\u{11AB}", "\u{D55C}"),
      ("\u{D55C}\u{11AB}", "\u{D55C}\u{11AB}"), ("\u{1100}\u{1161}\u{11A7}", "\u{AC00}\u{11A7}"),
      ("\u{1112}\u{301}\u{1161}", "\u{1112}\u{301}\u{1161}"), ("\u{1161}\u{11AB}", "\u{1161}\u{11AB}"),
      ("\u{FFBE}\u{FFC2}", "\u{D558}"),
    ])
  func hangul(text: String, expected: String) throws {
    #expect(try normalize(text) == Array(expected.utf8))
  }

  @Test(
    "leaves what is younger than Unicode 9.0, and takes a mark that is for a starter",
    arguments: ["\u{32FF}", "\u{A7F2}", "\u{1FBF0}", "\u{11935}\u{11930}", "a\u{1DFA}\u{316}", "a\u{1DFA}\u{301}"])
  func youngerCharacters(text: String) throws {
    #expect(try normalize(text) == Array(text.utf8))
  }

  @Test(
    "agrees with Hugging Face on every character alone, among marks and behind Hangul",
    arguments: [
      (0x0000...0x07FF, 0x7A8C_E783_8107_807D), (0x0800...0x1FFF, 0xAC16_67C1_A8B9_28E7),
      (0x2000...0x2FFF, 0x845D_63F9_E355_CB5B), (0x3000...0xFFFF, 0x4390_3AD9_9CA6_747B),
      (0x10000...0x1FFFF, 0xF33C_5630_FAE0_13D0), (0x2F000...0x2FFFF, 0x1601_3750_9044_08DD),
      (0xE0000...0xE0FFF, 0x91E8_AD3B_DFF7_A325),
    ] as [(ClosedRange<UInt32>, UInt64)])
  func everyCharacter(values: ClosedRange<UInt32>, expected: UInt64) throws {
    var hash: UInt64?
    for c in values.compactMap(Unicode.Scalar.init) {
      hash = digest(hash, try normalize("\(c) \(c)\u{301}\u{316}e\(c)\u{323}\u{308}\(c)\u{1100}\(c)\u{AC00}\(c)"))
    }
    #expect(hash == expected)
  }

  @Test("agrees with Hugging Face on random sequences of what decomposes, composes and is reordered")
  func randomSequences() throws {
    let ranges: [ClosedRange<UInt32>] = [
      0x41...0x7A, 0xC0...0x17F, 0x300...0x362, 0x591...0x5C7, 0x900...0xDDF, 0xF71...0xFB7, 0x1100...0x11FF,
      0x1AB0...0x1ACE, 0x1DC0...0x1DFF, 0x1E00...0x1FFF, 0x3040...0x30FF, 0xAC00...0xAC70, 0xFF66...0xFF9F,
      0x11080...0x110BF, 0x1D15E...0x1D18B,
    ]
    let scalars = ranges.joined().compactMap(Unicode.Scalar.init)
    var random = SeededRandom(seed: 1)
    func index(below count: Int) -> Int { Int(random.next() % UInt64(count)) }
    var hash: UInt64?
    for _ in 0..<20_000 {
      var text = ""
      for _ in 0..<2 + index(below: 11) { text.unicodeScalars.append(scalars[index(below: scalars.count)]) }
      hash = digest(hash, try normalize(text))
    }
    #expect(hash == 0xCF36_4C30_8C25_2089)
  }

  // MARK: texts

  @Test(
    "bytes that are not UTF-8 stay and nothing unites across them",
    arguments: [
      ([0xFF], [0xFF]), ([0x65, 0xFF, 0xCC, 0x81], [0x65, 0xFF, 0xCC, 0x81]),
      ([0xFF, 0xCC, 0x81, 0xCC, 0x96], [0xFF, 0xCC, 0x96, 0xCC, 0x81]), ([0xED, 0xA0, 0x80], [0xED, 0xA0, 0x80]),
      ([0xEF, 0xBC, 0xEF, 0xBC, 0xA1], [0xEF, 0xBC, 0x41]), ([0x65, 0xCC], [0x65, 0xCC]),
      ([0x65, 0xCC, 0x81, 0x80], [0xC3, 0xA9, 0x80]),
    ] as [([UInt8], [UInt8])])
  func strayBytes(bytes: [UInt8], expected: [UInt8]) throws {
    #expect(try normalize(bytes).bytes == expected)
  }

  @Test(
    "keeps account of the bytes that stand for the first character as Hugging Face does",
    arguments: [
      ("½a", 5), ("a½", 1), ("e\u{301}a", 2), ("\u{E9}", 2), ("\u{212B}\u{301}", 2), ("⒈a", 2), ("\u{F77}a", 9),
      ("\u{FDFA}a", 33), ("\u{1112}\u{1161}\u{11AB}x", 3), ("\u{301}\u{316}a", 2), ("\u{344}\u{316}", 2),
      ("\u{F73}\u{301}\u{316}", 6), ("ﬁ\u{301}x", 1), ("", 0),
    ])
  func leadingBytes(text: String, expected: Int) throws {
    #expect(try normalize(Array(text.utf8)).leadingCount == expected)
  }

  @Test("no character grows more than the step says")
  func growth() throws {
    for value in UInt32(0)...0x2_FFFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let count = UTF8.width(scalar)
      if try normalize(String(scalar)).count > NFKC.growth * count { Issue.record("U+\(String(value, radix: 16))") }
    }
    #expect(try normalize("\u{FDFA}").count == NFKC.growth * 3)
  }

  @Test("a million marks in a row are sorted in linear time", .timeLimit(.minutes(1)))
  func manyMarks() throws {
    let count = 500_000
    let text = Array(("a" + String(repeating: "\u{301}\u{316}", count: count)).utf8)
    let expected =
      "\u{E1}" + String(repeating: "\u{316}", count: count) + String(repeating: "\u{301}", count: count - 1)
    #expect(try normalize(text).bytes == Array(expected.utf8))
  }

  @Test("what waits to be written is the longest run of marks, not the text")
  func memory() throws {
    let allocator = MemoryAllocator(limit: 1 << 20)
    var nfkc = NFKC(allocator: allocator)
    var result = Buffer<UInt8>()
    let count = 100_000
    let text = Array(String(repeating: "\u{FDFA}ﬁ½", count: count).utf8)
    _ = try text.withUnsafeBytes { try nfkc.append(TextPiece(text: $0), to: &result) }
    #expect(result.count == 40 * count)
    #expect(allocator.peak < 4096)
  }

  @Test("an allocation that fails leaves the tokens unchanged and nothing behind")
  func refusedAllocation() throws {
    let file = TokenizerJSON.xverse.with(root: ["normalizer": #"{"type": "NFKC"}"#]).text
    let text = Array("１a\u{301}\u{316}\u{301}\u{316}".utf8) + Array(String(repeating: "\u{301}", count: 400).utf8)
    let host = CountingHost()
    _ = try encodeWithHost(host, file: file, text: text)
    var failures = 0
    for request in 0..<host.requestCount {
      let failing = CountingHost(failingRequest: request)
      do { _ = try encodeWithHost(failing, file: file, text: text) } catch { failures += 1 }
      #expect(failing.blockCount == 0)
    }
    #expect(failures == host.requestCount)
  }

  private func encodeWithHost(_ host: CountingHost, file: String, text: [UInt8]) throws -> [Int32] {
    try withExtendedLifetime(host) {
      let functions = MemoryAllocator.Functions(
        allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
      let tokenizer = try Tokenizer(text: file, allocator: MemoryAllocator(functions: functions))
      return try tokenizer.ids(text)
    }
  }

  // MARK: in a tokenizer

  @Test(
    "encodes as Hugging Face does with the pipeline of the first XVERSE-13B",
    arguments: [
      ("ｈｅｌｌｏ\u{3000}ｗｏｒｌｄ", [25, 30]), ("中文，①②！", [19, 20, 16, 13, 14, 18]), ("e\u{301}", [227, 201]),
      ("\u{E9}", [227, 201]), ("½…", [13, 258, 161, 164, 14, 17, 17, 17]), ("", []), ("ﬁ", [134, 137]),
      ("<ｓｅｐ>hello<sep>", [92, 147, 7, 144, 94, 25, 0]), ("①\u{301}", [13, 236, 161]),
    ] as [(String, [Int32])])
  func encodesXverse(text: String, ids: [Int32]) throws {
    let file = TokenizerJSON.xverse.with(root: ["normalizer": #"{"type": "NFKC"}"#])
    #expect(try file.tokenizer().ids(text) == ids)
  }

  @Test(
    "looks for normalized added tokens in normalized text and for the others in the caller's",
    arguments: [
      ("xfia", [4, 7, 0]), ("xﬁa", [4, 7, 0]), ("a①b", [0, 8, 1]), ("a1b", [0, 5, 1]), ("xe\u{301}x", [4, 9, 4]),
      ("x\u{E9}x", [4, 9, 4]), ("fi\u{301}", [2]), ("①\u{301}x", [8, 4]), ("e①\u{301}", [8]),
    ] as [(String, [Int32])])
  func addedTokens(text: String, ids: [Int32]) throws {
    let tokens = [
      TokenizerJSON.addedToken(7, "ﬁ", special: false, normalized: true),
      TokenizerJSON.addedToken(8, "①", special: false),
      TokenizerJSON.addedToken(9, "\u{E9}", special: false, normalized: true),
    ]
    let root = ["added_tokens": "[\(tokens.joined(separator: ", "))]", "normalizer": #"{"type": "NFKC"}"#]
    #expect(try TokenizerJSON(characters: "abfix1 ", root: root).tokenizer().ids(text) == ids)
  }

  @Test("passes over a member that it does not know, as Hugging Face's tokenizers do")
  func unknownMember() throws {
    let file = TokenizerJSON.xverse.with(root: ["normalizer": #"{"type": "NFKC", "version": 9}"#])
    let tokenizer = try file.tokenizer()
    #expect(
      tokenizer.warnings == [
        "tokenizer.json: 'normalizer.version' is 9, expected only the members type: it is passed over"
      ])
  }
}
