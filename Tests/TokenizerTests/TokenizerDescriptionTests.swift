// TokenizerDescriptionTests.swift -- tokenizers that GGUF files describe: what each kind of token does, and descriptions
// that lie.

import Testing
import TestSupport
import XverseCore
@testable import XverseTokenizers

extension DescribedTokenizer {
  /// Byte-level BPE: "a", "b", "ab", "Ġ", "Ġab", a special and a user-defined token, and an unused id at the end.
  static let letters = DescribedTokenizer(
    model: "gpt2", pre: "gpt-2", tokens: ["a", "b", "ab", "Ġ", "Ġab", "<|end|>", "<tool>", "[PAD]"],
    types: [1, 1, 1, 1, 1, 3, 4, 5], merges: ["a b", "Ġ ab"], bos: 5, eos: 5)

  /// SentencePiece: <unk> <s> </s> <0xC3> <0xA9> ▁ a b ab ▁ab <tool>.
  static let pieces = DescribedTokenizer(
    model: "llama", tokens: ["<unk>", "<s>", "</s>", "<0xC3>", "<0xA9>", "▁", "a", "b", "ab", "▁ab", "<tool>"],
    scores: [0, 0, 0, 0, 0, -5, -4, -3, -1, -2, 0], types: [2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 4], bos: 1, eos: 2, unk: 0)
}

@Suite("TokenizerDescription")
struct TokenizerDescriptionTests {
  private func error(_ described: DescribedTokenizer) -> XverseError? {
    #expect(throws: XverseError.self) { try described.tokenizer() }
  }

  // MARK: kinds of tokens

  @Test(
    "special tokens are found only where that is asked for, user-defined ones always",
    arguments: [
      (.letters, "ab<|end|>ab<tool>", true, [2, 5, 2, 6]), (.pieces, "ab</s>ab<tool>b", true, [9, 2, 9, 10, 5, 7]),
      (.pieces, "<tool>ab", false, [10, 9]), (.letters, "b<tool> ab", false, [1, 6, 4]), (.pieces, "<unk>", true, [0]),
    ] as [(DescribedTokenizer, String, Bool, [Int32])])
  func addedTokens(described: DescribedTokenizer, text: String, parses: Bool, ids: [Int32]) throws {
    #expect(try described.tokenizer().ids(text, parsingSpecials: parses) == ids)
  }

  @Test(
    "no special token comes out of ordinary text, by a score, a merge or as a whole word",
    arguments: [
      (
        .pieces.with {
          $0.tokens[1] = "ab"
          $0.tokens[8] = "x"
        }, [5, 6, 7]
      ),
      (.letters.with { $0.types[2] = 3 }, [0, 1]),
      (
        .letters.with {
          $0.types[2] = 3
          $0.pre = "llama-bpe"
        }, [0, 1]
      ),
    ] as [(DescribedTokenizer, [Int32])])
  func specialsAreNotForged(described: DescribedTokenizer, ids: [Int32]) throws {
    #expect(try described.tokenizer().ids("ab", parsingSpecials: false) == ids)
  }

  @Test("decoding skips special tokens when asked to, and passes over unused ids")
  func decoding() throws {
    let tokenizer = try DescribedTokenizer.letters.tokenizer()
    #expect(tokenizer.vocabularySize == 8)
    #expect(try tokenizer.text([5, 2, 6, 7, 4]) == "<|end|>ab<tool> ab")
    #expect(try tokenizer.text([5, 2, 6, 7, 4], skippingSpecials: true) == "ab<tool> ab")
    #expect(tokenizer.isSpecial(5) && !tokenizer.isSpecial(6) && !tokenizer.isSpecial(7))
    #expect(tokenizer.token(named: "<tool>") == 6)
  }

  @Test("the text of a special or user-defined token is its spelling, whatever the others spell")
  func literals() throws {
    let letters = DescribedTokenizer.letters.with {
      $0.tokens[5] = "Ġx"; $0.tokens[6] = "é b"
    }
    #expect(try letters.tokenizer().text([5, 6, 4]) == "Ġxé b ab")
    let pieces = DescribedTokenizer.pieces.with {
      $0.tokens[1] = "▁s"; $0.tokens[10] = "▁t"; $0.tokens[7] = "<0x41>"
    }
    #expect(try pieces.tokenizer().text([1, 10, 7, 9]) == "▁s▁t<0x41> ab")
  }

