// KVCacheBlocks.swift -- the KV cache of a sequence for tests, every slot NaN until it is written.

import CXverseKernels
import Glibc
import TestSupport
import Testing

enum CacheFormat: CaseIterable, CustomTestStringConvertible {
  case float32, float16, int8

  var testDescription: String { "\(self)" }

  var dtype: xvk_dtype {
    switch self {
    case .float32: XVK_F32
    case .float16: XVK_F16
    case .int8: XVK_INT8
    }
  }

  /// Bytes of a number.
  fileprivate var size: Int {
    switch self {
    case .float32: 4
    case .float16: 2
    case .int8: 1
    }
  }
}

/// One layer in blocks that hold two more: values stand first, then what nothing may touch, then keys.
final class KVCacheBlocks {
  let format: CacheFormat
  let kvHeads: Int
  let headSize: Int
  private let blocks: UnsafeMutableBufferPointer<UnsafeMutableRawPointer?>

  init(_ format: CacheFormat, kvHeads: Int, headSize: Int, positions: Int) {
    (self.format, self.kvHeads, self.headSize) = (format, kvHeads, headSize)
    let byteCount = 4 * kvHeads * XVK_KV_BLOCK * (headSize * format.size + (format == .int8 ? 4 : 0))
    blocks = .allocate(capacity: (positions + XVK_KV_BLOCK - 1) / XVK_KV_BLOCK)
    for index in blocks.indices {
      let block = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4)
      block.initializeMemory(as: UInt8.self, repeating: 0xFF, count: byteCount)  // NaN, for int8 by its scales
      blocks.initializeElement(at: index, to: block)
    }
  }

  deinit {
    for block in blocks { block?.deallocate() }
    blocks.deallocate()
  }

  /// A cache with the same bytes.
  func copy() -> KVCacheBlocks {
    let copy = KVCacheBlocks(format, kvHeads: kvHeads, headSize: headSize, positions: blocks.count * XVK_KV_BLOCK)
    for (to, from) in zip(copy.blocks, blocks) {
      if let to, let from { memcpy(to, from, blockBytes) }
    }
    return copy
  }

  func hasSameBytes(as other: KVCacheBlocks) -> Bool {
    zip(blocks, other.blocks).allSatisfy { ours, theirs in
      if let ours, let theirs { memcmp(ours, theirs, blockBytes) == 0 } else { false }
    }
  }

  private var blockBytes: Int { 4 * partBytes }
  private var partBytes: Int { kvHeads * headBytes }
  private var valueOffset: Int { 0 }
  private var keyOffset: Int { 3 * partBytes }

  /// Bytes of a KV head in a block.
  private var headBytes: Int { XVK_KV_BLOCK * (headSize * format.size + (format == .int8 ? 4 : 0)) }

  /// Calls `body` with the layer in the blocks of some sequences, all like this one.
  func withLayer<Result>(_ segments: [xvk_segment], _ body: (UnsafePointer<xvk_kv>) -> Result) -> Result {
    segments.withUnsafeBufferPointer {
      var kv = xvk_kv(
        dtype: format.dtype, key_offset: Int64(keyOffset), value_offset: Int64(valueOffset), kv_heads: Int64(kvHeads),
        head_size: Int64(headSize), segments: $0.baseAddress, segment_count: Int64($0.count))
      return body(&kv)
    }
  }

  /// Tokens of a pass that stand in this sequence; valid as long as this cache.
  func segment(at position: Int, row: Int, tokens: Int) -> xvk_segment {
    xvk_segment(
      blocks: blocks.baseAddress, position: Int64(position), row: Int64(row), tokens: Int64(tokens))
  }

  /// Writes k and v [tokens, kvHeads, headSize] with the kernel.
  func store(_ compute: xvk_compute, k: [Float], v: [Float], at position: Int) {
    store(compute, [segment(at: position, row: 0, tokens: k.count / (kvHeads * headSize))], k: k, v: v)
  }

  /// Writes k and v [rows of the pass, kvHeads, headSize] to sequences like this one.
  func store(_ compute: xvk_compute, _ segments: [xvk_segment], k: [Float], v: [Float]) {
    withUnsafePointer(to: compute) { compute in withLayer(segments) { xvk_kv_store(compute, $0, k, v) } }
  }

  /// Writes k and v [tokens, kvHeads, headSize] without the kernel.
  func fill(k: [Float], v: [Float], at position: Int) {
    for vector in 0..<k.count / headSize {
      let (p, head) = (position + vector / kvHeads, vector % kvHeads)
      let (block, slot, numbers) = (p / XVK_KV_BLOCK, p % XVK_KV_BLOCK, vector * headSize..<(vector + 1) * headSize)
      let (keys, values) = (blocks[block].map { $0 + keyOffset }, blocks[block].map { $0 + valueOffset })
      put(k[numbers], in: keys, head: head, slot: slot) { d in d * XVK_KV_BLOCK + slot }
      put(v[numbers], in: values, head: head, slot: slot) { d in slot * self.headSize + d }
    }
  }

  private func put(
    _ numbers: ArraySlice<Float>, in part: UnsafeMutableRawPointer?, head: Int, slot: Int, place: (Int) -> Int
  ) {
    guard let start = part.map({ $0 + head * headBytes }) else { return }
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

  /// The bytes of all blocks.
  var bytes: [UInt8] {
    blocks.flatMap { Array(UnsafeRawBufferPointer(start: $0, count: blockBytes)) }
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
    let tokens = q.count / (heads * headSize)
    return attend(
      compute, [segment(at: position, row: 0, tokens: tokens)], q: q, positions: position + tokens, heads: heads,
      scale: scale
    ).out
  }

  /// Attention of q [rows of the pass, heads, headSize] over sequences like this one, of up to `positions` positions,
  /// and the floats of scratch that it wrote to.
  func attend(
    _ compute: xvk_compute, _ segments: [xvk_segment], q: [Float], positions: Int, heads: Int, scale: Float
  ) -> (out: [Float], scratch: Int) {
    let tokens = segments.reduce(0) { $0 + $1.tokens }
    var out = [Float](repeating: untouched, count: q.count + 1)
    let scratch = withUnsafePointer(to: compute) { compute in
      let count = xvk_attention_scratch(
        compute, Int64(positions), tokens, Int64(heads), Int64(kvHeads), Int64(headSize))
      var scratch = [Float](repeating: untouched, count: count + 1)
      withLayer(segments) { xvk_attention(compute, &out, q, $0, Int64(heads), scale, &scratch) }
      #expect(scratch[count].bitPattern == untouched.bitPattern)
      return scratch
    }
    return (out, scratch.count { $0.bitPattern != untouched.bitPattern })
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
