// HostileGGUFTests.swift -- GGUF files with one thing wrong: each is rejected by status and place, before memory is taken for
// what it claims.

import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

/// One wrong file.
struct HostileGGUF: CustomTestStringConvertible, Sendable {
  let testDescription: String
  let code: XverseError.Code
  /// What the message must hold.
  let words: String
  let change: @Sendable (inout GGUFFile) -> Void

  init(
    _ name: String, _ code: XverseError.Code, _ words: String, _ change: @escaping @Sendable (inout GGUFFile) -> Void
  ) {
    testDescription = name
    self.code = code
    self.words = words
    self.change = change
  }

  var bytes: [UInt8] {
    var file = smallGGUF()
    change(&file)
    return file.bytes
  }

  static let header: [HostileGGUF] = [
    HostileGGUF("magic", .corrupt, "does not begin with 'GGUF'") { $0.magic = Array("GGML".utf8) },
    HostileGGUF("version 0", .corrupt, "the version is 0") { $0.version = 0 },
    HostileGGUF("version 1", .unsupported, "the version is 1") { $0.version = 1 },
    HostileGGUF("version 4", .unsupported, "the version is 4") { $0.version = 4 },
    HostileGGUF("byte-swapped", .unsupported, "big-endian") { $0.version = 3 << 24 },
    HostileGGUF("2^63 tensors", .corrupt, "the number of tensors is 9223372036854775808") {
      $0.tensorCount = 1 << 63
    },
    HostileGGUF("2^32 tensors", .corrupt, "the number of tensors is 4294967296") { $0.tensorCount = 1 << 32 },
    HostileGGUF("2^63 keys", .corrupt, "the number of keys is 9223372036854775808") { $0.pairCount = 1 << 63 },
    HostileGGUF("a key too many", .corrupt, "x.gguf") { $0.pairCount = 3 },
    HostileGGUF("65537 keys", .limit, "65537 keys") {
      $0.pairs = (0...65_536).map { (Array("k\($0)".utf8), .uint8(0)) }
    },
    HostileGGUF("100001 tensors", .limit, "100001 tensors") {
      $0.tensors = (0...100_000).map { GGUFFile.Tensor("t\($0)", [1], values: [0]) }
      $0.alignment = 1
      $0["general.alignment"] = .uint32(1)
    },
  ]

  static let metadata: [HostileGGUF] = [
    HostileGGUF("empty key", .corrupt, "a key has 0 bytes") { $0.pairs[0].key = [] },
    HostileGGUF("long key", .corrupt, "a key has 65536 bytes") {
      $0.pairs[0].key = [UInt8](repeating: 65, count: 65_536)
    },
    HostileGGUF("duplicate key", .corrupt, "the key 'llama.block_count' stands there twice") {
      $0.pairs.append($0.pairs[1])
    },
    HostileGGUF("type 13", .corrupt, "'general.architecture' has type 13") { $0.pairs[0].value.type = 13 },
    HostileGGUF("type 2^32 - 1", .corrupt, "has type 4294967295") { $0.pairs[0].value.type = .max },
    HostileGGUF("string 2^64 - 1", .corrupt, "the length of text 0 of 'general.architecture' is 18446744073709551615") {
      $0.pairs[0].value = .init(type: 8, bytes: [UInt8](repeating: 0xFF, count: 8))
    },
    HostileGGUF("string 2^63 - 1", .corrupt, "is 9223372036854775807") {
      $0.pairs[0].value = .init(type: 8, bytes: [UInt8](repeating: 0xFF, count: 7) + [0x7F])
    },
    HostileGGUF("array 2^64 - 1", .corrupt, "the length of 'list' is 18446744073709551615") {
      $0["list"] = .array(of: 6, [], count: .max)
    },
    HostileGGUF("array whose size wraps", .corrupt, "the length of 'list' is 4611686018427387905") {
      $0["list"] = .array(of: 6, [.float32(1)], count: 1 << 62 + 1)
    },
    HostileGGUF("array of arrays", .unsupported, "'list' is an array of arrays") {
      $0["list"] = .array(of: 9, [.array(of: 4, [.uint32(1)])])
    },
    HostileGGUF("array of type 13", .corrupt, "'list' has type 13") { $0["list"] = .array(of: 13, []) },
    HostileGGUF("long text in an array", .corrupt, "the length of text 1 of 'list' is 4294967296") {
      $0["list"] = .array(of: 8, [.string("a"), .uint64(1 << 32)])
    },
    HostileGGUF("bool 2", .corrupt, "'flag' is a bool of value 2") { $0["flag"] = .init(type: 7, bytes: [2]) },
    alignment(.uint32(0), "is 0"), alignment(.uint32(3), "is 3"), alignment(.uint32(1 << 31), "is 2147483648"),
    alignment(.uint64(32), "is 32"), alignment(.string("32"), "is '32'"), alignment(.int32(-32), "is -32"),
  ]

  private static func alignment(_ value: GGUFFile.Value, _ words: String) -> HostileGGUF {
    HostileGGUF("alignment \(words) of type \(value.type)", .corrupt, "'general.alignment' \(words)") {
      $0["general.alignment"] = value
    }
  }

