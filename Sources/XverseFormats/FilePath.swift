// FilePath.swift -- a path checked before it reaches the system, and the words for what the system answers.

import Glibc
import XverseCore

/// What names a file: a text, or bytes in whatever encoding the file system has.
package protocol PathName {
  var pathBytes: [UInt8] { get }
}

extension String: PathName {
  package var pathBytes: [UInt8] { Array(utf8) }
}

extension [UInt8]: PathName {
  package var pathBytes: [UInt8] { self }
}

extension FilePath: PathName {
  package var pathBytes: [UInt8] { bytes }
}

/// A path that C can express, as bytes: not empty, without NUL, shorter than PATH_MAX.
package struct FilePath: Sendable, Equatable {
  package enum Kind: Equatable {
    case regularFile
    case directory
    /// Something that holds no file, in words: "a FIFO".
    case other(String)
  }

  /// Without the NUL that ends it in C.
  package let bytes: [UInt8]

  package init(_ name: some PathName) throws(XverseError) { try self.init(bytes: name.pathBytes) }

  package init(bytes: [UInt8]) throws(XverseError) {
    self.bytes = bytes
    guard !bytes.isEmpty else { throw .invalid("the path is empty, expected a file or a directory") }
    guard !bytes.contains(0) else { throw .invalid("\(inMessage): the path contains a NUL character") }
    guard bytes.count < PATH_MAX else {
      throw .invalid("\(inMessage): the path has \(bytes.count) bytes, expected at most \(PATH_MAX - 1)")
    }
  }

  private init(part: some Sequence<UInt8>) { bytes = Array(part) }

  /// The path for people: bytes that are not UTF-8 are U+FFFD.
  package var text: String { String(decoding: bytes, as: UTF8.self) }

  func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (bytes + [0]).withUnsafeBytes { body($0.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)) }
  }

  func hasSuffix(_ suffix: String) -> Bool { bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) }

  /// The path of `name` inside this directory.
  package func appending(_ name: some PathName) throws(XverseError) -> FilePath {
    let slash = UInt8(ascii: "/")
    return try FilePath(bytes: bytes + (bytes.last == slash ? [] : [slash]) + name.pathBytes)
  }

  /// The last component; the path itself when it has none.
  package var name: FilePath {
    bytes.split(separator: UInt8(ascii: "/")).last.map { FilePath(part: $0) } ?? self
  }

  /// The directory that holds what the path names, for a path that does not end with a slash.
  package var directory: FilePath {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return FilePath(part: ".".utf8) }
    return FilePath(part: slash == 0 ? bytes[...0] : bytes[..<slash])
  }

  var inMessage: String { text.inMessage }

  /// What the path names, symbolic links followed.
  package func kind() throws(XverseError) -> Kind {
    var status = stat()
    guard withCString({ stat($0, &status) }) == 0 else { throw failure(errno, to: "look at") }
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
