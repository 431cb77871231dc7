// TokenizerDescription+Pipeline.swift -- what the model and the pre-tokenizer of a description make of a text before and
// after byte-pair encoding.

import XverseCore

extension TokenizerDescription {
  struct Pipeline {
    var kind: String
    var normalizer = Normalizer(steps: [])
    var preTokenizer = PreTokenizer(steps: [])
    var decoder: Decoder
  }

  /// Reads the names of the model and of the pre-tokenizer.
  func pipeline() throws(XverseError) -> Pipeline {
    switch model {
    case "gpt2":
      let name = preTokenizer ?? "default"
      guard let preTokenizer = PreTokenizer(named: name) else {
        throw unsupported(
          "pre", value: Self.quoted(name), expected: "\"default\", \"gpt-2\", \"smollm\" or \"llama-bpe\"")
      }
      return Pipeline(
        kind: "BPE, \(name)", preTokenizer: preTokenizer,
        decoder: Decoder(steps: [], byteSpelling: .alphabet, textStrip: nil))
    case "llama":
      return sentencePiecePipeline()
    default:
      throw unsupported("model", value: Self.quoted(model), expected: "\"gpt2\" or \"llama\"")
    }
  }

  private func sentencePiecePipeline() -> Pipeline {
    let addsPrefix = addsSpacePrefix ?? hasScores
    let space = "\u{2581}"
    let toPieces = Normalizer.Step.replace(LiteralReplacement(" ", with: space))
    let kind = hasScores ? "SentencePiece BPE" : merges.count == 0 ? "BPE without merges" : "BPE"
    return Pipeline(
      kind: "\(kind), byte fallback",
      normalizer: Normalizer(steps: addsPrefix ? [.prepend(Array(space.utf8)), toPieces] : [toPieces]),
      decoder: Decoder(
        steps: [.replace(LiteralReplacement(space, with: " "))], byteSpelling: .fallback,
        textStrip: addsPrefix ? LeadingStrip(" ", count: 1) : nil))
  }
}