  static let tensors: [HostileGGUF] = [
    HostileGGUF("name of 65 bytes", .corrupt, "the name of a tensor has 65 bytes") {
      $0.tensors[0].name = [UInt8](repeating: 97, count: 65)
    },
    HostileGGUF("name 2^64 - 1", .corrupt, "the length of a tensor's name is 18446744073709551615") {
      $0.tensors[0].nameLength = .max
    },
    HostileGGUF("empty name", .corrupt, "the name of a tensor has 0 bytes") { $0.tensors[0].name = [] },
    HostileGGUF("duplicate name", .corrupt, "tensor 'b.weight' stands there twice") {
      $0.tensors[1].name = $0.tensors[0].name
    },
    HostileGGUF("no dimensions", .corrupt, "tensor 'b.weight' has 0 dimensions") { $0.tensors[0].rank = 0 },
    HostileGGUF("5 dimensions", .corrupt, "has 5 dimensions") { $0.tensors[0].dimensions = [1, 1, 1, 1, 3] },
    HostileGGUF("2^32 - 1 dimensions", .corrupt, "has 4294967295 dimensions") { $0.tensors[0].rank = .max },
    dimension(0), dimension(1 << 63), dimension(.max),
    HostileGGUF("dimension 2^62", .corrupt, "which is no number of bytes") { $0.tensors[0].dimensions = [1 << 62] },
    HostileGGUF("product 2^64", .corrupt, "which is no number of bytes") {
      $0.tensors[0].dimensions = [1 << 32, 1 << 32]
    },
    HostileGGUF("product that wraps to 12", .corrupt, "which is no number of bytes") {
      $0.tensors[0].dimensions = [3, 1 << 32, 1 << 32]
    },
    HostileGGUF("size whose padding wraps", .corrupt, "needs 9223372036854775804 bytes") {
      $0.tensors[0].dimensions = [(1 << 61) - 1]
    },
    HostileGGUF("type 999", .unsupported, "tensor 'b.weight' is of type 999") { $0.tensors[0].type = 999 },
    HostileGGUF("type iq2_xxs", .unsupported, "is of type iq2_xxs") { $0.tensors[0].type = 16 },
    HostileGGUF("type q4_2, which is gone", .unsupported, "is of type q4_2") { $0.tensors[0].type = 4 },
    HostileGGUF("type 2^32 - 1", .unsupported, "is of type 4294967295") { $0.tensors[0].type = .max },
    HostileGGUF("part of a block", .corrupt, "has rows of 3 columns, expected a multiple of 32 for q8_0") {
      $0.tensors[0].type = 8
    },
    offset(0, "unaligned", 7), offset(1, "overlapping", 0), offset(1, "behind a hole", 64),
    offset(0, "past the end", 1 << 40), offset(1, "2^64 - 1", .max), offset(1, "that wraps", .max - 31),
    HostileGGUF("missing data", .corrupt, "it is truncated") { $0.tensors[1].data.removeAll() },
    HostileGGUF("data too long", .corrupt, "expected") { $0.rest = [UInt8](repeating: 0, count: 32) },
  ]

  private static func dimension(_ value: UInt64) -> HostileGGUF {
    HostileGGUF("dimension \(value)", .corrupt, "tensor 'b.weight' has dimension \(value)") {
      $0.tensors[0].dimensions = [value]
    }
  }

  private static func offset(_ tensor: Int, _ name: String, _ value: UInt64) -> HostileGGUF {
    HostileGGUF("offset \(name)", .corrupt, "of the data, expected") { $0.tensors[tensor].offset = value }
  }
}

@Suite("Hostile GGUF file")
struct HostileGGUFTests {
  @Test(
    "is rejected, naming the place, without much memory",
    arguments: HostileGGUF.header + HostileGGUF.metadata + HostileGGUF.tensors)
  func isRejected(hostile: HostileGGUF) throws {
    let directory = try TemporaryDirectory()
    let bytes = hostile.bytes
    let path = try directory.write("x.gguf", bytes)
    let host = CountingHost()
    let allocator = MemoryAllocator(host)

    let error = #expect(throws: XverseError.self) { try open(path, .map, allocator) }

    #expect(error?.code == hostile.code && error?.message.hasPrefix("x.gguf: ") == true)
    #expect(error?.message.contains(hostile.words) == true, "\(error?.message ?? "")")
    #expect(allocator.peak <= 3 << 20 + 16 * bytes.count && host.byteCount == 0)
  }

  @Test("is rejected at every length that it can be cut to")
  func isRejectedTruncated() throws {
    let directory = try TemporaryDirectory()
    let bytes = smallGGUF().bytes
    // The padding behind the last tensor may be missing.
    for length in 1..<bytes.count - 8 {
      let path = try directory.write("x.gguf", bytes.prefix(length))
      let error = #expect(throws: XverseError.self) { try open(path) }
      #expect(error?.code == .corrupt, "\(length) bytes: \(error?.message ?? "")")
    }
  }

  @Test("with any byte of its header changed is read or rejected, and reads no more than there is")
  func survivesChangedBytes() throws {
    let directory = try TemporaryDirectory()
    let file = smallGGUF()
    var (read, rejected) = (0, 0)
    for position in file.header.indices {
      for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
        var bytes = file.bytes
        bytes[position] = value
        let path = try directory.write("x.gguf", bytes)
        do {
          _ = try open(path).tensorNames
          read += 1
        } catch {
          rejected += 1
        }
      }
    }
    #expect(read > 0 && rejected > read)
  }

  @Test("every failing allocation is reported, and nothing leaks")
  func reportsMissingMemory() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("x.gguf", smallGGUF().bytes)
    let counter = CountingHost()
    _ = try open(path, .map, MemoryAllocator(counter))
    #expect(counter.requestCount > 4)
    for request in 0..<counter.requestCount {
      let host = CountingHost(failingRequest: request)
      let error = #expect(throws: XverseError.self) { try open(path, .map, MemoryAllocator(host)) }
      #expect(error?.code == .outOfMemory && host.byteCount == 0, "request \(request)")
    }
  }
}
