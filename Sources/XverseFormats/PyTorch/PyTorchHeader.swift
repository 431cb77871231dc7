// PyTorchHeader.swift -- a file of torch.save: a zip archive with a pickle that describes the tensors, and an entry for each
// storage, whose bytes are used where they lie.

import XverseCore

/// One file under examination.
struct PyTorchHeader: ~Copyable {
  /// The numbers by which torch.save calls storages are short.
  private static let maximumStorageNameLength = 64
  private static let maximumTensorNameLength = 1024
  private static let maximumNoteLength = 16

  private let fileName: String
  private let fileNumber: Int
  private let allocator: MemoryAllocator
  private let archive: ZipArchive
  /// The folder in which everything lies, with its slash.
  private let folder: [UInt8]
  private let pickle: Buffer<UInt8>

  /// Reads the archive's directory and the pickle in `file`, whose entries will carry the number `fileNumber`.
  ///
  /// Memory: from `allocator`; nothing of the tensors is touched.
  ///
  /// - Throws: `unsupported` for other formats of PyTorch's; as `ZipArchive`; `corrupt`, `limit`.
  init(of file: borrowing InputFile, number fileNumber: Int, allocator: MemoryAllocator) throws(XverseError) {
    try PyTorchKind.check(file, allocator: allocator)
    let archive = try ZipArchive(of: file, allocator: allocator)
    // As torch does: the folder is that of the first entry.
    let first = archive.entries.isEmpty ? [] : Array(archive.name(of: archive.entries[0]))
    guard let slash = first.firstIndex(of: UInt8(ascii: "/")) else {
      throw .corrupt("\(file.name): the zip archive has no folder with a data.pkl, expected a file of torch.save")
    }
    let folder = Array(first[...slash])
    let name = "\(file.name): data.pkl"
    guard let entry = archive.entry(named: folder + Array("data.pkl".utf8)) else {
      throw .corrupt("\(file.name): there is no data.pkl in the zip archive, expected a file of torch.save")
    }
    guard entry.byteCount <= TensorPickle.maximumLength else {
      throw .limit("\(name) has \(entry.byteCount) bytes, expected at most \(TensorPickle.maximumLength)")
    }
    let pickle = try Self.contents(of: entry, in: file, allocator: allocator)
    let checksum = CRC32.checksum(of: UnsafeRawBufferPointer(pickle.elements))
    // torch writes 0 when it is told to compute none.
    guard entry.checksum == 0 || entry.checksum == checksum else {
      throw .corrupt("\(name) has the check sum \(checksum), expected \(entry.checksum): the file is damaged")
    }
    if let note = archive.entry(named: folder + Array("byteorder".utf8)) {
      try Self.checkByteOrder(note, in: file, allocator: allocator)
    }
    self.archive = archive
    self.pickle = pickle
    self.folder = folder
    self.fileName = file.name
    self.fileNumber = fileNumber
    self.allocator = allocator
  }

  private static func contents(
    of entry: ZipArchive.Entry, in file: borrowing InputFile, allocator: MemoryAllocator
  ) throws(XverseError) -> Buffer<UInt8> {
    let bytes = try Buffer<UInt8>(repeating: 0, count: entry.byteCount, allocator: allocator)
    try file.read(into: UnsafeMutableRawBufferPointer(bytes.mutableElements), at: entry.begin)
    return bytes
  }

  private static func checkByteOrder(
    _ note: ZipArchive.Entry, in file: borrowing InputFile, allocator: MemoryAllocator
  ) throws(XverseError) {
    let text = note.byteCount <= maximumNoteLength ? try contents(of: note, in: file, allocator: allocator).text : "..."
    guard text == "little" else {
      throw .unsupported("\(file.name): the byte order is '\(text.inMessage)', expected 'little'")
    }
  }

  /// Reads the pickle, checks every tensor against the archive, and adds it to `table`. O(n log n).
  ///
  /// - Throws: As `TensorPickle`; `unsupported` when the pickle is no dictionary of tensors. `table` is then of no use.
  func addTensors(to table: inout TensorTable) throws(XverseError) {
    defer { withExtendedLifetime(pickle) {} }
    let source = "\(fileName): data.pkl"
    let pickle = try TensorPickle(UnsafeRawBufferPointer(pickle.elements), source: source, allocator: allocator)
    guard case .dictionary = pickle.root else {
      throw .unsupported("\(source) holds no dictionary, expected one of tensors by their names")
    }
    let first = table.entries.count
    for item in pickle.items.elements {
      guard let tensor = try pickle.tensor(item) else { continue }
      guard table.entries.count < TensorTable.maximumCount else {
        throw .limit("\(source): more than \(TensorTable.maximumCount) tensors")
      }
      try add(tensor, to: &table)
    }
    if table.entries.count == first, let key = pickle.keyOfTensors {
      let text = String(decoding: try pickle.bytes(of: key).prefix(200), as: UTF8.self)
      throw .unsupported(
        "\(source) holds its tensors in '\(text.inMessage)', expected them by their names in the outer dictionary: "
          + "save that one alone")
    }
  }

  private func add(_ tensor: PickledTensor, to table: inout TensorTable) throws(XverseError) {
    let fileName = fileName
    let place = { "\(fileName): tensor '\(String(decoding: tensor.name.prefix(200), as: UTF8.self).inMessage)'" }
    guard tensor.name.count <= Self.maximumTensorNameLength else {
      throw .limit(
        "\(place()) has a name of \(tensor.name.count) bytes, expected at most \(Self.maximumTensorNameLength)")
    }
    guard Self.isText(tensor.name) else { throw .corrupt("\(place()) has a name that is not UTF-8") }
    guard !tensor.isTransformed else {
      throw .unsupported("\(place()) is stored negated or conjugated, expected its own numbers: save a copy of it")
    }
    let storage = try storage(of: tensor, place)
    let view = try TensorView(
      offset: tensor.offset, shape: tensor.shape, strides: tensor.strides, in: tensor.storageCount, name: place())
    let size = tensor.type.bits / 8
    // Within the storage, which lies within the file.
    try table.add(
      tensor.name, encoding: .elements(tensor.type), shape: tensor.shape, strides: view.strides, file: fileNumber,
      begin: storage.begin + view.begin * size, byteCount: view.span * size)
  }

  /// The entry with the tensor's storage, which has as many bytes as the pickle says.
  private func storage(
    of tensor: PickledTensor, _ place: () -> String
  ) throws(XverseError) -> ZipArchive.Entry {
    let name = String(decoding: tensor.storage.prefix(Self.maximumStorageNameLength), as: UTF8.self)
    guard tensor.storage.count <= Self.maximumStorageNameLength,
      let entry = archive.entry(named: folder + Array("data/".utf8) + Array(tensor.storage))
    else {
      throw .corrupt("\(place()) lies in storage '\(name.inMessage)', which the zip archive does not have")
    }
    let (byteCount, overflow) = tensor.storageCount.multipliedReportingOverflow(by: tensor.type.bits / 8)
    guard !overflow, entry.byteCount == byteCount else {
      throw .corrupt(
        "\(place()) lies in storage '\(name.inMessage)' of \(entry.byteCount) bytes, expected \(tensor.storageCount) "
          + "elements of \(tensor.type.rawValue)")
    }
    return entry
  }

  private static func isText(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var position = 0
    while position < bytes.count {
      guard let length = UTF8Scalar.length(in: bytes, at: position) else { return false }
      position += length
    }
    return true
  }
}
