// FileBeginning.swift -- the first bytes of a file, which tell what it is, whatever its name.

import XverseCore

/// The beginning of one file.
struct FileBeginning {
  private static let length = 512
  private static let zip = Array("PK\u{3}\u{4}".utf8)
  private static let gguf = Array("GGUF".utf8)

  private let fileName: String
  private let fileLength: Int
  private let bytes: [UInt8]

  init(of file: borrowing InputFile) throws(XverseError) {
    fileName = file.name
    fileLength = file.length
    var bytes = [UInt8](repeating: 0, count: min(Self.length, file.length))
    let outcome = bytes.withUnsafeMutableBytes { (buffer) -> Result<Void, XverseError> in
      do throws(XverseError) { return .success(try file.read(into: buffer, at: 0)) } catch { return .failure(error) }
    }
    try outcome.get()
    self.bytes = bytes
  }

  /// The format whose files begin so; nil for none.
  var format: WeightsFormat? {
    if bytes.starts(with: Self.gguf) { return .gguf }
    if bytes.starts(with: Self.zip) { return .pytorch }
    // The length of the header, then the header.
    let headerStart = MemoryLayout<UInt64>.size
    guard bytes.count > headerStart, bytes[headerStart] == UInt8(ascii: "{") else { return nil }
    let headerLength = bytes[..<headerStart].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return headerLength > 0 && headerLength <= UInt64(fileLength - headerStart) ? .safetensors : nil
  }

  /// Names what a download or a clone leaves in the place of a file that it did not get.
  ///
  /// - Throws: `corrupt` for such a thing.
  func requireContent() throws(XverseError) {
    guard let (words, advice) = substitute else { return }
    throw .corrupt("\(fileName): \(words) stands in place of the file: \(advice)", offset: 0)
  }

  private var substitute: (words: String, advice: String)? {
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes[3...] : bytes[...]
    let beginning = String(decoding: text.drop { $0 == 0x20 || (9...13).contains($0) }.prefix(64), as: UTF8.self)
      .lowercased()
    if beginning.hasPrefix("version https://git-lfs") || beginning.hasPrefix("version https://hawser") {
      return ("a Git LFS pointer", "run 'git lfs pull'")
    }
    if ["<!doctype html", "<html", "<head"].contains(where: beginning.hasPrefix) {
      return ("an HTML page", "download it again; the page says why it was not given out")
    }
    if ["<?xml", "<error>"].contains(where: beginning.hasPrefix) {
      return ("an XML page", "download it again; the page says why it was not given out")
    }
    let refusals = [
      "entry not found", "repository not found", "invalid username or password", "access to model ",
      "invalid credentials",
    ]
    if refusals.contains(where: beginning.hasPrefix) {
      let line = String(beginning.prefix { !$0.isNewline }.prefix(40)).inMessage
      return ("the answer '\(line)' of a server", "download it again")
    }
    return nil
  }
}

extension WeightsFormat {
  /// The format of the file at `path`, told by its first bytes; nil for a directory and for a file of another kind.
  package init?(contentsOf path: FilePath) throws(XverseError) {
    guard try path.kind() == .regularFile, let format = try FileBeginning(of: InputFile(path: path)).format else {
      return nil
    }
    self = format
  }
}

extension MappedFile {
  /// Reads a file of a model that stands alone.
  ///
  /// - Throws: As `init(path:)`; `corrupt` for what a failed download left in its place.
  package convenience init(
    modelFile path: some PathName, allocator: MemoryAllocator, maximumLength: Int
  ) throws(XverseError) {
    let file = try InputFile(path: path, maximumLength: maximumLength)
    try FileBeginning(of: file).requireContent()
    try self.init(file, mode: .read, allocator: allocator) { (_) throws(XverseError) in }
  }
}