  @Test("a SentencePiece text begins with a space that decoding takes away, unless the file says otherwise")
  func spacePrefix() throws {
    let tokenizer = try DescribedTokenizer.pieces.tokenizer()
    #expect(try tokenizer.ids("ab") == [9] && tokenizer.ids(" ab") == [5, 9])
    #expect(try tokenizer.text([9]) == "ab" && tokenizer.text([5, 9]) == " ab")
    #expect(try tokenizer.text([1, 9], skippingSpecials: true) == "ab")
    let plain = try DescribedTokenizer.pieces.with { $0.prefix = false }.tokenizer()
    #expect(try plain.ids("ab") == [8] && plain.text([9]) == " ab")
  }

  @Test("byte tokens stream as whole characters; without them a character is the unknown token, or nothing")
  func byteTokens() throws {
    let tokenizer = try DescribedTokenizer.pieces.tokenizer()
    #expect(try tokenizer.ids("éb") == [5, 3, 4, 7])
    #expect(try tokenizer.stream([5, 3, 4, 7]) == ["", "", "é", "b", ""])
    #expect(try tokenizer.ids("中文b") == [5, 0, 7] && tokenizer.unknownToken == 0)
    let silent = try DescribedTokenizer.pieces.with { $0.unk = nil }.tokenizer()
    #expect(try silent.ids("中文b") == [5, 7] && silent.unknownToken == nil)
  }

  @Test("without types the ids of special tokens and the spelling of bytes tell the kinds")
  func withoutTypes() throws {
    let tokenizer = try DescribedTokenizer.pieces.with { $0.types = [] }.tokenizer()
    #expect((0..<11).filter { tokenizer.isSpecial($0) } == [0, 1, 2])
    #expect(try tokenizer.ids("é", parsingSpecials: false) == [5, 3, 4] && tokenizer.text([5, 3, 4]) == "é")
  }

  @Test("a token that ends texts is special even when the file calls it user-defined")
  func userDefinedEnd() throws {
    let tokenizer = try DescribedTokenizer.letters.with { $0.types[5] = 4 }.tokenizer()
    #expect(tokenizer.isSpecial(5))
    #expect(try tokenizer.ids("<|end|>", parsingSpecials: false).isEmpty)
  }

  @Test("reads U+0000 of the XVERSE models as llama.cpp's converter spells it")
  func spelledNUL() throws {
    let described = DescribedTokenizer.pieces.with {
      $0.tokens[3] = #"<b'\x00'>"#; $0.prefix = false
    }
    let tokenizer = try described.tokenizer()
    #expect(try tokenizer.ids("a\0b") == [6, 3, 7])
    #expect(try tokenizer.stream([6, 3, 7]) == ["a", "\0", "b", ""])
  }

  @Test("a whole word that is a token needs no merges with the pre-tokenizer of Llama 3")
  func ignoresMerges() throws {
    let described = DescribedTokenizer.letters.with {
      $0.tokens.append("Ġba"); $0.types.append(1)
    }
    #expect(try described.tokenizer().ids(" ba") == [3, 1, 0])
    #expect(try described.with { $0.pre = "llama-bpe" }.tokenizer().ids(" ba") == [8])
  }

  @Test("of equal merges the first one counts")
  func equalMerges() throws {
    let described = DescribedTokenizer.letters.with {
      $0.tokens += ["ba"]
      $0.types += [1]
      $0.merges = ["a b", "b a", "a b"]
    }
    #expect(try described.tokenizer().ids("aba") == [2, 0])
  }

  @Test(
    "warns where something was guessed",
    arguments: [
      (.letters, nil), (.pieces, nil), (.letters.with { $0.pre = nil }, "pre' is missing, so \"default\" was taken"),
      (.pieces.with { $0.scores = [] }, "scores' gives no order of merges, so that of the ids was taken"),
      (
        .pieces.with { $0.scores = $0.scores.map { _ in -1 } },
        "scores' gives no order of merges, so that of the ids was taken"
      ),
      (
        .pieces.with {
          $0.scores = []; $0.merges = ["a b", "▁ ab"]
        }, nil
      ),
    ] as [(DescribedTokenizer, String?)])
  func warns(described: DescribedTokenizer, guess: String?) throws {
    let expected = guess.map {
      "model.gguf: 'tokenizer.ggml.\($0) for it, and ids may differ from those that the model was trained with; to get "
        + "those, give the model's tokenizer.json beside the file or by the option 'tokenizer'"
    }
    #expect(try described.tokenizer().warnings == (expected.map { [$0] } ?? []))
  }

  @Test("without scores a merge is the pair that the merges of lower ids make of a token's text")
  func guessedMerges() throws {
    let described = DescribedTokenizer(
      model: "llama", tokens: ["a", "b", "c", "▁", "bc", "ab", "abc", "▁a", "éba"],
      types: [Int32](repeating: 1, count: 9))
    let tokenizer = try described.tokenizer()
    // "bc" comes before "ab", so that "abc" is "a" and "bc"; the scores' way, by text, would merge "ab" and "c" as well.
    #expect(try tokenizer.ids("abc") == [6] && tokenizer.ids("ab") == [5] && tokenizer.ids(" a") == [7])
    // Without a token for "é", nothing tells how the last one is made.
    #expect(try tokenizer.ids("éba") == [1, 0] && tokenizer.ids("ba") == [1, 0])
    #expect(tokenizer.kind == "BPE without merges, byte fallback")
  }

