// PyTorchKind.swift -- the formats that have been called .bin, told by their first bytes, and what to do about those that
// are not read.

import XverseCore

enum PyTorchKind {
  private static let archive = Array("PK\u{3}\u{4}".utf8)
  /// A pickle with the number 0x1950A86A20F9469CFC6C, by which torch.save used to begin.
  private static let legacy: [UInt8] = [
    0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19,
  ]
  private static let tar = Array("ustar".utf8)
  private static let tarOffset = 257
  /// PROTO, GLOBAL, MARK, EMPTY_DICT, EMPTY_LIST: one of these begins every pickle of an object.
  private static let pickleStarts: [UInt8] = [0x80, 0x63, 0x28, 0x7D, 0x5D]
  private static let advice =
    "load it in PyTorch with weights_only=True and save it again with torch.save, or convert it to safetensors"

  /// Returns for a zip archive; for everything else it says what it is.
  ///
  /// - Throws: `unsupported`, `corrupt`; `unsafe` for a pickle that asks for more than tensors.
  static func check(_ file: borrowing InputFile, allocator: MemoryAllocator) throws(XverseError) {
    let start = try beginning(of: file, count: tarOffset + tar.count, allocator: allocator)
    let bytes = start.elements
    if bytes.starts(with: archive) { return }
    if bytes.starts(with: legacy) {
      throw .unsupported(
        "\(file.name): this is the format of torch.save before PyTorch 1.6, expected a zip archive: \(advice)")
    }
    if bytes.dropFirst(tarOffset).elementsEqual(tar) {
      throw .unsupported(
        "\(file.name): this is the tar format of torch.save before PyTorch 0.1.10, expected a zip archive: \(advice)")
    }
    if let first = bytes.first, pickleStarts.contains(first) { throw try plainPickle(file, allocator: allocator) }
    throw .corrupt(
      "\(file.name): the file begins with bytes \(Array(bytes.prefix(4))), expected a zip archive as torch.save writes it",
      offset: 0)
  }

  /// A pickle without an archive has no storages that could be used; but what it asks for is told first.
  private static func plainPickle(
    _ file: borrowing InputFile, allocator: MemoryAllocator
  ) throws(XverseError) -> XverseError {
    let bytes = try beginning(of: file, count: TensorPickle.maximumLength, allocator: allocator)
    defer { withExtendedLifetime(bytes) {} }
    do {
      _ = try TensorPickle(UnsafeRawBufferPointer(bytes.elements), source: file.name, allocator: allocator)
    } catch {
      if error.code != .corrupt && error.code != .limit { throw error }
    }
    return .unsupported(
      "\(file.name): this is a pickle without tensors' data, expected a zip archive as torch.save writes it")
  }

  private static func beginning(
    of file: borrowing InputFile, count: Int, allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<UInt8> {
    let bytes = try Buffer<UInt8>(repeating: 0, count: min(count, file.length), allocator: allocator)
    try file.read(into: UnsafeMutableRawBufferPointer(bytes.mutableElements), at: 0)
    return bytes
  }
}
