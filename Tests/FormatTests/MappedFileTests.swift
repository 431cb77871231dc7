// MappedFileTests.swift -- files mapped and read, and every kind of thing that is no file.

import Glibc
import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

@Suite("MappedFile")
struct MappedFileTests {
  @Test("holds the bytes of the file in either mode", arguments: [MappedFile.Mode.map, .read])
  func holdsBytes(mode: MappedFile.Mode) throws {
    let directory = try TemporaryDirectory()
    let bytes = (0..<10_001).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let path = try directory.write("a file", bytes)

    let file = try MappedFile(path: path, mode: mode)

    #expect(file.name == "a file")
    #expect(withExtendedLifetime(file) { file.bytes.elementsEqual(bytes) })
  }

  @Test("follows a symbolic link")
  func followsLink() throws {
    let directory = try TemporaryDirectory()
    symlink(try directory.write("target", "text"), directory.path + "/link")

    let file = try MappedFile(path: directory.path + "/link", mode: .read)

    #expect(text(of: file) == "text")
    #expect(file.name == "link")
  }

  @Test(
    "rejects a path that no file can have",
    arguments: [
      ("", "the path is empty, expected a file or a directory"),
      ("a\u{0}b", "a\\u{0}b: the path contains a NUL character"),
      (String(repeating: "a/", count: 2048), "a/a/"),
      (String(repeating: "n", count: 256), "File name too long"),
    ])
  func rejectsImpossiblePath(path: String, words: String) {
    let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: .read) }

    #expect(error?.code == .invalid)
    #expect(error?.message.contains(words) == true)
  }

  @Test("says how long a path may be")
  func limitsPathLength() {
    let path = "/" + String(repeating: "a/", count: 2048)

    let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: .read) }

    #expect(error?.message.hasSuffix("...: the path has 4097 bytes, expected at most 4095") == true)
  }

  @Test("does not find what is not there: a name, a part of the path, the target of a link, a name with a newline")
  func reportsMissing() throws {
    let directory = try TemporaryDirectory()
    try directory.write("file", "text")
    symlink(directory.path + "/nothing", directory.path + "/broken")

    for name in ["missing", "no/such/file", "file/inside", "broken", "new\nline"] {
      let error = #expect(throws: XverseError.self) { try MappedFile(path: directory.path + "/" + name, mode: .map) }
      #expect(error?.code == .notFound)
      #expect(error?.message.contains(name == "new\nline" ? "new\\u{a}line" : name) == true)
      #expect(error?.message.contains("\n") == false)
    }
  }

  @Test("names what is no regular file, and does not wait for it", .timeLimit(.minutes(1)))
  func rejectsOtherKinds() throws {
    let directory = try TemporaryDirectory()
    mkfifo(directory.path + "/fifo", 0o600)
    let listener = try bindSocket(at: directory.path + "/socket")
    defer { close(listener) }
    let kinds = [
      (directory.path, "a directory"), (directory.path + "/fifo", "a FIFO"), (directory.path + "/socket", "a socket"),
      ("/dev/zero", "a character device"), ("/dev/null", "a character device"),
    ]

    for (path, kind) in kinds {
      let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: .read) }
      #expect(error == .unsupported("\(path) is \(kind), expected a regular file"))
    }
  }

  @Test("reports a loop of links in words")
  func reportsLinkLoop() throws {
    let directory = try TemporaryDirectory()
    symlink("loop", directory.path + "/loop")

    let error = #expect(throws: XverseError.self) { try MappedFile(path: directory.path + "/loop", mode: .map) }

    #expect(error == .io("\(directory.path)/loop: cannot look at it: Too many levels of symbolic links"))
  }

  @Test("reports a lack of permission", .enabled(if: geteuid() != 0, "root may read everything"))
  func reportsPermission() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("secret", "text")
    chmod(path, 0)

    let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: .map) }

    #expect(error == .io("\(path): cannot open it: Permission denied"))
  }

  @Test("rejects an empty file", arguments: [MappedFile.Mode.map, .read])
  func rejectsEmptyFile(mode: MappedFile.Mode) throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("nothing", "")

    let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: mode) }

    #expect(error == .corrupt("nothing: the file is empty"))
  }

  @Test("accepts a file of the greatest length and rejects a longer one")
  func limitsLength() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("text", "12345")

    _ = try MappedFile(path: path, mode: .read, maximumLength: 5)
    let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: .read, maximumLength: 4) }

    #expect(error == .limit("text: the file has 5 bytes, expected at most 4"))
  }

  @Test("takes the memory of a file that is read from its allocator, and gives it back")
  func usesAllocator() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("text", [UInt8](repeating: 1, count: 1000))
    let allocator = MemoryAllocator(limit: 1000)
    do {
      let file = try MappedFile(path: path, mode: .read, allocator: allocator)
      #expect(file.bytes.count == 1000)
      #expect(allocator.current == 1000)
      _ = try MappedFile(path: path, mode: .map, allocator: allocator)
      let error = #expect(throws: XverseError.self) { try MappedFile(path: path, mode: .read, allocator: allocator) }
      #expect(error?.code == .outOfMemory)
    }
    #expect(allocator.current == 0)
  }

  @Test("cannot be harmed by a truncation once it was read")
  func isImmuneToTruncation() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("text", [UInt8](repeating: 7, count: 100_000))
    let file = try MappedFile(path: path, mode: .read)

    truncate(path, 0)

    #expect(withExtendedLifetime(file) { file.bytes.allSatisfy { $0 == 7 } })
  }

  @Test("rejects a file that is truncated while it is read, and holds nothing")
  func rejectsTruncationWhileReading() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("text", [UInt8](repeating: 7, count: 1000))
    let allocator = MemoryAllocator()
    let file = try InputFile(path: path)
    truncate(path, 300)

    let error = errorOfReading(file, allocator)

    #expect(error == .corrupt("text: the file ends at byte 300 while it is read, expected 1000 bytes", offset: 300))
    #expect(allocator.current == 0)
  }

  @Test("reports progress while it reads, and ends where that throws")
  func reportsProgress() throws {
    let directory = try TemporaryDirectory()
    let length = 2 * InputFile.chunkLength + 5
    let path = try directory.write("large", "")
    truncate(path, length)
    let allocator = MemoryAllocator()
    var reports: [Int] = []

    let error = errorOfReading(try InputFile(path: path), allocator) { (done) throws(XverseError) in
      reports.append(done)
      if done == length { throw XverseError(.cancelled, "cancelled") }
    }

    #expect(reports == [InputFile.chunkLength, 2 * InputFile.chunkLength, length])
    #expect(error == XverseError(.cancelled, "cancelled"))
    #expect(allocator.current == 0)
  }

  // An InputFile cannot be copied, so `#expect(throws:)` cannot capture it.
  private func errorOfReading(
    _ file: borrowing InputFile, _ allocator: MemoryAllocator,
    progress: (Int) throws(XverseError) -> Void = { (_) throws(XverseError) in }
  ) -> XverseError? {
    do { _ = try MappedFile(file, mode: .read, allocator: allocator, progress: progress) } catch { return error }
    return nil
  }

  /// A socket in the file system; its path has room for 107 bytes.
  private func bindSocket(at path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    try #require(path.utf8.count < MemoryLayout.size(ofValue: address.sun_path))
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) { address in
      address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(result == 0)
    return descriptor
  }
}
