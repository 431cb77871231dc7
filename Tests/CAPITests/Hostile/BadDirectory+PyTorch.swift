// BadDirectory+PyTorch.swift -- pytorch_model.bin spoiled: what must never run, and what must never be believed.

import CXverse
import TestSupport

extension BadDirectory {
  static let pytorch = code + archives + views + otherFormats

  /// A directory whose weights are this file.
  private static func weights(
    _ name: String, _ status: Int, _ words: [String], bytes: @escaping @Sendable () -> [UInt8]
  ) -> BadDirectory {
    BadDirectory(name: "pytorch_model.bin: " + name, status: status, words: ["pytorch_model.bin"] + words) {
      try $0.remove("model.safetensors")
      try $0.write("pytorch_model.bin", bytes())
    }
  }

  private static func file(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (inout PyTorchFile) -> Void
  ) -> BadDirectory {
    weights(name, status, words) {
      var file = TinyCheckpoint().pytorch()
      change(&file)
      return file.bytes
    }
  }

  private static func pickle(
    _ name: String, _ status: Int, _ words: String..., version: UInt8 = 2,
    write: @escaping @Sendable (inout PickleWriter) -> Void
  ) -> BadDirectory {
    weights(name, status, ["data.pkl"] + words) {
      var writer = PickleWriter(version: version)
      write(&writer)
      writer.add(".")
      return PyTorchFile(pickle: writer).bytes
    }
  }

  private static let code: [BadDirectory] = [
    pickle("os.system", XVERSE_E_UNSAFE, "'os.system'") { writer in
      writer.add(global: "os", "system")
      writer.add(text: "id")
      writer.add(byte: 0x85)
      writer.add("R")
    },
    pickle("os.system by STACK_GLOBAL", XVERSE_E_UNSAFE, "'os.system'", version: 4) { writer in
      writer.add(stackGlobal: "os", "system")
      writer.add(text: "id")
      writer.add(byte: 0x85)
      writer.add("R")
    },
    pickle("os.system by names out of the memo", XVERSE_E_UNSAFE, "'os.system'", version: 4) { writer in
      writer.add(text: "system")
      writer.add("q", [0])
      writer.add(text: "os")
      writer.add("q", [1])
      writer.add("h", [1])
      writer.add("h", [0])
      writer.add(byte: 0x93)
    },
    pickle("os.system behind a tensor", XVERSE_E_UNSAFE, "'os.system'") { writer in
      writer.add("}")
      writer.add("(")
      writer.add(text: "w")
      writer.add(PyTorchFile.Tensor("w", [1], storage: "0", count: 1))
      writer.add(global: "os", "system")
    },
    pickle("os.system by INST", XVERSE_E_UNSAFE, "'os.system'") { writer in
      writer.add("(")
      writer.add("i", Array("os\nsystem\n".utf8))
    },
    pickle("OBJ", XVERSE_E_UNSAFE, "OBJ") { $0.add([0x28, 0x6F]) },
    pickle("NEWOBJ", XVERSE_E_UNSAFE, "NEWOBJ") { writer in
      writer.add(global: "collections", "OrderedDict")
      writer.add([0x29, 0x81])
    },
    pickle("NEWOBJ_EX", XVERSE_E_UNSAFE, "NEWOBJ_EX", version: 4) { $0.add(byte: 0x92) },
    pickle("EXT1", XVERSE_E_UNSAFE, "EXT1") { $0.add([0x82, 1]) },
    pickle("EXT2", XVERSE_E_UNSAFE, "EXT2") { $0.add([0x83, 1, 0]) },
    pickle("EXT4", XVERSE_E_UNSAFE, "EXT4") { $0.add([0x84, 1, 0, 0, 0]) },
    pickle("BUILD on a function", XVERSE_E_UNSAFE, "state") { writer in
      writer.add(global: "torch._utils", "_rebuild_tensor_v2")
      writer.add("}")
      writer.add("b")
    },
    pickle("10^7 values in the memo", XVERSE_E_LIMIT, "1048576") { writer in
      writer.add("N")
      writer.add([UInt8](repeating: 0x94, count: 10_000_000))
    },
    pickle("deep nesting", XVERSE_E_LIMIT, "1024") { $0.add([UInt8](repeating: 0x28, count: 100_000)) },
    weights("a plain pickle with os.system", XVERSE_E_UNSAFE, ["'os.system'"]) {
      Array("cos\nsystem\n(S'id'\ntR.".utf8)
    },
  ]

  private static func archive(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (inout ZipFile) -> Void
  ) -> BadDirectory {
    weights(name, status, words) {
      var file = TinyCheckpoint().pytorch()
      file.change = change
      return file.bytes
    }
  }

