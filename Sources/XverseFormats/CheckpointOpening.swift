// CheckpointOpening.swift -- the files of a checkpoint from their names to checked headers, and then to their bytes.

import XverseCore

extension Checkpoint {
  /// One opening of files, looked at when it is made: a missing shard and the sum of bytes are then known.
  struct Opening {
    typealias Progress = (_ done: Int, _ total: Int) throws(XverseError) -> Void

    private let names: [FilePath]
    private let formats: [WeightsFormat]
    private let files: FileDirectory
    private let allocator: MemoryAllocator
    private let identities: [InputFile.Identity]
    /// Bytes of all files.
    private let total: Int

    /// What the first file is.
    var format: WeightsFormat { formats.first ?? .safetensors }

    /// - Parameters:
    ///   - expected: What a file is whose first bytes do not tell.
    ///   - index: The file that names the shards; nil when there are none.
    init(
      _ names: [FilePath], expected: WeightsFormat, index: String?, in files: FileDirectory, allocator: MemoryAllocator
    ) throws(XverseError) {
      self.names = names
      self.files = files
      self.allocator = allocator
      var identities: [InputFile.Identity] = []
      var formats: [WeightsFormat] = []
      var total = 0
      for name in names {
        if let index, !(try files.contains(name)) {
          throw .notFound("\(files.path(of: name)): the shard is missing, which \(index) names")
        }
        let file = try files.open(name)
        let identity = file.identity
        formats.append(try Self.format(of: file, expected))
        let (sum, overflow) = total.addingReportingOverflow(identity.length)
        guard !overflow else {
          throw .limit("\(files.path(of: name)): the files have more than \(Int.max) bytes in all")
        }
        identities.append(identity)
        total = sum
      }
      self.identities = identities
      self.formats = formats
      self.total = total
    }

    /// What a file is, told by its first bytes where they tell.
    private static func format(
      of file: borrowing InputFile, _ expected: WeightsFormat
    ) throws(XverseError) -> WeightsFormat {
      guard expected != .gguf, let found = try FileBeginning(of: file).format else { return expected }
      guard found != .gguf else {
        throw .unsupported(
          "\(file.name): this is a GGUF file, which brings everything with it: expected its own path as the model's")
      }
      return found
    }

    /// The tensors of all files, sorted by name. Of several with one name that of the last shard counts, as for Hugging
    /// Face's loader, which reads one shard after the other.
    ///
    /// - Parameters:
    ///   - metadata: Called with the metadata of each GGUF file.
    ///   - warn: Called with sentences for people.
    func readHeaders(
      _ progress: Progress, metadata: (GGUFMetadata) -> Void = { _ in }, warn: (String) -> Void = { _ in }
    ) throws(XverseError) -> TensorTable {
      var table = TensorTable(allocator: allocator)
      for (number, name) in names.enumerated() {
        try progress(0, total)
        let file = try files.open(name, expected: identities[number])
        switch formats[number] {
        case .safetensors: try SafetensorsHeader(of: file, number: number, allocator: allocator).addTensors(to: &table)
        case .pytorch: try PyTorchHeader(of: file, number: number, allocator: allocator).addTensors(to: &table)
        case .gguf:
          let found = try GGUFHeader(of: file, number: number, allocator: allocator).read(into: &table)
          try found.requirePart(number, of: names.count)
          metadata(found)
        }
      }
      try table.sort()
      try settleRepetitions(&table, warn)
      return table
    }

    private func settleRepetitions(_ table: inout TensorTable, _ warn: (String) -> Void) throws(XverseError) {
      if let (first, _) = table.repetition(where: { $0.file == $1.file }) {
        let place = names[table.entries[first].file].inMessage
        throw .corrupt("\(place): tensor '\(table.name(of: first).inMessage)' stands there twice")
      }
      guard let (first, second) = table.repetition(where: { $0.file != $1.file }) else { return }
      let name = table.name(of: first).inMessage
      let places = [first, second].map { names[table.entries[$0].file].inMessage }
      guard format != .gguf else {
        throw .corrupt("tensor '\(name)' stands both in \(places[0]) and in \(places[1])")
      }
      let count = table.keepLast()
      warn(
        "\(count) tensors stand in several shards, of which the last one counts, such as '\(name)' in \(places[0]) "
          + "and in \(places[1])")
    }

    /// The bytes of all files.
    func openFiles(_ mode: MappedFile.Mode, _ progress: Progress) throws(XverseError) -> [MappedFile] {
      var opened: [MappedFile] = []
      var done = 0
      for (number, name) in names.enumerated() {
        try progress(done, total)
        let file = try files.open(name, expected: identities[number])
        let start = done
        opened.append(
          try MappedFile(file, mode: mode, allocator: allocator) { (read) throws(XverseError) in
            try progress(start + read, total)
          })
        done += file.length
      }
      return opened
    }
  }
}
