// Normalizer.swift -- rewrites the text between added tokens before it is cut into pieces: Prepend and Replace, the
// steps of SentencePiece conversions, and NFKC.

import XverseCore

/// The `normalizer` of tokenizer.json.
struct Normalizer {
  enum Step {
    case prepend([UInt8])
    case replace(LiteralReplacement)
    case nfkc
  }

  /// Most times that a text can grow, so that no file turns a small text into a huge one.
  static let maximumGrowth = 256

  let steps: [Step]

  init(steps: [Step]) { self.steps = steps }

  init(_ file: FileValue?) throws(XverseError) {
    guard let file else {
      steps = []
      return
    }
    var steps: [Step] = []
    var growth = 1
    for component in try file.flattened("normalizers") {
      let step = try Self.step(component)
      growth *= step.growth
      guard growth <= Self.maximumGrowth else {
        throw component.limit(expected: "steps that lengthen a text at most \(Self.maximumGrowth)-fold in all")
      }
      steps.append(step)
    }
    self.steps = steps
  }

  private static func step(_ file: FileValue) throws(XverseError) -> Step {
    switch try file.type() {
    case "Prepend":
      file.expectKeys(["type", "prepend"])
      let prefix = try file.required("prepend")
      let bytes = Array(try prefix.string().utf8)
      guard !bytes.isEmpty else { throw prefix.unsupported(expected: "a text that is not empty") }
      return .prepend(bytes)
    case "Replace":
      return .replace(try LiteralReplacement(file))
    case "NFKC":
      file.expectKeys(["type"])
      return .nfkc
    default:
      throw file.unsupportedType(expected: "Sequence, Prepend, Replace or NFKC")
    }
  }

  /// Applies the steps. Linear in the text.
  ///
  /// - Returns: The piece itself when there are no steps, else one in the memory of `scratch`.
  func normalize(_ piece: TextPiece, scratch: inout Scratch) throws(XverseError) -> TextPiece {
    var piece = piece
    for step in steps {
      // The piece lies in `front` from the second step on.
      scratch.back.removeAll()
      var leadingCount = piece.leadingCount
      switch step {
      case .prepend(let prefix):
        if !piece.bytes.isEmpty {
          for byte in prefix { try scratch.back.append(byte) }
          if leadingCount > 0 { leadingCount += prefix.count }
        }
        try scratch.back.append(bytes: piece.bytes)
      case .replace(let replacement):
        leadingCount = try replacement.append(piece, to: &scratch.back)
      case .nfkc:
        leadingCount = try scratch.nfkc.append(piece, to: &scratch.back)
      }
      swap(&scratch.front, &scratch.back)
      piece = TextPiece(bytes: UnsafeRawBufferPointer(scratch.front.elements), leadingCount: leadingCount)
    }
    return piece
  }

  /// Memory of one `normalize` after the other.
  struct Scratch: ~Copyable {
    fileprivate var front: Buffer<UInt8>
    fileprivate var back: Buffer<UInt8>
    fileprivate var nfkc: NFKC

    init(allocator: MemoryAllocator) {
      front = Buffer(allocator: allocator)
      back = Buffer(allocator: allocator)
      nfkc = NFKC(allocator: allocator)
    }
  }
}

extension Normalizer.Step {
  /// Upper bound of how many times the step lengthens a text. Prepend counts from a text of one byte.
  fileprivate var growth: Int {
    switch self {
    case .prepend(let prefix): min(prefix.count, Normalizer.maximumGrowth) + 1
    case .replace(let replacement): min(replacement.growth, Normalizer.maximumGrowth + 1)
    case .nfkc: NFKC.growth
    }
  }
}

/// Replaces every occurrence of a literal text, from left to right: Replace with a String pattern, which tokenizer.json
/// has among the normalizers and among the decoders.
struct LiteralReplacement {
  /// Longest pattern: the search compares that many bytes at a position.
  static let maximumPattern = 256

  let pattern: [UInt8]
  let content: [UInt8]

  init(_ pattern: String, with content: String) {
    self.pattern = Array(pattern.utf8)
    self.content = Array(content.utf8)
  }

  init(_ file: FileValue) throws(XverseError) {
    file.expectKeys(["type", "pattern", "content"])
    let patternFile = try file.required("pattern")
    guard patternFile.value.kind == .object else { throw patternFile.corrupt(expected: "an object") }
    guard let literal = patternFile["String"] else {
      throw patternFile.unsupported(expected: "a pattern of the form {\"String\": ...}")
    }
    patternFile.expectKeys(["String"])
    pattern = Array(try literal.string().utf8)
    content = Array(try file.required("content").string().utf8)
    guard !pattern.isEmpty else { throw literal.unsupported(expected: "a pattern that is not empty") }
    guard pattern.count <= Self.maximumPattern else {
      throw literal.limit(expected: "a pattern of at most \(Self.maximumPattern) bytes")
    }
  }

  /// Upper bound of how many times a text can grow.
  var growth: Int { max(1, (content.count + pattern.count - 1) / pattern.count) }

  /// Appends the piece with the replacements done.
  ///
  /// - Returns: How many of the appended bytes are leading ones: the content of a replacement counts as the last
  ///   byte that it replaces.
  func append(_ piece: TextPiece, to buffer: inout Buffer<UInt8>) throws(XverseError) -> Int {
    let bytes = piece.bytes
    var leadingCount = 0
    var copied = 0
    var position = 0
    while position < bytes.count {
      guard bytes[position] == pattern[0], matches(bytes, at: position) else {
        position += 1
        continue
      }
      try buffer.append(bytes: UnsafeRawBufferPointer(rebasing: bytes[copied..<position]))
      leadingCount += piece.leading(in: copied..<position)
      position += pattern.count
      for byte in content { try buffer.append(byte) }
      if position <= piece.leadingCount { leadingCount += content.count }
      copied = position
    }
    try buffer.append(bytes: UnsafeRawBufferPointer(rebasing: bytes[copied...]))
    return leadingCount + piece.leading(in: copied..<bytes.count)
  }

  private func matches(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    guard bytes.count - position >= pattern.count else { return false }
    for i in 1..<pattern.count where bytes[position + i] != pattern[i] { return false }
    return true
  }
}
