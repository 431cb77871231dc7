// HostSourceFixture.swift -- an xverse_source over files in memory, which can fail at any read.

import CXverse
import Foundation
import Synchronization

/// Files by name, handed out piece by piece.
final class MemoryFiles: @unchecked Sendable {
  var files: [String: [UInt8]]
  /// Most bytes that one read gives.
  var pieceLength = Int.max
  /// The read, counted from 0, that answers with `failure`; nil for none.
  var failingRead: Int?
  var failure: Int64 = -1
  private(set) var readCount = 0
  private(set) var closeCount = 0
  /// What the library answered when it was called from inside `read_at`.
  private(set) var statusInside: xverse_status = 0

  /// All files of a directory.
  init(directory: String) throws {
    files = try FileManager.default.contentsOfDirectory(atPath: directory).reduce(into: [:]) { files, name in
      files[name] = try [UInt8](Data(contentsOf: URL(fileURLWithPath: directory + "/" + name)))
    }
  }

  var user: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static let source: xverse_source = {
    var source = xverse_source()
    source.size = UInt32(MemoryLayout<xverse_source>.size)
    source.length = { user, name in MemoryFiles.of(user).length(name) }
    source.read_at = { user, name, offset, buffer, length in
      MemoryFiles.of(user).read(name, offset, UnsafeMutableRawBufferPointer(start: buffer, count: length))
    }
    source.close = { user in MemoryFiles.of(user).closeCount += 1 }
    return source
  }()

  /// Loads the model in these files.
  func load(
    _ options: Handle? = nil, on runtime: Handle? = nil, into model: inout OpaquePointer?
  ) -> xverse_status {
    (readCount, closeCount) = (0, 0)
    var source = Self.source
    return xverse_model_load_source(runtime?.pointer, &source, user, options?.pointer, nil, nil, nil, &model)
  }

  private static func of(_ user: UnsafeMutableRawPointer?) -> MemoryFiles {
    Unmanaged<MemoryFiles>.fromOpaque(UnsafeRawPointer(user.unsafelyUnwrapped)).takeUnretainedValue()
  }

  private func contents(_ name: UnsafePointer<CChar>?) -> [UInt8]? { name.flatMap { files[String(cString: $0)] } }

  private func length(_ name: UnsafePointer<CChar>?) -> Int64 { contents(name).map { Int64($0.count) } ?? -1 }

  private func read(
    _ name: UnsafePointer<CChar>?, _ offset: Int64, _ buffer: UnsafeMutableRawBufferPointer
  ) -> Int64 {
    defer { readCount += 1 }
    if readCount == failingRead { return failure }
    guard let bytes = contents(name), offset < bytes.count else { return 0 }
    if readCount == 0 {
      var cancel: OpaquePointer?
      statusInside = xverse_cancel_create(&cancel)
    }
    let count = min(buffer.count, bytes.count - Int(offset), pieceLength)
    buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + count])
    return Int64(count)
  }
}
