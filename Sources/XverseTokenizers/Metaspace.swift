// Metaspace.swift -- the SentencePiece way with spaces: each becomes a visible character, "▁", and words begin with it.

import XverseCore

/// The Metaspace step, which pre-tokenizers and decoders share.
struct Metaspace {
  enum PrependScheme: String {
    case never, always, first
  }

  let replacement: EncodedScalar
  let prependScheme: PrependScheme
  /// Whether the text is cut before every replacement character.
  let splits: Bool

  /// Reads both spellings: `add_prefix_space` of old files and `prepend_scheme` with `split` of newer ones.
  init(_ file: FileValue) throws(XverseError) {
    file.expectKeys(["type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"])
    // `str_rep` repeats the replacement in old files; the library that wrote it never reads it back.
    replacement = EncodedScalar(try file.required("replacement").scalar())
    let addsPrefix = try file.bool("add_prefix_space", default: true)
    if let scheme = file["prepend_scheme"] {
      guard let known = PrependScheme(rawValue: try scheme.string()) else {
        throw scheme.unsupported(expected: "\"never\", \"always\" or \"first\"")
      }
      guard addsPrefix || known == .never else {
        throw scheme.corrupt(expected: "\"never\", as 'add_prefix_space' is false")
      }
      prependScheme = known
    } else {
      prependScheme = addsPrefix ? .always : .never
    }
    splits = try file.bool("split", default: true)
  }

  /// Replaces the spaces, prepends one where the scheme says so, and cuts.
  func split(
    _ piece: TextPiece, scratch: PreTokenizer.StepScratch, _ emit: (TextPiece) throws(XverseError) -> Void
  ) throws(XverseError) {
    let bytes = piece.bytes
    var part = Part(scratch: scratch)
    if prepends(to: piece) { try part.append(replacement, isLeading: piece.leadingCount > 0) }
    var position = 0
    while position < bytes.count {
      var end = position
      while end < bytes.count && !isSpace(bytes, at: end) { end += 1 }
      try part.append(piece[position..<end])
      guard end < bytes.count else { break }
      if splits && !part.isEmpty {
        try emit(part.piece)
        part = Part(scratch: scratch)
      }
      try part.append(replacement, isLeading: end < piece.leadingCount)
      position = end + (bytes[end] == UInt8(ascii: " ") ? 1 : replacement.count)
    }
    if !part.isEmpty { try emit(part.piece) }
  }

  private func prepends(to piece: TextPiece) -> Bool {
    switch prependScheme {
    case .never: false
    case .always: !isSpace(piece.bytes, at: 0)
    case .first: piece.leadingCount > 0 && !isSpace(piece.bytes, at: 0)
    }
  }

  @inline(__always)
  private func isSpace(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    let byte = bytes[position]
    return byte == UInt8(ascii: " ") || (byte == replacement[0] && replacement.matches(bytes, at: position))
  }

  /// The piece under construction, in the memory of the step.
  private struct Part {
    private let scratch: PreTokenizer.StepScratch
    private var leadingCount = 0

    init(scratch: PreTokenizer.StepScratch) {
      self.scratch = scratch
      scratch.piece.removeAll()
    }

    var isEmpty: Bool { scratch.piece.isEmpty }

    var piece: TextPiece {
      TextPiece(bytes: UnsafeRawBufferPointer(scratch.piece.elements), leadingCount: leadingCount)
    }

    mutating func append(_ piece: TextPiece) throws(XverseError) {
      try scratch.piece.append(bytes: piece.bytes)
      leadingCount += piece.leadingCount
    }

    mutating func append(_ scalar: EncodedScalar, isLeading: Bool) throws(XverseError) {
      for i in 0..<scalar.count { try scratch.piece.append(scalar[i]) }
      if isLeading { leadingCount += scalar.count }
    }
  }
}
