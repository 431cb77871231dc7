// StoredNumbers.swift -- arrays of f32, f16 and bf16 numbers as files hold them: at any byte, with nothing behind them.
// QuantizedWeights.swift has the same for int8 and int4.

import CXverseKernels
import Glibc
import TestSupport
import Testing

enum FloatFormat: CaseIterable, CustomTestStringConvertible {
  case float32, float16, bfloat16

  var testDescription: String { "\(self)" }
  var size: Int { self == .float32 ? 4 : 2 }

  var dtype: xvk_dtype {
    switch self {
    case .float32: XVK_F32
    case .float16: XVK_F16
    case .bfloat16: XVK_BF16
    }
  }

  /// Numbers at `start` as a matrix [rows, cols], row after row.
  func weights(_ start: UnsafeRawPointer?, rows: Int, cols: Int) -> xvk_weights {
    xvk_weights(data: start, dtype: dtype, rows: Int64(rows), cols: Int64(cols), stride: Int64(cols * size))
  }
}

/// Memory whose last byte is the last before a page that cannot be read: reading on crashes the test.
///
/// Unless the size is a multiple of 4, that also makes the start unaligned; `shift` moves it by more bytes.
final class GuardedMemory {
  let start: UnsafeMutableRawPointer
  private let pages: UnsafeMutableRawPointer
  private let length: Int

  init(byteCount: Int, shift: Int = 0) throws {
    let page = 4096
    length = (byteCount + shift + page - 1) / page * page + page
    let flags = MAP_PRIVATE | MAP_ANONYMOUS
    pages = try #require(mmap(nil, length, PROT_READ | PROT_WRITE, flags, -1, 0))
    try #require(pages != MAP_FAILED && mprotect(pages + length - page, page, PROT_NONE) == 0)
    start = pages + length - page - byteCount - shift
  }

  deinit { munmap(pages, length) }
}

/// Numbers in guarded memory.
final class StoredNumbers {
  /// The numbers as float32; a stored number is exactly one of these.
  let values: [Float]
  var start: UnsafeRawPointer { UnsafeRawPointer(memory.start) }
  private let memory: GuardedMemory

  init(_ values: [Float], as format: FloatFormat, shift: Int = 0) throws {
    memory = try GuardedMemory(byteCount: values.count * format.size, shift: shift)
    let place = memory.start
    switch format {
    case .float32:
      self.values = values
      for (i, value) in values.enumerated() {
        place.storeBytes(of: value.bitPattern, toByteOffset: 4 * i, as: UInt32.self)
      }
    case .float16:
      let halves = values.map { Float16($0) }
      self.values = halves.map { Float($0) }
      for (i, half) in halves.enumerated() {
        place.storeBytes(of: half.bitPattern, toByteOffset: 2 * i, as: UInt16.self)
      }
    case .bfloat16:
      let upper = values.map { UInt16($0.bitPattern >> 16) }
      self.values = upper.map { Float(bitPattern: UInt32($0) << 16) }
      for (i, bits) in upper.enumerated() { place.storeBytes(of: bits, toByteOffset: 2 * i, as: UInt16.self) }
    }
  }

  convenience init(random count: Int, as format: FloatFormat, shift: Int = 0, seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    try self.init(random.floats(count), as: format, shift: shift)
  }

  var floats: UnsafePointer<Float> { start.assumingMemoryBound(to: Float.self) }
}
