// GenerationDefaults.swift -- how a checkpoint wants to be sampled, from generation_config.json.

import XverseCore
import XverseFormats

/// The fields of generation_config.json that are known here; nil where the file says nothing or null.
package struct GenerationDefaults: Sendable, Equatable {
  package var doSample: Bool?
  package var temperature: Double?
  package var topK: Int?
  package var topP: Double?
  package var minP: Double?
  package var typicalP: Double?
  package var repetitionPenalty: Double?
  package var maxNewTokens: Int?
  package var eosTokens: [Int32]?
  package var bosToken: Int32?
  package var padToken: Int32?

  /// What a checkpoint without the file says: nothing.
  package init() {}

  /// - Throws: `corrupt`, or `limit`, for a field that no generation can use; unknown fields are passed over.
  package init(json: JSONDocument, vocabularySize: Int) throws(XverseError) {
    let fields = try JSONFields(json.root)
    doSample = try fields.bool("do_sample")
    temperature = try fields.number("temperature", expected: "a number of at least 0") { $0 >= 0 }
    topK = try fields.integer("top_k", in: 0...Int(Int32.max))
    topP = try Self.probability("top_p", fields)
    minP = try Self.probability("min_p", fields)
    typicalP = try Self.probability("typical_p", fields)
    repetitionPenalty = try fields.number("repetition_penalty", expected: "a number above 0") { $0 > 0 }
    maxNewTokens = try fields.integer("max_new_tokens", in: 1...Int(Int32.max))
    eosTokens = try fields.tokens("eos_token_id", vocabularySize: vocabularySize)
    bosToken = try fields.tokens("bos_token_id", vocabularySize: vocabularySize)?.first
    padToken = try fields.tokens("pad_token_id", vocabularySize: vocabularySize)?.first
  }

  private static func probability(_ key: String, _ fields: JSONFields) throws(XverseError) -> Double? {
    try fields.number(key, expected: "a number from 0 to 1") { (0...1).contains($0) }
  }
}
