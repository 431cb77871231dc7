// TensorPickleTests.swift -- what a pickle may hold, and that everything else is refused by its name.

import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

@Suite("TensorPickle")
struct TensorPickleTests {
  /// A file whose pickle is written by a test, with a storage '0' of one element.
  private func file(_ write: (inout PickleWriter) -> Void) -> PyTorchFile {
    var writer = PickleWriter()
    write(&writer)
    writer.add(".")
    var file = PyTorchFile(pickle: writer)
    file.add(storage: [5])
    return file
  }

  private let tensor = PyTorchFile.Tensor("w", [1], storage: "0", count: 1)

  @Test("passes over all that is no tensor")
  func passesOverValues() throws {
    let file = file { writer in
      writer.addOrderedDictionary()
      writer.add("(")
      for (key, opcode, argument) in [
        ("none", 0x4E, []), ("true", 0x88, []), ("float", 0x47, [0, 0, 0, 0, 0, 0, 0, 0]), ("bytes", 0x43, [2, 1, 2]),
        ("long bytes", 0x42, [1, 0, 0, 0, 9]), ("big", 0x8A, [9, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("bigger", 0x8B, [1, 0, 0, 0, 7]), ("half word", 0x4D, [1, 2]), ("tuple", 0x29, []),
        ("bytes 8", 0x8E, [1, 0, 0, 0, 0, 0, 0, 0, 1]), ("text 8", 0x8D, [1, 0, 0, 0, 0, 0, 0, 0, 0x61]),
      ] as [(String, UInt8, [UInt8])] {
        writer.add(text: key)
        writer.add(byte: opcode, argument)
      }
      writer.add(text: "list")
      writer.add("]")
      writer.add(1)
      writer.add("a")
      writer.add("(")
      writer.add(2)
      writer.add("e")
      writer.add(7)
      writer.add(tensor)
      writer.add(text: "w")
      writer.add(tensor)
      writer.add("u")
      writer.add("}")
      writer.add(text: "_metadata")
      writer.addOrderedDictionary()
      writer.add("s")
      writer.add("b")
    }

    #expect(try openPyTorch(file).tensorNames == ["w"])
  }

  @Test("follows the memo, and the opcodes of later versions", arguments: [false, true])
  func followsMemo(isLater: Bool) throws {
    let file = file { writer in
      if isLater { writer.add(byte: 0x95, [0, 0, 0, 0, 0, 0, 0, 0]) }
      writer.add("}")
      writer.add("q", [0])
      writer.add("(")
      writer.add(text: "x")
      if isLater { writer.add(byte: 0x94) } else { writer.add("r", [1, 0, 0, 0]) }
      if isLater { writer.add(stackGlobal: "collections", "OrderedDict") } else { writer.add("N") }
      writer.add(text: "w")
      writer.add(tensor)
      writer.add("q", [2])
      writer.add(text: "v")
      writer.add("h", [2])
      writer.add("j", [1, 0, 0, 0])
      writer.add("h", [2])
      writer.add("u")
    }

    // The value of 'x' is first something else, then the tensor, as in any dictionary.
    let checkpoint = try openPyTorch(file)
    #expect(checkpoint.tensorNames == ["v", "w", "x"])
    #expect(try checkpoint.tensor(named: "x")?.floats == [5])
  }

  @Test(
    "refuses a global that no tensor needs, naming it",
    arguments: [
      ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "exec"), ("torch.hub", "load"),
      ("torch", "_utils._rebuild_tensor_v3"), ("torch.storage", "_load_from_bytes"),
      ("torch", "_utils._rebuild_tensor_v2"),
      ("collections", "OrderedDict.__init__"), ("collections", "defaultdict"), ("torch", "FooStorage"), ("", ""),
      ("torch.nn.modules.linear", "Linear"), (String(repeating: "x", count: 100), "y"),
    ])
  func refusesGlobals(module: String, name: String) {
    for error in [
      refusal(pickle: { $0.add(global: module, name) }), refusal(pickle: { $0.add(stackGlobal: module, name) }),
      refusal(pickle: { $0.add("i", Array("\(module)\n\(name)\n".utf8)) }),
    ] {
      #expect(error?.code == .unsafe)
      #expect(error?.message.hasPrefix("x.bin: data.pkl asks for '\(module).\(name)' at byte ") == true)
    }
  }

  @Test(
    "does not support tensors of float8 and other kinds, which are not unsafe",
    arguments: [
      ("torch._utils", "_rebuild_tensor_v3"), ("torch.storage", "UntypedStorage"), ("torch", "float8_e4m3fn"),
      ("torch", "float8_e5m2"), ("torch", "uint16"), ("torch", "QUInt8Storage"), ("torch._utils", "_rebuild_qtensor"),
      ("torch._utils", "_rebuild_sparse_tensor"),
    ])
  func doesNotSupportOtherTensors(module: String, name: String) {
    for error in [
      refusal(pickle: { $0.add(global: module, name) }), refusal(pickle: { $0.add(stackGlobal: module, name) }),
    ] {
      #expect(error?.code == .unsupported)
      #expect(error?.message.hasPrefix("x.bin: data.pkl asks for '\(module).\(name)' at byte ") == true)
    }
    // An opcode that would call it.
    #expect(refusal(pickle: { $0.add("i", Array("\(module)\n\(name)\n".utf8)) })?.code == .unsafe)
  }

  @Test("refuses a global whose names were put together out of the memo")
  func refusesBuiltGlobal() {
    let error = refusal(pickle: { writer in
      writer.add(text: "system")
      writer.add("q", [0])
      writer.add(text: "os")
      writer.add("q", [1])
      writer.add(byte: 0x86)
      writer.add("h", [1])
      writer.add("h", [0])
      writer.add(byte: 0x93)
    })

    #expect(error?.code == .unsafe && error?.message.contains("'os.system'") == true)
  }

  @Test(
    "refuses every opcode that is not among those of tensors, by its name",
    arguments: [
      (0x30, "POP"), (0x31, "POP_MARK"), (0x32, "DUP"), (0x46, "FLOAT"), (0x49, "INT"), (0x4C, "LONG"),
      (0x50, "PERSID"),
      (0x53, "STRING"), (0x54, "BINSTRING"), (0x55, "SHORT_BINSTRING"), (0x56, "UNICODE"), (0x64, "DICT"),
      (0x67, "GET"),
      (0x6C, "LIST"), (0x6F, "OBJ"), (0x70, "PUT"), (0x81, "NEWOBJ"), (0x82, "EXT1"), (0x83, "EXT2"), (0x84, "EXT4"),
      (0x8F, "EMPTY_SET"), (0x90, "ADDITEMS"), (0x91, "FROZENSET"), (0x92, "NEWOBJ_EX"), (0x96, "BYTEARRAY8"),
      (0x97, "NEXT_BUFFER"), (0x98, "READONLY_BUFFER"),
    ] as [(UInt8, String)])
  func refusesOpcodes(opcode: UInt8, name: String) {
    let error = refusal(pickle: { $0.add(byte: opcode) })

    let expected =
      "x.bin: data.pkl has the opcode \(name) at byte 2, expected only those with which torch.save writes tensors"
    #expect(error == .unsafe(expected, offset: 2))
  }

  @Test("refuses a byte that is no opcode, and versions to come")
  func refusesNoOpcode() {
    #expect(
      refusal(pickle: { $0.add(byte: 0xFF) })
        == .corrupt("x.bin: data.pkl: byte 255 is no opcode of pickle at byte 2", offset: 2))
    #expect(refusal(pickle: { $0.add(byte: 0x80, [6]) })?.code == .unsupported)
  }

