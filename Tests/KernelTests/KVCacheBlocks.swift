// KVCacheBlocks.swift -- a KV cache of one layer for tests, every slot NaN until it is written.

import CXverseKernels
import TestSupport
import Testing

enum CacheFormat: CaseIterable, CustomTestStringConvertible {
  case float32, float16

  var testDescription: String { "\(self)" }
}

final class KVCacheBlocks {
  let format: CacheFormat
  let kvHeads: Int
  let headSize: Int
  private var keys: [UnsafeMutableRawPointer?]
  private var values: [UnsafeMutableRawPointer?]
  private let numbers: Int

  init(_ format: CacheFormat, kvHeads: Int, headSize: Int, positions: Int) {
    (self.format, self.kvHeads, self.headSize) = (format, kvHeads, headSize)
    numbers = kvHeads * headSize * XVK_KV_BLOCK
    let (size, numbers) = (format == .float32 ? 4 : 2, numbers)
    func block() -> UnsafeMutableRawPointer {
      let block = UnsafeMutableRawPointer.allocate(byteCount: size * numbers, alignment: 4)
      block.initializeMemory(as: UInt8.self, repeating: 0xFF, count: size * numbers)  // NaN in both formats
      return block
    }
    keys = (0..<(positions + XVK_KV_BLOCK - 1) / XVK_KV_BLOCK).map { _ in block() }
    values = keys.map { _ in block() }
  }

  deinit { for block in keys + values { block?.deallocate() } }

  /// Writes k and v [tokens, kvHeads, headSize] with the kernel.
  func store(_ compute: xvk_compute, k: [Float], v: [Float], at position: Int) {
    let store = format == .float32 ? xvk_kv_store_f32 : xvk_kv_store_f16
    withUnsafePointer(to: compute) {
      store(
        $0, keys, values, k, v, Int64(position), Int64(k.count / (kvHeads * headSize)), Int64(kvHeads), Int64(headSize))
    }
  }

  /// Writes k and v [tokens, kvHeads, headSize] without the kernel.
  func fill(k: [Float], v: [Float], at position: Int) {
    for i in 0..<k.count {
      let (p, head, d) = (position + i / (kvHeads * headSize), i / headSize % kvHeads, i % headSize)
      let (block, slot) = (p / XVK_KV_BLOCK, p % XVK_KV_BLOCK)
      put(k[i], in: keys[block], at: (head * headSize + d) * XVK_KV_BLOCK + slot)
      put(v[i], in: values[block], at: (head * XVK_KV_BLOCK + slot) * headSize + d)
    }
  }

  private func put(_ value: Float, in block: UnsafeMutableRawPointer?, at i: Int) {
    switch format {
    case .float32: block?.storeBytes(of: value, toByteOffset: 4 * i, as: Float.self)
    case .float16: block?.storeBytes(of: Float16(value), toByteOffset: 2 * i, as: Float16.self)
    }
  }

  /// The bits of every slot of every block, keys first.
  var bits: [UInt32] {
    (keys + values).flatMap { block -> [UInt32] in
      guard let block else { return [] }
      return (0..<numbers).map {
        switch format {
        case .float32: block.load(fromByteOffset: 4 * $0, as: UInt32.self)
        case .float16: UInt32(block.load(fromByteOffset: 2 * $0, as: UInt16.self))
        }
      }
    }
  }

  /// What the cache makes of a number.
  func rounded(_ value: Float) -> Double { format == .float32 ? Double(value) : Double(Float16(value)) }

  /// Attention of q [tokens, heads, headSize], the first query standing at `position`.
  func attend(_ compute: xvk_compute, q: [Float], at position: Int, heads: Int, scale: Float) -> [Float] {
    let attention = format == .float32 ? xvk_attention_f32_f32 : xvk_attention_f32_f16
    var out = [Float](repeating: untouched, count: q.count + 1)
    withUnsafePointer(to: compute) {
      attention(
        $0, &out, q, keys.map { UnsafeRawPointer($0) }, values.map { UnsafeRawPointer($0) }, Int64(position),
        Int64(q.count / (heads * headSize)), Int64(heads), Int64(kvHeads), Int64(headSize), scale)
    }
    return out
  }
}