  private static let archives: [BadDirectory] = [
    archive("an entry called ../x", XVERSE_E_UNSAFE, "'../x'") { $0.entries.append(ZipFile.Entry("../x", [1])) },
    archive("an entry with an absolute path", XVERSE_E_UNSAFE, "'/etc/passwd'") {
      $0.entries.append(ZipFile.Entry("/etc/passwd", [1]))
    },
    archive("a zip bomb", XVERSE_E_UNSUPPORTED, "'archive/data/3'", "deflate") {
      $0.entries[5].method = 8
      $0.entries[5].byteCount = 1 << 50
      $0.entries[5].compressedByteCount = 100
    },
    archive("an entry that stands twice", XVERSE_E_CORRUPT, "'archive/data/3'", "twice") {
      $0.entries.append($0.entries[5])
    },
    archive("a wrong check sum", XVERSE_E_CORRUPT, "data.pkl", "check sum") { $0.entries[0].checksum = 1 },
    archive("a zip64 size of 2^63", XVERSE_E_CORRUPT, "9223372036854775808") {
      $0.entries[5].isLarge = true
      $0.entries[5].byteCount = 1 << 63
    },
    archive("a zip64 size beyond the file", XVERSE_E_CORRUPT, "'archive/data/3'", "1099511627776") {
      $0.entries[5].isLarge = true
      $0.entries[5].byteCount = 1 << 40
    },
    archive("a zip64 offset beyond the file", XVERSE_E_CORRUPT, "'archive/data/3'", "4611686018427387904") {
      $0.entries[5].isLarge = true
      $0.entries[5].headerBegin = 1 << 62
    },
    archive("2^40 entries", XVERSE_E_LIMIT, "1099511627776") { $0.entryCount = 1 << 40 },
    weights("half a file", XVERSE_E_CORRUPT, ["truncated"]) {
      let bytes = TinyCheckpoint().pytorch().bytes
      return Array(bytes.prefix(bytes.count / 2))
    },
    weights("the last byte less", XVERSE_E_CORRUPT, ["truncated"]) { TinyCheckpoint().pytorch().bytes.dropLast() },
  ]

  private static let up = "model.layers.1.mlp.up_proj.weight"

  private static func view(
    _ name: String, _ status: Int, _ words: String..., change: @escaping @Sendable (inout PyTorchFile.Tensor) -> Void
  ) -> BadDirectory {
    weights(name, status, ["'\(up)'"] + words) {
      var file = TinyCheckpoint().pytorch()
      for index in file.tensors.indices where file.tensors[index].name == up { change(&file.tensors[index]) }
      return file.bytes
    }
  }

  private static let views: [BadDirectory] = [
    view("a storage shorter than the view", XVERSE_E_CORRUPT, "1536 elements") { $0.offset = 1 },
    view("a storage shorter than it says", XVERSE_E_CORRUPT, "6144 bytes", "1537 elements") { $0.storageCount = 1537 },
    view("a negative stride", XVERSE_E_CORRUPT, "[-32, 1]", "negative") { $0.strides = [-32, 1] },
    view("a negative offset", XVERSE_E_CORRUPT, "offset -1", "negative") { $0.offset = -1 },
    view("a negative dimension", XVERSE_E_CORRUPT, "[-48, 32]", "negative") { $0.shape = [-48, 32] },
    view("a stride of 2^63-1", XVERSE_E_LIMIT, "9223372036854775807") { $0.strides = [.max, 1] },
    view("2^62 elements in one", XVERSE_E_LIMIT, "4611686018427387904") {
      ($0.shape, $0.strides) = ([1 << 62, 4], [0, 0])
    },
    view("a storage that is not there", XVERSE_E_CORRUPT, "'99'") { $0.storage = "99" },
    view("negated numbers", XVERSE_E_UNSUPPORTED, "negated") { $0.isNegated = true },
    file("big-endian numbers", XVERSE_E_UNSUPPORTED, "'big'", "'little'") { $0.byteOrder = "big" },
  ]

  private static let otherFormats: [BadDirectory] = [
    weights("torch.save of before 1.6", XVERSE_E_UNSUPPORTED, ["safetensors"]) {
      [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E, 0x80, 2]
    },
    weights("a tar archive", XVERSE_E_UNSUPPORTED, ["tar", "safetensors"]) {
      [UInt8](repeating: 0, count: 257) + Array("ustar  ".utf8)
    },
    weights("a pickle alone", XVERSE_E_UNSUPPORTED, ["pickle"]) { [0x80, 2, 0x7D, 0x2E] },
    weights("text", XVERSE_E_CORRUPT, ["[116, 101, 120, 116]"]) { Array("texts!".utf8) },
    weights("a page", XVERSE_E_CORRUPT, ["an HTML page stands in place of the file"]) { Array("<html>".utf8) },
    weights("two bytes", XVERSE_E_CORRUPT, ["[80, 75]"]) { Array("PK".utf8) },
    weights("a Git LFS pointer", XVERSE_E_CORRUPT, ["git lfs pull"]) {
      Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".utf8)
    },
  ]
}
