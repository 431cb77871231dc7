// Tokenizer.swift -- text to ids and back through the library.

import CXverse

final class Tokenizer {
  private let handle: OpaquePointer?
  /// Keeps the model that a borrowed tokenizer belongs to; nil when the tokenizer was opened alone.
  private let model: Model?

  init(borrowing handle: OpaquePointer?, from model: Model) {
    self.handle = handle
    self.model = model
  }

  /// Opens a tokenizer.json or the directory that has one.
  init(path: Word) throws(ToolError) {
    var opened: OpaquePointer?
    try Library.check(xverse_tokenizer_open(path.path, &opened))
    handle = opened
    model = nil
  }

  deinit {
    if model == nil { xverse_tokenizer_release(handle) }
  }

  func encode(_ text: [CChar], flags: Int) throws(ToolError) -> [Int32] {
    // No token is shorter than a byte, so this holds all of them at the first call, but for BOS.
    var tokens = [Int32](repeating: 0, count: text.count + 1)
    var count = 0
    try Library.check(
      xverse_tokenizer_encode(handle, text, text.count, Int32(flags), &tokens, tokens.count, &count))
    return Array(tokens.prefix(count))
  }

  func decode(_ tokens: [Int32], flags: Int) throws(ToolError) -> String {
    var text: UnsafeMutablePointer<CChar>?
    var length = 0
    try Library.check(xverse_tokenizer_decode(handle, tokens, tokens.count, Int32(flags), &text, &length))
    return Library.takeString(text, length)
  }

  /// The bytes that `token` stands for.
  func bytes(of token: Int32) throws(ToolError) -> [UInt8] {
    var start: UnsafePointer<CChar>?
    var length = 0
    try Library.check(xverse_tokenizer_token_bytes(handle, token, &start, &length, nil))
    return Array(UnsafeRawBufferPointer(start: start, count: length))
  }

  /// The same between quotation marks; bytes that are no text as \xNN.
  func quotedPiece(_ token: Int32) throws(ToolError) -> String {
    let bytes = try bytes(of: token)
    if let text = String(validating: bytes, as: UTF8.self) { return JSON.quoted(text) }
    return "\"" + bytes.map { "\\x" + String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "\""
  }
}
