// GenerationDefaults.swift -- how a checkpoint wants to be sampled, from generation_config.json, read as transformers reads
// it: every value opens, and one that no generation can use fails when a generation needs it.

import XverseCore
import XverseFormats
import XverseModels

/// The fields of generation_config.json that are known here; nil where the file says nothing or null.
package struct GenerationDefaults: Sendable, Equatable {
  /// `top_k` of transformers' GenerationConfig, which draws from 50 tokens when neither file nor caller says more.
  package static let standardTopK = 50

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
  /// By field: the sentence for a value that cannot be used; the field itself is then nil.
  package var faults: [String: String] = [:]
  /// Sentences for people about what was read in an unusual way, or is not supported.
  package var warnings: [String] = []

  /// What a checkpoint without the file says: nothing.
  package init() {}

  /// - Throws: `corrupt` when the file is no object, or for an `eos_token_id` that holds no tokens; unknown fields are
  ///   passed over.
  package init(json: JSONDocument, vocabularySize: Int) throws(XverseError) {
    let fields = try JSONFields(json.root)
    var reader = Reader(fields: fields, warnings: json.warnings)
    doSample = reader.truth("do_sample")
    temperature = reader.number("temperature", expected: "a finite number of at least 0") { $0 >= 0 }
    topK = reader.integer("top_k", in: 0...Int(Int32.max))
    topP = reader.mass("top_p")
    minP = reader.number("min_p", expected: "a number from 0 to 1") { (0...1).contains($0) }
    typicalP = reader.mass("typical_p")
    repetitionPenalty = reader.number("repetition_penalty", expected: "a finite number above 0") { $0 > 0 }
    maxNewTokens = reader.integer("max_new_tokens", in: 1...Int(Int32.max))
    reader.reportUnsupported()
    faults = reader.faults
    warnings = reader.warnings
    eosTokens = try fields.tokens("eos_token_id", vocabularySize: vocabularySize, warnings: &warnings)
    bosToken = token("bos_token_id", fields, vocabularySize)
    padToken = token("pad_token_id", fields, vocabularySize)
  }

  /// A token that most generations do without: what is none is passed over.
  private mutating func token(_ key: String, _ fields: JSONFields, _ vocabularySize: Int) -> Int32? {
    do {
      return try fields.tokens(key, vocabularySize: vocabularySize, warnings: &warnings)?.first
    } catch {
      warnings.append("\(error.message); it is passed over")
      return nil
    }
  }
}

// MARK: reading

/// Takes the fields of the file one by one.
private struct Reader {
  let fields: JSONFields
  var warnings: [String]
  var faults: [String: String] = [:]

  /// A truth value as Python has it: any string but "" and any number but 0 is true.
  mutating func truth(_ key: String) -> Bool? {
    guard let value = fields[key] else { return nil }
    if let bool = value.bool { return bool }
    let truth =
      switch value.kind {
      case .string: value.string?.isEmpty == false
      case .number: value.double != 0
      case .array: value.elements.first { _ in true } != nil
      case .object: value.members.first { _ in true } != nil
      case .bool, .null: false
      }
    warn(key, value, expected: "true or false: it counts as \(truth), as in Python")
    return truth
  }

  /// A whole number, also one that is written as 50.0.
  mutating func integer(_ key: String, in range: ClosedRange<Int>) -> Int? {
    guard let value = fields[key] else { return nil }
    if let number = value.wholeNumber, range.contains(number) { return number }
    fault(key, value, expected: "an integer from \(range.lowerBound) to \(range.upperBound)")
    return nil
  }

  mutating func number(_ key: String, expected: String, where isExpected: (Double) -> Bool) -> Double? {
    guard let value = fields[key] else { return nil }
    if let number = value.double, isExpected(number) { return number }
    fault(key, value, expected: expected)
    return nil
  }

  /// A part of the probability to be kept. Above 1 it keeps everything, as in transformers, and so does NaN.
  mutating func mass(_ key: String) -> Double? {
    guard let value = fields[key] else { return nil }
    if let number = value.double, (0...1).contains(number) { return number }
    guard value.kind == .number, !(value.double.map { $0 < 0 } ?? value.isNegative) else {
      fault(key, value, expected: "a number from 0 to 1")
      return nil
    }
    warn(key, value, expected: "a number from 0 to 1: it keeps everything, as 1 does")
    return 1
  }

  private mutating func fault(_ key: String, _ value: JSONValue, expected: String) {
    faults[key] = fields.message(key, value, expected: expected)
    warn(key, value, expected: "\(expected): a generation that needs it will fail")
  }

  private mutating func warn(_ key: String, _ value: JSONValue, expected: String) {
    warnings.append(fields.message(key, value, expected: expected))
  }

  // MARK: what is not supported

  /// Fields that change what transformers generates, and that this library does not have.
  private static let unsupported = [
    "bad_words_ids", "begin_suppress_tokens", "constraints", "diversity_penalty", "dola_layers", "epsilon_cutoff",
    "eta_cutoff", "exponential_decay_length_penalty", "force_words_ids", "forced_bos_token_id", "forced_eos_token_id",
    "guidance_scale", "max_time", "min_length", "min_new_tokens", "no_repeat_ngram_size", "num_beam_groups",
    "num_beams", "num_return_sequences", "penalty_alpha", "sequence_bias", "stop_strings", "suppress_tokens",
    "token_healing", "top_h", "watermarking_config",
  ]
  /// Of these, those that 1 switches off.
  private static let neutralAtOne: Set = ["guidance_scale", "num_beam_groups", "num_beams", "num_return_sequences"]

  mutating func reportUnsupported() {
    for key in Self.unsupported {
      guard let value = fields[key], !isOff(key, value) else { continue }
      warn(key, value, expected: "no such field: it is not supported and changes nothing here")
    }
    if let value = fields["max_length"], fields["max_new_tokens"] == nil {
      warn(
        "max_length", value, expected: "'max_new_tokens': the length of prompt and answer together is not bounded here")
    }
  }

  private func isOff(_ key: String, _ value: JSONValue) -> Bool {
    switch value.kind {
    case .null: true
    case .bool: value.bool == false
    case .number where key.hasPrefix("forced_"): false
    case .number: value.double == 0 || Self.neutralAtOne.contains(key) && value.double == 1
    case .string: value.string?.isEmpty == true
    case .array: value.elements.first { _ in true } == nil
    case .object: key != "watermarking_config" && value.members.first { _ in true } == nil
    }
  }
}
