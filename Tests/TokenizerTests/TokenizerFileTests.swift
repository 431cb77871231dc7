// TokenizerFileTests.swift -- spellings of tokenizer.json, and files that lie.

import Testing
import XverseCore
@testable import XverseTokenizers

@Suite("TokenizerFile")
struct TokenizerFileTests {
  private static let letters = TokenizerJSON(characters: "abc", merges: [("a", "b"), ("b", "c")])

  private func error(_ file: TokenizerJSON) -> XverseError? { error(file.text) }

  private func error(_ text: String) -> XverseError? {
    #expect(throws: XverseError.self) { try Tokenizer(text: text) }
  }

  // MARK: spellings

  @Test(
    "reads merges as strings, as pairs, and with a version line",
    arguments: [
      #"["a b", "b c"]"#, #"[["a", "b"], ["b", "c"]]"#, ##"["#version: 0.2", "a b", "b c"]"##, #"["\u0061 b", "b c"]"#,
    ])
  func mergeSpellings(merges: String) throws {
    #expect(try Self.letters.with(model: ["merges": merges]).tokenizer().ids("abc") == [3, 2])
  }

  @Test("the last of equal merges counts")
  func equalMerges() throws {
    let file = Self.letters.with(model: ["merges": #"["a b", "b c", "a b"]"#])
    #expect(try file.tokenizer().ids("abc") == [0, 4])
  }

  @Test(
    "reads both spellings of Metaspace",
    arguments: [
      (#""add_prefix_space": false"#, [12, 27, 9, 6]), (#""add_prefix_space": true"#, [30]),
      (#""add_prefix_space": false, "str_rep": "▁""#, [12, 27, 9, 6]),
      (#""prepend_scheme": "never", "split": true"#, [12, 27, 9, 6]),
      (#""prepend_scheme": "first", "split": true"#, [30]), (#""prepend_scheme": "always", "split": false"#, [30]),
      (#""add_prefix_space": true, "prepend_scheme": "never""#, [12, 27, 9, 6]),
    ] as [(String, [Int32])])
  func metaspaceSpellings(options: String, ids: [Int32]) throws {
    let step = #"{"type": "Metaspace", "replacement": "▁", \#(options)}"#
    #expect(try TokenizerJSON.xverse.with(root: ["pre_tokenizer": step]).tokenizer().ids("world") == ids)
  }

  @Test(
    "accepts null and absent parts, padding, and post-processors that add nothing",
    arguments: [
      ["truncation": "null", "padding": "null", "normalizer": "null", "post_processor": "null", "decoder": "null"],
      ["padding": #"{"strategy": "BatchLongest", "pad_id": 1}"#],
      ["post_processor": TokenizerJSON.byteLevelStep(prefix: true, pattern: true)],
      ["post_processor": #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}]}"#],
      ["post_processor": #"{"type": "Sequence", "processors": []}"#],
    ])
  func acceptedParts(root: [String: String]) throws {
    #expect(try Self.letters.with(root: root).tokenizer().ids("abc") == [3, 2])
  }

  @Test("does not add the special tokens of a template to a text, and says so")
  func templateWithSpecialTokens() throws {
    let template = """
      {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}], "pair": [],
      "special_tokens": {}}
      """
    let tokenizer = try Self.letters.with(root: ["post_processor": template]).tokenizer()
    #expect(try tokenizer.ids("abc") == [3, 2])
    #expect(tokenizer.warnings.count == 1)
    #expect(tokenizer.warnings.first?.hasPrefix("tokenizer.json: 'post_processor.single' is [") == true)
    #expect(
      tokenizer.warnings.first?.hasSuffix(
        ", expected the sequence A alone: special tokens are added to a text on request only, as with XVERSE_ENCODE_BOS"
      )
        == true)
  }

  @Test("ids may have gaps: unused ids have no text")
  func gaps() throws {
    let file = TokenizerJSON(root: ["decoder": #"{"type": "Fuse"}"#], model: ["vocab": #"{"a": 0, "b": 4000}"#])
    let tokenizer = try file.tokenizer()
    #expect(tokenizer.vocabularySize == 4001)
    #expect(tokenizer.bytes(of: 17).map(Array.init) == [])
    #expect(try tokenizer.text([0, 17, 4000]) == "ab")
  }

  @Test("an added token may have an id of its own or the one of the model's token")
  func addedTokenIds() throws {
    let tokens = [TokenizerJSON.addedToken(1, "b"), TokenizerJSON.addedToken(9, "new", special: false)]
    let tokenizer = try Self.letters.with(root: ["added_tokens": "[\(tokens.joined(separator: ","))]"]).tokenizer()
    #expect(try tokenizer.ids("abnewc") == [0, 1, 5, 2])
    #expect(tokenizer.vocabularySize == 6)
    #expect(tokenizer.isSpecial(1) && !tokenizer.isSpecial(5))
    #expect(
      tokenizer.warnings == [
        "tokenizer.json: 'added_tokens[1].id' is 9, expected 5, which 'new' gets in Hugging Face's tokenizers"
      ])
  }

  // The ids are those of Hugging Face's `tokenizers` 0.23.
  @Test(
    "numbers added tokens as Hugging Face's tokenizers do, whatever ids the file gives them",
    arguments: [
      ([TokenizerJSON.addedToken(2, "a"), TokenizerJSON.addedToken(9, "x")], [0, 4, 5], 6),
      ([TokenizerJSON.addedToken(0, "x")], [3, 2, 5], 6),
      ([TokenizerJSON.addedToken(9, "x"), TokenizerJSON.addedToken(10, "x")], [3, 2, 5], 6),
      ([TokenizerJSON.addedToken(9, "x"), TokenizerJSON.addedToken(4, "y")], [3, 2, 5, 6], 7),
      ([TokenizerJSON.addedToken(7, ""), TokenizerJSON.addedToken(4, "y")], [3, 2, 5], 6),
    ] as [([String], [Int32], Int)])
  func numbersAddedTokens(tokens: [String], ids: [Int32], size: Int) throws {
    let tokenizer = try Self.letters.with(root: ["added_tokens": "[\(tokens.joined(separator: ","))]"]).tokenizer()

    #expect(try tokenizer.ids("abcxy", parsingSpecials: true) == ids)
    #expect(tokenizer.vocabularySize == size)
    #expect(!tokenizer.warnings.isEmpty)
  }

  @Test(
    "tells what it passes over, as Hugging Face's tokenizers do",
    arguments: [
      (["truncation": #"{"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}"#], [:]),
      (["padding": #"{"strategy": {"Fixed": 512}, "direction": "Left", "pad_id": 0}"#], [:]),
      (["pre_tokenizer": #"{"type": "Digits", "individual_digits": true, "script": 1}"#], [:]),
      (["post_processor": #"{"type": "ByteLevel", "surprise": 1}"#], [:]), ([:], ["surprise": "true"]),
      (["added_tokens": "[\(TokenizerJSON.addedToken(5, "zz").dropLast()), \"surprise\": 1}]"], [:]),
    ] as [([String: String], [String: String])])
  func passesOver(root: [String: String], model: [String: String]) throws {
    let tokenizer = try Self.letters.with(root: root, model: model).tokenizer()

    #expect(try tokenizer.ids("abc") == [3, 2])
    #expect(tokenizer.warnings.count == 1)
    #expect(tokenizer.warnings.first?.hasPrefix("tokenizer.json: '") == true)
    #expect(tokenizer.warnings.first?.contains("it is passed over") == true)
  }

  @Test("dropout 0 is no dropout", arguments: ["0", "0.0", "null"])
  func takesNoDropout(value: String) throws {
    #expect(try Self.letters.with(model: ["dropout": value]).tokenizer().ids("abc") == [3, 2])
  }

  @Test("an unknown token that the vocabulary lacks is an error only when it is needed")
  func needsUnknownToken() throws {
    let tokenizer = try Self.letters.with(model: ["unk_token": #""<q>""#]).tokenizer()

    #expect(try tokenizer.ids("abc") == [3, 2])
    #expect(tokenizer.warnings.count == 1)
    let error = #expect(throws: XverseError.self) { try tokenizer.ids("ab?") }
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("'model.unk_token'") == true)
  }

  // MARK: what is not implemented

  @Test(
    "rejects a part of the file that it does not implement, naming it",
    arguments: [
      ("version", #""2.0""#, "version"), ("surprise", "1", "surprise"),
      ("normalizer", #"{"type": "NFC"}"#, "normalizer.type"),
      (
        "normalizer", #"{"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}"#, "normalizer.normalizers[0].type"
      ),
      ("normalizer", #"{"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""}"#, "normalizer.pattern"),
      ("normalizer", #"{"type": "Replace", "pattern": {"String": ""}, "content": "a"}"#, "normalizer.pattern.String"),
      ("normalizer", #"{"type": "Prepend", "prepend": ""}"#, "normalizer.prepend"),
      ("pre_tokenizer", #"{"type": "Whitespace"}"#, "pre_tokenizer.type"),
      ("pre_tokenizer", #"{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated"}"#, "pre_tokenizer.type"),
      ("pre_tokenizer", #"{"type": "Punctuation", "behavior": "Removed"}"#, "pre_tokenizer.behavior"),
      (
        "pre_tokenizer", #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}"#,
        "pre_tokenizer.prepend_scheme"
      ),
      (
        "post_processor", #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a", "type_id": 0}}]}"#,
        "post_processor.single"
      ),
      (
        "post_processor", #"{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}]}"#,
        "post_processor.single[0]"
      ),
      ("post_processor", #"{"type": "BertProcessing"}"#, "post_processor.type"),
      ("decoder", #"{"type": "WordPiece"}"#, "decoder.type"),
      ("decoder", #"{"type": "Strip", "content": " ", "start": 1, "stop": 1}"#, "decoder.stop"),
      (
        "decoder", #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]}"#,
        "decoder.decoders[1].type"
      ),
    ])
  func unsupportedPart(key: String, value: String, path: String) throws {
    let error = error(Self.letters.with(root: [key: value]))
    #expect(error?.code == .unsupported)
    #expect(error?.message.hasPrefix("tokenizer.json: '\(path)' is ") == true, "\(error?.message ?? "")")
  }

  @Test(
    "rejects an option of the model that it does not implement, naming it",
    arguments: [
      ("type", #""Unigram""#), ("dropout", "0.1"), ("continuing_subword_prefix", "\"##\""),
      ("end_of_word_suffix", #""</w>""#),
    ])
  func unsupportedModelOption(key: String, value: String) throws {
    let error = error(Self.letters.with(model: [key: value]))
    #expect(error?.code == .unsupported)
    #expect(error?.message.hasPrefix("tokenizer.json: 'model.\(key)' is \(value), ") == true)
  }

  // MARK: hostile files

  @Test(
    "rejects a model that contradicts itself, naming the place",
    arguments: [
      ("vocab", #"{"a": -1}"#, "'model.vocab.a' is -1, expected an id from 0 to"),
      ("vocab", #"{"a": 2147483648}"#, "'model.vocab.a' is 2147483648, expected an id"),
      ("vocab", #"{"a": 1e2}"#, "'model.vocab.a' is 1e2, expected an id"),
      ("vocab", #"{"a": "0"}"#, "'model.vocab.a' is \"0\", expected an id"),
      ("vocab", #"{"a": 0, "b": 0}"#, "'model.vocab.b' is 0, expected an id that is not the one of 'a'"),
      ("vocab", #"{"": 0}"#, "'model.vocab' has an empty token, its id is 0"),
      ("vocab", "[]", "'model.vocab' is [], expected an object"),
      ("merges", #"["a q"]"#, "'model.merges[0]' is \"a q\", but 'q' is not in 'model.vocab'"),
      ("merges", #"["a b", "a c"]"#, "'model.merges[1]' is \"a c\", but 'ac' is not in 'model.vocab'"),
      ("merges", #"["ab"]"#, "'model.merges[0]' is \"ab\", expected \"a b\" or [\"a\", \"b\"]"),
      ("merges", #"["a b c"]"#, "'model.merges[0]' is \"a b c\", expected"),
      ("merges", #"[["a"]]"#, "'model.merges[0]' is [\"a\"], expected"),
      ("merges", #"[["a", "b", "c"]]"#, "'model.merges[0]' is"), ("merges", "[7]", "'model.merges[0]' is 7, expected"),
      ("merges", "{}", "'model.merges' is {}, expected an array"),
      ("byte_fallback", "1", "'model.byte_fallback' is 1, expected true or false"),
    ])
  func corruptModel(key: String, value: String, message: String) throws {
    let error = error(Self.letters.with(model: [key: value]))
    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("tokenizer.json: " + message) == true, "\(error?.message ?? "")")
  }

  @Test(
    "rejects added tokens that contradict the model or each other",
    arguments: [
      ([TokenizerJSON.addedToken(-3, "x")], "'added_tokens[0].id' is -3, expected an id"),
      (["7"], "'added_tokens[0]' is 7, expected an object"), (["{}"], "'added_tokens[0].content' is missing"),
      ([#"{"id": 9, "content": 7}"#], "'added_tokens[0].content' is 7, expected a string"),
      ([#"{"id": 9, "content": "x", "normalized": 0}"#], "'added_tokens[0].normalized' is 0, expected true or false"),
    ])
  func corruptAddedTokens(tokens: [String], message: String) throws {
    let error = error(Self.letters.with(root: ["added_tokens": "[\(tokens.joined(separator: ", "))]"]))
    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("tokenizer.json: " + message) == true, "\(error?.message ?? "")")
  }

  @Test(
    "rejects what is no tokenizer.json",
    arguments: [
      "", "{", "[]", "7", "{}", #"{"model": null}"#, #"{"model": []}"#, #"{"model": {"type": "BPE"}}"#,
      #"{"model": {"vocab": {"a": 0}}}"#, #"{"model": {"vocab": {"a": 0, "a": 1}, "merges": []}}"#,
    ])
  func noTokenizer(text: String) throws {
    let error = error(text)
    #expect(error?.code == .corrupt)
    #expect(error?.message.hasPrefix("tokenizer.json: ") == true)
  }

  @Test("rejects every truncation of a file")
  func truncations() throws {
    let bytes = Array(TokenizerJSON.byteLevel.text.utf8)
    for count in 0..<bytes.count {
      let error = #expect(throws: XverseError.self) { try Tokenizer(bytes: Array(bytes[..<count])) }
      #expect(error?.code == .corrupt)
    }
  }

  @Test("a byte that is changed at random never traps")
  func mutations() throws {
    let bytes = Array(TokenizerJSON.byteLevel.text.utf8)
    for index in bytes.indices {
      var mutated = bytes
      mutated[index] = bytes[index] ^ UInt8(truncatingIfNeeded: 1 << (index % 8))
      guard let tokenizer = try? Tokenizer(bytes: mutated) else { continue }
      _ = try tokenizer.text(tokenizer.ids("hello world's 12,, é"))
    }
  }

  @Test("a high id in a small file is a limit, not a huge table")
  func highId() throws {
    let allocator = MemoryAllocator(limit: 8 << 20)
    let text = Self.letters.with(model: ["vocab": #"{"a": 1073741824}"#, "merges": "[]"]).text
    let error = #expect(throws: XverseError.self) { try Tokenizer(text: text, allocator: allocator) }
    #expect(error?.code == .limit)
    #expect(error?.message.contains("'model.vocab.a' is 1073741824, expected an id below 65536") == true)
  }

  @Test("memory is bounded by the stated multiple of the file's size")
  func boundedMemory() throws {
    let tokens = (0..<2000).map {
      TokenizerJSON.addedToken(3000 + $0, "\(String(repeating: "a", count: 80))\($0)", special: false, normalized: true)
    }
    let file = Self.letters.with(
      root: [
        "added_tokens": "[\(tokens.joined(separator: ","))]",
        "normalizer": #"{"type": "Replace", "pattern": {"String": "a"}, "content": "zz"}"#,
      ], model: ["vocab": #"{"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 65535}"#])
    let allocator = MemoryAllocator()
    _ = try Tokenizer(text: file.text, allocator: allocator)
    #expect(allocator.peak <= 256 * file.text.utf8.count + 8 << 20)
  }

  private static func replacement(_ content: String) -> String {
    #"{"type": "Replace", "pattern": {"String": "a"}, "content": "\#(content)"}"#
  }

  private static func sequence(_ key: String, _ component: String, count: Int) -> String {
    let list = Array(repeating: component, count: count).joined(separator: ", ")
    return #"{"type": "Sequence", "\#(key)": [\#(list)]}"#
  }

  @Test(
    "limits a text's growth, the number of components and the length of added tokens",
    arguments: [
      ["normalizer": replacement(String(repeating: "b", count: 257))],
      ["normalizer": #"{"type": "Prepend", "prepend": "\#(String(repeating: "b", count: 256))"}"#],
      ["normalizer": sequence("normalizers", replacement("aa"), count: 9)],
      ["decoder": replacement(String(repeating: "b", count: 257))],
      ["pre_tokenizer": sequence("pretokenizers", #"{"type": "Digits", "individual_digits": true}"#, count: 33)],
      ["added_tokens": "[\(TokenizerJSON.addedToken(9, String(repeating: "x", count: 257)))]"],
    ])
  func limits(root: [String: String]) throws {
    #expect(error(Self.letters.with(root: root))?.code == .limit)
  }

  @Test("rejects a file above the limit before parsing it")
  func hugeFile() throws {
    let count = TokenizerFile.maximumLength + 1
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
    defer { bytes.deallocate() }
    let error = #expect(throws: XverseError.self) {
      try Tokenizer(json: UnsafeRawBufferPointer(bytes), source: "big.json", allocator: MemoryAllocator(limit: 1))
    }
    #expect(error?.code == .limit)
    #expect(error?.message == "big.json: \(count) bytes, expected at most \(count - 1)")
  }
}
