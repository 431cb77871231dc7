// LoadedModel+Tokens.swift -- whether two models speak of the same tokens.

import XverseCore
import XverseTokenizers

extension LoadedModel {
  /// Compares the tokens of this model with those of another, id by id, and the ids that begin and end a sequence.
  ///
  /// - Throws: `mismatch`, naming the first difference.
  package func requireSameTokens(as other: LoadedModel) throws(XverseError) {
    let (mine, others) = (tokenizer.vocabularySize, other.tokenizer.vocabularySize)
    guard mine == others else { throw difference(other, "\(mine) tokens", "\(others)") }
    for token in 0..<Int32(clamping: mine) {
      guard let text = tokenizer.bytes(of: token), let expected = other.tokenizer.bytes(of: token) else { continue }
      guard text.elementsEqual(expected), tokenizer.isSpecial(token) == other.tokenizer.isSpecial(token) else {
        throw difference(other, "token \(token) is \(description(of: token))", other.description(of: token))
      }
    }
    guard Set(specialTokens.eos) == Set(other.specialTokens.eos) else {
      throw difference(other, "eos_token_id is \(specialTokens.eos)", "\(other.specialTokens.eos)")
    }
    guard specialTokens.bos == other.specialTokens.bos else {
      throw difference(
        other, "bos_token_id is \(specialTokens.bos.map { "\($0)" } ?? "absent")",
        other.specialTokens.bos.map { "\($0)" } ?? "absent")
    }
  }

  private func difference(_ other: LoadedModel, _ found: String, _ expected: String) -> XverseError {
    XverseError(
      .mismatch, "'\(name.inMessage)' has other tokens than '\(other.name.inMessage)': \(found), expected \(expected)")
  }

  private func description(of token: Int32) -> String {
    let text = tokenizer.bytes(of: token).map { String(decoding: $0.prefix(64), as: UTF8.self) } ?? ""
    return "'\(text.inMessage)'" + (tokenizer.isSpecial(token) ? ", special" : "")
  }
}
