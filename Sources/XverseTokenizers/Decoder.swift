// Decoder.swift -- what a token becomes in text. The steps of the file are sorted at load into those that change one
// token at a time, the way bytes are spelled, and what happens to the joined text, so that decoding can stream.

import XverseCore

/// The `decoder` of tokenizer.json.
struct Decoder {
  enum TokenStep {
    case replace(LiteralReplacement)
    case metaspace(Metaspace)
    case strip(LeadingStrip)
  }

  /// How tokens spell bytes.
  enum ByteSpelling {
    /// They do not.
    case none
    /// A token `<0xNN>` is a byte; a run of them that is not UTF-8 is not text.
    case fallback
    /// Every character of `ByteAlphabet` is a byte.
    case alphabet
  }

  let steps: [TokenStep]
  let byteSpelling: ByteSpelling
  /// What the joined text loses at its start.
  let textStrip: LeadingStrip?
  /// What stands between two tokens: a space when the file has no decoder.
  let separator: EncodedScalar?

  /// A decoder that joins the tokens.
  init(steps: [TokenStep], byteSpelling: ByteSpelling, textStrip: LeadingStrip?) {
    self.steps = steps
    self.byteSpelling = byteSpelling
    self.textStrip = textStrip
    separator = nil
  }

  init(_ file: FileValue?) throws(XverseError) {
    var steps: [TokenStep] = []
    var byteSpelling = ByteSpelling.none
    var textStrip: LeadingStrip?
    var isJoined = false
    var growth = 1
    for component in try file?.flattened("decoders") ?? [] {
      let isTokenStep = !isJoined && byteSpelling == .none
      switch try component.type() {
      case "Replace" where isTokenStep:
        let replacement = try LiteralReplacement(component)
        growth *= min(replacement.growth, Normalizer.maximumGrowth + 1)
        guard growth <= Normalizer.maximumGrowth else {
          throw component.limit(expected: "steps that lengthen a text at most \(Normalizer.maximumGrowth)-fold in all")
        }
        steps.append(.replace(replacement))
      case "Metaspace" where isTokenStep:
        steps.append(.metaspace(try Metaspace(component)))
      case "Strip" where isTokenStep:
        steps.append(.strip(try LeadingStrip(component)))
      case "Strip" where isJoined && textStrip == nil:
        textStrip = try LeadingStrip(component)
      case "ByteFallback" where isTokenStep:
        component.expectKeys(["type"])
        byteSpelling = .fallback
      case "ByteLevel" where isTokenStep:
        component.expectKeys(["type", "add_prefix_space", "trim_offsets", "use_regex"])
        byteSpelling = .alphabet
        isJoined = true
      case "Fuse":
        component.expectKeys(["type"])
        isJoined = true
      default:
        throw component.unsupportedType(
          expected: "Replace, Metaspace and Strip, then ByteFallback or ByteLevel, then Fuse, then one Strip")
      }
    }
    self.steps = steps
    self.byteSpelling = byteSpelling
    self.textStrip = textStrip
    separator = file == nil ? EncodedScalar(" ") : nil
  }

  /// Whether the first token of a text is decoded differently from the others.
  var distinguishesFirst: Bool {
    steps.contains { step in
      if case .metaspace(let metaspace) = step { metaspace.prependScheme != .never } else { false }
    }
  }

  /// The token's bytes in text, and whether they are one byte of a character that other tokens complete.
  ///
  /// - Returns: Bytes of `content` or in the memory of `scratch`.
  func decode(
    _ content: UnsafeRawBufferPointer, isFirst: Bool, scratch: inout Scratch
  ) throws(XverseError) -> (bytes: UnsafeRawBufferPointer, isByte: Bool) {
    var bytes = content
    for step in steps {
      scratch.back.removeAll()
      switch step {
      case .replace(let replacement):
        _ = try replacement.append(TextPiece(bytes: bytes, leadingCount: 0), to: &scratch.back)
      case .metaspace(let metaspace):
        try metaspace.appendDecoded(bytes, isFirst: isFirst, to: &scratch.back)
      case .strip(var strip):
        try scratch.back.append(bytes: strip.remainder(of: bytes))
      }
      swap(&scratch.front, &scratch.back)
      bytes = UnsafeRawBufferPointer(scratch.front.elements)
    }
    scratch.back.removeAll()
    switch byteSpelling {
    case .none: return (bytes, false)
    case .fallback:
      guard let byte = ByteToken.byte(of: bytes) else { return (bytes, false) }
      try scratch.back.append(byte)
      return (UnsafeRawBufferPointer(scratch.back.elements), true)
    case .alphabet:
      let isSpelled = try ByteAlphabet.appendBytes(spelledBy: bytes, to: &scratch.back)
      return (isSpelled ? UnsafeRawBufferPointer(scratch.back.elements) : bytes, false)
    }
  }

