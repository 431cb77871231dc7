// PyTorchFile.swift -- files as torch.save writes them, with tensors to choose and knobs to spoil them.

/// A zip archive of a pickle and storages.
package struct PyTorchFile {
  package struct Tensor {
    package var name: String
    package var storageType = "FloatStorage"
    package var storage: String
    package var storageCount: Int
    package var offset = 0
    package var shape: [Int]
    package var strides: [Int]
    package var isParameter = false
    package var isNegated = false

    /// - Parameter strides: nil for the row-major ones.
    package init(_ name: String, _ shape: [Int], strides: [Int]? = nil, storage: String, count: Int) {
      self.name = name
      self.storage = storage
      storageCount = count
      self.shape = shape
      self.strides = strides ?? shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
    }
  }

  package var tensors: [Tensor] = []
  /// The bytes of each storage, in the order of the archive.
  package var storages: [(name: String, bytes: [UInt8])] = []
  package var folder = "archive"
  package var byteOrder: String? = "little"
  /// In place of the pickle of `tensors`.
  package var pickle: [UInt8]?
  /// The last thing done to the archive.
  package var change: (inout ZipFile) -> Void = { _ in }

  package init() {}

  /// A file with these tensors `[values.count]`, each in a storage of its own.
  package init(_ tensors: KeyValuePairs<String, [Float]>) {
    for (number, (name, values)) in tensors.enumerated() {
      add(storage: values)
      self.tensors.append(Tensor(name, [values.count], storage: "\(number)", count: values.count))
    }
  }

  /// A file with no more than this pickle in it.
  package init(pickle: PickleWriter) { self.pickle = pickle.bytes }

  /// Adds a storage of F32, called by its number.
  package mutating func add(storage values: [Float]) {
    storages.append(("\(storages.count)", values.flatMap { littleEndian($0.bitPattern) }))
  }

  package var bytes: [UInt8] {
    var entries = [ZipFile.Entry("\(folder)/data.pkl", pickle ?? dictionary)]
    if let byteOrder { entries.append(ZipFile.Entry("\(folder)/byteorder", Array(byteOrder.utf8))) }
    entries += storages.map { ZipFile.Entry("\(folder)/data/\($0.name)", $0.bytes) }
    entries.append(ZipFile.Entry("\(folder)/version", Array("3\n".utf8)))
    var archive = ZipFile(entries)
    change(&archive)
    return archive.bytes
  }

  private var dictionary: [UInt8] {
    var writer = PickleWriter()
    writer.addOrderedDictionary()
    writer.add("(")
    for tensor in tensors {
      writer.add(text: tensor.name)
      writer.add(tensor)
    }
    writer.add("u")
    writer.add(".")
    return writer.bytes
  }
}
