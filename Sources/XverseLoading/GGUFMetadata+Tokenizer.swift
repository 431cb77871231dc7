// GGUFMetadata+Tokenizer.swift -- the tokenizer in the metadata of a GGUF file. The file's keys stand here and nowhere else.

import XverseCore
import XverseFormats
import XverseTokenizers

extension GGUFMetadata {
  /// What is there of a tokenizer; `Tokenizer` checks it.
  ///
  /// - Throws: `corrupt` for a value of another type than the key has; `outOfMemory`.
  func tokenizer(allocator: MemoryAllocator) throws(XverseError) -> TokenizerDescription {
    let fields = GGUFFields(self, prefix: "tokenizer.ggml.")
    guard let model = try fields.string("model") else {
      throw fields.missing("model", expected: "'gpt2' or 'llama', or a tokenizer.json beside the file")
    }
    var result = TokenizerDescription(source: source, model: model, allocator: allocator)
    result.preTokenizer = try fields.string("pre")
    try Self.read("tokens", fields, expected: "an array of texts") { (value) throws(XverseError) in
      try value.forEachText { (text) throws(XverseError) in try result.tokens.append(text) }
    }
    try Self.read("merges", fields, expected: "an array of texts") { (value) throws(XverseError) in
      try value.forEachText { (text) throws(XverseError) in try result.merges.append(text) }
    }
    try Self.read("scores", fields, expected: "an array of type float32") { (value) throws(XverseError) in
      try value.forEachFloat { (score) throws(XverseError) in try result.scores.append(score) }
    }
    try Self.read("token_type", fields, expected: "an array of integers") { (value) throws(XverseError) in
      try value.forEachInteger { (type) throws(XverseError) in try result.types.append(Int32(clamping: type)) }
    }
    result.beginToken = try Self.token("bos_token_id", fields)
    result.endToken = try Self.token("eos_token_id", fields)
    result.unknownToken = try Self.token("unknown_token_id", fields)
    result.paddingToken = try Self.token("padding_token_id", fields)
    result.addsBeginToken = try fields.bool("add_bos_token")
    result.addsSpacePrefix = try fields.bool("add_space_prefix")
    return result
  }

  private static func read(
    _ key: String, _ fields: GGUFFields, expected: String,
    _ body: (GGUFValue) throws(XverseError) -> Bool
  ) throws(XverseError) {
    guard let value = fields[key] else { return }
    guard try body(value) else { throw fields.unexpected(key, value, expected: expected) }
  }

  /// nil for the -1 that older converters wrote for "none".
  private static func token(_ key: String, _ fields: GGUFFields) throws(XverseError) -> Int? {
    guard let value = fields[key] else { return nil }
    guard let number = value.integer else { throw fields.unexpected(key, value, expected: "a token") }
    return number == -1 || number == Int(UInt32.max) ? nil : number
  }
}