  @Test(
    "calls nothing but by its pattern",
    arguments: [
      ("cos\nsystem\n)R", XverseError.Code.unsafe), ("ctorch\nFloatStorage\n)R", .unsafe), ("N)R", .corrupt),
      ("ccollections\nOrderedDict\nNR", .corrupt), ("ccollections\nOrderedDict\nN\u{85}R", .corrupt),
      ("ctorch._utils\n_rebuild_tensor_v2\n)R", .corrupt), ("ctorch._utils\n_rebuild_parameter\n(NNNtR", .corrupt),
      ("ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR", .corrupt), ("NNb", .unsafe),
      ("ctorch\nFloatStorage\n}b", .unsafe),
      ("NQ", .corrupt), (")Q", .corrupt), ("(NNNNNtQ", .corrupt), ("R", .corrupt), ("b", .corrupt), ("Q", .corrupt),
    ])
  func refusesCalls(pickle: String, code: XverseError.Code) {
    let bytes = pickle.unicodeScalars.map { UInt8($0.value) }

    #expect(refusal(pickle: { $0.add(bytes) })?.code == code)
  }

  @Test(
    "refuses a stack or a memo that does not bear an opcode",
    arguments: [
      "t", "u", "e", "s", "a", "q\0", "h\0", "\u{85}", "N\u{86}", "NN\u{87}", "(N\u{86}", "(s", "}(Nu", "}NNNs", "(u",
      "N(NNu",
      "Nq\u{1}", "}(NN", "(", "(.", "NNs", "N(e", "\u{93}", "N\u{93}", "NN\u{93}", "\u{94}", "N(q\0", "j\0\0\0\u{1}",
    ])
  func refusesEmptyStack(pickle: String) {
    let bytes = pickle.unicodeScalars.map { UInt8($0.value) }

    let error = refusal(pickle: { $0.add(bytes) })

    #expect(error?.code == .corrupt && error?.message.hasPrefix("x.bin: data.pkl") == true, "\(error?.message ?? "")")
  }

