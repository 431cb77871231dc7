// TokenizerDescription+JSON.swift -- a tokenizer.json in the words of GGUF metadata, as far as those can say it.

import XverseCore

extension TokenizerDescription {
  /// Describes the tokenizer of a tokenizer.json that `Tokenizer` accepts.
  ///
  /// - Parameters:
  ///   - tokenCount: Rows of the model's embedding; ids that no token has become unused tokens.
  ///   - loss: Becomes a sentence for people about what llama.cpp will do otherwise; nil when nothing is lost.
  /// - Throws: As `Tokenizer`.
  package static func describing(
    json bytes: UnsafeRawBufferPointer, source: String, tokenCount: Int, allocator: MemoryAllocator,
    loss: inout String?
  ) throws(XverseError) -> TokenizerDescription {
    let file = try TokenizerFile(bytes, source: source, allocator: allocator)
    var vocabulary = try file.readVocabulary()
    let model = try file.readModel(vocabulary)
    _ = try file.readAddedTokens(into: &vocabulary, normalizer: Normalizer(file.root["normalizer"]))
    guard vocabulary.idCount <= tokenCount else {
      throw .unsupported(
        "\(source): the highest token id is \(vocabulary.idCount - 1), expected below the \(tokenCount) rows of the "
          + "embedding, beyond which a GGUF file has no tokens")
    }
    let pipeline = try PipelineWords(file.root)
    var result = TokenizerDescription(source: source, model: pipeline.model, allocator: allocator)
    result.preTokenizer = pipeline.preTokenizer
    result.addsBeginToken = false
    result.addsSpacePrefix = pipeline.model == "llama" ? pipeline.addsSpacePrefix : nil
    result.unknownToken = model.options.unknownToken.map(Int.init)
    loss = pipeline.loss.map { "\(source): \($0)" }
    try result.append(
      vocabulary, tokenCount: tokenCount, usesByteFallback: model.options.usesByteFallback, allocator)
    try result.appendTypes(of: file.root["added_tokens"], vocabulary, allocator)
    try result.appendMerges(file.root.required("model").required("merges"), vocabulary, allocator)
    return result
  }

  private mutating func append(
    _ vocabulary: borrowing Vocabulary, tokenCount: Int, usesByteFallback: Bool, _ allocator: MemoryAllocator
  ) throws(XverseError) {
    var name = Buffer<UInt8>(allocator: allocator)
    for id in 0..<Int32(clamping: tokenCount) {
      guard let content = vocabulary.content(of: id) else {
        name.removeAll()
        try name.append(utf8: "[PAD\(id)]")
        try tokens.append(UnsafeRawBufferPointer(name.elements))
        try types.append(TokenKind.unused.rawValue)
        continue
      }
      try tokens.append(content)
      let isByte = usesByteFallback && ByteToken.byte(of: content) != nil
      let kind: TokenKind =
        id == unknownToken.map(Int32.init) ? .unknown : vocabulary.isSpecial(id) ? .control : isByte ? .byte : .normal
      try types.append(kind.rawValue)
    }
  }

  /// Added tokens that are not special are cut out of every text.
  private mutating func appendTypes(
    of added: FileValue?, _ vocabulary: borrowing Vocabulary, _ allocator: MemoryAllocator
  ) throws(XverseError) {
    guard let added else { return }
    var content = Buffer<UInt8>(allocator: allocator)
    for token in added.value.elements where token["special"]?.bool != true {
      content.removeAll()
      try token["content"]?.stringValue?.append(to: &content)
      guard let id = vocabulary.id(of: UnsafeRawBufferPointer(content.elements)).map(Int.init), id < types.count,
        types[id] == TokenKind.normal.rawValue
      else { continue }
      types[id] = TokenKind.userDefined.rawValue
    }
  }

  /// The merges themselves, or for "llama" scores in their order.
  private mutating func appendMerges(
    _ file: FileValue, _ vocabulary: borrowing Vocabulary, _ allocator: MemoryAllocator
  ) throws(XverseError) {
    var merge = Buffer<UInt8>(allocator: allocator)
    let usesScores = model == "llama"
    if usesScores { for _ in 0..<tokens.count { try scores.append(0) } }
    var rank = 0
    for value in file.value.elements {
      merge.removeAll()
      if let line = value.stringValue {
        try line.append(to: &merge)
        if merge.elements.starts(with: "#version".utf8) { continue }
      } else {
        for part in value.elements {
          if !merge.isEmpty { try merge.append(UInt8(ascii: " ")) }
          try part.stringValue?.append(to: &merge)
        }
      }
      rank += 1
      guard usesScores else {
        try merges.append(UnsafeRawBufferPointer(merge.elements))
        continue
      }
      guard let split = merge.elements.firstIndex(of: UInt8(ascii: " ")) else { continue }
      for position in split..<merge.count - 1 { merge[position] = merge[position + 1] }
      merge.truncate(to: merge.count - 1)
      let id = vocabulary.id(of: UnsafeRawBufferPointer(merge.elements)).map(Int.init)
      if let id, id < scores.count, scores[id] == 0 { scores[id] = -Float(rank) }
    }
  }
}

/// What of a pipeline GGUF has words for.
private struct PipelineWords {
  let model: String
  let preTokenizer: String
  let addsSpacePrefix: Bool
  /// What those words leave out.
  let loss: String?

  init(_ root: FileValue) throws(XverseError) {
    let steps = try PreTokenizer(root["pre_tokenizer"])
    let normalizer = try Normalizer(root["normalizer"]).steps
    if let name = Self.name(of: steps.steps), normalizer.isEmpty {
      (model, preTokenizer, addsSpacePrefix, loss) = ("gpt2", name, false, nil)
      return
    }
    let isByteLevel = steps.names.contains("ByteLevel")
    model = isByteLevel ? "gpt2" : "llama"
    preTokenizer = "default"
    addsSpacePrefix = normalizer.contains(where: \.isPrepend) || steps.steps.contains(where: \.prepends)
    let isKnown = !isByteLevel && steps.steps.allSatisfy(\.isMetaspace) && !normalizer.contains(where: \.isNFKC)
    let parts = (normalizer.contains(where: \.isNFKC) ? ["NFKC"] : []) + steps.names.filter { $0 != "Metaspace" }
    loss =
      isKnown
      ? nil : "llama.cpp does not know this tokenizer's \(parts.joined(separator: ", ")) and may give other ids"
  }

  /// llama.cpp's name for these steps.
  private static func name(of steps: [PreTokenizer.Step]) -> String? {
    guard case .byteLevel(let last)? = steps.last, !last.addsPrefixSpace, last.pattern != nil else { return nil }
    if steps.count == 1 { return "gpt-2" }
    guard steps.count == 2, case .characters(let digits) = steps[0], digits.property == .numeric, digits.individually
    else { return nil }
    return "smollm"
  }
}

extension Normalizer.Step {
  fileprivate var isPrepend: Bool { if case .prepend = self { true } else { false } }
  fileprivate var isNFKC: Bool { if case .nfkc = self { true } else { false } }
}

extension PreTokenizer.Step {
  fileprivate var isMetaspace: Bool { if case .metaspace = self { true } else { false } }
  fileprivate var prepends: Bool {
    if case .metaspace(let step) = self { step.prependScheme != .never } else { false }
  }
}
