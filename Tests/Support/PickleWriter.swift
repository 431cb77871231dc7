// PickleWriter.swift -- pickles written opcode by opcode, as torch.save writes them or as nobody should.

/// Opcodes one after the other.
package struct PickleWriter {
  package private(set) var bytes: [UInt8]

  /// - Parameter version: The one that PROTO names; nil for a pickle without PROTO.
  package init(version: UInt8? = 2) { bytes = version.map { [0x80, $0] } ?? [] }

  /// Opcodes whose arguments are bytes, or that have none.
  package mutating func add(_ opcode: Character, _ argument: [UInt8] = []) {
    bytes += [opcode.asciiValue ?? 0] + argument
  }

  package mutating func add(byte opcode: UInt8, _ argument: [UInt8] = []) { bytes += [opcode] + argument }

  package mutating func add(_ pickle: [UInt8]) { bytes += pickle }

  package mutating func add(text: String) {
    add("X", littleEndian(UInt32(text.utf8.count)) + Array(text.utf8))
  }

  /// As Python writes it: the shortest form.
  package mutating func add(_ integer: Int) {
    if let byte = UInt8(exactly: integer) {
      add("K", [byte])
    } else if let number = Int32(exactly: integer) {
      add("J", littleEndian(number))
    } else {
      add(byte: 0x8A, [8] + littleEndian(integer))
    }
  }

  package mutating func add(tuple integers: [Int]) {
    add("(")
    for integer in integers { add(integer) }
    add("t")
  }

  package mutating func add(global module: String, _ name: String) {
    add("c", Array("\(module)\n\(name)\n".utf8))
  }

  package mutating func add(stackGlobal module: String, _ name: String) {
    add(byte: 0x8C, [UInt8(module.utf8.count)] + Array(module.utf8))
    add(byte: 0x8C, [UInt8(name.utf8.count)] + Array(name.utf8))
    add(byte: 0x93)
  }

  /// `collections.OrderedDict()`.
  package mutating func addOrderedDictionary() {
    add(global: "collections", "OrderedDict")
    add(")")
    add("R")
  }

  /// The call of `_rebuild_tensor_v2` that makes `tensor`.
  package mutating func add(_ tensor: PyTorchFile.Tensor) {
    if tensor.isParameter { add(global: "torch._utils", "_rebuild_parameter") }
    add(global: "torch._utils", "_rebuild_tensor_v2")
    add("(")
    add("(")
    add(text: "storage")
    add(global: "torch", tensor.storageType)
    add(text: tensor.storage)
    add(text: "cpu")
    add(tensor.storageCount)
    add("t")
    add("Q")
    add(tensor.offset)
    add(tuple: tensor.shape)
    add(tuple: tensor.strides)
    add(byte: 0x89)
    addOrderedDictionary()
    if tensor.isNegated {
      add("}")
      add(text: "neg")
      add(byte: 0x88)
      add("s")
    }
    add("t")
    add("R")
    guard tensor.isParameter else { return }
    add(byte: 0x88)
    addOrderedDictionary()
    add(byte: 0x87)
    add("R")
  }
}