  @Test("refuses what is no dictionary", arguments: ["N", "]", ")", "K\u{1}"])
  func refusesOtherRoots(pickle: String) {
    let bytes = pickle.unicodeScalars.map { UInt8($0.value) }

    let error = refusal(pickle: { $0.add(bytes) })

    #expect(
      error == .unsupported("x.bin: data.pkl holds no dictionary, expected one of tensors by their names"))
  }

  @Test("refuses lengths beyond the pickle", arguments: [0x58, 0x42, 0x8D, 0x8E, 0x8B] as [UInt8])
  func refusesLengths(opcode: UInt8) {
    #expect(refusal(pickle: { $0.add(byte: opcode, [UInt8](repeating: 0xFF, count: 8)) })?.code == .corrupt)
    #expect(refusal(pickle: { $0.add(byte: opcode, [UInt8](repeating: 0x7F, count: 8)) })?.code == .corrupt)
  }

  @Test("is linear, and stops at its limits", .timeLimit(.minutes(1)))
  func stopsAtLimits() {
    let memo = refusal(pickle: { writer in
      writer.add("N")
      writer.add([UInt8](repeating: 0x94, count: 10_000_000))
    })
    let stack = refusal(pickle: { $0.add([UInt8](repeating: 0x4E, count: 2_000_000)) })
    let marks = refusal(pickle: { $0.add([UInt8](repeating: 0x28, count: 100_000)) })
    let rank = refusal(pickle: { writer in
      writer.add("}")
      writer.add(text: "w")
      writer.add(PyTorchFile.Tensor("w", [Int](repeating: 1, count: 9), storage: "0", count: 1))
      writer.add("s")
    })

    #expect(memo?.code == .limit && memo?.message == "x.bin: data.pkl remembers more than 1048576 values")
    #expect(stack?.code == .limit && marks?.code == .limit)
    #expect(rank?.code == .corrupt)
  }

  @Test(
    "takes no more memory than 64 times the pickle",
    arguments: [[0x4E], [0x85], [0x94], [0x7D], [0x28, 0x74]] as [[UInt8]])
  func boundsMemory(pattern: [UInt8]) throws {
    let bytes = [0x4E] + repeatElement(pattern, count: 100_000).joined()
    let allocator = MemoryAllocator()

    bytes.withUnsafeBytes { bytes in
      _ = #expect(throws: XverseError.self) { try TensorPickle(bytes, source: "x", allocator: allocator).root }
    }

    #expect(allocator.current == 0 && allocator.peak <= 64 * bytes.count)
  }
}