  // MARK: descriptions that lie

  @Test(
    "rejects what contradicts itself, naming the place, the value and what was expected",
    arguments: [
      (
        .letters.with {
          $0.tokens = []; $0.types = []
        }, "tokens' is empty, expected a token or more"
      ),
      (.letters.with { $0.types.removeLast() }, "token_type' has 7 values, expected 8, one for each token"),
      (.pieces.with { $0.scores.append(0) }, "scores' has 12 values, expected 11, one for each token"),
      (.pieces.with { $0.scores[4] = .nan }, "scores[4]' is nan, expected a number"),
      (.letters.with { $0.types[2] = 7 }, "token_type[2]' is 7, expected a type from 1 to 6"),
      (.letters.with { $0.types[2] = 0 }, "token_type[2]' is 0, expected a type from 1 to 6"),
      (
        .letters.with { $0.types[2] = 6 },
        "token_type[2]' is 6, a byte, expected a type from 1 to 5 with the model \"gpt2\""
      ),
      (.letters.with { $0.tokens[3] = "ab" }, "tokens[3]' is \"ab\", expected a text that is not token 2's"),
      (.letters.with { $0.tokens[6] = "" }, "tokens[6]' is empty, expected a text"),
      (
        .pieces.with { $0.tokens[3] = "<0x-1>" },
        "tokens[3]' is \"<0x-1>\", expected \"<0x00>\" to \"<0xFF>\" as its type is byte"
      ),
      (
        .pieces.with { $0.tokens[4] = "<0xZZ>" },
        "tokens[4]' is \"<0xZZ>\", expected \"<0x00>\" to \"<0xFF>\" as its type is byte"
      ),
      (
        .pieces.with { $0.tokens[4] = "\u{1B}\u{202E}\n" },
        "tokens[4]' is \"\\u{1b}\\u{202e}\\u{a}\", expected \"<0x00>\" to \"<0xFF>\" as its type is byte"
      ),
      (.letters.with { $0.bos = 8 }, "bos_token_id' is 8, expected an id from 0 to 7"),
      (.letters.with { $0.eos = -1 }, "eos_token_id' is -1, expected an id from 0 to 7"),
      (.pieces.with { $0.unk = 1 << 40 }, "unknown_token_id' is 1099511627776, expected an id from 0 to 10"),
      (.letters.with { $0.pad = .max }, "padding_token_id' is 9223372036854775807, expected an id from 0 to 7"),
      (.letters.with { $0.merges = [] }, "merges' is missing or empty"),
      (.letters.with { $0.merges[1] = "a c" }, "merges[1]' is \"a c\", but \"c\" is not among the tokens"),
      (.letters.with { $0.merges[1] = "b a" }, "merges[1]' is \"b a\", but \"ba\" is not among the tokens"),
      (.letters.with { $0.merges[0] = "ab" }, "merges[0]' is \"ab\", expected two pieces with a space between them"),
      (.letters.with { $0.merges[0] = "a " }, "merges[0]' is \"a \", expected two pieces with a space between them"),
      (.letters.with { $0.merges[0] = " b" }, "merges[0]' is \" b\", expected two pieces with a space between them"),
      (.letters.with { $0.merges[0] = "" }, "merges[0]' is \"\", expected two pieces with a space between them"),
    ] as [(DescribedTokenizer, String)])
  func contradictions(described: DescribedTokenizer, fault: String) {
    let error = error(described)
    #expect(error?.code == .corrupt)
    #expect(error?.message == "model.gguf: 'tokenizer.ggml.\(fault)")
  }

