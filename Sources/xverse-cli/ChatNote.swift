// ChatNote.swift -- the messages of a conversation as the note of a saved session, so that one file has everything.

typealias ChatMessage = (role: String, text: [CChar])

/// A line that names the format, then each message: a line with its role and its length in bytes, its text, a line feed.
enum ChatNote {
  private static let title = "xverse chat 1\n"

  static func bytes(of messages: [ChatMessage]) -> [UInt8] {
    messages.reduce(into: Array(title.utf8)) { bytes, message in
      bytes += "\(message.role) \(message.text.count)\n".utf8
      bytes += message.text.map { UInt8(bitPattern: $0) }
      bytes.append(UInt8(ascii: "\n"))
    }
  }

  /// - Parameter file: Where the note comes from, for messages.
  static func messages(in bytes: [UInt8], of file: String) throws(ToolError) -> [ChatMessage] {
    let refusal = ToolError.failure("\(file): the session was not saved by 'xverse chat': its note holds no messages")
    guard bytes.starts(with: title.utf8) else { throw refusal }
    var messages: [ChatMessage] = []
    var rest = bytes[title.utf8.count...]
    while !rest.isEmpty {
      guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { throw refusal }
      let words = String(decoding: rest[..<end], as: UTF8.self).split(separator: " ")
      rest = rest[(end + 1)...]
      guard words.count == 2, let count = Int(words[1]), count >= 0, count < rest.count,
        rest[rest.startIndex + count] == UInt8(ascii: "\n")
      else { throw refusal }
      messages.append((String(words[0]), rest.prefix(count).map { CChar(bitPattern: $0) }))
      rest = rest.dropFirst(count + 1)
    }
    return messages
  }
}