  /// Memory of one `decode` after the other.
  struct Scratch: ~Copyable {
    fileprivate var front: Buffer<UInt8>
    fileprivate var back: Buffer<UInt8>

    init(allocator: MemoryAllocator) {
      front = Buffer(allocator: allocator)
      back = Buffer(allocator: allocator)
    }
  }
}

/// Strip at the start: drops up to a number of one character.
struct LeadingStrip {
  let scalar: EncodedScalar
  /// How many may still be dropped.
  private(set) var remaining: Int

  init(_ scalar: Unicode.Scalar, count: Int) {
    self.scalar = EncodedScalar(scalar)
    remaining = count
  }

  init(_ file: FileValue) throws(XverseError) {
    file.expectKeys(["type", "content", "start", "stop"])
    scalar = EncodedScalar(try file.required("content").scalar())
    let start = try file.required("start")
    guard let count = start.value.int, count >= 0 else { throw start.corrupt(expected: "a count") }
    remaining = count
    let stop = try file.required("stop")
    guard stop.value.int == 0 else { throw stop.unsupported(expected: "0") }
  }

  /// Whether the next character of the text is dropped.
  mutating func drops(_ next: EncodedScalar) -> Bool {
    guard remaining > 0 else { return false }
    guard next == scalar else {
      remaining = 0
      return false
    }
    remaining -= 1
    return true
  }

  /// What is left of the next bytes of the text, which hold whole characters.
  mutating func remainder(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var position = 0
    while remaining > 0 && position < bytes.count {
      if scalar.matches(bytes, at: position) {
        position += scalar.count
        remaining -= 1
      } else {
        remaining = 0
      }
    }
    return UnsafeRawBufferPointer(rebasing: bytes[position...])
  }
}

/// The spelling of a byte that no other token covers: `<0x00>` to `<0xFF>`.
enum ByteToken {
  static func content(of byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.count == 1 ? "<0x0\(digits)>" : "<0x\(digits)>"
  }

  /// The byte that a token spells, in digits of either case; nil for every other token.
  static func byte(of content: UnsafeRawBufferPointer) -> UInt8? {
    guard content.count == 6, content.starts(with: "<0x".utf8), content[5] == UInt8(ascii: ">"),
      let high = Character(Unicode.Scalar(content[3])).hexDigitValue,
      let low = Character(Unicode.Scalar(content[4])).hexDigitValue
    else { return nil }
    return UInt8(high << 4 | low)
  }
}

extension Metaspace {
  /// Appends the token with its replacement characters as spaces. The first token of a text loses all of them when
  /// encoding prepends one: so do Hugging Face's `tokenizers`.
  fileprivate func appendDecoded(
    _ bytes: UnsafeRawBufferPointer, isFirst: Bool, to buffer: inout Buffer<UInt8>
  ) throws(XverseError) {
    var position = 0
    while position < bytes.count {
      if replacement.matches(bytes, at: position) {
        if !isFirst || prependScheme == .never { try buffer.append(UInt8(ascii: " ")) }
        position += replacement.count
      } else {
        try buffer.append(bytes[position])
        position += 1
      }
    }
  }
}

extension ByteAlphabet {
  /// Appends the bytes of the characters; false, with a part appended, when a character stands for no byte.
  fileprivate static func appendBytes(
    spelledBy text: UnsafeRawBufferPointer, to buffer: inout Buffer<UInt8>
  ) throws(XverseError) -> Bool {
    var position = 0
    while position < text.count {
      guard let scalar = UTF8Scalar.scalar(in: text, at: position), let byte = byte(of: scalar) else { return false }
      try buffer.append(byte)
      position += UTF8Scalar.characterLength(in: text, at: position)
    }
    return true
  }
}
