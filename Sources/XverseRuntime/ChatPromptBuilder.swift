// ChatPromptBuilder.swift -- the walk of ChatPrompt from the newest message to the oldest: pieces are collected in the
// order in which they are found and written in the order in which they are read.

import XverseCore

/// The tokens of a prompt under construction, the newest piece first.
struct ChatPromptBuilder<Encoder: TextEncoding>: ~Copyable {
  private let limit: Int
  private let eosToken: Int32
  private let tokenizer: Encoder
  private var userPrefix: Buffer<Int32>
  private var execPrefix: Buffer<Int32>
  private var assistantPrefix: Buffer<Int32>
  /// The tokens of all pieces, and where each piece ends.
  private var pieces: Buffer<Int32>
  private var ends: Buffer<Int>
  /// Pieces in finished rounds; those after them belong to a round that may yet be dropped.
  private var finishedCount = 0

  /// - Parameter limit: Most tokens of the prompt.
  init(tokenizer: Encoder, limit: Int, eosToken: Int32, allocator: MemoryAllocator) throws(XverseError) {
    userPrefix = Buffer(allocator: allocator)
    execPrefix = Buffer(allocator: allocator)
    assistantPrefix = Buffer(allocator: allocator)
    pieces = Buffer(allocator: allocator)
    ends = Buffer(allocator: allocator)
    self.tokenizer = tokenizer
    self.limit = limit
    self.eosToken = eosToken
    try Self.encode(nil, "Human: ", with: tokenizer, into: &userPrefix)
    try Self.encode(nil, "Exec: ", with: tokenizer, into: &execPrefix)
    try Self.encode(nil, "Assistant: ", with: tokenizer, into: &assistantPrefix)
  }

  /// Starts with the message to be answered, its head if it is too long, the prefix of the answer, and its beginning.
  mutating func addLastTurn(_ message: ChatMessage?, answer: ChatMessage?) throws(XverseError) {
    var ending = Buffer<Int32>(allocator: pieces.allocator)
    try ending.append(contentsOf: assistantPrefix.elements)
    if let answer { try Self.encode(answer.content, "", with: tokenizer, into: &ending) }
    guard limit >= ending.count else {
      throw XverseError(
        .contextFull, "the chat prompt has room for \(limit) tokens, expected at least \(ending.count)")
    }
    if let message { try addPiece(of: message) }
    pieces.truncate(to: min(pieces.count, limit - ending.count))
    try pieces.append(contentsOf: ending.elements)
    try ends.append(pieces.count)
    finishedCount = ends.count
  }

  /// Adds a message before those that are there; false, and nothing is to be added any more, if its round is too long.
  mutating func prepend(_ message: ChatMessage) throws(XverseError) -> Bool {
    try addPiece(of: message)
    try ends.append(pieces.count)
    // The answers of a round come first in this walk: when they alone are too long, so is the round.
    guard pieces.count <= limit else { return false }
    if message.role != .assistant { finishedCount = ends.count }
    return true
  }

  /// Appends the finished rounds, the oldest first.
  func write(into tokens: inout Buffer<Int32>) throws(XverseError) {
    try tokens.reserve(tokens.count + pieces.count)
    for index in (0..<finishedCount).reversed() {
      let start = index == 0 ? 0 : ends[index - 1]
      try tokens.append(contentsOf: UnsafeBufferPointer(rebasing: pieces.elements[start..<ends[index]]))
    }
  }

  private mutating func addPiece(of message: ChatMessage) throws(XverseError) {
    switch message.role {
    case .system:
      try pieces.append(contentsOf: userPrefix.elements)
      try Self.encode(message.content, "\n", with: tokenizer, into: &pieces)
    case .user:
      try pieces.append(contentsOf: userPrefix.elements)
      try Self.encode(message.content, "\n\n", with: tokenizer, into: &pieces)
    case .exec:
      try pieces.append(contentsOf: execPrefix.elements)
      try Self.encode(message.content, "\n\n", with: tokenizer, into: &pieces)
    case .assistant:
      try pieces.append(contentsOf: assistantPrefix.elements)
      try Self.encode(message.content, "", with: tokenizer, into: &pieces)
      try pieces.append(eosToken)
    }
  }

  /// Appends the tokens of `content` and `ending` as one text.
  private static func encode(
    _ content: ChatMessage.Content?, _ ending: String, with tokenizer: Encoder, into tokens: inout Buffer<Int32>
  ) throws(XverseError) {
    var text = Buffer<UInt8>(allocator: tokens.allocator)
    if let content { try text.append(contentsOf: content.bytes.elements) }
    try text.append(utf8: ending)
    try tokenizer.encode(UnsafeRawBufferPointer(text.elements), parsingSpecials: false, into: &tokens)
  }
}
