// CheckpointFixtures.swift -- small checkpoints written byte by byte, and errors caught whole.

import TestSupport
import Testing
import XverseCore

@testable import XverseFormats

/// The bytes of a safetensors file with this header, padded as given, and these data.
func safetensors(_ header: String, data: [UInt8] = [], padding: Int = 0) -> [UInt8] {
  safetensors(Array(header.utf8) + [UInt8](repeating: 0x20, count: padding), data: data)
}

func safetensors(_ header: [UInt8], data: [UInt8] = []) -> [UInt8] {
  littleEndian(UInt64(header.count)) + header + data
}

/// One entry of a header.
func entry(_ name: String, _ dtype: String, _ shape: [Int], _ begin: Int, _ end: Int) -> String {
  "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
}

/// A file with one F32 tensor `[values.count]`.
func safetensors(_ name: String, _ values: [Float]) -> [UInt8] {
  let header = "{\(entry(name, "F32", [values.count], 0, 4 * values.count))}"
  return safetensors(header, data: values.flatMap { littleEndian($0.bitPattern) })
}

func littleEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// A directory with the given files, config.json among them.
func modelDirectory(_ files: [String: [UInt8]]) throws -> TemporaryDirectory {
  let directory = try TemporaryDirectory()
  try directory.write("config.json", "{}")
  for (name, bytes) in files { try directory.write(name, bytes) }
  return directory
}

/// A `model.safetensors.index.json`.
func shardIndex(_ shards: KeyValuePairs<String, String>) -> [UInt8] {
  Array("{\"metadata\":{},\"weight_map\":{\(shards.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ","))}}".utf8)
}

func open(
  _ path: String, _ mode: MappedFile.Mode = .map, _ allocator: MemoryAllocator = .system
) throws(XverseError) -> Checkpoint {
  try Checkpoint(path: path, mode: mode, allocator: allocator) { (_, _) throws(XverseError) in }
}

/// Opens a single file with these bytes, called x.safetensors.
func openFile(_ bytes: [UInt8], _ mode: MappedFile.Mode = .map) throws -> Checkpoint {
  let directory = try TemporaryDirectory()
  return try open(directory.write("x.safetensors", bytes), mode)
}

func text(of file: MappedFile) -> String {
  withExtendedLifetime(file) { String(decoding: file.bytes, as: UTF8.self) }
}

extension CheckpointTensor {
  /// The elements of a tensor that is not quantized, widened.
  var floats: [Float] {
    guard let dtype, let size = dtype.elementSize else { return [] }
    return (0..<byteCount / size).map { index in
      let place = data + index * size
      return switch dtype {
      case .float32: Float(bitPattern: UInt32(littleEndian: place.loadUnaligned(as: UInt32.self)))
      case .float16: widenedHalf(UInt16(littleEndian: place.loadUnaligned(as: UInt16.self)))
      case .bfloat16: Float(bitPattern: UInt32(UInt16(littleEndian: place.loadUnaligned(as: UInt16.self))) << 16)
      case .int8, .int4, .int4F16: .nan
      }
    }
  }

  private func widenedHalf(_ bits: UInt16) -> Float {
    let sign: Float = bits >> 15 == 0 ? 1 : -1
    let exponent = Int(bits >> 10 & 31)
    let fraction = Float(bits & 1023)
    return switch exponent {
    case 0: sign * fraction * 0x1p-24
    case 31: fraction == 0 ? sign * .infinity : .nan
    default: sign * Float(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
    }
  }
}

extension MemoryAllocator {
  /// An allocator over the functions of `host`, which must outlive it.
  convenience init(_ host: CountingHost) {
    self.init(
      functions: Functions(allocate: CountingHost.allocate, deallocate: CountingHost.deallocate, user: host.user))
  }
}
