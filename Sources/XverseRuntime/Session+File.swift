// Session+File.swift -- a session that outlives its process: everything that it goes on from, in one file.

import XverseCore
import XverseFormats
import XverseModels
import XverseTensors

extension Session {
  /// Writes the session to a file, which takes the place of one that was there when all of it is on the disk.
  ///
  /// - Throws: `unsupported`, `busy`, `invalid`, `notFound`, `io`, `outOfMemory`; the file is then as before.
  package func save(to path: some PathName) throws(XverseError) {
    // First, so that a wrong path costs nothing.
    let file = try ReplacementFile(path: path)
    var header = fileHeader
    var blocks = sequence.cache.blocks(positions: length)
    if let last = try lastBlock(of: blocks) { blocks[blocks.count - 1] = last }
    header.tokensChecksum = SessionFileHeader.checksum(UnsafeRawBufferPointer(tokens))
    header.noteChecksum = SessionFileHeader.checksum(UnsafeRawBufferPointer(note.elements))
    if hasLogits { header.logitsChecksum = SessionFileHeader.checksum(UnsafeRawBufferPointer(logitsMemory)) }
    for block in blocks { header.blocksChecksum = Checksum.of(block.bytes, seed: header.blocksChecksum) }

    let zeros = try Buffer<UInt8>(repeating: 0, count: SessionFileHeader.alignment, allocator: runtime.allocator)
    func write(_ section: UnsafeRawBufferPointer) throws(XverseError) {
      try file.write(section)
      let padding = UnsafeRawBufferPointer(zeros.elements).prefix(SessionFileHeader.padding(behind: section.count))
      try file.write(UnsafeRawBufferPointer(rebasing: padding))
    }
    var headerBytes = Buffer<UInt8>(allocator: runtime.allocator)
    for byte in header.bytes { try headerBytes.append(byte) }
    try write(UnsafeRawBufferPointer(headerBytes.elements))
    try write(UnsafeRawBufferPointer(tokens))
    try write(UnsafeRawBufferPointer(note.elements))
    if hasLogits { try write(UnsafeRawBufferPointer(logitsMemory)) }
    for block in blocks { try write(block.bytes) }
    try file.publish()
  }

  /// Holds what a file holds that `save` wrote, in place of what it held.
  ///
  /// - Throws: `corrupt`, `unsupported`, `mismatch` (another model or kv_type), `contextFull`, `notFound`, `io`,
  ///   `outOfMemory`; the session is then as before.
  package func restore(from path: some PathName) throws(XverseError) {
    let file = try SessionFile(path: path)
    try requireMatch(file)
    let allocator = runtime.allocator
    let tokens = try file.tokens(allocator)
    let note = try file.note(allocator)
    let logits = try file.logits(allocator)
    let blocks = try file.blocks(from: sequence.cache.source)
    try sequence.replace(tokens.elements, blocks)
    // From here on nothing fails.
    if let source = logits.elements.baseAddress {
      logitsMemory.baseAddress?.update(from: source, count: logitsMemory.count)
    }
    hasLogits = !logits.isEmpty
    self.note = note
    adoptedTokens = 0
    statistics = SessionStatistics()
  }

  // MARK: private

  private var fileHeader: SessionFileHeader {
    SessionFileHeader(
      fingerprint: model.fingerprint, modelText: modelText, layout: sequence.cache.layout,
      vocabularySize: model.configuration.vocabularySize, tokenCount: length, noteLength: note.count,
      hasLogits: hasLogits)
  }

  /// "XVERSE-7B-Chat, int4, 32 layers of 4096 numbers, fingerprint 0123456789abcdef"
  private var modelText: String {
    let digits = String(model.fingerprint, radix: 16)
    return "\(model.name.prefix(100)), \(model.model?.matrixTypeName ?? "none"), "
      + "\(model.configuration.layerCount) layers of \(model.configuration.hiddenSize) numbers, "
      + "fingerprint \(String(repeating: "0", count: 16 - digits.count))\(digits)"
  }

  private func requireMatch(_ file: borrowing SessionFile) throws(XverseError) {
    let (header, own) = (file.header, sequence.cache.layout)
    guard header.fingerprint == model.fingerprint else {
      throw XverseError(
        .mismatch,
        "\(file.name) is of the model '\(header.modelText.inMessage)', the session's is '\(modelText.inMessage)'")
    }
    guard header.layout.element == own.element else {
      throw XverseError(
        .mismatch,
        "\(file.name) has kv_type \(header.layout.element.rawValue), the session's is \(own.element.rawValue)")
    }
    guard header.layout == own, header.vocabularySize == model.configuration.vocabularySize else {
      throw .corrupt("\(file.name): its sizes are not those of the model that it names")
    }
    guard header.tokenCount <= context else {
      throw XverseError(
        .contextFull, "\(file.name) has \(header.tokenCount) tokens, the session's context is \(context)")
    }
    try file.requireLength()
  }

  /// A copy of the last block whose positions without a token are zeros; nil when there are none.
  private func lastBlock(of blocks: [KVBlock]) throws(XverseError) -> KVBlock? {
    let used = length % KVLayout.positionsPerBlock
    guard used > 0, let last = blocks.last else { return nil }
    let (layout, rest) = (sequence.cache.layout, KVLayout.positionsPerBlock - used)
    let copy = try KVBlock(layout, from: runtime.allocator)
    copy.base.copyMemory(from: last.base, byteCount: last.byteCount)
    let zeros = try Buffer<Float>(
      repeating: 0, count: rest * layout.kvHeadCount * layout.headSize, allocator: runtime.allocator)
    guard let data = zeros.mutableElements.baseAddress else { return copy }
    let matrix = Matrix(data: data, rows: rest, columns: layout.kvHeadCount * layout.headSize)
    withUnsafePointer(to: Optional(copy.base)) { table in
      var segment = KVSegment(blocks: table, position: used, row: 0, tokens: rest)
      withUnsafePointer(to: &segment) { segment in
        for layer in 0..<layout.layerCount {
          runtime.kernels.serial.store(
            keys: matrix, values: matrix, layer: layer, of: layout,
            segments: UnsafeBufferPointer(start: segment, count: 1))
        }
      }
    }
    return copy
  }
}

extension KVBlock {
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: byteCount) }
}
