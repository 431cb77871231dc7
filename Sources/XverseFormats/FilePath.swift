// FilePath.swift -- a path checked before it reaches the system, and the words for what the system answers.

import Glibc
import XverseCore

/// A path that C can express: not empty, without NUL, shorter than PATH_MAX.
package struct FilePath {
  package enum Kind: Equatable {
    case regularFile
    case directory
    /// Something that holds no file, in words: "a FIFO".
    case other(String)
  }

  package let text: String

  package init(_ text: String) throws(XverseError) {
    guard !text.isEmpty else { throw .invalid("the path is empty, expected a file or a directory") }
    guard !text.utf8.contains(0) else { throw .invalid("\(text.inMessage): the path contains a NUL character") }
    let length = text.utf8.count
    guard length < PATH_MAX else {
      throw .invalid("\(text.inMessage): the path has \(length) bytes, expected at most \(PATH_MAX - 1)")
    }
    self.text = text
  }

  /// The path of `name` inside this directory.
  package func appending(_ name: String) throws(XverseError) -> FilePath {
    try FilePath(text.utf8.last == UInt8(ascii: "/") ? text + name : text + "/" + name)
  }

  /// The last component.
  package var name: String {
    let component = text.utf8.split(separator: UInt8(ascii: "/")).last
    return component.flatMap { String($0) } ?? text
  }

  /// The directory that holds what the path names, for a path that does not end with a slash.
  package var directory: String {
    guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == text.startIndex ? "/" : String(text[..<slash])
  }

  var inMessage: String { text.inMessage }

  /// What the path names, symbolic links followed.
  package func kind() throws(XverseError) -> Kind {
    var status = stat()
    guard text.withCString({ stat($0, &status) }) == 0 else { throw failure(errno, to: "look at") }
    return Self.kind(of: status)
  }

  /// Whether the path names anything; a broken link and a missing directory on the way count as nothing.
  package func exists() throws(XverseError) -> Bool {
    do { _ = try kind() } catch {
      if error.code == .notFound { return false }
      throw error
    }
    return true
  }

  static func kind(of status: stat) -> Kind {
    switch status.st_mode & S_IFMT {
    case S_IFREG: .regularFile
    case S_IFDIR: .directory
    case S_IFIFO: .other("a FIFO")
    case S_IFSOCK: .other("a socket")
    case S_IFCHR: .other("a character device")
    case S_IFBLK: .other("a block device")
    default: .other("no file")
    }
  }

  /// The error for a failed system call.
  func failure(_ number: Int32, to action: String) -> XverseError {
    var buffer = [CChar](repeating: 0, count: 256)
    let isKnown = strerror_r(number, &buffer, buffer.count) == 0
    let words =
      isKnown
      ? buffer.withUnsafeBytes { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      : "error \(number)"
    return switch number {
    case ENOENT, ENOTDIR: .notFound("\(inMessage): \(words)")
    case ENAMETOOLONG: .invalid("\(inMessage): \(words)")
    case ENOMEM: XverseError(.outOfMemory, "\(inMessage): cannot \(action) it: \(words)")
    default: .io("\(inMessage): cannot \(action) it: \(words)")
    }
  }

  func notAFile(_ kind: Kind, expected: String) -> XverseError {
    let found =
      switch kind {
      case .regularFile: "a regular file"
      case .directory: "a directory"
      case .other(let words): words
      }
    return .unsupported("\(inMessage) is \(found), expected \(expected)")
  }
}
