// BadDirectory+Tokenizer.swift -- tokenizer.json as it should not be.

import CXverse
import Foundation
import TestSupport
import Testing

extension BadDirectory {
  private static func tokenizer(_ name: String, _ status: Int, _ text: String, _ words: String...) -> BadDirectory {
    BadDirectory(name: name, status: status, words: ["tokenizer.json"] + words) { try $0.write("tokenizer.json", text) }
  }

  static let tokenizers: [BadDirectory] = [
    tokenizer("an empty tokenizer.json", XVERSE_E_CORRUPT, "", "empty"),
    tokenizer("no JSON in tokenizer.json", XVERSE_E_CORRUPT, "{\"model\": ", "byte 10"),
    tokenizer("no model in tokenizer.json", XVERSE_E_CORRUPT, "{}", "model"),
    tokenizer(
      "an unknown kind of tokenizer", XVERSE_E_UNSUPPORTED,
      "{\"model\": {\"type\": \"Unigram\", \"vocab\": [[\"a\", -1]]}}", "Unigram"),
    BadDirectory(name: "a truncated tokenizer.json", status: XVERSE_E_CORRUPT, words: ["tokenizer.json", "byte"]) {
      let bytes = try $0.bytes(of: "tokenizer.json")
      try $0.write("tokenizer.json", Array(bytes.prefix(bytes.count / 2)))
    },
    BadDirectory(
      name: "fewer rows than the embedding has", status: XVERSE_E_CORRUPT, words: ["model.embed_tokens.weight", "100"],
      isFoundByLoadAlone: true
    ) {
      try $0.edit("config.json", ["vocab_size": 100])
    },
    BadDirectory(name: "a tokenizer.json of 1 GB", status: XVERSE_E_LIMIT, words: ["tokenizer.json", "1073741824"]) {
      try $0.extend("tokenizer.json", to: 1 << 30)
    },
    BadDirectory(
      name: "a tokenizer.json that is no UTF-8", status: XVERSE_E_CORRUPT, words: ["tokenizer.json", "UTF-8"]
    ) {
      try $0.write("tokenizer.json", Array("{\"model\": \"".utf8) + [0xED, 0xA0, 0x80] + Array("\"}".utf8))
    },
    tokenizer(
      "deep nesting in tokenizer.json", XVERSE_E_LIMIT,
      "{\"normalizer\": " + String(repeating: "{\"a\":", count: 100_000), "deep"),
    vocabulary("two tokens of one id", XVERSE_E_CORRUPT, "7", "'") { $0["again"] = 7 },
    vocabulary("an id of -1", XVERSE_E_CORRUPT, "model.vocab.again", "-1") { $0["again"] = -1 },
    vocabulary("an id of 2^31", XVERSE_E_CORRUPT, "model.vocab.again", "2147483648") { $0["again"] = 1 << 31 },
    vocabulary("an id that no array of the file's size holds", XVERSE_E_LIMIT, "model.vocab.again", "2147483647") {
      $0["again"] = Int(Int32.max)
    },
    vocabulary("an id with a fraction", XVERSE_E_CORRUPT, "model.vocab.again", "0.5") { $0["again"] = 0.5 },
    vocabulary("an empty token", XVERSE_E_CORRUPT, "model.vocab", "empty") { $0[""] = 371 },
    vocabulary("a token that is not named", XVERSE_E_CORRUPT, "model.vocab.again", "null") { $0["again"] = NSNull() },
    vocabulary("an id that no row of the embedding has", XVERSE_OK) { $0["again"] = 5000 },
    vocabulary("a name that steers a terminal", XVERSE_E_CORRUPT, #"\u{9b}2J"#) { $0["\u{9B}2J"] = -1 },
    vocabulary("a gap in the ids", XVERSE_OK) { $0["x"] = nil },
    vocabulary("a table of bytes with a gap", XVERSE_OK) {
      for byte in ["<0xE4>", "<0x00>", "<0xFF>"] { $0[byte] = nil }
    },
    vocabulary("bytes that are none", XVERSE_OK) {
      for (name, byte) in [("<0x-1>", "<0x01>"), ("<0xZZ>", "<0x02>"), ("<0x100>", "<0x03>")] {
        $0[name] = $0.removeValue(forKey: byte)
      }
    },
    model("a merge of an unknown piece", XVERSE_E_CORRUPT, "model.merges[0]", "zzz") { $0["merges"] = [["zzz", "a"]] },
    model("a merge into an unknown piece", XVERSE_E_CORRUPT, "model.merges[0]", "'Zz'") {
      $0["merges"] = [["Z", "z"]]
    },
    model("a merge of three", XVERSE_E_CORRUPT, "model.merges[1]") { $0["merges"] = [["h", "e"], ["a", "b", "c"]] },
    model("a merge without a space", XVERSE_E_CORRUPT, "model.merges[0]", "ab") { $0["merges"] = ["ab"] },
    model("no merges", XVERSE_E_CORRUPT, "model.merges", "missing") { $0["merges"] = nil },
    model("an unknown token that is unknown", XVERSE_OK) { $0["unk_token"] = "<?>" },
    model("dropout", XVERSE_E_UNSUPPORTED, "model.dropout", "0.1") { $0["dropout"] = 0.1 },
    model("a vocabulary that is an array", XVERSE_E_CORRUPT, "model.vocab") { $0["vocab"] = ["a", "b"] },
    file("an added token with the id of another", XVERSE_OK) {
      $0["added_tokens"] = [added("new", 7)]
    },
    file("an added token with another id than the model's", XVERSE_OK) {
      $0["added_tokens"] = [added("<sep>", 1)]
    },
    file("an added token that the model has", XVERSE_OK) { $0["added_tokens"] = [added("a", 70)] },
    file("an added token twice", XVERSE_OK) {
      $0["added_tokens"] = [added("<sep>", 0), added("<sep>", 0)]
    },
    file("an empty added token", XVERSE_OK) { $0["added_tokens"] = [added("", 0)] },
    file("an added token of 1 MB", XVERSE_E_LIMIT, "added_tokens[0].content") {
      $0["added_tokens"] = [added(String(repeating: "x", count: 1_000_000), 370)]
    },
    file("a pattern that takes exponential time", XVERSE_E_UNSUPPORTED, "pre_tokenizer.type", "Split") {
      $0["pre_tokenizer"] = ["type": "Split", "pattern": ["Regex": "(a+)+$"], "behavior": "Isolated", "invert": false]
    },
    file("a hundred steps", XVERSE_E_LIMIT, "pre_tokenizer.pretokenizers", "32") {
      $0["pre_tokenizer"] = [
        "type": "Sequence",
        "pretokenizers": [Any](repeating: ["type": "Digits", "individual_digits": true], count: 100),
      ]
    },
    file("replacements that grow without end", XVERSE_E_LIMIT, "normalizer.normalizers") {
      let growing: [String: Any] = [
        "type": "Replace", "pattern": ["String": "a"], "content": String(repeating: "a", count: 1000),
      ]
      $0["normalizer"] = ["type": "Sequence", "normalizers": [Any](repeating: growing, count: 20)]
    },
    file("a truncation that a training left behind", XVERSE_OK) {
      $0["truncation"] =
        ["direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0] as [String: Any]
    },
    model("a member that Hugging Face's tokenizers pass over", XVERSE_OK) { $0["cache_capacity"] = 10 },
    file("an unknown member", XVERSE_E_UNSUPPORTED, "'surprise'") { $0["surprise"] = 1 },
  ]

  /// Changes members of tokenizer.json.
  private static func file(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (inout [String: Any]) -> Void
  ) -> BadDirectory {
    BadDirectory(name: name, status: status, words: ["tokenizer.json"] + words) {
      let parsed = try JSONSerialization.jsonObject(with: Data($0.bytes(of: "tokenizer.json")))
      var file = try #require(parsed as? [String: Any])
      change(&file)
      try $0.write("tokenizer.json", [UInt8](JSONSerialization.data(withJSONObject: file)))
    }
  }

  private static func model(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (inout [String: Any]) -> Void
  ) -> BadDirectory {
    let row = file(name, status) {
      guard var model = $0["model"] as? [String: Any] else { return }
      change(&model)
      $0["model"] = model
    }
    return BadDirectory(name: name, status: status, words: row.words + words, spoil: row.spoil)
  }

  private static func vocabulary(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (inout [String: Any]) -> Void
  ) -> BadDirectory {
    let row = model(name, status) {
      guard var tokens = $0["vocab"] as? [String: Any] else { return }
      change(&tokens)
      $0["vocab"] = tokens
    }
    return BadDirectory(name: name, status: status, words: row.words + words, spoil: row.spoil)
  }

  private static func added(_ content: String, _ id: Int) -> [String: Any] {
    [
      "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
      "special": true,
    ]
  }
}
