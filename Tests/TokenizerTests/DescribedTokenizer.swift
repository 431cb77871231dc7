// DescribedTokenizer.swift -- small tokenizer descriptions for the tests, as a reader of GGUF files would make them.

import XverseCore
@testable import XverseTokenizers

/// A `TokenizerDescription` under construction.
struct DescribedTokenizer: Decodable {
  var model = "gpt2"
  var pre: String?
  var tokens: [String] = []
  var scores: [Float] = []
  var types: [Int32] = []
  var merges: [String] = []
  var bos: Int?
  var eos: Int?
  var unk: Int?
  var pad: Int?
  var prefix: Bool?

  func description(source: String = "model.gguf") throws -> TokenizerDescription {
    var description = TokenizerDescription(source: source, model: model)
    description.preTokenizer = pre
    for token in tokens { try description.tokens.append(token) }
    for score in scores { try description.scores.append(score) }
    for type in types { try description.types.append(type) }
    for merge in merges { try description.merges.append(merge) }
    description.beginToken = bos
    description.endToken = eos
    description.unknownToken = unk
    description.paddingToken = pad
    description.addsSpacePrefix = prefix
    return description
  }

  func tokenizer(allocator: MemoryAllocator = .system) throws -> Tokenizer {
    let description = try description()
    return try Tokenizer(description, allocator: allocator)
  }

  /// The same description after a change.
  func with(_ change: (inout DescribedTokenizer) -> Void) -> DescribedTokenizer {
    var copy = self
    change(&copy)
    return copy
  }
}

extension TextList {
  mutating func append(_ text: String) throws {
    try Array(text.utf8).withUnsafeBytes { try append($0) }
  }
}
