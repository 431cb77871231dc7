// CheckpointOpening.swift -- the files of a checkpoint from their names to checked headers, and then to their bytes.

import XverseCore

extension Checkpoint {
  /// One opening of files, looked at when it is made: a missing shard and the sum of bytes are then known.
  struct Opening {
    typealias Progress = (_ done: Int, _ total: Int) throws(XverseError) -> Void

    private let names: [String]
    private let format: WeightsFormat
    private let files: FileDirectory
    private let allocator: MemoryAllocator
    private let identities: [InputFile.Identity]
    /// Bytes of all files.
    private let total: Int

    /// - Parameter index: The file that names the shards; nil when there are none.
    init(
      _ names: [String], format: WeightsFormat, index: String?, in files: FileDirectory, allocator: MemoryAllocator
    ) throws(XverseError) {
      self.names = names
      self.format = format
      self.files = files
      self.allocator = allocator
      var identities: [InputFile.Identity] = []
      var total = 0
      for name in names {
        if let index, !(try files.contains(name)) {
          throw .notFound("\(files.path(of: name)): the shard is missing, which \(index) names")
        }
        let identity = try files.open(name).identity
        let (sum, overflow) = total.addingReportingOverflow(identity.length)
        guard !overflow else {
          throw .limit("\(files.path(of: name)): the files have more than \(Int.max) bytes in all")
        }
        identities.append(identity)
        total = sum
      }
      self.identities = identities
      self.total = total
    }

    /// The tensors of all files, sorted by name.
    ///
    /// - Parameter metadata: Called with the metadata of each GGUF file.
    func readHeaders(
      _ progress: Progress, metadata: (GGUFMetadata) -> Void = { _ in }
    ) throws(XverseError) -> TensorTable {
      var table = TensorTable(allocator: allocator)
      for (number, name) in names.enumerated() {
        try progress(0, total)
        let file = try files.open(name, expected: identities[number])
        switch format {
        case .safetensors: try SafetensorsHeader(of: file, number: number, allocator: allocator).addTensors(to: &table)
        case .pytorch: try PyTorchHeader(of: file, number: number, allocator: allocator).addTensors(to: &table)
        case .gguf:
          let found = try GGUFHeader(of: file, number: number, allocator: allocator).read(into: &table)
          try found.requirePart(number, of: names.count)
          metadata(found)
        }
      }
      if let (first, second) = try table.sort() {
        guard table.entries[first].file != table.entries[second].file else {
          let place = names[table.entries[first].file].inMessage
          throw .corrupt("\(place): tensor '\(table.name(of: first).inMessage)' stands there twice")
        }
        let places = [table.entries[first].file, table.entries[second].file].map { names[$0].inMessage }
        throw .corrupt("tensor '\(table.name(of: first).inMessage)' stands both in \(places[0]) and in \(places[1])")
      }
      return table
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
