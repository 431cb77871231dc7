// KVCacheBlocks.swift -- a KV cache of one layer for tests, every slot NaN until it is written.

import CXverseKernels
import TestSupport
import Testing

enum CacheFormat: CaseIterable, CustomTestStringConvertible {
  case float32, float16, int8

  var testDescription: String { "\(self)" }

  /// Bytes of a number.
  fileprivate var size: Int {
    switch self {
    case .float32: 4
    case .float16: 2
    case .int8: 1
    }
  }
}

final class KVCacheBlocks {
  let format: CacheFormat
  let kvHeads: Int
  let headSize: Int
  private var keys: [UnsafeMutableRawPointer?]
  private var values: [UnsafeMutableRawPointer?]

  init(_ format: CacheFormat, kvHeads: Int, headSize: Int, positions: Int) {
    (self.format, self.kvHeads, self.headSize) = (format, kvHeads, headSize)
    let byteCount = kvHeads * XVK_KV_BLOCK * (headSize * format.size + (format == .int8 ? 4 : 0))
    func block() -> UnsafeMutableRawPointer {
      let block = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4)
      block.initializeMemory(as: UInt8.self, repeating: 0xFF, count: byteCount)  // NaN, for int8 by its scales
      return block
    }
    keys = (0..<(positions + XVK_KV_BLOCK - 1) / XVK_KV_BLOCK).map { _ in block() }
    values = keys.map { _ in block() }
  }

  deinit { for block in keys + values { block?.deallocate() } }

  /// Bytes of a KV head in a block.
  private var headBytes: Int { XVK_KV_BLOCK * (headSize * format.size + (format == .int8 ? 4 : 0)) }

  /// Writes k and v [tokens, kvHeads, headSize] with the kernel.
  func store(_ compute: xvk_compute, k: [Float], v: [Float], at position: Int) {
    let store =
      switch format {
      case .float32: xvk_kv_store_f32
      case .float16: xvk_kv_store_f16
      case .int8: xvk_kv_store_int8
      }
    withUnsafePointer(to: compute) {
      store(
        $0, keys, values, k, v, Int64(position), Int64(k.count / (kvHeads * headSize)), Int64(kvHeads), Int64(headSize))
    }
  }

  /// Writes k and v [tokens, kvHeads, headSize] without the kernel.
  func fill(k: [Float], v: [Float], at position: Int) {
    for vector in 0..<k.count / headSize {
      let (p, head) = (position + vector / kvHeads, vector % kvHeads)
      let (block, slot, numbers) = (p / XVK_KV_BLOCK, p % XVK_KV_BLOCK, vector * headSize..<(vector + 1) * headSize)
      put(k[numbers], in: keys[block], head: head, slot: slot) { d in d * XVK_KV_BLOCK + slot }
      put(v[numbers], in: values[block], head: head, slot: slot) { d in slot * self.headSize + d }
    }
  }

  private func put(
    _ numbers: ArraySlice<Float>, in block: UnsafeMutableRawPointer?, head: Int, slot: Int, place: (Int) -> Int
  ) {
    guard let start = block.map({ $0 + head * headBytes }) else { return }
    let int8 = Int8Vector(numbers)
    for (d, number) in numbers.enumerated() {
      switch format {
      case .float32: start.storeBytes(of: number, toByteOffset: 4 * place(d), as: Float.self)
      case .float16: start.storeBytes(of: Float16(number), toByteOffset: 2 * place(d), as: Float16.self)
      case .int8: start.storeBytes(of: int8.codes[d], toByteOffset: place(d), as: Int8.self)
      }
    }
    guard format == .int8 else { return }
    start.storeBytes(of: int8.scale, toByteOffset: XVK_KV_BLOCK * headSize + 4 * slot, as: Float.self)
  }

  /// The bytes of all blocks, keys first.
  var bytes: [UInt8] {
    (keys + values).flatMap { Array(UnsafeRawBufferPointer(start: $0, count: kvHeads * headBytes)) }
  }

  /// What the cache makes of k or v.
  func stored(_ numbers: [Float]) -> [Double] {
    switch format {
    case .float32: numbers.map { Double($0) }
    case .float16: numbers.map { Double(Float16($0)) }
    case .int8:
      stride(from: 0, to: numbers.count, by: headSize).flatMap { start in
        let vector = Int8Vector(numbers[start..<start + headSize])
        return vector.codes.map { Double($0) * Double(vector.scale) }
      }
    }
  }

  /// Attention of q [tokens, heads, headSize], the first query standing at `position`.
  func attend(_ compute: xvk_compute, q: [Float], at position: Int, heads: Int, scale: Float) -> [Float] {
    let attention =
      switch format {
      case .float32: xvk_attention_f32_f32
      case .float16: xvk_attention_f32_f16
      case .int8: xvk_attention_f32_int8
      }
    let tokens = Int64(q.count / (heads * headSize))
    var out = [Float](repeating: untouched, count: q.count + 1)
    withUnsafePointer(to: compute) {
      let count = xvk_attention_scratch(
        $0, Int64(position) + tokens, tokens, Int64(heads), Int64(kvHeads), Int64(headSize))
      var scratch = [Float](repeating: untouched, count: count + 1)
      attention(
        $0, &out, q, keys.map { UnsafeRawPointer($0) }, values.map { UnsafeRawPointer($0) }, Int64(position),
        tokens, Int64(heads), Int64(kvHeads), Int64(headSize), scale, &scratch)
      #expect(scratch[count].bitPattern == untouched.bitPattern)
    }
    return out
  }
}

/// A vector as an int8 cache holds it.
struct Int8Vector {
  let scale: Float
  let codes: [Int8]

  init(_ numbers: ArraySlice<Float>) {
    let largest = numbers.reduce(0) { $1.magnitude <= $0 ? $0 : $1.magnitude }
    guard numbers.allSatisfy(\.isFinite), largest >= 0x1p-100 else {
      scale = numbers.allSatisfy(\.isFinite) ? 0 : .nan
      codes = numbers.map { _ in 0 }
      return
    }
    scale = largest / 127
    codes = numbers.map { Int8(($0 * (127 / largest)).rounded(.toNearestOrEven)) }
  }
}
