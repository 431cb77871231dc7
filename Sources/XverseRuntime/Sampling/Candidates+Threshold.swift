// Candidates+Threshold.swift -- where to cut a ranking so that what lies above has a given mass, without sorting:
// TopK, TopP and TypicalP are this one search with different ranks and masses.

extension Candidates {
  /// A place in a ranking.
  struct Threshold {
    /// The rank of the last candidate that is needed.
    let rank: Float
    /// The mass of the candidates above that rank.
    let massAbove: Double
  }

  /// Buckets of one level of the search: the ranks' 32 bits are taken 11, 11 and 10 at a time.
  static var histogramSize: Int { 1 << 11 }

  /// The highest rank at which those of that rank or above, of `count` things, have a mass of at least `target`.
  ///
  /// When rounding keeps the mass of all below `target`, the lowest rank with any mass. A radix search: three passes,
  /// whatever the numbers are.
  ///
  /// - Parameters:
  ///   - rank: Of the thing at an index below `count`; not NaN.
  ///   - mass: Of the thing at an index below `count`; not negative, and not 0 for all of them.
  @inline(__always)
  mutating func threshold(
    of count: Int, reaching target: Double, rank: (_ index: Int) -> Float,
    mass: (_ index: Int) -> Double
  ) -> Threshold {
    var prefix: UInt32 = 0
    var above = 0.0
    for level in 0..<3 {
      let width: UInt32 = level == 2 ? 10 : 11
      let shift: UInt32 = level == 0 ? 21 : level == 1 ? 10 : 0
      let buckets = histogram.mutableElements
      buckets.update(repeating: 0)
      for index in 0..<count {
        let key = Self.key(rank(index))
        // A shift by 32, at the first level, leaves 0: every key has the empty prefix.
        guard key >> (shift + width) == prefix else { continue }
        buckets[Int(key >> shift & (1 << width - 1))] += mass(index)
      }
      let bucket = Self.bucket(of: target, in: buckets, above: &above)
      prefix = prefix << width | UInt32(truncatingIfNeeded: bucket)
    }
    return Threshold(rank: Self.rank(prefix), massAbove: above)
  }

  /// The bucket, from the highest down, in which the mass reaches `target`; adds the mass of those before to `above`.
  private static func bucket(
    of target: Double, in buckets: UnsafeMutableBufferPointer<Double>, above: inout Double
  ) -> Int {
    var lowest = 0
    var aboveLowest = above
    var sum = above
    for bucket in buckets.indices.reversed() where buckets[bucket] > 0 {
      lowest = bucket
      aboveLowest = sum
      sum += buckets[bucket]
      if sum >= target { break }
    }
    above = aboveLowest
    return lowest
  }

  /// Integers in the order of the floats; -0 and 0, which are equal, get the same one.
  @inline(__always)
  private static func key(_ rank: Float) -> UInt32 {
    let bits = (rank + 0).bitPattern
    return bits >> 31 == 1 ? ~bits : bits | 1 << 31
  }

  private static func rank(_ key: UInt32) -> Float {
    Float(bitPattern: key >> 31 == 1 ? key & ~(1 << 31) : ~key)
  }
}
