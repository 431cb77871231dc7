// InputFile.swift -- an open file that is only read: checked when it is opened, then read at offsets. It is a file of the
// system or one of the host's.

import Glibc
import XverseCore

/// One open regular file that is not empty.
///
/// Threads: reads name their offset, so any number of threads may read.
package struct InputFile: ~Copyable {
  /// Tells whether a second opening found the same, unchanged file.
  package struct Identity: Equatable, Sendable {
    let length: Int
    private let device: dev_t
    private let inode: ino_t
    private let modifiedSeconds: Int
    private let modifiedNanoseconds: Int

    init(_ status: stat) {
      length = status.st_size
      device = status.st_dev
      inode = status.st_ino
      modifiedSeconds = status.st_mtim.tv_sec
      modifiedNanoseconds = status.st_mtim.tv_nsec
    }

    /// The identity of a host's file, of which its length is all that is known.
    fileprivate init(length: Int) {
      self.length = length
      (device, inode, modifiedSeconds, modifiedNanoseconds) = (0, 0, 0, 0)
    }
  }

  /// A descriptor of the system; of a host's file it has the number -1.
  private struct Descriptor: ~Copyable {
    let number: Int32
    deinit { if number >= 0 { close(number) } }
  }

  /// Most bytes read between two reports of progress, so that a cancelled load ends soon.
  static let chunkLength = 64 << 20

  let identity: Identity
  package let name: String
  private let path: FilePath
  private let descriptor: Descriptor
  private let host: HostFiles?

  package var length: Int { identity.length }
  var canBeMapped: Bool { host == nil }

  /// Opens the file.
  ///
  /// - Parameters:
  ///   - maximumLength: Longest file accepted.
  ///   - expected: What an earlier opening found.
  /// - Throws: `invalid` for a path that no file can have, `notFound`, `io`, `unsupported` for what is no regular file,
  ///   `limit` for a longer file, `corrupt` for an empty file and for one that is not the `expected` one.
  package init(path: some PathName, maximumLength: Int = .max, expected: Identity? = nil) throws(XverseError) {
    let path = try FilePath(path)
    let name = path.name.inMessage
    // Asked before opening: opening a device can have effects, and a socket cannot be opened at all.
    try Self.requireRegularFile(path.kind(), at: path)
    let descriptor = try Self.open(path)
    var status = stat()
    guard fstat(descriptor.number, &status) == 0 else { throw path.failure(errno, to: "look at") }
    try Self.requireRegularFile(FilePath.kind(of: status), at: path)
    let identity = try Self.check(Identity(status), of: name, maximumLength, expected)
    self.identity = identity
    self.path = path
    self.name = name
    self.descriptor = descriptor
    host = nil
  }

  /// The file called `name` of the host's.
  ///
  /// - Throws: As for a path, without what only a file system can answer.
  init(
    name path: FilePath, in files: HostFiles, maximumLength: Int, expected: Identity?
  ) throws(XverseError) {
    let name = path.inMessage
    guard let length = files.length(of: path) else {
      throw .notFound("\(name): the source has no such file")
    }
    let identity = try Self.check(Identity(length: length), of: name, maximumLength, expected)
    self.identity = identity
    self.path = path
    self.name = name
    descriptor = Descriptor(number: -1)
    host = files
  }

  private static func check(
    _ identity: Identity, of name: String, _ maximumLength: Int, _ expected: Identity?
  ) throws(XverseError) -> Identity {
    let length = identity.length
    guard length > 0 else { throw .corrupt("\(name): the file is empty") }
    guard length <= maximumLength else {
      throw .limit("\(name): the file has \(length) bytes, expected at most \(maximumLength)")
    }
    guard expected == nil || expected == identity else {
      throw .corrupt("\(name): the file was changed while the checkpoint was opened")
    }
    return identity
  }

  /// Fills `destination` with the bytes from `offset` on.
  ///
  /// - Throws: `corrupt` when the file ends before, `io`.
  package func read(
    into destination: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(XverseError) {
    var done = 0
    while done < destination.count {
      let rest = UnsafeMutableRawBufferPointer(rebasing: destination[done...])
      let count = try read(some: rest, at: offset + done)
      guard count > 0 else {
        throw .corrupt(
          "\(name): the file ends at byte \(offset + done) while it is read, expected \(length) bytes",
          offset: offset + done)
      }
      done += count
    }
  }

  /// Reads at least one byte, unless the file ends: then 0.
  private func read(some destination: UnsafeMutableRawBufferPointer, at offset: Int) throws(XverseError) -> Int {
    if let host { return try host.read(path, into: destination, at: offset) }
    while true {
      let count = pread(descriptor.number, destination.baseAddress, destination.count, offset)
      if count >= 0 { return count }
      guard errno == EINTR else { throw path.failure(errno, to: "read") }
    }
  }

  /// Maps the whole file, read-only.
  func map() throws(XverseError) -> UnsafeRawBufferPointer {
    guard let start = mmap(nil, length, PROT_READ, MAP_PRIVATE, descriptor.number, 0), start != MAP_FAILED else {
      throw path.failure(errno, to: "map")
    }
    // Advice only: a file system that can then reads the file in huge pages, which costs fewer faults and lookups.
    madvise(start, length, MADV_HUGEPAGE)
    return UnsafeRawBufferPointer(start: start, count: length)
  }

  private static func requireRegularFile(_ kind: FilePath.Kind, at path: FilePath) throws(XverseError) {
    guard kind == .regularFile else { throw path.notAFile(kind, expected: "a regular file") }
  }

  private static func open(_ path: FilePath) throws(XverseError) -> Descriptor {
    while true {
      // Non-blocking, in case a FIFO has taken the file's place since it was looked at; no effect on regular files.
      let number = path.withCString { Glibc.open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
      if number >= 0 { return Descriptor(number: number) }
      guard errno == EINTR else { throw path.failure(errno, to: "open") }
    }
  }
}