  @Test(
    "says of what is not implemented how to load the model all the same",
    arguments: [
      (
        .letters.with { $0.pre = "qwen2" },
        "pre' is \"qwen2\", which is not supported; expected \"default\", \"gpt-2\", \"smollm\" or \"llama-bpe\""
      ),
      (.letters.with { $0.pre = "" }, nil), (.letters.with { $0.model = "" }, nil),
      (
        .letters.with { $0.model = "bert" },
        "model' is \"bert\", which is not supported; expected \"gpt2\" or \"llama\""
      ),
    ] as [(DescribedTokenizer, String?)])
  func unsupported(described: DescribedTokenizer, fault: String?) {
    let error = error(described)
    #expect(error?.code == .unsupported)
    let advice = ", or give the model's tokenizer.json beside the file or by the option 'tokenizer'"
    #expect(error?.message.hasSuffix(advice) == true)
    if let fault { #expect(error?.message == "model.gguf: 'tokenizer.ggml.\(fault)\(advice)") }
  }

  @Test(
    "limits the length of tokens",
    arguments: [
      (
        DescribedTokenizer.letters.with { $0.tokens[3] = String(repeating: "a", count: 4097) },
        "tokens[3]' has 4097 bytes, expected at most 4096"
      ),
      (
        .letters.with { $0.tokens[6] = String(repeating: "a", count: 257) },
        "tokens[6]' has 257 bytes, expected at most 256 in a special or user-defined token"
      ),
    ])
  func limits(described: DescribedTokenizer, fault: String) {
    let error = error(described)
    #expect(error?.code == .limit)
    #expect(error?.message == "model.gguf: 'tokenizer.ggml.\(fault)")
  }

  @Test("whatever a description says, it is rejected or encodes and decodes")
  func randomDescriptions() throws {
    var random = SeededRandom(seed: 11)
    let parts = ["a", "b", "Ġ", "▁", "é", "\0", "<", ">", "0x41", "<0x41>", "<0xC3>", " ", "中", "1", "", "😀"]
    var loaded = 0
    for _ in 0..<2000 {
      func text() -> String {
        (0..<Int.random(in: 1...3, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
      }
      let tokens = Array(Set((0..<Int.random(in: 1...12, using: &random)).map { _ in text() })).sorted()
      var described = DescribedTokenizer(
        model: Bool.random(using: &random) ? "gpt2" : "llama",
        pre: ["default", "gpt-2", "smollm", "llama-bpe"].randomElement(using: &random), tokens: tokens)
      described.types = tokens.map { _ in Int32([1, 1, 1, 1, 2, 3, 4, 5, 6].randomElement(using: &random) ?? 1) }
      if Bool.random(using: &random) { described.scores = tokens.map { _ in Float.random(in: -2...2, using: &random) } }
      let left = tokens.randomElement(using: &random) ?? ""
      if Bool.random(using: &random) { described.merges = ["\(left) \(tokens.randomElement(using: &random) ?? "")"] }
      described.eos = Int.random(in: 0..<tokens.count, using: &random)
      guard let tokenizer = try? described.tokenizer() else { continue }
      loaded += 1
      let bytes = Array((0..<8).map { _ in text() }.joined().utf8) + [UInt8.random(in: 0...255, using: &random)]
      let ids = try tokenizer.ids(bytes, parsingSpecials: Bool.random(using: &random))
      #expect(ids.allSatisfy { $0 >= 0 && $0 < tokens.count })
      let any = (0..<8).map { _ in Int32.random(in: 0..<Int32(tokens.count), using: &random) }
      #expect(try !tokenizer.text(ids + any).contains("[") && tokenizer.stream(any).count == 9)
    }
    #expect(loaded > 200)
  }

  @Test("memory is bounded by the stated multiple of the description's size")
  func boundedMemory() throws {
    let described = DescribedTokenizer.pieces.with { described in
      for index in 0..<4100 {
        described.tokens.append("\(index)" + String(repeating: "a", count: index % 3 == 0 ? 250 : 1))
        described.scores.append(Float(index))
        described.types.append(index % 3 == 0 ? 4 : 1)
      }
    }
    let allocator = MemoryAllocator()
    _ = try described.tokenizer(allocator: allocator)
    let size = described.tokens.reduce(0) { $0 + $1.utf8.count + 16 }
    #expect(allocator.peak <= 128 * size + 1 << 20)
  }

  @Test(
    "any allocation may fail: the error says so and nothing stays behind",
    arguments: [DescribedTokenizer.letters, .pieces])
  func refusedAllocation(described: DescribedTokenizer) throws {
    var request = 0
    while true {
      let host = CountingHost(failingRequest: request)
      let functions = MemoryAllocator.Functions(
        allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user)
      let allocator = MemoryAllocator(functions: functions)
      do {
        _ = try described.tokenizer(allocator: allocator)
        break
      } catch let error as XverseError {
        #expect(error.code == .outOfMemory && host.blockCount == 0)
      }
      request += 1
    }
    #expect(request > 10)
  }

  @Test("a list that cannot grow is as before")
  func refusedGrowth() throws {
    let allocator = MemoryAllocator(limit: 256)
    var list = TextList(allocator: allocator)
    try list.append("ab")
    let long = String(repeating: "c", count: 1000)
    #expect(throws: XverseError.self) { try list.append(long) }
    #expect(list.count == 1 && list.byteCount == 2 && list[0].elementsEqual("ab".utf8))
  }
}
