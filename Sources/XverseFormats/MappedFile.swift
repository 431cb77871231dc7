// MappedFile.swift -- the bytes of a whole file, mapped or read into memory.

import Glibc
import XverseCore

/// The bytes of one file.
///
/// A mapped file costs no memory of its own and is there at once; but when another process truncates it, touching the
/// lost pages raises SIGBUS in this process. A file that was read is immune to whatever happens to it afterwards.
///
/// Threads: immutable; any number of readers.
package final class MappedFile: @unchecked Sendable {
  package enum Mode: Sendable {
    case map
    case read
  }

  /// The last path component, for messages.
  package let name: String
  /// The contents, never empty; they live as long as the object, so whoever uses them holds it.
  package let bytes: UnsafeRawBufferPointer
  /// Where the memory came from; nil for a mapping.
  private let allocator: MemoryAllocator?

  /// - Parameters:
  ///   - allocator: Where the memory of mode `read` comes from.
  ///   - maximumLength: Longest file accepted.
  /// - Throws: As `InputFile.init`, and `outOfMemory`.
  package convenience init(
    path: some PathName, mode: Mode, allocator: MemoryAllocator = .system, maximumLength: Int = .max
  ) throws(XverseError) {
    let file = try InputFile(path: path, maximumLength: maximumLength)
    try self.init(file, mode: mode, allocator: allocator) { (_) throws(XverseError) in }
  }

  /// The bytes of an open file; one that cannot be mapped is read.
  ///
  /// - Parameter progress: Called with the bytes done after every `InputFile.chunkLength` of them and at the end; what
  ///   it throws ends the reading.
  init(
    _ file: borrowing InputFile, mode: Mode, allocator: MemoryAllocator,
    progress: (_ done: Int) throws(XverseError) -> Void
  ) throws(XverseError) {
    name = file.name
    if mode == .map, file.canBeMapped {
      bytes = try file.map()
      self.allocator = nil
      try progress(bytes.count)
    } else {
      bytes = try Self.contents(of: file, allocator: allocator, progress: progress)
      self.allocator = allocator
    }
  }

  /// Gives back the memory of whole pages of `part`, if it is a part of this file and mapped: reading them again costs
  /// reading the file.
  func discardPages(of part: UnsafeRawBufferPointer) {
    guard allocator == nil, let start = part.baseAddress, let first = bytes.baseAddress, start >= first,
      start - first <= bytes.count - part.count
    else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let begin = (start - first + page - 1) / page * page
    let end = (start - first + part.count) / page * page
    if begin < end { madvise(UnsafeMutableRawPointer(mutating: first + begin), end - begin, MADV_DONTNEED) }
  }

  deinit {
    let memory = UnsafeMutableRawPointer(mutating: bytes.baseAddress.unsafelyUnwrapped)
    if let allocator {
      allocator.deallocate(memory, bytes: bytes.count)
    } else {
      munmap(memory, bytes.count)
    }
  }

  private static func contents(
    of file: borrowing InputFile, allocator: MemoryAllocator, progress: (_ done: Int) throws(XverseError) -> Void
  ) throws(XverseError) -> UnsafeRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer(start: try allocator.allocate(file.length), count: file.length)
    do {
      var done = 0
      while done < memory.count {
        let end = min(done + InputFile.chunkLength, memory.count)
        try file.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[done..<end]), at: done)
        done = end
        try progress(done)
      }
    } catch {
      allocator.deallocate(memory.baseAddress.unsafelyUnwrapped, bytes: memory.count)
      throw error
    }
    return UnsafeRawBufferPointer(memory)
  }
}
