// PreTokenizer.swift -- cuts the normalized text into the pieces that the model sees: Metaspace, Digits, Punctuation
// and ByteLevel, one after the other. A piece runs through all steps before the next one is cut, so memory is
// bounded by the longest piece.

import XverseCore

/// The `pre_tokenizer` of tokenizer.json.
struct PreTokenizer {
  enum Step {
    case metaspace(Metaspace)
    case characters(CharacterSplit)
    case byteLevel(ByteLevel)
    case words(WordPattern)
    case digitTriples(DigitTriples)
  }

  let steps: [Step]

  init(steps: [Step]) { self.steps = steps }

  init(_ file: FileValue?) throws(XverseError) {
    guard let file else {
      steps = []
      return
    }
    var steps: [Step] = []
    for component in try file.flattened("pretokenizers") { steps.append(try Self.step(component)) }
    self.steps = steps
  }

  private static func step(_ file: FileValue) throws(XverseError) -> Step {
    switch try file.type() {
    case "Metaspace": .metaspace(try Metaspace(file))
    case "Digits": .characters(try CharacterSplit(digits: file))
    case "Punctuation": .characters(try CharacterSplit(punctuation: file))
    case "ByteLevel": .byteLevel(try ByteLevel(file))
    default: throw file.unsupportedType(expected: "Sequence, Metaspace, Digits, Punctuation or ByteLevel")
    }
  }

  /// The steps by name, for `Tokenizer.kind`.
  var names: [String] {
    steps.map { step in
      switch step {
      case .metaspace: "Metaspace"
      case .characters(let split): split.property == .numeric ? "Digits" : "Punctuation"
      case .byteLevel: "ByteLevel"
      case .words: "Words"
      case .digitTriples: "DigitTriples"
      }
    }
  }

  /// Calls `body` with every piece in order; the bytes are valid only during the call. No piece is empty.
  func forEachPiece(
    of text: TextPiece, scratch: Scratch, _ body: (UnsafeRawBufferPointer) throws(XverseError) -> Void
  ) throws(XverseError) {
    guard !text.bytes.isEmpty else { return }
    try run(0, text, scratch, body)
  }

  /// Runs the steps from `index` on. The depth is the number of steps, which `FileValue.flattened` bounds.
  private func run(
    _ index: Int, _ piece: TextPiece, _ scratch: Scratch,
    _ body: (UnsafeRawBufferPointer) throws(XverseError) -> Void
  ) throws(XverseError) {
    guard index < steps.count else { return try body(piece.bytes) }
    switch steps[index] {
    case .metaspace(let step):
      try step.split(piece, scratch: scratch.steps[index]) { (part) throws(XverseError) in
        try run(index + 1, part, scratch, body)
      }
    case .characters(let step):
      try step.split(piece) { (part) throws(XverseError) in try run(index + 1, part, scratch, body) }
    case .byteLevel(let step):
      try step.split(piece, scratch: scratch.steps[index]) { (part) throws(XverseError) in
        try run(index + 1, part, scratch, body)
      }
    case .words(let pattern):
      try pattern.forEachWord(of: piece) { (part) throws(XverseError) in try run(index + 1, part, scratch, body) }
    case .digitTriples(let step):
      try step.split(piece) { (part) throws(XverseError) in try run(index + 1, part, scratch, body) }
    }
  }

  /// Memory for one text after the other: each step has its own, as the pieces of the earlier ones are still read.
  struct Scratch {
    fileprivate let steps: [StepScratch]

    init(for preTokenizer: PreTokenizer, allocator: MemoryAllocator) {
      steps = preTokenizer.steps.map { _ in StepScratch(allocator: allocator) }
    }
  }

  final class StepScratch {
    /// The step's input, where it must be changed before it is cut.
    var text: Buffer<UInt8>
    /// The piece that is handed on.
    var piece: Buffer<UInt8>

    init(allocator: MemoryAllocator) {
      text = Buffer(allocator: allocator)
      piece = Buffer(allocator: allocator)
    }
  }
}

