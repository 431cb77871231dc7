// Unicode.Scalar+Classes.swift -- the character classes of the pre-tokenizers. The classes decide ids, so each stays
// at the Unicode version that the Hugging Face `tokenizers` library uses for it, even where Swift's tables are newer.

extension Unicode.Scalar {
  /// Categories Nd, Nl and No: what the Digits step cuts at.
  var isNumeric: Bool {
    if isASCII { return isASCIIDigit }
    if isCommonLetter || isCommonSymbol { return false }
    return properties.isNumber
  }

  /// ASCII punctuation and symbols, and the categories P* of Unicode 8: what the Punctuation step cuts at.
  var isPunctuation: Bool {
    if isASCII {
      return value > 0x20 && value < 0x7F && !isASCIIDigit && !isASCIILetter
    }
    if isCommonLetter || isCommonSymbol { return false }
    // Two characters that were punctuation in Unicode 8 and are not any more.
    if value == 0x166D || value == 0x111C9 { return true }
    return properties.isPunctuation && isAssigned(by: 8)
  }

  /// `[\p{P}$+<=>^~|]`: what the pre-tokenizer "default" of GGUF files cuts out first.
  var isSymbolOfDefaultPattern: Bool {
    if isASCII { return isPunctuation && value != 0x60 }
    if isCommonLetter || isCommonSymbol { return false }
    return properties.isPunctuation
  }

  /// The class of the character in the GPT-2 pattern.
  enum WordClass {
    case letter, number, whitespace, other
  }

  /// `\p{L}`, `\p{N}` and `\s` of Unicode 16.
  var wordClass: WordClass {
    if isASCII {
      if isASCIILetter { return .letter }
      if isASCIIDigit { return .number }
      return value == 0x20 || (value >= 0x09 && value <= 0x0D) ? .whitespace : .other
    }
    if isCommonLetter { return .letter }
    if properties.isWhitespace { return .whitespace }
    if properties.isLetter { return isAssigned(by: 16) ? .letter : .other }
    if properties.isNumber { return isAssigned(by: 16) ? .number : .other }
    return .other
  }

  /// `\w` of Unicode's regular expressions (UTS #18, annex C).
  var isWord: Bool {
    if properties.isAlphabetic || properties.isJoinControl { return true }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return false
    }
  }

  private var isASCIIDigit: Bool { value >= 0x30 && value <= 0x39 }
  private var isASCIILetter: Bool { (value | 0x20) >= 0x61 && (value | 0x20) <= 0x7A }

  /// Blocks that consist of letters since Unicode 8: Han and Hangul, where a table look-up a character would show.
  private var isCommonLetter: Bool {
    (value >= 0x4E00 && value <= 0x9FD5) || (value >= 0xAC00 && value <= 0xD7A3)
  }

  /// Blocks of nothing but symbols: the "▁" of Metaspace stands among them.
  private var isCommonSymbol: Bool { value >= 0x2500 && value <= 0x25FF }

  private func isAssigned(by version: Int) -> Bool {
    guard let age = properties.age else { return false }
    return age.major <= version
  }
}

extension Unicode.Scalar.Properties {
  fileprivate var isLetter: Bool {
    switch generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  fileprivate var isNumber: Bool {
    switch generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }

  fileprivate var isPunctuation: Bool {
    switch generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      true
    default: false
    }
  }
}
