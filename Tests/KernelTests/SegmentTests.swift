// SegmentTests.swift -- a pass over several sequences: each gets what it would get alone.

import CXverseKernels
import TestSupport
import Testing

/// A pass of random queries, keys and values. The rows of its last segment come first, and between two segments there
/// is a row that belongs to none.
private struct Pass: CustomTestStringConvertible {
  let heads, kvHeads, headSize: Int
  /// Where the tokens of each segment stand in its sequence.
  let segments: [Range<Int>]

  var testDescription: String { "\(heads)/\(kvHeads) heads of \(headSize), \(segments)" }

  static let all = [
    // Prompts as long as a block, a position shorter and longer, and longer than a chunk.
    Self(heads: 6, kvHeads: 2, headSize: 10, segments: [0..<1, 0..<63, 0..<64, 0..<65, 0..<700]),
    // Tokens at such lengths, and prompts between them.
    Self(
      heads: 4, kvHeads: 4, headSize: 33, segments: [0..<1, 62..<63, 0..<40, 63..<64, 64..<65, 699..<700, 660..<700]),
    // So few heads that long sequences are cut into chunks.
    Self(heads: 8, kvHeads: 2, headSize: 16, segments: [1999..<2000, 0..<1, 1200..<1202, 63..<64, 2500..<2503]),
    Self(heads: 3, kvHeads: 1, headSize: 40, segments: [10..<15, 700..<701, 1500..<1501, 1023..<1024, 1024..<1028]),
  ]

  var rowCount: Int { segments.reduce(segments.count - 1) { $0 + $1.count } }

  /// The first row of each segment.
  var rows: [Int] {
    segments.indices.map { index in segments[(index + 1)...].reduce(segments.count - 1 - index) { $0 + $1.count } }
  }

  func numbers(width: Int, seed: UInt64) -> [Float] {
    var random = SeededRandom(seed: seed)
    return random.floats(rowCount * width, in: -2...2)
  }

  /// The sequences as they are before the pass.
  func caches(_ format: CacheFormat) throws -> [KVCacheBlocks] {
    try segments.enumerated().map { index, positions in
      let cache = KVCacheBlocks(format, kvHeads: kvHeads, headSize: headSize, positions: positions.upperBound)
      var random = SeededRandom(seed: UInt64(100 + index))
      let count = positions.lowerBound * kvHeads * headSize
      let (k, v) = (random.floats(count, in: -2...2), random.floats(count, in: 0...1))
      if count > 0 { cache.store(try KernelSet.reference.compute(), k: k, v: v, at: 0) }
      return cache
    }
  }

  func segments(_ caches: [KVCacheBlocks]) -> [xvk_segment] {
    zip(zip(caches, segments), rows).map {
      $0.0.segment(at: $0.1.lowerBound, row: $1, tokens: $0.1.count)
    }
  }

  /// The pass over sequences, which receive its keys and values, all segments by one call or each by its own: what is
  /// attended, and how many floats of scratch were used.
  func attend(_ compute: xvk_compute, _ caches: [KVCacheBlocks], together: Bool) -> (out: [Float], scratch: Int) {
    let q = numbers(width: heads * headSize, seed: 30)
    let (k, v) = (numbers(width: kvHeads * headSize, seed: 31), numbers(width: kvHeads * headSize, seed: 32))
    var out = [Float](repeating: untouched, count: q.count + 1)
    var scratch = 0
    for segments in together ? [segments(caches)] : segments(caches).map({ [$0] }) {
      let positions = self.segments.reduce(0) { max($0, $1.upperBound) }
      caches[0].store(compute, segments, k: k, v: v)
      let attended = caches[0].attend(
        compute, segments, q: q, positions: positions, heads: heads, scale: 4 / Float(headSize))
      for index in out.indices where attended.out[index].bitPattern != untouched.bitPattern {
        out[index] = attended.out[index]
      }
      scratch += attended.scratch
    }
    return withExtendedLifetime(caches) { (out, scratch) }
  }
}

@Suite("segments of a pass", .serialized)
struct SegmentTests {
  @Test(
    "have the bits of each segment alone", arguments: KernelSet.allCases, CacheFormat.allCases)
  func ignoreOtherSegments(set: KernelSet, format: CacheFormat) throws {
    for pass in Pass.all {
      let before = try pass.caches(format)
      let expected = before.map { $0.copy() }
      let alone = pass.attend(try set.compute(), expected, together: false).out
      for threads in [1, 2, 3, 5] as [Int32] {
        let caches = before.map { $0.copy() }

        let out = pass.attend(try set.compute(threads: threads), caches, together: true).out

        #expect(sameBits(out, alone), "\(pass.testDescription), \(threads) threads")
        let areSame = zip(caches, expected).allSatisfy { $0.hasSameBytes(as: $1) }
        #expect(areSame, "\(pass.testDescription), \(threads) threads")
      }
    }
  }

  @Test("touch their own rows alone", arguments: KernelSet.allCases)
  func touchOwnRows(set: KernelSet) throws {
    for pass in Pass.all {
      let width = pass.heads * pass.headSize
      let own = Set(zip(pass.rows, pass.segments).flatMap { row, segment in row..<row + segment.count })

      let out = pass.attend(try set.compute(threads: 3), try pass.caches(.float32), together: true).out

      for row in 0..<pass.rowCount {
        let isTouched = out[row * width..<(row + 1) * width].allSatisfy { $0.bitPattern != untouched.bitPattern }
        #expect(isTouched == own.contains(row), "\(pass.testDescription), row \(row)")
      }
    }
  }

  @Test("are cut into chunks when their heads are too few for the threads", arguments: KernelSet.allCases)
  func cutLongSegments(set: KernelSet) throws {
    for pass in Pass.all.suffix(2) {
      let caches = try pass.caches(.float16)
      #expect(pass.attend(try set.compute(), caches, together: true).scratch == 0, "one thread")
      #expect(pass.attend(try set.compute(threads: 5), caches, together: true).scratch > 0, "five threads")
    }
  }

  // Two of five threads' shares are those of the two long segments, each of which has one head.
  @Test("of several sequences can be cut at a time", arguments: KernelSet.allCases)
  func cutSeveralSegments(set: KernelSet) throws {
    let both = Pass(heads: 1, kvHeads: 1, headSize: 16, segments: [1999..<2000, 1999..<2000])
    let one = Pass(heads: 1, kvHeads: 1, headSize: 16, segments: [1999..<2000])
    let compute = try set.compute(threads: 5)

    let used = both.attend(compute, try both.caches(.float32), together: true).scratch
    let usedByOne = one.attend(compute, try one.caches(.float32), together: true).scratch

    #expect(usedByOne > 0 && used == 2 * usedByOne)
  }
}