/// Digits and Punctuation: cuts around the characters that have a property.
struct CharacterSplit {
  enum Property {
    case numeric, punctuation
    /// `[\p{P}$+<=>^~|]`.
    case symbol
  }

  let property: Property
  /// Whether each such character is a piece of its own; else a run of them is one piece.
  let individually: Bool

  init(_ property: Property, individually: Bool) {
    self.property = property
    self.individually = individually
  }

  init(digits file: FileValue) throws(XverseError) {
    file.expectKeys(["type", "individual_digits"])
    property = .numeric
    individually = try file.bool("individual_digits")
  }

  init(punctuation file: FileValue) throws(XverseError) {
    file.expectKeys(["type", "behavior"])
    property = .punctuation
    let behavior = file["behavior"]
    switch try behavior?.string() ?? "Isolated" {
    case "Isolated": individually = true
    case "Contiguous": individually = false
    default: throw (behavior ?? file).unsupported(expected: "\"Isolated\" or \"Contiguous\"")
    }
  }

  func split(_ piece: TextPiece, _ emit: (TextPiece) throws(XverseError) -> Void) throws(XverseError) {
    var start = 0
    var position = 0
    var follows = false
    while position < piece.bytes.count {
      let length = UTF8Scalar.characterLength(in: piece.bytes, at: position)
      let matches = hasProperty(piece.bytes, at: position)
      let cuts = individually ? matches || follows : matches != follows
      if cuts && position > start {
        try emit(piece[start..<position])
        start = position
      }
      follows = matches
      position += length
    }
    try emit(piece[start..<position])
  }

  private func hasProperty(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    guard let scalar = UTF8Scalar.scalar(in: bytes, at: position) else { return false }
    switch property {
    case .numeric: return scalar.isNumeric
    case .punctuation: return scalar.isPunctuation
    case .symbol: return scalar.isSymbolOfDefaultPattern
    }
  }
}

/// Cuts three ASCII digits after the other out of the text: `[0-9][0-9][0-9]`.
struct DigitTriples {
  func split(_ piece: TextPiece, _ emit: (TextPiece) throws(XverseError) -> Void) throws(XverseError) {
    var start = 0
    var position = 0
    while position < piece.bytes.count {
      guard isTriple(piece.bytes, at: position) else {
        position += 1
        continue
      }
      if position > start { try emit(piece[start..<position]) }
      try emit(piece[position..<position + 3])
      position += 3
      start = position
    }
    if position > start { try emit(piece[start..<position]) }
  }

  private func isTriple(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    guard bytes.count - position >= 3 else { return false }
    for byte in bytes[position..<position + 3] where byte < UInt8(ascii: "0") || byte > UInt8(ascii: "9") {
      return false
    }
    return true
  }
}

extension PreTokenizer {
  /// The names in GGUF files (`tokenizer.ggml.pre`) and the patterns that llama.cpp takes for them, one after the
  /// other; nil for another name.
  ///
  /// - `default`: `[\p{P}\$\+<=>\^~\|]+`, the GPT-2 pattern, `\p{N}+`, `[0-9][0-9][0-9]`.
  /// - `gpt-2`: the GPT-2 pattern.
  /// - `smollm`: `\p{N}`, the GPT-2 pattern.
  /// - `llama-bpe`: the Llama 3 pattern.
  init?(named name: String) {
    switch name {
    case "default":
      steps = [
        .characters(CharacterSplit(.symbol, individually: false)), .words(.gpt2),
        .characters(CharacterSplit(.numeric, individually: false)), .digitTriples(DigitTriples()),
        .byteLevel(ByteLevel(pattern: nil)),
      ]
    case "gpt-2":
      steps = [.byteLevel(ByteLevel(pattern: .gpt2))]
    case "smollm":
      steps = [.characters(CharacterSplit(.numeric, individually: true)), .byteLevel(ByteLevel(pattern: .gpt2))]
    case "llama-bpe", "llama3", "llama-v3":
      steps = [.byteLevel(ByteLevel(pattern: .llama3))]
    default:
      return nil
    }
  }
}
